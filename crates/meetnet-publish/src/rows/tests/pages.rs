//! Page after page: links, cursors, order, buckets.

use axum::http::StatusCode;
use meetnet_model::hex::Hex;

use super::{HEAT, ask, next};
use crate::fixture;

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

/// Who walks on from `first` would else meet another time, and rows twice or never.
#[tokio::test]
async fn the_first_page_of_a_walk_is_of_its_time() {
    let at = "as_of=2026-11-22T02%3A46%3A20Z";
    let first = ask(&format!("{HEAT}?limit=1&fields=value")).await;
    let second = ask(&next(&first)).await;
    for answer in [&first, &second] {
        let link = format!("<{HEAT}?limit=1&fields=value&{at}>; rel=\"first\"");
        assert!(answer.header("link").contains(&link), "{answer:?}");
    }
    let link = format!("<{HEAT}?limit=1&fields=value&{at}>; rel=\"cite-as\"");
    assert!(first.header("link").contains(&link), "{first:?}");
    let link = format!("<{}>; rel=\"cite-as\"", next(&first));
    assert!(second.header("link").contains(&link), "{second:?}");
    // It never changes, so it has a name; the newest rows have none.
    assert_eq!(first.header("etag"), "");
    let tag = second.header("etag").to_owned();
    assert!(tag.starts_with('"'), "{second:?}");
    let known = [("if-none-match", tag.as_str())];
    let again = fixture::get_with(fixture::router(), &next(&first), &known).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED, "{again:?}");
    assert_eq!(again.body, "");
    assert_eq!(again.header("etag"), tag);
}

#[tokio::test]
async fn a_cursor_is_good_for_the_order_that_it_was_made_for() {
    for (order, another) in [
        ("", "&order=-property"),
        ("&order=-property", ""),
        ("&order=-property", "&order=property"),
    ] {
        let first = ask(&format!("{HEAT}?limit=1&fields=value{order}&format=json")).await;
        let path = next(&first);
        assert_eq!(ask(&path).await.status, StatusCode::OK, "{path}");
        let (_, cursor) = path.split_once("cursor=").expect("a cursor");
        let mixed = format!("{HEAT}?limit=1&fields=value{another}&format=json&cursor={cursor}");
        let mixed = ask(&mixed).await;
        assert_eq!(mixed.status, StatusCode::BAD_REQUEST, "{order} {another}");
        assert!(mixed.body.contains("another order"), "{}", mixed.body);
    }
}

#[tokio::test]
async fn order_and_buckets_shape_a_page() {
    async fn check(query: &str, columns: &[&str], rows: serde_json::Value) {
        let answer = ask(&format!("{HEAT}?{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.body);
        let json = answer.json();
        let named = json["columns"].as_array().expect("columns").iter();
        let named: Vec<_> = named.map(|column| column["name"].as_str()).collect();
        let expect: Vec<_> = columns.iter().map(|name| Some(*name)).collect();
        assert_eq!(named, expect, "{query}");
        assert_eq!(json["rows"], rows, "{query}");
    }
    check(
        "fields=value&order=-property",
        &["value"],
        serde_json::json!([[81.0], [-3.25]]),
    )
    .await;
    let key = ["sensor_id", "property", "time", "rows"];
    let columns = |made: &[&'static str]| [&key[..], made].concat();
    let hour = "2026-11-22T02:00:00Z";
    check(
        "every=1h&agg=mean,p95&order=-property",
        &columns(&["value_mean", "value_p95"]),
        serde_json::json!([
            ["z2m-balcony", "relative_humidity", hour, 1, 81.0, 81.0],
            ["z2m-balcony", "air_temperature", hour, 1, -3.25, -3.25],
        ]),
    )
    .await;
    check(
        "every=1d&zone=Europe/Brussels&property=air_temperature&from=2026-11-21T00:00:00Z&to=2026-11-22T23:00:00Z&gaps=mark",
        &columns(&["value_mean", "gap"]),
        serde_json::json!([
            ["z2m-balcony", "air_temperature", "2026-11-20T23:00:00Z", 0, null, true],
            ["z2m-balcony", "air_temperature", "2026-11-21T23:00:00Z", 1, -3.25, false],
        ]),
    )
    .await;
    let first = ask(&format!("{HEAT}?every=1h&limit=1")).await;
    let second = ask(&next(&first)).await;
    assert_eq!(second.json()["rows"][0][1], "relative_humidity");
    assert_eq!(next(&second), "");
}

/// Times far outside of any calendar are values too.
#[tokio::test]
async fn a_cursor_of_any_time_harms_nothing() {
    for (as_of, time) in [(0, i64::MIN), (0, i64::MAX), (i64::MIN, 0), (i64::MAX, 0)] {
        let json = format!("[{as_of},\"a\",\"b\",{time}]");
        let cursor = Hex(json.as_bytes());
        let answer = ask(&format!("{HEAT}?cursor={cursor}")).await;
        assert!(answer.status.as_u16() < 500, "{json}: {answer:?}");
    }
}
