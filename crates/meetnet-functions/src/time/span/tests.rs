use arrow::array::{DurationMicrosecondArray, DurationSecondArray, IntervalMonthDayNanoArray};

use super::*;

/// Returns a part of one span as a text.
fn part(name: &str, spans: ArrayRef) -> String {
    let found = parts(name, &spans).unwrap_or_else(|error| panic!("{name}: {error}"));
    let found = ScalarValue::try_from_array(found.as_ref(), 0).expect("a value");
    found.to_string()
}

#[test]
fn a_span_has_days_and_what_is_beside_them() {
    // 365 days 01:10:01.5
    let micros = 31_540_201_500_000;
    for (name, of_span, of_negative) in [
        ("year", "0", "0"),
        ("week", "52", "-52"),
        ("day", "365", "-365"),
        ("HOUR", "1", "-1"),
        ("'minutes'", "10", "-10"),
        ("second", "1", "-1"),
        ("ms", "1500", "-1500"),
        ("microsecond", "1500000", "-1500000"),
        ("nanosecond", "1500000000", "-1500000000"),
        ("epoch", "31540201.5", "-31540201.5"),
    ] {
        let spans = |micros: i64| Arc::new(DurationMicrosecondArray::from(vec![micros]));
        assert_eq!(part(name, spans(micros)), of_span, "{name}");
        assert_eq!(part(name, spans(-micros)), of_negative, "{name}");
    }
    let spans = || Arc::new(DurationSecondArray::from(vec![90_061]));
    assert_eq!(part("hour", spans()), "1");
    assert_eq!(part("epoch", spans()), "90061");
}

#[test]
fn a_part_that_no_span_has_is_refused() {
    let spans: ArrayRef = Arc::new(DurationSecondArray::from(vec![i64::MAX]));
    for (name, expect) in [
        ("dow", "no part `dow`"),
        ("quarter", "no part `quarter`"),
        ("day", "more of `day` than are counted"),
    ] {
        let error = parts(name, &spans).expect_err(name).to_string();
        assert!(error.contains(expect), "{name}: {error}");
    }
    let nothing: ArrayRef = Arc::new(DurationSecondArray::from(vec![None::<i64>]));
    assert_eq!(part("day", nothing), "NULL");
}

/// Returns a part of an interval of months, days and nanoseconds.
fn part_of(name: &str, (months, days, nanoseconds): (i32, i32, i64)) -> String {
    let interval = IntervalMonthDayNano::new(months, days, nanoseconds);
    part(
        name,
        Arc::new(IntervalMonthDayNanoArray::from(vec![interval])),
    )
}

/// The answers are those of PostgreSQL.
#[test]
fn an_interval_has_the_parts_of_postgresql() {
    for (name, interval, expect) in [
        ("epoch", (12, 0, 0), "31557600"),
        ("epoch", (13, 2, 3_500_000_000), "34322403.5"),
        ("epoch", (-13, 0, 0), "-34149600"),
        ("epoch", (0, 1, 0), "86400"),
        ("quarter", (7, 0, 0), "3"),
        ("quarter", (14, 0, 0), "1"),
        ("quarter", (-14, 0, 0), "1"),
        ("century", (-3_000, 0, 0), "-2"),
        ("millennium", (30_000, 0, 0), "2"),
        ("decades", (311, 0, 0), "2"),
        ("year", (-25, 0, 0), "-2"),
        ("month", (-25, 0, 0), "-1"),
        ("day", (1, 45, 0), "45"),
        ("HOUR", (0, 1, 324_000_000_000_000), "90"),
        ("minute", (0, 0, 5_428_500_000_000), "30"),
        ("second", (0, 0, 5_428_500_000_000), "28"),
        ("milliseconds", (0, 0, 5_428_500_000_000), "28500"),
        ("microseconds", (0, 0, -28_500_000_000), "-28500000"),
        ("nanosecond", (0, 0, 1_500_000_000), "1500000000"),
    ] {
        assert_eq!(part_of(name, interval), expect, "{name} of {interval:?}");
    }
    let nothing: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(vec![
        None::<IntervalMonthDayNano>,
    ]));
    let error = parts("dow", &nothing).expect_err("none").to_string();
    assert!(error.contains("an interval has no part `dow`"), "{error}");
    assert_eq!(part("epoch", nothing), "NULL");
}
