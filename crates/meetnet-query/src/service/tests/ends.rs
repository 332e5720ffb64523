//! Work ends with its time, with its client, and leaves its place to the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use super::{assert_idle_within_a_second, service, text};
use crate::answer::QueryAnswer;
use crate::error::{QueryError, QueryErrorKind};
use crate::fixture;
use crate::options::{QueryOptions, QueryRequest};
use crate::service::QueryService;

/// A statement that would run for hours: nothing of it may run a second after its end.
const ENDLESS: [&str; 4] = [
    "SELECT count(*) FROM counts a, counts b, counts c, counts d, counts e WHERE a.car + b.car + c.car + d.car = e.car + 0.5",
    "SELECT count(*) FROM generate_series(1, 1000000000000) a",
    // It gathers a few rows: one that gathers more than it may is refused, and how soon depends on the machine.
    "SELECT count(*) FROM counts a JOIN generate_series(1, 100000000000) b ON a.car < b.value + 1e9",
    "SELECT sum(a.value * b.value) FROM generate_series(1, 100000) a, generate_series(1, 100000000) b",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_stops_the_work() {
    let lake = fixture::lake();
    let service = service(&lake);
    for sql in ENDLESS {
        let request = QueryRequest {
            time_max: Some(Duration::from_millis(300)),
            ..QueryRequest::public(sql)
        };
        let started = Instant::now();
        let error = text(&service, request).await.expect_err("takes for ever");
        assert_eq!(error.kind, QueryErrorKind::Timeout, "{sql}: {error}");
        assert!(
            started.elapsed() < Duration::from_millis(1300),
            "{sql}: {:?}",
            started.elapsed()
        );
        assert_idle_within_a_second(&service, sql).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_answer_stops_the_work() {
    let lake = fixture::lake();
    let service = service(&lake);
    for sql in ENDLESS {
        let asked = service.query(QueryRequest::public(sql));
        let waited = tokio::time::timeout(Duration::from_millis(200), asked).await;
        assert!(waited.is_err(), "{sql} takes for ever");
        assert_idle_within_a_second(&service, sql).await;
    }
    let many = "SELECT a.car FROM counts a, counts b, counts c";
    let mut answer = service
        .query(QueryRequest::public(many))
        .await
        .expect("an answer");
    answer
        .next_batch()
        .await
        .expect("a batch")
        .expect("a good one");
    drop(answer);
    assert_idle_within_a_second(&service, many).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_queries_are_busy() {
    let lake = fixture::lake();
    let options = QueryOptions {
        running_max: 1,
        queued_max: 0,
        ..QueryOptions::default()
    };
    let service = QueryService::new(options, Arc::clone(&lake.snapshot)).expect("a service");
    let many = "SELECT a.car FROM counts a, counts b";
    let running = service
        .query(QueryRequest::public(many))
        .await
        .expect("an answer");
    let error = text(&service, QueryRequest::public("SELECT 1"))
        .await
        .expect_err("no slot");
    assert_eq!(error.kind, QueryErrorKind::Busy);
    drop(running);
    assert_idle_within_a_second(&service, many).await;
    text(&service, QueryRequest::public("SELECT 1"))
        .await
        .expect("a slot again");
}

const MANY: &str = "SELECT a.car FROM counts a, counts b";

/// A service with one place, which a query leaves as soon as it waits for its reader.
fn with_one_place(lake: &fixture::Lake, parked_max: usize) -> QueryService {
    let options = QueryOptions {
        running_max: 1,
        queue_time_max: Duration::from_secs(2),
        unread_time_max: Duration::from_millis(20),
        parked_max,
        ..QueryOptions::default()
    };
    QueryService::new(options, Arc::clone(&lake.snapshot)).expect("a service")
}

/// Reads on to the error that an answer must end with.
async fn error_of(answer: &mut QueryAnswer) -> QueryError {
    loop {
        match answer.next_batch().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => return error,
            None => panic!("it was answered to its end"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_slowly_leaves_its_place_to_others_and_gets_its_whole_answer() {
    let lake = fixture::lake();
    let service = with_one_place(&lake, 1);
    let counted = service.query(QueryRequest::public("SELECT count(*) FROM counts"));
    let counted = counted.await.expect("an answer").collect().await;
    let rows = counted.expect("a count")[0]
        .column(0)
        .as_primitive::<Int64Type>()
        .value(0) as usize;
    let asked = service.query(QueryRequest::public(MANY));
    let mut answer = asked.await.expect("an answer");
    let mut read = 0;
    for _ in 0..5 {
        let batch = answer.next_batch().await.expect("a batch");
        read += batch.expect("a good one").num_rows();
        // There is no other place than that of the slow one.
        text(&service, QueryRequest::public("SELECT 1"))
            .await
            .expect("a place");
    }
    while let Some(batch) = answer.next_batch().await {
        read += batch.expect("a good one").num_rows();
    }
    assert_eq!(read, rows * rows);
    text(&service, QueryRequest::public("SELECT 1"))
        .await
        .expect("the place is free");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_slowly_is_ended_where_too_many_do_and_others_wait() {
    let lake = fixture::lake();
    let service = with_one_place(&lake, 0);
    let asked = service.query(QueryRequest::public(MANY));
    let mut answer = asked.await.expect("an answer");
    // Nobody wants its place: it may keep it.
    tokio::time::sleep(Duration::from_millis(100)).await;
    for _ in 0..5 {
        let batch = answer.next_batch().await.expect("a batch");
        batch.expect("a good one");
    }
    text(&service, QueryRequest::public("SELECT 1"))
        .await
        .expect("its place");
    let error = error_of(&mut answer).await;
    assert_eq!(error.kind, QueryErrorKind::Timeout, "{error}");
    assert!(error.message.contains("read more slowly"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_at_a_place_only() {
    let lake = fixture::lake();
    let service = with_one_place(&lake, 1);
    let asked = service.query(QueryRequest::public(MANY));
    let mut answer = asked.await.expect("an answer");
    let asking = service.clone();
    let long = QueryRequest {
        time_max: Some(Duration::from_secs(2)),
        ..QueryRequest::public(ENDLESS[1])
    };
    let running = tokio::spawn(async move { asking.query(long).await.map(|_| ()) });
    // Long enough for the one to leave its place, and for the other to take it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let started = Instant::now();
    while let Some(batch) = answer.next_batch().await {
        batch.expect("a good one");
    }
    let waited = started.elapsed();
    assert!(waited > Duration::from_secs(1), "{waited:?}");
    let ended = running
        .await
        .expect("no panic")
        .expect_err("takes for ever");
    assert_eq!(ended.kind, QueryErrorKind::Timeout, "{ended}");
}
