//! The query service: takes a statement, answers from one snapshot, on a runtime of its own.
//!
//! ```text
//! check text ─▶ admission ─▶ [ snapshot ─▶ plan ─▶ check plan ─▶ run ─▶ row limit ─▶ channel ]  own runtime
//!                              ▲ once more on the newest snapshot where a file was gone before the first row
//! ```

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use meetnet_lake::damage::{self, Damage};
use meetnet_lake::snapshot::{LiveFile, SharedSnapshot};
use meetnet_lake::storage::TableFolder;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, oneshot};

use crate::admission::{Admission, Permit, Place, Places};
use crate::answer::{AnswerStream, Outcome, QueryAnswer, StopOnDrop, timeout_error};
use crate::audit::Noted;
use crate::catalog::{SnapshotTables, TableDescription, table_descriptions};
use crate::client::Client;
use crate::error::{QueryError, QueryErrorKind, broken_file, from_datafusion, store_unavailable};
use crate::guard;
use crate::latest::LatestCache;
use crate::options::{QueryOptions, QueryRequest, SessionKind};
use crate::planning::{StatementDescription, described};
use crate::room::Rooms;
use crate::runtime_end::end_elsewhere;
use crate::session::Sessions;
use crate::stop::{CutOff, StopFlag};
use crate::table::prepared::PreparedTables;
use crate::table::reader::{NoticedFiles, StoreFailure};
use crate::turns::{self, Turns};

mod counted;
mod task;
#[cfg(test)]
mod tests;

use counted::Counted;
use task::{AnswerLimits, Task, WorkClock, expired};

/// How much longer than the time limit the caller waits for the task to notice it by itself.
const GRACE: Duration = Duration::from_millis(500);
/// Stack of a thread. A plan is copied and dropped level by level, and a statement of 2000 operators makes as many levels;
/// the system gives only the pages that are used.
pub(crate) const STACK_BYTES: usize = 16 << 20;

/// Answers SQL over the newest snapshot, for one client; cheaply cloned.
#[derive(Clone, Debug)]
pub struct QueryService {
    inner: Arc<Inner>,
    client: Client,
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
            end_elsewhere(runtime);
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
    turns: Turns,
    rooms: Rooms,
    latest: LatestCache,
    cut_off: CutOff,
}

impl Shared {
    /// How long a request of a client may work.
    fn time_max(&self, client: &Client, request: &QueryRequest) -> Duration {
        let own = client.limits().and_then(|limits| limits.query_time_max);
        let most = own.unwrap_or(self.options.query_time_max);
        request.time_max.map_or(most, |asked| asked.min(most))
    }

    /// How many rows an answer to a client may have.
    fn row_limit_of(&self, client: &Client) -> usize {
        let own = client.limits().and_then(|limits| limits.row_limit);
        own.unwrap_or(self.options.row_limit)
    }

    /// How many rows the answer to a request may have.
    fn row_limit(&self, client: &Client, request: &QueryRequest) -> usize {
        let most = self.row_limit_of(client);
        request.row_limit.map_or(most, |asked| asked.min(most))
    }

    /// How many bytes an answer may have.
    fn answer_bytes_max(&self, client: &Client) -> u64 {
        let own = client.limits().and_then(|limits| limits.answer_bytes_max);
        own.unwrap_or(self.options.answer_bytes_max)
    }

