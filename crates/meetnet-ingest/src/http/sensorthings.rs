//! The paths of the OGC SensorThings API 1.1 at which clients create observations, with the answers that they expect.
//!
//! ```text
//! POST /v1.1/Observations                   one observation     201, Location
//! POST /v1.1/Datastreams(id)/Observations   the same            201, Location
//! POST /v1.1/CreateObservations             data arrays         201, ["…/Observations(70000000)", "error", …]
//! GET  /v1.1                                the service root    200, what can be created
//! ```
//!
//! The same under `/v1.0`. Observations are not read here: their links are for a sender to quote. Their number is that of
//! the message in the journal and, in its last seven digits, the position in the body: clients insist on a whole number.
//! What is no observation is answered with 400 and the reason, or with `error` in its place where others of the body were
//! stored.

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, header, request::Parts,
};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use meetnet_model::ids::Sequence;
use meetnet_model::source::WireFormat;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use serde_json::value::RawValue;

use super::answer::{Answer, Refusal};
use super::credentials::{self, Fields, TOKEN};
use super::endpoint::{Inner, Wanted, journalled_headers};
use super::push::PushState;
use crate::outcomes::Outcome;

/// What stands for a row of a data array that was not stored.
const ERROR: &str = "error";

/// What of the standard is here.
const CONFORMANCE: [&str; 2] = [
    "http://www.opengis.net/spec/iot_sensing/1.1/req/create-update-delete/create-entity",
    "http://www.opengis.net/spec/iot_sensing/1.1/req/data-array/data-array",
];

/// Returns true for the paths of the standard.
pub(super) fn is_path(path: &str) -> bool {
    ["/v1.1/", "/v1.0/"]
        .into_iter()
        .filter_map(|version| {
            path.strip_prefix(version)
                .or_else(|| root_of(path, version))
        })
        .any(|rest| rest.is_empty() || rest.ends_with("Observations"))
}

fn root_of<'p>(path: &'p str, version: &str) -> Option<&'p str> {
    (version.strip_suffix('/') == Some(path)).then_some("")
}

pub(super) fn routes() -> Router<PushState> {
    let mut router = Router::new();
    for version in ["/v1.1", "/v1.0"] {
        router = router
            .route(&format!("{version}/Observations"), post(create_one))
            // `Datastreams(id)` is one segment.
            .route(
                &format!("{version}/{{datastream}}/Observations"),
                post(create_one),
            )
            .route(&format!("{version}/CreateObservations"), post(create_many))
            .route(version, get(root))
            .route(&format!("{version}/"), get(root));
    }
    router
}

/// Says what there is, as clients ask it before anything else: observations, to be created.
async fn root(headers: HeaderMap, uri: Uri) -> Response {
    let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    // A proxy that ends TLS says so; without a host there is nothing to make an address of.
    let scheme = match header(HeaderName::from_static("x-forwarded-proto")) {
        Some("https") => "https",
        _ => "http",
    };
    let version = uri.path().trim_end_matches('/');
    let url = match header(header::HOST) {
        Some(host) => format!("{scheme}://{host}{version}/Observations"),
        None => format!("{version}/Observations"),
    };
    Json(json!({
        "value": [{"name": "Observations", "url": url}],
        "serverSettings": {"conformance": CONFORMANCE},
    }))
    .into_response()
}

async fn create_one(State(state): State<PushState>, request: Request<Body>) -> Response {
    match take(&state.inner, request).await {
        Ok((_, sequence, Answer::Decoded(outcome))) if !is_stored(&outcome) => {
            refused_rows(sequence, &outcome)
        }
        Ok((_, sequence, Answer::Decoded(_) | Answer::Pending)) => {
            let location = HeaderValue::from_str(&link(sequence, 0));
            let mut response = StatusCode::CREATED.into_response();
            if let Ok(location) = location {
                response.headers_mut().insert(header::LOCATION, location);
            }
            response
        }
        Ok((_, _, answer)) | Err(answer) => refused(answer),
    }
}

async fn create_many(State(state): State<PushState>, request: Request<Body>) -> Response {
    let (payload, sequence, answer) = match take(&state.inner, request).await {
        Ok(taken) => taken,
        Err(answer) => return refused(answer),
    };
    let outcome = match answer {
        Answer::Decoded(outcome) => outcome,
        Answer::Pending => Outcome::default(),
        answer => return refused(answer),
    };
    match item_count(&payload) {
        Some(items) if items > 0 => {
            let links = links(sequence, items, &outcome);
            (StatusCode::CREATED, Json(links)).into_response()
        }
        // No data array, or none with a row: nothing stands for anything.
        _ => refused_rows(sequence, &outcome),
    }
}

