//! Intervals times numbers, by numbers, and beside dates; and their means: [`mean`].
//!
//! | written | planned |
//! |---|---|
//! | `-extract(dow FROM t) * INTERVAL '1 day'` | `interval_times(INTERVAL '1 day', -extract(dow FROM t))` |
//! | `DATE '2026-01-31' + INTERVAL '6 hours'` | `CAST(DATE '2026-01-31' AS TIMESTAMP) + INTERVAL '6 hours'` |
//! | `time - (TIMESTAMP '2026-03-30' AT TIME ZONE 'Europe/Brussels')` | the difference of both in UTC |
//!
//! So Tableau writes where a week begins, and DataFusion 55.2 has no such operators. As in PostgreSQL months stay months and
//! days stay days; what is left of a month counts in days, of which it has 30, what is left of a day in hours.
//!
//! Of a date and an interval DataFusion makes a date, without the hours, and no error says so. As in PostgreSQL it is a time,
//! whatever the interval is, that at midnight of the date and the interval later: one without a zone, which is UTC where it is
//! compared with an instant, as dates are.

use std::sync::Arc;

use arrow::array::{AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{
    DataType, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility, cast,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use mean::IntervalMean;

use crate::aggregates::override_function;
use crate::rewrite;

mod mean;

/// What PostgreSQL takes for a month where a part of one is meant.
const DAYS_OF_MONTH: f64 = 30.0;
const SECONDS_OF_DAY: f64 = 86_400.0;

/// Adds the operators to a session, and means of intervals.
///
/// # Errors
/// Where the session takes no planners, or no functions, or has no `avg`.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    let [times, by] = [Operation::Times, Operation::By].map(|operation| {
        Arc::new(ScalarUDF::new_from_impl(OfInterval {
            operation,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    });
    state.register_expr_planner(Arc::new(IntervalPlanner { times, by }))?;
    override_function(state, "avg", IntervalMean)?;
    // The type of a parameter is known when its value is.
    state.register_function_rewrite(Arc::new(DatesAsTimes))
}

/// Makes operators on an interval and a number calls, and of a date beside an interval a time.
#[derive(Debug)]
struct IntervalPlanner {
    times: Arc<ScalarUDF>,
    by: Arc<ScalarUDF>,
}

impl ExprPlanner for IntervalPlanner {
    fn plan_binary_op(
        &self,
        mut expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let is_times = match expr.op {
            BinaryOperator::Multiply => true,
            BinaryOperator::Divide => false,
            BinaryOperator::Plus | BinaryOperator::Minus => {
                match date_beside_interval(&expr.left, &expr.right, schema) {
                    Some(Side::Left) => expr.left = at_midnight(expr.left),
                    Some(Side::Right) => expr.right = at_midnight(expr.right),
                    None if of_two_zones(&expr.left, &expr.right, schema) => {
                        expr.left = in_utc(expr.left);
                        expr.right = in_utc(expr.right);
                    }
                    None => {}
                }
                return Ok(PlannerResult::Original(expr));
            }
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

/// Makes a time of a date beside an interval where that is not known before the values of parameters are.
#[derive(Debug)]
struct DatesAsTimes;

impl FunctionRewrite for DatesAsTimes {
    fn name(&self) -> &str {
        "dates_as_times"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::Plus | Operator::Minus),
            right,
        }) = expr
        else {
            return Ok(Transformed::no(expr));
        };
        let date = date_beside_interval(&left, &right, schema);
        let (left, right) = match date {
            Some(Side::Left) => (Box::new(at_midnight(*left)), right),
            Some(Side::Right) => (left, Box::new(at_midnight(*right))),
            None => (left, right),
        };
        let sum = Expr::BinaryExpr(BinaryExpr { left, op, right });
        Ok(match date {
            Some(_) => Transformed::yes(sum),
            None => Transformed::no(sum),
        })
    }
}

/// Where something stands beside an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// Returns on which side there is a date, where there is an interval, or what two times are apart, on the other.
fn date_beside_interval(left: &Expr, right: &Expr, schema: &DFSchema) -> Option<Side> {
    // The right one first: of a long chain it is one number, and the left one all before it.
    match right.get_type(schema).ok()? {
        DataType::Interval(_) | DataType::Duration(_) => {
            let left = left.get_type(schema).ok()?;
            matches!(left, DataType::Date32 | DataType::Date64).then_some(Side::Left)
        }
        DataType::Date32 | DataType::Date64 => {
            let left = left.get_type(schema).ok()?;
            matches!(left, DataType::Interval(_) | DataType::Duration(_)).then_some(Side::Right)
        }
        _ => None,
    }
}

/// Returns true for two instants of which one is by the clocks of another zone: how far they are apart, DataFusion does not say.
fn of_two_zones(left: &Expr, right: &Expr, schema: &DFSchema) -> bool {
    let zone = |side: &Expr| match side.get_type(schema) {
        Ok(DataType::Timestamp(_, zone)) => zone,
        _ => None,
    };
    zone(right).is_some_and(|right| zone(left).is_some_and(|left| left != right))
}

/// Returns the same instant in UTC.
fn in_utc(instant: Expr) -> Expr {
    let utc = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")));
    cast(instant, utc)
}

/// Returns the time at which a date begins. Nanoseconds would end in the year 2262.
fn at_midnight(date: Expr) -> Expr {
    cast(date, DataType::Timestamp(TimeUnit::Microsecond, None))
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
        rewrite::column_or_constant(&args.args, Arc::new(computed))
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
    carried(months, days, scale(interval.nanoseconds as f64))
}

/// Returns the interval of these parts, with what is left of a month in days and what is left of a day in nanoseconds; None where
/// one does not fit.
fn carried(months: f64, days: f64, nanoseconds: f64) -> Option<IntervalMonthDayNano> {
    let days_of_month = to_millionths(months.fract() * DAYS_OF_MONTH);
    let seconds = to_millionths((days.fract() + days_of_month.fract()) * SECONDS_OF_DAY);
    let days = days.trunc() + days_of_month.trunc() + (seconds / SECONDS_OF_DAY).trunc();
    let seconds = seconds % SECONDS_OF_DAY;
    let nanoseconds = (nanoseconds + seconds * 1e9).round();
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
