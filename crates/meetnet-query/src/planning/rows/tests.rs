use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::*;

fn planned(written: &str) -> Option<String> {
    let parser = Parser::new(&PostgreSqlDialect {}).with_recursion_limit(1_000);
    let parser = parser.try_with_sql(written);
    let expr = parser.and_then(|mut parser| parser.parse_expr());
    let planned = compared_by_parts(&expr.expect(written));
    planned.map(|expr| expr.to_string())
}

#[test]
fn rows_become_comparisons_of_their_parts() {
    let check = |written: &str, expect: Option<&str>| {
        assert_eq!(planned(written).as_deref(), expect, "{written}");
    };
    check("(a, b) = (c, d)", Some("(a = c AND b = d)"));
    check("(a, b) <> (c, d)", Some("(a <> c OR b <> d)"));
    check("(a, b) <= (c, d)", Some("(a < c OR a = c AND b <= d)"));
    check(
        "(a, b, c) > (1, 2, 3)",
        Some("(a > 1 OR a = 1 AND (b > 2 OR b = 2 AND c > 3))"),
    );
    check(
        "(a, (b, c)) = ROW(1, (2, 3))",
        Some("(a = 1 AND b = 2 AND c = 3)"),
    );
    check(
        "(a, b) IN ((1, 2), (3, 4))",
        Some("((a = 1 AND b = 2) OR (a = 3 AND b = 4))"),
    );
    check("(a, b) NOT IN ((1, 2))", Some("(NOT ((a = 1 AND b = 2)))"));
    check("(a, b) IS NULL", Some("(a IS NULL AND b IS NULL)"));
    check(
        "ROW(a, b) IS NOT NULL",
        Some("(a IS NOT NULL AND b IS NOT NULL)"),
    );
    check("(a, (b, c)) IS NULL", Some("(a IS NULL AND false)"));
    check("(a, (b, c)) IS NOT NULL", Some("(a IS NOT NULL AND true)"));
    for other in [
        "a = b",
        "(a) < (b)",
        "(a, b) = (1, 2, 3)",
        "(a, (b, c)) = ((1, 2), 3)",
        "(a, b) = c",
        "(a, b) IN (c, (1, 2))",
        "a BETWEEN 1 AND 2",
        "(a) IS NULL",
        "((a, b) = c) IS NULL",
        "CASE a WHEN 1 THEN 2 END",
    ] {
        check(other, None);
    }
}

#[test]
fn what_would_be_written_too_often_is_not() {
    let mut written = "a".to_owned();
    let mut steps = 0;
    while let Some(longer) = planned(&format!("({written}, b) < (c, d)")) {
        written = longer;
        steps += 1;
        assert!(steps < 16, "{}", written.len());
    }
    assert!(
        steps > 5 && written.len() < 3 * REPEATED_BYTES_MAX,
        "{steps}"
    );
    let row = "(1, 2)";
    let rows = |count: usize| vec![row; count].join(", ");
    let list = |count: usize| format!("(a, b) IN ({})", rows(count));
    assert!(planned(&list(ROWS_MAX)).is_some());
    assert!(planned(&list(ROWS_MAX + 1)).is_none());
}
