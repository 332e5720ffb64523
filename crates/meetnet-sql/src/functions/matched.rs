//! `substring(text FROM pattern)`: the part of a text that a regular expression matches, as in PostgreSQL.
//!
//! It is the first that there is. Where the pattern has brackets, it is what those of the first group hold. A point matches every
//! character, also the end of a line.

use std::sync::Arc;

use arrow::array::{Array, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use regex::{Regex, RegexBuilder};

use super::pattern::{one_text, texts};
use crate::error::{QueryError, StatementFault, shortened};

/// Name of the function: of a text and a pattern, or as it is written, of a text, a pattern of `SIMILAR TO` and its escape, which
/// becomes that.
pub const SUBSTRING_OF_PATTERN: &str = "substring_of_pattern";
/// How much of a pattern an error repeats.
const SHOWN_BYTES_MAX: usize = 100;

/// The function [`SUBSTRING_OF_PATTERN`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct MatchedPart {
    signature: Signature,
}

impl MatchedPart {
    pub(super) fn new() -> Self {
        let texts = vec![DataType::Utf8View, DataType::LargeUtf8, DataType::Utf8];
        let calls = [2, 3].map(|arguments| TypeSignature::Uniform(arguments, texts.clone()));
        Self {
            signature: Signature::one_of(calls.to_vec(), Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for MatchedPart {
    fn name(&self) -> &str {
        SUBSTRING_OF_PATTERN
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, pattern] = args.args.as_slice() else {
            let message = format!("`{SUBSTRING_OF_PATTERN}` takes a text and a pattern");
            return Err(DataFusionError::Plan(message));
        };
        let Some(written) = one_text(SUBSTRING_OF_PATTERN, pattern)? else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(None)));
        };
        let regex = compiled(&written)?;
        if let (ColumnarValue::Scalar(text), ColumnarValue::Scalar(_)) = (text, pattern) {
            let text = text.try_as_str().flatten();
            let part = text.and_then(|text| part(&regex, text));
            let part = part.map(str::to_owned);
            return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(part)));
        }
        let has_pattern = |row: usize| match pattern {
            ColumnarValue::Array(patterns) => patterns.is_valid(row),
            ColumnarValue::Scalar(_) => true,
        };
        let values = text.to_array(args.number_rows)?;
        let parts = texts(&values).enumerate().map(|(row, text)| {
            let text = text.filter(|_| has_pattern(row))?;
            part(&regex, text)
        });
        let parts: StringArray = parts.collect();
        Ok(ColumnarValue::Array(Arc::new(parts)))
    }
}

fn compiled(pattern: &str) -> Result<Regex, QueryError> {
    let regex = RegexBuilder::new(pattern)
        .dot_matches_new_line(true)
        .build();
    regex.map_err(|error| {
        // The lines before show where in the pattern.
        let error = error.to_string();
        let why = error.lines().next_back().unwrap_or_default();
        let why = why.strip_prefix("error: ").unwrap_or(why);
        let pattern = shortened(pattern.to_owned(), SHOWN_BYTES_MAX);
        let message = format!("`{pattern}` is no regular expression: {why}");
        QueryError::of_statement(StatementFault::Pattern, message)
    })
}

/// Returns the first part of a text that is matched, or what its first group holds of it: nothing, where it has no share in it.
fn part<'t>(regex: &Regex, text: &'t str) -> Option<&'t str> {
    let captures = regex.captures(text)?;
    let group = usize::from(captures.len() > 1);
    captures.get(group).map(|part| part.as_str())
}

#[cfg(test)]
mod tests {
    use super::{compiled, part};

    #[test]
    fn a_part_is_that_of_the_first_group() {
        let check = |text: &str, pattern: &str, expect: Option<&str>| {
            let regex = compiled(pattern).expect(pattern);
            assert_eq!(part(&regex, text), expect, "{text} {pattern}");
        };
        check("foobar", "o.b", Some("oob"));
        check("foobar", "o(.)b", Some("o"));
        check("foobar", "(?:o)(.)(b)", Some("o"));
        check("foobar", "z*", Some(""));
        check("foobar", "x", None);
        check("b", "(a)|(b)", None);
        check("a\nb", "a.b$", Some("a\nb"));
    }

    #[test]
    fn what_is_no_pattern_is_told_so() {
        let refused = compiled("a(").expect_err("no pattern").message;
        assert!(
            refused.contains("`a(` is no regular expression: unclosed group"),
            "{refused}"
        );
    }
}
