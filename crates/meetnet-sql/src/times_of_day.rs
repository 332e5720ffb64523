//! Texts that are cast to times of day, read as PostgreSQL reads them.
//!
//! `'040506'::time` -> `time_of_text('040506')`
//!
//! Arrow takes a text of digits for so many nanoseconds: `040506` would be 40 microseconds past midnight, and no error says so.
//! Others it refuses that PostgreSQL documents. So the cast of a text to a time of day is a function here, of constants and columns
//! alike, and of parameters whose values are texts.
//!
//! | written | read as |
//! |---|---|
//! | `04:05`, `4:05`, `0405`, `T04:05` | 04:05:00 |
//! | `04:05:06.789`, `040506.789`, `T040506.789` | 04:05:06.789 |
//! | `04:05 PM`, `4:05pm` | 16:05:00 |
//! | `04:05:06+02`, `04:05:06Z`, `2026-01-31 04:05:06` | 04:05:06: the offset and the date are left out |
//! | `allballs` | 00:00:00 |
//!
//! A day ends before 24:00, which PostgreSQL takes and a time of Arrow cannot be.

use arrow::array::{ArrayRef, AsArray, Time64NanosecondArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;
use meetnet_model::time::day_or_time;

use crate::error::{QueryError, StatementFault, shortened};
use crate::rewrite::{self, CastFunction, CastKind};

#[cfg(test)]
mod tests;

const SECOND_NS: i64 = 1_000_000_000;
const DAY_S: i64 = 86_400;
/// Hours by which a clock may be ahead of UTC or behind it, as in PostgreSQL.
const OFFSET_HOURS_MAX: i64 = 15;
/// How much of a text an error repeats.
const SHOWN_BYTES_MAX: usize = 100;

/// Makes such casts functions. It goes behind the step that makes types equal, which casts what is compared with times of day.
#[derive(Debug)]
pub(crate) struct TimesOfDay;

impl AnalyzerRule for TimesOfDay {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::expressions(
            plan,
            |expr| cast_of(expr).is_some(),
            |expr, schema| rewrite::parts(expr, |part| call_for(part, schema)),
        )
    }

    fn name(&self) -> &str {
        "times_of_day"
    }
}

/// Returns what is cast to a time of day, to which type, and whether by TRY_CAST; None for every other expression.
fn cast_of(expr: &Expr) -> Option<(&Expr, &DataType, bool)> {
    let cast = rewrite::cast_of(expr);
    cast.filter(|(_, to, _)| matches!(to, DataType::Time32(_) | DataType::Time64(_)))
}

/// Returns the call that takes the place of the cast of a text.
fn call_for(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let (inner, to, is_try) = cast_of(expr)?;
    let is_text = match inner.get_type(schema).ok()? {
        DataType::Dictionary(_, values) => values.is_string(),
        from => from.is_string(),
    };
    if !is_text {
        return None;
    }
    Some(CastFunction::call(TimeOfText, inner, to, is_try))
}

/// The time of day that a text is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct TimeOfText;

impl CastKind for TimeOfText {
    const NAME: &'static str = "time_of_text";

    fn cast(&self, texts: &ColumnarValue, to: &DataType, is_try: bool) -> Result<ColumnarValue> {
        rewrite::each_value(texts, |texts| times(texts, to, is_try))
    }
}

fn times(texts: &ArrayRef, to: &DataType, is_try: bool) -> Result<ArrayRef> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let texts = cast_with_options(texts, &DataType::Utf8, &strict)?;
    let texts = texts.as_string_opt::<i32>().ok_or_else(|| {
        let message = "`time_of_text` was called with what is no text".to_owned();
        DataFusionError::Internal(message)
    })?;
    let times = texts.iter().map(|text| match text {
        None => Ok(None),
        Some(text) => match time_of_day(text) {
            None if !is_try => Err(untimely(text)),
            time => Ok(time),
        },
    });
    let times: Time64NanosecondArray = times.collect::<Result<_>>()?;
    Ok(cast_with_options(&times, to, &strict)?)
}

fn untimely(text: &str) -> DataFusionError {
    let fault = StatementFault::of_time(text);
    let text = shortened(text.to_owned(), SHOWN_BYTES_MAX);
    let message = format!(
        "`{text}` is no time of day; write 04:05, 04:05:06.789, 040506 or 4:05 PM, before 24:00"
    );
    QueryError::of_statement(fault, message).into()
}

