//! Conditional requests (RFC 9110, section 13).

use axum::http::HeaderMap;
use axum::http::header::IF_NONE_MATCH;

/// Returns true where the client says that it has what `tag`, with its quotes, names.
pub(crate) fn knows(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get(IF_NONE_MATCH).map(|value| value.to_str());
    matches!(known, Some(Ok(known)) if known
        .split(',')
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag))
}
