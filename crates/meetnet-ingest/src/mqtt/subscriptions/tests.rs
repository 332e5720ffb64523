use std::time::{Duration, Instant};

use super::{Ask, RETRY_AFTER, Subscriptions};

fn filters(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn refused_filters_are_reported_and_asked_for_again() {
    let now = Instant::now();
    let mut subscriptions = Subscriptions::new(filters(&["a/+", "b"]), false);
    subscriptions.connected(false);
    assert_eq!(
        subscriptions.ask(now),
        Some(Ask::Filters(filters(&["a/+", "b"])))
    );
    assert_eq!(subscriptions.ask(now), None, "one at a time");

    let answer = subscriptions.answered(&[None, Some("NotAuthorized".to_owned())], now);
    assert!(!answer.complete);
    assert_eq!(
        answer.refused,
        [("b".to_owned(), "NotAuthorized".to_owned())]
    );
    assert_eq!(subscriptions.ask(now), None);

    let later = now + RETRY_AFTER;
    assert_eq!(
        subscriptions.ask(later),
        Some(Ask::Filters(filters(&["b"])))
    );
    assert!(subscriptions.answered(&[None], later).complete);
    assert_eq!(subscriptions.ask(later), None);
}

#[test]
fn a_session_keeps_its_subscriptions_after_the_first_connection_of_the_process() {
    let now = Instant::now();
    let mut subscriptions = Subscriptions::new(filters(&["a"]), false);
    let all = || Some(Ask::Filters(filters(&["a"])));
    subscriptions.connected(true);
    assert_eq!(
        subscriptions.ask(now),
        all(),
        "the configuration may be new"
    );
    subscriptions.answered(&[None], now);

    subscriptions.disconnected();
    subscriptions.connected(true);
    assert_eq!(subscriptions.ask(now), None);

    subscriptions.disconnected();
    subscriptions.connected(false);
    assert_eq!(
        subscriptions.ask(now),
        all(),
        "the broker has lost the session"
    );
}

#[test]
fn a_lost_answer_is_asked_for_again() {
    let now = Instant::now();
    let mut subscriptions = Subscriptions::new(filters(&["a"]), false);
    subscriptions.connected(false);
    assert!(subscriptions.ask(now).is_some());
    assert!(subscriptions.ask(now + Duration::from_secs(29)).is_none());
    assert!(subscriptions.ask(now + Duration::from_secs(30)).is_some());
}

#[test]
fn the_drop_counter_is_optional_and_never_insisted_on() {
    let now = Instant::now();
    let mut subscriptions = Subscriptions::new(filters(&["a"]), true);
    subscriptions.connected(false);
    subscriptions.ask(now);
    assert!(subscriptions.answered(&[None], now).complete);
    assert_eq!(subscriptions.ask(now), Some(Ask::Drops));
    // The broker closes the connection instead of answering.
    subscriptions.disconnected();
    subscriptions.connected(true);
    assert_eq!(subscriptions.ask(now), None);

    let mut own = Subscriptions::new(filters(&["$SYS/#"]), true);
    own.connected(false);
    own.ask(now);
    own.answered(&[None], now);
    assert_eq!(own.ask(now), None, "it subscribes to $SYS itself");
}
