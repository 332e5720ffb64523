//! What the rules and functions of `meetnet-sql` make of statements over a lake.

use std::sync::Arc;

use meetnet_lake::snapshot::TableSnapshot;
use meetnet_model::dataset::DatasetKind;

use crate::error::QueryErrorKind;
use crate::fixture::{self, Database, Lake, Row};
use crate::options::{QueryOptions, QueryRequest};
use crate::service::QueryService;

#[tokio::test]
async fn long_conditions_are_answered_as_short_ones_are() {
    let database = Database::new();
    let chain = |operator: &str, term: fn(usize) -> String| {
        let terms: Vec<String> = (0..100).map(term).collect();
        terms.join(operator)
    };
    let either = chain(" OR ", |at| {
        format!("(segment_id = {at} AND time > '2026-01-02')")
    });
    let all = chain(" AND ", |at| {
        format!("(car <> {at} OR time < '2026-01-0{}')", at % 9 + 1)
    });
    let short = "segment_id BETWEEN 0 AND 99 AND time > '2026-01-02'";
    let short = format!("SELECT count(*), sum(car) FROM counts WHERE {short}");
    let expect = database.row(&short).await;
    for sql in [
        format!("SELECT count(*), sum(car) FROM counts WHERE {either}"),
        format!(
            "SELECT count(*) FILTER (WHERE {either}), sum(CASE WHEN {either} THEN car END) FROM counts"
        ),
        format!(
            "SELECT count(*), sum(car) FROM (SELECT {either} AS is_one, car FROM counts) WHERE is_one"
        ),
    ] {
        assert_eq!(database.row(&sql).await, expect, "{sql}");
    }
    let plain = database
        .row("SELECT count(*) FROM counts WHERE car IS NOT NULL")
        .await;
    let none = format!(
        "SELECT count(*) FILTER (WHERE {all}) + count(*) FILTER (WHERE NOT ({all})) FROM counts WHERE car IS NOT NULL"
    );
    assert_eq!(database.row(&none).await, plain);
}

/// The condition stays one on the column.
#[tokio::test]
async fn files_are_skipped_by_lists_with_a_zero() {
    let database = Database::new();
    let sql = "EXPLAIN SELECT count(*) FROM counts WHERE car IN (0, 10, 20, 30, 31)";
    let plan = database.text(sql).await;
    assert!(plan.contains("pruning_predicate=car_"), "{plan}");
    assert!(!plan.contains("unsigned_zero"), "{plan}");
}

/// Scans have the condition as it was written.
#[tokio::test]
async fn files_are_skipped_by_days_as_before() {
    let database = Database::new();
    for condition in [
        "time::date = '2026-02-02'",
        "time::date IN ('2026-02-02')",
        "time::date BETWEEN '2026-02-02' AND '2026-02-03'",
    ] {
        let sql = format!("EXPLAIN SELECT time FROM counts WHERE {condition} ORDER BY time DESC");
        let plan = database.text(&sql).await;
        assert!(plan.contains("pruning_predicate=time_"), "{plan}");
        assert!(!plan.contains("predicate=true"), "{plan}");
        assert!(plan.contains("month=2026-02"), "{plan}");
        assert!(!plan.contains("month=2026-01"), "{plan}");
    }
}

/// Returns what a count over files of segments -5 to 0 and 1 to 1,000 is.
async fn counted(condition: &str) -> String {
    let lake = Lake::new();
    let counts = fixture::declaration("counts", DatasetKind::Wide);
    let below: Vec<Row> = (-5..=0).map(|segment| (segment, 0, Some(1.25))).collect();
    let above: Vec<Row> = (1..=1_000)
        .map(|segment| (segment, 1, Some(1.75)))
        .collect();
    let files =
        [below, above].map(|rows| lake.file(&counts, ("CC0-1.0", false, "2026-01"), &rows, 2_000));
    lake.publish(TableSnapshot {
        files: Arc::new(files.into()),
        ..lake.table(&counts)
    });
    let service = QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot));
    let service = service.expect("a service");
    let sql = format!("SELECT count(*) FROM counts WHERE {condition}");
    let answer = service.query(QueryRequest::public(sql)).await;
    let mut answer = answer.expect(condition);
    let batches = answer.collect().await.expect(condition);
    let shown = batches.iter().map(fixture::shown);
    let shown: Vec<_> = shown.map(|cells| cells.expect("cells")).collect();
    let cell = shown.into_iter().flatten().flatten().next();
    cell.flatten().unwrap_or_default()
}

