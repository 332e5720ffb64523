//! The query service: takes a statement, answers from one snapshot, on a runtime of its own.
//!
//! ```text
//! check text ─▶ admission ─▶ [ snapshot ─▶ plan ─▶ check plan ─▶ run ─▶ row limit ─▶ channel ]  own runtime
//!                              ▲ once more on the newest snapshot where a file was gone before the first row
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use datafusion::common::stats::Precision;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::StreamExt;
use meetnet_lake::damage::{self, Damage};
use meetnet_lake::snapshot::{LiveFile, SharedSnapshot};
use meetnet_lake::storage::TableFolder;
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tracing::{debug, error, warn};

use crate::admission::Admission;
use crate::answer::{AnswerHeader, AnswerStream, Outcome, QueryAnswer, StopOnDrop, timeout_error};
use crate::catalog::SnapshotTables;
use crate::error::{QueryError, QueryErrorKind};
use crate::guard;
use crate::latest::LatestCache;
use crate::options::{QueryOptions, QueryRequest};
use crate::planning::{StatementDescription, described, planned};
use crate::reach::Reach;
use crate::session::Sessions;
use crate::table::order::WantedOrder;
use crate::table::prepared::PreparedTables;
use crate::table::reader::NoticedFiles;
use crate::table::schema::UNIT_KEY;

/// How much longer than the time limit the caller waits for the task to notice it by itself.
const GRACE: Duration = Duration::from_millis(500);
/// Stack of a thread. A plan is copied and dropped level by level, and a statement of 2000 operators makes as many levels;
/// the system gives only the pages that are used.
pub(crate) const STACK_BYTES: usize = 16 << 20;
/// Up to here the row limit is part of the plan. Above, it would turn a sort into a heap of that many rows; then
/// the task stops reading instead, which costs the scan nothing either.
const PLANNED_LIMIT_MAX: usize = 10_000;

/// Answers SQL over the newest snapshot; cheaply cloned.
#[derive(Clone, Debug)]
pub struct QueryService {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    /// Taken on drop only: a runtime must not be dropped where tasks run.
    runtime: Option<Runtime>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What the tasks of queries use.
#[derive(Debug)]
struct Shared {
    options: QueryOptions,
    snapshot: SharedSnapshot,
    sessions: Sessions,
    prepared: Arc<PreparedTables>,
    admission: Admission,
    latest: LatestCache,
}

impl Shared {
    /// How long a request may work.
    fn time_max(&self, request: &QueryRequest) -> Duration {
        let most = self.options.query_time_max;
        request.time_max.map_or(most, |asked| asked.min(most))
    }

    /// Returns the tables that a request may read, at the newest snapshot.
    fn tables(&self, request: &QueryRequest, noticed: &Arc<NoticedFiles>) -> Arc<SnapshotTables> {
        Arc::new(SnapshotTables {
            snapshot: self.snapshot.load_full(),
            session: request.session,
            as_of: request.as_of,
            licences: request.licences.clone(),
            dialect: request.dialect,
            prepared: Arc::clone(&self.prepared),
            registry: Arc::clone(self.sessions.registry()),
            metadata_cache: self.sessions.metadata_cache(),
            noticed: Arc::clone(noticed),
            ordered_groups_max: self.options.ordered_groups_max,
            is_unsteady: AtomicBool::new(false),
        })
    }

    /// Plans a statement without running it.
    async fn describe(
        &self,
        request: &QueryRequest,
        known: &[Option<DataType>],
    ) -> Result<StatementDescription, QueryError> {
        let tables = self.tables(request, &Arc::new(NoticedFiles::default()));
        let session = self.sessions.session(Arc::clone(&tables));
        let session = session.map_err(|error| classified(error, &tables))?;
        described(&session, request, &tables, &self.options, known)
            .await
            .map_err(|error| classified(error, &tables))
    }

