//! Keys that an aggregate is ordered by twice, of which the second decides nothing.
//!
//! | written | planned |
//! |---|---|
//! | `first_value(x ORDER BY time, time DESC)` | `first_value(x ORDER BY time)` |
//! | `DISTINCT ON (id) … ORDER BY id, lat, id` | `DISTINCT ON (id) … ORDER BY id, lat` |
//!
//! DataFusion 55.2 counts the keys of groups in two ways, one of which leaves out what was named before, and panics where they
//! differ. What the optimizer makes equal is looked at behind it, and `ORDER BY n, CAST(n AS BIGINT)` of a BIGINT is one key.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::{Distinct, DistinctOn, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::{AnalyzerRule, ApplyOrder, OptimizerConfig, OptimizerRule};

use crate::rewrite;

/// Leaves such keys out.
#[derive(Debug)]
pub(crate) struct RepeatedKeys;

impl AnalyzerRule for RepeatedKeys {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(of_plan).data()
    }

    fn name(&self) -> &str {
        "repeated_keys"
    }
}

impl OptimizerRule for RepeatedKeys {
    fn name(&self) -> &str {
        "repeated_keys"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        of_plan(plan)
    }
}

/// Leaves such keys out of one plan.
fn of_plan(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Aggregate(_) => rewrite::of_plan(
            plan,
            &|expr: &Expr| matches!(expr, Expr::AggregateFunction(call) if call.params.order_by.len() > 1),
            &|expr: Expr, schema: &DFSchema| rewrite::parts(expr, |part| once(part, schema)),
        ),
        LogicalPlan::Distinct(Distinct::On(on)) => Ok(match distinct_on(&on) {
            Some(on) => Transformed::yes(LogicalPlan::Distinct(Distinct::On(on))),
            None => Transformed::no(LogicalPlan::Distinct(Distinct::On(on))),
        }),
        plan => Ok(Transformed::no(plan)),
    }
}

/// Returns an aggregate with each of its keys once; None for one that has no other, and for every other expression.
fn once(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::AggregateFunction(call) = expr else {
        return None;
    };
    let keys = distinct(&call.params.order_by, |key: &Sort| bare(&key.expr, schema))?;
    let mut call = call.clone();
    call.params.order_by = keys;
    Some(Expr::AggregateFunction(call))
}

/// Returns a DISTINCT ON with each of its keys once; None for one that has no other.
fn distinct_on(on: &DistinctOn) -> Option<DistinctOn> {
    let schema = on.input.schema();
    let chosen = distinct(&on.on_expr, |expr| bare(expr, schema));
    let sort = on.sort_expr.as_ref();
    let sort = sort.and_then(|keys| distinct(keys, |key: &Sort| bare(&key.expr, schema)));
    if chosen.is_none() && sort.is_none() {
        return None;
    }
    let mut on = on.clone();
    if let Some(chosen) = chosen {
        on.on_expr = chosen;
    }
    if sort.is_some() {
        on.sort_expr = sort;
    }
    Some(on)
}

/// Returns what an expression is without casts to the type that it has, which are left out when it is planned.
fn bare<'a>(expr: &'a Expr, schema: &DFSchema) -> &'a Expr {
    match expr {
        Expr::Cast(cast)
            if cast.expr.get_type(schema).ok().as_ref() == Some(cast.field.data_type()) =>
        {
            bare(&cast.expr, schema)
        }
        other => other,
    }
}

/// Returns the keys of which none before has the same expression; None where that is all of them.
fn distinct<K: Clone>(keys: &[K], expr: impl Fn(&K) -> &Expr) -> Option<Vec<K>> {
    let mut kept = Vec::<K>::new();
    for key in keys {
        if kept.iter().all(|before| expr(before) != expr(key)) {
            kept.push(key.clone());
        }
    }
    (kept.len() < keys.len()).then_some(kept)
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::col;

    use super::*;

    #[test]
    fn a_key_decides_once() {
        let keys = |names: &[(&str, bool)]| -> Vec<Sort> {
            let keys = names.iter();
            keys.map(|(name, asc)| col(*name).sort(*asc, false))
                .collect()
        };
        for (written, expect) in [
            (keys(&[]), None),
            (keys(&[("time", true), ("id", true)]), None),
            (
                keys(&[("time", true), ("time", true)]),
                Some(keys(&[("time", true)])),
            ),
            (
                keys(&[("id", false), ("lat", true), ("id", true)]),
                Some(keys(&[("id", false), ("lat", true)])),
            ),
        ] {
            let kept = distinct(&written, |key: &Sort| &key.expr);
            assert_eq!(kept, expect, "{written:?}");
        }
    }
}
