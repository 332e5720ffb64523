//! Other readers open the tables as they lie: Python `deltalake`, Polars and pyarrow see the same rows as SQL, whatever
//! has been done to the files.

use std::path::Path;
use std::time::Duration;

use meetnet_lake::lake::UpkeepRequest;
use meetnet_tests::daemon::Installation;
use meetnet_tests::python;
use meetnet_tests::upkeep::tend;
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

/// One life of the daemon: traffic, twenty noise levels, and a commit of both.
async fn live(installation: &Installation, factor: f64) {
    let daemon = installation.start().await.unwrap();
    push_traffic(installation, factor).await;
    for number in 0..20 {
        push_noise(installation, number).await;
    }
    daemon.stop().unwrap();
}

/// Asks for columns of a table as the Python readers print them.
fn ask(installation: &Installation, table: &str, columns: &[&str], order: &str) -> Value {
    let cells: Vec<String> = columns
        .iter()
        .map(|name| match *name {
            "time" | "received_at" | "recorded_at" | "superseded_at" => {
                format!("cast(round(extract(epoch FROM {name}) * 1000000) AS bigint)")
            }
            name => format!("\"{name}\""),
        })
        .collect();
    let query = format!("SELECT {} FROM {table} ORDER BY {order}", cells.join(", "));
    json!(installation.sql_on_files(&query).unwrap())
}

/// Checks that what Python has read is what SQL reads, row by row: what is current, and all versions.
pub(crate) fn check(installation: &Installation, tables: &Value) {
    for (dataset, key) in [
        ("traffic", "segment_id, interval_s, time"),
        ("noise", "sensor_id, property, time"),
    ] {
        let table = &tables[dataset];
        let columns = table["columns"].as_array().unwrap().iter();
        let mut columns: Vec<&str> = columns.map(|name| name.as_str().unwrap()).collect();
        let current = ask(installation, dataset, &columns, key);
        columns.push("superseded_at");
        let history = format!("{dataset}_history");
        let every = ask(
            installation,
            &history,
            &columns,
            &format!("{key}, recorded_at"),
        );
        for reader in ["deltalake", "polars", "pyarrow"] {
            assert_eq!(table["current"][reader], current, "{reader}, {dataset}");
            assert_eq!(table["every"][reader], every, "{reader}, {history}");
        }
        assert!(!current.as_array().unwrap().is_empty());
    }
}

/// Reads the tables of an installation, checks them, and returns live files and versions of traffic and of noise.
fn read(installation: &Installation) -> [(u64, usize); 2] {
    let tables = python::run("tables.py", &[&installation.lake()]).unwrap();
    check(installation, &tables);
    ["traffic", "noise"].map(|dataset| {
        let versions = tables[dataset]["every"]["polars"].as_array().unwrap().len();
        (tables[dataset]["files"].as_u64().unwrap(), versions)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_readers_see_what_sql_sees_in_every_state_of_the_tables() {
    if !python::has_readers() {
        return;
    }
    let installation = Installation::new("", SOURCES).unwrap();
    live(&installation, 1.0).await;
    assert_eq!(read(&installation), [(1, 72), (1, 20)], "fresh");
    // Revised: superseded files and removed ones lie there too.
    live(&installation, 2.0).await;
    let versions = |read: [(u64, usize); 2]| read.map(|(_, versions)| versions);
    assert_eq!(versions(read(&installation)), [72 + 69, 40], "revised");
    live(&installation, 3.0).await;
    let revised = [72 + 2 * 69, 60];
    assert_eq!(versions(read(&installation)), revised, "revised again");

    tend(
        &installation.lake(),
        UpkeepRequest::Compact(None),
        Duration::ZERO,
    )
    .unwrap();
    // One file per partition: current and replaced rows of traffic, the one month of noise.
    let merged = [(2, revised[0]), (1, revised[1])];
    assert_eq!(read(&installation), merged, "merged");
    let before = files_below(&installation.lake());
    tend(&installation.lake(), UpkeepRequest::Vacuum, Duration::ZERO).unwrap();
    let after = files_below(&installation.lake());
    assert!(after < before, "vacuum removes what was merged");
    assert_eq!(read(&installation), merged, "vacuumed");

    live(&installation, 4.0).await;
    let revised = [72 + 3 * 69, 80];
    assert_eq!(versions(read(&installation)), revised, "goes on from there");
    let tables = python::run("tables.py", &[&installation.lake()]).unwrap();
    assert_eq!(tables["traffic"]["licences"], json!(["CC-BY-NC-4.0"]));
}

/// Returns the number of files below a folder.
fn files_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap();
    let counts = entries.map(|entry| match entry.unwrap().path() {
        path if path.is_dir() => files_below(&path),
        _ => 1,
    });
    counts.sum()
}