/// Each condition is true of as many rows as it would be if no file had statistics.
#[tokio::test]
async fn no_file_is_skipped_for_a_cast_that_loses_order() {
    for (condition, expected) in [
        ("CAST(segment_id AS BOOLEAN) >= true", "1005"),
        ("CAST(segment_id AS BOOLEAN) < true", "1"),
        (
            "TRY_CAST(segment_id AS TINYINT) IS NOT DISTINCT FROM NULL",
            "873",
        ),
        ("TRY_CAST(segment_id AS TINYINT) = 100", "1"),
        ("CAST(CAST(car AS DECIMAL(5, 2)) AS INT) = 1", "1006"),
        (
            "CAST(CAST(car AS DECIMAL(5, 2)) AS DECIMAL(5, 1)) = 1.3",
            "6",
        ),
        ("CAST(car AS INT) = 1", "1006"),
        ("CAST(segment_id AS INT) < 0", "5"),
        ("CAST(time AS DATE) = '2026-01-01'", "1006"),
    ] {
        assert_eq!(counted(condition).await, expected, "{condition}");
    }
}

/// What lies in order by a column lies in order by a number more than it, and need not be sorted.
#[tokio::test]
async fn what_does_not_wrap_keeps_its_order() {
    let lake = fixture::lake();
    let service = QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot));
    let service = service.expect("a service");
    for (order, is_sorted) in [
        ("value + 1", false),
        ("5 + value + 1 - 3", false),
        ("value * 2", true),
        ("-value DESC NULLS LAST", false),
    ] {
        let sql = format!("EXPLAIN SELECT value FROM generate_series(1, 9) ORDER BY {order}");
        let mut answer = service.query(QueryRequest::public(sql)).await.expect(order);
        let batches = answer.collect().await.expect(order);
        let shown = batches.iter().map(fixture::shown);
        let shown: Vec<_> = shown.map(|cells| cells.expect("cells")).collect();
        let has_sort = format!("{shown:?}").contains("SortExec");
        assert_eq!(has_sort, is_sorted, "{order}: {shown:?}");
    }
}

