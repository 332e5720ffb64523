use std::ops::Range;
use std::sync::Arc;

use meetnet_model::declarations::Declarations;
use meetnet_model::quality::{PropertyTests, Quality};
use meetnet_model::rows::RowsBuilder;
use meetnet_model::schemas;
use proptest::prelude::*;

use super::*;
use crate::plain::PlainSeries;

const MINUTE_US: i64 = 60_000_000;

/// The built-in declarations: `wind_gust` has no tests by earlier rows, the others have.
const PROPERTIES: [&str; 6] = [
    "air_temperature",
    "relative_humidity",
    "wind_gust",
    "dew_point",
    "air_pressure",
    "wind_direction",
];

/// A message: sensor, property, minute, value.
type Message = (u8, usize, i64, Option<i8>);

fn declarations() -> Declarations {
    schemas::builtin().into_declarations([])
}

fn heat() -> DatasetId {
    DatasetId::new("heat")
}

fn rows(declarations: &Declarations, messages: &[Message]) -> DatasetRows {
    let heat = declarations.dataset("heat").unwrap();
    let column = |name: &str| heat.column_index(name).unwrap();
    let mut rows = RowsBuilder::new(Arc::clone(heat));
    for (envelope, (sensor, property, minute, value)) in messages.iter().enumerate() {
        rows.set_text(column("sensor_id"), &format!("sensor-{sensor}"));
        rows.set_text(column("property"), PROPERTIES[*property]);
        rows.set_int(column("time"), minute * MINUTE_US);
        if let Some(value) = value {
            rows.set_float(column("value"), f64::from(*value));
        }
        rows.finish_row(envelope as u32).unwrap();
    }
    rows.take()
}

/// Observes messages whose first has this sequence.
fn observe(history: &mut QualityHistory, messages: &[Message], first: u64) -> Vec<SeriesFlags> {
    observe_by(&declarations(), history, messages, first)
}

/// The same by other rules.
fn observe_by(
    declarations: &Declarations,
    history: &mut QualityHistory,
    messages: &[Message],
    first: u64,
) -> Vec<SeriesFlags> {
    let rules = QualityRules::new(declarations);
    let rows = rows(declarations, messages);
    history.observe(&rules, &rows, |envelope| {
        Sequence(first + u64::from(envelope))
    })
}

/// The declared tests of a property of `heat`.
fn tests_of(declarations: &Declarations, name: &str) -> PropertyTests {
    let mut of_heat = declarations
        .properties
        .iter()
        .filter(|property| property.dataset == heat());
    let declared = of_heat.find(|property| property.name == name);
    declared.unwrap().tests.clone()
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    prop_oneof![
        messages_of(0..3, 0..PROPERTIES.len()),
        // More than a series remembers.
        messages_of(0..1, 0..2),
    ]
}

fn messages_of(
    sensors: Range<u8>,
    properties: Range<usize>,
) -> impl Strategy<Value = Vec<Message>> {
    let value =
        prop_oneof![6 => Just(Some(20_i8)), 2 => any::<i8>().prop_map(Some), 1 => Just(None::<i8>)];
    let message = (sensors, properties, 0_i64..2_000, value);
    prop::collection::vec(message, 2..600)
}

