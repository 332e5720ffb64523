use std::collections::BTreeSet;

use super::expect::{Deliveries, Fold, SCALE, Tally};
use super::*;

/// 2026-11-20 11:00 UTC.
const NOON_S: i64 = 1_795_172_400;
const SENT: [&str; 2] = ["2026-11-20T11:00:00Z", "2026-11-20T11:01:00Z"];

fn plan(formats: &[LoadFormat], messages: u64) -> LoadPlan {
    LoadPlan {
        seed: 7,
        until_s: NOON_S,
        lanes: Lane::of(&Transport::ALL, formats),
        devices: 3,
        messages,
        batch: 4,
        faults: FaultShares::NONE,
        prefix: "sim".to_owned(),
        password: None,
    }
}

fn load(plan: LoadPlan) -> Load {
    Load::new(plan).unwrap()
}

fn sent() -> [String; 2] {
    SENT.map(str::to_owned)
}

#[test]
fn a_plan_gives_the_same_messages_each_time() {
    let faults = FaultShares {
        duplicate: 0.2,
        late: 0.2,
        truncated: 0.2,
        out_of_range: 0.2,
        ..FaultShares::NONE
    };
    let planned = |seed| {
        load(LoadPlan {
            seed,
            faults,
            ..plan(&LoadFormat::ALL, 200)
        })
    };
    let (first, again, other) = (planned(7), planned(7), planned(8));
    assert_eq!(first.tag(), again.tag());
    assert_ne!(first.tag(), other.tag());
    let mut copies = 0;
    for number in 0..200 {
        let unit = first.unit(number);
        assert_eq!(unit, again.unit(number), "message {number}");
        assert_ne!(unit.outgoing, other.unit(number).outgoing, "{number}");
        copies += unit.copies;
    }
    assert!(copies > 220, "{copies} copies");
}

#[test]
fn every_reading_of_a_device_has_a_time_of_its_own() {
    let load = load(plan(&[LoadFormat::Telraam, LoadFormat::Ndjson], 60));
    for lane in load.lanes() {
        let readings = load.readings(*lane) as i64;
        let mut seconds = BTreeSet::new();
        for index in 0..readings {
            for is_late in [false, true] {
                let reading = load.reading(*lane, 1, index, is_late);
                assert!(reading.second < NOON_S, "{reading:?}");
                assert_eq!(reading.second % lane.format.step_s(), 0);
                assert!(seconds.insert(reading.second), "{reading:?} comes twice");
                let on_time = load.reading(*lane, 1, index, false);
                assert!(!is_late || on_time.second - reading.second > LATE_S);
            }
        }
    }
}

#[test]
fn wrong_plans_are_turned_away() {
    let check = |plan: LoadPlan, expected: &str| {
        let said = Load::new(plan).unwrap_err().to_string();
        assert!(said.contains(expected), "{said}");
    };
    let good = || plan(&[LoadFormat::Json], 10);
    let lanes = Lane::of(&[Transport::Mqtt], &[LoadFormat::InfluxV2]);
    check(LoadPlan { lanes, ..good() }, "no format is left");
    check(
        LoadPlan {
            devices: 0,
            ..good()
        },
        "the number of devices must lie between 1 and 1000000",
    );
    check(
        LoadPlan {
            messages: 0,
            ..good()
        },
        "the number of messages",
    );
    check(LoadPlan { batch: 0, ..good() }, "the batch");
    let faults = FaultShares {
        duplicate: 0.6,
        late: 0.6,
        ..FaultShares::NONE
    };
    check(LoadPlan { faults, ..good() }, "at most 1");
    let prefix = "Sim_1".to_owned();
    check(LoadPlan { prefix, ..good() }, "`Sim_1`");
    let messages = 1 << 50;
    check(LoadPlan { messages, ..good() }, "use more devices");
    // 20,000 quarters of an hour are 208 days, and late ones lie before them.
    let quarters = plan(&[LoadFormat::Telraam], 20_000 * 2 * 3);
    check(quarters, "of each telraam device");
}

