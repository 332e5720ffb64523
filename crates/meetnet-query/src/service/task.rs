//! One running query: planned, run, cut at its limits, sent batch by batch.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use datafusion::common::SchemaError;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{InListExpr, Literal};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::CrossJoinExec;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::union::{InterleaveExec, UnionExec};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use meetnet_lake::damage::Damage;
use meetnet_model::quantity::SizeText;
use meetnet_sql::{CallShare, balanced, guarded, sizes::batch_bytes};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, warn};

use super::counted::Counted;
use super::{Shared, classified};
use crate::admission::Place;
use crate::answer::{AnswerHeader, Outcome, timeout_error};
use crate::catalog::SnapshotTables;
use crate::described_columns::described_columns;
use crate::each_batch::EachBatchExec;
use crate::error::{QueryError, QueryErrorKind, from_datafusion, of_subquery};
use crate::hints;
use crate::in_turn::UnionInTurnExec;
use crate::looked_up::each_once;
use crate::options::QueryRequest;
use crate::planning::{Planned, is_about_a_plan, planned, with_json};
use crate::reach::Reach;
use crate::room::QueryRoom;
use crate::serial::reads_little;
use crate::session::PlannedSorts;
use crate::stop::StopFlag;
use crate::table::fetched::ScanRoom;
use crate::table::order::WantedOrder;
use crate::table::reader::NoticedFiles;
use crate::table::schema::units_of;
use crate::wide_rows;

/// Up to here the row limit is part of the plan. Above, it would turn a sort into a heap of that many rows; then
/// the task stops reading instead, which costs the scan nothing either.
const PLANNED_LIMIT_MAX: usize = 10_000;

/// Bytes that the large literals of a statement may take in one batch, all together.
const LITERALS_BYTES_MAX: usize = 32 << 20;
/// Size from which a literal is a large one, itself included: what is smaller takes no more than a number does.
const LITERAL_BYTES_FREE: usize = 96;

/// Steps of a plan that give every row that they get, up to those that they stop after.
const KEEPS_ROWS: [&str; 15] = [
    "BoundedWindowAggExec",
    "BufferExec",
    "CoalesceBatchesExec",
    "CoalescePartitionsExec",
    "CooperativeExec",
    "GlobalLimitExec",
    "HeldRowsExec",
    "LocalLimitExec",
    "ProjectionExec",
    "RepartitionExec",
    "ScalarSubqueryExec",
    "SortExec",
    "SortExec(TopK)",
    "SortPreservingMergeExec",
    "WindowAggExec",
];

/// Between two looks whether others have left room for a batch.
const ROOM_PERIOD: Duration = Duration::from_millis(20);

/// The time a query may still work. Waiting for its reader does not count.
#[derive(Debug)]
pub(super) struct WorkClock {
    left: Duration,
    limit: Duration,
}

impl WorkClock {
    pub(super) fn new(limit: Duration) -> Self {
        Self { left: limit, limit }
    }

    async fn run<T>(&mut self, work: impl Future<Output = T>) -> Result<T, QueryError> {
        let started = Instant::now();
        let done = tokio::time::timeout(self.left, work).await;
        self.left = self.left.saturating_sub(started.elapsed());
        match done {
            Ok(value) => Ok(value),
            Err(_) => Err(timeout_error(self.limit)),
        }
    }
}

/// How large one answer may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerLimits {
    pub(super) rows: usize,
    pub(super) bytes: u64,
}

/// One running query.
pub(super) struct Task {
    pub(super) limits: AnswerLimits,
    pub(super) place: Place,
    /// None once it is counted.
    pub(super) counted: Option<Counted>,
    pub(super) stop: StopFlag,
    pub(super) shared: Arc<Shared>,
    pub(super) request: QueryRequest,
    pub(super) clock: WorkClock,
    /// None once rows may have reached the client.
    pub(super) header: Option<oneshot::Sender<AnswerHeader>>,
    /// What the query may have.
    pub(super) room: QueryRoom,
    /// Says that there is another batch among those that are unread.
    pub(super) sender: mpsc::Sender<()>,
    pub(super) outcome: Arc<Outcome>,
    pub(super) started: Instant,
}

