use jiff::Zoned;

use super::*;
use crate::calendar::format_rfc3339;
use crate::time::parse_rfc3339;

const HOUR_US: i64 = 3_600 * SECOND_US;

fn us(text: &str) -> i64 {
    parse_rfc3339(text).unwrap()
}

fn buckets(width: BucketWidth, zone: &str) -> TimeBuckets {
    TimeBuckets::try_new(width, Some(zone), None).unwrap()
}

/// Checks the bucket of an instant: its start, and the start of the next.
fn check(width: BucketWidth, zone: &str, instant: &str, start: &str, next: &str) {
    let buckets = buckets(width, zone);
    let mut walk = buckets.walk();
    let found = [walk.start(us(instant)), walk.next(us(instant))];
    let found = found.map(|at| format_rfc3339(at.unwrap()));
    assert_eq!(found, [start, next], "{width:?} {zone} {instant}");
}

const QUARTER: BucketWidth = BucketWidth::Micros(HOUR_US / 4);
const HOUR: BucketWidth = BucketWidth::Micros(HOUR_US);
const TWO_HOURS: BucketWidth = BucketWidth::Micros(2 * HOUR_US);
const SIX_HOURS: BucketWidth = BucketWidth::Micros(6 * HOUR_US);
const DAY: BucketWidth = BucketWidth::Days(1);
const WEEK: BucketWidth = BucketWidth::Days(7);
const MONTH: BucketWidth = BucketWidth::Months(1);
const QUARTER_YEAR: BucketWidth = BucketWidth::Months(3);
const YEAR: BucketWidth = BucketWidth::Months(12);

#[test]
fn instants_lie_in_their_buckets() {
    let utc = "UTC";
    check(
        HOUR,
        utc,
        "2026-01-01T10:59:59.999999Z",
        "2026-01-01T10:00:00Z",
        "2026-01-01T11:00:00Z",
    );
    check(
        QUARTER,
        utc,
        "2026-01-01T10:15:00Z",
        "2026-01-01T10:15:00Z",
        "2026-01-01T10:30:00Z",
    );
    check(
        DAY,
        utc,
        "1969-12-31T23:00:00Z",
        "1969-12-31T00:00:00Z",
        "1970-01-01T00:00:00Z",
    );
    // 2026-11-28 is a Saturday.
    check(
        WEEK,
        utc,
        "2026-11-28T12:00:00Z",
        "2026-11-23T00:00:00Z",
        "2026-11-30T00:00:00Z",
    );
    check(
        MONTH,
        utc,
        "2024-02-29T23:00:00Z",
        "2024-02-01T00:00:00Z",
        "2024-03-01T00:00:00Z",
    );
    check(
        QUARTER_YEAR,
        utc,
        "2026-11-28T12:00:00Z",
        "2026-10-01T00:00:00Z",
        "2027-01-01T00:00:00Z",
    );
    check(
        YEAR,
        utc,
        "1999-12-31T23:59:59Z",
        "1999-01-01T00:00:00Z",
        "2000-01-01T00:00:00Z",
    );
}

#[test]
fn days_have_the_hours_that_clocks_show() {
    let zone = "Europe/Brussels";
    // 23 hours in spring, 25 in autumn, 24 between.
    check(
        DAY,
        zone,
        "2026-03-29T12:00:00Z",
        "2026-03-28T23:00:00Z",
        "2026-03-29T22:00:00Z",
    );
    check(
        DAY,
        zone,
        "2026-10-25T12:00:00Z",
        "2026-10-24T22:00:00Z",
        "2026-10-25T23:00:00Z",
    );
    check(
        DAY,
        zone,
        "2026-07-01T12:00:00Z",
        "2026-06-30T22:00:00Z",
        "2026-07-01T22:00:00Z",
    );
    check(
        MONTH,
        zone,
        "2026-03-31T22:30:00Z",
        "2026-03-31T22:00:00Z",
        "2026-04-30T22:00:00Z",
    );
    check(
        WEEK,
        zone,
        "2026-10-25T12:00:00Z",
        "2026-10-18T22:00:00Z",
        "2026-10-25T23:00:00Z",
    );
    check(
        YEAR,
        zone,
        "2026-10-25T12:00:00Z",
        "2025-12-31T23:00:00Z",
        "2026-12-31T23:00:00Z",
    );
    // In autumn clocks in Havana show the hour after midnight twice: the day begins with the first.
    check(
        DAY,
        "America/Havana",
        "2025-11-02T05:30:00Z",
        "2025-11-02T04:00:00Z",
        "2025-11-03T05:00:00Z",
    );
    // Clocks in Beirut go from midnight to one: the day begins when they have.
    let beirut = "Asia/Beirut";
    check(
        DAY,
        beirut,
        "2025-03-30T05:00:00Z",
        "2025-03-29T22:00:00Z",
        "2025-03-30T21:00:00Z",
    );
    // And in autumn from midnight back to eleven: the next day has begun for nobody until midnight comes again.
    check(
        DAY,
        beirut,
        "2025-10-25T20:30:00Z",
        "2025-10-24T21:00:00Z",
        "2025-10-25T22:00:00Z",
    );
    check(
        DAY,
        beirut,
        "2025-10-25T21:30:00Z",
        "2025-10-24T21:00:00Z",
        "2025-10-25T22:00:00Z",
    );
}

