//! Weather stations: the paths that Ecowitt gateways and uploaders to Weather Underground have built in.
//!
//! ```text
//! POST /data/report/                                        form    → 200
//! GET  /weatherstation/updateweatherstation.php (.asp, -)   query   → 200 success
//! ```
//!
//! The message is the form, whether it comes as body or as query string, and its credential stands in it: PASSKEY (of
//! some brands MAC), or PASSWORD beside the ID. Those fields are taken out before anything is journalled. Of a PASSKEY a
//! pseudonym rides beside the body, so that a source can have many stations.
//!
//! A station cannot do anything about a bad message and repeats none, so whatever was journalled is answered with
//! success; what it became is in the rejects.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Request, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::source::WireFormat;

use super::answer::Answer;
use super::body::BodyError;
use super::credentials::{self, Fields, TOKEN};
use super::endpoint::{Endpoint, Inner, Wanted};
use super::push::PushState;
use super::{airrohr, influx, sensorthings};

/// With and without the last slash: some consoles drop it.
const ECOWITT_PATHS: [&str; 2] = ["/data/report/", "/data/report"];
const WUNDERGROUND_PATHS: [&str; 3] = [
    "/weatherstation/updateweatherstation.php",
    "/weatherstation/updateweatherstation.asp",
    "/weatherstation/updateweatherstation",
];
const PASSKEY: &str = "passkey";
const MAC: &str = "mac";
const PASSWORD: &str = "password";
/// What a decoder finds a station's pseudonym under, beside the body.
pub(crate) const STATION_META: &str = "station";

/// Returns true for the paths that the listener has for every source, so that none can have one of them for itself.
pub fn is_fixed_path(path: &str) -> bool {
    ECOWITT_PATHS.contains(&path)
        || WUNDERGROUND_PATHS.contains(&path)
        || airrohr::PATHS.contains(&path)
        || influx::PATHS.contains(&path)
        || sensorthings::is_path(path)
}

/// Returns the fields of a station's form that are secrets; none for formats that are no station's. The first that is
/// there is its credential.
pub(super) fn secrets(format: WireFormat) -> Option<&'static [&'static str]> {
    match format {
        WireFormat::Ecowitt => Some(&[TOKEN, PASSKEY, MAC]),
        WireFormat::Wunderground => Some(&[TOKEN, PASSWORD]),
        _ => None,
    }
}

/// Returns a station's form without its secrets, and the pseudonym that its hardware id becomes; none for formats that are no
/// station's.
pub(crate) fn without_secrets(
    format: WireFormat,
    form: &str,
    key: &PrivacyKey,
) -> Option<(String, Option<String>)> {
    let fields = Fields::split(form.trim(), secrets(format)?);
    let station = pseudonym(&fields, key);
    Some((fields.rest, station))
}

/// Returns the pseudonym of a station that calls itself by a hardware id.
fn pseudonym(form: &Fields, key: &PrivacyKey) -> Option<String> {
    form.secret(PASSKEY)
        .or(form.secret(MAC))
        .filter(|id| !id.trim().is_empty())
        .map(|id| key.hardware_id(PASSKEY, id))
}

/// Returns the routes of the paths that stations have built in.
pub(super) fn routes() -> Router<PushState> {
    let mut router = Router::new();
    for path in ECOWITT_PATHS {
        router = router.route(path, get(ecowitt).post(ecowitt));
    }
    for path in WUNDERGROUND_PATHS {
        router = router.route(path, get(wunderground).post(wunderground));
    }
    router
}

async fn ecowitt(State(state): State<PushState>, request: Request<Body>) -> Response {
    let format = WireFormat::Ecowitt;
    let answer = report(&state.inner, Wanted::Format(format), format, request).await;
    reply(format, answer)
}

async fn wunderground(State(state): State<PushState>, request: Request<Body>) -> Response {
    let format = WireFormat::Wunderground;
    let answer = report(&state.inner, Wanted::Format(format), format, request).await;
    reply(format, answer)
}

/// Takes what comes by no other path: by one that a source has declared, or by none that there is.
pub(super) async fn own_path(State(state): State<PushState>, request: Request<Body>) -> Response {
    let path = request.uri().path().to_owned();
    let wanted = Wanted::OwnPath(&path);
    let endpoint = match state.inner.choose(wanted, None, None) {
        Ok(endpoint) => endpoint,
        Err(refusal) => {
            if carries_something(&request) {
                state.inner.unclaimed(wanted, &refusal, &path);
            }
            return refusal.into_response();
        }
    };
    if ![Method::GET, Method::POST].contains(request.method()) {
        let allow = [(header::ALLOW, "GET,POST")];
        return (StatusCode::METHOD_NOT_ALLOWED, allow).into_response();
    }
    let format = endpoint.format;
    if secrets(format).is_none() {
        return state
            .inner
            .push(wanted, None, request)
            .await
            .into_response();
    }
    let answer = report(&state.inner, wanted, format, request).await;
    reply(format, answer)
}