impl Task {
    pub(super) async fn run(mut self) {
        let noticed = Arc::new(NoticedFiles::within(self.room.memory_bytes_max));
        let mut result = self.attempt(&noticed).await;
        let mut unusable = noticed.take_unusable().filter(|_| result.is_err());
        if let Some((path, damage)) = &unusable
            && self.header.is_some()
            && (*damage == Damage::Missing || self.shared.live_file(path.as_ref()).is_none())
        {
            // Vacuum, or a repair, was faster than this reader. The newest snapshot does not name the file any more.
            result = self.attempt(&noticed).await;
            unusable = noticed.take_unusable().filter(|_| result.is_err());
        }
        let result = match (result, unusable) {
            (Err(_), Some((path, damage))) => Err(self.shared.unusable(path.as_ref(), damage)),
            (Err(error), None) if error.is_of_reading() => {
                let failure = noticed.take_store_failure();
                Err(self.shared.of_reading(error, failure, &noticed).await)
            }
            (result, _) => result,
        };
        self.report(&result);
        if result.is_err() {
            // The rows before it are still to be read: they take a place, memory and time as those of a whole answer do.
            let _ = self.read_out().await;
        }
        // Nobody else sets the end, and it is set before the channel closes with `self`.
        let _ = self.outcome.end.set(result);
        // Whoever has read the last row may ask again at once.
        drop(self.place);
    }

    fn report(&mut self, result: &Result<(), QueryError>) {
        let elapsed_ms = self.started.elapsed().as_millis() as u64;
        let end = match result {
            Ok(()) => Some("ok"),
            // Nobody waits for it any more, and that ended it.
            Err(_) if self.stop.is_raised() => None,
            Err(error) => Some(error.kind.as_str()),
        };
        let counted = self.counted.take();
        let kind = counted.map(|counted| counted.ended(end));
        metrics::histogram!("meetnet_query_seconds").record(self.started.elapsed().as_secs_f64());
        match result {
            Err(error) if error.kind == QueryErrorKind::Internal => {
                let cause = std::error::Error::source(error).map(ToString::to_string);
                error!(
                    kind,
                    elapsed_ms,
                    problem = error.message,
                    cause,
                    sql = self.request.sql,
                    "query failed"
                );
            }
            Err(error) if error.kind == QueryErrorKind::SnapshotExpired => {
                warn!(kind, elapsed_ms, "files were removed under a query");
            }
            // Nobody has to mend anything, and each query says so again while it lasts.
            Err(error) if error.kind == QueryErrorKind::StoreUnavailable => {
                let cause = std::error::Error::source(error).map(ToString::to_string);
                warn!(
                    kind,
                    elapsed_ms, cause, "the store did not give a query its files"
                );
            }
            _ => debug!(kind, elapsed_ms, "query ended"),
        }
    }

    /// Plans and runs the statement on the newest snapshot.
    async fn attempt(&mut self, noticed: &Arc<NoticedFiles>) -> Result<(), QueryError> {
        let shared = Arc::clone(&self.shared);
        let tables = shared.tables(&self.request, noticed);
        let classify = |error: DataFusionError| classified(error, &tables);

        let mut session = shared
            .sessions
            .session(Arc::clone(&tables), &self.stop)
            .map_err(classify)?;
        let planned = planned(&session, &self.request, &tables, &shared.options);
        let planned = self.clock.run(planned).await?;
        let Planned {
            plan, names, json, ..
        } = planned
            .and_then(|planned| planned.with_values(&self.request.parameters))
            .map_err(classify)?;
        let reach = Reach::of_plan(&plan, &tables);
        let hints = hints::of_plan(&plan, &tables);
        let row_limit = self.limits.rows;
        let plan = with_limit(plan, row_limit).map_err(classify)?;
        let physical = self.physical(&plan, &mut session, &tables).await?;
        if self.request.whole && has_more_rows(physical.as_ref(), row_limit) {
            return Err(QueryError::new(
                QueryErrorKind::TooLarge,
                format!(
                    "the answer has more than the {row_limit} rows that one answer may have; narrow it, ask for {row_limit} \
                     rows by LIMIT, or download the dataset's files"
                ),
            ));
        }
        let schema = names.of(with_json(physical.schema(), &json));
        let units = units_of(&schema);
        let header = AnswerHeader {
            schema,
            units,
            as_of: self.request.as_of,
            reach,
            hints,
        };
        let context = shared
            .sessions
            .task_context(&session, &self.room, physical.as_ref());
        let context = context.map_err(classify)?;
        noticed.charge_to(ScanRoom::new(
            context.memory_pool(),
            self.room.memory_bytes_max,
        ));
        let stream = execute_stream(physical, context).map_err(classify)?;
        let shown = |batch: Result<RecordBatch, DataFusionError>| {
            batch.and_then(|batch| names.shown(batch)).map_err(classify)
        };
        // What the work holds goes before the reader has come to the end.
        self.answer(stream, &header, shown).await?;
        self.read_out().await
    }

