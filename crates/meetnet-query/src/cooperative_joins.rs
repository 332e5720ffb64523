//! A physical optimizer rule that makes joins give way to cancellation.
//!
//! DataFusion's joins can produce batches for minutes without returning to the scheduler, so that neither a timeout
//! nor a dropped client stops them (datafusion issue 19358). Wrapped in `CooperativeExec` they yield per batch.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;

/// Wraps every join in `CooperativeExec`.
#[derive(Debug)]
pub(crate) struct CooperativeJoins;

impl PhysicalOptimizerRule for CooperativeJoins {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            Ok(
                if node.name().contains("Join") || node.name() == "UnnestExec" {
                    Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>)
                } else {
                    Transformed::no(node)
                },
            )
        })
        .map(|transformed| transformed.data)
    }

    fn name(&self) -> &str {
        "cooperative_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
