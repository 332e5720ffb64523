//! `numeric` in binary: digits to the base 10,000.

use std::fmt::Write;

use bytes::{BufMut, BytesMut};

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITE: u16 = 0xd000;
const NEGATIVE_INFINITE: u16 = 0xf000;
/// Decimals that a number can say that it shows.
const SCALE_MAX: u16 = 0x3fff;
/// Decimal digits of one digit.
const WIDTH: usize = 4;
/// Zeros that are written before or behind digits: no number of decimal digits here has as many places.
const PLACES_MAX: usize = 400;

/// Appends a number that is written as decimal digits, with a sign and a point where it has them.
pub(super) fn write(decimal: &str, out: &mut BytesMut) {
    let (sign, digits) = match decimal.strip_prefix('-') {
        Some(digits) => (NEGATIVE, digits),
        None => (0, decimal),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    // Both sides of the point are filled up to whole digits of the base.
    let before = whole.len().div_ceil(WIDTH) * WIDTH;
    let after = fraction.len().div_ceil(WIDTH) * WIDTH;
    let filled = format!("{whole:0>before$}{fraction:0<after$}");
    let digits: Vec<u16> = filled
        .as_bytes()
        .chunks(WIDTH)
        .map(|digit| {
            digit.iter().fold(0, |value, byte| {
                value * 10 + u16::from(byte.wrapping_sub(b'0'))
            })
        })
        .collect();
    let leading = digits.iter().take_while(|digit| **digit == 0).count();
    let trailing = digits[leading..]
        .iter()
        .rev()
        .take_while(|digit| **digit == 0)
        .count();
    let kept = &digits[leading..digits.len() - trailing];
    let weight = (before / WIDTH) as i16 - leading as i16 - 1;
    out.put_i16(kept.len() as i16);
    out.put_i16(if kept.is_empty() { 0 } else { weight });
    out.put_u16(if kept.is_empty() { 0 } else { sign });
    out.put_u16(fraction.len() as u16);
    for digit in kept {
        out.put_u16(*digit);
    }
}

/// Why bytes are no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoNumber {
    /// They are none of PostgreSQL's.
    Malformed,
    /// It is larger than a double can be, or smaller and not zero.
    OutOfRange,
}

/// A number that was sent.
enum Sent {
    /// Zero, or one that has no digits: as it is written, and as a double.
    Constant(&'static str, f64),
    Digits(Digits),
}

/// A number that is not zero.
struct Digits {
    is_negative: bool,
    /// Decimal digits without zeros before them.
    digits: String,
    /// By how many places the point lies behind the last digit.
    exponent: i32,
}

/// Reads a number as the double that is nearest to it. What its scale hides is cut off, as PostgreSQL does.
pub(crate) fn read(bytes: &[u8]) -> Result<f64, NoNumber> {
    match sent(bytes)? {
        Sent::Constant(_, value) => Ok(value),
        Sent::Digits(number) => number.nearest(),
    }
}

/// Reads a number as it is written in digits, with a sign and a point where it has them. What its scale hides is cut off.
pub(crate) fn read_digits(bytes: &[u8]) -> Result<String, NoNumber> {
    match sent(bytes)? {
        Sent::Constant(written, _) => Ok(written.to_owned()),
        Sent::Digits(number) => number.written(),
    }
}

impl Digits {
    /// Returns the double that is nearest to it.
    fn nearest(&self) -> Result<f64, NoNumber> {
        // Through text, which rounds once. It is as long as what was sent, whatever the weight says.
        let size: f64 = format!("{}e{}", self.digits, self.exponent)
            .parse()
            .map_err(|_| NoNumber::Malformed)?;
        if size.is_infinite() || size == 0.0 {
            return Err(NoNumber::OutOfRange);
        }
        Ok(if self.is_negative { -size } else { size })
    }

    /// Returns it in digits.
    fn written(&self) -> Result<String, NoNumber> {
        let digits = &self.digits;
        let places = self.exponent.unsigned_abs() as usize;
        if places > PLACES_MAX {
            return Err(NoNumber::OutOfRange);
        }
        let sign = if self.is_negative { "-" } else { "" };
        if self.exponent >= 0 {
            return Ok(format!("{sign}{digits}{:0<places$}", ""));
        }
        // At least one digit stands before the point.
        let width = places + 1;
        let filled = format!("{digits:0>width$}");
        let (whole, fraction) = filled.split_at(filled.len() - places);
        Ok(format!("{sign}{whole}.{fraction}"))
    }
}

fn sent(bytes: &[u8]) -> Result<Sent, NoNumber> {
    let (header, digits) = bytes.split_at_checked(8).ok_or(NoNumber::Malformed)?;
    let field = |at: usize| u16::from_be_bytes([header[2 * at], header[2 * at + 1]]);
    let (count, weight, sign, scale) = (field(0), field(1) as i16, field(2), field(3));
    if digits.len() != 2 * usize::from(count) || scale > SCALE_MAX {
        return Err(NoNumber::Malformed);
    }
    match sign {
        0 | NEGATIVE => {}
        NAN => return Ok(Sent::Constant("NaN", f64::NAN)),
        INFINITE => return Ok(Sent::Constant("Infinity", f64::INFINITY)),
        NEGATIVE_INFINITE => return Ok(Sent::Constant("-Infinity", f64::NEG_INFINITY)),
        _ => return Err(NoNumber::Malformed),
    }
    let mut decimal = String::with_capacity(WIDTH * usize::from(count));
    for digit in digits.chunks_exact(2) {
        let digit = u16::from_be_bytes([digit[0], digit[1]]);
        if digit > 9_999 {
            return Err(NoNumber::Malformed);
        }
        // Writing to memory cannot fail.
        let _ = write!(decimal, "{digit:04}");
    }
    let mut exponent = (i32::from(weight) + 1 - i32::from(count)) * WIDTH as i32;
    let hidden = usize::try_from(-exponent - i32::from(scale)).unwrap_or(0);
    if hidden > 0 {
        decimal.truncate(decimal.len().saturating_sub(hidden));
        exponent = -i32::from(scale);
    }
    let digits = decimal.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(Sent::Constant("0", 0.0));
    }
    Ok(Sent::Digits(Digits {
        is_negative: sign == NEGATIVE,
        digits: digits.to_owned(),
        exponent,
    }))
}
