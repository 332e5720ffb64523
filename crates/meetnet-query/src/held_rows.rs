//! What a window operator holds, charged to the memory of its query: DataFusion's gather rows without asking.
//!
//! ```text
//! input ─▶ charge ─▶ window operator ─▶ discharge ─▶ output
//! ```
//!
//! A row goes in once and comes out once. So what is held is what has gone in less what has come out, and the rows that a
//! frame looks back to, which stay after they have come out; where it looks back by a range of values, everything counts.
//! `array_agg` and `string_agg` make of each row what its whole frame has, up to a thousand times of what came in: they get
//! as few rows at a time, not quite as few where another frame of theirs keeps many, and what is made counts until it has come
//! out. Without it `sum(value) OVER ()` over a long series would take all memory there is, and a list of each frame, too.

use std::any::Any;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{ScalarValue, Statistics};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{WindowFrame, WindowFrameBound, WindowFrameUnits};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::window::{SlidingAggregateWindowExpr, WindowExpr};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::StreamExt;
use meetnet_sql::{
    GATHERED_ROWS_MAX,
    sizes::{batch_bytes, wide_bytes},
};

use crate::each_batch::EachBatchExec;

#[cfg(test)]
mod tests;

/// What a window operator makes of a row for each of its functions, beside keeping it: a result, a state (`sliding`: of two
/// columns twice as much).
const ROW_BYTES: u64 = 64;
/// Parts of a batch at most where a frame looks far back: what it looks back to is copied with every part.
const PARTS_LOOKING_BACK_MAX: u64 = 16;
/// Functions that give every value of a frame.
const LISTING: [&str; 2] = ["array_agg", "string_agg"];

/// Charges what goes into a window operator and does not come out.
#[derive(Debug)]
pub(crate) struct HeldRowsExec {
    window: Arc<dyn ExecutionPlan>,
    /// Rows that stay after they have come out; None: all of them.
    kept: Option<u64>,
    results: Results,
    lists: Lists,
}

/// How many results there are of each row.
#[derive(Clone, Copy, Debug)]
struct Results {
    all: u64,
    /// Of these, texts and lists: as large as those that the row has.
    wide: u64,
}

/// What `array_agg` and `string_agg` make of a row: everything in its frame.
#[derive(Clone, Copy, Debug, Default)]
struct Lists {
    /// Values, of all these functions together.
    values: u64,
    /// Bytes of those of them that are numbers.
    numbers_bytes: u64,
    /// How many of them are texts, lists or structs: each as large as those that a row has.
    wide: u64,
    /// Rows wait for many behind them. What waits is copied with every batch that comes in, so these stay as they are.
    waits: bool,
    /// Rows stay for many behind them, and are copied so, too.
    stays: bool,
}

impl Lists {
    fn of(expressions: &[Arc<dyn WindowExpr>]) -> Self {
        let mut lists = Self {
            waits: expressions
                .iter()
                .any(|expression| waits_long(expression.get_window_frame())),
            stays: expressions
                .iter()
                .any(|expression| stays_long(expression.get_window_frame())),
            ..Self::default()
        };
        for expression in expressions {
            let Some(values) = values_listed(expression) else {
                continue;
            };
            let width = expression
                .field()
                .ok()
                .and_then(|field| match field.data_type() {
                    DataType::List(element) => element.data_type().primitive_width(),
                    _ => None,
                });
            lists.values = lists.values.saturating_add(values);
            match width {
                Some(width) => {
                    let bytes = values.saturating_mul(width as u64);
                    lists.numbers_bytes = lists.numbers_bytes.saturating_add(bytes);
                }
                None => lists.wide = lists.wide.saturating_add(values),
            }
        }
        lists
    }

    /// Returns in how many parts an operator gets each batch: as many as it makes times as much of it. None where it gets
    /// the whole.
    fn parts(self) -> Option<NonZeroUsize> {
        if self.waits {
            return None;
        }
        let values = if self.stays {
            self.values.min(PARTS_LOOKING_BACK_MAX)
        } else {
            self.values
        };
        let values = usize::try_from(values).unwrap_or(usize::MAX);
        NonZeroUsize::new(values).filter(|values| values.get() > 1)
    }
}

