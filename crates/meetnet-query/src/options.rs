//! Limits of the query service and what one request asks for. Every limit has a name and a unit.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::LicenceId;

use crate::audit::Audit;
use crate::parameters::Parameters;

/// Limits and resources; the defaults fit a machine of two cores.
#[derive(Clone, Debug)]
pub struct QueryOptions {
    /// Threads that long queries share, which is also the number of partitions a scan is split in. There are some more, at
    /// most as many again and no more than four, so that a short query finds one.
    pub threads: usize,
    /// Work time of one query, planning included; waiting for a slow client does not count.
    pub query_time_max: Duration,
    /// How long a client may leave an answer unread before it is given up, also one that waits whole for its reader.
    pub stall_time_max: Duration,
    /// How long one answer may take in all, however slowly it is read: it holds memory and files.
    pub answer_time_max: Duration,
    /// How long a query may wait for its reader before its place among the running ones goes to others. It takes one again
    /// before it goes on.
    pub unread_time_max: Duration,
    /// Queries that have no place while they wait for their readers, those that have nothing else to do included; of one
    /// client, as many as may run. What such a query holds in memory it goes on holding. One that is too many is ended where
    /// others wait for its place.
    pub parked_max: usize,
    /// Rows of one answer.
    pub row_limit: usize,
    /// Bytes of one answer, as columns in memory; its text is about as long.
    pub answer_bytes_max: u64,
    /// Length of a statement in bytes.
    pub sql_bytes_max: usize,
    /// Length of one text literal in bytes: a literal is repeated for every row of a batch.
    pub literal_bytes_max: usize,
    /// Nesting of expressions and subqueries in a statement.
    pub nesting_max: usize,
    /// Memory of one query in bytes, as far as DataFusion's operators account for it, with what its scans hold of files.
    pub memory_bytes_max: usize,
    /// Memory of all queries together in bytes, of the same account.
    pub memory_total_bytes_max: usize,
    /// Memory of all queries and unread answers of one client together in bytes; less than `memory_total_bytes_max` leaves
    /// some for others. Never less than `memory_bytes_max`.
    pub client_memory_bytes_max: usize,
    /// Temporary files of one query in bytes.
    pub query_spill_bytes_max: u64,
    /// Temporary files of all queries together in bytes.
    pub spill_bytes_max: u64,
    /// Temporary files of all queries of one client together in bytes. Never less than `query_spill_bytes_max`.
    pub client_spill_bytes_max: u64,
    /// Folder for temporary files; None: the system's. What ended processes have left there goes at the start.
    pub spill_dir: Option<PathBuf>,
    /// Queries that run at the same time.
    pub running_max: usize,
    /// Queries that may wait for a running one to end; further ones are refused as busy.
    pub queued_max: usize,
    /// Queries of one client that run at the same time; fewer than `running_max` leave places for others.
    pub client_running_max: usize,
    /// Queries of one client that may wait; further ones are refused as over its share.
    pub client_queued_max: usize,
    /// How long a query may wait for its turn.
    pub queue_time_max: Duration,
    /// Parquet footers and page indexes kept in memory, in bytes.
    pub metadata_cache_bytes_max: usize,
    /// Batches that wait between the query and its reader.
    pub answer_batches_max: usize,
    /// Ordered file groups one scan may merge; above it the scan gives up its order and a query that needs it sorts.
    pub ordered_groups_max: usize,
    /// A query that reads about as many rows or fewer is planned for one thread; 0: each for all of them.
    pub serial_rows_max: usize,
    /// Who is told of every statement; None: nobody.
    pub audit: Option<Arc<dyn Audit>>,
    /// What is declared now, whose properties the view `properties` lists; None: what comes with the program.
    pub declarations: Option<Arc<ArcSwap<Declarations>>>,
    /// What each thread of the service calls when it starts, those for blocking calls included; None: nothing.
    pub on_thread_start: Option<fn()>,
}

impl Default for QueryOptions {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism()
                .map_or(2, |n| n.get())
                .max(2),
            query_time_max: Duration::from_secs(30),
            stall_time_max: Duration::from_secs(60),
            answer_time_max: Duration::from_secs(30 * 60),
            unread_time_max: Duration::from_secs(1),
            parked_max: 32,
            row_limit: 1_000_000,
            answer_bytes_max: 1024 * 1024 * 1024,
            sql_bytes_max: 256 * 1024,
            literal_bytes_max: 16 * 1024,
            nesting_max: 50,
            memory_bytes_max: 256 * 1024 * 1024,
            memory_total_bytes_max: 1024 * 1024 * 1024,
            client_memory_bytes_max: 768 * 1024 * 1024,
            query_spill_bytes_max: 512 * 1024 * 1024,
            spill_bytes_max: 1024 * 1024 * 1024,
            client_spill_bytes_max: 768 * 1024 * 1024,
            spill_dir: None,
            running_max: 8,
            queued_max: 64,
            client_running_max: 6,
            client_queued_max: 48,
            queue_time_max: Duration::from_secs(10),
            metadata_cache_bytes_max: 256 * 1024 * 1024,
            answer_batches_max: 3,
            ordered_groups_max: 64,
            serial_rows_max: 65_536,
            audit: None,
            declarations: None,
            on_thread_start: None,
        }
    }
}

impl QueryOptions {
    /// How long a query that has left its place to others may wait for one again.
    pub(crate) fn again_time_max(&self) -> Duration {
        self.queue_time_max.saturating_add(self.query_time_max)
    }
}

/// Who asks: decides which tables exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// Anybody: private datasets do not exist.
    Public,
    /// The data team: every dataset.
    Private,
}

/// Whose SQL a statement is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// DataFusion's, as documented in `docs/sql.md`.
    #[default]
    Generic,
    /// PostgreSQL's, with `pg_catalog` and the functions that its clients call.
    Postgres,
}

/// One statement to answer.
#[derive(Clone, Debug)]
pub struct QueryRequest {
    /// One SQL statement that only reads.
    pub sql: String,
    /// Whose SQL it is.
    pub dialect: Dialect,
    /// Values for its placeholders.
    pub parameters: Parameters,
    /// Who asks.
    pub session: SessionKind,
    /// Answers the whole statement as of this time, µs since 1970 UTC: every name of a dataset means its view as of
    /// then, and histories end then. `NotSettled` where it is later than the stable time of a dataset it reads.
    pub as_of: Option<i64>,
    /// Only rows under these licences: of other rows every dataset is empty. None: all.
    pub licences: Option<BTreeSet<LicenceId>>,
    /// Fewer rows than [`QueryOptions::row_limit`]; more is not possible.
    pub row_limit: Option<usize>,
    /// Refuses at once what is known to have more rows than that, for readers who could not be told that rows are left out.
    pub whole: bool,
    /// Less work time than [`QueryOptions::query_time_max`]; more is not possible.
    pub time_max: Option<Duration>,
}

impl QueryRequest {
    /// Asks as anybody, with the service's own limits.
    pub fn public(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            dialect: Dialect::Generic,
            parameters: Parameters::new(),
            session: SessionKind::Public,
            as_of: None,
            licences: None,
            row_limit: None,
            whole: false,
            time_max: None,
        }
    }

    /// Asks as the data team, with the service's own limits.
    pub fn private(sql: impl Into<String>) -> Self {
        Self {
            session: SessionKind::Private,
            ..Self::public(sql)
        }
    }
}
