use super::*;

fn at(text: &str) -> Moment {
    Moment::at(text.parse::<Timestamp>().unwrap().as_second())
}

#[test]
fn local_time_follows_daylight_saving() {
    // 01:00 UTC on the last Sunday of October 2026: the second 02:00 local.
    assert_eq!(at("2026-10-25T00:30:00Z").local_second, 2 * 3_600 + 1_800);
    assert_eq!(at("2026-10-25T01:30:00Z").local_second, 2 * 3_600 + 1_800);
    assert_eq!(at("2026-07-01T10:00:00Z").local_quarter(), 48);
    assert_eq!(at("2026-01-01T10:59:59Z").local_quarter(), 47);
}

#[test]
fn days_and_holidays() {
    let check = |text: &str, day: DayKind| assert_eq!(at(text).day, day, "{text}");
    check("2026-11-20T12:00:00Z", DayKind::Weekday);
    check("2026-11-21T12:00:00Z", DayKind::Saturday);
    check("2026-11-22T12:00:00Z", DayKind::Sunday);
    check("2026-07-21T12:00:00Z", DayKind::Sunday); // national day, a Tuesday
    check("2026-04-06T12:00:00Z", DayKind::Sunday); // Easter Monday
    check("2026-05-14T12:00:00Z", DayKind::Sunday); // Ascension Day
    check("2026-05-25T12:00:00Z", DayKind::Sunday); // Whit Monday
    check("2026-05-26T12:00:00Z", DayKind::Weekday);
    assert!(at("2026-07-10T12:00:00Z").school_holiday);
    assert!(at("2026-04-08T12:00:00Z").school_holiday);
    assert!(!at("2026-10-10T12:00:00Z").school_holiday);
    assert!(at("2026-10-10T12:00:00Z").term);
    assert!(!at("2026-08-10T12:00:00Z").term);
    assert!(at("2025-12-31T23:30:00Z").new_year);
}

#[test]
fn the_sun_rises_and_sets() {
    assert!(at("2026-06-21T11:40:00Z").sun > 0.86);
    assert!(at("2026-12-21T11:40:00Z").sun < 0.30);
    assert!(at("2026-06-21T23:40:00Z").sun < 0.0);
    assert!(at("2026-12-21T07:00:00Z").sun < 0.0);
    assert!(at("2026-12-21T09:00:00Z").sun > 0.0);
}

#[test]
fn any_second_has_a_moment() {
    for second in [i64::MIN, -1, 0, i64::MAX] {
        let moment = Moment::at(second);
        assert!(moment.local_second < 86_400 && moment.sun.abs() <= 1.0);
    }
}
