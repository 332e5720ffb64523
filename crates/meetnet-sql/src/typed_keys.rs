//! Keys that rows are ordered or parted by, of whose parts each says what type it has.
//!
//! `ORDER BY abs(typed(x % 10))` for `ORDER BY abs(x % 10)`
//!
//! DataFusion 55.2 knows of `x % 10`, of CASE and of most functions neither an order nor a range, and writes that down as a range
//! of no type. What is computed of it compares that with a range of its own type, which is an error, and the whole key is then
//! taken for one without an order, even where rows have just been sorted by it: the last check before a plan runs refuses it.
//! So such parts are handed on by a function that says of what type its values are, and nothing else.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, ExprSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Distinct, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use crate::decimals::is_quotient;
use crate::rewrite;

/// Gives the parts of such keys types. It goes behind the rules that write expressions anew.
#[derive(Debug)]
pub(crate) struct TypedKeys;

impl AnalyzerRule for TypedKeys {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(of_plan).data()
    }

    fn name(&self) -> &str {
        "typed_keys"
    }
}

fn of_plan(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Sort(_) => {
            let typed = |expr: Expr, schema: &DFSchema| key(expr, schema);
            rewrite::of_plan(plan, &|_: &Expr| true, &typed)
        }
        // What a DISTINCT ON parts by comes first in its order, and stays the same there.
        LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Distinct(Distinct::On(_)) => {
            rewrite::keys(plan, has_keys, |keys, schema| {
                keys.each(|expr| key(expr, schema))
            })
        }
        plan => Ok(Transformed::no(plan)),
    }
}

/// Returns true for a call with keys, but for those that have to be its argument, which it sorts by itself.
fn has_keys(expr: &Expr) -> bool {
    match expr {
        Expr::WindowFunction(call) => {
            !call.params.partition_by.is_empty() || !call.params.order_by.is_empty()
        }
        Expr::AggregateFunction(call) => {
            !call.params.order_by.is_empty()
                && !call.params.distinct
                && !call.func.supports_within_group_clause()
        }
        _ => false,
    }
}

/// Gives the parts of a key types. The key itself needs none: nothing is computed of it.
///
/// # Errors
/// None.
pub(crate) fn key(expr: Expr, schema: &dyn ExprSchema) -> Result<Transformed<Expr>> {
    // The name of a key that a rule before has written anew.
    if matches!(expr, Expr::Alias(_)) {
        return expr.map_children(|named| key(named, schema));
    }
    expr.map_children(|part| {
        part.transform_up(|part| {
            let data_type = match is_untyped(&part, schema) {
                true => part.get_type(schema).ok(),
                false => None,
            };
            Ok(match data_type {
                Some(data_type) => Transformed::yes(typed(part, data_type)),
                None => Transformed::no(part),
            })
        })
    })
}

fn typed(expr: Expr, data_type: DataType) -> Expr {
    let function = ScalarUDF::new_from_impl(Typed {
        data_type,
        signature: Signature::any(1, Volatility::Immutable),
    });
    function.call(vec![expr])
}

/// Returns true for what DataFusion gives no range of its type.
fn is_untyped(expr: &Expr, schema: &dyn ExprSchema) -> bool {
    match expr {
        Expr::BinaryExpr(binary) => !matches!(
            binary.op,
            Operator::Plus
                | Operator::Minus
                | Operator::Gt
                | Operator::GtEq
                | Operator::Lt
                | Operator::LtEq
                | Operator::And
                | Operator::Or
        ),
        // It has one whatever is divided, and the type of that takes long to tell: see `decimals::type_of`.
        Expr::ScalarFunction(call) if is_quotient(call) => false,
        Expr::ScalarFunction(call) => !has_bounds(call, schema).unwrap_or(false),
        Expr::Like(_)
        | Expr::SimilarTo(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Case(_)
        | Expr::TryCast(_)
        | Expr::InList(_) => true,
        _ => false,
    }
}

/// Returns true for a function that gives a range of any of its type.
fn has_bounds(call: &ScalarFunction, schema: &dyn ExprSchema) -> Result<bool> {
    let of_arg = |arg: &Expr| Interval::make_unbounded(&arg.get_type(schema)?);
    let bounds: Vec<Interval> = call.args.iter().map(of_arg).collect::<Result<_>>()?;
    let bounds: Vec<&Interval> = bounds.iter().collect();
    Ok(call.func.evaluate_bounds(&bounds)?.data_type() != DataType::Null)
}

/// Hands on what it is given. No statement can call it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Typed {
    data_type: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Typed {
    fn name(&self) -> &str {
        "typed"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = rewrite::returned_field(self.name(), &self.data_type, &args);
        Ok(Arc::new(field))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args
            .into_iter()
            .next()
            .ok_or_else(|| DataFusionError::Plan("`typed` takes one argument".to_owned()))
    }

    /// Any value of the type.
    fn evaluate_bounds(&self, _: &[&Interval]) -> Result<Interval> {
        Interval::make_unbounded(&self.data_type)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        let first = inputs.first();
        Ok(first.map_or(SortProperties::Unordered, |input| input.sort_properties))
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        Ok(inputs
            .first()
            .is_some_and(|input| input.preserves_lex_ordering))
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema};
    use datafusion::functions::expr_fn::{abs, upper};
    use datafusion::prelude::{col, lit};

    use super::*;

    #[test]
    fn parts_without_a_range_of_their_type_have_one() {
        let fields = vec![
            Field::new("x", DataType::Int64, true),
            Field::new("s", DataType::Utf8, false),
        ];
        let schema = DFSchema::try_from(Schema::new(fields)).unwrap();
        for (written, expect) in [
            (col("x"), "x"),
            (col("x") % lit(3_i64), "x % Int64(3)"),
            ((col("x") % lit(3_i64)).alias("k"), "x % Int64(3) AS k"),
            (abs(col("x")), "abs(x)"),
            (abs(col("x") + lit(1_i64)), "abs(x + Int64(1))"),
            (abs(col("x") % lit(3_i64)), "abs(typed(x % Int64(3)))"),
            (
                upper(col("s")).gt(lit("A")),
                "typed(upper(s)) > Utf8(\"A\")",
            ),
            (
                col("x").is_null().and(col("x").gt(lit(1_i64))),
                "typed(x IS NULL) AND x > Int64(1)",
            ),
        ] {
            let typed = key(written, &schema).unwrap();
            assert_eq!(typed.data.to_string(), expect);
        }
    }
}
