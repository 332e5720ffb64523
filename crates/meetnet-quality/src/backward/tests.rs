use Quality::{Fail, Missing, NotEvaluated, Pass, Suspect};

use super::*;

const NONE: f64 = f64::NAN;

fn at(seconds: i64, value: f64) -> Observation {
    let time = seconds * SECOND_US;
    Observation { time, value }
}

#[test]
fn rate_of_change_is_per_time() {
    let limits = RateOfChange {
        suspect_per_hour: 3_600.0,
        fail_per_hour: Some(7_200.0),
        distance_min_s: None,
    };
    let check = |before: Option<Observation>, value: f64, is_whole: bool, expect: Quality| {
        let flag = rate_of_change(at(60, value), before, is_whole, limits);
        assert_eq!(flag, expect, "{before:?} {value} {is_whole}");
    };
    check(Some(at(0, 10.0)), 70.0, true, Pass);
    check(Some(at(0, 10.0)), 70.5, true, Suspect);
    check(Some(at(0, 10.0)), -50.5, true, Suspect);
    check(Some(at(0, 10.0)), 130.0, true, Suspect);
    check(Some(at(0, 10.0)), 130.5, true, Fail);
    check(Some(at(50, 10.0)), 30.5, true, Fail);
    check(Some(at(0, 10.0)), 70.5, false, Suspect);
    // Received together.
    let just_before = Observation {
        time: 60 * SECOND_US - 999_999,
        value: 10.0,
    };
    check(Some(just_before), 1e9, true, NotEvaluated);
    check(Some(at(59, 10.0)), 13.0, true, Fail);
    // Nothing is known of a change.
    check(None, 70.0, true, Pass);
    check(None, 70.0, false, NotEvaluated);
    check(Some(at(0, NONE)), 1e9, true, Pass);
    check(Some(at(0, 10.0)), NONE, true, Missing);
    check(None, NONE, false, Missing);
}

#[test]
fn a_step_within_the_least_distance_is_taken_over_that_distance() {
    // Three degrees a minute, as a sensor that tells tenths of a degree every second would exceed with each step.
    let limits = |distance_min_s: Option<u32>| RateOfChange {
        suspect_per_hour: 180.0,
        fail_per_hour: Some(600.0),
        distance_min_s,
    };
    let check = |seconds: i64, step: f64, distance_min_s: Option<u32>, expect: Quality| {
        let flag = rate_of_change(
            at(seconds, 10.0 + step),
            Some(at(0, 10.0)),
            true,
            limits(distance_min_s),
        );
        assert_eq!(flag, expect, "{seconds} s, {step}, {distance_min_s:?}");
    };
    check(1, 0.125, None, Suspect);
    check(1, 0.125, Some(60), Pass);
    check(1, 3.0, Some(60), Pass);
    check(1, 3.5, Some(60), Suspect);
    check(30, -10.5, Some(60), Fail);
    // Over that distance and more nothing changes.
    check(60, 3.0, Some(60), Pass);
    check(60, 3.5, Some(60), Suspect);
    check(120, 6.0, Some(60), Pass);
    check(120, 6.5, Some(60), Suspect);
    check(120, 6.5, None, Suspect);
}

#[test]
fn a_flat_line_has_as_many_intervals_as_fit_the_duration() {
    let limits = FlatLine {
        tolerance: 0.1,
        suspect_s: 180,
        fail_s: 300,
    };
    let check = |oldest_first: &[f64], interval_s: u32, is_whole: bool, expect: Quality| {
        let newest_first = oldest_first.iter().rev().copied();
        let flag = flat_line(newest_first, is_whole, interval_s, limits);
        assert_eq!(flag, expect, "{oldest_first:?} {interval_s} {is_whole}");
    };
    check(&[1.0, 1.0, 1.0], 60, true, Pass);
    check(&[1.0, 1.0, 1.0, 1.0], 60, true, Suspect);
    check(&[1.0, 1.0, 1.0, 1.0, 1.0], 60, true, Suspect);
    check(&[1.0; 6], 60, true, Fail);
    check(&[1.0; 60], 60, true, Fail);
    check(&[9.0, 1.0, 1.0, 1.0], 60, true, Pass);
    check(&[9.0, 1.0, 1.0, 1.0, 1.0], 60, true, Suspect);
    // The range counts, not the step: here it creeps beyond the tolerance, and stays just within it.
    check(&[1.0, 1.0625, 1.125, 1.1875], 60, true, Pass);
    check(&[1.0, 1.0625, 1.0, 1.0625], 60, true, Suspect);
    // Two intervals of 70 s fit into 180 s, four into 300 s.
    check(&[1.0, 1.0, 1.0], 70, true, Suspect);
    check(&[1.0; 5], 70, true, Fail);
    // A missing value is a place in the line, and says nothing itself.
    check(&[1.0, NONE, NONE, 1.0], 60, true, Suspect);
    check(&[1.0, 1.0, 1.0, NONE], 60, true, Missing);
    // Not known: what came before.
    check(&[1.0, 1.0, 1.0], 60, false, NotEvaluated);
    check(&[1.0, 1.0, 1.0, 1.0], 60, false, Suspect);
    check(&[1.0, 1.0, 9.0], 60, false, Pass);
    // Not known: the interval; and one that is longer than the duration.
    check(&[1.0; 9], 0, true, NotEvaluated);
    check(&[1.0; 9], 200, true, NotEvaluated);
    check(&[], 60, true, NotEvaluated);
}

