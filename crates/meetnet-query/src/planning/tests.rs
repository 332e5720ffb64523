use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};

use crate::encode::type_name;
use crate::fixture;
use crate::options::{Dialect, QueryOptions, QueryRequest};
use crate::service::QueryService;

/// Returns the types of columns as clients are told of them: how a text lies in memory is none of these.
fn types(schema: &Schema) -> Vec<String> {
    let fields = schema.fields().iter();
    fields.map(|field| type_name(field.data_type())).collect()
}

#[tokio::test]
async fn a_statement_answers_the_types_that_it_was_described_with() {
    let lake = fixture::lake();
    let service = QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot));
    let service = service.expect("a service");
    for sql in [
        "SELECT segment_id, time, car, place, licence FROM counts",
        "SELECT CASE WHEN segment_id > 1 THEN 1 ELSE 2.5 END AS a FROM counts",
        "SELECT 1 AS a UNION ALL SELECT 2.5",
        "SELECT NULL AS a UNION ALL SELECT 1",
        "SELECT coalesce(segment_id, 0.5) AS a, make_array(1, 2.5) AS b, 1 + 0.5 AS c FROM counts",
        "SELECT max(time) AS a, avg(car) AS b, sum(segment_id) AS c, count(*) AS d FROM counts",
        "SELECT a.x FROM (VALUES (1), (2.5)) AS a(x) WHERE a.x > 1",
        "EXPLAIN SELECT 1",
    ] {
        for dialect in [Dialect::Generic, Dialect::Postgres] {
            let request = QueryRequest {
                dialect,
                ..QueryRequest::public(sql)
            };
            let described = service.describe(request.clone(), Vec::new()).await;
            let described = described.expect(sql);
            let answer = service.query(request).await.expect(sql);
            assert_eq!(types(&described.schema), types(&answer.schema), "{sql}");
        }
    }
}

#[tokio::test]
async fn what_has_no_type_yet_is_no_error() {
    let lake = fixture::lake();
    let service = QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot));
    let service = service.expect("a service");
    let described = |sql: &str, known: Option<DataType>| {
        let request = QueryRequest::public(sql);
        let service = service.clone();
        async move { service.describe(request, vec![known]).await }
    };
    let sql = "SELECT segment_id FROM counts WHERE abs($1) > 1";
    let found = described(sql, None).await.expect("a description");
    assert_eq!(types(&found.schema), ["int64"]);
    // Whoever says what it is, is told that it does not fit.
    let sql = "SELECT segment_id FROM counts WHERE time > $1";
    assert!(described(sql, Some(DataType::Boolean)).await.is_err());
    assert!(described(sql, None).await.is_ok());
}

