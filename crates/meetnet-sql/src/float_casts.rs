//! Casts to floats that end in an error where a number does not fit, as in PostgreSQL.
//!
//! `CAST(x AS REAL)` -> `float_cast(x)`, of a `double precision` and of texts
//!
//! DataFusion 55.2 answers infinity, or 0: `1e300::real`, `'1e400'::float8`, `'1e-400'::float8`. What is infinite before, or 0, stays
//! it. A constant that fits stays a cast, so that it is compared as such.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::compute::{CastOptions, cast, cast_with_options, nullif};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::format::DEFAULT_CAST_OPTIONS;
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use crate::error::{QueryError, StatementFault, shortened};
use crate::literals::has_digits_of_value;
use crate::rewrite::{self, CastFunction, CastKind};

/// How much of a number an error repeats.
const SHOWN_BYTES_MAX: usize = 100;

/// Makes such casts functions that look at what they make.
#[derive(Debug)]
pub(crate) struct CheckedFloats;

impl AnalyzerRule for CheckedFloats {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let is_wanted =
            |expr: &Expr| rewrite::cast_of(expr).is_some_and(|(_, to, _)| to.is_floating());
        rewrite::expressions(plan, is_wanted, |expr, schema| {
            rewrite::parts(expr, |part| call_for(part, schema))
        })
    }

    fn name(&self) -> &str {
        "checked_floats"
    }
}

/// Returns the call that takes the place of a cast; None for one of which every number fits, and for every other expression.
fn call_for(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let (inner, to, is_try) = rewrite::cast_of(expr)?;
    let from = inner.get_type(schema).ok()?;
    if !may_overflow(&from, to) {
        return None;
    }
    if let Expr::Literal(value, _) = inner {
        let value = value.to_array().ok()?;
        // What is no number is told by the cast.
        checked(&value, to, false).err().filter(is_overflow)?;
    }
    Some(CastFunction::call(FloatCast, inner, to, is_try))
}

/// Returns the type of the values of a dictionary; of any other type itself.
fn value_type(of: &DataType) -> &DataType {
    match of {
        DataType::Dictionary(_, values) => values.as_ref(),
        of => of,
    }
}

/// Returns true for a cast that makes infinity, or 0, of other numbers.
fn may_overflow(from: &DataType, to: &DataType) -> bool {
    let of = value_type(from);
    match to {
        DataType::Float32 => of.is_string() || *of == DataType::Float64,
        DataType::Float64 => of.is_string(),
        _ => false,
    }
}

/// A cast that refuses what does not fit.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FloatCast;

impl CastKind for FloatCast {
    const NAME: &'static str = "float_cast";

    fn cast(&self, value: &ColumnarValue, to: &DataType, is_try: bool) -> Result<ColumnarValue> {
        rewrite::each_value(value, |values| checked(values, to, is_try))
    }
}

/// Casts numbers, and looks for those that have become infinite, or 0.
///
/// # Errors
/// Where there are such, or what is no number, unless `is_try`.
fn checked(values: &ArrayRef, to: &DataType, is_try: bool) -> Result<ArrayRef> {
    let options = CastOptions {
        safe: is_try,
        ..DEFAULT_CAST_OPTIONS
    };
    let made = cast_with_options(values, to, &options)?;
    let floats = cast(&made, &DataType::Float64)?;
    let floats = floats.as_primitive::<Float64Type>();
    let may_be_lost = |float: f64| float.is_infinite() || float == 0.0;
    if !floats.iter().flatten().any(may_be_lost) {
        return Ok(made);
    }
    let lost = lost(values, floats)?;
    if is_try {
        return Ok(nullif(&made, &lost)?);
    }
    match (0..lost.len()).find(|row| lost.value(*row)) {
        None => Ok(made),
        Some(row) => {
            let texts = cast(&values.slice(row, 1), &DataType::Utf8)?;
            let number = texts.as_string::<i32>().value(0).to_owned();
            let number = shortened(number, SHOWN_BYTES_MAX);
            let name = match to {
                DataType::Float32 => "real",
                _ => "double precision",
            };
            let message = format!("out of range: {number} is no {name}");
            Err(QueryError::of_statement(StatementFault::OutOfRange, message).into())
        }
    }
}

