//! Long chains of OR and AND as trees that are no deeper than they must be.
//!
//! ```text
//! ((a OR b) OR c) OR d  ─▶  (a OR b) OR (c OR d)
//! ```
//!
//! Each OR asks for the type of all below it whenever a batch is evaluated, so that a chain of 250 takes thirty thousand such
//! questions for each batch of rows, most of its time, within one step that nothing can stop. What is asked, and in which order,
//! stays the same.
//!
//! It comes behind DataFusion's own rules, which take conditions apart and make chains of them: behind the logical ones for all
//! expressions, and behind the physical ones for the conditions of filters, which these put together anew.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};

#[cfg(test)]
mod tests;

/// Terms up to which a chain stays one.
const TERMS_FREE: usize = 16;

/// Makes trees of the chains in an optimized plan.
///
/// # Errors
/// Where a node cannot be walked through.
pub fn balanced(plan: LogicalPlan) -> Result<LogicalPlan> {
    let balanced = plan.transform_down_with_subqueries(|node| {
        let has_conditions = match &node {
            LogicalPlan::Filter(_) | LogicalPlan::Projection(_) | LogicalPlan::Join(_) => true,
            // The name of a set is that of what is in it.
            LogicalPlan::Aggregate(aggregate) => {
                let mut groups = aggregate.group_expr.iter();
                !groups.any(|group| matches!(group, Expr::GroupingSet(_)))
            }
            _ => false,
        };
        if !has_conditions || !has_chains(&node)? {
            return Ok(Transformed::no(node));
        }
        let names = NamePreserver::new(&node);
        node.map_expressions(|expr| {
            let name = names.save(&expr);
            let balanced = expr.transform_down(|expr| Ok(balanced_chain(expr)))?;
            Ok(balanced.update_data(|expr| name.restore(expr)))
        })
    });
    balanced.data()
}

/// Returns true where there is a chain in an expression of a node.
fn has_chains(node: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    node.apply_expressions(|expr| {
        found |= expr.exists(|expr| {
            let operator = operator_of(expr);
            Ok(operator.is_some_and(|operator| is_chain(expr, |expr| sides_of(expr, operator))))
        })?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Makes trees of the chains in the conditions of filters.
#[derive(Debug)]
pub struct BalancedConditions;

impl PhysicalOptimizerRule for BalancedConditions {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let balanced = plan.transform_up(|node| {
            let Some(filter) = node.downcast_ref::<FilterExec>() else {
                return Ok(Transformed::no(node));
            };
            let predicate = Arc::clone(filter.predicate());
            let predicate = predicate.transform_down(|expr| Ok(balanced_condition(expr)))?;
            if !predicate.transformed {
                return Ok(Transformed::no(node));
            }
            let filter = FilterExecBuilder::from(filter).with_predicate(predicate.data);
            let filter: Arc<dyn ExecutionPlan> = Arc::new(filter.build()?);
            Ok(Transformed::yes(filter))
        });
        balanced.data()
    }

    fn name(&self) -> &str {
        "balanced_conditions"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Makes a tree of a chain that begins here.
fn balanced_chain(expr: Expr) -> Transformed<Expr> {
    let Some(operator) = operator_of(&expr) else {
        return Transformed::no(expr);
    };
    if !is_chain(&expr, |expr| sides_of(expr, operator)) {
        return Transformed::no(expr);
    }
    let (mut terms, mut left) = (Vec::new(), vec![expr]);
    while let Some(expr) = left.pop() {
        match expr {
            Expr::BinaryExpr(binary) if binary.op == operator => {
                left.push(*binary.right);
                left.push(*binary.left);
            }
            term => terms.push(term),
        }
    }
    let join = |left: Expr, right: Expr| {
        let (left, right) = (Box::new(left), Box::new(right));
        Expr::BinaryExpr(BinaryExpr::new(left, operator, right))
    };
    // A chain has terms, so that there is a tree of them.
    Transformed::yes(in_pairs(terms, join).unwrap_or_default())
}

/// As [`balanced_chain`].
fn balanced_condition(expr: Arc<dyn PhysicalExpr>) -> Transformed<Arc<dyn PhysicalExpr>> {
    let binary = expr.downcast_ref::<expressions::BinaryExpr>();
    let Some(operator) = binary.map(|binary| *binary.op()).filter(is_logical) else {
        return Transformed::no(expr);
    };
    if !is_chain(&expr, |expr| physical_sides_of(expr, operator)) {
        return Transformed::no(expr);
    }
    let (mut terms, mut left) = (Vec::new(), vec![&expr]);
    while let Some(expr) = left.pop() {
        match physical_sides_of(expr, operator) {
            Some([first, second]) => left.extend([second, first]),
            None => terms.push(Arc::clone(expr)),
        }
    }
    let join = |left: Arc<dyn PhysicalExpr>, right: Arc<dyn PhysicalExpr>| {
        Arc::new(expressions::BinaryExpr::new(left, operator, right)) as Arc<dyn PhysicalExpr>
    };
    match in_pairs(terms, join) {
        Some(tree) => Transformed::yes(tree),
        None => Transformed::no(expr),
    }
}

fn is_logical(operator: &Operator) -> bool {
    matches!(operator, Operator::And | Operator::Or)
}

/// Returns the operator of an expression that may be a chain.
fn operator_of(expr: &Expr) -> Option<Operator> {
    match expr {
        Expr::BinaryExpr(binary) => Some(binary.op).filter(is_logical),
        _ => None,
    }
}

fn sides_of(expr: &Expr, operator: Operator) -> Option<[&Expr; 2]> {
    match expr {
        Expr::BinaryExpr(binary) if binary.op == operator => Some([&*binary.left, &*binary.right]),
        _ => None,
    }
}

fn physical_sides_of(
    expr: &Arc<dyn PhysicalExpr>,
    operator: Operator,
) -> Option<[&Arc<dyn PhysicalExpr>; 2]> {
    let binary = expr.downcast_ref::<expressions::BinaryExpr>()?;
    (*binary.op() == operator).then(|| [binary.left(), binary.right()])
}

/// Returns true where many terms are more than twice as deep as they must be.
fn is_chain<'a, E>(expr: &'a E, sides: impl Fn(&'a E) -> Option<[&'a E; 2]>) -> bool {
    let (mut terms, mut deepest) = (0_usize, 0_u32);
    let mut left = vec![(expr, 0_u32)];
    while let Some((expr, depth)) = left.pop() {
        match sides(expr) {
            Some([first, second]) => left.extend([(second, depth + 1), (first, depth + 1)]),
            None => {
                terms += 1;
                deepest = deepest.max(depth);
            }
        }
    }
    terms > TERMS_FREE && deepest > 2 * (terms.ilog2() + 1)
}

/// Joins neighbours, again and again, until one is left; None of nothing.
fn in_pairs<E>(mut terms: Vec<E>, join: impl Fn(E, E) -> E) -> Option<E> {
    while terms.len() > 1 {
        let mut pairs = Vec::with_capacity(terms.len().div_ceil(2));
        let mut singles = terms.into_iter();
        while let Some(left) = singles.next() {
            pairs.push(match singles.next() {
                Some(right) => join(left, right),
                None => left,
            });
        }
        terms = pairs;
    }
    terms.pop()
}
