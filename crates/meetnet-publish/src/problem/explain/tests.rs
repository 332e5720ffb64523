use std::collections::BTreeSet;

use super::*;
use crate::fixture;
use crate::problem::texts::Said;

const PAGE: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

#[tokio::test]
async fn it_is_a_page_json_or_text_as_the_client_likes_best() {
    async fn check(accept: &str, content_type: &str) {
        let headers = [("accept", accept), ("accept-language", "fr")];
        let answer = fixture::get_with(fixture::router(), "/problems/over-share", &headers).await;
        assert_eq!(answer.status.as_u16(), 200, "{accept}");
        assert_eq!(answer.header("content-type"), content_type, "{accept}");
        assert_eq!(answer.header("vary"), "accept, accept-language", "{accept}");
        let kind = ProblemKind::OverShare;
        if content_type != PAGE {
            assert_eq!(answer.header("content-language"), "en", "{accept}");
            for said in [kind.title(), kind.reason(), kind.advice()] {
                assert!(answer.body.contains(said), "{accept}: {}", answer.body);
            }
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
                    "<b>429 Trop de vos demandes sont en cours ou en attente</b>",
                    "Attendez qu’une de vos demandes soit terminée",
                    "href=\"/?lang=fr\"",
                ] {
                    assert!(answer.body.contains(part), "{part}: {}", answer.body);
                }
                for said in [kind.title(), kind.reason(), kind.advice()] {
                    assert!(!answer.body.contains(said), "{}", answer.body);
                }
            }
        }
    }
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

#[tokio::test]
async fn a_page_is_in_the_language_that_is_asked_for_under_the_head_of_the_city() {
    async fn check(query: &str, accept_language: &str, lang: &str) {
        let language = Language::by_tag(lang).expect("a language");
        let router = fixture::router();
        for kind in ProblemKind::ALL {
            let path = kind.address();
            let headers = [
                ("accept", "text/html"),
                ("accept-language", accept_language),
            ];
            let asked = format!("{path}{query}");
            let answer = fixture::get_with(router.clone(), &asked, &headers).await;
            assert_eq!(answer.header("content-language"), lang, "{asked}");
            let said = Said::of(kind, language);
            let written = |text: &str| text.replace('>', "&#62;").replace('\'', "&#39;");
            // Paths in it are links.
            let advice = said.advice.split('/').next().unwrap_or_default();
            for part in [
                &*format!("<html lang=\"{lang}\">"),
                &*format!("<a class=\"wordmark\" href=\"/?lang={lang}\">"),
                "<span>Leuven · ",
                &*format!("hreflang=\"{lang}\" aria-current=\"true\""),
                &*format!("href=\"{path}?lang=fr\" lang=\"fr\""),
                "<footer class=\"site\">",
                &*format!("<b>{} {}</b>", kind.status().as_u16(), said.title),
                &*written(said.reason),
                &*written(advice),
            ] {
                assert!(
                    answer.body.contains(part),
                    "{asked}: {part}: {}",
                    answer.body
                );
            }
        }
    }
    check("", "", "nl").await;
    check("", "en-GB", "en").await;
    check("?lang=fr", "en", "fr").await;
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
