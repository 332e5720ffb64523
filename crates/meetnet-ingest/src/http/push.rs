//! The push endpoint: from a request to its answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use meetnet_lake::journal::{AppendError, NewEnvelope};
use meetnet_model::ids::SourceId;
use meetnet_model::source::SourceKind;
use tokio::sync::Semaphore;

use super::answer::Answer;
use super::body::{self, BodyMemory};
use super::credentials;
use super::limits::{PushLimits, RateLimit};
use crate::intake::Intake;
use crate::outcomes::OutcomeRegistry;
use crate::status::{SourceState, Statuses, now_us};

/// Headers that decoding may need; no others are journalled, above all no credentials and no cookies.
/// `x-sensor` names the device at sensor.community's endpoints, `x-pin` its channel.
const JOURNALLED_HEADERS: [&str; 3] = ["content-type", "x-sensor", "x-pin"];
/// Longest header value journalled.
const HEADER_BYTES_MAX: usize = 1024;
const FORM: &str = "application/x-www-form-urlencoded";

/// One push source.
#[derive(Clone)]
pub struct PushSource {
    /// Its id, the last part of its path.
    pub id: SourceId,
    /// Its token, already resolved; none takes everyone who reaches the listener.
    pub token: Option<String>,
    /// Most requests per second, averaged over a second.
    pub requests_per_second_max: u32,
}

/// What the endpoint works with; cheap to clone.
#[derive(Clone)]
pub struct PushState {
    inner: Arc<Inner>,
}

struct Inner {
    sources: BTreeMap<String, Endpoint>,
    limits: PushLimits,
    intake: Intake,
    outcomes: OutcomeRegistry,
    requests: Semaphore,
    memory: BodyMemory,
}

struct Endpoint {
    id: SourceId,
    token: Option<String>,
    path: String,
    rate: RateLimit,
    status: Arc<SourceState>,
}

impl PushState {
    /// Joins the push sources with the journal and the pipeline's outcomes.
    pub fn new(
        sources: Vec<PushSource>,
        limits: PushLimits,
        intake: Intake,
        outcomes: OutcomeRegistry,
        statuses: &Statuses,
    ) -> Self {
        let endpoint = |source: PushSource| {
            let status = statuses.register(&source.id, SourceKind::Http);
            let endpoint = Endpoint {
                token: source.token,
                path: format!("/ingest/v1/{}", source.id),
                rate: RateLimit::new(source.requests_per_second_max, Instant::now()),
                status,
                id: source.id,
            };
            (endpoint.id.to_string(), endpoint)
        };
        let sources = sources.into_iter().map(endpoint).collect();
        let requests = Semaphore::new(limits.requests_max);
        let memory = BodyMemory::default();
        Self {
            inner: Arc::new(Inner {
                sources,
                limits,
                intake,
                outcomes,
                requests,
                memory,
            }),
        }
    }

    /// Returns the limits, for [`serve`](super::serve).
    pub fn limits(&self) -> PushLimits {
        self.inner.limits
    }

    /// Marks every source as listening: pages and `/readyz` show it.
    pub fn listening(&self) {
        for endpoint in self.inner.sources.values() {
            endpoint.status.set_connected("http", false);
            endpoint.status.set_subscribed();
        }
    }

    /// Marks every source as no longer listening.
    pub fn stopped(&self) {
        self.inner
            .sources
            .values()
            .for_each(|endpoint| endpoint.status.set_disconnected());
    }
}

/// Returns the router of `POST /ingest/v1/{source}` and `POST /ingest/v1/{source}/{token}`.
pub fn push_router(state: PushState) -> Router {
    Router::new()
        .route("/ingest/v1/{source}", post(push))
        .route("/ingest/v1/{source}/{token}", post(push_with_token))
        .with_state(state)
}

async fn push(
    State(state): State<PushState>,
    Path(source): Path<String>,
    request: Request<Body>,
) -> Response {
    state
        .inner
        .answer(&source, None, request)
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
        .answer(&source, Some(token), request)
        .await
        .into_response()
}

impl Inner {
    async fn answer(
        &self,
        source: &str,
        path_token: Option<String>,
        request: Request<Body>,
    ) -> Answer {
        let Some(endpoint) = self.sources.get(source) else {
            return Answer::UnknownSource;
        };
        let answer = self
            .take(endpoint, path_token, request)
            .await
            .unwrap_or_else(|refusal| refusal);
        match &answer {
            Answer::Decoded(_) | Answer::Pending => endpoint.status.acked.add(1),
            Answer::NotJournalled { detail } => endpoint.status.note_error(detail.as_str()),
            _ => endpoint.status.refused.add(1),
        }
        answer
    }

