use axum::body::Body;
use axum::http::StatusCode;
use axum::routing::get;
use meetnet_model::ids::SourceId;

use super::*;
use crate::fixture::{self, request};
use crate::health::Readiness;

#[tokio::test]
async fn unknown_addresses_are_problems() {
    let answer = fixture::get(fixture::router(), "/nope").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.json()["type"], "/problems/not-found");
}

#[tokio::test]
async fn a_path_that_is_no_text_is_a_problem() {
    for path in [
        "/api/v1/datasets/%FF",
        "/api/v1/datasets/%FF/rows",
        "/api/v1/datasets/%FF/latest",
        "/api/v1/datasets/%FF/files",
        "/api/v1/datasets/%FF/quality",
        "/api/v1/queries/%FF",
        "/files/heat/%FF",
        "/problems/%FF",
        "/assets/%FF",
    ] {
        let answer = fixture::get(fixture::router(), path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{path}"
        );
    }
}

#[tokio::test]
async fn other_methods_are_refused_with_those_that_exist() {
    for (method, path, allow) in [
        ("DELETE", "/api/v1/sql", "GET,HEAD,POST"),
        ("PUT", "/api/v1/datasets", "GET,HEAD"),
        ("POST", "/", "GET,HEAD"),
    ] {
        let answer =
            fixture::send(fixture::router(), request(method, path, &[], Body::empty())).await;
        assert_eq!(
            answer.status,
            StatusCode::METHOD_NOT_ALLOWED,
            "{method} {path}"
        );
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}

#[tokio::test]
async fn answers_say_how_many_queries_are_taken() {
    let answer = fixture::get(fixture::router(), "/api/v1/sql?q=SELECT+1").await;
    let policy = answer.header("ratelimit-policy");
    assert_eq!(policy, "\"queries\";q=54;qu=\"concurrent-requests\"");
    let left = answer.header("ratelimit");
    let left = left
        .strip_prefix("\"queries\";r=")
        .and_then(|left| left.parse::<u32>().ok());
    assert!(
        left.is_some_and(|left| (53..=54).contains(&left)),
        "{left:?}"
    );
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    for path in ["/", "/api/v1/datasets", "/nope", "/healthz"] {
        let answer = fixture::get(fixture::router(), path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(
            answer
                .header("content-security-policy")
                .contains("default-src 'none'")
        );
        assert_eq!(
            answer.header("referrer-policy"),
            "strict-origin-when-cross-origin"
        );
    }
}

#[tokio::test]
async fn health_and_readiness() {
    let answer = fixture::get(fixture::router(), "/healthz").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (StatusCode::OK, "ok\n")
    );

    let mut state = fixture::state_over(fixture::snapshot());
    let readiness = Readiness::new([SourceId::new("lora")]);
    state.readiness = readiness.clone();
    let router = public_router(state);
    let answer = fixture::get(router.clone(), "/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["sources"]["lora"]["subscribed"], false);
    readiness.journal_replayed();
    readiness.history_loaded();
    readiness.subscribed(&SourceId::new("lora"));
    let answer = fixture::get(router, "/readyz").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["ready"], true);
}

#[tokio::test]
async fn a_panic_is_a_problem_and_not_the_end() {
    async fn panics() {
        panic!("a defect, on purpose");
    }
    let router = around(Router::new().route("/", get(panics)), Site::operations());
    let answer = fixture::get(router, "/").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.json()["type"], "/problems/internal");
    assert!(!answer.body.contains("on purpose"));
}
