//! RateLimit fields (draft-ietf-httpapi-ratelimit-headers): how many queries may run and wait at a time, and how many more
//! would be taken now. Who comes when there is none left gets 503 with `Retry-After`.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

use crate::state::PublishState;

/// The limit itself.
pub(crate) const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What is left of it.
pub(crate) const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// Adds the fields to an answer.
pub(crate) async fn add_fields(
    State(state): State<PublishState>,
    mut response: Response,
) -> Response {
    let options = state.query.options();
    let places = options.running_max.max(1) + options.queued_max;
    let left = state.query.places_left();
    let fields = [
        (
            POLICY,
            format!("\"queries\";q={places};qu=\"concurrent-requests\""),
        ),
        (LEFT, format!("\"queries\";r={left}")),
    ];
    for (name, value) in fields {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