#[test]
fn hours_follow_the_clocks() {
    let zone = "Europe/Brussels";
    // Both hours of the doubled one.
    check(
        HOUR,
        zone,
        "2026-10-25T00:30:00Z",
        "2026-10-25T00:00:00Z",
        "2026-10-25T01:00:00Z",
    );
    check(
        HOUR,
        zone,
        "2026-10-25T01:30:00Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T02:00:00Z",
    );
    // Six hours by the clock are seven in autumn and five in spring.
    check(
        SIX_HOURS,
        zone,
        "2026-10-25T04:30:00Z",
        "2026-10-24T22:00:00Z",
        "2026-10-25T05:00:00Z",
    );
    check(
        SIX_HOURS,
        zone,
        "2026-03-29T02:30:00Z",
        "2026-03-28T23:00:00Z",
        "2026-03-29T04:00:00Z",
    );
    // Two o'clock is skipped in spring: its bucket begins at three.
    check(
        TWO_HOURS,
        zone,
        "2026-03-29T01:30:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-29T02:00:00Z",
    );
    check(
        TWO_HOURS,
        zone,
        "2026-03-29T00:30:00Z",
        "2026-03-28T23:00:00Z",
        "2026-03-29T01:00:00Z",
    );
    // It comes twice in autumn.
    check(
        TWO_HOURS,
        zone,
        "2026-10-25T00:30:00Z",
        "2026-10-25T00:00:00Z",
        "2026-10-25T01:00:00Z",
    );
    check(
        TWO_HOURS,
        zone,
        "2026-10-25T02:30:00Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T03:00:00Z",
    );
    // Zones that are no whole hours from UTC.
    check(
        HOUR,
        "Asia/Kolkata",
        "2026-01-01T10:40:00Z",
        "2026-01-01T10:30:00Z",
        "2026-01-01T11:30:00Z",
    );
}

#[test]
fn origins_move_buckets() {
    let at = |width, zone, origin: &str| {
        let buckets = TimeBuckets::try_new(width, zone, Some(us(origin))).unwrap();
        format_rfc3339(buckets.walk().start(us("2026-07-15T09:10:00Z")).unwrap())
    };
    assert_eq!(
        at(HOUR, None, "2000-01-01T00:15:00Z"),
        "2026-07-15T08:15:00Z"
    );
    assert_eq!(
        at(DAY, None, "2000-01-01T06:00:00Z"),
        "2026-07-15T06:00:00Z"
    );
    // Weeks from Sunday: 2026-07-12 is one.
    assert_eq!(
        at(WEEK, None, "2000-01-02T00:00:00Z"),
        "2026-07-12T00:00:00Z"
    );
    // Seasons, which begin in March, June, September and December, by the clocks of Brussels.
    let seasons = at(
        QUARTER_YEAR,
        Some("Europe/Brussels"),
        "2000-02-29T23:00:00Z",
    );
    assert_eq!(seasons, "2026-05-31T22:00:00Z");
}

#[test]
fn wrong_buckets_are_refused() {
    let check = |width, zone, origin, expected| {
        assert_eq!(
            TimeBuckets::try_new(width, zone, origin).unwrap_err(),
            expected
        );
    };
    check(BucketWidth::Micros(0), None, None, BucketError::NotPositive);
    check(
        BucketWidth::Days(i64::MIN),
        None,
        None,
        BucketError::NotPositive,
    );
    check(
        BucketWidth::Months(-1),
        None,
        None,
        BucketError::NotPositive,
    );
    check(
        BucketWidth::Micros(i64::MAX),
        None,
        None,
        BucketError::TooWide,
    );
    check(
        BucketWidth::Days(i64::MAX),
        None,
        None,
        BucketError::TooWide,
    );
    check(
        BucketWidth::Months(i64::MAX),
        None,
        None,
        BucketError::TooWide,
    );
    let mars = BucketError::UnknownZone("Mars/Olympus".to_owned());
    check(HOUR, Some("Mars/Olympus"), None, mars);
    let within = us("2026-01-02T00:00:00Z");
    check(MONTH, None, Some(within), BucketError::OriginWithinMonth);
    check(
        HOUR,
        Some("Europe/Brussels"),
        Some(i64::MAX),
        BucketError::OriginOutOfRange,
    );
}

#[test]
fn instants_beyond_every_calendar_have_no_bucket() {
    for zone in ["UTC", "Europe/Brussels"] {
        let buckets = buckets(DAY, zone);
        assert_eq!(buckets.walk().start(i64::MIN), None, "{zone}");
    }
    assert_eq!(buckets(DAY, "Europe/Brussels").walk().start(i64::MAX), None);
}