/// Returns the time of day that a text is, in nanoseconds past midnight; None where it is none. Digits behind the ninth of a second
/// are cut.
fn time_of_day(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("allballs") {
        return Some(0);
    }
    let clock = without_offset(without_date(text)?)?;
    let (clock, half) = halved(clock);
    let clock = clock.strip_prefix(['T', 't']).unwrap_or(clock);
    let (whole, fraction) = match clock.split_once('.') {
        Some((whole, fraction)) => (whole, Some(nanoseconds(fraction)?)),
        None => (clock, None),
    };
    let (hour, minute, second) = parts(whole)?;
    // A fraction is one of seconds.
    if fraction.is_some() && second.is_none() {
        return None;
    }
    let second = second.unwrap_or(0);
    let hour = match half {
        None => hour,
        Some(_) if hour > 12 => return None,
        Some(Half::Morning) => hour % 12,
        Some(Half::Afternoon) => hour % 12 + 12,
    };
    // A leap second is the first one of the next minute.
    if minute > 59 || second > 60 {
        return None;
    }
    let seconds = hour * 3_600 + minute * 60 + second;
    (seconds < DAY_S).then_some(seconds * SECOND_NS + fraction.unwrap_or(0))
}

/// Returns what stands behind a date, or all of a text without one; None where the date is none.
fn without_date(text: &str) -> Option<&str> {
    let Some((date, rest)) = text.split_at_checked(10) else {
        return Some(text);
    };
    let mut signs = b"dddd-dd-dd".iter().zip(date.bytes());
    let is_written = signs.all(|(pattern, sign)| match pattern {
        b'd' => sign.is_ascii_digit(),
        pattern => sign == *pattern,
    });
    if !is_written {
        return Some(text);
    }
    day_or_time(date)?;
    let clock = rest.strip_prefix(['T', 't', ' '])?;
    Some(clock.trim_start())
}

/// Returns what stands before an offset from UTC; None where that is none.
fn without_offset(text: &str) -> Option<&str> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some(clock.trim_end());
    }
    let Some((clock, offset)) = text.split_once(['+', '-']) else {
        return Some(text);
    };
    let (hours, minutes) = match offset.split_once(':') {
        Some(parts) => parts,
        None if offset.len() == 4 => offset.split_at_checked(2)?,
        None => (offset, "00"),
    };
    let is_within = |digits: &str, max: i64| {
        let number = two_digits(digits).filter(|_| digits.len() == 2);
        number.is_some_and(|number| number <= max)
    };
    let is_offset = is_within(hours, OFFSET_HOURS_MAX) && is_within(minutes, 59);
    is_offset.then(|| clock.trim_end())
}

/// Which half of the day hours up to 12 are of.
#[derive(Clone, Copy)]
enum Half {
    Morning,
    Afternoon,
}

/// Returns what stands before AM or PM, and which of both it is.
fn halved(text: &str) -> (&str, Option<Half>) {
    let Some(at) = text.len().checked_sub(2) else {
        return (text, None);
    };
    let Some((clock, half)) = text.split_at_checked(at) else {
        return (text, None);
    };
    let half = if half.eq_ignore_ascii_case("am") {
        Half::Morning
    } else if half.eq_ignore_ascii_case("pm") {
        Half::Afternoon
    } else {
        return (text, None);
    };
    (clock.trim_end(), Some(half))
}

/// Returns hour, minute and second, if it has one, of `4:05`, `04:05:06`, `0405` and `040506`.
fn parts(text: &str) -> Option<(i64, i64, Option<i64>)> {
    if let Some((hour, rest)) = text.split_once(':') {
        let (minute, second) = match rest.split_once(':') {
            Some((minute, second)) => (minute, Some(two_digits(second)?)),
            None => (rest, None),
        };
        return Some((two_digits(hour)?, two_digits(minute)?, second));
    }
    let is_whole = text.bytes().all(|sign| sign.is_ascii_digit());
    match (is_whole, text.len()) {
        (true, 4) => Some((two_digits(&text[..2])?, two_digits(&text[2..])?, None)),
        (true, 6) => {
            let second = two_digits(&text[4..])?;
            Some((
                two_digits(&text[..2])?,
                two_digits(&text[2..4])?,
                Some(second),
            ))
        }
        _ => None,
    }
}

/// Returns the number of one digit or two.
fn two_digits(text: &str) -> Option<i64> {
    let is_number = matches!(text.len(), 1 | 2) && text.bytes().all(|sign| sign.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Returns the nanoseconds that digits behind the point of a second are.
fn nanoseconds(digits: &str) -> Option<i64> {
    if digits.is_empty() || !digits.bytes().all(|sign| sign.is_ascii_digit()) {
        return None;
    }
    let kept = digits.get(..9).unwrap_or(digits);
    format!("{kept:0<9}").parse().ok()
}