/// Returns true where a row waits for more rows than a list may have.
fn waits_long(frame: &WindowFrame) -> bool {
    match &frame.end_bound {
        WindowFrameBound::CurrentRow | WindowFrameBound::Preceding(_) => false,
        WindowFrameBound::Following(ScalarValue::UInt64(Some(rows))) => *rows > GATHERED_ROWS_MAX,
        WindowFrameBound::Following(_) => true,
    }
}

/// Returns true where a row stays for more rows behind it than a list may have, or nobody can say for how many.
fn stays_long(frame: &WindowFrame) -> bool {
    rows_kept(frame).is_none_or(|rows| rows > GATHERED_ROWS_MAX)
}

/// Returns how many values a function that lists them makes of each row; None for all other functions.
fn values_listed(expression: &Arc<dyn WindowExpr>) -> Option<u64> {
    let sliding: &SlidingAggregateWindowExpr = expression.as_any().downcast_ref()?;
    if !LISTING.contains(&sliding.get_aggregate_expr().fun().name()) {
        return None;
    }
    let frame = expression.get_window_frame();
    let offset = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::CurrentRow => 0,
        WindowFrameBound::Preceding(ScalarValue::UInt64(Some(rows)))
        | WindowFrameBound::Following(ScalarValue::UInt64(Some(rows))) => *rows,
        // A longer one is refused before anything is planned.
        WindowFrameBound::Preceding(_) | WindowFrameBound::Following(_) => GATHERED_ROWS_MAX,
    };
    let rows = offset(&frame.start_bound).saturating_add(offset(&frame.end_bound));
    Some(rows.saturating_add(1))
}

impl HeldRowsExec {
    pub(crate) fn new(window: Arc<dyn ExecutionPlan>) -> Self {
        let expressions = expressions(window.as_ref());
        let kept = expressions
            .iter()
            .map(|expression| rows_kept(expression.get_window_frame()))
            .try_fold(0, |most: u64, rows| Some(most.max(rows?)));
        let wide = expressions.iter().filter(|expression| is_wide(expression));
        let pairs = expressions
            .iter()
            .filter(|expression| slides_over_pairs(expression));
        let results = Results {
            all: (expressions.len() + pairs.count()) as u64,
            wide: wide.count() as u64,
        };
        let lists = Lists::of(expressions);
        Self {
            window,
            kept,
            results,
            lists,
        }
    }
}

/// Returns the functions of a window operator.
fn expressions(window: &dyn ExecutionPlan) -> &[Arc<dyn WindowExpr>] {
    let window: &dyn Any = window;
    if let Some(bounded) = window.downcast_ref::<BoundedWindowAggExec>() {
        bounded.window_expr()
    } else if let Some(whole) = window.downcast_ref::<WindowAggExec>() {
        whole.window_expr()
    } else {
        &[]
    }
}

/// Returns true for a function whose result may be of any size.
fn is_wide(expression: &Arc<dyn WindowExpr>) -> bool {
    let field = expression.field();
    field.is_ok_and(|field| field.data_type().primitive_width().is_none())
}

/// Returns true for a function of two columns over a frame that moves.
fn slides_over_pairs(expression: &Arc<dyn WindowExpr>) -> bool {
    let sliding = expression
        .as_any()
        .downcast_ref::<SlidingAggregateWindowExpr>();
    sliding.is_some_and(|sliding| sliding.expressions().len() > 1)
}

/// Returns how many rows a frame looks back to; None: nobody can say.
fn rows_kept(frame: &WindowFrame) -> Option<u64> {
    match &frame.start_bound {
        // Without a limit it is a sum that goes on.
        WindowFrameBound::Preceding(offset) if offset.is_null() => Some(0),
        WindowFrameBound::Preceding(ScalarValue::UInt64(Some(rows)))
            if frame.units == WindowFrameUnits::Rows =>
        {
            Some(*rows)
        }
        WindowFrameBound::Preceding(_) => None,
        WindowFrameBound::CurrentRow | WindowFrameBound::Following(_) => Some(0),
    }
}

