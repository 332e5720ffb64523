use std::cell::Cell;
use std::time::Duration;

use meetnet_model::ids::SourceId;
use meetnet_model::source::SourceKind;

use super::{FailingTarget, Statuses, now_us};

#[test]
fn a_state_is_shared_by_its_name_and_read_in_order() {
    let statuses = Statuses::default();
    let beta = statuses.register(&SourceId::new("beta"), SourceKind::Mqtt);
    let alpha = statuses.register(&SourceId::new("alpha"), SourceKind::Http);
    let subscribed = || {
        let read = statuses.read();
        read.iter()
            .map(|status| status.subscribed)
            .collect::<Vec<_>>()
    };
    assert_eq!(subscribed(), [false, false]);

    beta.message(10, 1_000);
    statuses
        .register(&SourceId::new("beta"), SourceKind::Mqtt)
        .message(5, 2_000);
    beta.set_connected("mqtt-5", true);
    beta.note_error("no answer from mqtt://an:hunter2@broker");
    beta.set_subscribed();
    assert_eq!(subscribed(), [false, true]);
    alpha.set_subscribed();

    let read = statuses.read();
    assert_eq!(
        read.iter()
            .map(|status| status.source.as_str())
            .collect::<Vec<_>>(),
        ["alpha", "beta"]
    );
    assert_eq!((read[1].messages_total, read[1].bytes_total), (2, 15));
    assert_eq!(read[1].last_message_at, Some(2_000));
    assert_eq!(read[0].last_message_at, None);
    assert_eq!(
        read[1]
            .last_error
            .as_ref()
            .map(|note| note.message.as_str()),
        Some("no answer from mqtt://…@broker")
    );
    assert!(read[1].connected && read[1].session_present);

    beta.set_disconnected();
    assert!(!statuses.read()[1].connected);
    assert_eq!(
        subscribed(),
        [true, true],
        "an outage does not undo readiness"
    );
}

#[test]
fn a_source_is_silent_when_it_says_nothing_for_longer_than_declared() {
    const MINUTE_US: i64 = 60_000_000;
    let statuses = Statuses::default();
    let id = SourceId::new("alpha");
    let started = now_us();
    let minutes = |minutes: u64| Some(Duration::from_secs(minutes * 60));
    let check = |after: i64, expect: bool| {
        let read = statuses.read_at(started + after * MINUTE_US);
        assert_eq!(read[0].silent, expect, "after {after} minutes");
    };
    statuses.expect(&id, SourceKind::Http, None);
    check(1_000_000, false);
    statuses.expect(&id, SourceKind::Http, minutes(15));
    // It has never said anything: the start counts.
    check(14, false);
    check(16, true);
    let state = statuses.register(&id, SourceKind::Http);
    state.message(1, started + 20 * MINUTE_US);
    check(34, false);
    check(36, true);
    // A clock that was set back is no silence.
    check(-60, false);
    statuses.expect(&id, SourceKind::Http, None);
    check(36, false);
}

#[test]
fn the_targets_that_fail_are_counted_and_the_first_few_listed() {
    let statuses = Statuses::default();
    let id = SourceId::new("streets");
    let state = statuses.register(&id, SourceKind::Poll);
    let failing = |segment: i64| FailingTarget {
        target: segment.to_string(),
        of_past: false,
        gaps: None,
        since: 1,
        failures: 2,
        again_at: 3,
        message: "asked as a@example.org".to_owned(),
    };
    let read = || statuses.read_one(&id).unwrap();
    assert_eq!((read().targets_failing, read().failing.len()), (0, 0));
    let names: Vec<String> = (0..50).map(|segment: i64| segment.to_string()).collect();
    let told = Cell::new(0);
    let told = &told;
    let all = names.iter().zip(0..).map(|(name, segment)| {
        let shown = move || {
            told.set(told.get() + 1);
            failing(segment)
        };
        (name.as_str(), shown)
    });
    state.set_failing(all);
    assert_eq!((read().targets_failing, read().failing.len()), (50, 20));
    // Of those that are not shown nothing is copied.
    assert_eq!(told.get(), 20);
    assert_eq!(read().failing[19].target, "19");
    // One that is asked for what is new and for its past is one.
    let past = |segment| FailingTarget {
        of_past: true,
        ..failing(segment)
    };
    let both = (0..2).flat_map(|segment| [failing(segment), past(segment)]);
    let both: Vec<FailingTarget> = both.collect();
    let both = both.iter();
    state.set_failing(both.map(|target| (target.target.as_str(), move || target.clone())));
    assert_eq!((read().targets_failing, read().failing.len()), (2, 4));
    // What an API says may repeat what nobody is to read.
    assert!(!read().failing[0].message.contains("example.org"));
    state.set_failing(std::iter::empty::<(&str, fn() -> FailingTarget)>());
    assert_eq!((read().targets_failing, read().failing.len()), (0, 0));
}

#[test]
fn of_a_polled_api_nothing_is_known_before_it_was_asked() {
    let statuses = Statuses::default();
    let has_metric = |name: &str, kind: SourceKind| {
        let state = statuses.register(&SourceId::new(name), kind);
        state.connected_metric.get().is_some()
    };
    assert!(has_metric("broker", SourceKind::Mqtt) && has_metric("push", SourceKind::Http));
    for name in ["answers", "refuses", "fails"] {
        assert!(!has_metric(name, SourceKind::Poll), "{name}");
        let state = statuses.register(&SourceId::new(name), SourceKind::Poll);
        match name {
            "answers" => state.reached("https"),
            "refuses" => state.not_reached(),
            _ => state.set_disconnected(),
        }
        assert!(has_metric(name, SourceKind::Poll), "{name}");
        let read = statuses.read_one(&SourceId::new(name)).unwrap();
        assert_eq!(read.connected, name == "answers");
        // One question of several that is refused does not mean that it does not answer.
        state.not_reached();
        let read = statuses.read_one(&SourceId::new(name)).unwrap();
        assert_eq!(read.connected, name == "answers");
    }
}
