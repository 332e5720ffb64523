use super::*;

const HOUR: i64 = DAY_NS / 24;

/// The answers are those of PostgreSQL 15.
#[test]
fn intervals_are_justified_as_postgresql_does() {
    for (of, hours, days, both) in [
        ((0, 0, 30), (0, 1, 6), (0, 0, 30), (0, 1, 6)),
        ((0, 0, -30), (0, -1, -6), (0, 0, -30), (0, -1, -6)),
        ((0, 35, 0), (0, 35, 0), (1, 5, 0), (1, 5, 0)),
        ((0, -35, 0), (0, -35, 0), (-1, -5, 0), (-1, -5, 0)),
        ((1, 0, -1), (1, 0, -1), (1, 0, -1), (0, 29, 23)),
        ((-1, 0, 1), (-1, 0, 1), (-1, 0, 1), (0, -29, -23)),
        ((0, 1, -1), (0, 0, 23), (0, 1, -1), (0, 0, 23)),
        ((0, 2, -49), (0, 0, -1), (0, 2, -49), (0, 0, -1)),
        ((0, 40, 50), (0, 42, 2), (1, 10, 50), (1, 12, 2)),
        ((1, -40, 0), (1, -40, 0), (0, -10, 0), (0, -10, 0)),
        ((1, -31, 25), (1, -29, -23), (0, -1, 25), (0, 0, 1)),
        ((0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0)),
    ] {
        let interval = |(months, days, hours): (i32, i32, i64)| {
            IntervalMonthDayNano::new(months, days, hours * HOUR)
        };
        let interval_of = interval(of);
        assert_eq!(
            justified_hours(interval_of),
            Some(interval(hours)),
            "{of:?}"
        );
        assert_eq!(justified_days(interval_of), Some(interval(days)), "{of:?}");
        assert_eq!(justified(interval_of), Ok(interval(both)), "{of:?}");
    }
}

#[test]
fn what_does_not_fit_is_none() {
    let most = IntervalMonthDayNano::new(0, i32::MAX, DAY_NS);
    assert_eq!(justified_hours(most), None);
    let most = IntervalMonthDayNano::new(i32::MAX, 30, 0);
    assert_eq!(justified_days(most), None);
    assert_eq!(justified(most), Err(i64::from(i32::MAX) + 1));
    let least = IntervalMonthDayNano::new(i32::MIN, i32::MIN, i64::MIN);
    assert!(justified(least).is_err());
}
