//! Buckets of time: hours, days, weeks, months and years, in UTC or by the clocks of a time zone.
//!
//! ```text
//! width, zone, origin ─▶ TimeBuckets ─▶ Walk: instant ─▶ start of its bucket, start of the next one
//! ```
//!
//! Buckets are half-open, follow each other without a gap, and are named by their start. So the start of a bucket never
//! falls while time rises, whatever the clocks do:
//! - *Days, months and years* begin when the clocks of the zone first show their first instant; where the clocks skip
//!   it, when they have gone on. A day has 23, 24 or 25 hours.
//! - *Shorter widths* begin whenever the clocks show a multiple of them, so both hours of the doubled autumn hour are
//!   buckets of their own; where the clocks skip a multiple in spring, the bucket begins when they have gone on.
//!
//! Instants are microseconds since 1970 UTC.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use thiserror::Error;

use crate::calendar::{DAY_US, Date, SECOND_US};

#[cfg(test)]
mod tests;

/// Monday 2000-01-03: where widths that are no months are counted from, so that weeks begin on Monday.
const ORIGIN_DAY: i64 = 10_959;
/// January 2000 in months since the year 0.
const ORIGIN_MONTH: i64 = 24_000;
/// 2001-01-03 in UTC: in every zone a day of the first month of this century.
const CENTURY_US: i64 = 11_325 * DAY_US;

/// How wide a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketWidth {
    /// Microseconds of elapsed time, by the clock within a day.
    Micros(i64),
    /// Calendar days.
    Days(i64),
    /// Calendar months.
    Months(i64),
}

/// Why there are no such buckets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BucketError {
    /// A width of nothing or less.
    #[error("the interval must be longer than nothing")]
    NotPositive,
    /// A width that no instant can be counted in.
    #[error("the interval is longer than time is told here; use at most 1000 years")]
    TooWide,
    /// A zone that the time-zone database does not have.
    #[error("unknown time zone `{0}`; use an IANA name such as `Europe/Brussels` or `UTC`")]
    UnknownZone(String),
    /// An origin of months within a month.
    #[error(
        "the origin of months must be midnight of the first day of a month, in the zone that is given"
    )]
    OriginWithinMonth,
    /// An origin before or after what the time-zone database knows.
    #[error("the origin lies outside the years that time is told for")]
    OriginOutOfRange,
}

/// Most days and months that a width may have: 1000 years.
const DAYS_MAX: i64 = 366_000;
const MONTHS_MAX: i64 = 12_000;

/// Multiples of a width on the clocks of a zone.
#[derive(Clone, Debug)]
pub struct TimeBuckets {
    grid: Grid,
    /// None: UTC.
    zone: Option<TimeZone>,
    /// Whether a bucket begins once per date, and not whenever the clocks show its start.
    is_calendar: bool,
}

/// Multiples of a width in local time, which is written as if it were UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grid {
    Micros { step: i64, origin: i64 },
    Months { step: i64, origin: i64 },
}

impl Grid {
    /// Returns the last multiple up to `local`.
    fn floor(self, local: i64) -> Option<i64> {
        match self {
            Self::Micros { step, origin } => {
                let steps = local.checked_sub(origin)?.div_euclid(step);
                steps.checked_mul(step)?.checked_add(origin)
            }
            Self::Months { step, origin } => {
                let months = months(local) - origin;
                month_start(origin + months.div_euclid(step) * step)
            }
        }
    }

    /// Returns the multiple after the multiple `start`.
    fn next(self, start: i64) -> Option<i64> {
        match self {
            Self::Micros { step, .. } => start.checked_add(step),
            Self::Months { step, .. } => month_start(months(start) + step),
        }
    }
}

/// Returns the months from the year 0 to the month of a local time.
fn months(local: i64) -> i64 {
    let date = Date::from_days(local.div_euclid(DAY_US));
    date.year * 12 + date.month - 1
}

fn month_start(months: i64) -> Option<i64> {
    let date = Date {
        year: months.div_euclid(12),
        month: months.rem_euclid(12) + 1,
        day: 1,
    };
    date.days().checked_mul(DAY_US)
}

