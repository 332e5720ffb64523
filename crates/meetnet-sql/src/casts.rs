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

use arrow::compute::CastOptions;
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::format::DEFAULT_CAST_OPTIONS;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{ColumnarValue, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use crate::rewrite::{self, CastFunction, CastKind};

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
    Some(CastFunction::call(OpaqueCast, inner, to, is_try))
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
struct OpaqueCast;

impl CastKind for OpaqueCast {
    const NAME: &'static str = "opaque_cast";

    fn cast(&self, value: &ColumnarValue, to: &DataType, is_try: bool) -> Result<ColumnarValue> {
        let options = CastOptions {
            safe: is_try,
            ..DEFAULT_CAST_OPTIONS
        };
        value.cast_to(to, Some(&options))
    }
}
