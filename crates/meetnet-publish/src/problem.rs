//! Errors as HTTP answers: RFC 9457 `application/problem+json`, and the one table from kinds to status codes.
//!
//! Every error that a client sees is made here. The text for the client never holds paths, SQL plans or sources of
//! errors; those go to the log. Each `type` is a path under `/problems/` that answers with its explanation.

use axum::Json;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use meetnet_query::{QueryError, QueryErrorKind, SharedLimit};
use serde::Serialize;

pub(crate) mod explain;
pub(crate) mod page;
mod texts;

#[cfg(test)]
mod tests;

/// What went wrong, as far as a client can act on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The request cannot be understood: a parameter, the SQL text, a body.
    BadRequest,
    /// The API key is nobody's.
    Unauthorized,
    /// The request asks for something that is not allowed, for example to write.
    Forbidden,
    /// No such address, dataset, table or column.
    NotFound,
    /// What the address named was there, and will not come back.
    Gone,
    /// The address has no such method.
    MethodNotAllowed,
    /// None of the formats in `Accept` exists.
    NotAcceptable,
    /// The body did not arrive in time.
    RequestTimeout,
    /// The file has another content than the one that `If-Match` names.
    PreconditionFailed,
    /// The request body, or the answer, passes a limit.
    TooLarge,
    /// The range lies behind the end of the file.
    RangeNotSatisfiable,
    /// The body has a type that is not read here.
    UnsupportedMediaType,
    /// The request asks as of a time that messages may still arrive for.
    NotSettled,
    /// The query ran longer than `query_time_max`.
    ///
    /// 422, not 408 or 504: the cost is a property of the request, so the same request should not be sent again.
    /// Browsers and client libraries resend after 408 and 504 by themselves, and some proxies put their own page in
    /// place of a 504 body.
    QueryTooExpensive,
    /// Too many queries at once; the same request can succeed later.
    Busy,
    /// Too many queries of this client at once; the same request can succeed later.
    OverShare,
    /// Queries and unread answers of this client have all the memory that one client may have.
    ClientMemory,
    /// Queries of this client have all the temporary files that one client may have.
    ClientTemporaryFiles,
    /// This client has as many connections as one may have.
    Connections,
    /// Queries of all clients have all the memory that there is for them.
    ServiceMemory,
    /// Queries of all clients have all the temporary files that there is room for.
    ServiceTemporaryFiles,
    /// The newest rows of a dataset are being read, or could not be.
    NewestRows,
    /// The data changed under the query twice; the same request can succeed at once.
    SnapshotExpired,
    /// The object store that the tables lie in does not give their files; later it may.
    StoreUnavailable,
    /// A defect or a broken file; the log says more.
    Internal,
}

