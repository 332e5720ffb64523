use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::logical_expr::{LogicalPlanBuilder, col, table_scan};

use super::*;

fn schema() -> Schema {
    Schema::new(vec![
        Field::new("x", DataType::Int64, true),
        Field::new("y", DataType::Int64, true),
        Field::new("f", DataType::Float64, true),
        Field::new("d", DataType::Decimal128(10, 2), true),
    ])
}

fn is_not_zero(column: &str) -> Expr {
    col(column).not_eq(lit(0_i64))
}

/// `10 / column > 1`
fn divided_by(column: &str) -> Expr {
    (lit(10_i64) / col(column)).gt(lit(1_i64))
}

/// Checks what becomes of an expression that rows are kept for, and of one that is a value; None: it stays as it is.
fn check(expr: &Expr, kept: Option<&str>, value: Option<&str>) {
    let columns = DFSchema::try_from(schema()).expect("columns");
    for (is_kept, expect) in [(true, kept), (false, value)] {
        let guarded = guarded_within(expr.clone(), &[], is_kept, &columns).expect("an expression");
        let text = guarded.data.to_string();
        assert_eq!(guarded.transformed, expect.is_some(), "{text}");
        assert_eq!(text, expect.map_or(expr.to_string(), str::to_owned));
    }
}

#[test]
fn a_divisor_is_guarded_by_the_other_conditions() {
    check(
        &is_not_zero("x").and(divided_by("x")),
        Some(
            "x != Int64(0) AND Int64(10) / CASE WHEN x != Int64(0) THEN x ELSE Int64(1) END > Int64(1)",
        ),
        Some(
            "x != Int64(0) AND Int64(10) / CASE WHEN x != Int64(0) IS NOT FALSE THEN x ELSE Int64(1) END > Int64(1)",
        ),
    );
    // DataFusion sorts conditions.
    check(
        &divided_by("x").and(is_not_zero("x")),
        Some(
            "Int64(10) / CASE WHEN x != Int64(0) THEN x ELSE Int64(1) END > Int64(1) AND x != Int64(0)",
        ),
        Some(
            "Int64(10) / CASE WHEN x != Int64(0) IS NOT FALSE THEN x ELSE Int64(1) END > Int64(1) AND x != Int64(0)",
        ),
    );
    let either = "x = Int64(0) OR Int64(10) / CASE WHEN x = Int64(0) IS NOT TRUE THEN x ELSE Int64(1) END > Int64(1)";
    check(
        &col("x").eq(lit(0_i64)).or(divided_by("x")),
        Some(either),
        Some(either),
    );
}

#[test]
fn a_guard_that_may_fail_is_asked_where_the_others_hold() {
    let sum = (col("y") + lit(1_i64)).gt(lit(1_i64));
    check(
        &sum.and(is_not_zero("x")).and(divided_by("x")),
        Some(
            "y + Int64(1) > Int64(1) AND x != Int64(0) AND Int64(10) / CASE WHEN x != Int64(0) THEN CASE WHEN y + Int64(1) > Int64(1) THEN x ELSE Int64(1) END ELSE Int64(1) END > Int64(1)",
        ),
        Some(
            "y + Int64(1) > Int64(1) AND x != Int64(0) AND Int64(10) / CASE WHEN x != Int64(0) IS NOT FALSE THEN CASE WHEN y + Int64(1) > Int64(1) IS NOT FALSE THEN x ELSE Int64(1) END ELSE Int64(1) END > Int64(1)",
        ),
    );
}

#[test]
fn guards_of_conditions_within_conditions_have_one_limit() {
    let columns = DFSchema::try_from(schema()).expect("columns");
    // 50 conditions of three expressions each.
    let mut condition = divided_by("x");
    for value in 0..50_i64 {
        let other = col("y").gt(lit(value));
        condition = match value % 2 {
            0 => other.and(condition),
            _ => other.or(condition),
        };
    }
    let guarded = guarded_within(condition, &[], true, &columns).expect("an expression");
    let text = guarded.data.to_string();
    assert!(guarded.transformed, "{text}");
    // As many as there is room for stand twice.
    assert_eq!(
        text.matches("y > ").count(),
        50 + GUARD_PARTS_MAX / 3,
        "{text}"
    );
}

#[test]
fn what_cannot_fail_or_is_not_guarded_stays() {
    for expr in [
        divided_by("x"),
        divided_by("x").and(divided_by("y")),
        divided_by("x").or(divided_by("x")),
        is_not_zero("x").and(divided_by("f")),
        is_not_zero("x").and((col("x") / lit(10_i64)).gt(lit(1_i64))),
        // It may fail itself, and is asked of the rows that the division leaves.
        divided_by("x").and((col("y") + lit(1_i64)).gt(lit(1_i64))),
    ] {
        check(&expr, None, None);
    }
    // Too long to be written twice.
    let list = (0..200_i64).map(lit).collect();
    check(
        &col("x").in_list(list, true).and(divided_by("x")),
        None,
        None,
    );
}

#[test]
fn every_division_of_exact_numbers_is_guarded() {
    let columns = DFSchema::try_from(schema()).expect("columns");
    let guarded = |expr: Expr| guarded_within(expr, &[], true, &columns).expect("an expression");
    let modulo = lit(10_i64) % col("x");
    assert!(guarded(is_not_zero("x").and(modulo.eq(lit(0_i64)))).transformed);
    let decimal = (col("d") / col("d")).gt(lit(1_i64));
    assert!(guarded(is_not_zero("x").and(decimal)).transformed);
    // Within a CASE within a condition, and below NOT, where NULL is not as good as false.
    let within = !is_not_zero("y").and(divided_by("x"));
    let text = guarded(is_not_zero("x").and(within)).data.to_string();
    assert!(text.contains("y != Int64(0) IS NOT FALSE"), "{text}");
}

#[test]
fn filters_are_guarded_in_plans() {
    let scan = table_scan(Some("t"), &schema(), None).expect("a scan");
    let plan = scan
        .filter(is_not_zero("x").and(divided_by("x")))
        .and_then(LogicalPlanBuilder::build)
        .expect("a plan");
    let names = Arc::clone(plan.schema());
    let plan = guarded(plan).expect("a plan");
    assert_eq!(plan.schema(), &names);
    let text = plan.display_indent().to_string();
    assert!(
        text.contains("CASE WHEN t.x != Int64(0) THEN t.x"),
        "{text}"
    );
}
