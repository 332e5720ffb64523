use arrow::array::{DurationMicrosecondArray, DurationSecondArray};

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
