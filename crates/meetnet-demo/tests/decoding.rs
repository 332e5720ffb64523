//! The demo against the real decoders: its declared sources read its live messages, and history carries the very rows
//! that live messages would have become. A failure here means that a demo's history and live feed fall apart.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of an integration test do not count as test code for clippy.toml"
)]

mod sources;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use meetnet_decode::{Decoded, Decoders, EnvelopeRef};
use meetnet_demo::messages::{self, LoraFrame};
use meetnet_demo::sensors::Uplink;
use meetnet_demo::{
    City, DemoSource, Fault, FaultShares, History, LiveFeed, Message, sources_toml,
};
use meetnet_model::declarations::Declarations;
use meetnet_model::privacy::PrivacyKey;

const SEED: u64 = 5;
/// 2026-11-22 02:00 UTC.
const END_S: i64 = 1_795_312_800;

fn key() -> PrivacyKey {
    PrivacyKey::new("a secret for tests")
}

fn declarations() -> Arc<Declarations> {
    sources::declarations(&sources_toml("127.0.0.1:1883".parse().unwrap()))
}

/// Returns the city, the decoders of its messages, and its last days up to [`END_S`].
fn city_with_history(days: u32) -> (Arc<City>, Decoders, History) {
    let declarations = declarations();
    let decoders = Decoders::new(&declarations, &key()).unwrap();
    let city = Arc::new(City::new(SEED));
    let end_us = END_S * 1_000_000;
    let history = History::new(Arc::clone(&city), &declarations, &key(), end_us, days).unwrap();
    (city, decoders, history)
}

fn decode(decoders: &Decoders, source: DemoSource, message: &Message, second: i64) -> Decoded {
    decoders.decode_body(&EnvelopeRef {
        sequence: 1,
        source: source.id(),
        topic: &message.topic,
        meta: &[],
        payload: &message.payload,
        received_at: second * 1_000_000,
        truncated: false,
    })
}

fn source_of(topic: &str) -> DemoSource {
    match topic.split('/').next() {
        Some("telraam") => DemoSource::Telraam,
        Some("airrohr") => DemoSource::Airrohr,
        Some("v3") => DemoSource::Lora,
        Some("zigbee2mqtt") => DemoSource::Balcony,
        _ => panic!("no source for {topic}"),
    }
}

/// Sensor, property and second to value.
type Values = BTreeMap<(String, String, i64), f64>;

fn long_values(batch: &RecordBatch, values: &mut Values) {
    let ids = batch["sensor_id"].as_string::<i32>();
    let properties = batch["property"].as_string::<i32>();
    let times = batch["time"].as_primitive::<TimestampMicrosecondType>();
    let numbers = batch["value"].as_primitive::<Float64Type>();
    for row in 0..batch.num_rows() {
        let second = times.value(row).div_euclid(1_000_000);
        let key = (
            ids.value(row).to_owned(),
            properties.value(row).to_owned(),
            second,
        );
        values.insert(key, numbers.value(row));
    }
}

#[test]
fn sound_messages_become_rows_and_broken_ones_explained_rejects() {
    let decoders = Decoders::new(&declarations(), &key()).unwrap();
    let feed = LiveFeed::new(Arc::new(City::new(SEED)), FaultShares::default());
    let mut faults = BTreeMap::new();
    for second in END_S..END_S + 900 {
        for live in feed.messages_at(second) {
            let decoded = decode(
                &decoders,
                source_of(&live.message.topic),
                &live.message,
                second,
            );
            let text = String::from_utf8_lossy(&live.message.payload);
            match live.fault {
                None | Some(Fault::Duplicate | Fault::Late | Fault::OutOfRange) => {
                    assert!(decoded.row_count() > 0, "{:?} {text}", live.fault);
                    assert!(
                        decoded.rejects.is_empty(),
                        "{:?} {text} {:?}",
                        live.fault,
                        decoded.rejects
                    );
                }
                Some(Fault::Truncated | Fault::WrongClock) => {
                    assert_eq!(decoded.row_count(), 0, "{:?} {text}", live.fault);
                    assert!(!decoded.rejects.is_empty(), "{:?} {text}", live.fault);
                }
                // Part of the message is missing: from airRohr and balconies the rest still counts.
                Some(Fault::Missing) => {}
            }
            *faults.entry(format!("{:?}", live.fault)).or_insert(0) += 1;
        }
    }
    assert_eq!(faults.len(), 7, "{faults:?}");
}

