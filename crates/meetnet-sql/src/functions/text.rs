//! What a chain of `||` makes: every step at most doubles it, so each is looked at.

use std::fmt;

use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::bounded::{most, too_much};
use super::sizes::size_of;

/// Returns its argument, or an error where that is too large.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct BoundedText {
    signature: Signature,
}

impl BoundedText {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl fmt::Debug for BoundedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoundedText")
    }
}

impl ScalarUDFImpl for BoundedText {
    fn name(&self) -> &str {
        "bounded"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        arg_types
            .first()
            .cloned()
            .ok_or_else(|| DataFusionError::Plan("`bounded` takes one argument".to_owned()))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (bytes_max, rows) = most(&args);
        let value = args
            .args
            .pop()
            .ok_or_else(|| DataFusionError::Plan("`bounded` takes one argument".to_owned()))?;
        if size_of(&value, rows) > bytes_max {
            return Err(too_much("||", bytes_max));
        }
        Ok(value)
    }
}
