//! A third party that keeps a copy of a dataset asks for what has changed since its last answer, and for nothing else: what is hot,
//! imported, revised, late or committed since must reach it.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use meetnet_tests::daemon::Installation;
use serde_json::{Value, json};

const DESK: &str = r#"
[[source]]
id = "desk"
kind = "http"
format = "json"
sensor_id = { pointer = "/id" }
time = { pointer = "/ts", format = "unix" }
time_window = { back = "20000d", ahead = "1h" }
token = { env = "MEETNET_TEST_TOKEN" }
licence = "CC0-1.0"
map = [{ dataset = "heat", property = "air_temperature", pointer = "/t", unit = "Cel" }]
"#;
/// 2026-03-01.
const FIRST: i64 = 1_772_323_200;

/// What a third party has of `heat`.
#[derive(Default)]
struct Mirror {
    /// Values by sensor and time.
    rows: BTreeMap<String, Value>,
    /// How far the answers before went.
    since: Option<String>,
}

impl Mirror {
    /// Asks for what has changed, page by page; returns how many rows came.
    async fn follow(&mut self, installation: &Installation) -> usize {
        let mut path = "/api/v1/datasets/heat/rows?fields=sensor_id,time,value&limit=7".to_owned();
        if let Some(since) = &self.since {
            path.push_str(&format!("&changed_since={since}"));
        }
        let mut count = 0;
        loop {
            let answer = answer(installation, &path).await;
            let rows = answer["rows"].as_array().unwrap();
            count += rows.len();
            for row in rows {
                self.rows
                    .insert(format!("{} {}", row[0], row[1]), row[2].clone());
            }
            self.since = answer["as_of"].as_str().map(str::to_owned);
            match answer["next"].as_str() {
                Some(next) => next.clone_into(&mut path),
                None => return count,
            }
        }
    }

    /// Follows until nothing is missing, and compares.
    async fn is_whole(&mut self, installation: &Installation, what: &str) {
        let rows = installation
            .sql("SELECT sensor_id, time, value FROM heat")
            .await
            .unwrap();
        let rows = rows.into_iter();
        let rows: BTreeMap<String, Value> = rows
            .map(|row| (format!("{} {}", row[0], row[1]), row[2].clone()))
            .collect();
        // What was read is settled within moments.
        for _ in 0..200 {
            self.follow(installation).await;
            if self.rows == rows {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.rows, rows, "{what}");
    }
}

async fn answer(installation: &Installation, path: &str) -> Value {
    let answer = installation.get(path, &[]).await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

/// Waits until the description says when the newest version was recorded: it is made once a second.
async fn is_dated(installation: &Installation) {
    let mut said = Value::Null;
    for _ in 0..200 {
        said = answer(installation, "/api/v1/datasets/heat").await["last_update"].clone();
        // As instants: descriptions and rows do not write fractions of a second alike.
        if let Some(time) = said.as_str() {
            let newest = format!("SELECT max(recorded_at) = '{time}' FROM heat_history");
            let is_newest = installation.cell(&newest).await.unwrap();
            if is_newest.as_bool() == Some(true) {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the newest version was not recorded at {said}");
}

fn reading(sensor: &str, minute: i64, value: f64) -> Value {
    json!({ "id": sensor, "ts": FIRST + minute * 60, "t": value })
}

async fn push(installation: &Installation, reading: Value) {
    let body = reading.to_string().into_bytes();
    let answer = installation.push("desk", body, &[]).await.unwrap();
    assert_eq!(answer.0, 204, "{answer:?}");
}

fn import(installation: &Installation, readings: impl Iterator<Item = Value>) {
    let lines: String = readings.map(|reading| format!("{reading}\n")).collect();
    let file = installation.folder().join("history.ndjson");
    fs::write(&file, lines).unwrap();
    installation
        .succeed(&["import", "json", file.to_str().unwrap(), "--source", "desk"])
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mirror_that_asks_for_changes_has_every_row() {
    let installation = Installation::new("", DESK).unwrap();
    let daemon = installation.start().await.unwrap();
    let mut mirror = Mirror::default();
    for minute in 0..20 {
        push(&installation, reading("a", minute, 20.0)).await;
    }
    mirror.is_whole(&installation, "hot rows").await;
    assert_eq!(mirror.follow(&installation).await, 0, "nothing has changed");

    // Their receive time is that of their observation, months before what the mirror has.
    import(
        &installation,
        (0..50).map(|minute| reading("b", minute - 500_000, 10.0)),
    );
    mirror.is_whole(&installation, "an import").await;
    assert_eq!(mirror.rows.len(), 70);
    is_dated(&installation).await;

    for minute in [3, 19] {
        push(&installation, reading("a", minute, 21.5)).await;
    }
    push(&installation, reading("b", -500_000, 11.5)).await;
    push(&installation, reading("c", -10, 1.0)).await;
    mirror
        .is_whole(&installation, "revisions, one of an imported row")
        .await;
    assert_eq!(mirror.rows.len(), 71);

    // What was hot is in files, and nothing of it has changed.
    daemon.stop().unwrap();
    let daemon = installation.start().await.unwrap();
    mirror.is_whole(&installation, "a restart").await;
    push(&installation, reading("a", 20, 22.0)).await;
    mirror.is_whole(&installation, "another life").await;
    assert_eq!(mirror.rows.len(), 72);
    daemon.stop().unwrap();
}
