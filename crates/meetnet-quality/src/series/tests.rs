use meetnet_model::quality::Variation;
use proptest::prelude::*;

use super::*;
use crate::batch;

const SECOND_US: i64 = 1_000_000;
const STEP_US: i64 = 150 * SECOND_US;

fn declared() -> PropertyTests {
    PropertyTests {
        rate_of_change: Some(RateOfChange {
            suspect_per_hour: 24.0,
            fail_per_hour: Some(72.0),
            distance_min_s: None,
        }),
        flat_line: Some(FlatLine {
            tolerance: 0.5,
            suspect_s: 900,
            fail_s: 1_800,
        }),
        attenuated_signal: Some(AttenuatedSignal {
            variation: Variation::Deviation,
            period_s: 1_500,
            observations_min: 3,
            span_min_s: None,
            // No deviation of so few whole numbers is as near to these as a rounding error.
            suspect: 1.05,
            fail: 0.27,
        }),
        ..PropertyTests::default()
    }
}

fn series(values: &[Option<u8>]) -> Vec<Observation> {
    let times = (0..).map(|number| number * STEP_US);
    let observation = |(time, value): (i64, &Option<u8>)| Observation {
        time,
        value: value.map_or(f64::NAN, f64::from),
    };
    times.zip(values).map(observation).collect()
}

