//! InfluxDB's write endpoints, so that Telegraf and what else writes line protocol can send here.
//!
//! ```text
//! POST /write?db=DB&precision=ms             u and p, Basic, Bearer or Token    204, 400 {"error": …}
//! POST /api/v2/write?bucket=BUCKET&org=ORG   Authorization: Token               204, 400 {"code": "invalid", "message": …}
//! POST /query    q=CREATE DATABASE "DB"                                         200 {"results": […]}, 400, 404
//! GET  /ping                                                                    204
//! ```
//!
//! `CREATE DATABASE` is what clients of version 1 say before they write, so it is answered: a database that a source has
//! declared is there already. No other InfluxQL is known.
//!
//! Database or bucket choose the source that has declared it, and the credential among those; organisation, retention
//! policy and consistency have no meaning here. Good lines are stored where others are not, and the answer then says
//! `partial write` and quotes the lines, so that no client sends them again. What should be sent again is told with 503 in
//! version 1, as InfluxDB 1 does: its clients drop their lines at any other 4xx.

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use meetnet_model::reject::RejectReason;
use meetnet_model::source::WireFormat;
use serde_json::json;

use super::answer::{Answer, PENDING};
use super::credentials::{self, Fields, TOKEN};
use super::endpoint::{Inner, Wanted};
use super::push::PushState;
use crate::outcomes::Outcome;

pub(super) const PATHS: [&str; 4] = ["/write", "/api/v2/write", "/ping", "/query"];
/// What a decoder finds the unit of the times under, beside the body.
const PRECISION_META: &str = "precision";
/// Secrets in query strings of version 1, user name included.
const SECRETS: [&str; 3] = ["p", "u", TOKEN];
/// Where a client of version 1 looks for the reason, too.
const ERROR: HeaderName = HeaderName::from_static("x-influxdb-error");
/// Clients ask for it before they write.
const VERSION: HeaderName = HeaderName::from_static("x-influxdb-version");
const VERSION_TEXT: &str = "1.8.10";
/// Lines that one answer quotes, and the characters of each.
const LINES_QUOTED_MAX: usize = 20;
const LINE_CHARS_MAX: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

pub(super) fn routes() -> Router<PushState> {
    Router::new()
        .route(PATHS[0], post(write))
        .route(PATHS[1], post(write_v2))
        .route(PATHS[2], get(ping).post(ping))
        .route(PATHS[3], get(query).post(query))
}

async fn write(State(state): State<PushState>, request: Request<Body>) -> Response {
    take(&state.inner, Version::One, request).await
}

async fn write_v2(State(state): State<PushState>, request: Request<Body>) -> Response {
    take(&state.inner, Version::Two, request).await
}

async fn ping() -> Response {
    let version = HeaderValue::from_static(VERSION_TEXT);
    (StatusCode::NO_CONTENT, [(VERSION, version)]).into_response()
}

async fn query(State(state): State<PushState>, request: Request<Body>) -> Response {
    let inner = &state.inner;
    let (parts, body) = request.into_parts();
    let query = Fields::split(parts.uri.query().unwrap_or(""), &SECRETS);
    let credential = Version::One.credential(&parts.headers, &query);
    let wanted = Wanted::Format(WireFormat::Influx);
    let received = async {
        inner.expects(wanted, credential.as_deref())?;
        let _place = inner.place()?;
        inner.read_body(&parts, body).await
    };
    let (body, _share) = match received.await {
        Ok(received) => received,
        Err(refusal) => return Version::One.reply(refusal, &[]),
    };
    let form = Fields::split(&String::from_utf8_lossy(&body), &SECRETS);
    let statement = form.field("q").or_else(|| query.field("q"));
    let Some(name) = statement.as_deref().and_then(created_database) else {
        let message =
            "error parsing query: only CREATE DATABASE is known here; rows are asked for by SQL";
        return Version::One.error(StatusCode::BAD_REQUEST, message);
    };
    match inner.choose(wanted, Some(&name), credential.as_deref()) {
        Ok(_) => Json(json!({ "results": [{ "statement_id": 0 }] })).into_response(),
        Err(refusal) => Version::One.reply(refusal, &[]),
    }
}

