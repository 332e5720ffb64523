//! Window functions that fill gaps: with the value before, or on the line between two values.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Float64Builder, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{PartitionEvaluator, Signature, Volatility, WindowUDFImpl};

use crate::call::{Parameter, coerce, uncoerced};
use crate::described::{FunctionDescription, FunctionKind};
use crate::time::micros_between;

/// `locf`.
pub(crate) static LOCF: FunctionDescription = FunctionDescription {
    name: "locf",
    kind: FunctionKind::Window,
    signature: "locf(value) OVER ([PARTITION BY series] ORDER BY time) → type of value",
    description: "The last observation carried forward: the value, and where it is NULL, the last one before it in the \
                  partition that is not. NULL before the first value.",
    unit: None,
    example: "SELECT time, locf(value) OVER (ORDER BY time) FROM (VALUES (1, 10.0), (2, NULL), (3, 30.0)) AS t(time, value)",
};

/// `interpolate`.
pub(crate) static INTERPOLATE: FunctionDescription = FunctionDescription {
    name: "interpolate",
    kind: FunctionKind::Window,
    signature: "interpolate(value, time) OVER ([PARTITION BY series] ORDER BY time) → float64",
    description: "The value, and where it is NULL or NaN, the one on the straight line between the values before and after \
                  it in the partition. NULL before the first and after the last value.",
    unit: None,
    example: "SELECT time, interpolate(value, time) OVER (ORDER BY time) FROM (VALUES \
              (TIMESTAMP '2026-01-01T00:00:00Z', 10.0), (TIMESTAMP '2026-01-01T01:00:00Z', NULL), \
              (TIMESTAMP '2026-01-01T04:00:00Z', 30.0)) AS t(time, value)",
};

/// Makes a field as of an argument: its type, its unit, and NULLs.
fn field_of(args: &WindowUDFFieldArgs, data_type: DataType) -> FieldRef {
    let field = Field::new(args.name(), data_type, true);
    Arc::new(match args.get_input_field(0) {
        Some(value) => field.with_metadata(value.metadata().clone()),
        None => field,
    })
}

/// The function of [`LOCF`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Locf {
    signature: Signature,
}

impl Locf {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl WindowUDFImpl for Locf {
    fn name(&self) -> &str {
        LOCF.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        coerce(&LOCF, &[Parameter::Any], 1, arg_types)
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        let value = args.get_input_field(0).ok_or_else(|| uncoerced(&LOCF))?;
        Ok(field_of(&args, value.data_type().clone()))
    }

    fn partition_evaluator(
        &self,
        _args: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::<Carry>::default())
    }
}

/// Carries values through one partition, which may come in pieces.
#[derive(Debug, Default)]
struct Carry {
    /// None before the first value.
    last: Option<ScalarValue>,
}

impl PartitionEvaluator for Carry {
    fn is_causal(&self) -> bool {
        true
    }

    fn supports_bounded_execution(&self) -> bool {
        true
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        let values = values.first().ok_or_else(|| uncoerced(&LOCF))?;
        if values.is_valid(range.start) {
            let value = ScalarValue::try_from_array(values, range.start)?;
            self.last = Some(value.clone());
            return Ok(value);
        }
        match &self.last {
            Some(last) => Ok(last.clone()),
            None => ScalarValue::try_from(values.data_type()),
        }
    }

    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> Result<ArrayRef> {
        let values = values.first().ok_or_else(|| uncoerced(&LOCF))?;
        let mut last = None;
        let carried: UInt64Array = (0..num_rows)
            .map(|row| {
                if values.is_valid(row) {
                    last = Some(row as u64);
                }
                last
            })
            .collect();
        Ok(take(values, &carried, None)?)
    }
}

/// The function of [`INTERPOLATE`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Interpolate {
    signature: Signature,
}

impl Interpolate {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl WindowUDFImpl for Interpolate {
    fn name(&self) -> &str {
        INTERPOLATE.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let parameters = [Parameter::Number, Parameter::Time];
        coerce(&INTERPOLATE, &parameters, parameters.len(), arg_types)
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(field_of(&args, DataType::Float64))
    }

    fn partition_evaluator(
        &self,
        _args: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        Ok(Box::new(Lines))
    }
}

/// Draws lines through one partition, which is there as a whole: the value after a gap decides.
#[derive(Debug)]
struct Lines;

impl PartitionEvaluator for Lines {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> Result<ArrayRef> {
        let [values, times, ..] = values else {
            return Err(uncoerced(&INTERPOLATE));
        };
        let (Some(values), Some(times)) = (
            values.as_primitive_opt::<Float64Type>(),
            times.as_primitive_opt::<TimestampMicrosecondType>(),
        ) else {
            return Err(uncoerced(&INTERPOLATE));
        };
        let known = |row: &usize| is_known(values, *row) && times.is_valid(*row);
        let point = |row: usize| (times.value(row), values.value(row));
        let mut found = Float64Builder::with_capacity(num_rows);
        let mut before: Option<(i64, f64)> = None;
        let mut row = 0;
        while row < num_rows {
            // Rows up to the next known one are a gap.
            let next = (row..num_rows).find(known);
            let end = next.unwrap_or(num_rows);
            let after = next.map(point);
            for gap in row..end {
                let line = before.zip(after).filter(|_| times.is_valid(gap));
                let value = line.map(|(before, after)| on_line(before, after, times.value(gap)));
                // A value without a time is on no line, and stays.
                let stays = is_known(values, gap).then(|| values.value(gap));
                found.append_option(stays.or(value));
            }
            if let Some((time, value)) = after {
                found.append_value(value);
                before = Some((time, value));
            }
            row = end + 1;
        }
        Ok(Arc::new(found.finish()))
    }
}

/// NaN is no value.
fn is_known(values: &Float64Array, row: usize) -> bool {
    values.is_valid(row) && !values.value(row).is_nan()
}

fn on_line(before: (i64, f64), after: (i64, f64), time: i64) -> f64 {
    let (from, to) = (before.0, after.0);
    if from == to {
        return before.1;
    }
    let share = micros_between(from, time) / micros_between(from, to);
    before.1 + (after.1 - before.1) * share
}

#[cfg(test)]
mod tests;
