use std::collections::BTreeSet;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use meetnet_model::common::timestamp_type;
use meetnet_model::dataset::DatasetKind;

use super::*;
use crate::fixture::{Database, HOUR, START, declaration};

fn request(dataset: &str, rows_max: usize) -> PageRequest {
    PageRequest {
        dataset: DatasetId::new(dataset),
        as_of: START + 1000 * HOUR,
        columns: Vec::new(),
        conditions: Vec::new(),
        after: None,
        rows_max,
    }
}

fn condition(column: &str, test: PageTest) -> PageCondition {
    PageCondition {
        column: column.to_owned(),
        test,
    }
}

/// Reads all pages; returns their keys in the order of arrival.
async fn keys(database: &Database, mut request: PageRequest) -> Vec<(i64, i64)> {
    let mut keys = Vec::new();
    for _ in 0..1000 {
        let page = database
            .service
            .page(request.clone())
            .await
            .expect("a page");
        let rows: usize = page.batches.iter().map(RecordBatch::num_rows).sum();
        assert!(rows <= request.rows_max);
        assert!(page.next.is_none() || rows == request.rows_max);
        for batch in &page.batches {
            let segments = batch.column_by_name("segment_id").expect("a key column");
            let times = batch.column_by_name("time").expect("a key column");
            keys.extend((0..batch.num_rows()).map(|row| {
                (
                    segments.as_primitive::<Int64Type>().value(row),
                    times.as_primitive::<TimestampMicrosecondType>().value(row),
                )
            }));
        }
        match page.next {
            Some(next) => request.after = Some(next),
            None => return keys,
        }
    }
    panic!("the pages do not end");
}

#[tokio::test]
async fn pages_meet_every_row_once_in_key_order() {
    let database = Database::new();
    for rows_max in [7, 100, 611, 612, 10_000] {
        let keys = keys(&database, request("counts", rows_max)).await;
        assert_eq!(keys.len(), 611, "{rows_max}");
        assert!(keys.is_sorted(), "{rows_max}");
        let distinct: BTreeSet<_> = keys.into_iter().collect();
        assert_eq!(distinct.len(), 611, "{rows_max}");
    }
}

/// The last page is full: no further one is promised.
#[tokio::test]
async fn a_full_last_page_is_the_last() {
    let database = Database::new();
    let page = database.service.page(request("counts", 611)).await;
    assert_eq!(page.expect("a page").next, None);
    let page = database.service.page(request("counts", 610)).await;
    assert!(page.expect("a page").next.is_some());
}

#[tokio::test]
async fn pages_are_as_of_their_time() {
    let database = Database::new();
    let early = PageRequest {
        as_of: START + HOUR,
        ..request("revised", 2)
    };
    let keys = keys(&database, early).await;
    assert_eq!(keys, [(1, START), (2, START), (3, START)]);
    let late = PageRequest {
        as_of: START + 1001 * HOUR,
        ..request("revised", 2)
    };
    let error = database.service.page(late).await.expect_err("not settled");
    assert_eq!(error.kind, QueryErrorKind::NotSettled);
}

#[tokio::test]
async fn conditions_and_columns() {
    let database = Database::new();
    let check = async |conditions: Vec<PageCondition>, rows: usize| {
        let request = PageRequest {
            conditions: conditions.clone(),
            columns: vec!["car".to_owned()],
            ..request("counts", 10_000)
        };
        let page = database.service.page(request).await.expect("a page");
        assert_eq!(page.schema.fields().len(), 1);
        assert_eq!(page.units, [Some("1/h".to_owned())]);
        let found: usize = page.batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(found, rows, "{conditions:?}");
    };
    use PageTest::{AnyOf, AtLeast, AtMost, Greater, IsNull, Less};
    use PageValue::{Float, Int, Text, Time};
    check(vec![], 611).await;
    check(
        vec![condition("segment_id", AnyOf(vec![Int(4), Int(9)]))],
        11,
    )
    .await;
    check(
        vec![condition(
            "place",
            AnyOf(vec![Text("segment-4".to_owned())]),
        )],
        1,
    )
    .await;
    check(vec![condition("car", IsNull(true))], 10).await;
    check(
        vec![
            condition("car", IsNull(false)),
            condition("quality", AnyOf(vec![Int(1)])),
        ],
        601,
    )
    .await;
    check(vec![condition("car", Greater(Float(30.0)))], 2).await;
    check(vec![condition("car", AtLeast(Float(30.0)))], 202).await;
    check(
        vec![
            condition("car", Less(Float(10.5))),
            condition("segment_id", AtMost(Int(1))),
        ],
        199,
    )
    .await;
    let february = Time(START + 744 * HOUR);
    check(vec![condition("time", Less(february.clone()))], 300).await;
    check(
        vec![
            condition("time", AtLeast(february)),
            condition("segment_id", AnyOf(vec![Int(2)])),
        ],
        100,
    )
    .await;
}

