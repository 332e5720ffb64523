use super::{format_date, format_time, write_date, write_time};

#[test]
fn instants_are_written_with_the_digits_they_need() {
    let check = |seconds: i64, nanoseconds: u32, expect: &str| {
        let mut out = Vec::new();
        write_time(seconds, nanoseconds, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expect);
    };
    check(0, 0, "1970-01-01T00:00:00Z");
    check(-1, 0, "1969-12-31T23:59:59Z");
    check(1_780_000_000, 0, "2026-05-28T20:26:40Z");
    // Leap days.
    check(951_782_400, 0, "2000-02-29T00:00:00Z");
    check(1_709_251_199, 0, "2024-02-29T23:59:59Z");
    // Micro- or nanoseconds, never fewer digits.
    check(0, 500_000_000, "1970-01-01T00:00:00.500000Z");
    check(0, 1_000, "1970-01-01T00:00:00.000001Z");
    check(0, 987_654_000, "1970-01-01T00:00:00.987654Z");
    check(0, 1, "1970-01-01T00:00:00.000000001Z");
    check(0, 120_003_045, "1970-01-01T00:00:00.120003045Z");
    // The ends of what a column of seconds or milliseconds may hold.
    check(-62_167_219_200, 0, "0000-01-01T00:00:00Z");
    check(-62_167_219_201, 0, "-001-12-31T23:59:59Z");
    check(253_402_300_799, 0, "9999-12-31T23:59:59Z");
    check(253_402_300_800, 0, "10000-01-01T00:00:00Z");
}

#[test]
fn days_and_microseconds_are_written_the_same_way() {
    let mut out = Vec::new();
    write_date(-719_528, &mut out);
    assert_eq!(out, b"0000-01-01");
    assert_eq!(format_date(20_454), "2026-01-01");
    assert_eq!(format_date(i32::MAX), "5881580-07-11");
    assert_eq!(format_date(i32::MIN), "-5877641-06-23");
    assert_eq!(format_time(-1), "1969-12-31T23:59:59.999999Z");
    assert_eq!(
        format_time(1_767_225_600_000_001),
        "2026-01-01T00:00:00.000001Z"
    );
}
