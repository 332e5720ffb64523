mod counted;
mod ends;
mod files;
mod guards;
mod reach;
mod refusals;
mod row_limit;
mod store_faults;
mod unread;
mod vanishing;
mod visibility;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::util::pretty::pretty_format_batches;
use meetnet_lake::snapshot::LakeSnapshot;
use meetnet_model::dataset::DatasetKind;
use meetnet_model::ids::Sequence;

use super::QueryService;
use crate::error::{QueryError, QueryErrorKind};
use crate::fixture;
use crate::options::{QueryOptions, QueryRequest};

fn service(lake: &fixture::Lake) -> QueryService {
    QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot)).expect("a service")
}

async fn text(service: &QueryService, request: QueryRequest) -> Result<String, QueryError> {
    let batches = service.query(request).await?.collect().await?;
    Ok(pretty_format_batches(&batches).expect("text").to_string())
}

async fn tasks_left(service: &QueryService) -> usize {
    service
        .inner
        .runtime
        .as_ref()
        .expect("a runtime")
        .metrics()
        .num_alive_tasks()
}

async fn assert_idle_within_a_second(service: &QueryService, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(1);
    while tasks_left(service).await > 0 {
        assert!(
            Instant::now() < deadline,
            "work went on after the end of {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_empty_lake_answers() {
    let lake = fixture::Lake::new();
    let service = service(&lake);
    let mut answer = service
        .query(QueryRequest::public("SELECT 1 AS one"))
        .await
        .expect("one");
    assert_eq!((answer.through, answer.stable_time), (Sequence::ZERO, 0));
    assert_eq!(answer.collect().await.expect("one").len(), 1);
    let empty = fixture::declaration("empty", DatasetKind::Wide);
    lake.publish(lake.table(&empty));
    let sql = "SELECT count(*), max(time) FROM empty";
    assert!(
        text(&service, QueryRequest::public(sql))
            .await
            .expect("none")
            .contains("| 0 ")
    );
    lake.snapshot.store(Arc::new(LakeSnapshot::default()));
    let error = text(&service, QueryRequest::public(sql))
        .await
        .expect_err("no table");
    assert_eq!(error.kind, QueryErrorKind::NotFound);
}

/// Making a session per query must stay cheap; printed for the record.
#[tokio::test]
async fn a_query_costs_little_before_it_reads() {
    let lake = fixture::lake();
    let service = service(&lake);
    text(&service, QueryRequest::public("SELECT 1"))
        .await
        .expect("warm");
    let started = Instant::now();
    for _ in 0..100 {
        text(&service, QueryRequest::public("SELECT 1"))
            .await
            .expect("one");
    }
    let trivial = started.elapsed() / 100;
    let started = Instant::now();
    for _ in 0..100 {
        text(
            &service,
            QueryRequest::public("SELECT count(*) FROM counts"),
        )
        .await
        .expect("one");
    }
    eprintln!(
        "SELECT 1: {trivial:?}, count(*): {:?} per query",
        started.elapsed() / 100
    );
    assert!(trivial < Duration::from_millis(20), "{trivial:?}");
}
