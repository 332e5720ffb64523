//! Bytes as PostgreSQL writes them in a text.

#[cfg(test)]
mod tests;

/// Returns the bytes that a text means: `\x00ff` in digits, two for each, and everything else as it is, but `\\` for a backslash
/// and `\377` for a byte in octal. None where it is neither.
pub fn bytea(text: &str) -> Option<Vec<u8>> {
    if let Some(digits) = text.strip_prefix("\\x") {
        return of_digits(digits);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, after) = match (first, after) {
            (b'\\', [b'\\', after @ ..]) => (b'\\', after),
            (
                b'\\',
                [
                    high @ b'0'..=b'3',
                    middle @ b'0'..=b'7',
                    low @ b'0'..=b'7',
                    after @ ..,
                ],
            ) => {
                let digit = |letter: &u8| letter - b'0';
                (
                    (digit(high) << 6) | (digit(middle) << 3) | digit(low),
                    after,
                )
            }
            (b'\\', _) => return None,
            (byte, after) => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
    Some(bytes)
}

/// Reads pairs of hexadecimal digits, which may have white space between them.
fn of_digits(digits: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len() / 2);
    let mut letters = digits.chars();
    while let Some(letter) = letters.next() {
        if matches!(letter, ' ' | '\n' | '\t' | '\r') {
            continue;
        }
        let (high, low) = (letter.to_digit(16)?, letters.next()?.to_digit(16)?);
        bytes.push(u8::try_from((high << 4) | low).ok()?);
    }
    Some(bytes)
}
