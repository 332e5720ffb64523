//! Lists with NULL among their values: as in PostgreSQL, NULL is greater there than every value, and one NULL is the other.
//!
//! | written | planned |
//! |---|---|
//! | `x < y` | `list_order(x, y) < 0` |
//! | `x BETWEEN y AND z` | `list_order(x, y) >= 0 AND list_order(x, z) <= 0` |
//! | `greatest(x, y)`, `least(x, y)` | the same, by that order: [`chosen`] |
//! | `ORDER BY x NULLS FIRST` | `ORDER BY x IS NULL DESC, x NULLS LAST` |
//!
//! Operators of DataFusion 55.2 take NULL within a list for the least, `min`, `max` and a plain ORDER BY for the greatest, and an
//! ORDER BY with NULLS for where it puts lists that are NULL; no error says so. `=`, `<>` and groups agree with PostgreSQL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, DynComparator, Int8Array, make_comparator};
use arrow::buffer::NullBuffer;
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Between, BinaryExpr, Sort};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::{
    ColumnarValue, Distinct, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;

use crate::rewrite::{self, Keys};

mod chosen;
#[cfg(test)]
mod tests;

/// Puts lists in that order wherever it counts.
#[derive(Debug)]
pub(crate) struct OrderedLists;

impl AnalyzerRule for OrderedLists {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(of_plan).data()
    }

    fn name(&self) -> &str {
        "ordered_lists"
    }
}

fn of_plan(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if !may_have_lists(&plan)? {
        return Ok(Transformed::no(plan));
    }
    let compared = rewrite::of_plan(plan, &may_compare, &|expr: Expr, schema: &DFSchema| {
        let lists = Lists { schema };
        expr.transform_up(|part| Ok(lists.compared(part)))
    })?;
    compared.transform_data(|plan| match plan {
        LogicalPlan::Sort(mut sort) => {
            let lists = Lists {
                schema: sort.input.schema(),
            };
            if !sort.expr.iter().any(|key| lists.is_misplaced(key)) {
                return Ok(Transformed::no(LogicalPlan::Sort(sort)));
            }
            sort.expr = lists.placed(sort.expr.clone());
            Ok(Transformed::yes(LogicalPlan::Sort(sort)))
        }
        // The first keys it sorts by have to be those that it parts by.
        plan @ LogicalPlan::Distinct(Distinct::On(_)) => Ok(Transformed::no(plan)),
        plan => rewrite::keys(plan, has_order, |keys, schema| {
            let lists = Lists { schema };
            if !keys.sorted.iter().any(|key| lists.is_misplaced(key)) {
                return Ok(Transformed::no(keys));
            }
            let sorted = lists.placed(keys.sorted);
            Ok(Transformed::yes(Keys { sorted, ..keys }))
        }),
    })
}

/// Returns false for a plan that has to do with no list, as nearly all do, without a look at types of expressions.
fn may_have_lists(plan: &LogicalPlan) -> Result<bool> {
    let inputs = plan.inputs();
    let mut columns = inputs.iter().flat_map(|input| input.schema().fields());
    if columns.any(|column| is_list(column.data_type())) {
        return Ok(true);
    }
    let mut found = false;
    plan.apply_expressions(|expr| {
        found = found || expr.exists(|expr| Ok(may_be_list(expr)))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Returns true for what may be a list though none of the columns is one.
fn may_be_list(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => is_list(&value.data_type()),
        Expr::ScalarFunction(_) | Expr::ScalarSubquery(_) | Expr::OuterReferenceColumn(..) => true,
        expr => rewrite::cast_of(expr).is_some_and(|(_, to, _)| is_list(to)),
    }
}

fn is_list(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
    )
}

/// Returns true for what says of two values which is greater.
fn may_compare(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(binary) => is_order(binary.op),
        Expr::Between(_) => true,
        Expr::ScalarFunction(call) => chosen::is_greatest(call.name()).is_some(),
        _ => false,
    }
}

fn is_order(op: Operator) -> bool {
    matches!(
        op,
        Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq
    )
}

/// Returns true for a call whose keys may be of more parts than are written.
fn has_order(call: &Expr) -> bool {
    match call {
        Expr::WindowFunction(call) => !call.params.order_by.is_empty(),
        Expr::AggregateFunction(call) => {
            !call.params.order_by.is_empty()
                && !call.params.distinct
                && !call.func.supports_within_group_clause()
        }
        _ => false,
    }
}

