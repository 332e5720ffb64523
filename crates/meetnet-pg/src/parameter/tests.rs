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
    // JDBC writes the zone behind days and times of the day.
    for (day, instant) in [
        ("2026-01-01 +00", "2026-01-01T00:00:00Z"),
        ("2026-01-01 +01", "2025-12-31T23:00:00Z"),
        ("2026-01-01 -05:30", "2026-01-01T05:30:00Z"),
    ] {
        check(day, scalar(PgScalar::Date), "2026-01-01");
        check(day, scalar(PgScalar::Timestamp), "2026-01-01T00:00:00");
        check(day, scalar(PgScalar::TimestampTz), instant);
    }
    check("12:30:00+01", scalar(PgScalar::Time), "12:30:00");
    // Of a timestamp without a zone it says nothing.
    for time in [
        "2026-01-01 12:00:00+00",
        "2026-01-01T12:00:00+01:00",
        "2026-01-01 12:00:00.000 -05",
        "2026-01-01 12:00+0200",
        "2026-01-01T12:00Z",
        "2026-01-01 12:00:00 Europe/Brussels",
        "2026-01-01 12:00",
    ] {
        check(time, scalar(PgScalar::Timestamp), "2026-01-01T12:00:00");
    }
    let times = r#"{"2026-01-01 12:00+02",NULL}"#;
    let expected = "[2026-01-01T12:00:00, NULL]";
    check(times, array(PgScalar::Timestamp), expected);
    check("\\x00ff", scalar(PgScalar::Bytea), "00ff");
    check("a\\\\\\000", scalar(PgScalar::Bytea), "615c00");
    for uuid in [
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11",
    ] {
        let canonical = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        check(uuid, scalar(PgScalar::Uuid), canonical);
    }
    check("NaN", scalar(PgScalar::Numeric), "NaN");
    check(
        " 12345678901234567890.123 ",
        scalar(PgScalar::Digits),
        "12345678901234567890.123",
    );
    check("45e-1", scalar(PgScalar::Digits), "45e-1");
    check(
        "{12345678901234567890.123,NULL,45e-1}",
        array(PgScalar::Digits),
        "[12345678901234567890.123, NULL, 004.5]",
    );
    check("Infinity", scalar(PgScalar::Float8), "inf");
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
    check(&(-1_i32).to_be_bytes(), scalar(PgScalar::Oid), "4294967295");
    // As asyncpg sends the one type that it asks about.
    let oids = [1, 0, 26, 1, 1, 4, 1022_i32].map(i32::to_be_bytes).concat();
    check(&oids, array(PgScalar::Oid), "[1022]");
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
    // Its scale hides a digit.
    let numeric = [0, 3, 0, 1, 0x40, 0, 0, 2, 0, 1, 0x09, 0x29, 0x1a, 0x7c];
    check(&numeric, scalar(PgScalar::Numeric), "-12345.67");
    // As digits, wherever the point stands.
    for (numeric, digits) in [
        (
            &[0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c][..],
            "-12345.678",
        ),
        (
            &[0, 3, 0, 1, 0x40, 0, 0, 2, 0, 1, 0x09, 0x29, 0x1a, 0x7c],
            "-12345.67",
        ),
        (&[0, 1, 0, 0, 0, 0, 0, 0, 0, 45], "45"),
        (&[0, 1, 0, 1, 0, 0, 0, 0, 0, 45], "450000"),
        (&[0, 1, 0xff, 0xff, 0, 0, 0, 4, 0, 45], "0.0045"),
        (&[0, 1, 0xff, 0xfe, 0, 0, 0, 8, 0, 45], "0.00000045"),
        (&[0, 0, 0, 0, 0, 0, 0, 2], "0"),
        (&[0, 0, 0, 0, 0xc0, 0, 0, 0], "NaN"),
    ] {
        check(numeric, scalar(PgScalar::Digits), digits);
    }
    // Nothing but zeros, whatever their weight.
    let zero = [0, 1, 0x7f, 0xff, 0, 0, 0, 0, 0, 0];
    check(&zero, scalar(PgScalar::Numeric), "0.0");
    check(
        &[0, 0, 0, 0, 0xc0, 0, 0, 0],
        scalar(PgScalar::Numeric),
        "NaN",
    );
    check(
        &[0, 0, 0, 0, 0xf0, 0, 0, 0],
        scalar(PgScalar::Numeric),
        "-inf",
    );
    let uuid: Vec<u8> = (0..16).map(|at| at * 17).collect();
    check(
        &uuid,
        scalar(PgScalar::Uuid),
        "00112233-4455-6677-8899-aabbccddeeff",
    );
    check(
        &27_000_000_000_i64.to_be_bytes(),
        scalar(PgScalar::Time),
        "07:30:00",
    );
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
    for (text, of, code) in [
        ("", PgScalar::Int8, state::BAD_TEXT),
        ("x", PgScalar::Int8, state::BAD_TEXT),
        ("1e3x", PgScalar::Int8, state::BAD_TEXT),
        ("9223372036854775808", PgScalar::Int8, state::OUT_OF_RANGE),
        ("-40000", PgScalar::Int2, state::OUT_OF_RANGE),
        ("maybe", PgScalar::Bool, state::BAD_TEXT),
        ("yesterday", PgScalar::TimestampTz, state::BAD_TIME),
        ("2026-02-31", PgScalar::Date, state::TIME_RANGE),
        ("25:00", PgScalar::Time, state::TIME_RANGE),
        ("1 dag", PgScalar::Interval, state::BAD_TIME),
        // What stands behind it is no zone.
        (
            "2026-01-01 12:00:00 noon",
            PgScalar::Timestamp,
            state::BAD_TIME,
        ),
    ] {
        check(text.as_bytes(), scalar(of), Format::Text, code);
    }
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
    for text in ["", "much", "1e", "1,5"] {
        let digits = scalar(PgScalar::Digits);
        check(text.as_bytes(), digits, Format::Text, state::BAD_TEXT);
    }
    for text in [
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11f",
        "a0eebc99--9c0b-4ef8-bb6d-6bb9bd380a11",
        "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ] {
        let uuid = scalar(PgScalar::Uuid);
        check(text.as_bytes(), uuid, Format::Text, state::BAD_TEXT);
    }
    check(
        &[0; 15],
        scalar(PgScalar::Uuid),
        Format::Binary,
        state::BAD_BINARY,
    );
    check(
        b"\\x0",
        scalar(PgScalar::Bytea),
        Format::Text,
        state::BAD_TEXT,
    );
    // Floats are as long as the integers that the parameter is an array of.
    let mut floats = Vec::new();
    for number in [1_i32, 0, 701, 1, 1, 8, 0, 0] {
        floats.extend(number.to_be_bytes());
    }
    check(
        &floats,
        array(PgScalar::Int8),
        Format::Binary,
        state::BAD_BINARY,
    );
    // Fewer elements than none.
    let mut negative = Vec::new();
    for number in [1_i32, 0, 23, -1, 1] {
        negative.extend(number.to_be_bytes());
    }
    check(
        &negative,
        array(PgScalar::Int4),
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

#[test]
fn numbers_that_no_float_can_hold_are_refused() {
    let check = |bytes: &[u8], scalar: PgScalar, format: Format| {
        let found = shown(bytes, PgType::of(scalar), format);
        assert_eq!(found, Err(state::OUT_OF_RANGE), "{bytes:?}");
    };
    // One digit of the greatest weight, and one of the least that its scale shows.
    let great = [0, 1, 0x7f, 0xff, 0, 0, 0, 0, 0, 1];
    let small = [0, 1, 0xf0, 0x01, 0, 0, 0x3f, 0xff, 0, 1];
    check(&great, PgScalar::Numeric, Format::Binary);
    check(&small, PgScalar::Numeric, Format::Binary);
    // As digits they would be thousands.
    check(&great, PgScalar::Digits, Format::Binary);
    check(&small, PgScalar::Digits, Format::Binary);
    for scalar in [PgScalar::Numeric, PgScalar::Float8, PgScalar::Float4] {
        check(b"1e400", scalar, Format::Text);
        check(b"-1e400", scalar, Format::Text);
        check(b"1e-400", scalar, Format::Text);
    }
}

/// The ends of the types of days and instants are infinity, in both directions.
#[test]
fn infinity_stays_what_it_is() {
    use crate::values::Column;

    let written = |value: &ArrayRef, pg_type: PgType, format: Format| {
        let column = Column::new(value, pg_type, format).expect("a column");
        let mut out = bytes::BytesMut::new();
        column.write(0, &mut out);
        out[4..].to_vec()
    };
    for kind in [PgScalar::Date, PgScalar::Timestamp, PgScalar::TimestampTz] {
        let pg_type = scalar(kind);
        let (least, greatest) = match kind {
            PgScalar::Date => (
                i32::MIN.to_be_bytes().to_vec(),
                i32::MAX.to_be_bytes().to_vec(),
            ),
            _ => (
                i64::MIN.to_be_bytes().to_vec(),
                i64::MAX.to_be_bytes().to_vec(),
            ),
        };
        for (text, binary) in [("-infinity", least), ("infinity", greatest)] {
            let of_text = read(Some(text.as_bytes()), pg_type, Format::Text).expect(text);
            let of_binary = read(Some(&binary), pg_type, Format::Binary).expect(text);
            assert_eq!(&of_text, &of_binary, "{text} {kind:?}");
            assert_eq!(written(&of_text, pg_type, Format::Text), text.as_bytes());
            assert_eq!(written(&of_text, pg_type, Format::Binary), binary);
        }
    }
}

#[test]
fn what_no_time_can_be_is_refused() {
    let check = |bytes: &[u8], kind: PgScalar| {
        let found = shown(bytes, scalar(kind), Format::Binary);
        assert_eq!(found, Err(state::TIME_RANGE), "{bytes:?} {kind:?}");
    };
    for time in [-1_i64, DAY_MICROSECONDS, i64::MAX] {
        check(&time.to_be_bytes(), PgScalar::Time);
    }
    for time in [i64::MAX - 1, i64::MAX - EPOCH_MICROSECONDS] {
        check(&time.to_be_bytes(), PgScalar::Timestamp);
        check(&time.to_be_bytes(), PgScalar::TimestampTz);
    }
    for day in [i32::MAX - 1, i32::MAX - EPOCH_DAYS] {
        check(&day.to_be_bytes(), PgScalar::Date);
    }
}

/// Whatever is sent is a value of its type or an error, and a value is sent back as the same bytes.
#[test]
fn any_bytes_are_a_value_or_an_error() {
    use crate::values::Column;

    /// Types of which each value has one form in binary.
    const EXACT: [PgScalar; 11] = [
        PgScalar::Int2,
        PgScalar::Int4,
        PgScalar::Int8,
        PgScalar::Float4,
        PgScalar::Float8,
        PgScalar::Date,
        PgScalar::Time,
        PgScalar::Timestamp,
        PgScalar::TimestampTz,
        PgScalar::Interval,
        PgScalar::Bytea,
    ];
    let mut seed = 1_u64;
    let mut random = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    let uuids = [scalar(PgScalar::Uuid), array(PgScalar::Uuid)];
    let types: Vec<PgType> = PgType::all().chain(uuids).collect();
    let mut values = 0;
    for round in 0..4_000 {
        let length = match round % 3 {
            0 => [1, 2, 4, 8, 16][random() % 5],
            _ => random() % 48,
        };
        // Small and extreme bytes are what lengths and counts are made of.
        let mut bytes: Vec<u8> = (0..length)
            .map(|_| match random() % 4 {
                0 => 0,
                1 => [1, 0x7f, 0x80, 0xff][random() % 4],
                _ => random() as u8,
            })
            .collect();
        for pg_type in &types {
            if pg_type.is_array && round % 2 == 0 && bytes.len() >= 12 {
                let element = PgType::of(pg_type.scalar).oid();
                bytes[..4].copy_from_slice(&1_i32.to_be_bytes());
                bytes[8..12].copy_from_slice(&element.to_be_bytes());
            }
            let Ok(value) = read(Some(&bytes), *pg_type, Format::Binary) else {
                continue;
            };
            values += 1;
            assert_eq!(value.len(), 1);
            assert_eq!(value.data_type(), &arrow(*pg_type), "{pg_type:?}");
            if pg_type.is_array || !EXACT.contains(&pg_type.scalar) {
                continue;
            }
            let mut out = bytes::BytesMut::new();
            let column = Column::new(&value, *pg_type, Format::Binary).expect("a column");
            column.write(0, &mut out);
            assert_eq!(out[4..], bytes[..], "{pg_type:?}");
            let column = Column::new(&value, *pg_type, Format::Text).expect("a column");
            column.write(0, &mut out);
        }
    }
    assert!(values > 1_000, "{values}");
}
