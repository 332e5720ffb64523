//! Divisors that another condition keeps from being zero: where that does not hold, nothing is divided by them.
//!
//! ```text
//! x <> 0 AND 10 / x > 1  ─▶  x <> 0 AND 10 / CASE WHEN x <> 0 THEN x ELSE 1 END > 1
//! x = 0 OR 10 / x > 1    ─▶  x = 0 OR 10 / CASE WHEN x = 0 IS NOT TRUE THEN x ELSE 1 END > 1
//! ```
//!
//! DataFusion 55.2 computes both sides of AND for all rows of a batch, unless few of them are left, sorts conditions by what it
//! thinks that they cost, and a scan asks each by itself. So `x <> 0` kept nobody from an error that PostgreSQL does not make. What
//! is divided where a condition does not hold changes nothing: `false AND anything` is false.
//!
//! It comes behind DataFusion's logical rules. A condition is then where it is asked and its copies are not taken out again to be
//! computed once, below the filter, where no scan would ask for them any more. Only whole numbers and decimals are guarded, whose
//! division fails, only by what stands in the same conditions, and not where the divisor is a constant.

use std::mem;

use datafusion::common::tree_node::{
    Transformed, TransformedResult, TreeNode, TreeNodeContainer, TreeNodeRecursion,
};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{
    conjunction, merge_schema, split_binary, split_binary_owned,
};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Case, Expr, ExprSchemable, LogicalPlan, Operator, lit,
};

use crate::decimals::is_quotient;
use crate::rewrite;

#[cfg(test)]
mod tests;

/// Expressions in the guards of one divisor, all together: each divisor has its copy of them.
const GUARD_PARTS_MAX: usize = 128;

/// Guards the divisors in an optimized plan.
///
/// # Errors
/// Where a node cannot be walked through.
pub fn guarded(plan: LogicalPlan) -> Result<LogicalPlan> {
    let guarded = plan.transform_down_with_subqueries(|node| {
        let is_filter = matches!(node, LogicalPlan::Filter(_));
        let has_conditions = matches!(
            node,
            LogicalPlan::Filter(_)
                | LogicalPlan::Projection(_)
                | LogicalPlan::Join(_)
                | LogicalPlan::Aggregate(_)
                | LogicalPlan::Window(_)
                | LogicalPlan::Sort(_)
        );
        if !has_conditions || !node_divides(&node)? {
            return Ok(Transformed::no(node));
        }
        let schema = merge_schema(&node.inputs());
        let names = NamePreserver::new(&node);
        let guard = |expr: Expr| -> Result<Transformed<Expr>> {
            let name = names.save(&expr);
            let guarded = guarded_within(expr, &[], is_filter, &schema)?;
            Ok(guarded.update_data(|expr| name.restore(expr)))
        };
        match node {
            // The name of a set is that of what is in it.
            LogicalPlan::Aggregate(mut aggregate) if has_sets(&aggregate) => {
                let calls = mem::take(&mut aggregate.aggr_expr).map_elements(guard)?;
                Ok(calls.update_data(|calls| {
                    aggregate.aggr_expr = calls;
                    LogicalPlan::Aggregate(aggregate)
                }))
            }
            // What is sorted by has no name.
            LogicalPlan::Sort(_) => {
                node.map_expressions(|expr| guarded_within(expr, &[], false, &schema))
            }
            node => node.map_expressions(guard),
        }
    });
    guarded.data()
}

fn has_sets(aggregate: &Aggregate) -> bool {
    let mut groups = aggregate.group_expr.iter();
    groups.any(|group| matches!(group, Expr::GroupingSet(_)))
}

