//! Which rows are asked for: conditions, changes, days.

use std::sync::Arc;

use axum::http::StatusCode;
use meetnet_lake::snapshot::LakeSnapshot;

use super::{HEAT, ask, next};
use crate::fixture::{self, NOW, SECOND};

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
