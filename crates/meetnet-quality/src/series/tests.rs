use meetnet_model::quality::Variation;
use proptest::prelude::*;

use super::*;
use crate::batch;
use crate::plain::PlainSeries;

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

/// Rules that the same series may have one after the other, as when they are declared anew.
fn rule_sets() -> [PropertyTests; 4] {
    let all = declared();
    let attenuated = |variation, period_s, observations_min, span_min_s, suspect: f64| {
        Some(AttenuatedSignal {
            variation,
            period_s,
            observations_min,
            span_min_s,
            suspect,
            fail: suspect / 4.0,
        })
    };
    [
        PropertyTests {
            attenuated_signal: attenuated(Variation::Range, 1_800, 4, None, 2.0),
            ..all.clone()
        },
        // Reaches further back than what is remembered of one that reports every minute.
        PropertyTests {
            attenuated_signal: attenuated(Variation::Range, 43_200, 6, Some(3_600), 3.0),
            ..all.clone()
        },
        PropertyTests {
            attenuated_signal: None,
            flat_line: None,
            ..all.clone()
        },
        all,
    ]
}

/// How an observation follows those before it.
#[derive(Clone, Copy, Debug)]
enum Follows {
    After(i64),
    Late(i64),
    Again,
    /// Of the time of the one that came so many before the last.
    Revised(usize),
}

fn follows() -> impl Strategy<Value = Follows> {
    prop_oneof![
        40 => Just(Follows::After(60 * SECOND_US)),
        4 => (1..90 * SECOND_US).prop_map(Follows::After),
        1 => (1..200_000 * SECOND_US).prop_map(Follows::After),
        3 => (1..9_000 * SECOND_US).prop_map(Follows::Late),
        1 => Just(Follows::Again),
        1 => Just(Follows::Revised(0)),
        2 => (0..150_usize).prop_map(Follows::Revised),
    ]
}

/// Stretches of values that stay, creep, vary or are missing, one after the other.
fn stretches() -> impl Strategy<Value = Vec<f64>> {
    let stretch = (0_u8..4, 1_usize..200, -20_i32..20).prop_map(|(kind, length, base)| {
        let value = move |at: usize| {
            let base = f64::from(base);
            match kind {
                0 => base,
                1 => base + at as f64 / 64.0,
                2 => base + (at * 7 % 5) as f64 / 2.0,
                _ if at < 3 => f64::NAN,
                _ if at < 5 => f64::NEG_INFINITY,
                _ => base,
            }
        };
        (0..length).map(value).collect::<Vec<f64>>()
    });
    prop::collection::vec(stretch, 1..6).prop_map(|stretches| stretches.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_flag_is_that_of_the_plain_tests(
        values in stretches(),
        order in prop::collection::vec(follows(), 1..200),
        in_force in prop::collection::vec((0_usize..4, 1_usize..150), 1..8),
    ) {
        let sets = rule_sets();
        let in_force = in_force.iter().cycle();
        let rules = in_force.flat_map(|(set, rows)| std::iter::repeat_n(&sets[*set], *rows));
        let arriving = values.into_iter().zip(order.iter().cycle()).zip(rules);
        let (mut history, mut plain) = (SeriesHistory::default(), PlainSeries::default());
        let mut newest = Observation { time: 0, value: 0.0 };
        let mut times: Vec<i64> = Vec::new();
        for (number, ((value, follows), declared)) in arriving.enumerate() {
            let time = match *follows {
                Follows::After(gap) => newest.time + gap,
                Follows::Late(back) => newest.time - back,
                Follows::Again => newest.time,
                Follows::Revised(back) => {
                    times.iter().nth_back(back).copied().unwrap_or(newest.time)
                }
            };
            times.push(time);
            let now = match follows {
                Follows::Again => newest,
                _ => Observation { time, value },
            };
            if time >= newest.time {
                newest = now;
            }
            let tests = SeriesTests::new(declared).unwrap();
            prop_assert_eq!(
                history.push(&tests, now),
                plain.push(declared, now),
                "number {}: {:?}", number, now
            );
        }
    }
}

/// Pushes values, each of which gets the flags of the plain tests; returns what the attenuated signal test says last.
fn attenuated(values: impl IntoIterator<Item = (i64, f64)>, declared: &PropertyTests) -> Quality {
    let values = values.into_iter();
    attenuated_by(values.map(|(minute, value)| (minute, value, declared)))
}

/// The same, each value by rules of its own.
fn attenuated_by<'a>(values: impl Iterator<Item = (i64, f64, &'a PropertyTests)>) -> Quality {
    let (mut history, mut plain) = (SeriesHistory::default(), PlainSeries::default());
    let mut last = SeriesFlags::NOT_EVALUATED;
    for (minute, value, declared) in values {
        let tests = SeriesTests::new(declared).unwrap();
        let time = minute * 60 * SECOND_US;
        let now = Observation { time, value };
        last = history.push(&tests, now);
        assert_eq!(last, plain.push(declared, now), "minute {minute}");
    }
    last.attenuated_signal
}

#[test]
fn a_signal_passes_only_while_what_varied_is_in_its_period_and_remembered() {
    let [short, long, ..] = rule_sets();
    // It varies for five minutes and then stays as it is until minute `end`.
    let stays =
        |end: i64| (0..=end).map(|minute| (minute, if minute < 5 { minute as f64 } else { 4.0 }));
    let check = |declared: &PropertyTests, end: i64, expect: Quality| {
        assert_eq!(attenuated(stays(end), declared), expect, "until {end}");
    };
    // The period is 30 minutes: at its end two values lie 2 apart, then 1.
    check(&short, 31, Quality::Pass);
    check(&short, 32, Quality::Suspect);
    check(&short, 34, Quality::Fail);
    // The period is 12 hours, 128 minutes are remembered.
    check(&long, 129, Quality::Pass);
    check(&long, 130, Quality::NotEvaluated);
}

#[test]
fn a_revision_takes_back_what_a_signal_varied() {
    let [short, ..] = rule_sets();
    let varied = (0..6).map(|minute| (minute, if minute == 3 { 9.0 } else { 1.0 }));
    assert_eq!(attenuated(varied.clone(), &short), Quality::Pass);
    // The one that stood out was wrong; then it goes on.
    let revised = varied.chain([(3, 1.0), (6, 1.0)]);
    assert_eq!(attenuated(revised, &short), Quality::Fail);
}

#[test]
fn a_late_observation_does_not_stand_for_one_that_varied_and_is_forgotten() {
    let [short, _, only_rate, _] = rule_sets();
    let varied = (0..4).map(|minute| (minute, if minute == 0 { 9.0 } else { 1.0 }, &short));
    // Meanwhile one observation was enough, so the oldest went; and there is room for one from before it.
    let meanwhile = [(4, 1.0, &only_rate)];
    let late = [(-1, 1.0, &short), (5, 1.0, &short)];
    assert_eq!(attenuated_by(varied.clone()), Quality::Pass);
    let all = varied.chain(meanwhile).chain(late);
    assert_eq!(attenuated_by(all), Quality::NotEvaluated);
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