    /// Begins the entry of a request in the audit log; None where nobody keeps one, and for this process itself.
    fn noted(&self, client: &Client, request: &QueryRequest) -> Option<Noted> {
        let audit = self.options.audit.as_ref();
        let audit = audit.filter(|_| !client.is_own())?;
        let snapshot = self.snapshot.load();
        let is_function = |name: &str| self.sessions.has_function(name);
        let sql_bytes_max = self.options.sql_bytes_max;
        let noted = Noted::begin(
            audit,
            client,
            request,
            &snapshot,
            sql_bytes_max,
            is_function,
        );
        Some(noted)
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
            declarations: self
                .options
                .declarations
                .as_ref()
                .map(|now| now.load_full()),
            is_unsteady: AtomicBool::new(false),
        })
    }

    /// Plans a statement without running it.
    async fn describe(
        &self,
        request: &QueryRequest,
        known: &[Option<DataType>],
        stop: &StopFlag,
    ) -> Result<StatementDescription, QueryError> {
        let tables = self.tables(request, &Arc::new(NoticedFiles::default()));
        let session = self.sessions.session(Arc::clone(&tables), stop);
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

    /// What a file that could not be used means: removed under the reader, or broken.
    fn unusable(&self, path: &str, damage: Damage) -> QueryError {
        match self.live_file(path) {
            Some(_) => broken_file(path, damage),
            None => expired(),
        }
    }

    /// Says why files could not be read: a store that gives nothing, one of the files, or what the error says itself.
    async fn of_reading(
        &self,
        error: QueryError,
        failure: Option<StoreFailure>,
        noticed: &NoticedFiles,
    ) -> QueryError {
        // A store that does not even say whether a file is there gives no bytes to compare either.
        if failure == Some(StoreFailure::OfAll) {
            return store_unavailable().with_source(error);
        }
        match self.with_broken_file(error, noticed).await {
            error if error.is_of_reading() && failure.is_some() => {
                store_unavailable().with_source(error)
            }
            error => error,
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
                Some(broken_file(path.as_ref(), damage))
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
        turns::hook();
        let turns = Turns::new(options.threads);
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        threads
            .worker_threads(turns.threads())
            .thread_name("query")
            .thread_stack_size(STACK_BYTES)
            .enable_all();
        if let Some(on_start) = options.on_thread_start {
            threads.on_thread_start(on_start);
        }
        let runtime = threads
            .build()
            .map_err(|error| QueryError::internal("starting threads", error))?;
        let sessions = Sessions::try_new(&options)
            .map_err(|error| QueryError::internal("starting the query engine", error))?;
        let shared = Shared {
            admission: Admission::new(&options),
            turns,
            rooms: Rooms::new(&options),
            prepared: Arc::new(PreparedTables::new(
                Arc::clone(sessions.registry()),
                sessions.metadata_cache(),
            )),
            sessions,
            snapshot,
            options,
            latest: LatestCache::default(),
            cut_off: CutOff::default(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                shared: Arc::new(shared),
                runtime: Some(runtime),
            }),
            client: Client::own(),
        })
    }

    /// Returns the service for a client: what is asked of it is admitted, limited and noted as that client's.
    pub fn for_client(&self, client: Client) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            client,
        }
    }

    /// Returns who asks.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the pointer the service reads snapshots from.
    pub fn snapshot(&self) -> &SharedSnapshot {
        &self.inner.shared.snapshot
    }

    /// Returns how many queries the client may have, running or waiting, and how many more would be taken now.
    pub fn places(&self) -> Places {
        self.inner.shared.admission.places(&self.client)
    }

    /// Returns how many rows an answer to the client may have.
    pub fn row_limit(&self) -> usize {
        self.inner.shared.row_limit_of(&self.client)
    }

    /// Notes in the audit log that a request was answered with so many rows and bytes from what somebody has kept.
    pub fn note_kept(&self, request: &QueryRequest, rows: u64, bytes: u64) {
        if let Some(noted) = self.inner.shared.noted(&self.client, request) {
            noted.kept(rows, bytes);
        }
    }

    /// Says that the connections of those who ask are cut off, because the service ends: a statement whose answer is dropped from
    /// now on counts as `cut_off`, and not as one that its client gave up.
    pub fn cut_off(&self) {
        self.inner.shared.cut_off.raise();
    }

    /// Returns the newest rows of series, as far as somebody has asked for them.
    pub(crate) fn latest_cache(&self) -> &LatestCache {
        &self.inner.shared.latest
    }

    /// Returns the limits in force.
    pub fn options(&self) -> &QueryOptions {
        &self.inner.shared.options
    }

    /// Describes the tables that a session sees, at the newest snapshot; the order is that of their names.
    pub fn tables(&self, session: SessionKind) -> Vec<TableDescription> {
        let request = QueryRequest {
            session,
            ..QueryRequest::public("")
        };
        let shared = &self.inner.shared;
        table_descriptions(&shared.tables(&request, &Arc::new(NoticedFiles::default())))
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
        let noted = self.inner.shared.noted(&self.client, &request);
        let counted = Counted::begin(&self.inner.shared.cut_off, noted);
        let described = self.described(request, known).await;
        match &described {
            // It is noted and counted when it is asked; what is refused here never is.
            Ok(_) => counted.forget(),
            Err(error) => {
                counted.ended(Some(error.kind.as_str()));
            }
        }
        described
    }

    async fn described(
        &self,
        request: QueryRequest,
        known: Vec<Option<DataType>>,
    ) -> Result<StatementDescription, QueryError> {
        let shared = Arc::clone(&self.inner.shared);
        let permit = self.admitted(&request).await?;
        let time_max = shared.time_max(&self.client, &request);
        let flag = StopFlag::default();
        let stop = flag.clone();
        let turn = shared.turns.of(&self.client);
        let task = self.runtime().spawn(turn.run(async move {
            let described = shared.describe(&request, &known, &stop).await;
            drop(permit);
            described
        }));
        let _stop = StopOnDrop::new(task.abort_handle(), flag, self.clone());
        match tokio::time::timeout(time_max, task).await {
            Ok(Ok(described)) => described,
            Ok(Err(died)) => Err(QueryError::internal("planning", died)),
            Err(_elapsed) => Err(timeout_error(time_max)),
        }
    }

    /// Returns a handle to the runtime that statements are answered on: its threads keep memory of their own.
    pub fn runtime_handle(&self) -> Handle {
        self.runtime().handle().clone()
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
        let started = Instant::now();
        let noted = self.inner.shared.noted(&self.client, &request);
        self.admit_and_run(self, request, noted, started).await
    }

    /// Answers a statement of this process, whose answer is for everybody: it takes a place of the client, who has caused
    /// it, and runs by the limits of the service.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub(crate) async fn query_for_all(
        &self,
        request: QueryRequest,
    ) -> Result<QueryAnswer, QueryError> {
        let own = self.for_client(Client::own());
        self.admit_and_run(&own, request, None, Instant::now())
            .await
    }

    /// Waits for the turn of a request among those of this client, and has `runner` run it; a refusal is told as every end is.
    async fn admit_and_run(
        &self,
        runner: &Self,
        request: QueryRequest,
        noted: Option<Noted>,
        started: Instant,
    ) -> Result<QueryAnswer, QueryError> {
        let counted = Counted::begin(&self.inner.shared.cut_off, noted);
        match self.admitted(&request).await {
            Ok(permit) => runner.run(request, permit, counted, started).await,
            Err(error) => {
                counted.ended(Some(error.kind.as_str()));
                Err(error)
            }
        }
    }

    /// Runs an admitted statement, with what tells of its end; returns as [`Self::query`] does.
    async fn run(
        &self,
        request: QueryRequest,
        permit: Permit,
        counted: Counted,
        started: Instant,
    ) -> Result<QueryAnswer, QueryError> {
        let shared = Arc::clone(&self.inner.shared);
        let time_max = shared.time_max(&self.client, &request);
        let again_time_max = shared.options.again_time_max();
        let turn = shared.turns.of(&self.client);
        let stop = StopFlag::default();

        let (header_sender, header) = oneshot::channel();
        let (sender, receiver) = mpsc::channel(shared.options.answer_batches_max.max(1));
        let outcome = Arc::new(Outcome::default());
        let task = Task {
            limits: AnswerLimits {
                rows: shared.row_limit(&self.client, &request),
                bytes: shared.answer_bytes_max(&self.client),
            },
            room: shared.rooms.of(&self.client),
            place: Place::Taken(permit),
            counted: Some(counted),
            stop: stop.clone(),
            shared,
            request,
            clock: WorkClock::new(time_max),
            header: Some(header_sender),
            sender,
            outcome: Arc::clone(&outcome),
            started,
        };
        let running = self.runtime().spawn(turn.run(task.run()));
        let stop = StopOnDrop::new(running.abort_handle(), stop, self.clone());
        let patience = time_max + GRACE;
        match tokio::time::timeout(patience, header).await {
            Ok(Ok(header)) => {
                // Before a batch it may have to wait for room, and for its place again.
                let patience = patience.saturating_add(again_time_max.saturating_mul(2));
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

    /// Checks what a request says, and waits for its turn.
    async fn admitted(&self, request: &QueryRequest) -> Result<Permit, QueryError> {
        let shared = &self.inner.shared;
        guard::check_request(request, &shared.options)?;
        self.check_licences(request.session, request.licences.iter().flatten())?;
        shared.admission.admit(&self.client).await
    }
}

fn classified(error: DataFusionError, tables: &SnapshotTables) -> QueryError {
    let names: Vec<String> = tables.names().collect();
    from_datafusion(error, &names)
}