/// What each series of `heat` remembers, as text: a missing value is not equal to itself.
fn remembers(history: &QualityHistory) -> BTreeMap<(String, String), String> {
    let mut remembered = BTreeMap::new();
    for heat in history.datasets.values() {
        for (sensor, first) in &heat.sensors {
            for at in heat.ring(*first) {
                let property = &heat.properties[heat.links[at as usize].property as usize];
                let series = &heat.series[at as usize];
                if !series.is_empty() {
                    let key = (sensor.to_string(), property.to_string());
                    // Without what was only seen.
                    let text = format!("{:?} {:?}", series.observations, series.summary);
                    remembered.insert(key, text);
                }
            }
        }
    }
    remembered
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn a_restart_from_what_is_settled_makes_the_same_flags(
        messages in messages(),
        settled in any::<prop::sample::Index>(),
        observed in any::<prop::sample::Index>(),
    ) {
        let expect = observe(&mut QualityHistory::default(), &messages, 1);
        // Up to `observed` everything was decoded, up to `settled` committed; then the power went.
        let observed = observed.index(messages.len());
        let settled = settled.index(observed + 1);
        let mut before = QualityHistory::default();
        observe(&mut before, &messages[..observed], 1);
        before.settle(Sequence(settled as u64));
        let mut after = QualityHistory::from_bytes(&before.to_bytes()).unwrap();
        let flags = observe(&mut after, &messages[settled..], 1 + settled as u64);
        prop_assert_eq!(&flags[..], &expect[settled..]);
        // And it settles in the same state as without a restart.
        let mut whole = QualityHistory::default();
        observe(&mut whole, &messages, 1);
        whole.settle(Sequence(u64::MAX));
        after.settle(Sequence(u64::MAX));
        prop_assert_eq!(after.to_bytes(), whole.to_bytes());
    }

    #[test]
    fn flags_are_those_of_the_plain_tests_however_often_it_restarts(
        mut messages in messages(),
        is_in_order in any::<bool>(),
        calm in -1_000_i64..2_000,
        stops in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()),
            0..4,
        ),
    ) {
        if is_in_order {
            messages.sort_by_key(|(_, _, minute, _)| *minute);
        }
        // For longer than the period of an attenuated signal and the duration of a flat line.
        let calm = calm..calm + 1_000;
        for message in &mut messages {
            if calm.contains(&message.2) && message.3.is_some() {
                message.3 = Some(20);
            }
        }
        let declarations = declarations();
        let tests = PROPERTIES.map(|name| tests_of(&declarations, name));
        let mut series: BTreeMap<(u8, usize), PlainSeries> = BTreeMap::new();
        let mut expect = Vec::new();
        for (sensor, property, minute, value) in &messages {
            let now = Observation {
                time: minute * MINUTE_US,
                value: value.map_or(f64::NAN, f64::from),
            };
            let series = series.entry((*sensor, *property)).or_default();
            expect.push(series.push(&tests[*property], now));
        }
        let mut history = QualityHistory::default();
        let (mut observed, mut settled) = (0, 0);
        for (until, committed, is_restarted) in stops {
            let until = observed + until.index(messages.len() - observed + 1);
            let flags = observe(&mut history, &messages[observed..until], 1 + observed as u64);
            prop_assert_eq!(&flags[..], &expect[observed..until]);
            observed = until;
            settled += committed.index(observed - settled + 1);
            history.settle(Sequence(settled as u64));
            if is_restarted {
                // The power went, and what was not committed comes again.
                history = QualityHistory::from_bytes(&history.to_bytes()).unwrap();
                observed = settled;
            }
        }
        let flags = observe(&mut history, &messages[observed..], 1 + observed as u64);
        prop_assert_eq!(&flags[..], &expect[observed..]);
    }

    #[test]
    fn what_is_left_when_a_sensor_is_forgotten_is_as_if_it_had_not_been(
        messages in messages(),
        forgotten in 0_u8..3,
        observed in any::<prop::sample::Index>(),
        settled in any::<prop::sample::Index>(),
    ) {
        let observed = observed.index(messages.len());
        let settled = settled.index(observed + 1);
        let name = format!("sensor-{forgotten}");
        let others_of = |messages: &[Message]| -> Vec<Message> {
            let others = messages.iter().filter(|(sensor, ..)| *sensor != forgotten);
            others.copied().collect()
        };
        let mut history = QualityHistory::default();
        observe(&mut history, &messages[..observed], 1);
        history.settle(Sequence(settled as u64));
        history.forget(|sensor| sensor == name);
        let written = QualityHistory::from_bytes(&history.to_bytes()).unwrap();
        let mut then = QualityHistory::default();
        observe(&mut then, &others_of(&messages[..settled]), 1);
        prop_assert_eq!(remembers(&written), remembers(&then));
        // And it goes on, that sensor anew.
        let mut expect = QualityHistory::default();
        observe(&mut expect, &others_of(&messages[..observed]), 1);
        let rest = &messages[observed..];
        prop_assert_eq!(
            observe(&mut history, rest, 1 + observed as u64),
            observe(&mut expect, rest, 1 + observed as u64)
        );
        prop_assert_eq!(remembers(&history), remembers(&expect));
    }

    #[test]
    fn what_is_pending_is_taken_back_in_the_bytes(
        messages in messages_of(0..1, 0..2),
        settled in any::<prop::sample::Index>(),
    ) {
        let settled = settled.index(messages.len());
        let mut whole = QualityHistory::default();
        observe(&mut whole, &messages, 1);
        whole.settle(Sequence(settled as u64));
        let written = QualityHistory::from_bytes(&whole.to_bytes()).unwrap();
        let mut then = QualityHistory::default();
        observe(&mut then, &messages[..settled], 1);
        prop_assert_eq!(remembers(&written), remembers(&then));
        // And live goes on as it was.
        whole.settle(Sequence(u64::MAX));
        observe(&mut then, &messages[settled..], 1);
        prop_assert_eq!(remembers(&whole), remembers(&then));
    }

    #[test]
    fn other_bytes_are_no_history_and_no_panic(
        messages in messages(),
        cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut history = QualityHistory::default();
        observe(&mut history, &messages, 1);
        history.settle(Sequence(u64::MAX));
        let bytes = history.to_bytes();
        let cut = cut.index(bytes.len());
        prop_assert!(QualityHistory::from_bytes(&bytes[..cut]).is_none());
        let _ = QualityHistory::from_bytes(&noise);
    }
}

