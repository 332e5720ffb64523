use crate::options::{Dialect, QueryOptions};
use crate::parse::statement;

#[track_caller]
fn check(sql: &str, expected: &str) {
    let parsed = statement(sql, Dialect::Generic, &QueryOptions::default());
    let shown = match parsed {
        Ok(statement) => statement.to_string(),
        Err(error) => error.to_string(),
    };
    assert!(shown.contains(expected), "{sql}: {shown}");
}

#[test]
fn question_marks_are_numbered_in_the_order_of_the_text() {
    check("SELECT 1", "SELECT 1");
    check("SELECT ? + ?", "SELECT $1 + $2");
    check(
        "SELECT x FROM t WHERE a > ? AND b = '?'",
        "a > $1 AND b = '?'",
    );
    check(
        "SELECT a,\n ? FROM t WHERE b BETWEEN ? AND\n? ORDER BY 1 LIMIT ?",
        "SELECT a, $1 FROM t WHERE b BETWEEN $2 AND $3 ORDER BY 1 LIMIT $4",
    );
    check(
        "WITH w AS (SELECT ? AS a) SELECT a FROM w WHERE a IN (?, (SELECT ?)) UNION SELECT ?",
        "WITH w AS (SELECT $1 AS a) SELECT a FROM w WHERE a IN ($2, (SELECT $3)) UNION SELECT $4",
    );
    check("EXPLAIN SELECT ?", "SELECT $1");
    check("SELECT $2, $name", "SELECT $2, $name");
}

#[test]
fn both_kinds_of_placeholders_in_one_statement_are_refused() {
    check("SELECT ? + $1", "placeholders of both kinds");
    check("SELECT $from, ?", "placeholders of both kinds");
}
