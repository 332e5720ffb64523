use axum::body::Body;
use axum::http::StatusCode;

use crate::fixture::{self, Answer, request};

const HEAT: &str = "/api/v1/datasets/heat/rows";

async fn ask(path: &str) -> Answer {
    fixture::get(fixture::router(), path).await
}

/// The address in `Link: <…>; rel="next"`; empty where there is none.
fn next(answer: &Answer) -> String {
    let link = answer.header("link");
    let target = link.strip_suffix(">; rel=\"next\"").unwrap_or_default();
    target.strip_prefix('<').unwrap_or_default().to_owned()
}

#[tokio::test]
async fn rows_are_an_answer_that_says_what_it_is() {
    let answer = ask(HEAT).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("meetnet-through"), "42");
    assert_eq!(answer.header("meetnet-stable-time"), "2026-11-22T02:46:20Z");
    assert_eq!(answer.header("meetnet-as-of"), "2026-11-22T02:46:20Z");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("link"), "");
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
async fn pages_link_to_the_next_and_keep_their_time() {
    let first = ask(&format!("{HEAT}?limit=1&fields=value&format=json")).await;
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    assert_eq!(first.json()["rows"], serde_json::json!([[-3.25]]));
    assert_eq!(first.json()["truncated"], true);
    let path = next(&first);
    assert_eq!(first.json()["next"], path.as_str());
    assert!(
        path.starts_with(&format!("{HEAT}?limit=1&fields=value&format=json&cursor=")),
        "{path}"
    );
    let second = ask(&path).await;
    assert_eq!(second.json()["rows"], serde_json::json!([[81.0]]));
    assert_eq!(
        second.header("meetnet-as-of"),
        first.header("meetnet-as-of")
    );
    assert_eq!(
        second.header("cache-control"),
        "public, max-age=3600, immutable"
    );
    assert_eq!(next(&second), "");
    let other = ask(&format!("{path}&as_of=2026-11-22T02:46:20Z")).await;
    assert_eq!(
        other.status,
        StatusCode::OK,
        "the same time may stand beside the cursor"
    );
    let other = ask(&format!("{path}&as_of=2026-11-22T02:46:00Z")).await;
    assert_eq!(other.status, StatusCode::BAD_REQUEST);
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
async fn conditions_choose_rows() {
    async fn check(query: &str, values: &[f64]) {
        let answer = ask(&format!("{HEAT}?fields=value&{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.body);
        let json = answer.json();
        let rows = json["rows"].as_array().expect("rows");
        let found: Vec<f64> = rows.iter().filter_map(|row| row[0].as_f64()).collect();
        assert_eq!(found, values, "{query}");
    }
    check("property=air_temperature", &[-3.25]).await;
    check(
        "property=air_temperature&property=relative_humidity",
        &[-3.25, 81.0],
    )
    .await;
    check("property.eq=wind_speed", &[]).await;
    check("value.gt=81", &[]).await;
    check("value.gte=81", &[81.0]).await;
    check("value.lt=0&value.gte=-10.5", &[-3.25]).await;
    check("value.null=true", &[]).await;
    check("value.null=false", &[-3.25, 81.0]).await;
    check(
        "quality=1&source=balcony&licence=CC-BY-4.0&revision.lte=0",
        &[-3.25, 81.0],
    )
    .await;
    check(
        "licence=http://publications.europa.eu/resource/authority/licence/CC_BY_4_0",
        &[-3.25, 81.0],
    )
    .await;
    check("licence=CC0-1.0", &[]).await;
    check("from=2026-11-22T02:45:20Z", &[-3.25, 81.0]).await;
    check("from=2026-11-22T02:45:20.000001Z", &[]).await;
    check("to=2026-11-22T02:45:20Z", &[]).await;
    check(
        "from=2026-11-22T03:45:20%2B01:00&to=2026-11-22T02:45:21Z",
        &[-3.25, 81.0],
    )
    .await;
    check("received_at.gte=2026-11-22T02:45:50Z", &[-3.25, 81.0]).await;
    check("as_of=2026-11-22T02:45:50Z", &[-3.25, 81.0]).await;
    check("as_of=2026-11-22T02:45:49.999999Z", &[]).await;
    check("sensor_id=x%27+OR+%271%27%3D%271", &[]).await;
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

#[tokio::test]
async fn wrong_requests_say_what_is_accepted() {
    async fn check(path: &str, status: u16, detail: &str) {
        let answer = ask(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let json = answer.json();
        let text = json["detail"].as_str().expect("a detail");
        assert!(
            text.contains(detail),
            "{path}: {text:?} should say {detail:?}"
        );
    }
    let heat = |query: &str| format!("{HEAT}?{query}");
    check("/api/v1/datasets/nope/rows", 404, "/api/v1/datasets lists").await;
    check(
        "/api/v1/datasets/rejects/rows",
        404,
        "/api/v1/datasets lists",
    )
    .await;
    check(
        &heat("colour=red"),
        400,
        "no parameter or column `colour`; parameters are from, to",
    )
    .await;
    check(&heat("colour=red"), 400, "columns are sensor_id, property").await;
    check(
        &heat("value.like=3"),
        400,
        ".eq, .lt, .lte, .gt, .gte, .null",
    )
    .await;
    check(&heat("value=warm"), 400, "value takes a number such as 1.5").await;
    check(
        &heat("time.gte=yesterday"),
        400,
        "time.gte takes an RFC 3339 time",
    )
    .await;
    check(
        &heat("value.null=maybe"),
        400,
        "value.null takes true or false",
    )
    .await;
    check(&heat("quality=good"), 400, "quality takes a whole number").await;
    check(&heat("from=2026"), 400, "from takes an RFC 3339 time").await;
    check(&heat("from=2026-11-22T03:45:20+01:00"), 400, "%2B").await;
    check(&heat("limit=0"), 400, "from 1 to 10000").await;
    check(&heat("limit=10001"), 400, "from 1 to 10000").await;
    check(&heat("limit=1&limit=2"), 400, "given twice").await;
    check(&heat("fields=value,colour"), 400, "no column `colour`").await;
    check(&heat("fields=value,value"), 400, "twice").await;
    check(&heat("fields="), 400, "names of columns").await;
    check(&heat("cursor=zz"), 400, "rel=\"next\"").await;
    check(&heat("as_of=now"), 400, "as_of takes an RFC 3339 time").await;
    check(
        &heat("as_of=2026-11-22T02:46:21Z"),
        422,
        "stable time 2026-11-22T02:46:20Z",
    )
    .await;
    check(&heat("format=xlsx"), 400, "xlsx").await;
    check(
        "/api/v1/datasets/traffic/rows?speed_hist=1",
        400,
        "a list cannot be compared",
    )
    .await;
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

/// Times far outside of any calendar are values too.
#[tokio::test]
async fn a_cursor_of_any_time_harms_nothing() {
    for (as_of, time) in [(0, i64::MIN), (0, i64::MAX), (i64::MIN, 0), (i64::MAX, 0)] {
        let json = format!("[{as_of},\"a\",\"b\",{time}]");
        let cursor: String = json.bytes().map(|byte| format!("{byte:02x}")).collect();
        let answer = ask(&format!("{HEAT}?cursor={cursor}")).await;
        assert!(answer.status.as_u16() < 500, "{json}: {answer:?}");
    }
}
