//! What ROLLUP, CUBE and GROUPING SETS group by, computed before anything is grouped.
//!
//! `GROUP BY ROLLUP (a * 2)` -> `GROUP BY ROLLUP (x)` of `SELECT *, a * 2 AS x`
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
            let aggregate = over_columns(aggregate)?;
            Ok(Transformed::yes(LogicalPlan::Aggregate(aggregate)))
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

/// Returns the same groups of columns, under the names that the expressions had.
fn over_columns(aggregate: Aggregate) -> Result<Aggregate> {
    let Aggregate {
        input,
        group_expr,
        aggr_expr,
        ..
    } = aggregate;
    let mut computed = Vec::new();
    let group_expr = group_expr
        .into_iter()
        .map(|expr| match expr {
            Expr::GroupingSet(sets) => Expr::GroupingSet(of_columns(sets, &mut computed)),
            expr => expr,
        })
        .collect();
    let columns = input.schema().iter();
    let mut columns: Vec<Expr> = columns
        .map(|(relation, field)| Expr::Column(Column::from((relation, field))))
        .collect();
    columns.extend(computed);
    let beneath = LogicalPlan::Projection(Projection::try_new(columns, input)?);
    Aggregate::try_new(Arc::new(beneath), group_expr, aggr_expr)
}

/// Returns sets of columns; what those are that are computed goes to `computed`, each once.
fn of_columns(sets: GroupingSet, computed: &mut Vec<Expr>) -> GroupingSet {
    let mut all = |exprs: Vec<Expr>| -> Vec<Expr> {
        let exprs = exprs.into_iter();
        exprs.map(|expr| column(expr, computed)).collect()
    };
    match sets {
        GroupingSet::Rollup(exprs) => GroupingSet::Rollup(all(exprs)),
        GroupingSet::Cube(exprs) => GroupingSet::Cube(all(exprs)),
        GroupingSet::GroupingSets(sets) => {
            GroupingSet::GroupingSets(sets.into_iter().map(all).collect())
        }
    }
}

fn column(expr: Expr, computed: &mut Vec<Expr>) -> Expr {
    if !is_computed(&expr) {
        return expr;
    }
    let (relation, name) = expr.qualified_name();
    let column = Expr::Column(Column::new(relation.clone(), name.clone()));
    let named = match expr {
        Expr::Alias(_) => expr,
        expr => expr.alias_qualified(relation, name),
    };
    if !computed.contains(&named) {
        computed.push(named);
    }
    column
}
