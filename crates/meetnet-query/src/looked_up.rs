//! What IN, NOT IN and EXISTS look up in a subquery: each key once.
//!
//! ```text
//! x IN (SELECT y FROM air)  ─▶  x IN (SELECT DISTINCT y FROM air)
//! ```
//!
//! DataFusion 55.2 finds all pairs of rows that have the same key, and keeps one of each: for `sensor_id IN (SELECT sensor_id …)` of
//! a million rows of eighty sensors on both sides more than ten thousand million, which no query has the time for. Grouped by its
//! key, a subquery has one row of each sensor.
//!
//! It comes behind DataFusion's logical rules, which make joins of such subqueries. A join that asks more of two rows than that
//! their keys are the same stays as it is, since not all rows of a key answer that alike.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, JoinType, Result};
use datafusion::logical_expr::{Aggregate, Expr, ExprSchemable, Join, LogicalPlan};

#[cfg(test)]
mod tests;

/// Groups the subqueries of an optimized plan in which nothing but keys is looked up.
///
/// # Errors
/// Where a node cannot be walked through.
pub(crate) fn each_once(plan: LogicalPlan) -> Result<LogicalPlan> {
    let once = plan.transform_down_with_subqueries(|node| match node {
        LogicalPlan::Join(join) => {
            let Some((right, on)) = grouped(&join) else {
                return Ok(Transformed::no(LogicalPlan::Join(join)));
            };
            let right = Arc::new(LogicalPlan::Aggregate(right));
            Ok(Transformed::yes(LogicalPlan::Join(Join {
                right,
                on,
                ..join
            })))
        }
        node => Ok(Transformed::no(node)),
    });
    once.data()
}

/// Returns the subquery that a join looks keys up in, grouped by them, and the keys of both sides; None where the join wants more of
/// it, and where each key is there once already.
fn grouped(join: &Join) -> Option<(Aggregate, Vec<(Expr, Expr)>)> {
    let is_look_up = matches!(
        join.join_type,
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark
    );
    if !is_look_up || join.on.is_empty() || join.filter.is_some() || is_grouped(&join.right) {
        return None;
    }
    let schema: &DFSchema = join.right.schema();
    let mut keys: Vec<Expr> = Vec::new();
    for (_, key) in &join.on {
        let is_nested = key.get_type(schema).ok()?.is_nested();
        // A mark is a column of the table that is looked up, which what is computed belongs to no more.
        let is_told = match key {
            Expr::Column(_) => true,
            key => join.join_type != JoinType::LeftMark && !key.column_refs().is_empty(),
        };
        if is_nested || !is_told {
            return None;
        }
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    let right = Aggregate::try_new(Arc::clone(&join.right), keys.clone(), Vec::new()).ok()?;
    let columns = right.schema.columns();
    let on = join.on.iter().map(|(left, key)| {
        let place = keys.iter().position(|other| other == key)?;
        Some((left.clone(), Expr::Column(columns.get(place)?.clone())))
    });
    let on = on.collect::<Option<Vec<_>>>()?;
    Some((right, on))
}

/// Returns true for what DISTINCT has become.
fn is_grouped(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(aggregate) => aggregate.aggr_expr.is_empty(),
        LogicalPlan::SubqueryAlias(alias) => is_grouped(&alias.input),
        _ => false,
    }
}
