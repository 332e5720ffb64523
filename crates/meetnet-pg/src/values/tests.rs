use arrow::array::{
    BinaryArray, Date32Array, Decimal128Array, DurationMicrosecondArray, DurationSecondArray,
    Float64Array, Int8Array, Int64Array, TimestampMicrosecondArray, TimestampSecondArray,
    UInt64Array,
};
use arrow::datatypes::{DurationMicrosecondType, UInt64Type};

use super::*;

/// Returns the bytes of the first value, without the length before them; None is NULL.
fn written(array: ArrayRef, format: Format) -> Option<Vec<u8>> {
    let pg_type = PgType::of_arrow(array.data_type());
    let column = Column::new(&array, pg_type, format).expect("a column");
    let mut out = BytesMut::new();
    column.write(0, &mut out);
    let length = i32::from_be_bytes(out[..4].try_into().expect("4 bytes"));
    if length == -1 {
        assert_eq!(out.len(), 4);
        return None;
    }
    assert_eq!(
        out.len(),
        4 + length as usize,
        "the length says how long it is"
    );
    Some(out[4..].to_vec())
}

#[test]
fn geometries_come_with_their_reference_system() {
    // POINT(1 2)
    let mut point = vec![1, 1, 0, 0, 0];
    point.extend_from_slice(&1_f64.to_le_bytes());
    point.extend_from_slice(&2_f64.to_le_bytes());
    let array: ArrayRef = Arc::new(BinaryArray::from_vec(vec![point.as_slice()]));
    let geometry = PgType::of(PgScalar::Geometry);
    let written = |format| {
        let column = Column::new(&array, geometry, format).expect("a column");
        let mut out = BytesMut::new();
        column.write(0, &mut out);
        out[4..].to_vec()
    };
    let hex = "0101000020E6100000000000000000F03F0000000000000040";
    assert_eq!(written(Format::Text), hex.as_bytes());
    let pairs = (0..hex.len()).step_by(2);
    let bytes: Vec<u8> = pairs
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("digits"))
        .collect();
    assert_eq!(written(Format::Binary), bytes);
}

#[test]
fn every_type_has_a_text() {
    let check = |array: ArrayRef, expected: &str| {
        let found = written(array, Format::Text).expect("a value");
        assert_eq!(String::from_utf8_lossy(&found), expected);
    };
    let interval = |months: i32, days: i32, nanoseconds: i64| {
        let value = IntervalMonthDayNano {
            months,
            days,
            nanoseconds,
        };
        Arc::new(IntervalMonthDayNanoArray::from(vec![value]))
    };
    let micros =
        |value: i64| Arc::new(TimestampMicrosecondArray::from(vec![value]).with_timezone("UTC"));
    check(Arc::new(BooleanArray::from(vec![true])), "t");
    check(Arc::new(Int8Array::from(vec![-4])), "-4");
    let largest = u64::try_from(i64::MAX).expect("no sign");
    check(
        Arc::new(UInt64Array::from(vec![largest])),
        "9223372036854775807",
    );
    check(Arc::new(Float64Array::from(vec![21.5])), "21.5");
    check(Arc::new(Float64Array::from(vec![1.0])), "1");
    check(Arc::new(Float64Array::from(vec![1e300])), "1e300");
    check(Arc::new(Float64Array::from(vec![f64::NAN])), "NaN");
    check(
        Arc::new(Float64Array::from(vec![f64::NEG_INFINITY])),
        "-Infinity",
    );
    check(Arc::new(StringArray::from(vec!["é"])), "é");
    check(micros(1_767_225_600_000_000), "2026-01-01 00:00:00+00");
    check(
        micros(1_767_225_600_250_000),
        "2026-01-01 00:00:00.250000+00",
    );
    check(
        Arc::new(TimestampSecondArray::from(vec![1_767_225_600])),
        "2026-01-01 00:00:00",
    );
    check(Arc::new(Date32Array::from(vec![20_454])), "2026-01-01");
    check(
        Arc::new(BinaryArray::from_vec(vec![&b"\x00\xff"[..]])),
        "\\x00ff",
    );
    let decimal = Decimal128Array::from(vec![-12_345]);
    let decimal = decimal.with_precision_and_scale(10, 2).expect("a decimal");
    check(Arc::new(decimal), "-123.45");
    check(
        interval(14, 3, 3_723_500_000_000),
        "1 year 2 mons 3 days 01:02:03.5",
    );
    check(interval(0, 0, 0), "00:00:00");
    check(interval(0, 0, -1_000_000_000), "-00:00:01");
    // What lies between two times has days, as in PostgreSQL.
    let span = |micros: i64| Arc::new(DurationMicrosecondArray::from(vec![micros]));
    check(span(31_540_201_500_000), "365 days 01:10:01.5");
    check(span(-90_000_000_000), "-1 days -01:00:00");
    check(span(0), "00:00:00");
    check(Arc::new(DurationSecondArray::from(vec![86_400])), "1 day");
    let rows = [Some(vec![Some(90_000_000_000), None])];
    let spans = ListArray::from_iter_primitive::<DurationMicrosecondType, _, _>(rows);
    check(Arc::new(spans), "{\"1 day 01:00:00\",NULL}");
}

