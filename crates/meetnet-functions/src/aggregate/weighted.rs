//! `time_weighted_avg`: an average in which a value counts for as long as it held.
//!
//! Partial results of threads overlap in time, so points are kept and put in order at the end: 16 bytes each, which the
//! memory limit of the query bounds.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, Int64Type, TimestampMicrosecondType,
};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

use crate::call::{Parameter, coerce, literal, text_of, uncoerced, wrong};
use crate::described::{FunctionDescription, FunctionKind};
use crate::time::micros_between;

/// `time_weighted_avg`.
pub(crate) static TIME_WEIGHTED_AVG: FunctionDescription = FunctionDescription {
    name: "time_weighted_avg",
    kind: FunctionKind::Aggregate,
    signature: "time_weighted_avg(value, time [, 'locf' | 'linear']) → float64",
    description: "The average from the first to the last time, weighted by time: with 'locf' (left out) each value holds \
                  until the next one, with 'linear' values lie on straight lines. Rows without a value or a time are \
                  left out; a single value is its own average.",
    unit: None,
    example: "SELECT time_weighted_avg(value, time) FROM (VALUES (TIMESTAMP '2026-01-01T00:00:00Z', 10.0), \
              (TIMESTAMP '2026-01-01T03:00:00Z', 50.0), (TIMESTAMP '2026-01-01T04:00:00Z', 0.0)) AS t(time, value)",
};

const PARAMETERS: [Parameter; 3] = [Parameter::Number, Parameter::Time, Parameter::Text];
const REQUIRED: usize = 2;

/// What lies between two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    /// The earlier one.
    Steps,
    /// A line.
    Lines,
}

/// The function of [`TIME_WEIGHTED_AVG`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TimeWeighted {
    signature: Signature,
}

impl TimeWeighted {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

fn between(args: &AccumulatorArgs) -> Result<Between> {
    let Some(method) = args.exprs.get(2) else {
        return Ok(Between::Steps);
    };
    match text_of(literal(method)) {
        Some("locf") => Ok(Between::Steps),
        Some("linear") => Ok(Between::Lines),
        _ => Err(wrong(
            &TIME_WEIGHTED_AVG,
            "its third argument must be 'locf' or 'linear'",
        )),
    }
}

impl AggregateUDFImpl for TimeWeighted {
    fn name(&self) -> &str {
        TIME_WEIGHTED_AVG.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        coerce(&TIME_WEIGHTED_AVG, &PARAMETERS, REQUIRED, arg_types)
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        let field = Field::new(self.name(), DataType::Float64, true);
        Ok(Arc::new(match arg_fields.first() {
            Some(value) => field.with_metadata(value.metadata().clone()),
            None => field,
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |state: &str, of: DataType| {
            let item = Field::new_list_field(of, true);
            Arc::new(Field::new_list(
                format_state_name(args.name, state),
                item,
                true,
            ))
        };
        Ok(vec![
            list("times", DataType::Int64),
            list("values", DataType::Float64),
        ])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Points {
            between: between(&args)?,
            points: Vec::new(),
        }))
    }
}

/// The points of one group, in the order in which they came.
#[derive(Debug)]
struct Points {
    between: Between,
    /// Time, µs, and value.
    points: Vec<(i64, f64)>,
}

impl Points {
    fn average(&mut self) -> Option<f64> {
        let points = &mut self.points;
        // Values as well, so that the answer does not hang on threads where times are equal.
        points.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let (first, last) = (points.first()?, points.last()?);
        if first.0 == last.0 {
            let sum: f64 = points.iter().map(|(_, value)| value).sum();
            return Some(sum / points.len() as f64);
        }
        let area: f64 = points
            .windows(2)
            .map(|pair| {
                let length = micros_between(pair[0].0, pair[1].0);
                length
                    * match self.between {
                        Between::Steps => pair[0].1,
                        Between::Lines => (pair[0].1 + pair[1].1) / 2.0,
                    }
            })
            .sum();
        Some(area / micros_between(first.0, last.0))
    }
}

fn list(values: ArrayRef) -> ScalarValue {
    let item = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths([values.len()]);
    ScalarValue::List(Arc::new(ListArray::new(item, offsets, values, None)))
}

impl Accumulator for Points {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [values, times, ..] = values else {
            return Err(uncoerced(&TIME_WEIGHTED_AVG));
        };
        let (Some(values), Some(times)) = (
            values.as_primitive_opt::<Float64Type>(),
            times.as_primitive_opt::<TimestampMicrosecondType>(),
        ) else {
            return Err(uncoerced(&TIME_WEIGHTED_AVG));
        };
        self.points.reserve(values.len());
        for row in 0..values.len() {
            let value = values.value(row);
            if values.is_valid(row) && times.is_valid(row) && !value.is_nan() {
                self.points.push((times.value(row), value));
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let times = Int64Array::from_iter_values(self.points.iter().map(|(time, _)| *time));
        let values = Float64Array::from_iter_values(self.points.iter().map(|(_, value)| *value));
        Ok(vec![list(Arc::new(times)), list(Arc::new(values))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [times, values] = states else {
            return Err(uncoerced(&TIME_WEIGHTED_AVG));
        };
        let (Some(times), Some(values)) = (times.as_list_opt::<i32>(), values.as_list_opt::<i32>())
        else {
            return Err(uncoerced(&TIME_WEIGHTED_AVG));
        };
        for row in 0..times.len() {
            if times.is_null(row) || values.is_null(row) {
                continue;
            }
            let (times, values) = (times.value(row), values.value(row));
            let times = times.as_primitive::<Int64Type>().values().iter();
            let values = values.as_primitive::<Float64Type>().values().iter();
            self.points.extend(times.copied().zip(values.copied()));
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.average()))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.points.capacity() * size_of::<(i64, f64)>()
    }
}

#[cfg(test)]
mod tests;
