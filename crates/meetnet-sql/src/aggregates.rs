//! Aggregate functions that compute something in another way, and are in everything else what they were.
//!
//! The trait of such functions has more than twenty questions, and every one that is not handed on to the function within would be
//! answered by a default, without an error. So they are handed on once, here.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::expr::{
    AggregateFunction, AggregateFunctionParams, WindowFunctionParams,
};
use datafusion::logical_expr::function::{
    AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs,
};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, Expr, GroupsAccumulator, Operator,
    ReversedUDAF, SetMonotonicity, Signature, StatisticsArgs, TypeSignature,
};

/// Puts a function that does something in another way in the place of that of a session.
///
/// # Errors
/// Where the session has no function of that name.
pub(crate) fn override_function(
    state: &mut SessionState,
    name: &str,
    overrides: impl Overrides,
) -> Result<()> {
    let overridden = Overridden::new(state.udaf(name)?, overrides);
    state.register_udaf(Arc::new(AggregateUDF::new_from_impl(overridden)))?;
    Ok(())
}

/// Returns a column of what an accumulator is given, values or what has come of some; the error says which function's it is.
pub(crate) fn column_of<'a, T: ArrowPrimitiveType>(
    columns: &'a [ArrayRef],
    position: usize,
    function: &str,
) -> Result<&'a PrimitiveArray<T>> {
    let column = columns.get(position);
    let column = column.and_then(|column| column.as_primitive_opt::<T>());
    column.ok_or_else(|| {
        let message = format!("{function} was given another type than it was planned for");
        DataFusionError::Internal(message)
    })
}

/// What is done in another way than `inner` does it: what an implementation leaves out is done by `inner`.
pub(crate) trait Overrides: Copy + Debug + Eq + Hash + Send + Sync + 'static {
    fn accumulator(
        self,
        inner: &dyn AggregateUDFImpl,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        inner.accumulator(args)
    }

    fn state_fields(
        self,
        inner: &dyn AggregateUDFImpl,
        args: StateFieldsArgs,
    ) -> Result<Vec<FieldRef>> {
        inner.state_fields(args)
    }

    fn groups_accumulator_supported(
        self,
        inner: &dyn AggregateUDFImpl,
        args: AccumulatorArgs,
    ) -> bool {
        inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        self,
        inner: &dyn AggregateUDFImpl,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(
        self,
        inner: &Arc<AggregateUDF>,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        inner.create_sliding_accumulator(args)
    }

    /// Returns whether rows have to come in the order that a call asks for, or may.
    fn order_sensitivity(self, inner: &dyn AggregateUDFImpl) -> AggregateOrderSensitivity {
        inner.order_sensitivity()
    }

    /// Returns the type of the result, which is `data_type` as `inner` has it.
    fn result_type(self, data_type: DataType) -> DataType {
        data_type
    }

    /// Returns arguments that are taken beside those of `inner`, which has one of several signatures.
    fn other_arguments(self) -> Option<TypeSignature> {
        None
    }

    /// Returns the type of the result of such arguments; None for those of `inner`.
    fn other_result(self, _arg_types: &[DataType]) -> Option<DataType> {
        None
    }
}

/// A function with what it does in another way.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Overridden<O> {
    inner: Arc<AggregateUDF>,
    overrides: O,
    signature: Signature,
}

impl<O: Overrides> Overridden<O> {
    pub(crate) fn new(inner: Arc<AggregateUDF>, overrides: O) -> Self {
        let mut signature = inner.signature().clone();
        if let TypeSignature::OneOf(signatures) = &mut signature.type_signature {
            signatures.extend(overrides.other_arguments());
        }
        Self {
            inner,
            overrides,
            signature,
        }
    }

    fn inner(&self) -> &dyn AggregateUDFImpl {
        self.inner.inner().as_ref()
    }
}

// What a later version of the trait asks about has to be handed on, too.
#[warn(clippy::missing_trait_methods)]
impl<O: Overrides> AggregateUDFImpl for Overridden<O> {
    fn name(&self) -> &str {
        self.inner().name()
    }

    fn aliases(&self) -> &[String] {
        self.inner().aliases()
    }

    fn schema_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner().schema_name(params)
    }

    fn human_display(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner().human_display(params)
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner().window_function_schema_name(params)
    }

    fn display_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner().display_name(params)
    }

    fn window_function_display_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner().window_function_display_name(params)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        if let Some(data_type) = self.overrides.other_result(arg_types) {
            return Ok(data_type);
        }
        let data_type = self.inner().return_type(arg_types)?;
        Ok(self.overrides.result_type(data_type))
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        let field = self.inner().return_field(arg_fields)?;
        let arg_types = arg_fields.iter().map(|field| field.data_type().clone());
        let data_type = match self.overrides.other_result(&arg_types.collect::<Vec<_>>()) {
            Some(data_type) => data_type,
            None => self.overrides.result_type(field.data_type().clone()),
        };
        if data_type == *field.data_type() {
            return Ok(field);
        }
        Ok(Arc::new(Field::clone(&field).with_data_type(data_type)))
    }

    fn is_nullable(&self) -> bool {
        self.inner().is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.overrides.accumulator(self.inner(), args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.overrides.state_fields(self.inner(), args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.overrides
            .groups_accumulator_supported(self.inner(), args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.overrides.create_groups_accumulator(self.inner(), args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.overrides.create_sliding_accumulator(&self.inner, args)
    }

    fn with_beneficial_ordering(
        self: Arc<Self>,
        beneficial_ordering: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let inner = Arc::clone(self.inner.inner());
        // One that is told here that rows may come in order has nothing to do for it.
        if self.order_sensitivity().is_beneficial() && !inner.order_sensitivity().is_beneficial() {
            return Ok(Some(self));
        }
        let ordered = inner.with_beneficial_ordering(beneficial_ordering)?;
        Ok(ordered.map(|inner| {
            let inner = Arc::new(AggregateUDF::new_from_shared_impl(inner));
            Arc::new(Self::new(inner, self.overrides)) as Arc<dyn AggregateUDFImpl>
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.overrides.order_sensitivity(self.inner())
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.inner().simplify()
    }

    fn simplify_expr_op_literal(
        &self,
        agg_function: &AggregateFunction,
        arg: &Expr,
        op: Operator,
        lit: &Expr,
        arg_is_left: bool,
    ) -> Result<Option<Expr>> {
        self.inner()
            .simplify_expr_op_literal(agg_function, arg, op, lit, arg_is_left)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner().reverse_expr() {
            ReversedUDAF::Reversed(inner) => {
                let reversed = Self::new(inner, self.overrides);
                ReversedUDAF::Reversed(Arc::new(AggregateUDF::new_from_impl(reversed)))
            }
            same => same,
        }
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner().coerce_types(arg_types)
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner().is_descending()
    }

    fn value_from_stats(&self, statistics_args: &StatisticsArgs) -> Option<ScalarValue> {
        self.inner().value_from_stats(statistics_args)
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner().default_value(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner().supports_null_handling_clause()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.inner().supports_within_group_clause()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner().documentation()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner().set_monotonicity(data_type)
    }
}
