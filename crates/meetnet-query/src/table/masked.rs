//! The execution plan that reads rows of committed files that hot rows have replaced, with the times they were.
//!
//! The files still say that these rows are current; when they were replaced stands in the masks. Row and time are
//! matched by position, so the scans below are hidden from the optimizer: a filter pushed into one would skip rows.
//! Hot rows are few, and so are these.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::{StreamExt, stream};
use meetnet_lake::snapshot::Mask;
use meetnet_model::common::{RECEIVED_AT, RECORDED_AT, SUPERSEDED_AT};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use super::view::{View, recorded_or_received, times};

/// The replaced rows of one file.
#[derive(Clone, Debug)]
pub(crate) struct MaskedFile {
    /// Reads exactly these rows, in file order, in one partition.
    pub(crate) scan: Arc<dyn ExecutionPlan>,
    /// When each was replaced, µs.
    pub(crate) superseded_at: Arc<[i64]>,
}

/// Returns the rows of a file of `rows` rows that `view` knows to be replaced, and when they were.
pub(crate) fn masked_rows(view: View, mask: &Mask, rows: usize) -> (RowSelection, Arc<[i64]>) {
    let mut selectors = Vec::with_capacity(mask.rows.len() * 2 + 1);
    let mut superseded_at = Vec::with_capacity(mask.rows.len());
    let mut next = 0;
    for (row, at) in view
        .replaced(mask)
        .map(|(row, at)| (row as usize, at))
        .take_while(|(row, _)| *row < rows)
    {
        if row > next {
            selectors.push(RowSelector::skip(row - next));
        }
        selectors.push(RowSelector::select(1));
        superseded_at.push(at);
        next = row + 1;
    }
    if next < rows {
        selectors.push(RowSelector::skip(rows - next));
    }
    (RowSelection::from(selectors), superseded_at.into())
}

/// What the columns of the output are made from.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// A column of the scan.
    Scan(usize),
    /// `recorded_at` and `received_at` in the scan.
    Recorded(usize, usize),
    /// The mask.
    Mask,
}

/// Which columns the scans read, and how the output is made from them.
#[derive(Clone, Debug)]
pub(crate) struct MaskedColumns {
    /// Positions in the table's schema.
    pub(crate) read: Vec<usize>,
    origins: Vec<Origin>,
    /// The projected schema.
    schema: SchemaRef,
}

impl MaskedColumns {
    /// Plans the columns for `projection`, positions in `schema`, the table's.
    pub(crate) fn try_new(schema: &SchemaRef, projection: &[usize]) -> Result<Self> {
        let mut read: Vec<usize> = Vec::with_capacity(projection.len() + 1);
        let mut position = |index: usize| match read.iter().position(|known| *known == index) {
            Some(position) => position,
            None => {
                read.push(index);
                read.len() - 1
            }
        };
        let origins = projection
            .iter()
            .map(|index| {
                Ok(match schema.field(*index).name().as_str() {
                    SUPERSEDED_AT => Origin::Mask,
                    RECORDED_AT => {
                        Origin::Recorded(position(*index), position(schema.index_of(RECEIVED_AT)?))
                    }
                    _ => Origin::Scan(position(*index)),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            read,
            origins,
            schema: Arc::new(schema.project(projection)?),
        })
    }

    /// Makes the output from what a scan has read and the times of the same rows.
    fn output(&self, batch: &RecordBatch, superseded_at: &[i64]) -> Result<RecordBatch> {
        let columns = self
            .origins
            .iter()
            .map(|origin| match origin {
                Origin::Scan(index) => Arc::clone(batch.column(*index)),
                Origin::Recorded(recorded, received) => {
                    recorded_or_received(batch.column(*recorded), batch.column(*received))
                }
                Origin::Mask => times(superseded_at.iter().copied().map(Some)),
            })
            .collect::<Vec<ArrayRef>>();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(&self.schema),
            columns,
            &options,
        )?)
    }
}

