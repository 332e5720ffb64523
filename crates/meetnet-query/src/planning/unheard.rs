//! What the parser reads and the planner leaves out, or takes for something else, without a word: who asked for a sample would
//! take all rows for one.

use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Join, JoinConstraint, JoinOperator, Select, TableFactor, Visit, Visitor,
};

use crate::error::{QueryError, StatementFault};

/// Refuses a statement with something that would not be heard.
pub(super) fn check_heard(statement: &Statement) -> Result<()> {
    let found = match statement {
        Statement::Statement(statement) => statement.visit(&mut Unheard),
        Statement::Explain(explain) => return check_heard(&explain.statement),
        _ => return Ok(()),
    };
    match found.break_value() {
        None => Ok(()),
        Some(what) => {
            let message = format!("not supported: {what}");
            Err(QueryError::of_statement(StatementFault::Unsupported, message).into())
        }
    }
}

/// Breaks at what would not be heard, with what to write.
struct Unheard;

impl Visitor for Unheard {
    type Break = String;

    /// In PostgreSQL's dialect it is another operator, and means what it means there.
    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        match expr {
            Expr::BinaryOp {
                op: BinaryOperator::BitwiseXor,
                ..
            } => ControlFlow::Break(
                "`^`, which is a power in PostgreSQL and an exclusive or elsewhere; write power(a, b), or a XOR b of whole \
                 numbers"
                    .to_owned(),
            ),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        let mut joins = select.from.iter().flat_map(|table| &table.joins);
        joins.try_for_each(check_join)
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<String> {
        match table {
            TableFactor::Table {
                sample: Some(_), ..
            }
            | TableFactor::Derived {
                sample: Some(_), ..
            } => ControlFlow::Break(
                "TABLESAMPLE; take every hundredth row of a numbered subquery (row_number() OVER () % 100 = 0), or rows of a \
                 shorter time"
                    .to_owned(),
            ),
            TableFactor::NestedJoin {
                table_with_joins, ..
            } => table_with_joins.joins.iter().try_for_each(check_join),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Breaks at a join whose column of both sides would be that of the left one, which rows of the right one alone do not have.
fn check_join(join: &Join) -> ControlFlow<String> {
    let (kind, constraint) = match &join.join_operator {
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
            ("RIGHT", constraint)
        }
        JoinOperator::FullOuter(constraint) => ("FULL", constraint),
        _ => return ControlFlow::Continue(()),
    };
    let written = match constraint {
        JoinConstraint::Using(_) => format!("{kind} JOIN … USING"),
        JoinConstraint::Natural => format!("NATURAL {kind} JOIN"),
        _ => return ControlFlow::Continue(()),
    };
    ControlFlow::Break(format!(
        "{written}; write ON a.x = b.x, and coalesce(a.x, b.x) AS x among the columns"
    ))
}
