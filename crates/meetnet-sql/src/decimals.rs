//! Quotients and means of decimal numbers, rounded half away from zero, as PostgreSQL does.
//!
//! `a / b` -> `divide(a, b)` for decimal numbers, and an `avg` of them that is computed with one digit more
//!
//! DataFusion 55.2 cuts off what does not fit: `2.00 / 3` was 0.666666, and no error says so. How many digits there are stays what
//! it was, four more than the number that is divided has.

use std::mem::discriminant;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowNativeTypeOp, AsArray, BooleanArray, Datum, PrimitiveArray,
};
use arrow::compute::kernels::arity::try_binary;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL128_MAX_SCALE, DECIMAL256_MAX_PRECISION, DECIMAL256_MAX_SCALE,
    DataType, Decimal128Type, Decimal256Type, DecimalType, Field, FieldRef,
};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ExprSchema, Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, EmitTo, Expr, ExprSchemable,
    GroupsAccumulator, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_expr_common::datum;

use crate::aggregates::{Overrides, override_function};
use crate::rewrite;

#[cfg(test)]
mod tests;

/// Puts `avg` in its place. [`RoundedQuotients`] goes behind it.
///
/// # Errors
/// Where the session has no `avg`, or takes no functions.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    override_function(state, "avg", RoundedMean)?;
    state.register_function_rewrite(Arc::new(PlacesOfRound))
}

/// Says to `round(x, 1)` how many digits are left, in the type that it takes them in, before types are made equal.
///
/// A decimal number that is rounded has as many digits behind the point, if they are a constant. DataFusion 55.2 casts that constant
/// with the types, knows the digits no more where it compares, and again once constants are computed: `round(x, 1) > y` compared
/// numbers of two types, and was an error.
#[derive(Debug)]
struct PlacesOfRound;

impl FunctionRewrite for PlacesOfRound {
    fn name(&self) -> &str {
        "places_of_round"
    }

    fn rewrite(&self, expr: Expr, _: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        let places = match &expr {
            Expr::ScalarFunction(call) if call.name() == "round" => match call.args.as_slice() {
                [_, Expr::Literal(ScalarValue::Int64(Some(places)), _)] => {
                    i32::try_from(*places).ok()
                }
                _ => None,
            },
            _ => None,
        };
        Ok(match (places, expr) {
            (Some(places), Expr::ScalarFunction(mut call)) => {
                call.args.truncate(1);
                call.args.push(lit(places));
                Transformed::yes(Expr::ScalarFunction(call))
            }
            (_, expr) => Transformed::no(expr),
        })
    }
}

/// Makes quotients of decimal numbers calls.
#[derive(Debug)]
pub(crate) struct RoundedQuotients;

impl AnalyzerRule for RoundedQuotients {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::expressions(
            plan,
            |expr| sides(expr).is_some(),
            |expr, schema| rewrite::parts(expr, |part| call_for(part, schema)),
        )
    }

    fn name(&self) -> &str {
        "rounded_quotients"
    }
}

/// Returns true for the call that a quotient of decimal numbers has become.
pub(crate) fn is_quotient(call: &ScalarFunction) -> bool {
    divide_of(call).is_some()
}

fn divide_of(call: &ScalarFunction) -> Option<&Divide> {
    call.func.inner().downcast_ref::<Divide>()
}

/// Returns what is divided, and by what.
fn sides(expr: &Expr) -> Option<[&Expr; 2]> {
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::Divide,
            right,
        }) => Some([left.as_ref(), right.as_ref()]),
        _ => None,
    }
}

/// Returns the call that a quotient of decimal numbers becomes.
fn call_for(expr: &Expr, schema: &dyn ExprSchema) -> Option<Expr> {
    let [left, right] = sides(expr)?;
    // The right one first: of a long chain it is one number, and the left one all before it.
    let right_type = type_of(right, schema).ok()?;
    scale(&right_type)?;
    let left_type = type_of(left, schema).ok()?;
    let to = BinaryTypeCoercer::new(&left_type, &Operator::Divide, &right_type);
    let to = to.get_result_type().ok()?;
    let is_of_one_kind = discriminant(&left_type) == discriminant(&right_type)
        && discriminant(&to) == discriminant(&right_type);
    if !is_of_one_kind {
        return None;
    }
    let function = ScalarUDF::new_from_impl(Divide {
        to,
        signature: Signature::any(2, Volatility::Immutable),
    });
    Some(function.call(vec![left.clone(), right.clone()]))
}

