use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use meetnet_lake::snapshot::LakeSnapshot;
use meetnet_model::hex::Hex;

use crate::fixture::{self, Answer, NOW, SECOND, request};

const HEAT: &str = "/api/v1/datasets/heat/rows";

async fn ask(path: &str) -> Answer {
    fixture::get(fixture::router(), path).await
}

/// The address in `Link: <…>; rel="next"`; empty where there is none.
fn next(answer: &Answer) -> String {
    let mut links = answer.header("link").split(", ");
    let next = links.find_map(|link| link.strip_suffix(">; rel=\"next\""));
    let target = next.and_then(|link| link.strip_prefix('<'));
    target.unwrap_or_default().to_owned()
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
    let dataset = "</api/v1/datasets/heat>; rel=\"describedby\"";
    let service = "</api/v1/openapi.json>; rel=\"service-desc\"";
    let links = format!("<{HEAT}>; rel=\"first\", {dataset}, {service}");
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
    check("licence=CC0-1.0,CC-BY-4.0", &[-3.25, 81.0]).await;
    check("licence=CC0-1.0&licence=CC-BY-4.0", &[-3.25, 81.0]).await;
    check("from=2026-11-22T02:45:20Z", &[-3.25, 81.0]).await;
    check("from=2026-11-22T02:45:20.000001Z", &[]).await;
    check("to=2026-11-22T02:45:20Z", &[]).await;
    // A day begins at midnight, UTC.
    check("from=2026-11-22&to=2026-11-23", &[-3.25, 81.0]).await;
    check("from=2026-11-23", &[]).await;
    check("time.lt=2026-11-22", &[]).await;
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

/// A router over a lake whose temperature was received half a minute ago, as it says, and recorded 10 s ago; of the humidity nothing
/// says more than when it was received.
fn router_with_import() -> axum::Router {
    use arrow::array::TimestampMicrosecondArray;
    use arrow::record_batch::RecordBatch;
    use meetnet_lake::snapshot::{HotBatch, TableSnapshot};

    let snapshot = fixture::snapshot();
    let mut next = LakeSnapshot::clone(&snapshot.load());
    let mut heat = TableSnapshot::clone(&next.tables[&"heat".into()]);
    let received = heat.hot[0].batch.clone();
    let mut columns = received.columns().to_vec();
    let recorded = TimestampMicrosecondArray::from(vec![Some(NOW - 10 * SECOND), None]);
    let position = received.schema().index_of("recorded_at").expect("a column");
    columns[position] = Arc::new(recorded.with_timezone("UTC"));
    let batch = RecordBatch::try_new(received.schema(), columns).expect("the same columns");
    let superseded = None;
    heat.hot = Arc::new(vec![HotBatch { batch, superseded }]);
    next.tables.insert("heat".into(), Arc::new(heat));
    snapshot.store(Arc::new(next));
    crate::public_router(fixture::state_over(snapshot))
}

/// What has changed is told by when it was recorded: rows that say nothing of that were recorded as they were received.
#[tokio::test]
async fn a_mirror_asks_for_what_has_changed() {
    async fn check(query: &str, values: &[f64]) {
        let path = format!("{HEAT}?fields=value&{query}");
        let answer = fixture::get(router_with_import(), &path).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.body);
        let json = answer.json();
        let rows = json["rows"].as_array().expect("rows");
        let found: Vec<f64> = rows.iter().filter_map(|row| row[0].as_f64()).collect();
        assert_eq!(found, values, "{query}");
    }
    check("changed_since=2026-11-22T02:45:49Z", &[-3.25, 81.0]).await;
    check("changed_since=2026-11-22", &[-3.25, 81.0]).await;
    check("changed_since=2026-11-22T02:45:50Z", &[-3.25]).await;
    check("changed_since=2026-11-22T02:46:10Z", &[]).await;
    check(
        "changed_since=2026-11-22T02:45:49Z&property=relative_humidity",
        &[81.0],
    )
    .await;
    check(
        "changed_since=2026-11-22T02:45:49Z&as_of=2026-11-22T02:46:00Z",
        &[81.0],
    )
    .await;
    let path = format!("{HEAT}?fields=value&changed_since=2026-11-22T02:45:49Z&limit=1");
    let first = fixture::get(router_with_import(), &path).await;
    assert_eq!(first.json()["rows"], serde_json::json!([[-3.25]]));
    let second = fixture::get(router_with_import(), &next(&first)).await;
    assert_eq!(second.json()["rows"], serde_json::json!([[81.0]]));
    // The next question begins where this answer ends.
    let end = first.header("meetnet-as-of").to_owned();
    check(&format!("changed_since={end}"), &[]).await;
    let said = fixture::get(router_with_import(), "/api/v1/datasets/heat").await;
    assert_eq!(said.json()["last_update"], "2026-11-22T02:46:10Z");
    assert_eq!(said.json()["last_received"], "2026-11-22T02:45:50Z");
}

