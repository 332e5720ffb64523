//! What a wanted value says, in JSON or as plain text: devices write one and the same field as `21.5`, `"21.5"`, `""` or `null`, or leave it
//! out, so every reader knows three answers: a value, missing, wrong.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, Visitor};
use serde_json::value::RawValue;

use crate::comma;
use crate::fields::{Fields, Raw, Slot};
use crate::words;

/// What the raw text of a wanted value says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reading<T> {
    /// A value.
    Value(T),
    /// Absent, `null`, an empty text or `"NaN"`: there is no value.
    Missing,
    /// A value of another kind.
    Wrong,
}

/// Reads the number, or the text that is one, in a slot.
#[inline(always)]
pub(crate) fn number_at(fields: &Fields<'_, '_>, slot: Slot) -> Reading<f64> {
    match fields.unquoted(slot) {
        None => Reading::Missing,
        // So nearly all are written: with or without quotes, nothing else but a decimal.
        Some(text) => match decimal(text) {
            Some(value) => Reading::Value(value),
            None => number_in_any_dress(fields.raw(slot)),
        },
    }
}

/// Reads a number, or a text that is one.
#[inline]
pub(crate) fn number(raw: Option<Raw<'_>>) -> Reading<f64> {
    match raw {
        None => Reading::Missing,
        Some(raw) => match decimal(unquoted(raw)) {
            Some(value) => Reading::Value(value),
            None => number_in_any_dress(Some(raw)),
        },
    }
}

/// Reads a number, or a text that is one, with a decimal comma or with a point; not with a point that may group its digits.
/// Apart from where numbers without one are read, as nearly all are.
#[inline(never)]
pub(crate) fn number_with_comma(raw: Option<Raw<'_>>) -> Reading<f64> {
    with_point(raw, number)
}

/// Does the same for a whole number.
#[inline(never)]
pub(crate) fn integer_with_comma(raw: Option<Raw<'_>>) -> Reading<i64> {
    with_point(raw, integer)
}

/// Reads what a text is with a point for its decimal comma.
fn with_point<T>(
    raw: Option<Raw<'_>>,
    read: impl FnOnce(Option<Raw<'_>>) -> Reading<T>,
) -> Reading<T> {
    let Scalar::Text(text) = scalar(raw) else {
        return read(raw);
    };
    if comma::may_group_digits(text.as_bytes()) {
        return Reading::Wrong;
    }
    if comma::position(text.as_bytes()).is_none() {
        return read(raw);
    }
    let text = text.replacen(',', ".", 1);
    read(Some(Raw::Text(&text)))
}

/// Returns true for a text that is a number only by a decimal comma.
pub(crate) fn needs_comma(raw: Option<Raw<'_>>) -> bool {
    matches!(number(raw), Reading::Wrong) && matches!(number_with_comma(raw), Reading::Value(_))
}

/// Returns true for a text whose point may group its digits.
pub(crate) fn may_group_digits(raw: Option<Raw<'_>>) -> bool {
    matches!(scalar(raw), Scalar::Text(text) if comma::may_group_digits(text.as_bytes()))
}

/// Returns a value as it is written, a JSON text without its quotes but with its escapes.
#[inline]
pub(crate) fn unquoted(raw: Raw<'_>) -> &[u8] {
    match raw {
        Raw::Json(text) => match text.as_bytes() {
            [b'"', inner @ .., b'"'] => inner,
            text => text,
        },
        Raw::Text(text) => text.as_bytes(),
    }
}

/// Reads a decimal of at most 15 digits without an exponent; none for any other text, which may be a number, too.
///
/// Fifteen digits and powers of ten up to 10²² are exact as floats, so the one division rounds correctly.
#[inline]
fn decimal(text: &[u8]) -> Option<f64> {
    const DIGITS_MAX: usize = 15;
    const POWERS: [f64; DIGITS_MAX + 1] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    ];
    let (is_negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        text => (false, text),
    };
    if text.len() > DIGITS_MAX + 1 {
        return None;
    }
    let mut number = 0_i64;
    let mut point = None;
    for (at, byte) in text.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit < 10 {
            number = number * 10 + i64::from(digit);
        } else if *byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return None;
        }
    }
    let (places, digits) = match point {
        None => (0, text.len()),
        Some(point) => (text.len() - point - 1, text.len() - 1),
    };
    if !(1..=DIGITS_MAX).contains(&digits) {
        return None;
    }
    let value = number as f64 / POWERS.get(places)?;
    Some(if is_negative { -value } else { value })
}