/// Returns which numbers have become infinite, or 0, as what they are made of is not.
fn lost(values: &ArrayRef, made: &Float64Array) -> Result<BooleanArray> {
    if value_type(values.data_type()).is_string() {
        let texts = cast(values, &DataType::Utf8)?;
        let rows = texts.as_string::<i32>().iter().zip(made);
        return Ok(rows
            .map(|row| match row {
                (Some(text), Some(made)) if made.is_infinite() => {
                    // The words for infinity have no digits.
                    Some(text.bytes().any(|letter| letter.is_ascii_digit()))
                }
                (Some(text), Some(made)) => Some(made == 0.0 && has_digits_of_value(text)),
                _ => Some(false),
            })
            .collect());
    }
    let before = cast(values, &DataType::Float64)?;
    let rows = before.as_primitive::<Float64Type>().iter().zip(made);
    Ok(rows
        .map(|row| match row {
            (Some(before), Some(made)) if made.is_infinite() => Some(before.is_finite()),
            (Some(before), Some(made)) => Some(made == 0.0 && before != 0.0),
            _ => Some(false),
        })
        .collect())
}

/// Returns true for the error of a number that does not fit.
fn is_overflow(error: &DataFusionError) -> bool {
    match error {
        DataFusionError::External(error) => error
            .downcast_ref::<QueryError>()
            .is_some_and(|error| error.fault == Some(StatementFault::OutOfRange)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float32Array, StringArray};
    use arrow::datatypes::Float32Type;

    use super::*;

    #[test]
    fn a_number_that_does_not_fit_is_an_error() {
        let check = |values: ArrayRef, to: DataType, expect: Result<f64, &str>| {
            let made = checked(&values, &to, false);
            let tried = checked(&values, &to, true).expect("a try");
            match expect {
                Ok(expect) => {
                    let made = cast(&made.expect("a float"), &DataType::Float64).expect("a float");
                    let made = made.as_primitive::<Float64Type>().value(0);
                    assert_eq!(made.to_string(), expect.to_string(), "{values:?}");
                    assert!(tried.is_valid(0), "{values:?}");
                }
                Err(expect) => {
                    let error = made.expect_err("no float");
                    assert!(is_overflow(&error), "{error}");
                    assert!(error.to_string().contains(expect), "{error}");
                    assert!(tried.is_null(0), "{values:?}");
                }
            }
        };
        let double = |value: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![value])) };
        let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
        let (real, wide) = (DataType::Float32, DataType::Float64);
        check(double(1.5), real.clone(), Ok(1.5));
        check(double(-1e300), real.clone(), Err("is no real"));
        check(double(1e-300), real.clone(), Err("is no real"));
        check(double(0.0), real.clone(), Ok(0.0));
        check(double(1e-44), real.clone(), Ok(f64::from(1e-44_f32)));
        check(text("-1e-50"), real.clone(), Err("-1e-50 is no real"));
        check(text("1e-400"), wide.clone(), Err("is no double precision"));
        check(text("0.00e-400"), wide.clone(), Ok(0.0));
        check(text("5e-324"), wide.clone(), Ok(5e-324));
        check(double(f64::INFINITY), real.clone(), Ok(f64::INFINITY));
        check(double(f64::NAN), real.clone(), Ok(f64::NAN));
        check(text("3.5e38"), real.clone(), Err("3.5e38 is no real"));
        check(text("3.5e38"), wide.clone(), Ok(3.5e38));
        check(text("-1e400"), wide.clone(), Err("is no double precision"));
        check(text("-inf"), wide, Ok(f64::NEG_INFINITY));
        check(text("Infinity"), real, Ok(f64::INFINITY));
    }

    #[test]
    fn one_of_many_is_null_for_a_try() {
        let values: ArrayRef = Arc::new(Float64Array::from(vec![
            Some(1.5),
            Some(1e300),
            None,
            Some(f64::INFINITY),
            Some(-1e-300),
            Some(0.0),
        ]));
        let tried = checked(&values, &DataType::Float32, true).expect("a try");
        let infinity = Some(f32::INFINITY);
        let expect = Float32Array::from(vec![Some(1.5), None, None, infinity, None, Some(0.0)]);
        assert_eq!(tried.as_primitive::<Float32Type>(), &expect);
    }
}