    /// Returns the file at a path that starts at the lake, where the newest snapshot names it.
    fn live_file(&self, path: &str) -> Option<(TableFolder, Arc<LiveFile>)> {
        let snapshot = self.snapshot.load();
        snapshot.tables.values().find_map(|table| {
            let of_table = path.strip_prefix(table.folder.name())?.strip_prefix('/')?;
            let file = table.files.iter().find(|file| *file.path == *of_table)?;
            Some((table.folder.clone(), Arc::clone(file)))
        })
    }

    /// What a file that was not there means: removed under the reader, or lost.
    fn gone(&self, path: &str) -> QueryError {
        match self.live_file(path) {
            Some(_) => QueryError::broken_file(path, Damage::Missing),
            None => expired(),
        }
    }

    /// Names the file that could not be read: errors come here without it.
    async fn with_broken_file(&self, error: QueryError, noticed: &NoticedFiles) -> QueryError {
        let opened: Vec<_> = noticed
            .opened()
            .into_iter()
            .filter_map(|path| Some((self.live_file(path.as_ref())?, path)))
            .collect();
        let examined = tokio::task::spawn_blocking(move || {
            opened.into_iter().find_map(|((folder, file), path)| {
                let damage = damage::examine(&folder, &file).ok()??;
                Some(QueryError::broken_file(path.as_ref(), damage))
            })
        });
        match examined.await {
            Ok(Some(broken)) => broken.with_source(error),
            // Nothing is wrong with the files, or the storage does not answer.
            _ => error,
        }
    }
}

impl QueryService {
    /// Starts the service: threads, caches and functions. Reads nothing from the lake yet.
    ///
    /// # Errors
    /// `Internal` where threads or the folder for temporary files cannot be made.
    pub fn new(options: QueryOptions, snapshot: SharedSnapshot) -> Result<Self, QueryError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(options.threads.max(1))
            .thread_name("query")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|error| QueryError::internal("starting threads", error))?;
        let sessions = Sessions::try_new(&options)
            .map_err(|error| QueryError::internal("starting the query engine", error))?;
        let shared = Shared {
            admission: Admission::new(
                options.running_max,
                options.queued_max,
                options.queue_time_max,
            ),
            prepared: Arc::new(PreparedTables::new(
                Arc::clone(sessions.registry()),
                sessions.metadata_cache(),
            )),
            sessions,
            snapshot,
            options,
            latest: LatestCache::default(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                shared: Arc::new(shared),
                runtime: Some(runtime),
            }),
        })
    }

    /// Returns the pointer the service reads snapshots from.
    pub fn snapshot(&self) -> &SharedSnapshot {
        &self.inner.shared.snapshot
    }

    /// Returns how many more queries would be taken now: to run at once, or to wait for their turn.
    pub fn places_left(&self) -> usize {
        self.inner.shared.admission.places_left()
    }

    /// Returns the newest rows of series, as far as somebody has asked for them.
    pub(crate) fn latest_cache(&self) -> &LatestCache {
        &self.inner.shared.latest
    }

    /// Returns the limits in force.
    pub fn options(&self) -> &QueryOptions {
        &self.inner.shared.options
    }

    /// Says what a statement takes and answers, without running it: the same checks, limits and admission as for
    /// [`Self::query`]. `known` are types of parameters that the client has named. Needs a tokio runtime with time.
    ///
    /// # Errors
    /// As [`Self::query`], where the statement cannot be planned.
    pub async fn describe(
        &self,
        request: QueryRequest,
        known: Vec<Option<DataType>>,
    ) -> Result<StatementDescription, QueryError> {
        let shared = Arc::clone(&self.inner.shared);
        guard::check_request(&request, &shared.options)?;
        let permit = shared.admission.admit().await?;
        let time_max = shared.time_max(&request);
        let task = self.runtime().spawn(async move {
            let described = shared.describe(&request, &known).await;
            drop(permit);
            described
        });
        let _stop = StopOnDrop::new(task.abort_handle(), self.clone());
        match tokio::time::timeout(time_max, task).await {
            Ok(Ok(described)) => described,
            Ok(Err(died)) => Err(QueryError::internal("planning", died)),
            Err(_elapsed) => Err(timeout_error(time_max)),
        }
    }

    fn runtime(&self) -> &Runtime {
        self.inner
            .runtime
            .as_ref()
            .expect("the runtime lives as long as the service")
    }

    /// Answers one statement. Returns with the first batch, or the end, or the error before it; the work goes on
    /// while the answer is read and stops when it is dropped. Needs a tokio runtime with time.
    ///
    /// # Errors
    /// Every kind of [`QueryErrorKind`]; errors after the first batch come through the answer.
    pub async fn query(&self, request: QueryRequest) -> Result<QueryAnswer, QueryError> {
        let shared = Arc::clone(&self.inner.shared);
        let started = Instant::now();
        guard::check_request(&request, &shared.options)?;
        let permit = shared.admission.admit().await?;
        let time_max = shared.time_max(&request);

        let (header_sender, header) = oneshot::channel();
        let (sender, receiver) = mpsc::channel(shared.options.answer_batches_max.max(1));
        let outcome = Arc::new(Outcome::default());
        let task = Task {
            shared,
            request,
            clock: WorkClock {
                left: time_max,
                limit: time_max,
            },
            header: Some(header_sender),
            sender,
            outcome: Arc::clone(&outcome),
            started,
        };
        let running = self.runtime().spawn(task.run(permit));
        let stop = StopOnDrop::new(running.abort_handle(), self.clone());
        let patience = time_max + GRACE;
        match tokio::time::timeout(patience, header).await {
            Ok(Ok(header)) => {
                let batches = AnswerStream::new(receiver, outcome, stop, patience);
                Ok(QueryAnswer::new(header, batches))
            }
            Ok(Err(_closed)) => Err(match outcome.end.get() {
                Some(Err(error)) => error.clone(),
                _ => QueryError::new(
                    QueryErrorKind::Internal,
                    "the query died inside the server; the server's log has the cause",
                ),
            }),
            Err(_elapsed) => Err(timeout_error(time_max)),
        }
    }
}

