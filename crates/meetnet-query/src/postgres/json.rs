//! `json_agg` and `row_to_json`, made of `to_json` and of functions of lists: so they have order, DISTINCT, FILTER and the limits
//! that lists have.
//!
//! | written | planned |
//! |---|---|
//! | `json_agg(x ORDER BY y)` | `'[' \|\| array_to_string(array_agg(coalesce(to_json(x), 'null') ORDER BY y), ', ') \|\| ']'` |
//! | `json_agg(t)`, `row_to_json(t)` of `FROM (SELECT a, b …) AS t` | the same of `named_struct('a', t.a, 'b', t.b)` |
//!
//! The rows of a subquery with a `*` are not known yet when this is asked; those of a dataset are.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Select,
    TableFactor, visit_expressions_mut,
};

use super::aliases;
use super::emptiness::last_part;
use super::functions::{call, joined, own_name, text};
use crate::functions::TO_JSON;
use crate::parse::meant;

/// The functions, by the names that clients write.
const JSON_AGG: &str = "json_agg";
const ROW_TO_JSON: &str = "row_to_json";
/// What makes a row of its columns.
const ROW: &str = "named_struct";

/// The name of a row, and the names of its columns.
type Row = (Ident, Vec<String>);

/// Puts the columns of a row where its name stands for it; `columns_of` says those of a table.
pub(super) fn spread_rows(select: &mut Select, columns_of: impl Fn(&str) -> Option<Vec<String>>) {
    let Select {
        projection, from, ..
    } = select;
    let rows_of = || -> Vec<Row> {
        let tables = from.iter().flat_map(|from| {
            let joined = from.joins.iter().map(|join| &join.relation);
            std::iter::once(&from.relation).chain(joined)
        });
        tables
            .filter_map(|table| row_of(table, &columns_of))
            .collect()
    };
    let mut rows: Option<Vec<Row>> = None;
    // The visitor never breaks.
    let _ = visit_expressions_mut(projection, |expr| {
        if let Some(argument) = named_row(expr)
            && let Some(row) = spread(argument, rows.get_or_insert_with(rows_of))
        {
            *argument = row;
        }
        ControlFlow::<()>::Continue(())
    });
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
fn spread(name: &Expr, rows: &[Row]) -> Option<Expr> {
    let Expr::Identifier(name) = name else {
        return None;
    };
    let name = meant(name);
    if rows.iter().any(|(_, columns)| columns.contains(&name)) {
        return None;
    }
    let (row, columns) = rows.iter().find(|(row, _)| meant(row) == name)?;
    let parts = columns.iter().flat_map(|column| {
        let quoted = Ident::with_quote('"', column.as_str());
        [
            text(column),
            Expr::CompoundIdentifier(vec![row.clone(), quoted]),
        ]
    });
    Some(call(ROW, parts.collect()))
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
    // As PostgreSQL writes them.
    let between = if is_row(value) { ", \n " } else { ", " };
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

/// Returns true for a row, and for one that is JSON already.
fn is_row(expr: &Expr) -> bool {
    match expr {
        Expr::Function(function) if is_call(expr, TO_JSON) => super::functions::arguments(function)
            .into_iter()
            .any(is_row),
        expr => is_call(expr, ROW),
    }
}
