use datafusion::functions_aggregate::expr_fn::first_value;
use datafusion::functions_window::expr_fn::rank;
use datafusion::logical_expr::{ExprFunctionExt, LogicalPlanBuilder};
use datafusion::prelude::{col, lit};

use super::*;

fn negated(keys: Keys) -> Result<Transformed<Keys>> {
    keys.each(|key| Ok(Transformed::yes(-key)))
}

#[test]
fn of_a_call_only_the_keys_are_rewritten() {
    let ranked = |parted: Expr, sorted: Expr| {
        let call = rank().partition_by(vec![parted]);
        let call = call.order_by(vec![sorted.sort(true, false)]).build();
        call.expect("a call")
    };
    let first = |sorted: Expr| first_value(col("v"), vec![sorted.sort(false, true)]);
    for (written, expect) in [
        (ranked(col("x"), col("y")), ranked(-col("x"), -col("y"))),
        (first(col("y")), first(-col("y"))),
        (col("x"), col("x")),
    ] {
        let is_other = written != expect;
        let rewritten = keys_of_call(written, negated).expect("rewritten");
        assert_eq!(rewritten.data, expect);
        assert_eq!(rewritten.transformed, is_other, "{expect}");
    }
}

#[test]
fn a_distinct_on_has_an_order_where_it_had_one() {
    let check = |sorted: Option<Vec<Sort>>| {
        let input = LogicalPlanBuilder::values(vec![vec![lit(1_i64)]]);
        let input = input.and_then(LogicalPlanBuilder::build).expect("a plan");
        let key = vec![col("column1")];
        let on = DistinctOn::try_new(key.clone(), key, sorted, Arc::new(input)).expect("a plan");
        let before = on.clone();
        let on = keys_of_distinct_on(on, negated).expect("rewritten").data;
        let negated = |expr: &Expr| -expr.clone();
        let parted: Vec<Expr> = before.on_expr.iter().map(negated).collect();
        assert_eq!(on.on_expr, parted);
        let sorted = before.sort_expr.map(|keys| -> Vec<Expr> {
            let keys = keys.iter().map(|key| negated(&key.expr));
            keys.collect()
        });
        let found = on.sort_expr.map(|keys| -> Vec<Expr> {
            let keys = keys.into_iter().map(|key| key.expr);
            keys.collect()
        });
        assert_eq!(found, sorted);
        assert_eq!(on.select_expr, before.select_expr);
    };
    check(None);
    check(Some(vec![col("column1").sort(true, false)]));
}