/// Returns the type of an expression, as DataFusion does, without a look into the calls that quotients have become.
///
/// To find the type of a call, DataFusion writes out the names of its arguments, and of theirs, each time. The quotients of a chain
/// are each the argument of the next: one of 200 took seconds to plan.
///
/// # Errors
/// Where a column is not there, or types do not go together.
fn type_of(expr: &Expr, schema: &dyn ExprSchema) -> Result<DataType> {
    let mut operators = Vec::new();
    let mut first = expr;
    while let Expr::BinaryExpr(BinaryExpr { left, op, right }) = first {
        operators.push((op, right));
        first = left.as_ref();
    }
    let known = match first {
        Expr::ScalarFunction(call) => divide_of(call).map(|divide| divide.to.clone()),
        _ => None,
    };
    let known = match known {
        Some(known) => known,
        None => first.get_type(schema)?,
    };
    operators
        .into_iter()
        .rev()
        .try_fold(known, |left, (op, right)| {
            let right = type_of(right, schema)?;
            let coercer = BinaryTypeCoercer::new(&left, op, &right);
            coercer.get_result_type()
        })
}

/// Returns how many digits a decimal number has behind the point; None for every other type, and for numbers of up to 64 bits,
/// which no table and no operator of SQL makes.
fn scale(of: &DataType) -> Option<i8> {
    match of {
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => Some(*scale),
        _ => None,
    }
}

/// A quotient of decimal numbers, rounded half away from zero.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Divide {
    to: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Divide {
    fn name(&self) -> &str {
        "divide"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = rewrite::returned_field(self.name(), &self.to, &args);
        Ok(Arc::new(field))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else {
            let message = "`divide` takes two numbers".to_owned();
            return Err(DataFusionError::Plan(message));
        };
        match &self.to {
            DataType::Decimal256(..) => datum::apply(left, right, |left, right| {
                quotients::<Decimal256Type>(left, right, &self.to)
            }),
            to => datum::apply(left, right, |left, right| {
                quotients::<Decimal128Type>(left, right, to)
            }),
        }
    }

    /// Any number of the type: a bound without a type could not be compared with the other side.
    fn evaluate_bounds(&self, _: &[&Interval]) -> Result<Interval> {
        Interval::make_unbounded(&self.to)
    }
}

/// Divides numbers of one kind of decimal type.
fn quotients<T: DecimalType>(
    left: &dyn Datum,
    right: &dyn Datum,
    to: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let ((left, is_left_one), (right, is_right_one)) = (left.get(), right.get());
    let numbers = (left.as_primitive_opt::<T>(), right.as_primitive_opt::<T>());
    let scales = (scale(left.data_type()), scale(right.data_type()), scale(to));
    let ((Some(left), Some(right)), (Some(of_left), Some(of_right), Some(of_both))) =
        (numbers, scales)
    else {
        let message = "`divide` was called with other numbers".to_owned();
        return Err(ArrowError::InvalidArgumentError(message));
    };
    // How many digits the left one needs more, so that the quotient has its own.
    let digits = i32::from(of_both) - i32::from(of_left) + i32::from(of_right);
    let power = ten::<T::Native>().pow_checked(digits.unsigned_abs())?;
    let by = match digits >= 0 {
        true => [power, T::Native::ONE],
        false => [T::Native::ONE, power],
    };
    let divided = |left: T::Native, right: T::Native| {
        quotient(left.mul_checked(by[0])?, right.mul_checked(by[1])?)
    };
    let quotients: PrimitiveArray<T> = match (is_left_one, is_right_one) {
        (true, false) if left.is_null(0) => PrimitiveArray::new_null(right.len()),
        (false, true) if right.is_null(0) => PrimitiveArray::new_null(left.len()),
        (true, false) => {
            let left = left.value(0);
            right.try_unary::<_, T, ArrowError>(|right| divided(left, right))?
        }
        (false, true) => {
            let right = right.value(0);
            left.try_unary::<_, T, ArrowError>(|left| divided(left, right))?
        }
        _ => try_binary(left, right, divided)?,
    };
    Ok(Arc::new(quotients.with_data_type(to.clone())))
}

/// Returns a quotient, rounded half away from zero.
fn quotient<N: ArrowNativeTypeOp>(left: N, right: N) -> Result<N, ArrowError> {
    let whole = left.div_checked(right)?;
    // Negative sizes: the least number has no positive one.
    let below_zero = |number: N| match number.is_gt(N::ZERO) {
        true => number.neg_wrapping(),
        false => number,
    };
    let rest = below_zero(left.mod_wrapping(right));
    let missing = below_zero(right).sub_wrapping(rest);
    // Less than a half is left.
    if rest.is_zero() || rest.is_gt(missing) {
        return Ok(whole);
    }
    match left.is_lt(N::ZERO) == right.is_lt(N::ZERO) {
        true => whole.add_checked(N::ONE),
        false => whole.sub_checked(N::ONE),
    }
}

