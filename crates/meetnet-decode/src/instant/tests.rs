use meetnet_model::time::parse_rfc3339;

use super::*;

fn check(time: &str, expect: Result<(), (RejectReason, &str)>) {
    let received_at = parse_rfc3339("2026-06-01T12:00:00Z").unwrap();
    let time = parse_rfc3339(time).unwrap();
    let window = TimeWindow::default();
    match (check_window(time, received_at, window), expect) {
        (Ok(kept), Ok(())) => assert_eq!(kept, time),
        (Err(fault), Err((reason, message))) => {
            assert_eq!(fault.reason, reason);
            assert!(fault.message.contains(message), "{}", fault.message);
        }
        (result, expect) => panic!("{result:?}, expected {expect:?}"),
    }
}

#[test]
fn a_time_lies_in_the_window_around_the_receive_time() {
    check("2026-06-01T12:00:00Z", Ok(()));
    check("2026-06-01T13:00:00Z", Ok(()));
    check("2025-04-27T12:00:00Z", Ok(()));
    let outside = RejectReason::TimeOutOfWindow;
    check(
        "2026-06-01T13:00:00.000001Z",
        Err((outside, "lies a moment more than 1h after the receive time")),
    );
    check(
        "2025-04-27T11:59:59.999999Z",
        Err((outside, "allows 400d back")),
    );
    check(
        "2022-01-22T01:00:00Z",
        Err((
            outside,
            "lies 1591d before the receive time; the source's time_window allows 400d back",
        )),
    );
    check(
        "2026-06-01T14:01:40Z",
        Err((
            outside,
            "lies 2h after the receive time; the source's time_window allows 1h ahead",
        )),
    );
    // A distance is never rounded to what is allowed.
    check(
        "2026-06-01T13:00:05Z",
        Err((outside, "lies 1h and 5s after the receive time")),
    );
    check(
        "2025-04-27T11:59:50Z",
        Err((outside, "lies 400d and 10s before the receive time")),
    );
    check(
        "2015-01-01T00:00:00Z",
        Err((outside, "before the receive time")),
    );
}

#[test]
fn a_clock_before_2015_was_never_set() {
    for time in [
        "1970-01-01T00:00:00Z",
        "2000-01-01T00:00:07Z",
        "2014-12-31T23:59:59Z",
    ] {
        check(time, Err((RejectReason::BadTime, "clock was not set")));
    }
    check(
        "0001-01-01T00:00:00Z",
        Err((RejectReason::BadTime, "0001-01-01")),
    );
}

#[test]
fn a_time_in_too_short_a_unit_is_told_from_a_clock_that_was_not_set() {
    for (time, factor) in [
        // 1780315199 as milliseconds, microseconds and nanoseconds.
        ("1970-01-21T14:31:55.199Z", "1000"),
        ("1970-01-01T00:29:40.315199Z", "1000000"),
        ("1970-01-01T00:00:01.780315Z", "1000000000"),
    ] {
        let message =
            format!("lies before 2015: in a unit {factor} times as long it would be of 2026-06-01");
        check(time, Err((RejectReason::BadTime, message.as_str())));
    }
}

#[test]
fn what_is_older_is_true_where_the_source_says_so() {
    let at = |text: &str| parse_rfc3339(text).unwrap();
    let window = |since: &str| TimeWindow {
        back_us: i64::MAX,
        since_us: at(since),
        ..TimeWindow::default()
    };
    let check = |time: &str, since: &str| {
        let time = at(time);
        let kept = check_window(time, at("2026-06-01T12:00:00Z"), window(since));
        kept.map(|kept| assert_eq!(kept, time))
            .map_err(|fault| fault.message)
    };
    let default = "2015-01-01T00:00:00Z";
    let since = "1998-03-01T00:00:00Z";
    assert_eq!(check(since, since), Ok(()));
    assert_eq!(check("2000-01-01T00:00:00Z", since), Ok(()));
    assert_eq!(
        check("1998-02-28T23:59:59Z", since).unwrap_err(),
        "the time 1998-02-28T23:59:59Z lies before 1998-03-01: the device's clock was not set; where it is true, declare \
         `time_window = { since = \"1998-02-28\" }`"
    );
    assert_eq!(
        check(since, default).unwrap_err(),
        "the time 1998-03-01T00:00:00Z lies before 2015: the device's clock was not set; where it is true, declare \
         `time_window = { since = \"1998-03-01\" }`"
    );
    // Nobody wants it, so nobody is told how to have it.
    assert_eq!(
        check("2000-01-01T00:00:07Z", default).unwrap_err(),
        "the time 2000-01-01T00:00:07Z lies before 2015: the device's clock was not set"
    );
}

#[test]
fn extreme_times_do_not_overflow() {
    let wide = TimeWindow {
        back_us: i64::MAX,
        ahead_us: i64::MAX,
        ..TimeWindow::default()
    };
    assert!(check_window(i64::MAX, i64::MIN, wide).is_ok());
    assert!(check_window(TimeWindow::SINCE_US, i64::MAX, wide).is_ok());
}
