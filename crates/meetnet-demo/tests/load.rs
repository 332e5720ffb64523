//! The load generator against the real decoders: the printed sources read every message, and the rows are exactly those
//! that the generator expects, faults included. Neither asks the other.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of an integration test do not count as test code for clippy.toml"
)]

mod sources;

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use meetnet_decode::{Decoders, EnvelopeRef};
use meetnet_demo::FaultShares;
use meetnet_demo::load::expect::{Deliveries, Fold, SCALE, Selection, Tally};
use meetnet_demo::load::lane::{Lane, LoadFormat, Transport};
use meetnet_demo::load::sources::{Wiring, config_toml};
use meetnet_demo::load::{Load, LoadPlan, Outgoing};
use meetnet_model::privacy::PrivacyKey;

/// 2026-11-20 11:00 UTC.
const NOON_S: i64 = 1_795_172_400;
const SEED: u64 = 11;

fn wiring() -> Wiring {
    Wiring {
        broker: "mqtt://127.0.0.1:1883".to_owned(),
        username: None,
        password_env: None,
        tls_ca: None,
        token_env: None,
    }
}

fn decoders(lanes: &[Lane]) -> Decoders {
    let declarations = sources::declarations(&config_toml(lanes, "sim", &wiring()));
    Decoders::new(&declarations, &PrivacyKey::new("a secret for tests")).unwrap()
}

/// A key of a dataset: source, dataset, series, sensor, time.
type Key = (String, String, String, String, i64);

/// Notes what a batch of decoded rows holds under its keys.
fn note(source: &str, dataset: &str, batch: &RecordBatch, values: &mut BTreeMap<Key, i64>) {
    let times = batch["time"].as_primitive::<TimestampMicrosecondType>();
    let mut set = |series: &str, sensor: &str, row: usize, value: f64| {
        let key = (
            source.to_owned(),
            dataset.to_owned(),
            series.to_owned(),
            sensor.to_owned(),
            times.value(row),
        );
        let value = (value * SCALE as f64).round() as i64;
        let before = values.insert(key.clone(), value);
        assert!(
            before.is_none_or(|before| before == value),
            "{key:?} has two values"
        );
    };
    for row in 0..batch.num_rows() {
        if dataset == "traffic" {
            let segments = batch["segment_id"].as_primitive::<Int64Type>();
            let segment = segments.value(row).to_string();
            for column in ["car", "bike"] {
                let counts = batch[column].as_primitive::<Float64Type>();
                assert!(counts.is_valid(row));
                set(column, &segment, row, counts.value(row));
            }
        } else {
            let sensors = batch["sensor_id"].as_string::<i32>();
            let properties = batch["property"].as_string::<i32>();
            let numbers = batch["value"].as_primitive::<Float64Type>();
            let (property, sensor) = (properties.value(row), sensors.value(row));
            set(property, sensor, row, numbers.value(row));
        }
    }
}

/// Returns topic, meta and body as they are journalled.
fn journalled(
    outgoing: &Outgoing,
    transport: Transport,
) -> (String, Vec<(String, String)>, Vec<u8>) {
    let (path, query) = outgoing
        .place
        .split_once('?')
        .unwrap_or((outgoing.place.as_str(), ""));
    if transport == Transport::Mqtt {
        return (outgoing.place.clone(), Vec::new(), outgoing.payload.clone());
    }
    if outgoing.is_get {
        return (path.to_owned(), Vec::new(), query.as_bytes().to_vec());
    }
    let mut meta: Vec<(String, String)> = outgoing
        .headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    let precision = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("precision="));
    if let Some(precision) = precision {
        meta.push(("precision".to_owned(), precision.to_owned()));
    } else if !query.is_empty() {
        meta.push(("query".to_owned(), query.to_owned()));
    }
    (path.to_owned(), meta, outgoing.payload.clone())
}

