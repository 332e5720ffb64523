//! Buckets of time: `time_bucket` and `date_trunc`, which name the bucket of an instant, and `time_grid`, which lists
//! buckets; `date_part` by the names of its parts, of spans, and of what is longer than a year; and functions of intervals.

mod bucket;
mod grid;
mod interval;
mod part;
mod span;
mod truncate;

use arrow::datatypes::IntervalMonthDayNano;
use meetnet_model::buckets::{BucketWidth, TimeBuckets};

pub(crate) use bucket::{BUCKET, TimeBucket};
pub use grid::GRID_BUCKETS_MAX;
pub(crate) use grid::{GRID, TimeGrid};
pub(crate) use interval::SCALARS;
pub use interval::justified;
pub(crate) use part::{LongParts, PARTS, TimePart};
pub(crate) use span::Spans;
pub(crate) use truncate::DateTrunc;

/// Returns the width that an interval is.
///
/// # Errors
/// What is wrong with it, as text.
pub(crate) fn width(interval: IntervalMonthDayNano) -> Result<BucketWidth, &'static str> {
    let IntervalMonthDayNano {
        months,
        days,
        nanoseconds,
    } = interval;
    match (months, days, nanoseconds) {
        (months, 0, 0) if months != 0 => Ok(BucketWidth::Months(i64::from(months))),
        (0, days, 0) if days != 0 => Ok(BucketWidth::Days(i64::from(days))),
        (0, 0, nanoseconds) if nanoseconds % 1_000 != 0 => {
            Err("an interval is told in whole microseconds")
        }
        (0, 0, nanoseconds) => Ok(BucketWidth::Micros(nanoseconds / 1_000)),
        _ => Err(
            "an interval is of months or of days or of hours and less, not of several: a day has 23 to 25 hours and a \
             month 28 to 31 days",
        ),
    }
}

/// Returns the buckets that constants of a call mean.
///
/// # Errors
/// What is wrong with them, as text.
pub(crate) fn buckets(
    interval: IntervalMonthDayNano,
    zone: Option<&str>,
    origin: Option<i64>,
) -> Result<TimeBuckets, String> {
    let width = width(interval)?;
    TimeBuckets::try_new(width, zone, origin).map_err(|error| error.to_string())
}

/// Returns how much later `to` is than `from`, both µs since 1970 UTC, also where an int64 could not say it. Before it is
/// rounded: times are large and their differences are not.
pub(crate) fn micros_between(from: i64, to: i64) -> f64 {
    (i128::from(to) - i128::from(from)) as f64
}