/// A router over a lake whose `heat_daily` has days of Brussels: the first of two years, and those around 29 March 2026.
fn router_with_days() -> axum::Router {
    use meetnet_model::rows::RowsBuilder;
    use meetnet_model::time::day_or_time_in;

    let snapshot = fixture::snapshot();
    let mut next = LakeSnapshot::clone(&snapshot.load());
    let daily = Arc::clone(&next.tables[&"heat_daily".into()].declaration);
    let mut builder = RowsBuilder::new(Arc::clone(&daily));
    let column = |name| daily.column_index(name).expect("a column of heat_daily");
    let days = [
        "2025-01-01",
        "2025-12-31",
        "2026-01-01",
        "2026-01-02",
        "2026-03-28",
        "2026-03-29",
        "2026-03-30",
    ];
    for (number, day) in days.iter().enumerate() {
        let begin = day_or_time_in(day, daily.zone()).expect("a day");
        builder.set_text(column("sensor_id"), "z2m-balcony");
        builder.set_int(column("time"), begin);
        builder.set_float(column("mean"), number as f64);
        builder.finish_row(0).expect("a whole row");
    }
    let rows = Some((builder.take(), vec![NOW - 30 * SECOND; days.len()]));
    let table = fixture::table(&daily, rows, 1);
    next.tables.insert("heat_daily".into(), Arc::new(table));
    snapshot.store(Arc::new(next));
    crate::public_router(fixture::state_over(snapshot))
}

