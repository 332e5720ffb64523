//! Unions of many inputs, which are read one after another.
//!
//! ```text
//! UnionExec:        input 0, partitions 0 and 1 │ input 1, partitions 0 and 1 │ …      all are open at once
//! UnionInTurnExec:  input 0, then 2, then 4 …   │ input 1, then 3, then 5 …            as many as there are threads
//! ```
//!
//! A scan holds some megabytes of its file as long as it is open, and a statement may be a union of two hundred: together they
//! hold more than a query may have, and no machine reads two hundred files sooner at once than one after another.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};

/// Inputs of a union up to which all are open at once: a view of a dataset has up to five.
const OPEN_MAX: usize = 8;

/// A physical optimizer rule that has the inputs of a union of many read in turn. It goes before the one that sorts what is not in
/// the order that is wanted: nobody may count on an order of the union any more.
#[derive(Debug)]
pub(crate) struct UnionsInTurn;

impl PhysicalOptimizerRule for UnionsInTurn {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let threads = config.execution.target_partitions.max(1);
        plan.transform_up(|node| {
            let Some(union) = node.downcast_ref::<UnionExec>() else {
                return Ok(Transformed::no(node));
            };
            // Each thread has several to read, so that none is idle while another reads the last.
            if union.inputs().len() <= OPEN_MAX.max(threads.saturating_mul(2)) {
                return Ok(Transformed::no(node));
            }
            let inputs = union.inputs().clone();
            let in_turn: Arc<dyn ExecutionPlan> =
                Arc::new(UnionInTurnExec::new(inputs, threads, union.schema()));
            Ok(Transformed::yes(in_turn))
        })
        .data()
    }

    fn name(&self) -> &str {
        "unions_in_turn"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Makes the inputs of such a union, once they have all of their nodes, such that may be read one after another; other nodes stay
/// as they are.
///
/// # Errors
/// Where a plan cannot be walked through.
pub(crate) fn alone_each(node: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let Some(union) = node.downcast_ref::<UnionInTurnExec>() else {
        return Ok(node);
    };
    let inputs = union.inputs.iter().map(alone);
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(UnionInTurnExec::new(
        inputs,
        union.partitions,
        union.schema(),
    )))
}

/// Returns an input whose partitions may be read one after another. One that hands rows from each of its threads to each of the
/// others gathers them where one is not read, and each partition of a hash join waits until all have what they filter its scans
/// by.
fn alone(input: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let input = Arc::clone(input);
    if input.output_partitioning().partition_count() <= 1
        || !input.exists(|node| Ok(needs_all_partitions(node.name())))?
    {
        return Ok(input);
    }
    Ok(Arc::new(CoalescePartitionsExec::new(input)))
}

/// Returns true for a node whose partitions go on only while all are read.
fn needs_all_partitions(name: &str) -> bool {
    name == "RepartitionExec" || name.contains("Join")
}

/// Gives the rows of its inputs, those of each partition one input after another.
#[derive(Debug)]
pub(crate) struct UnionInTurnExec {
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    partitions: usize,
    properties: Arc<PlanProperties>,
}

impl UnionInTurnExec {
    /// Spreads `inputs`, which have the columns of `schema`, over so many partitions.
    fn new(inputs: Vec<Arc<dyn ExecutionPlan>>, partitions: usize, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            inputs,
            partitions,
            properties: Arc::new(properties),
        }
    }
}

impl DisplayAs for UnionInTurnExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnionInTurnExec: at_once={}", self.partitions)
    }
}

impl ExecutionPlan for UnionInTurnExec {
    fn name(&self) -> &str {
        "UnionInTurnExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false; self.inputs.len()]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.inputs.len()]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            return Ok(self);
        }
        Ok(Arc::new(Self::new(
            children,
            self.partitions,
            self.schema(),
        )))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let inputs = self.inputs.iter().skip(partition).step_by(self.partitions);
        let parts = inputs.flat_map(|input| {
            let partitions = 0..input.output_partitioning().partition_count();
            partitions.map(move |partition| (Arc::clone(input), partition))
        });
        let parts: Vec<_> = parts.collect();
        let state = (parts.into_iter(), None::<SendableRecordBatchStream>);
        // One at a time, opened when the one before has been read and is closed.
        let batches = stream::try_unfold(state, move |(mut parts, mut open)| {
            let context = Arc::clone(&context);
            async move {
                loop {
                    if let Some(rows) = &mut open
                        && let Some(batch) = rows.next().await
                    {
                        return Ok(Some((batch?, (parts, open))));
                    }
                    drop(open.take());
                    let Some((input, partition)) = parts.next() else {
                        return Ok::<_, DataFusionError>(None);
                    };
                    open = Some(input.execute(partition, Arc::clone(&context))?);
                }
            }
        });
        let schema = self.schema();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        let of_all = self.inputs.iter().map(|_| match partition {
            None => ChildStats::At(None),
            Some(_) => ChildStats::Skip,
        });
        of_all.collect()
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let schema = self.schema();
        let statistics = match args.partition() {
            None => Statistics::try_merge_iter(inputs.iter().map(AsRef::as_ref), schema.as_ref())?,
            Some(_) => Statistics::new_unknown(&schema),
        };
        Ok(Arc::new(statistics))
    }
}

#[cfg(test)]
mod tests;