#[test]
fn rows_are_tested_by_those_of_their_own_series() {
    let mut history = QualityHistory::default();
    let flags = observe(
        &mut history,
        &[
            (1, 0, 0, Some(20)),
            (2, 0, 1, Some(60)),
            (1, 1, 1, Some(90)),
            (1, 0, 1, Some(35)),
            (1, 2, 1, Some(20)),
            (1, 0, 2, None),
        ],
        1,
    );
    let rates: Vec<Quality> = flags.iter().map(|flags| flags.rate_of_change).collect();
    use Quality::{Fail, Missing, NotEvaluated, Pass};
    assert_eq!(rates, [Pass, Pass, Pass, Fail, NotEvaluated, Missing]);
}

#[test]
fn sensors_have_series_of_their_own_whatever_their_names_are() {
    // Of each length two that differ in one byte.
    let of_length = |length: usize| {
        let name = "a".repeat(length);
        let mut other = name.clone();
        other.replace_range(length / 2..=length / 2, "b");
        [name, other]
    };
    let names: Vec<String> = (1..=40).flat_map(of_length).collect();
    let declarations = declarations();
    let heat = declarations.dataset("heat").unwrap();
    let column = |name: &str| heat.column_index(name).unwrap();
    let rules = QualityRules::new(&declarations);
    let mut history = QualityHistory::default();
    // One after the other is 40 degrees warmer for a minute.
    for minute in 0..names.len() {
        let mut rows = RowsBuilder::new(Arc::clone(heat));
        let mut expect = Vec::new();
        for (at, name) in names.iter().enumerate() {
            for property in &PROPERTIES[..2] {
                let jumps = *property == PROPERTIES[0];
                let is_warm = jumps && at == minute;
                rows.set_text(column("sensor_id"), name);
                rows.set_text(column("property"), property);
                rows.set_int(column("time"), minute as i64 * MINUTE_US);
                rows.set_float(column("value"), if is_warm { 60.0 } else { 20.0 });
                rows.finish_row(0).unwrap();
                // In the first minute nothing says that it was colder.
                let is_changed = jumps && minute > 0 && (at == minute || at == minute - 1);
                expect.push(if is_changed {
                    Quality::Fail
                } else {
                    Quality::Pass
                });
            }
        }
        let flags = history.observe(&rules, &rows.take(), |_| Sequence(minute as u64));
        let rates: Vec<Quality> = flags.iter().map(|flags| flags.rate_of_change).collect();
        assert_eq!(rates, expect, "minute {minute}");
    }
}

