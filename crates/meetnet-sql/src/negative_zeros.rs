//! Zero is one number, whatever its sign, and so is what is no number.
//!
//! `round(x)` -> `unsigned_zero(round(x))` where it becomes a column, a key or an argument that is compared
//!
//! Of -0.3 `round` makes a zero with a sign. It equals the other one, and groups and joins of DataFusion 55.2 know that; but
//! sorts, partitions, frames, `IN`, `CASE`, `nullif` and DISTINCT in an aggregate do not, and no error says so: -0.3 and 0.3,
//! rounded, had two ranks. So what computes floats loses the sign of zero where it leaves an expression. Then columns have none,
//! and are left as they are, with all that is known of their order and of the files to skip. Adding 0 takes the sign away.
//!
//! NaN has a sign, too: processors answer 0.0 / 0.0 and the difference of two infinities with one, and sorted, ranked or compared it
//! was the least of all numbers, while the NaN of a column is the greatest, as in PostgreSQL. It loses its sign in the same places,
//! and where what may have made it is compared (`x - y > 5`).
//!
//! Operators that make neither (`x * 1.8 + 32`, `abs`) are left alone, too. A zero that was sent with a sign is stored without
//! (`RowsBuilder`). What stays outside: rows that an earlier version has stored.
//!
//! Lists lose the signs where they are made: of what is in `[x, -x]` each, and of a list that is read from a text, or a parameter, all. So
//! functions and operators of lists find none in them, and zero is among them whatever its sign.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, GenericListArray, OffsetSizeTrait};
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{BinaryExpr, InList, ScalarFunction};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Distinct, DistinctOn, Expr, ExprSchemable, LogicalPlan, Operator, Projection,
    ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use crate::rewrite;

#[cfg(test)]
mod tests;

const UNSIGNED_ZERO: &str = "unsigned_zero";
/// Functions that answer one of their arguments.
const CHOOSING: [&str; 7] = [
    "coalesce", "greatest", "ifnull", "least", "nullif", "nvl", "nvl2",
];
/// Functions of lists whose elements are those of their arguments.
const LISTING: [&str; 23] = [
    "make_array",
    "array_append",
    "array_prepend",
    "array_concat",
    "array_compact",
    "array_distinct",
    "array_except",
    "array_intersect",
    "array_pop_back",
    "array_pop_front",
    "array_remove",
    "array_remove_all",
    "array_remove_n",
    "array_repeat",
    "array_replace",
    "array_replace_all",
    "array_replace_n",
    "array_resize",
    "array_reverse",
    "array_slice",
    "array_sort",
    "array_union",
    "flatten",
];
/// Other functions of lists that compare elements.
const COMPARING: [&str; 5] = [
    "array_has",
    "array_has_all",
    "array_has_any",
    "array_position",
    "array_positions",
];
/// What the keys of a DISTINCT ON are called below it.
const KEY: &str = "__distinct_on_";

/// Takes the sign off zeros that are computed.
#[derive(Debug)]
pub(crate) struct UnsignedZeros;

impl AnalyzerRule for UnsignedZeros {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(of_plan).data()
    }

    fn name(&self) -> &str {
        "unsigned_zeros"
    }
}