/// Values that often stay as they are, move a little, jump or are missing.
fn lively(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Option<u8>>> {
    let value = prop_oneof![
        8 => Just(Some(7_u8)),
        2 => Just(Some(8_u8)),
        1 => any::<u8>().prop_map(Some),
        1 => Just(None::<u8>),
    ];
    prop::collection::vec(value, length)
}

fn push_all(history: &mut SeriesHistory, observations: &[Observation]) -> Vec<SeriesFlags> {
    let tests = SeriesTests::new(&declared()).unwrap();
    let push = |observation: &Observation| history.push(&tests, *observation);
    observations.iter().map(push).collect()
}

/// The flags of one observation by the definitions of the tests, straight from the series.
fn by_definition(series: &[Observation], at: usize) -> [Quality; 3] {
    let now = series[at];
    if now.is_missing() {
        return [Quality::Missing; 3];
    }
    let level = |bad: bool, worse: bool| match (bad, worse) {
        (_, true) => Quality::Fail,
        (true, false) => Quality::Suspect,
        (false, false) => Quality::Pass,
    };
    let known = |observations: &[Observation]| -> Vec<f64> {
        let values = observations.iter().map(|observation| observation.value);
        values.filter(|value| value.is_finite()).collect()
    };
    let step = match at.checked_sub(1).map(|before| series[before].value) {
        Some(before) if before.is_finite() => (now.value - before).abs(),
        _ => 0.0,
    };
    // 24 and 72 per hour are 1 and 3 per step.
    let rate = level(step > 1.0, step > 3.0);
    // 900 and 1,800 s are 6 and 12 steps.
    let is_flat = |steps: usize| {
        at >= steps && {
            let window = known(&series[at - steps..=at]);
            window.iter().all(|value| *value == window[0])
        }
    };
    let flat = level(is_flat(6), is_flat(12));
    // 1,500 s are 10 steps, the first of which is not in the period.
    let window = known(&series[at.saturating_sub(9)..=at]);
    let attenuated = if window.len() < 3 {
        Quality::NotEvaluated
    } else {
        let count = window.len() as f64;
        let mean = window.iter().sum::<f64>() / count;
        let variance = window.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count;
        level(variance.sqrt() < 1.05, variance.sqrt() < 0.27)
    };
    [rate, flat, attenuated]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn pushing_one_by_one_gives_the_flags_of_the_whole_series(values in lively(3..400)) {
        let series = series(&values);
        let declared = declared();
        let rate = batch::rate_of_change(&series, declared.rate_of_change.unwrap());
        let flat = batch::flat_line(&series, declared.flat_line.unwrap());
        let attenuated = batch::attenuated_signal(&series, declared.attenuated_signal.unwrap());
        let pushed = push_all(&mut SeriesHistory::default(), &series);
        for (at, flags) in pushed.iter().enumerate() {
            let whole = [rate[at], flat[at], attenuated[at]];
            prop_assert_eq!(whole, by_definition(&series, at), "at {}", at);
            prop_assert_eq!(flags.rate_of_change, whole[0], "rate of change at {}", at);
            prop_assert_eq!(flags.attenuated_signal, whole[2], "attenuated at {}", at);
            // Two observations make the first interval.
            if at >= 2 {
                prop_assert_eq!(flags.flat_line, whole[1], "flat line at {}", at);
            }
        }
    }

    #[test]
    fn late_and_repeated_observations_leave_the_history_of_the_order_of_time(
        values in lively(1..300),
        swaps in prop::collection::vec((0_usize..300, 1_usize..20), 0..40),
    ) {
        let sorted = series(&values);
        let mut arriving = sorted.clone();
        for (at, distance) in swaps {
            let (a, b) = (at % sorted.len(), (at + distance) % sorted.len());
            arriving.swap(a, b);
            arriving.push(sorted[a]);
        }
        let (mut expect, mut history) = (SeriesHistory::default(), SeriesHistory::default());
        push_all(&mut expect, &sorted);
        push_all(&mut history, &arriving);
        // Missing values are not equal to themselves.
        let bits = |history: &SeriesHistory| -> Vec<(i64, u64)> {
            let observations = history.observations.iter();
            observations.map(|o| (o.time, o.value.to_bits())).collect()
        };
        prop_assert_eq!(bits(&history), bits(&expect));
        prop_assert!(history.len() <= OBSERVATIONS_MAX);
    }
}

#[test]
fn what_the_history_forgot_is_not_evaluated() {
    let mut history = SeriesHistory::default();
    let long = vec![Some(7); OBSERVATIONS_MAX + 1];
    push_all(&mut history, &series(&long));
    assert_eq!(history.len(), OBSERVATIONS_MAX);
    // A late one from before everything that is remembered.
    let late = Observation {
        time: -STEP_US,
        value: 7.0,
    };
    let before = history.clone();
    let flags = push_all(&mut history, &[late]);
    assert_eq!(flags, [SeriesFlags::NOT_EVALUATED]);
    assert_eq!(history, before);
    // A late one with three of its twelve steps remembered.
    let time = 4 * STEP_US - 1;
    let flags = push_all(&mut history, &[Observation { time, value: 7.0 }]);
    let expect = SeriesFlags {
        rate_of_change: Quality::Pass,
        ..SeriesFlags::NOT_EVALUATED
    };
    assert_eq!(flags, [expect]);
}

#[test]
fn a_revision_takes_the_place_of_what_it_replaces() {
    let mut history = SeriesHistory::default();
    push_all(&mut history, &series(&[Some(7), Some(9)]));
    let revised = Observation {
        time: STEP_US,
        value: 7.5,
    };
    let next = Observation {
        time: 2 * STEP_US,
        value: 7.0,
    };
    let rates = push_all(&mut history, &[revised, next]).into_iter();
    let rates: Vec<Quality> = rates.map(|flags| flags.rate_of_change).collect();
    assert_eq!(rates, [Quality::Pass, Quality::Pass]);
    assert_eq!(history.len(), 3);
}

#[test]
fn a_property_without_such_tests_needs_no_history() {
    assert_eq!(SeriesTests::new(&PropertyTests::default()), None);
    let only_range = PropertyTests {
        suspect_range: Some([0.0, 1.0]),
        ..PropertyTests::default()
    };
    assert_eq!(SeriesTests::new(&only_range), None);
    let only_rate = PropertyTests {
        rate_of_change: declared().rate_of_change,
        ..PropertyTests::default()
    };
    let tests = SeriesTests::new(&only_rate).unwrap();
    let mut history = SeriesHistory::default();
    for observation in series(&[Some(1), Some(2), Some(3)]) {
        history.push(&tests, observation);
    }
    assert_eq!(history.len(), 1, "one observation is enough");
}
