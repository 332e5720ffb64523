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
const PENDING: HeaderName = HeaderName::from_static("meetnet-pending");

/// What a push request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Decoded: 204 if all rows were taken, else 400 with what was not.
    Decoded(Outcome),
    /// Journalled and synced; the decode is behind. Do not resend.
    Pending,
    /// No credential, or a wrong one.
    Unauthorised,
    /// No push source of this name.
    UnknownSource,
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
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Decoded(outcome) if outcome.rejects.is_empty() => {
                StatusCode::NO_CONTENT.into_response()
            }
            Self::Decoded(outcome) => rows_rejected(outcome),
            Self::Pending => (
                StatusCode::NO_CONTENT,
                [(PENDING, HeaderValue::from_static("true"))],
            )
                .into_response(),
            Self::Unauthorised => {
                let mut response = problem(
                    StatusCode::UNAUTHORIZED,
                    "credentials needed",
                    "send the source's token as `Authorization: Bearer`, as the Basic password, as last path \
                     segment or as field `token`",
                );
                let challenge =
                    HeaderValue::from_static("Bearer realm=\"meetnet\", Basic realm=\"meetnet\"");
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, challenge);
                response
            }
            Self::UnknownSource => problem(
                StatusCode::NOT_FOUND,
                "unknown source",
                "no source of kind `http` has this name",
            ),
            Self::Body(error) => body_refused(error),
            Self::Busy {
                retry_after_s,
                detail,
            } => later(
                problem(StatusCode::TOO_MANY_REQUESTS, "too many requests", detail),
                retry_after_s,
            ),
            Self::NotJournalled { detail } => later(
                problem(StatusCode::SERVICE_UNAVAILABLE, "not stored", detail),
                5,
            ),
            Self::Unjournallable(detail) => {
                problem(StatusCode::PAYLOAD_TOO_LARGE, "too large", detail)
            }
        }
    }
}

fn rows_rejected(outcome: Outcome) -> Response {
    let rejected = outcome.rejects.len() as u64;
    let named = outcome.rejects.into_iter().take(ERRORS_NAMED_MAX);
    let errors = named
        .map(|(reason, message)| RowError {
            reason: reason.as_str(),
            message,
        })
        .collect();
    respond(
        StatusCode::BAD_REQUEST,
        Problem {
            kind: "about:blank",
            title: "some rows were not taken",
            status: StatusCode::BAD_REQUEST.as_u16(),
            detail: "the good rows are stored: correct the others and do not send this body again"
                .to_owned(),
            accepted: Some(outcome.accepted),
            rejected: Some(rejected),
            errors,
        },
    )
}

fn body_refused(error: BodyError) -> Response {
    match error {
        BodyError::TooLarge { what, bytes_max } => problem(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too large",
            format!("the {what} exceeds {bytes_max} bytes: send fewer rows at a time"),
        ),
        BodyError::NoRoom => {
            let detail = "the bodies of all requests together exceed their limit";
            later(
                problem(StatusCode::TOO_MANY_REQUESTS, "too many requests", detail),
                1,
            )
        }
        BodyError::UnknownEncoding(name) => problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported content encoding",
            format!("`Content-Encoding: {name}` is not supported: send gzip or none"),
        ),
        BodyError::BadGzip => problem(
            StatusCode::BAD_REQUEST,
            "broken body",
            "the body is no complete gzip; nothing was stored",
        ),
        BodyError::TooSlow => problem(
            StatusCode::REQUEST_TIMEOUT,
            "too slow",
            "the body did not arrive in time; nothing was stored",
        ),
        BodyError::Broken => problem(
            StatusCode::BAD_REQUEST,
            "broken body",
            "the body ended early; nothing was stored",
        ),
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

fn later(mut response: Response, seconds: u64) -> Response {
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
