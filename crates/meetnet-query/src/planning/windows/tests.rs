use super::*;
use crate::options::{Dialect, QueryOptions};
use crate::parse;

/// Returns a statement with its windows written out, or what is wrong with them.
fn written_out(sql: &str) -> String {
    let statement = parse::statement(sql, Dialect::Generic, &QueryOptions::default());
    let mut statement = statement.expect(sql);
    match write_out_windows(&mut statement) {
        Ok(()) => statement.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn names_mean_what_their_windows_are() {
    let check = |calls: &str, windows: &str, expect: &str| {
        let sql = format!("SELECT {calls} FROM t WINDOW {windows}");
        let written = written_out(&sql);
        let (written, _) = written.split_once(" FROM ").expect(&sql);
        assert_eq!(written, format!("SELECT {expect}"), "{sql}");
    };
    let by_key = "w AS (PARTITION BY g ORDER BY i)";
    check(
        "sum(x) OVER w",
        by_key,
        "sum(x) OVER (PARTITION BY g ORDER BY i)",
    );
    check(
        "sum(x) OVER (w)",
        by_key,
        "sum(x) OVER (PARTITION BY g ORDER BY i)",
    );
    check(
        "1 + sum(x) OVER (W ROWS 1 PRECEDING) AS a, max(x) OVER (ORDER BY i)",
        by_key,
        "1 + sum(x) OVER (PARTITION BY g ORDER BY i ROWS 1 PRECEDING) AS a, max(x) OVER (ORDER BY i)",
    );
    check(
        "sum(x) OVER (v ORDER BY j), sum(x) OVER w",
        "v AS (PARTITION BY g), w AS (v ORDER BY i)",
        "sum(x) OVER (PARTITION BY g ORDER BY j), sum(x) OVER (PARTITION BY g ORDER BY i)",
    );
    check(
        "sum(x) OVER w",
        "w AS (ORDER BY i ROWS 1 PRECEDING)",
        "sum(x) OVER (ORDER BY i ROWS 1 PRECEDING)",
    );
}

#[test]
fn names_are_those_of_their_select() {
    let check = |sql: &str, expect: &str| {
        let written = written_out(sql);
        assert!(written.contains(expect), "{sql}: {written}");
    };
    check(
        "SELECT i FROM t WINDOW w AS (ORDER BY x) ORDER BY rank() OVER w, i",
        "ORDER BY rank() OVER (ORDER BY x), i",
    );
    check(
        "SELECT i FROM t WINDOW w AS (ORDER BY x) UNION ALL SELECT max(i) OVER (w) FROM t WINDOW w AS (PARTITION BY y)",
        "max(i) OVER (PARTITION BY y)",
    );
    check(
        "SELECT (SELECT max(i) OVER (w) FROM s WINDOW w AS (PARTITION BY y)) FROM t WINDOW w AS (ORDER BY x)",
        "max(i) OVER (PARTITION BY y)",
    );
    check(
        "SELECT max(i) OVER (w) FROM t",
        "there is no window `w` in this SELECT",
    );
    check(
        "SELECT (SELECT max(i) OVER w FROM s) FROM t WINDOW w AS (ORDER BY x)",
        "there is no window `w` in this SELECT",
    );
    check(
        "SELECT max(i) OVER \"W\" FROM t WINDOW w AS (ORDER BY x)",
        "there is no window `\"W\"` in this SELECT",
    );
    check(
        "SELECT 1 FROM t WINDOW v AS (w ORDER BY i), w AS (PARTITION BY g)",
        "there is no window `w` in this SELECT",
    );
}

#[test]
fn a_window_with_a_name_is_given_nothing_twice() {
    let check = |call: &str, window: &str, expect: &str| {
        let sql = format!("SELECT sum(x) OVER {call} FROM t WINDOW w AS {window}");
        let refused = written_out(&sql);
        assert!(refused.contains(expect), "{sql}: {refused}");
    };
    check(
        "(w PARTITION BY g)",
        "(ORDER BY i)",
        "PARTITION BY cannot stand beside its name",
    );
    check(
        "(w ORDER BY i)",
        "(ORDER BY x)",
        "another one cannot stand beside its name",
    );
    check(
        "(w)",
        "(ORDER BY i ROWS 1 PRECEDING)",
        "OVER w without brackets is the window itself",
    );
}

/// Each would be written as often as it is meant, in each window in which its query stands.
#[test]
fn windows_are_not_written_out_without_end() {
    let keys = vec!["g"; 10_000].join(", ");
    let calls = vec!["sum(x) OVER w"; 100].join(", ");
    let wide = format!("SELECT {calls} FROM t WINDOW w AS (PARTITION BY {keys})");
    let mut deep = "SELECT 1".to_owned();
    for _ in 0..11 {
        deep = format!(
            "SELECT sum(x) OVER w + sum(x) OVER (w) FROM t WINDOW w AS (PARTITION BY ({deep}))"
        );
    }
    for sql in [wide, deep] {
        let refused = written_out(&sql);
        assert!(refused.contains("more than 1000000 bytes"), "{sql}");
    }
}
