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
use crate::parse::{meant, parsed_mut};

#[cfg(test)]
mod tests;

/// How much the windows of a statement may be, written out: a long one may be meant by many calls, and windows may be of queries
/// that stand in windows.
const WRITTEN_BYTES_MAX: usize = 1_000_000;

/// Writes out what the names of windows mean.
///
/// # Errors
/// `BadRequest` for a name that no window of the same SELECT has, and for what a window with such a name cannot be given besides,
/// as in PostgreSQL: another PARTITION BY, a second ORDER BY, or a frame where it has one. `TooLarge` where all of them written
/// out are longer than a million bytes.
pub(super) fn write_out_windows(statement: &mut Statement) -> Result<()> {
    let Some(parsed) = parsed_mut(statement) else {
        return Ok(());
    };
    let mut queries = Queries { written: 0 };
    match parsed.visit(&mut queries).break_value() {
        None => Ok(()),
        Some(error) => Err(error.into()),
    }
}

/// One of the windows of a SELECT that have a name.
struct NamedWindow {
    /// What its name means.
    name: String,
    window: WindowSpec,
    /// How long it is.
    bytes: usize,
}

/// Writes out windows of each query, the innermost first; breaks with what is wrong.
struct Queries {
    /// How many bytes have been written out.
    written: usize,
}

impl VisitorMut for Queries {
    type Break = QueryError;

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<QueryError> {
        let windows = defined(&mut select.named_window, &mut self.written)?;
        let mut calls = Calls {
            windows: &windows,
            written: &mut self.written,
        };
        select.projection.visit(&mut calls)?;
        select.distinct.visit(&mut calls)?;
        select.qualify.visit(&mut calls)
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<QueryError> {
        if query.order_by.is_none() {
            return ControlFlow::Continue(());
        }
        let windows = match query.body.as_mut() {
            SetExpr::Select(select) => defined(&mut select.named_window, &mut self.written)?,
            _ => Vec::new(),
        };
        let mut calls = Calls {
            windows: &windows,
            written: &mut self.written,
        };
        query.order_by.visit(&mut calls)
    }
}

/// Writes out the windows of calls.
struct Calls<'a> {
    windows: &'a [NamedWindow],
    /// That of [`Queries`].
    written: &'a mut usize,
}

impl VisitorMut for Calls<'_> {
    type Break = QueryError;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<QueryError> {
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        match &mut function.over {
            Some(WindowType::NamedWindow(name)) => {
                let window = named(self.windows, name, self.written)?.clone();
                function.over = Some(WindowType::WindowSpec(window));
                ControlFlow::Continue(())
            }
            Some(WindowType::WindowSpec(window)) => write_out(window, self.windows, self.written),
            None => ControlFlow::Continue(()),
        }
    }
}

/// Returns the windows of a WINDOW, written out; each may be made of one before it.
fn defined(
    definitions: &mut [NamedWindowDefinition],
    written: &mut usize,
) -> ControlFlow<QueryError, Vec<NamedWindow>> {
    let mut windows: Vec<NamedWindow> = Vec::new();
    for NamedWindowDefinition(name, definition) in definitions {
        let window = match definition {
            NamedWindowExpr::NamedWindow(other) => named(&windows, other, written)?.clone(),
            NamedWindowExpr::WindowSpec(window) => {
                write_out(window, &windows, written)?;
                window.clone()
            }
        };
        windows.push(NamedWindow {
            name: meant(name),
            bytes: window.to_string().len(),
            window,
        });
    }
    ControlFlow::Continue(windows)
}

/// Puts the window that another one names in brackets into that.
fn write_out(
    window: &mut WindowSpec,
    windows: &[NamedWindow],
    written: &mut usize,
) -> ControlFlow<QueryError> {
    let Some(name) = window.window_name.take() else {
        return ControlFlow::Continue(());
    };
    let of_name = named(windows, &name, written)?;
    if !window.partition_by.is_empty() {
        return refused(format!(
            "the window `{name}` says what rows are parted by: PARTITION BY cannot stand beside its name"
        ));
    }
    if !window.order_by.is_empty() && !of_name.order_by.is_empty() {
        return refused(format!(
            "the window `{name}` has an ORDER BY: another one cannot stand beside its name"
        ));
    }
    if of_name.window_frame.is_some() {
        return refused(format!(
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

/// Returns the window with a name, of which one more is written; breaks where there is none, and where it is one too many.
fn named<'a>(
    windows: &'a [NamedWindow],
    name: &Ident,
    written: &mut usize,
) -> ControlFlow<QueryError, &'a WindowSpec> {
    let wanted = meant(name);
    let Some(found) = windows.iter().find(|window| window.name == wanted) else {
        return refused(format!("there is no window `{name}` in this SELECT"));
    };
    *written = written.saturating_add(found.bytes);
    if *written > WRITTEN_BYTES_MAX {
        let message = format!(
            "the windows with a name are more than {WRITTEN_BYTES_MAX} bytes, written out where they are meant; make them \
             shorter, or ask for fewer at a time"
        );
        return ControlFlow::Break(QueryError::new(QueryErrorKind::TooLarge, message));
    }
    ControlFlow::Continue(&found.window)
}

fn refused<T>(message: String) -> ControlFlow<QueryError, T> {
    ControlFlow::Break(QueryError::new(QueryErrorKind::BadRequest, message))
}