    /// Plans how a statement runs: in batches of no more rows than what its calls, literals and columns make of each leaves room
    /// for.
    async fn physical(
        &mut self,
        plan: &LogicalPlan,
        session: &mut SessionState,
        tables: &SnapshotTables,
    ) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
        let classify = |error: DataFusionError| classified(error, tables);
        session
            .config_mut()
            .set_extension(Arc::new(WantedOrder::of_plan(plan)));
        let rows = session.config().batch_size();
        if let Some(share) = session.config().options().extensions.get::<CallShare>() {
            share.count(plan).map_err(classify)?;
            let rows = share.batch_rows(rows);
            limit_batches(session, rows);
        }

        let optimized = self.clock.run(async { session.optimize(plan) }).await?;
        let is_correlated = is_correlated(plan);
        // The names of the statement were found before: these are of the optimizer, which has taken a subquery apart.
        let of_planned = |error: DataFusionError| match is_correlated && lacks_column(&error) {
            true => of_subquery().with_source(error),
            false => classify(error),
        };
        let plan = optimized.map_err(of_planned)?;
        let plan = guarded(plan).and_then(each_once).and_then(balanced);
        let plan = plan.map_err(classify)?;
        if reads_little(&plan, self.shared.options.serial_rows_max) {
            let options = session.config_mut().options_mut();
            options.execution.target_partitions = 1;
        }
        if let LogicalPlan::DescribeTable(table) = &plan {
            return described_columns(table).map_err(classify);
        }
        let planner = Arc::clone(session.query_planner());
        let physical = planner.create_physical_plan(&plan, &*session);
        let physical = self.clock.run(physical).await?.map_err(of_planned)?;
        let planned_rows = session.config().batch_size();
        let rows = wide_rows::batch_rows(&physical, planned_rows).map_err(classify)?;
        let rows = batch_rows(&physical, rows).map_err(classify)?;
        let memory_bytes_max = self.room.memory_bytes_max;
        let rows = PlannedSorts::of(physical.as_ref()).batch_rows(memory_bytes_max, rows);
        if rows < planned_rows {
            limit_batches(session, rows);
        }
        Ok(physical)
    }

    /// Hands the batches of a plan to the reader, up to the limits of an answer; `shown` makes what clients are shown of them.
    async fn answer(
        &mut self,
        mut stream: SendableRecordBatchStream,
        header: &AnswerHeader,
        shown: impl Fn(Result<RecordBatch, DataFusionError>) -> Result<RecordBatch, QueryError>,
    ) -> Result<(), QueryError> {
        let row_limit = self.limits.rows;
        let (mut rows, mut bytes) = (0, 0_u64);
        while let Some(batch) = self.clock.run(stream.next()).await? {
            let batch = shown(batch)?;
            if batch.num_rows() == 0 {
                continue;
            }
            let left = row_limit - rows;
            let over = batch.num_rows() > left;
            let batch = if over { batch.slice(0, left) } else { batch };
            rows += batch.num_rows();
            let of_batch = batch_bytes(&batch);
            bytes = bytes.saturating_add(of_batch);
            if bytes > self.limits.bytes {
                return Err(self.too_many_bytes());
            }
            if over {
                self.outcome.truncated.store(true, Ordering::Release);
            }
            // Before the header: who has no room is refused, and gets no answer that breaks off.
            let counted = self.counted(of_batch).await?;
            self.send_header(header);
            if batch.num_rows() > 0 {
                let batch_rows = batch.num_rows() as u64;
                self.send(batch, counted).await?;
                if let Some(counted) = &mut self.counted {
                    counted.add(batch_rows, of_batch);
                }
            }
            if over {
                break;
            }
        }
        self.send_header(header);
        Ok(())
    }

    /// A caller that went away drops the receiver and stops this task: nothing to do here.
    fn send_header(&mut self, header: &AnswerHeader) {
        if let Some(sender) = self.header.take() {
            let _ = sender.send(header.clone());
        }
    }

    /// Hands a batch to the reader, with what counts its bytes.
    async fn send(
        &mut self,
        batch: RecordBatch,
        counted: MemoryReservation,
    ) -> Result<(), QueryError> {
        let sender = self.sender.clone();
        let Ok(permit) = self.reader(sender.reserve_owned()).await? else {
            let message = "the client stopped reading";
            return Err(QueryError::new(QueryErrorKind::Timeout, message));
        };
        self.outcome.unread.push(batch, counted);
        permit.send(());
        self.place.take().await
    }

    /// Counts bytes of the answer as held by the client. Where there is no room for them, its reader is waited for first: what
    /// that has not taken yet may be in the way. Where others are, whoever has got nothing yet is refused.
    async fn counted(&mut self, bytes: u64) -> Result<MemoryReservation, QueryError> {
        let counted = self.room.client.answer();
        // No answer has more bytes than memory has addresses.
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX / 2);
        let refused = loop {
            let Err(error) = counted.try_grow(bytes) else {
                return Ok(counted);
            };
            if !self.outcome.unread.holds_any() {
                break error;
            }
            self.reader_moves().await?;
        };
        let has_begun = self.header.is_none();
        if has_begun && self.finds_room(&counted, bytes).await {
            return Ok(counted);
        }
        Err(from_datafusion(refused, &[]))
    }

    /// Waits until others leave room for a batch, as long as for a place: half an answer is nothing. Returns false where they
    /// do not.
    async fn finds_room(&mut self, counted: &MemoryReservation, bytes: usize) -> bool {
        let options = &self.shared.options;
        let found = async {
            while counted.try_grow(bytes).is_err() {
                tokio::time::sleep(ROOM_PERIOD).await;
            }
        };
        let found = tokio::time::timeout(options.again_time_max(), found);
        let found = self.place.wait(options.unread_time_max, found).await;
        matches!(found, Ok(Ok(())))
    }

    /// Waits until the reader has taken everything. Until then the answer is one of those that its client may have: it holds
    /// memory, and goes where nobody reads it.
    async fn read_out(&mut self) -> Result<(), QueryError> {
        while self.outcome.unread.is_waiting() {
            self.reader_moves().await?;
        }
        Ok(())
    }

    /// Waits until the reader has taken a batch, or is done with one.
    async fn reader_moves(&mut self) -> Result<(), QueryError> {
        let outcome = Arc::clone(&self.outcome);
        self.reader(async move { outcome.unread.moved().await })
            .await
    }

    /// Waits for what the reader does. While that takes long, the place is somebody else's; where it takes too long, what
    /// nobody has read goes.
    async fn reader<T>(&mut self, reading: impl Future<Output = T>) -> Result<T, QueryError> {
        let options = &self.shared.options;
        let left = options
            .answer_time_max
            .saturating_sub(self.started.elapsed());
        let time_max = options.stall_time_max.min(left);
        let reading = tokio::time::timeout(time_max, reading);
        let error = match self.place.wait(options.unread_time_max, reading).await {
            Ok(Ok(done)) => return Ok(done),
            Err(error) => error,
            Ok(Err(_)) => {
                let message = if time_max < options.stall_time_max {
                    format!(
                        "the client took longer than {} s to read the answer; ask for less at a time",
                        options.answer_time_max.as_secs_f64()
                    )
                } else {
                    format!("the client read nothing for {} s", time_max.as_secs_f64())
                };
                QueryError::new(QueryErrorKind::Timeout, message)
            }
        };
        self.outcome.unread.give_up();
        Err(error)
    }

    fn too_many_bytes(&self) -> QueryError {
        QueryError::new(
            QueryErrorKind::TooLarge,
            format!(
                "the answer has more than {}, which is the most; narrow it, ask for fewer columns, or download the \
                 dataset's files",
                SizeText(self.limits.bytes).exact()
            ),
        )
    }
}

