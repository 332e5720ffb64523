//! What an answer means: taken, unchanged, elsewhere, too large, or a failure of some kind.

use meetnet_model::calendar::SECOND_US;

use super::fetch::Answer;

/// What is done with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes into the journal. `items` counts what it lists; without any there is nothing to journal.
    Take {
        /// Rows, features or readings in it.
        items: u64,
    },
    /// It is what it was.
    Unchanged,
    /// The content lies there, for anybody who has the address: it is asked for without credentials, and never logged.
    Follow(String),
    /// There is more than one answer may hold: ask for less.
    Split,
    /// It is no answer.
    Failed(Failure),
}

/// Who a failure is about; that decides what goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The API lets nobody with these credentials in: the source waits.
    Denied,
    /// Too many requests, or the API asks for a pause: the source waits.
    Busy,
    /// The API or the way to it is broken: the source waits, and this target a little longer.
    Fault,
    /// This target or window is refused: the others go on.
    Refused,
    /// The journal does not take it now: the source waits.
    Journal,
}

/// Why a question was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Who it is about.
    pub(crate) kind: FailureKind,
    /// What was wrong and what to do, without credentials.
    pub(crate) message: String,
    /// How long the API asks to wait, µs.
    pub(crate) retry_after: Option<i64>,
}

impl Failure {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
        }
    }
}

/// Longest text of an API that is repeated to people.
const SAID_CHARS_MAX: usize = 120;

/// Returns the text in which an error body explains itself: `message`, `error`, `detail`, `description`.
pub(crate) fn said(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let texts = ["message", "detail", "error", "description"];
    let text = texts.iter().find_map(|key| value.get(key)?.as_str())?;
    let redacted = meetnet_model::privacy::redact(text.as_bytes());
    Some(redacted.chars().take(SAID_CHARS_MAX).collect())
}

/// Whom an API lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Who has a key.
    Key,
    /// Everybody.
    Open,
}

/// Judges an answer by its status alone; none where it is a success whose body must be looked at.
pub(crate) fn by_status(answer: &Answer, access: Access) -> Option<Verdict> {
    use FailureKind::{Busy, Denied, Fault, Refused};

    let quote = || said(&answer.body).map_or_else(String::new, |said| format!(" ({said})"));
    let status = answer.status;
    let (kind, message) = match status {
        200..=299 => return None,
        304 => return Some(Verdict::Unchanged),
        300..=399 => (
            Fault,
            format!("answered with {status}, a redirect, which is not followed; correct the url"),
        ),
        401 => (
            Denied,
            match access {
                Access::Key => format!(
                    "the credentials are not accepted: 401{}; check the api_key",
                    quote()
                ),
                Access::Open => format!(
                    "the API asks for credentials, and took none before: 401{}",
                    quote()
                ),
            },
        ),
        403 => (
            Denied,
            match access {
                Access::Key => format!(
                    "access is forbidden: 403{}; check the api_key and its rights",
                    quote()
                ),
                Access::Open => format!(
                    "access is forbidden: 403{}; the API takes no key: ask its operator whether this address is blocked",
                    quote()
                ),
            },
        ),
        408 => (
            Fault,
            "the API gave up waiting for the request: 408".to_owned(),
        ),
        429 => (
            Busy,
            format!(
                "too many requests: 429{}; waits, and if this stays, raise request_pause or interval",
                quote()
            ),
        ),
        400..=499 => (
            Refused,
            format!("the request is refused: {status}{}", quote()),
        ),
        503 => (Busy, format!("the API is not available: 503{}", quote())),
        500..=599 => (Fault, format!("the API failed: {status}{}", quote())),
        _ => (Fault, format!("answered with the unknown status {status}")),
    };
    Some(Verdict::Failed(Failure {
        kind,
        message,
        retry_after: answer.retry_after_s.map(|s| s.saturating_mul(SECOND_US)),
    }))
}

/// Returns the failure of a body that is no JSON, or not the JSON that it should be.
pub(crate) fn broken(what: &str, error: &serde_json::Error) -> Verdict {
    // The error names line and column, and a type at most: nothing of the content.
    let message = format!("the answer is broken: no {what} ({error}); asked again later");
    Verdict::Failed(Failure::new(FailureKind::Fault, message))
}
