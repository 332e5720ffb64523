//! The part of a text that a pattern matches, as PostgreSQL writes it.
//!
//! | written | planned |
//! |---|---|
//! | `substring(x FROM 'a(.)')`, `substring(x, 'a(.)')` | `substring_of_pattern(x, 'a(.)')` |
//! | `substring(x FROM '%#"a_#"%' FOR '#')` | `substring_of_pattern(x, '%#"a_#"%', '#')` |
//!
//! `substring(x SIMILAR pattern ESCAPE '#')` has been read as the second. A number says where the part begins, and stays, as does
//! whatever may be one, and `substr`.

use datafusion::sql::sqlparser::ast::{BinaryOperator, DataType, Expr, Value};
use meetnet_sql::SUBSTRING_OF_PATTERN;

use super::spelling::call;

/// Returns the call that `substring` means where a pattern is written in it.
pub(super) fn matched_part(expr: &Expr) -> Option<Expr> {
    let Expr::Substring {
        expr: text,
        substring_from: Some(pattern),
        substring_for: escape,
        shorthand: false,
        ..
    } = expr
    else {
        return None;
    };
    let mut patterns = [pattern].into_iter().chain(escape);
    if !patterns.all(|pattern| is_text(pattern)) {
        return None;
    }
    let arguments = [text, pattern].into_iter().chain(escape);
    let arguments = arguments.map(|argument| (**argument).clone()).collect();
    Some(Expr::Function(call(SUBSTRING_OF_PATTERN, arguments)))
}

/// Returns true for what is a text whatever the tables hold.
pub(super) fn is_text(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(
            value.value,
            Value::SingleQuotedString(_)
                | Value::DollarQuotedString(_)
                | Value::EscapedStringLiteral(_)
                | Value::UnicodeStringLiteral(_)
                | Value::NationalStringLiteral(_)
        ),
        Expr::TypedString(typed) => is_text_type(&typed.data_type),
        Expr::Cast { data_type, .. } => is_text_type(data_type),
        Expr::BinaryOp { op, .. } => *op == BinaryOperator::StringConcat,
        Expr::Nested(expr) | Expr::Collate { expr, .. } => is_text(expr),
        _ => false,
    }
}

fn is_text_type(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Text
            | DataType::Varchar(_)
            | DataType::CharVarying(_)
            | DataType::CharacterVarying(_)
            | DataType::Nvarchar(_)
            | DataType::String(_)
    )
}
