//! `LIKE 'a/_%' ESCAPE '/'`: the one character that takes away what another means is the backslash here, and with any other
//! DataFusion 55.2 plans nothing. A pattern is written anew with backslashes: one that is known in the statement, another by
//! a call for each row.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Value, ValueWithSpan, VisitMut, VisitorMut};
use meetnet_sql::{ESCAPED_LIKE, with_backslashes};

use super::functions::{call, literal, text};
use crate::parse::parsed_mut;

/// Writes the patterns of a statement with backslashes.
pub(crate) fn escape_by_backslash(statement: &mut Statement) {
    if let Some(parsed) = parsed_mut(statement) {
        // The visitor never breaks.
        let _ = parsed.visit(&mut Escapes);
    }
}

struct Escapes;

impl VisitorMut for Escapes {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let (Expr::Like {
            pattern,
            escape_char,
            ..
        }
        | Expr::ILike {
            pattern,
            escape_char,
            ..
        }) = expr
        else {
            return ControlFlow::Continue(());
        };
        let Some(escape) = escape_char.as_ref().and_then(escape_of) else {
            return ControlFlow::Continue(());
        };
        // Without any it is the backslash.
        if escape != Some('\\') {
            let written = literal(pattern).map(|pattern| text(&with_backslashes(pattern, escape)));
            **pattern = written.unwrap_or_else(|| {
                let escape = escape.map(String::from).unwrap_or_default();
                call(ESCAPED_LIKE, vec![(**pattern).clone(), text(&escape)])
            });
        }
        *escape_char = None;
        ControlFlow::Continue(())
    }
}

/// Returns the character that escapes; Some(None): there is none, and every character means itself. What is no character is left to
/// the planner.
fn escape_of(written: &ValueWithSpan) -> Option<Option<char>> {
    let (Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text)) = &written.value
    else {
        return None;
    };
    let mut letters = text.chars();
    let escape = letters.next();
    letters.next().is_none().then_some(escape)
}