#[test]
fn a_series_goes_on_when_other_rules_are_in_force_and_after_a_restart() {
    let builtin = declarations();
    let mut only_rate = declarations();
    for property in &mut only_rate.properties {
        if property.name == PROPERTIES[0] {
            let tests = &mut Arc::make_mut(property).tests;
            (tests.flat_line, tests.attenuated_signal) = (None, None);
        }
    }
    // Calm, then lively, then calm; some are late, and some revise the one before them.
    let message = |number: i64| -> Message {
        let is_calm = number / 200 % 2 == 0;
        let value = if is_calm { 20 } else { 20 + number % 5 };
        let (minute, value) = match number % 10 {
            7 => (number - 1, value + 3),
            8 => (number - 30, value),
            _ => (number, value),
        };
        (0, 0, minute, Some(value as i8))
    };
    let messages: Vec<Message> = (0..900).map(message).collect();
    for rows_per_rules in [1, 7, 50, 140] {
        for restarts in [false, true] {
            let (mut history, mut plain) = (QualityHistory::default(), PlainSeries::default());
            let in_force = [&builtin, &only_rate].into_iter().cycle();
            let parts = messages.chunks(rows_per_rules);
            let mut observed = 0;
            for (part, declarations) in parts.zip(in_force) {
                let tests = tests_of(declarations, PROPERTIES[0]);
                let expect: Vec<SeriesFlags> = part
                    .iter()
                    .map(|(_, _, minute, value)| Observation {
                        time: minute * MINUTE_US,
                        value: value.map_or(f64::NAN, f64::from),
                    })
                    .map(|now| plain.push(&tests, now))
                    .collect();
                let flags = observe_by(declarations, &mut history, part, 1 + observed);
                assert_eq!(flags, expect, "{rows_per_rules} rows, from {observed} on");
                observed += part.len() as u64;
                if restarts {
                    history.settle(Sequence(observed));
                    history = QualityHistory::from_bytes(&history.to_bytes()).unwrap();
                }
            }
        }
    }
}

