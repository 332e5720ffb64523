//! `numeric` in binary: digits to the base 10,000.

use bytes::{BufMut, BytesMut};

const NEGATIVE: u16 = 0x4000;
/// Decimal digits of one digit.
const WIDTH: usize = 4;

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

/// Reads a number; None where it is none, or not a number.
pub(crate) fn read(bytes: &[u8]) -> Option<f64> {
    let field = |at: usize| {
        let bytes = bytes.get(2 * at..2 * at + 2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    };
    let (count, weight, sign) = (field(0)?, field(1)? as i16, field(2)?);
    if ![0, NEGATIVE].contains(&sign) || bytes.len() != 8 + 2 * usize::from(count) {
        return None;
    }
    // Through text, which rounds once.
    let mut decimal = String::new();
    for at in 0..usize::from(count) {
        let digit = field(4 + at)?;
        if digit > 9_999 {
            return None;
        }
        decimal.push_str(&format!("{digit:04}"));
    }
    if decimal.is_empty() {
        return Some(0.0);
    }
    let exponent = (i32::from(weight) + 1 - i32::from(count)) * WIDTH as i32;
    let size: f64 = format!("{decimal}e{exponent}").parse().ok()?;
    Some(if sign == NEGATIVE { -size } else { size })
}
