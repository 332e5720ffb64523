//! Whole numbers that end in an error where they do not fit their type, and not in another number.
//!
//! `a + b + c` -> `add(a, b, c)` for whole numbers, and a `sum` of them that is added up in 128 bits: [`sum`]
//!
//! DataFusion 55.2 lets them wrap: `9223372036854775807 + 1` would be the least number there is, and no error says so. Its
//! operator can do otherwise, but nothing in a logical plan can ask for it, and there constants are computed. So these
//! operators are functions here, which constants and columns go through alike. Floats and times stay operators.
//!
//! Of unsigned numbers (`row_number`, `rank`, `approx_distinct`) analysts take differences, so that they are computed as signed
//! ones: `rank() OVER … - lag(rank() OVER …)` is -2 where a sensor has come up by two. Beside a signed one DataFusion would make
//! decimals of them, also where one of both is chosen: `row_number() OVER … / 2` was 0.5 for the first row, and is 0. So it would of a
//! union of both: [`unions`].

use std::sync::Arc;

use arrow::array::{ArrayRef, Datum};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{DataType, FieldRef};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr_common::datum;
use datafusion::sql::sqlparser::ast;

mod sum;
#[cfg(test)]
mod tests;
mod unions;

pub(crate) use sum::{Whole, total};
pub(crate) use unions::WholeNumberUnions;

use sum::WholeSum;

use crate::aggregates::override_function;
use crate::error::{QueryError, StatementFault, shortened};
use crate::rewrite;

/// Functions that answer one of their arguments.
const CHOOSING: [&str; 6] = ["coalesce", "greatest", "ifnull", "least", "nullif", "nvl"];
/// How much of an argument an error repeats.
const SHOWN_BYTES_MAX: usize = 100;

/// Puts `sum` and the differences of unsigned numbers in their place. [`CheckedWholeNumbers`] goes behind it.
///
/// # Errors
/// Where the session has no `sum`, or takes no functions.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    override_function(state, "sum", WholeSum)?;
    state.register_function_rewrite(Arc::new(UnsignedAsSigned))
}

/// Computes what is made of unsigned numbers with signed ones, before types are made equal: DataFusion would take decimals where
/// only one of them is signed.
#[derive(Debug)]
struct UnsignedAsSigned;

impl FunctionRewrite for UnsignedAsSigned {
    fn name(&self) -> &str {
        "unsigned_as_signed"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let signed = match &expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if computes(*op) => {
                all_signed(&[left.as_ref(), right.as_ref()], schema).and_then(|sides| {
                    let [left, right]: [Expr; 2] = sides.try_into().ok()?;
                    let signed = BinaryExpr::new(Box::new(left), *op, Box::new(right));
                    Some(Expr::BinaryExpr(signed))
                })
            }
            Expr::Negative(number) if is_unsigned(number, schema) => {
                let number = cast(number.as_ref().clone(), DataType::Int64);
                Some(Expr::Negative(Box::new(number)))
            }
            Expr::Case(case) => {
                let branches = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
                let values: Vec<&Expr> = branches.chain(case.else_expr.as_deref()).collect();
                all_signed(&values, schema).map(|signed| {
                    let mut case = case.clone();
                    let branches = case.when_then_expr.iter_mut().map(|(_, then)| then);
                    for (value, signed) in branches.chain(&mut case.else_expr).zip(signed) {
                        **value = signed;
                    }
                    Expr::Case(case)
                })
            }
            Expr::ScalarFunction(call) if CHOOSING.contains(&call.name()) => {
                let values: Vec<&Expr> = call.args.iter().collect();
                all_signed(&values, schema).map(|args| {
                    let func = Arc::clone(&call.func);
                    Expr::ScalarFunction(ScalarFunction { func, args })
                })
            }
            _ => None,
        };
        Ok(match signed {
            Some(signed) => Transformed::yes(signed),
            None => Transformed::no(expr),
        })
    }
}

/// Returns true for what is computed of two numbers.
fn computes(op: Operator) -> bool {
    Operation::of(op).is_some() || matches!(op, Operator::Divide | Operator::Modulo)
}

