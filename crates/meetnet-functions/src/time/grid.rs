//! `time_grid`: every bucket of a time, made while it is read.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, col};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use futures::stream;
use meetnet_model::buckets::TimeBuckets;
use meetnet_model::common::timestamp_type;
use meetnet_model::time::with_seconds;

use super::buckets;
use crate::call::{Parameter, coerce, misplanned, text_of, uncoerced, wrong};
use crate::described::{FunctionDescription, FunctionKind};

/// `time_grid`.
pub(crate) static GRID: FunctionDescription = FunctionDescription {
    name: "time_grid",
    kind: FunctionKind::Table,
    signature: "time_grid(interval, from, to [, zone [, origin]]) → table (time, time_end)",
    description: "Every bucket, as of time_bucket, that has a part in the time from `from` to before `to`: its start and \
                  the start of the next one, in order. All arguments are constants. At most 1,000,000 buckets.",
    unit: None,
    example: "SELECT time, time_end FROM time_grid(INTERVAL '1 day', '2026-10-24T22:00:00Z', '2026-10-26T23:00:00Z', \
              'Europe/Brussels')",
};

/// Buckets that one call of `time_grid` may list, as [`TimeBuckets::count_max`] counts them from the start of its first.
pub const GRID_BUCKETS_MAX: u64 = 1_000_000;
/// Rows of a batch.
const BATCH_ROWS: usize = 8_192;

const PARAMETERS: [Parameter; 5] = [
    Parameter::Interval,
    Parameter::Time,
    Parameter::Time,
    Parameter::Text,
    Parameter::Time,
];
const REQUIRED: usize = 3;

/// The function of [`GRID`].
#[derive(Debug)]
pub(crate) struct TimeGrid;

impl TableFunctionImpl for TimeGrid {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let grid = Arc::new(Grid {
            schema: schema(),
            span: span(args.exprs())?,
        });
        let table = StreamingTable::try_new(schema(), vec![grid])?;
        let order = vec![col("time").sort(true, false)];
        Ok(Arc::new(table.with_sort_order(order)))
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("time", timestamp_type(), false),
        Field::new("time_end", timestamp_type(), false),
    ]))
}

/// Which buckets a grid has.
#[derive(Clone, Debug)]
struct Span {
    buckets: TimeBuckets,
    /// The start of the first, and what the last one starts before.
    first: i64,
    to: i64,
}

/// Returns the buckets that the arguments mean; None, for no rows, where one is NULL.
fn span(args: &[Expr]) -> Result<Option<Span>> {
    let mut values = Vec::with_capacity(args.len());
    for arg in args {
        let Expr::Literal(value, _) = arg else {
            return Err(misplanned(
                &GRID,
                "its arguments must be constants, which placeholders and columns are not",
            ));
        };
        values.push(value);
    }
    let types: Vec<DataType> = values.iter().map(|value| value.data_type()).collect();
    let types = coerce(&GRID, &PARAMETERS, REQUIRED, &types)?;
    if values.iter().any(|value| value.is_null()) {
        return Ok(None);
    }
    let mut constants = Vec::with_capacity(values.len());
    for ((value, to), position) in values.iter().zip(&types).zip(1..) {
        // As elsewhere: '2026-01-01 12:00' is a time.
        let whole = match to {
            DataType::Timestamp(..) => text_of(Some(*value)).and_then(with_seconds),
            _ => None,
        };
        let whole = whole.map(ScalarValue::from);
        let constant = whole.as_ref().unwrap_or(*value).cast_to(to).map_err(|_| {
            let what = if matches!(to, DataType::Interval(IntervalUnit::MonthDayNano)) {
                "interval"
            } else {
                "time"
            };
            misplanned(&GRID, format!("argument {position}, {value}, is no {what}"))
        })?;
        constants.push(constant);
    }
    let time = |index: usize| match constants.get(index) {
        Some(ScalarValue::TimestampMicrosecond(Some(at), _)) => Ok(Some(*at)),
        None => Ok(None),
        Some(_) => Err(uncoerced(&GRID)),
    };
    let Some(ScalarValue::IntervalMonthDayNano(Some(interval))) = constants.first() else {
        return Err(uncoerced(&GRID));
    };
    let (Some(from), Some(to)) = (time(1)?, time(2)?) else {
        return Err(uncoerced(&GRID));
    };
    let buckets = buckets(*interval, text_of(constants.get(3)), time(4)?)
        .map_err(|why| misplanned(&GRID, why))?;
    let outside = || misplanned(&GRID, "a time lies outside the years 1 to 9999");
    let first = buckets.walk().start(from).ok_or_else(outside)?;
    if buckets.count_max(first, to) > GRID_BUCKETS_MAX {
        let why = format!(
            "it would list more than {GRID_BUCKETS_MAX} buckets; take a longer interval or a shorter time"
        );
        return Err(misplanned(&GRID, why));
    }
    Ok(Some(Span {
        buckets,
        first: if from < to { first } else { to },
        to,
    }))
}

/// The rows of one call.
#[derive(Debug)]
struct Grid {
    schema: SchemaRef,
    span: Option<Span>,
}

impl PartitionStream for Grid {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let mut rest = self.span.clone();
        let batches = std::iter::from_fn(move || next_batch(&schema, &mut rest).transpose());
        Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            stream::iter(batches),
        ))
    }
}

/// Takes the first buckets of what is left; None where nothing is.
fn next_batch(schema: &SchemaRef, rest: &mut Option<Span>) -> Result<Option<RecordBatch>> {
    let Some(span) = rest else {
        return Ok(None);
    };
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    let mut start = span.first;
    {
        let mut walk = span.buckets.walk();
        while start < span.to && starts.len() < BATCH_ROWS {
            let Some(end) = walk.next(start) else {
                return Err(wrong(&GRID, "a bucket ends after the year 9999"));
            };
            starts.push(start);
            ends.push(end);
            start = end;
        }
    }
    span.first = start;
    if starts.is_empty() {
        *rest = None;
        return Ok(None);
    }
    let column = |times: Vec<i64>| -> ArrayRef {
        let times = TimestampMicrosecondArray::from(times);
        Arc::new(times.with_data_type(timestamp_type()))
    };
    let columns = vec![column(starts), column(ends)];
    Ok(Some(RecordBatch::try_new(Arc::clone(schema), columns)?))
}
