//! Functions of intervals, as PostgreSQL has them: how far two times are apart in months and days, and the same interval in larger
//! parts.

use std::sync::Arc;

use arrow::array::{ArrayRef, IntervalMonthDayNanoArray};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit};
use datafusion::error::{DataFusionError, Result};
use meetnet_model::calendar::age;

use crate::call::{Call, Parameter};
use crate::described::{FunctionDescription, FunctionKind};
use crate::scalar::{ScalarSpec, unchecked};

const DAY_NS: i64 = 86_400_000_000_000;
const DAYS_OF_MONTH: i64 = 30;

/// The functions of intervals.
pub(crate) static SCALARS: &[&ScalarSpec] =
    &[&AGE, &JUSTIFY_HOURS, &JUSTIFY_DAYS, &JUSTIFY_INTERVAL];

fn interval() -> DataType {
    DataType::Interval(IntervalUnit::MonthDayNano)
}

static AGE: ScalarSpec = ScalarSpec {
    description: &FunctionDescription {
        name: "age",
        kind: FunctionKind::Scalar,
        signature: "age(to, from) → interval",
        description: "How much later `to` is than `from`: years and months of the calendar, then days and hours, in UTC. \
                      `age(from)` is that up to the midnight with which today began. `to - from` is the same in days and hours \
                      alone.",
        unit: None,
        example: "SELECT age(TIMESTAMP '2026-03-31 12:00', TIMESTAMP '2026-02-28 13:30')",
    },
    parameters: &[Parameter::Time, Parameter::Time],
    required: 2,
    returns: interval,
    unit_argument: None,
    check: unchecked,
    evaluate: ages,
};

static JUSTIFY_HOURS: ScalarSpec = ScalarSpec {
    description: &FunctionDescription {
        name: "justify_hours",
        kind: FunctionKind::Scalar,
        signature: "justify_hours(interval) → interval",
        description: "The same interval with 24 of its hours as a day each.",
        unit: None,
        example: "SELECT justify_hours(INTERVAL '30 hours')",
    },
    parameters: &[Parameter::Interval],
    required: 1,
    returns: interval,
    unit_argument: None,
    check: unchecked,
    evaluate: |call| each(call, justified_hours),
};

static JUSTIFY_DAYS: ScalarSpec = ScalarSpec {
    description: &FunctionDescription {
        name: "justify_days",
        kind: FunctionKind::Scalar,
        signature: "justify_days(interval) → interval",
        description: "The same interval with 30 of its days as a month each.",
        unit: None,
        example: "SELECT justify_days(INTERVAL '35 days')",
    },
    parameters: &[Parameter::Interval],
    required: 1,
    returns: interval,
    unit_argument: None,
    check: unchecked,
    evaluate: |call| each(call, justified_days),
};

static JUSTIFY_INTERVAL: ScalarSpec = ScalarSpec {
    description: &FunctionDescription {
        name: "justify_interval",
        kind: FunctionKind::Scalar,
        signature: "justify_interval(interval) → interval",
        description: "The same interval with as many months of 30 days, then days of 24 hours, as there are in it, all of one sign.",
        unit: None,
        example: "SELECT justify_interval(INTERVAL '1 month -1 hour')",
    },
    parameters: &[Parameter::Interval],
    required: 1,
    returns: interval,
    unit_argument: None,
    check: unchecked,
    evaluate: |call| each(call, |interval| justified(interval).ok()),
};

fn ages(call: &Call<'_>) -> Result<ArrayRef> {
    let (to, from) = (call.times(0)?, call.times(1)?);
    let ages = to.iter().zip(&from).map(|of| match of {
        (Some(to), Some(from)) => {
            let (months, days, micros) = age(to, from);
            // Less than a day.
            let found = of_parts(months, days, micros * 1_000);
            found.map(Some).ok_or_else(|| out_of_range(call))
        }
        _ => Ok(None),
    });
    let ages: IntervalMonthDayNanoArray = ages.collect::<Result<_>>()?;
    Ok(Arc::new(ages))
}

/// Applies a function to each interval of a call; None is one that does not fit.
fn each(
    call: &Call<'_>,
    of: impl Fn(IntervalMonthDayNano) -> Option<IntervalMonthDayNano>,
) -> Result<ArrayRef> {
    let intervals = call.intervals(0)?;
    let found = intervals.iter().map(|interval| {
        let found = interval.map(|interval| of(interval).ok_or_else(|| out_of_range(call)));
        found.transpose()
    });
    let found: IntervalMonthDayNanoArray = found.collect::<Result<_>>()?;
    Ok(Arc::new(found))
}

fn out_of_range(call: &Call<'_>) -> DataFusionError {
    call.wrong("an interval has more months or days than are counted")
}

fn of_parts(months: i64, days: i64, nanoseconds: i64) -> Option<IntervalMonthDayNano> {
    let (months, days) = (i32::try_from(months).ok()?, i32::try_from(days).ok()?);
    Some(IntervalMonthDayNano::new(months, days, nanoseconds))
}

/// Returns how many parts are made of others, and what is left of these, which has their sign: `many` is how many others there are,
/// and `each` how many of them a part has.
fn carried(parts: i64, many: i64, each: i64) -> (i64, i64) {
    let (parts, rest) = (parts + many / each, many % each);
    if parts > 0 && rest < 0 {
        (parts - 1, rest + each)
    } else if parts < 0 && rest > 0 {
        (parts + 1, rest - each)
    } else {
        (parts, rest)
    }
}

fn justified_hours(interval: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let (days, rest) = carried(interval.days.into(), interval.nanoseconds, DAY_NS);
    of_parts(interval.months.into(), days, rest)
}

fn justified_days(interval: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let (months, rest) = carried(interval.months.into(), interval.days.into(), DAYS_OF_MONTH);
    of_parts(months, rest, interval.nanoseconds)
}

/// Returns the same interval with as many months of 30 days, then days of 24 hours, as there are in it, all of one sign.
///
/// # Errors
/// How many months it would have, where these are more than an interval counts.
pub fn justified(interval: IntervalMonthDayNano) -> Result<IntervalMonthDayNano, i64> {
    let days = i64::from(interval.months) * DAYS_OF_MONTH + i64::from(interval.days);
    let (days, rest) = carried(days, interval.nanoseconds, DAY_NS);
    // Both have one sign, and so have the parts of the days.
    let months = days / DAYS_OF_MONTH;
    of_parts(months, days % DAYS_OF_MONTH, rest).ok_or(months)
}

#[cfg(test)]
mod tests;
