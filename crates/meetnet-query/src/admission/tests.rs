use std::time::Duration;

use super::Admission;
use crate::error::QueryErrorKind;

#[tokio::test]
async fn a_full_queue_and_a_long_wait_are_busy() {
    let admission = Admission::new(1, 0, Duration::from_millis(20));
    assert_eq!(admission.places_left(), 1);
    let running = admission.admit().await.expect("the first runs");
    let refused = admission.admit().await.expect_err("no queue");
    assert_eq!(refused.kind, QueryErrorKind::Busy);
    // At once: whoever waits is told something else.
    assert!(refused.message.contains("are waiting already"), "{refused}");

    let queue = Admission::new(1, 1, Duration::from_millis(20));
    let first = queue.admit().await.expect("the first runs");
    assert_eq!((queue.places_left(), admission.places_left()), (1, 0));
    let refused = queue.admit().await.expect_err("waits too long");
    assert_eq!(refused.kind, QueryErrorKind::Busy);
    assert!(refused.message.contains("in time"), "{refused}");
    drop(first);
    drop(running);
    let _ = queue.admit().await.expect("the queue is empty again");
    let _ = admission.admit().await.expect("the permit came back");
}
