//! A step of a plan that looks at every batch on its way from one node to the next, and ends the query where it must not go
//! on. The rows stay as they are; batches of more rows than the session says are split, since some nodes make their own, or
//! a node makes many rows of each. Who works for long on these batches gives way between them, and who holds them gets rows
//! that hold no others in memory: see [`own_rows`].

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SplitMetrics};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::{BatchSplitStream, RecordBatchStreamAdapter};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::StreamExt;

use crate::giving_way::{AT_A_TIME, GivingWay};

mod own_rows;

/// What looks at a batch; an error ends the query.
pub(crate) type Look = dyn Fn(&RecordBatch) -> Result<()> + Send + Sync;
/// What begins to look at the batches of one partition; an error ends the query before any work is done for it.
type Begin = dyn Fn(&TaskContext) -> Result<Box<Look>> + Send + Sync;

/// Gives the batches of its input, each once it has been looked at.
pub(crate) struct EachBatchExec {
    /// What plans show.
    name: &'static str,
    input: Arc<dyn ExecutionPlan>,
    begin: Arc<Begin>,
    /// Batches have at most this part of the rows that the session says; None: as many as they have.
    split: Option<Part>,
    /// Batches hold no memory of others.
    is_own: bool,
    /// What is known of the rows, where that is less than of those of the input.
    less_known: Option<Arc<PlanProperties>>,
}

/// One of so many equal parts; at least one row.
#[derive(Clone, Copy, Debug)]
struct Part(NonZeroUsize);

impl Part {
    const WHOLE: Self = Self(NonZeroUsize::MIN);

    fn of(self, rows: usize) -> usize {
        (rows / self.0).max(1)
    }
}

impl EachBatchExec {
    pub(crate) fn new(
        name: &'static str,
        input: Arc<dyn ExecutionPlan>,
        look: impl Fn(&RecordBatch) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        let look = Arc::new(look);
        Self::each_partition(name, input, move |_| {
            let look = Arc::clone(&look);
            let look: Box<Look> = Box::new(move |batch: &RecordBatch| look(batch));
            Ok(look)
        })
    }

    /// Begins anew for each partition, where the memory of the query is known. What `begin` returns goes with the stream.
    pub(crate) fn each_partition(
        name: &'static str,
        input: Arc<dyn ExecutionPlan>,
        begin: impl Fn(&TaskContext) -> Result<Box<Look>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            input,
            begin: Arc::new(begin),
            split: Some(Part::WHOLE),
            is_own: false,
            less_known: None,
        }
    }

    /// Says of no column that it has one value, for a join beside whose rows NULL may stand for these.
    pub(crate) fn without_constants(input: Arc<dyn ExecutionPlan>) -> Self {
        Self {
            split: None,
            less_known: Some(without_constants(input.properties())),
            ..Self::new("MayBeNullExec", input, |_| Ok(()))
        }
    }

    /// Gives batches that hold no more memory than their rows need, for a node that holds them and asks for what they hold.
    pub(crate) fn own_rows(input: Arc<dyn ExecutionPlan>) -> Self {
        Self {
            is_own: true,
            ..Self::new("OwnRowsExec", input, |_| Ok(()))
        }
    }

    /// Leaves the batches as they are, and only lets who works on them give way.
    pub(crate) fn giving_way(input: Arc<dyn ExecutionPlan>) -> Self {
        Self {
            split: None,
            ..Self::new("GivesWayExec", input, |_| Ok(()))
        }
    }

    /// Splits batches of which a node makes so many times as many rows, so that it has at a time as many as any other.
    pub(crate) fn split_for(input: Arc<dyn ExecutionPlan>, times: NonZeroUsize) -> Self {
        Self {
            split: Some(Part(times)),
            ..Self::split(input)
        }
    }

    /// Splits the batches of a node that makes them of as many rows as it likes.
    pub(crate) fn split(input: Arc<dyn ExecutionPlan>) -> Self {
        Self::new("SplitRowsExec", input, |_| Ok(()))
    }
}

/// Returns what is known of rows but for what is equal in all of them: only how they are divided and in which order they come.
fn without_constants(known: &PlanProperties) -> Arc<PlanProperties> {
    let of_rows = known.equivalence_properties();
    let orders = of_rows.oeq_class().iter().cloned();
    let orders = EquivalenceProperties::new_with_orderings(Arc::clone(of_rows.schema()), orders);
    Arc::new(known.clone().with_eq_properties(orders))
}

impl fmt::Debug for EachBatchExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(self.name)
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}

impl DisplayAs for EachBatchExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl ExecutionPlan for EachBatchExec {
    fn name(&self) -> &str {
        self.name
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        let less_known = self.less_known.as_ref();
        less_known.unwrap_or_else(|| self.input.properties())
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) => Ok(Arc::new(Self {
                name: self.name,
                begin: Arc::clone(&self.begin),
                split: self.split,
                is_own: self.is_own,
                less_known: self
                    .less_known
                    .as_ref()
                    .map(|_| without_constants(input.properties())),
                input,
            })),
            None => Ok(self),
        }
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
        let rows_max = context.session_config().batch_size();
        let look = (self.begin)(&context)?;
        let input = self.input.execute(partition, context)?;
        let schema = input.schema();
        let input: SendableRecordBatchStream = if let Some(part) = self.split {
            // Nobody asks for the number of splits.
            let metrics = SplitMetrics::new(&ExecutionPlanMetricsSet::new(), partition);
            Box::pin(BatchSplitStream::new(input, part.of(rows_max), metrics))
        } else {
            input
        };
        // Who takes a long time for a few rows gives way behind each of them. And an operator may ask for the next batch from
        // within the last one, as deep as it has batches to wait for: a wait takes it back.
        let at_a_time = match self.split {
            Some(Part(parts)) if parts > NonZeroUsize::MIN => Duration::ZERO,
            _ => AT_A_TIME,
        };
        let is_own = self.is_own;
        let input = GivingWay::new(input, at_a_time).map(move |batch| {
            let batch = batch?;
            look(&batch)?;
            if is_own {
                return own_rows::own_rows(batch);
            }
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, input)))
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        input: &[Arc<Statistics>],
        _: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(Arc::clone(&input[0]))
    }
}
