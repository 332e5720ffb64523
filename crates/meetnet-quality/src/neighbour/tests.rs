use Quality::{Fail, Missing, NotEvaluated, Pass, Suspect};

use super::*;

#[test]
fn a_value_stands_out_by_robust_deviations() {
    let limits = Neighbour {
        radius_m: 1_000,
        neighbours_min: 3,
        deviation_min: 0.5,
        suspect: 3.0,
        fail: Some(6.0),
    };
    let check = |value: f64, others: &[f64], expect: Quality| {
        let flag = neighbour(value, &mut others.to_vec(), limits);
        assert_eq!(flag, expect, "{value} {others:?}");
    };
    // They agree: the least deviation holds, and the limits are 1.5 and 3 away.
    check(21.5, &[20.0, 20.0, 20.0], Pass);
    check(21.6, &[20.0, 20.0, 20.0], Suspect);
    check(18.4, &[20.0, 20.0, 20.0], Suspect);
    check(23.0, &[20.0, 20.0, 20.0], Suspect);
    check(23.1, &[20.0, 20.0, 20.0], Fail);
    // Median 20, median absolute deviation 1: the limits are 4.4478 and 8.8956 away, and one bad neighbour moves nothing.
    check(24.4, &[19.0, 20.0, 21.0], Pass);
    check(24.5, &[19.0, 20.0, 21.0], Suspect);
    check(
        24.5,
        &[19.0, 21.0, 20.0, 20.0, 21.0, 19.0, 900.0, 20.0],
        Suspect,
    );
    check(29.0, &[19.0, 20.0, 21.0], Fail);
    // Of an even number: the mean of the middle two, 21, and 1.
    check(25.4, &[20.0, 22.0, 20.0, 22.0], Pass);
    check(25.5, &[20.0, 22.0, 20.0, 22.0], Suspect);
    check(99.0, &[20.0, 20.0], NotEvaluated);
    check(99.0, &[], NotEvaluated);
    check(f64::NAN, &[20.0, 20.0, 20.0], Missing);
}
