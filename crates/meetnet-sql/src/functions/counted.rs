//! `regexp_count`, which counts matches of nothing as PostgreSQL does: also that right behind a match of something.
//!
//! `regexp_count('abcabc', 'b?')` is 7, with those before and behind each `a`, `c` and at the end; DataFusion 55.2 leaves out those right
//! behind a `b`. What is left out by a start is seen by the pattern all the same: `^` matches at the beginning of the text alone.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Builder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};
use regex::Regex;

use super::bounded::is_constant;
use super::pattern::{one_text, texts};
use super::wrapped::Wrapper;
use crate::rewrite;

/// Name of the function.
pub(super) const REGEXP_COUNT: &str = "regexp_count";

/// Counts; what is wrong with its arguments the function within says.
#[derive(Debug)]
pub(super) struct MatchCount;

impl Wrapper for MatchCount {
    fn invoke(&self, inner: &ScalarUDF, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match counts(&args)? {
            Some(counts) => rewrite::column_or_constant(&args.args, counts),
            None => inner.invoke_with_args(args),
        }
    }
}

/// Returns the count of each row; None where there is no pattern, or something is wrong.
///
/// # Errors
/// `BadRequest` for several patterns.
fn counts(args: &ScalarFunctionArgs) -> Result<Option<ArrayRef>> {
    let [text, pattern, others @ ..] = args.args.as_slice() else {
        return Ok(None);
    };
    let Some(written) = one_text(REGEXP_COUNT, pattern)? else {
        return Ok(None);
    };
    let rows = match is_constant(&args.args) {
        true => 1,
        false => args.number_rows,
    };
    let column = |at: usize| others.get(at).map(|other| other.to_array(rows)).transpose();
    let (text, pattern) = (text.to_array(rows)?, pattern.to_array(rows)?);
    let starts = column(0)?.map(|starts| cast(&starts, &DataType::Int64));
    let starts = starts.transpose()?;
    let starts = starts
        .as_ref()
        .map(|starts| starts.as_primitive::<Int64Type>());
    let flags = column(1)?;
    let flags: Vec<Option<&str>> = match &flags {
        Some(flags) => texts(flags).collect(),
        None => vec![Some(""); rows],
    };
    let values: Vec<Option<&str>> = texts(&text).collect();
    if values.len() != rows || flags.len() != rows {
        return Ok(None);
    }
    let mut known: HashMap<&str, Regex> = HashMap::new();
    let mut counts = Int64Builder::with_capacity(rows);
    for (row, (value, flags)) in values.into_iter().zip(flags).enumerate() {
        let start = match starts {
            None => Some(1),
            Some(starts) => starts.is_valid(row).then(|| starts.value(row)),
        };
        let value = value.filter(|_| pattern.is_valid(row));
        let (Some(value), Some(start), Some(flags)) = (value, start, flags) else {
            counts.append_null();
            continue;
        };
        if start < 1 {
            return Ok(None);
        }
        let regex = match known.entry(flags) {
            Entry::Occupied(regex) => regex.into_mut(),
            Entry::Vacant(place) => match compiled(&written, flags) {
                Some(regex) => place.insert(regex),
                None => return Ok(None),
            },
        };
        counts.append_value(count(regex, value, start));
    }
    Ok(Some(Arc::new(counts.finish())))
}

/// Returns a pattern with flags; None where it is none, or these say that there may be several matches, which goes without saying.
fn compiled(pattern: &str, flags: &str) -> Option<Regex> {
    let regex = match flags {
        "" => Regex::new(pattern),
        flags if flags.contains('g') => return None,
        flags => Regex::new(&format!("(?{flags}){pattern}")),
    };
    regex.ok()
}

/// Counts the matches in a text that begin at a character, counted from 1, or behind it.
fn count(regex: &Regex, text: &str, start: i64) -> i64 {
    let before = usize::try_from(start.saturating_sub(1)).unwrap_or(usize::MAX);
    // Behind the last one there may be a match of nothing.
    let mut places = text
        .char_indices()
        .map(|(at, _)| at)
        .chain([text.len()])
        .skip(before);
    let Some(mut at) = places.next() else {
        return 0;
    };
    let mut found = 0;
    while let Some(part) = regex.find_at(text, at) {
        found += 1;
        at = part.end();
        if part.is_empty() {
            let Some(letter) = text[at..].chars().next() else {
                break;
            };
            at += letter.len_utf8();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{compiled, count};

    #[test]
    fn nothing_is_matched_behind_something() {
        let check = |text: &str, pattern: &str, start: i64, expect: i64| {
            let regex = compiled(pattern, "").expect(pattern);
            assert_eq!(
                count(&regex, text, start),
                expect,
                "{text} {pattern} {start}"
            );
        };
        // As PostgreSQL 15 answers.
        check("abcabc", "b?", 1, 7);
        check("abcabc", "b", 1, 2);
        check("abcabc", "b?", 2, 6);
        check("abcabc", "b?", 7, 1);
        check("abcabc", "b?", 8, 0);
        check("bbb", "b*", 1, 2);
        check("aab", "a|", 1, 4);
        check("aéb", "x*", 1, 4);
        check("aéb", "b", 3, 1);
        check("", "", 1, 1);
        check("abc", "$", 1, 1);
        check("abc", "^", 1, 1);
        check("abc", "^", 2, 0);
        check("abc", "b", i64::MAX, 0);
    }

    #[test]
    fn flags_stand_before_the_pattern() {
        let regex = compiled("B?", "i").expect("a pattern");
        assert_eq!(count(&regex, "abcabc", 1), 7);
        assert!(compiled("b", "g").is_none());
        assert!(compiled("(", "").is_none());
    }
}