#[test]
fn truncated_messages_keep_what_stands_before_the_cut() {
    let faults = FaultShares {
        truncated: 1.0,
        ..FaultShares::NONE
    };
    let check = |format: LoadFormat, rows: usize, malformed: u64, end: &str| {
        let load = load(LoadPlan {
            faults,
            ..plan(&[format], 10)
        });
        let unit = load.unit(load.lanes().len() as u64 - 1);
        let text = match unit.outgoing.is_get {
            true => unit.outgoing.place,
            false => String::from_utf8(unit.outgoing.payload).unwrap(),
        };
        assert!(text.ends_with(end), "{format:?}: {text}");
        assert_eq!(unit.effects.rows.len(), rows, "{format:?}");
        assert_eq!(unit.effects.malformed, malformed, "{format:?}");
    };
    // Three of four readings, two values each.
    check(LoadFormat::Csv, 6, 1, "Z");
    check(LoadFormat::Influx, 6, 1, ",hum=");
    check(LoadFormat::Ndjson, 6, 1, "");
    check(LoadFormat::Ecowitt, 1, 0, "&humid");
    check(LoadFormat::Wunderground, 1, 0, "&humid");
    check(LoadFormat::Telraam, 0, 1, "");
    check(LoadFormat::Senml, 0, 1, "");
}

#[test]
fn what_is_acknowledged_must_be_there_and_what_is_in_doubt_may() {
    let load = load(plan(&[LoadFormat::Senml, LoadFormat::SensorCommunity], 30));
    let position = |format| {
        let mut lanes = load.lanes().iter();
        lanes.position(|lane| lane.format == format).unwrap()
    };
    let (senml, boxes) = (
        position(LoadFormat::Senml),
        position(LoadFormat::SensorCommunity),
    );
    let mut tally = Tally::new(&load);
    let deliveries = |acknowledged, in_doubt, refused| Deliveries {
        acknowledged,
        in_doubt,
        refused,
    };
    let unit = |lane: usize| load.unit(lane as u64);
    let effects = unit(senml).effects;
    tally.settle(senml, &effects, deliveries(2, 0, 0));
    tally.settle(senml, &effects, deliveries(1, 1, 0));
    tally.settle(senml, &effects, deliveries(0, 2, 0));
    tally.settle(senml, &effects, deliveries(0, 0, 1));
    // The copies of a message without a time of its own are rows of their own.
    tally.settle(boxes, &unit(boxes).effects, deliveries(2, 1, 0));

    let expectation = tally.expectation(&load, &sent());
    let messages = expectation.messages;
    assert_eq!(
        (messages.acknowledged, messages.duplicates),
        (5, 2),
        "{messages:?}"
    );
    assert_eq!((messages.in_doubt, messages.refused), (4, 1));
    let part = |dataset: &str| {
        let mut parts = expectation.parts.iter();
        parts.find(|part| part.dataset == dataset).unwrap()
    };
    let heat = part("heat");
    assert_eq!(heat.source, "sim-mqtt-senml");
    assert_eq!(heat.rows(), (4, 2));
    let mut once = Fold::default();
    once.add(effects.rows[0].value);
    assert_eq!(heat.series[0].name, "air_temperature");
    assert_eq!(heat.series[0].must, once.with(&once));
    assert_eq!(heat.series[0].may, once);
    let air = part("air");
    assert_eq!(air.source, "sim-http-airrohr");
    assert_eq!(air.rows(), (4, 2));
    let [from, to] = sent();
    assert_eq!(air.selection, Selection::ReceivedBetween { from, to });
    let Selection::SensorsBeginning(beginning) = &heat.selection else {
        panic!("{:?}", heat.selection)
    };
    assert_eq!(*beginning, format!("sim-mqtt-senml-{}-", load.tag()));

    let text = serde_json::to_string(&expectation).unwrap();
    let read: expect::Expectation = serde_json::from_str(&text).unwrap();
    assert_eq!(read, expectation);
}

#[test]
fn folds_count_sum_and_bound() {
    let mut fold = Fold::default();
    for value in [3 * SCALE, -SCALE, 2 * SCALE] {
        fold.add(value);
    }
    assert_eq!((fold.rows, fold.sum), (3, 4 * SCALE));
    assert_eq!((fold.lowest, fold.highest), (Some(-SCALE), Some(3 * SCALE)));
    assert_eq!(fold.with(&Fold::default()), fold);
}

#[test]
fn devices_of_lanes_and_runs_do_not_meet() {
    let first = load(plan(&LoadFormat::ALL, 100));
    let later = load(LoadPlan {
        until_s: NOON_S + 60,
        ..plan(&LoadFormat::ALL, 100)
    });
    assert_ne!(first.tag(), later.tag());
    let mut chips = BTreeSet::new();
    let mut segments = BTreeSet::new();
    let mut numbers = BTreeSet::new();
    for lane in first.lanes() {
        assert!(numbers.insert(lane.number()), "{lane:?}");
        assert!(lane.number() < 100);
        for device in [0, DEVICES_MAX - 1] {
            assert!(chips.insert(first.chip_id(*lane, device)));
            assert!(segments.insert(first.segment_id(*lane, device)));
            assert_eq!(first.dev_eui(*lane, device).len(), 16);
        }
    }
}
