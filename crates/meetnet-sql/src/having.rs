//! HAVING in a subquery that is a value: where it does not hold there is no row, and the value is NULL.
//!
//! ```text
//! (SELECT max(car) FROM counts WHERE … HAVING count(*) > 9)
//! ─▶ (SELECT CASE WHEN count(*) > 9 THEN max(car) END FROM counts WHERE …)
//! ```
//!
//! Where columns of the query around it are compared, DataFusion 55.2 makes a join of such a subquery, in which it asked HAVING of
//! groups that are there alone, or not at all: values stood where it does not hold, and no error says so. Below DISTINCT it did
//! so with `count`, too, and below a LIMIT or an order it made no join.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{
    Distinct, Expr, FetchType, Limit, LogicalPlan, LogicalPlanBuilder, SkipType, Subquery, when,
};
use datafusion::optimizer::AnalyzerRule;

use crate::rewrite;

/// Makes a part of such a value of its HAVING.
#[derive(Debug)]
pub(crate) struct HavingInValues;

impl AnalyzerRule for HavingInValues {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let is_wanted = |expr: &Expr| matches!(expr, Expr::ScalarSubquery(_));
        let of_expr = |expr: Expr, _: &DFSchema| conditional_within(expr);
        rewrite::expressions(plan, is_wanted, of_expr)
    }

    fn name(&self) -> &str {
        "having_in_values"
    }
}

fn conditional_within(expr: Expr) -> Result<Transformed<Expr>> {
    expr.transform_up(|part| {
        let conditional = match &part {
            Expr::ScalarSubquery(subquery) => conditional(subquery)?,
            _ => None,
        };
        Ok(match conditional {
            Some(conditional) => Transformed::yes(Expr::ScalarSubquery(conditional)),
            None => Transformed::no(part),
        })
    })
}

/// Returns the subquery with a value in the place of its HAVING, and without what makes no difference to a single row; None where
/// it has none of that, or a HAVING that is asked of groups, of which there may be several.
fn conditional(subquery: &Subquery) -> Result<Option<Subquery>> {
    // Without columns of the query around it no join is made.
    if subquery.outer_ref_columns.is_empty() {
        return Ok(None);
    }
    let Some((values, rows)) = only_row(&subquery.subquery) else {
        return Ok(None);
    };
    let [value] = &values[..] else {
        return Ok(None);
    };
    let is_bare = match subquery.subquery.as_ref() {
        LogicalPlan::Projection(projection) => std::ptr::eq(projection.input.as_ref(), rows),
        _ => false,
    };
    let name = subquery.subquery.schema().field(0).name();
    let value = value.clone().unalias();
    let (value, rows) = match rows {
        // Such a column in HAVING itself is looked for in a filter.
        LogicalPlan::Filter(having) if !having.predicate.contains_outer() => {
            let value = when(having.predicate.clone(), value).end()?;
            (value, having.input.as_ref())
        }
        _ if is_bare => return Ok(None),
        rows => (value, rows),
    };
    let rows = LogicalPlanBuilder::from(rows.clone());
    let plan = rows.project([value.alias(name)])?.build()?;
    Ok(Some(subquery.with_plan(Arc::new(plan))))
}

/// Returns the columns of a plan of one row at most, and what they are computed of: an aggregate without groups, or a HAVING of
/// it. DISTINCT, an order and a LIMIT above it make no difference, and of the first and the last DataFusion 55.2 makes no such join.
/// None for a plan that may have more rows.
fn only_row(plan: &LogicalPlan) -> Option<(Vec<Expr>, &LogicalPlan)> {
    match plan {
        LogicalPlan::Distinct(Distinct::All(input)) => only_row(input),
        LogicalPlan::Sort(sort) if sort.fetch != Some(0) => only_row(&sort.input),
        LogicalPlan::Limit(limit) if keeps_first(limit) => only_row(&limit.input),
        LogicalPlan::Projection(projection) if is_one(&projection.input) => {
            Some((projection.expr.clone(), projection.input.as_ref()))
        }
        // What an order needs beside the columns is left out above it.
        LogicalPlan::Projection(projection) => {
            let (values, rows) = only_row(&projection.input)?;
            let schema = projection.input.schema();
            let columns = projection.expr.iter().map(|column| match column {
                Expr::Column(column) => {
                    let at = schema.index_of_column(column).ok()?;
                    values.get(at).cloned()
                }
                _ => None,
            });
            Some((columns.collect::<Option<Vec<Expr>>>()?, rows))
        }
        _ => None,
    }
}

/// Returns true for an aggregate without groups, and a HAVING of it.
fn is_one(plan: &LogicalPlan) -> bool {
    let of = match plan {
        LogicalPlan::Filter(having) => having.input.as_ref(),
        plan => plan,
    };
    matches!(of, LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty())
}

/// Returns true for a LIMIT that keeps a row where there is one.
fn keeps_first(limit: &Limit) -> bool {
    let skipped = limit.get_skip_type();
    let fetched = limit.get_fetch_type();
    let is_first = matches!(skipped, Ok(SkipType::Literal(0)));
    is_first && matches!(fetched, Ok(FetchType::Literal(rows)) if rows != Some(0))
}
