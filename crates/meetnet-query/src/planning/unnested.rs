//! `FROM t, unnest(t.list)`: of a column without its table DataFusion says that there is none, as no table is read yet there,
//! and one with its table it takes for a column of a query around it, which it finds out only where the plan is to run.

use std::ops::ControlFlow;

use datafusion::common::SchemaError;
use datafusion::common::tree_node::TreeNode;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr as PlanExpr, LogicalPlan};
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, TableFactor, Visit, Visitor, visit_expressions};

#[cfg(test)]
mod tests;

/// Returns true where the column that an error misses is one that an `unnest` in FROM is of.
pub(super) fn lacks_unnested(statement: &Statement, error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::SchemaError(error, _) => match error.as_ref() {
            SchemaError::FieldNotFound { field, .. } => unnests(statement, &field.name),
            _ => false,
        },
        _ => false,
    }
}

/// Returns true where a plan has an `unnest` in FROM of a column of another table.
pub(super) fn is_unnested_there(plan: &LogicalPlan) -> bool {
    let found = plan.exists(|node| {
        let LogicalPlan::Unnest(unnest) = node else {
            return Ok(false);
        };
        Ok(match unnest.input.as_ref() {
            LogicalPlan::Projection(lists) => {
                let has_no_table = matches!(*lists.input, LogicalPlan::EmptyRelation(_));
                has_no_table && lists.expr.iter().any(PlanExpr::contains_outer)
            }
            _ => false,
        })
    });
    // Nothing above fails.
    found.unwrap_or(false)
}

/// Returns true where a statement has an `unnest` in FROM of a column of that name.
fn unnests(statement: &Statement, column: &str) -> bool {
    match statement {
        Statement::Statement(statement) => statement.visit(&mut Unnested(column)).is_break(),
        Statement::Explain(explain) => unnests(&explain.statement, column),
        _ => false,
    }
}

/// Breaks at an `unnest` of the column.
struct Unnested<'a>(&'a str);

impl Visitor for Unnested<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        let TableFactor::UNNEST { array_exprs, .. } = table else {
            return ControlFlow::Continue(());
        };
        visit_expressions(array_exprs, |expr| {
            let name = match expr {
                Expr::Identifier(name) => Some(name),
                Expr::CompoundIdentifier(names) => names.last(),
                _ => None,
            };
            match name.is_some_and(|name| name.value.eq_ignore_ascii_case(self.0)) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })
    }
}
