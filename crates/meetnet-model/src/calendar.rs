//! Microseconds since 1970 (UTC) as dates: text of an instant, and the periods that name partitions.
//!
//! Plain integer arithmetic on the proleptic Gregorian calendar; zones and parsing are in [`crate::time`].

use crate::dataset::Grain;

/// Microseconds in a second.
pub const SECOND_US: i64 = 1_000_000;
/// Microseconds in a day.
pub const DAY_US: i64 = 86_400 * SECOND_US;

/// A calendar date; `year` may lie outside 0000–9999 for instants that no parser of ours returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
}

/// Days in the 400 years after which the calendar repeats.
const CYCLE_DAYS: i64 = 146_097;

impl Date {
    /// Returns the days since 1970-01-01.
    ///
    /// Years are counted from March, so that the leap day is the last of a year and months have a closed formula.
    #[inline]
    pub(crate) fn days(self) -> i64 {
        let (year, month) = if self.month <= 2 {
            (self.year - 1, self.month + 9)
        } else {
            (self.year, self.month - 3)
        };
        let day_of_year = (153 * month + 2) / 5 + self.day - 1;
        let centuries = year.div_euclid(100);
        // Shifted, which rounds down: every fourth year has a leap day, every hundredth none, every four hundredth one.
        let leap_days = (year >> 2) - centuries + (centuries >> 2);
        year * 365 + leap_days + day_of_year - 719_468
    }

    /// Returns the date `days` after 1970-01-01.
    pub(crate) fn from_days(days: i64) -> Self {
        let days = days + 719_468;
        let cycle = days.div_euclid(CYCLE_DAYS);
        let day_of_cycle = days.rem_euclid(CYCLE_DAYS);
        let year = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524
            - day_of_cycle / 146_096)
            / 365;
        let day_of_year = day_of_cycle - (365 * year + year / 4 - year / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let (carry, month) = if month < 10 {
            (0, month + 3)
        } else {
            (1, month - 9)
        };
        Self {
            year: cycle * 400 + year + carry,
            month,
            day,
        }
    }

    /// Returns true where the month has this day.
    #[inline]
    pub(crate) fn is_valid(self) -> bool {
        let days = match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0) => 29,
            2 => 28,
            _ => return false,
        };
        (1..=days).contains(&self.day)
    }
}

fn push_digits(out: &mut String, value: i64, width: u32) {
    for place in (0..width).rev() {
        let digit = value / 10_i64.pow(place) % 10;
        out.push(char::from(b'0' + digit as u8));
    }
}

fn push_date(out: &mut String, date: Date) {
    push_year(out, date.year);
    out.push('-');
    push_digits(out, date.month, 2);
    out.push('-');
    push_digits(out, date.day, 2);
}

fn push_year(out: &mut String, year: i64) {
    if (0..=9999).contains(&year) {
        push_digits(out, year, 4);
    } else {
        // ISO 8601's expanded form; only reachable with instants that the parsers refuse.
        out.push(if year < 0 { '-' } else { '+' });
        push_digits(out, year.abs(), 6);
    }
}

/// Appends an instant in RFC 3339 form with `Z`; the fraction has no, three or six digits, as many as it needs.
pub fn write_rfc3339(out: &mut String, micros: i64) {
    push_date(out, Date::from_days(micros.div_euclid(DAY_US)));
    let of_day = micros.rem_euclid(DAY_US);
    let seconds = of_day / SECOND_US;
    out.push('T');
    push_digits(out, seconds / 3600, 2);
    out.push(':');
    push_digits(out, seconds / 60 % 60, 2);
    out.push(':');
    push_digits(out, seconds % 60, 2);
    let fraction = of_day % SECOND_US;
    if fraction != 0 {
        out.push('.');
        if fraction % 1000 == 0 {
            push_digits(out, fraction / 1000, 3);
        } else {
            push_digits(out, fraction, 6);
        }
    }
    out.push('Z');
}

/// Returns an instant in RFC 3339 form, for example `2026-01-01T12:00:00Z`; see [`write_rfc3339`].
pub fn format_rfc3339(micros: i64) -> String {
    let mut out = String::with_capacity(27);
    write_rfc3339(&mut out, micros);
    out
}

