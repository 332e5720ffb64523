use std::time::{Duration, Instant};

use datafusion::sql::parser::DFParser;
use datafusion::sql::sqlparser::ast::visit_expressions_mut;

use super::*;
use crate::error::from_datafusion;
use crate::service::STACK_BYTES;

/// Longer than the slowest test machine takes for a statement's steps, shorter by far than any doubling to 40 levels.
const SOON: Duration = Duration::from_secs(20);

/// Parses on a stack as the service has it: that of a test thread is short for code that is not optimized.
fn parse(sql: &str, dialect: Dialect) -> Result<Statement> {
    let sql = sql.to_owned();
    let parsing = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(move || statement(&sql, dialect, &QueryOptions::default()));
    parsing.expect("a thread").join().expect("no panic")
}

fn refusal(sql: &str) -> QueryError {
    refusal_in(sql, Dialect::Generic)
}

fn refusal_in(sql: &str, dialect: Dialect) -> QueryError {
    let started = Instant::now();
    let shown = &sql[..sql.len().min(60)];
    let error = parse(sql, dialect).expect_err(shown);
    let elapsed = started.elapsed();
    assert!(elapsed < SOON, "{shown} took {elapsed:?}");
    from_datafusion(error, &[])
}

/// A statement of 40 levels, whose innermost part is `inner`.
fn nested(before: &str, inner: &str, after: &str) -> String {
    format!("SELECT {}{inner}{}", before.repeat(40), after.repeat(40))
}

#[test]
fn what_the_parser_reads_again_and_again_is_refused_soon() {
    for sql in [
        // Read as syntax, which it is not, and then as the function that it is.
        nested("convert(", "1", ", 'Cel', 'K')"),
        nested("position(", "'a'", ", 'b')"),
        // Broken inside, so that no way to read it ends well.
        nested("floor(", "1 2", ")"),
        nested("ceil(", "", ""),
        nested("cast(", "1 2", " AS INT)"),
        nested("trim(", "1 2", ")"),
        nested("substr(", "1 2", ", 1)"),
        nested("overlay(", "1 2", ")"),
        nested("extract(", "1 2", ")"),
        nested("NOT - ", ")", ""),
        nested("CASE + ", ")", ""),
        nested("INTERVAL - ", ")", ""),
        nested("INTERVAL ", ")", ""),
        nested("a.", "+", ""),
        nested("f(a.f(", "1 2", "))"),
        format!("SELECT 1 FROM {}", "((SELECT 1 FROM ".repeat(20)),
        format!("SELECT 1 FROM {}", "((SELECT FROM ".repeat(20)),
        format!("SELECT 1 FROM {}", "((FROM ".repeat(20)),
    ] {
        let error = refusal(&sql);
        let is_told = matches!(
            error.kind,
            QueryErrorKind::TooLarge | QueryErrorKind::BadRequest
        );
        assert!(is_told, "{sql}: {:?} {error}", error.kind);
    }
}

#[test]
fn what_the_parser_follows_without_a_limit_has_one() {
    for sql in [
        format!("SELECT {}'1 day'", "INTERVAL ".repeat(20_000)),
        format!("SELECT {}1{}", "(".repeat(100), ")".repeat(100)),
    ] {
        let error = refusal(&sql);
        assert!(error.message.contains("recursion"), "{error}");
    }
}

#[test]
fn what_is_nested_too_deep_is_not_read_as_a_name() {
    for sql in [
        format!("SELECT {}true", "NOT ".repeat(100)),
        format!("SELECT {}1", "~ ".repeat(100)),
        format!(
            "SELECT {}a{}",
            "CASE WHEN (".repeat(30),
            ") THEN 1 END".repeat(30)
        ),
    ] {
        for dialect in [Dialect::Generic, Dialect::Postgres] {
            let error = refusal_in(&sql, dialect);
            assert!(error.message.contains("nest less"), "{error}");
        }
    }
}

#[test]
fn a_case_that_does_not_end_says_so() {
    for dialect in [Dialect::Generic, Dialect::Postgres] {
        let error = refusal_in("SELECT CASE WHEN a THEN 1 FROM b", dialect);
        let message = "Expected: END, found: FROM";
        assert!(error.message.contains(message), "{error}");
    }
}