/// Sends every message of a plan to the decoders; all is acknowledged.
fn check(formats: &[LoadFormat], faults: FaultShares, messages: u64) {
    let lanes = Lane::of(&Transport::ALL, formats);
    let decoders = decoders(&lanes);
    let load = Load::new(LoadPlan {
        seed: SEED,
        until_s: NOON_S,
        lanes,
        devices: 3,
        messages,
        batch: 5,
        faults,
        prefix: "sim".to_owned(),
        password: None,
    })
    .unwrap();
    let sent = ["2026-11-20T11:00:00Z", "2026-11-20T12:00:00Z"].map(str::to_owned);
    let mut tally = Tally::new(&load);
    let mut values = BTreeMap::new();
    let mut rejects: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut received_at = NOON_S * 1_000_000;
    for number in 0..messages {
        let unit = load.unit(number);
        let lane = load.lanes()[unit.lane];
        let source = lane.source_id("sim");
        let (topic, meta, payload) = journalled(&unit.outgoing, lane.transport);
        let meta: Vec<(Box<str>, Box<str>)> = meta
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        for _ in 0..unit.copies {
            received_at += 1;
            let decoded = decoders.decode_body(&EnvelopeRef {
                sequence: 1,
                source: &source,
                topic: &topic,
                meta: &meta,
                payload: &payload,
                received_at,
                truncated: false,
            });
            for reject in decoded.rejects {
                let key = (source.clone(), reject.reason.as_str().to_owned());
                *rejects.entry(key).or_default() += 1;
            }
            for rows in decoded.rows {
                let dataset = rows.declaration.id.to_string();
                note(&source, &dataset, &rows.batch, &mut values);
            }
        }
        let deliveries = Deliveries {
            acknowledged: unit.copies.into(),
            ..Deliveries::default()
        };
        tally.settle(unit.lane, &unit.effects, deliveries);
    }

    let expectation = tally.expectation(&load, &sent);
    let mut folds: BTreeMap<(String, String, String), Fold> = BTreeMap::new();
    for ((source, dataset, series, sensor, _), value) in values {
        let mut parts = expectation.parts.iter();
        let part = parts.find(|part| part.source == source && part.dataset == dataset);
        match &part.unwrap().selection {
            Selection::SensorsBeginning(beginning) => {
                assert!(sensor.starts_with(beginning), "{sensor}");
            }
            Selection::Segments { first, last } => {
                let segment: i64 = sensor.parse().unwrap();
                assert!((*first..=*last).contains(&segment), "{sensor}");
            }
            // A pseudonym: nothing of the run is left in it.
            Selection::ReceivedBetween { .. } => {
                assert!(!sensor.contains(load.tag()), "{sensor}");
            }
        }
        let key = (source, dataset, series);
        folds.entry(key).or_default().add(value);
    }
    let mut expected = BTreeMap::new();
    for part in &expectation.parts {
        for series in &part.series {
            let [source, dataset, name] =
                [&part.source, &part.dataset, &series.name].map(String::clone);
            expected.insert((source, dataset, name), series.must);
        }
    }
    assert_eq!(folds, expected, "seed {SEED}, {formats:?}");
    let expected: BTreeMap<(String, String), u64> = expectation
        .rejects
        .into_iter()
        .map(|rejects| ((rejects.source, rejects.reason), rejects.must))
        .collect();
    assert_eq!(rejects, expected, "seed {SEED}, {formats:?}");
}

#[test]
fn each_format_becomes_the_rows_that_are_expected() {
    for format in LoadFormat::ALL {
        check(&[format], FaultShares::NONE, 30);
    }
}

#[test]
fn each_fault_has_the_effect_that_is_expected() {
    let none = FaultShares::NONE;
    for faults in [
        FaultShares {
            duplicate: 1.0,
            ..none
        },
        FaultShares { late: 1.0, ..none },
        FaultShares {
            truncated: 1.0,
            ..none
        },
        FaultShares {
            out_of_range: 1.0,
            ..none
        },
    ] {
        for format in LoadFormat::ALL {
            check(&[format], faults, 12);
        }
    }
}

#[test]
fn all_formats_and_faults_together() {
    let faults = FaultShares {
        duplicate: 0.1,
        late: 0.1,
        truncated: 0.1,
        out_of_range: 0.1,
        ..FaultShares::NONE
    };
    check(&LoadFormat::ALL, faults, 1_500);
}
