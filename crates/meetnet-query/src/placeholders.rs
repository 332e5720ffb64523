//! Placeholders: how those without a number are numbered, `?`, as drivers write them that know no `$1`, and what others are called.

use std::ops::ControlFlow;

use datafusion::error::Result;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Value, ValueWithSpan, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::tokenizer::Location;

use crate::error::{QueryError, QueryErrorKind};
use crate::parse::parsed_mut;

#[cfg(test)]
mod tests;

/// Numbers the `?` of a statement in the order of its text: `x > ? AND y < ?` is `x > $1 AND y < $2`.
///
/// # Errors
/// `BadRequest` where it has `$1` or `$name` as well: nobody could say which value is whose.
pub(crate) fn numbered(statement: &mut Statement) -> Result<()> {
    let mut found = Found::default();
    visit(statement, &mut found);
    if found.unnumbered.is_empty() {
        return Ok(());
    }
    if found.has_others {
        let message =
            "the statement has placeholders of both kinds, ? and $1; write all of them in one way";
        return Err(QueryError::new(QueryErrorKind::BadRequest, message).into());
    }
    // The tree is not in the order of the text: LIMIT may stand before what it limits.
    found.unnumbered.sort_unstable();
    found.unnumbered.dedup();
    visit(statement, &mut Numbering(found.unnumbered));
    Ok(())
}

/// Returns the name of a placeholder, without `$`, whatever brackets are around it; None for every other expression.
pub(crate) fn name_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Nested(expr) => name_of(expr),
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => Some(name.trim_start_matches('$')),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the greatest number of a placeholder, `$3`; 0 where there is none.
pub(crate) fn greatest(statement: &mut Statement) -> usize {
    let mut greatest = Greatest(0);
    visit(statement, &mut greatest);
    greatest.0
}

struct Greatest(usize);

impl VisitorMut for Greatest {
    type Break = ();

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        if let Value::Placeholder(name) = &value.value
            && let Some(number) = name.strip_prefix('$').and_then(|name| name.parse().ok())
        {
            self.0 = self.0.max(number);
        }
        ControlFlow::Continue(())
    }
}

fn visit(statement: &mut Statement, visitor: &mut impl VisitorMut<Break = ()>) {
    if let Some(parsed) = parsed_mut(statement) {
        // Neither visitor breaks off.
        let _ = parsed.visit(visitor);
    }
}

/// The placeholders of a statement.
#[derive(Default)]
struct Found {
    /// Where each `?` stands.
    unnumbered: Vec<Location>,
    /// There are such with a number or a name.
    has_others: bool,
}

impl VisitorMut for Found {
    type Break = ();

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        match &value.value {
            Value::Placeholder(name) if name == "?" => self.unnumbered.push(value.span.start),
            Value::Placeholder(_) => self.has_others = true,
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Where each `?` stands, in order.
struct Numbering(Vec<Location>);

impl VisitorMut for Numbering {
    type Break = ();

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        if let Value::Placeholder(name) = &mut value.value
            && let Ok(position) = self.0.binary_search(&value.span.start)
        {
            *name = format!("${}", position + 1);
        }
        ControlFlow::Continue(())
    }
}
