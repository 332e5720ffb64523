//! Spans of time, `max(time) - min(time)`, and their parts.
//!
//! What is between two times is an Arrow `Duration`, a single number. Of one that has days, `date_part('hour', span)`,
//! `extract(hour FROM span)` and `hour(span)` are the hours beside them, as in PostgreSQL and DuckDB; DataFusion 55.2 answers
//! all of its hours.
//!
//! What is written as an `INTERVAL` has months, days and nanoseconds, and its parts are PostgreSQL's, too: of its `epoch` a year
//! has 365.25 days and a month beside years 30. DataFusion 55.2 gives a year 360 days, and loses the milliseconds of spans of
//! more than two seconds.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int32Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    TimeUnit,
};
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
use meetnet_model::calendar_unit::CalendarUnit;

use super::PARTS;
use super::part::DATE_PART;
use crate::call::text_of;

const SECOND_NS: i128 = 1_000_000_000;
const MINUTE_NS: i128 = 60 * SECOND_NS;
const HOUR_NS: i128 = 60 * MINUTE_NS;
const DAY_NS: i128 = 24 * HOUR_NS;

/// How many days PostgreSQL takes for a year where seconds are counted, and for a month beside years.
const DAYS_OF_YEAR: f64 = 365.25;
const DAYS_OF_MONTH: f64 = 30.0;
const SECONDS_OF_DAY: f64 = 86_400.0;

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

/// Returns true for what lies between two times, and for an interval.
fn is_span(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(
        expr.get_type(schema),
        Ok(DataType::Duration(_) | DataType::Interval(IntervalUnit::MonthDayNano))
    )
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
    let part = part.trim_matches(['\'', '"']);
    if let Some(spans) = spans.as_primitive_opt::<IntervalMonthDayNanoType>() {
        if is_epoch(part) {
            let seconds = spans.iter().map(|span| span.map(interval_seconds));
            return Ok(Arc::new(seconds.collect::<Float64Array>()));
        }
        let (unit, of) = part_of_interval(part)?;
        return whole_numbers(part, unit, spans.iter().map(|span| span.map(of)));
    }
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
    if is_epoch(part) {
        let seconds = counts.iter();
        let seconds = seconds.map(|count| count.map(|count| count as f64 / per_second));
        return Ok(Arc::new(seconds.collect::<Float64Array>()));
    }
    let (unit, of) = part_of_span(part)?;
    let values = counts
        .iter()
        .map(|count| count.map(|count| of(i128::from(count) * each)));
    whole_numbers(part, unit, values)
}

fn is_epoch(part: &str) -> bool {
    part.eq_ignore_ascii_case("epoch")
}

/// What a part is of a span or an interval.
type PartOf<T> = fn(T) -> i128;

/// Returns a part of what lies between two times, which is so many nanoseconds.
fn part_of_span(part: &str) -> Result<(CalendarUnit, PartOf<i128>)> {
    use CalendarUnit::{
        Century, Day, Decade, Hour, Microsecond, Millennium, Millisecond, Minute, Month,
        Nanosecond, Quarter, Second, Week, Year,
    };
    let unknown = || {
        DataFusionError::Execution(format!(
            "a span of time has no part `{part}`; it has week, day, hour, minute, second and epoch, which is all of its seconds"
        ))
    };
    let unit = CalendarUnit::named(part).ok_or_else(unknown)?;
    let of: PartOf<i128> = match unit {
        // How many days a month of it would have, nobody knows.
        Millennium | Century | Decade | Year | Month => |_| 0,
        Week => |span| span / (7 * DAY_NS),
        Day => |span| span / DAY_NS,
        Hour => |span| span % DAY_NS / HOUR_NS,
        Minute => |span| span % HOUR_NS / MINUTE_NS,
        Second => |span| span % MINUTE_NS / SECOND_NS,
        Millisecond => |span| span % MINUTE_NS / 1_000_000,
        Microsecond => |span| span % MINUTE_NS / 1_000,
        Nanosecond => |span| span % MINUTE_NS,
        Quarter => return Err(unknown()),
    };
    Ok((unit, of))
}

/// Returns a part of an interval: its months in years, its days in weeks, and all of its hours beside them.
fn part_of_interval(part: &str) -> Result<(CalendarUnit, PartOf<IntervalMonthDayNano>)> {
    let Some(unit) = CalendarUnit::named(part) else {
        return Err(DataFusionError::Execution(format!(
            "an interval has no part `{part}`; it has millennium, century, decade, year, quarter, month, week, day, hour, minute, \
             second, millisecond, microsecond and epoch, which is all of its seconds"
        )));
    };
    let of: PartOf<IntervalMonthDayNano> = match unit {
        CalendarUnit::Millennium => |span| i128::from(span.months / 12_000),
        CalendarUnit::Century => |span| i128::from(span.months / 1_200),
        CalendarUnit::Decade => |span| i128::from(span.months / 120),
        CalendarUnit::Year => |span| i128::from(span.months / 12),
        CalendarUnit::Quarter => |span| i128::from(span.months % 12 / 3 + 1),
        CalendarUnit::Month => |span| i128::from(span.months % 12),
        CalendarUnit::Week => |span| i128::from(span.days / 7),
        CalendarUnit::Day => |span| i128::from(span.days),
        CalendarUnit::Hour => |span| i128::from(span.nanoseconds) / HOUR_NS,
        CalendarUnit::Minute => |span| i128::from(span.nanoseconds) % HOUR_NS / MINUTE_NS,
        CalendarUnit::Second => |span| i128::from(span.nanoseconds) % MINUTE_NS / SECOND_NS,
        CalendarUnit::Millisecond => |span| i128::from(span.nanoseconds) % MINUTE_NS / 1_000_000,
        CalendarUnit::Microsecond => |span| i128::from(span.nanoseconds) % MINUTE_NS / 1_000,
        CalendarUnit::Nanosecond => |span| i128::from(span.nanoseconds) % MINUTE_NS,
    };
    Ok((unit, of))
}

/// Returns all of the seconds of an interval.
fn interval_seconds(span: IntervalMonthDayNano) -> f64 {
    let (years, months) = (span.months / 12, span.months % 12);
    let days =
        f64::from(years) * DAYS_OF_YEAR + f64::from(months) * DAYS_OF_MONTH + f64::from(span.days);
    days * SECONDS_OF_DAY + span.nanoseconds as f64 / 1e9
}

/// Returns the values of a part as `date_part` has them: nanoseconds as int64, all others as int32.
fn whole_numbers(
    part: &str,
    unit: CalendarUnit,
    values: impl Iterator<Item = Option<i128>>,
) -> Result<ArrayRef> {
    if unit == CalendarUnit::Nanosecond {
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
