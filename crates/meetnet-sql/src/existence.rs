//! `EXISTS (SELECT …)` among the columns of a query, which DataFusion 55.2 knows as a condition alone.
//!
//! `SELECT EXISTS (SELECT 1 FROM air WHERE …)` -> `SELECT (SELECT count(1) > 0 FROM air WHERE …)`
//!
//! Such a count becomes a join where its WHERE compares columns of the query around it, and says 0 where nothing is joined. Without
//! such columns one row is looked for, and no more.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::optimizer::AnalyzerRule;

use crate::rewrite;

/// Counts what is asked for.
#[derive(Debug)]
pub(crate) struct ExistenceAsValue;

impl AnalyzerRule for ExistenceAsValue {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let is_wanted = |expr: &Expr| matches!(expr, Expr::Exists(_));
        let of_expr = |expr: Expr, _: &DFSchema| counted_within(expr);
        plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Projection(_) => rewrite::of_plan(plan, &is_wanted, &of_expr),
            plan => Ok(Transformed::no(plan)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "existence_as_value"
    }
}

fn counted_within(expr: Expr) -> Result<Transformed<Expr>> {
    expr.transform_up(|part| {
        let counted = match &part {
            Expr::Exists(exists) => counted(exists)?,
            _ => None,
        };
        Ok(match counted {
            Some(counted) => Transformed::yes(counted),
            None => Transformed::no(part),
        })
    })
}

/// Returns the comparison of a count; None where it might count something else.
fn counted(exists: &Exists) -> Result<Option<Expr>> {
    let subquery = &exists.subquery;
    let rows = if subquery.outer_ref_columns.is_empty() {
        LogicalPlanBuilder::from(subquery.subquery.as_ref().clone()).limit(0, Some(1))?
    } else {
        let rows = without_columns(&subquery.subquery);
        let mut unfiltered = rows;
        while let LogicalPlan::Filter(filter) = unfiltered {
            unfiltered = &filter.input;
        }
        // Of `EXISTS (SELECT max(x) FROM … WHERE …)` the groups would be counted, and there is a row without any.
        if has_outer_columns(unfiltered)? {
            return Ok(None);
        }
        LogicalPlanBuilder::from(rows.clone())
    };
    let counted = rows
        .aggregate(Vec::<Expr>::new(), [count(lit(1_i64))])?
        .build()?;
    let (qualifier, field) = counted.schema().qualified_field(0);
    let number = Expr::Column(Column::from((qualifier, field)));
    let found = match exists.negated {
        false => number.gt(lit(0_i64)),
        true => number.eq(lit(0_i64)),
    };
    let found = LogicalPlanBuilder::from(counted)
        .project([found.alias("found")])?
        .build()?;
    Ok(Some(Expr::ScalarSubquery(
        subquery.with_plan(Arc::new(found)),
    )))
}

/// Returns what the rows of a plan come from, whatever their columns are.
fn without_columns(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Projection(projection) => without_columns(&projection.input),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => without_columns(&sort.input),
        plan => plan,
    }
}

/// Returns true where a plan has columns of the query around it.
pub fn has_outer_columns(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|plan| {
        let mut has_any = false;
        plan.apply_expressions(|expr| {
            let is_outer = |expr: &Expr| Ok(matches!(expr, Expr::OuterReferenceColumn(..)));
            has_any = has_any || expr.exists(is_outer)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(has_any)
    })
}