#[test]
fn history_holds_the_rows_that_live_messages_become() {
    let (city, decoders, history) = city_with_history(2);
    let mut past = Values::new();
    for source in [DemoSource::Airrohr, DemoSource::Lora, DemoSource::Balcony] {
        for chunk in history.chunks_of(source) {
            long_values(&chunk.batch, &mut past);
        }
    }

    // What every sensor would have sent at one hour.
    let second = END_S - 7 * 3_600;
    let sky = city.sky(second);
    let mut live = Values::new();
    let mut send = |message: Message| {
        let decoded = decode(&decoders, source_of(&message.topic), &message, second);
        assert!(decoded.rejects.is_empty(), "{:?}", decoded.rejects);
        for rows in decoded.rows {
            long_values(&rows.batch, &mut live);
        }
    };
    for sensor in &city.air_sensors {
        send(messages::airrohr(sensor, &sensor.read(&sky), true));
    }
    for station in &city.stations {
        let reading = station.read(&sky);
        match &station.uplink {
            Uplink::Lora { device_id, dev_eui } => {
                let frame = LoraFrame {
                    application: messages::TTS_APPLICATION,
                    device_id,
                    dev_eui,
                    f_cnt: 1,
                    second,
                    decoded: true,
                };
                send(messages::tts_uplink(&frame, &reading));
            }
            Uplink::Zigbee { device } => {
                send(messages::zigbee(device, &reading, second * 1_000, true))
            }
        }
    }

    let past: Values = past
        .into_iter()
        .filter(|((_, _, at), _)| *at == second)
        .collect();
    assert!(past.len() > 200, "{} rows", past.len());
    for (key, value) in &past {
        assert_eq!(live.get(key), Some(value), "{key:?}");
    }
}

#[test]
fn an_hour_of_history_is_the_sum_of_its_live_quarters() {
    let (city, decoders, history) = city_with_history(1);
    let chunks: Vec<_> = history.chunks_of(DemoSource::Telraam).collect();
    let [chunk] = chunks.as_slice() else {
        panic!("one month")
    };

    /// Per column and row: the number, if there is one.
    fn number(batch: &RecordBatch, column: &str, row: usize) -> Option<f64> {
        let values = batch[column].as_primitive::<Float64Type>();
        values.is_valid(row).then(|| values.value(row))
    }
    let hour_s = END_S - 13 * 3_600;
    let mut compared = 0;
    for segment in &city.segments {
        let quarters: Vec<_> = (0..4)
            .map(|q| hour_s + q * 900)
            .map(|s| (s, segment.quarter(&city.sky(s))))
            .collect();
        let message = messages::telraam_report(segment, &quarters);
        let decoded = decode(&decoders, DemoSource::Telraam, &message, END_S);
        assert!(decoded.rejects.is_empty(), "{:?}", decoded.rejects);
        let live = &decoded.rows[0].batch;
        assert_eq!(live.num_rows(), 4);

        let ids = chunk.batch["segment_id"].as_primitive::<Int64Type>();
        let times = chunk.batch["time"].as_primitive::<TimestampMicrosecondType>();
        let row = (0..chunk.batch.num_rows())
            .find(|row| ids.value(*row) == segment.id && times.value(*row) == hour_s * 1_000_000);
        let Some(row) = row else { continue };
        // Counts as seen: what is published, times the share of the interval that was seen.
        let seen = |batch: &RecordBatch, column: &str, row: usize| {
            let up = number(batch, "uptime", row).unwrap();
            number(batch, column, row).unwrap_or(0.0) * up
        };
        for column in ["car", "heavy_lft", "bike_rgt", "pedestrian", "night"] {
            let sum: f64 = (0..4).map(|q| seen(live, column, q)).sum();
            assert!(
                (seen(&chunk.batch, column, row) - sum).abs() < 1e-3,
                "{column} of {}",
                segment.id
            );
        }
        // Missing is missing in both: V1 counters know no night.
        if number(&chunk.batch, "uptime", row).unwrap() > 0.9 {
            let night = |batch: &RecordBatch, row| number(batch, "night", row).is_none();
            assert_eq!(night(&chunk.batch, row), night(live, 0));
        }
        if chunk.batch["speed_hist"].is_valid(row) && live["speed_hist"].is_valid(0) {
            for column in ["speed_hist", "speed_hist_fine"] {
                let bins =
                    |batch: &RecordBatch, row| batch[column].as_list::<i32>().value(row).len();
                assert_eq!(bins(&chunk.batch, row), bins(live, 0), "{column}");
            }
        }
        compared += 1;
    }
    assert!(compared > 40, "{compared} segments");
}