fn ten<N: ArrowNativeTypeOp>() -> N {
    let five = (0..5).fold(N::ZERO, |sum, _| sum.add_wrapping(N::ONE));
    five.add_wrapping(five)
}

/// `avg` of decimal numbers, of which DataFusion computes one digit more: it cuts off behind that, and how to round is known by
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct RoundedMean;

impl Overrides for RoundedMean {
    fn accumulator(
        self,
        inner: &dyn AggregateUDFImpl,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        rounded(args, |args| inner.accumulator(args))
    }

    fn create_groups_accumulator(
        self,
        inner: &dyn AggregateUDFImpl,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let to = args.return_type().clone();
        match with_one_digit_more(&to) {
            Some(wide) => {
                let inner = inner.create_groups_accumulator(of_type(args, wide))?;
                Ok(Box::new(RoundedMeans { inner, to }))
            }
            None => inner.create_groups_accumulator(args),
        }
    }

    fn create_sliding_accumulator(
        self,
        inner: &Arc<AggregateUDF>,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        rounded(args, |args| inner.create_sliding_accumulator(args))
    }
}

/// Returns what `inner` makes, with the last digit rounded where that is one of a decimal number.
fn rounded(
    args: AccumulatorArgs,
    inner: impl FnOnce(AccumulatorArgs) -> Result<Box<dyn Accumulator>>,
) -> Result<Box<dyn Accumulator>> {
    let to = args.return_type().clone();
    match with_one_digit_more(&to) {
        Some(wide) => {
            let inner = inner(of_type(args, wide))?;
            Ok(Box::new(RoundedOne { inner, to }))
        }
        None => inner(args),
    }
}

/// Returns a type of decimal numbers with one digit more behind the point; None for other types, and where there is none.
fn with_one_digit_more(to: &DataType) -> Option<DataType> {
    match to {
        DataType::Decimal128(precision, scale) if *scale < DECIMAL128_MAX_SCALE => {
            let precision = DECIMAL128_MAX_PRECISION.min(precision + 1);
            Some(DataType::Decimal128(precision, scale + 1))
        }
        DataType::Decimal256(precision, scale) if *scale < DECIMAL256_MAX_SCALE => {
            let precision = DECIMAL256_MAX_PRECISION.min(precision + 1);
            Some(DataType::Decimal256(precision, scale + 1))
        }
        _ => None,
    }
}

fn of_type(args: AccumulatorArgs<'_>, data_type: DataType) -> AccumulatorArgs<'_> {
    let field = Field::clone(&args.return_field).with_data_type(data_type);
    AccumulatorArgs {
        return_field: Arc::new(field),
        ..args
    }
}

/// Rounds numbers of one digit more than `to` has.
fn without_last_digit(numbers: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    fn of<T: DecimalType>(numbers: &PrimitiveArray<T>, to: &DataType) -> Result<ArrayRef> {
        let ten = ten::<T::Native>();
        let numbers = numbers.try_unary::<_, T, ArrowError>(|number| quotient(number, ten))?;
        Ok(Arc::new(numbers.with_data_type(to.clone())))
    }
    if let Some(numbers) = numbers.as_primitive_opt::<Decimal128Type>() {
        return of(numbers, to);
    }
    match numbers.as_primitive_opt::<Decimal256Type>() {
        Some(numbers) => of(numbers, to),
        None => {
            let message = "`avg` was given another type than it was planned for".to_owned();
            Err(DataFusionError::Internal(message))
        }
    }
}

/// One mean, rounded.
#[derive(Debug)]
struct RoundedOne {
    inner: Box<dyn Accumulator>,
    to: DataType,
}

impl Accumulator for RoundedOne {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mean = self.inner.evaluate()?.to_array()?;
        let mean = without_last_digit(&mean, &self.to)?;
        ScalarValue::try_from_array(&mean, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}

/// Means of groups, rounded.
struct RoundedMeans {
    inner: Box<dyn GroupsAccumulator>,
    to: DataType,
}

impl GroupsAccumulator for RoundedMeans {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner
            .update_batch(values, group_indices, opt_filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        without_last_digit(&self.inner.evaluate(emit_to)?, &self.to)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner
            .merge_batch(values, group_indices, total_num_groups)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(values, opt_filter)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }
}