/// Reads the replaced rows of files, one partition per group of files.
#[derive(Debug)]
pub(crate) struct MaskedRowsExec {
    groups: Vec<Vec<MaskedFile>>,
    columns: Arc<MaskedColumns>,
    rows: usize,
    properties: Arc<PlanProperties>,
}

impl MaskedRowsExec {
    /// Spreads `files` over at most `partitions` groups of about the same number of rows.
    pub(crate) fn new(
        mut files: Vec<MaskedFile>,
        columns: MaskedColumns,
        partitions: usize,
    ) -> Self {
        let rows = files.iter().map(|file| file.superseded_at.len()).sum();
        files.sort_by_key(|file| std::cmp::Reverse(file.superseded_at.len()));
        let mut groups = vec![Vec::new(); partitions.clamp(1, files.len().max(1))];
        let count = groups.len();
        for (position, file) in files.into_iter().enumerate() {
            groups[position % count].push(file);
        }
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&columns.schema)),
            Partitioning::UnknownPartitioning(groups.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Self {
            groups,
            columns: Arc::new(columns),
            rows,
            properties: Arc::new(properties),
        }
    }

    /// Returns how many rows it reads.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }
}

/// A file being read, and how many of its rows have been.
struct Open {
    rows: SendableRecordBatchStream,
    superseded_at: Arc<[i64]>,
    read: usize,
}

impl Open {
    /// Returns the next batch with the times of its rows; None after the last.
    async fn next(&mut self, columns: &MaskedColumns) -> Result<Option<RecordBatch>> {
        let Some(batch) = self.rows.next().await else {
            return if self.read == self.superseded_at.len() {
                Ok(None)
            } else {
                Err(self.out_of_step())
            };
        };
        let batch = batch?;
        let end = self.read + batch.num_rows();
        let Some(superseded_at) = self.superseded_at.get(self.read..end) else {
            return Err(self.out_of_step());
        };
        let output = columns.output(&batch, superseded_at)?;
        self.read = end;
        Ok(Some(output))
    }

    fn out_of_step(&self) -> DataFusionError {
        DataFusionError::Internal(format!(
            "a scan of {} masked rows gave another number of rows",
            self.superseded_at.len()
        ))
    }
}

impl DisplayAs for MaskedRowsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: usize = self.groups.iter().map(Vec::len).sum();
        write!(f, "MaskedRowsExec: rows={}, files={files}", self.rows)
    }
}

impl ExecutionPlan for MaskedRowsExec {
    fn name(&self) -> &str {
        "MaskedRowsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
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
        let files = self.groups.get(partition).cloned().unwrap_or_default();
        let columns = Arc::clone(&self.columns);
        let state = (files.into_iter(), None::<Open>);
        // One file at a time, opened when the one before has been read.
        let batches = stream::try_unfold(state, move |(mut files, mut open)| {
            let (columns, context) = (Arc::clone(&columns), Arc::clone(&context));
            async move {
                loop {
                    if let Some(file) = &mut open
                        && let Some(batch) = file.next(&columns).await?
                    {
                        return Ok(Some((batch, (files, open))));
                    }
                    let Some(file) = files.next() else {
                        return Ok(None);
                    };
                    open = Some(Open {
                        rows: file.scan.execute(0, Arc::clone(&context))?,
                        superseded_at: file.superseded_at,
                        read: 0,
                    });
                }
            }
        });
        let stream = RecordBatchStreamAdapter::new(Arc::clone(&self.columns.schema), batches);
        Ok(make_cooperative(Box::pin(stream)))
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.columns.schema);
        let rows = match args.partition() {
            None => self.rows,
            Some(partition) => self.groups.get(partition).map_or(0, |files| {
                files.iter().map(|file| file.superseded_at.len()).sum()
            }),
        };
        statistics.num_rows = Precision::Exact(rows);
        Ok(Arc::new(statistics))
    }
}
