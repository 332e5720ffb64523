//! Values that are compared with any or all of what a subquery selects.
//!
//! | written | planned |
//! |---|---|
//! | `x = ANY (SELECT y …)`, `x <> ALL (SELECT y …)` | `x IN (SELECT y …)`, `x NOT IN (SELECT y …)` |
//! | `x > ALL (SELECT y …)` | `x > ALL (SELECT y AS __compared_with …)` |
//!
//! DataFusion 55.2 puts the comparison into the subquery, where both sides are known by their names: of a column of the same table
//! on both sides (`id = ANY (SELECT id FROM segments …)` of `segments`) it compared each row with itself, and no error says so. And it
//! makes three joins of each, two of which IN does without.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{InSubquery, SetQuantifier};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator};
use datafusion::optimizer::AnalyzerRule;

use crate::rewrite;

/// What is called so that is compared; no column around it is.
const NAME: &str = "__compared_with";

/// Makes such comparisons those of values with a list, or with a column of a name of its own. It goes before types are made equal.
#[derive(Debug)]
pub(crate) struct SetComparisons;

impl AnalyzerRule for SetComparisons {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let is_wanted = |expr: &Expr| matches!(expr, Expr::SetComparison(_));
        let of_expr = |expr: Expr, _: &DFSchema| expr.transform_up(compared);
        rewrite::expressions(plan, is_wanted, of_expr)
    }

    fn name(&self) -> &str {
        "set_comparisons"
    }
}

fn compared(expr: Expr) -> Result<Transformed<Expr>> {
    let Expr::SetComparison(mut comparison) = expr else {
        return Ok(Transformed::no(expr));
    };
    let negated = match (comparison.op, comparison.quantifier) {
        (Operator::Eq, SetQuantifier::Any) => Some(false),
        (Operator::NotEq, SetQuantifier::All) => Some(true),
        _ => None,
    };
    if let Some(negated) = negated {
        let member = InSubquery::new(comparison.expr, comparison.subquery, negated);
        return Ok(Transformed::yes(Expr::InSubquery(member)));
    }
    let rows = Arc::clone(&comparison.subquery.subquery);
    // Of several columns it is refused.
    if rows.schema().fields().len() == 1 {
        let column = Column::from(rows.schema().qualified_field(0));
        let column = Expr::Column(column).alias(NAME);
        let rows = LogicalPlanBuilder::from(rows.as_ref().clone()).project([column])?;
        comparison.subquery = comparison.subquery.with_plan(Arc::new(rows.build()?));
    }
    Ok(Transformed::yes(Expr::SetComparison(comparison)))
}