/// Returns the database that a statement creates; none for any other statement.
fn created_database(statement: &str) -> Option<String> {
    let rest = statement.trim().trim_end_matches(';').trim_end();
    let rest = keyword(keyword(rest, "CREATE")?, "DATABASE")?;
    let Some(quoted) = rest.strip_prefix('"') else {
        // `CREATE DATABASE name WITH …` says how long to keep what.
        return rest.split_whitespace().next().map(str::to_owned);
    };
    let mut name = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some(name),
            '\\' => name.push(characters.next()?),
            other => name.push(other),
        }
    }
}

/// Returns what follows a word and white space.
fn keyword<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let (first, rest) = text.split_once(char::is_whitespace)?;
    first.eq_ignore_ascii_case(word).then(|| rest.trim_start())
}

async fn take(inner: &Inner, version: Version, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let query = Fields::split(parts.uri.query().unwrap_or(""), &SECRETS);
    let Some(precision) = version.precision(query.field("precision").as_deref()) else {
        return version.error(StatusCode::BAD_REQUEST, version.invalid_precision());
    };
    let credential = version.credential(&parts.headers, &query);
    let name = query.field(version.name());
    let wanted = Wanted::Format(WireFormat::Influx);
    let path = parts.uri.path();
    let endpoint = match inner.claim(wanted, name.as_deref(), credential.as_deref(), path) {
        Ok(endpoint) => endpoint,
        Err(refusal) => return version.reply(refusal, &[]),
    };
    // Kept until the answer is worded: it quotes lines.
    let mut payload = Vec::new();
    let mut _share = None;
    let taken = async {
        let _place = inner.place()?;
        endpoint.admit(credential.as_deref())?;
        let (read, share) = inner.read_body(&parts, body).await?;
        (payload, _share) = (read, Some(share));
        if payload.trim_ascii().is_empty() {
            // Nothing to store, and nothing wrong: InfluxDB says the same.
            return Ok(Answer::Decoded(Outcome::default()));
        }
        let meta = [(PRECISION_META, precision)];
        inner
            .journal(&endpoint, parts.uri.path(), &meta, &payload)
            .await
    };
    let answer = endpoint.settle(taken.await);
    version.reply(answer, &payload)
}