/// Days of a dataset of local days are local; instants are instants.
#[tokio::test]
async fn a_day_is_one_of_the_dataset() {
    async fn check(query: &str, means: &[f64]) {
        let path = format!("/api/v1/datasets/heat_daily/rows?fields=mean&{query}");
        let answer = fixture::get(router_with_days(), &path).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.body);
        let json = answer.json();
        let rows = json["rows"].as_array().expect("rows");
        let found: Vec<f64> = rows.iter().filter_map(|row| row[0].as_f64()).collect();
        assert_eq!(found, means, "{query}");
    }
    check("from=2026-01-01&to=2026-01-02", &[2.0]).await;
    check("from=2025-01-01&to=2026-01-01", &[0.0, 1.0]).await;
    check("from=2026-03-29&to=2026-03-30", &[5.0]).await;
    check("from=2026-03-30", &[6.0]).await;
    check("time=2026-01-01", &[2.0]).await;
    check("time.gt=2026-01-01&time.lte=2026-03-28", &[3.0, 4.0]).await;
    check("from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z", &[3.0]).await;
    check("from=2026-01-01T00:00:00%2B01:00&to=2026-01-02", &[2.0]).await;
    // The address of the next page says the day as it was asked, and it is the same day.
    let path = "/api/v1/datasets/heat_daily/rows?fields=mean&from=2026-03-28&limit=2";
    let first = fixture::get(router_with_days(), path).await;
    let second = fixture::get(router_with_days(), &next(&first)).await;
    assert_eq!(second.json()["rows"], serde_json::json!([[6.0]]));
    // Months of local days are local, too.
    let path = "/api/v1/datasets/heat_daily/rows?fields=mean&every=1mo&agg=count&to=2026-03-01";
    let months = fixture::get(router_with_days(), path).await.json();
    let cells = |time: &str, rows: u32| serde_json::json!(["z2m-balcony", time, rows, rows]);
    let expect = [
        cells("2024-12-31T23:00:00Z", 1),
        cells("2025-11-30T23:00:00Z", 1),
        cells("2025-12-31T23:00:00Z", 2),
    ];
    assert_eq!(months["rows"], serde_json::json!(expect));
    let said = fixture::get(router_with_days(), "/api/v1/datasets/heat_daily").await;
    assert_eq!(said.json()["zone"], "Europe/Brussels");
    let wrong = "/api/v1/datasets/heat_daily/rows?from=2026";
    let wrong = fixture::get(router_with_days(), wrong).await;
    assert!(
        wrong.body.contains("00:00 in Europe/Brussels"),
        "{}",
        wrong.body
    );
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
    let near = "there is no dataset `heats`; did you mean `heat`?";
    for address in ["heats", "heats/rows", "heats/latest", "heats/files"] {
        check(&format!("/api/v1/datasets/{address}"), 404, near).await;
    }
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
    check(&heat("licence=CC+BY"), 400, "`CC BY` is no licence").await;
    check(
        &heat("licence=CC0-1.0,CC-BY-3.0"),
        400,
        "`CC-BY-3.0` is no known licence; known are CC-BY-4.0, ",
    )
    .await;
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
    check(
        &heat("property=air_temprature"),
        400,
        "property is never \"air_temprature\" in heat; it takes air_temperature, ",
    )
    .await;
    check(
        &heat("property=air_temperature&property=pm2_5"),
        400,
        "it takes air_temperature, ",
    )
    .await;
    check(
        "/api/v1/datasets/air_hourly/rows?property=air_temperature",
        400,
        "it takes pm1, ",
    )
    .await;
    check(
        "/api/v1/datasets/heat/latest?property=pm2_5",
        400,
        "it takes air_temperature, ",
    )
    .await;
    check(&heat("quality=5"), 400, "it takes 1, 2, 3, 4, 9").await;
    check(
        "/api/v1/datasets/data_quality/rows?period=week",
        400,
        "it takes day, month, all",
    )
    .await;
    check(
        "/api/v1/datasets/data_quality/rows?dataset=stations",
        400,
        "it takes air, heat, noise, traffic",
    )
    .await;
    check(&heat("quality=good"), 400, "quality takes a whole number").await;
    check(&heat("from=2026"), 400, "from takes an RFC 3339 time").await;
    check(&heat("from=22/11/2026"), 400, "or a day such as 2026-01-31").await;
    check(
        &heat("from=2026-11-23&to=2026-11-22"),
        400,
        "from lies behind to",
    )
    .await;
    check(&heat("from=2026-11-22T03:45:20+01:00"), 400, "%2B").await;
    check(&heat("limit=0"), 400, "from 1 to 10000").await;
    check(&heat("limit=10001"), 400, "from 1 to 10000").await;
    check(&heat("limit=1&limit=2"), 400, "given twice").await;
    check(&heat("download=yes"), 400, "download takes 1 or true").await;
    check(&heat("fields=value,colour"), 400, "no column `colour`").await;
    check(&heat("fields=value,value"), 400, "twice").await;
    check(&heat("fields="), 400, "names of columns").await;
    check(&heat("cursor=zz"), 400, "rel=\"next\"").await;
    check(&heat("as_of=now"), 400, "as_of takes an RFC 3339 time").await;
    check(&heat("bbox=1,2,3"), 400, "west,south,east,north").await;
    check(&heat("bbox=4,51,5,50"), 400, "west,south,east,north").await;
    check(&heat("near=4.7"), 400, "lon,lat in degrees").await;
    check(&heat("near=4.7,95"), 400, "lon,lat in degrees").await;
    check(&heat("near=4.7,50&radius=-1"), 400, "radius takes metres").await;
    check(&heat("radius=5"), 400, "goes with near").await;
    check(&heat("bbox=4,50,5,51&radius=5"), 400, "goes with near").await;
    check(&heat("near=4,50&bbox=1,2,3,4"), 400, "not both").await;
    check(&heat("order=value"), 400, "sensor_id, property, time").await;
    check(&heat("order=-"), 400, "order takes names").await;
    check(&heat("every=1"), 400, "such as 15m or 1d").await;
    check(&heat("every=1h&agg=avg"), 400, "agg takes mean, min").await;
    check(&heat("every=1h&agg=mean,mean"), 400, "each once").await;
    check(&heat("agg=mean"), 400, "goes with every").await;
    check(&heat("every=1h&gaps=mark"), 400, "needs from and to").await;
    check(
        &heat("every=1h&changed_since=2026-11-22"),
        400,
        "goes without every",
    )
    .await;
    check(&heat("changed_since=now"), 400, "changed_since takes").await;
    check(
        "/api/v1/datasets/heat/latest?changed_since=2026-11-22",
        400,
        "take no changed_since",
    )
    .await;
    check(&heat("every=1h&zone=Mars"), 400, "time zone").await;
    check(
        "/api/v1/datasets/traffic/rows?every=1h&agg=mean,min,max",
        400,
        "name fields so that there are 1 to 64",
    )
    .await;
    check(
        "/api/v1/datasets/stations/rows?every=1h",
        400,
        "no values over time",
    )
    .await;
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

