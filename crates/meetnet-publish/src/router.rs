//! The public routes and what is around all of them: metrics, security headers, CORS, problems in place of bare errors.

use axum::Router;
use axum::http::Method;
use axum::http::header::{
    ACCEPT, ACCEPT_RANGES, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    IF_MATCH, IF_NONE_MATCH, IF_RANGE, LINK, RANGE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{Any, CorsLayer};

use crate::problem::page::Site;
use crate::problem::{self, Problem, ProblemKind};
use crate::state::PublishState;
use crate::{
    assets, client, datasets, dcat, figures, files, head, health, limits, openapi, portal, proof,
    queries, rows, security, sql, telemetry,
};

#[cfg(test)]
mod tests;

/// Returns the public, read-only service.
pub fn public_router(state: PublishState) -> Router {
    let api = Router::new()
        .route("/api/v1", get(openapi::root))
        .route("/api/v1/", get(openapi::root))
        .route("/api/v1/sql", get(sql::get).post(sql::post))
        .route("/api/v1/openapi.json", get(openapi::get))
        .route("/api/v1/queries", get(queries::list))
        .route("/api/v1/queries/{name}", get(queries::one))
        .route("/api/v1/datasets", get(datasets::list))
        .route("/api/v1/datasets/{id}", get(datasets::one))
        .route("/api/v1/datasets/{id}/rows", get(rows::get))
        .route("/api/v1/datasets/{id}/latest", get(rows::latest::get))
        .route("/api/v1/datasets/{id}/files", get(files::list))
        .route("/api/v1/datasets/{id}/quality", get(figures::get))
        .route("/api/v1/dcat.jsonld", get(dcat::get))
        .route("/files/{id}/{*path}", get(files::download))
        // Before the layer: a fallback that is added after it would answer preflight requests in its place.
        .method_not_allowed_fallback(problem::unknown_method)
        .layer(middleware::from_fn_with_state(
            state.clone(),
            client::identify,
        ))
        .layer(cross_origin());
    // Their newest rows are a query of whoever looks.
    let pages = Router::new()
        .route("/datasets/{id}", get(portal::dataset::page))
        .layer(middleware::from_fn_with_state(
            state.clone(),
            client::identify,
        ));
    let site = Site::of(&state.settings);
    let router = Router::new()
        .merge(api)
        .merge(pages)
        .route("/", get(portal::page))
        .route("/datasets", get(portal::all_datasets))
        .route("/datasets/", get(portal::all_datasets))
        .route("/datasets/{id}/", get(portal::dataset::without_slash))
        .route("/assets/{name}", get(assets::serve))
        .route("/problems/{name}", get(problem::explain::get))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .with_state(state);
    around(router, site)
}

/// Puts what every listener needs around its routes; `site` is whose it is, for pages.
pub(crate) fn around(router: Router, site: Site) -> Router {
    router
        .fallback(problem::unknown_address)
        .method_not_allowed_fallback(problem::unknown_method)
        .layer(middleware::from_fn(security::one_host))
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(middleware::from_fn_with_state(
            site,
            problem::page::for_readers,
        ))
        .layer(middleware::map_response(security::add_headers))
        .layer(middleware::from_fn(telemetry::record))
}

/// Any page may read the public API, and see the headers that say how fresh an answer is.
fn cross_origin() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers([
            ACCEPT,
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_MATCH,
            IF_NONE_MATCH,
            IF_RANGE,
            RANGE,
        ])
        .expose_headers([
            head::THROUGH,
            head::STABLE_TIME,
            head::AS_OF,
            head::LICENCE,
            head::ATTRIBUTION,
            head::HINT,
            limits::POLICY,
            limits::LEFT,
            proof::ROWS,
            proof::TRUNCATED,
            proof::DIGEST,
            LINK,
            RETRY_AFTER,
            CONTENT_DISPOSITION,
            ETAG,
            ACCEPT_RANGES,
            CONTENT_RANGE,
            WWW_AUTHENTICATE,
        ])
        .max_age(std::time::Duration::from_secs(3600))
}

/// Answers a request whose handler panicked; the panic itself was printed by the panic hook.
fn after_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request handler panicked");
    Problem::new(
        ProblemKind::Internal,
        "the request met a defect of the service",
    )
    .into_response()
}