fn of_plan(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    // What their expressions are becomes a column, or is compared.
    let is_whole = matches!(
        plan,
        LogicalPlan::Projection(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Distinct(Distinct::On(_))
    );
    let plan = match plan {
        LogicalPlan::Distinct(Distinct::On(on)) => keys_as_columns(on)?,
        plan => Transformed::no(plan),
    };
    plan.transform_data(|plan| {
        rewrite::of_plan(plan, &may_concern, &|expr: Expr, schema: &DFSchema| {
            let zeros = Zeros { schema };
            let rewritten = expr.transform_up(|part| zeros.compared(part))?;
            match is_whole {
                true => rewritten.transform_data(|expr| Ok(zeros.whole(expr))),
                false => Ok(rewritten),
            }
        })
    })
}

/// Returns true for what may make a zero with a sign, or tell one from the other.
fn may_concern(expr: &Expr) -> bool {
    match expr {
        Expr::InList(_) | Expr::Case(_) | Expr::ScalarFunction(_) => true,
        Expr::Literal(value, _) if is_signed_list(value) => true,
        expr => {
            let makes_list = rewrite::cast_of(expr).is_some_and(|(_, to, _)| is_float_list(to));
            makes_list || is_signed_zero(expr) || is_signed_nan(expr)
        }
    }
}

/// Computes what a DISTINCT ON compares below it, where that may be such a zero: the expressions of both lists must go on being
/// the same.
fn keys_as_columns(on: DistinctOn) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(on.input.schema());
    let zeros = Zeros { schema: &schema };
    let mut keys: Vec<Expr> = Vec::new();
    let mut column_for = |expr: Expr| {
        if !zeros.may_be_signed(&expr) {
            return Transformed::no(expr);
        }
        let position = keys.iter().position(|key| *key == expr);
        let position = position.unwrap_or_else(|| {
            keys.push(expr);
            keys.len() - 1
        });
        let column = Column::from_name(format!("{KEY}{position}"));
        Transformed::yes(Expr::Column(column))
    };
    let on = rewrite::keys_of_distinct_on(on, |keys| keys.each(|key| Ok(column_for(key))))?;
    if keys.is_empty() {
        return Ok(on.update_data(|on| LogicalPlan::Distinct(Distinct::On(on))));
    }
    let on = on.data;
    let columns = schema.columns().into_iter().map(Expr::Column);
    let keys = keys.into_iter().enumerate();
    let keys = keys.map(|(position, key)| unsigned(key).alias(format!("{KEY}{position}")));
    let below = Projection::try_new(columns.chain(keys).collect(), on.input)?;
    let below = Arc::new(LogicalPlan::Projection(below));
    let on = DistinctOn::try_new(on.on_expr, on.select_expr, on.sort_expr, below)?;
    Ok(Transformed::yes(LogicalPlan::Distinct(Distinct::On(on))))
}

/// Expressions over columns of a schema, without signs of zeros.
struct Zeros<'a> {
    schema: &'a DFSchema,
}

