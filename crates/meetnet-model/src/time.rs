//! Times as sources write them, read into microseconds since 1970, UTC.
//!
//! A decoder builds one [`TimeReader`] per source and calls it per value. Receive times, time windows and the clock are
//! not here: the caller holds them. Calendar arithmetic and text output are in [`crate::calendar`].

use std::borrow::Cow;

use jiff::civil;
use jiff::fmt::strtime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use thiserror::Error;

use crate::calendar::{DAY_US, Date, SECOND_US};
use crate::dataset::Grain;
use crate::source::{DoubledHour, TimeDeclaration, TimeFormat};

pub use crate::calendar::{
    format_rfc3339, period, period_bounds, period_end, period_start, write_rfc3339,
};

/// Why a text or number is not a time. It repeats nothing of the input, so it can stand in a reject as it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TimeError {
    /// Not the declared form.
    #[error("not an RFC 3339 / ISO 8601 time such as 2026-01-31T12:00:00Z")]
    NotRfc3339,
    /// A date without a time of day. As midnight, all rows of a day would be one, of which the last counts.
    #[error(
        "a date alone is no instant; declare where the time of day stands (`clock_field`, `clock_pointer`), or \
         `format = \"%Y-%m-%d\"` where a whole day is meant"
    )]
    NoClock,
    /// Not a number where seconds or milliseconds since 1970 are declared.
    #[error("not a number of {unit} since 1970")]
    NotUnix {
        /// `seconds`, `milliseconds` …
        unit: &'static str,
    },
    /// Not as the declared pattern says.
    #[error("not a time of the form `{0}`")]
    NotPattern(String),
    /// A year that was read of two digits where the pattern says four.
    #[error(
        "the year is below 100: in `format`, `%Y` is a year of four digits and `%y` one of two"
    )]
    ShortYear,
    /// A pattern that cannot be a time.
    #[error(
        "the format `{0}` is no time; use rfc3339, unix, unix-ms, unix-us, unix-ns, or a pattern that has year, month \
         and day (or %j), such as `%Y-%m-%d %H:%M:%S` or `%d/%m/%Y %H:%M`"
    )]
    WrongPattern(String),
    /// A local time without an offset, and no zone is declared.
    #[error(
        "the time has no offset and the source declares no zone; add `zone = \"UTC\"` or its IANA name to `time`"
    )]
    NoZone,
    /// The declared zone is not in the time-zone database.
    #[error("unknown time zone `{0}`; use an IANA name such as `Europe/Brussels` or `UTC`")]
    UnknownZone(String),
    /// A local time that does not exist: the hour the clock skips in spring.
    #[error("the local time does not exist: clocks skip it in spring")]
    Skipped,
    /// A local time that occurs twice, without a rule which one is meant.
    #[error(
        "the local time occurs twice in autumn; declare `doubled_hour = \"first\"` or `\"second\"`"
    )]
    Doubled,
    /// Before the year 1 or after the year 9999.
    #[error("the time lies outside the years 1 to 9999")]
    OutOfRange,
}

/// 0001-01-01T00:00:00Z.
const MIN_US: i64 = -62_135_596_800 * SECOND_US;
/// The last microsecond of the year 9999.
const MAX_US: i64 = 253_402_300_800 * SECOND_US - 1;

#[inline]
fn in_range(micros: i64) -> Result<i64, TimeError> {
    if (MIN_US..=MAX_US).contains(&micros) {
        Ok(micros)
    } else {
        Err(TimeError::OutOfRange)
    }
}

/// Reads an RFC 3339 / ISO 8601 time with an offset (`Z`, `+01:00`). Digits after the sixth of a second are cut.
pub fn parse_rfc3339(text: &str) -> Result<i64, TimeError> {
    TimeReader::RFC3339.read_text(text)
}

/// Reads a day as a person writes it (`2026-01-31`: its begin, UTC) or an instant with its offset, µs since 1970 UTC; none
/// where it is neither.
pub fn day_or_time(text: &str) -> Option<i64> {
    day_or_time_in(text, None)
}

