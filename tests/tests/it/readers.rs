//! Other readers open the tables as they lie: Python `deltalake` and Polars see the same rows as SQL.

use meetnet_tests::daemon::Installation;
use meetnet_tests::python;
use serde_json::{Value, json};

/// Two push sources: traffic that is revised, and noise.
pub(crate) const SOURCES: &str = r#"
[[source]]
id = "telraam"
kind = "http"
format = "telraam"
token = { env = "MEETNET_TEST_TOKEN" }
licence = "CC-BY-NC-4.0"

[[source]]
id = "open"
kind = "http"
format = "json"
sensor_id = { pointer = "/id" }
token = { env = "MEETNET_TEST_TOKEN" }
licence = "CC0-1.0"
map = [{ dataset = "noise", property = "laeq", pointer = "/laeq", unit = "dB[A]" }]
"#;

fn report(segment: i64, hour: u32, car: f64) -> Value {
    json!({
        "instance_id": -1, "segment_id": segment, "date": format!("2026-03-01T{hour:02}:00:00.000Z"),
        "interval": "hourly", "uptime": 0.9, "heavy": 1.5, "car": car, "bike": 3, "pedestrian": 0,
        "car_speed_hist_0to70plus": [10, 20, 30, 40, 0, 0, 0, 0], "v85": 31.5,
    })
}

/// Pushes a day of traffic on three segments; another factor revises every row but those of hour 0.
pub(crate) async fn push_traffic(installation: &Installation, factor: f64) {
    let rows: Vec<Value> = (0..24)
        .flat_map(|hour| (1..=3).map(move |segment| (segment, hour)))
        .map(|(segment, hour)| report(segment, hour, factor * f64::from(hour)))
        .collect();
    let body = json!({ "status_code": 200, "message": "ok", "report": rows });
    let body = body.to_string().into_bytes();
    let answer = installation.push("telraam", body, &[]).await.unwrap();
    assert_eq!(answer.0, 204, "{answer:?}");
}

/// Pushes one noise level, which has no time of its own.
pub(crate) async fn push_noise(installation: &Installation, number: u32) {
    let noise = json!({ "id": format!("n{}", number % 5), "laeq": 40.0 + f64::from(number) });
    let body = noise.to_string().into_bytes();
    let answer = installation.push("open", body, &[]).await.unwrap();
    assert_eq!(answer.0, 204, "{answer:?}");
}

/// Checks that what Python has read is what SQL reads, row by row.
pub(crate) fn check(installation: &Installation, tables: &Value) {
    for (dataset, order) in [
        ("traffic", "segment_id, interval_s, time"),
        ("noise", "sensor_id, property, time"),
    ] {
        let columns: Vec<&str> = tables[dataset]["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c.as_str().unwrap())
            .collect();
        let cells: Vec<String> = columns
            .iter()
            .map(|name| match *name {
                "time" | "received_at" | "recorded_at" => {
                    format!("cast(extract(epoch FROM {name}) * 1000000 AS bigint)")
                }
                name => format!("\"{name}\""),
            })
            .collect();
        let query = format!(
            "SELECT {} FROM {dataset} ORDER BY {order}",
            cells.join(", ")
        );
        let sql = json!(installation.sql_on_files(&query).unwrap());
        assert_eq!(tables[dataset]["deltalake"], sql, "deltalake, {dataset}");
        assert_eq!(tables[dataset]["polars"], sql, "polars, {dataset}");
        assert!(!sql.as_array().unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_deltalake_and_polars_see_what_sql_sees() {
    if !python::has_readers() {
        return;
    }
    let installation = Installation::new("", SOURCES).unwrap();
    let daemon = installation.start().await.unwrap();
    push_traffic(&installation, 1.0).await;
    for number in 0..50 {
        push_noise(&installation, number).await;
    }
    daemon.stop().unwrap();
    // A second run revises rows, so that superseded files and removed ones lie there too.
    let daemon = installation.start().await.unwrap();
    push_traffic(&installation, 2.0).await;
    daemon.stop().unwrap();
    let tables = python::run("tables.py", &[&installation.lake()]).unwrap();
    check(&installation, &tables);
    assert_eq!(
        tables["traffic"]["superseded"], 69,
        "the replaced versions stay readable"
    );
    assert_eq!(tables["traffic"]["licences"], json!(["CC-BY-NC-4.0"]));
}