impl TimeBuckets {
    /// Returns the buckets of a width by the clocks of `zone` (an IANA name; None: UTC), counted from `origin` (None:
    /// midnight of Monday 2000-01-03 there, for months January 2000).
    ///
    /// # Errors
    /// Every kind of [`BucketError`].
    pub fn try_new(
        width: BucketWidth,
        zone: Option<&str>,
        origin: Option<i64>,
    ) -> Result<Self, BucketError> {
        let zone = match zone {
            None | Some("UTC" | "Etc/UTC" | "Z") => None,
            Some(name) => {
                Some(TimeZone::get(name).map_err(|_| BucketError::UnknownZone(name.to_owned()))?)
            }
        };
        let origin = match (origin, &zone) {
            (None, _) => None,
            (Some(at), None) => Some(at),
            (Some(at), Some(zone)) => {
                let there =
                    Timestamp::from_microsecond(at).map_err(|_| BucketError::OriginOutOfRange)?;
                Some(at + offset_us(zone.to_offset(there)))
            }
        };
        let (grid, is_calendar) = match width {
            BucketWidth::Micros(step) => (micros_grid(step, origin)?, false),
            BucketWidth::Days(days) => {
                // One more than the most is too many as well, and does not overflow.
                let days = days.clamp(0, DAYS_MAX + 1);
                (micros_grid(days * DAY_US, origin)?, true)
            }
            BucketWidth::Months(step) => (months_grid(step, origin)?, true),
        };
        Ok(Self {
            grid,
            zone,
            is_calendar,
        })
    }

    /// Returns what finds buckets, best of instants that are near each other.
    pub fn walk(&self) -> Walk<'_> {
        Walk {
            buckets: self,
            from: 0,
            until: 0,
            start: 0,
            periods: BTreeMap::new(),
        }
    }

    /// Returns how many buckets there are at most from `from` to before `to`.
    pub fn count_max(&self, from: i64, to: i64) -> u64 {
        let least = match self.grid {
            // Where clocks are set, a bucket can end early.
            Grid::Micros { step, .. } if self.zone.is_none() => step,
            Grid::Micros { step, .. } if self.is_calendar => step - DAY_US / 2,
            Grid::Micros { step, .. } => step.min(DAY_US),
            Grid::Months { step, .. } => step.saturating_mul(27 * DAY_US),
        };
        let length = i128::from(to) - i128::from(from);
        let count = length.max(0) / i128::from(least) + 2;
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}

/// Returns the instant at which the 21st century begins by the clocks of `zone` (an IANA name; None: UTC): with 2001, as every
/// century begins with a year 1. It is the origin of buckets that are centuries and millennia.
///
/// # Errors
/// `UnknownZone`.
pub fn century_start(zone: Option<&str>) -> Result<i64, BucketError> {
    let years = TimeBuckets::try_new(BucketWidth::Months(12), zone, None)?;
    let start = years.walk().start(CENTURY_US);
    start.ok_or(BucketError::OriginOutOfRange)
}

fn micros_grid(step: i64, origin: Option<i64>) -> Result<Grid, BucketError> {
    if step <= 0 {
        return Err(BucketError::NotPositive);
    }
    if step > DAYS_MAX * DAY_US {
        return Err(BucketError::TooWide);
    }
    let origin = origin.unwrap_or(ORIGIN_DAY * DAY_US);
    Ok(Grid::Micros { step, origin })
}

fn months_grid(step: i64, origin: Option<i64>) -> Result<Grid, BucketError> {
    if step <= 0 {
        return Err(BucketError::NotPositive);
    }
    if step > MONTHS_MAX {
        return Err(BucketError::TooWide);
    }
    let origin = match origin {
        None => ORIGIN_MONTH,
        Some(local) if month_start(months(local)) == Some(local) => months(local),
        Some(_) => return Err(BucketError::OriginWithinMonth),
    };
    Ok(Grid::Months { step, origin })
}

fn offset_us(offset: Offset) -> i64 {
    i64::from(offset.seconds()) * SECOND_US
}

/// A time between two changes of the clocks.
#[derive(Clone, Copy, Debug)]
struct Period {
    /// First instant, and the first after it.
    start: i64,
    end: i64,
    /// Local time minus UTC.
    offset: i64,
    /// Local time minus UTC before `start`.
    before: i64,
    /// From here on no local time has been shown before.
    clear: i64,
}

/// Finds buckets, and remembers where the last one was found.
#[derive(Debug)]
pub struct Walk<'a> {
    buckets: &'a TimeBuckets,
    /// Every instant from `from` to before `until` lies in the bucket of `start`.
    from: i64,
    until: i64,
    start: i64,
    /// Periods of the zone that instants lay in, by their starts.
    periods: BTreeMap<i64, Period>,
}