/// Returns whether a request can be a push at all: browsers and those who look for holes ask for pages.
fn carries_something(request: &Request<Body>) -> bool {
    let sends = [Method::POST, Method::PUT].contains(request.method());
    sends
        || request
            .uri()
            .query()
            .is_some_and(|query| query.contains('='))
}

/// Takes a message whose source is found by what stands in its form.
async fn report(
    inner: &Inner,
    wanted: Wanted<'_>,
    format: WireFormat,
    request: Request<Body>,
) -> Answer {
    let carries = carries_something(&request);
    let (parts, body) = request.into_parts();
    let Some(secrets) = secrets(format) else {
        return Answer::UnknownSource;
    };
    let path = parts.uri.path();
    let early = credentials::from_headers(&parts.headers);
    if let Err(refusal) = inner.expects(wanted, early.as_deref()) {
        // What a source turns away that is known by its path is counted there.
        if matches!(wanted, Wanted::OwnPath(_))
            && let Ok(endpoint) = inner.choose(wanted, None, None)
        {
            return endpoint.settle(Err(refusal));
        }
        if carries {
            inner.unclaimed(wanted, &refusal, path);
        }
        return refusal;
    }
    let received = async {
        let place = inner.place()?;
        let (form, share) = form(inner, &parts, body, secrets).await?;
        Ok((place, form, share))
    };
    let (_place, form, _share) = match received.await {
        Ok(received) => received,
        Err(refusal) => return refusal,
    };
    let credential = credential(&parts, &form, secrets);
    // The first, as in the decoder: a bridge of AcuRite sends its MAC address as another one.
    let name = (format == WireFormat::Wunderground)
        .then(|| form.first_field("id"))
        .flatten();
    match inner.claim(wanted, name.as_deref(), credential.as_deref(), path) {
        Ok(endpoint) => {
            let taken = journal(inner, &endpoint, path, credential, &form);
            endpoint.settle(taken.await)
        }
        Err(refusal) => refusal,
    }
}

/// Takes a station's message that came to `/ingest/v1/{source}`.
pub(super) async fn take(
    inner: &Inner,
    endpoint: &Endpoint,
    secrets: &'static [&'static str],
    token: Option<String>,
    parts: Parts,
    body: Body,
) -> Answer {
    let taken = async {
        let _place = inner.place()?;
        // A credential in the head is the one that counts.
        if token.is_some() && !endpoint.takes(token.as_deref()) {
            return Err(Answer::Unauthorised);
        }
        let (form, _share) = form(inner, &parts, body, secrets).await?;
        let credential = token.or_else(|| credential(&parts, &form, secrets));
        journal(inner, endpoint, &endpoint.path, credential, &form).await
    };
    endpoint.settle(taken.await)
}

/// Reads the form: the body, or the query string where there is none.
async fn form(
    inner: &Inner,
    parts: &Parts,
    body: Body,
    secrets: &[&str],
) -> Result<(Fields, super::body::Share), Answer> {
    let (payload, share) = inner.read_body(parts, body).await?;
    let text = String::from_utf8_lossy(&payload);
    let text = text.trim();
    let encoded = if text.is_empty() {
        parts.uri.query().unwrap_or("")
    } else {
        text
    };
    let fields = Fields::split(encoded, secrets);
    if fields.rest.is_empty() {
        return Err(Answer::Body(BodyError::Empty));
    }
    Ok((fields, share))
}

fn credential(parts: &Parts, form: &Fields, secrets: &[&str]) -> Option<String> {
    credentials::from_headers(&parts.headers).or_else(|| {
        let mut found = secrets.iter().filter_map(|name| form.secret(name));
        found.next().map(str::to_owned)
    })
}

async fn journal(
    inner: &Inner,
    endpoint: &Endpoint,
    topic: &str,
    credential: Option<String>,
    form: &Fields,
) -> Result<Answer, Answer> {
    endpoint.admit(credential.as_deref())?;
    let station = pseudonym(form, &inner.key);
    let meta: Vec<(&str, &str)> = station
        .as_deref()
        .map(|station| (STATION_META, station))
        .into_iter()
        .collect();
    inner
        .journal(endpoint, topic, &meta, form.rest.as_bytes())
        .await
}

/// Words an answer as the station expects it.
fn reply(format: WireFormat, answer: Answer) -> Response {
    let text = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    let is_wunderground = format == WireFormat::Wunderground;
    match answer {
        Answer::Decoded(_) | Answer::Pending if is_wunderground => {
            (StatusCode::OK, text, "success\n").into_response()
        }
        Answer::Decoded(_) | Answer::Pending => StatusCode::OK.into_response(),
        Answer::Unauthorised if is_wunderground => (
            StatusCode::UNAUTHORIZED,
            text,
            "INVALIDPASSWORDID|Password or key and/or id are incorrect\n",
        )
            .into_response(),
        other => other.into_response(),
    }
}

#[cfg(test)]
mod tests;
