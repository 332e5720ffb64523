use proptest::prelude::*;

use super::*;

fn reader(format: TimeFormat, zone: Option<&str>, doubled: Option<DoubledHour>) -> TimeReader {
    TimeReader::with(format, zone, doubled).unwrap()
}

/// Reads RFC 3339 text and writes the result back, so that the table below can be read.
fn check(reader: &TimeReader, text: &str, expect: Result<&str, TimeError>) {
    assert_eq!(
        reader.read_text(text).map(format_rfc3339),
        expect.map(str::to_owned),
        "{text:?}"
    );
}

#[test]
fn times_with_an_offset() {
    let reader = TimeReader::RFC3339;
    for (text, expect) in [
        ("2024-06-12T11:00:00.000Z", "2024-06-12T11:00:00Z"),
        ("2024-06-12 11:00:00Z", "2024-06-12T11:00:00Z"),
        ("2024-06-12t11:00:00z", "2024-06-12T11:00:00Z"),
        ("2024-06-12T13:00:00+02:00", "2024-06-12T11:00:00Z"),
        ("2024-06-12T05:30:00-05:30", "2024-06-12T11:00:00Z"),
        (
            "2024-06-12T11:00:00.123456789Z",
            "2024-06-12T11:00:00.123456Z",
        ),
        ("2024-06-12T11:00:00.1Z", "2024-06-12T11:00:00.100Z"),
        (
            "1969-12-31T23:59:59.9999999Z",
            "1969-12-31T23:59:59.999999Z",
        ),
        ("  2024-06-12T11:00:00Z\n", "2024-06-12T11:00:00Z"),
        ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
        // Forms off the fast path.
        ("2024-06-12T11:00Z", "2024-06-12T11:00:00Z"),
        ("20240612T110000Z", "2024-06-12T11:00:00Z"),
        ("2024-06-12T13:00:00+0200", "2024-06-12T11:00:00Z"),
        ("2024-06-12 13:00:00+02", "2024-06-12T11:00:00Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        // Digits that no microsecond holds are cut, however many.
        (
            "2024-06-12T11:00:00.1234567899Z",
            "2024-06-12T11:00:00.123456Z",
        ),
        (
            "2024-06-12T13:00:00.123456789012345+0200",
            "2024-06-12T11:00:00.123456Z",
        ),
        (
            "20240612T110000,1234567890123Z",
            "2024-06-12T11:00:00.123456Z",
        ),
    ] {
        check(&reader, text, Ok(expect));
    }
}

#[test]
fn what_is_not_a_time() {
    let reader = reader(TimeFormat::Rfc3339, Some("UTC"), None);
    for text in [
        "",
        "now",
        "nan",
        "2024-13-01T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-06-12T24:00:00Z",
        "2024-06-12T11:60:00Z",
        "2024-06-12T11:00:00.Z",
        "2024-06-12T11:00:00.1234567890é",
        "2024-06-12T11:00:00+26:00",
        "2024-06-12T11:00:00Zjunk",
        "2016-1-4 21:2:35",
        "１２３４-06-12T11:00:00Z",
        "1718190000",
        "\u{0}\u{0}\u{0}\u{0}-06-12T11:00:00Z",
    ] {
        check(&reader, text, Err(TimeError::NotRfc3339));
    }
    check(&reader, "0000-01-01T00:00:00Z", Err(TimeError::OutOfRange));
    check(
        &reader,
        "9999-12-31T23:59:59-01:00",
        Err(TimeError::OutOfRange),
    );
}

/// All rows of a day would have one key, and each would be a revision of the one before.
#[test]
fn a_date_alone_is_no_instant() {
    let utc = reader(TimeFormat::Rfc3339, Some("UTC"), None);
    let brussels = reader(TimeFormat::Rfc3339, Some("Europe/Brussels"), None);
    for reader in [&utc, &brussels, &TimeReader::RFC3339] {
        for text in [
            "2026-06-01",
            " 2026-06-01 ",
            "20260601",
            "2026-06-01[Europe/Brussels]",
        ] {
            check(reader, text, Err(TimeError::NoClock));
        }
    }
    check(&utc, "2026-06-01T00:00", Ok("2026-06-01T00:00:00Z"));
    // Who means a day says so.
    let days = reader(TimeFormat::from("%Y-%m-%d".to_owned()), Some("UTC"), None);
    check(&days, "2026-06-01", Ok("2026-06-01T00:00:00Z"));
}

#[test]
fn naive_times_need_a_zone_and_the_doubled_hour_a_rule() {
    let undeclared = TimeReader::RFC3339;
    let utc = reader(TimeFormat::Rfc3339, Some("UTC"), None);
    let brussels = |rule| reader(TimeFormat::Rfc3339, Some("Europe/Brussels"), rule);
    for (reader, text, expect) in [
        (&undeclared, "2022-10-30 02:30:00", Err(TimeError::NoZone)),
        (&utc, "2019-04-25 01:51:12", Ok("2019-04-25T01:51:12Z")),
        (&utc, "2022-10-30 02:30:00", Ok("2022-10-30T02:30:00Z")),
        // An offset in the text wins over the declared zone.
        (
            &brussels(None),
            "2022-07-01T12:00:00Z",
            Ok("2022-07-01T12:00:00Z"),
        ),
        (
            &brussels(None),
            "2022-07-01T12:00:00",
            Ok("2022-07-01T10:00:00Z"),
        ),
        (
            &brussels(None),
            "2022-01-01 12:00:00.5",
            Ok("2022-01-01T11:00:00.500Z"),
        ),
        (
            &brussels(None),
            "2022-07-01T12:00",
            Ok("2022-07-01T10:00:00Z"),
        ),
        (
            &brussels(None),
            "2022-10-30T01:59:59",
            Ok("2022-10-29T23:59:59Z"),
        ),
        (
            &brussels(None),
            "2022-10-30T02:00:00",
            Err(TimeError::Doubled),
        ),
        (
            &brussels(None),
            "2022-10-30T02:59:59",
            Err(TimeError::Doubled),
        ),
        (
            &brussels(None),
            "2022-10-30T03:00:00",
            Ok("2022-10-30T02:00:00Z"),
        ),
        (
            &brussels(Some(DoubledHour::Reject)),
            "2022-10-30T02:30:00",
            Err(TimeError::Doubled),
        ),
        (
            &brussels(Some(DoubledHour::First)),
            "2022-10-30T02:30:00",
            Ok("2022-10-30T00:30:00Z"),
        ),
        (
            &brussels(Some(DoubledHour::Second)),
            "2022-10-30T02:30:00",
            Ok("2022-10-30T01:30:00Z"),
        ),
        (
            &brussels(Some(DoubledHour::First)),
            "2022-03-27T02:30:00",
            Err(TimeError::Skipped),
        ),
    ] {
        check(reader, text, expect);
    }
    assert_eq!(
        TimeReader::with(TimeFormat::Rfc3339, Some("Europe/Leuven"), None).unwrap_err(),
        TimeError::UnknownZone("Europe/Leuven".to_owned())
    );
}

/// A day begins where the bucket of the day does, whatever the clocks do that night.
#[test]
fn a_day_begins_by_the_clocks_of_a_zone() {
    fn check(text: &str, zone: Option<&str>, expect: Option<&str>) {
        let read = day_or_time_in(text, zone);
        assert_eq!(
            read.map(format_rfc3339).as_deref(),
            expect,
            "{text} {zone:?}"
        );
        let is_day = !text.contains('T');
        if let (Some(begin), true) = (read, is_day) {
            let buckets = crate::derivation::Bucket::Day.of_zone(zone).unwrap();
            assert_eq!(buckets.walk().start(begin), Some(begin), "{text} {zone:?}");
            let name = period_in(begin, Grain::Day, zone);
            assert_eq!(name.as_deref(), Some(text), "{zone:?}");
            let before = period_in(begin - 1, Grain::Day, zone);
            assert_ne!(before.as_deref(), Some(text), "{zone:?}");
        }
    }
    let brussels = Some("Europe/Brussels");
    check("2026-07-01", None, Some("2026-07-01T00:00:00Z"));
    check("2026-07-01", Some("UTC"), Some("2026-07-01T00:00:00Z"));
    check("2026-07-01", brussels, Some("2026-06-30T22:00:00Z"));
    check("2026-01-01", brussels, Some("2025-12-31T23:00:00Z"));
    // The days on which the clocks are set, and those behind them.
    check("2026-03-29", brussels, Some("2026-03-28T23:00:00Z"));
    check("2026-03-30", brussels, Some("2026-03-29T22:00:00Z"));
    check("2026-10-25", brussels, Some("2026-10-24T22:00:00Z"));
    check("2026-10-26", brussels, Some("2026-10-25T23:00:00Z"));
    // Midnight was skipped there, and is shown twice.
    check(
        "2018-11-04",
        Some("America/Sao_Paulo"),
        Some("2018-11-04T03:00:00Z"),
    );
    check(
        "2016-11-06",
        Some("America/Havana"),
        Some("2016-11-06T04:00:00Z"),
    );
    // An instant is one anywhere.
    check(
        "2026-07-01T00:00:00Z",
        brussels,
        Some("2026-07-01T00:00:00Z"),
    );
    check(
        "2026-07-01T02:00:00+02:00",
        brussels,
        Some("2026-07-01T00:00:00Z"),
    );
    check("2026-07-01T00:00:00", brussels, None);
    check("2026-07", brussels, None);
    check("2026-07-01", Some("Mars/Olympus"), None);
    assert_eq!(
        period_in(1_767_222_000_000_000, Grain::Year, brussels).as_deref(),
        Some("2026"),
        "2025-12-31T23:00:00Z"
    );
}

#[test]
fn seconds_and_milliseconds_since_1970() {
    let seconds = reader(TimeFormat::Unix, None, None);
    let millis = reader(TimeFormat::UnixMs, None, None);
    let not = |unit| Err(TimeError::NotUnix { unit });
    for (reader, text, expect) in [
        (&seconds, "1718190000", Ok(1_718_190_000_000_000)),
        (&seconds, "1718190000.5", Ok(1_718_190_000_500_000)),
        (&seconds, "1718190000.123456", Ok(1_718_190_000_123_456)),
        (&seconds, "1718190000.1234569", Ok(1_718_190_000_123_456)),
        (&seconds, "-0.0000001", Ok(-1)),
        (&seconds, "-1.5", Ok(-1_500_000)),
        (&seconds, "1.7e9", Ok(1_700_000_000_000_000)),
        (&millis, "1718190000123", Ok(1_718_190_000_123_000)),
        (&millis, "1718190000123.25", Ok(1_718_190_000_123_250)),
        (&seconds, "", not("seconds")),
        (&seconds, "nan", not("seconds")),
        (&seconds, "inf", not("seconds")),
        (&millis, "2024-06-12T11:00:00Z", not("milliseconds")),
        (&millis, "9223372036854775.999", Err(TimeError::OutOfRange)),
        (&seconds, "1718190000000", Err(TimeError::OutOfRange)),
        (&seconds, "99999999999999999999", Err(TimeError::OutOfRange)),
        (&seconds, "1e300", Err(TimeError::OutOfRange)),
    ] {
        assert_eq!(reader.read_text(text), expect, "{text:?}");
    }
    let micros = reader(TimeFormat::UnixUs, None, None);
    let nanos = reader(TimeFormat::UnixNs, None, None);
    for (reader, text, expect) in [
        (&micros, "1718190000123456", Ok(1_718_190_000_123_456)),
        (&micros, "-1", Ok(-1)),
        (&micros, "x", not("microseconds")),
        (&nanos, "1718190000123456789", Ok(1_718_190_000_123_456)),
        (&nanos, "-1", Ok(-1)),
        (&nanos, "1.5e18", Ok(1_500_000_000_000_000)),
        (
            &nanos,
            "99999999999999999999999999",
            Err(TimeError::OutOfRange),
        ),
        (&nanos, "1e300", Err(TimeError::OutOfRange)),
        (&nanos, "nan", not("nanoseconds")),
        (&nanos, "", not("nanoseconds")),
    ] {
        assert_eq!(reader.read_text(text), expect, "{text:?}");
    }
}

#[test]
fn times_by_a_pattern() {
    let with =
        |pattern: &str, zone, doubled| reader(TimeFormat::from(pattern.to_owned()), zone, doubled);
    let wrong = |pattern: &str| Err(TimeError::NotPattern(pattern.to_owned()));
    let belgian = "%d/%m/%Y %H:%M";
    let brussels = with(belgian, Some("Europe/Brussels"), None);
    for (text, expect) in [
        ("12/06/2024 13:00", Ok("2024-06-12T11:00:00Z")),
        (" 1/6/2024 13:00 ", Ok("2024-06-01T11:00:00Z")),
        ("06/13/2024 13:00", wrong(belgian)),
        ("2024-06-12 13:00", wrong(belgian)),
        ("12/06/2024 13:00:00", wrong(belgian)),
        ("12/06/2024 24:00", wrong(belgian)),
        ("", wrong(belgian)),
        // The hour that is skipped, and the one that is doubled.
        ("31/03/2024 02:30", Err(TimeError::Skipped)),
        ("27/10/2024 02:30", Err(TimeError::Doubled)),
    ] {
        check(&brussels, text, expect);
    }
    let second = with(belgian, Some("Europe/Brussels"), Some(DoubledHour::Second));
    check(&second, "27/10/2024 02:30", Ok("2024-10-27T01:30:00Z"));
    for (pattern, zone, text, expect) in [
        (
            "%Y%m%d%H%M%S",
            Some("UTC"),
            "20240612110000",
            Ok("2024-06-12T11:00:00Z"),
        ),
        (
            "%m/%d/%Y %I:%M %p",
            Some("UTC"),
            "06/12/2024 11:30 PM",
            Ok("2024-06-12T23:30:00Z"),
        ),
        (
            "%d %b %Y %H:%M:%S%.f",
            Some("UTC"),
            "12 Jun 2024 11:00:00.25",
            Ok("2024-06-12T11:00:00.250Z"),
        ),
        // An offset in the text needs no zone, and counts before a declared one.
        (
            "%Y-%m-%d %H:%M %z",
            None,
            "2024-06-12 13:00 +0200",
            Ok("2024-06-12T11:00:00Z"),
        ),
        (
            "%Y-%m-%d %H:%M %z",
            Some("UTC"),
            "2024-06-12 13:00 +0200",
            Ok("2024-06-12T11:00:00Z"),
        ),
        (
            "%Y-%m-%d",
            Some("UTC"),
            "2024-06-12",
            Ok("2024-06-12T00:00:00Z"),
        ),
        ("%Y-%m-%d", None, "2024-06-12", Err(TimeError::NoZone)),
        (
            "%d/%m/%y %H:%M",
            Some("UTC"),
            "12/06/24 11:00",
            Ok("2024-06-12T11:00:00Z"),
        ),
        (
            "%d/%m/%Y %H:%M",
            Some("UTC"),
            "12/06/24 11:00",
            Err(TimeError::ShortYear),
        ),
    ] {
        check(&with(pattern, zone, None), text, expect);
    }
    for pattern in ["", "unix_ms", "%H:%M", "%Y-%m", "%d/%m", "%Q", "%Y-%d-%m-%"] {
        assert_eq!(
            TimeReader::with(TimeFormat::Pattern(pattern.to_owned()), None, None).unwrap_err(),
            TimeError::WrongPattern(pattern.to_owned())
        );
    }
}

proptest! {
    #[test]
    fn offsets_shift_the_instant(
        micros in -62_000_000_000_000_000_i64..253_000_000_000_000_000,
        minutes in -1439_i64..1440,
    ) {
        let local = format_rfc3339(micros + minutes * 60 * SECOND_US);
        let sign = if minutes < 0 { '-' } else { '+' };
        let text = format!(
            "{}{sign}{:02}:{:02}", local.trim_end_matches('Z'), minutes.abs() / 60, minutes.abs() % 60,
        );
        prop_assert_eq!(parse_rfc3339(&text), Ok(micros));
    }

    #[test]
    fn fast_path_and_jiff_agree(micros in -62_000_000_000_000_000_i64..253_000_000_000_000_000) {
        let text = format_rfc3339(micros);
        let by_jiff: jiff::Timestamp = text.parse().unwrap();
        prop_assert_eq!(read_iso(text.as_bytes()), Some((by_jiff.as_microsecond(), Some(0))));
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}", zone in prop::option::of(Just("Europe/Brussels"))) {
        for format in ["rfc3339", "unix", "unix-ms", "unix-us", "unix-ns", "%d/%m/%y %I%p"] {
            let format = TimeFormat::from(format.to_owned());
            let _ = reader(format, zone, None).read_text(&text);
        }
    }
}