impl Zeros<'_> {
    /// Returns true for a float that may be a zero, or NaN, with a sign, and for a list that may have such.
    fn may_be_signed(&self, expr: &Expr) -> bool {
        let may_be = is_signed_zero(expr) || is_signed_nan(expr);
        may_be && self.has_floats(expr) && !self.is_cast_of_number(expr)
    }

    /// Returns true for a cast of a column that is no text, and no list of texts.
    fn is_cast_of_number(&self, expr: &Expr) -> bool {
        let column = rewrite::cast_of(expr).map(|(inner, ..)| inner);
        column.is_some_and(|column| matches!(column, Expr::Column(_)) && self.is_of_numbers(column))
    }

    fn is_of_numbers(&self, expr: &Expr) -> bool {
        let data_type = expr.get_type(self.schema);
        data_type.is_ok_and(|data_type| innermost(&data_type).is_numeric())
    }

    fn has_floats(&self, expr: &Expr) -> bool {
        let data_type = expr.get_type(self.schema);
        data_type.is_ok_and(|data_type| is_float(innermost(&data_type)))
    }

    /// Returns true for a cast to a list of floats of what may have signs: of lists of numbers they are taken already.
    fn makes_list(&self, cast: &Expr) -> bool {
        rewrite::cast_of(cast)
            .is_some_and(|(inner, to, _)| is_float_list(to) && !self.is_of_numbers(inner))
    }

    /// Takes the signs off the arguments of a call.
    fn arguments(&self, mut call: ScalarFunction) -> Transformed<Expr> {
        let mut is_other = false;
        let args = std::mem::take(&mut call.args).into_iter();
        let args = args.map(|arg| {
            let whole = self.whole(arg);
            is_other |= whole.transformed;
            whole.data
        });
        call.args = args.collect();
        Transformed::new_transformed(Expr::ScalarFunction(call), is_other)
    }

    fn is_float(&self, expr: &Expr) -> bool {
        let data_type = expr.get_type(self.schema);
        data_type.is_ok_and(|data_type| is_float(&data_type))
    }

    /// Rewrites an expression of which a column or a key is made.
    fn whole(&self, expr: Expr) -> Transformed<Expr> {
        match expr {
            Expr::Alias(mut alias) => {
                let whole = self.whole(*alias.expr);
                alias.expr = Box::new(whole.data);
                Transformed::new(Expr::Alias(alias), whole.transformed, whole.tnr)
            }
            expr if self.may_be_signed(&expr) => Transformed::yes(unsigned(expr)),
            expr => Transformed::no(expr),
        }
    }

    /// Rewrites what is compared by one part of an expression.
    fn compared(&self, part: Expr) -> Result<Transformed<Expr>> {
        Ok(match part {
            Expr::InList(list) => self.in_list(list),
            Expr::Case(mut case) => {
                let Some(base) = case.expr.take() else {
                    return Ok(Transformed::no(Expr::Case(case)));
                };
                if !self.is_float(&base) {
                    case.expr = Some(base);
                    return Ok(Transformed::no(Expr::Case(case)));
                }
                case.expr = Some(Box::new(self.number(*base)));
                let branches = std::mem::take(&mut case.when_then_expr).into_iter();
                let branches = branches.map(|(when, then)| (Box::new(self.number(*when)), then));
                case.when_then_expr = branches.collect();
                Transformed::yes(Expr::Case(case))
            }
            Expr::ScalarFunction(mut call) if matches!(call.name(), "greatest" | "least") => {
                let args = std::mem::take(&mut call.args).into_iter();
                call.args = args.map(|arg| self.whole(arg).data).collect();
                Transformed::yes(Expr::ScalarFunction(call))
            }
            Expr::ScalarFunction(call)
                if LISTING.contains(&call.name()) || COMPARING.contains(&call.name()) =>
            {
                self.arguments(call)
            }
            Expr::Literal(value, metadata) if is_signed_list(&value) => {
                let list = unsigned_zeros(&value.to_array()?)?;
                let list = ScalarValue::try_from_array(&list, 0)?;
                Transformed::yes(Expr::Literal(list, metadata))
            }
            list @ (Expr::Cast(_) | Expr::TryCast(_)) if self.makes_list(&list) => {
                Transformed::yes(unsigned(list))
            }
            Expr::ScalarFunction(mut call) if call.name() == "nullif" => {
                let args = std::mem::take(&mut call.args).into_iter();
                call.args = args.map(|arg| self.number(arg)).collect();
                Transformed::yes(Expr::ScalarFunction(call))
            }
            Expr::BinaryExpr(mut comparison) if rewrite::compares(comparison.op) => {
                let sides = [&mut comparison.left, &mut comparison.right];
                let is_other = sides.map(|side| self.side(side)).contains(&true);
                Transformed::new_transformed(Expr::BinaryExpr(comparison), is_other)
            }
            Expr::Between(mut between) => {
                let sides = [&mut between.expr, &mut between.low, &mut between.high];
                let is_other = sides.map(|side| self.side(side)).contains(&true);
                Transformed::new_transformed(Expr::Between(between), is_other)
            }
            // Arguments and keys; a condition is no number.
            call @ (Expr::AggregateFunction(_) | Expr::WindowFunction(_)) => {
                call.map_children(|compared| Ok(self.whole(compared)))?
            }
            part => Transformed::no(part),
        })
    }

    /// Takes the sign off NaN that may have been made for one side of a comparison, for which both zeros are one; returns false where
    /// none has been. A column is what files are skipped by, and stays as it is, as does what is computed of it and a constant.
    fn side(&self, side: &mut Expr) -> bool {
        let is_other =
            matches!(side, Expr::BinaryExpr(_)) && is_signed_nan(side) && self.is_float(side);
        if is_other {
            let computed = std::mem::replace(side, Expr::Literal(ScalarValue::Null, None));
            *side = unsigned(computed);
        }
        is_other
    }

    /// Returns a float without a sign of zero though it be a column: beside what it is compared with, an addition is little.
    fn number(&self, expr: Expr) -> Expr {
        let is_number = match &expr {
            Expr::Column(_) => true,
            expr => is_signed_zero(expr),
        };
        match is_number && self.is_float(&expr) {
            true => unsigned(expr),
            false => expr,
        }
    }

    /// Puts the other zero into a list that has one: the condition goes on being one that files are skipped by. A list of one
    /// value becomes `=`, for which both are one.
    fn in_list(&self, list: InList) -> Transformed<Expr> {
        let InList {
            expr,
            list: mut values,
            negated,
        } = list;
        let expr = self.whole(*expr);
        let mut is_other = expr.transformed;
        let zeros: Vec<ScalarValue> = values.iter().filter_map(zero_of).collect();
        if let Some(zero) = zeros.first()
            && values.len() > 1
        {
            for other in both_zeros(zero) {
                if !zeros.contains(&other) {
                    values.push(Expr::Literal(other, None));
                    is_other = true;
                }
            }
        }
        let values = values.into_iter().map(|value| match zero_of(&value) {
            Some(_) => value,
            None => {
                let value = self.whole(value);
                is_other |= value.transformed;
                value.data
            }
        });
        let list = InList::new(Box::new(expr.data), values.collect(), negated);
        match is_other {
            true => Transformed::yes(Expr::InList(list)),
            false => Transformed::no(Expr::InList(list)),
        }
    }
}

fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}

fn is_float_list(data_type: &DataType) -> bool {
    is_float(innermost(data_type)) && !is_float(data_type)
}

/// Returns what the elements of a list are, or those of the lists in it; of any other type itself.
fn innermost(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::List(field) | DataType::LargeList(field) => innermost(field.data_type()),
        data_type => data_type,
    }
}

/// Returns true for a list that is written in the statement with a zero, or NaN, that has a sign.
fn is_signed_list(value: &ScalarValue) -> bool {
    match value {
        ScalarValue::List(list) => have_signs(list.values()),
        ScalarValue::LargeList(list) => have_signs(list.values()),
        _ => false,
    }
}

fn have_signs(values: &ArrayRef) -> bool {
    let has_sign = |number: f64| number.is_sign_negative() && (number == 0.0 || number.is_nan());
    if let Some(lists) = values.as_list_opt::<i32>() {
        return have_signs(lists.values());
    }
    if let Some(lists) = values.as_list_opt::<i64>() {
        return have_signs(lists.values());
    }
    if let Some(numbers) = values.as_primitive_opt::<Float64Type>() {
        return numbers.values().iter().any(|number| has_sign(*number));
    }
    let numbers = values.as_primitive_opt::<Float32Type>();
    numbers.is_some_and(|numbers| {
        let mut numbers = numbers.values().iter();
        numbers.any(|number| has_sign(f64::from(*number)))
    })
}

/// Returns the value that is written in the statement, in the type that it is cast to.
fn constant(value: &Expr) -> Option<ScalarValue> {
    match value {
        Expr::Literal(value, _) => Some(value.clone()),
        Expr::Cast(cast) => match cast.expr.as_ref() {
            Expr::Literal(value, _) => value.cast_to(cast.field.data_type()).ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the zero that a value is which is written in the statement, as a float.
fn zero_of(value: &Expr) -> Option<ScalarValue> {
    let zero = constant(value)?;
    let is_zero = match &zero {
        ScalarValue::Float64(Some(number)) => *number == 0.0,
        ScalarValue::Float32(Some(number)) => *number == 0.0,
        _ => false,
    };
    is_zero.then_some(zero)
}

/// Returns the zeros of the type of one.
fn both_zeros(zero: &ScalarValue) -> [ScalarValue; 2] {
    match zero {
        ScalarValue::Float32(_) => [0.0_f32, -0.0].map(ScalarValue::from),
        _ => [0.0_f64, -0.0].map(ScalarValue::from),
    }
}

/// Returns true for what may be a zero with a sign if it is a float: columns are none, since what they are computed from has
/// come by here.
fn is_signed_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(ScalarValue::Float64(Some(number)), _) => {
            *number == 0.0 && number.is_sign_negative()
        }
        Expr::Literal(ScalarValue::Float32(Some(number)), _) => {
            *number == 0.0 && number.is_sign_negative()
        }
        Expr::Negative(_) => true,
        Expr::Case(case) => {
            let branches = case.when_then_expr.iter().map(|(_, then)| then);
            branches
                .chain(&case.else_expr)
                .any(|then| is_signed_zero(then))
        }
        Expr::Alias(alias) => is_signed_zero(&alias.expr),
        Expr::Cast(cast) => is_signed_cast(&cast.expr),
        Expr::TryCast(cast) => is_signed_cast(&cast.expr),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Multiply | Operator::Divide | Operator::Modulo => true,
            // Of a zero without a sign and another one comes one without.
            Operator::Plus => is_signed_zero(right) && is_signed_zero(left),
            Operator::Minus => is_signed_zero(left),
            _ => false,
        },
        Expr::ScalarFunction(call) => match call.name() {
            UNSIGNED_ZERO | "abs" | "date_part" => false,
            name if LISTING.contains(&name) => false,
            name if CHOOSING.contains(&name) => call.args.iter().any(is_signed_zero),
            _ => true,
        },
        _ => false,
    }
}