pub(super) fn expired() -> QueryError {
    QueryError::new(
        QueryErrorKind::SnapshotExpired,
        "files of the snapshot were removed while they were read; ask again",
    )
}

fn limit_batches(session: &mut SessionState, rows: usize) {
    let config = session.config().clone().with_batch_size(rows);
    *session.config_mut() = config;
}

/// Returns how many rows a batch may have, `rows` at the most: a literal is repeated for each of them, and each takes its own
/// room.
fn batch_rows(plan: &Arc<dyn ExecutionPlan>, rows: usize) -> Result<usize, DataFusionError> {
    let mut all = 1_usize;
    plan.apply(|node| {
        node.apply_expressions(&mut |expr| {
            all = all.saturating_add(literals_bytes(expr)?);
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    let most = (LITERALS_BYTES_MAX / all).max(1);
    Ok(most.min(rows))
}

/// Returns the size of the large literals in an expression. Those of a list behind IN are looked up, not repeated.
fn literals_bytes(expr: &Arc<dyn PhysicalExpr>) -> Result<usize, DataFusionError> {
    let is_literal = |expr: &Arc<dyn PhysicalExpr>| {
        let expr: &dyn Any = expr.as_ref();
        expr.is::<Literal>()
    };
    let mut all = 0_usize;
    expr.apply(|expr| {
        let node: &dyn Any = expr.as_ref();
        if let Some(list) = node.downcast_ref::<InListExpr>() {
            let others = list.list().iter().filter(|value| !is_literal(value));
            for other in others.chain([list.expr()]) {
                all = all.saturating_add(literals_bytes(other)?);
            }
            return Ok(TreeNodeRecursion::Jump);
        }
        if let Some(literal) = node.downcast_ref::<Literal>() {
            let bytes = literal.value().size();
            if bytes > LITERAL_BYTES_FREE {
                all = all.saturating_add(bytes);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(all)
}

/// Returns true for a plan that certainly makes more than `row_limit` rows.
fn has_more_rows(plan: &dyn ExecutionPlan, row_limit: usize) -> bool {
    rows_at_least(plan) > row_limit
}

/// Returns a number of rows that a plan makes at the least: of what nobody knows before, none.
///
/// The statistics of the whole plan do not tell. A scan of files that stops after so many rows says nevertheless that it makes
/// all rows of the files that it begins with, and what stands above it multiplies and adds these.
fn rows_at_least(plan: &dyn ExecutionPlan) -> usize {
    let steps = plan.children();
    let is_source = steps.is_empty();
    let mut steps = steps.into_iter().map(|step| rows_at_least(step.as_ref()));
    let made = if is_source {
        known_rows(plan).unwrap_or(0)
    } else if is_union(plan) {
        steps.fold(0, usize::saturating_add)
    } else if plan.is::<CrossJoinExec>() {
        steps.fold(1, usize::saturating_mul)
    } else if keeps_rows(plan) {
        // What it has beside its rows makes single values.
        steps.next().unwrap_or(0)
    } else {
        usize::from(makes_a_row(plan))
    };
    let skipped = plan
        .downcast_ref::<GlobalLimitExec>()
        .map_or(0, GlobalLimitExec::skip);
    let made = made.saturating_sub(skipped);
    // Where each of its parts stops by itself, one may have all rows.
    plan.fetch().map_or(made, |rows| made.min(rows))
}

/// Returns true for a step that gives every row that it gets, up to those that it stops after.
fn keeps_rows(plan: &dyn ExecutionPlan) -> bool {
    KEEPS_ROWS.contains(&plan.name()) || plan.is::<EachBatchExec>()
}

/// Returns true for a step that makes a row of any rows, and of none.
fn makes_a_row(plan: &dyn ExecutionPlan) -> bool {
    plan.downcast_ref::<AggregateExec>()
        .is_some_and(|aggregate| aggregate.group_expr().is_true_no_grouping())
}

fn is_union(plan: &dyn ExecutionPlan) -> bool {
    plan.is::<UnionExec>() || plan.is::<InterleaveExec>() || plan.is::<UnionInTurnExec>()
}

/// Returns the number of rows of a source where statistics tell it exactly.
fn known_rows(plan: &dyn ExecutionPlan) -> Option<usize> {
    let statistics = StatisticsContext::new().compute(plan, &StatisticsArgs::new());
    match statistics.ok()?.num_rows {
        Precision::Exact(rows) => Some(rows),
        _ => None,
    }
}

/// Asks for one row more than the limit, so that a cut answer is known as one.
fn with_limit(plan: LogicalPlan, row_limit: usize) -> Result<LogicalPlan, DataFusionError> {
    if is_about_a_plan(&plan) || row_limit > PLANNED_LIMIT_MAX {
        return Ok(plan);
    }
    LogicalPlanBuilder::from(plan)
        .limit(0, Some(row_limit + 1))?
        .build()
}

/// Returns true for a plan with a subquery that names columns of the query around it.
fn is_correlated(plan: &LogicalPlan) -> bool {
    let is_of_outer = |expr: &Expr| Ok(matches!(expr, Expr::OuterReferenceColumn(..)));
    let mut is_correlated = false;
    // Nothing in it ends with an error.
    let _ = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            is_correlated = is_correlated || expr.exists(is_of_outer)?;
            Ok(TreeNodeRecursion::Continue)
        })
    });
    is_correlated
}

/// Returns true for the error of a column that is not there.
fn lacks_column(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::SchemaError(error, _) => {
            matches!(**error, SchemaError::FieldNotFound { .. })
        }
        _ => false,
    }
}
