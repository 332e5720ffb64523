//! Conditional requests (RFC 9110, section 13).

use axum::http::HeaderMap;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};

/// Returns true where the client says that it has what `tag`, with its quotes, names.
pub(crate) fn knows(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get(IF_NONE_MATCH).map(|value| value.to_str());
    matches!(known, Some(Ok(known)) if known
        .split(',')
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag))
}

/// Returns true where the client wants nothing but what `tag`, with its quotes, names, or says nothing of it. Weak tags name no
/// bytes, and are none of them.
pub(crate) fn wants(headers: &HeaderMap, tag: &str) -> bool {
    let mut lines = headers.get_all(IF_MATCH).iter().peekable();
    lines.peek().is_none()
        || lines.any(|line| {
            let mut named = line.as_bytes().split(|byte| *byte == b',');
            named.any(|named| {
                let named = named.trim_ascii();
                named == b"*" || named == tag.as_bytes()
            })
        })
}