/// Returns whole numbers with those as signed ones that are never negative; None where there are none of these, and where not all
/// are whole.
fn all_signed(values: &[&Expr], schema: &DFSchema) -> Option<Vec<Expr>> {
    let are_unsigned = values.iter().map(|value| is_unsigned(value, schema));
    let are_unsigned: Vec<bool> = are_unsigned.collect();
    let is_whole = |value: &&Expr| {
        let data_type = value.get_type(schema);
        data_type.is_ok_and(|data_type| data_type.is_integer() || data_type.is_null())
    };
    if !are_unsigned.contains(&true) || !values.iter().all(is_whole) {
        return None;
    }
    let signed = values.iter().zip(are_unsigned);
    let signed = signed.map(|(value, is_unsigned)| match is_unsigned {
        true => cast((*value).clone(), DataType::Int64),
        false => (*value).clone(),
    });
    Some(signed.collect())
}

/// Returns true for what is never negative, but for literals: those are unsigned where they do not fit a signed number. What has
/// been computed is signed, or a long chain of operators would be walked through once for each.
fn is_unsigned(side: &Expr, schema: &DFSchema) -> bool {
    match side {
        Expr::Literal(..) | Expr::Negative(_) => false,
        Expr::BinaryExpr(binary) if computes(binary.op) => false,
        side => side
            .get_type(schema)
            .is_ok_and(|data_type| data_type.is_unsigned_integer()),
    }
}

/// Makes operators on whole numbers functions that do not wrap.
#[derive(Debug)]
pub(crate) struct CheckedWholeNumbers;

impl AnalyzerRule for CheckedWholeNumbers {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite::expressions(
            plan,
            |expr| Operation::of_expr(expr).is_some(),
            |expr, schema| expr.transform_up(|expr| Ok(checked(expr, schema))),
        )
    }

    fn name(&self) -> &str {
        "checked_whole_numbers"
    }
}

/// Refuses an argument of a table function in which whole numbers do not fit their type: such arguments are computed while the
/// statement is planned, before `CheckedWholeNumbers`.
///
/// # Errors
/// Where they do not; what else is wrong with it, whoever computes it says.
pub fn check_constant(argument: Expr, written: &ast::Expr) -> Result<()> {
    if !argument.exists(|expr| Ok(Operation::of_expr(expr).is_some()))? {
        return Ok(());
    }
    let schema = DFSchema::empty();
    let simplifier = ExprSimplifier::new(SimplifyContext::builder().build());
    let Ok(argument) = simplifier.coerce(argument, &schema) else {
        return Ok(());
    };
    let with_checks = argument
        .clone()
        .transform_up(|expr| Ok(checked(expr, &schema)))
        .data()?;
    // What ends in an error when it is computed stays an expression.
    let is_constant = |expr: Expr| {
        let simplified = simplifier.simplify(expr);
        simplified.is_ok_and(|expr| matches!(expr, Expr::Literal(..)))
    };
    if !is_constant(argument) || is_constant(with_checks) {
        return Ok(());
    }
    let written = shortened(written.to_string(), SHOWN_BYTES_MAX);
    let message = format!(
        "out of range: a number in `{written}` does not fit the type that it is computed in; whole numbers end at \
         9223372036854775807"
    );
    Err(QueryError::of_statement(StatementFault::OutOfRange, message).into())
}

/// Returns the function that an operator on whole numbers becomes; every other expression as it is.
fn checked(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let Some((operation, data_type)) = on_whole_numbers(&expr, schema) else {
        return Transformed::no(expr);
    };
    let args = match expr {
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => match *left {
            // A chain of one operator is one call: planning looks at every level of a tree many times.
            Expr::ScalarFunction(mut call) if is_call_of(&call, operation) => {
                call.args.push(*right);
                return Transformed::yes(Expr::ScalarFunction(call));
            }
            left => vec![left, *right],
        },
        Expr::Negative(inner) => vec![*inner],
        other => return Transformed::no(other),
    };
    let function = ScalarUDF::new_from_impl(Checked {
        operation,
        data_type,
        signature: Signature::variadic_any(Volatility::Immutable),
    });
    let call = ScalarFunction::new_udf(Arc::new(function), args);
    Transformed::yes(Expr::ScalarFunction(call))
}