/// Returns true for what may be NaN with a sign if it is a float: it is made of infinite numbers and of zeros, and what is computed
/// of it is NaN, too.
fn is_signed_nan(expr: &Expr) -> bool {
    match expr {
        Expr::Negative(_) => true,
        Expr::Alias(alias) => is_signed_nan(&alias.expr),
        Expr::Cast(cast) => is_signed_nan(&cast.expr),
        Expr::TryCast(cast) => is_signed_nan(&cast.expr),
        Expr::Case(case) => {
            let branches = case.when_then_expr.iter().map(|(_, then)| then);
            branches
                .chain(&case.else_expr)
                .any(|then| is_signed_nan(then))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            // Of a finite number and another one comes none, but for a zero among the factors.
            let is_harmless = |side: &Expr| {
                let number = match constant(side) {
                    Some(ScalarValue::Float64(Some(number))) => number,
                    Some(ScalarValue::Float32(Some(number))) => f64::from(number),
                    _ => return false,
                };
                number.is_finite() && (number != 0.0 || is_sum(*op))
            };
            match op {
                Operator::Modulo => true,
                Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide => {
                    match (is_harmless(left), is_harmless(right)) {
                        (_, true) => is_signed_nan(left),
                        (true, false) => is_signed_nan(right),
                        (false, false) => true,
                    }
                }
                _ => false,
            }
        }
        Expr::ScalarFunction(call) => match call.name() {
            UNSIGNED_ZERO | "abs" | "date_part" => false,
            name if LISTING.contains(&name) => false,
            name if CHOOSING.contains(&name) => call.args.iter().any(is_signed_nan),
            _ => true,
        },
        _ => false,
    }
}

fn is_sum(op: Operator) -> bool {
    matches!(op, Operator::Plus | Operator::Minus)
}

/// Returns true for a cast of a text, or of such a zero.
fn is_signed_cast(of: &Expr) -> bool {
    match of {
        // Of a text, if it is one; of a number it has gone by here.
        Expr::Column(_) => true,
        Expr::Literal(value, _) => value.try_as_str().is_some() || is_signed_zero(of),
        of => is_signed_zero(of),
    }
}

fn unsigned(expr: Expr) -> Expr {
    let function = ScalarUDF::new_from_impl(UnsignedZero {
        signature: Signature::any(1, Volatility::Immutable),
    });
    function.call(vec![expr])
}

/// The same number, and 0 for -0; NaN without a sign. Of a list the same of each of its elements.
#[derive(Debug, PartialEq, Eq, Hash)]
struct UnsignedZero {
    signature: Signature,
}

impl ScalarUDFImpl for UnsignedZero {
    fn name(&self) -> &str {
        UNSIGNED_ZERO
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().cloned().ok_or_else(uncalled)
    }

    /// With the unit of the number.
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = args.arg_fields.first().ok_or_else(uncalled)?;
        let field = Field::clone(field).with_name(UNSIGNED_ZERO);
        Ok(Arc::new(field))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [numbers] = args.args.as_slice() else {
            return Err(uncalled());
        };
        rewrite::each_value(numbers, unsigned_zeros)
    }

    /// Any number: a bound without a type could not be compared with the other side.
    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        let input = inputs.first().ok_or_else(uncalled)?;
        Interval::make_unbounded(&input.data_type())
    }

    /// No two numbers change places.
    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        let input = inputs.first().ok_or_else(uncalled)?;
        Ok(input.sort_properties)
    }
}

fn unsigned_zeros(numbers: &ArrayRef) -> Result<ArrayRef> {
    if let Some(lists) = numbers.as_list_opt::<i32>() {
        return unsigned_lists(lists);
    }
    if let Some(lists) = numbers.as_list_opt::<i64>() {
        return unsigned_lists(lists);
    }
    if let Some(numbers) = numbers.as_primitive_opt::<Float64Type>() {
        let numbers = numbers.unary::<_, Float64Type>(|number| match number.is_nan() {
            true => f64::NAN,
            false => number + 0.0,
        });
        return Ok(Arc::new(numbers));
    }
    let numbers = numbers.as_primitive_opt::<Float32Type>();
    let numbers = numbers.ok_or_else(uncalled)?;
    let numbers = numbers.unary::<_, Float32Type>(|number| match number.is_nan() {
        true => f32::NAN,
        false => number + 0.0,
    });
    Ok(Arc::new(numbers))
}

fn unsigned_lists<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> Result<ArrayRef> {
    let (field, offsets, values, nulls) = lists.clone().into_parts();
    let values = unsigned_zeros(&values)?;
    let lists = GenericListArray::<O>::try_new(field, offsets, values, nulls)?;
    Ok(Arc::new(lists))
}

/// The error of a call that no plan makes.
fn uncalled() -> DataFusionError {
    DataFusionError::Plan("`unsigned_zero` was called with something else".to_owned())
}