#[test]
fn what_names_in_with_read_counts_wherever_they_are_used() {
    let chain = |steps: usize, uses: &str| {
        let steps = (1..steps).map(|i| {
            let from = uses.replace("before", &format!("t{}", i - 1));
            format!(", T{i} AS (SELECT 1 FROM {from})")
        });
        let steps: String = steps.collect();
        format!("WITH t0 AS (SELECT 1 AS x){steps} SELECT x FROM t0")
    };
    // Forty in each of four subqueries, and some more.
    let spread = |table: &str, more: usize| {
        let from = |count: usize| vec![table; count].join(", ");
        let within = vec![format!("(SELECT 1 FROM {})", from(40)); 4].join(", ");
        format!("SELECT {within} FROM {}", from(more))
    };
    for (sql, is_taken) in [
        (spread("a", 35), true),
        (spread("a", 36), false),
        (spread("(SELECT 1) AS a", 36), false),
        // Each reads one more than the one before.
        (chain(150, "before"), true),
        (chain(7, "before AS a, before AS b"), true),
        (chain(8, "before AS a, \"before\" AS b"), false),
        (
            chain(
                7,
                "before AS a, (SELECT 1 WHERE EXISTS (SELECT 1 FROM before))",
            ),
            false,
        ),
        // A name within hides one outside.
        (
            "WITH a AS (WITH a AS (SELECT 1) SELECT 1 FROM a, a) SELECT 1 FROM a".to_owned(),
            true,
        ),
    ] {
        let shown = &sql[..sql.len().min(120)];
        match (parse(&sql, Dialect::Generic), is_taken) {
            (Ok(_), true) => {}
            (Err(error), false) => {
                let error = from_datafusion(error, &[]);
                assert_eq!(error.kind, QueryErrorKind::TooLarge, "{shown}: {error}");
                assert!(error.message.contains("WITH"), "{shown}: {error}");
            }
            (parsed, _) => panic!("{shown}: {parsed:?}"),
        }
    }
}

/// Planning takes the square of a chain, and of `||` the cube: what would take seconds is refused before it is planned.
#[test]
fn chains_of_operators_are_short() {
    let values = "-1, ".repeat(15_000);
    let concatenated = "'a' || 'b' || 'c', ".repeat(90);
    for (sql, is_taken) in [
        (format!("SELECT {}1", "1 + ".repeat(700)), true),
        (format!("SELECT {}1", "1 + ".repeat(720)), false),
        (
            format!("SELECT {}1.5", "car - 1.5 * 2 + ".repeat(650)),
            false,
        ),
        (format!("SELECT {}'a'", "'a' || ".repeat(110)), true),
        (format!("SELECT {}'a'", "'a' || ".repeat(120)), false),
        // Many short ones are not one long one.
        (format!("SELECT {concatenated}1"), true),
        (format!("SELECT {}1", "1 + 2 + 3, ".repeat(600)), true),
        (
            format!("SELECT 1 WHERE {}true", "a = 1 OR ".repeat(700)),
            true,
        ),
        (
            format!("SELECT 1 WHERE {}true", "a = 1 OR ".repeat(900)),
            false,
        ),
        (
            format!("SELECT 1 WHERE {}a IN ({values}1)", "b = 1 AND ".repeat(50)),
            true,
        ),
        // Wherever it stands.
        (
            format!("SELECT 1 FROM a JOIN b ON a.x = {}b.x", "1 + ".repeat(900)),
            false,
        ),
        (
            format!("EXPLAIN SELECT 1 ORDER BY ({}1)", "1 + (2) + ".repeat(450)),
            false,
        ),
        (
            format!("WITH a AS (SELECT {}1) SELECT 1", "1 + ".repeat(900)),
            false,
        ),
    ] {
        let shown = &sql[..sql.len().min(60)];
        match (parse(&sql, Dialect::Generic), is_taken) {
            (Ok(_), true) => {}
            (Err(error), false) => {
                let error = from_datafusion(error, &[]);
                assert_eq!(error.kind, QueryErrorKind::TooLarge, "{shown}: {error}");
                assert!(error.message.contains("chains"), "{shown}: {error}");
            }
            (parsed, _) => panic!("{shown}: {}", parsed.is_ok()),
        }
    }
}

