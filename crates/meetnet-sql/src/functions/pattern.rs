//! What matching a pattern costs per byte of text, at worst.
//!
//! The engine never goes back, so a match takes at most the length of the text times the size of the compiled pattern.
//! Counted repetitions (`(a{50}){50}`) multiply that size, and each pattern of a column would be compiled: so a call takes
//! one pattern for all rows, and its size is found by compiling it under limits.

use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use regex::{Error, RegexBuilder};

use crate::error::{QueryError, QueryErrorKind};

/// Length of a pattern.
const PATTERN_BYTES_MAX: usize = 1_000;
/// Sizes of compiled patterns in bytes, and steps that one of at most that size takes per byte of text.
const COSTS: [(usize, u64); 3] = [(32 << 10, 400), (256 << 10, 3_000), (1 << 20, 12_000)];

/// The last pattern and its cost: the batches of a query come with the same.
#[derive(Debug, Default)]
pub(super) struct PatternCost(Mutex<Option<(String, u64)>>);

impl PatternCost {
    /// Returns the steps per byte of text of the one pattern in an argument; 0 where there is none.
    ///
    /// # Errors
    /// `TooLarge` for a pattern that is too long or too large, `BadRequest` for several.
    pub(super) fn of(&self, function: &str, pattern: &ColumnarValue) -> Result<u64> {
        let Some(text) = one_text(function, pattern)? else {
            return Ok(0);
        };
        if text.len() > PATTERN_BYTES_MAX {
            let message = format!(
                "a pattern of `{function}` has {} bytes; at most {PATTERN_BYTES_MAX} are read",
                text.len()
            );
            return Err(QueryError::new(QueryErrorKind::TooLarge, message).into());
        }
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((known, cost)) if *known == text => Ok(*cost),
            _ => {
                let cost = compiled_cost(function, &text)?;
                *last = Some((text, cost));
                Ok(cost)
            }
        }
    }
}

fn compiled_cost(function: &str, pattern: &str) -> Result<u64> {
    for (bytes_max, cost) in COSTS {
        match RegexBuilder::new(pattern).size_limit(bytes_max).build() {
            // Without repetitions it has about as many states as bytes.
            Ok(_) if !pattern.contains('{') => return Ok(cost.min(pattern.len() as u64)),
            Ok(_) => return Ok(cost),
            Err(Error::CompiledTooBig(_)) => {}
            // The function says itself what is wrong.
            Err(_) => return Ok(0),
        }
    }
    let message = format!(
        "the pattern of `{function}` is too large once its repetitions are written out; repeat less"
    );
    Err(QueryError::new(QueryErrorKind::TooLarge, message).into())
}

/// Returns the text that an argument is for all rows; None where it is NULL.
///
/// # Errors
/// `BadRequest` where it is several.
pub(super) fn one_text(function: &str, value: &ColumnarValue) -> Result<Option<String>> {
    let array = match value {
        ColumnarValue::Scalar(
            ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text),
        ) => return Ok(text.clone()),
        ColumnarValue::Scalar(_) => return Ok(None),
        ColumnarValue::Array(array) => array,
    };
    let mut texts = texts(array).flatten();
    let first = texts.next();
    match first {
        Some(first) if texts.any(|text| text != first) => {
            let message = format!("`{function}` takes one pattern for all rows");
            Err(QueryError::new(QueryErrorKind::BadRequest, message).into())
        }
        first => Ok(first.map(str::to_owned)),
    }
}

/// Returns how many groups a pattern has, at most: its opening brackets.
pub(super) fn groups_most(pattern: &ColumnarValue) -> u64 {
    let count = |text: &str| text.bytes().filter(|byte| *byte == b'(').count() as u64;
    match pattern {
        ColumnarValue::Scalar(pattern) => match pattern.try_as_str() {
            Some(Some(pattern)) => count(pattern),
            _ => 0,
        },
        ColumnarValue::Array(patterns) => texts(patterns).flatten().map(count).max().unwrap_or(0),
    }
}

/// Returns the text of each row; no rows where a column has none.
pub(super) fn texts(array: &ArrayRef) -> Box<dyn Iterator<Item = Option<&str>> + '_> {
    match array.data_type() {
        DataType::Utf8 => Box::new(array.as_string::<i32>().iter()),
        DataType::LargeUtf8 => Box::new(array.as_string::<i64>().iter()),
        DataType::Utf8View => Box::new(array.as_string_view().iter()),
        _ => Box::new(std::iter::empty()),
    }
}