impl Version {
    /// Returns the unit of the times as it is journalled; none where the request names one that this version has not.
    fn precision(self, asked: Option<&str>) -> Option<&'static str> {
        Some(match (asked.unwrap_or(""), self) {
            ("" | "ns", _) | ("n", Self::One) => "ns",
            ("us", _) | ("u" | "\u{b5}", Self::One) => "us",
            ("ms", _) => "ms",
            ("s", _) => "s",
            ("m", Self::One) => "m",
            ("h", Self::One) => "h",
            _ => return None,
        })
    }

    fn invalid_precision(self) -> &'static str {
        match self {
            Self::One => "invalid precision (use n, u, ms, s, m or h)",
            Self::Two => "invalid precision; valid precision units are ns, us, ms, and s",
        }
    }

    /// Returns the parameter that names the source.
    fn name(self) -> &'static str {
        match self {
            Self::One => "db",
            Self::Two => "bucket",
        }
    }

    /// Returns the secret of a request: in a header, or in the query.
    fn credential(self, headers: &HeaderMap, query: &Fields) -> Option<String> {
        credentials::from_headers(headers)
            .map(|token| self.password(token))
            .or_else(|| query.secret("p").or(query.secret(TOKEN)).map(str::to_owned))
    }

    /// Returns the status of a refusal. A client of version 1 sends again what was answered with 5xx only; one of version
    /// 2 what was answered with 429, too.
    fn status(self, refusal: StatusCode) -> StatusCode {
        match (self, refusal) {
            (Self::One, StatusCode::TOO_MANY_REQUESTS) | (_, StatusCode::REQUEST_TIMEOUT) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            (_, other) => other,
        }
    }

    /// Returns the secret in an `Authorization` header; version 1 writes `Token USER:PASSWORD` as well.
    fn password(self, token: String) -> String {
        match token.split_once(':') {
            Some((_user, password)) if self == Self::One => password.to_owned(),
            _ => token,
        }
    }

    fn reply(self, answer: Answer, payload: &[u8]) -> Response {
        match answer {
            Answer::Decoded(outcome) if outcome.rejected() > 0 => {
                self.error(StatusCode::BAD_REQUEST, &refused_lines(&outcome, payload))
            }
            Answer::Pending => {
                let pending = [(PENDING, HeaderValue::from_static("true"))];
                (StatusCode::NO_CONTENT, pending).into_response()
            }
            other => {
                let Some(refusal) = other.refusal() else {
                    return StatusCode::NO_CONTENT.into_response();
                };
                let detail = match (&other, self) {
                    (Answer::Unauthorised, Self::One) => "authorization failed",
                    (Answer::Unauthorised, Self::Two) => "unauthorized access",
                    (Answer::UnknownName, Self::One) => {
                        "database not found: no source declares it as its `database`"
                    }
                    (Answer::UnknownName, Self::Two) => {
                        "bucket not found: no source declares it as its `database`"
                    }
                    _ => refusal.detail.as_str(),
                };
                let mut response = self.error(self.status(refusal.status), detail);
                if let Some(seconds) = refusal.retry_after_s {
                    let headers = response.headers_mut();
                    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                }
                response
            }
        }
    }

    fn error(self, status: StatusCode, message: &str) -> Response {
        let body = match self {
            Self::One => json!({ "error": message }),
            Self::Two => json!({ "code": code_of(status), "message": message }),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        if let (Self::One, Ok(value)) = (self, HeaderValue::from_str(&message.replace('\n', " "))) {
            headers.insert(ERROR, value);
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = match self {
                Self::One => "Basic realm=\"meetnet\"",
                Self::Two => "Token realm=\"meetnet\"",
            };
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        response
    }
}

/// Returns the word of version 2 for a status.
fn code_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "invalid",
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::NOT_FOUND => "not found",
        StatusCode::PAYLOAD_TOO_LARGE => "request too large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported media type",
        StatusCode::TOO_MANY_REQUESTS => "too many requests",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        _ => "internal error",
    }
}

/// Words what was not stored. Clients look for `partial write` and `unable to parse`, and do not send again then.
fn refused_lines(outcome: &Outcome, payload: &[u8]) -> String {
    let mut lines: Vec<String> = outcome
        .rejects
        .iter()
        .take(LINES_QUOTED_MAX)
        .map(|reject| {
            let line = reject.item.and_then(|item| quoted_line(payload, item));
            match (line, reject.reason) {
                (Some(line), RejectReason::Malformed) => {
                    format!("unable to parse '{line}': {}", reject.message)
                }
                (Some(line), _) => format!("unable to store '{line}': {}", reject.message),
                (None, _) => reject.message.clone(),
            }
        })
        .collect();
    let beyond = outcome.rejected() - lines.len() as u64;
    if beyond > 0 {
        lines.push(format!("and {beyond} more"));
    }
    let reason = lines.join("\n");
    let only_malformed = outcome
        .rejects
        .iter()
        .all(|reject| reject.reason == RejectReason::Malformed);
    if outcome.accepted == 0 && only_malformed {
        reason
    } else {
        format!("partial write: {reason} dropped={}", outcome.rejected())
    }
}

/// Returns the line at that position of the body, shortened.
fn quoted_line(payload: &[u8], position: u32) -> Option<String> {
    let line = payload
        .split(|byte| *byte == b'\n')
        .nth(position as usize)?;
    let text = String::from_utf8_lossy(line);
    let text = text.trim();
    let end = text.char_indices().nth(LINE_CHARS_MAX);
    Some(match end {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    })
}

#[cfg(test)]
mod tests;
