//! Field values and times of line protocol, checked byte by byte: `1`, `-1.5e3`, `7i`, `7u`, `t`, `FALSE`.
//!
//! `NaN` and `Inf` are no numbers there. Texts are taken apart with the line.

use super::line::Fault;

/// The unit of a body's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
}

impl Precision {
    /// Reads the parameter `precision` of either version of InfluxDB.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "n" | "ns" | "" => Self::Nanoseconds,
            "u" | "us" | "\u{b5}" | "\u{3bc}" => Self::Microseconds,
            "ms" => Self::Milliseconds,
            "s" => Self::Seconds,
            "m" => Self::Minutes,
            "h" => Self::Hours,
            _ => return None,
        })
    }

    /// Returns a time as µs since 1970; none where no clock can mean it. What is finer than a microsecond is cut
    /// towards the past.
    pub(super) fn micros(self, time: i64) -> Option<i64> {
        let factor = match self {
            Self::Nanoseconds => return Some(time.div_euclid(1_000)),
            Self::Microseconds => 1,
            Self::Milliseconds => 1_000,
            Self::Seconds => 1_000_000,
            Self::Minutes => 60_000_000,
            Self::Hours => 3_600_000_000,
        };
        /// The last microsecond of the year 9999.
        const MAX_US: i64 = 253_402_300_799_999_999;
        let micros = time.checked_mul(factor)?;
        (-MAX_US..=MAX_US).contains(&micros).then_some(micros)
    }
}

/// Checks a value that is no text; returns how many of its bytes say it: the `i` of a whole number says its type only.
pub(super) fn check(value: &[u8]) -> Result<usize, Fault> {
    match value {
        [] => Err(Fault::MissingFieldValue),
        [whole @ .., b'i'] if is_number_byte(value[0]) => {
            check_whole(whole, |digits| digits.parse::<i64>().is_ok())
        }
        [b'-', .., b'u'] => Err(Fault::InvalidNumber),
        [whole @ .., b'u'] if is_number_byte(value[0]) => {
            check_whole(whole, |digits| digits.parse::<u64>().is_ok())
        }
        [first, ..] if is_number_byte(*first) => {
            if is_float(value) {
                Ok(value.len())
            } else {
                Err(Fault::InvalidNumber)
            }
        }
        b"t" | b"T" | b"true" | b"True" | b"TRUE" => Ok(value.len()),
        b"f" | b"F" | b"false" | b"False" | b"FALSE" => Ok(value.len()),
        [b'n' | b'N' | b'i' | b'I', ..] => Err(Fault::InvalidNumber),
        _ => Err(Fault::InvalidBoolean),
    }
}

fn is_number_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
}

fn check_whole(whole: &[u8], fits: impl Fn(&str) -> bool) -> Result<usize, Fault> {
    /// Digits that every 64-bit number has room for.
    const DIGITS_SAFE: usize = 18;
    let digits = whole.strip_prefix(b"-").unwrap_or(whole);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Fault::InvalidNumber);
    }
    let may_be_too_large = digits.len() > DIGITS_SAFE;
    if may_be_too_large && !std::str::from_utf8(whole).is_ok_and(fits) {
        return Err(Fault::IntegerOutOfRange);
    }
    Ok(whole.len())
}

/// Returns true for `-`? digits `.` digits, with an exponent or without; digits on one side of the point are enough.
fn is_float(value: &[u8]) -> bool {
    let digits = |from: usize| {
        value[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let mut at = usize::from(value[0] == b'-');
    let whole = digits(at);
    at += whole;
    let mut fraction = 0;
    if value.get(at) == Some(&b'.') {
        fraction = digits(at + 1);
        at += 1 + fraction;
    }
    if whole + fraction == 0 {
        return false;
    }
    if matches!(value.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(value.get(at), Some(b'+' | b'-')));
        let exponent = digits(at.min(value.len()));
        if exponent == 0 {
            return false;
        }
        at += exponent;
    }
    at == value.len()
}

/// Reads a whole number of up to 64 bits.
pub(super) fn integer(digits: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match digits {
        [b'-', rest @ ..] => (true, rest),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let magnitude = digits.iter().try_fold(0_i64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        // Downwards: the lowest number has no positive counterpart.
        sum.checked_mul(10)?.checked_sub(digit)
    })?;
    if is_negative {
        Some(magnitude)
    } else {
        magnitude.checked_neg()
    }
}
