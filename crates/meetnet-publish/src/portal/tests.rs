use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::http::StatusCode;
use meetnet_lake::snapshot::{ColumnStatistics, LiveFile, StatisticsValue};
use meetnet_model::common;
use meetnet_model::ids::LicenceId;

use super::texts::PageTexts;
use super::{Reader, last_moment, period};
use crate::fixture;
use crate::negotiate::Language;
use crate::state::{OtherListener, PublishSettings};

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
        assert_eq!(
            answer.header("vary"),
            "accept-language, accept-encoding, host"
        );
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
        "<span class=\"more\">per uur</span>",
        "goed",      // a quality
        "CC-BY-4.0", // a licence
        "Verkeerstellingen",
        "Luchtkwaliteit",
        "Geluid",
        "/api/v1/sql?format=table",
        "curl -G",
    ] {
        assert!(body.contains(text), "the page should contain {text:?}");
    }
    assert!(!body.contains("rejects"), "private datasets are not shown");
    assert!(
        body.contains(
            "voor het geheel (<code>period</code>; <code>time</code> van <code>all</code>"
        ),
        "names of columns are marked in the list"
    );
}

#[test]
fn a_period_is_that_of_what_was_measured() {
    let settings = PublishSettings::default();
    let reader = Reader {
        language: Language::En,
        settings: &settings,
        now: 0,
    };
    let check = |range, expect: &str| {
        assert_eq!(period(range, &reader).as_deref(), Some(expect), "{range:?}");
    };
    let day = 1_772_841_600_000_000;
    check((day, day + 1), "7 March 2026");
    check((day - 86_400_000_000, day), "6 March 2026 – 7 March 2026");
    check((0, day), "… – 7 March 2026");
}

#[test]
fn a_row_is_about_all_of_its_interval() {
    let declarations = fixture::declarations();
    let time = |text: &str| meetnet_model::time::parse_rfc3339(text).expect("a time");
    let check = |id: &str, of: &str, now: &str, expect: &str| {
        let declaration = declarations.dataset(id).expect("a built-in dataset");
        let last = last_moment(declaration, time(of), time(now));
        assert_eq!(last, time(expect), "{id} {of}");
    };
    // 2025 by the clocks of Brussels, when it is over and in spring.
    let (begin, later) = ("2024-12-31T23:00:00Z", "2026-06-01T00:00:00Z");
    check("air_yearly", begin, later, "2025-12-31T22:59:59.999999Z");
    let spring = "2025-04-01T12:00:00Z";
    check("air_yearly", begin, spring, spring);
    check("heat_hourly", begin, later, "2024-12-31T23:59:59.999999Z");
    // An observation is of its instant, also where its clock is ahead.
    check("heat", begin, later, begin);
    check("heat", later, begin, later);
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
    // Hours and quarters of an hour are neither averaged with each other nor listed beside each other.
    assert!(
        body.contains(" AND interval_s = 3600\nGROUP BY hour\n"),
        "{body}"
    );
    assert!(body.contains(": mean per hour, last 24 hours"), "{body}");
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
async fn values_of_one_property_have_as_many_decimals() {
    let declarations = fixture::declarations();
    let mut lake = fixture::lake(&declarations);
    let heat = declarations.dataset("heat").expect("a built-in dataset");
    let readings = [
        ("a", "air_temperature", fixture::NOW, 10.0),
        ("b", "air_temperature", fixture::NOW, 10.46),
        ("a", "relative_humidity", fixture::NOW, 81.0),
        ("b", "relative_humidity", fixture::NOW, 79.0),
    ];
    let rows = fixture::long_rows(heat, &readings);
    let table = fixture::table(heat, Some((rows, vec![fixture::NOW; readings.len()])), 1);
    lake.tables.insert(heat.id.clone(), Arc::new(table));
    let snapshot = Arc::new(ArcSwap::from_pointee(lake));
    let router = crate::public_router(fixture::state_over(snapshot));
    let body = fixture::get(router, "/?lang=en").await.body;
    for value in ["10.0", "10.5", "81", "79"] {
        let value = format!("<b>{value}</b>");
        assert!(body.contains(&value), "{value}: {body}");
    }
    assert!(!body.contains("<b>10</b>"), "{body}");
}

#[tokio::test]
async fn an_empty_lake_has_a_page_too() {
    let router = crate::public_router(fixture::state_over(Arc::default()));
    let answer = fixture::get(router, "/?lang=en").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains("There are no datasets yet"));
    assert!(answer.body.contains("There are no measurements yet"));
}

/// The figure under a word: what stands in `<dd>` behind its `<dt>`.
fn figure<'a>(body: &'a str, word: &str) -> &'a str {
    let (_, rest) = body
        .split_once(&format!("<dt>{word}</dt><dd>"))
        .unwrap_or_else(|| panic!("no figure {word}"));
    rest.split_once("</dd>").expect("an end").0
}