fn classified(error: DataFusionError, tables: &SnapshotTables) -> QueryError {
    let names: Vec<String> = tables.names().collect();
    QueryError::from_datafusion(error, &names)
}

/// The time a query may still work. Waiting for its reader does not count.
#[derive(Debug)]
struct WorkClock {
    left: Duration,
    limit: Duration,
}

impl WorkClock {
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

/// One running query.
struct Task {
    shared: Arc<Shared>,
    request: QueryRequest,
    clock: WorkClock,
    /// None once rows may have reached the client.
    header: Option<oneshot::Sender<AnswerHeader>>,
    sender: mpsc::Sender<RecordBatch>,
    outcome: Arc<Outcome>,
    started: Instant,
}

impl Task {
    async fn run(mut self, permit: OwnedSemaphorePermit) {
        let noticed = Arc::new(NoticedFiles::default());
        let mut result = self.attempt(&noticed).await;
        let mut gone = noticed.take_gone().filter(|_| result.is_err());
        if gone.is_some() && self.header.is_some() {
            // Vacuum was faster than this reader. The newest snapshot does not name the file any more.
            result = self.attempt(&noticed).await;
            gone = noticed.take_gone().filter(|_| result.is_err());
        }
        let result = match (result, gone) {
            (Err(_), Some(path)) => Err(self.shared.gone(path.as_ref())),
            (Err(error), None) if error.is_of_reading() => {
                Err(self.shared.with_broken_file(error, &noticed).await)
            }
            (result, _) => result,
        };
        self.report(&result);
        // Nobody else sets the end, and it is set before the channel closes with `self`.
        let _ = self.outcome.end.set(result);
        drop(permit);
    }

