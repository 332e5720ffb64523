use Quality::{Fail, Missing, NotEvaluated, Pass, Suspect};

use super::*;

const NONE: f64 = f64::NAN;

fn every_minute(values: &[f64]) -> Vec<Observation> {
    let times = (0..).step_by(60 * SECOND_US as usize);
    times
        .zip(values)
        .map(|(time, value)| Observation {
            time,
            value: *value,
        })
        .collect()
}

#[test]
fn the_interval_is_the_median() {
    let check = |seconds: &[f64], expect: Option<u32>| {
        let series: Vec<Observation> = seconds
            .iter()
            .map(|second| Observation {
                time: (second * SECOND_US as f64) as i64,
                value: 1.0,
            })
            .collect();
        assert_eq!(median_interval_s(&series), expect, "{seconds:?}");
    };
    check(&[], None);
    check(&[5.0], None);
    check(&[0.0, 60.9], Some(60));
    check(&[0.0, 60.0, 180.0], Some(90));
    check(&[0.0, 60.0, 120.0, 7_200.0], Some(60));
    // Gaps of 60, 60.5, 61.1, 58.4, 3360 and 60.2: the median lies between 60.2 and 60.5.
    check(
        &[0.0, 60.0, 120.5, 181.6, 240.0, 3_600.0, 3_660.2],
        Some(60),
    );
}

#[test]
fn a_spike_stands_out_from_both_sides() {
    let limits = Spike {
        suspect: 1.0,
        fail: Some(4.0),
    };
    let check = |values: &[f64], expect: &[Quality]| {
        assert_eq!(spike(&every_minute(values), limits), expect, "{values:?}");
    };
    check(&[], &[]);
    check(&[1.0], &[NotEvaluated]);
    check(&[1.0, 9.0], &[NotEvaluated, NotEvaluated]);
    check(
        &[0.0, 1.0, 0.0, 0.0, 1.5, 0.0, 0.0, -5.0, 0.0],
        &[
            NotEvaluated,
            Pass,
            Pass,
            Pass,
            Suspect,
            Pass,
            // Half of the drop beside it.
            Suspect,
            Fail,
            NotEvaluated,
        ],
    );
    // A step is no spike, if it is small enough.
    check(
        &[0.0, 0.0, 2.0, 2.0],
        &[NotEvaluated, Pass, Pass, NotEvaluated],
    );
    check(
        &[0.0, 9.0, NONE, 9.0, 0.0, 0.0],
        &[
            NotEvaluated,
            NotEvaluated,
            Missing,
            NotEvaluated,
            Fail,
            NotEvaluated,
        ],
    );
}

#[test]
fn a_series_is_tested_at_its_own_interval() {
    let limits = FlatLine {
        tolerance: 0.1,
        suspect_s: 180,
        fail_s: 300,
    };
    let values = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, NONE, 1.0, 2.0, 2.0, 2.0, 2.0];
    let flags = flat_line(&every_minute(&values), limits);
    assert_eq!(flags[..6], [Pass, Pass, Pass, Suspect, Suspect, Fail]);
    assert_eq!(flags[6..], [Missing, Fail, Pass, Pass, Pass, Suspect]);
}
