//! Answers that wait for their readers: they take a place and memory of their client, and not for long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::execution::memory_pool::MemoryPool;

use super::{assert_idle_within_a_second, text};
use crate::admission::Places;
use crate::client::{Client, Protocol};
use crate::error::{QueryError, QueryErrorKind, SharedLimit};
use crate::fixture;
use crate::options::{QueryOptions, QueryRequest};
use crate::service::QueryService;

/// Some 600 KB in one batch.
const LARGE: &str = "SELECT repeat('x', 10000) FROM generate_series(1, 60)";
/// Long enough for it to be answered.
const ANSWERED: Duration = Duration::from_millis(300);

fn service(options: QueryOptions) -> QueryService {
    QueryService::new(options, Arc::clone(&fixture::lake().snapshot)).expect("a service")
}

fn at(service: &QueryService, address: &str) -> QueryService {
    let address = address.parse().ok();
    service.for_client(Client::of_address(Protocol::Http, address))
}

/// Returns the memory that a client's queries and answers hold.
fn held(service: &QueryService) -> usize {
    let rooms = &service.inner.shared.rooms;
    rooms.of(service.client()).client.reserved()
}

/// Threads that work for a query end a moment after it.
async fn wait_until_nothing_is_held(client: &QueryService) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let (bytes, Places { most, left }) = (held(client), client.places());
        if bytes == 0 && left == most {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{bytes} bytes are held, {left} of {most} places are left"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_its_place_until_it_is_read() {
    let service = service(QueryOptions {
        running_max: 1,
        queued_max: 0,
        unread_time_max: Duration::from_secs(60),
        ..QueryOptions::default()
    });
    let one = QueryRequest::public("SELECT 1");
    let mut answer = service.query(one.clone()).await.expect("an answer");
    tokio::time::sleep(ANSWERED).await;
    let error = text(&service, one.clone()).await.expect_err("no place");
    assert_eq!(error.kind, QueryErrorKind::Busy, "{error}");
    answer.collect().await.expect("its rows");
    text(&service, one.clone()).await.expect("a place again");
    // One that is left is none, too.
    let answer = service.query(one.clone()).await.expect("an answer");
    tokio::time::sleep(ANSWERED).await;
    drop(answer);
    assert_idle_within_a_second(&service, "an answer that was left").await;
    text(&service, one).await.expect("a place again");
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_answers_take_memory_of_their_client_and_of_no_other() {
    let service = service(QueryOptions {
        memory_bytes_max: 1_000_000,
        client_memory_bytes_max: 1_000_000,
        ..QueryOptions::default()
    });
    let (greedy, other) = (at(&service, "192.0.2.1"), at(&service, "198.51.100.1"));
    let large = QueryRequest::public(LARGE);
    let mut unread = greedy.query(large.clone()).await.expect("an answer");
    tokio::time::sleep(ANSWERED).await;
    assert!(held(&greedy) >= 600_000, "{}", held(&greedy));
    let error = text(&greedy, large.clone()).await.expect_err("no room");
    assert_eq!(error.kind, QueryErrorKind::OverShare, "{error}");
    assert_eq!(error.shared_limit, Some(SharedLimit::Memory), "{error}");
    assert!(error.message.contains("not read yet"), "{error}");
    text(&other, large.clone()).await.expect("its own room");
    let batch = unread.next_batch().await.expect("a batch");
    batch.expect("a good one");
    assert!(held(&greedy) >= 600_000, "it is worked on");
    assert!(unread.next_batch().await.is_none());
    wait_until_nothing_is_held(&greedy).await;
    text(&greedy, large).await.expect("there is room again");
}

/// Its own batches are in the way of the next one: it waits for its reader, and is not refused.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_larger_than_the_room_is_read_to_its_end() {
    let service = service(QueryOptions {
        memory_bytes_max: 20_000_000,
        client_memory_bytes_max: 20_000_000,
        ..QueryOptions::default()
    });
    let client = at(&service, "192.0.2.1");
    // 100 MB in batches of 8 MB.
    let many = "SELECT repeat('x', 1000) FROM generate_series(1, 100000)";
    let mut answer = client
        .query(QueryRequest::public(many))
        .await
        .expect("an answer");
    let (mut rows, mut most) = (0, 0);
    while let Some(batch) = answer.next_batch().await {
        rows += batch.expect("a good one").num_rows();
        tokio::time::sleep(Duration::from_millis(10)).await;
        most = most.max(held(&client));
    }
    assert_eq!(rows, 100_000);
    assert!(most > 8_000_000 && most <= 20_000_000, "{most}");
}

