//! What the parser reads and the planner leaves out, or takes for something else, without a word: who asked for a sample would
//! take all rows for one.

use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, FunctionArg, FunctionArgExpr, Join, JoinConstraint, JoinOperator,
    Query, Select, SetExpr, SetOperator, SetQuantifier, TableFactor, Visit, Visitor,
    visit_expressions,
};

use super::spelling::is_series;
use crate::error::QueryError;
use crate::parse::parsed;

/// Refuses a statement with something that would not be heard.
pub(super) fn check_heard(statement: &Statement) -> Result<()> {
    let found = parsed(statement).and_then(|parsed| parsed.visit(&mut Unheard).break_value());
    match found {
        None => Ok(()),
        Some(what) => Err(QueryError::not_supported(what).into()),
    }
}

/// Says what is wrong where a bound of a series is computed of a column. The planner knows no tables there, and refuses a statement
/// because this one has no such column; what nothing is read of may be written so.
pub(super) fn series_of_columns(statement: &Statement) -> Option<String> {
    parsed(statement).and_then(|parsed| parsed.visit(&mut Series).break_value())
}

/// Breaks at such a bound.
struct Series;

impl Visitor for Series {
    type Break = String;

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<String> {
        match table {
            TableFactor::Table {
                name,
                args: Some(args),
                ..
            } if is_series(name) => check_bounds(&args.args),
            TableFactor::Function { name, args, .. } if is_series(name) => check_bounds(args),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Breaks at what would not be heard, with what to write.
struct Unheard;

impl Visitor for Unheard {
    type Break = String;

    /// It would be planned over a table that is not here, whose name nobody has written.
    fn pre_visit_statement(&mut self, statement: &ast::Statement) -> ControlFlow<String> {
        match statement {
            ast::Statement::ShowFunctions { .. } => ControlFlow::Break(
                "SHOW FUNCTIONS; SELECT * FROM functions lists those for sensor data".to_owned(),
            ),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<String> {
        if query.fetch.as_ref().is_some_and(|fetch| fetch.percent) {
            return ControlFlow::Break(
                "FETCH … PERCENT; number the rows, row_number() OVER (ORDER BY x) AS place, and write QUALIFY place <= ceil(0.1 * \
                 count(*) OVER ())"
                    .to_owned(),
            );
        }
        // Queries in brackets are visited themselves.
        let mut left = vec![query.body.as_ref()];
        while let Some(body) = left.pop() {
            if let SetExpr::SetOperation {
                left: first,
                op,
                set_quantifier,
                right: second,
            } = body
            {
                check_counted(*op, *set_quantifier)?;
                left.extend([first.as_ref(), second.as_ref()]);
            }
        }
        ControlFlow::Continue(())
    }

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
            Expr::BinaryOp {
                op: BinaryOperator::Overlaps,
                ..
            } => ControlFlow::Break(
                "(a, b) OVERLAPS (c, d); write a < d AND c < b, of spans from a to b and from c to d, which also skips files"
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

/// Breaks at a bound that is computed of a column. Of a column alone the planner says itself that a bound is known before.
fn check_bounds(arguments: &[FunctionArg]) -> ControlFlow<String> {
    let is_column = |expr: &Expr| matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    for argument in arguments {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(bound)) = argument else {
            continue;
        };
        if is_column(bound) {
            continue;
        }
        let found = visit_expressions(bound, |expr| match expr {
            // Its columns are those of its own tables.
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                ControlFlow::Break(false)
            }
            expr if is_column(expr) => ControlFlow::Break(true),
            _ => ControlFlow::Continue(()),
        });
        if found == ControlFlow::Break(true) {
            return ControlFlow::Break(
                "a series whose bounds are computed of columns; join it with a condition, FROM t JOIN generate_series(1, 100) AS g(n) \
                 ON g.n <= t.count"
                    .to_owned(),
            );
        }
    }
    ControlFlow::Continue(())
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

/// Breaks at an operation that would have to count how often a row comes, and only looks whether it does.
fn check_counted(op: SetOperator, quantifier: SetQuantifier) -> ControlFlow<String> {
    let counts = matches!(quantifier, SetQuantifier::All | SetQuantifier::AllByName);
    if !counts || op == SetOperator::Union {
        return ControlFlow::Continue(());
    }
    ControlFlow::Break(format!(
        "{op} ALL; number equal rows on both sides, SELECT a, b, row_number() OVER (PARTITION BY a, b) AS n FROM …, and write {op}"
    ))
}