fn is_call_of(call: &ScalarFunction, operation: Operation) -> bool {
    let checked = call.func.inner().downcast_ref::<Checked>();
    checked.is_some_and(|checked| checked.operation == operation)
}

/// Returns what an expression does with whole numbers, and of which type they are; None for every other expression.
fn on_whole_numbers(expr: &Expr, schema: &DFSchema) -> Option<(Operation, DataType)> {
    let operation = Operation::of_expr(expr)?;
    let data_type = match expr {
        // The right one first: of a long chain it is one number, and the left one all before it.
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => {
            let whole = type_of(right, schema).filter(DataType::is_integer)?;
            type_of(left, schema).filter(|other| *other == whole)?
        }
        Expr::Negative(inner) => type_of(inner, schema)?,
        _ => return None,
    };
    data_type.is_integer().then_some((operation, data_type))
}

/// Returns the type of an expression. That of our own functions is not asked for again, or a chain of operators would be walked
/// through once for each.
fn type_of(expr: &Expr, schema: &DFSchema) -> Option<DataType> {
    if let Expr::ScalarFunction(call) = expr
        && let Some(checked) = call.func.inner().downcast_ref::<Checked>()
    {
        return Some(checked.data_type.clone());
    }
    expr.get_type(schema).ok()
}

/// What can leave the range of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Negate,
}

impl Operation {
    fn of(op: Operator) -> Option<Self> {
        match op {
            Operator::Plus => Some(Self::Add),
            Operator::Minus => Some(Self::Subtract),
            Operator::Multiply => Some(Self::Multiply),
            _ => None,
        }
    }

    fn of_expr(expr: &Expr) -> Option<Self> {
        match expr {
            Expr::BinaryExpr(binary) => Self::of(binary.op),
            Expr::Negative(_) => Some(Self::Negate),
            _ => None,
        }
    }
}

/// An operator on whole numbers of one type, from left to right, which refuses what does not fit it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operation: Operation,
    data_type: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "add",
            Operation::Subtract => "subtract",
            Operation::Multiply => "multiply",
            Operation::Negate => "negate",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    /// As the operators do: a number has the unit of its negative, and a sum has none.
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = rewrite::returned_field(self.name(), &self.data_type, &args);
        Ok(Arc::new(field))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let kernel: fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError> =
            match self.operation {
                Operation::Add => numeric::add,
                Operation::Subtract => numeric::sub,
                Operation::Multiply => numeric::mul,
                Operation::Negate => {
                    let [numbers] = args.args.as_slice() else {
                        return Err(self.uncalled());
                    };
                    return rewrite::each_value(numbers, |numbers| Ok(numeric::neg(numbers)?));
                }
            };
        let Some((first, others)) = args.args.split_first() else {
            return Err(self.uncalled());
        };
        let mut others = others.iter();
        others.try_fold(first.clone(), |left, right| {
            datum::apply(&left, right, kernel)
        })
    }

    /// Any number of the type: a bound without a type could not be compared with the other side.
    fn evaluate_bounds(&self, _: &[&Interval]) -> Result<Interval> {
        Interval::make_unbounded(&self.data_type)
    }

    /// What does not wrap keeps the order of its arguments.
    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        let mut orders = inputs.iter().map(|input| input.sort_properties);
        let first = orders.next().unwrap_or(SortProperties::Unordered);
        Ok(match self.operation {
            Operation::Add => orders.fold(first, |left, right| left.add(&right)),
            Operation::Subtract => orders.fold(first, |left, right| left.sub(&right)),
            Operation::Multiply => SortProperties::Unordered,
            Operation::Negate => -first,
        })
    }
}

impl Checked {
    /// The error of a call that no plan makes.
    fn uncalled(&self) -> DataFusionError {
        let message = format!("`{}` was called with other arguments", self.name());
        DataFusionError::Plan(message)
    }
}
