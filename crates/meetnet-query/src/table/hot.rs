//! The execution plan that reads the hot rows of a view from memory.
//!
//! DataFusion's own memory source neither leaves rows out nor knows bounds; this one filters lazily, knows exact counts
//! and bounds, and sorts its (few) rows by key only where the scan keeps that order.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{
    DataType, Int8Type, Int64Type, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::stream;
use meetnet_lake::snapshot::HotBatch;
use meetnet_model::common::{RECORDED_AT, SUPERSEDED_AT};

use super::view::View;

/// Returns how many hot rows a view shows.
pub(crate) fn hot_rows(view: View, hot: &[HotBatch]) -> usize {
    hot.iter()
        .map(|hot| match view.shows(hot) {
            None => hot.batch.num_rows(),
            Some(shown) => shown.true_count(),
        })
        .sum()
}

/// Reads the hot rows of one view of a table, in one partition.
#[derive(Debug)]
pub(crate) struct HotRowsExec {
    view: View,
    hot: Arc<Vec<HotBatch>>,
    projection: Vec<usize>,
    rows: usize,
    /// Over the table's schema, before the projection.
    ordering: Option<LexOrdering>,
    /// The projected schema.
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    statistics: OnceLock<Arc<Statistics>>,
}

impl HotRowsExec {
    /// `rows` is [`hot_rows`] of `hot`; `ordering` is over `schema`, the table's.
    pub(crate) fn try_new(
        view: View,
        schema: SchemaRef,
        hot: Arc<Vec<HotBatch>>,
        projection: Vec<usize>,
        rows: usize,
        ordering: Option<LexOrdering>,
    ) -> Result<Self> {
        let projected: SchemaRef = Arc::new(schema.project(&projection)?);
        let mut equivalences = EquivalenceProperties::new(Arc::clone(&projected));
        if let Some(ordering) = &ordering {
            // Only the leading key columns that survive the projection are an order of the output.
            let visible = ordering.iter().map_while(|sort| {
                let column = sort.expr.downcast_ref::<Column>()?;
                let index = projection
                    .iter()
                    .position(|index| *index == column.index())?;
                let mut sort = sort.clone();
                sort.expr = Arc::new(Column::new(column.name(), index));
                Some(sort)
            });
            if let Some(visible) = LexOrdering::new(visible) {
                equivalences.add_ordering(visible);
            }
        }
        let properties = PlanProperties::new(
            equivalences,
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        .with_scheduling_type(SchedulingType::Cooperative);
        Ok(Self {
            view,
            hot,
            projection,
            rows,
            ordering,
            schema: projected,
            properties: Arc::new(properties),
            statistics: OnceLock::new(),
        })
    }

    fn compute_statistics(&self) -> Statistics {
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = Precision::Exact(self.rows);
        let shown: Vec<Option<BooleanArray>> =
            self.hot.iter().map(|hot| self.view.shows(hot)).collect();
        for (position, index) in self.projection.iter().enumerate() {
            let field = self.schema.field(position);
            // A history shows other times than the batches hold.
            if self.view.history && [RECORDED_AT, SUPERSEDED_AT].contains(&field.name().as_str()) {
                continue;
            }
            let mut column = Bounds::default();
            for (hot, shown) in self.hot.iter().zip(&shown) {
                column.add(hot.batch.column(*index), shown.as_ref());
            }
            statistics.column_statistics[position] = column.finish(field.data_type());
        }
        statistics
    }
}

/// Null count of a column, and its bounds where it holds integers or times.
#[derive(Default)]
struct Bounds {
    nulls: usize,
    range: Option<(i64, i64)>,
}

impl Bounds {
    fn add(&mut self, column: &ArrayRef, shown: Option<&BooleanArray>) {
        let is_shown = |row: usize| shown.is_none_or(|shown| shown.value(row));
        let nulls = column.logical_nulls();
        let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        let value: Option<Box<dyn Fn(usize) -> i64 + '_>> = match column.data_type() {
            DataType::Int8 => {
                let values = column.as_primitive::<Int8Type>().values();
                Some(Box::new(move |row| i64::from(values[row])))
            }
            DataType::Int64 => {
                let values = column.as_primitive::<Int64Type>().values();
                Some(Box::new(move |row| values[row]))
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                let values = column.as_primitive::<TimestampMicrosecondType>().values();
                Some(Box::new(move |row| values[row]))
            }
            _ => None,
        };
        for row in (0..column.len()).filter(|row| is_shown(*row)) {
            if is_null(row) {
                self.nulls += 1;
            } else if let Some(value) = &value {
                let value = value(row);
                let (min, max) = self.range.unwrap_or((value, value));
                self.range = Some((min.min(value), max.max(value)));
            }
        }
    }