/// Reads what [`day_or_time`] does; a day begins when the clocks of `zone` (an IANA name; none: UTC) first show it, as buckets of days
/// do. None, too, where nobody knows the zone.
pub fn day_or_time_in(text: &str, zone: Option<&str>) -> Option<i64> {
    if let Ok(instant) = parse_rfc3339(text) {
        return Some(instant);
    }
    let day = parse_rfc3339(&format!("{text}T00:00:00Z")).ok()?;
    let Some(zone) = zone_of(zone)? else {
        return Some(day);
    };
    let midnight = jiff::Timestamp::from_microsecond(day).ok()?;
    let midnight = jiff::tz::Offset::UTC.to_datetime(midnight);
    // Where the clocks skip midnight, that is the first instant behind it; where they show it twice, the first of both.
    let begin = zone.to_ambiguous_timestamp(midnight).compatible().ok()?;
    in_range(floor_micros(begin)).ok()
}

/// Returns a time that is written without seconds (`2026-02-01 12:30`, with an offset or none) with them; none for every other
/// text.
pub fn with_seconds(text: &str) -> Option<String> {
    const PATTERN: &[u8; 16] = b"dddd-dd-ddTdd:dd";
    let (minutes, rest) = text.split_at_checked(PATTERN.len())?;
    let fits = |(sign, pattern): (u8, &u8)| match pattern {
        b'd' => sign.is_ascii_digit(),
        b'T' => matches!(sign, b'T' | b't' | b' '),
        pattern => sign == *pattern,
    };
    let is_zone = rest.is_empty() || rest.starts_with(['Z', 'z', '+', '-', ' ']);
    let is_time = minutes.bytes().zip(PATTERN).all(fits) && is_zone;
    is_time.then(|| format!("{minutes}:00{rest}"))
}

/// Returns the name of the period by the clocks of `zone` (an IANA name; none: UTC) that holds an instant, as [`period`] writes it;
/// none where nobody knows the zone.
pub fn period_in(micros: i64, grain: Grain, zone: Option<&str>) -> Option<String> {
    let Some(zone) = zone_of(zone)? else {
        return Some(period(micros, grain));
    };
    let instant = jiff::Timestamp::from_microsecond(micros).ok()?;
    let local = local_micros(zone.to_offset(instant).to_datetime(instant));
    Some(period(local, grain))
}

/// Returns a zone by its name; `Some(None)` is UTC.
fn zone_of(name: Option<&str>) -> Option<Option<TimeZone>> {
    match name {
        None | Some("UTC" | "Etc/UTC" | "Z") => Some(None),
        Some(name) => TimeZone::get(name).ok().map(Some),
    }
}

/// Reads the times of one source, as its declaration says.
#[derive(Clone, Debug)]
pub struct TimeReader {
    format: TimeFormat,
    zone: Zone,
    doubled_hour: DoubledHour,
}

#[derive(Clone, Debug)]
enum Zone {
    Undeclared,
    Utc,
    Named(TimeZone),
}

impl TimeReader {
    /// Reads RFC 3339 times; an offset is required.
    pub const RFC3339: Self = Self {
        format: TimeFormat::Rfc3339,
        zone: Zone::Undeclared,
        doubled_hour: DoubledHour::Reject,
    };

    /// Returns the reader that `declaration` asks for, or [`TimeError::UnknownZone`] or [`TimeError::WrongPattern`].
    pub fn new(declaration: &TimeDeclaration) -> Result<Self, TimeError> {
        Self::with(
            declaration.format.clone(),
            declaration.zone.as_deref(),
            declaration.doubled_hour,
        )
    }

    /// Returns a reader of `format`; `zone` is for times without an offset, `doubled_hour` for those that occur twice
    /// (absent: they are errors).
    pub fn with(
        format: TimeFormat,
        zone: Option<&str>,
        doubled_hour: Option<DoubledHour>,
    ) -> Result<Self, TimeError> {
        let zone = match zone {
            None => Zone::Undeclared,
            Some("UTC" | "Etc/UTC" | "Z") => Zone::Utc,
            Some(name) => Zone::Named(
                TimeZone::get(name).map_err(|_| TimeError::UnknownZone(name.to_owned()))?,
            ),
        };
        if let TimeFormat::Pattern(pattern) = &format {
            check_pattern(pattern)?;
        }
        Ok(Self {
            format,
            zone,
            doubled_hour: doubled_hour.unwrap_or(DoubledHour::Reject),
        })
    }