    fn report(&self, result: &Result<(), QueryError>) {
        let elapsed_ms = self.started.elapsed().as_millis() as u64;
        let kind = match result {
            Ok(()) => "ok",
            Err(error) => error.kind.as_str(),
        };
        metrics::counter!("meetnet_queries_total", "result" => kind).increment(1);
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
            .session(Arc::clone(&tables))
            .map_err(classify)?;
        let planned = planned(&session, &self.request, &tables, &shared.options);
        let planned = self.clock.run(planned).await?;
        let planned = planned
            .and_then(|planned| planned.with_values(&self.request.parameters))
            .map_err(classify)?;
        let plan = planned.plan.clone();
        let reach = Reach::of_plan(&plan, &tables);
        let row_limit = self
            .request
            .row_limit
            .map_or(shared.options.row_limit, |asked| {
                asked.min(shared.options.row_limit)
            });
        let plan = with_limit(plan, row_limit).map_err(classify)?;
        let wanted = WantedOrder::of_plan(&plan);
        let config = session.config_mut();
        // An idle partition may take a file from another one, unless the order of files matters.
        config
            .options_mut()
            .execution
            .enable_file_stream_work_stealing = wanted.is_none();
        config.set_extension(Arc::new(wanted));

        let physical = self.clock.run(session.create_physical_plan(&plan)).await?;
        let physical = physical.map_err(classify)?;
        if self.request.whole && known_rows(physical.as_ref()).is_some_and(|rows| rows > row_limit)
        {
            return Err(QueryError::new(
                QueryErrorKind::TooLarge,
                format!(
                    "the answer has more than the {row_limit} rows that one answer may have; narrow it, ask for {row_limit} \
                     rows by LIMIT, or download the dataset's files"
                ),
            ));
        }
        let schema = planned.named(physical.schema());
        let units = schema
            .fields()
            .iter()
            .map(|field| field.metadata().get(UNIT_KEY).cloned())
            .collect();
        let header = AnswerHeader {
            schema,
            units,
            as_of: self.request.as_of,
            reach,
        };
        let mut stream = execute_stream(physical, session.task_ctx()).map_err(classify)?;

        let mut rows = 0;
        while let Some(batch) = self.clock.run(stream.next()).await? {
            let batch = batch.map_err(classify)?;
            if batch.num_rows() == 0 {
                continue;
            }
            let left = row_limit - rows;
            let over = batch.num_rows() > left;
            let batch = if over { batch.slice(0, left) } else { batch };
            rows += batch.num_rows();
            if over {
                self.outcome.truncated.store(true, Ordering::Release);
            }
            self.send_header(&header);
            if batch.num_rows() > 0 {
                self.send(batch).await?;
            }
            if over {
                break;
            }
        }
        self.send_header(&header);
        Ok(())
    }

    /// A caller that went away drops the receiver and stops this task: nothing to do here.
    fn send_header(&mut self, header: &AnswerHeader) {
        if let Some(sender) = self.header.take() {
            let _ = sender.send(header.clone());
        }
    }

    async fn send(&mut self, batch: RecordBatch) -> Result<(), QueryError> {
        let stall_time_max = self.shared.options.stall_time_max;
        match tokio::time::timeout(stall_time_max, self.sender.send(batch)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(QueryError::new(
                QueryErrorKind::Timeout,
                "the client stopped reading",
            )),
            Err(_) => Err(QueryError::new(
                QueryErrorKind::Timeout,
                format!(
                    "the client read nothing for {} s",
                    stall_time_max.as_secs_f64()
                ),
            )),
        }
    }
}

fn expired() -> QueryError {
    QueryError::new(
        QueryErrorKind::SnapshotExpired,
        "files of the snapshot were removed while they were read; ask again",
    )
}

/// Returns the number of rows of a plan where statistics tell it exactly.
fn known_rows(plan: &dyn ExecutionPlan) -> Option<usize> {
    let statistics = StatisticsContext::new().compute(plan, &StatisticsArgs::new());
    match statistics.ok()?.num_rows {
        Precision::Exact(rows) => Some(rows),
        _ => None,
    }
}

/// Asks for one row more than the limit, so that a cut answer is known as one.
fn with_limit(plan: LogicalPlan, row_limit: usize) -> Result<LogicalPlan, DataFusionError> {
    let has_no_limit = matches!(
        plan,
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
    );
    if has_no_limit || row_limit > PLANNED_LIMIT_MAX {
        return Ok(plan);
    }
    LogicalPlanBuilder::from(plan)
        .limit(0, Some(row_limit + 1))?
        .build()
}

#[cfg(test)]
mod tests;
