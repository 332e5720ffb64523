use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;

fn scalar(scalar: PgScalar) -> PgType {
    PgType::of(scalar)
}

fn array(scalar: PgScalar) -> PgType {
    PgType {
        scalar,
        is_array: true,
    }
}

/// Returns the value as Arrow shows it; an error's code.
fn shown(value: &[u8], pg_type: PgType, format: Format) -> Result<String, &'static str> {
    let array = read(Some(value), pg_type, format).map_err(|error| error.code)?;
    assert_eq!(array.data_type(), &arrow(pg_type));
    assert_eq!(array.len(), 1);
    let options = FormatOptions::default().with_null("NULL");
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options).expect("a formatter");
    Ok(formatter.value(0).to_string())
}

#[test]
fn texts_are_read_by_their_type() {
    let check = |text: &str, pg_type: PgType, expected: &str| {
        assert_eq!(
            shown(text.as_bytes(), pg_type, Format::Text),
            Ok(expected.to_owned()),
            "{text}"
        );
    };
    check("42", scalar(PgScalar::Int8), "42");
    check(" -7", scalar(PgScalar::Int2), "-7");
    check("1.25", scalar(PgScalar::Numeric), "1.25");
    check("t", scalar(PgScalar::Bool), "true");
    check("false", scalar(PgScalar::Bool), "false");
    check("  kept ", scalar(PgScalar::Text), "  kept ");
    check("2026-01-01", scalar(PgScalar::Date), "2026-01-01");
    for time in [
        "2026-01-01 12:00:00+00",
        "2026-01-01T13:00:00+01:00",
        "2026-01-01 12:00:00",
        "2026-01-01 12:00",
    ] {
        check(time, scalar(PgScalar::TimestampTz), "2026-01-01T12:00:00Z");
    }
    check("{1,NULL,3}", array(PgScalar::Int8), "[1, NULL, 3]");
    check("{}", array(PgScalar::Text), "[]");
    check(
        r#"{a,"b,c","say \"hi\""," "}"#,
        array(PgScalar::Text),
        r#"[a, b,c, say "hi",  ]"#,
    );
}

#[test]
fn binary_is_read_by_its_type() {
    let check = |bytes: &[u8], pg_type: PgType, expected: &str| {
        assert_eq!(
            shown(bytes, pg_type, Format::Binary),
            Ok(expected.to_owned()),
            "{bytes:?}"
        );
    };
    check(&[1], scalar(PgScalar::Bool), "true");
    check(&258_i16.to_be_bytes(), scalar(PgScalar::Int2), "258");
    check(&(-1_i64).to_be_bytes(), scalar(PgScalar::Int8), "-1");
    check(&1.5_f64.to_be_bytes(), scalar(PgScalar::Float8), "1.5");
    check(
        &0_i64.to_be_bytes(),
        scalar(PgScalar::TimestampTz),
        "2000-01-01T00:00:00Z",
    );
    check(&1_i32.to_be_bytes(), scalar(PgScalar::Date), "2000-01-02");
    check("é".as_bytes(), scalar(PgScalar::Text), "é");
    let numeric = [0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c];
    check(&numeric, scalar(PgScalar::Numeric), "-12345.678");
    let mut array_of_two = Vec::new();
    for number in [1_i32, 0, 23, 2, 1, 4, 5, -1] {
        array_of_two.extend(number.to_be_bytes());
    }
    check(&array_of_two, array(PgScalar::Int4), "[5, NULL]");
}

#[test]
fn what_is_no_value_is_an_error() {
    let check = |bytes: &[u8], pg_type: PgType, format: Format, code: &'static str| {
        assert_eq!(shown(bytes, pg_type, format), Err(code), "{bytes:?}");
    };
    for text in ["", "x", "1e3x", "9223372036854775808"] {
        check(
            text.as_bytes(),
            scalar(PgScalar::Int8),
            Format::Text,
            state::BAD_TEXT,
        );
    }
    check(
        b"yesterday",
        scalar(PgScalar::TimestampTz),
        Format::Text,
        state::BAD_TEXT,
    );
    check(
        b"\xff",
        scalar(PgScalar::Text),
        Format::Text,
        state::BAD_TEXT,
    );
    for text in [
        "1,2",
        "{1,2",
        "{1,,2}",
        "{{1},{2}}",
        "{\"a}",
        "{\"a\"b}",
        "{a\\",
    ] {
        check(
            text.as_bytes(),
            array(PgScalar::Text),
            Format::Text,
            state::BAD_TEXT,
        );
    }
    check(
        &[1, 2, 3],
        scalar(PgScalar::Int8),
        Format::Binary,
        state::BAD_BINARY,
    );
    check(
        &[],
        scalar(PgScalar::Bool),
        Format::Binary,
        state::BAD_BINARY,
    );
    check(
        &[0; 9],
        scalar(PgScalar::Numeric),
        Format::Binary,
        state::BAD_BINARY,
    );
    // As many elements as a length can say, and none of them there.
    let mut huge = Vec::new();
    for number in [1_i32, 0, 23, i32::MAX, 1] {
        huge.extend(number.to_be_bytes());
    }
    check(
        &huge,
        array(PgScalar::Int4),
        Format::Binary,
        state::BAD_BINARY,
    );
}

#[test]
fn null_has_the_type_of_its_parameter() {
    let value = read(None, array(PgScalar::Float8), Format::Binary).expect("a value");
    assert_eq!(value.data_type(), &arrow(array(PgScalar::Float8)));
    assert!(value.is_null(0));
}
