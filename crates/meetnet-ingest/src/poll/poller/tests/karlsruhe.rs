//! Every recorded row of Karlsruhe through the poller: a year at once, then hour by hour with failures of every kind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use meetnet_decode::{Decoders, EnvelopeRef};
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::source::SourceDeclaration;
use meetnet_model::time::parse_rfc3339;
use serde_json::Value;

use super::scene::{SOURCE, Scene};
use crate::poll::mock::{End, Reply};

type Key = (i64, i64);

fn decoders() -> Decoders {
    let source: SourceDeclaration = serde_json::from_value(serde_json::json!({
        "id": SOURCE, "kind": "poll", "format": "telraam", "namespace": SOURCE, "licence": "CC-BY-NC-4.0",
        "time_window": {"back_us": 34_560_000_000_000_i64, "ahead_us": 3_600_000_000_i64},
    }))
    .unwrap();
    let declarations = meetnet_model::schemas::builtin().into_declarations([source]);
    Decoders::new(&Arc::new(declarations), &PrivacyKey::new("for tests only")).unwrap()
}

/// What the journal holds, decoded: uptime by segment and time; a key that comes again must say the same.
fn decoded(scene: &Scene) -> BTreeMap<Key, f64> {
    let decoders = decoders();
    let mut rows = BTreeMap::new();
    for taken in scene.sink.taken() {
        let meta: Vec<(Box<str>, Box<str>)> = taken
            .meta
            .iter()
            .map(|(name, value)| (name.as_str().into(), value.as_str().into()))
            .collect();
        let decoded = decoders.decode_body(&EnvelopeRef {
            sequence: taken.sequence.0,
            source: SOURCE,
            topic: &taken.topic,
            meta: &meta,
            payload: &taken.payload,
            received_at: scene.clock.now(),
            truncated: false,
        });
        assert_eq!(decoded.rejects, []);
        for of_dataset in &decoded.rows {
            let column = |name: &str| of_dataset.batch.column_by_name(name).unwrap();
            let segments = column("segment_id").as_primitive::<Int64Type>();
            let times = column("time").as_primitive::<TimestampMicrosecondType>();
            let uptimes = column("uptime").as_primitive::<Float64Type>();
            for row in 0..of_dataset.batch.num_rows() {
                let key = (segments.value(row), times.value(row));
                let uptime = uptimes.value(row);
                let before = rows.insert(key, uptime);
                assert!(before.is_none_or(|before| before == uptime), "{key:?}");
            }
        }
    }
    rows
}

fn files(data: &Path) -> Vec<PathBuf> {
    let folder = data.join("telraam/karlsruhe");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn every_row_of_a_year_arrives_whatever_fails() {
    let Some(data) = std::env::var_os("MEETNET_REAL_DATA").map(PathBuf::from) else {
        println!("skipped: MEETNET_REAL_DATA is not set");
        return;
    };
    let mut recorded: BTreeMap<Key, f64> = BTreeMap::new();
    let mut rows = Vec::new();
    for file in files(&data) {
        let month: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        for row in month["data"].as_array().unwrap() {
            let time = parse_rfc3339(row["date"].as_str().unwrap()).unwrap();
            let key = (row["segment_id"].as_i64().unwrap(), time);
            recorded.insert(key, row["uptime"].as_f64().unwrap());
            rows.push(row.clone());
        }
    }
    assert_eq!(recorded.len(), 22_910);
    let segments: BTreeSet<i64> = recorded.keys().map(|(segment, _)| *segment).collect();
    let segments: Vec<i64> = segments.into_iter().collect();

    let mut scene = Scene::new("2026-08-09T06:30:00Z", &segments, true).await;
    scene.options.since = Some(parse_rfc3339("2025-09-01T00:00:00Z").unwrap());
    scene.options.request_time_max = std::time::Duration::from_secs(5);
    rows.into_iter().for_each(|row| scene.telraam.insert(row));
    let mut poller = scene.poller();
    scene.settle(&mut poller).await;
    // Eleven months in four windows each.
    assert_eq!(scene.server.seen().len(), 4 * segments.len());

    // Two weeks hour by hour. Once a day something fails, and at noon the process starts anew.
    let faults = [
        Reply::new(500, "{}"),
        Reply::new(429, r#"{"message":"Too Many Requests"}"#).with("retry-after", "900"),
        Reply::new(429, r#"{"message":"Limit Exceeded"}"#),
        Reply::new(200, r#"{"status_code":200,"report":[{"car":"#),
        Reply::new(200, r#"{"status_code":200,"#).ending(End::Broken),
        Reply::new(403, r#"{"message":"Forbidden"}"#),
        Reply::new(403, r#"{"status_code":403,"message":"no access rights"}"#),
        Reply::new(503, ""),
    ];
    for day in 9..=23 {
        scene.telraam.fail_next(faults[day % faults.len()].clone());
        scene
            .run_until(&mut poller, &format!("2026-08-{day:02}T12:00:00Z"))
            .await;
        poller = scene.poller();
    }
    let found = decoded(&scene);
    assert_eq!(found.len(), 22_910);
    assert_eq!(found, recorded);
    let status = scene.status();
    assert_eq!(status.poll_failures_total, 15);
    println!(
        "{} requests, {} envelopes",
        status.polls_total, status.acked_total
    );
}
