//! `date_trunc`: DataFusion's, but for columns of times in UTC, and with the units and spellings of PostgreSQL: decades, centuries
//! and millennia, too.
//!
//! DataFusion 55.2 asks the calendar of a zone for every time that has one, UTC among them, which takes longer than the rest
//! of a grouping by hours. In UTC hours, days and weeks are all of a length, and months, quarters and years begin where
//! days do. Neighbours in a column mostly lie in one bucket, since tables are sorted.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::datetime::date_trunc::DateTruncFunc;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature,
};
use meetnet_model::buckets::{BucketWidth, TimeBuckets, century_start};
use meetnet_model::calendar::{DAY_US, SECOND_US};
use meetnet_model::calendar_unit::CalendarUnit;
use meetnet_model::common::timestamp_type;

use crate::call::text_of;

/// 1970-01-05, a Monday.
const MONDAY_US: i64 = 4 * DAY_US;

/// The function `date_trunc`.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct DateTrunc {
    of_any: DateTruncFunc,
}

/// How buckets of a granularity lie in UTC.
#[derive(Clone, Copy)]
enum Buckets {
    /// All of one width, one of them from `origin` on, µs.
    Even { width: i64, origin: i64 },
    /// They begin where days do.
    OfDays,
}

impl Buckets {
    /// Returns None for a unit that DataFusion truncates to.
    fn of(unit: CalendarUnit) -> Option<Self> {
        let even = |width, origin| Some(Self::Even { width, origin });
        match unit {
            CalendarUnit::Second => even(SECOND_US, 0),
            CalendarUnit::Minute => even(60 * SECOND_US, 0),
            CalendarUnit::Hour => even(3_600 * SECOND_US, 0),
            CalendarUnit::Day => even(DAY_US, 0),
            CalendarUnit::Week => even(7 * DAY_US, MONDAY_US),
            CalendarUnit::Month | CalendarUnit::Quarter | CalendarUnit::Year => Some(Self::OfDays),
            _ => None,
        }
    }
}

/// Returns the unit of a name.
///
/// # Errors
/// `Execution` where times are truncated to no such unit.
fn unit_of(name: &str) -> Result<CalendarUnit> {
    let unit = CalendarUnit::named(name).filter(|unit| *unit != CalendarUnit::Nanosecond);
    unit.ok_or_else(|| {
        DataFusionError::Execution(format!(
            "`date_trunc`: there is no unit `{name}`; it takes microsecond, millisecond, second, minute, hour, day, week, month, \
             quarter, year, decade, century and millennium"
        ))
    })
}

/// Returns how many months a unit has that is longer than a year; None for every other one.
fn long_months(unit: CalendarUnit) -> Option<i64> {
    match unit {
        CalendarUnit::Decade => Some(120),
        CalendarUnit::Century => Some(1_200),
        CalendarUnit::Millennium => Some(12_000),
        _ => None,
    }
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &str {
        self.of_any.name()
    }

    fn aliases(&self) -> &[String] {
        self.of_any.aliases()
    }

    fn signature(&self) -> &Signature {
        self.of_any.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.of_any.return_type(arg_types)
    }

    /// An unknown unit is an error here, before any file is read.
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        if let Some(unit) = text_of(args.scalar_arguments.first().copied().flatten()) {
            unit_of(unit)?;
        }
        self.of_any.return_field_from_args(args)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let unit = match args.args.first() {
            Some(ColumnarValue::Scalar(unit)) => text_of(Some(unit)).map(unit_of).transpose()?,
            _ => None,
        };
        let Some(unit) = unit else {
            return self.of_any.invoke_with_args(args);
        };
        args.args[0] = ColumnarValue::Scalar(ScalarValue::from(unit.name()));
        if let (Some(months), Some(times)) = (long_months(unit), args.args.get(1)) {
            return match times {
                ColumnarValue::Array(times) => Ok(ColumnarValue::Array(long(times, months)?)),
                ColumnarValue::Scalar(time) => {
                    let start = long(&time.to_array()?, months)?;
                    let start = ScalarValue::try_from_array(&start, 0)?;
                    Ok(ColumnarValue::Scalar(start))
                }
            };
        }
        let buckets = Buckets::of(unit);
        let times = match args.args.get(1) {
            Some(ColumnarValue::Array(times)) if *times.data_type() == timestamp_type() => times
                .as_primitive_opt::<TimestampMicrosecondType>()
                .cloned(),
            _ => None,
        };
        let (Some(buckets), Some(times)) = (buckets, times) else {
            return self.of_any.invoke_with_args(args);
        };
        let starts = match buckets {
            Buckets::Even { width, origin } => even(&times, width, origin),
            Buckets::OfDays => {
                let (days, day_of) = days(&times);
                let count = days.len();
                // A time without a zone is not asked for the calendar of one.
                let days = TimestampMicrosecondArray::from_iter_values(days);
                args.number_rows = count;
                args.args[1] = ColumnarValue::Array(Arc::new(days));
                let starts = self.of_any.invoke_with_args(args)?.into_array(count)?;
                let starts = starts.as_primitive::<TimestampMicrosecondType>();
                day_of.into_iter().map(|day| starts.value(day)).collect()
            }
        };
        let starts = TimestampMicrosecondArray::new(starts.into(), times.nulls().cloned());
        let starts: ArrayRef = Arc::new(starts.with_data_type(timestamp_type()));
        Ok(ColumnarValue::Array(starts))
    }

    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        self.of_any.output_ordering(input)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.of_any.documentation()
    }
}

