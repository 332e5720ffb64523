//! `lag` and `lead`, which look at all rows of a partition where they pass over NULLs towards its end.
//!
//! | call | DataFusion 55.2 | here |
//! |---|---|---|
//! | `lead(x, n) IGNORE NULLS` | row by row: NULL where a NULL lies between, and n is 2 or more | over the whole partition |
//! | the same, with a LIMIT | reads so many rows more as n says, however many NULLs there are | reads all rows |
//! | `lag(x, n)` computed from the end, with a LIMIT | reads no row more | reads n rows more |
//!
//! Over a whole partition it counts right, and holds no more: row by row it waits for the last row of the partition, too.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::function::{
    ExpressionArgs, PartitionEvaluatorArgs, WindowFunctionSimplification, WindowUDFFieldArgs,
};
use datafusion::logical_expr::window_state::WindowAggState;
use datafusion::logical_expr::{
    Documentation, LimitEffect, PartitionEvaluator, ReversedUDWF, Signature, WindowUDF,
    WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;

/// Functions that answer what stands so many rows before or behind.
const FUNCTIONS: [&str; 2] = ["lag", "lead"];

/// Puts such functions in the place of those of a session.
///
/// # Errors
/// Where the session has not one of them.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    for name in FUNCTIONS {
        let shift = Shift(state.udwf(name)?);
        state.register_udwf(Arc::new(WindowUDF::new_from_impl(shift)))?;
    }
    Ok(())
}

/// `lag` or `lead`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Shift(Arc<WindowUDF>);

impl Shift {
    fn inner(&self) -> &dyn WindowUDFImpl {
        self.0.inner().as_ref()
    }
}

// What a later version of the trait asks about has to be handed on, too.
#[warn(clippy::missing_trait_methods)]
impl WindowUDFImpl for Shift {
    fn name(&self) -> &str {
        self.inner().name()
    }

    fn aliases(&self) -> &[String] {
        self.inner().aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner().signature()
    }

    fn expressions(&self, args: ExpressionArgs) -> Vec<Arc<dyn PhysicalExpr>> {
        self.inner().expressions(args)
    }

    fn partition_evaluator(
        &self,
        args: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        let ignores_nulls = args.ignore_nulls();
        let inner = self.inner().partition_evaluator(args)?;
        match ignores_nulls && !inner.is_causal() {
            true => Ok(Box::new(WholePartition(inner))),
            false => Ok(inner),
        }
    }

    fn simplify(&self) -> Option<WindowFunctionSimplification> {
        self.inner().simplify()
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        self.inner().field(args)
    }

    fn sort_options(&self) -> Option<SortOptions> {
        self.inner().sort_options()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner().coerce_types(types)
    }

    fn reverse_expr(&self) -> ReversedUDWF {
        match self.inner().reverse_expr() {
            ReversedUDWF::Reversed(inner) => {
                ReversedUDWF::Reversed(Arc::new(WindowUDF::new_from_impl(Self(inner))))
            }
            other => other,
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner().documentation()
    }

    /// Nobody says whether rows are taken from the end, where `lag` looks ahead. What passes over NULLs ahead is not asked: it is
    /// computed over all rows.
    fn limit_effect(&self, args: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        let Some(offset) = args.get(1) else {
            return LimitEffect::Relative(1);
        };
        let offset = offset.downcast_ref::<Literal>().map(Literal::value);
        match offset {
            Some(ScalarValue::Int64(Some(rows))) => match u32::try_from(rows.unsigned_abs()) {
                Ok(rows) => LimitEffect::Relative(rows as usize),
                Err(_) => LimitEffect::Unknown,
            },
            _ => LimitEffect::Unknown,
        }
    }
}

/// Computes a function over all rows of a partition at once.
#[derive(Debug)]
struct WholePartition(Box<dyn PartitionEvaluator>);

#[warn(clippy::missing_trait_methods)]
impl PartitionEvaluator for WholePartition {
    fn memoize(&mut self, state: &mut WindowAggState) -> Result<()> {
        self.0.memoize(state)
    }

    fn get_range(&self, row: usize, rows: usize) -> Result<Range<usize>> {
        self.0.get_range(row, rows)
    }

    fn is_causal(&self) -> bool {
        self.0.is_causal()
    }

    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        self.0.evaluate_all(values, rows)
    }

    fn evaluate(&mut self, values: &[ArrayRef], range: &Range<usize>) -> Result<ScalarValue> {
        self.0.evaluate(values, range)
    }

    fn evaluate_all_with_rank(&self, rows: usize, ranks: &[Range<usize>]) -> Result<ArrayRef> {
        self.0.evaluate_all_with_rank(rows, ranks)
    }

    fn supports_bounded_execution(&self) -> bool {
        false
    }

    fn uses_window_frame(&self) -> bool {
        self.0.uses_window_frame()
    }

    fn include_rank(&self) -> bool {
        self.0.include_rank()
    }
}
