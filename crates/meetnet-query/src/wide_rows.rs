//! Rows that are too wide for what is made of them: `unnest` repeats the other columns for each element of a list, a join
//! repeats a row for each that it meets, a scalar subquery its one value for every row, and a thousand calls of functions make
//! a thousand values of each. A thousand columns of numbers are 64 MiB in a batch of 8,192 rows, so that such batches have fewer.
//!
//! ROLLUP, CUBE and GROUPING SETS make a group of each row for each of their sets, 128 at the most, and ask for memory once
//! they have a batch behind them: of 8,192 rows with keys of a kilobyte that would be a gigabyte. So they get smaller ones.
//!
//! An aggregate may have gathered a list of many megabytes, which is within the memory of its query. Repeated for a batch of
//! rows it is gigabytes, and nobody asks the memory pool. So rows are looked at before, and what the batches of such a node
//! may take is charged to the memory of its query ([`batch_room`]).

use std::any::Any;
use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::JoinType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::NestedLoopJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, ExecutionPlan, ExecutionPlanProperties, ReplaceChildrenOptions,
};
use meetnet_sql::sizes::{array_bytes, length_at, longest_value, usual_bytes, wide_bytes};

use crate::each_batch::{EachBatchExec, Look};
use crate::postgres::layers::WKT_COLUMN;

mod batch_room;
#[cfg(test)]
mod tests;

use batch_room::{BatchRoom, NodeRoom, Side};

/// Bytes that `unnest` may make of one row.
const UNNESTED_BYTES_MAX: u64 = 64 << 20;
/// Bytes up to which it is not looked row by row what `unnest` makes.
const UNNESTED_BYTES_FREE: u64 = 8 << 20;
/// Bytes of the texts and lists of one row that may be repeated: more than any outline of a place has.
const REPEATED_BYTES_MAX: u64 = 64 << 10;
/// Bytes of the texts and lists of a whole batch up to which its rows are not told apart.
const BATCH_BYTES_FREE: u64 = 1 << 10;
/// Rows of a batch where a join has lists or geometries: in one of 8,192 a list of 20 KiB beside each row would be 160 MiB.
const WIDE_ROWS_MAX: usize = 1_024;
/// Bytes of a batch of any step of a plan, if texts are short. Several are there at a time in each thread, and nobody counts them.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// Bytes of a row up to which a batch of the rows that it has otherwise is no larger.
const USUAL_ROW_BYTES: usize = 1 << 10;

/// Calls in a step of a plan up to which its rows are not looked at.
const CALLS_FREE: usize = 16;
/// Bytes that all calls of a step may make of a batch, if each makes as much as there is of texts and lists.
const COMPUTED_BYTES_MAX: u64 = 512 << 20;
/// Of those, bytes that are not charged: most calls make numbers or booleans, which are far less, of a batch of short texts.
const COMPUTED_BYTES_FREE: u64 = 64 << 20;

/// Nodes that keep nothing of their run, and give the same rows when they are executed once more.
const ANEW: [&str; 7] = [
    "CoalescePartitionsExec",
    "CooperativeExec",
    "DataSourceExec",
    "FilterExec",
    "LazyMemoryExec",
    "ProjectionExec",
    "UnionExec",
];

/// What is made of the rows.
#[derive(Clone, Debug)]
enum Use {
    /// The columns at these positions are unnested.
    Unnested(Arc<[usize]>),
    /// Those of both sides are repeated by a join.
    Joined,
    /// Their one value is repeated for every row that uses it.
    Subquery,
    /// So many calls are made of each.
    Computed(usize),
}

/// Puts a look at the rows below a node that repeats them; other nodes stay as they are.
///
/// # Errors
/// Where the node cannot be made anew.
pub(crate) fn checked(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let sets = grouping_sets(node.as_ref());
    let node = checked_rows(node)?;
    let Some(sets) = sets else {
        return Ok(node);
    };
    let children = node.data.children().into_iter();
    let children = children.map(|child| -> Arc<dyn ExecutionPlan> {
        Arc::new(EachBatchExec::split_for(Arc::clone(child), sets))
    });
    let children = children.collect();
    let anew = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    node.data
        .replace_children(children, anew)
        .map(Transformed::yes)
}

/// Returns how many groups an aggregate makes of each row; None where it is one.
fn grouping_sets(node: &dyn ExecutionPlan) -> Option<NonZeroUsize> {
    let aggregate: &AggregateExec = node.downcast_ref()?;
    let sets = aggregate.group_expr().groups().len();
    NonZeroUsize::new(sets).filter(|sets| sets.get() > 1)
}

