use arrow::datatypes::IntervalMonthDayNano;

use super::as_justified;

const DAY: i128 = 86_400_000_000_000;
const MONTH: i128 = 30 * DAY;

fn nanoseconds(of: IntervalMonthDayNano) -> i128 {
    i128::from(of.months) * MONTH + i128::from(of.days) * DAY + i128::from(of.nanoseconds)
}

/// Returns numbers that look random.
fn numbers(seed: &mut u64) -> u64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// Spans of a few months, days and hours of any sign, many of them equal.
#[test]
fn parts_one_after_the_other_compare_as_the_spans_do() {
    let mut seed = 11;
    let mut span = || {
        let mut part = |most: i64| (numbers(&mut seed) as i64) % (2 * most + 1) - most;
        let (months, days, hours) = (part(2), part(62), part(50));
        IntervalMonthDayNano::new(months as i32, days as i32, hours * 3_600_000_000_000)
    };
    for _ in 0..20_000 {
        let (left, right) = (span(), span());
        let [one, other] = [left, right].map(|span| as_justified(span).expect("a span"));
        assert_eq!(nanoseconds(one), nanoseconds(left), "{left:?}");
        assert_eq!(
            one.cmp(&other),
            nanoseconds(left).cmp(&nanoseconds(right)),
            "{left:?} {right:?}"
        );
    }
}

#[test]
fn a_span_of_too_many_months_is_an_error() {
    let most = IntervalMonthDayNano::new(i32::MAX, 29, 0);
    assert_eq!(as_justified(most).expect("a span"), most);
    let more = as_justified(IntervalMonthDayNano::new(i32::MAX, 30, 0));
    assert!(more.is_err(), "{more:?}");
}
