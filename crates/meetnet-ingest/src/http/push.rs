//! The push endpoints: their sources, their paths, and the general one, `POST /ingest/v1/{source}`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use meetnet_model::ids::SourceId;
use meetnet_model::network::ClientCounts;
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::source::{SourceKind, WireFormat};
use tokio::sync::Semaphore;

use super::answer::Answer;
use super::body::{BodyMemory, HeldBody};
use super::credentials::{self, Fields, TOKEN};
use super::endpoint::{Endpoint, Endpoints, Inner, Wanted, journalled_headers};
use super::limits::{PushLimits, RateLimit};
use super::{airrohr, influx, sensorthings, stations};
use crate::dup_window::lock;
use crate::intake::Intake;
use crate::outcomes::OutcomeRegistry;
use crate::status::Statuses;

const FORM: &str = "application/x-www-form-urlencoded";

/// One push source.
#[derive(Clone, PartialEq, Eq)]
pub struct PushSource {
    /// Its id, the last part of its path.
    pub id: SourceId,
    /// The format of its messages: it says which of the paths that devices have built in are its, too.
    pub format: WireFormat,
    /// Its token, already resolved; none takes everyone who reaches the listener. Of several lines each is a token: one
    /// per device. On paths that devices have built in it is what the device calls PASSKEY, PASSWORD or token.
    pub token: Option<String>,
    /// What requests on such a path must call it, where they call it anything: the database or bucket of line
    /// protocol, the ID of a Weather Underground station.
    pub name: Option<String>,
    /// A further path of its own, for stations whose path can be set.
    pub path: Option<String>,
    /// Most requests per second, averaged over a second.
    pub requests_per_second_max: u32,
}

/// What the endpoint works with; cheap to clone.
#[derive(Clone)]
pub struct PushState {
    pub(super) inner: Arc<Inner>,
}

impl PushState {
    /// Joins the push sources with the journal and the pipeline's outcomes. Ids of devices that are credentials as well
    /// become pseudonyms under `key` before they are journalled.
    pub fn new(
        sources: Vec<PushSource>,
        limits: PushLimits,
        intake: Intake,
        outcomes: OutcomeRegistry,
        statuses: &Statuses,
        key: PrivacyKey,
    ) -> Self {
        let endpoint = |source: PushSource| {
            let endpoint = Arc::new(endpoint(source, statuses));
            (endpoint.id.to_string(), endpoint)
        };
        let endpoints: Endpoints = sources.into_iter().map(endpoint).collect();
        let requests = Semaphore::new(limits.requests_max);
        let arriving = ClientCounts::new(limits.requests_per_client_max);
        let memory = BodyMemory::default();
        Self {
            inner: Arc::new(Inner {
                endpoints: Mutex::new(Arc::new(endpoints)),
                statuses: statuses.clone(),
                is_listening: AtomicBool::new(false),
                limits,
                intake,
                outcomes,
                requests,
                arriving,
                memory,
                key,
            }),
        }
    }

    /// Marks every source as listening: pages and `/readyz` show it.
    pub fn listening(&self) {
        self.inner.is_listening.store(true, Ordering::SeqCst);
        self.inner
            .endpoints()
            .values()
            .for_each(|endpoint| endpoint.listening());
    }

    /// Marks every source as no longer listening.
    pub fn stopped(&self) {
        self.inner.is_listening.store(false, Ordering::SeqCst);
        self.inner
            .endpoints()
            .values()
            .for_each(|endpoint| endpoint.status.set_disconnected());
    }

    /// Takes nothing more for sources that `next` has not, or has otherwise. What was taken before is in the journal when
    /// this returns, though not yet synced; who comes later is asked to come again, until [`PushState::exchange`].
    pub fn close_all_but(&self, next: &[PushSource]) {
        for endpoint in self.inner.endpoints().values() {
            if !next.contains(&endpoint.configured) {
                endpoint.close();
            }
        }
    }

    /// Puts `next` in the place of the sources that there are. One that is the same and not closed goes on, with what it
    /// may still send in this second; the others are closed.
    pub fn exchange(&self, next: Vec<PushSource>) {
        let before = self.inner.endpoints();
        self.close_all_but(&next);
        let mut endpoints = Endpoints::new();
        let mut fresh = Vec::new();
        for source in next {
            let id = source.id.to_string();
            let known = before.get(&id);
            let same = known.filter(|known| known.configured == source && known.is_open());
            let endpoint = same.cloned().unwrap_or_else(|| {
                let endpoint = Arc::new(endpoint(source, &self.inner.statuses));
                fresh.push(Arc::clone(&endpoint));
                endpoint
            });
            endpoints.insert(id, endpoint);
        }
        *lock(&self.inner.endpoints) = Arc::new(endpoints);
        // Asked last: a listener that begins meanwhile has marked them itself.
        if self.inner.is_listening.load(Ordering::SeqCst) {
            fresh.iter().for_each(|endpoint| endpoint.listening());
        }
    }
}

