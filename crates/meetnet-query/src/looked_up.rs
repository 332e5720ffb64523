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
//! Where each key is there once already, that would be work for nothing: of a million different keys it took nearly twice as long.
//! It is known of what has been grouped or DISTINCT, and of the current rows of a dataset, which answers each key once: where all
//! columns of it are looked up, or are the same in all rows (`segment_id = 1`). A small subquery is grouped in no time.
//!
//! It comes behind DataFusion's logical rules, which make joins of such subqueries. A join that asks more of two rows than that
//! their keys are the same stays as it is, since not all rows of a key answer that alike.

use std::sync::Arc;

use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{DFSchema, JoinType, Result};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, ExprSchemable, Join, LogicalPlan, Operator, TableScan,
};

use crate::table::MeetnetTable;

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
    if !is_look_up || join.on.is_empty() || join.filter.is_some() {
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
    let columns: Vec<usize> = positions(&keys, schema).collect();
    if is_once(&join.right, &columns) {
        return None;
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

/// Returns the positions in a schema of those expressions that are columns of it.
fn positions<'a>(
    exprs: impl IntoIterator<Item = &'a Expr>,
    schema: &DFSchema,
) -> impl Iterator<Item = usize> {
    let exprs = exprs.into_iter();
    exprs.filter_map(move |expr| position(expr, schema))
}

fn position(expr: &Expr, schema: &DFSchema) -> Option<usize> {
    match expr {
        Expr::Column(column) => schema.maybe_index_of_column(column),
        Expr::Alias(alias) => position(&alias.expr, schema),
        _ => None,
    }
}

/// Returns true where no two rows of a plan have the same in these columns of it, as far as can be told.
fn is_once(plan: &LogicalPlan, columns: &[usize]) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => has_key(scan, columns),
        LogicalPlan::Aggregate(aggregate) => {
            let groups = aggregate.group_expr.len();
            let has_sets = matches!(aggregate.group_expr.as_slice(), [Expr::GroupingSet(_)]);
            if has_sets {
                return false;
            }
            if (0..groups).all(|group| columns.contains(&group)) {
                return true;
            }
            // Each of its groups has a row of its own beneath, then.
            let grouped = aggregate.group_expr.iter().enumerate();
            let grouped = grouped.filter(|(group, _)| columns.contains(group));
            let beneath = positions(grouped.map(|(_, expr)| expr), aggregate.input.schema());
            is_once(&aggregate.input, &beneath.collect::<Vec<_>>())
        }
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let all = input.schema().fields().len();
            (0..all).all(|column| columns.contains(&column)) || is_once(input, columns)
        }
        LogicalPlan::Projection(projection) => {
            let told = projection.expr.iter().enumerate();
            let told = told.filter(|(column, _)| columns.contains(column));
            let beneath = positions(told.map(|(_, expr)| expr), projection.input.schema());
            is_once(&projection.input, &beneath.collect::<Vec<_>>())
        }
        LogicalPlan::Filter(filter) => {
            let conditions = split_conjunction(&filter.predicate).into_iter();
            let same = conditions.filter_map(same_in_all_rows);
            let same = positions(same, filter.input.schema());
            let columns: Vec<usize> = columns.iter().copied().chain(same).collect();
            is_once(&filter.input, &columns)
        }
        LogicalPlan::SubqueryAlias(alias) => is_once(&alias.input, columns),
        LogicalPlan::Sort(sort) => is_once(&sort.input, columns),
        LogicalPlan::Limit(limit) => is_once(&limit.input, columns),
        // Rows of the left side, each at most once, and a mark behind them.
        LogicalPlan::Join(join)
            if matches!(
                join.join_type,
                JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark
            ) =>
        {
            is_once(&join.left, columns)
        }
        _ => false,
    }
}

/// Returns the column that a condition lets have one value only.
fn same_in_all_rows(condition: &Expr) -> Option<&Expr> {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Eq,
        right,
    }) = condition
    else {
        return None;
    };
    match (&**left, &**right) {
        (column @ Expr::Column(_), Expr::Literal(..))
        | (Expr::Literal(..), column @ Expr::Column(_)) => Some(column),
        _ => None,
    }
}

/// Returns true for current rows of a dataset whose whole key is among these columns: it answers each key once.
fn has_key(scan: &TableScan, columns: &[usize]) -> bool {
    let Ok(provider) = source_as_provider(&scan.source) else {
        return false;
    };
    let Some(table) = provider.downcast_ref::<MeetnetTable>() else {
        return false;
    };
    let fields = scan.projected_schema.fields();
    let is_among = |name: &String| {
        let mut columns = columns.iter().filter_map(|column| fields.get(*column));
        columns.any(|field| field.name() == name)
    };
    let key = &table.snapshot().declaration.key;
    !table.view().history && key.iter().all(is_among)
}
