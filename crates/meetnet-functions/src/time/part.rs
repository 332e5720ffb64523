//! `year(time)`, `hour(time)` and the like: `date_part` as other databases call it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::datetime;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
    lit,
};
use meetnet_model::common::timestamp_type;

/// What `date_part` calls what these functions answer.
pub(crate) const PARTS: [&str; 8] = [
    "year", "quarter", "month", "week", "day", "hour", "minute", "second",
];

/// The function of one of [`PARTS`].
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TimePart {
    part: &'static str,
    signature: Signature,
}

impl TimePart {
    pub(crate) fn new(part: &'static str) -> Self {
        Self {
            part,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for TimePart {
    fn name(&self) -> &str {
        self.part
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let taken = match arg_types {
            [
                given @ (DataType::Timestamp(..)
                | DataType::Date32
                | DataType::Date64
                | DataType::Time32(_)
                | DataType::Time64(_)
                | DataType::Interval(_)
                | DataType::Duration(_)),
            ] => Some(given.clone()),
            [given] if given.is_null() || given.is_string() => Some(timestamp_type()),
            _ => None,
        };
        let taken = taken.map(|taken| vec![taken]);
        taken.ok_or_else(|| {
            let part = self.part;
            let message = format!(
                "`{part}`: it takes one time; it is called as {part}(time), which is date_part('{part}', time)"
            );
            DataFusionError::Plan(message)
        })
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        let field = Field::new(self.part, DataType::Int32, is_nullable);
        Ok(Arc::new(field))
    }

    fn is_strict(&self) -> bool {
        true
    }

    /// As `date_part`, of whose comparisons the planner makes ranges of time.
    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let call = datetime::date_part().call([lit(self.part)].into_iter().chain(args).collect());
        Ok(ExprSimplifyResult::Simplified(call))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let part = ScalarValue::Utf8(Some(self.part.to_owned()));
        args.args.insert(0, ColumnarValue::Scalar(part));
        datetime::date_part().invoke_with_args(args)
    }
}
