//! Bare `nan` in JSON: firmware that prints floats with `printf` sends it, no JSON reader takes it.

use std::borrow::Cow;

/// The words that C and Python print for a float that is no number, longest first.
const WORDS: [&str; 7] = [
    "-infinity",
    "infinity",
    "-inf",
    "inf",
    "-nan",
    "nan",
    "+inf",
];

/// Replaces bare `nan` and `inf` (any case, any sign) outside texts by `null`; borrows where there is none.
pub(crate) fn without_nan(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut in_text = false;
    // Whether a value may start here; so that `xnan` stays what it is.
    let mut value_start = true;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if in_text => at += 1,
            b'"' => {
                in_text = !in_text;
                value_start = false;
            }
            _ if in_text => {}
            b':' | b',' | b'[' | b' ' | b'\t' | b'\r' | b'\n' => value_start = true,
            _ if value_start => {
                value_start = false;
                if let Some(word) = word_at(&bytes[at..]) {
                    out.push_str(&text[copied..at]);
                    out.push_str("null");
                    at += word.len();
                    copied = at;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

fn word_at(bytes: &[u8]) -> Option<&'static str> {
    WORDS.into_iter().find(|word| {
        bytes
            .get(..word.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
            && !bytes.get(word.len()).is_some_and(u8::is_ascii_alphanumeric)
    })
}
