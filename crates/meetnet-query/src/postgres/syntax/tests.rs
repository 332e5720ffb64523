use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::Tokenizer;

use super::*;

fn read(sql: &str) -> Result<String, QueryError> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location();
    let tokens = readable(tokens.expect("tokens"))?;
    // One space between any two.
    let words = tokens.iter().map(|token| token.token.to_string());
    let words = words.filter(|word| !word.trim().is_empty());
    Ok(words.collect::<Vec<_>>().join(" "))
}

fn check(sql: &str, expected: &str) {
    assert_eq!(read(sql).expect(sql), expected, "{sql}");
}

fn check_same(sql: &str) {
    let words: Vec<&str> = sql.split_whitespace().collect();
    check(sql, &words.join(" "));
}

#[test]
fn a_table_is_a_query_where_one_can_stand() {
    check("TABLE traffic", "SELECT * FROM traffic");
    check(
        "table public.\"Odd\" ORDER BY 1 LIMIT 2",
        "SELECT * FROM public . \"Odd\" ORDER BY 1 LIMIT 2",
    );
    check(
        "WITH a AS ( TABLE b ) TABLE a UNION ALL TABLE c EXCEPT TABLE d",
        "WITH a AS ( SELECT * FROM b ) SELECT * FROM a UNION ALL SELECT * FROM c EXCEPT SELECT * FROM d",
    );
    check(
        "EXPLAIN ANALYZE VERBOSE TABLE a",
        "EXPLAIN ANALYZE VERBOSE SELECT * FROM a",
    );
    check(
        "EXPLAIN (COSTS) TABLE a",
        "EXPLAIN ( COSTS ) SELECT * FROM a",
    );
    check_same("DROP TABLE traffic");
    check_same("CREATE TABLE t AS SELECT 1");
    check_same("SELECT * FROM TABLE ( f )");
    check_same("SELECT \"TABLE\" AS a");
    check_same("TABLE");
}

#[test]
fn of_the_options_of_explain_those_are_left_that_say_something() {
    check(
        "EXPLAIN (FORMAT JSON) SELECT 1",
        "EXPLAIN ( FORMAT pgjson ) SELECT 1",
    );
    check(
        "explain (analyze, format 'json', verbose, buffers true, costs) SELECT 1",
        "explain ( analyze , format pgjson ) SELECT 1",
    );
    // As pgAdmin asks.
    check(
        "EXPLAIN (FORMAT JSON, ANALYZE FALSE, VERBOSE FALSE, COSTS FALSE, TIMING FALSE, BUFFERS FALSE, \
         SUMMARY FALSE, SETTINGS FALSE, GENERIC_PLAN FALSE, WAL FALSE) SELECT 1",
        "EXPLAIN ( FORMAT pgjson , ANALYZE FALSE , COSTS FALSE ) SELECT 1",
    );
    check("EXPLAIN (FORMAT TEXT) SELECT 1", "EXPLAIN SELECT 1");
    check(
        "EXPLAIN (FORMAT TEXT, VERBOSE, WAL) SELECT 1",
        "EXPLAIN ( VERBOSE ) SELECT 1",
    );
    check(
        "EXPLAIN (ANALYZE, TIMING off, SUMMARY) SELECT 1",
        "EXPLAIN ( ANALYZE , TIMING off , SUMMARY ) SELECT 1",
    );
    check("EXPLAIN (BUFFERS) (SELECT 1)", "EXPLAIN ( SELECT 1 )");
    // No options, or none of PostgreSQL's.
    check_same("EXPLAIN ( SELECT 1 )");
    check_same("EXPLAIN ( FORMAT tree ) SELECT 1");
    check_same("EXPLAIN ( ANALYZE , METRICS 'rows' ) SELECT 1");
    check_same("EXPLAIN ( COSTS ( off ) ) SELECT 1");
    check_same("EXPLAIN ( FORMAT JSON");
    check_same("SELECT f ( format , json )");
    let refused = read("EXPLAIN (FORMAT XML) SELECT 1").map_err(|error| error.fault);
    assert_eq!(refused, Err(Some(StatementFault::Unsupported)));
}
