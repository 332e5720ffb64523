//! Rows that are meant by the name of their table: `row_to_json(t)`, `json_agg(t)`, `json_agg(t.*)`, `count(t)`.
//!
//! ```text
//! SELECT row_to_json(t) FROM a JOIN b AS t USING (id)
//!   ─▶ SELECT row_to_json(t."row of t") FROM a JOIN (SELECT *, <row of all columns> AS "row of t" FROM b AS t) AS t USING (id)
//! ```
//!
//! The row is a column of its table, made beneath all joins: where an outer join finds none it is NULL, and a subquery that stands in
//! this one means it as it means every other column. Which columns it has, and whether a column is called like the table and comes
//! first, the planner says: `functions/json/row.rs`. A `*` leaves the row out.
//!
//! A table that is LATERAL, or a series, has no row here.

use std::collections::BTreeSet;
use std::mem;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, ExcludeSelectItem, Expr, FunctionArg, FunctionArgExpr, FunctionArguments,
    GroupByExpr, Ident, ObjectName, OrderBy, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, TableWithJoins, Value,
    VisitMut, VisitorMut, WildcardAdditionalOptions, visit_expressions,
};
use meetnet_sql::json::{ALL_COLUMNS, AS_GEOJSON, BY_NAME};

use super::binary;
use super::json_calls::{JSON_CALLS, arguments, name_of};
use super::row_members::query_of;
use crate::error::{QueryError, QueryErrorKind};
use crate::options::Dialect;
use crate::parse::{meant, parsed_mut};

/// What the name of a column begins with that is the row of a table: nobody has written it.
pub(crate) const ROW_NAME: &str = "row of ";
/// Other functions whose argument may be a row.
const OTHER_CALLS: [&str; 3] = ["array_agg", COUNT, AS_GEOJSON];
/// Of all columns it is that of rows, as it was before.
const COUNT: &str = "count";
/// Names of rows in one statement: a condition that is handed down has all columns of the row in it.
const NAMES_MAX: usize = 200;

/// Puts the columns in place of names that mean rows. Outside PostgreSQL's dialect columns that are JSON get the name that is written.
///
/// # Errors
/// `TooLarge` where there are too many such names.
pub(super) fn name_rows(statement: &mut Statement, dialect: Dialect) -> Result<(), QueryError> {
    let Some(parsed) = parsed_mut(statement) else {
        return Ok(());
    };
    let mut rows = NamedRows {
        queries: Vec::new(),
        names_left: NAMES_MAX,
        has_written_names: dialect == Dialect::Generic,
    };
    match parsed.visit(&mut rows) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(QueryError::new(
            QueryErrorKind::TooLarge,
            format!("a statement may mean rows by names of tables {NAMES_MAX} times"),
        )),
    }
}

/// Puts columns in place of names, query by query.
struct NamedRows {
    /// Those around what is visited, the innermost last.
    queries: Vec<Around>,
    names_left: usize,
    has_written_names: bool,
}

/// A query around what is visited.
struct Around {
    /// What it reads from, by what it is called there, and whether its row can be had.
    tables: Vec<(Ident, bool)>,
    /// The tables whose rows are meant.
    meant: BTreeSet<String>,
    /// The body has not been reached: what is visited stands in its WITH, which sees none of its tables.
    is_ahead: bool,
    /// It is a part of a UNION or the like, which has no ORDER BY.
    is_part: bool,
    /// In how many subqueries of its FROM what is visited stands: they see none of its tables.
    subqueries: usize,
}

impl Around {
    fn new(select: Option<&Select>) -> Self {
        let mut tables = Vec::new();
        for from in select.into_iter().flat_map(|select| &select.from) {
            list_tables(from, &mut tables);
        }
        Self {
            tables,
            meant: BTreeSet::new(),
            is_ahead: select.is_some(),
            is_part: false,
            subqueries: 0,
        }
    }
}

impl NamedRows {
    /// Returns the column that is the row of a table.
    fn row_of(&mut self, table: &Ident) -> ControlFlow<(), Option<Expr>> {
        let name = meant(table);
        let mut queries = self.queries.iter_mut().rev();
        let found = queries.find_map(|query| {
            let is_seen = !query.is_ahead && query.subqueries == 0;
            let mut tables = query.tables.iter().filter(|_| is_seen);
            let (table, has_row) = tables.find(|(table, _)| meant(table) == name)?;
            Some((table.clone(), *has_row, &mut query.meant))
        });
        let Some((table, true, of_query)) = found else {
            return ControlFlow::Continue(None);
        };
        let Some(left) = self.names_left.checked_sub(1) else {
            return ControlFlow::Break(());
        };
        self.names_left = left;
        of_query.insert(name);
        ControlFlow::Continue(Some(row_column(&table)))
    }
}

