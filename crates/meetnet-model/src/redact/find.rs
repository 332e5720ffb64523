//! Finding what certainly is personal data in a text of any length, in linear time.

use std::borrow::Cow;
use std::ops::Range;

use super::keys::{self, Reach, Telling};
use super::{
    MARK, PersonalKind, is_word, shapes, skip_blanks, skip_colours, value_range, value_start,
    word_at,
};
use crate::privacy::{lat_is_exact, lon_is_exact};

/// Times a text is looked at until nothing is found in it: twice wherever something is, more often only where keys nest.
const PASSES_MAX: usize = 8;
/// Longest key whose value is looked at.
const KEY_BYTES_MAX: usize = 64;
/// Bytes behind a key that are looked at for its value: without a bound a text of nothing but keys and opening quotes
/// would be read once per key.
const VALUE_BYTES_MAX: usize = 1_024;
/// Shortest value that can be a password or token.
const SECRET_BYTES_MIN: usize = 4;
/// Shortest value that can be a hardware id.
const ID_BYTES_MIN: usize = 6;
/// Characters of a geohash that is finer than the grid: seven are 150 m.
const GEOHASH_CHARS_MIN: usize = 8;

/// Personal data at a place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: PersonalKind,
    /// Where it stands, in bytes.
    pub range: Range<usize>,
}

/// Returns the personal data in a text, from left to right. Only what certainly is: H3 cells, UUIDs, times, hashes of
/// files and our own pseudonyms are not.
pub fn find(text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut word_end = 0;
    // What a key has told of its value. The key itself is looked at first: it may be an id.
    let mut told: Option<Finding> = None;
    while let Some(first) = text[at..].chars().next() {
        if let Some(Finding { kind, range }) = told.take_if(|told| at >= told.range.start) {
            let end = range.end;
            if at < end {
                let range = at..end;
                found.push(Finding { kind, range });
            }
            at = at.max(end);
            continue;
        }
        if shapes::may_begin(&text[at..])
            && let Some(look) = shapes::look(&text[..at], &text[at..])
        {
            if look.is_certain {
                found.push(Finding {
                    kind: look.kind,
                    range: at + look.range.start..at + look.range.end,
                });
            }
            at += look.range.end;
            continue;
        }
        if !is_word(first) {
            at = match skip_colours(text, at) {
                behind if behind > at => behind,
                _ => at + first.len_utf8(),
            };
            continue;
        }
        if at >= word_end {
            let word = word_at(&text[at..]);
            word_end = at + word.len();
            if told.is_none() {
                told = behind_key(text, word, word_end);
            }
        }
        at += shapes::harmless_length(&text[at..word_end]);
    }
    found
}

/// Returns a text without what [`find`] finds in it: `…` stands there. In the text returned it finds nothing.
pub fn redact_text(text: &str) -> Cow<'_, str> {
    let mut redacted = Cow::Borrowed(text);
    // What was left out cut the word that it stood in, and what remains of that may be a key only now.
    for _ in 0..PASSES_MAX {
        let found = find(&redacted);
        if found.is_empty() {
            break;
        }
        redacted = Cow::Owned(without(&redacted, &found));
    }
    redacted
}

/// Returns a text with `…` for what was found in it.
fn without(text: &str, found: &[Finding]) -> String {
    let mut rest = String::with_capacity(text.len());
    let mut at = 0;
    for finding in found {
        rest.push_str(&text[at..finding.range.start]);
        rest.push(MARK);
        at = finding.range.end;
    }
    rest.push_str(&text[at..]);
    rest
}