#[test]
fn one_statement_is_taken() {
    for (sql, message) in [
        ("SELECT 1; SELECT 2", "single SQL statement"),
        (" ; -- nothing", "no statement"),
    ] {
        let error = refusal(sql);
        assert_eq!(error.kind, QueryErrorKind::BadRequest, "{sql}");
        assert!(error.message.contains(message), "{sql}: {error}");
    }
}

#[test]
fn statements_read_as_in_the_generic_dialect() {
    let long = format!("SELECT {}1", "1, ".repeat(60_000));
    for sql in [
        "SELECT a.b.c, \"x y\", `z`, f(a => 1), [1, 2][1], {'a': 1}, e'\\n', DATE '2026-01-31' FROM t",
        "SELECT * EXCLUDE (a) FROM t WHERE a IN (SELECT 1) AND b NOT BETWEEN 1 AND 2 ORDER BY a",
        "WITH a AS (SELECT floor(ceil(convert(1, 'Cel', 'K')))) SELECT * FROM a",
        "SELECT count(*) FILTER (WHERE x > 1) OVER (PARTITION BY y ORDER BY z), INTERVAL '1' DAY FROM (a JOIN b USING (c))",
        "SELECT CAST(x AS ARRAY<INT>), x::INT[], CASE WHEN NOT a THEN 1 ELSE -2 END FROM t GROUP BY GROUPING SETS ((a), ())",
        "SELECT position('a' IN b), trim(BOTH 'x' FROM y), substring(a FROM 1 FOR 2) FROM air_as_of(now()) AS a",
        "EXPLAIN ANALYZE SELECT 1 UNION ALL (VALUES (1), (2)) LIMIT 1, 2",
        long.as_str(),
    ] {
        let shown = &sql[..sql.len().min(60)];
        let ours = parse(sql, Dialect::Generic).expect(shown);
        let theirs = DFParser::parse_sql(sql).expect(shown);
        assert_eq!(Some(&ours), theirs.front(), "{shown}");
    }
}

#[test]
fn statements_of_postgresql_s_clients_read_as_in_its_dialect() {
    for sql in [
        "SELECT $1::int4, c.oid::regclass, 5 !, a ~ 'x', b !~* 'y', x NOTNULL, 1_000 FROM pg_catalog.pg_class c",
        "SELECT a OPERATOR(pg_catalog.~) '^(t)$' COLLATE pg_catalog.default FROM t ORDER BY 1, 2",
        "SELECT a || b || c, a - b * c ^ 2, x IS NULL OR y = ANY($2), (ARRAY[1, 2])[1], array_agg(DISTINCT q.*) FROM q",
        "EXPLAIN SELECT e'\\n', U&'\\0041', \"x y\" FROM t /* a /* b */ c */",
    ] {
        let ours = parse(sql, Dialect::Postgres).expect(sql);
        let theirs = DFParser::parse_sql_with_dialect(sql, &PostgreSqlDialect {}).expect(sql);
        assert_eq!(Some(&ours), theirs.front(), "{sql}");
    }
}

#[test]
fn operators_bind_alike_in_every_dialect() {
    // With the brackets that PostgreSQL reads.
    for (written, read) in [
        ("a IS DISTINCT FROM b AND c", "(a IS DISTINCT FROM b) AND c"),
        (
            "x OR NOT a IS NOT DISTINCT FROM b = c OR d IS DISTINCT FROM e",
            "(x OR NOT (a IS NOT DISTINCT FROM (b = c))) OR (d IS DISTINCT FROM e)",
        ),
        (
            "CASE WHEN a IS DISTINCT FROM b OR c THEN (d IS DISTINCT FROM e AND f) ELSE g AND h END",
            "CASE WHEN (a IS DISTINCT FROM b) OR c THEN ((d IS DISTINCT FROM e) AND f) ELSE g AND h END",
        ),
        ("tests >> 3 & 1", "(tests >> 3) & 1"),
        ("1 | 5 & 4", "(1 | 5) & 4"),
        ("a || b + c", "a || (b + c)"),
        ("a = b IN (1, 2)", "a = (b IN (1, 2))"),
        ("a = b IS NULL", "(a = b) IS NULL"),
        (
            "x::int + 1 AT TIME ZONE 'UTC' < y",
            "(x::int + (1 AT TIME ZONE 'UTC')) < y",
        ),
    ] {
        for dialect in [Dialect::Generic, Dialect::Postgres] {
            let [written, read] = [written, read].map(|condition| {
                let sql = format!("SELECT {condition} FROM t");
                without_brackets(parse(&sql, dialect).expect(&sql))
            });
            assert_eq!(written, read);
        }
    }
}

