use axum::body::to_bytes;

use super::*;
use crate::fixture;

#[tokio::test]
async fn every_kind_is_problem_json_with_its_status() {
    for kind in ProblemKind::ALL {
        let response = Problem::new(kind, "what was wrong").into_response();
        assert_eq!(response.status(), kind.status());
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        let body = to_bytes(response.into_body(), 10_000)
            .await
            .expect("a body");
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["status"], kind.status().as_u16(), "{kind:?}");
        assert_eq!(body["detail"], "what was wrong");
        let kind_uri = body["type"].as_str().expect("a type");
        let explained = fixture::get(fixture::router(), kind_uri).await;
        assert_eq!(explained.status, StatusCode::OK, "{kind_uri} is explained");
    }
}

#[test]
fn query_errors_keep_their_message_and_get_a_status() {
    fn check(kind: QueryErrorKind, status: u16, retry: Option<&str>) {
        let response = Problem::from(QueryError::new(kind, "text")).into_response();
        assert_eq!(response.status().as_u16(), status, "{kind:?}");
        let header = response
            .headers()
            .get(RETRY_AFTER)
            .map(|value| value.to_str().expect("text"));
        assert_eq!(header, retry, "{kind:?}");
    }
    check(QueryErrorKind::BadRequest, 400, None);
    check(QueryErrorKind::Forbidden, 403, None);
    check(QueryErrorKind::NotFound, 404, None);
    check(QueryErrorKind::TooLarge, 413, None);
    check(QueryErrorKind::NotSettled, 422, None);
    check(QueryErrorKind::Timeout, 422, None);
    check(QueryErrorKind::Busy, 503, Some("2"));
    check(QueryErrorKind::OverShare, 429, Some("2"));
    check(QueryErrorKind::SnapshotExpired, 503, Some("1"));
    check(QueryErrorKind::StoreUnavailable, 503, Some("10"));
    check(QueryErrorKind::Internal, 500, None);
}

#[test]
fn what_is_all_taken_has_a_type_of_its_own() {
    fn check(kind: QueryErrorKind, limit: Option<SharedLimit>, status: u16, address: &str) {
        let mut error = QueryError::new(kind, "text");
        error.shared_limit = limit;
        let problem = Problem::from(error);
        assert_eq!(problem.kind().address(), address, "{kind:?} {limit:?}");
        let response = problem.into_response();
        assert_eq!(response.status().as_u16(), status, "{address}");
        assert_eq!(response.headers()[RETRY_AFTER], "2", "{address}");
    }
    use QueryErrorKind::{Busy, OverShare};
    use SharedLimit::{Memory, NewestRows, TemporaryFiles};
    check(OverShare, None, 429, "/problems/over-share");
    check(OverShare, Some(Memory), 429, "/problems/client-memory");
    check(
        OverShare,
        Some(TemporaryFiles),
        429,
        "/problems/client-temporary-files",
    );
    check(Busy, None, 503, "/problems/busy");
    check(Busy, Some(Memory), 503, "/problems/service-memory");
    check(
        Busy,
        Some(TemporaryFiles),
        503,
        "/problems/service-temporary-files",
    );
    check(Busy, Some(NewestRows), 503, "/problems/newest-rows");
    // No two say the same to people.
    let titles: std::collections::BTreeSet<&str> = ProblemKind::ALL
        .map(ProblemKind::title)
        .into_iter()
        .collect();
    assert_eq!(titles.len(), ProblemKind::ALL.len());
}

#[test]
fn an_error_that_knows_when_to_come_again_says_so() {
    let error = QueryError::new(QueryErrorKind::Busy, "text").with_retry_after(160);
    let response = Problem::from(error).into_response();
    assert_eq!(response.status().as_u16(), 503);
    assert_eq!(response.headers()[RETRY_AFTER], "160");
}
