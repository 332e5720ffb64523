use std::sync::Arc;

use meetnet_lake::snapshot::TableSnapshot;
use meetnet_model::ids::DatasetId;
use tokio::task::JoinHandle;

use super::of_reading;
use crate::client::{Client, Protocol};
use crate::error::{QueryError, QueryErrorKind};
use crate::fixture::{Database, HOUR, shown};
use crate::options::{QueryOptions, QueryRequest};
use crate::page::{PageCondition, PageTest, PageValue};
use crate::service::QueryService;

mod by_chance;
mod changes;
mod sizes;
mod turns;

/// Segment, time and cars of each newest row.
async fn latest(database: &Database, dataset: &str) -> Vec<String> {
    let rows = latest_of(&database.service, dataset).await;
    rows.expect("a page")
}

/// The same, as a service answers it.
async fn latest_of(service: &QueryService, dataset: &str) -> Result<Vec<String>, QueryError> {
    let columns = ["segment_id", "time", "car"].map(str::to_owned);
    let page = service
        .latest(&DatasetId::new(dataset), &columns, &[])
        .await?;
    let mut rows = Vec::new();
    for batch in &page.batches {
        for cells in shown(batch).expect("cells") {
            let cells = cells.into_iter().map(Option::unwrap_or_default);
            rows.push(cells.collect::<Vec<_>>().join(" "));
        }
    }
    Ok(rows)
}

/// A service over the lake of tests, as a client at an address sees it.
fn service_at(database: &Database, options: QueryOptions, address: &str) -> QueryService {
    let snapshot = Arc::clone(&database.lake.snapshot);
    let service = QueryService::new(options, snapshot).expect("a service");
    service.for_client(at(address))
}

fn at(address: &str) -> Client {
    Client::of_address(Protocol::Http, address.parse().ok())
}

/// Limits by which a client may have one query at a time, and none that waits.
fn one_place_each() -> QueryOptions {
    QueryOptions {
        running_max: 4,
        client_running_max: 1,
        client_queued_max: 0,
        ..QueryOptions::default()
    }
}

/// Has a client ask what has no end until it has no place left; whoever aborts the task gives them back.
async fn all_places_of(service: &QueryService) -> JoinHandle<Result<(), QueryError>> {
    let endless = QueryRequest::public("SELECT count(*) FROM generate_series(1, 1000000000000)");
    let asking = service.clone();
    let running = tokio::spawn(async move { asking.query(endless).await.map(|_| ()) });
    while service.places().left > 0 {
        tokio::task::yield_now().await;
    }
    running
}

/// Publishes the counts with a change, at a later stable time.
fn change(database: &Database, change: impl FnOnce(&mut TableSnapshot)) {
    let mut table = TableSnapshot::clone(&database.lake.snapshot.load().tables[&"counts".into()]);
    table.stable_time += 200 * HOUR;
    change(&mut table);
    database.lake.publish(table);
}

#[tokio::test]
async fn the_newest_row_of_every_series_is_current() {
    let database = Database::new();
    let revised = [
        "1 2026-01-01T01:00:00Z 111.0",
        "2 2026-01-01T01:00:00Z ",
        "3 2026-01-01T00:00:00Z ",
        "4 2026-01-01T02:00:00Z ",
        "9 2026-02-01T00:00:00Z 91.0",
    ];
    for _ in 0..2 {
        assert_eq!(latest(&database, "revised").await, revised);
    }
}

#[tokio::test]
async fn columns_and_conditions() {
    let database = Database::new();
    let ask = async |columns: &[&str], conditions: &[PageCondition]| {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        let page = database
            .service
            .latest(&DatasetId::new("counts"), &columns, conditions)
            .await?;
        Ok::<_, QueryError>((page.schema.fields().len(), page.batches[0].num_rows()))
    };
    let condition = |column: &str, test: PageTest| PageCondition {
        column: column.to_owned(),
        test,
    };
    let text = |text: &str| PageValue::Text(text.to_owned());
    let any = |values: Vec<PageValue>| PageTest::AnyOf(values);
    for (column, test, rows) in [
        (
            "segment_id",
            any(vec![PageValue::Int(1), PageValue::Int(9)]),
            2,
        ),
        ("place", any(vec![text("segment-4")]), 1),
        ("car", any(vec![PageValue::Float(20.0)]), 1),
        ("quality", any(vec![PageValue::Int(1)]), 5),
        ("licence", any(vec![text("ODbL-1.0")]), 1),
        ("superseded_at", any(vec![PageValue::Time(0)]), 0),
    ] {
        let conditions = [condition(column, test)];
        let found = ask(&["car"], &conditions).await.expect("a page");
        assert_eq!(found, (1, rows), "{column}");
    }
    let many = |count: i64| {
        let values = (0..count).map(PageValue::Int);
        [condition("segment_id", any(values.collect()))]
    };
    let found = ask(&["car"], &many(1000)).await.expect("a page");
    assert_eq!(found, (1, 5));
    let error = ask(&["car"], &many(1001)).await.expect_err("too many");
    assert!(error.message.contains("at most 1000"), "{error}");
    let all = ask(&[], &[]).await.expect("a page");
    assert_eq!(all, (13, 5));
    let greater = [condition("car", PageTest::Greater(PageValue::Float(1.0)))];
    let error = ask(&[], &greater).await.expect_err("not equality");
    assert!(error.message.contains("by equality only"), "{error}");
    let error = ask(&["cars"], &[]).await.expect_err("no column");
    assert!(
        error.message.contains("there is no column `cars`"),
        "{error}"
    );
    assert!(error.message.contains("did you mean `car`?"), "{error}");
    let error = ask(&["nothing"], &[]).await.expect_err("no column");
    let known = "there is no column `nothing` for fields; there are segment_id, ";
    assert!(error.message.contains(known), "{error}");
    let private = DatasetId::new("notes");
    let missing = database.service.latest(&private, &[], &[]);
    let error = missing.await.expect_err("a private dataset");
    assert_eq!(error.kind, QueryErrorKind::NotFound);
}

/// Where memory ends all the same, the advice is one that can be followed: there is nothing to narrow.
#[test]
fn a_limit_of_the_reading_is_told_to_whom_it_helps() {
    let check = |kind: QueryErrorKind, limit: &str| {
        let of_query = QueryError::new(kind, "too much; narrow it by time");
        let told = of_reading(of_query);
        assert_eq!(told.kind, kind);
        assert!(told.message.contains(limit), "{told}");
        assert!(!told.message.contains("narrow"), "{told}");
    };
    check(QueryErrorKind::TooLarge, "memory_bytes_max");
    check(QueryErrorKind::Timeout, "query_time_max");
    let other = QueryError::new(QueryErrorKind::Internal, "a file is broken");
    assert_eq!(of_reading(other).message, "a file is broken");
}