impl VisitorMut for NamedRows {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let select = match query.body.as_ref() {
            SetExpr::Select(select) => Some(select.as_ref()),
            _ => None,
        };
        self.queries.push(Around::new(select));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(around) = self.queries.pop()
            && let SetExpr::Select(select) = query.body.as_mut()
        {
            add_rows(select, query.order_by.as_mut(), &around);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let query = self.queries.last_mut();
        let is_body = query.is_some_and(|around| mem::take(&mut around.is_ahead));
        if !is_body {
            self.queries.push(Around {
                is_ahead: false,
                is_part: true,
                ..Around::new(Some(&*select))
            });
        }
        if self.has_written_names
            && let Some(around) = self.queries.last()
        {
            for item in &mut select.projection {
                name_as_written(item, &around.tables);
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let Some(around) = self.queries.pop_if(|around| around.is_part) {
            add_rows(select, None, &around);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { .. } = table
            && let Some(around) = self.queries.last_mut()
        {
            around.subqueries += 1;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { .. } = table
            && let Some(around) = self.queries.last_mut()
        {
            around.subqueries = around.subqueries.saturating_sub(1);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        let name = name_of(function).unwrap_or_default();
        let is_json = JSON_CALLS.contains(&name.as_str());
        let FunctionArguments::List(list) = &mut function.args else {
            return ControlFlow::Continue(());
        };
        if !is_json && !OTHER_CALLS.contains(&name.as_str()) {
            return ControlFlow::Continue(());
        }
        for argument in &mut list.args {
            let FunctionArg::Unnamed(argument) = argument else {
                continue;
            };
            let row = match &*argument {
                FunctionArgExpr::Expr(Expr::Identifier(table)) => {
                    let row = self.row_of(table)?;
                    row.map(|row| by_name(table, row))
                }
                FunctionArgExpr::QualifiedWildcard(table) if name != COUNT => {
                    match table.0.as_slice() {
                        [part] => match part.as_ident() {
                            Some(table) => self.row_of(table)?,
                            None => None,
                        },
                        _ => None,
                    }
                }
                _ => None,
            };
            if let Some(row) = row {
                *argument = FunctionArgExpr::Expr(row);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Calls a column that is JSON, or is made of a row, as it is written: what it becomes is long.
fn name_as_written(item: &mut SelectItem, tables: &[(Ident, bool)]) {
    let SelectItem::UnnamedExpr(expr) = item else {
        return;
    };
    let is_table = |expr: &Expr| match expr {
        Expr::Identifier(name) => tables.iter().any(|(table, _)| meant(table) == meant(name)),
        _ => false,
    };
    let is_other = visit_expressions(&*expr, |part| {
        let Expr::Function(function) = part else {
            return ControlFlow::Continue(());
        };
        let name = name_of(function).unwrap_or_default();
        let is_json = JSON_CALLS.contains(&name.as_str()) || name == AS_GEOJSON;
        let is_other = OTHER_CALLS.contains(&name.as_str());
        let has_table =
            || arguments(function).is_some_and(|arguments| arguments.iter().any(is_table));
        match is_json || (is_other && has_table()) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    if is_other.is_break() {
        *item = SelectItem::ExprWithAlias {
            alias: Ident::with_quote('"', expr.to_string()),
            expr: expr.clone(),
        };
    }
}

/// Lists what a query reads from.
fn list_tables(from: &TableWithJoins, tables: &mut Vec<(Ident, bool)>) {
    let joined = from.joins.iter().map(|join| &join.relation);
    for table in std::iter::once(&from.relation).chain(joined) {
        match table {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => list_tables(table_with_joins, tables),
            table => tables.extend(called(table)),
        }
    }
}

/// Returns what a table is called, and whether its row can be had.
fn called(table: &TableFactor) -> Option<(Ident, bool)> {
    match table {
        TableFactor::Table {
            name, alias, args, ..
        } => {
            let name = match alias {
                Some(alias) => alias.name.clone(),
                None => name.0.last()?.as_ident()?.clone(),
            };
            Some((name, args.is_none()))
        }
        TableFactor::Derived { lateral, alias, .. } => {
            let alias = alias.as_ref()?;
            Some((alias.name.clone(), !lateral))
        }
        TableFactor::Function { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => {
            let alias = alias.as_ref()?;
            Some((alias.name.clone(), false))
        }
        _ => None,
    }
}

/// Adds the rows that are meant to the tables of a query.
fn add_rows(select: &mut Select, order_by: Option<&mut OrderBy>, around: &Around) {
    if around.meant.is_empty() {
        return;
    }
    name_keys(select, order_by, around);
    let all: Vec<ObjectName> = around.meant.iter().map(|table| row_name(table)).collect();
    for item in &mut select.projection {
        match item {
            SelectItem::Wildcard(options) => leave_out(options, &all),
            SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(table),
                options,
            ) => {
                let table = table.0.last().and_then(|part| part.as_ident()).map(meant);
                if let Some(table) = table.filter(|table| around.meant.contains(table)) {
                    leave_out(options, &[row_name(&table)]);
                }
            }
            _ => {}
        }
    }
    for from in &mut select.from {
        add_to_tables(from, &around.meant);
    }
}

/// Puts rows in place of names that stand by themselves in GROUP BY and ORDER BY, and are not those of columns that are answered.
fn name_keys(select: &mut Select, order_by: Option<&mut OrderBy>, around: &Around) {
    let is_answered = |name: &str| {
        select.projection.iter().any(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } => meant(alias) == name,
            SelectItem::UnnamedExpr(Expr::Identifier(column)) => meant(column) == name,
            _ => false,
        })
    };
    let named = |key: &Expr| match key {
        Expr::Identifier(table) => {
            let name = meant(table);
            let is_row = around.meant.contains(&name) && !is_answered(&name);
            is_row.then(|| by_name(table, row_column(table)))
        }
        _ => None,
    };
    if let Some(OrderBy {
        kind: OrderByKind::Expressions(keys),
        ..
    }) = order_by
    {
        for key in keys {
            if let Some(row) = named(&key.expr) {
                key.expr = row;
            }
        }
    }
    let grouped: Vec<Option<Expr>> = match &select.group_by {
        GroupByExpr::Expressions(keys, _) => keys.iter().map(named).collect(),
        GroupByExpr::All(_) => Vec::new(),
    };
    if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
        for (key, row) in keys.iter_mut().zip(grouped) {
            if let Some(row) = row {
                *key = row;
            }
        }
    }
}

fn leave_out(options: &mut WildcardAdditionalOptions, rows: &[ObjectName]) {
    let mut left_out = match options.opt_exclude.take() {
        Some(ExcludeSelectItem::Single(column)) => vec![column],
        Some(ExcludeSelectItem::Multiple(columns)) => columns,
        None => Vec::new(),
    };
    left_out.extend_from_slice(rows);
    options.opt_exclude = Some(ExcludeSelectItem::Multiple(left_out));
}

fn add_to_tables(from: &mut TableWithJoins, rows: &BTreeSet<String>) {
    let joined = from.joins.iter_mut().map(|join| &mut join.relation);
    for table in std::iter::once(&mut from.relation).chain(joined) {
        match table {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => add_to_tables(table_with_joins, rows),
            table => add_to_table(table, rows),
        }
    }
}

/// Makes a table one that has its row, too, where that is among those that are meant.
fn add_to_table(table: &mut TableFactor, rows: &BTreeSet<String>) {
    let Some((name, true)) = called(table) else {
        return;
    };
    if !rows.contains(&meant(&name)) {
        return;
    }
    let nothing = || Expr::Value(Value::Null.with_empty_span());
    let all = BinaryOperator::Custom(ALL_COLUMNS.to_owned());
    let columns = vec![
        SelectItem::Wildcard(WildcardAdditionalOptions::default()),
        SelectItem::ExprWithAlias {
            expr: binary(nothing(), all, nothing()),
            alias: row_ident(&meant(&name)),
        },
    ];
    *table = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query_of(columns, table.clone())),
        alias: Some(TableAlias {
            explicit: true,
            name,
            columns: Vec::new(),
            at: None,
        }),
        sample: None,
    };
}

/// Returns the row that a name means where no column has it.
fn by_name(name: &Ident, row: Expr) -> Expr {
    let by_name = BinaryOperator::Custom(BY_NAME.to_owned());
    binary(Expr::Identifier(name.clone()), by_name, row)
}

/// Returns the column that is the row of a table.
fn row_column(table: &Ident) -> Expr {
    Expr::CompoundIdentifier(vec![table.clone(), row_ident(&meant(table))])
}

fn row_name(table: &str) -> ObjectName {
    ObjectName::from(vec![row_ident(table)])
}

fn row_ident(table: &str) -> Ident {
    Ident::with_quote('"', format!("{ROW_NAME}{table}"))
}