/// Returns a statement without the brackets in it, which its tree goes on saying.
fn without_brackets(statement: Statement) -> Statement {
    let Statement::Statement(mut parsed) = statement else {
        panic!("no statement of SQL");
    };
    let unwrapped: ControlFlow<()> = visit_expressions_mut(&mut *parsed, |expr| {
        while let Expr::Nested(inner) = expr {
            *expr = (**inner).clone();
        }
        ControlFlow::Continue(())
    });
    assert!(unwrapped.is_continue());
    Statement::Statement(parsed)
}

#[test]
fn nulls_are_ignored_within_the_brackets_in_every_dialect() {
    let sql = "SELECT lag(x IGNORE NULLS) OVER (ORDER BY t) FROM a";
    let [generic, postgres] = [Dialect::Generic, Dialect::Postgres]
        .map(|dialect| parse(sql, dialect).expect(sql).to_string());
    assert_eq!(generic, postgres);
}

#[test]
fn what_the_parser_reads_again_and_again_is_refused_in_this_dialect_too() {
    for sql in [
        nested("floor(", "1 2", ")"),
        nested("substring(", "1 2", ")"),
        nested("NOT - ", ")", ""),
        format!("SELECT 1 FROM {}", "((SELECT FROM ".repeat(20)),
    ] {
        let error = refusal_in(&sql, Dialect::Postgres);
        let is_told = matches!(
            error.kind,
            QueryErrorKind::TooLarge | QueryErrorKind::BadRequest
        );
        assert!(is_told, "{error}");
    }
}

#[test]
fn a_number_may_have_underscores_between_its_digits() {
    let [generic, postgres] = [Dialect::Generic, Dialect::Postgres].map(|dialect| {
        let statement = parse("SELECT 1_000 + 0.000_1", dialect);
        statement.expect("a statement").to_string()
    });
    assert_eq!(generic, "SELECT 1_000 + 0.000_1");
    assert_eq!(postgres, generic);
}

#[test]
fn a_symmetric_between_compares_in_either_order() {
    for (written, read) in [
        (
            "x BETWEEN SYMMETRIC a + 1 AND b OR c",
            "(x BETWEEN a + 1 AND b OR x BETWEEN b AND a + 1) OR c",
        ),
        (
            "x NOT BETWEEN symmetric a AND b AND c",
            "(x NOT BETWEEN a AND b AND x NOT BETWEEN b AND a) AND c",
        ),
        ("x BETWEEN ASYMMETRIC a AND b", "x BETWEEN a AND b"),
        ("x NOT BETWEEN ASYMMETRIC a AND b", "x NOT BETWEEN a AND b"),
        // A column.
        (
            "x BETWEEN \"symmetric\" AND b",
            "x BETWEEN \"symmetric\" AND b",
        ),
        ("x BETWEEN symmetric AND b", "x BETWEEN symmetric AND b"),
    ] {
        for dialect in [Dialect::Generic, Dialect::Postgres] {
            let [written, read] = [written, read].map(|condition| {
                let sql = format!("SELECT {condition} FROM t");
                parse(&sql, dialect).expect(&sql)
            });
            assert_eq!(written, read);
        }
    }
}

#[test]
fn a_symmetric_between_in_another_does_not_double_for_ever() {
    let sql = format!(
        "SELECT {}1{} FROM t",
        "(x BETWEEN SYMMETRIC ".repeat(15),
        " AND 2)".repeat(15)
    );
    let error = refusal(&sql);
    assert!(error.message.contains("BETWEEN SYMMETRIC"), "{error}");
    let few = "x BETWEEN SYMMETRIC 1 AND 2 AND ".repeat(200);
    assert!(parse(&format!("SELECT {few} x FROM t"), Dialect::Generic).is_ok());
}