/// Starts by their definition, minute by minute: when the clocks show a multiple, or have skipped one.
fn minutes_model(zone: &TimeZone, from: i64, to: i64, step: i64) -> Vec<i64> {
    const MINUTE_US: i64 = 60 * SECOND_US;
    let local = |at: i64| {
        let offset = zone.to_offset(Timestamp::from_microsecond(at).unwrap());
        at + i64::from(offset.seconds()) * SECOND_US - ORIGIN_DAY * DAY_US
    };
    let minutes = (to - from) / MINUTE_US;
    let is_start = |at: &i64| {
        let (before, now) = (local(*at - MINUTE_US), local(*at));
        let skipped = now > before && now.div_euclid(step) > before.div_euclid(step);
        now.rem_euclid(step) == 0 || skipped
    };
    (0..minutes)
        .map(|minute| from + minute * MINUTE_US)
        .filter(is_start)
        .collect()
}

/// Checks that walking meets these starts, and that each instant before the next start lies in the bucket.
fn check_walk(buckets: &TimeBuckets, starts: &[i64], what: &str) {
    let mut walk = buckets.walk();
    let mut next = starts[0];
    for pair in starts.windows(2) {
        let expected = format_rfc3339(pair[0]);
        assert_eq!(format_rfc3339(next), expected, "{what}: next");
        next = walk.next(next).unwrap();
        let length = pair[1] - pair[0];
        for part in [0, length / 3, length / 2, length - 1] {
            // One walk that remembers, and one that does not.
            let at = pair[0] + part;
            let found = [walk.start(at), buckets.walk().start(at)];
            let found = found.map(|start| format_rfc3339(start.unwrap()));
            assert_eq!(
                found,
                [expected.as_str(); 2],
                "{what}: {}",
                format_rfc3339(at)
            );
            assert_eq!(
                walk.next(at),
                Some(pair[1]),
                "{what}: after {}",
                format_rfc3339(at)
            );
        }
    }
    let spans = u64::try_from(starts.len()).unwrap();
    let bound = buckets.count_max(starts[0], starts[starts.len() - 1] + 1);
    assert!(spans <= bound, "{what}: {spans} starts, bound {bound}");
}

const ZONES: [&str; 7] = [
    "Europe/Brussels",
    "America/Havana",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "UTC",
];

#[test]
fn short_buckets_equal_their_definition_through_a_year() {
    let (from, to) = (us("2025-03-01T00:00:00Z"), us("2025-11-20T00:00:00Z"));
    for name in ZONES {
        let zone = TimeZone::get(name).unwrap();
        for minutes in [15, 40, 60, 90, 120, 300, 360, 2_160] {
            let step = minutes * 60 * SECOND_US;
            let starts = minutes_model(&zone, from, to, step);
            let buckets = buckets(BucketWidth::Micros(step), name);
            check_walk(&buckets, &starts, &format!("{minutes} min in {name}"));
        }
    }
}

#[test]
fn calendar_buckets_equal_the_calendar_through_years() {
    let micros = |zoned: Zoned| zoned.timestamp().as_microsecond();
    // A Monday.
    let first = jiff::civil::date(2024, 1, 1);
    for name in ZONES {
        let zone = TimeZone::get(name).unwrap();
        let check = |width: BucketWidth, count: i32, span: fn(i32) -> jiff::Span| {
            let midnight = |index: i32| {
                let date = first.checked_add(span(index)).unwrap();
                micros(date.to_zoned(zone.clone()).unwrap())
            };
            let starts: Vec<i64> = (0..count).map(midnight).collect();
            check_walk(
                &buckets(width, name),
                &starts,
                &format!("{width:?} in {name}"),
            );
        };
        check(DAY, 800, |index| jiff::Span::new().days(index));
        check(WEEK, 200, |index| jiff::Span::new().days(7 * index));
        check(MONTH, 60, |index| jiff::Span::new().months(index));
        check(YEAR, 8, |index| jiff::Span::new().years(index));
    }
}

#[test]
fn a_century_begins_with_its_first_year() {
    for (zone, expect) in [
        (None, "2001-01-01T00:00:00Z"),
        (Some("UTC"), "2001-01-01T00:00:00Z"),
        (Some("Europe/Brussels"), "2000-12-31T23:00:00Z"),
        (Some("Pacific/Auckland"), "2000-12-31T11:00:00Z"),
        (Some("Pacific/Honolulu"), "2001-01-01T10:00:00Z"),
    ] {
        let start = century_start(zone).map(format_rfc3339);
        assert_eq!(start, Ok(expect.to_owned()), "{zone:?}");
    }
    let unknown = century_start(Some("Europe/Brussel"));
    assert!(matches!(unknown, Err(BucketError::UnknownZone(_))));
}
