//! Statements that are refused: each by its kind, soon, and with words that help.

use std::time::{Duration, Instant};

use super::{service, text};
use crate::error::QueryErrorKind;
use crate::fixture;
use crate::options::QueryRequest;

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
        (
            "SELECT (1 + 2",
            BadRequest,
            "found: the end of the statement",
        ),
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
        ("SHOW FUNCTIONS", BadRequest, "SELECT * FROM functions"),
        (
            "SHOW FUNCTIONS LIKE 'time%'",
            BadRequest,
            "SELECT * FROM functions",
        ),
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
        ("SELECT 1 / 0", BadRequest, "divide by NULLIF(x, 0)"),
        (
            "SELECT c.cars FROM counts AS c",
            BadRequest,
            "in `c`; did you mean `car`?",
        ),
        (
            "SELECT d.car FROM counts AS c",
            BadRequest,
            "no `d.car` here; the tables are c",
        ),
        (
            "SELECT 1 FROM counts AS c JOIN functions AS f ON f.car = c.car",
            BadRequest,
            "no column `car` in `f`; there are description",
        ),
        (
            "SELECT car FROM counts WHERE time > '01/11/2026'",
            BadRequest,
            "`01/11/2026` is no time; write",
        ),
        (
            "SELECT car FROM counts WHERE segment_id = 'one'",
            BadRequest,
            "`one` is used as a whole number (bigint), and is none",
        ),
        (
            "SELECT car FROM counts WHERE time > 20261101",
            BadRequest,
            "write a time as",
        ),
        (
            "SELECT place, car FROM counts GROUP BY place",
            BadRequest,
            "`counts.car` in SELECT must stand in GROUP BY",
        ),
        (
            "SELECT avg(place) FROM counts",
            BadRequest,
            "`avg` cannot be called so: it requires",
        ),
        ("SELECT TOP 10 * FROM counts", BadRequest, "write LIMIT"),
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
