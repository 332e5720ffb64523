//! HAVING in a subquery that is a value: where it does not hold there is no row, and the value is NULL.
//!
//! ```text
//! (SELECT max(car) FROM counts WHERE … HAVING count(*) > 9)
//! ─▶ (SELECT CASE WHEN count(*) > 9 THEN max(car) END FROM counts WHERE …)
//! ```
//!
//! Where columns of the query around it are compared, DataFusion 55.2 makes a join of such a subquery, in which it asked HAVING of
//! groups that are there alone, or not at all: values stood where it does not hold, and no error says so.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Subquery, when};
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

/// Returns the subquery with a value in the place of its HAVING; None where it has none, or one that is asked of groups, of
/// which there may be several.
fn conditional(subquery: &Subquery) -> Result<Option<Subquery>> {
    let LogicalPlan::Projection(projection) = subquery.subquery.as_ref() else {
        return Ok(None);
    };
    let LogicalPlan::Filter(having) = projection.input.as_ref() else {
        return Ok(None);
    };
    let LogicalPlan::Aggregate(aggregate) = having.input.as_ref() else {
        return Ok(None);
    };
    let [value] = &projection.expr[..] else {
        return Ok(None);
    };
    // Without columns of the query around it no join is made. Such a column in HAVING itself is looked for in a filter.
    let is_right = subquery.outer_ref_columns.is_empty() || having.predicate.contains_outer();
    if is_right || !aggregate.group_expr.is_empty() {
        return Ok(None);
    }
    let name = projection.schema.field(0).name();
    let value = when(having.predicate.clone(), value.clone().unalias()).end()?;
    let rows = LogicalPlanBuilder::from(having.input.as_ref().clone());
    let plan = rows.project([value.alias(name)])?.build()?;
    Ok(Some(subquery.with_plan(Arc::new(plan))))
}