/// Makes the endpoint of a source.
fn endpoint(source: PushSource, statuses: &Statuses) -> Endpoint {
    Endpoint {
        id: source.id.clone(),
        format: source.format,
        tokens: source.token.as_deref().map(lines_of),
        name: source.name.clone(),
        own_path: source.path.clone(),
        path: format!("/ingest/v1/{}", source.id),
        rate: RateLimit::new(source.requests_per_second_max, Instant::now()),
        status: statuses.register(&source.id, SourceKind::Http),
        is_open: RwLock::new(true),
        configured: source,
    }
}

/// Returns the router of `POST /ingest/v1/{source}` and `POST /ingest/v1/{source}/{token}`, of the paths that devices
/// have built in, and of those that sources have declared, as they are at each request.
pub fn push_router(state: PushState) -> Router {
    Router::new()
        .route("/ingest/v1/{source}", post(push))
        .route("/ingest/v1/{source}/{token}", post(push_with_token))
        .merge(airrohr::routes())
        .merge(influx::routes())
        .merge(sensorthings::routes())
        .merge(stations::routes())
        .fallback(stations::own_path)
        .with_state(state)
}

async fn push(
    State(state): State<PushState>,
    Path(source): Path<String>,
    request: Request<Body>,
) -> Response {
    state
        .inner
        .push(Wanted::Source(&source), None, request)
        .await
        .into_response()
}

async fn push_with_token(
    State(state): State<PushState>,
    Path((source, token)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    state
        .inner
        .push(Wanted::Source(&source), Some(token), request)
        .await
        .into_response()
}

impl Inner {
    /// Takes one request whose body is the message and whose credential may stand anywhere.
    pub(super) async fn push(
        &self,
        wanted: Wanted<'_>,
        path_token: Option<String>,
        request: Request<Body>,
    ) -> Answer {
        let (parts, body) = request.into_parts();
        let query = Fields::split(parts.uri.query().unwrap_or(""), &[TOKEN]);
        let token = credentials::from_headers(&parts.headers)
            .or(path_token)
            .or_else(|| query.secret(TOKEN).map(str::to_owned));
        let endpoint = match self.claim(wanted, None, token.as_deref(), parts.uri.path()) {
            Ok(endpoint) => endpoint,
            Err(refusal) => return refusal,
        };
        // A form that comes here is a station's all the same.
        if let Some(secrets) = stations::secrets(endpoint.format) {
            return stations::take(self, &endpoint, secrets, token, parts, body).await;
        }
        let topic = match wanted {
            Wanted::Source(_) => endpoint.path.as_str(),
            Wanted::OwnPath(_) | Wanted::Format(_) => parts.uri.path(),
        };
        let taken = async {
            let _place = self.place()?;
            let form = is_form(&parts.headers);
            // Before the body is read, unless the credential can only be in it.
            let early = token.is_some() || !form;
            if early {
                endpoint.admit(token.as_deref())?;
            }
            let (mut bytes, _share) = self.read_body(&parts, body).await?;
            let mut fields = Fields::default();
            if form && let Ok(text) = std::str::from_utf8(&bytes) {
                fields = Fields::split(text, &[TOKEN]);
                if fields.secret(TOKEN).is_some() {
                    bytes = fields.rest.clone().into_bytes();
                }
            }
            if !early {
                endpoint.admit(fields.secret(TOKEN))?;
            }
            let mut meta = journalled_headers(&parts.headers);
            if !query.rest.is_empty() {
                meta.push(("query", query.rest.as_str()));
            }
            let body = HeldBody { bytes, _share };
            self.journal(&endpoint, topic, &meta, body).await
        };
        endpoint.worded(endpoint.settle(taken.await))
    }
}

/// Returns the tokens of a secret, one a line.
fn lines_of(secret: &str) -> Vec<String> {
    let lines = secret.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    content_type.is_some_and(|text| {
        let essence = text.split(';').next().unwrap_or("").trim();
        essence.eq_ignore_ascii_case(FORM)
    })
}

#[cfg(test)]
mod tests;
