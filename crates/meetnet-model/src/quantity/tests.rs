use super::*;

#[test]
fn durations() {
    for (text, micros) in [
        ("250ms", 250_000),
        ("5s", 5_000_000),
        ("1.5s", 1_500_000),
        ("15m", 900_000_000),
        ("15 min", 900_000_000),
        ("1h", 3_600_000_000),
        ("400d", 34_560_000_000_000),
        ("0s", 0),
        (" 7us ", 7),
    ] {
        assert_eq!(
            parse_duration(text),
            Ok(Duration::from_micros(micros)),
            "{text}"
        );
    }
}

#[test]
fn sizes() {
    for (text, bytes) in [
        ("512B", 512),
        ("10KB", 10_000),
        ("10kB", 10_000),
        ("64MiB", 64 << 20),
        ("1.5 GiB", 3 << 29),
        ("2TB", 2_000_000_000_000),
        ("0B", 0),
    ] {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
}

#[test]
fn errors_say_what_to_write() {
    let known = "`5w` has the unknown unit `w`; use one of us, ms, s, m, min, h, d";
    for (text, expect) in [
        (
            "30",
            "`30` has no unit; write for example \"250ms\", \"5s\", \"15m\", \"1h\" or \"400d\"",
        ),
        (
            "",
            "`` is not a duration; write a number and a unit, for example \"250ms\", \"5s\", \"15m\", \"1h\" or \"400d\"",
        ),
        (
            "-5s",
            "`-5s` is not a duration; write a number and a unit, for example \"250ms\", \"5s\", \"15m\", \"1h\" or \"400d\"",
        ),
        (
            "1.s",
            "`1.s` is not a duration; write a number and a unit, for example \"250ms\", \"5s\", \"15m\", \"1h\" or \"400d\"",
        ),
        ("5w", known),
        (
            "0.5us",
            "`0.5us` is too large or finer than one microsecond",
        ),
        (
            "999999999999d",
            "`999999999999d` is too large or finer than one microsecond",
        ),
        (
            "200000000d",
            "`200000000d` is too large or finer than one microsecond",
        ),
    ] {
        assert_eq!(parse_duration(text).unwrap_err().to_string(), expect);
    }
    for (text, expect) in [
        (
            "10",
            "`10` has no unit; write for example \"512B\", \"10KB\" or \"64MiB\"",
        ),
        (
            "64Mib",
            "`64Mib` has the unknown unit `Mib`; use one of B, KB, kB, KiB, MB, MiB, GB, GiB, TB, TiB",
        ),
        ("0.5B", "`0.5B` is too large or finer than one byte"),
    ] {
        assert_eq!(parse_size(text).unwrap_err().to_string(), expect);
    }
}

#[test]
fn they_read_and_write_themselves() {
    for text in ["5s", "250ms", "400d", "0us", "90m", "25h"] {
        assert_eq!(text.parse::<DurationText>().unwrap().to_string(), text);
    }
    for text in ["64MiB", "10KB", "1500B", "0B", "3TiB"] {
        assert_eq!(text.parse::<SizeText>().unwrap().to_string(), text);
    }
    assert_eq!("60s".parse::<DurationText>().unwrap().to_string(), "1m");
    assert_eq!("5s".parse::<DurationText>().unwrap().micros(), 5_000_000);
    let size: SizeText = serde_json::from_str("\"64MiB\"").unwrap();
    assert_eq!(serde_json::to_string(&size).unwrap(), "\"64MiB\"");
    let bare = serde_json::from_str::<DurationText>("30")
        .unwrap_err()
        .to_string();
    assert!(
        bare.contains("expected a duration in quotes with its unit"),
        "{bare}"
    );
}

#[test]
fn sizes_for_people_are_rounded() {
    for (bytes, expect) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_500_000, "1.4 MiB"),
        ((1 << 20) - 1, "1.0 MiB"),
        (3 << 30, "3.0 GiB"),
        (5_000 << 40, "5000.0 TiB"),
    ] {
        assert_eq!(SizeText(bytes).rounded(), expect);
    }
}

#[test]
fn exact_sizes_are_in_the_unit_that_they_are_whole_numbers_of() {
    let check = |bytes: u64, expect: &str| assert_eq!(SizeText(bytes).exact(), expect);
    check(0, "0 bytes");
    check(1_000, "1000 bytes");
    check(10 << 10, "10 KiB");
    check(1536 << 10, "1536 KiB");
    check(256 << 20, "256 MiB");
    check(1 << 30, "1 GiB");
    check(u64::MAX, "18446744073709551615 bytes");
}
