//! `count(DISTINCT (a, b))` beside other aggregates, which counts by the bytes of rows.
//!
//! `count(DISTINCT struct(a, b))` -> `count(DISTINCT row_bytes(struct(a, b)))`, and so of lists
//!
//! DataFusion 55.2 keeps each different row as a slice of the batch that it came in, and counts the memory of the whole batch
//! for it: 12,000 rows of two numbers were more than a query may use. Bytes it keeps and counts as they are. Alone in its query
//! such a count is planned as one of groups, which can spill, so that it stays what it is.

use std::sync::Arc;

use arrow::array::{Array, BinaryArray};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::{
    Aggregate, ColumnarValue, Expr, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use crate::rewrite;

/// Makes what such counts tell apart bytes.
#[derive(Debug)]
pub(crate) struct DistinctRows {
    row_bytes: Arc<ScalarUDF>,
}

impl DistinctRows {
    pub(crate) fn new() -> Self {
        let row_bytes = RowBytes {
            signature: Signature::any(1, Volatility::Immutable),
        };
        Self {
            row_bytes: Arc::new(ScalarUDF::new_from_impl(row_bytes)),
        }
    }

    fn by_bytes(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let has_parts = told_apart(&expr)
            .and_then(|told| told.get_type(schema).ok())
            .is_some_and(|told| told.is_nested() && is_convertible(&told));
        match expr {
            Expr::AggregateFunction(mut call) if has_parts => {
                let args = std::mem::take(&mut call.params.args).into_iter();
                let bytes = args.map(|arg| {
                    let call = ScalarFunction::new_udf(Arc::clone(&self.row_bytes), vec![arg]);
                    Expr::ScalarFunction(call)
                });
                call.params.args = bytes.collect();
                Ok(Transformed::yes(Expr::AggregateFunction(call)))
            }
            expr => Ok(Transformed::no(expr)),
        }
    }
}

impl AnalyzerRule for DistinctRows {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let is_wanted =
                matches!(&plan, LogicalPlan::Aggregate(aggregate) if !is_alone(aggregate));
            if !is_wanted {
                return Ok(Transformed::no(plan));
            }
            rewrite::of_plan(
                plan,
                &|expr: &Expr| told_apart(expr).is_some(),
                &|expr: Expr, schema: &DFSchema| {
                    expr.transform_up(|expr| self.by_bytes(expr, schema))
                },
            )
        })
        .data()
    }

    fn name(&self) -> &str {
        "distinct_rows"
    }
}

/// Returns what a call counts the different values of.
fn told_apart(expr: &Expr) -> Option<&Expr> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = expr else {
        return None;
    };
    match params.args.as_slice() {
        [told] if params.distinct && func.name() == "count" => Some(told),
        _ => None,
    }
}

/// Returns true for one aggregate over all rows of its groups, which DataFusion plans as groups of groups.
fn is_alone(aggregate: &Aggregate) -> bool {
    let has_sets = matches!(aggregate.group_expr.first(), Some(Expr::GroupingSet(_)));
    match aggregate.aggr_expr.as_slice() {
        [Expr::AggregateFunction(call)] => {
            !has_sets && call.params.filter.is_none() && call.params.order_by.is_empty()
        }
        _ => false,
    }
}

fn is_convertible(data_type: &DataType) -> bool {
    RowConverter::supports_fields(&[SortField::new(data_type.clone())])
}

/// The bytes of a row, which are the same for rows that are, and only for them. No statement can call it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RowBytes {
    signature: Signature,
}

impl ScalarUDFImpl for RowBytes {
    fn name(&self) -> &str {
        "row_bytes"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args
            .args
            .pop()
            .ok_or_else(|| DataFusionError::Plan("`row_bytes` takes one argument".to_owned()))?
            .into_array(args.number_rows)?;
        // A row that is none is not counted, whatever bytes stand for it.
        let nulls = rows.logical_nulls();
        let converter = RowConverter::new(vec![SortField::new(rows.data_type().clone())])?;
        let bytes = converter.convert_columns(&[rows])?.try_into_binary()?;
        let (offsets, bytes, _) = bytes.into_parts();
        let bytes = BinaryArray::try_new(offsets, bytes, nulls)?;
        Ok(ColumnarValue::Array(Arc::new(bytes)))
    }
}
