//! Pieces of values in text.

use std::fmt::{Display, LowerExp, Write};

use arrow::datatypes::IntervalMonthDayNano;
use bytes::{BufMut, BytesMut};
use meetnet_model::hex::Hex;

/// Appends what displays itself. Writing to memory cannot fail.
pub(super) fn write(out: &mut BytesMut, value: impl Display) {
    let _ = write!(out, "{value}");
}

/// Appends a float with the fewest digits that mean it; `size` is the same value as a double.
pub(super) fn float(out: &mut BytesMut, size: f64, value: impl Display + LowerExp) {
    let _ = match size {
        size if size.is_nan() => out.write_str("NaN"),
        size if size.is_infinite() && size > 0.0 => out.write_str("Infinity"),
        size if size.is_infinite() => out.write_str("-Infinity"),
        size if size == 0.0 || (1e-4..1e15).contains(&size.abs()) => write!(out, "{value}"),
        _ => write!(out, "{value:e}"),
    };
}

/// Appends an interval in the style `postgres`.
pub(super) fn interval(out: &mut BytesMut, value: IntervalMonthDayNano) {
    let start = out.len();
    let (years, months) = (value.months / 12, value.months % 12);
    for (amount, unit) in [(years, "year"), (months, "mon"), (value.days, "day")] {
        if amount == 0 {
            continue;
        }
        let space = if out.len() > start { " " } else { "" };
        let plural = if amount == 1 { "" } else { "s" };
        let _ = write!(out, "{space}{amount} {unit}{plural}");
    }
    let microseconds = value.nanoseconds / 1000;
    if microseconds == 0 && out.len() > start {
        return;
    }
    let space = if out.len() > start { " " } else { "" };
    let sign = if microseconds < 0 { "-" } else { "" };
    let size = microseconds.unsigned_abs();
    let (seconds, fraction) = (size / 1_000_000, size % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let _ = write!(out, "{space}{sign}{hour:02}:{minute:02}:{second:02}");
    if fraction > 0 {
        let digits = format!("{fraction:06}");
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
}

/// Appends bytes as `\x…`.
pub(super) fn hex(out: &mut BytesMut, bytes: &[u8]) {
    let _ = write!(out, "\\x{}", Hex(bytes));
}

/// Appends bytes as PostGIS writes geometries: in large letters, with nothing before them.
pub(super) fn bare_hex(out: &mut BytesMut, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(out, "{byte:02X}");
    }
}

/// Appends an element of an array, in quotes where it could be read as something else.
pub(super) fn quoted(out: &mut BytesMut, element: &[u8]) {
    let is_plain = !element.is_empty()
        && !element.eq_ignore_ascii_case(b"null")
        && !element
            .iter()
            .any(|byte| b"{},\"\\".contains(byte) || byte.is_ascii_whitespace());
    if is_plain {
        out.put_slice(element);
        return;
    }
    out.put_u8(b'"');
    for byte in element {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(*byte);
    }
    out.put_u8(b'"');
}
