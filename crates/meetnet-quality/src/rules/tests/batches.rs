//! Rows of one batch, and flags of several tests, in every combination.

use std::collections::HashMap;

use meetnet_model::calendar::DAY_US;
use meetnet_model::dataset::DatasetKind;
use meetnet_model::quality::{MonthLimits, Quality, QualityTest};
use meetnet_model::rows::RowsBuilder;
use proptest::prelude::*;

use super::{RANGE, declaration, flags, long_columns};
use crate::rules::{PropertyRules, QualityRules, RowFacts, TIME_AHEAD_MAX_US, with_series_flags};
use crate::series::SeriesFlags;
use crate::value::Climatology;

const QUALITIES: [Quality; 5] = [
    Quality::Pass,
    Quality::NotEvaluated,
    Quality::Suspect,
    Quality::Fail,
    Quality::Missing,
];

/// The properties of [`TestedRow`]s; nothing is declared of the last one.
const PROPERTIES: [&str; 3] = ["air_temperature", "relative_humidity", "unknown"];

/// A row with what is known beside it.
#[derive(Clone, Copy, Debug)]
struct TestedRow {
    property: usize,
    time: i64,
    value: Option<f64>,
    received_at: i64,
    is_clock_step: bool,
    series: SeriesFlags,
}

fn tested_row() -> impl Strategy<Value = TestedRow> {
    let quality = || prop::sample::select(QUALITIES.to_vec());
    let series = (quality(), quality(), quality(), quality(), quality());
    (
        0..PROPERTIES.len(),
        -70_i64..70,
        prop::option::weighted(0.9, -60.0_f64..130.0),
        -2_i64..=2,
        prop::bool::weighted(0.1),
        prop::option::weighted(0.4, series),
    )
        .prop_map(|(property, day, value, ahead, is_clock_step, series)| {
            let time = day * DAY_US;
            let series = series.map(|(rate, flat, attenuated, spike, neighbour)| SeriesFlags {
                rate_of_change: rate,
                flat_line: flat,
                attenuated_signal: attenuated,
                spike,
                neighbour,
            });
            TestedRow {
                property,
                time,
                value,
                received_at: time - ahead * TIME_AHEAD_MAX_US,
                is_clock_step,
                series: series.unwrap_or(SeriesFlags::NOT_EVALUATED),
            }
        })
}

/// The flags of rows of one batch. `known` says which lists of facts there are.
fn flags_of_batch(rules: &QualityRules, tested: &[TestedRow], known: [bool; 3]) -> Vec<(i8, i64)> {
    let mut rows = RowsBuilder::new(declaration(DatasetKind::Long, long_columns()));
    for row in tested {
        rows.set_text(0, "a");
        rows.set_text(1, PROPERTIES[row.property]);
        rows.set_int(2, row.time);
        row.value.into_iter().for_each(|v| rows.set_float(3, v));
        rows.finish_row(0).unwrap();
    }
    let [knows_receive_time, knows_clock, knows_series] = known;
    let received_at: Vec<i64> = tested.iter().map(|row| row.received_at).collect();
    let clock_steps: Vec<bool> = tested.iter().map(|row| row.is_clock_step).collect();
    let series: Vec<SeriesFlags> = tested.iter().map(|row| row.series).collect();
    let facts = RowFacts {
        received_at: if knows_receive_time {
            &received_at
        } else {
            &[]
        },
        clock_steps: if knows_clock { &clock_steps } else { &[] },
        series: if knows_series { &series } else { &[] },
    };
    flags(rules, &mut rows, facts)
}

proptest! {
    #[test]
    fn each_row_of_a_batch_has_the_flag_that_it_has_alone(
        tested in prop::collection::vec(tested_row(), 1..60),
        known in prop::array::uniform3(any::<bool>()),
    ) {
        let limits = |month: u8| MonthLimits {
            months: vec![month],
            suspect: [-5.0 * f64::from(month), 10.0 * f64::from(month)],
            fail: None,
        };
        let temperature = PropertyRules {
            range: [-40.0, 50.0],
            suspect_range: None,
            climatology: Some(Climatology::new(&[limits(1), limits(2), limits(12)])),
            series: None,
        };
        let humidity = PropertyRules {
            range: [0.0, 100.0],
            suspect_range: Some([5.0, 95.0]),
            climatology: None,
            series: None,
        };
        let of_dataset = [temperature, humidity];
        let of_dataset = PROPERTIES.into_iter().map(str::to_owned).zip(of_dataset).collect();
        let rules = QualityRules {
            properties: HashMap::from([("d".into(), of_dataset)]),
            ..QualityRules::default()
        };
        let alone: Vec<(i8, i64)> = tested
            .iter()
            .flat_map(|row| flags_of_batch(&rules, &[*row], known))
            .collect();
        prop_assert_eq!(flags_of_batch(&rules, &tested, known), alone);
    }
}

#[test]
fn what_tests_by_other_rows_say_makes_a_flag_worse_and_never_better() {
    let tests = [
        QualityTest::RateOfChange,
        QualityTest::FlatLine,
        QualityTest::AttenuatedSignal,
        QualityTest::Spike,
        QualityTest::Neighbour,
    ];
    for number in 0..QUALITIES.len().pow(6) {
        // One digit each: five tests, and the flag before them.
        let digit = |at: u32| QUALITIES[number / QUALITIES.len().pow(at) % QUALITIES.len()];
        let of_tests = [0, 1, 2, 3, 4].map(digit);
        let before = digit(5);
        let [
            rate_of_change,
            flat_line,
            attenuated_signal,
            spike,
            neighbour,
        ] = of_tests;
        let flags = SeriesFlags {
            rate_of_change,
            flat_line,
            attenuated_signal,
            spike,
            neighbour,
        };
        let is_raised = |flag: Quality| matches!(flag, Quality::Suspect | Quality::Fail);
        let raised = of_tests.into_iter().filter(|flag| is_raised(*flag));
        let has_passed = of_tests.contains(&Quality::Pass);
        let expect = match raised.max() {
            Some(worst) if before == Quality::NotEvaluated => worst,
            Some(worst) => worst.max(before),
            None if has_passed && before == Quality::NotEvaluated => Quality::Pass,
            None => before,
        };
        let bits = tests.into_iter().zip(of_tests);
        let bits = bits.filter(|(_, flag)| is_raised(*flag));
        let bits = bits.fold(RANGE, |bits, (test, _)| bits | test.bit());
        assert_eq!(
            with_series_flags((before.code(), RANGE), flags),
            (expect.code(), bits),
            "{flags:?} behind {before:?}"
        );
    }
}