#[cold]
fn number_in_any_dress(raw: Option<Raw<'_>>) -> Reading<f64> {
    match scalar(raw) {
        Scalar::Missing => Reading::Missing,
        Scalar::Number(text) => number_text(text),
        Scalar::Text(text) => {
            let text = text.trim();
            if text.is_empty() || text.eq_ignore_ascii_case("nan") {
                return Reading::Missing;
            }
            // `f64::from_str` also reads `inf`, `infinity` and `nan`: words are no measurements.
            let digits = text
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
            if digits {
                number_text(text)
            } else {
                Reading::Wrong
            }
        }
        Scalar::Bool(_) | Scalar::Nested => Reading::Wrong,
    }
}

/// Reads a whole number, or a text that is one; `3.0` is 3, `3.5` is wrong.
pub(crate) fn integer(raw: Option<Raw<'_>>) -> Reading<i64> {
    /// The last whole number up to which floats are exact.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match scalar(raw) {
        Scalar::Number(text) => {
            if let Ok(value) = text.parse() {
                return Reading::Value(value);
            }
        }
        Scalar::Text(text) => {
            if let Ok(value) = text.trim().parse() {
                return Reading::Value(value);
            }
        }
        _ => {}
    }
    match number(raw) {
        Reading::Value(value) if value.fract() == 0.0 && value.abs() <= EXACT_MAX => {
            Reading::Value(value as i64)
        }
        Reading::Missing => Reading::Missing,
        _ => Reading::Wrong,
    }
}

/// Reads a text; a number counts as the text it is written as. White space around it is dropped.
#[inline]
pub(crate) fn text(raw: Option<Raw<'_>>) -> Reading<Cow<'_, str>> {
    match raw {
        None => Reading::Missing,
        Some(raw) => text_of(raw),
    }
}

fn text_of(raw: Raw<'_>) -> Reading<Cow<'_, str>> {
    match scalar(Some(raw)) {
        Scalar::Missing => Reading::Missing,
        Scalar::Number(text) => Reading::Value(Cow::Borrowed(text)),
        Scalar::Text(text) => {
            let text = match text {
                Cow::Borrowed(text) => Cow::Borrowed(trimmed(text)),
                Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
            };
            if text.is_empty() {
                Reading::Missing
            } else {
                Reading::Value(text)
            }
        }
        Scalar::Bool(_) | Scalar::Nested => Reading::Wrong,
    }
}

/// Drops white space around a text, which few have.
pub(crate) fn trimmed(text: &str) -> &str {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) if first.is_ascii_graphic() && last.is_ascii_graphic() => text,
        _ => text.trim(),
    }
}

/// Reads a text with its escapes resolved into `buffer`, where it can be decoded as a document of its own.
pub(crate) fn text_into(raw: Option<Raw<'_>>, buffer: &mut String) -> Reading<()> {
    /// Appends a text to a buffer.
    struct Append<'b>(&'b mut String);

    impl Visitor<'_> for Append<'_> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<E>(self, text: &str) -> Result<(), E> {
            self.0.push_str(text);
            Ok(())
        }
    }

    buffer.clear();
    match raw {
        None => {}
        Some(Raw::Text(text)) => buffer.push_str(text),
        Some(Raw::Json(raw)) if raw.starts_with('n') => {}
        Some(Raw::Json(raw)) => {
            let mut deserializer = serde_json::Deserializer::from_str(raw);
            if (&mut deserializer).deserialize_str(Append(buffer)).is_err() {
                return Reading::Wrong;
            }
        }
    }
    if buffer.trim().is_empty() {
        Reading::Missing
    } else {
        Reading::Value(())
    }
}

