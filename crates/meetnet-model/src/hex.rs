//! Bytes as texts: hashes, pseudonyms, cursors.

use std::fmt::{self, Write as _};

#[cfg(test)]
mod tests;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Shows bytes as lower-case hexadecimal digits, two for each.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.try_for_each(|digit| f.write_char(char::from(DIGITS[usize::from(digit)])))
    }
}

/// Returns the text of a UUID, `8-4-4-4-12` digits; None for what are not sixteen bytes.
pub fn uuid(bytes: &[u8]) -> Option<String> {
    let bytes: &[u8; 16] = bytes.try_into().ok()?;
    let parts = [
        &bytes[..4],
        &bytes[4..6],
        &bytes[6..8],
        &bytes[8..10],
        &bytes[10..],
    ];
    Some(parts.map(|part| Hex(part).to_string()).join("-"))
}