/// Returns true where an expression of a node divides by what is no constant.
fn node_divides(node: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(|expr| {
        found = found || divides(expr)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn divides(expr: &Expr) -> Result<bool> {
    expr.exists(|part| Ok(divisor(part).is_some()))
}

/// Returns what is divided by; None for every other expression, and for a constant.
fn divisor(expr: &Expr) -> Option<&Expr> {
    let divisor = match expr {
        Expr::BinaryExpr(BinaryExpr {
            op: Operator::Divide | Operator::Modulo,
            right,
            ..
        }) => right.as_ref(),
        Expr::ScalarFunction(call) if is_quotient(call) => call.args.get(1)?,
        _ => return None,
    };
    (!matches!(divisor, Expr::Literal(..))).then_some(divisor)
}

/// Guards the divisors in an expression by `guards`, outside of which its value changes nothing. `is_kept` is true where rows are
/// kept for which the expression is true, so that NULL is as good as false.
fn guarded_within(
    expr: Expr,
    guards: &[Guard],
    is_kept: bool,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    if !divides(&expr)? {
        return Ok(Transformed::no(expr));
    }
    if let Expr::BinaryExpr(BinaryExpr {
        op: op @ (Operator::And | Operator::Or),
        ..
    }) = &expr
    {
        let op = *op;
        return guarded_chain(expr, op, guards, is_kept, schema);
    }
    let Some(one) = one_for(&expr, guards, schema) else {
        return expr.map_children(|part| guarded_within(part, guards, false, schema));
    };
    let mut is_divisor = false;
    expr.map_children(|part| {
        if !is_divisor {
            // What is divided.
            is_divisor = true;
            return guarded_within(part, guards, false, schema);
        }
        Ok(Transformed::yes(guarded_divisor(part, guards, &one)))
    })
}

/// Returns a divisor where its guards hold, and `one` elsewhere. Guards that may fail are asked only where the others hold, as those
/// may be what keeps them from it.
fn guarded_divisor(divisor: Expr, guards: &[Guard], one: &ScalarValue) -> Expr {
    [false, true].into_iter().fold(divisor, |divisor, is_sure| {
        let guards = guards.iter().filter(|guard| guard.is_sure == is_sure);
        let Some(guard) = conjunction(guards.map(|guard| guard.condition.clone())) else {
            return divisor;
        };
        let branch = (Box::new(guard), Box::new(divisor));
        let otherwise = Box::new(lit(one.clone()));
        Expr::Case(Case::new(None, vec![branch], Some(otherwise)))
    })
}

/// Returns a one of the type of the divisor of an expression; None where it divides nothing that has to be guarded.
fn one_for(expr: &Expr, guards: &[Guard], schema: &DFSchema) -> Option<ScalarValue> {
    if guards.is_empty() {
        return None;
    }
    let data_type = divisor(expr)?.get_type(schema).ok()?;
    let fails = data_type.is_integer() || data_type.is_decimal();
    // There are decimals that no one fits in.
    fails.then(|| ScalarValue::new_one(&data_type).ok())?
}

/// Guards the divisors in the terms of a chain of AND or OR by its other terms.
fn guarded_chain(
    chain: Expr,
    op: Operator,
    guards: &[Guard],
    is_kept: bool,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    let parts: usize = guards.iter().map(|guard| guard.parts).sum();
    let parts_left = GUARD_PARTS_MAX.saturating_sub(parts);
    let of_chain = guards_of_chain(&chain, op, is_kept, parts_left)?;
    let mut guarded = false;
    let terms = split_binary_owned(chain, op).into_iter().enumerate();
    let terms = terms.map(|(place, term)| {
        let others = of_chain
            .iter()
            .filter(|guard| guard.is_sure || guard.place < place);
        let guards: Vec<Guard> = guards.iter().chain(others).cloned().collect();
        let term = guarded_within(term, &guards, is_kept, schema)?;
        guarded |= term.transformed;
        Ok(term.data)
    });
    let terms: Vec<Expr> = terms.collect::<Result<_>>()?;
    let chain = terms
        .into_iter()
        .reduce(|left, right| {
            Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
        })
        // A chain has terms.
        .unwrap_or_default();
    Ok(match guarded {
        true => Transformed::yes(chain),
        false => Transformed::no(chain),
    })
}

/// A condition that holds where the other terms of its chain matter.
#[derive(Clone)]
struct Guard {
    condition: Expr,
    /// How many expressions it is made of.
    parts: usize,
    /// Which term of the chain it is made of.
    place: usize,
    /// Whether it never fails, so that it can be asked before the terms that stand before it.
    is_sure: bool,
}

/// Returns the guards that the terms of a chain are to each other, of `parts_left` expressions at most: those that divide nothing
/// themselves.
fn guards_of_chain(
    chain: &Expr,
    op: Operator,
    is_kept: bool,
    mut parts_left: usize,
) -> Result<Vec<Guard>> {
    let mut guards = Vec::new();
    for (place, term) in split_binary(chain, op).into_iter().enumerate() {
        let (mut parts, mut is_fit, mut is_sure) = (0, true, true);
        term.apply(|part| {
            parts += 1;
            is_fit = parts <= parts_left && is_fit_for_guard(part);
            is_sure = is_sure && never_fails(part);
            Ok(match is_fit {
                true => TreeNodeRecursion::Continue,
                false => TreeNodeRecursion::Stop,
            })
        })?;
        if !is_fit {
            continue;
        }
        parts_left -= parts;
        let condition = term.clone();
        let condition = match (op, is_kept) {
            (Operator::Or, _) => condition.is_not_true(),
            (_, true) => condition,
            (_, false) => condition.is_not_false(),
        };
        guards.push(Guard {
            condition,
            parts,
            place,
            is_sure,
        });
    }
    Ok(guards)
}

/// Returns false for what a condition cannot be written twice with: another division, what has another value each time, and
/// subqueries.
fn is_fit_for_guard(part: &Expr) -> bool {
    let is_subquery = matches!(
        part,
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_)
    );
    divisor(part).is_none() && !part.is_volatile_node() && !is_subquery
}

/// Returns true for what compares values, and computes none.
fn never_fails(part: &Expr) -> bool {
    match part {
        Expr::BinaryExpr(binary) => match binary.op {
            Operator::And | Operator::Or => true,
            // A pattern that is none has failed by now.
            Operator::RegexMatch
            | Operator::RegexIMatch
            | Operator::RegexNotMatch
            | Operator::RegexNotIMatch => matches!(*binary.right, Expr::Literal(..)),
            op => rewrite::compares(op),
        },
        Expr::Column(_)
        | Expr::Literal(..)
        | Expr::Not(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Like(_)
        | Expr::Between(_)
        | Expr::InList(_) => true,
        _ => false,
    }
}
