use super::*;
use crate::fixture;

/// What browsers send when somebody follows a link.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[tokio::test]
async fn a_reader_is_told_on_a_page_and_a_program_as_ever() {
    async fn check(path: &str, accept: &str, is_page: bool) {
        let headers = [("accept", accept), ("accept-language", "fr")];
        let answer = fixture::get_with(fixture::router(), path, &headers).await;
        assert!(answer.status.is_client_error(), "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        if is_page {
            assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
            assert_eq!(answer.header("content-language"), "fr");
            let policy = answer.header("content-security-policy");
            assert!(!policy.is_empty(), "{path}");
            assert!(answer.body.contains("<html lang=\"fr\">"), "{path}");
            assert!(answer.body.contains("href=\"/?lang=fr\""), "{path}");
        } else {
            let of_type = answer.header("content-type");
            assert_eq!(of_type, "application/problem+json", "{path} {accept}");
            assert_eq!(answer.json()["status"], answer.status.as_u16());
        }
    }
    for path in [
        "/nope",
        "/datasets/nope",
        "/files/heat/nope.parquet",
        "/api/v1/sql?q=SELCT&format=table",
    ] {
        check(path, BROWSER, true).await;
        check(path, "*/*", false).await;
        check(path, "application/json", false).await;
        check(path, "application/json, text/html;q=0.5", false).await;
    }
    check("/nope", "", false).await;
}

#[tokio::test]
async fn a_page_says_what_was_wrong_and_nothing_of_it_is_markup() {
    let path = "/api/v1/sql?format=table&q=SELECT+%22%3Cscript%3E%22+FROM+heat";
    let answer = fixture::get_with(fixture::router(), path, &[("accept", BROWSER)]).await;
    assert!(
        answer
            .body
            .contains("there is no column `&#60;script&#62;`")
    );
    assert!(!answer.body.contains("<script"), "{}", answer.body);
    let said = "<p><b>400 De vraag is niet te begrijpen</b></p>";
    assert!(answer.body.contains(said), "{}", answer.body);
}

#[tokio::test]
async fn a_page_is_in_the_language_that_the_address_asks_for_and_leads_on() {
    let english = [("accept", BROWSER), ("accept-language", "en")];
    for (path, words) in [
        (
            "/nope?lang=fr",
            ["Cela n’existe pas ici", "dit ce qu’il y a"],
        ),
        (
            "/nope?lang=nl",
            ["Dit bestaat hier niet", "noemt wat er is"],
        ),
        (
            "/nope",
            ["There is no such thing here", "lists what there is"],
        ),
    ] {
        let body = fixture::get_with(fixture::router(), path, &english)
            .await
            .body;
        for text in words {
            assert!(body.contains(text), "{path}: {text}: {body}");
        }
        let link = "<a href=\"/api/v1/datasets\">/api/v1/datasets</a>";
        assert!(body.contains(link), "{path}: {body}");
        assert!(body.contains("· meetnet Leuven</title>"), "{path}: {body}");
        // There is nothing to correct.
        for text in ["correct", "verbeter", "corrigez"] {
            assert!(!body.contains(text), "{path}: {body}");
        }
    }
}

#[test]
fn only_paths_of_the_service_become_links() {
    let links = |text: &'static str| -> Vec<&str> {
        let parts = parts(text);
        let whole: String = parts.iter().map(|part| part.text).collect();
        assert_eq!(whole, text);
        let paths = parts.into_iter().filter(|part| part.is_path);
        paths.map(|part| part.text).collect()
    };
    assert_eq!(
        links("/ is the portal, /api/v1/datasets lists"),
        ["/", "/api/v1/datasets"]
    );
    assert_eq!(links("see /api/v1/openapi.json."), ["/api/v1/openapi.json"]);
    for text in [
        "//example.org",
        "/api/v1/datasets/{id}/files lists them",
        "`/api/v1/sql`",
        "http://example.org/api/v1/sql",
        "",
    ] {
        assert!(links(text).is_empty(), "{text}");
    }
}

#[tokio::test]
async fn an_address_that_is_cut_down_leads_to_what_it_means() {
    async fn check(path: &str, expect: &str) {
        let answer = fixture::get(fixture::router(), path).await;
        assert_eq!(answer.status.as_u16(), 307, "{path}");
        assert_eq!(answer.header("location"), expect, "{path}");
    }
    check("/datasets", "/?lang=nl#datasets").await;
    check("/datasets/?lang=fr", "/?lang=fr#datasets").await;
    check("/datasets/heat/?lang=en", "/datasets/heat?lang=en").await;
    let answer = fixture::get(fixture::router(), "/datasets/nope/").await;
    assert_eq!(answer.status.as_u16(), 404);
}

#[tokio::test]
async fn links_to_other_languages_lead_to_the_same_problem() {
    async fn check(path: &str, expect: &str) {
        let headers = [("accept", BROWSER), ("accept-language", "en")];
        let answer = fixture::get_with(fixture::router(), path, &headers).await;
        assert!(answer.status.is_client_error(), "{path}");
        let link = format!("<a href=\"{expect}?lang=fr\" lang=\"fr\" hreflang=\"fr\">Français</a>");
        assert!(answer.body.contains(&link), "{path}: {}", answer.body);
        let head = "<a class=\"wordmark\" href=\"/?lang=en\">";
        assert!(answer.body.contains(head), "{path}: {}", answer.body);
    }
    check("/nope", "/nope").await;
    check("/datasets/nope?lang=en", "/datasets/nope").await;
    check("/problems/nope", "/problems/nope").await;
    // `lang` is no parameter of these.
    check("/api/v1/sql?q=SELCT&format=table", "/problems/bad-request").await;
    check("/files/heat/nope.parquet", "/problems/not-found").await;
    // These would lead to another host.
    for path in ["//example.org", "//example.org/nope", "/\\example.org"] {
        check(path, "/problems/not-found").await;
    }
}

#[test]
fn who_may_try_again_is_not_told_to_correct_anything() {
    let site = Site::of(&PublishSettings::default());
    for kind in ProblemKind::ALL {
        let problem = Problem::new(kind, "what was wrong");
        let page = Page::new(&problem, &site, None, Language::En);
        let corrects = page.go_on.contains("correct");
        let is_ours = kind.status().is_server_error();
        assert!(!(corrects && is_ours), "{kind:?}");
        assert_eq!(page.page_path, kind.address());
    }
    let problem = Problem::new(ProblemKind::BadRequest, "what was wrong");
    let page = Page::new(&problem, &site, None, Language::En);
    assert!(page.go_on.contains("correct"), "{}", page.go_on);
}

#[tokio::test]
async fn operators_have_pages_without_a_city() {
    let router = crate::router::around(axum::Router::new(), Site::operations());
    let answer = fixture::get_with(router, "/nope", &[("accept", BROWSER)]).await;
    assert_eq!(answer.status.as_u16(), 404);
    assert!(answer.body.contains("· meetnet</title>"), "{}", answer.body);
    assert!(!answer.body.contains("<header"), "{}", answer.body);
    assert!(!answer.body.contains("<footer"), "{}", answer.body);
}