impl ProblemKind {
    /// Every kind, in the order of their declaration.
    pub const ALL: [Self; 25] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::Gone,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::RequestTimeout,
        Self::PreconditionFailed,
        Self::TooLarge,
        Self::RangeNotSatisfiable,
        Self::UnsupportedMediaType,
        Self::NotSettled,
        Self::QueryTooExpensive,
        Self::Busy,
        Self::OverShare,
        Self::ClientMemory,
        Self::ClientTemporaryFiles,
        Self::Connections,
        Self::ServiceMemory,
        Self::ServiceTemporaryFiles,
        Self::NewestRows,
        Self::SnapshotExpired,
        Self::StoreUnavailable,
        Self::Internal,
    ];

    /// Returns status, name in `type`, and title.
    fn row(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::BadRequest => (
                StatusCode::BAD_REQUEST,
                "bad-request",
                "The request cannot be understood",
            ),
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "The API key is not known",
            ),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "forbidden",
                "This is not allowed here",
            ),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "not-found",
                "There is no such thing here",
            ),
            Self::Gone => (StatusCode::GONE, "gone", "It is not there any more"),
            Self::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "The address has no such method",
            ),
            Self::NotAcceptable => (
                StatusCode::NOT_ACCEPTABLE,
                "not-acceptable",
                "There is no answer in the formats that you accept",
            ),
            Self::RequestTimeout => (
                StatusCode::REQUEST_TIMEOUT,
                "request-timeout",
                "The request did not arrive in time",
            ),
            Self::PreconditionFailed => (
                StatusCode::PRECONDITION_FAILED,
                "precondition-failed",
                "The file has another content",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "A size limit was passed",
            ),
            Self::RangeNotSatisfiable => (
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range-not-satisfiable",
                "The file has no such bytes",
            ),
            Self::UnsupportedMediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The body has a type that is not read here",
            ),
            Self::NotSettled => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "not-settled",
                "Messages may still arrive for that time",
            ),
            Self::QueryTooExpensive => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "query-too-expensive",
                "The query took longer than one query may",
            ),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "Too many queries are running or waiting",
            ),
            Self::OverShare => (
                StatusCode::TOO_MANY_REQUESTS,
                "over-share",
                "Too many of your queries are running or waiting",
            ),
            Self::ClientMemory => (
                StatusCode::TOO_MANY_REQUESTS,
                "client-memory",
                "Your queries and unread answers have all the memory of one client",
            ),
            Self::ClientTemporaryFiles => (
                StatusCode::TOO_MANY_REQUESTS,
                "client-temporary-files",
                "Your queries have all the temporary files of one client",
            ),
            Self::Connections => (
                StatusCode::TOO_MANY_REQUESTS,
                "connections",
                "You have too many connections open here",
            ),
            Self::ServiceMemory => (
                StatusCode::SERVICE_UNAVAILABLE,
                "service-memory",
                "Queries of all clients have all the memory that there is",
            ),
            Self::ServiceTemporaryFiles => (
                StatusCode::SERVICE_UNAVAILABLE,
                "service-temporary-files",
                "Queries of all clients have all the temporary files that there is room for",
            ),
            Self::NewestRows => (
                StatusCode::SERVICE_UNAVAILABLE,
                "newest-rows",
                "The newest rows are not read yet",
            ),
            Self::SnapshotExpired => (
                StatusCode::SERVICE_UNAVAILABLE,
                "snapshot-expired",
                "The data was reorganised during the query",
            ),
            Self::StoreUnavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "store-unavailable",
                "The store of the data does not answer",
            ),
            Self::Internal => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something went wrong on our side",
            ),
        }
    }

    /// Returns the HTTP status.
    pub fn status(self) -> StatusCode {
        self.row().0
    }

    /// Returns the address that explains it, which is its `type`.
    pub(crate) fn address(self) -> String {
        format!("/problems/{}", self.row().1)
    }

    /// Returns its title.
    pub(crate) fn title(self) -> &'static str {
        self.row().2
    }

    /// Returns what to do, for who asks what `type` means.
    fn advice(self) -> &'static str {
        match self {
            Self::BadRequest => "Correct the request as the detail says.",
            Self::Unauthorized => {
                "Correct the key behind Authorization: Bearer, or leave the header out: the data is open, a key only has \
                 limits of its own."
            }
            Self::Forbidden => {
                "The public service only reads public datasets, by one SELECT at a time."
            }
            Self::NotFound => "/api/v1/datasets lists what there is.",
            Self::Gone => {
                "Its rows stand in newer files: /api/v1/datasets/{id}/files lists them. What was erased stays away."
            }
            Self::MethodNotAllowed => "The header Allow lists the methods of the address.",
            Self::NotAcceptable => {
                "Ask for one of the formats listed in the answer, or leave Accept out."
            }
            Self::RequestTimeout => "Send the whole request at once.",
            Self::PreconditionFailed => {
                "Compare the hash in If-Match with the one that /api/v1/datasets/{id}/files lists, or leave the header out."
            }
            Self::TooLarge => {
                "Ask for less at a time: a shorter time range, fewer columns, an aggregate, a LIMIT."
            }
            Self::RangeNotSatisfiable => "Content-Range says how long the file is.",
            Self::UnsupportedMediaType => {
                "Send application/x-www-form-urlencoded, application/json, application/sql or text/plain."
            }
            Self::NotSettled => {
                "Ask as of a time up to stable_time, which the detail and every answer name. It moves on within \
                 seconds, so the same request can succeed a little later."
            }
            Self::QueryTooExpensive => {
                "The same query will most likely take as long again. Narrow the time range first (WHERE time >= …), \
                 aggregate, or download the dataset's files."
            }
            Self::Busy => "Send the same request again after the seconds in Retry-After.",
            Self::OverShare => {
                "Wait until one of your queries has ended: RateLimit says how many are taken. Other clients are served \
                 meanwhile; all addresses of a network are one client. The data team gives keys with limits of their own."
            }
            Self::ClientMemory => {
                "Read the answers that you have asked for to their end or close them, and send fewer large queries at a time; \
                 then the same request can succeed. A query that needs less by itself narrows the time range, or groups by \
                 fewer keys. The data team gives keys with limits of their own."
            }
            Self::ClientTemporaryFiles => {
                "Wait until one of your queries has ended, and send fewer that sort or group much at a time. The data team \
                 gives keys with limits of their own."
            }
            Self::Connections => {
                "Close connections that you do not need, or send the requests one after the other over those that are open: all \
                 addresses of a network are one client. A reverse proxy in front of this service belongs into its \
                 trusted_proxies."
            }
            Self::ServiceMemory | Self::ServiceTemporaryFiles => {
                "Your query is within its own limits, and others are in its way: send the same request again after the \
                 seconds in Retry-After. One that needs less gets in sooner."
            }
            Self::NewestRows => {
                "They are read once for everybody, after a start or a failure: send the same request again after the seconds \
                 in Retry-After."
            }
            Self::SnapshotExpired => "Send the same request again.",
            Self::StoreUnavailable => {
                "Send the same request again after the seconds in Retry-After; if it stays, tell the data team."
            }
            Self::Internal => {
                "Try again later; if it stays, tell the data team the time and the request."
            }
        }
    }

    fn retry_after_s(self) -> Option<u64> {
        match self {
            Self::Busy
            | Self::OverShare
            | Self::ClientMemory
            | Self::ClientTemporaryFiles
            | Self::Connections
            | Self::ServiceMemory
            | Self::ServiceTemporaryFiles
            | Self::NewestRows => Some(2),
            Self::SnapshotExpired => Some(1),
            Self::StoreUnavailable => Some(10),
            _ => None,
        }
    }
}

