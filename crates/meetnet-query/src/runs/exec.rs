//! The execution plan that groups runs of rows: the first step of an aggregation, with the states of functions as output.

use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::aggregates::{
    AggregateExec, AggregateMode, aggregate_expressions, evaluate_group_by, evaluate_many,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::groups::RunGroups;
use crate::table::hot::pieces;

/// Groups the rows of each partition by themselves.
#[derive(Debug)]
pub(crate) struct RunAggregateExec {
    /// What it does, and would do row by row.
    step: Arc<AggregateExec>,
    metrics: ExecutionPlanMetricsSet,
}

impl RunAggregateExec {
    /// `step` is a first step (`Partial`), with functions that keep the state of all groups in one place.
    pub(super) fn new(step: Arc<AggregateExec>) -> Self {
        Self {
            step,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for RunAggregateExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(format, DisplayFormatType::TreeRender) {
            return self.step.fmt_as(format, f);
        }
        write!(f, "Run")?;
        self.step.fmt_as(format, f)
    }
}

impl ExecutionPlan for RunAggregateExec {
    fn name(&self) -> &str {
        "RunAggregateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.step.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.step.children()
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.step.apply_expressions(visit)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let step = Arc::clone(&self.step).replace_children(children, options)?;
        Ok(match step.downcast_ref::<AggregateExec>() {
            Some(step) => Arc::new(Self::new(Arc::new(step.clone()))) as Arc<dyn ExecutionPlan>,
            None => step,
        })
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
        let consumer =
            MemoryConsumer::new(format!("RunAggregate[{partition}]")).with_can_spill(false);
        let grouping = Grouping::try_new(
            Arc::clone(&self.step),
            consumer.register(context.memory_pool()),
        )?;
        let input = self.step.input().execute(partition, context)?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let batches = stream::try_unfold(
            (grouping, input, metrics, false),
            |(mut grouping, mut input, metrics, is_over)| async move {
                if is_over {
                    return Ok::<_, DataFusionError>(None);
                }
                while let Some(batch) = input.next().await {
                    let batch = batch?;
                    let timer = metrics.elapsed_compute().timer();
                    let states = grouping.add(&batch)?;
                    timer.done();
                    if let Some(states) = states {
                        metrics.output_rows().add(states.num_rows());
                        return Ok(Some((states, (grouping, input, metrics, false))));
                    }
                }
                let states = grouping.states()?;
                metrics.output_rows().add(states.num_rows());
                Ok(Some((states, (grouping, input, metrics, true))))
            },
        );
        let pieces = batches
            .map_ok(move |states| stream::iter(pieces(states, rows_max).map(Ok)))
            .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.step.schema(),
            pieces,
        )))
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        self.step.statistics_from_inputs(inputs, args)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// One partition's groups, and what each function knows of them.
struct Grouping {
    step: Arc<AggregateExec>,
    schema: SchemaRef,
    groups: RunGroups,
    functions: Vec<Box<dyn GroupsAccumulator>>,
    arguments: Vec<Vec<Arc<dyn PhysicalExpr>>>,
    reservation: MemoryReservation,
    /// Whether there are too many groups to be worth gathering.
    probe: Probe,
}

/// Finds out whether gathering groups makes them fewer; where it does not, each batch goes on by itself.
#[derive(Debug, Default)]
pub(super) struct Probe {
    rows: usize,
    pub(super) is_useless: bool,
}

/// Rows after which it is known whether they have groups.
const PROBE_ROWS: usize = 100_000;
/// Groups per row from which on gathering them is not worth it.
const GROUPS_PER_ROW_MAX: f64 = 0.8;

impl Probe {
    pub(super) fn add(&mut self, rows: usize, groups: usize) {
        self.rows += rows;
        if self.rows >= PROBE_ROWS {
            self.is_useless |= groups as f64 / self.rows as f64 > GROUPS_PER_ROW_MAX;
        }
    }
}

impl Grouping {
    fn try_new(step: Arc<AggregateExec>, reservation: MemoryReservation) -> Result<Self> {
        let group_schema = step.group_expr().group_schema(&step.input().schema())?;
        let functions = step.aggr_expr().iter();
        let functions = functions.map(|function| function.create_groups_accumulator());
        let arguments = aggregate_expressions(
            step.aggr_expr(),
            &AggregateMode::Partial,
            step.group_expr().num_group_exprs(),
        )?;
        Ok(Self {
            schema: step.schema(),
            groups: RunGroups::try_new(group_schema)?,
            functions: functions.collect::<Result<_>>()?,
            arguments,
            reservation,
            probe: Probe::default(),
            step,
        })
    }

    /// Adds the rows of a batch. Returns what there is where it must not or need not be kept.
    fn add(&mut self, batch: &RecordBatch) -> Result<Option<RecordBatch>> {
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        let columns = evaluate_group_by(self.step.group_expr(), batch)?;
        // There is one set of keys.
        let columns = columns.into_iter().next().unwrap_or_default();
        let (groups, count) = self.groups.of(&columns)?;
        let arguments = evaluate_many(&self.arguments, batch)?;
        let functions = self.functions.iter_mut().zip(self.step.filter_expr());
        for ((function, filter), values) in functions.zip(&arguments) {
            let filter = filter
                .as_ref()
                .map(|filter| filter.evaluate(batch)?.into_array(batch.num_rows()))
                .transpose()?;
            let filter: Option<&BooleanArray> = filter.as_ref().map(|rows| rows.as_boolean());
            function.update_batch(values, groups, filter, count)?;
        }
        self.probe.add(batch.num_rows(), count);
        let is_kept = self.reservation.try_resize(self.size()).is_ok();
        if is_kept && !self.probe.is_useless {
            return Ok(None);
        }
        self.states().map(Some)
    }

    fn size(&self) -> usize {
        let functions = self.functions.iter().map(|function| function.size());
        self.groups.size() + functions.sum::<usize>()
    }

    /// Returns the groups with their states, and begins anew.
    fn states(&mut self) -> Result<RecordBatch> {
        if self.groups.is_empty() {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        let mut columns = self.groups.take()?;
        for function in &mut self.functions {
            columns.extend(function.state(EmitTo::All)?);
        }
        self.reservation.free();
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}
