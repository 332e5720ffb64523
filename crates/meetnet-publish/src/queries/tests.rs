use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;

use super::*;
use crate::fixture;
use crate::state::PublishSettings;

fn router() -> Router {
    let mut state = fixture::state_over(fixture::snapshot());
    state.settings = Arc::new(PublishSettings {
        saved_queries: vec![SavedQuery {
            name: "warmer-than".to_owned(),
            title: "Warmer than".to_owned(),
            sql: "SELECT value FROM heat WHERE value > $least ORDER BY value".to_owned(),
        }],
        ..PublishSettings::clone(&state.settings)
    });
    crate::public_router(state)
}

#[tokio::test]
async fn a_name_stands_for_its_statement() {
    let list = fixture::get(router(), "/api/v1/queries").await;
    assert_eq!(
        list.json()["queries"][0]["url"],
        "/api/v1/queries/warmer-than"
    );
    let path = "/api/v1/queries/warmer-than?param_least=0";
    let answer = fixture::get(router(), path).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.json()["rows"], serde_json::json!([[81.0]]));
    assert!(!answer.header("etag").is_empty());
    // With the statement in it: under the name another one may stand later.
    let cited = "/api/v1/sql?q=SELECT+value+FROM+heat+WHERE+value+%3E+%24least+ORDER+BY+value&format=json&param_least=0\
                 &as_of=2026-11-22T02%3A46%3A20Z";
    assert_eq!(answer.header("link"), format!("<{cited}>; rel=\"cite-as\""));
    let again = fixture::get(router(), cited).await;
    assert_eq!(again.json()["rows"], answer.json()["rows"]);
    assert_eq!(again.header("meetnet-as-of"), "2026-11-22T02:46:20Z");
    let named = fixture::get(router(), &format!("{path}&as_of=2026-11-22T02:46:20Z")).await;
    assert_eq!(named.json()["rows"], answer.json()["rows"]);
    let csv = fixture::get(router(), &format!("{path}&format=csv")).await;
    assert_eq!(csv.body, "value\r\n81.0\r\n");
}

#[tokio::test]
async fn wrong_requests_say_what_is_wrong() {
    for (path, status, detail) in [
        ("/api/v1/queries?name=x", 400, "takes none"),
        ("/api/v1/queries/colder-than", 404, "/api/v1/queries lists"),
        ("/api/v1/queries/warmer-than", 400, "param_least=…"),
        (
            "/api/v1/queries/warmer-than?param_least=x",
            400,
            "no float64",
        ),
        (
            "/api/v1/queries/warmer-than?q=SELECT+1&param_least=0",
            400,
            "q",
        ),
    ] {
        let answer = fixture::get(router(), path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert!(answer.body.contains(detail), "{path}: {}", answer.body);
    }
}
