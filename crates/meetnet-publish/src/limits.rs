//! RateLimit fields (draft-ietf-httpapi-ratelimit-headers): how many queries a client may have, running and waiting, and how
//! many more would be taken of it now. Who comes when there is none left gets 429 or 503 with `Retry-After`.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use meetnet_query::Places;

/// The limit itself.
pub(crate) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What is left of it.
pub(crate) const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// Adds the fields to the headers of an answer.
pub(crate) fn add_fields(places: Places, headers: &mut HeaderMap) {
    let Places { most, left } = places;
    let fields = [
        (
            POLICY,
            format!("\"queries\";q={most};qu=\"concurrent-requests\""),
        ),
        (LEFT, format!("\"queries\";r={left}")),
    ];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
}