#[test]
fn what_is_forgotten_is_in_no_bytes_and_says_nothing_any_more() {
    let mut history = QualityHistory::default();
    observe(&mut history, &[(1, 0, 0, Some(20)), (2, 0, 0, Some(20))], 1);
    history.settle(Sequence(1));
    let contains = |history: &QualityHistory, text: &str| {
        let bytes = history.to_bytes();
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(contains(&history, "sensor-1") && contains(&history, "sensor-2"));
    history.forget(|sensor| sensor == "sensor-1");
    assert!(!contains(&history, "sensor-1") && contains(&history, "sensor-2"));
    history.settle(Sequence(2));
    let flags = observe(&mut history, &[(1, 0, 1, Some(60)), (2, 0, 1, Some(60))], 3);
    let rates: Vec<Quality> = flags.iter().map(|flags| flags.rate_of_change).collect();
    assert_eq!(rates, [Quality::Pass, Quality::Fail]);
    history.forget(|_| true);
    assert!(!contains(&history, "sensor-2"));
}

#[test]
fn a_dataset_without_such_tests_has_no_history() {
    let declarations = declarations();
    let rows = rows(&declarations, &[(1, 0, 0, Some(20))]);
    let mut history = QualityHistory::default();
    let flags = history.observe(&QualityRules::default(), &rows, |_| Sequence(1));
    assert!(flags.is_empty() && history.datasets.is_empty());
}

#[test]
fn messages_that_come_again_take_no_memory() {
    let mut history = QualityHistory::default();
    let messages = [(1, 0, 0, Some(20)), (1, 0, 1, None), (1, 0, 2, Some(21))];
    let pending = |history: &QualityHistory| -> usize {
        let datasets = history.datasets.values();
        datasets.map(|history| history.pending.len()).sum()
    };
    for first in [1, 4, 7] {
        observe(&mut history, &messages, first);
        assert_eq!(pending(&history), 3, "from {first} on");
    }
    observe(&mut history, &[(1, 0, 2, Some(22))], 10);
    assert_eq!(pending(&history), 4);
    history.settle(Sequence(3));
    assert_eq!(pending(&history), 1);
    // The block is filled again from its begin.
    history.settle(Sequence(10));
    assert_eq!(pending(&history), 0);
    let settled = history.to_bytes();
    observe(&mut history, &[(1, 0, 3, Some(22))], 11);
    assert_eq!(pending(&history), 1);
    assert!(history.to_bytes() == settled);
}

#[test]
fn what_is_settled_within_a_block_of_many_is_not_taken_back() {
    let messages: Vec<Message> = (0..4 * pending::BLOCK as i64)
        .map(|minute| (0, 0, minute, Some((minute % 50) as i8)))
        .collect();
    let settled_at = |through: usize| {
        let mut history = QualityHistory::default();
        observe(&mut history, &messages[..through], 1);
        history.settle(Sequence(through as u64));
        history.to_bytes()
    };
    let mut history = QualityHistory::default();
    let mut observed = 0;
    let block = pending::BLOCK;
    for (until, through) in [
        (10, 1),
        (block - 1, 700),
        (block + 1, 900),
        (2 * block, block),
        // Into the block that was given back, with another before it.
        (3 * block + 5, block + 1),
        (4 * block, 3 * block - 1),
        (4 * block, 4 * block),
    ] {
        observe(
            &mut history,
            &messages[observed..until],
            1 + observed as u64,
        );
        observed = until;
        history.settle(Sequence(through as u64));
        // An earlier one says nothing new.
        history.settle(Sequence(through as u64 / 2));
        assert!(
            history.to_bytes() == settled_at(through),
            "through {through}"
        );
    }
    assert_eq!(history.datasets[&heat()].pending.len(), 0);
}

#[test]
fn observations_that_are_settled_give_their_memory_back() {
    let mut history = QualityHistory::default();
    let messages: Vec<Message> = (0..50_000).map(|minute| (1, 0, minute, Some(20))).collect();
    observe(&mut history, &messages, 1);
    let capacity = |history: &QualityHistory| history.datasets[&heat()].pending.capacity();
    assert!(capacity(&history) >= messages.len());
    history.settle(Sequence(messages.len() as u64));
    assert!(
        capacity(&history) <= (pending::SPARE_MAX + 1) * pending::BLOCK,
        "{}",
        capacity(&history)
    );
}

#[test]
fn series_without_room_are_counted_and_take_the_place_of_forgotten_ones() {
    let remembered = |history: &QualityHistory| {
        let (_, remembered) = history.remembered().next().unwrap();
        (remembered.series, remembered.untested_rows)
    };
    let mut history = QualityHistory::default();
    let declarations = declarations();
    let heat = declarations.dataset("heat").unwrap();
    let column = |name: &str| heat.column_index(name).unwrap();
    let rules = QualityRules::new(&declarations);
    let rate =
        |history: &mut QualityHistory, sensors: std::ops::Range<usize>, minute: i64, value: f64| {
            let mut rows = RowsBuilder::new(Arc::clone(heat));
            for sensor in sensors {
                rows.set_text(column("sensor_id"), &format!("sensor-{sensor}"));
                rows.set_text(column("property"), PROPERTIES[0]);
                rows.set_int(column("time"), minute * MINUTE_US);
                rows.set_float(column("value"), value);
                rows.finish_row(0).unwrap();
            }
            let flags = history.observe(&rules, &rows.take(), |_| Sequence(minute as u64));
            flags.last().unwrap().rate_of_change
        };
    use Quality::{Fail, NotEvaluated, Pass};
    assert_eq!(rate(&mut history, 0..SERIES_MAX, 1, 20.0), Pass);
    assert_eq!(remembered(&history), (SERIES_MAX, 0));
    let next = SERIES_MAX..SERIES_MAX + 1;
    assert_eq!(rate(&mut history, next.clone(), 1, 20.0), NotEvaluated);
    assert_eq!(rate(&mut history, next.clone(), 2, 60.0), NotEvaluated);
    assert_eq!(remembered(&history), (SERIES_MAX, 2));
    history.forget(|sensor| sensor == "sensor-7");
    assert_eq!(remembered(&history), (SERIES_MAX - 1, 2));
    // The new one begins with nothing of the old one.
    assert_eq!(rate(&mut history, next.clone(), 3, 60.0), Pass);
    assert_eq!(rate(&mut history, next, 4, 20.0), Fail);
    assert_eq!(remembered(&history), (SERIES_MAX, 2));
    assert_eq!(rate(&mut history, 7..8, 5, 20.0), NotEvaluated);
}
