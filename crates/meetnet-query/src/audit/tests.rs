use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Audit, AuditEntry, SHAPE_BYTES_MAX, digest, shape};
use crate::client::{Client, Protocol};
use crate::error::{QueryErrorKind, shortened};
use crate::fixture;
use crate::options::{Dialect, QueryOptions, QueryRequest};
use crate::service::QueryService;

#[test]
fn a_shape_has_neither_values_nor_foreign_names() {
    let known = |name: &str| ["counts", "car", "segment_id", "max"].contains(&name);
    for (sql, expected) in [
        (
            "SELECT max(car) AS \"Jan Peeters\" FROM counts -- for jan@example.org\nWHERE segment_id IN (1, 2, 3)",
            "SELECT max ( car ) AS _ FROM counts WHERE segment_id IN ( ? )",
        ),
        (
            "select CAR from Counts limit 5",
            "SELECT car FROM counts LIMIT ?",
        ),
        (
            "SELECT 'Naamsestraat 1', $$x$$, $1, E'\\n' FROM counts",
            "SELECT ? FROM counts",
        ),
        (
            "SELECT jan.car FROM counts jan",
            "SELECT _ . car FROM counts _",
        ),
        (
            "SELECT /* secret */ X'ff', 1e9, U&'é' FROM geheim",
            "SELECT ? FROM _",
        ),
        ("SELECT 'open", "unreadable"),
    ] {
        assert_eq!(shape(sql, Dialect::Generic, known), expected, "{sql}");
    }
    let long = shape(
        &format!("SELECT {}car FROM counts", "car + ".repeat(500)),
        Dialect::Generic,
        known,
    );
    let kept = shortened(long.clone(), SHAPE_BYTES_MAX);
    assert!(kept.len() < 1_010 && long.len() > 1_010);
    assert_ne!(digest("SELECT ?"), digest("SELECT car"));
    assert_eq!(digest("SELECT ?").len(), 16);
}

/// Keeps entries for a test.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<AuditEntry>>);

impl Audit for Kept {
    fn note(&self, entry: &AuditEntry) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(entry.clone());
    }
}

impl Kept {
    fn outcomes(&self) -> Vec<(&'static str, u64)> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .iter()
            .map(|entry| (entry.outcome, entry.rows))
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_is_noted_once_however_it_ends() {
    let lake = fixture::lake();
    let kept = Arc::new(Kept::default());
    let options = QueryOptions {
        audit: Some(Arc::clone(&kept) as Arc<dyn Audit>),
        ..QueryOptions::default()
    };
    let service = QueryService::new(options, Arc::clone(&lake.snapshot)).expect("a service");
    let address = "192.0.2.7".parse().ok();
    let client = service.for_client(Client::of_address(Protocol::Http, address));
    let ask = async |sql: &str| match client.query(QueryRequest::public(sql)).await {
        Ok(mut answer) => answer.collect().await.map(|_| ()),
        Err(error) => Err(error),
    };
    ask("SELECT car FROM counts LIMIT 3").await.expect("rows");
    let error = ask("DROP TABLE counts").await.expect_err("no writes");
    assert_eq!(error.kind, QueryErrorKind::Forbidden);
    ask("").await.expect_err("nothing");
    // Of this process itself nothing is noted.
    let own = service.query(QueryRequest::public("SELECT 1")).await;
    own.expect("one").collect().await.expect("one");
    let mut answer = client
        .query(QueryRequest::public(
            "SELECT a.car FROM counts a, counts b, counts c",
        ))
        .await
        .expect("many rows");
    answer
        .next_batch()
        .await
        .expect("a batch")
        .expect("a good one");
    drop(answer);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    while kept.outcomes().len() < 4 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let outcomes = kept.outcomes();
    let names: Vec<&str> = outcomes.iter().map(|(outcome, _)| *outcome).collect();
    assert_eq!(names, ["ok", "forbidden", "bad_request", "given_up"]);
    assert_eq!(outcomes[0].1, 3);
    assert!(outcomes[3].1 > 0, "it had got a batch");
    let entries = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(entries[0].shape, "SELECT car FROM counts LIMIT ?");
    assert_eq!(entries[0].client.identity(), "network 192.0.2.0/24");
    assert!(entries[0].bytes > 0);
}

/// A client that waits until the end of the service has not given up.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_end_of_the_service_cuts_off_was_not_given_up() {
    let lake = fixture::lake();
    let kept = Arc::new(Kept::default());
    let options = QueryOptions {
        audit: Some(Arc::clone(&kept) as Arc<dyn Audit>),
        ..QueryOptions::default()
    };
    let service = QueryService::new(options, Arc::clone(&lake.snapshot)).expect("a service");
    let client = service.for_client(Client::of_address(Protocol::Http, None));
    let many = "SELECT a.car FROM counts a, counts b, counts c";
    for (is_end, expect) in [(false, "given_up"), (true, "cut_off")] {
        let answer = client.query(QueryRequest::public(many)).await;
        let before = kept.outcomes().len();
        if is_end {
            service.cut_off();
        }
        drop(answer.expect("many rows"));
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        while kept.outcomes().len() == before && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let outcomes = kept.outcomes();
        assert_eq!(outcomes.last().map(|(outcome, _)| *outcome), Some(expect));
    }
    // What had ended by itself stays what it was.
    let mut answer = client
        .query(QueryRequest::public("SELECT 1"))
        .await
        .expect("one");
    answer.collect().await.expect("one");
    let outcomes = kept.outcomes();
    assert_eq!(outcomes.last().map(|(outcome, _)| *outcome), Some("ok"));
}

/// To take a megabyte of brackets apart takes a hundred of them, before anybody has had a turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_is_too_long_is_noted_as_such() {
    let lake = fixture::lake();
    let kept = Arc::new(Kept::default());
    let options = QueryOptions {
        audit: Some(Arc::clone(&kept) as Arc<dyn Audit>),
        sql_bytes_max: 100,
        ..QueryOptions::default()
    };
    let service = QueryService::new(options, Arc::clone(&lake.snapshot)).expect("a service");
    let client = service.for_client(Client::of_address(Protocol::Http, None));
    let sql = format!("SELECT {}car FROM counts", "car, ".repeat(50));
    let error = client.query(QueryRequest::public(sql)).await;
    assert_eq!(error.expect_err("too long").kind, QueryErrorKind::TooLarge);
    let entries = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
    let noted: Vec<(&str, &str)> = entries
        .iter()
        .map(|entry| (entry.shape.as_str(), entry.outcome))
        .collect();
    assert_eq!(noted, [("too_long", "too_large")]);
}
