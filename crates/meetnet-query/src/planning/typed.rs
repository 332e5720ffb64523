//! Values that a type is written with, in words that DataFusion plans: texts that are cut, spans of time, and decimal numbers.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, CharLengthUnits, CharacterLength, DataType, ExactNumberInfo, Expr,
    UnaryOperator, Value, VisitMut, VisitorMut,
};

use meetnet_sql::literals::{parts_of_number, without_exponent};

use super::spans::in_units;
use crate::parameters::Parameters;
use crate::parse::parsed_mut;
use crate::placeholders;
use crate::postgres::array_elements;

#[cfg(test)]
mod tests;

/// Digits of a decimal number that a float always keeps.
const FLOAT_DIGITS: usize = 15;
/// Digits behind the point of a decimal number whose type says no size.
const FRACTION: usize = 10;
/// Digits of such a number, in all.
const DIGITS: usize = 38;
/// Digits of a decimal number, in all.
const DIGITS_MAX: usize = 76;

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

/// Gives a decimal type that says no size all the digits that a number has which is cast to it, or a list of numbers, and makes a text of
/// a number that would lose digits as a float.
fn keep_digits(expr: &mut Expr) {
    match expr {
        Expr::Cast {
            expr,
            data_type,
            array: false,
            ..
        } => {
            let numbers = written_numbers(expr);
            let is_wide = widen(data_type, &numbers);
            let is_list = matches!(data_type, DataType::Array(_));
            let is_decimal = matches!(
                data_type,
                DataType::Decimal(_) | DataType::Numeric(_) | DataType::Dec(_)
            );
            let are_long = is_decimal && numbers.iter().any(|number| has_many_digits(number));
            match expr.as_mut() {
                Expr::Array(Array { elem, .. }) if is_list && is_wide => {
                    elem.iter_mut().for_each(as_text);
                }
                written if is_wide || are_long => as_text(written),
                _ => {}
            }
        }
        Expr::TypedString(typed) => {
            if let Value::SingleQuotedString(text) = &typed.value.value {
                let numbers = [text.clone()];
                widen(&mut typed.data_type, &numbers);
            }
        }
        _ => {}
    }
}

/// Gives the decimal types that parameters are cast to the digits of their values, where they say no size.
pub(super) fn keep_digits_of_parameters(statement: &mut Statement, values: &Parameters) {
    if values.is_empty() {
        return;
    }
    if let Some(parsed) = parsed_mut(statement) {
        // The visitor never breaks.
        let _ = parsed.visit(&mut ParameterDigits(values));
    }
}

struct ParameterDigits<'a>(&'a Parameters);

impl VisitorMut for ParameterDigits<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Cast {
            expr, data_type, ..
        } = expr
            && is_sizeless(data_type)
            && let Some(name) = placeholders::name_of(expr)
            && let Some(value) = self.0.get(name)
        {
            let numbers = value.numbers(matches!(data_type, DataType::Array(_)));
            widen(data_type, &numbers);
        }
        ControlFlow::Continue(())
    }
}

/// Returns the numbers that are written, as they are: one, or those of an array. None is where something else is among them, too.
fn written_numbers(expr: &Expr) -> Vec<String> {
    match expr {
        Expr::Array(Array { elem, .. }) => elem.iter().filter_map(written_number).collect(),
        expr => match written_number(expr) {
            Some(text) if text.trim_start().starts_with('{') => numbers_of_list(&text),
            number => number.into_iter().collect(),
        },
    }
}

/// Returns the numbers of a list that is written as a text.
fn numbers_of_list(text: &str) -> Vec<String> {
    let elements = array_elements(text).unwrap_or_default();
    elements.into_iter().flatten().collect()
}

/// Returns the text of a number, or a text, that is written.
fn written_number(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(expr) => written_number(expr),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => match expr.as_ref() {
            Expr::Value(value) => match &value.value {
                Value::Number(number, _) => Some(format!("-{number}")),
                _ => None,
            },
            _ => None,
        },
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) | Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// Makes a text of a number that is written.
fn as_text(expr: &mut Expr) {
    if let Some(number) = written_number(expr) {
        *expr = Expr::Value(Value::SingleQuotedString(number).with_empty_span());
    }
}

/// Returns true for a number with a point that has too many digits for a float.
fn has_many_digits(number: &str) -> bool {
    let is_plain = number
        .bytes()
        .all(|sign| sign.is_ascii_digit() || b".-".contains(&sign));
    let digits = number.strip_prefix('-').unwrap_or(number);
    is_plain && number.contains('.') && digits.len() > FLOAT_DIGITS
}

/// Returns the size that a decimal type says, or a list of such, if it is one.
fn size_of_decimal(data_type: &mut DataType) -> Option<&mut ExactNumberInfo> {
    match data_type {
        DataType::Decimal(size) | DataType::Numeric(size) => Some(size),
        DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) => size_of_decimal(element),
        _ => None,
    }
}

fn is_sizeless(data_type: &mut DataType) -> bool {
    matches!(size_of_decimal(data_type), Some(ExactNumberInfo::None))
}

/// Gives a decimal type that says no size one with the digits of numbers that would lose some otherwise; returns true where it has one
/// now.
fn widen(data_type: &mut DataType, numbers: &[String]) -> bool {
    let Some(size) = size_of_decimal(data_type) else {
        return false;
    };
    if *size != ExactNumberInfo::None {
        return false;
    }
    let (mut whole, mut fraction) = (0, FRACTION);
    for number in numbers {
        if let Some(of_number) = digits(number) {
            whole = whole.max(of_number.0);
            fraction = fraction.max(of_number.1);
        }
    }
    if fraction == FRACTION && whole + fraction <= DIGITS {
        return false;
    }
    let Some(left) = DIGITS_MAX.checked_sub(whole) else {
        return false;
    };
    // What has no room behind the point is rounded.
    let fraction = fraction.min(left);
    // A product of two has the digits behind the point of both.
    let precision = match whole + fraction <= DIGITS && 2 * fraction <= DIGITS {
        true => DIGITS,
        false => (whole.max(DIGITS - FRACTION) + fraction).min(DIGITS_MAX),
    };
    let (Ok(precision), Ok(fraction)) = (u64::try_from(precision), i64::try_from(fraction)) else {
        return false;
    };
    *size = ExactNumberInfo::PrecisionAndScale(precision, fraction);
    true
}

/// Returns how many digits a number has before the point and behind it; None for what is none.
fn digits(number: &str) -> Option<(usize, usize)> {
    let plain = without_exponent(number);
    let plain = plain.as_deref().unwrap_or(number).trim();
    let (whole, fraction) = parts_of_number(plain)?;
    Some((whole.trim_start_matches('0').len(), fraction.len()))
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
