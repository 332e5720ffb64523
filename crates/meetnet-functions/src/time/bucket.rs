//! `time_bucket`: the start of the bucket that an instant lies in.
//!
//! Starts rise with time, which the planner is told: grouping by buckets of sorted rows needs no sort, and a comparison
//! with a bucket becomes a range of time, which leaves out files and pages.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, FieldRef, IntervalMonthDayNano, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use meetnet_model::buckets::TimeBuckets;
use meetnet_model::common::timestamp_type;

use super::buckets;
use crate::call::{Parameter, coerce, text_of, uncoerced, wrong};
use crate::described::{FunctionDescription, FunctionKind};

/// `time_bucket`.
pub(crate) static BUCKET: FunctionDescription = FunctionDescription {
    name: "time_bucket",
    kind: FunctionKind::Scalar,
    signature: "time_bucket(interval, time [, zone [, origin]]) → timestamp",
    description: "Start of the bucket that a time lies in. The interval is of months, of days, or of hours and less. \
                  Days and months follow the clocks of the zone (an IANA name, left out: UTC), so a day has 23 to 25 \
                  hours; weeks begin on Monday. Buckets are counted from origin (left out: 2000-01-03, for months \
                  2000-01-01, at midnight in the zone). Interval, zone and origin are constants.",
    unit: None,
    example: "SELECT time_bucket(INTERVAL '1 day', TIMESTAMP '2026-10-25T12:00:00Z', 'Europe/Brussels')",
};

const PARAMETERS: [Parameter; 4] = [
    Parameter::Interval,
    Parameter::Time,
    Parameter::Text,
    Parameter::Time,
];
const REQUIRED: usize = 2;

/// The function of [`BUCKET`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TimeBucket {
    signature: Signature,
}

impl TimeBucket {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

/// The constants of a call. Each can be NULL, which makes everything NULL.
struct Constants<'a> {
    interval: &'a ScalarValue,
    zone: Option<&'a ScalarValue>,
    origin: Option<&'a ScalarValue>,
}

impl Constants<'_> {
    /// Returns the buckets; None where a constant is NULL.
    fn buckets(&self) -> Result<Option<TimeBuckets>> {
        let is_null = |value: Option<&ScalarValue>| value.is_some_and(ScalarValue::is_null);
        if self.interval.is_null() || is_null(self.zone) || is_null(self.origin) {
            return Ok(None);
        }
        let ScalarValue::IntervalMonthDayNano(Some(interval)) = self.interval else {
            return Err(uncoerced(&BUCKET));
        };
        let origin = match self.origin {
            None => None,
            Some(ScalarValue::TimestampMicrosecond(origin, _)) => *origin,
            Some(_) => return Err(uncoerced(&BUCKET)),
        };
        buckets_of(*interval, text_of(self.zone), origin).map(Some)
    }
}

fn buckets_of(
    interval: IntervalMonthDayNano,
    zone: Option<&str>,
    origin: Option<i64>,
) -> Result<TimeBuckets> {
    buckets(interval, zone, origin).map_err(|why| wrong(&BUCKET, why))
}

/// Returns the buckets of a call that is planned; None while its constants are not all literals.
fn planned(args: &[Expr]) -> Result<Option<TimeBuckets>> {
    let literal = |index: usize| match args.get(index) {
        None => Some(None),
        Some(Expr::Literal(value, _)) => Some(Some(value)),
        Some(_) => None,
    };
    let (Some(Some(interval)), Some(zone), Some(origin)) = (literal(0), literal(2), literal(3))
    else {
        return Ok(None);
    };
    let constants = Constants {
        interval,
        zone,
        origin,
    };
    constants.buckets()
}

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &str {
        BUCKET.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        coerce(&BUCKET, &PARAMETERS, REQUIRED, arg_types)
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(timestamp_type())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), timestamp_type(), true)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    /// Simplifies nothing: wrong constants are an error here, before any file is read.
    fn simplify(&self, args: Vec<Expr>, _info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        planned(&args)?;
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = |index: usize| match args.args.get(index) {
            None => Ok(None),
            Some(ColumnarValue::Scalar(value)) => Ok(Some(value)),
            Some(ColumnarValue::Array(_)) => Err(wrong(
                &BUCKET,
                "interval, zone and origin must be constants",
            )),
        };
        let constants = Constants {
            interval: constant(0)?.ok_or_else(|| uncoerced(&BUCKET))?,
            zone: constant(2)?,
            origin: constant(3)?,
        };
        let time = args.args.get(1).ok_or_else(|| uncoerced(&BUCKET))?;
        let Some(buckets) = constants.buckets()? else {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(
                &timestamp_type(),
            )?));
        };
        match time {
            ColumnarValue::Array(times) => starts(&buckets, times).map(ColumnarValue::Array),
            ColumnarValue::Scalar(time) => {
                let starts = starts(&buckets, &time.to_array()?)?;
                ScalarValue::try_from_array(&starts, 0).map(ColumnarValue::Scalar)
            }
        }
    }

    /// Returns the range of time that lies in the bucket `literal`. A literal that is no start is no bucket: nothing lies
    /// in it, and the range is empty where the bucket after it begins.
    fn preimage(
        &self,
        args: &[Expr],
        literal: &Expr,
        _info: &SimplifyContext,
    ) -> Result<PreimageResult> {
        let (Some(time), Expr::Literal(ScalarValue::TimestampMicrosecond(Some(at), zone), _)) =
            (args.get(1), literal)
        else {
            return Ok(PreimageResult::None);
        };
        let Some(buckets) = planned(args)? else {
            return Ok(PreimageResult::None);
        };
        let mut walk = buckets.walk();
        let (Some(start), Some(next)) = (walk.start(*at), walk.next(*at)) else {
            return Ok(PreimageResult::None);
        };
        let bound = |at: i64| ScalarValue::TimestampMicrosecond(Some(at), zone.clone());
        let lower = if start == *at { start } else { next };
        Ok(PreimageResult::Range {
            expr: time.clone(),
            interval: Box::new(Interval::try_new(bound(lower), bound(next))?),
        })
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(match inputs.get(1) {
            Some(time) if self.preserves_lex_ordering(inputs)? => time.sort_properties,
            _ => SortProperties::Unordered,
        })
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        let mut others = inputs.iter().enumerate().filter(|(index, _)| *index != 1);
        Ok(others.all(|(_, other)| other.sort_properties == SortProperties::Singleton))
    }
}

/// Returns the starts of the buckets of times.
fn starts(buckets: &TimeBuckets, times: &ArrayRef) -> Result<ArrayRef> {
    let times = times
        .as_primitive_opt::<TimestampMicrosecondType>()
        .ok_or_else(|| uncoerced(&BUCKET))?;
    let mut walk = buckets.walk();
    let mut starts = Vec::with_capacity(times.len());
    for (row, time) in times.values().iter().enumerate() {
        starts.push(match walk.start(*time) {
            Some(start) => start,
            // What stands below a NULL is no time.
            None if times.is_null(row) => 0,
            None => return Err(wrong(&BUCKET, "a time lies outside the years 1 to 9999")),
        });
    }
    let starts = TimestampMicrosecondArray::new(starts.into(), times.nulls().cloned());
    Ok(Arc::new(starts.with_data_type(timestamp_type())))
}

#[cfg(test)]
mod tests;
