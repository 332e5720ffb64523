//! What JSON is made of. A function that passes something takes its place in a text and returns the place behind it, none
//! where it is not there: so the place stays in a register.

use crate::words::{HIGHS, ONES};

/// Returns the byte at a place; at the end one that is in no JSON.
#[inline]
pub(super) fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

#[inline]
pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(byte(bytes, at), b' ' | b'\n' | b'\t' | b'\r') {
        at += 1;
    }
    at
}

/// Returns true where `label` stands at a place. Labels are short, so they are compared by their two ends, which overlap
/// or meet: a call that compares memory costs more than all of it.
#[inline]
pub(super) fn is_at(bytes: &[u8], at: usize, label: &[u8]) -> bool {
    fn ends<const N: usize>(text: &[u8]) -> Option<([u8; N], [u8; N])> {
        Some((*text.first_chunk()?, *text.last_chunk()?))
    }
    let Some(here) = bytes.get(at..at + label.len()) else {
        return false;
    };
    match label.len() {
        4..8 => ends::<4>(here) == ends(label),
        8..16 => ends::<8>(here) == ends(label),
        16..=32 => ends::<16>(here) == ends(label),
        _ => here == label,
    }
}

/// Passes a text; says whether it has escapes.
#[inline]
pub(super) fn string_end(bytes: &[u8], start: usize) -> Option<(usize, bool)> {
    if byte(bytes, start) != b'"' {
        return None;
    }
    let at = special_from(bytes, start + 1);
    if byte(bytes, at) == b'"' {
        return Some((at + 1, false));
    }
    Some((escaped_string_end(bytes, at)?, true))
}

/// Passes the rest of a text from its first backslash on.
#[cold]
fn escaped_string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match byte(bytes, at) {
            b'"' => return Some(at + 1),
            b'\\' => at = special_from(bytes, escape_end(bytes, at + 1)?),
            _ => return None,
        }
    }
}

fn escape_end(bytes: &[u8], at: usize) -> Option<usize> {
    match byte(bytes, at) {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
        b'u' => {
            let digits = bytes.get(at + 1..at + 5)?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(at + 5)
        }
        _ => None,
    }
}

/// Passes a number.
#[inline]
pub(super) fn number_end(bytes: &[u8], start: usize) -> Option<usize> {
    let start = start + usize::from(byte(bytes, start) == b'-');
    short_number_end(bytes, start).or_else(|| long_number_end(bytes, start))
}

/// Passes a number of which the byte behind it is among the next eight, as with most; none where it is another, or has an
/// exponent, or where there may be a fault.
#[inline]
fn short_number_end(bytes: &[u8], start: usize) -> Option<usize> {
    let word = u64::from_le_bytes(*bytes.get(start..)?.first_chunk()?);
    let byte = |at: u32| (word >> (8 * at)) as u8;
    let mut others = no_digits(word);
    let mut length = others.trailing_zeros() / 8;
    // A zero is followed by no digit.
    if !(1..8).contains(&length) || (length > 1 && byte(0) == b'0') {
        return None;
    }
    if byte(length) == b'.' {
        let point = length;
        others &= others - 1;
        length = others.trailing_zeros() / 8;
        if length == 8 || length == point + 1 {
            return None;
        }
    }
    (!matches!(byte(length), b'e' | b'E')).then_some(start + length as usize)
}

fn long_number_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = match byte(bytes, start) {
        b'0' => start + 1,
        _ => digits_end(bytes, start)?,
    };
    if byte(bytes, at) == b'.' {
        at = digits_end(bytes, at + 1)?;
    }
    if matches!(byte(bytes, at), b'e' | b'E') {
        at += 1;
        at += usize::from(matches!(byte(bytes, at), b'+' | b'-'));
        at = digits_end(bytes, at)?;
    }
    Some(at)
}

/// Passes digits, at least one.
fn digits_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let others = no_digits(u64::from_le_bytes(*chunk));
        if others != 0 {
            at += others.trailing_zeros() as usize / 8;
            return (at > start).then_some(at);
        }
        at += 8;
    }
    while byte(bytes, at).is_ascii_digit() {
        at += 1;
    }
    (at > start).then_some(at)
}

/// Returns the highest bit of each byte that is no digit.
#[inline]
fn no_digits(word: u64) -> u64 {
    let word = word ^ (ONES * u64::from(b'0'));
    let above_nine = (word & (ONES * 0x7f)) + ONES * (0x7f - 9);
    (above_nine | word) & (HIGHS)
}

pub(super) fn word_end(bytes: &[u8], start: usize, word: &[u8]) -> Option<usize> {
    let rest = bytes.get(start..)?;
    rest.starts_with(word).then_some(start + word.len())
}

/// Returns the place of the first quote, backslash or control character from `at` on, else the end.
#[inline]
fn special_from(bytes: &[u8], mut at: usize) -> usize {
    // Eight bytes at once (Mycroft): the lowest bit found is right, those above it need not be.
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let control = word.wrapping_sub(ONES * 0x20);
        let quote = (word ^ (ONES * u64::from(b'"'))).wrapping_sub(ONES);
        let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
        // The highest bit of a byte of ours is that of the text.
        let found = (control | quote | backslash) & !word & (HIGHS);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    at + rest.iter().position(is_special).unwrap_or(rest.len())
}
