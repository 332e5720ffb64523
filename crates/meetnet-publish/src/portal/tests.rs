use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::http::StatusCode;

use crate::fixture;

async fn page(path: &str, headers: &[(&str, &str)]) -> fixture::Answer {
    let answer = fixture::get_with(fixture::router(), path, headers).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    answer
}

#[tokio::test]
async fn the_language_is_the_one_asked_for_else_dutch() {
    async fn check(path: &str, accept: &str, lang: &str) {
        let answer = page(path, &[("accept-language", accept)]).await;
        assert!(
            answer.body.contains(&format!("<html lang=\"{lang}\">")),
            "{path} {accept}"
        );
        assert_eq!(answer.header("content-language"), lang);
        assert_eq!(answer.header("vary"), "accept-language");
    }
    check("/", "", "nl").await;
    check("/", "de", "nl").await;
    check("/", "fr-BE,fr;q=0.9", "fr").await;
    check("/?lang=en", "fr", "en").await;
    check("/?lang=xx", "fr", "fr").await;
}

#[tokio::test]
async fn it_shows_what_arrives_and_what_there_is() {
    let body = page("/?lang=nl", &[]).await.body;
    for text in [
        "z2m-balcony", // a sensor
        "9000001463",  // a segment
        "\u{2212}3,2", // a value, as Dutch writes it
        "°C",          // its unit
        "1234",        // cars
        "goed",        // a quality
        "CC-BY-4.0",   // a licence
        "Verkeerstellingen",
        "Luchtkwaliteit",
        "Geluid",
        "/api/v1/sql?format=table",
        "curl -G",
    ] {
        assert!(body.contains(text), "the page should contain {text:?}");
    }
    assert!(!body.contains("rejects"), "private datasets are not shown");
}

#[tokio::test]
async fn it_loads_nothing_from_elsewhere_and_runs_nothing_inline() {
    for lang in ["nl", "en", "fr"] {
        let answer = page(&format!("/?lang={lang}"), &[]).await;
        let policy = answer.header("content-security-policy").to_owned();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"));
        let body = answer.body;
        assert_eq!(body.matches("<script").count(), 1);
        assert!(body.contains("<script src=\"/assets/portal-"));
        assert!(
            !body.contains("style=\""),
            "the policy forbids inline styles"
        );
        for loaded in body
            .split("src=\"")
            .skip(1)
            .chain(body.split("rel=\"stylesheet\" href=\"").skip(1))
        {
            assert!(loaded.starts_with("/assets/"), "{}", &loaded[..40]);
            let path = loaded.split('"').next().expect("a quoted path");
            let asset = fixture::get(fixture::router(), path).await;
            assert_eq!(asset.status, StatusCode::OK, "{path}");
            assert!(asset.header("cache-control").contains("immutable"));
        }
    }
}

#[tokio::test]
async fn programs_are_led_to_the_description_of_the_service() {
    for lang in ["nl", "en", "fr"] {
        let body = page(&format!("/?lang={lang}"), &[]).await.body;
        assert!(body.contains("href=\"/api/v1/openapi.json\""), "{lang}");
    }
    let answer = fixture::get(fixture::router(), "/api/v1/openapi.json").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn each_dataset_leads_to_its_files() {
    for (lang, words) in [
        ("nl", "Parquet-bestanden"),
        ("en", "Parquet files"),
        ("fr", "Fichiers Parquet"),
    ] {
        let body = page(&format!("/?lang={lang}"), &[]).await.body;
        let links = body.split("class=\"files\" href=\"").skip(1);
        let paths: Vec<&str> = links.filter_map(|rest| rest.split('"').next()).collect();
        assert!(paths.contains(&"/api/v1/datasets/heat/files"), "{paths:?}");
        assert_eq!(body.matches(&format!(">{words}</a>")).count(), paths.len());
        for path in paths {
            let files = fixture::get(fixture::router(), path).await;
            assert_eq!(files.status, StatusCode::OK, "{path}");
            assert!(files.json()["files"].is_array(), "{path}");
        }
    }
}

#[tokio::test]
async fn its_queries_run() {
    let body = page("/?lang=en", &[]).await.body;
    let paths: Vec<String> = body
        .split("href=\"/api/v1/sql?")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(|query| {
            format!(
                "/api/v1/sql?{}",
                query.replace("&#38;", "&").replace("&amp;", "&")
            )
        })
        .collect();
    assert_eq!(
        paths.len(),
        6,
        "three examples, each to see and to download"
    );
    // Hours and quarters of an hour are not averaged with each other.
    assert!(body.contains("GROUP BY hour, interval_s"), "{body}");
    for path in paths {
        let answer = fixture::get(fixture::router(), &path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_row_without_values_says_so() {
    let declarations = fixture::declarations();
    let mut lake = fixture::lake(&declarations);
    let traffic = declarations.dataset("traffic").expect("a built-in dataset");
    // NaN is stored as missing: a counter that was off.
    let rows = fixture::traffic_rows(traffic, &[(1, fixture::NOW, f64::NAN, f64::NAN)]);
    let table = fixture::table(traffic, Some((rows, vec![fixture::NOW])), 9);
    lake.tables.insert(traffic.id.clone(), Arc::new(table));
    let snapshot = Arc::new(ArcSwap::from_pointee(lake));
    let answer = fixture::get(crate::public_router(fixture::state_over(snapshot)), "/").await;
    assert!(answer.body.contains("geen waarde"));
    assert!(answer.body.contains("ontbreekt"));
}

#[tokio::test]
async fn an_empty_lake_has_a_page_too() {
    let router = crate::public_router(fixture::state_over(Arc::default()));
    let answer = fixture::get(router, "/?lang=en").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains("There are no datasets yet"));
}
