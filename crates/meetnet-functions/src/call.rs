//! Arguments of a call: what types they may have, what is wrong with them, and their values.

use std::fmt::Display;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, IntervalMonthDayNanoArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit,
    TimestampMicrosecondType,
};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;
use meetnet_model::common::timestamp_type;

use crate::described::FunctionDescription;

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    /// A float64.
    Number,
    /// An int64.
    Whole,
    /// A text.
    Text,
    /// An instant, µs UTC. Naive times and texts are UTC.
    Time,
    /// An interval of months, days and nanoseconds.
    Interval,
    /// A value of any type.
    Any,
}

impl Parameter {
    /// Returns the type that an argument of a type becomes; None where it cannot.
    fn coerce(self, given: &DataType) -> Option<DataType> {
        let is_text = |given: &DataType| match given {
            DataType::Dictionary(_, values) => values.is_string(),
            given => given.is_string(),
        };
        let fits = match self {
            _ if given.is_null() => true,
            Self::Number => given.is_numeric(),
            Self::Whole => given.is_integer(),
            Self::Text => is_text(given),
            Self::Time => {
                let is_time = matches!(
                    given,
                    DataType::Timestamp(..) | DataType::Date32 | DataType::Date64
                );
                is_time || is_text(given)
            }
            Self::Interval => {
                let is_interval = matches!(given, DataType::Interval(_) | DataType::Duration(_));
                is_interval || is_text(given)
            }
            Self::Any => true,
        };
        fits.then(|| match self {
            Self::Number => DataType::Float64,
            Self::Whole => DataType::Int64,
            Self::Text => DataType::Utf8,
            Self::Time => timestamp_type(),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::Any => given.clone(),
        })
    }

    fn what(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Whole => "a whole number",
            Self::Text => "a text",
            Self::Time => "a time",
            Self::Interval => "an interval",
            Self::Any => "a value",
        }
    }
}

/// Returns the types that arguments become.
///
/// # Errors
/// `Plan` where there are too many or too few, or one cannot become what it must be.
pub(crate) fn coerce(
    function: &FunctionDescription,
    parameters: &[Parameter],
    required: usize,
    given: &[DataType],
) -> Result<Vec<DataType>> {
    let most = parameters.len();
    if !(required..=most).contains(&given.len()) {
        let count = if required == most {
            most.to_string()
        } else {
            format!("{required} to {most}")
        };
        let why = format!("it takes {count} arguments, not {}", given.len());
        return Err(misplanned(function, why));
    }
    let pairs = parameters.iter().zip(given).zip(1..);
    pairs
        .map(|((parameter, given), position)| {
            parameter.coerce(given).ok_or_else(|| {
                let what = parameter.what();
                let why = format!("argument {position} must be {what}, and is of type {given}");
                misplanned(function, why)
            })
        })
        .collect()
}

fn message(function: &FunctionDescription, why: impl Display) -> String {
    format!(
        "`{}`: {why}; it is called as {}",
        function.name, function.signature
    )
}

/// Makes the error of a call that cannot be planned.
pub(crate) fn misplanned(function: &FunctionDescription, why: impl Display) -> DataFusionError {
    DataFusionError::Plan(message(function, why))
}

/// Makes the error of a call whose values are wrong.
pub(crate) fn wrong(function: &FunctionDescription, why: impl Display) -> DataFusionError {
    DataFusionError::Execution(message(function, why))
}

/// Makes the error of an argument whose type is none of those that it was coerced to.
pub(crate) fn uncoerced(function: &FunctionDescription) -> DataFusionError {
    DataFusionError::Internal(format!(
        "an argument of `{}` was not coerced",
        function.name
    ))
}

/// Returns a text that stands in the statement; None for NULL and for what is no text.
pub(crate) fn text_of(value: Option<&ScalarValue>) -> Option<&str> {
    value.and_then(|value| value.try_as_str().flatten())
}

/// Returns a constant among the arguments of an aggregate.
pub(crate) fn literal(argument: &Arc<dyn PhysicalExpr>) -> Option<&ScalarValue> {
    Some(argument.downcast_ref::<Literal>()?.value())
}

/// The arguments of one call: columns of a batch, and constants.
pub(crate) struct Call<'a> {
    pub(crate) function: &'static FunctionDescription,
    args: &'a [ColumnarValue],
    /// Values that the call makes: one where every argument is constant.
    pub(crate) rows: usize,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        function: &'static FunctionDescription,
        args: &'a [ColumnarValue],
        rows: usize,
    ) -> Self {
        let is_constant = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(_));
        let rows = if args.iter().all(is_constant) {
            1
        } else {
            rows
        };
        Self {
            function,
            args,
            rows,
        }
    }

    pub(crate) fn wrong(&self, why: impl Display) -> DataFusionError {
        wrong(self.function, why)
    }

    fn arg(&self, index: usize) -> Result<&'a ColumnarValue> {
        self.args.get(index).ok_or_else(|| uncoerced(self.function))
    }

    /// Returns true where the call has this argument.
    pub(crate) fn has(&self, index: usize) -> bool {
        index < self.args.len()
    }

    fn array(&self, index: usize) -> Result<ArrayRef> {
        self.arg(index)?.to_array(self.rows)
    }

    /// Returns an argument that is a [`Parameter::Number`].
    pub(crate) fn numbers(&self, index: usize) -> Result<Float64Array> {
        let array = self.array(index)?;
        let numbers = array.as_primitive_opt::<Float64Type>();
        numbers.cloned().ok_or_else(|| uncoerced(self.function))
    }

    /// Returns an argument that is a [`Parameter::Whole`].
    pub(crate) fn wholes(&self, index: usize) -> Result<Int64Array> {
        let array = self.array(index)?;
        let numbers = array.as_primitive_opt::<Int64Type>();
        numbers.cloned().ok_or_else(|| uncoerced(self.function))
    }

    /// Returns an argument that is a [`Parameter::Time`].
    pub(crate) fn times(&self, index: usize) -> Result<TimestampMicrosecondArray> {
        let array = self.array(index)?;
        let times = array.as_primitive_opt::<TimestampMicrosecondType>();
        times.cloned().ok_or_else(|| uncoerced(self.function))
    }

    /// Returns an argument that is a [`Parameter::Interval`].
    pub(crate) fn intervals(&self, index: usize) -> Result<IntervalMonthDayNanoArray> {
        let array = self.array(index)?;
        let intervals = array.as_primitive_opt::<IntervalMonthDayNanoType>();
        intervals.cloned().ok_or_else(|| uncoerced(self.function))
    }

    /// Returns an argument that is a [`Parameter::Text`].
    pub(crate) fn texts(&self, index: usize) -> Result<Texts<'a>> {
        match self.arg(index)? {
            ColumnarValue::Scalar(value) => Ok(Texts::Constant(text_of(Some(value)))),
            ColumnarValue::Array(array) => array
                .as_string_opt::<i32>()
                .map(Texts::Column)
                .ok_or_else(|| uncoerced(self.function)),
        }
    }
}

/// The texts of an argument; a constant is not written out per row.
pub(crate) enum Texts<'a> {
    Constant(Option<&'a str>),
    Column(&'a StringArray),
}

impl<'a> Texts<'a> {
    pub(crate) fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Constant(text) => *text,
            Self::Column(texts) => texts.is_valid(row).then(|| texts.value(row)),
        }
    }
}