impl Walk<'_> {
    /// Returns the start of the bucket that holds an instant; none for instants that no calendar reaches.
    #[inline]
    pub fn start(&mut self, instant: i64) -> Option<i64> {
        if self.from <= instant && instant < self.until {
            return Some(self.start);
        }
        self.find(instant)
    }

    /// Returns the first start after an instant.
    pub fn next(&mut self, instant: i64) -> Option<i64> {
        let grid = self.buckets.grid;
        let mut period = self.period(instant)?;
        let floor = grid.floor(instant.checked_add(period.offset)?)?;
        if self.buckets.is_calendar {
            let mut local = floor;
            loop {
                let start = self.first_shown(local)?;
                if start > instant {
                    return Some(start);
                }
                local = grid.next(local)?;
            }
        }
        let mut next = grid.next(floor)?.checked_sub(period.offset)?;
        while next >= period.end {
            period = self.period(period.end)?;
            let shown = period.start.checked_add(period.offset)?;
            let floor = grid.floor(shown)?;
            if floor == shown || was_skipped(floor, period) {
                return Some(period.start);
            }
            next = grid.next(floor)?.checked_sub(period.offset)?;
        }
        Some(next)
    }

    fn find(&mut self, instant: i64) -> Option<i64> {
        let grid = self.buckets.grid;
        let period = self.period(instant)?;
        let floor = grid.floor(instant.checked_add(period.offset)?)?;
        let start = floor.checked_sub(period.offset)?;
        let earliest = if self.buckets.is_calendar {
            period.clear
        } else {
            period.start
        };
        // Where the clocks are not set before, this is where the next one starts.
        let next = grid.next(floor)?.checked_sub(period.offset)?;
        let (start, until) = if start >= earliest {
            (start, next.min(period.end))
        } else if self.buckets.is_calendar {
            self.find_calendar(instant, floor)?
        } else {
            let start = self.find_across(floor, period)?;
            (start, next.min(period.end))
        };
        (self.from, self.until, self.start) = (start, until, start);
        Some(start)
    }

    /// Finds the bucket of an instant whose local time has been shown twice, or whose bucket began under other clocks:
    /// its start, and up to where instants lie in it.
    fn find_calendar(&self, instant: i64, floor: i64) -> Option<(i64, i64)> {
        let grid = self.buckets.grid;
        let start = self.first_shown(floor)?;
        if start > instant {
            let before = self.first_shown(grid.floor(floor - 1)?)?;
            return Some((before, start));
        }
        let local = grid.next(floor)?;
        let next = self.first_shown(local)?;
        if next > instant {
            return Some((start, next));
        }
        Some((next, self.first_shown(grid.next(local)?)?))
    }

    /// Finds the last start before the clocks were set, or where they were; `floor` has not been shown since.
    fn find_across(&mut self, floor: i64, period: Period) -> Option<i64> {
        let grid = self.buckets.grid;
        let (mut floor, mut period) = (floor, period);
        loop {
            if was_skipped(floor, period) {
                return Some(period.start);
            }
            let before = period.start.checked_sub(1)?;
            period = self.period(before)?;
            floor = grid.floor(before.checked_add(period.offset)?)?;
            let start = floor.checked_sub(period.offset)?;
            if start >= period.start {
                return Some(start);
            }
        }
    }

    /// Returns when the clocks first show a local time; where they skip it, when they would have.
    fn first_shown(&self, local: i64) -> Option<i64> {
        let Some(zone) = &self.buckets.zone else {
            return Some(local);
        };
        let local = Offset::UTC.to_datetime(Timestamp::from_microsecond(local).ok()?);
        let shown = zone.to_ambiguous_timestamp(local).compatible().ok()?;
        Some(shown.as_microsecond())
    }

    fn period(&mut self, instant: i64) -> Option<Period> {
        let Some(zone) = &self.buckets.zone else {
            return Some(Period {
                start: i64::MIN,
                end: i64::MAX,
                offset: 0,
                before: 0,
                clear: i64::MIN,
            });
        };
        let known = self.periods.range(..=instant).next_back();
        if let Some((_, period)) = known
            && instant < period.end
        {
            return Some(*period);
        }
        let period = look_up(zone, instant)?;
        self.periods.insert(period.start, period);
        Some(period)
    }
}

/// Returns whether the clocks skipped a local time when the period began.
fn was_skipped(local: i64, period: Period) -> bool {
    period.start.saturating_add(period.before) <= local
        && local < period.start.saturating_add(period.offset)
}

/// Returns the period of a zone that holds an instant.
fn look_up(zone: &TimeZone, instant: i64) -> Option<Period> {
    // Clocks are set at whole seconds, and jiff counts transitions before and after an instant, never at it.
    let second = Timestamp::from_second(instant.div_euclid(SECOND_US)).ok()?;
    let after = Timestamp::from_second(second.as_second().checked_add(1)?).ok()?;
    let began = zone.preceding(after).next();
    let ends = zone.following(second).next();
    let offset = offset_us(zone.to_offset(second));
    let (start, before) = match began {
        None => (i64::MIN, offset),
        Some(change) => {
            let at = change.timestamp();
            let earlier = Timestamp::from_second(at.as_second().checked_sub(1)?).ok()?;
            (at.as_microsecond(), offset_us(zone.to_offset(earlier)))
        }
    };
    Some(Period {
        start,
        end: ends.map_or(i64::MAX, |change| change.timestamp().as_microsecond()),
        offset,
        before,
        clear: start.saturating_add((before - offset).max(0)),
    })
}
