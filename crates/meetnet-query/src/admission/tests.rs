use std::sync::Arc;
use std::time::Duration;

use super::{Admission, Place, Places};
use crate::client::{Client, Protocol};
use crate::error::QueryErrorKind;
use crate::keys::{ApiKey, KeyDigest, KeyLimits};
use crate::options::QueryOptions;

fn admission(running_max: usize, queued_max: usize, of_client: (usize, usize)) -> Admission {
    Admission::new(&QueryOptions {
        running_max,
        queued_max,
        queue_time_max: Duration::from_millis(50),
        client_running_max: of_client.0,
        client_queued_max: of_client.1,
        ..QueryOptions::default()
    })
}

fn at(address: &str) -> Client {
    Client::of_address(Protocol::Http, address.parse().ok())
}

async fn refused(admission: &Admission, client: &Client) -> (QueryErrorKind, String) {
    let refused = admission.admit(client).await.expect_err("no place");
    (refused.kind, refused.message)
}

#[tokio::test]
async fn a_full_queue_and_a_long_wait_are_busy() {
    let own = Client::own();
    let full = admission(1, 0, (1, 1));
    let running = full.admit(&own).await.expect("the first runs");
    let (kind, message) = refused(&full, &own).await;
    assert_eq!(kind, QueryErrorKind::Busy);
    // At once: whoever waits is told something else.
    assert!(message.contains("are waiting already"), "{message}");

    let queue = admission(1, 1, (1, 1));
    let first = queue.admit(&own).await.expect("the first runs");
    let (kind, message) = refused(&queue, &own).await;
    assert_eq!(kind, QueryErrorKind::Busy);
    assert!(message.contains("in time"), "{message}");
    drop((first, running));
    let _ = queue.admit(&own).await.expect("the queue is empty again");
    let _ = full.admit(&own).await.expect("the permit came back");
}

#[tokio::test]
async fn a_client_over_its_share_is_told_so_and_others_get_in() {
    let admission = admission(4, 8, (2, 1));
    let (greedy, other) = (at("192.0.2.1"), at("198.51.100.1"));
    let same = at("192.0.2.200");
    assert_eq!(admission.places(&greedy), Places { most: 3, left: 3 });
    let first = admission.admit(&greedy).await.expect("runs");
    let second = admission.admit(&same).await.expect("runs");
    assert_eq!(admission.places(&greedy), Places { most: 3, left: 1 });
    // There is room for others, and for this one none.
    let (kind, message) = refused(&admission, &greedy).await;
    assert_eq!(kind, QueryErrorKind::OverShare);
    assert!(message.contains("none of them ended in time"), "{message}");
    let third = admission.admit(&other).await.expect("another client");
    assert_eq!(admission.places(&other), Places { most: 3, left: 2 });
    let waiting = admission.admit(&greedy);
    let at_once = async {
        tokio::task::yield_now().await;
        refused(&admission, &same).await
    };
    let (waited, (kind, message)) = tokio::join!(waiting, at_once);
    assert_eq!(kind, QueryErrorKind::OverShare);
    assert!(message.contains("wait already"), "{message}");
    assert!(waited.is_err(), "nothing ended");
    drop((first, second, third));
    assert_eq!(admission.places(&greedy), Places { most: 3, left: 3 });
    assert!(
        admission.state().shares.is_empty(),
        "nothing is kept of who has left"
    );
}

#[tokio::test]
async fn who_may_not_wait_is_told_whether_others_are_in_the_way() {
    let admission = admission(2, 8, (1, 0));
    let (first, second, third) = (at("192.0.2.1"), at("198.51.100.1"), at("203.0.113.1"));
    let running = admission.admit(&first).await.expect("runs");
    let (kind, _) = refused(&admission, &first).await;
    assert_eq!(
        kind,
        QueryErrorKind::OverShare,
        "itself, and a place is free"
    );
    let others = admission.admit(&second).await.expect("runs");
    let (kind, _) = refused(&admission, &third).await;
    assert_eq!(kind, QueryErrorKind::Busy, "it has nothing running");
    drop((running, others));
    assert!(admission.state().shares.is_empty());
}

