//! `x IN (VALUES (1), (2))`, a subquery that does not say what it selects.
//!
//! `x IN (VALUES (1), (2))` -> `x IN (SELECT column1 AS __member FROM (VALUES (1), (2)))`
//!
//! DataFusion 55.2 compares with what a subquery selects, finds nothing there, and refused the statement.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::AnalyzerRule;

use crate::rewrite;

/// What is called so that is compared.
const NAME: &str = "__member";

/// Selects the column of such a subquery.
#[derive(Debug)]
pub(crate) struct ListedMembers;

impl AnalyzerRule for ListedMembers {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let is_wanted = |expr: &Expr| matches!(expr, Expr::InSubquery(_));
        let of_expr = |expr: Expr, _: &DFSchema| expr.transform_up(selected);
        rewrite::expressions(plan, is_wanted, of_expr)
    }

    fn name(&self) -> &str {
        "listed_members"
    }
}

fn selected(expr: Expr) -> Result<Transformed<Expr>> {
    match expr {
        Expr::InSubquery(mut member) => {
            let rows = Arc::clone(&member.subquery.subquery);
            let is_named = rows.head_output_expr()?.is_some();
            // Of several columns it is refused.
            if is_named || rows.schema().fields().len() != 1 {
                return Ok(Transformed::no(Expr::InSubquery(member)));
            }
            let (qualifier, field) = rows.schema().qualified_field(0);
            // By a name of its own: that of a column without a table would be taken twice beside OR.
            let column = Expr::Column(Column::from((qualifier, field))).alias(NAME);
            let plan = LogicalPlanBuilder::from(rows.as_ref().clone()).project([column])?;
            member.subquery = member.subquery.with_plan(Arc::new(plan.build()?));
            Ok(Transformed::yes(Expr::InSubquery(member)))
        }
        expr => Ok(Transformed::no(expr)),
    }
}