/// What one partition holds.
#[derive(Debug)]
struct Held {
    reservation: MemoryReservation,
    what: What,
    kept: Option<u64>,
    /// Rows that have come out and are charged still.
    came_out: AtomicU64,
    /// Rows and bytes that are charged.
    rows: AtomicU64,
    bytes: AtomicU64,
}

/// What is held of each row.
#[derive(Clone, Copy, Debug)]
enum What {
    /// Itself, and a result of each function.
    Rows(Results),
    /// What functions list of its frame.
    Lists(Lists),
}

impl What {
    fn bytes(self, batch: &RecordBatch) -> u64 {
        let rows = batch.num_rows() as u64;
        match self {
            Self::Rows(results) => {
                let numbers = rows.saturating_mul(ROW_BYTES * results.all);
                let texts = wide_bytes(batch).saturating_mul(results.wide);
                batch_bytes(batch).saturating_add(numbers.saturating_add(texts))
            }
            // Most windows list nothing, and are not looked at a second time.
            Self::Lists(lists) if lists.values == 0 => 0,
            Self::Lists(lists) => {
                let numbers = rows.saturating_mul(lists.numbers_bytes);
                numbers.saturating_add(wide_bytes(batch).saturating_mul(lists.wide))
            }
        }
    }
}

impl Held {
    fn new(partition: usize, context: &TaskContext, what: What, kept: Option<u64>) -> Self {
        let consumer = MemoryConsumer::new(format!("window[{partition}]"));
        Self {
            reservation: consumer.register(context.memory_pool()),
            what,
            kept,
            came_out: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    fn charge(&self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows() as u64;
        let bytes = self.what.bytes(batch);
        self.reservation.try_grow(bytes as usize)?;
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Takes the share of rows that have come out off what is charged, but for those that stay.
    fn discharge(&self, rows: u64) {
        let Some(kept) = self.kept else {
            return;
        };
        let came_out = self.came_out.load(Ordering::Relaxed).saturating_add(rows);
        let rows = came_out.saturating_sub(kept);
        self.came_out.store(came_out - rows, Ordering::Relaxed);
        let held_rows = self.rows.load(Ordering::Relaxed);
        let held_bytes = self.bytes.load(Ordering::Relaxed);
        let rows = rows.min(held_rows);
        let share = u128::from(held_bytes) * u128::from(rows) / u128::from(held_rows.max(1));
        // A share of a number is no larger than the number.
        let bytes = share as u64;
        self.rows.fetch_sub(rows, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.reservation.shrink(bytes as usize);
    }
}

impl DisplayAs for HeldRowsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeldRowsExec")
    }
}

impl ExecutionPlan for HeldRowsExec {
    fn name(&self) -> &str {
        "HeldRowsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.window.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.window]
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
            Some(window) => Ok(Arc::new(Self::new(window))),
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
        let held = [
            Held::new(partition, &context, What::Rows(self.results), self.kept),
            // A list is given on with its row, also where the row stays.
            Held::new(partition, &context, What::Lists(self.lists), Some(0)),
        ];
        let held = Arc::new(held);
        // What goes in is charged. This is put in behind all planning: no rule sees it.
        let children = self.window.children().into_iter().map(|child| {
            let held = Arc::clone(&held);
            let charge =
                move |batch: &RecordBatch| held.iter().try_for_each(|held| held.charge(batch));
            let mut input = Arc::clone(child);
            if let Some(parts) = self.lists.parts() {
                input = Arc::new(EachBatchExec::split_for(input, parts));
            }
            let charged = EachBatchExec::new("ChargedExec", input, charge);
            Arc::new(charged) as Arc<dyn ExecutionPlan>
        });
        let anew = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        let window = Arc::clone(&self.window).replace_children(children.collect(), anew)?;
        // A window over all rows gives all of them at once.
        let window = EachBatchExec::split(window);
        let output = window.execute(partition, context)?;
        let schema = output.schema();
        let output = output.inspect(move |batch| {
            if let Ok(batch) = batch {
                let rows = batch.num_rows() as u64;
                held.iter().for_each(|held| held.discharge(rows));
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, output)))
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
