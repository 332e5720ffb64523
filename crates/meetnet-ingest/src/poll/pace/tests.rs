use std::time::Duration;

use meetnet_model::calendar::{DAY_US, SECOND_US};
use meetnet_model::ids::SourceId;

use super::*;

const DAY: i64 = 20_785;
const MIDNIGHT: i64 = DAY * DAY_US;

fn limits(pause_s: u64, per_day: Option<u32>) -> HostLimits {
    HostLimits {
        pause: Duration::from_secs(pause_s),
        requests_per_day_max: per_day,
    }
}

fn hosts(limits: HostLimits, asked: Asked) -> Hosts {
    let hosts = Hosts::default();
    hosts.declare(&SourceId::new("first"), "api", limits, asked);
    hosts
}

#[test]
fn requests_keep_their_distance() {
    let hosts = hosts(limits(1, None), Asked::default());
    assert!(hosts.take("api", MIDNIGHT).is_ok());
    assert_eq!(hosts.take("api", MIDNIGHT), Err(MIDNIGHT + SECOND_US));
    assert_eq!(
        hosts.take("api", MIDNIGHT + SECOND_US - 1),
        Err(MIDNIGHT + SECOND_US)
    );
    assert!(hosts.take("api", MIDNIGHT + SECOND_US).is_ok());
    // A clock that was set back by an hour costs one pause.
    let back = MIDNIGHT - 3_600 * SECOND_US;
    assert_eq!(hosts.take("api", back), Err(back + SECOND_US));
    assert!(hosts.take("api", back + SECOND_US).is_ok());
}

#[test]
fn a_day_has_so_many_requests_and_the_next_day_as_many_again() {
    let hosts = hosts(limits(0, Some(3)), Asked::default());
    for count in 1..=3 {
        assert_eq!(
            hosts.take("api", MIDNIGHT + 5),
            Ok(Asked { day: DAY, count })
        );
    }
    assert_eq!(hosts.take("api", MIDNIGHT + 5), Err(MIDNIGHT + DAY_US));
    let tomorrow = Asked {
        day: DAY + 1,
        count: 1,
    };
    assert_eq!(hosts.take("api", MIDNIGHT + DAY_US), Ok(tomorrow));
}

#[test]
fn a_restart_does_not_give_the_day_anew() {
    let remembered = Asked { day: DAY, count: 3 };
    let hosts = hosts(limits(0, Some(4)), remembered);
    assert!(hosts.take("api", MIDNIGHT).is_ok());
    assert_eq!(hosts.take("api", MIDNIGHT), Err(MIDNIGHT + DAY_US));
}

#[test]
fn sources_of_one_host_share_what_the_strictest_says() {
    let hosts = hosts(limits(1, Some(10)), Asked { day: DAY, count: 2 });
    let source = SourceId::new;
    hosts.declare(
        &source("second"),
        "api",
        limits(5, None),
        Asked {
            day: DAY - 1,
            count: 900,
        },
    );
    let asked = Asked { day: DAY, count: 3 };
    hosts.declare(&source("third"), "api", limits(2, Some(4)), asked);
    let asked = Asked::default();
    hosts.declare(&source("fourth"), "elsewhere", limits(0, None), asked);
    assert_eq!(
        hosts.take("api", MIDNIGHT),
        Ok(Asked { day: DAY, count: 4 })
    );
    assert_eq!(hosts.take("api", MIDNIGHT), Err(MIDNIGHT + 5 * SECOND_US));
    assert_eq!(
        hosts.take("api", MIDNIGHT + 5 * SECOND_US),
        Err(MIDNIGHT + DAY_US)
    );
    assert!(hosts.take("elsewhere", MIDNIGHT).is_ok());
}

#[test]
fn a_source_that_is_gone_or_changed_has_no_say_and_its_requests_count() {
    let (kept, other) = (SourceId::new("kept"), SourceId::new("other"));
    let hosts = Hosts::default();
    hosts.declare(&kept, "api", limits(1, Some(10)), Asked::default());
    hosts.declare(&other, "api", limits(60, Some(2)), Asked::default());
    assert!(hosts.take("api", MIDNIGHT).is_ok());
    let later = |seconds: i64| MIDNIGHT + seconds * SECOND_US;
    assert_eq!(hosts.take("api", later(1)), Err(later(60)));
    // The same source again, as it is now.
    hosts.declare(&other, "api", limits(30, Some(2)), Asked::default());
    assert!(hosts.take("api", later(60)).is_ok());
    assert_eq!(hosts.take("api", later(90)), Err(MIDNIGHT + DAY_US));
    hosts.withdraw(&other);
    let third = Asked { day: DAY, count: 3 };
    assert_eq!(hosts.take("api", later(90)), Ok(third));
    assert_eq!(hosts.take("api", later(90)), Err(later(91)));
}

#[test]
fn the_end_is_expected_at_the_pace_and_within_what_a_day_has() {
    let check = |limits: HostLimits, spent: u32, requests: u64, each_s: i64, expect_s: i64| {
        let hosts = hosts(
            limits,
            Asked {
                day: DAY,
                count: spent,
            },
        );
        let now = MIDNIGHT + 3_600 * SECOND_US;
        let end = hosts.expected_end("api", requests, now, each_s * SECOND_US);
        assert_eq!((end - now) / SECOND_US, expect_s);
    };
    let day_s = 86_400;
    let left_s = day_s - 3_600;
    // Answers take longer than the pause, or do not.
    check(limits(5, None), 0, 10, 7, 70);
    check(limits(5, None), 0, 10, 1, 50);
    check(limits(5, Some(10)), 0, 10, 1, 50);
    // What is spent is spent: the rest is for tomorrow, and the days after.
    check(limits(5, Some(10)), 4, 10, 1, left_s + 4 * 5);
    check(limits(5, Some(10)), 10, 20, 1, left_s + day_s + 10 * 5);
    check(limits(5, Some(10)), 10, 21, 1, left_s + 2 * day_s + 5);
    // Slower than a day allows.
    check(limits(5, Some(10)), 0, 10, day_s, 10 * day_s);
    check(limits(5, Some(10)), 5, 10, day_s, 10 * day_s);
    check(limits(0, Some(10)), 0, 0, 1, 0);
    let unknown = Hosts::default();
    assert_eq!(unknown.expected_end("api", 3, 7, 2), 13);
    assert_eq!(unknown.expected_end("api", u64::MAX, 7, 2), i64::MAX);
}

#[test]
fn pauses_double_up_to_an_hour() {
    let seconds: Vec<i64> = (1..=12)
        .map(|failures| backoff(failures, 1.0) / SECOND_US)
        .collect();
    assert_eq!(
        seconds,
        [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
    );
    assert_eq!(backoff(u32::MAX, 1.0), PAUSE_US_MAX);
    assert_eq!(backoff(1, 0.5), 5 * SECOND_US / 2);
    // Whatever is passed, a pause is a pause.
    assert_eq!(backoff(0, 0.0), 5 * SECOND_US / 2);
}
