//! Patterns of LIKE whose escape is another than the backslash, written anew with it.

use std::sync::Arc;

use arrow::array::{AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// Name of the function that writes a pattern anew for each row. Each call at most doubles it, so that it is bounded.
pub const ESCAPED_LIKE: &str = "escaped_like";

/// Returns a pattern in which the backslash escapes instead of another character, or of none.
pub fn with_backslashes(pattern: &str, escape: Option<char>) -> String {
    let mut written = String::with_capacity(pattern.len() + 8);
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        // At the end it escapes nothing, and is itself.
        let meant = match escape {
            Some(escape) if letter == escape => letters.next().unwrap_or(letter),
            _ if letter == '\\' => letter,
            _ => {
                written.push(letter);
                continue;
            }
        };
        if matches!(meant, '%' | '_' | '\\') {
            written.push('\\');
        }
        written.push(meant);
    }
    written
}

/// The function [`ESCAPED_LIKE`]: of a pattern, and its escape or an empty text.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct EscapedLike {
    signature: Signature,
}

impl EscapedLike {
    pub(super) fn new() -> Self {
        let texts = vec![DataType::Utf8, DataType::Utf8];
        Self {
            signature: Signature::exact(texts, Volatility::Immutable),
        }
    }
}

fn misplanned() -> DataFusionError {
    DataFusionError::Plan(format!(
        "`{ESCAPED_LIKE}` takes a pattern and one character, which is a constant"
    ))
}

impl ScalarUDFImpl for EscapedLike {
    fn name(&self) -> &str {
        ESCAPED_LIKE
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [pattern, ColumnarValue::Scalar(escape)] = args.args.as_slice() else {
            return Err(misplanned());
        };
        let Some(escape) = escape.try_as_str().flatten() else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(None)));
        };
        let escape = escape.chars().next();
        match pattern {
            ColumnarValue::Scalar(pattern) => {
                let pattern = pattern.try_as_str().flatten();
                let written = pattern.map(|pattern| with_backslashes(pattern, escape));
                Ok(ColumnarValue::Scalar(ScalarValue::Utf8(written)))
            }
            ColumnarValue::Array(patterns) => {
                let patterns = patterns.as_string_opt::<i32>().ok_or_else(misplanned)?;
                let written = patterns.iter();
                let written: StringArray = written
                    .map(|pattern| pattern.map(|pattern| with_backslashes(pattern, escape)))
                    .collect();
                Ok(ColumnarValue::Array(Arc::new(written)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::with_backslashes;

    #[test]
    fn patterns_are_written_with_backslashes() {
        let check = |pattern: &str, escape: Option<char>, expect: &str| {
            assert_eq!(with_backslashes(pattern, escape), expect, "{pattern}");
        };
        check("pg/_%", Some('/'), r"pg\_%");
        check("100/%", Some('/'), r"100\%");
        check("a//b", Some('/'), "a/b");
        check("a//%", Some('/'), "a/%");
        check("a/b", Some('/'), "ab");
        check(r"a\b", Some('/'), r"a\\b");
        check(r"a/\b", Some('/'), r"a\\b");
        check("a/", Some('/'), "a/");
        check("a%%_%", Some('%'), r"a\%_\%");
        check(r"a\_%", None, r"a\\_%");
        check("é/_", Some('/'), r"é\_");
        check("", Some('/'), "");
    }
}