/// A router over a lake where balcony stood in Leuven and moved to Brussels at NOW.
fn router_with_places() -> axum::Router {
    crate::public_router(fixture::state_over(lake_with_places()))
}

fn lake_with_places() -> meetnet_lake::snapshot::SharedSnapshot {
    use meetnet_model::rows::RowsBuilder;

    let snapshot = fixture::snapshot();
    let mut next = LakeSnapshot::clone(&snapshot.load());
    let stations = Arc::clone(&next.tables[&"stations".into()].declaration);
    let mut builder = RowsBuilder::new(Arc::clone(&stations));
    let column = |name| stations.column_index(name).expect("a column of stations");
    // Known from when its first message had arrived, which is after its first value.
    for (from, to, lon, lat) in [
        (NOW - 30 * SECOND, Some(NOW), 4.7005, 50.8798),
        (NOW, None, 4.35, 50.85),
    ] {
        builder.set_text(column("id"), "z2m-balcony");
        builder.set_int(column("valid_from"), from);
        if let Some(to) = to {
            builder.set_int(column("valid_to"), to);
        }
        builder.set_float(column("lon"), lon);
        builder.set_float(column("lat"), lat);
        builder.set_int(column("h3_r9"), 617_549_809_514_446_847);
        builder.finish_row(0).expect("a whole row");
    }
    let rows = Some((builder.take(), vec![NOW - 30 * SECOND; 2]));
    let table = fixture::table(&stations, rows, 1);
    next.tables.insert("stations".into(), Arc::new(table));
    snapshot.store(Arc::new(next));
    snapshot
}

