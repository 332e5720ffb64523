//! `date_trunc`: DataFusion's, but for columns of times in UTC.
//!
//! DataFusion 55.2 asks the calendar of a zone for every time that has one, UTC among them, which takes longer than the rest
//! of a grouping by hours. In UTC hours, days and weeks are all of a length, and months, quarters and years begin where
//! days do. Neighbours in a column mostly lie in one bucket, since tables are sorted.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, FieldRef, TimestampMicrosecondType};
use datafusion::error::Result;
use datafusion::functions::datetime::date_trunc::DateTruncFunc;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature,
};
use meetnet_model::calendar::{DAY_US, SECOND_US};
use meetnet_model::common::timestamp_type;

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
    /// Returns None for a granularity that is unknown here.
    fn of(granularity: &str) -> Option<Self> {
        let even = |width, origin| Some(Self::Even { width, origin });
        match granularity.to_ascii_lowercase().as_str() {
            "second" => even(SECOND_US, 0),
            "minute" => even(60 * SECOND_US, 0),
            "hour" => even(3_600 * SECOND_US, 0),
            "day" => even(DAY_US, 0),
            "week" => even(7 * DAY_US, MONDAY_US),
            "month" | "quarter" | "year" => Some(Self::OfDays),
            _ => None,
        }
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

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.of_any.return_field_from_args(args)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let buckets = match args.args.first() {
            Some(ColumnarValue::Scalar(granularity)) => {
                granularity.try_as_str().flatten().and_then(Buckets::of)
            }
            _ => None,
        };
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

#[cfg(test)]
mod tests;