    /// Takes one body; an `Err` is an answer too, given before anything was journalled.
    async fn take(
        &self,
        endpoint: &Endpoint,
        path_token: Option<String>,
        request: Request<Body>,
    ) -> Result<Answer, Answer> {
        let Ok(_place) = self.requests.try_acquire() else {
            return Err(Answer::Busy {
                retry_after_s: 1,
                detail: "more requests at a time than allowed",
            });
        };
        let (parts, body) = request.into_parts();
        let (query_token, query) = credentials::split_fields(parts.uri.query().unwrap_or(""));
        let token = credentials::from_headers(&parts.headers)
            .or(path_token)
            .or(query_token);
        let form = is_form(&parts.headers);
        // Before the body is read, unless the credential can only be in it.
        let early = token.is_some() || !form;
        if early {
            endpoint.admit(token.as_deref())?;
        }
        let mut share = self.memory.share(self.limits.bodies_bytes_max);
        let mut payload = body::read(&parts.headers, body, &self.limits, &mut share)
            .await
            .map_err(Answer::Body)?;
        let mut form_token = None;
        if form && let Ok(text) = std::str::from_utf8(&payload) {
            let (found, rest) = credentials::split_fields(text);
            if found.is_some() {
                payload = rest.into_bytes();
            }
            form_token = found;
        }
        if !early {
            endpoint.admit(form_token.as_deref())?;
        }
        endpoint.status.message(payload.len(), now_us());
        self.journal(endpoint, &meta_of(&parts.headers, &query), &payload)
            .await
    }

    async fn journal(
        &self,
        endpoint: &Endpoint,
        meta: &[(&str, &str)],
        payload: &[u8],
    ) -> Result<Answer, Answer> {
        let envelope = NewEnvelope {
            source: endpoint.id.as_str(),
            topic: &endpoint.path,
            meta,
            payload,
            ..NewEnvelope::default()
        };
        let appended = self
            .outcomes
            .register_with(|| {
                self.intake
                    .append(&envelope)
                    .map(|appended| appended.sequence)
            })
            .map_err(|_| Answer::Busy {
                retry_after_s: 1,
                detail: "too many pushes wait for their answer",
            })?;
        let mut waiter = appended.map_err(|error| match error {
            AppendError::FieldTooLong { .. } => Answer::Unjournallable(error.to_string()),
            error => Answer::NotJournalled {
                detail: error.to_string(),
            },
        })?;

        let synced = self.intake.wait_durable(waiter.sequence());
        if !matches!(
            tokio::time::timeout(self.limits.sync_wait, synced).await,
            Ok(true)
        ) {
            let detail = "the journal was not synced in time: send it again".to_owned();
            return Err(Answer::NotJournalled { detail });
        }
        // Stored from here on, whatever the decode says.
        let outcome = tokio::time::timeout(self.limits.outcome_wait, waiter.outcome()).await;
        Ok(outcome
            .ok()
            .flatten()
            .map_or(Answer::Pending, Answer::Decoded))
    }
}

impl Endpoint {
    /// Checks the credential, then the rate: a stranger cannot use up what the source may send.
    fn admit(&self, token: Option<&str>) -> Result<(), Answer> {
        if let Some(expected) = &self.token {
            let right = token.is_some_and(|given| credentials::equal(given, expected));
            if !right {
                return Err(Answer::Unauthorised);
            }
        }
        self.rate.take(Instant::now()).map_err(|wait| Answer::Busy {
            retry_after_s: wait.as_secs() + 1,
            detail: "more requests per second than this source may send",
        })
    }
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

/// Returns what decoding may need besides the body.
fn meta_of<'a>(headers: &'a HeaderMap, query: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut meta = Vec::with_capacity(JOURNALLED_HEADERS.len() + 1);
    for name in JOURNALLED_HEADERS {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        if let Some(value) = value.filter(|value| value.len() <= HEADER_BYTES_MAX) {
            meta.push((name, value));
        }
    }
    if !query.is_empty() {
        meta.push(("query", query));
    }
    meta
}

#[cfg(test)]
mod tests;
