use datafusion::common::ScalarValue;
use datafusion::logical_expr::lit;

use super::Operation::{By, Times};
use super::*;

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

#[test]
fn a_date_beside_an_interval_is_a_time() {
    let date = || lit(ScalarValue::Date32(Some(20_454)));
    let hours = || {
        lit(ScalarValue::IntervalMonthDayNano(Some(interval(
            0, 0, 21_600.0,
        ))))
    };
    let apart = || lit(ScalarValue::DurationMicrosecond(Some(1)));
    let time = || lit(ScalarValue::TimestampNanosecond(Some(0), None));
    let schema = DFSchema::empty();
    let check = |left: Expr, op: Operator, right: Expr, expect: Option<[DataType; 2]>| {
        let sum = Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)));
        let rewritten = DatesAsTimes.rewrite(sum.clone(), &schema, &ConfigOptions::default());
        let rewritten = rewritten.expect("an expression");
        assert_eq!(rewritten.transformed, expect.is_some(), "{sum}");
        let Expr::BinaryExpr(found) = &rewritten.data else {
            panic!("{sum}");
        };
        match expect {
            Some(expect) => {
                let types = [&found.left, &found.right];
                let types = types.map(|side| side.get_type(&schema).expect("a type"));
                assert_eq!(types, expect, "{sum}");
            }
            None => assert_eq!(rewritten.data, sum),
        }
    };
    let midnight = DataType::Timestamp(TimeUnit::Microsecond, None);
    let span = DataType::Interval(IntervalUnit::MonthDayNano);
    let length = DataType::Duration(TimeUnit::Microsecond);
    let expect = Some([midnight.clone(), span.clone()]);
    check(date(), Operator::Plus, hours(), expect.clone());
    check(date(), Operator::Minus, hours(), expect);
    let expect = Some([span, midnight.clone()]);
    check(hours(), Operator::Plus, date(), expect);
    check(date(), Operator::Plus, apart(), Some([midnight, length]));
    // A whole number of days is a date again, and what dates are apart a number of them.
    check(date(), Operator::Plus, lit(1_i64), None);
    check(date(), Operator::Minus, date(), None);
    check(time(), Operator::Plus, hours(), None);
    check(date(), Operator::Lt, hours(), None);
}
