//! `FROM t, unnest(t.list)`, of which DataFusion says that there is no column `list`, as no table is read yet there.

use std::ops::ControlFlow;

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
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
