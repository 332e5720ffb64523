use std::collections::BTreeSet;

use super::*;
use crate::fixture;

#[tokio::test]
async fn it_is_a_page_json_or_text_as_the_client_likes_best() {
    async fn check(accept: &str, content_type: &str) {
        let headers = [("accept", accept), ("accept-language", "fr")];
        let answer = fixture::get_with(fixture::router(), "/problems/over-share", &headers).await;
        assert_eq!(answer.status.as_u16(), 200, "{accept}");
        assert_eq!(answer.header("content-type"), content_type, "{accept}");
        assert_eq!(answer.header("vary"), "accept, accept-language", "{accept}");
        let kind = ProblemKind::OverShare;
        for said in [kind.title(), kind.reason(), kind.advice()] {
            assert!(answer.body.contains(said), "{accept}: {}", answer.body);
        }
        match content_type {
            "application/json" => {
                assert_eq!(answer.json()["type"], "/problems/over-share");
                assert_eq!(answer.json()["status"], 429);
            }
            "text/plain; charset=utf-8" => assert!(answer.body.starts_with("429 Too many")),
            _ => {
                assert_eq!(answer.header("content-language"), "fr");
                for part in [
                    "<html lang=\"fr\">",
                    "<link rel=\"stylesheet\" href=\"/assets/meetnet-",
                    "· meetnet Leuven</title>",
                    "<div class=\"problem\" lang=\"en\">",
                    "href=\"/?lang=fr\"",
                ] {
                    assert!(answer.body.contains(part), "{part}: {}", answer.body);
                }
                assert!(!answer.body.contains("<code>"), "{}", answer.body);
            }
        }
    }
    const PAGE: &str = "text/html; charset=utf-8";
    const TEXT: &str = "text/plain; charset=utf-8";
    check("text/html,application/xhtml+xml,*/*;q=0.8", PAGE).await;
    check("text/html, application/json", PAGE).await;
    check("application/json", "application/json").await;
    check("application/problem+json", "application/json").await;
    check("application/json, text/html;q=0.5", "application/json").await;
    check("text/plain, application/json;q=0.9", TEXT).await;
    for any in ["*/*", "", "text/*", "image/png"] {
        check(any, TEXT).await;
    }
}

#[test]
fn each_kind_has_a_reason_of_its_own() {
    let reasons: BTreeSet<&str> = ProblemKind::ALL.map(ProblemKind::reason).into();
    assert_eq!(reasons.len(), ProblemKind::ALL.len());
}

#[tokio::test]
async fn other_names_are_not_there() {
    let answer = fixture::get(fixture::router(), "/problems/nope").await;
    assert_eq!(answer.status.as_u16(), 404);
    assert_eq!(answer.json()["type"], "/problems/not-found");
}
