use arrow::datatypes::IntervalMonthDayNano;
use arrow::error::ArrowError;

use super::Operation::{self, By, Times};

/// Months, days and seconds.
fn interval(months: i32, days: i32, seconds: f64) -> IntervalMonthDayNano {
    IntervalMonthDayNano::new(months, days, (seconds * 1e9) as i64)
}

/// The answers are those of PostgreSQL.
#[test]
fn intervals_are_scaled_part_by_part() {
    let check =
        |of: (i32, i32, f64), operation: Operation, number: f64, expect: (i32, i32, f64)| {
            let found = operation.of(interval(of.0, of.1, of.2), number);
            let found = found.unwrap_or_else(|error| panic!("{of:?} {number}: {error}"));
            let expect = interval(expect.0, expect.1, expect.2);
            assert_eq!(found, expect, "{of:?} {operation:?} {number}");
        };
    check((0, 1, 0.0), Times, -3.0, (0, -3, 0.0));
    check((1, 2, 3.0), Times, 2.0, (2, 4, 6.0));
    check((0, 1, 0.0), Times, 0.5, (0, 0, 43_200.0));
    check((0, 1, 0.0), Times, 0.1, (0, 0, 8_640.0));
    check((1, 0, 0.0), By, 2.0, (0, 15, 0.0));
    check((1, 0, 0.0), Times, 1.5, (1, 15, 0.0));
    check((0, 1, 0.0), By, 3.0, (0, 0, 28_800.0));
    check((0, 0, 3_600.0), By, 3.0, (0, 0, 1_200.0));
    check((0, 0, 3_600.0), Times, 100.0, (0, 0, 360_000.0));
    check((0, -1, 0.0), Times, 0.25, (0, 0, -21_600.0));
    // Half a month and half a day: hours become a day, a day no month.
    check((1, 1, 0.0), Times, 0.5, (0, 15, 43_200.0));
    check((1, 31, 0.0), Times, 0.0, (0, 0, 0.0));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let day = interval(0, 1, 0.0);
    for number in [1e10, f64::NAN, f64::INFINITY] {
        let found = Times.of(day, number);
        assert!(
            matches!(found, Err(ArrowError::ArithmeticOverflow(_))),
            "{number}"
        );
    }
    let found = Times.of(interval(0, 0, 1e9), 1e6);
    assert!(matches!(found, Err(ArrowError::ArithmeticOverflow(_))));
    let found = By.of(day, 0.0);
    assert!(matches!(found, Err(ArrowError::DivideByZero)));
}