    /// Reads a time that is written as nearly all are, and that UTC or an offset makes an instant; none for any other
    /// text, which [`TimeReader::read_text`] may read all the same, and says what is wrong with it. A text with white
    /// space around it or with a backslash is always another.
    #[inline]
    pub fn read_usual(&self, text: &[u8]) -> Option<i64> {
        let unit_us = match self.format {
            TimeFormat::Unix => SECOND_US,
            TimeFormat::UnixMs => 1_000,
            TimeFormat::UnixUs => 1,
            TimeFormat::Rfc3339 => return self.read_usual_iso(text),
            TimeFormat::UnixNs | TimeFormat::Pattern(_) => return None,
        };
        in_range(signed_number(text)?.checked_mul(unit_us)?).ok()
    }

    /// Does so for RFC 3339, of which the code is too long to stand wherever a number is read.
    #[inline(never)]
    fn read_usual_iso(&self, text: &[u8]) -> Option<i64> {
        let micros = match (read_iso(text)?, &self.zone) {
            ((local_us, Some(offset_s)), _) => local_us - offset_s * SECOND_US,
            ((local_us, None), Zone::Utc) => local_us,
            ((_, None), Zone::Undeclared | Zone::Named(_)) => return None,
        };
        in_range(micros).ok()
    }

    /// Reads a time from text; numbers of seconds or milliseconds may come as text too.
    pub fn read_text(&self, text: &str) -> Result<i64, TimeError> {
        if let Some(micros) = self.read_usual(text.as_bytes()) {
            return Ok(micros);
        }
        let text = text.trim();
        match &self.format {
            TimeFormat::Rfc3339 => match read_iso(text.as_bytes()) {
                Some((local_us, Some(offset_s))) => in_range(local_us - offset_s * SECOND_US),
                Some((local_us, None)) => self.resolve(local_us),
                None => self.read_unusual(text),
            },
            TimeFormat::Unix => read_decimal(text, 6, "seconds"),
            TimeFormat::UnixMs => read_decimal(text, 3, "milliseconds"),
            TimeFormat::UnixUs => read_decimal(text, 0, "microseconds"),
            TimeFormat::UnixNs => read_nanoseconds(text),
            TimeFormat::Pattern(pattern) => self.read_pattern(pattern, text),
        }
    }

    fn read_pattern(&self, pattern: &str, text: &str) -> Result<i64, TimeError> {
        let wrong = || TimeError::NotPattern(pattern.to_owned());
        let parts = strtime::parse(pattern, text).map_err(|_| wrong())?;
        let local = parts.to_datetime().map_err(|_| wrong())?;
        if local.year() < 100 {
            return Err(TimeError::ShortYear);
        }
        let local = local_micros(local);
        match parts.offset() {
            Some(offset) => in_range(local - i64::from(offset.seconds()) * SECOND_US),
            None => self.resolve(local),
        }
    }

    /// The forms that real sources rarely use: basic format, no seconds, leap seconds, a zone in brackets.
    fn read_unusual(&self, text: &str) -> Result<i64, TimeError> {
        let cut = with_nine_decimals(text);
        let text = &*cut;
        if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
            return in_range(floor_micros(timestamp));
        }
        let local: civil::DateTime = text.parse().map_err(|_| TimeError::NotRfc3339)?;
        let written = text.split('[').next().unwrap_or_default();
        if !written.contains(['T', 't', ' ']) {
            return Err(TimeError::NoClock);
        }
        self.resolve(local_micros(local))
    }

    /// Turns a local time, written as if it were UTC, into an instant by the declared zone.
    fn resolve(&self, local_us: i64) -> Result<i64, TimeError> {
        let local_us = in_range(local_us)?;
        let zone = match &self.zone {
            Zone::Undeclared => return Err(TimeError::NoZone),
            Zone::Utc => return Ok(local_us),
            Zone::Named(zone) => zone,
        };
        let local = jiff::Timestamp::from_microsecond(local_us)
            .map(|t| jiff::tz::Offset::UTC.to_datetime(t))
            .map_err(|_| TimeError::OutOfRange)?;
        let offset = match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { .. } => return Err(TimeError::Skipped),
            AmbiguousOffset::Fold { before, after } => match self.doubled_hour {
                DoubledHour::First => before,
                DoubledHour::Second => after,
                DoubledHour::Reject => return Err(TimeError::Doubled),
            },
        };
        in_range(local_us - i64::from(offset.seconds()) * SECOND_US)
    }
}

