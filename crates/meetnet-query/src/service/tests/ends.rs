//! Work ends with its time, with its client, and leaves its place to the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{assert_idle_within_a_second, service, text};
use crate::error::QueryErrorKind;
use crate::fixture;
use crate::options::{QueryOptions, QueryRequest};
use crate::service::QueryService;

/// A statement that would run for hours: nothing of it may run a second after its end.
const ENDLESS: [&str; 4] = [
    "SELECT count(*) FROM counts a, counts b, counts c, counts d, counts e WHERE a.car + b.car + c.car + d.car = e.car + 0.5",
    "SELECT count(*) FROM generate_series(1, 1000000000000) a",
    "SELECT a.segment_id FROM counts a JOIN counts b ON a.car < b.car + 1e9 JOIN counts c ON b.car < c.car + 1e9 JOIN counts d ON c.car > d.car + 1e9",
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
