use arrow::buffer::NullBuffer;
use arrow::compute::SortOptions;
use datafusion::logical_expr::{col, lit};
use meetnet_model::time::parse_rfc3339;

use super::*;

fn us(text: &str) -> i64 {
    parse_rfc3339(text).unwrap()
}

fn day() -> ScalarValue {
    ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(0, 1, 0)))
}

/// Returns the range of time that a comparison of days in Brussels with an instant becomes.
fn range(instant: &str) -> (i64, i64) {
    let args = [lit(day()), col("time"), lit("Europe/Brussels")];
    let instant = ScalarValue::TimestampMicrosecond(Some(us(instant)), Some(Arc::from("UTC")));
    let context = SimplifyContext::builder().build();
    let found = TimeBucket::new().preimage(&args, &lit(instant), &context);
    let PreimageResult::Range { expr, interval } = found.unwrap() else {
        panic!("a bucket is a range");
    };
    assert_eq!(expr, col("time"));
    let bound = |value: &ScalarValue| match value {
        ScalarValue::TimestampMicrosecond(Some(at), Some(zone)) if &**zone == "UTC" => *at,
        other => panic!("{other} is no instant"),
    };
    (bound(interval.lower()), bound(interval.upper()))
}

#[test]
fn a_bucket_is_a_range_of_time() {
    let spring = (us("2026-03-28T23:00:00Z"), us("2026-03-29T22:00:00Z"));
    assert_eq!(range("2026-03-28T23:00:00Z"), spring);
    // Nothing lies in what is no bucket; what is later lies in the next one and after it.
    let nothing = (us("2026-03-29T22:00:00Z"), us("2026-03-29T22:00:00Z"));
    assert_eq!(range("2026-03-29T12:00:00Z"), nothing);
}

#[test]
fn what_is_not_constant_is_no_range() {
    let context = SimplifyContext::builder().build();
    let instant = ScalarValue::TimestampMicrosecond(Some(0), Some(Arc::from("UTC")));
    for args in [
        vec![col("interval"), col("time")],
        vec![lit(day()), col("time"), col("zone")],
        vec![lit(day()), col("time"), lit(ScalarValue::Utf8(None))],
    ] {
        let found = TimeBucket::new().preimage(&args, &lit(instant.clone()), &context);
        assert!(matches!(found, Ok(PreimageResult::None)), "{args:?}");
    }
}

#[test]
fn order_goes_through_where_the_rest_is_constant() {
    let sorted = SortProperties::Ordered(SortOptions::default());
    let (constant, unsorted) = (SortProperties::Singleton, SortProperties::Unordered);
    let check = |inputs: &[SortProperties], expected: SortProperties| {
        let properties = inputs.iter().map(|sort_properties| ExprProperties {
            sort_properties: *sort_properties,
            range: Interval::make_unbounded(&timestamp_type()).unwrap(),
            preserves_lex_ordering: true,
            strictly_order_preserving: true,
        });
        let properties: Vec<ExprProperties> = properties.collect();
        let found = TimeBucket::new().output_ordering(&properties).unwrap();
        assert_eq!(found, expected, "{inputs:?}");
    };
    check(&[constant, sorted], sorted);
    check(&[constant, sorted, constant, constant], sorted);
    check(&[constant, unsorted], unsorted);
    check(&[sorted, sorted], unsorted);
    check(&[constant, sorted, unsorted], unsorted);
}

#[test]
fn what_stands_below_a_null_is_no_time() {
    let day = buckets_of(
        IntervalMonthDayNano::new(0, 1, 0),
        Some("Europe/Brussels"),
        None,
    )
    .unwrap();
    let noon = us("2026-07-01T12:00:00Z");
    let times = |valid: [bool; 2]| -> ArrayRef {
        let nulls = NullBuffer::from(valid.to_vec());
        let times = TimestampMicrosecondArray::new(vec![noon, i64::MAX].into(), Some(nulls));
        Arc::new(times.with_data_type(timestamp_type()))
    };
    let found = starts(&day, &times([true, false])).unwrap();
    let found = found.as_primitive::<TimestampMicrosecondType>();
    assert_eq!(found.value(0), us("2026-06-30T22:00:00Z"));
    assert!(found.is_null(1));
    let error = starts(&day, &times([true, true])).unwrap_err();
    assert!(error.to_string().contains("outside the years"), "{error}");
}
