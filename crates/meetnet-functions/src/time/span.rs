//! Spans of time, `max(time) - min(time)`, and their parts.
//!
//! What is between two times is an Arrow `Duration`, a single number. Of one that has days, `date_part('hour', span)`,
//! `extract(hour FROM span)` and `hour(span)` are the hours beside them, as in PostgreSQL and DuckDB; DataFusion 55.2 answers
//! all of its hours.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int32Array, Int64Array};
use arrow::compute::cast;
use arrow::compute::kernels::cast_utils::IntervalUnit;
use arrow::datatypes::{DataType, FieldRef, Int64Type, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::datetime;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, lit,
};

use super::PARTS;
use crate::call::text_of;

const DATE_PART: &str = "date_part";

const SECOND_NS: i128 = 1_000_000_000;
const MINUTE_NS: i128 = 60 * SECOND_NS;
const HOUR_NS: i128 = 60 * MINUTE_NS;
const DAY_NS: i128 = 24 * HOUR_NS;

/// Puts a function that knows spans in the place of DataFusion's.
#[derive(Debug)]
pub(crate) struct Spans {
    part: Arc<ScalarUDF>,
}

impl Spans {
    pub(crate) fn new() -> Self {
        let part = SpanPart {
            signature: Signature::any(2, Volatility::Immutable),
        };
        Self {
            part: Arc::new(ScalarUDF::new_from_impl(part)),
        }
    }

    /// Returns the call that the part of a span means; None for every other call.
    fn part(&self, call: &ScalarFunction, schema: &DFSchema) -> Option<Expr> {
        let (part, span) = match (call.func.name(), call.args.as_slice()) {
            (DATE_PART, [part, span]) if !Arc::ptr_eq(&call.func, &self.part) => {
                (part.clone(), span)
            }
            (name, [span]) if PARTS.contains(&name) => (lit(name), span),
            _ => return None,
        };
        if !is_span(span, schema) {
            return None;
        }
        let args = vec![part, span.clone()];
        let call = ScalarFunction::new_udf(Arc::clone(&self.part), args);
        Some(Expr::ScalarFunction(call))
    }
}

impl FunctionRewrite for Spans {
    fn name(&self) -> &str {
        "spans"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(call) = &expr else {
            return Ok(Transformed::no(expr));
        };
        Ok(match self.part(call, schema) {
            Some(part) => Transformed::yes(part),
            None => Transformed::no(expr),
        })
    }
}

/// Returns true for what lies between two times.
fn is_span(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Duration(_)))
}

/// Nanoseconds of a unit, and how many of it a second has.
fn scale(unit: TimeUnit) -> (i128, f64) {
    match unit {
        TimeUnit::Second => (SECOND_NS, 1.0),
        TimeUnit::Millisecond => (1_000_000, 1e3),
        TimeUnit::Microsecond => (1_000, 1e6),
        TimeUnit::Nanosecond => (1, 1e9),
    }
}

/// `date_part` of a span.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SpanPart {
    signature: Signature,
}

impl ScalarUDFImpl for SpanPart {
    fn name(&self) -> &str {
        DATE_PART
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    /// Those of `date_part`: `epoch` is a float, `nanosecond` an int64.
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        datetime::date_part().return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(part), span] = args.args.as_slice() else {
            let message = "`date_part` takes the name of a part and a span of time".to_owned();
            return Err(DataFusionError::Plan(message));
        };
        let part = text_of(Some(part)).unwrap_or_default();
        match span {
            ColumnarValue::Array(spans) => Ok(ColumnarValue::Array(parts(part, spans)?)),
            ColumnarValue::Scalar(span) => {
                let found = parts(part, &span.to_array()?)?;
                let found = ScalarValue::try_from_array(found.as_ref(), 0)?;
                Ok(ColumnarValue::Scalar(found))
            }
        }
    }
}

/// Returns one part of each span. What is negative has negative parts.
fn parts(part: &str, spans: &ArrayRef) -> Result<ArrayRef> {
    let DataType::Duration(unit) = spans.data_type() else {
        let message = format!(
            "`date_part` of a span was called with {}",
            spans.data_type()
        );
        return Err(DataFusionError::Internal(message));
    };
    let (each, per_second) = scale(*unit);
    let counts = cast(spans, &DataType::Int64)?;
    let counts = counts.as_primitive::<Int64Type>();
    let part = part.trim_matches(['\'', '"']);
    if part.eq_ignore_ascii_case("epoch") {
        let seconds = counts.iter();
        let seconds = seconds.map(|count| count.map(|count| count as f64 / per_second));
        return Ok(Arc::new(seconds.collect::<Float64Array>()));
    }
    let unit = IntervalUnit::from_str(part);
    let of: fn(i128) -> i128 = match unit {
        // How many days a month of it would have, nobody knows.
        Ok(IntervalUnit::Year | IntervalUnit::Month) => |_| 0,
        Ok(IntervalUnit::Week) => |span| span / (7 * DAY_NS),
        Ok(IntervalUnit::Day) => |span| span / DAY_NS,
        Ok(IntervalUnit::Hour) => |span| span % DAY_NS / HOUR_NS,
        Ok(IntervalUnit::Minute) => |span| span % HOUR_NS / MINUTE_NS,
        Ok(IntervalUnit::Second) => |span| span % MINUTE_NS / SECOND_NS,
        Ok(IntervalUnit::Millisecond) => |span| span % MINUTE_NS / 1_000_000,
        Ok(IntervalUnit::Microsecond) => |span| span % MINUTE_NS / 1_000,
        Ok(IntervalUnit::Nanosecond) => |span| span % MINUTE_NS,
        _ => {
            return Err(DataFusionError::Execution(format!(
                "a span of time has no part `{part}`; it has week, day, hour, minute, second and epoch, which is all of \
                 its seconds"
            )));
        }
    };
    let values = counts
        .iter()
        .map(|count| count.map(|count| of(i128::from(count) * each)));
    if matches!(unit, Ok(IntervalUnit::Nanosecond)) {
        // Less than a minute.
        let values = values.map(|value| value.map(|value| value as i64));
        return Ok(Arc::new(values.collect::<Int64Array>()));
    }
    let values = values.map(|value| {
        let fits = value.map(|value| {
            i32::try_from(value).map_err(|_| {
                DataFusionError::Execution(format!(
                    "a span of time has more of `{part}` than are counted; take date_part('epoch', span)"
                ))
            })
        });
        fits.transpose()
    });
    let values: Result<Int32Array> = values.collect();
    Ok(Arc::new(values?))
}

#[cfg(test)]
mod tests;
