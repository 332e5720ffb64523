//! Rows that are too wide for what is made of them: `unnest` repeats the other columns for each element of a list, a join
//! repeats a row for each that it meets, a scalar subquery its one value for every row, and a thousand calls of functions make
//! a thousand values of each.
//!
//! An aggregate may have gathered a list of many megabytes, which is within the memory of its query. Repeated for a batch of
//! rows it is gigabytes, and nobody asks the memory pool. So rows are looked at before.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, ReplaceChildrenOptions};

use crate::each_batch::EachBatchExec;
use crate::functions::sizes::{array_bytes, length_at, longest_value, wide_bytes};

/// Bytes that `unnest` may make of one row.
const UNNESTED_BYTES_MAX: u64 = 64 << 20;
/// Elements of a row up to which it is not looked at: with other columns of any size that a statement can make they are
/// no more than a batch.
const ELEMENTS_FREE: u64 = 8_192;
/// Bytes of the texts and lists of one row that may be repeated: more than any outline of a place has, and no gigabytes in
/// a batch, however many columns there are.
const REPEATED_BYTES_MAX: u64 = 64 << 10;

/// Calls in a step of a plan up to which its rows are not looked at.
const CALLS_FREE: usize = 16;
/// Bytes that all calls of a step may make of a batch, if each makes as much as there is of texts and lists.
const COMPUTED_BYTES_MAX: u64 = 512 << 20;

/// What is made of the rows.
#[derive(Clone, Debug)]
enum Use {
    /// The columns at these positions are unnested.
    Unnested(Arc<[usize]>),
    /// All of them are repeated.
    Repeated,
    /// So many calls are made of each.
    Computed(usize),
}

/// Puts a look at the rows below a node that repeats them; other nodes stay as they are.
///
/// # Errors
/// Where the node cannot be made anew.
pub(crate) fn checked(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    // The first input of a subquery's node is what uses its value.
    let (of_rows, first) = if node.name().contains("Join") {
        (Use::Repeated, 0)
    } else if node.name() == "ScalarSubqueryExec" {
        (Use::Repeated, 1)
    } else if let Some(lists) = unnested(node.as_ref()) {
        (Use::Unnested(lists), 0)
    } else {
        let calls = calls(node.as_ref())?;
        if calls <= CALLS_FREE || node.children().is_empty() {
            return Ok(Transformed::no(node));
        }
        (Use::Computed(calls), 0)
    };
    let children = node.children().into_iter().enumerate();
    let children = children.map(|(position, child)| -> Arc<dyn ExecutionPlan> {
        let input = Arc::clone(child);
        if position < first {
            return input;
        }
        let of_rows = of_rows.clone();
        let look = move |batch: &RecordBatch| of_rows.check(batch);
        Arc::new(EachBatchExec::new("WideRowsExec", input, look))
    });
    let children = children.collect();
    let anew = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    node.replace_children(children, anew).map(Transformed::yes)
}

/// Returns the positions of the columns that a node unnests.
fn unnested(node: &dyn ExecutionPlan) -> Option<Arc<[usize]>> {
    let node: &dyn Any = node;
    let unnest = node.downcast_ref::<UnnestExec>()?;
    let lists = unnest.list_column_indices().iter();
    Some(lists.map(|list| list.index_in_input_schema).collect())
}

/// Returns how many calls, operators and casts there are in the expressions of a node.
fn calls(node: &dyn ExecutionPlan) -> Result<usize> {
    let mut calls = 0;
    node.apply_expressions(&mut |expr| {
        expr.apply(|expr| {
            calls += usize::from(!expr.children().is_empty());
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(calls)
}

impl Use {
    /// Refuses rows of which too much would be made.
    fn check(&self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Unnested(lists) => check_unnested(batch, lists),
            Self::Repeated => check_repeated(batch),
            Self::Computed(calls) => check_computed(batch, *calls),
        }
    }
}

fn check_unnested(batch: &RecordBatch, lists: &[usize]) -> Result<()> {
    for position in lists {
        let list = ColumnarValue::Array(Arc::clone(batch.column(*position)));
        for row in 0..batch.num_rows() {
            let elements = length_at(&list, row);
            if elements <= ELEMENTS_FREE {
                continue;
            }
            let others = batch.columns().iter().enumerate();
            let others = others.filter(|(other, _)| !lists.contains(other));
            let bytes: u64 = others.map(|(_, column)| row_bytes(column, row)).sum();
            if elements.saturating_mul(bytes) > UNNESTED_BYTES_MAX {
                return Err(DataFusionError::ResourcesExhausted(format!(
                    "`unnest` would make more than {} MiB of one row; take fewer columns beside it",
                    UNNESTED_BYTES_MAX >> 20
                )));
            }
        }
    }
    Ok(())
}

fn check_repeated(batch: &RecordBatch) -> Result<()> {
    let (mut texts_bytes, mut lists) = (0, Vec::new());
    for column in batch.columns() {
        match column.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                texts_bytes += longest_value(&ColumnarValue::Array(Arc::clone(column)));
            }
            data_type if data_type.is_nested() || matches!(data_type, DataType::Binary) => {
                lists.push(column);
            }
            _ => {}
        }
    }
    // Most are small all together.
    let lists_bytes: u64 = lists
        .iter()
        .copied()
        .map(|list| array_bytes(list.as_ref()))
        .sum();
    if texts_bytes + lists_bytes <= REPEATED_BYTES_MAX {
        return Ok(());
    }
    let of_row =
        |row: usize| texts_bytes + lists.iter().map(|list| row_bytes(list, row)).sum::<u64>();
    if (0..batch.num_rows()).any(|row| of_row(row) > REPEATED_BYTES_MAX) {
        return Err(DataFusionError::ResourcesExhausted(format!(
            "lists and texts of more than {} KiB would be repeated for many rows; do without them in a join or subquery",
            REPEATED_BYTES_MAX >> 10
        )));
    }
    Ok(())
}

fn check_computed(batch: &RecordBatch, calls: usize) -> Result<()> {
    let bytes = wide_bytes(batch);
    if bytes.saturating_mul(calls as u64) > COMPUTED_BYTES_MAX {
        return Err(DataFusionError::ResourcesExhausted(format!(
            "{calls} calls and operators would each be computed of texts and lists of {} MiB; use fewer of them in one step, \
             or shorter values",
            bytes >> 20
        )));
    }
    Ok(())
}

fn row_bytes(column: &ArrayRef, row: usize) -> u64 {
    array_bytes(column.slice(row, 1).as_ref())
}
