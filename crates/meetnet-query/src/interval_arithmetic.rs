//! Intervals times numbers, and by numbers.
//!
//! `-extract(dow FROM t) * INTERVAL '1 day'` -> `interval_times(INTERVAL '1 day', -extract(dow FROM t))`
//!
//! So Tableau writes where a week begins, and DataFusion 55.2 has no such operators. As in PostgreSQL months stay months and
//! days stay days; what is left of a month counts in days, of which it has 30, what is left of a day in hours.

use std::sync::Arc;

use arrow::array::{AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{
    DataType, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use arrow::error::ArrowError;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, cast,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

/// What PostgreSQL takes for a month where a part of one is meant.
const DAYS_OF_MONTH: f64 = 30.0;
const SECONDS_OF_DAY: f64 = 86_400.0;

/// Adds the operators to a session.
///
/// # Errors
/// Where the session takes no planners.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    let [times, by] = [Operation::Times, Operation::By].map(|operation| {
        Arc::new(ScalarUDF::new_from_impl(OfInterval {
            operation,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    });
    state.register_expr_planner(Arc::new(IntervalPlanner { times, by }))
}

/// Makes operators on an interval and a number calls.
#[derive(Debug)]
struct IntervalPlanner {
    times: Arc<ScalarUDF>,
    by: Arc<ScalarUDF>,
}

impl ExprPlanner for IntervalPlanner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let is_times = match expr.op {
            BinaryOperator::Multiply => true,
            BinaryOperator::Divide => false,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let kinds = [&expr.left, &expr.right].map(|side| Kind::of(side, schema));
        let (function, interval, number) = match kinds {
            [Some(Kind::Interval), Some(Kind::Number)] => {
                let function = if is_times { &self.times } else { &self.by };
                (function, expr.left, expr.right)
            }
            [Some(Kind::Number), Some(Kind::Interval)] if is_times => {
                (&self.times, expr.right, expr.left)
            }
            _ => return Ok(PlannerResult::Original(expr)),
        };
        // Its type is known when its value is.
        let number = match number {
            number @ Expr::Placeholder(_) => cast(number, DataType::Float64),
            number => number,
        };
        let call = ScalarFunction::new_udf(Arc::clone(function), vec![interval, number]);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}

/// What a side of an operator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Interval,
    Number,
}

impl Kind {
    fn of(side: &Expr, schema: &DFSchema) -> Option<Self> {
        // With an interval it would be a call. So the type of a long chain is not asked for at each of its steps.
        if let Expr::BinaryExpr(BinaryExpr { op, .. }) = side
            && matches!(op, Operator::Multiply | Operator::Divide | Operator::Modulo)
        {
            return Some(Self::Number);
        }
        match side.get_type(schema).ok()? {
            DataType::Interval(_) | DataType::Duration(_) => Some(Self::Interval),
            // NULL, and a parameter of which nobody has said what it is.
            DataType::Null => Some(Self::Number),
            data_type => data_type.is_numeric().then_some(Self::Number),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operation {
    Times,
    By,
}

/// An interval times a number, or by one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OfInterval {
    operation: Operation,
    signature: Signature,
}

impl ScalarUDFImpl for OfInterval {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Times => "interval_times",
            Operation::By => "interval_by",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, _: &[DataType]) -> Result<Vec<DataType>> {
        Ok(vec![
            DataType::Interval(IntervalUnit::MonthDayNano),
            DataType::Float64,
        ])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let intervals = arrays
            .first()
            .and_then(|array| array.as_primitive_opt::<IntervalMonthDayNanoType>());
        let numbers = arrays
            .get(1)
            .and_then(|array| array.as_primitive_opt::<Float64Type>());
        let (Some(intervals), Some(numbers)) = (intervals, numbers) else {
            let message = format!("`{}` takes an interval and a number", self.name());
            return Err(DataFusionError::Plan(message));
        };
        let computed = intervals.iter().zip(numbers).map(|of| match of {
            (Some(interval), Some(number)) => self.operation.of(interval, number).map(Some),
            _ => Ok(None),
        });
        let computed: IntervalMonthDayNanoArray = computed.collect::<Result<_, ArrowError>>()?;
        if is_constant {
            return ScalarValue::try_from_array(&computed, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(Arc::new(computed)))
    }
}

impl Operation {
    fn of(
        self,
        interval: IntervalMonthDayNano,
        number: f64,
    ) -> Result<IntervalMonthDayNano, ArrowError> {
        let scaled = match self {
            Self::Times => scaled(interval, |part| part * number),
            Self::By if number == 0.0 => return Err(ArrowError::DivideByZero),
            Self::By => scaled(interval, |part| part / number),
        };
        let operation = match self {
            Self::Times => "times",
            Self::By => "by",
        };
        scaled.ok_or_else(|| {
            ArrowError::ArithmeticOverflow(format!("an interval {operation} {number}"))
        })
    }
}

/// Returns an interval with each of its parts scaled; None where one does not fit.
fn scaled(
    interval: IntervalMonthDayNano,
    scale: impl Fn(f64) -> f64,
) -> Option<IntervalMonthDayNano> {
    let months = scale(f64::from(interval.months));
    let days = scale(f64::from(interval.days));
    let days_of_month = to_millionths(months.fract() * DAYS_OF_MONTH);
    let seconds = to_millionths((days.fract() + days_of_month.fract()) * SECONDS_OF_DAY);
    let days = days.trunc() + days_of_month.trunc() + (seconds / SECONDS_OF_DAY).trunc();
    let seconds = seconds % SECONDS_OF_DAY;
    let nanoseconds = (scale(interval.nanoseconds as f64) + seconds * 1e9).round();
    // What is no number is not below it either.
    let fits = nanoseconds.abs() < i64::MAX as f64;
    let nanoseconds = fits.then_some(nanoseconds as i64)?;
    let (months, days) = (whole(months.trunc())?, whole(days)?);
    Some(IntervalMonthDayNano::new(months, days, nanoseconds))
}

/// Returns a number without what floats are off by: a tenth of a day is 8640 seconds.
fn to_millionths(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

fn whole(number: f64) -> Option<i32> {
    let range = f64::from(i32::MIN)..=f64::from(i32::MAX);
    range.contains(&number).then_some(number as i32)
}

#[cfg(test)]
mod tests;
