//! What rules of the analyzer share that write expressions anew: those of all plans within a plan, under the names that they
//! had.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Rewrites the expressions of a plan in some part of which `is_wanted` is true; `rewrite` is given each whole, with the
/// schema that its columns are of. Plans that have none are left alone.
///
/// # Errors
/// Those of `rewrite`, and where a plan does not go with its new expressions.
pub(crate) fn expressions(
    plan: LogicalPlan,
    is_wanted: impl Fn(&Expr) -> bool,
    rewrite: impl Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| of_plan(plan, &is_wanted, &rewrite))
        .data()
}

/// Rewrites the expressions of one plan, and not of those within it, as [`expressions`] does.
///
/// # Errors
/// As there.
pub(crate) fn of_plan(
    plan: LogicalPlan,
    is_wanted: &impl Fn(&Expr) -> bool,
    rewrite: &impl Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let mut has_any = false;
    plan.apply_expressions(|expr| {
        has_any = has_any || expr.exists(|expr| Ok(is_wanted(expr)))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    if !has_any {
        return Ok(Transformed::no(plan));
    }
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    let rewritten = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = rewrite(expr, &schema)?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })?;
    match rewritten.transformed {
        true => rewritten.map_data(LogicalPlan::recompute_schema),
        false => Ok(rewritten),
    }
}

/// Puts what `other` returns in the place of each part of an expression for which it returns something; inner parts go first.
///
/// # Errors
/// None.
pub(crate) fn parts(
    expr: Expr,
    other: impl Fn(&Expr) -> Option<Expr>,
) -> Result<Transformed<Expr>> {
    expr.transform_up(|part| {
        Ok(match other(&part) {
            Some(other) => Transformed::yes(other),
            None => Transformed::no(part),
        })
    })
}

/// Returns what is cast, to what, and whether by TRY_CAST; None for every other expression.
pub(crate) fn cast_of(expr: &Expr) -> Option<(&Expr, &DataType, bool)> {
    match expr {
        Expr::Cast(cast) => Some((&*cast.expr, cast.field.data_type(), false)),
        Expr::TryCast(cast) => Some((&*cast.expr, cast.field.data_type(), true)),
        _ => None,
    }
}