/// Foreign text is a value, whatever stands in it.
#[tokio::test]
async fn no_text_becomes_sql() {
    let database = Database::new();
    for text in [
        "' OR '1'='1",
        "'; DROP TABLE counts; --",
        "\\' OR 1=1 --",
        "\" OR \"1\"=\"1",
        "$$ OR 1=1 $$",
        "é'\u{0}\n",
    ] {
        let request = PageRequest {
            conditions: vec![condition(
                "place",
                PageTest::AnyOf(vec![PageValue::Text(text.to_owned())]),
            )],
            ..request("counts", 10)
        };
        let page = database.service.page(request).await.expect("no row");
        assert!(page.batches.is_empty(), "{text}");
    }
    let columns = PageRequest {
        columns: vec!["car\" FROM counts --".to_owned()],
        ..request("counts", 10)
    };
    let error = database.service.page(columns).await.expect_err("no column");
    assert!(error.message.contains("there is no column"), "{error}");
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let database = Database::new();
    let check = async |request: PageRequest, kind: QueryErrorKind, message: &str| {
        let error = database.service.page(request).await.expect_err(message);
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(message), "{error}");
    };
    check(request("notes", 1), QueryErrorKind::NotFound, "`notes`").await;
    check(request("nope", 1), QueryErrorKind::NotFound, "`nope`").await;
    let columns = PageRequest {
        columns: vec!["cars".to_owned()],
        ..request("counts", 1)
    };
    check(columns, QueryErrorKind::BadRequest, "did you mean `car`?").await;
    let after = PageRequest {
        after: Some(vec![PageValue::Int(1)]),
        ..request("counts", 1)
    };
    check(after, QueryErrorKind::BadRequest, "a key of 2 values").await;
    let many = PageRequest {
        conditions: vec![condition("car", PageTest::IsNull(true)); 65],
        ..request("counts", 1)
    };
    check(many, QueryErrorKind::BadRequest, "at most 64").await;
}

#[test]
fn values_are_read_by_type() {
    fn check(data_type: DataType, text: &str, expect: Result<PageValue, &str>) {
        match (PageValue::parse(&data_type, text), expect) {
            (Ok(value), Ok(expect)) => assert_eq!(value, expect, "{text}"),
            (Err(accepted), Err(part)) => assert!(accepted.contains(part), "{text}: {accepted}"),
            (read, expect) => panic!("{text}: {read:?}, not {expect:?}"),
        }
    }
    check(DataType::Utf8, "", Ok(PageValue::Text(String::new())));
    check(DataType::Int64, "-7", Ok(PageValue::Int(-7)));
    check(DataType::Int64, "7.5", Err("whole number"));
    check(DataType::Int8, "300", Err("-128 to 127"));
    check(DataType::Float64, "1e3", Ok(PageValue::Float(1000.0)));
    check(DataType::Float64, "NaN", Err("1.5"));
    check(DataType::Float64, "inf", Err("1.5"));
    check(DataType::Boolean, "true", Ok(PageValue::Bool(true)));
    check(DataType::Boolean, "yes", Err("true or false"));
    check(
        timestamp_type(),
        "2026-01-01T01:00:00+01:00",
        Ok(PageValue::Time(START)),
    );
    check(timestamp_type(), "2026-01-01", Err("RFC 3339"));
    check(DataType::Null, "x", Err("no value"));
}

#[test]
fn the_key_of_a_page_is_a_range_that_pruning_understands() {
    let counts = declaration("counts", DatasetKind::Wide);
    let after = [PageValue::Int(3), PageValue::Time(START)];
    assert_eq!(
        follows(&counts.key, &after).expect("a condition"),
        "\"segment_id\" >= 3 AND (\"segment_id\" > 3 OR (\"segment_id\" = 3 AND \"time\" > '2026-01-01T00:00:00Z'))"
    );
}
