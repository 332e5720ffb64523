//! A physical optimizer rule that makes operators give way to cancellation, windows account for what they hold,
//! what repeats rows look at them before, what holds rows hold no others with them, and what makes batches of any size make none
//! of more rows than the session says.
//!
//! DataFusion's joins can produce batches for minutes without returning to the scheduler, so that neither a timeout
//! nor a dropped client stops them (datafusion issue 19358). So do operators that read out what they have gathered: sorts,
//! aggregates, windows. Wrapped in `CooperativeExec` they yield per batch that they give, and they give way between those that
//! they take, too, where their work on each is long: see [`crate::giving_way`].

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::{CrossJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning, replace_children_if_necessary};

use crate::each_batch::EachBatchExec;
use crate::held_rows::HeldRowsExec;
use crate::in_turn::alone_each;
use crate::{stopping, wide_rows};

/// Operators beside joins that read out for long what they have gathered, or make much of little.
const LONG: [&str; 8] = [
    "UnnestExec",
    "SortExec",
    "SortExec(TopK)",
    "SortPreservingMergeExec",
    "AggregateExec",
    "RunAggregateExec",
    "WindowAggExec",
    "BoundedWindowAggExec",
];

/// Sources whose batches have as many rows as was decided when they were planned: `generate_series` and `time_grid`. A
/// statement with a large literal has batches of fewer rows, which is known once it has been planned.
const UNSPLIT: [&str; 2] = ["LazyMemoryExec", "StreamingTableExec"];

/// Returns true for a node that holds the batches of its first input as they come, and asks for as much memory as they hold.
///
/// A grouping gives its groups as slices of one batch that has all of them, and so do a sort with LIMIT and rows that are
/// not in files yet. Each slice holds the whole batch and would be asked for as such: of 36 slices of 9 MiB, 324 MiB. What hash
/// joins, windows and divisions by a key hold is counted otherwise, or copied by them.
fn holds_first_input(node: &dyn ExecutionPlan) -> bool {
    if let Some(spread) = node.downcast_ref::<RepartitionExec>() {
        return matches!(spread.partitioning(), Partitioning::RoundRobinBatch(_));
    }
    node.downcast_ref::<SortExec>().is_some()
        || node.downcast_ref::<SortPreservingMergeExec>().is_some()
        || node.downcast_ref::<NestedLoopJoinExec>().is_some()
        || node.downcast_ref::<CrossJoinExec>().is_some()
}

/// Gives a node that holds what its first input gives only rows that hold no others with them; other nodes stay as they are.
fn own_rows(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    if !holds_first_input(node.as_ref()) {
        return Ok(Transformed::no(node));
    }
    let children = node.children().into_iter().enumerate();
    let children = children.map(|(position, child)| -> Arc<dyn ExecutionPlan> {
        let child = Arc::clone(child);
        if position > 0 {
            return child;
        }
        Arc::new(EachBatchExec::own_rows(child))
    });
    let children = children.collect();
    replace_children_if_necessary(node, children).map(Transformed::yes)
}

/// Lets a node give way between the batches that it takes, also where it works for long on each.
fn between_batches(node: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let children = node.children().into_iter();
    let children = children.map(|child| -> Arc<dyn ExecutionPlan> {
        let child = Arc::clone(child);
        // What looks at batches lets give way, too.
        if child.downcast_ref::<EachBatchExec>().is_some() {
            return child;
        }
        Arc::new(EachBatchExec::giving_way(child))
    });
    let children = children.collect();
    replace_children_if_necessary(node, children)
}

/// Wraps every join and what else takes long in `CooperativeExec`.
#[derive(Debug)]
pub(crate) struct Cooperative;

impl PhysicalOptimizerRule for Cooperative {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let is_long = node.name().contains("Join") || LONG.contains(&node.name());
            let is_window = node.name().contains("Window");
            if UNSPLIT.contains(&node.name()) {
                let split: Arc<dyn ExecutionPlan> = Arc::new(EachBatchExec::split(node));
                return Ok(Transformed::yes(split));
            }
            let node = alone_each(node)?;
            let node = stopping::stopping(node, config)?.data;
            let checked = wide_rows::checked(node)?.transform_data(own_rows)?;
            if !is_long {
                return Ok(checked);
            }
            let node = between_batches(checked.data)?;
            let node: Arc<dyn ExecutionPlan> = if is_window {
                Arc::new(HeldRowsExec::new(node))
            } else {
                node
            };
            let wrapped: Arc<dyn ExecutionPlan> = Arc::new(CooperativeExec::new(node));
            Ok(Transformed::yes(wrapped))
        })
        .data()
    }

    fn name(&self) -> &str {
        "cooperative"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
