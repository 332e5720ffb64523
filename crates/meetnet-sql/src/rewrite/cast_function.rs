//! The function that a cast becomes which has to do something else than DataFusion's, or which nobody may look into.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::returned_field;

/// What such a cast does.
pub(crate) trait CastKind: Debug + Eq + Hash + Send + Sync + 'static {
    /// Name of the function.
    const NAME: &'static str;

    /// Casts a column or a constant. What cannot be cast is NULL where `is_try` is true.
    ///
    /// # Errors
    /// Where something cannot be cast and `is_try` is false, or a type is none that is cast.
    fn cast(&self, value: &ColumnarValue, to: &DataType, is_try: bool) -> Result<ColumnarValue>;
}

/// A cast that is a function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct CastFunction<K> {
    kind: K,
    to: DataType,
    /// Whether what cannot be cast is NULL, and no error.
    is_try: bool,
    signature: Signature,
}

impl<K: CastKind> CastFunction<K> {
    /// Returns the call that takes the place of the cast of `inner`, or of its TRY_CAST.
    pub(crate) fn call(kind: K, inner: &Expr, to: &DataType, is_try: bool) -> Expr {
        let function = ScalarUDF::new_from_impl(Self {
            kind,
            to: to.clone(),
            is_try,
            signature: Signature::any(1, Volatility::Immutable),
        });
        function.call(vec![inner.clone()])
    }
}

impl<K: CastKind> ScalarUDFImpl for CastFunction<K> {
    fn name(&self) -> &str {
        K::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    /// As the cast does: with the unit of what is cast.
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = returned_field(K::NAME, &self.to, &args);
        let is_nullable = self.is_try || field.is_nullable();
        Ok(Arc::new(field.with_nullable(is_nullable)))
    }

    /// NULL for NULL alone, as DataFusion 55.2 takes it: what is not NULL has no NULL then.
    fn is_strict(&self) -> bool {
        !self.is_try
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else {
            let message = format!("`{}` takes one argument", K::NAME);
            return Err(DataFusionError::Plan(message));
        };
        self.kind.cast(value, &self.to, self.is_try)
    }

    /// Any value of the type: a bound without a type could not be compared with the other side.
    fn evaluate_bounds(&self, _: &[&Interval]) -> Result<Interval> {
        Interval::make_unbounded(&self.to)
    }
}
