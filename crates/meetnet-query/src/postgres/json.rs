//! `json_agg` and `row_to_json`, made of `to_json` and of functions of lists: so they have order or DISTINCT, FILTER and the
//! limits that lists have.
//!
//! | written | planned |
//! |---|---|
//! | `json_agg(x ORDER BY y)` | `'[' \|\| array_to_string(array_agg(coalesce(to_json(x), 'null') ORDER BY y), ', ') \|\| ']'` |
//! | `json_agg(t)`, `row_to_json(t)` of `FROM (SELECT a, b …) AS t` | the same of `named_struct('a', t.a, 'b', t.b)` |
//!
//! The rows of a subquery with a `*` are not known yet when this is asked; those of a dataset are. A subquery cannot name a row of the
//! query around it. Beside an outer join no row is known by its name.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, JoinOperator,
    ObjectName, Query, Select, TableFactor, VisitMut, VisitorMut,
};
use meetnet_sql::TO_JSON;

use super::aliases;
use super::emptiness::last_part;
use super::functions::{call, joined, own_name, text};
use crate::parse::meant;

/// The functions, by the names that clients write.
const JSON_AGG: &str = "json_agg";
const ROW_TO_JSON: &str = "row_to_json";
/// What makes a row of its columns.
const ROW: &str = "named_struct";

/// The name of a row, and the names of its columns.
type Row = (Ident, Vec<String>);

/// Puts the columns of a row where its name stands for it; `columns_of` says those of a table. Each becomes an expression, and takes one
/// of those that are `left`; returns false where these are not enough.
pub(super) fn spread_rows(
    select: &mut Select,
    columns_of: impl Fn(&str) -> Option<Vec<String>>,
    left: &mut usize,
) -> bool {
    let Select {
        projection, from, ..
    } = select;
    let rows_of = || -> Vec<Row> {
        // The row of a table that had none for another one is NULL as a whole, which its columns do not tell.
        let mut joins = from.iter().flat_map(|from| &from.joins);
        if joins.any(|join| is_outer(&join.join_operator)) {
            return Vec::new();
        }
        let tables = from.iter().flat_map(|from| {
            let joined = from.joins.iter().map(|join| &join.relation);
            std::iter::once(&from.relation).chain(joined)
        });
        tables
            .filter_map(|table| row_of(table, &columns_of))
            .collect()
    };
    let mut spreader = Spreader {
        rows_of,
        rows: None,
        depth: 0,
        left,
    };
    projection.visit(&mut spreader).is_continue()
}

fn is_outer(join: &JoinOperator) -> bool {
    use JoinOperator::{FullOuter, Left, LeftOuter, OuterApply, Right, RightOuter};
    matches!(
        join,
        Left(_) | LeftOuter(_) | Right(_) | RightOuter(_) | FullOuter(_) | OuterApply
    )
}

/// Spreads the rows of one SELECT; breaks where they have too many columns.
struct Spreader<'a, F> {
    rows_of: F,
    rows: Option<Vec<Row>>,
    /// How many subqueries an expression stands in: there a name means a row of theirs, which has its own turn.
    depth: usize,
    left: &'a mut usize,
}

impl<F: Fn() -> Vec<Row>> VisitorMut for Spreader<'_, F> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        let Some(argument) = named_row(expr) else {
            return ControlFlow::Continue(());
        };
        let rows = self.rows.get_or_insert_with(&self.rows_of);
        let Some(row) = meant_row(argument, rows) else {
            return ControlFlow::Continue(());
        };
        let Some(left) = self.left.checked_sub(row.1.len()) else {
            return ControlFlow::Break(());
        };
        *self.left = left;
        *argument = spread(row);
        ControlFlow::Continue(())
    }
}

/// Returns the argument of one of the functions that may name a row.
fn named_row(expr: &mut Expr) -> Option<&mut Expr> {
    let Expr::Function(function) = expr else {
        return None;
    };
    let name = own_name(&function.name)?;
    if ![JSON_AGG, ROW_TO_JSON].contains(&name.as_str()) {
        return None;
    }
    only_argument(function).filter(|argument| matches!(argument, Expr::Identifier(_)))
}

fn only_argument(function: &mut Function) -> Option<&mut Expr> {
    let FunctionArguments::List(list) = &mut function.args else {
        return None;
    };
    match list.args.as_mut_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))] => Some(argument),
        _ => None,
    }
}

/// Returns the row that a name means; None where it is a column, which comes first, or nothing that is known.
fn meant_row<'a>(name: &Expr, rows: &'a [Row]) -> Option<&'a Row> {
    let Expr::Identifier(name) = name else {
        return None;
    };
    let name = meant(name);
    if rows.iter().any(|(_, columns)| columns.contains(&name)) {
        return None;
    }
    rows.iter().find(|(row, _)| meant(row) == name)
}

/// Returns a row with its columns.
fn spread((row, columns): &Row) -> Expr {
    let parts = columns.iter().flat_map(|column| {
        let quoted = Ident::with_quote('"', column.as_str());
        [
            text(column),
            Expr::CompoundIdentifier(vec![row.clone(), quoted]),
        ]
    });
    call(ROW, parts.collect())
}

/// Returns the name and the columns of what a query reads from; None where these are not known.
fn row_of(table: &TableFactor, columns_of: impl Fn(&str) -> Option<Vec<String>>) -> Option<Row> {
    match table {
        TableFactor::Derived {
            subquery,
            alias: Some(alias),
            ..
        } => {
            let columns = match alias.columns.is_empty() {
                true => aliases::names(subquery)?,
                false => {
                    let columns = alias.columns.iter();
                    columns.map(|column| meant(&column.name)).collect()
                }
            };
            Some((alias.name.clone(), columns))
        }
        TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } => {
            let columns = columns_of(&last_part(name))?;
            let row = match alias {
                Some(alias) => alias.name.clone(),
                None => name.0.last()?.as_ident()?.clone(),
            };
            Some((row, columns))
        }
        _ => None,
    }
}

/// Returns the list of values, or of rows, that `json_agg` gathers.
pub(super) fn gathered(function: &Function) -> Option<Expr> {
    let mut gathered = function.clone();
    gathered.name = ObjectName::from(vec![Ident::new("array_agg")]);
    let value = only_argument(&mut gathered)?;
    // As PostgreSQL writes them: rows and lists each on a line.
    let between = if is_on_a_line(value) { ", \n " } else { ", " };
    let json = match is_call(value, TO_JSON) {
        true => value.clone(),
        false => call(TO_JSON, vec![value.clone()]),
    };
    *value = call("coalesce", vec![json, text("null")]);
    let elements = call(
        "array_to_string",
        vec![Expr::Function(gathered), text(between)],
    );
    joined([text("["), elements, text("]")])
}

fn is_call(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Function(function) if own_name(&function.name).as_deref() == Some(name))
}

/// Returns true for a row, and for a list, as far as it is written as one; not for what is JSON already.
fn is_on_a_line(expr: &Expr) -> bool {
    matches!(expr, Expr::Array(_)) || is_call(expr, ROW)
}
