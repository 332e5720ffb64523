use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::{Amounts, ProgressLine, text};

#[test]
fn the_line_says_how_far_it_is() {
    let check = |seconds: u64, rows: u64, bytes: u64, total: Option<u64>, expect: &str| {
        let amounts = Amounts { rows, bytes, total };
        assert_eq!(text(Duration::from_secs(seconds), amounts), expect);
    };
    check(12, 0, 0, None, "12 s");
    check(12, 0, 0, Some(9), "12 s");
    check(2, 0, 1024, None, "2 s, 1.0 KiB");
    check(2, 0, 1024, Some(4096), "2 s, 1.0 KiB, 25 %, about 6 s left");
    check(10, 25_000, 0, None, "10 s, 25,000 rows (2,500 rows/s)");
    check(
        10,
        25_000,
        2048,
        Some(100_000),
        "10 s, 25,000 rows, 2.0 KiB (2,500 rows/s), 25 %, about 30 s left",
    );
    // More rows than were counted before are no more than all.
    check(
        10,
        11,
        0,
        Some(10),
        "10 s, 11 rows (1 rows/s), 100 %, about 0 s left",
    );
}

#[tokio::test]
async fn watching_returns_what_was_waited_for() {
    let mut progress = ProgressLine::start();
    assert_eq!(progress.watch(async { 7 }).await, 7);
    progress.pass().await;
}

/// Of files that are there already all is read without a wait: Ctrl-C would be heard at the end.
#[tokio::test]
async fn work_that_never_waits_lets_others_have_their_turn() {
    let mut progress = ProgressLine::start();
    let mut passing = pin!(progress.pass());
    let first = poll_fn(|context| Poll::Ready(passing.as_mut().poll(context))).await;
    assert!(first.is_pending());
    passing.await;
}
