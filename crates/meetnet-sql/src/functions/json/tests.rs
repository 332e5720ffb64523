use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, StructArray};
use arrow::datatypes::{DataType, Field, Int64Type};

use super::Meaning;
use super::column::{COMMA, Column, DOUBLE_POWER, REAL_POWER, day, number, time};

/// Names come with each row, and are in no column.
#[test]
fn what_becomes_too_long_is_refused_while_it_is_written() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let field = Arc::new(Field::new("a name", DataType::Int64, true));
    let row: ArrayRef = Arc::new(StructArray::from(vec![(field, numbers)]));
    let items = [Some((0..1_000).map(Some).collect::<Vec<_>>())];
    let list: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(items));
    let check = |values: &ArrayRef, row: usize, bytes_max: u64, expect: Option<&str>| {
        let column = Column::new(values, Meaning::Plain).expect("values that can be written");
        let mut json = String::new();
        let written = column.write(row, &mut json, COMMA, bytes_max);
        assert_eq!(written.is_ok(), expect.is_some(), "{json}");
        if let Some(expect) = expect {
            assert_eq!(json, expect);
        }
        assert!(json.len() < 100, "it goes on: {json}");
    };
    check(&row, 0, 12, Some(r#"{"a name":1}"#));
    check(&row, 0, 11, None);
    check(&row, 1, 15, Some(r#"{"a name":null}"#));
    check(&list, 0, 50, None);
    // A slice is the lists that it shows.
    let lists = [Some(vec![Some(1), None]), Some(vec![Some(3)]), None];
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(lists);
    let slice: ArrayRef = Arc::new(lists.slice(1, 2));
    check(&slice, 0, 3, Some("[3]"));
    check(&slice, 1, 4, Some("null"));
}

#[test]
fn floats_are_numbers_where_json_has_one() {
    let check = |value: f64, expect: &str| assert_eq!(number(value, DOUBLE_POWER), expect);
    check(3.0, "3");
    check(-0.25, "-0.25");
    check(0.1 + 0.2, "0.30000000000000004");
    check(0.0, "0");
    check(-0.0, "-0");
    check(1e14, "100000000000000");
    check(1e15, "1e+15");
    check(-1.25e20, "-1.25e+20");
    check(0.0001, "0.0001");
    check(0.00001, "1e-05");
    check(1e300, "1e+300");
    check(f64::NAN, "\"NaN\"");
    check(f64::NEG_INFINITY, "\"-Infinity\"");
    let check = |value: f32, expect: &str| assert_eq!(number(value, REAL_POWER), expect);
    check(0.1, "0.1");
    check(0.0001, "0.0001");
    check(123_456.0, "123456");
    check(1e6, "1e+06");
}

#[test]
fn times_have_a_zone_where_they_are_in_one() {
    let check = |at: i64, has_zone: bool, expect: &str| {
        assert_eq!(time(at, has_zone), format!("\"{expect}\""));
    };
    check(0, true, "1970-01-01T00:00:00+00:00");
    check(10_500_000, true, "1970-01-01T00:00:10.5+00:00");
    check(10_000_001, false, "1970-01-01T00:00:10.000001");
    check(i64::MAX, true, "infinity");
    check(i64::MIN, false, "-infinity");
    assert_eq!(day(20_454), "\"2026-01-01\"");
    assert_eq!(day(i32::MAX), "\"infinity\"");
    // There is no year between 1 BC and 1.
    check(
        -63_517_780_800_000_000,
        true,
        "0044-03-15T12:00:00+00:00 BC",
    );
    assert_eq!(day(-719_163), "\"0001-12-31 BC\"");
    assert_eq!(day(-719_162), "\"0001-01-01\"");
}