#[tokio::test]
async fn clients_take_turns_however_much_one_of_them_asks() {
    let admission = admission(1, 100, (1, 50));
    let (greedy, modest) = (at("192.0.2.1"), at("198.51.100.1"));
    let running = admission.admit(&greedy).await.expect("runs");
    let mut order = tokio::task::JoinSet::new();
    let served = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut ask = |client: &Client, name: &'static str| {
        let (admission, client, served) = (admission.clone(), client.clone(), Arc::clone(&served));
        order.spawn(async move {
            let _permit = admission.admit(&client).await.expect("a turn");
            served.lock().expect("not poisoned").push(name);
        });
    };
    for _ in 0..20 {
        ask(&greedy, "greedy");
    }
    ask(&modest, "modest");
    // All of them wait before the first place is free.
    while admission.state().waiting < 21 {
        tokio::task::yield_now().await;
    }
    drop(running);
    while let Some(done) = order.join_next().await {
        done.expect("a turn");
    }
    let served = served.lock().expect("not poisoned");
    let turn = served.iter().position(|name| *name == "modest");
    assert!(
        turn <= Some(1),
        "twenty came first, and it was its turn at {turn:?}"
    );
    assert_eq!(served.len(), 21);
}

#[tokio::test]
async fn who_leaves_the_queue_takes_no_place_with_it() {
    let admission = admission(1, 8, (1, 8));
    let (first, second) = (at("192.0.2.1"), at("198.51.100.1"));
    let running = admission.admit(&first).await.expect("runs");
    for _ in 0..3 {
        let waiting = tokio::time::timeout(Duration::from_millis(5), admission.admit(&second));
        assert!(waiting.await.is_err(), "it waits, and leaves");
    }
    assert_eq!(admission.state().waiting, 0);
    // Somebody leaves in the moment that its turn comes.
    let mut leaving = Box::pin(admission.admit(&second));
    assert!(futures::poll!(&mut leaving).is_pending());
    drop(running);
    drop(leaving);
    assert_eq!(admission.state().running, 0);
    let _ = admission.admit(&first).await.expect("the place is there");
}

#[tokio::test]
async fn a_key_has_limits_of_its_own() {
    let admission = admission(4, 8, (1, 0));
    let key = |limits| {
        let key = ApiKey {
            name: "university".into(),
            digest: KeyDigest::of("secret"),
            limits,
        };
        Client::of_key(Protocol::Http, Arc::new(key))
    };
    let holder = key(KeyLimits {
        running_max: Some(2),
        queued_max: Some(3),
        ..KeyLimits::default()
    });
    assert_eq!(admission.places(&holder), Places { most: 5, left: 5 });
    let _running = (
        admission.admit(&holder).await.expect("the first"),
        admission.admit(&holder).await.expect("the second"),
    );
    let (kind, _) = refused(&admission, &holder).await;
    assert_eq!(kind, QueryErrorKind::OverShare);
    let plain = key(KeyLimits::default());
    assert_eq!(admission.places(&plain).most, 1, "as everybody");
}

#[tokio::test]
async fn a_parked_query_has_no_place_and_gets_one_before_others_of_its_client() {
    let admission = Admission::new(&QueryOptions {
        running_max: 1,
        client_running_max: 1,
        parked_max: 1,
        queue_time_max: Duration::from_secs(5),
        ..QueryOptions::default()
    });
    let (slow, other) = (at("192.0.2.1"), at("198.51.100.1"));
    let counts = || {
        let state = admission.state();
        (state.running, state.parked, state.waiting)
    };
    let mut place = Place::Taken(admission.admit(&slow).await.expect("runs"));
    let soon = Duration::from_millis(1);
    // What is soon done costs no place.
    let done = place.wait(Duration::from_secs(5), async { 7 }).await;
    assert_eq!((done.expect("done"), counts()), (7, (1, 0, 0)));
    let unread = place.wait(soon, std::future::pending::<()>());
    let unread = tokio::time::timeout(Duration::from_millis(50), unread).await;
    assert!(unread.is_err(), "it waits without a place");
    assert_eq!(counts(), (0, 1, 0));
    // The place of one that is parked is free, and there is room for one only.
    let running = admission.admit(&other).await.expect("runs");
    let mut second = Place::Taken(running);
    let unread = second.wait(soon, std::future::pending::<()>());
    let unread = tokio::time::timeout(Duration::from_millis(50), unread).await;
    assert!(unread.is_err(), "nobody wants its place");
    assert_eq!(counts(), (1, 1, 0));
    // Now somebody does: the parked one itself, and a new query of its client, which comes after it.
    let mut next = Box::pin(admission.admit(&slow));
    assert!(futures::poll!(&mut next).is_pending());
    let mut again = Box::pin(place.take());
    assert!(futures::poll!(&mut again).is_pending());
    let unread = second.wait(soon, std::future::pending::<()>()).await;
    let error = unread.expect_err("it is too many");
    assert_eq!(error.kind, QueryErrorKind::Timeout, "{error}");
    drop(second);
    again.await.expect("a place");
    assert_eq!(counts(), (1, 0, 1));
    assert!(futures::poll!(&mut next).is_pending());
    drop(place);
    drop(next.await.expect("a place"));
    assert!(admission.state().shares.is_empty());
}
