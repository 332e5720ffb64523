//! `NOT IN` a list with NULL, which no row meets: nobody knows whether NULL is not what is looked for.
//!
//! ```text
//! x NOT IN (1, 2, NULL)      ─▶  x NOT IN (1, 2) AND NULL
//! NOT (y OR x IN (1, NULL))  ─▶  NOT (y OR (x IN (1) OR NULL))
//! ```
//!
//! DataFusion 55.2 puts lists of one column together and takes NULL in them for a value as others: of
//! `x IN (2, 3) AND x NOT IN (1, NULL)` it made `x IN (2, 3)`, and no error says so. Beside the list NULL stays what it is. Behind
//! IN it does no harm there, and files are skipped by the list; but below NOT, where DataFusion makes NOT IN of it.

use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Expr, LogicalPlan, in_list, lit};
use datafusion::optimizer::AnalyzerRule;

use crate::rewrite;

/// Takes NULL out of the lists behind NOT IN, and below NOT.
#[derive(Debug)]
pub(crate) struct NullMembers;

impl AnalyzerRule for NullMembers {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::expressions(plan, has_null, |expr, _| rewrite::parts(expr, beside_null))
    }

    fn name(&self) -> &str {
        "null_members"
    }
}

/// Returns true for an IN or a NOT IN with NULL and something else in its list.
fn has_null(expr: &Expr) -> bool {
    match expr {
        Expr::InList(InList { list, .. }) => list.iter().any(is_null) && !list.iter().all(is_null),
        _ => false,
    }
}

fn is_null(member: &Expr) -> bool {
    match member {
        Expr::Literal(value, _) => value.is_null(),
        member => rewrite::cast_of(member).is_some_and(|(cast, _, _)| is_null(cast)),
    }
}

/// Returns a NOT IN with the NULL of its list beside it, or a NOT below which each IN has it there.
fn beside_null(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::InList(InList { negated: true, .. }) => with_null_beside(expr),
        Expr::Not(negated) => {
            let other = rewrite::parts(negated.as_ref().clone(), with_null_beside);
            let other = other.ok().filter(|other| other.transformed)?;
            Some(Expr::Not(Box::new(other.data)))
        }
        _ => None,
    }
}

/// Returns a list with its NULL beside it; None where it has none, and for every other expression.
fn with_null_beside(expr: &Expr) -> Option<Expr> {
    let Expr::InList(InList {
        expr: of,
        list,
        negated,
    }) = expr
    else {
        return None;
    };
    if !has_null(expr) {
        return None;
    }
    let others = list.iter().filter(|member| !is_null(member));
    let others = in_list(of.as_ref().clone(), others.cloned().collect(), *negated);
    let unknown = lit(ScalarValue::Boolean(None));
    Some(match negated {
        true => others.and(unknown),
        false => others.or(unknown),
    })
}

#[cfg(test)]
mod tests;