    fn finish(self, data_type: &DataType) -> ColumnStatistics {
        let scalar = |value: i64| match data_type {
            DataType::Int8 => i8::try_from(value).ok().map(|v| ScalarValue::Int8(Some(v))),
            DataType::Int64 => Some(ScalarValue::Int64(Some(value))),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                Some(ScalarValue::TimestampMicrosecond(Some(value), zone.clone()))
            }
            _ => None,
        };
        let exact = |value: Option<i64>| {
            value
                .and_then(scalar)
                .map_or(Precision::Absent, Precision::Exact)
        };
        ColumnStatistics {
            null_count: Precision::Exact(self.nulls),
            min_value: exact(self.range.map(|(min, _)| min)),
            max_value: exact(self.range.map(|(_, max)| max)),
            ..ColumnStatistics::new_unknown()
        }
    }
}

/// Returns the columns of `projection` under the table's own field metadata.
fn project(batch: &RecordBatch, projection: &[usize], schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = projection
        .iter()
        .map(|index| Arc::clone(batch.column(*index)))
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}

/// Returns all rows of a view as one batch in the order of the key.
fn sorted(view: View, hot: &[HotBatch], ordering: &LexOrdering) -> Result<Option<RecordBatch>> {
    let batches = hot
        .iter()
        .map(|hot| view.of_hot(hot))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(first) = batches.first() else {
        return Ok(None);
    };
    let all = concat_batches(&first.schema(), &batches)?;
    let columns: Vec<SortColumn> = ordering
        .iter()
        .filter_map(|sort| {
            let column = sort.expr.downcast_ref::<Column>()?;
            let values = Arc::clone(all.column(column.index()));
            Some(SortColumn {
                values,
                options: Some(sort.options),
            })
        })
        .collect();
    let order = lexsort_to_indices(&columns, None)?;
    Ok(Some(take_record_batch(&all, &order)?))
}

/// Cuts a batch into pieces of at most `rows_max` rows; no data is copied.
pub(crate) fn pieces(batch: RecordBatch, rows_max: usize) -> impl Iterator<Item = RecordBatch> {
    let rows = batch.num_rows();
    (0..rows)
        .step_by(rows_max.max(1))
        .map(move |start| batch.slice(start, rows_max.max(1).min(rows - start)))
}

impl DisplayAs for HotRowsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "HotRowsExec: rows={}, sorted={}",
            self.rows,
            self.ordering.is_some()
        )
    }
}

impl ExecutionPlan for HotRowsExec {
    fn name(&self) -> &str {
        "HotRowsExec"
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
        _partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows_max = context.session_config().batch_size();
        let (hot, projection) = (Arc::clone(&self.hot), self.projection.clone());
        let schema = Arc::clone(&self.schema);
        let (view, ordering) = (self.view, self.ordering.clone());
        // Lazily: nothing is filtered or sorted before the first poll, and one batch at a time.
        let whole: Box<dyn Iterator<Item = Result<RecordBatch>> + Send> = match ordering {
            Some(ordering) => Box::new(
                std::iter::once_with(move || sorted(view, &hot, &ordering))
                    .filter_map(Result::transpose),
            ),
            None => Box::new((0..hot.len()).map(move |index| Ok(view.of_hot(&hot[index])?))),
        };
        let batches = whole.flat_map(move |batch| {
            let projected = batch.and_then(|batch| project(&batch, &projection, &schema));
            let (good, bad) = match projected {
                Ok(batch) => (Some(batch), None),
                Err(error) => (None, Some(Err(error))),
            };
            good.into_iter()
                .flat_map(move |batch| pieces(batch, rows_max))
                .map(Ok)
                .chain(bad)
        });
        let stream = RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream::iter(batches));
        Ok(Box::pin(cooperative(stream)))
    }

    fn statistics_from_inputs(
        &self,
        _: &[Arc<Statistics>],
        _: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        Ok(Arc::clone(
            self.statistics
                .get_or_init(|| Arc::new(self.compute_statistics())),
        ))
    }
}
