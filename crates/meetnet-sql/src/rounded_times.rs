//! Times of whole seconds or thousandths, `timestamp(0)` and `timestamp(3)`, rounded as in PostgreSQL.
//!
//! `CAST(time AS TIMESTAMP(0))` -> `rounded_time(time)`, of finer times and of texts
//!
//! Arrow cuts off what is behind: half a second before midnight would be a day too early. PostgreSQL counts from the year 2000, and
//! halves are rounded away from there.

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::format::DEFAULT_CAST_OPTIONS;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{ColumnarValue, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use crate::rewrite::{self, CastFunction, CastKind};
use crate::time_text::per_second;

const SECOND_US: i64 = 1_000_000;
/// The year 2000, in microseconds since 1970.
const YEAR_2000_US: i64 = 946_684_800 * SECOND_US;

/// Makes such casts functions. It goes behind the step that reads texts.
#[derive(Debug)]
pub(crate) struct RoundedTimes;

impl AnalyzerRule for RoundedTimes {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::expressions(
            plan,
            |expr| cast_of(expr).is_some(),
            |expr, schema| rewrite::parts(expr, |part| call_for(part, schema)),
        )
    }

    fn name(&self) -> &str {
        "rounded_times"
    }
}

/// Returns what is cast to a time of whole seconds or thousandths, to which type, and whether by TRY_CAST; None for every other
/// expression.
fn cast_of(expr: &Expr) -> Option<(&Expr, &DataType, bool)> {
    let cast = rewrite::cast_of(expr);
    cast.filter(|(_, to, _)| {
        matches!(
            to,
            DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, _)
        )
    })
}

/// Returns the call that takes the place of such a cast of what may be finer.
fn call_for(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let (inner, to, is_try) = cast_of(expr)?;
    let is_finer = match (inner.get_type(schema).ok()?, to) {
        (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) => {
            per_second(from) > per_second(*to)
        }
        (from, _) => from.is_string(),
    };
    is_finer.then(|| CastFunction::call(Rounded, inner, to, is_try))
}

/// A cast that rounds.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Rounded;

impl CastKind for Rounded {
    const NAME: &'static str = "rounded_time";

    fn cast(&self, value: &ColumnarValue, to: &DataType, is_try: bool) -> Result<ColumnarValue> {
        rewrite::each_value(value, |values| rounded(values, to, is_try))
    }
}

fn rounded(values: &ArrayRef, to: &DataType, is_try: bool) -> Result<ArrayRef> {
    let options = CastOptions {
        safe: is_try,
        ..DEFAULT_CAST_OPTIONS
    };
    let DataType::Timestamp(unit, zone) = to else {
        return Ok(cast_with_options(values, to, &options)?);
    };
    let fine = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
    let fine = cast(
        &cast_with_options(values, &fine, &options)?,
        &DataType::Int64,
    )?;
    let width = SECOND_US / per_second(*unit);
    let coarse: Int64Array = fine
        .as_primitive::<Int64Type>()
        .unary(|time| widths(time, width));
    Ok(cast(&coarse, to)?)
}

/// Returns how many widths since 1970 a time of microseconds is nearest to.
fn widths(time: i64, width: i64) -> i64 {
    let since = time.saturating_sub(YEAR_2000_US);
    let half = if since < 0 { -width / 2 } else { width / 2 };
    since.saturating_add(half) / width + YEAR_2000_US / width
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, StringArray};

    use super::*;

    /// What PostgreSQL 15 answers.
    #[test]
    fn times_are_rounded_away_from_2000() {
        for (time, unit, expect) in [
            (
                "2026-02-28 23:59:59.6",
                TimeUnit::Second,
                "2026-03-01T00:00:00",
            ),
            (
                "2026-02-28 23:59:59.5",
                TimeUnit::Second,
                "2026-03-01T00:00:00",
            ),
            (
                "2026-02-28 23:59:59.499999",
                TimeUnit::Second,
                "2026-02-28T23:59:59",
            ),
            (
                "1999-12-31 23:59:58.5",
                TimeUnit::Second,
                "1999-12-31T23:59:58",
            ),
            (
                "1999-12-31 23:59:58.500001",
                TimeUnit::Second,
                "1999-12-31T23:59:59",
            ),
            (
                "1999-02-28 23:59:59.4996",
                TimeUnit::Millisecond,
                "1999-02-28T23:59:59.500",
            ),
            (
                "1969-12-31 23:59:59.5",
                TimeUnit::Second,
                "1969-12-31T23:59:59",
            ),
        ] {
            let texts: ArrayRef = Arc::new(StringArray::from(vec![Some(time), None]));
            let made = rounded(&texts, &DataType::Timestamp(unit, None), false).unwrap();
            let made = cast(&made, &DataType::Utf8).unwrap();
            let made: Vec<_> = made.as_string::<i32>().iter().collect();
            assert_eq!(made, [Some(expect), None], "{time}");
        }
        for time in [i64::MIN, i64::MAX] {
            assert_eq!(widths(time, 1_000).signum(), time.signum());
        }
    }

    #[test]
    fn what_is_no_time_is_null_where_it_may_be() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        let to = DataType::Timestamp(TimeUnit::Second, None);
        assert!(rounded(&texts, &to, false).is_err());
        assert_eq!(rounded(&texts, &to, true).unwrap().null_count(), 1);
    }
}
