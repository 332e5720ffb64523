//! What rules of the analyzer share that write expressions anew: those of all plans within a plan, under the names that they
//! had; the keys that rows are parted and sorted by; and what the functions share that are put in.

use std::mem;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{
    Transformed, TransformedResult, TreeNode, TreeNodeContainer, TreeNodeRecursion,
};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Distinct, DistinctOn, Expr, LogicalPlan, Operator, ReturnFieldArgs,
};

use crate::functions::is_constant;

mod cast_function;
#[cfg(test)]
mod tests;

pub(crate) use cast_function::{CastFunction, CastKind};

/// Rewrites the expressions of a plan in some part of which `is_wanted` is true; `rewrite` is given each whole, with the
/// schema that its columns are of. Plans that have none are left alone.
///
/// # Errors
/// Those of `rewrite`, and where a plan does not go with its new expressions.
pub(crate) fn expressions(
    plan: LogicalPlan,
    is_wanted: impl Fn(&Expr) -> bool,
    rewrite: impl Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| of_plan(plan, &is_wanted, &rewrite))
        .data()
}

/// Rewrites the expressions of one plan, and not of those within it, as `expressions` does.
///
/// # Errors
/// As there.
pub fn of_plan(
    plan: LogicalPlan,
    is_wanted: &impl Fn(&Expr) -> bool,
    rewrite: &impl Fn(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let mut has_any = false;
    plan.apply_expressions(|expr| {
        has_any = has_any || expr.exists(|expr| Ok(is_wanted(expr)))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    if !has_any {
        return Ok(Transformed::no(plan));
    }
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    let rewritten = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten = rewrite(expr, &schema)?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })?;
    match rewritten.transformed {
        true => rewritten.map_data(LogicalPlan::recompute_schema),
        false => Ok(rewritten),
    }
}

/// What a call of a function, or a DISTINCT ON, parts rows by and sorts them by.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) parted: Vec<Expr>,
    pub(crate) sorted: Vec<Sort>,
}

impl Keys {
    /// Puts what `rewrite` makes of each key in its place.
    ///
    /// # Errors
    /// Those of `rewrite`.
    pub(crate) fn each(
        self,
        rewrite: impl FnMut(Expr) -> Result<Transformed<Expr>>,
    ) -> Result<Transformed<Self>> {
        let keys = (self.parted, self.sorted).map_elements(rewrite)?;
        Ok(keys.update_data(|(parted, sorted)| Self { parted, sorted }))
    }
}

/// Rewrites the keys of one plan, and not of those within it: those of the calls for which `is_wanted` is true, and those of a
/// DISTINCT ON. `rewrite` is given them with the schema that their columns are of.
///
/// # Errors
/// As [`of_plan`].
pub(crate) fn keys(
    plan: LogicalPlan,
    is_wanted: impl Fn(&Expr) -> bool,
    rewrite: impl Fn(Keys, &DFSchema) -> Result<Transformed<Keys>>,
) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Distinct(Distinct::On(on)) => {
            let schema = Arc::clone(on.input.schema());
            let on = keys_of_distinct_on(on, |keys| rewrite(keys, &schema))?;
            Ok(on.update_data(|on| LogicalPlan::Distinct(Distinct::On(on))))
        }
        plan => of_plan(plan, &is_wanted, &|expr: Expr, schema: &DFSchema| {
            expr.transform_up(|part| match is_wanted(&part) {
                true => keys_of_call(part, |keys| rewrite(keys, schema)),
                false => Ok(Transformed::no(part)),
            })
        }),
    }
}