/// Returns what the value of a telling key is, given the key and its end.
fn behind_key(text: &str, key: &str, key_end: usize) -> Option<Finding> {
    if key.len() > KEY_BYTES_MAX {
        return None;
    }
    let rest = &text[key_end..];
    let rest = &rest[..rest.floor_char_boundary(VALUE_BYTES_MAX)];
    // Most words are no keys: that costs less to see than what a key would say.
    let start = value_start(rest);
    let open = skip_blanks(rest, 0).filter(|at| rest[*at..].starts_with('('));
    if start.is_none() && open.is_none() {
        return None;
    }
    let Telling { reach, kind } = keys::telling(key)?;
    let kind = kind?;
    if let (Reach::Geometry, Some(open)) = (reach, open) {
        let inner = rest[open + 1..].split(')').next().unwrap_or_default();
        return is_exact_point(inner.split_whitespace()).then(|| Finding {
            kind,
            range: key_end + open..key_end + open + 1 + inner.len(),
        });
    }
    let start = start?;
    let range = value_range(rest, start, reach);
    let value = rest[range.clone()].trim();
    let is_quoted = range.start > start;
    // Prose and help texts name tokens, too: `token: missing`.
    let is_given = is_quoted
        || (reach == Reach::Header && has_scheme(value))
        || rest[..start].contains('=')
        || value.bytes().any(|b| b.is_ascii_digit());
    let is_it = is_given && is_kind(kind, key, value);
    is_it.then(|| Finding {
        kind,
        range: key_end + range.start..key_end + range.end,
    })
}

/// Returns what the value of a field is, given the name of the field and nothing else in the text.
pub(super) fn of_field(name: &str, value: &str) -> Option<PersonalKind> {
    if name.len() > KEY_BYTES_MAX {
        return None;
    }
    let kind = keys::telling(name)?.kind?;
    is_kind(kind, name, value.trim()).then_some(kind)
}

/// Returns true where the value of a telling key looks like what the key says.
fn is_kind(kind: PersonalKind, key: &str, value: &str) -> bool {
    match kind {
        PersonalKind::Token | PersonalKind::Passkey => is_secret(value),
        PersonalKind::Mac | PersonalKind::Eui | PersonalKind::ChipId => is_id(value),
        PersonalKind::Coordinates => is_exact_place(key, value),
        // Found by their look.
        PersonalKind::Email | PersonalKind::BasicAuth => false,
    }
}

/// Returns true for the value of an `Authorization` header.
fn has_scheme(value: &str) -> bool {
    let scheme = value.split_whitespace().next().unwrap_or_default();
    let schemes = ["bearer", "basic", "digest", "token"];
    scheme.len() < value.len()
        && schemes
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
}

fn is_secret(value: &str) -> bool {
    value.len() >= SECRET_BYTES_MIN
        && !value.contains([MARK, '*'])
        && !value.starts_with(['{', '[', '(', '<', '$'])
        && !matches!(
            value,
            "null" | "None" | "true" | "false" | "string" | "text"
        )
}

fn is_id(value: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_alphanumeric() || b":-._%".contains(&b);
    value.len() >= ID_BYTES_MIN
        && value.bytes().all(is_part)
        && value.bytes().any(|b| b.is_ascii_digit())
        && shapes::pseudonym_at_end(value).is_none()
}

/// Returns true where a value is finer than the publication grid, by the axis that its key names.
fn is_exact_place(key: &str, value: &str) -> bool {
    let key = key.to_ascii_lowercase();
    if key.ends_with("geohash") {
        return value.len() >= GEOHASH_CHARS_MIN
            && value.bytes().all(|b| b.is_ascii_alphanumeric());
    }
    if let Some(inner) = value.strip_prefix('[') {
        // Lines and areas, which are arrays of arrays, are public roads and districts.
        return is_exact_point(inner.trim_end_matches(']').split(',').map(str::trim));
    }
    let Ok(number) = value.parse::<f64>() else {
        return false;
    };
    if key.contains("lat") {
        lat_is_exact(number)
    } else {
        lon_is_exact(number)
    }
}

/// Returns true for longitude and latitude, and a height perhaps, where one is finer than the grid.
fn is_exact_point<'a>(numbers: impl Iterator<Item = &'a str>) -> bool {
    let numbers: Option<Vec<f64>> = numbers.take(4).map(|text| text.parse().ok()).collect();
    matches!(numbers.as_deref(), Some([lon, lat] | [lon, lat, _]) if lon_is_exact(*lon) || lat_is_exact(*lat))
}

#[cfg(test)]
mod tests;