/// Journals the body of one request and returns it with its sequence and what became of it.
async fn take(
    inner: &Inner,
    request: Request<Body>,
) -> Result<(Vec<u8>, Sequence, Answer), Answer> {
    let (parts, body) = request.into_parts();
    let Parts { uri, headers, .. } = &parts;
    let query = Fields::split(uri.query().unwrap_or(""), &[TOKEN]);
    let token =
        credentials::from_headers(headers).or_else(|| query.secret(TOKEN).map(str::to_owned));
    let wanted = Wanted::Format(WireFormat::SensorThings);
    let endpoint = inner.claim(wanted, None, token.as_deref(), uri.path())?;
    let mut journalled = None;
    let taken = async {
        let _place = inner.place()?;
        endpoint.admit(token.as_deref())?;
        let (payload, _share) = inner.read_body(&parts, body).await?;
        let mut meta = journalled_headers(headers);
        if !query.rest.is_empty() {
            meta.push(("query", query.rest.as_str()));
        }
        let (sequence, answer) = inner
            .journal_numbered(&endpoint, uri.path(), &meta, &payload)
            .await?;
        journalled = Some((payload, sequence));
        Ok(answer)
    };
    let answer = endpoint.settle(taken.await);
    match journalled {
        Some((payload, sequence)) => Ok((payload, sequence, answer)),
        None => Err(answer),
    }
}

/// Returns whether anything of a body is a row, or nothing is wrong with it.
fn is_stored(outcome: &Outcome) -> bool {
    outcome.accepted > 0 || outcome.rejected() == 0
}

fn link(sequence: Sequence, item: usize) -> String {
    format!("/v1.1/Observations({}{item:07})", sequence.0)
}

/// Returns what stands for each row of the data arrays: its link, or `error`. Where more rows were rejected than are
/// listed, the rows behind the last listed one are told as errors: to send a stored row again changes nothing.
fn links(sequence: Sequence, items: usize, outcome: &Outcome) -> Vec<String> {
    let mut failed = vec![false; items];
    let mut last = 0;
    for item in outcome.rejects.iter().filter_map(|reject| reject.item) {
        last = last.max(item as usize);
        if let Some(failed) = failed.get_mut(item as usize) {
            *failed = true;
        }
    }
    let unknown_from = if outcome.unlisted > 0 { last } else { items };
    failed
        .into_iter()
        .enumerate()
        .map(|(item, failed)| {
            if failed || item >= unknown_from {
                ERROR.to_owned()
            } else {
                link(sequence, item)
            }
        })
        .collect()
}

/// Counts the rows of a body of data arrays as their decoder numbers them; none where it is no JSON array or object.
fn item_count(payload: &[u8]) -> Option<usize> {
    #[derive(Deserialize)]
    struct DataArray<'a> {
        #[serde(borrow, rename = "dataArray")]
        rows: Option<&'a RawValue>,
    }
    let rows_of = |part: &RawValue| {
        let group = serde_json::from_str::<DataArray<'_>>(part.get());
        let rows = group.ok().and_then(|group| group.rows);
        rows.and_then(|rows| serde_json::from_str::<Vec<IgnoredAny>>(rows.get()).ok())
            .map_or(1, |rows| rows.len())
    };
    let body: &RawValue = serde_json::from_slice(payload).ok()?;
    match serde_json::from_str::<Vec<&RawValue>>(body.get()) {
        Ok(parts) => Some(parts.into_iter().map(rows_of).sum()),
        Err(_) => body.get().starts_with('{').then(|| rows_of(body)),
    }
}

/// Answers a body of which nothing was stored as rows.
fn refused_rows(sequence: Sequence, outcome: &Outcome) -> Response {
    let message = match outcome.rejects.first() {
        Some(reject) => reject.message.clone(),
        None => "the body has no observation".to_owned(),
    };
    let detail = format!("{message} (kept as message {} of the journal)", sequence.0);
    error(StatusCode::BAD_REQUEST, detail)
}

fn refused(answer: Answer) -> Response {
    let Some(Refusal {
        status,
        detail,
        retry_after_s,
        ..
    }) = answer.refusal()
    else {
        return answer.into_response();
    };
    let mut response = error(status, detail);
    if let Some(seconds) = retry_after_s {
        let seconds = HeaderValue::from(seconds);
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"meetnet\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// Words an error as servers of the standard do.
fn error(status: StatusCode, message: String) -> Response {
    let body = json!({"code": status.as_u16(), "type": "error", "message": message});
    (status, Json(body)).into_response()
}

#[cfg(test)]
mod tests;
