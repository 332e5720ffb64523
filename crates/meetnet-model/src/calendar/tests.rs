use proptest::prelude::*;

use super::*;
use crate::time::parse_rfc3339;

fn at(text: &str) -> i64 {
    parse_rfc3339(text).unwrap()
}

#[test]
fn instants_are_written_as_short_as_they_are_exact() {
    for (micros, expect) in [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_000, "1970-01-01T00:00:00.001Z"),
        (1_500_000, "1970-01-01T00:00:01.500Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00Z"),
        (1_767_225_599_999_999, "2025-12-31T23:59:59.999999Z"),
        (-62_135_596_800_000_000, "0001-01-01T00:00:00Z"),
        (253_402_300_799_000_000, "9999-12-31T23:59:59Z"),
        (i64::MAX, "+294247-01-10T04:00:54.775807Z"),
        (i64::MIN, "-290308-12-21T19:59:05.224192Z"),
    ] {
        assert_eq!(format_rfc3339(micros), expect);
    }
}

#[test]
fn months_are_those_of_utc() {
    for (time, expect) in [
        ("2026-01-01T00:00:00Z", 1),
        ("2025-12-31T23:59:59.999999Z", 12),
        ("2024-02-29T12:00:00Z", 2),
        ("2024-03-01T00:00:00Z", 3),
        ("1969-07-20T20:17:40Z", 7),
    ] {
        assert_eq!(month(at(time)), expect, "{time}");
    }
}

#[test]
fn periods_name_and_bound_the_instants_they_hold() {
    for (time, grain, name, start, end) in [
        (
            "2026-01-01T00:00:00Z",
            Grain::Year,
            "2026",
            "2026-01-01T00:00:00Z",
            "2027-01-01T00:00:00Z",
        ),
        (
            "2025-12-31T23:59:59.999999Z",
            Grain::Month,
            "2025-12",
            "2025-12-01T00:00:00Z",
            "2026-01-01T00:00:00Z",
        ),
        (
            "2024-02-29T12:00:00Z",
            Grain::Month,
            "2024-02",
            "2024-02-01T00:00:00Z",
            "2024-03-01T00:00:00Z",
        ),
        (
            "2024-02-29T12:00:00Z",
            Grain::Day,
            "2024-02-29",
            "2024-02-29T00:00:00Z",
            "2024-03-01T00:00:00Z",
        ),
        (
            "1969-12-31T23:00:00Z",
            Grain::Day,
            "1969-12-31",
            "1969-12-31T00:00:00Z",
            "1970-01-01T00:00:00Z",
        ),
    ] {
        assert_eq!(period(at(time), grain), name);
        assert_eq!(period_start(at(time), grain), at(start), "{time}");
        assert_eq!(period_end(at(time), grain), at(end), "{time}");
        assert_eq!(
            period_bounds(name, grain),
            Some((at(start), at(end))),
            "{time}"
        );
    }
}

#[test]
fn other_texts_are_not_periods() {
    for (name, grain) in [
        ("26", Grain::Year),
        ("2026-01", Grain::Year),
        ("2026", Grain::Month),
        ("2026-1", Grain::Month),
        ("2026-13", Grain::Month),
        ("2026-02-29", Grain::Day),
        ("2026-02-", Grain::Day),
        ("+026", Grain::Year),
        ("", Grain::Day),
    ] {
        assert_eq!(period_bounds(name, grain), None, "{name}");
    }
}

proptest! {
    #[test]
    fn dates_and_days_are_each_others_inverse(days in -200_000_000_i64..200_000_000) {
        let date = Date::from_days(days);
        prop_assert!(date.is_valid());
        prop_assert_eq!(date.days(), days);
    }

    #[test]
    fn text_and_instant_are_each_others_inverse(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
        prop_assert_eq!(parse_rfc3339(&format_rfc3339(micros)), Ok(micros));
    }

    #[test]
    fn any_instant_lies_in_its_period(micros in any::<i64>()) {
        for grain in [Grain::Year, Grain::Month, Grain::Day] {
            prop_assert!(period_start(micros, grain) <= micros);
            prop_assert!(period_end(micros, grain) >= micros);
        }
    }
}

/// The answers are those of PostgreSQL 15.
#[test]
fn ages_are_counted_as_postgresql_counts_them() {
    const HOUR: i64 = 3_600 * SECOND_US;
    for (to, from, expect) in [
        (
            "2026-03-31T12:00:00Z",
            "2026-02-28T13:30:15.5Z",
            (1, 2, 22 * HOUR + 29 * 60 * SECOND_US + 44_500_000),
        ),
        (
            "2001-04-10T00:00:00Z",
            "1957-06-13T00:00:00Z",
            (43 * 12 + 9, 27, 0),
        ),
        ("2026-03-01T00:00:00Z", "2026-01-31T00:00:00Z", (1, 1, 0)),
        (
            "2024-03-01T00:00:00Z",
            "2024-02-29T00:00:01Z",
            (0, 0, 24 * HOUR - SECOND_US),
        ),
        ("2023-03-01T00:00:00Z", "2023-01-30T00:00:00Z", (1, 2, 0)),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", (0, 0, 0)),
        (
            "2026-12-25T06:00:00Z",
            "2026-12-24T18:00:00Z",
            (0, 0, 12 * HOUR),
        ),
        ("2025-02-28T00:00:00Z", "2024-02-29T00:00:00Z", (11, 28, 0)),
        (
            "2026-05-31T00:00:00Z",
            "2026-04-30T00:00:00.000001Z",
            (1, 0, 24 * HOUR - 1),
        ),
        (
            "2026-07-31T00:00:00Z",
            "2026-06-30T12:00:00Z",
            (1, 0, 12 * HOUR),
        ),
        (
            "2026-03-30T00:00:00Z",
            "2026-01-31T12:00:00Z",
            (1, 29, 12 * HOUR),
        ),
        (
            "1970-01-01T00:00:00Z",
            "1969-12-31T23:59:59.5Z",
            (0, 0, SECOND_US / 2),
        ),
    ] {
        assert_eq!(age(at(to), at(from)), expect, "{to} {from}");
        let (months, days, micros) = expect;
        let before = (-months, -days, -micros);
        assert_eq!(age(at(from), at(to)), before, "{from} {to}");
    }
}