fn checked_rows(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    // The first input of a subquery's node is what uses its value.
    let (of_rows, first) = if node.name().contains("Join") {
        (Use::Joined, 0)
    } else if node.name() == "ScalarSubqueryExec" {
        (Use::Subquery, 1)
    } else if let Some(lists) = unnested(node.as_ref()) {
        (Use::Unnested(lists), 0)
    } else {
        let calls = calls(node.as_ref())?;
        // What filters give are batches of as many rows as was decided when they were planned: they are split before a
        // projection makes them wide.
        let is_wide = node.downcast_ref::<ProjectionExec>().is_some()
            && usual_row_bytes(&node.schema()) > USUAL_ROW_BYTES;
        if (calls <= CALLS_FREE && !is_wide) || node.children().is_empty() {
            return Ok(Transformed::no(node));
        }
        (Use::Computed(calls), 0)
    };
    let gathers_once = gathers_once(node.as_ref())?;
    let room = Arc::new(NodeRoom::new(node.output_partitioning().partition_count()));
    let children = node.children().into_iter().enumerate();
    let children = children.map(|(position, child)| -> Arc<dyn ExecutionPlan> {
        let input = Arc::clone(child);
        if position < first {
            return input;
        }
        let (of_rows, room) = (of_rows.clone(), Arc::clone(&room));
        let side = Side::of_child(position);
        let looked_at = EachBatchExec::each_partition("WideRowsExec", input, move |context| {
            let of_rows = of_rows.clone();
            let room = match of_rows {
                Use::Joined | Use::Subquery => room.of_all_partitions(context),
                Use::Unnested(_) | Use::Computed(_) => Arc::new(BatchRoom::new(context, 1)),
            };
            if gathers_once && side == Side::Left {
                room.gather_once()?;
            }
            let look: Box<Look> =
                Box::new(move |batch: &RecordBatch| of_rows.check(batch, side, &room));
            Ok(look)
        });
        Arc::new(looked_at)
    });
    let children = children.collect();
    let anew = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    node.replace_children(children, anew).map(Transformed::yes)
}

/// Returns true for a nested loop join whose left side must not be executed once more.
///
/// Where that side is more than its memory, DataFusion 55.2 does so, to spill it. But a node that divides rows among
/// partitions panics then, and each partition gives the left rows that none of its own right rows met, though others of the
/// right side may have.
fn gathers_once(node: &dyn ExecutionPlan) -> Result<bool> {
    let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() else {
        return Ok(false);
    };
    let gives_unmatched = matches!(
        join.join_type(),
        JoinType::Left
            | JoinType::LeftSemi
            | JoinType::LeftAnti
            | JoinType::LeftMark
            | JoinType::Full
    );
    if gives_unmatched && join.right().output_partitioning().partition_count() > 1 {
        return Ok(true);
    }
    join.left().exists(|node| {
        let is_anew = ANEW.contains(&node.name()) || node.downcast_ref::<EachBatchExec>().is_some();
        Ok(!is_anew)
    })
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
    /// Refuses rows of which too much would be made, and charges what is made of the others.
    fn check(&self, batch: &RecordBatch, side: Side, room: &BatchRoom) -> Result<()> {
        match self {
            Self::Unnested(lists) => {
                let unnested = unnested_bytes(batch, lists, room.batch_rows())?;
                room.hold(unnested, "`unnest` makes")
            }
            Self::Joined => {
                room.gather(side, batch)?;
                room.join(side, batch.num_rows(), repeated_bytes(batch)?)
            }
            Self::Subquery => room.repeat(repeated_bytes(batch)?),
            Self::Computed(calls) => {
                let computed = computed_bytes(batch, *calls)?;
                room.hold(
                    computed.saturating_sub(COMPUTED_BYTES_FREE),
                    "many calls make",
                )
            }
        }
    }
}