/// Two columns of one name are one in an object of NDJSON and an error in many a notebook.
#[tokio::test]
async fn no_two_columns_of_an_answer_have_one_name() {
    let lake = fixture::lake();
    let service = QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot));
    let service = service.expect("a service");
    let counts = "(SELECT segment_id, car FROM counts) AS c";
    for (sql, expected) in [
        (
            format!("SELECT car, segment_id FROM {counts}"),
            "car segment_id",
        ),
        (
            format!("SELECT *, car FROM {counts} ORDER BY car LIMIT 1"),
            "segment_id car car_1",
        ),
        (
            format!("SELECT car, c.*, c.car FROM {counts}"),
            "car segment_id car_1 car_2",
        ),
        (
            format!("SELECT *, \"car\", Segment_ID FROM {counts}"),
            "segment_id car car_1 segment_id_1",
        ),
        (
            "SELECT a.car, b.car FROM counts a JOIN counts b USING (time)".to_owned(),
            "car car_1",
        ),
        (
            "SELECT * FROM (SELECT 1 AS a, 2 AS b) AS x CROSS JOIN (SELECT 3 AS a, 4 AS a_1) AS y"
                .to_owned(),
            "a b a_2 a_1",
        ),
        (
            format!("EXPLAIN SELECT *, car FROM {counts}"),
            "plan_type plan",
        ),
        // It means the column by the name that was written.
        (
            "SELECT DISTINCT x.*, b FROM (SELECT 1 AS a) AS x CROSS JOIN (SELECT 2 AS b) AS y ORDER BY b"
                .to_owned(),
            "a b",
        ),
        (
            "SELECT x.*, b FROM (SELECT 1 AS a) AS x CROSS JOIN (SELECT 2 AS b) AS y UNION ALL SELECT 3, 4 ORDER BY b"
                .to_owned(),
            "a b",
        ),
        // A cast has the name of what is cast.
        (
            "SELECT time, time::date FROM counts".to_owned(),
            "time time_1",
        ),
        (
            "SELECT c.car::int, c.car::text, c.car FROM counts AS c ORDER BY car LIMIT 1".to_owned(),
            "car car_1 car_2",
        ),
        (
            "SELECT time AT TIME ZONE 'UTC', segment_id FROM counts ORDER BY time LIMIT 1".to_owned(),
            "time segment_id",
        ),
        (
            "SELECT *, car::int FROM (SELECT segment_id, car FROM counts) AS c".to_owned(),
            "segment_id car car_1",
        ),
        (
            "SELECT max(time::date), max(time::time) FROM counts".to_owned(),
            "max(time::DATE) max(time::TIME)",
        ),
        (
            "SELECT 1 < (SELECT max(car) FROM counts), 1 < (SELECT max(car) FROM counts WHERE car < 30)".to_owned(),
            "1 < (SELECT max(car) FROM counts) 1 < (SELECT max(car) FROM counts WHERE car < 30)",
        ),
        (
            "SELECT count(*), count(*) AS n, count(*) FROM counts".to_owned(),
            "count(*) n count(*)_1",
        ),
        (
            "SELECT segment_id::text, segment_id, count(*) AS n FROM counts GROUP BY 1, 2 ORDER BY 1"
                .to_owned(),
            "segment_id segment_id_1 n",
        ),
        // What has no name is called as it is written where the planner would show types.
        ("SELECT 6".to_owned(), "6"),
        ("SELECT 6, 6 AS \"6\"".to_owned(), "6 6_1"),
        (
            "SELECT 1 + 1, 'a', 2.5, -1, true".to_owned(),
            "1 + 1 'a' 2.5 -1 true",
        ),
        (
            "SELECT round(avg(car), 2), max(car), car / 2 AS half FROM counts GROUP BY half".to_owned(),
            "round(avg(car), 2) max(counts.car) half",
        ),
        (
            "SELECT date_trunc('hour', time) - INTERVAL '1 hour' FROM counts".to_owned(),
            "date_trunc('hour', time) - INTERVAL '1 hour'",
        ),
        (
            "SELECT count(*) FILTER (WHERE car > 3), 6 FROM counts".to_owned(),
            "count(*) FILTER (WHERE car > 3) 6",
        ),
        (
            "SELECT (car / 2)::int, 6::text FROM counts".to_owned(),
            "car / 2 6",
        ),
        ("SELECT 6 UNION ALL SELECT 7".to_owned(), "6"),
        (
            format!("SELECT 1 + 1, *, car / 2, car AS n, 6 FROM {counts}"),
            "1 + 1 segment_id car car / 2 n 6",
        ),
        (
            "SELECT x.*, 2, y.*, 3 FROM (SELECT 1 AS a) AS x CROSS JOIN (SELECT 2 AS b) AS y"
                .to_owned(),
            "a Int64(2) b 3",
        ),
        // That name goes on meaning it.
        ("SELECT 6 ORDER BY \"Int64(6)\"".to_owned(), "6"),
        (
            "SELECT \"Int64(6)\" FROM (SELECT 6) AS x".to_owned(),
            "Int64(6)",
        ),
        ("EXPLAIN SELECT 1, 2".to_owned(), "plan_type plan"),
        // It is of the other table: nothing is in its way.
        (
            "SELECT x.*, b FROM (SELECT 1 AS a) AS x CROSS JOIN (SELECT 2 AS b) AS y".to_owned(),
            "a b",
        ),
    ] {
        let names = |schema: &Schema| {
            let fields = schema.fields().iter();
            fields
                .map(|field| field.name().clone())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let request = QueryRequest::public(sql.as_str());
        let described = service.describe(request.clone(), Vec::new()).await;
        assert_eq!(names(&described.expect(&sql).schema), expected, "{sql}");
        let mut answer = service.query(request).await.expect(&sql);
        assert_eq!(names(&answer.schema), expected, "{sql}");
        for batch in answer.collect().await.expect(&sql) {
            assert_eq!(batch.num_columns(), answer.schema.fields().len(), "{sql}");
        }
    }
}

/// Beside a count of different values it is planned as a sum of sums.
#[tokio::test]
async fn a_sum_of_decimals_has_the_type_that_was_described() {
    let lake = fixture::lake();
    let service =
        QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot)).expect("a service");
    let sql = "SELECT sum(car::decimal(12, 2)) AS cars, count(DISTINCT segment_id) AS segments FROM counts";
    let request = QueryRequest::public(sql);
    let described = service.describe(request.clone(), Vec::new()).await;
    let described = described.expect("a description");
    let answer = service.query(request).await.expect("an answer");
    let types = |schema: &Schema| -> Vec<DataType> {
        let fields = schema.fields().iter();
        fields.map(|field| field.data_type().clone()).collect()
    };
    assert_eq!(types(&answer.schema), types(&described.schema));
    assert_eq!(types(&answer.schema)[0], DataType::Decimal128(38, 2));
}