/// One error answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    kind: ProblemKind,
    detail: String,
    formats: Option<Vec<&'static str>>,
    /// Where it is not what the kind says.
    retry_after_s: Option<u64>,
}

/// The body of a problem, as RFC 9457 names its members.
#[derive(Serialize)]
struct ProblemBody<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    /// Extension member: the formats that exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    formats: Option<&'a [&'static str]>,
}

impl Problem {
    /// Returns a problem with what was wrong, where, and what to do, for the client.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            formats: None,
            retry_after_s: None,
        }
    }

    /// Adds the list of formats that exist.
    pub fn with_formats(mut self, formats: Vec<&'static str>) -> Self {
        self.formats = Some(formats);
        self
    }

    /// Returns the kind.
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    fn body(&self) -> ProblemBody<'_> {
        ProblemBody {
            r#type: self.kind.address(),
            title: self.kind.title(),
            status: self.kind.status().as_u16(),
            detail: &self.detail,
            formats: self.formats.as_deref(),
        }
    }

    /// Returns it as an answer whose connection is then closed, for who has not even asked yet.
    pub(crate) fn closing(&self) -> Vec<u8> {
        // Texts and numbers are always JSON.
        let body = serde_json::to_string(&self.body()).unwrap_or_default();
        let seconds = self.retry_after_s.or(self.kind.retry_after_s());
        let retry = seconds.map(|seconds| format!("Retry-After: {seconds}\r\n"));
        format!(
            "HTTP/1.1 {}\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n{}Connection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.kind.status(),
            retry.unwrap_or_default(),
            body.len(),
        )
        .into_bytes()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.kind.status(), Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.kind == ProblemKind::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s.or(self.kind.retry_after_s()) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        // For the page that a reader gets in its place.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let kind = match error.kind {
            QueryErrorKind::BadRequest => ProblemKind::BadRequest,
            QueryErrorKind::NotFound => ProblemKind::NotFound,
            QueryErrorKind::NotSettled => ProblemKind::NotSettled,
            QueryErrorKind::Forbidden => ProblemKind::Forbidden,
            QueryErrorKind::TooLarge => ProblemKind::TooLarge,
            QueryErrorKind::Timeout => ProblemKind::QueryTooExpensive,
            QueryErrorKind::Busy => match error.shared_limit {
                None => ProblemKind::Busy,
                Some(SharedLimit::Memory) => ProblemKind::ServiceMemory,
                Some(SharedLimit::TemporaryFiles) => ProblemKind::ServiceTemporaryFiles,
                Some(SharedLimit::NewestRows) => ProblemKind::NewestRows,
            },
            QueryErrorKind::OverShare => match error.shared_limit {
                Some(SharedLimit::Memory) => ProblemKind::ClientMemory,
                Some(SharedLimit::TemporaryFiles) => ProblemKind::ClientTemporaryFiles,
                Some(SharedLimit::NewestRows) | None => ProblemKind::OverShare,
            },
            QueryErrorKind::SnapshotExpired => ProblemKind::SnapshotExpired,
            QueryErrorKind::StoreUnavailable => ProblemKind::StoreUnavailable,
            QueryErrorKind::Internal => ProblemKind::Internal,
        };
        Self {
            retry_after_s: error.retry_after_s(),
            ..Self::new(kind, error.message)
        }
    }
}

/// Answers an address that does not exist.
pub(crate) async fn unknown_address() -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        "there is no such address; / is the portal, /api/v1/datasets lists the datasets",
    )
}

/// Answers a method that an address does not have; the router adds the header `Allow`.
pub(crate) async fn unknown_method() -> Problem {
    Problem::new(
        ProblemKind::MethodNotAllowed,
        "this address does not answer that method; the header Allow lists those it does",
    )
}