/// Half an answer is nothing: it waits where others of its client are in the way.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_has_begun_waits_for_room() {
    let service = service(QueryOptions {
        memory_bytes_max: 3_000_000,
        client_memory_bytes_max: 3_000_000,
        answer_batches_max: 1,
        ..QueryOptions::default()
    });
    let client = at(&service, "192.0.2.1");
    // 14 MB in batches of 570 KB.
    let many = "SELECT repeat('x', 70) FROM generate_series(1, 200000)";
    let asked = client.query(QueryRequest::public(many));
    let mut answer = asked.await.expect("an answer");
    let first = answer.next_batch().await.expect("a batch");
    let mut rows = first.expect("a good one").num_rows();
    let other = service.inner.shared.rooms.of(client.client());
    let other = other.client.answer();
    other.grow(3_000_000);
    let reading = tokio::spawn(async move {
        while let Some(batch) = answer.next_batch().await {
            rows += batch?.num_rows();
        }
        Ok::<_, QueryError>(rows)
    });
    tokio::time::sleep(ANSWERED).await;
    assert!(!reading.is_finished(), "there is no room");
    drop(other);
    let rows = reading.await.expect("no panic").expect("all of it");
    assert_eq!(rows, 200_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_reads_ends() {
    let service = service(QueryOptions {
        stall_time_max: Duration::from_secs(1),
        ..QueryOptions::default()
    });
    let client = at(&service, "192.0.2.1");
    let mut answer = client
        .query(QueryRequest::public(LARGE))
        .await
        .expect("an answer");
    let Places { most, left } = client.places();
    assert!(left < most, "it has its place");
    wait_until_nothing_is_held(&client).await;
    let error = answer.next_batch().await.expect("an end");
    let error = error.expect_err("it was given up");
    assert_eq!(error.kind, QueryErrorKind::Timeout, "{error}");
    assert!(answer.next_batch().await.is_none());
}

/// Else whoever asks for what must fail could hold all memory for as long as a connection stands.
#[tokio::test(flavor = "multi_thread")]
async fn rows_before_an_error_wait_no_longer_than_others() {
    let service = service(QueryOptions {
        // In order: the rows that can be computed come first.
        threads: 1,
        stall_time_max: Duration::from_secs(1),
        ..QueryOptions::default()
    });
    let client = at(&service, "192.0.2.1");
    let sql = "SELECT repeat('x', 70), 1 / (value - 9000) FROM generate_series(1, 20000)";
    let ask = async || client.query(QueryRequest::public(sql)).await;
    let mut read = ask().await.expect("its first rows");
    let first = read.next_batch().await.expect("a batch");
    assert!(first.expect("a good one").num_rows() > 0);
    let error = read.next_batch().await.expect("an end");
    let error = error.expect_err("a division by zero");
    assert_eq!(error.kind, QueryErrorKind::BadRequest, "{error}");
    drop(read);

    let mut unread = ask().await.expect("its first rows");
    wait_until_nothing_is_held(&client).await;
    let error = unread.next_batch().await.expect("an end");
    let error = error.expect_err("its rows are gone");
    assert_eq!(error.kind, QueryErrorKind::BadRequest, "{error}");
}
