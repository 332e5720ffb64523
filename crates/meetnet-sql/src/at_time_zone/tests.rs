//! What PostgreSQL 15 answers, in a session of UTC.

use datafusion::common::ScalarValue;

use super::*;

const NOON: &str = "2026-07-01T12:00:00";

fn times(data_type: &DataType, texts: &[Option<&str>]) -> ArrayRef {
    let texts: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    cast(&texts, data_type).unwrap()
}

/// Returns one value as it is shown, with `Z` where it is an instant.
fn shown(values: &ArrayRef, row: usize) -> String {
    ScalarValue::try_from_array(&cast(values, &DataType::Utf8).unwrap(), row)
        .unwrap()
        .to_string()
}

#[test]
fn a_zone_turns_instants_into_clocks_and_back() {
    let check = |data_type: &DataType, time: &str, zone: &str, expect: &str| {
        let taken = taken_as(data_type).unwrap();
        let times = cast(&times(data_type, &[Some(time)]), &taken).unwrap();
        let made = by_zone(&times, Some(zone)).unwrap();
        assert_eq!(*made.data_type(), made_of(data_type).unwrap());
        assert_eq!(shown(&made, 0), expect, "{data_type} {time} {zone}");
    };
    let brussels = "Europe/Brussels";
    check(&instant(), NOON, brussels, "2026-07-01T14:00:00");
    check(&clock(), NOON, brussels, "2026-07-01T10:00:00Z");
    check(
        &DataType::Date32,
        "2026-03-30",
        brussels,
        "2026-03-30T02:00:00",
    );
    check(&DataType::Utf8, NOON, brussels, "2026-07-01T14:00:00");
    // Clocks show it twice, and never.
    check(
        &clock(),
        "2026-10-25T02:30:00",
        brussels,
        "2026-10-25T01:30:00Z",
    );
    check(
        &clock(),
        "2026-03-29T02:30:00",
        brussels,
        "2026-03-29T01:30:00Z",
    );
    check(
        &clock(),
        "1969-12-31T23:59:59.5",
        brussels,
        "1969-12-31T22:59:59.500Z",
    );
    check(
        &instant(),
        "1969-12-31T23:59:59.5",
        brussels,
        "1970-01-01T00:59:59.500",
    );
    let of_zone = DataType::Timestamp(TimeUnit::Nanosecond, Some(Arc::from(brussels)));
    check(
        &of_zone,
        "2026-07-01T12:00:00Z",
        "UTC",
        "2026-07-01T12:00:00",
    );
}

#[test]
fn zones_are_named_as_in_postgresql() {
    let check = |zone: &str, expect: &str| {
        let made = by_zone(&times(&instant(), &[Some(NOON)]), Some(zone)).unwrap();
        assert_eq!(shown(&made, 0), format!("2026-07-01T{expect}:00"), "{zone}");
    };
    for (zone, expect) in [
        ("europe/brussels", "14:00"),
        ("utc", "12:00"),
        ("Z", "12:00"),
        ("CET", "13:00"),
        ("cest", "14:00"),
        ("EST5EDT", "08:00"),
        ("Etc/GMT+3", "09:00"),
        ("+02:00", "10:00"),
        ("+02", "10:00"),
        ("-5:30", "17:30"),
    ] {
        check(zone, expect);
    }
    for zone in ["Nowhere", "", "+", "+24", "+2:60", "+0230", "+é", "UTC+"] {
        let refused = zone_named(zone).expect_err(zone).to_string();
        assert!(refused.contains("unknown time zone"), "{zone}: {refused}");
    }
}

#[test]
fn each_row_has_its_zone() {
    let times = times(
        &instant(),
        &[Some(NOON), Some(NOON), None, Some(NOON), Some(NOON)],
    );
    let zones = [
        Some("UTC"),
        Some("Europe/Brussels"),
        Some("Europe/Brussels"),
        None,
        Some("Asia/Tokyo"),
    ];
    let made = by_zones(&times, &StringArray::from(zones.to_vec())).unwrap();
    let hours = [
        "2026-07-01T12:00:00",
        "2026-07-01T14:00:00",
        "",
        "",
        "2026-07-01T21:00:00",
    ];
    for (row, expect) in hours.into_iter().enumerate() {
        assert_eq!(made.is_null(row), expect.is_empty(), "{row}");
        if made.is_valid(row) {
            assert_eq!(shown(&made, row), expect, "{row}");
        }
    }
    let none = by_zones(&times.slice(0, 0), &StringArray::from(Vec::<&str>::new())).unwrap();
    assert_eq!((none.len(), none.data_type()), (0, &clock()));
}

#[test]
fn what_is_no_time_is_refused() {
    let function = AtTimeZone {
        signature: Signature::user_defined(Volatility::Immutable),
    };
    for (time, zone, why) in [
        (
            DataType::Time64(TimeUnit::Nanosecond),
            DataType::Utf8,
            "time of day",
        ),
        (DataType::Int64, DataType::Utf8, "what is no time"),
        (clock(), DataType::Int64, "the name of a zone"),
    ] {
        let types = function.coerce_types(&[time, zone]).unwrap();
        let refused = function.return_type(&types).expect_err(why).to_string();
        assert!(refused.contains(why), "{refused}");
    }
}
