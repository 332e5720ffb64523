//! What ROLLUP, CUBE and GROUPING SETS group by, computed before anything is grouped.
//!
//! `GROUP BY ROLLUP (a * 2)` -> `GROUP BY ROLLUP (x)` of `SELECT *, a * 2 AS x`, and above it `SELECT x AS "a * 2"`
//!
//! An expression in such a set is one of several columns that a single expression of the plan makes, so that no rule could
//! write it anew under the name that it had: numbers in it wrapped around, where they are an error everywhere else. As columns
//! of a query beneath they are expressions like all others.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Aggregate, Expr, GroupingSet, LogicalPlan, Projection};
use datafusion::optimizer::AnalyzerRule;

/// Makes what such sets compute columns. It goes before all rules that write expressions anew.
#[derive(Debug)]
pub(crate) struct GroupingColumns;

impl AnalyzerRule for GroupingColumns {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(of_plan).data()
    }

    fn name(&self) -> &str {
        "grouping_columns"
    }
}

fn of_plan(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.iter().any(has_computed) => {
            Ok(Transformed::yes(over_columns(aggregate)?))
        }
        plan => Ok(Transformed::no(plan)),
    }
}

/// Returns true for sets that group by more than columns.
fn has_computed(expr: &Expr) -> bool {
    match expr {
        Expr::GroupingSet(sets) => sets.distinct_expr().into_iter().any(is_computed),
        _ => false,
    }
}

fn is_computed(expr: &Expr) -> bool {
    !matches!(expr, Expr::Column(_) | Expr::Literal(..))
}

/// Returns the same groups of columns, and above them the names that the expressions had.
///
/// Beneath they have names of their own: casts are left out of names, so that `x::int` would be a second column `x`.
fn over_columns(aggregate: Aggregate) -> Result<LogicalPlan> {
    let Aggregate {
        input,
        group_expr,
        aggr_expr,
        schema: written,
        ..
    } = aggregate;
    let mut computed: Vec<Expr> = Vec::new();
    let mut groups: Vec<Expr> = Vec::with_capacity(group_expr.len());
    for expr in group_expr {
        groups.push(match expr {
            Expr::GroupingSet(sets) => Expr::GroupingSet(of_columns(sets, &mut computed)),
            expr => expr,
        });
    }
    let columns = input.schema().columns().into_iter();
    let mut columns: Vec<Expr> = columns.map(Expr::Column).collect();
    for (position, expr) in computed.into_iter().enumerate() {
        columns.push(expr.alias(name(position)));
    }
    let beneath = LogicalPlan::Projection(Projection::try_new(columns, input)?);
    let grouped = Aggregate::try_new(Arc::new(beneath), groups, aggr_expr)?;
    let mut named: Vec<Expr> = Vec::with_capacity(written.fields().len());
    for (found, written) in grouped.schema.iter().zip(written.iter()) {
        let (found, written) = (Column::from(found), Column::from(written));
        named.push(match found == written {
            true => Expr::Column(found),
            false => Expr::Column(found).alias_qualified(written.relation, written.name),
        });
    }
    let grouped = Arc::new(LogicalPlan::Aggregate(grouped));
    Ok(LogicalPlan::Projection(Projection::try_new(
        named, grouped,
    )?))
}

/// Returns sets of columns; what those are that are computed goes to `computed`, each once.
fn of_columns(sets: GroupingSet, computed: &mut Vec<Expr>) -> GroupingSet {
    match sets {
        GroupingSet::Rollup(exprs) => GroupingSet::Rollup(columns(exprs, computed)),
        GroupingSet::Cube(exprs) => GroupingSet::Cube(columns(exprs, computed)),
        GroupingSet::GroupingSets(sets) => {
            let sets = sets.into_iter().map(|exprs| columns(exprs, computed));
            GroupingSet::GroupingSets(sets.collect())
        }
    }
}

fn columns(exprs: Vec<Expr>, computed: &mut Vec<Expr>) -> Vec<Expr> {
    let exprs = exprs.into_iter();
    exprs.map(|expr| column(expr, computed)).collect()
}

fn column(expr: Expr, computed: &mut Vec<Expr>) -> Expr {
    if !is_computed(&expr) {
        return expr;
    }
    let known = computed.iter().position(|known| *known == expr);
    let position = known.unwrap_or_else(|| {
        computed.push(expr);
        computed.len() - 1
    });
    Expr::Column(Column::from_name(name(position)))
}

/// Returns what a computed column is called, as no column of a statement is by chance.
fn name(position: usize) -> String {
    format!("__grouped_by_{position}")
}