/// Returns by how many months, days and microseconds `to` comes after `from`, both µs since 1970 UTC, as PostgreSQL counts an age:
/// years and months of the calendar first, then days, of which a month has as many as that of the earlier one. Where `to` comes
/// before, all of them are negative.
pub fn age(to: i64, from: i64) -> (i64, i64, i64) {
    let (earlier, later) = (to.min(from), to.max(from));
    let [first, last] = [earlier, later].map(|micros| Date::from_days(micros.div_euclid(DAY_US)));
    let month_of = |date: Date| date.year * 12 + date.month - 1;
    let mut months = month_of(last) - month_of(first);
    let mut days = last.day - first.day;
    let mut micros = later.rem_euclid(DAY_US) - earlier.rem_euclid(DAY_US);
    if micros < 0 {
        micros += DAY_US;
        days -= 1;
    }
    let start_of = |months: i64| {
        let date = Date {
            year: months.div_euclid(12),
            month: months.rem_euclid(12) + 1,
            day: 1,
        };
        date.days()
    };
    let length = start_of(month_of(first) + 1) - start_of(month_of(first));
    while days < 0 {
        days += length;
        months -= 1;
    }
    if to < from {
        (-months, -days, -micros)
    } else {
        (months, days, micros)
    }
}

/// Returns the month of an instant, 1 to 12, UTC.
pub fn month(micros: i64) -> u8 {
    Date::from_days(micros.div_euclid(DAY_US)).month as u8
}

/// Returns the name of the period that holds an instant: `2026`, `2026-01` or `2026-01-01`.
/// It is the value of the partition column [`Grain::column`].
pub fn period(micros: i64, grain: Grain) -> String {
    let date = Date::from_days(micros.div_euclid(DAY_US));
    let mut out = String::with_capacity(10);
    match grain {
        Grain::Year => push_year(&mut out, date.year),
        Grain::Month => {
            push_year(&mut out, date.year);
            out.push('-');
            push_digits(&mut out, date.month, 2);
        }
        Grain::Day => push_date(&mut out, date),
    }
    out
}

/// Returns the first instant of the period that holds `micros`.
pub fn period_start(micros: i64, grain: Grain) -> i64 {
    first_day(Date::from_days(micros.div_euclid(DAY_US)), grain)
        .days()
        .saturating_mul(DAY_US)
}

/// Returns the first instant after the period that holds `micros`.
pub fn period_end(micros: i64, grain: Grain) -> i64 {
    next_period(
        first_day(Date::from_days(micros.div_euclid(DAY_US)), grain),
        grain,
    )
    .days()
    .saturating_mul(DAY_US)
}

/// Returns the first instant of a named period and the first after it, or none where `name` is not a period of `grain`
/// as [`period`] writes it (years 0000 to 9999).
pub fn period_bounds(name: &str, grain: Grain) -> Option<(i64, i64)> {
    let mut parts = name.split('-');
    let mut part = |width: usize| {
        let text = parts
            .next()
            .filter(|t| t.len() == width && t.bytes().all(|b| b.is_ascii_digit()))?;
        text.parse::<i64>().ok()
    };
    let year = part(4)?;
    let month = if grain == Grain::Year { 1 } else { part(2)? };
    let day = if grain == Grain::Day { part(2)? } else { 1 };
    let date = Date { year, month, day };
    if parts.next().is_some() || !date.is_valid() {
        return None;
    }
    Some((
        date.days() * DAY_US,
        next_period(date, grain).days() * DAY_US,
    ))
}

fn first_day(date: Date, grain: Grain) -> Date {
    match grain {
        Grain::Year => Date {
            month: 1,
            day: 1,
            ..date
        },
        Grain::Month => Date { day: 1, ..date },
        Grain::Day => date,
    }
}

fn next_period(date: Date, grain: Grain) -> Date {
    match grain {
        Grain::Year => Date {
            year: date.year + 1,
            ..date
        },
        Grain::Month if date.month == 12 => Date {
            year: date.year + 1,
            month: 1,
            ..date
        },
        Grain::Month => Date {
            month: date.month + 1,
            ..date
        },
        Grain::Day => Date::from_days(date.days() + 1),
    }
}

#[cfg(test)]
mod tests;
