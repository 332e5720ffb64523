//! Eight bytes of a text at once: for texts that are too short for a search that begins with a call to pay.
//!
//! A function that marks bytes sets their highest bits (Mycroft). The lowest mark is right; those above it need not be.

/// The lowest bit of each of eight bytes.
pub(crate) const ONES: u64 = u64::MAX / 255;
/// The highest bit of each of eight bytes.
pub(crate) const HIGHS: u64 = ONES << 7;

/// Returns the position of the first `byte`, which is ASCII, in a text.
#[inline]
pub(crate) fn find(text: &[u8], byte: u8) -> Option<usize> {
    let (chunks, rest) = text.as_chunks::<8>();
    for (at, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk) ^ (ONES * u64::from(byte));
        let found = word.wrapping_sub(ONES) & !word & HIGHS;
        if found != 0 {
            return Some(8 * at + found.trailing_zeros() as usize / 8);
        }
    }
    let found = rest.iter().position(|other| *other == byte);
    found.map(|at| 8 * chunks.len() + at)
}

/// Returns true where a text is printable ASCII.
#[inline]
pub(crate) fn is_printable(text: &[u8]) -> bool {
    let is_printable = |chunk: &[u8; 8]| {
        let word = u64::from_le_bytes(*chunk);
        // Below a space, or above a tilde.
        (word.wrapping_sub(ONES * 0x20) | word | word.wrapping_add(ONES)) & HIGHS == 0
    };
    let (chunks, rest) = text.as_chunks::<8>();
    chunks.iter().all(is_printable) && rest.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests;
