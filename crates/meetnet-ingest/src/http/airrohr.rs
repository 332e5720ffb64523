//! airRohr boxes on the paths that their firmware knows.
//!
//! ```text
//! POST /airrohr                   all values of a box at once ("send to own API")  → as /ingest/v1/{source}
//! POST /v1/push-sensor-data/      one sensor of a box, X-Sensor and X-PIN beside   → 201
//! ```
//!
//! The box sends Basic credentials to the first where they are set, and none to the second.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use meetnet_model::source::WireFormat;

use super::answer::Answer;
use super::endpoint::Wanted;
use super::push::PushState;

/// With and without the last slash.
pub(super) const PATHS: [&str; 3] = ["/airrohr", "/v1/push-sensor-data/", "/v1/push-sensor-data"];
const OWN_API: Wanted<'static> = Wanted::Format(WireFormat::Airrohr);

pub(super) fn routes() -> Router<PushState> {
    Router::new()
        .route(PATHS[0], post(own_api))
        .route(PATHS[1], post(push_sensor_data))
        .route(PATHS[2], post(push_sensor_data))
}

async fn own_api(State(state): State<PushState>, request: Request<Body>) -> Response {
    state
        .inner
        .push(OWN_API, None, request)
        .await
        .into_response()
}

async fn push_sensor_data(State(state): State<PushState>, request: Request<Body>) -> Response {
    match state.inner.push(OWN_API, None, request).await {
        // Created, as api.sensor.community says it. A value that is not known spoils no message there.
        Answer::Pending => StatusCode::CREATED.into_response(),
        Answer::Decoded(outcome) if outcome.accepted > 0 || outcome.rejected() == 0 => {
            StatusCode::CREATED.into_response()
        }
        other => other.into_response(),
    }
}

#[cfg(test)]
mod tests;
