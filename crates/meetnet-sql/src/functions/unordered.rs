//! Functions that say nothing of the order of what they answer.
//!
//! A root and a logarithm rise with their argument where they have a value at all. DataFusion 55.2 asks them so, and where the
//! argument may be outside (any column may), their answer is an error, by which all that is known of the whole expression is lost:
//! rows that had been sorted by `sqrt(a) + 1` were refused, since they might not be.

use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};

use super::wrapped::Wrapper;

/// Those that have no value for some numbers.
pub(super) const PARTIAL: [&str; 8] = [
    "acos", "acosh", "asin", "atanh", "ln", "log10", "log2", "sqrt",
];

/// The same function, which claims no order.
#[derive(Debug)]
pub(super) struct Unordered;

impl Wrapper for Unordered {
    fn invoke(&self, inner: &ScalarUDF, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        inner.invoke_with_args(args)
    }
}