#[test]
fn every_type_has_a_binary_form() {
    let check = |array: ArrayRef, expected: &[u8]| {
        assert_eq!(written(array, Format::Binary).as_deref(), Some(expected));
    };
    check(Arc::new(BooleanArray::from(vec![true])), &[1]);
    check(Arc::new(Int8Array::from(vec![-2])), &[0xff, 0xfe]);
    check(
        Arc::new(Int64Array::from(vec![258])),
        &[0, 0, 0, 0, 0, 0, 1, 2],
    );
    check(Arc::new(UInt64Array::from(vec![3])), &3_i64.to_be_bytes());
    check(
        Arc::new(Float64Array::from(vec![1.0])),
        &1.0_f64.to_be_bytes(),
    );
    check(Arc::new(StringArray::from(vec!["é"])), "é".as_bytes());
    let start = TimestampMicrosecondArray::from(vec![946_684_800_000_001]).with_timezone("UTC");
    check(Arc::new(start), &1_i64.to_be_bytes());
    check(
        Arc::new(Date32Array::from(vec![10_958])),
        &1_i32.to_be_bytes(),
    );
    let mut span = 4_201_500_000_i64.to_be_bytes().to_vec();
    span.extend(365_i32.to_be_bytes());
    span.extend(0_i32.to_be_bytes());
    check(
        Arc::new(DurationMicrosecondArray::from(vec![31_540_201_500_000])),
        &span,
    );
    // 12345.678: three digits to the base 10,000, the first of weight 1, three decimals.
    let decimal = Decimal128Array::from(vec![12_345_678]);
    let decimal = decimal.with_precision_and_scale(10, 3).expect("a decimal");
    check(
        Arc::new(decimal),
        &[0, 3, 0, 1, 0, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c],
    );
}

#[test]
fn arrays_keep_nulls_and_quote_what_needs_it() {
    let floats = || {
        let rows = [Some(vec![Some(1.5), None])];
        Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(rows))
    };
    assert_eq!(
        written(floats(), Format::Text).as_deref(),
        Some(&b"{1.5,NULL}"[..])
    );
    let mut expected = Vec::new();
    for number in [1_i32, 1, 701, 2, 1, 8] {
        expected.extend(number.to_be_bytes());
    }
    expected.extend(1.5_f64.to_be_bytes());
    expected.extend((-1_i32).to_be_bytes());
    assert_eq!(written(floats(), Format::Binary), Some(expected));
    let empty =
        ListArray::from_iter_primitive::<Int64Type, _, _>([Some(Vec::<Option<i64>>::new())]);
    assert_eq!(
        written(Arc::new(empty), Format::Text).as_deref(),
        Some(&b"{}"[..])
    );

    let mut out = BytesMut::new();
    for element in ["plain", "", "null", "a,b", "say \"hi\" \\"] {
        text::quoted(&mut out, element.as_bytes());
        out.put_u8(b';');
    }
    assert_eq!(&out[..], br#"plain;"";"null";"a,b";"say \"hi\" \\";"#);
}

#[test]
fn null_is_no_value_in_either_format() {
    let nothing: ArrayRef = Arc::new(Float64Array::from(vec![None::<f64>]));
    assert_eq!(written(Arc::clone(&nothing), Format::Text), None);
    assert_eq!(written(nothing, Format::Binary), None);
}

#[test]
fn what_was_described_is_what_is_sent() {
    // The plan made a narrower column than the description said.
    let array: ArrayRef = Arc::new(Int8Array::from(vec![7]));
    let column = Column::new(&array, PgType::of(PgScalar::Int8), Format::Binary).expect("a column");
    let mut out = BytesMut::new();
    column.write(0, &mut out);
    assert_eq!(&out[..], [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7]);
    let array: ArrayRef = Arc::new(DurationSecondArray::from(vec![i64::MAX]));
    assert!(Column::new(&array, PgType::of(PgScalar::Interval), Format::Text).is_err());
    // What does not fit is an error, not NULL.
    let array: ArrayRef = Arc::new(Int64Array::from(vec![70_000]));
    assert!(Column::new(&array, PgType::of(PgScalar::Int2), Format::Text).is_err());
}

#[test]
fn a_number_larger_than_a_bigint_is_refused_as_such() {
    let ranks = [Some(vec![Some(1), Some(u64::MAX)])];
    let arrays: [ArrayRef; 2] = [
        Arc::new(UInt64Array::from(vec![1, u64::MAX])),
        Arc::new(ListArray::from_iter_primitive::<UInt64Type, _, _>(ranks)),
    ];
    for array in &arrays {
        for format in [Format::Text, Format::Binary] {
            let pg_type = PgType::of_arrow(array.data_type());
            let refused = Column::new(array, pg_type, format).err();
            let refused = refused.map(|error| (error.code, error.message));
            let message = "a number in the answer is larger than a bigint can be, 9223372036854775807; cast it to numeric";
            assert_eq!(refused, Some(("22003", message.to_owned())));
        }
    }
}

#[test]
fn formats_are_none_one_or_one_each() {
    assert_eq!(Format::of(&[], 3), Ok(Format::Text));
    assert_eq!(Format::of(&[1], 3), Ok(Format::Binary));
    assert_eq!(Format::of(&[0, 1], 1), Ok(Format::Binary));
    assert!(Format::of(&[0, 1], 2).is_err());
    assert!(Format::of(&[2], 0).is_err());
}