#[tokio::test]
async fn it_counts_what_is_there_and_what_was_refused() {
    let declarations = fixture::declarations();
    let mut lake = fixture::lake(&declarations);
    // Three rows, as a file has them: what they say is private, how many they are is not. Rows that were made of others, places and
    // what is said of the quality are no measurements, however new they are.
    let later = [common::RECEIVED_AT, "time", "valid_from"].map(|name| {
        let bound = Some(StatisticsValue::Int(fixture::NOW));
        let statistics = ColumnStatistics {
            min: bound.clone(),
            max: bound,
            nulls: Some(0),
        };
        (Arc::from(name), statistics)
    });
    let later = BTreeMap::from(later);
    for id in ["rejects", "heat_hourly", "data_quality", "stations"] {
        let table = lake.tables.get_mut(&id.into());
        let table = Arc::make_mut(table.expect("a built-in dataset"));
        table.files = Arc::new(vec![Arc::new(LiveFile {
            path: "licence=CC0-1.0/superseded=false/month=2026-11/a.parquet".into(),
            run: "run".into(),
            part: 0,
            bytes: 1,
            rows: 3,
            licence: LicenceId::new("CC0-1.0"),
            superseded: false,
            period: "2026-11".into(),
            sha256: "".into(),
            committed_at_ms: 0,
            statistics: later.clone(),
        })]);
    }
    let snapshot = Arc::new(ArcSwap::from_pointee(lake));
    let router = crate::public_router(fixture::state_over(snapshot));
    let body = fixture::get(router, "/?lang=en").await.body;
    assert_eq!(
        figure(&body, "measurements"),
        "3",
        "two of heat, one of traffic"
    );
    assert_eq!(figure(&body, "datasets"), "16");
    assert_eq!(figure(&body, "sources"), "0");
    assert_eq!(figure(&body, "refused messages"), "3");
    // When it was measured, not when it came.
    let newest = figure(&body, "latest measurement");
    let measured = "<time datetime=\"2026-11-22T02:45:20Z\"";
    assert!(newest.starts_with(measured), "{newest}");
}

#[tokio::test]
async fn it_tells_where_other_clients_connect_as_far_as_they_can() {
    async fn check(host: &str, pg: &str, flight: &str, expect: &[&str]) {
        let listener = |address: &str, has_tls| OtherListener {
            address: address.parse().expect("an address"),
            has_tls,
        };
        let mut state = fixture::state_over(fixture::snapshot());
        state.settings = Arc::new(PublishSettings {
            pg: Some(listener(pg, false)),
            flight: Some(listener(flight, true)),
            ..(*state.settings).clone()
        });
        let router = crate::public_router(state);
        let body = fixture::get_with(router, "/?lang=en", &[("host", host)])
            .await
            .body;
        let told: Vec<&str> = body
            .split("<dd><code>")
            .skip(1)
            .filter_map(|rest| rest.split('<').next())
            .collect();
        assert_eq!(told, expect, "{host} {pg} {flight}");
    }
    let (here, anywhere) = ("127.0.0.1:5432", "0.0.0.0:32010");
    let psql = "psql -h localhost -p 5432 -U public meetnet";
    let flight = "grpc+tls://localhost:32010";
    check("localhost:8080", here, anywhere, &[psql, flight]).await;
    let psql = "psql -h ::1 -p 5432 -U public meetnet";
    check(
        "[::1]:8080",
        here,
        anywhere,
        &[psql, "grpc+tls://[::1]:32010"],
    )
    .await;
    let flight = "grpc+tls://data.example.org:32010";
    check("data.example.org", here, anywhere, &[flight]).await;
    check("data.example.org:80", here, "127.0.0.1:1", &[]).await;
    let body = page("/?lang=en", &[]).await.body;
    assert!(!body.contains("Other ways in"), "none is configured");
}

#[tokio::test]
async fn each_dataset_leads_to_its_page() {
    for lang in ["nl", "en", "fr"] {
        let body = page(&format!("/?lang={lang}"), &[]).await.body;
        let links = body.split("<a href=\"/datasets/").skip(1);
        let pages: Vec<&str> = links.filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(pages.len(), 16, "{pages:?}");
        for rest in pages {
            assert!(rest.ends_with(&format!("?lang={lang}")), "{rest}");
            page(&format!("/datasets/{rest}"), &[]).await;
        }
    }
}

#[tokio::test]
async fn it_can_say_that_it_is_not_refreshed() {
    for (lang, words) in [
        ("nl", "Deze pagina wordt nu niet ververst"),
        ("en", "This page is not being refreshed"),
        ("fr", "Cette page n’est plus actualisée"),
    ] {
        let body = page(&format!("/?lang={lang}"), &[]).await.body;
        let told = body
            .split_once("data-stale=\"")
            .map(|(_, rest)| rest.starts_with(words));
        assert_eq!(told, Some(true), "{lang}");
        let of_pause = PageTexts::of(Language::by_tag(lang).expect("a language")).paused;
        let of_pause = format!("data-paused=\"{of_pause}\"");
        assert!(body.contains(&of_pause), "{lang}");
        assert!(body.contains("data-zone=\"Europe/Brussels\""), "{lang}");
    }
    let script = fixture::get(fixture::router(), &crate::assets::SCRIPT.path()).await;
    for part in [
        "\"aria-live\", \"polite\"",
        "sayFrom(words.stale)",
        "sayFrom(words.paused)",
    ] {
        assert!(script.body.contains(part), "{part}");
    }
}

#[tokio::test]
async fn pages_are_compressed_for_who_takes_that() {
    for path in ["/", "/datasets/heat"] {
        let plain = page(path, &[]).await;
        assert_eq!(plain.header("content-encoding"), "");
        for coding in ["gzip", "zstd"] {
            let headers = [("accept-encoding", coding)];
            let request = fixture::request("GET", path, &headers, axum::body::Body::empty());
            let response = tower::ServiceExt::oneshot(fixture::router(), request).await;
            let response = response.expect("routers do not fail");
            assert_eq!(response.headers()["content-encoding"], coding, "{path}");
            let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
            let bytes = body.expect("a whole body").len();
            assert!(bytes * 2 < plain.body.len(), "{path} {coding}: {bytes}");
        }
    }
}
