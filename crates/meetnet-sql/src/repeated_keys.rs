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
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::{AnalyzerRule, ApplyOrder, OptimizerConfig, OptimizerRule};

use crate::rewrite::{self, Keys};

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
        LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(Distinct::On(_)) => rewrite::keys(
            plan,
            |expr| matches!(expr, Expr::AggregateFunction(call) if call.params.order_by.len() > 1),
            |keys, schema| Ok(once(keys, schema)),
        ),
        plan => Ok(Transformed::no(plan)),
    }
}

/// Leaves out the keys that were there before.
fn once(mut keys: Keys, schema: &DFSchema) -> Transformed<Keys> {
    let parted = distinct(&keys.parted, |expr| bare(expr, schema));
    let sorted = distinct(&keys.sorted, |key: &Sort| bare(&key.expr, schema));
    if parted.is_none() && sorted.is_none() {
        return Transformed::no(keys);
    }
    if let Some(parted) = parted {
        keys.parted = parted;
    }
    if let Some(sorted) = sorted {
        keys.sorted = sorted;
    }
    Transformed::yes(keys)
}

/// Returns what an expression is without casts to the type that it has, and without the name that the optimizer keeps for what it has
/// simplified: both are left out when it is planned.
fn bare<'a>(expr: &'a Expr, schema: &DFSchema) -> &'a Expr {
    match expr {
        Expr::Alias(alias) => bare(&alias.expr, schema),
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
