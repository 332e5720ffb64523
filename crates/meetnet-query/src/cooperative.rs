//! A physical optimizer rule that makes operators give way to cancellation, windows account for what they hold,
//! what repeats rows look at them before, and what makes batches of any size make none of more rows than the session says.
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
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

use crate::each_batch::EachBatchExec;
use crate::held_rows::HeldRowsExec;
use crate::in_turn::alone_each;
use crate::{stopping, wide_rows};

/// Operators beside joins that read out for long what they have gathered, or make much of little.
const LONG: [&str; 7] = [
    "UnnestExec",
    "SortExec",
    "SortPreservingMergeExec",
    "AggregateExec",
    "RunAggregateExec",
    "WindowAggExec",
    "BoundedWindowAggExec",
];

/// Sources whose batches have as many rows as was decided when they were planned: `generate_series` and `time_grid`. A
/// statement with a large literal has batches of fewer rows, which is known once it has been planned.
const UNSPLIT: [&str; 2] = ["LazyMemoryExec", "StreamingTableExec"];

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
            let checked = wide_rows::checked(node)?;
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
