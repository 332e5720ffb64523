//! What an answer says of itself: headers, formats, rights.

use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use meetnet_lake::snapshot::LakeSnapshot;

use super::{HEAT, ask, next};
use crate::fixture::{self, request};

#[tokio::test]
async fn rows_are_an_answer_that_says_what_it_is() {
    let answer = ask(HEAT).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("meetnet-through"), "42");
    assert_eq!(answer.header("meetnet-stable-time"), "2026-11-22T02:46:20Z");
    assert_eq!(answer.header("meetnet-as-of"), "2026-11-22T02:46:20Z");
    assert_eq!(answer.header("cache-control"), "no-store");
    let dataset = "</api/v1/datasets/heat>; rel=\"describedby\"";
    let service = "</api/v1/openapi.json>; rel=\"service-desc\"";
    let cite_as = format!("<{HEAT}?as_of=2026-11-22T02%3A46%3A20Z>; rel=\"cite-as\"");
    let links = format!("<{HEAT}>; rel=\"first\", {cite_as}, {dataset}, {service}");
    assert_eq!(answer.header("link"), links);
    let json = answer.json();
    assert_eq!(json["columns"][0]["name"], "sensor_id");
    assert_eq!(json["columns"].as_array().map(Vec::len), Some(13));
    assert_eq!(json["rows"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["rows"][0][1], "air_temperature");
    assert_eq!(json["through"], 42);
    assert_eq!(json["stable_time"], "2026-11-22T02:46:20Z");
    assert_eq!(json["as_of"], "2026-11-22T02:46:20Z");
    assert_eq!(json["truncated"], false);
    assert!(json.get("next").is_none());
}

#[tokio::test]
async fn every_format_states_its_reach_and_the_next_page() {
    for format in ["json", "ndjson", "csv", "table"] {
        let answer = ask(&format!("{HEAT}?limit=1&format={format}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{format}");
        assert_eq!(answer.header("meetnet-through"), "42", "{format}");
        assert_eq!(
            answer.header("meetnet-stable-time"),
            "2026-11-22T02:46:20Z",
            "{format}"
        );
        assert_eq!(
            answer.header("meetnet-as-of"),
            "2026-11-22T02:46:20Z",
            "{format}"
        );
        assert!(!next(&answer).is_empty(), "{format}");
        assert!(
            answer.body.contains("air_temperature"),
            "{format}: {}",
            answer.body
        );
        assert!(
            !answer.body.contains("relative_humidity"),
            "{format}: {}",
            answer.body
        );
    }
    let csv = ask(&format!("{HEAT}?limit=1&format=csv&download=1")).await;
    assert_eq!(
        csv.header("content-disposition"),
        "attachment; filename=\"heat-20261122T024620Z.csv\""
    );
    let accept = [("accept", "text/csv")];
    let csv = fixture::get_with(fixture::router(), HEAT, &accept).await;
    assert!(csv.body.starts_with("sensor_id,property,"), "{}", csv.body);
}

#[tokio::test]
async fn a_page_states_licence_and_attribution() {
    for (query, licence) in [
        ("", "CC-BY-4.0"),
        ("?licence=CC-BY-4.0", "CC-BY-4.0"),
        ("?licence=CC0-1.0", ""),
    ] {
        let answer = ask(&format!("/api/v1/datasets/heat/rows{query}")).await;
        assert_eq!(answer.header("meetnet-licence"), licence, "{query}");
        let stated = serde_json::json!(["CC-BY-4.0"]);
        let stated = if licence.is_empty() {
            serde_json::Value::Null
        } else {
            stated
        };
        assert_eq!(answer.json()["licences"], stated, "{query}");
    }
}

/// A dataset that a source could fill asks for nothing as long as it has no row.
#[tokio::test]
async fn no_rows_ask_for_no_licence() {
    use std::collections::BTreeMap;

    use meetnet_lake::snapshot::TableSnapshot;

    let snapshot = fixture::snapshot();
    let mut next = LakeSnapshot::clone(&snapshot.load());
    let mut noise = TableSnapshot::clone(&next.tables[&"noise".into()]);
    let of_source = BTreeMap::from([("ODbL-1.0".into(), vec!["Sensors".to_owned()])]);
    Arc::make_mut(&mut noise.declaration).source_licences = of_source;
    next.tables.insert("noise".into(), Arc::new(noise));
    snapshot.store(Arc::new(next));
    let router = crate::public_router(fixture::state_over(snapshot));
    for path in [
        "/api/v1/datasets/noise/rows",
        "/api/v1/datasets/noise/latest",
        "/api/v1/sql?q=SELECT+*+FROM+noise",
    ] {
        let answer = fixture::get(router.clone(), path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        assert_eq!(answer.header("meetnet-licence"), "", "{path}");
        assert_eq!(answer.header("meetnet-attribution"), "", "{path}");
        assert!(answer.json().get("licences").is_none(), "{path}");
    }
    let said = fixture::get(router.clone(), "/api/v1/datasets/noise").await;
    assert_eq!(said.json()["licences"], serde_json::json!([]));
    assert_eq!(said.json()["attributions"], serde_json::json!([]));
    // Beside rows that there are nothing is lost.
    let both = "/api/v1/sql?q=SELECT+count(*)+FROM+heat+LEFT+JOIN+noise+USING+(sensor_id)";
    let answer = fixture::get(router, both).await;
    assert_eq!(answer.header("meetnet-licence"), "CC-BY-4.0");
}

#[tokio::test]
async fn the_newest_rows_come_in_one_answer() {
    const LATEST: &str = "/api/v1/datasets/heat/latest";
    let answer = ask(&format!("{LATEST}?fields=property,value")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let rows = serde_json::json!([["air_temperature", -3.25], ["relative_humidity", 81.0]]);
    assert_eq!(answer.json()["rows"], rows);
    assert_eq!(answer.header("meetnet-as-of"), "2026-11-22T02:46:20Z");
    assert_eq!(answer.header("meetnet-licence"), "CC-BY-4.0");
    let csv = ask(&format!(
        "{LATEST}?property=air_temperature&fields=value&format=csv"
    ))
    .await;
    assert_eq!(csv.body, "value\r\n-3.25\r\n");
    for (path, status, detail) in [
        (format!("{LATEST}?value.gt=3"), 400, "equality only"),
        (format!("{LATEST}?limit=3"), 400, "take no limit"),
        (format!("{LATEST}?fields=cars"), 400, "no column `cars`"),
        (
            "/api/v1/datasets/rejects/latest".to_owned(),
            404,
            "datasets",
        ),
    ] {
        let answer = ask(&path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        assert!(answer.body.contains(detail), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn head_has_no_body_and_a_browser_elsewhere_may_ask() {
    let head = request("HEAD", &format!("{HEAT}?limit=1"), &[], Body::empty());
    let answer = fixture::send(fixture::router(), head).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, "");
    assert!(!next(&answer).is_empty());
    let origin = [("origin", "https://example.org")];
    let answer = fixture::get_with(fixture::router(), HEAT, &origin).await;
    let exposed = answer.header("access-control-expose-headers");
    for name in [
        "link",
        "meetnet-as-of",
        "meetnet-through",
        "meetnet-stable-time",
        "meetnet-licence",
        "meetnet-attribution",
    ] {
        assert!(exposed.contains(name), "{exposed}");
    }
}