/// Rewrites the keys of a call of an aggregate or a window function; every other expression stays as it is.
///
/// # Errors
/// Those of `rewrite`.
pub(crate) fn keys_of_call(
    expr: Expr,
    rewrite: impl FnOnce(Keys) -> Result<Transformed<Keys>>,
) -> Result<Transformed<Expr>> {
    match expr {
        Expr::WindowFunction(mut call) => {
            let parted = mem::take(&mut call.params.partition_by);
            let sorted = mem::take(&mut call.params.order_by);
            let keys = rewrite(Keys { parted, sorted })?;
            Ok(keys.update_data(|keys| {
                call.params.partition_by = keys.parted;
                call.params.order_by = keys.sorted;
                Expr::WindowFunction(call)
            }))
        }
        Expr::AggregateFunction(mut call) => {
            let parted = Vec::new();
            let sorted = mem::take(&mut call.params.order_by);
            let keys = rewrite(Keys { parted, sorted })?;
            Ok(keys.update_data(|keys| {
                call.params.order_by = keys.sorted;
                Expr::AggregateFunction(call)
            }))
        }
        expr => Ok(Transformed::no(expr)),
    }
}

/// Rewrites the keys of a DISTINCT ON, and nothing else of it: what it answers depends on none of them. The first it sorts by
/// have to be those that it parts by, before and after.
///
/// # Errors
/// Those of `rewrite`.
pub(crate) fn keys_of_distinct_on(
    mut on: DistinctOn,
    rewrite: impl FnOnce(Keys) -> Result<Transformed<Keys>>,
) -> Result<Transformed<DistinctOn>> {
    let parted = mem::take(&mut on.on_expr);
    let sorted = on.sort_expr.take();
    let is_sorted = sorted.is_some();
    let keys = rewrite(Keys {
        parted,
        sorted: sorted.unwrap_or_default(),
    })?;
    Ok(keys.update_data(|keys| {
        on.on_expr = keys.parted;
        on.sort_expr = is_sorted.then_some(keys.sorted);
        on
    }))
}

/// Puts what `other` returns in the place of each part of an expression for which it returns something; inner parts go first.
///
/// # Errors
/// None.
pub(crate) fn parts(
    expr: Expr,
    other: impl Fn(&Expr) -> Option<Expr>,
) -> Result<Transformed<Expr>> {
    expr.transform_up(|part| {
        Ok(match other(&part) {
            Some(other) => Transformed::yes(other),
            None => Transformed::no(part),
        })
    })
}

/// Returns what is cast, to what, and whether by TRY_CAST; None for every other expression.
pub fn cast_of(expr: &Expr) -> Option<(&Expr, &DataType, bool)> {
    match expr {
        Expr::Cast(cast) => Some((&*cast.expr, cast.field.data_type(), false)),
        Expr::TryCast(cast) => Some((&*cast.expr, cast.field.data_type(), true)),
        _ => None,
    }
}

/// Returns true for an operator that says of two values which is greater, or whether they are one.
pub(crate) fn compares(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// Returns the field of what a function makes that takes the place of an operator: NULL where an argument may be, and of a single
/// argument with its unit.
pub(crate) fn returned_field(name: &str, data_type: &DataType, args: &ReturnFieldArgs) -> Field {
    let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
    let field = Field::new(name, data_type.clone(), is_nullable);
    match args.arg_fields {
        [of] => field.with_metadata(of.metadata().clone()),
        _ => field,
    }
}

/// Returns what a function makes of its argument, which is a column or a constant.
///
/// # Errors
/// Those of `make`, which is given the values of the column, or that of the constant.
pub(crate) fn each_value(
    argument: &ColumnarValue,
    make: impl FnOnce(&ArrayRef) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    match argument {
        ColumnarValue::Array(values) => make(values).map(ColumnarValue::Array),
        ColumnarValue::Scalar(value) => {
            let made = make(&value.to_array()?)?;
            ScalarValue::try_from_array(&made, 0).map(ColumnarValue::Scalar)
        }
    }
}

/// Returns what a function has made of its arguments as a constant where all of them are constants, else as a column.
///
/// # Errors
/// Where there is no value in it.
pub fn column_or_constant(arguments: &[ColumnarValue], made: ArrayRef) -> Result<ColumnarValue> {
    match is_constant(arguments) {
        true => ScalarValue::try_from_array(&made, 0).map(ColumnarValue::Scalar),
        false => Ok(ColumnarValue::Array(made)),
    }
}
