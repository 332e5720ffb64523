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
    assert!(answer.body.contains("400 The request cannot be understood"));
}