/// Reads `true` or `false`, also as 1 or 0 and as text.
pub(crate) fn boolean(raw: Option<Raw<'_>>) -> Reading<bool> {
    match scalar(raw) {
        Scalar::Missing => Reading::Missing,
        Scalar::Bool(value) => Reading::Value(value),
        Scalar::Number("1") => Reading::Value(true),
        Scalar::Number("0") => Reading::Value(false),
        Scalar::Text(text) => match text.trim() {
            "" => Reading::Missing,
            "true" | "1" => Reading::Value(true),
            "false" | "0" => Reading::Value(false),
            _ => Reading::Wrong,
        },
        Scalar::Number(_) | Scalar::Nested => Reading::Wrong,
    }
}

/// Reads an array of numbers into `values`. An array with a hole is missing as a whole: a list column has no holes.
pub(crate) fn list(raw: Option<Raw<'_>>, values: &mut Vec<f64>) -> Reading<()> {
    values.clear();
    let (Some(Raw::Json(text)) | Some(Raw::Text(text))) = raw else {
        return Reading::Missing;
    };
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let Some(inner) = inner else {
        return match scalar(raw) {
            Scalar::Missing => Reading::Missing,
            Scalar::Text(text) if text.is_empty() => Reading::Missing,
            _ => Reading::Wrong,
        };
    };
    if inner.trim().is_empty() {
        return Reading::Missing;
    }
    // As nearly all are written, in one pass.
    let mut elements = inner.as_bytes().split(|byte| *byte == b',');
    if elements.all(|element| {
        let value = decimal(element.trim_ascii());
        values.extend(value);
        value.is_some()
    }) {
        return Reading::Value(());
    }
    values.clear();
    if inner.contains(['[', '{']) {
        return Reading::Wrong;
    }
    // Texts may hold commas, so they take the way through the parser.
    let parsed: Vec<&RawValue>;
    let elements: &mut dyn Iterator<Item = &str> = if inner.contains('"') {
        match serde_json::from_str(text) {
            Ok(elements) => parsed = elements,
            Err(_) => return Reading::Wrong,
        }
        &mut parsed.iter().map(|element| element.get())
    } else {
        &mut inner.split(',').map(str::trim)
    };
    let mut hole = false;
    for element in elements {
        match number(Some(Raw::Json(element))) {
            Reading::Value(value) => values.push(value),
            Reading::Missing => hole = true,
            Reading::Wrong => return Reading::Wrong,
        }
    }
    if hole {
        Reading::Missing
    } else {
        Reading::Value(())
    }
}

enum Scalar<'a> {
    Missing,
    Number(&'a str),
    Text(Cow<'a, str>),
    Bool(bool),
    /// An object or an array.
    Nested,
}

fn scalar(raw: Option<Raw<'_>>) -> Scalar<'_> {
    let raw = match raw {
        None => return Scalar::Missing,
        Some(Raw::Text(text)) => return Scalar::Text(Cow::Borrowed(text)),
        Some(Raw::Json(raw)) => raw,
    };
    match raw.as_bytes().first() {
        None | Some(b'n') => Scalar::Missing,
        Some(b'"') if words::find(raw.as_bytes(), b'\\').is_none() => {
            Scalar::Text(Cow::Borrowed(raw.get(1..raw.len() - 1).unwrap_or_default()))
        }
        // A text that the walk has passed can still hold a lone surrogate: such a text says nothing.
        Some(b'"') => match serde_json::from_str::<String>(raw) {
            Ok(text) => Scalar::Text(Cow::Owned(text)),
            Err(_) => Scalar::Nested,
        },
        Some(b't') => Scalar::Bool(true),
        Some(b'f') => Scalar::Bool(false),
        Some(b'{' | b'[') => Scalar::Nested,
        Some(_) => Scalar::Number(raw),
    }
}

fn number_text(text: &str) -> Reading<f64> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Reading::Value(value),
        _ => Reading::Wrong,
    }
}