#[test]
fn a_signal_is_attenuated_by_what_varies_in_its_period() {
    let check_both = |oldest_first: &[Observation], is_whole: bool, expect: [Quality; 2]| {
        for (variation, expect) in [Variation::Deviation, Variation::Range]
            .into_iter()
            .zip(expect)
        {
            let limits = AttenuatedSignal {
                variation,
                period_s: 240,
                observations_min: 3,
                span_min_s: None,
                suspect: 1.0,
                fail: 0.5,
            };
            let newest_first = oldest_first.iter().rev().copied();
            let flag = attenuated_signal(newest_first, is_whole, limits);
            assert_eq!(flag, expect, "{variation:?} {oldest_first:?} {is_whole}");
        }
    };
    let every_minute = |values: &[f64]| -> Vec<Observation> {
        let seconds = (0..).step_by(60);
        seconds
            .zip(values)
            .map(|(s, value)| at(s, *value))
            .collect()
    };
    let check = |values: &[f64], is_whole: bool, expect: [Quality; 2]| {
        check_both(&every_minute(values), is_whole, expect);
    };
    // The population's deviation of 1, 3, 3, 1 is 1; of 1, 2, 2, 1 it is 0.5; of 1, 1.5, 1.5, 1 it is 0.25.
    check(&[1.0, 3.0, 3.0, 1.0], true, [Pass, Pass]);
    check(&[1.0, 2.0, 2.0, 1.0], true, [Suspect, Pass]);
    check(&[1.0, 1.5, 1.5, 1.0], true, [Fail, Suspect]);
    check(&[1.0, 1.25, 1.25, 1.0], true, [Fail, Fail]);
    // The value four minutes ago is the beginning of the period, which is not in it.
    check(&[9.0, 1.0, 1.0, 1.0, 1.0], true, [Fail, Fail]);
    check(&[9.0, 1.0, 1.0, 1.0, 1.0], false, [Fail, Fail]);
    check(&[1.0, 9.0, 1.0, 1.0, 1.0], true, [Pass, Pass]);
    // Too few.
    check(&[1.0, 1.0], true, [NotEvaluated, NotEvaluated]);
    check(&[1.0, NONE, 1.0], true, [NotEvaluated, NotEvaluated]);
    check(&[1.0, NONE, 1.0, 1.0], true, [Fail, Fail]);
    check(&[1.0, 1.0, NONE], true, [Missing, Missing]);
    // The history does not reach back to the beginning of the period: a greater range it cannot take back.
    check(&[1.0, 1.0, 1.0], false, [NotEvaluated, NotEvaluated]);
    check(&[1.0, 9.0, 1.0], false, [NotEvaluated, Pass]);
    check_both(&[], true, [NotEvaluated, NotEvaluated]);
    // After a gap, what lies before it is not in the period.
    let sparse = [at(0, 5.0), at(60, 9.0), at(3_600, 5.0)];
    check_both(&sparse, true, [NotEvaluated, NotEvaluated]);
}

#[test]
fn a_signal_is_not_attenuated_before_its_values_span_enough() {
    let check = |seconds: &[i64], values: &[f64], expect: [Quality; 2]| {
        let series: Vec<Observation> = seconds
            .iter()
            .zip(values)
            .map(|(s, value)| at(*s, *value))
            .collect();
        for (variation, expect) in [Variation::Deviation, Variation::Range]
            .into_iter()
            .zip(expect)
        {
            let limits = AttenuatedSignal {
                variation,
                period_s: 240,
                observations_min: 3,
                span_min_s: Some(180),
                suspect: 1.0,
                fail: 0.5,
            };
            let newest_first = series.iter().rev().copied();
            let flag = attenuated_signal(newest_first, true, limits);
            assert_eq!(flag, expect, "{variation:?} {series:?}");
        }
    };
    // As many values as are asked for, in a few seconds; the last one but a second too early, and in time.
    check(&[0, 1, 2, 3], &[1.0; 4], [NotEvaluated; 2]);
    check(&[0, 60, 120, 179], &[1.0; 4], [NotEvaluated; 2]);
    check(&[0, 60, 120, 180], &[1.0; 4], [Fail; 2]);
    // What has varied enough already will not have varied less.
    check(&[0, 1, 2, 3], &[1.0, 9.0, 1.0, 1.0], [NotEvaluated, Pass]);
    // A missing value spans nothing, and what lies before the period is not in it.
    check(&[0, 1, 120, 180], &[NONE, 1.0, 1.0, 1.0], [NotEvaluated; 2]);
    check(&[0, 241, 300, 360], &[1.0; 4], [NotEvaluated; 2]);
}
