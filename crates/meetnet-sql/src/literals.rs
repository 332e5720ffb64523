//! Texts in a statement that are read as people write them, where DataFusion wants more.
//!
//! | written | read as |
//! |---|---|
//! | `time >= '2026-02-01 00:00'`, `TIMESTAMP '2026-02-01T00:00+01'`, `to_timestamp('2026-02-01 00:00')` | `… 00:00:00` |
//! | `'45e-1'::decimal` | `'004.5'::decimal`: there Arrow reads no exponents |
//! | `h3_r9 = '891fa47a103ffff'`, `h3_cell(…) IN ('891fa47a103ffff')` | the number of that cell |
//!
//! Only literals are: whole columns of texts are read by Arrow, which is strict.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr::{BinaryExpr, Cast, InList, ScalarFunction, TryCast};
use datafusion::logical_expr::{Expr, LogicalPlan, lit};
use datafusion::optimizer::AnalyzerRule;
use meetnet_model::time::with_seconds;

use crate::functions::literal_text;
use crate::rewrite;

/// What columns and functions of H3 cells are called.
pub const CELLS: &str = "h3_";
/// Places by which an exponent moves the point, and digits of a number with one: more than any float or decimal number has.
const PLACES_MAX: usize = 400;

/// Reads such texts. It goes behind the step that makes types equal, which says what a text is read as.
#[derive(Debug)]
pub struct ReadableTexts;

impl AnalyzerRule for ReadableTexts {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::expressions(plan, |expr| read(expr).is_some(), |expr, _| readable(expr))
    }

    fn name(&self) -> &str {
        "readable_texts"
    }
}

/// Returns an expression with its texts as they are read.
///
/// # Errors
/// None.
pub fn readable(expr: Expr) -> Result<Transformed<Expr>> {
    rewrite::parts(expr, read)
}

/// Returns what an expression is where a text in it is read otherwise than it is written; None for every other one.
fn read(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Cast(cast) => Some(Expr::Cast(Cast {
            expr: Box::new(read_as(cast.field.data_type(), &cast.expr)?),
            field: Arc::clone(&cast.field),
        })),
        Expr::TryCast(cast) => Some(Expr::TryCast(TryCast {
            expr: Box::new(read_as(cast.field.data_type(), &cast.expr)?),
            field: Arc::clone(&cast.field),
        })),
        Expr::ScalarFunction(call) if call.name().starts_with("to_timestamp") => {
            let [text] = call.args.as_slice() else {
                return None;
            };
            let args = vec![whole_time(text)?];
            let call = ScalarFunction::new_udf(Arc::clone(&call.func), args);
            Some(Expr::ScalarFunction(call))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (left, right) = if is_cell(left) {
                (left.clone(), Box::new(lit(cell_in(right)?)))
            } else if is_cell(right) {
                (Box::new(lit(cell_in(left)?)), right.clone())
            } else {
                return None;
            };
            Some(Expr::BinaryExpr(BinaryExpr::new(left, *op, right)))
        }
        Expr::InList(InList {
            expr,
            list,
            negated,
        }) if is_cell(expr) && list.iter().any(|value| cell_in(value).is_some()) => {
            let values = list.iter();
            let values = values.map(|value| cell_in(value).map_or_else(|| value.clone(), lit));
            let list = InList::new(expr.clone(), values.collect(), *negated);
            Some(Expr::InList(list))
        }
        _ => None,
    }
}

/// Returns the literal that is cast in place of another one; None where that is read as it is written.
fn read_as(data_type: &DataType, expr: &Expr) -> Option<Expr> {
    match data_type {
        DataType::Timestamp(..) => whole_time(expr),
        decimal if decimal.is_decimal() => Some(lit(without_exponent(literal_text(expr)??)?)),
        _ => None,
    }
}

/// Returns the text of a literal that is a time without seconds, with them.
fn whole_time(expr: &Expr) -> Option<Expr> {
    Some(lit(with_seconds(literal_text(expr)??)?))
}

