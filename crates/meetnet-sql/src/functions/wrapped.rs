//! A function that takes the place of another one, and is it in everything but what it does around its calls.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};

/// What is done around the calls of a function, `inner`.
pub(crate) trait Wrapper: Debug + Send + Sync + 'static {
    /// Answers a call, mostly by one of `inner`.
    ///
    /// # Errors
    /// Those of `inner`, and where the wrapper refuses the arguments.
    fn invoke(&self, inner: &ScalarUDF, args: ScalarFunctionArgs) -> Result<ColumnarValue>;

    /// Looks at the arguments of a call while it is planned. `inner` is not asked to simplify it: it would put itself in place of
    /// the function that is wrapped around it.
    ///
    /// # Errors
    /// Where the wrapper refuses the arguments.
    fn check(&self, _inner: &ScalarUDF, _args: &[Expr], _info: &SimplifyContext) -> Result<()> {
        Ok(())
    }
}

/// A function with a wrapper around it.
#[derive(Debug)]
pub(crate) struct Wrapped<W> {
    inner: Arc<ScalarUDF>,
    wrapper: W,
}

impl<W: Wrapper> Wrapped<W> {
    /// Returns the function that takes the place of `inner`.
    pub(crate) fn function(inner: Arc<ScalarUDF>, wrapper: W) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Self { inner, wrapper }))
    }

    /// Returns the function that it is wrapped around.
    pub(crate) fn inner(&self) -> &Arc<ScalarUDF> {
        &self.inner
    }
}

// A function has one wrapper of a type.
impl<W> PartialEq for Wrapped<W> {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl<W> Eq for Wrapped<W> {}

impl<W> Hash for Wrapped<W> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl<W: Wrapper> ScalarUDFImpl for Wrapped<W> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.wrapper.check(&self.inner, &args, info)?;
        Ok(ExprSimplifyResult::Original(args))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.wrapper.invoke(&self.inner, args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
