//! Casts whose results do not lie in the order of what is cast, or are the same for several values of it.
//!
//! `CAST(time AS Time64)` -> `opaque_cast(time)`
//!
//! DataFusion 55.2 takes nearly every cast between types that are no text for one that keeps order and tells values apart. It
//! compares the least and the greatest time of a file, cast, with `07:00` and skips the file; takes rows in order of time for
//! rows in order of time of day; and looks for `CAST(x AS INT) = 30`, where `x` is a decimal number, by `x = 30.00`. No error says
//! so. So casts of which that is not true are functions here, which nobody looks into.
//!
//! The date of a time in a zone stays a cast, so that a day reads the files of that day: clocks go back within a day. (Those of
//! Newfoundland went back over midnight until 2011: there a day may lack that minute.)

use std::sync::Arc;

use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::format::DEFAULT_CAST_OPTIONS;
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use crate::rewrite;

#[cfg(test)]
mod tests;

/// Makes such casts functions.
#[derive(Debug)]
pub(crate) struct OpaqueCasts;

impl AnalyzerRule for OpaqueCasts {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::expressions(
            plan,
            |expr| cast_of(expr).is_some(),
            |expr, schema| rewrite::parts(expr, |part| call_for(part, schema)),
        )
    }

    fn name(&self) -> &str {
        "opaque_casts"
    }
}

/// Returns what a cast casts, to what, and whether by TRY_CAST; None for every other expression, and for constants, which are
/// cast while a statement is planned.
fn cast_of(expr: &Expr) -> Option<(&Expr, &DataType, bool)> {
    rewrite::cast_of(expr).filter(|(inner, ..)| !matches!(inner, Expr::Literal(..)))
}

/// Returns the call that takes the place of such a cast.
fn call_for(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let (inner, to, is_try) = cast_of(expr)?;
    let from = inner.get_type(schema).ok()?;
    if !is_misread(&from, to, is_try) {
        return None;
    }
    let function = ScalarUDF::new_from_impl(OpaqueCast {
        to: to.clone(),
        is_try,
        signature: Signature::any(1, Volatility::Immutable),
    });
    Some(function.call(vec![inner.clone()]))
}

/// Returns true for a cast that does not do what DataFusion takes it to do. It takes none between texts and others for one that
/// keeps order.
fn is_misread(from: &DataType, to: &DataType, is_try: bool) -> bool {
    match (value_type(from), value_type(to)) {
        // NULL comes of what was none.
        (from, _) if is_try => from.is_numeric() || from.is_temporal(),
        (DataType::Timestamp(..), DataType::Time32(_) | DataType::Time64(_)) => true,
        (
            from,
            DataType::Boolean
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
            | DataType::Interval(_),
        ) => from.is_numeric(),
        (from, to) => match (scale(from), scale(to)) {
            (Some(before), Some(after)) => after < before,
            (Some(_), None) => to.is_integer() || to.is_temporal(),
            (None, _) => false,
        },
    }
}

/// Returns the type of the values of a dictionary; of any other type itself.
fn value_type(of: &DataType) -> &DataType {
    match of {
        DataType::Dictionary(_, values) => values.as_ref(),
        of => of,
    }
}

/// Returns how many digits a decimal number has behind the point; None for every other type.
fn scale(of: &DataType) -> Option<i8> {
    match of {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => Some(*scale),
        _ => None,
    }
}

/// A cast that nobody looks into.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OpaqueCast {
    to: DataType,
    /// Whether what cannot be cast is NULL, and no error.
    is_try: bool,
    signature: Signature,
}

impl ScalarUDFImpl for OpaqueCast {
    fn name(&self) -> &str {
        "opaque_cast"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    /// As the cast does: with the unit of what is cast.
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = rewrite::returned_field(self.name(), &self.to, &args);
        let is_nullable = self.is_try || field.is_nullable();
        Ok(Arc::new(field.with_nullable(is_nullable)))
    }

    /// NULL for NULL alone, as DataFusion 55.2 takes it: what is not NULL has no NULL then.
    fn is_strict(&self) -> bool {
        !self.is_try
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(value) = args.args.first() else {
            let message = "`opaque_cast` takes one argument".to_owned();
            return Err(DataFusionError::Plan(message));
        };
        let options = CastOptions {
            safe: self.is_try,
            ..DEFAULT_CAST_OPTIONS
        };
        value.cast_to(&self.to, Some(&options))
    }

    /// Any value of the type: a bound without a type could not be compared with the other side.
    fn evaluate_bounds(&self, _: &[&Interval]) -> Result<Interval> {
        Interval::make_unbounded(&self.to)
    }
}