/// Returns how many rows a batch of a plan may have, of `rows` that one has otherwise.
///
/// # Errors
/// Where the plan cannot be walked through.
pub(crate) fn batch_rows(plan: &Arc<dyn ExecutionPlan>, rows: usize) -> Result<usize> {
    let joins_wide_rows = plan.exists(|node| {
        let is_wide = |child: &&Arc<dyn ExecutionPlan>| {
            let schema = child.schema();
            let mut fields = schema.fields().iter();
            fields.any(|field| {
                let data_type = field.data_type();
                // The outline of a street is a text of kilobytes, and joined with its counts as a matter of course.
                data_type.is_nested()
                    || matches!(data_type, DataType::Binary)
                    || field.name() == WKT_COLUMN
            })
        };
        Ok(node.name().contains("Join") && node.children().iter().any(is_wide))
    })?;
    let rows = if joins_wide_rows {
        rows.min(WIDE_ROWS_MAX)
    } else {
        rows
    };
    let mut widest = 1_usize;
    plan.apply(|node| {
        widest = widest.max(usual_row_bytes(&node.schema()));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(rows.min((BATCH_BYTES_MAX / widest).max(1)))
}

/// Returns about how many bytes a row of some columns has.
pub(crate) fn usual_row_bytes(schema: &Schema) -> usize {
    let fields = schema.fields().iter();
    fields.map(|field| usual_bytes(field.data_type())).sum()
}

/// Returns how many bytes `unnest` makes of a batch at a time: of a row that has more elements than a batch has rows, else of
/// as many rows as are a batch.
fn unnested_bytes(batch: &RecordBatch, lists: &[usize], batch_rows: u64) -> Result<u64> {
    let others = batch.columns().iter().enumerate();
    let others = others.filter(|(position, _)| !lists.contains(position));
    let others: Vec<&ArrayRef> = others.map(|(_, column)| column).collect();
    let widest = |column: &&ArrayRef| longest_value(&ColumnarValue::Array(Arc::clone(column)));
    let widest: u64 = others.iter().map(widest).sum();
    let lists = lists.iter().map(|list| batch.column(*list));
    let lists = lists.map(|list| ColumnarValue::Array(Arc::clone(list)));
    let lists: Vec<ColumnarValue> = lists.collect();
    let elements = |row: usize| lists.iter().map(|list| length_at(list, row)).max();
    let elements: Vec<u64> = (0..batch.num_rows())
        .map(|row| elements(row).unwrap_or(0))
        .collect();
    let most = elements.iter().max().copied().unwrap_or(0);
    // Most are small, even if the longest list stood beside the longest texts.
    let no_more = most.max(batch_rows).saturating_mul(widest);
    if no_more <= UNNESTED_BYTES_FREE {
        return Ok(no_more);
    }
    let (mut all, mut of_row_max, mut row_bytes_max) = (0_u64, 0_u64, 0_u64);
    for (row, elements) in elements.into_iter().enumerate() {
        let bytes: u64 = others.iter().map(|column| row_bytes(column, row)).sum();
        let of_row = elements.saturating_mul(bytes);
        if of_row > UNNESTED_BYTES_MAX {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "`unnest` would make more than {} MiB of one row; take fewer columns beside it",
                UNNESTED_BYTES_MAX >> 20
            )));
        }
        all = all.saturating_add(of_row);
        of_row_max = of_row_max.max(of_row);
        row_bytes_max = row_bytes_max.max(bytes);
    }
    Ok(all.min(of_row_max.saturating_add(batch_rows.saturating_mul(row_bytes_max))))
}

/// Returns the most bytes that one row of a batch may have where it is repeated.
fn repeated_bytes(batch: &RecordBatch) -> Result<u64> {
    let (mut numbers_bytes, mut texts_bytes, mut lists) = (0, 0, Vec::new());
    for column in batch.columns() {
        match column.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                texts_bytes += longest_value(&ColumnarValue::Array(Arc::clone(column)));
            }
            data_type if data_type.is_nested() || matches!(data_type, DataType::Binary) => {
                lists.push(column);
            }
            data_type => numbers_bytes += data_type.primitive_width().unwrap_or(1) as u64,
        }
    }
    // Most are small all together.
    let lists_bytes: u64 = lists
        .iter()
        .copied()
        .map(|list| array_bytes(list.as_ref()))
        .sum();
    let wide = if lists.is_empty() || texts_bytes + lists_bytes <= BATCH_BYTES_FREE {
        texts_bytes + lists_bytes
    } else {
        let of_row = |row: usize| lists.iter().map(|list| row_bytes(list, row)).sum::<u64>();
        texts_bytes + (0..batch.num_rows()).map(of_row).max().unwrap_or(0)
    };
    if wide > REPEATED_BYTES_MAX {
        return Err(DataFusionError::ResourcesExhausted(format!(
            "lists and texts of more than {} KiB would be repeated for many rows; do without them in a join or subquery",
            REPEATED_BYTES_MAX >> 10
        )));
    }
    Ok(wide + numbers_bytes)
}

/// Returns how many bytes calls make of a batch, if each makes as much as there is of texts and lists.
fn computed_bytes(batch: &RecordBatch, calls: usize) -> Result<u64> {
    let bytes = wide_bytes(batch);
    let computed = bytes.saturating_mul(calls as u64);
    if computed > COMPUTED_BYTES_MAX {
        return Err(DataFusionError::ResourcesExhausted(format!(
            "{calls} calls and operators would each be computed of texts and lists of {} MiB; use fewer of them in one step, \
             or shorter values",
            bytes >> 20
        )));
    }
    Ok(computed)
}

fn row_bytes(column: &ArrayRef, row: usize) -> u64 {
    array_bytes(column.slice(row, 1).as_ref())
}
