use std::collections::BTreeSet;
mod guards;
mod vanishing;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use arrow::util::pretty::pretty_format_batches;
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::dataset::DatasetKind;
use meetnet_model::ids::{LicenceId, Sequence};

use super::QueryService;
use crate::error::{QueryError, QueryErrorKind};
use crate::fixture::{self, START};
use crate::options::{QueryOptions, QueryRequest};

fn service(lake: &fixture::Lake) -> QueryService {
    QueryService::new(QueryOptions::default(), Arc::clone(&lake.snapshot)).expect("a service")
}

async fn text(service: &QueryService, request: QueryRequest) -> Result<String, QueryError> {
    let batches = service.query(request).await?.collect().await?;
    Ok(pretty_format_batches(&batches).expect("text").to_string())
}

#[tokio::test]
async fn hostile_statements_are_refused_by_kind() {
    use QueryErrorKind::{BadRequest, Forbidden, NotFound, TooLarge};
    let mut wrong = Vec::new();
    let lake = fixture::lake();
    let service = service(&lake);
    let long = format!("SELECT '{}'", "x".repeat(20_000));
    let huge = format!("SELECT {}1", "1+".repeat(200_000));
    let deep = format!("SELECT {}1{}", "(".repeat(500), ")".repeat(500));
    let sum = format!("SELECT {}1", "1+".repeat(3_000));
    let calls = format!("SELECT {}1 2", "floor(".repeat(40));
    let doubling = {
        let steps = (1..24).map(|i| {
            let before = i - 1;
            format!(", t{i} AS (SELECT a.x FROM t{before} AS a CROSS JOIN t{before} AS b)")
        });
        format!(
            "WITH t0 AS (SELECT 1 AS x){} SELECT x FROM t23",
            steps.collect::<String>()
        )
    };
    let chain = {
        let steps = (1..40).map(|i| format!(", t{i} AS (SELECT x || x AS x FROM t{})", i - 1));
        format!(
            "WITH t0 AS (SELECT place AS x FROM counts){} SELECT x FROM t39",
            steps.collect::<String>()
        )
    };
    for (sql, kind, message) in [
        ("", BadRequest, "empty"),
        ("SELEC 1", BadRequest, "Line: 1, Column: 1"),
        ("SELECT 1; SELECT 2", BadRequest, "single SQL statement"),
        ("SELECT * FROM count", NotFound, "did you mean `counts`?"),
        ("SELECT * FROM notes", NotFound, "`notes`"),
        ("SELECT cars FROM counts", BadRequest, "did you mean `car`?"),
        ("SELECT nope(1)", BadRequest, "nope"),
        ("SELECT * FROM '/etc/passwd'", NotFound, "passwd"),
        (
            "SELECT * FROM 'https://example.org/x.parquet'",
            NotFound,
            "example.org",
        ),
        (
            "SELECT * FROM information_schema.df_settings",
            NotFound,
            "df_settings",
        ),
        ("CREATE TABLE t AS SELECT 1", Forbidden, "only reads"),
        ("CREATE VIEW v AS SELECT 1", Forbidden, "only reads"),
        (
            "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
            Forbidden,
            "only reads",
        ),
        ("DROP TABLE counts", Forbidden, "only reads"),
        (
            "INSERT INTO counts SELECT * FROM counts",
            Forbidden,
            "only reads",
        ),
        ("INSERT INTO counts VALUES (1)", Forbidden, "INSERT is not"),
        ("DELETE FROM counts", Forbidden, "DELETE is not allowed"),
        ("UPDATE counts SET nope = 1", Forbidden, "UPDATE is not"),
        ("TRUNCATE counts", Forbidden, "TRUNCATE is not"),
        ("COPY (SELECT 1) TO '/tmp/x.csv'", Forbidden, "only reads"),
        (
            "EXPLAIN ANALYZE INSERT INTO counts SELECT * FROM counts",
            Forbidden,
            "only reads",
        ),
        (
            "SET datafusion.execution.batch_size = 1",
            Forbidden,
            "only reads",
        ),
        ("PREPARE p AS SELECT 1", Forbidden, "only reads"),
        ("BEGIN", BadRequest, "BEGIN"),
        ("SHOW ALL", Forbidden, "settings"),
        (
            "SHOW datafusion.execution.batch_size",
            Forbidden,
            "settings",
        ),
        (
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r",
            BadRequest,
            "ecursive",
        ),
        ("SELECT repeat('x', 2000000000)", TooLarge, "repeat"),
        ("SELECT lpad('x', 2000000000, 'y')", TooLarge, "lpad"),
        (
            "SELECT rpad(place, 2000000000) FROM counts",
            TooLarge,
            "rpad",
        ),
        (
            "SELECT array_repeat(1, 2000000000)",
            TooLarge,
            "array_repeat",
        ),
        (
            "SELECT list_repeat(1, 2000000000)",
            TooLarge,
            "array_repeat",
        ),
        ("SELECT range(0, 2000000000)", BadRequest, "range"),
        (
            "SELECT generate_series(0, 2000000000)",
            BadRequest,
            "generate_series",
        ),
        (
            "SELECT array_resize([1], 2000000000)",
            BadRequest,
            "array_resize",
        ),
        (
            "SELECT arrow_cast(1, 'FixedSizeBinary(1000000000)')",
            BadRequest,
            "arrow_cast",
        ),
        (
            "SELECT CAST([1] AS INT[1000000000])",
            BadRequest,
            "fixed size",
        ),
        (
            "SELECT replace(repeat('a', 1000000), 'a', repeat('b', 1000000))",
            TooLarge,
            "replace",
        ),
        (&long, TooLarge, "literal"),
        (&huge, TooLarge, "bytes"),
        (&deep, BadRequest, "500 deep"),
        (&sum, TooLarge, "operators"),
        (&calls, TooLarge, "steps"),
        (&doubling, TooLarge, "WITH"),
        (&chain, TooLarge, "||"),
        ("SELECT 1 / 0", BadRequest, "ivide by zero"),
        ("SELECT CAST('x' AS INT)", BadRequest, "x"),
    ] {
        let started = Instant::now();
        let shown = &sql[..sql.len().min(80)];
        let error = match text(&service, QueryRequest::public(sql)).await {
            Ok(answer) => {
                wrong.push(format!(
                    "{shown} was answered:\n{}",
                    &answer[..answer.len().min(200)]
                ));
                continue;
            }
            Err(error) => error,
        };
        let hidden = !error
            .message
            .contains(&*lake.folder.path().to_string_lossy());
        let quick = started.elapsed() < Duration::from_secs(5);
        if error.kind != kind || !error.message.contains(message) || !hidden || !quick {
            wrong.push(format!(
                "{shown}: {:?} {error} after {:?}",
                error.kind,
                started.elapsed()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn private_datasets_exist_for_the_data_team_only() {
    let lake = fixture::lake();
    let service = service(&lake);
    let sql = "SELECT count(*) FROM notes";
    assert!(
        text(&service, QueryRequest::private(sql))
            .await
            .expect("rows")
            .contains("| 1 ")
    );
    let tables = text(&service, QueryRequest::public("SHOW TABLES"))
        .await
        .expect("tables");
    assert!(
        tables.contains("counts") && !tables.contains("notes"),
        "{tables}"
    );
    let columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'notes'";
    let columns = service
        .query(QueryRequest::public(columns))
        .await
        .expect("columns")
        .collect()
        .await;
    assert_eq!(columns.expect("columns").len(), 0);
}

#[tokio::test]
async fn an_answer_says_how_far_it_reaches_and_its_units() {
    let lake = fixture::lake();
    let service = service(&lake);
    let check =
        async |request: QueryRequest, through: u64, stable_time: i64, units: &[Option<&str>]| {
            let sql = request.sql.clone();
            let answer = service.query(request).await.expect("an answer");
            let known: Vec<Option<&str>> = answer.units.iter().map(Option::as_deref).collect();
            let reach = (answer.through, answer.stable_time);
            assert_eq!(reach, (Sequence(through), stable_time), "{sql}");
            assert_eq!(known, units, "{sql}");
        };
    let counts = START + 1000 * fixture::HOUR;
    let public = QueryRequest::public;
    let private = QueryRequest::private;
    check(
        public("SELECT segment_id, car AS c FROM counts"),
        7,
        counts,
        &[None, Some("1/h")],
    )
    .await;
    check(
        public("SELECT x.car FROM (SELECT car FROM counts WHERE car > 1) x ORDER BY 1"),
        7,
        counts,
        &[Some("1/h")],
    )
    .await;
    check(
        public(
            "SELECT heat_index(car, 50), convert(car, 'Cel', '°F'), locf(car) OVER (ORDER BY time), \
             time_bucket('1 day', time) FROM counts",
        ),
        7,
        counts,
        &[Some("Cel"), Some("[degF]"), Some("1/h"), None],
    )
    .await;
    check(
        public(
            "SELECT last(car, time), time_weighted_avg(car, time), \
             coverage(time, INTERVAL '1 hour', '2026-01-01', '2026-01-02') FROM counts",
        ),
        7,
        counts,
        &[Some("1/h"), Some("1/h"), Some("1")],
    )
    .await;
    check(public("SELECT 1"), 7, counts, &[None]).await;
    check(private("SELECT 1"), 5, START, &[None]).await;
    check(
        private("SELECT 1 FROM counts WHERE segment_id IN (SELECT segment_id FROM notes)"),
        5,
        START,
        &[None],
    )
    .await;
    check(private("SELECT count(*) FROM counts"), 7, counts, &[None]).await;
    check(
        private("SELECT h.car FROM counts_history h"),
        7,
        counts,
        &[Some("1/h")],
    )
    .await;
    check(
        private("SELECT car FROM counts_as_of('2026-01-01')"),
        7,
        counts,
        &[Some("1/h")],
    )
    .await;
    check(
        private("SELECT count(*) FROM counts, notes_as_of('2025-01-01')"),
        5,
        START,
        &[None],
    )
    .await;
}

#[tokio::test]
async fn no_row_of_another_licence_gets_through() {
    let lake = fixture::lake();
    let service = service(&lake);
    let only = |licence: &str, sql: &str| QueryRequest {
        licences: Some(BTreeSet::from([LicenceId::new(licence)])),
        ..QueryRequest::private(sql)
    };
    // Whatever names the dataset: itself, its history, a time, a subquery, a join.
    for (licence, sql, rows) in [
        ("ODbL-1.0", "SELECT count(*) FROM counts", 10),
        ("CC0-1.0", "SELECT count(*) FROM counts", 601),
        ("CC-BY-4.0", "SELECT count(*) FROM counts", 0),
        (
            "ODbL-1.0",
            "SELECT count(*) FROM counts WHERE licence <> 'ODbL-1.0'",
            0,
        ),
        (
            "ODbL-1.0",
            "SELECT count(*) FROM meetnet.public.counts AS c",
            10,
        ),
        (
            "ODbL-1.0",
            "SELECT count(*) FROM (SELECT * FROM counts LIMIT 1000)",
            10,
        ),
        ("ODbL-1.0", "SELECT count(*) FROM revised_history", 2),
        (
            "ODbL-1.0",
            "SELECT count(*) FROM revised_as_of('2026-02-11T00:00:00Z')",
            1,
        ),
        (
            "ODbL-1.0",
            "SELECT count(*) FROM generate_series(1, 1) WHERE 1 IN (SELECT segment_id FROM counts)",
            0,
        ),
        (
            "CC0-1.0",
            "SELECT count(*) FROM counts a JOIN counts b USING (segment_id, time) WHERE a.segment_id = 9",
            0,
        ),
        (
            "ODbL-1.0",
            "WITH c AS (SELECT * FROM counts UNION ALL SELECT * FROM counts) SELECT count(*) FROM c",
            20,
        ),
    ] {
        let mut answer = service.query(only(licence, sql)).await.expect(sql);
        let batches = answer.collect().await.expect(sql);
        let counted = batches[0].column(0).as_primitive::<Int64Type>().value(0);
        assert_eq!(counted, rows, "{licence}: {sql}");
    }
}

#[tokio::test]
async fn a_time_past_the_stable_time_of_a_dataset_it_reads_is_refused() {
    let lake = fixture::lake();
    let service = service(&lake);
    let as_of = |hours: i64, sql: &str| QueryRequest {
        as_of: Some(START + hours * fixture::HOUR),
        ..QueryRequest::private(sql)
    };
    // `notes` is stable up to START, `counts` and `revised` a thousand hours longer.
    for (hours, sql, refused) in [
        (1, "SELECT count(*) FROM counts", None),
        (
            1000,
            "SELECT count(*) FROM counts JOIN revised USING (time)",
            None,
        ),
        (1001, "SELECT count(*) FROM revised", Some("`revised`")),
        (
            1001,
            "SELECT count(*) FROM revised_history",
            Some("`revised`"),
        ),
        (1, "SELECT count(*) FROM counts, notes", Some("`notes`")),
        (
            1,
            "SELECT 1 WHERE 1 IN (SELECT segment_id FROM notes_history)",
            Some("`notes`"),
        ),
        (0, "SELECT count(*) FROM counts, notes", None),
        (9999, "SELECT 1", None),
        // A view at a time of its own keeps it.
        (
            1,
            "SELECT count(*) FROM revised_as_of('2026-01-01T12:00:00Z')",
            None,
        ),
    ] {
        match (text(&service, as_of(hours, sql)).await, refused) {
            (Ok(_), None) => {}
            (Err(error), Some(name)) => {
                assert_eq!(error.kind, QueryErrorKind::NotSettled, "{sql}: {error}");
                assert!(error.message.contains(name), "{sql}: {error}");
                assert!(error.message.contains("stable time 2026-"), "{error}");
            }
            (answer, refused) => panic!("{sql}: {answer:?}, not {refused:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_says_whether_it_is_settled() {
    let lake = fixture::lake();
    let service = service(&lake);
    let view = "revised_as_of('2026-01-01T12:00:00Z')";
    for (as_of, sql, settled) in [
        (None, "SELECT car FROM revised".to_owned(), false),
        (None, "SELECT car FROM revised_history".to_owned(), false),
        (None, format!("SELECT car FROM {view}"), true),
        (
            None,
            format!("SELECT count(*) FROM {view} JOIN revised USING (time)"),
            false,
        ),
        (
            None,
            format!("SELECT car FROM {view} WHERE time < now()"),
            false,
        ),
        (None, format!("SELECT random() FROM {view}"), false),
        (
            None,
            format!("SELECT car + value FROM {view}, generate_series(1, 3)"),
            true,
        ),
        (
            None,
            format!(
                "SELECT car FROM {view}, time_grid(INTERVAL '1 day', '2026-01-01T00:00:00Z', '2026-01-03T00:00:00Z')"
            ),
            true,
        ),
        (
            None,
            format!(
                "SELECT car FROM {view}, time_grid(INTERVAL '1 day', now() - INTERVAL '2 days', now())"
            ),
            false,
        ),
        (None, format!("EXPLAIN SELECT car FROM {view}"), false),
        (
            None,
            format!("SELECT (SELECT count(*) FROM revised) FROM {view}"),
            false,
        ),
        (None, "SELECT 1".to_owned(), false),
        (Some(START), "SELECT car FROM revised".to_owned(), true),
        (
            Some(START),
            "SELECT car FROM revised_history".to_owned(),
            true,
        ),
        (Some(START), "SELECT now() FROM revised".to_owned(), false),
        (
            Some(START),
            "SELECT car FROM revised, information_schema.tables".to_owned(),
            false,
        ),
    ] {
        let request = QueryRequest {
            as_of,
            ..QueryRequest::public(sql.as_str())
        };
        let answer = service.query(request).await.expect("an answer");
        assert_eq!(answer.is_settled, settled, "{sql} as of {as_of:?}");
        assert_eq!(answer.as_of, as_of, "{sql}");
        assert_eq!(answer.through, Sequence(7), "{sql}");
        assert_eq!(answer.stable_time, START + 1000 * fixture::HOUR, "{sql}");
    }
}

#[tokio::test]
async fn the_row_limit_cuts_and_says_so() {
    let lake = fixture::lake();
    let service = service(&lake);
    for (row_limit, sql, rows, cut) in [
        (5, "SELECT * FROM counts", 5, true),
        (5, "SELECT * FROM counts LIMIT 5", 5, false),
        (0, "SELECT * FROM counts", 0, true),
        (611, "SELECT * FROM counts", 611, false),
        (610, "SELECT * FROM counts ORDER BY time", 610, true),
        (20_000, "SELECT 1 FROM counts a, counts b", 20_000, true),
    ] {
        let request = QueryRequest {
            row_limit: Some(row_limit),
            ..QueryRequest::public(sql)
        };
        let mut answer = service.query(request).await.expect("an answer");
        let batches = answer.collect().await.expect("rows");
        assert_eq!(
            batches.iter().map(|batch| batch.num_rows()).sum::<usize>(),
            rows,
            "{sql}"
        );
        assert_eq!(answer.truncated(), cut, "{sql}");
    }
}

/// Whoever cannot be told that rows are left out learns it before the first row, where that is known.
#[tokio::test]
async fn a_limit_that_would_be_broken_is_refused_at_planning() {
    let lake = fixture::Lake::new();
    let counts = fixture::declaration("counts", DatasetKind::Wide);
    let rows: Vec<fixture::Row> = (0..5).map(|hour| (1, hour, Some(1.0))).collect();
    lake.publish(TableSnapshot {
        hot: Arc::new(vec![fixture::hot(
            fixture::batch(&counts, "CC0-1.0", &rows),
            None,
        )]),
        ..lake.table(&counts)
    });
    let service = service(&lake);
    for (sql, whole, row_limit, refused) in [
        ("SELECT * FROM counts", true, 4, true),
        ("SELECT * FROM counts", true, 5, false),
        ("SELECT * FROM counts", false, 4, false),
        ("SELECT * FROM counts LIMIT 5", true, 4, true),
        ("SELECT * FROM counts LIMIT 4", true, 4, false),
        ("SELECT count(*) FROM counts", true, 4, false),
        ("SELECT * FROM counts WHERE car > 0", true, 4, false),
    ] {
        let request = QueryRequest {
            whole,
            row_limit: Some(row_limit),
            ..QueryRequest::public(sql)
        };
        match service.query(request).await {
            Ok(_) => assert!(!refused, "{sql} of {row_limit} rows"),
            Err(error) => {
                assert!(refused, "{sql} of {row_limit} rows: {error}");
                assert_eq!(error.kind, QueryErrorKind::TooLarge);
                assert!(error.message.contains("more than the 4 rows"), "{error}");
            }
        }
    }
}

/// A statement that would run for hours: nothing of it may run a second after its end.
const ENDLESS: [&str; 4] = [
    "SELECT count(*) FROM counts a, counts b, counts c, counts d, counts e WHERE a.car + b.car + c.car + d.car = e.car + 0.5",
    "SELECT count(*) FROM generate_series(1, 1000000000000) a",
    "SELECT a.segment_id FROM counts a JOIN counts b ON a.car < b.car + 1e9 JOIN counts c ON b.car < c.car + 1e9 JOIN counts d ON c.car > d.car + 1e9",
    "SELECT sum(a.value * b.value) FROM generate_series(1, 100000) a, generate_series(1, 100000000) b",
];

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

#[tokio::test]
async fn memory_is_limited_per_query() {
    let lake = fixture::lake();
    let options = QueryOptions {
        memory_bytes_max: 1 << 20,
        ..QueryOptions::default()
    };
    let service = QueryService::new(options, Arc::clone(&lake.snapshot)).expect("a service");
    let wide = "SELECT array_agg(a.place || b.place) FROM counts a, counts b";
    let error = text(&service, QueryRequest::public(wide))
        .await
        .expect_err("too large");
    assert_eq!(error.kind, QueryErrorKind::TooLarge, "{error}");
}

/// A file that is damaged, or lost for good, is named; files that vacuum removes are not in the newest snapshot.
#[tokio::test]
async fn a_broken_file_is_named_and_other_files_answer() {
    let lake = fixture::lake();
    let service = service(&lake);
    let sql = "SELECT sum(car) FROM counts WHERE time BETWEEN '2026-02-01T00:00:00Z' AND '2026-02-28T00:00:00Z'";
    let before = Arc::clone(&lake.snapshot.load().tables[&"counts".into()]);
    let february = Arc::clone(&before.files[1]);
    let path = lake.folder.path().join("counts").join(&*february.path);
    let whole = std::fs::read(&path).expect("a file");
    let check = async |service: &QueryService, what: &str| {
        let error = text(service, QueryRequest::public(sql)).await;
        let error = error.expect_err("the file is broken");
        assert_eq!(error.kind, QueryErrorKind::Internal, "{error}");
        for part in [&*february.path, what, "meetnet check"] {
            assert!(error.message.contains(part), "{error} should say {part}");
        }
        assert!(
            !error
                .message
                .contains(&*lake.folder.path().to_string_lossy())
        );
        let other = "SELECT sum(car) FROM counts WHERE time < '2026-02-01T00:00:00Z'";
        text(service, QueryRequest::public(other))
            .await
            .expect("the rows of other files");
    };
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[4..middle].fill(0xff);
    std::fs::write(&path, damaged).expect("written");
    check(&service, "has other bytes than were written").await;
    std::fs::remove_file(&path).expect("removed");
    check(&service, "is missing").await;
}

/// Vacuum removes a file that an old snapshot names.
#[tokio::test]
async fn a_file_that_the_newest_snapshot_does_not_name_may_be_gone() {
    let lake = fixture::lake();
    let service = service(&lake);
    let sql = "SELECT sum(car) FROM counts WHERE segment_id = 2";
    let before = Arc::clone(&lake.snapshot.load().tables[&"counts".into()]);
    let february = Arc::clone(&before.files[1]);
    std::fs::remove_file(lake.folder.path().join("counts").join(&*february.path)).expect("removed");

    let kept = before
        .files
        .iter()
        .filter(|file| file.path != february.path)
        .cloned()
        .collect();
    lake.publish(TableSnapshot {
        files: Arc::new(kept),
        ..TableSnapshot::clone(&before)
    });
    let answer = text(&service, QueryRequest::public(sql))
        .await
        .expect("the new snapshot");
    assert!(answer.contains("2000.0"), "{answer}");
}

/// Limits and retries hold on every way to the files.
#[tokio::test]
async fn a_file_gone_under_a_view_is_noticed() {
    let lake = fixture::lake();
    let service = service(&lake);
    let table = Arc::clone(&lake.snapshot.load().tables[&"revised".into()]);
    for file in table.files.iter() {
        std::fs::remove_file(lake.folder.path().join("revised").join(&*file.path))
            .expect("removed");
    }
    for sql in [
        "SELECT sum(car) FROM revised_as_of('2026-01-01T12:00:00Z')",
        "SELECT sum(car) FROM revised_history WHERE superseded_at IS NULL",
        "SELECT sum(car) FROM revised_history WHERE segment_id = 1 AND superseded_at > '2026-01-01T08:00:00Z'",
    ] {
        let error = text(&service, QueryRequest::public(sql)).await;
        let error = error.expect_err("the files are gone");
        assert!(error.message.contains("is missing"), "{sql}: {error}");
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
