use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::*;

fn parsed(written: &str) -> Expr {
    let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(written);
    let expr = parser.and_then(|mut parser| parser.parse_expr());
    expr.expect(written)
}

#[test]
fn an_array_that_is_written_out_is_a_list() {
    let check = |written: &str, expect: Option<&str>| {
        let planned = among(&parsed(written)).map(|expr| expr.to_string());
        assert_eq!(planned.as_deref(), expect, "{written}");
    };
    check("x = ANY(ARRAY[1, NULL])", Some("x IN (1, NULL)"));
    check("x = SOME((ARRAY[y, 2]))", Some("x IN (y, 2)"));
    check("x <> ALL(ARRAY[1, 2])", Some("x NOT IN (1, 2)"));
    check(
        "x = ANY(ARRAY['1', NULL]::int[])",
        Some("x IN ('1'::INT, NULL::INT)"),
    );
    for other in [
        "x = ANY(ARRAY[]::int[])",
        "x = ANY($1)",
        "x = ANY(list)",
        "x = ANY('{1,2}')",
        "x = ANY(SELECT 1)",
        "x <> ANY(ARRAY[1, 2])",
        "x = ALL(ARRAY[1, 2])",
        "x = ANY(ARRAY[ARRAY[1]])",
    ] {
        check(other, None);
    }
}

#[test]
fn an_element_that_is_null_may_be_the_one() {
    let check = |written: &str, array: Option<&str>| {
        let planned = any_or_null(&parsed(written)).map(|expr| expr.to_string());
        let expect = array.map(|array| {
            format!(
                "({written} OR array_position({array}, NULL) IS NOT NULL AND CAST(NULL AS BOOLEAN))"
            )
        });
        assert_eq!(planned, expect, "{written}");
    };
    check("x = ANY(list)", Some("list"));
    check("x <> ANY(t.list)", Some("t.list"));
    check("x > ANY(f(y))", Some("f(y)"));
    check("x < ANY(ARRAY[1, NULL])", Some("ARRAY[1, NULL]"));
    check("x < ANY('{1,NULL}'::INT[])", Some("'{1,NULL}'::INT[]"));
    check("x <> ANY(('{null}')::INT[])", Some("('{null}')::INT[]"));
    for other in [
        "x = ANY($1)",
        "x = ANY($1::INT[])",
        "x = ANY('{1,2}')",
        "x = ANY('{1,NULL}'::INT[])",
        "x < ANY('{1,2}'::INT[])",
        "x < ANY(ARRAY[1, 2])",
        "x = ANY(SELECT 1)",
        "x = ANY(ARRAY(SELECT 1))",
        "x > ALL(list)",
    ] {
        check(other, None);
    }
    let long = format!("x = ANY(f('{}'))", "long".repeat(1_000));
    assert_eq!(any_or_null(&parsed(&long)), None);
}

#[test]
fn comparisons_that_are_refused_become_calls() {
    let check = |written: &str, expect: Option<&str>| {
        let planned = any_as_call(&parsed(written)).map(|expr| expr.to_string());
        assert_eq!(planned.as_deref(), expect, "{written}");
    };
    check("x = ANY(list)", Some("array_has(list, x)"));
    check("x = ANY($1)", Some("array_has($1, x)"));
    check(
        "x < ANY($1)",
        Some(
            "CASE WHEN array_max($1) IS NOT NULL THEN array_max($1) > (x) WHEN $1 IS NOT NULL THEN false END",
        ),
    );
    check(
        "x >= ANY($1)",
        Some(
            "CASE WHEN array_min($1) IS NOT NULL THEN array_min($1) <= (x) WHEN $1 IS NOT NULL THEN false END",
        ),
    );
    check(
        "x <> ANY($1)",
        Some(
            "CASE WHEN array_max($1) IS NOT NULL THEN array_min($1) <> (x) OR array_max($1) <> (x) \
             WHEN $1 IS NOT NULL THEN false END",
        ),
    );
    for other in [
        "x < ANY(list)",
        "x = ANY((SELECT 1))",
        "x <> ALL(list)",
        "x = y",
        "x LIKE ANY($1)",
    ] {
        check(other, None);
    }
}