/// Returns the starts of buckets of one width.
fn even(times: &TimestampMicrosecondArray, width: i64, origin: i64) -> Vec<i64> {
    let mut start = origin;
    let starts = times.values().iter().map(|time| {
        // Unsigned, one comparison says both: not before the start, and not behind the end.
        if time.wrapping_sub(start) as u64 >= width as u64 {
            let past = (i128::from(*time) - i128::from(origin)).rem_euclid(i128::from(width));
            start = time.saturating_sub(past as i64);
        }
        start
    });
    starts.collect()
}

/// Returns the days that times lie in, neighbours of one day once, and for each time the position of its day.
fn days(times: &TimestampMicrosecondArray) -> (Vec<i64>, Vec<usize>) {
    let mut days: Vec<i64> = Vec::new();
    let day_of = times.values().iter().enumerate().map(|(row, time)| {
        // What stands below a NULL is no time.
        let time = if times.is_null(row) { 0 } else { *time };
        let is_same = days.last().is_some_and(|day| {
            time.checked_sub(*day)
                .is_some_and(|past| (0..DAY_US).contains(&past))
        });
        if !is_same {
            days.push(time.saturating_sub(time.rem_euclid(DAY_US)));
        }
        days.len() - 1
    });
    let day_of = day_of.collect();
    (days, day_of)
}

/// Returns the starts of decades, centuries or millennia, which are so many months, by the clocks of the zone of the times.
fn long(times: &ArrayRef, months: i64) -> Result<ArrayRef> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let zone = match times.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        // NULL, as DataFusion has it.
        DataType::Null => {
            let nanos = DataType::Timestamp(TimeUnit::Nanosecond, None);
            return Ok(cast_with_options(times, &nanos, &strict)?);
        }
        other => {
            let message =
                format!("`date_trunc`: a {other} is not truncated to decades and what is longer");
            return Err(DataFusionError::Execution(message));
        }
    };
    let of_micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
    let micros = cast_with_options(times, &of_micros, &strict)?;
    let micros = micros
        .as_primitive_opt::<TimestampMicrosecondType>()
        .ok_or_else(|| {
            let message = "`date_trunc` was called with what is no time".to_owned();
            DataFusionError::Internal(message)
        })?;
    let zone = zone.as_deref().filter(|zone| *zone != "+00:00");
    let refused = |why: String| DataFusionError::Execution(format!("`date_trunc`: {why}"));
    let origin = century_start(zone).map_err(|error| refused(error.to_string()))?;
    // Of the first year of a century; a decade begins a year before.
    let origin = (months > 120).then_some(origin);
    let buckets = TimeBuckets::try_new(BucketWidth::Months(months), zone, origin);
    let buckets = buckets.map_err(|error| refused(error.to_string()))?;
    let mut walk = buckets.walk();
    let starts = micros.iter().map(|time| {
        let start = time.map(|time| {
            walk.start(time).ok_or_else(|| {
                refused("a time lies outside the years that time is told for".into())
            })
        });
        start.transpose()
    });
    let starts: TimestampMicrosecondArray = starts.collect::<Result<_>>()?;
    let starts = starts.with_data_type(of_micros);
    Ok(cast_with_options(&starts, times.data_type(), &strict)?)
}

#[cfg(test)]
mod tests;
