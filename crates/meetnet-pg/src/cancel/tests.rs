use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{CancelHandle, Connections};

fn connection() -> (Arc<Connections>, CancelHandle) {
    let connections = Arc::new(Connections::default());
    let handle = connections.add();
    (connections, handle)
}

fn cancel(connections: &Connections, handle: &CancelHandle) {
    connections.cancel(handle.id, handle.secret);
}

async fn is_told(handle: &CancelHandle) -> bool {
    timeout(Duration::from_millis(50), handle.cancelled())
        .await
        .is_ok()
}

#[tokio::test]
async fn a_request_means_what_is_being_answered_and_nothing_else() {
    let (connections, handle) = connection();
    // Before a message has come.
    cancel(&connections, &handle);
    assert!(!handle.is_cancelled());
    let first = handle.answering();
    assert!(!is_told(&handle).await, "it came before the message");
    // While nobody waits: between two steps of one answer.
    cancel(&connections, &handle);
    assert!(handle.is_cancelled());
    assert!(is_told(&handle).await, "the next step is told");
    assert!(is_told(&handle).await, "and so is each after it");
    drop(first);
    // After the answer.
    cancel(&connections, &handle);
    let second = handle.answering();
    assert!(
        !is_told(&handle).await,
        "what was meant for one message stops no other"
    );
    drop(second);
}

#[tokio::test]
async fn who_waits_is_told() {
    let (connections, handle) = connection();
    let _answering = handle.answering();
    let waiting = async {
        timeout(Duration::from_secs(10), handle.cancelled())
            .await
            .expect("told in time");
    };
    let later = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        cancel(&connections, &handle);
    };
    tokio::join!(waiting, later);
}

#[tokio::test]
async fn a_wrong_secret_and_an_unknown_number_cancel_nothing() {
    let (connections, handle) = connection();
    let _answering = handle.answering();
    connections.cancel(handle.id, handle.secret ^ 1);
    connections.cancel(handle.id + 1, handle.secret);
    assert!(!handle.is_cancelled());
}
