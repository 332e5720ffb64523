//! Values that a type is written with, in words that DataFusion plans: texts that are cut, spans of time, and decimal numbers.

use datafusion::sql::sqlparser::ast::{
    CharLengthUnits, CharacterLength, DataType, Expr, UnaryOperator, Value,
};

use super::spans::in_units;

/// Digits of a decimal number that a float always keeps.
const FLOAT_DIGITS: usize = 15;

/// Writes a value and its type in the words that DataFusion plans.
pub(super) fn respell_typed(expr: &mut Expr) {
    cut(expr);
    read_span(expr);
    keep_digits(expr);
}

/// Writes a span of time in the words that Arrow reads.
fn read_span(expr: &mut Expr) {
    let written = match expr {
        Expr::Interval(interval) if interval.leading_field.is_none() => interval.value.as_mut(),
        Expr::Cast {
            expr,
            data_type: DataType::Interval { .. },
            ..
        } => expr.as_mut(),
        _ => return,
    };
    if let Expr::Value(value) = written
        && let Value::SingleQuotedString(text) = &mut value.value
        && let Some(other) = in_units(text)
    {
        *text = other;
    }
}

/// Makes a text of a number that is cast to a decimal one, where it has more digits than a float keeps.
fn keep_digits(expr: &mut Expr) {
    let Expr::Cast {
        expr,
        data_type: DataType::Decimal(_) | DataType::Numeric(_) | DataType::Dec(_),
        ..
    } = expr
    else {
        return;
    };
    let digits = match &**expr {
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => many_digits(expr).map(|digits| format!("-{digits}")),
        expr => many_digits(expr).map(str::to_owned),
    };
    if let Some(digits) = digits {
        **expr = Expr::Value(Value::SingleQuotedString(digits).with_empty_span());
    }
}

/// Returns the digits of a number with a point that has too many for a float.
fn many_digits(expr: &Expr) -> Option<&str> {
    let Expr::Value(value) = expr else {
        return None;
    };
    let Value::Number(number, _) = &value.value else {
        return None;
    };
    let is_plain = number
        .bytes()
        .all(|sign| sign.is_ascii_digit() || sign == b'.');
    (is_plain && number.contains('.') && number.len() > FLOAT_DIGITS).then_some(number.as_str())
}

/// Cuts off what is longer than the type that a value is cast to, as PostgreSQL does: DataFusion 55.2 takes no notice of a length.
fn cut(expr: &mut Expr) {
    let (length, data_type) = match expr {
        Expr::Cast {
            data_type,
            array: false,
            ..
        } => (length_of(data_type), data_type),
        Expr::TypedString(typed) => (length_of(&typed.data_type), &mut typed.data_type),
        _ => return,
    };
    let Some(length) = length else {
        return;
    };
    *data_type = DataType::Varchar(None);
    let number = |number: u64| {
        let number = Value::Number(number.to_string(), false).with_empty_span();
        Some(Box::new(Expr::Value(number)))
    };
    let text = std::mem::replace(expr, Expr::Value(Value::Null.with_empty_span()));
    *expr = Expr::Substring {
        expr: Box::new(text),
        substring_from: number(1),
        substring_for: number(length),
        special: false,
        shorthand: false,
    };
}

/// Returns how many characters a type of texts has at most, where it says so; CHAR is CHAR(1).
fn length_of(data_type: &DataType) -> Option<u64> {
    let length = match data_type {
        DataType::Char(None) | DataType::Character(None) => return Some(1),
        DataType::Char(length)
        | DataType::Character(length)
        | DataType::CharVarying(length)
        | DataType::CharacterVarying(length)
        | DataType::Nvarchar(length)
        | DataType::Varchar(length) => length.as_ref()?,
        _ => return None,
    };
    match length {
        CharacterLength::IntegerLength {
            length,
            unit: None | Some(CharLengthUnits::Characters),
        } => Some(*length),
        _ => None,
    }
}