/// What jiff makes of an ISO 8601 time, and UTC of one without an offset; digits after the sixth of a second are cut.
fn by_jiff(text: &str) -> Option<i64> {
    match text.parse::<jiff::Timestamp>() {
        Ok(time) => Some(floor_micros(time)),
        Err(_) => Some(local_micros(text.parse().ok()?)),
    }
}

proptest! {
    /// What is read in one step is what jiff reads, to whatever the text is changed.
    #[test]
    fn a_usual_time_is_what_jiff_reads(
        micros in -62_000_000_000_000_000_i64..253_000_000_000_000_000,
        fraction in prop::option::of("\\.[0-9]{0,10}"),
        end in prop::sample::select(vec!["", "Z", "z", "+00:00", "-05:30", "+23:59", "+24:00", "+1:00", "[", "Z "]),
        change in prop::option::of((0_usize..19, prop::sample::select(b"0123456789-:T tZ/.\\\x80".to_vec()))),
    ) {
        let mut text = format_rfc3339(micros).into_bytes();
        text.truncate(19);
        if let Some((at, byte)) = change {
            text[at] = byte;
        }
        text.extend_from_slice(fraction.unwrap_or_default().as_bytes());
        text.extend_from_slice(end.as_bytes());
        let utc = reader(TimeFormat::Rfc3339, Some("UTC"), None);
        if let Some(read) = utc.read_usual(&text) {
            let text = String::from_utf8(text).unwrap();
            let cut = with_nine_decimals(&text);
            prop_assert_eq!(Some(read), by_jiff(&cut.replacen(' ', "T", 1).to_uppercase()), "{}", text);
            // Without a zone only an offset makes it an instant.
            let has_offset = text.len() > 19 && !text[19..].bytes().all(|b| b.is_ascii_digit() || b == b'.');
            let strict = TimeReader::RFC3339.read_usual(text.as_bytes());
            prop_assert_eq!(strict, has_offset.then_some(read));
        } else if change.is_none() && matches!(end, "Z" | "" | "-05:30") {
            let digits = text.len() - 19 - end.len();
            prop_assert!(digits == 1, "{:?} is usual", String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn a_whole_number_is_read_as_it_is_written(
        text in prop_oneof!["-?[0-9]{1,20}", "[0-9]{0,9}[./:a-]?[0-9]{0,9}", any::<i64>().prop_map(|n| n.to_string())],
    ) {
        let digits = text.trim_start_matches('-').len();
        let is_whole = text.strip_prefix('-').unwrap_or(&text).bytes().all(|b| b.is_ascii_digit());
        let expect = text.parse::<i64>().ok().filter(|_| is_whole && digits <= 18);
        prop_assert_eq!(signed_number(text.as_bytes()), expect, "{}", text);
    }
}

#[test]
fn a_time_without_seconds_has_them() {
    for (text, expect) in [
        ("2026-02-01 00:00", Some("2026-02-01 00:00:00")),
        ("2026-02-01T23:59", Some("2026-02-01T23:59:00")),
        ("2026-02-01T00:00Z", Some("2026-02-01T00:00:00Z")),
        ("2026-02-01 00:00+01", Some("2026-02-01 00:00:00+01")),
        (
            "2026-02-01 00:00 -01:30",
            Some("2026-02-01 00:00:00 -01:30"),
        ),
        ("2026-02-01 00:00:00", None),
        ("2026-02-01 00:00.5", None),
        ("2026-02-01", None),
        ("2026-02-01 0:00", None),
        ("01/02/2026 00:00", None),
        ("2026-02-01 00:0é", None),
        ("", None),
    ] {
        assert_eq!(with_seconds(text).as_deref(), expect, "{text}");
    }
}