/// Expressions over columns of a schema, with the lists in them in order.
struct Lists<'a> {
    schema: &'a DFSchema,
}

impl Lists<'_> {
    fn is_list(&self, expr: &Expr) -> bool {
        let data_type = expr.get_type(self.schema);
        data_type.is_ok_and(|data_type| is_list(&data_type))
    }

    /// Returns true for a key of lists whose NULLs within would stand where lists stand that are NULL.
    fn is_misplaced(&self, key: &Sort) -> bool {
        key.nulls_first == key.asc && self.is_list(&key.expr)
    }

    /// Puts lists that are NULL in their place by a key of their own.
    fn placed(&self, keys: Vec<Sort>) -> Vec<Sort> {
        let mut placed = Vec::with_capacity(keys.len() + 1);
        for key in keys {
            if !self.is_misplaced(&key) {
                placed.push(key);
                continue;
            }
            let is_null = Expr::IsNull(Box::new(key.expr.clone()));
            placed.push(Sort::new(is_null, !key.nulls_first, false));
            placed.push(Sort::new(key.expr, key.asc, !key.asc));
        }
        placed
    }

    /// Rewrites one comparison.
    fn compared(&self, expr: Expr) -> Transformed<Expr> {
        Transformed::yes(match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right })
                if is_order(op) && self.is_list(&right) && self.is_list(&left) =>
            {
                compared(*left, op, *right)
            }
            Expr::Between(Between {
                expr,
                negated,
                low,
                high,
            }) if [&expr, &low, &high].into_iter().all(|of| self.is_list(of)) => {
                let from = compared(expr.as_ref().clone(), Operator::GtEq, *low);
                let within = from.and(compared(*expr, Operator::LtEq, *high));
                match negated {
                    true => Expr::Not(Box::new(within)),
                    false => within,
                }
            }
            Expr::ScalarFunction(call) => match chosen::is_greatest(call.name()) {
                Some(is_greatest) if call.args.iter().all(|of| self.is_list(of)) => {
                    chosen::call(is_greatest, call.args)
                }
                _ => return Transformed::no(Expr::ScalarFunction(call)),
            },
            expr => return Transformed::no(expr),
        })
    }
}

/// Returns the comparison of two lists by their order.
fn compared(left: Expr, op: Operator, right: Expr) -> Expr {
    let function = ScalarUDF::new_from_impl(ListOrder {
        signature: Signature::any(2, Volatility::Immutable),
    });
    let order = function.call(vec![left, right]);
    Expr::BinaryExpr(BinaryExpr::new(Box::new(order), op, Box::new(lit(0_i8))))
}

/// Returns what compares the lists of two columns.
///
/// # Errors
/// Where their values have no order, or are of two types.
fn comparator(left: &ArrayRef, right: &ArrayRef) -> Result<DynComparator> {
    let nulls_are_greatest = SortOptions {
        descending: false,
        nulls_first: false,
    };
    let comparator = make_comparator(left.as_ref(), right.as_ref(), nulls_are_greatest)?;
    Ok(comparator)
}

/// Says of two lists which is greater: -1 is the second, 1 the first, and 0 is neither. NULL where one of both is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ListOrder {
    signature: Signature,
}

impl ScalarUDFImpl for ListOrder {
    fn name(&self) -> &str {
        "list_order"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = rewrite::returned_field(self.name(), &DataType::Int8, &args);
        Ok(Arc::new(field))
    }

    fn is_strict(&self) -> bool {
        true
    }

    /// Any number: a bound without a type could not be compared with the other side.
    fn evaluate_bounds(&self, _: &[&Interval]) -> Result<Interval> {
        Interval::make_unbounded(&DataType::Int8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let [left, right] = columns.as_slice() else {
            return Err(uncalled());
        };
        rewrite::column_or_constant(&args.args, orders(left, right)?)
    }
}

/// Returns the order of the two lists of each row.
fn orders(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let compare = comparator(left, right)?;
    let orders: Vec<i8> = (0..left.len()).map(|row| compare(row, row) as i8).collect();
    let (left, right) = (left.logical_nulls(), right.logical_nulls());
    let nulls = NullBuffer::union(left.as_ref(), right.as_ref());
    Ok(Arc::new(Int8Array::new(orders.into(), nulls)))
}

/// The error of a call that no plan makes.
fn uncalled() -> DataFusionError {
    DataFusionError::Plan("`list_order` takes two lists".to_owned())
}
