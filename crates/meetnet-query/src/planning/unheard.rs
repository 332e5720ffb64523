//! What the parser reads and the planner leaves out without a word: who asked for a sample would take all rows for one.

use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{TableFactor, Visit, Visitor};

use crate::error::{QueryError, StatementFault};

/// Refuses a statement with something that would not be heard.
pub(super) fn check_heard(statement: &Statement) -> Result<()> {
    let found = match statement {
        Statement::Statement(statement) => statement.visit(&mut Unheard),
        Statement::Explain(explain) => return check_heard(&explain.statement),
        _ => return Ok(()),
    };
    if found.is_continue() {
        return Ok(());
    }
    let message = "not supported: TABLESAMPLE; take every hundredth row of a numbered subquery (row_number() OVER () % 100 = 0), \
                   or rows of a shorter time";
    Err(QueryError::of_statement(StatementFault::Unsupported, message).into())
}

/// Breaks at a sample.
struct Unheard;

impl Visitor for Unheard {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        match table {
            TableFactor::Table {
                sample: Some(_), ..
            }
            | TableFactor::Derived {
                sample: Some(_), ..
            } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}
