use futures::stream;
use futures::task::noop_waker_ref;

use super::*;
use crate::fixture::Database;

/// What five batches come as, asked for again and again: None is a wait.
fn polled(at_a_time: Duration) -> Vec<Option<i32>> {
    let mut batches = GivingWay::new(stream::iter(0..5), at_a_time);
    let mut context = Context::from_waker(noop_waker_ref());
    let mut polled = Vec::new();
    loop {
        match batches.poll_next_unpin(&mut context) {
            Poll::Ready(Some(batch)) => polled.push(Some(batch)),
            Poll::Ready(None) => return polled,
            Poll::Pending => polled.push(None),
        }
        assert!(polled.len() < 100, "{polled:?}");
    }
}

#[test]
fn who_works_for_long_waits_between_batches() {
    let all = [0, 1, 2, 3, 4].map(Some);
    assert_eq!(polled(Duration::MAX), all);
    let long = polled(Duration::ZERO);
    let expect: Vec<Option<i32>> = all.into_iter().flat_map(|batch| [batch, None]).collect();
    assert_eq!(long, expect);
}

#[tokio::test]
async fn who_waits_is_woken() {
    let batches = GivingWay::new(stream::iter(0..5), Duration::ZERO);
    let batches = tokio::time::timeout(Duration::from_secs(20), batches.collect::<Vec<_>>());
    assert_eq!(batches.await.expect("woken"), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn what_takes_long_gives_way() {
    let database = Database::new();
    for (sql, below) in [
        (
            "SELECT place, segment_id, count(*) FROM counts GROUP BY CUBE (place, segment_id)",
            "GivesWayExec",
        ),
        ("SELECT car FROM counts ORDER BY car", "OwnRowsExec"),
        (
            "SELECT count(*) FROM counts a JOIN counts b ON a.car < b.car",
            "WideRowsExec",
        ),
        (
            "SELECT sum(car) OVER (PARTITION BY place ORDER BY time) FROM counts",
            "GivesWayExec",
        ),
    ] {
        let plan = database.text(&format!("EXPLAIN {sql}")).await;
        assert!(plan.contains(below), "{sql}\n{plan}");
    }
    let scan = database.text("EXPLAIN SELECT car FROM counts").await;
    assert!(!scan.contains("GivesWayExec"), "{scan}");
}

/// Its operator has another name than that of a sort that gives all rows.
#[tokio::test]
async fn a_sort_with_a_limit_gives_way() {
    let database = Database::new();
    let plan = database.text("EXPLAIN SELECT car FROM counts ORDER BY car LIMIT 3");
    let plan = plan.await;
    let lines: Vec<&str> = plan.lines().collect();
    let above = lines
        .windows(2)
        .find(|pair| pair[1].contains("SortExec: TopK"))
        .map(|pair| pair[0]);
    let gives_way = above.is_some_and(|above| above.contains("CooperativeExec"));
    assert!(gives_way, "{plan}");
}
