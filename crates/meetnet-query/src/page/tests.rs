use std::collections::{BTreeMap, BTreeSet};

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use meetnet_model::common::timestamp_type;
use meetnet_model::time::format_rfc3339;

use super::*;
use crate::fixture::{Database, HOUR, START, shown};

fn request(dataset: &str, rows_max: usize) -> PageRequest {
    PageRequest {
        dataset: DatasetId::new(dataset),
        as_of: START + 1000 * HOUR,
        columns: Vec::new(),
        conditions: Vec::new(),
        area: None,
        order: Vec::new(),
        buckets: None,
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

/// New rows, revisions, replays and hot ones, by when their version was recorded, also where only the receive time says so.
#[tokio::test]
async fn rows_that_have_changed_since() {
    let database = Database::new();
    let check = async |since: i64, as_of: i64, expect: &[(i64, i64)]| {
        let request = PageRequest {
            as_of: START + as_of * HOUR,
            conditions: vec![condition(
                "recorded_at",
                PageTest::RecordedAfter(START + since * HOUR),
            )],
            ..request("revised", 1)
        };
        let found = keys(&database, request).await;
        let expect: Vec<(i64, i64)> = expect
            .iter()
            .map(|(segment, hour)| (*segment, START + hour * HOUR))
            .collect();
        assert_eq!(found, expect, "{since} {as_of}");
    };
    check(5, 1000, &[(1, 1), (2, 0), (3, 0), (4, 2), (9, 744)]).await;
    check(6, 1000, &[(1, 1), (3, 0), (4, 2), (9, 744)]).await;
    check(10, 1000, &[(3, 0), (4, 2), (9, 744)]).await;
    check(14, 1000, &[(9, 744)]).await;
    check(760, 1000, &[]).await;
    check(5, 11, &[(1, 1), (2, 0)]).await;
    check(0, 2, &[(1, 0), (1, 1), (2, 0), (2, 1), (3, 0)]).await;
    check(1, 2, &[(1, 1), (2, 1)]).await;
    // Whoever asks again from where the last answer ended misses no version that is the answer at the end.
    let steps: [&[i64]; 3] = [
        &[1, 2, 6, 7, 10, 12, 13, 14, 760, 1000],
        &[5, 11, 759, 1000],
        &[1000],
    ];
    for ends in steps {
        let mut known = BTreeMap::new();
        let mut since = 0;
        for &until in ends {
            let changed = PageRequest {
                as_of: START + until * HOUR,
                columns: ["segment_id", "time", "car"].map(str::to_owned).to_vec(),
                conditions: vec![condition(
                    "recorded_at",
                    PageTest::RecordedAfter(START + since * HOUR),
                )],
                ..request("revised", 2)
            };
            for row in cells(&database, changed).await {
                let (key, car) = row.rsplit_once(' ').expect("three cells");
                known.insert(key.to_owned(), car.to_owned());
            }
            since = until;
        }
        let all = PageRequest {
            columns: ["segment_id", "time", "car"].map(str::to_owned).to_vec(),
            ..request("revised", 100)
        };
        let known: Vec<String> = known
            .iter()
            .map(|(key, car)| format!("{key} {car}"))
            .collect();
        assert_eq!(known, cells(&database, all).await, "{ends:?}");
    }
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
        match (PageValue::parse(&data_type, text, None), expect) {
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
    check(timestamp_type(), "2026-01-01", Ok(PageValue::Time(START)));
    check(timestamp_type(), "01/01/2026", Err("RFC 3339"));
    let local = PageValue::parse(&timestamp_type(), "2026-01-01", Some("Europe/Brussels"));
    assert_eq!(local, Ok(PageValue::Time(START - HOUR)));
    check(DataType::Null, "x", Err("no value"));
}

#[tokio::test]
async fn pages_follow_the_order_asked_for() {
    let database = Database::new();
    let descending = |column: &str| (column.to_owned(), true);
    for order in [
        vec![descending("time")],
        vec![descending("segment_id")],
        vec![descending("segment_id"), descending("time")],
        vec![("time".to_owned(), false)],
    ] {
        let request = PageRequest {
            order: order.clone(),
            ..request("counts", 100)
        };
        let found = keys(&database, request).await;
        let mut expect = keys(&database, self::request("counts", 10_000)).await;
        expect.sort_by(|a, b| {
            let of = |column: &str, down: bool| {
                let ordering = if column == "time" {
                    a.1.cmp(&b.1)
                } else {
                    a.0.cmp(&b.0)
                };
                if down { ordering.reverse() } else { ordering }
            };
            let asked = order.iter().map(|(column, down)| of(column, *down));
            let rest = ["segment_id", "time"].map(|column| of(column, false));
            let unequal = asked.chain(rest).find(|ordering| ordering.is_ne());
            unequal.unwrap_or(std::cmp::Ordering::Equal)
        });
        assert_eq!(found, expect, "{order:?}");
    }
    for (order, message) in [
        (vec![descending("car")], "segment_id, time"),
        (vec![descending("time"), descending("time")], "twice"),
    ] {
        let request = PageRequest {
            order,
            ..request("counts", 1)
        };
        let error = database.service.page(request).await.expect_err(message);
        assert!(error.message.contains(message), "{error}");
    }
}

/// Rows of a page as texts, `-` for no value.
async fn cells(database: &Database, mut request: PageRequest) -> Vec<String> {
    let mut rows = Vec::new();
    loop {
        let page = database
            .service
            .page(request.clone())
            .await
            .expect("a page");
        for batch in &page.batches {
            rows.extend(shown(batch).expect("cells").into_iter().map(|cells| {
                let cells = cells.into_iter();
                let cells = cells.map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
                cells.collect::<Vec<_>>().join(" ")
            }));
        }
        match page.next {
            Some(next) => request.after = Some(next),
            None => return rows,
        }
    }
}

fn buckets(every: &str, aggregates: &[&str], gaps: Option<(i64, i64)>) -> PageBuckets {
    PageBuckets {
        every: every.parse().expect("a length"),
        zone: "UTC".to_owned(),
        aggregates: aggregates
            .iter()
            .map(|name| BucketAggregate::parse(name).expect("an aggregate"))
            .collect(),
        gaps,
    }
}

#[tokio::test]
async fn buckets_are_pages_too() {
    let database = Database::new();
    let first = |of: PageBuckets, rows_max: usize| PageRequest {
        conditions: vec![
            condition(
                "segment_id",
                PageTest::AnyOf(vec![PageValue::Int(1), PageValue::Int(4)]),
            ),
            condition("time", PageTest::AtLeast(PageValue::Time(START + 3 * HOUR))),
            condition("time", PageTest::Less(PageValue::Time(START + 1431 * HOUR))),
        ],
        columns: vec!["car".to_owned()],
        buckets: Some(of),
        ..request("counts", rows_max)
    };
    for rows_max in [1, 2, 100] {
        let of = buckets("1mo", &["mean", "max", "median", "count"], None);
        let rows = cells(&database, first(of, rows_max)).await;
        let expect = [
            // 96 rows of 10 cars, one of 500.
            "1 2026-01-01T00:00:00Z 97 15.051546391752577 500.0 10.0 97",
            "1 2026-02-01T00:00:00Z 100 10.0 10.0 10.0 100",
            "4 2026-03-01T00:00:00Z 1 40.0 40.0 40.0 1",
        ];
        assert_eq!(rows, expect, "{rows_max}");
        let span = Some((START + 3 * HOUR, START + 9 * HOUR));
        let gaps = PageRequest {
            conditions: vec![
                condition("segment_id", PageTest::AnyOf(vec![PageValue::Int(1)])),
                condition("time", PageTest::AtLeast(PageValue::Time(START + 3 * HOUR))),
                condition("time", PageTest::Less(PageValue::Time(START + 9 * HOUR))),
                condition("car", PageTest::Greater(PageValue::Float(100.0))),
            ],
            ..first(buckets("2h", &["first", "last", "p99"], span), rows_max)
        };
        let expect = [
            "1 2026-01-01T02:00:00Z 0 - - - true",
            "1 2026-01-01T04:00:00Z 1 500.0 500.0 500.0 false",
            "1 2026-01-01T06:00:00Z 0 - - - true",
            "1 2026-01-01T08:00:00Z 0 - - - true",
        ];
        assert_eq!(cells(&database, gaps).await, expect, "{rows_max}");
    }
    for (columns, dataset, message) in [
        (
            vec!["place".to_owned()],
            "counts",
            "`place` is no column of numbers",
        ),
        (vec!["segment_id".to_owned()], "counts", "beside the key"),
        (vec!["cars".to_owned()], "counts", "did you mean `car`?"),
    ] {
        let request = PageRequest {
            columns,
            buckets: Some(buckets("1h", &["mean"], None)),
            ..request(dataset, 1)
        };
        let error = database.service.page(request).await.expect_err(message);
        assert!(error.message.contains(message), "{error}");
    }
}

/// The limit is that of `time_grid`, and whoever asks for a page has not written that name.
#[tokio::test]
async fn gaps_of_too_many_buckets_are_refused_by_the_names_of_the_request() {
    let database = Database::new();
    let second = HOUR / 3_600;
    let check = async |every: &str, zone: &str, to: i64, count: Option<&str>| {
        let made = PageBuckets {
            zone: zone.to_owned(),
            ..buckets(every, &["mean"], Some((START, to)))
        };
        let (interval, from) = (made.every.to_sql(), format_rfc3339(START));
        let grid = format!(
            "SELECT time FROM time_grid({interval}, '{from}', '{}', '{zone}') LIMIT 0",
            format_rfc3339(to)
        );
        let grid = database.service.query(QueryRequest::public(grid)).await;
        let request = PageRequest {
            columns: vec!["car".to_owned()],
            conditions: vec![condition("car", PageTest::Less(PageValue::Float(0.0)))],
            buckets: Some(made),
            ..request("counts", 1)
        };
        let page = database.service.page(request).await;
        assert_eq!(page.is_err(), grid.is_err(), "{every} {zone} {to}");
        assert_eq!(page.is_err(), count.is_some(), "{every} {zone} {to}");
        if let (Err(error), Some(count)) = (page, count) {
            assert_eq!(error.kind, QueryErrorKind::BadRequest);
            for part in ["gaps=mark", "every=", "from", count, "1000000 is the most"] {
                assert!(error.message.contains(part), "{part}: {error}");
            }
            assert!(!error.message.contains("time_grid"), "{error}");
        }
    };
    let most = START + 999_998 * second;
    check("1s", "UTC", most, None).await;
    check("1s", "UTC", most + second, Some("every=1s ")).await;
    check("1s", "UTC", most + second, Some("up to 1000001 buckets")).await;
    check("1s", "Europe/Brussels", most + second, Some("1000001")).await;
    check("1m", "UTC", START + 24 * 700 * HOUR, Some("1008002")).await;
    check("1h", "UTC", START + 24 * 700 * HOUR, None).await;
    check("1w", "UTC", START + 24 * 70_000 * HOUR, None).await;
    check("1mo", "Europe/Brussels", START + 24 * 70_000 * HOUR, None).await;
    check("1y", "UTC", START + 24 * 70_000 * HOUR, None).await;
}

#[test]
fn lengths_and_aggregates_are_read() {
    for good in ["1s", "15m", "1h", "7d", "2w", "1mo", "1y"] {
        assert!(good.parse::<Every>().is_ok(), "{good}");
    }
    for bad in ["", "h", "0h", "1", "1.5h", "-1h", "1 h", "10001d", "1h'"] {
        assert!(bad.parse::<Every>().is_err(), "{bad}");
    }
    for bad in ["", "avg", "p0", "p100", "p9.5", "p", "mean)"] {
        assert_eq!(BucketAggregate::parse(bad), None, "{bad}");
    }
    assert_eq!(
        BucketAggregate::parse("p5"),
        Some(BucketAggregate::Percentile(5))
    );
}

#[tokio::test]
async fn rows_that_are_nowhere_are_in_no_area() {
    let database = Database::new();
    let request = PageRequest {
        area: Some(PageArea::Around {
            lon: 4.7,
            lat: 50.88,
            radius_m: 1000.0,
        }),
        ..request("counts", 1)
    };
    let error = database.service.page(request).await.expect_err("no place");
    assert_eq!(error.kind, QueryErrorKind::BadRequest);
    assert!(
        error.message.contains("where the rows of `counts` are"),
        "{error}"
    );
}
