//! Conditional requests (RFC 9110, section 13).

use axum::http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use meetnet_model::hex::Hex;
use sha2::{Digest, Sha256};

use crate::body;

#[cfg(test)]
mod tests;

/// Returns the tag of some bytes, with its quotes.
pub(crate) fn tag_of(bytes: &[u8]) -> String {
    format!("\"{}\"", Hex(&Sha256::digest(bytes)))
}

/// Returns true where the client says that it has what `tag`, with its quotes, names.
pub(crate) fn knows(headers: &HeaderMap, tag: &str) -> bool {
    let tag = tag.as_bytes();
    has_any(headers, IF_NONE_MATCH)
        || named(headers, IF_NONE_MATCH)
            .any(|known| known.strip_prefix(b"W/").unwrap_or(known) == tag)
}

/// Returns true where the client wants nothing but what `tag`, with its quotes, names, or says nothing of it. Weak tags name no
/// bytes, and are none of them.
pub(crate) fn wants(headers: &HeaderMap, tag: &str) -> bool {
    !headers.contains_key(IF_MATCH)
        || has_any(headers, IF_MATCH)
        || named(headers, IF_MATCH).any(|wanted| wanted == tag.as_bytes())
}

/// Returns true where a range is to be of what `tag`, with its quotes, names, or of whatever there is. A time, a weak tag and what
/// cannot be read name no bytes: a range of another content than the client has would make a mixture of both.
pub(crate) fn continues(headers: &HeaderMap, tag: &str) -> bool {
    let mut lines = headers.get_all(IF_RANGE).iter();
    lines.all(|line| line.as_bytes().trim_ascii() == tag.as_bytes())
}

/// Returns the answer to a client that has what it asks for.
pub(crate) fn not_modified() -> Response {
    (StatusCode::NOT_MODIFIED, body::none()).into_response()
}

/// Returns true where a header stands for whatever there is. Among tags an asterisk is none, and may be part of one.
fn has_any(headers: &HeaderMap, name: HeaderName) -> bool {
    let mut lines = headers.get_all(name).iter();
    lines.any(|line| line.as_bytes().trim_ascii() == b"*")
}

/// Returns the tags of all lines of a header. One with a comma is none of ours, and its parts are none either.
fn named(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(name).into_iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}
