//! Every answer of the push endpoint: one kind each, mapped to its status and its problem document (RFC 9457).

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::body::BodyError;
use crate::outcomes::Outcome;

#[cfg(test)]
mod tests;

/// Row errors named in one answer; the counts are always complete.
const ERRORS_NAMED_MAX: usize = 20;
/// Says that rows are journalled but not decoded yet.
pub(super) const PENDING: HeaderName = HeaderName::from_static("meetnet-pending");

/// What a push request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Decoded: 204 if all rows were taken, else 400 with what was not.
    Decoded(Outcome),
    /// The same for a server that passes on what others sent: 200 also where rows were not taken, with what was not.
    Kept(Outcome),
    /// Journalled and synced; the decode is behind. Do not resend.
    Pending,
    /// No credential, or a wrong one.
    Unauthorised,
    /// No push source of this name.
    UnknownSource,
    /// No push source of the format that a path is for.
    NoSourceOfFormat(&'static str),
    /// Sources of that format, but none of the database, bucket or station that the request names.
    UnknownName,
    /// The body was refused.
    Body(BodyError),
    /// Too many requests.
    Busy {
        retry_after_s: u64,
        detail: &'static str,
    },
    /// The journal takes nothing now, or has not synced in time.
    NotJournalled { detail: String },
    /// It can never be journalled as it is.
    Unjournallable(String),
}

/// A problem document; the last three members are this endpoint's own.
#[derive(Debug, Serialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<RowError>,
}

#[derive(Debug, Serialize)]
struct RowError {
    reason: &'static str,
    message: String,
    /// The position of the message in the body, where it has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<u32>,
}

/// What there is to say of a request that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) detail: String,
    /// When the sender should come back, where it should.
    pub(super) retry_after_s: Option<u64>,
}

impl Answer {
    /// Returns why the request was not taken; none where it was.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let refusal = |status, title, detail: &str| Refusal {
            status,
            title,
            detail: detail.to_owned(),
            retry_after_s: None,
        };
        let later = |seconds, refusal| Refusal {
            retry_after_s: Some(seconds),
            ..refusal
        };
        Some(match self {
            Self::Decoded(_) | Self::Kept(_) | Self::Pending => return None,
            Self::Unauthorised => refusal(
                StatusCode::UNAUTHORIZED,
                "no credentials, or wrong ones",
                "no token came, or another one than the source's: send it as `Authorization: Bearer`, as the Basic \
                 password, as last path segment or as field `token`; on a path that devices have built in, as they call \
                 it (PASSKEY, PASSWORD, …)",
            ),
            Self::UnknownSource => refusal(
                StatusCode::NOT_FOUND,
                "unknown source",
                "no source of kind `http` has this name: push to /ingest/v1/ and the `id` of the source",
            ),
            Self::NoSourceOfFormat(format) => refusal(
                StatusCode::NOT_FOUND,
                "unknown source",
                &format!("no source of kind `http` has the format `{format}`"),
            ),
            Self::UnknownName => refusal(
                StatusCode::NOT_FOUND,
                "unknown source",
                "no source has the database, bucket or station that the request names",
            ),
            Self::Body(error) => body_refusal(error),
            Self::Busy {
                retry_after_s,
                detail,
            } => later(
                *retry_after_s,
                refusal(StatusCode::TOO_MANY_REQUESTS, "too many requests", detail),
            ),
            Self::NotJournalled { detail } => later(
                5,
                refusal(StatusCode::SERVICE_UNAVAILABLE, "not stored", detail),
            ),
            Self::Unjournallable(detail) => {
                refusal(StatusCode::PAYLOAD_TOO_LARGE, "too large", detail)
            }
        })
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let Some(refusal) = self.refusal() else {
            return match self {
                Self::Decoded(outcome) if outcome.rejected() > 0 => {
                    rows_rejected(outcome, StatusCode::BAD_REQUEST)
                }
                Self::Kept(outcome) if outcome.rejected() > 0 => {
                    rows_rejected(outcome, StatusCode::OK)
                }
                Self::Pending => (
                    StatusCode::NO_CONTENT,
                    [(PENDING, HeaderValue::from_static("true"))],
                )
                    .into_response(),
                _ => StatusCode::NO_CONTENT.into_response(),
            };
        };
        let Refusal {
            status,
            title,
            detail,
            retry_after_s,
        } = refusal;
        let mut response = problem(status, title, detail);
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge =
                HeaderValue::from_static("Bearer realm=\"meetnet\", Basic realm=\"meetnet\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

fn rows_rejected(outcome: Outcome, status: StatusCode) -> Response {
    let rejected = outcome.rejected();
    let named = outcome.rejects.into_iter().take(ERRORS_NAMED_MAX);
    let errors = named
        .map(|reject| RowError {
            reason: reject.reason.as_str(),
            message: reject.message,
            item: reject.item,
        })
        .collect();
    let problem = Problem {
        kind: "about:blank",
        title: "some rows were not taken",
        status: status.as_u16(),
        detail: if outcome.accepted == 0 {
            "nothing of this body became a row: correct it and send it again".to_owned()
        } else {
            "the good rows are stored: correct the others and do not send this body again"
                .to_owned()
        },
        accepted: Some(outcome.accepted),
        rejected: Some(rejected),
        errors,
    };
    if status.is_success() {
        // No problem of the sender's, who can do nothing about it.
        return (status, Json(problem)).into_response();
    }
    respond(status, problem)
}

fn body_refusal(error: &BodyError) -> Refusal {
    let (status, title, detail) = match error {
        BodyError::TooLarge { what, bytes_max } => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "too large",
            format!("the {what} exceeds {bytes_max} bytes: send fewer rows at a time"),
        ),
        BodyError::NoRoom => (
            StatusCode::TOO_MANY_REQUESTS,
            "too many requests",
            "the bodies of all requests together exceed their limit".to_owned(),
        ),
        BodyError::UnknownEncoding(name) => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported content encoding",
            format!("`Content-Encoding: {name}` is not supported: send gzip or none"),
        ),
        BodyError::BadGzip => (
            StatusCode::BAD_REQUEST,
            "broken body",
            "the body is no complete gzip; nothing was stored".to_owned(),
        ),
        BodyError::TooSlow => (
            StatusCode::REQUEST_TIMEOUT,
            "too slow",
            "the body did not arrive in time; nothing was stored".to_owned(),
        ),
        BodyError::Broken => (
            StatusCode::BAD_REQUEST,
            "broken body",
            "the body ended early; nothing was stored".to_owned(),
        ),
        BodyError::Empty => (
            StatusCode::BAD_REQUEST,
            "empty",
            "the request has no fields; nothing was stored".to_owned(),
        ),
    };
    Refusal {
        status,
        title,
        detail,
        retry_after_s: (*error == BodyError::NoRoom).then_some(1),
    }
}

fn problem(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Response {
    respond(
        status,
        Problem {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            detail: detail.into(),
            accepted: None,
            rejected: None,
            errors: Vec::new(),
        },
    )
}

fn respond(status: StatusCode, problem: Problem) -> Response {
    let mut response = (status, Json(problem)).into_response();
    let content_type = HeaderValue::from_static("application/problem+json");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}