/// What bounds a function must not change what it answers.
#[tokio::test]
async fn bounded_functions_answer_as_before() {
    let database = Database::new();
    for (sql, row) in [
        (
            "SELECT [1, 2] || [3], make_array(1, NULL)[1]",
            "[1, 2, 3]|1",
        ),
        ("SELECT array_to_string([1, 2, 3], ', ')", "1, 2, 3"),
        ("SELECT string_to_array('a b', ' ')", "[a, b]"),
        ("SELECT levenshtein('kitten', 'sitting')", "3"),
        (
            "SELECT [1, 2, 3] @> [2, 3], array_has_any([1], [2])",
            "true|false",
        ),
        (
            "SELECT 'abc' ~ 'b.', 'ABC' ~* '^a.c$', 'abc' !~ '[bc]', 'abc' !~* 'X|Y'",
            "true|true|false|true",
        ),
        (
            "SELECT 'abc' SIMILAR TO '%(b|d)%', 'abc' NOT SIMILAR TO 'b', 'a%c' SIMILAR TO 'a#%c' ESCAPE '#', 'abc' SIMILAR TO NULL IS NULL",
            "true|true|true|true",
        ),
        ("SELECT NULL ~ 'b.' IS NULL", "true"),
        (
            "SELECT regexp_count('banana', 'an'), regexp_replace('banana', '(an)+', 'x')",
            "2|bxa",
        ),
        (
            "SELECT count(*) FROM counts WHERE place ~ '-(9|8)$' AND place !~ '[0-9]{9}'",
            "10",
        ),
        ("SELECT overlay('abcd' PLACING 'xx' FROM 2 FOR 2)", "axxd"),
        (
            "SELECT 'abc' LIKE 'a%c', 'abc' LIKE 'a_d', 'ABC' ILIKE 'a%C', 'abc' NOT LIKE 'a%c', 'a%c' LIKE 'a\\%c', \
             'abc' NOT ILIKE 'A_c', 'abc' ~~ 'a_c', 'abc' !~~* 'A_C'",
            "true|false|true|false|true|false|true|false",
        ),
        (
            "SELECT NULL LIKE 'a_c' IS NULL, 'abc' LIKE NULL IS NULL",
            "true|true",
        ),
        (
            "SELECT count(*) = count(*) FILTER (WHERE place LIKE 's%-' || segment_id) FROM counts",
            "true",
        ),
        (
            "SELECT count(*) FILTER (WHERE place LIKE 's%-_') = count(*) FILTER (WHERE place ~ '^s.*-.$') FROM counts",
            "true",
        ),
        (
            "SELECT encode('ab', 'hex'), translate('abc', 'ab', 'x'), find_in_set('b', 'a,b')",
            "6162|xc|2",
        ),
        (
            "SELECT array_replace_all([1, 2, 1], 1, 3), array_to_string([1, NULL], ',', 'x')",
            "[3, 2, 3]|1,x",
        ),
        ("SELECT regexp_match('ab', '(a)(b)')", "[a, b]"),
    ] {
        assert_eq!(database.row(sql).await, row, "{sql}");
    }
}

#[tokio::test]
async fn patterns_are_one_and_of_bounded_size() {
    let database = Database::new();
    let long = format!("SELECT place ~ '{}.' FROM counts", "a".repeat(1_001));
    for (sql, kind, message) in [
        (
            "SELECT 'a' ~ '(((a{90}){90}){90})'",
            QueryErrorKind::TooLarge,
            "too large",
        ),
        (
            "SELECT regexp_like(place, '(((\\w{50}){50}){50})') FROM counts",
            QueryErrorKind::TooLarge,
            "too large",
        ),
        (&long, QueryErrorKind::TooLarge, "1002 bytes"),
        (
            "SELECT place ~ concat('(a{', segment_id, '}){100}') FROM counts",
            QueryErrorKind::BadRequest,
            "one pattern",
        ),
        (
            "SELECT regexp_replace(place, concat('.', car), 'x') FROM counts",
            QueryErrorKind::BadRequest,
            "one pattern",
        ),
    ] {
        let refused = database.answer(QueryRequest::public(sql)).await;
        let refused = refused.expect_err(sql);
        assert_eq!(refused.kind, kind, "{sql}: {refused}");
        assert!(refused.message.contains(message), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn what_is_gathered_is_what_it_was() {
    let database = Database::new();
    for (sql, expect) in [
        (
            "SELECT string_agg(CAST(value AS TEXT), ',' ORDER BY value DESC) FROM generate_series(1, 5)",
            "5,4,3,2,1",
        ),
        (
            "SELECT array_agg(value ORDER BY -value) FROM generate_series(1, 5)",
            "[5, 4, 3, 2, 1]",
        ),
        (
            "SELECT array_agg(DISTINCT v ORDER BY v) FROM (SELECT value % 2 AS v FROM generate_series(1, 5))",
            "[0, 1]",
        ),
        (
            "SELECT string_agg(DISTINCT v, '-' ORDER BY v) FROM (SELECT CAST(value % 2 AS TEXT) AS v FROM generate_series(1, 5))",
            "0-1",
        ),
        (
            "SELECT nth_value(value, 2 ORDER BY value DESC) FROM generate_series(1, 5)",
            "4",
        ),
        (
            "SELECT max(texts) FROM (SELECT value % 2 AS g, string_agg(CAST(value AS TEXT), '' ORDER BY value) AS texts \
             FROM generate_series(1, 9) GROUP BY 1)",
            "2468",
        ),
    ] {
        assert_eq!(database.row(sql).await, expect, "{sql}");
    }
}