/// Cuts the digits behind the ninth decimal of a second: RFC 3339 allows any number of them.
fn with_nine_decimals(text: &str) -> Cow<'_, str> {
    const DECIMALS_MAX: usize = 9;
    let Some(point) = text.find(['.', ',']) else {
        return Cow::Borrowed(text);
    };
    let (whole, fraction) = text.split_at(point + 1);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    if digits <= DECIMALS_MAX {
        return Cow::Borrowed(text);
    }
    Cow::Owned([whole, &fraction[..DECIMALS_MAX], &fraction[digits..]].concat())
}

/// Checks that a pattern reads what it writes, and that a date comes of it.
fn check_pattern(pattern: &str) -> Result<(), TimeError> {
    let sample = civil::datetime(2026, 1, 31, 13, 14, 15, 0).to_zoned(TimeZone::UTC);
    let reads = || {
        let written = strtime::format(pattern, &sample.ok()?).ok()?;
        let read = strtime::parse(pattern, written).ok()?;
        read.to_datetime().ok()
    };
    let is_date = reads().is_some_and(|read| read.date() == civil::date(2026, 1, 31));
    if is_date {
        Ok(())
    } else {
        Err(TimeError::WrongPattern(pattern.to_owned()))
    }
}

/// Returns a local time as microseconds, as if it were UTC; digits after the sixth of a second are cut.
fn local_micros(local: civil::DateTime) -> i64 {
    let date = Date {
        year: i64::from(local.year()),
        month: i64::from(local.month()),
        day: i64::from(local.day()),
    };
    let seconds =
        i64::from(local.hour()) * 3600 + i64::from(local.minute()) * 60 + i64::from(local.second());
    let micros = i64::from(local.subsec_nanosecond()).div_euclid(1000);
    date.days() * DAY_US + seconds * SECOND_US + micros
}

/// Reads whole nanoseconds; what is below a microsecond is cut towards the past.
fn read_nanoseconds(text: &str) -> Result<i64, TimeError> {
    let unit = "nanoseconds";
    match text.parse::<i128>() {
        Ok(nanos) => {
            let micros = i64::try_from(nanos.div_euclid(1000));
            in_range(micros.map_err(|_| TimeError::OutOfRange)?)
        }
        // A fraction or an exponent.
        Err(_) => match text.parse::<f64>() {
            Ok(nanos) if nanos.is_finite() => in_range((nanos / 1e3).floor() as i64),
            _ => Err(TimeError::NotUnix { unit }),
        },
    }
}

fn floor_micros(timestamp: jiff::Timestamp) -> i64 {
    // The quotient of an i128 of nanoseconds in jiff's range fits easily.
    timestamp.as_nanosecond().div_euclid(1000) as i64
}

/// Reads `YYYY-MM-DD(T| )HH:MM:SS[.f{1,}][Z|±hh:mm]` into local microseconds and the offset in seconds.
/// None for every other form, which need not be wrong.
#[inline]
fn read_iso(bytes: &[u8]) -> Option<(i64, Option<i64>)> {
    let (head, mut rest) = bytes.split_first_chunk::<19>()?;
    let [
        y1,
        y2,
        y3,
        y4,
        s1,
        m1,
        m2,
        s2,
        d1,
        d2,
        separator,
        clock @ ..,
    ] = *head;
    if !matches!(separator, b'T' | b' ' | b't') {
        return None;
    }
    let pairs = pairs([y1, y2, y3, y4, s1, m1, m2, s2], *b"0000-00-")?;
    let date = Date {
        year: pairs(0) * 100 + pairs(2),
        month: pairs(5),
        day: two_digits(d1, d2)?,
    };
    let pairs = self::pairs(clock, *b"00:00:00")?;
    let (hour, minute, second) = (pairs(0), pairs(3), pairs(6));
    if !date.is_valid() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut fraction_us = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        let kept = digits.min(6);
        fraction_us = whole_number(&fraction[..kept])? * 10_i64.pow(6 - kept as u32);
        rest = &fraction[digits..];
    }
    let offset = match rest {
        [] => None,
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two_digits(*h1, *h2)?, two_digits(*m1, *m2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3600 + minutes * 60;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => return None,
    };
    let of_day = (hour * 3600 + minute * 60 + second) * SECOND_US + fraction_us;
    Some((date.days() * DAY_US + of_day, offset))
}

