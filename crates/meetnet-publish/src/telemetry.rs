//! Counters, durations and debug traces of requests, for both listeners.
//!
//! Labels and traces carry the route pattern, never the query string: a query can hold what somebody is looking for.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use tracing::debug;

/// Counts and times one request: up to the head of the answer, since bodies stream at the client's pace.
pub(crate) async fn record(request: Request, next: Next) -> Response {
    let started_at = Instant::now();
    let method = request.method().clone();
    // Addresses that match no route share one label, or a scanner could make as many as it likes.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let elapsed = started_at.elapsed();
    metrics::counter!(
        "meetnet_http_requests_total",
        "route" => route.clone(),
        "status" => status.to_string()
    )
    .increment(1);
    metrics::histogram!("meetnet_http_request_seconds", "route" => route.clone()).record(elapsed);
    debug!(%method, route, status, elapsed_ms = elapsed.as_millis() as u64, "answered request");
    response
}

/// Counts an answer whose body was cut off after its head was sent.
pub(crate) fn body_aborted() {
    metrics::counter!("meetnet_http_bodies_aborted_total").increment(1);
}