/// Returns the digits of a number that is written with an exponent; None for every other text, and for a number that is larger or
/// smaller than a float can be, or has more digits than any number.
pub fn without_exponent(text: &str) -> Option<String> {
    let (number, exponent) = text.trim().split_once(['e', 'E'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let places = exponent.unsigned_abs() as usize;
    if places > PLACES_MAX || number.len() > PLACES_MAX {
        return None;
    }
    let sign = if number.starts_with('-') { "-" } else { "" };
    let (whole, fraction) = parts_of_number(number)?;
    let digits = format!("{whole}{fraction}");
    // Zeros, by which the point moves to where it belongs.
    let zeros = "0".repeat(places);
    let (filled, before) = match exponent < 0 {
        true => (format!("{zeros}{digits}"), whole.len()),
        false => (format!("{digits}{zeros}"), whole.len() + places),
    };
    let (whole, fraction) = filled.split_at(before);
    Some(format!("{sign}0{whole}.{fraction}"))
}

/// Returns the digits before the point of a number that is written without an exponent, and those behind it; None for every other text.
pub fn parts_of_number(text: &str) -> Option<(&str, &str)> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let are_digits = |part: &str| part.bytes().all(|digit| digit.is_ascii_digit());
    let is_empty = whole.is_empty() && fraction.is_empty();
    (!is_empty && are_digits(whole) && are_digits(fraction)).then_some((whole, fraction))
}

/// Returns true for a number that is written with another digit than 0 before its exponent: that is not 0, however small it is.
pub fn has_digits_of_value(number: &str) -> bool {
    let digits = number.split(['e', 'E']).next().unwrap_or(number);
    digits.bytes().any(|digit| (b'1'..=b'9').contains(&digit))
}

/// Returns true for a column or a call whose values are H3 cells.
fn is_cell(expr: &Expr) -> bool {
    match expr {
        Expr::Column(column) => column.name.starts_with(CELLS),
        Expr::ScalarFunction(call) => call.name().starts_with(CELLS),
        _ => false,
    }
}

/// Returns the cell in a literal that is used as a whole number.
fn cell_in(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Cast(cast) if *cast.field.data_type() == DataType::Int64 => {
            cell(literal_text(&cast.expr)??)
        }
        _ => None,
    }
}

/// Returns the H3 cell that a text such as `891fa47a103ffff` means, as the number that columns have.
pub fn cell(text: &str) -> Option<i64> {
    // 15 digits, the first of which says that it is a cell.
    let is_cell = text.len() == 15
        && text.starts_with('8')
        && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_cell {
        i64::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_an_exponent_has_digits() {
        let check = |text: &str, expect: Option<&str>| {
            assert_eq!(without_exponent(text).as_deref(), expect, "{text}");
        };
        check("45e-1", Some("004.5"));
        check(" -4.5E+1 ", Some("-045.0"));
        check("+12.345e1", Some("0123.450"));
        check("12.345e-4", Some("000.0012345"));
        check(".5e2", Some("050.0"));
        check("5.e-2", Some("00.05"));
        check("0e0", Some("00."));
        for text in [
            "45",
            "4.5",
            "",
            "e",
            "e5",
            ".e5",
            "-e5",
            "1e",
            "1e5x",
            "1x5e2",
            "1e2e3",
            "1e1.5",
            "--1e2",
            "1e401",
            "1e-401",
            "1e4294967297",
            "héé",
            "1,5e3",
            "infinity",
            "twelve",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn a_cell_has_a_number() {
        for (text, expect) in [
            ("891fa47a103ffff", Some(617_549_809_477_484_543)),
            ("891FA47A103FFFF", Some(617_549_809_477_484_543)),
            ("617549809477484543", None),
            ("1fa47a103ffff", None),
            ("791fa47a103ffff", None),
            ("891fa47a103fff-", None),
            ("891fa47a103fffé", None),
        ] {
            assert_eq!(cell(text), expect, "{text}");
        }
    }
}