/// A router over a lake where balcony moved, and these readings are all that there are of heat. Others say where sensors are.
fn router_of_a_map(readings: &[(&str, &str, i64, f64)]) -> axum::Router {
    use std::collections::BTreeMap;

    use meetnet_lake::snapshot::TableSnapshot;

    let snapshot = lake_with_places();
    let mut lake = LakeSnapshot::clone(&snapshot.load());
    let heat = Arc::clone(&lake.tables[&"heat".into()].declaration);
    let rows = fixture::long_rows(&heat, readings);
    let rows = Some((rows, vec![NOW - 30 * SECOND; readings.len()]));
    let table = fixture::table(&heat, rows, 1);
    lake.tables.insert("heat".into(), Arc::new(table));
    let mut stations = TableSnapshot::clone(&lake.tables[&"stations".into()]);
    let of_places = BTreeMap::from([("ODbL-1.0".into(), vec!["Places".to_owned()])]);
    Arc::make_mut(&mut stations.declaration).source_licences = of_places;
    lake.tables.insert("stations".into(), Arc::new(stations));
    snapshot.store(Arc::new(lake));
    crate::public_router(fixture::state_over(snapshot))
}

/// Rows of sensors are features where these stood at their times, and say whose that is.
#[tokio::test]
async fn a_map_of_values_needs_no_join() {
    let router = router_of_a_map(&[
        ("z2m-balcony", "air_temperature", NOW - 60 * SECOND, 1.5),
        ("z2m-balcony", "air_temperature", NOW - SECOND, 2.5),
        ("z2m-balcony", "air_temperature", NOW, 3.5),
        ("z2m-nowhere", "air_temperature", NOW, 4.5),
    ]);
    let map = fixture::get(
        router.clone(),
        &format!("{HEAT}?format=geojson&fields=value"),
    )
    .await;
    assert_eq!(map.status, StatusCode::OK, "{}", map.body);
    let json = map.json();
    let features = json["features"].as_array().expect("features").iter();
    let shown: Vec<serde_json::Value> = features
        .map(|of| serde_json::json!([of["geometry"]["coordinates"], of["properties"]]))
        .collect();
    let (leuven, brussels) = ([4.7005, 50.8798], [4.35, 50.85]);
    let expect = serde_json::json!([
        [leuven, { "value": 1.5 }],
        [leuven, { "value": 2.5 }],
        [brussels, { "value": 3.5 }],
        [null, { "value": 4.5 }],
    ]);
    assert_eq!(serde_json::Value::from(shown), expect);
    assert_eq!(map.header("meetnet-licence"), "CC-BY-4.0, ODbL-1.0");
    assert_eq!(
        map.header("meetnet-attribution"),
        "100 %25 caf%C3%A9; Places"
    );

    // All columns where none is named, a part of the city, page by page.
    let near = format!("{HEAT}?format=geojson&near=4.70,50.88&limit=1");
    let first = fixture::get(router.clone(), &near).await;
    assert_eq!(first.json()["features"][0]["properties"]["quality"], 1);
    let second = fixture::get(router.clone(), &next(&first)).await;
    let feature = &second.json()["features"][0];
    assert_eq!(feature["properties"]["value"], 2.5);
    assert_eq!(
        feature["geometry"]["coordinates"],
        serde_json::json!(leuven)
    );
    assert_eq!(next(&second), "");
    // The columns are there for every format, from the last down, and under a licence.
    let path = format!("{HEAT}?fields=lat,value,lon&order=-time&sensor_id=z2m-balcony&limit=2");
    let answer = fixture::get(router.clone(), &path).await;
    let expect = serde_json::json!([[50.85, 3.5, 4.35], [50.8798, 2.5, 4.7005]]);
    assert_eq!(answer.json()["rows"], expect);
    let path = format!("{HEAT}?fields=lon&limit=1&licence=CC-BY-4.0");
    let answer = fixture::get(router.clone(), &path).await;
    assert_eq!(answer.json()["rows"], serde_json::json!([[4.7005]]));
    assert_eq!(answer.header("meetnet-licence"), "CC-BY-4.0");
    // Who asks for no place is told nothing of places.
    let plain = fixture::get(router.clone(), HEAT).await;
    assert_eq!(plain.header("meetnet-licence"), "CC-BY-4.0");
    for (path, detail) in [
        (format!("{HEAT}?format=geojson&every=1h"), "geojson needs"),
        (format!("{HEAT}?fields=lon&every=1h"), "no column `lon`"),
        (format!("{HEAT}?lon.gt=4"), "no parameter or column `lon`"),
        (
            "/api/v1/datasets/neighbourhood_hourly/rows?fields=lon".to_owned(),
            "no column `lon`",
        ),
    ] {
        let answer = fixture::get(router.clone(), &path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.body.contains(detail), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn the_newest_rows_are_a_map_as_well() {
    const LATEST: &str = "/api/v1/datasets/heat/latest";
    let router = router_of_a_map(&[
        ("z2m-balcony", "air_temperature", NOW - SECOND, 2.5),
        ("z2m-balcony", "air_temperature", NOW, 3.5),
        // It stood elsewhere when it last said this.
        ("z2m-balcony", "relative_humidity", NOW - SECOND, 80.0),
        ("z2m-nowhere", "air_temperature", NOW, 4.5),
    ]);
    let map = fixture::get(
        router.clone(),
        &format!("{LATEST}?format=geojson&fields=value"),
    )
    .await;
    assert_eq!(map.status, StatusCode::OK, "{}", map.body);
    assert_eq!(map.header("content-type"), "application/geo+json");
    let json = map.json();
    let features = json["features"].as_array().expect("features").iter();
    let shown: Vec<serde_json::Value> = features
        .map(|of| serde_json::json!([of["geometry"]["coordinates"], of["properties"]]))
        .collect();
    let expect = serde_json::json!([
        [[4.35, 50.85], { "value": 3.5 }],
        [[4.7005, 50.8798], { "value": 80.0 }],
        [null, { "value": 4.5 }],
    ]);
    assert_eq!(serde_json::Value::from(shown), expect);
    assert_eq!(map.header("meetnet-licence"), "CC-BY-4.0, ODbL-1.0");
    assert_eq!(
        map.header("meetnet-attribution"),
        "100 %25 caf%C3%A9; Places"
    );
    let path = format!("{LATEST}?format=geojson&sensor_id=z2m-nowhere&licence=CC-BY-4.0");
    let all_columns = fixture::get(router.clone(), &path).await;
    let feature = &all_columns.json()["features"][0];
    assert_eq!(feature["properties"]["quality"], 1);
    assert_eq!(feature["geometry"], serde_json::Value::Null);
    assert_eq!(all_columns.header("meetnet-licence"), "CC-BY-4.0");
    // The columns are there for every format, in the order asked for.
    let path = format!("{LATEST}?fields=lat,value,lon&property=air_temperature");
    let answer = fixture::get(router.clone(), &path).await;
    let expect = serde_json::json!([[50.85, 3.5, 4.35], [null, 4.5, null]]);
    assert_eq!(answer.json()["rows"], expect, "{}", answer.body);
    // Who asks for no place is told nothing of places; what has its own is as it was.
    let plain = fixture::get(router.clone(), LATEST).await;
    assert_eq!(plain.header("meetnet-licence"), "CC-BY-4.0");
    assert!(!plain.body.contains("4.35"), "{}", plain.body);
    let path = "/api/v1/datasets/stations/latest?format=geojson";
    let place = &fixture::get(router.clone(), path).await.json()["features"][0]["geometry"];
    assert_eq!(place["coordinates"], serde_json::json!([4.35, 50.85]));
    for (query, detail) in [
        ("format=geojson", "geojson needs"),
        ("fields=lon", "no column `lon`"),
    ] {
        let path = format!("/api/v1/datasets/neighbourhood_hourly/latest?{query}");
        let answer = fixture::get(router.clone(), &path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.body.contains(detail), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn places_choose_rows() {
    async fn check(dataset: &str, query: &str, rows: usize) {
        let path = format!("/api/v1/datasets/{dataset}/rows?{query}");
        let answer = fixture::get(router_with_places(), &path).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.body);
        assert_eq!(answer.json()["row_count"], rows, "{dataset} {query}");
    }
    check("heat", "bbox=4.6,50.8,4.8,50.95", 2).await;
    check("heat", "bbox=4.6,50.8,4.7,50.95", 0).await;
    check("heat", "bbox=4.3,50.8,4.4,50.95", 0).await;
    check("heat", "near=4.70,50.88", 2).await;
    check("heat", "near=4.70,50.88&radius=30", 0).await;
    check("heat", "near=4.35,50.85&radius=1000", 0).await;
    check("heat", "near=4.70,50.88&property=air_temperature", 1).await;
    check("heat", "near=4.70,50.88&every=1h", 2).await;
    check("stations", "near=4.70,50.88", 1).await;
    check("stations", "bbox=4,50,5,51", 2).await;
    check("stations", "bbox=170,50,-170,51", 0).await;
    let path = "/api/v1/datasets/stations/rows?format=geojson";
    let map = fixture::get(router_with_places(), path).await;
    assert_eq!(map.header("content-type"), "application/geo+json");
    let place = &map.json()["features"][0]["geometry"]["coordinates"];
    assert_eq!(*place, serde_json::json!([4.7005, 50.8798]));
    // JavaScript would make another cell of the number; the text is what conditions take.
    let cell = &map.json()["features"][0]["properties"]["h3_r9"];
    assert_eq!(*cell, "617549809514446847");
    let path = "/api/v1/datasets/stations/rows?fields=h3_r9&h3_r9=617549809514446847&limit=1";
    let answer = fixture::get(router_with_places(), path).await;
    let rows = serde_json::json!([["617549809514446847"]]);
    assert_eq!(answer.json()["rows"], rows);
    // So is the text that H3 itself has for it.
    let path = "/api/v1/datasets/stations/rows?fields=h3_r9&h3_r9=891fa47a337ffff&limit=1";
    let answer = fixture::get(router_with_places(), path).await;
    assert_eq!(answer.json()["rows"], rows);
    let path = "/api/v1/datasets/stations/rows?h3_r9=891fa47a";
    let answer = fixture::get(router_with_places(), path).await;
    assert!(
        answer.body.contains("an H3 cell, such as"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn who_exchanges_latitude_and_longitude_is_told() {
    async fn check(dataset: &str, query: &str, hint: Option<&str>) {
        let path = format!("/api/v1/datasets/{dataset}/rows?{query}");
        let answer = fixture::get(router_with_places(), &path).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.body);
        let json = answer.json();
        let told = json["hints"][0].as_str();
        assert_eq!(
            told.is_some(),
            hint.is_some(),
            "{dataset} {query}: {told:?}"
        );
        if let (Some(told), Some(hint)) = (told, hint) {
            assert!(told.contains(hint), "{told}");
            assert!(answer.header("meetnet-hint").contains(hint));
            assert_eq!(json["row_count"], 0);
        }
    }
    let near = Some("near takes longitude,latitude, the longitude first");
    let area = Some("bbox takes west,south,east,north, the longitude first");
    for dataset in ["heat", "stations"] {
        check(dataset, "near=50.88,4.70", near).await;
        check(dataset, "bbox=50.8,4.6,50.95,4.8", area).await;
        // Elsewhere, and no better the other way round; and where there is something.
        check(dataset, "near=50.88,14.70", None).await;
        check(dataset, "near=4.35,52.85&radius=1000", None).await;
        check(dataset, "near=4.70,50.88", None).await;
        check(dataset, "bbox=170,50,-170,51", None).await;
    }
    let around = Some("write bbox=4.6,50.8,4.8,50.95 for what lies between");
    check("heat", "bbox=4.8,50.8,4.6,50.95", around).await;
    check("heat", "bbox=14.8,50.8,14.6,50.95", None).await;
    check("traffic", "from=2026-01-01", None).await;
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
