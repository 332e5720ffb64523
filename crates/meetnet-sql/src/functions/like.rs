//! `LIKE` with patterns that no search for a text answers: of each of them arrow makes a regular expression.
//!
//! Making one takes up to a millisecond, which a pattern of a column costs for every row, and one of many wildcards is as much
//! work per byte of text as it is long. So rows are matched a few at a time, and a row has a limit. What has its wildcards at
//! the ends only stays an operator: files are chosen by it.

use std::fmt;
use std::sync::Arc;

use arrow::array::Datum;
use arrow::compute::kernels::comparison::{ilike, like};
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::bounded::call_in_slices;
use super::pattern::texts;
use super::sizes::length_at;
use crate::rewrite;
use crate::stop::StopFlag;

/// Steps per byte of text that a character of a pattern takes at worst: `_` and `%` stand for characters of up to four bytes.
const WILDCARD_STEPS: u64 = 8;
/// Steps that making a regular expression takes, at least, and for each byte of its pattern.
const MAKING_STEPS: u64 = 500_000;
const MAKING_STEPS_PER_BYTE: u64 = 5_000;

/// Matches a text with a pattern.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct BoundedLike {
    any_case: bool,
    signature: Signature,
}

impl BoundedLike {
    pub(super) fn new(any_case: bool) -> Self {
        let texts = vec![DataType::Utf8View, DataType::LargeUtf8, DataType::Utf8];
        Self {
            any_case,
            signature: Signature::uniform(2, texts, Volatility::Immutable),
        }
    }

    fn matched(&self, args: &[ColumnarValue]) -> Result<ColumnarValue> {
        let [text, pattern] = args else {
            return Err(misplanned());
        };
        let (text, pattern) = (datum(text)?, datum(pattern)?);
        let matched = match self.any_case {
            true => ilike(text.as_ref(), pattern.as_ref())?,
            false => like(text.as_ref(), pattern.as_ref())?,
        };
        rewrite::column_or_constant(args, Arc::new(matched))
    }
}

impl fmt::Debug for BoundedLike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoundedLike")
    }
}

impl ScalarUDFImpl for BoundedLike {
    fn name(&self) -> &str {
        if self.any_case { "ilike" } else { "like" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        StopFlag::check(&args.config_options)?;
        let [text, pattern] = args.args.as_slice() else {
            return Err(misplanned());
        };
        let work = work(text, pattern, args.number_rows);
        call_in_slices("LIKE", args, &work, |args| self.matched(&args.args))
    }
}

fn misplanned() -> DataFusionError {
    DataFusionError::Plan("`LIKE` takes a text and a pattern".to_owned())
}

fn datum(value: &ColumnarValue) -> Result<Box<dyn Datum>> {
    let datum: Box<dyn Datum> = match value {
        ColumnarValue::Array(array) => Box::new(Arc::clone(array)),
        ColumnarValue::Scalar(scalar) => Box::new(scalar.to_scalar()?),
    };
    Ok(datum)
}

/// Returns the steps of each row.
fn work(text: &ColumnarValue, pattern: &ColumnarValue, rows: usize) -> Vec<u64> {
    let of_row = |cost: u64, row: usize| length_at(text, row).saturating_mul(cost);
    match pattern {
        ColumnarValue::Scalar(pattern) => {
            let cost = match pattern.try_as_str() {
                Some(Some(pattern)) => cost(pattern),
                _ => 0,
            };
            (0..rows).map(|row| of_row(cost, row)).collect()
        }
        ColumnarValue::Array(patterns) => texts(patterns)
            .enumerate()
            .map(|(row, pattern)| match pattern {
                Some(pattern) if !is_search(pattern) => {
                    let bytes = pattern.len() as u64;
                    let making = MAKING_STEPS + bytes.saturating_mul(MAKING_STEPS_PER_BYTE);
                    making.saturating_add(of_row(cost(pattern), row))
                }
                _ => of_row(1, row),
            })
            .collect(),
    }
}

/// Returns the steps per byte of text.
fn cost(pattern: &str) -> u64 {
    let of_byte = |byte: u8| match byte {
        b'%' | b'_' => WILDCARD_STEPS,
        _ => 1,
    };
    pattern.bytes().map(of_byte).sum()
}

/// Returns true for a pattern whose wildcards stand at its ends only: the text between them is looked for.
pub(super) fn is_search(pattern: &str) -> bool {
    let inner = pattern.strip_prefix('%').unwrap_or(pattern);
    let inner = inner.strip_suffix('%').unwrap_or(inner);
    !inner.contains(['%', '_', '\\'])
}
