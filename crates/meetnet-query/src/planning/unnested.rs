//! `FROM t, unnest(t.list)`: DataFusion takes the list for a column of a query around it, and finds out only where the plan is
//! to run that there is none.

use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Returns true where a plan has an `unnest` in FROM of a column of another table.
pub(super) fn is_unnested_there(plan: &LogicalPlan) -> bool {
    let found = plan.exists(|node| {
        let LogicalPlan::Unnest(unnest) = node else {
            return Ok(false);
        };
        Ok(match unnest.input.as_ref() {
            LogicalPlan::Projection(lists) => {
                let has_no_table = matches!(*lists.input, LogicalPlan::EmptyRelation(_));
                has_no_table && lists.expr.iter().any(Expr::contains_outer)
            }
            _ => false,
        })
    });
    // Nothing above fails.
    found.unwrap_or(false)
}
