//! Windows that have a name, wherever they are meant.
//!
//! ```text
//! sum(car) OVER (w ROWS 1 PRECEDING) … WINDOW w AS (PARTITION BY segment_id ORDER BY time)
//! ─▶ sum(car) OVER (PARTITION BY segment_id ORDER BY time ROWS 1 PRECEDING)
//! ```
//!
//! DataFusion 55.2 reads a name that stands in brackets and forgets it: the window was one of all rows, in any order, and no error
//! says so. Behind ORDER BY and in QUALIFY it knows of no names at all.

use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, NamedWindowDefinition, NamedWindowExpr, Query, Select, SetExpr, VisitMut,
    VisitorMut, WindowSpec, WindowType,
};

use crate::error::{QueryError, QueryErrorKind};
use crate::parse::parsed_mut;

#[cfg(test)]
mod tests;

/// Writes out what the names of windows mean.
///
/// # Errors
/// `BadRequest` for a name that no window of the same SELECT has, and for what a window with such a name cannot be given besides,
/// as in PostgreSQL: another PARTITION BY, a second ORDER BY, or a frame where it has one.
pub(super) fn write_out_windows(statement: &mut Statement) -> Result<()> {
    let Some(parsed) = parsed_mut(statement) else {
        return Ok(());
    };
    match parsed.visit(&mut Queries).break_value() {
        None => Ok(()),
        Some(message) => Err(QueryError::new(QueryErrorKind::BadRequest, message).into()),
    }
}

/// What the windows of one SELECT are called, and what they are.
type Windows = Vec<(String, WindowSpec)>;

/// Writes out windows of each query, the innermost first; breaks with what is wrong.
struct Queries;

impl VisitorMut for Queries {
    type Break = String;

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<String> {
        let windows = defined(&mut select.named_window)?;
        let mut calls = Calls { windows: &windows };
        select.projection.visit(&mut calls)?;
        select.distinct.visit(&mut calls)?;
        select.qualify.visit(&mut calls)
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<String> {
        let windows = match query.body.as_mut() {
            SetExpr::Select(select) => defined(&mut select.named_window)?,
            _ => Windows::new(),
        };
        query.order_by.visit(&mut Calls { windows: &windows })
    }
}

/// Writes out the windows of calls.
struct Calls<'a> {
    windows: &'a Windows,
}

impl VisitorMut for Calls<'_> {
    type Break = String;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<String> {
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        match &mut function.over {
            Some(WindowType::NamedWindow(name)) => {
                let window = named(self.windows, name)?.clone();
                function.over = Some(WindowType::WindowSpec(window));
                ControlFlow::Continue(())
            }
            Some(WindowType::WindowSpec(window)) => write_out(window, self.windows),
            None => ControlFlow::Continue(()),
        }
    }
}

/// Returns the windows of a WINDOW, written out; each may be made of one before it.
fn defined(definitions: &mut [NamedWindowDefinition]) -> ControlFlow<String, Windows> {
    let mut windows = Windows::new();
    for NamedWindowDefinition(name, definition) in definitions {
        let window = match definition {
            NamedWindowExpr::NamedWindow(other) => named(&windows, other)?.clone(),
            NamedWindowExpr::WindowSpec(window) => {
                write_out(window, &windows)?;
                window.clone()
            }
        };
        windows.push((meant(name), window));
    }
    ControlFlow::Continue(windows)
}

/// Puts the window that another one names in brackets into that.
fn write_out(window: &mut WindowSpec, windows: &Windows) -> ControlFlow<String> {
    let Some(name) = window.window_name.take() else {
        return ControlFlow::Continue(());
    };
    let of_name = named(windows, &name)?;
    if !window.partition_by.is_empty() {
        return ControlFlow::Break(format!(
            "the window `{name}` says what rows are parted by: PARTITION BY cannot stand beside its name"
        ));
    }
    if !window.order_by.is_empty() && !of_name.order_by.is_empty() {
        return ControlFlow::Break(format!(
            "the window `{name}` has an ORDER BY: another one cannot stand beside its name"
        ));
    }
    if of_name.window_frame.is_some() {
        return ControlFlow::Break(format!(
            "the window `{name}` has a frame, and is no part of another window; OVER {name} without brackets is the window \
             itself"
        ));
    }
    window.partition_by.clone_from(&of_name.partition_by);
    if window.order_by.is_empty() {
        window.order_by.clone_from(&of_name.order_by);
    }
    ControlFlow::Continue(())
}

/// Returns the window with a name; breaks where there is none.
fn named<'a>(windows: &'a Windows, name: &Ident) -> ControlFlow<String, &'a WindowSpec> {
    let wanted = meant(name);
    match windows.iter().find(|(name, _)| *name == wanted) {
        Some((_, window)) => ControlFlow::Continue(window),
        None => ControlFlow::Break(format!("there is no window `{name}` in this SELECT")),
    }
}

/// Returns what a name means: without quotes, capitals are as good as small letters.
pub(super) fn meant(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}