/// The lowest bit of each of eight bytes.
const ONES: u64 = u64::MAX / 255;

/// Reads eight characters that are digits where `form` has a zero, and else those of `form`: returns the number that two
/// digits make which begin at a place.
#[inline]
fn pairs(text: [u8; 8], form: [u8; 8]) -> Option<impl Fn(u32) -> i64> {
    // What may stand at most in each byte, once those of the form are taken away: 9, or 0.
    let most = form.map(|byte| if byte == b'0' { 9 } else { 0 });
    let digits = u64::from_le_bytes(text) ^ u64::from_le_bytes(form);
    if has_more(digits, u64::from_le_bytes(most)) {
        return None;
    }
    let pairs = digits * 10 + (digits >> 8);
    Some(move |place: u32| (pairs >> (8 * place) & 0xff) as i64)
}

/// Returns true where a byte is above that of `most`, of which none is above 127.
#[inline]
fn has_more(bytes: u64, most: u64) -> bool {
    let above = (bytes & (ONES * 0x7f)) + (ONES * 0x7f - most);
    (above | bytes) & (ONES << 7) != 0
}

#[inline]
fn two_digits(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens * 10 + ones))
}

/// Reads what [`whole_number`] does, with a minus before it or without.
#[inline]
fn signed_number(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', text @ ..] => Some(-whole_number(text)?),
        text => whole_number(text),
    }
}

/// Reads digits and nothing else, as nearly all numbers of seconds or milliseconds are; none for any other text.
#[inline]
fn whole_number(text: &[u8]) -> Option<i64> {
    const DIGITS_MAX: usize = 18;
    if !(1..=DIGITS_MAX).contains(&text.len()) {
        return None;
    }
    let (chunks, rest) = text.as_chunks::<8>();
    let mut number = 0;
    for chunk in chunks {
        number = number * 100_000_000 + eight_digits(*chunk)?;
    }
    for byte in rest {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    Some(number)
}

/// Reads eight digits at once: pairs of digits, then pairs of these, then the two that are left.
#[inline]
fn eight_digits(text: [u8; 8]) -> Option<i64> {
    let digits = u64::from_le_bytes(text) ^ (ONES * u64::from(b'0'));
    if has_more(digits, ONES * 9) {
        return None;
    }
    let twos = digits * 10 + (digits >> 8);
    let (even, odd) = (twos & 0xff_0000_00ff, twos >> 16 & 0xff_0000_00ff);
    let fours = even * 100 + odd;
    Some(((fours & 0xffff) * 10_000 + (fours >> 32)) as i64)
}

/// Reads a decimal number exactly and scales it by 10^`places`; further digits are cut towards the past.
fn read_decimal(text: &str, places: u32, unit: &'static str) -> Result<i64, TimeError> {
    if let Some(whole) = whole_number(text.as_bytes()) {
        let micros = whole.checked_mul(10_i64.pow(places));
        return in_range(micros.ok_or(TimeError::OutOfRange)?);
    }
    let error = TimeError::NotUnix { unit };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        // Exponents ("1.7e9") are legal JSON numbers, so they are read, by way of a float.
        let value: f64 = text.parse().map_err(|_| error.clone())?;
        if !value.is_finite() {
            return Err(error);
        }
        return in_range((value * 10_f64.powi(places as i32)).round() as i64);
    }
    let whole: i64 = whole.parse().map_err(|_| TimeError::OutOfRange)?;
    // In range before the fraction is added: the sum cannot overflow then.
    let whole_us = whole.checked_mul(10_i64.pow(places));
    let mut micros = in_range(whole_us.ok_or(TimeError::OutOfRange)?)?;
    let mut cut = false;
    for (place, byte) in (1..).zip(fraction.bytes()) {
        if place <= places {
            micros += i64::from(byte - b'0') * 10_i64.pow(places - place);
        } else {
            cut |= byte != b'0';
        }
    }
    in_range(if negative {
        -micros - i64::from(cut)
    } else {
        micros
    })
}

#[cfg(test)]
mod tests;
