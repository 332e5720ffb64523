//! All tables of one folder and their actors, driven by the pipeline; one snapshot of all of them for readers.
//!
//! ```text
//! decoded group -> Lake::apply (per dataset) -> Lake::advance -> Lake::publish      on the pipeline's thread
//! Lake::tick -> freeze -> [commit thread: CommitJob::run] -> admit -> publish
//!            -> upkeep: [upkeep thread: merge, vacuum] -> replace -> [commit thread] -> admit -> publish
//! ```

mod declared;
mod reader;
mod repairs;
mod upkeep;
mod worker;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::{DatasetId, Sequence, SourceId};
use meetnet_model::rows::DatasetRows;
use tracing::{info, warn};
use uuid::Uuid;

pub use self::declared::check_declarations;
pub use self::reader::LakeReader;
use self::repairs::Repairs;
use self::upkeep::Upkeep;
pub use self::upkeep::{Compacted, UpkeepRequest};
use self::worker::Worker;
use crate::actor::{
    Applied, CommitJob, CommitOutcome, DatasetActor, Flag, Lineage, ReplaceJob, ReplaceOutcome,
};
use crate::error::LakeError;
use crate::snapshot::{LakeSnapshot, SharedSnapshot, TableSnapshot};
use crate::storage::{LakeStorage, TableFolder};
pub use crate::table::vacuum::Vacuumed;

/// First pause after a failed commit; doubled with each further failure.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between attempts.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);

/// Prefix of the Delta application id of a journal.
pub(crate) const JOURNAL_APP: &str = "meetnet/journal/";
/// Prefix of the Delta application id of an import.
const IMPORT_APP: &str = "meetnet/import/";

/// Where the lake lies and when it commits.
#[derive(Clone, Debug)]
pub struct LakeOptions {
    /// Where the tables lie.
    pub storage: Arc<dyn LakeStorage>,
    /// The journal whose positions the tables record.
    pub journal_id: Uuid,
    /// When it commits.
    pub limits: LakeLimits,
    /// Datasets whose old periods are dropped, and how long one stays after it has ended.
    pub retention: BTreeMap<DatasetId, Duration>,
}

/// When the lake commits, and how much it holds.
#[derive(Clone, Copy, Debug)]
pub struct LakeLimits {
    /// A hot row is committed at this age at the latest.
    pub commit_age_max: Duration,
    /// A dataset with this many hot rows commits at once.
    pub commit_rows_max: u64,
    /// Memory of all hot rows, bytes: at half of it the largest dataset commits, at all of it applying stops.
    pub hot_bytes_max: usize,
    /// An idle dataset records its position at least this often.
    pub stable_age_max: Duration,
    /// Files that one commit writes again for replaced rows; a commit of more is cut in several.
    pub revised_files_max: usize,
    /// Whether runs of files are merged in the background.
    pub compaction: bool,
    /// How long a replaced file stays, for readers and links that still hold it.
    pub vacuum_after: Duration,
}

impl LakeOptions {
    /// Returns the defaults for a place and a journal.
    pub fn new(storage: Arc<dyn LakeStorage>, journal_id: Uuid) -> Self {
        Self {
            storage,
            journal_id,
            limits: LakeLimits::default(),
            retention: BTreeMap::new(),
        }
    }
}

impl Default for LakeLimits {
    fn default() -> Self {
        Self {
            commit_age_max: Duration::from_secs(60),
            commit_rows_max: 1_000_000,
            hot_bytes_max: 96 << 20,
            stable_age_max: Duration::from_secs(300),
            revised_files_max: 32,
            compaction: true,
            vacuum_after: Duration::from_secs(7 * 24 * 3_600),
        }
    }
}

/// The tables of one folder.
#[derive(Debug)]
pub struct Lake {
    options: LakeOptions,
    app_id: String,
    tables: BTreeMap<DatasetId, Table>,
    shared: SharedSnapshot,
    through: Sequence,
    stable_time: i64,
    published_through: Sequence,
    worker: Worker<Job, Outcome>,
    upkeep: Upkeep,
    repairs: Repairs,
}

/// An actor and the state of its commits.
#[derive(Debug)]
struct Table {
    actor: DatasetActor,
    published: Option<Arc<TableSnapshot>>,
    /// When the oldest hot row was applied.
    hot_since: Option<Instant>,
    last_commit: Instant,
    /// Longest time between two commits of hot rows.
    commit_wait: Duration,
    failures: u32,
    retry_at: Option<Instant>,
}

/// What changes a table log.
#[derive(Debug)]
enum Job {
    Commit(CommitJob),
    Replace(ReplaceJob),
}

#[derive(Debug)]
enum Outcome {
    Commit(CommitOutcome),
    Replace(ReplaceOutcome),
}

impl Job {
    fn run(self) -> Outcome {
        match self {
            Self::Commit(job) => Outcome::Commit(job.run()),
            Self::Replace(job) => Outcome::Replace(job.run()),
        }
    }
}

impl Lake {
    /// Opens the tables of all declared datasets, creating those that are missing. Rows up to `trimmed_through` are
    /// taken to be in every table.
    pub fn open(
        options: LakeOptions,
        declarations: &Declarations,
        trimmed_through: Sequence,
    ) -> Result<Self, LakeError> {
        // Before anything is written: a table that refuses its declaration must not leave others half changed.
        check_declarations(&options.storage, declarations)?;
        let app_id = format!("{JOURNAL_APP}{}", options.journal_id);
        let mut tables = BTreeMap::new();
        for (id, declaration) in &declarations.datasets {
            let folder = TableFolder::new(Arc::clone(&options.storage), id.as_str());
            let mut actor = DatasetActor::open(
                folder,
                Arc::clone(declaration),
                &app_id,
                trimmed_through,
                now_ms(),
            )?;
            actor.keep_tombstones(2 * upkeep::millis(options.limits.vacuum_after));
            tables.insert(id.clone(), Table::new(actor, options.limits.commit_age_max));
        }
        let mut lake = Self {
            options,
            app_id,
            tables,
            shared: Arc::new(ArcSwap::from_pointee(LakeSnapshot::default())),
            through: trimmed_through,
            stable_time: 0,
            published_through: Sequence::ZERO,
            worker: Worker::start("lake-commit", Job::run)?,
            upkeep: Upkeep::start(declarations)?,
            repairs: Repairs::default(),
        };
        lake.set_sources(declarations);
        Ok(lake)
    }

    /// Takes the declared precedence of sources.
    pub fn set_sources(&mut self, declarations: &Declarations) {
        let precedences: HashMap<SourceId, i32> = declarations
            .sources
            .values()
            .filter(|source| source.precedence != 0)
            .map(|source| (source.id.clone(), source.precedence))
            .collect();
        let precedences = Arc::new(precedences);
        for table in self.tables.values_mut() {
            table.actor.set_precedences(Arc::clone(&precedences));
        }
    }

    /// The greatest sequence that any table has recorded of this journal: the journal goes on after it.
    pub fn sequence_floor(&self) -> Sequence {
        let floor = self
            .tables
            .values()
            .map(|table| table.actor.txn_max(&self.app_id))
            .max();
        Sequence(floor.unwrap_or(0).max(0) as u64)
    }

    /// The pointer that readers load.
    pub fn shared(&self) -> SharedSnapshot {
        Arc::clone(&self.shared)
    }

    /// Applies the decoded rows of one dataset. `lineage` is by envelope position. Readers see them after
    /// [`Lake::publish`].
    pub fn apply(
        &mut self,
        rows: &DatasetRows,
        lineage: &[Lineage],
        flag: &mut Flag<'_>,
    ) -> Result<Applied, LakeError> {
        let id = &rows.declaration.id;
        let table = self.tables.get_mut(id).ok_or_else(|| unknown(id))?;
        let applied = table.actor.apply(rows, lineage, true, flag)?;
        if table.hot_since.is_none() && table.actor.hot_rows() > 0 {
            table.hot_since = Some(Instant::now());
        }
        Ok(applied)
    }

    /// Says that every frame up to `through`, recorded at `recorded_at` (µs), has been applied.
    pub fn advance(&mut self, through: Sequence, recorded_at: i64) {
        self.through = through;
        self.stable_time = self.stable_time.max(recorded_at);
    }

    /// Position up to which everything has been applied.
    pub fn through(&self) -> Sequence {
        self.through
    }

    /// Makes what has been applied visible to readers, all tables at once.
    pub fn publish(&mut self) {
        let moved = self.published_through != self.through;
        let mut tables = BTreeMap::new();
        let mut changed = moved;
        for (id, table) in &mut self.tables {
            let dirty = table.actor.take_dirty();
            let snapshot = match &table.published {
                Some(snapshot) if !dirty && !moved => Arc::clone(snapshot),
                Some(snapshot) if !dirty => Arc::new(TableSnapshot {
                    through: self.through,
                    stable_time: self.stable_time,
                    ..TableSnapshot::clone(snapshot)
                }),
                _ => Arc::new(table.actor.snapshot(self.through, self.stable_time)),
            };
            changed |= dirty || table.published.is_none();
            table.published = Some(Arc::clone(&snapshot));
            tables.insert(id.clone(), snapshot);
        }
        if changed {
            self.published_through = self.through;
            self.shared.store(Arc::new(LakeSnapshot { tables }));
        }
    }

    /// Memory of all hot rows, bytes.
    pub fn hot_bytes(&self) -> usize {
        self.tables
            .values()
            .map(|table| table.actor.hot_bytes())
            .sum()
    }

    /// Returns true where no more may be applied until a commit is admitted.
    pub fn is_full(&self) -> bool {
        self.hot_bytes() >= self.options.limits.hot_bytes_max
    }

    /// Every frame up to here is in files: the journal may archive it.
    pub fn trim_point(&self) -> Sequence {
        self.tables
            .values()
            .filter_map(|table| table.actor.oldest_uncommitted())
            .map(|oldest| Sequence(oldest.0.saturating_sub(1)))
            .min()
            .unwrap_or(self.through)
    }

    /// Table version and committed position of each dataset, for the checkpoint.
    pub fn positions(&self) -> BTreeMap<DatasetId, (u64, Sequence)> {
        self.tables
            .iter()
            .map(|(id, table)| {
                (
                    id.clone(),
                    (table.actor.version(), table.actor.committed_through()),
                )
            })
            .collect()
    }

    /// Admits finished commits and starts those that are due; returns how many were admitted.
    pub fn tick(&mut self) -> Result<usize, LakeError> {
        let mut admitted = 0;
        while let Some(outcome) = self.worker.finished() {
            admitted += usize::from(self.admit(outcome)?);
        }
        let now = Instant::now();
        let pressed = self.hot_bytes() >= self.options.limits.hot_bytes_max / 2;
        let largest = self
            .tables
            .values()
            .map(|table| table.actor.hot_bytes())
            .max()
            .unwrap_or(0);
        for (id, table) in &mut self.tables {
            let is_pressed = pressed && table.actor.hot_bytes() == largest;
            if table.is_due(&self.options.limits, self.through, is_pressed, now)
                && (is_pressed || !self.upkeep.holds_up(id, table, now))
                && let Some(job) = table.actor.freeze(
                    &self.app_id,
                    self.through,
                    self.stable_time,
                    self.options.limits.revised_files_max,
                    now_ms(),
                )
            {
                table.hot_since = None;
                self.worker.send(Job::Commit(job))?;
            }
        }
        self.tend()?;
        Ok(admitted)
    }

    /// Commits everything that has been applied and waits for it.
    pub fn commit_all(&mut self) -> Result<(), LakeError> {
        self.wait_for_commits()?;
        let ids: Vec<DatasetId> = self
            .tables
            .iter()
            .filter(|(_, table)| {
                table.actor.hot_rows() > 0 || table.actor.committed_through() < self.through
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in ids {
            self.commit_now(&id, Vec::new())?;
        }
        self.publish();
        Ok(())
    }

    /// How far an import has come in a dataset: rows consumed; None where it never began.
    pub fn import_position(&self, dataset: &DatasetId, import_id: &str) -> Option<u64> {
        let position = self
            .tables
            .get(dataset)?
            .actor
            .txn(&format!("{IMPORT_APP}{import_id}"))?;
        Some(position.max(0) as u64)
    }

    /// Takes one chunk of an import past the journal: hot rows of its dataset are committed first, then the chunk,
    /// together with the import's new position `consumed` (rows). Importing it again changes nothing.
    pub fn import(
        &mut self,
        import_id: &str,
        consumed: u64,
        rows: &DatasetRows,
        lineage: &[Lineage],
        flag: &mut Flag<'_>,
    ) -> Result<Applied, LakeError> {
        let id = rows.declaration.id.clone();
        self.wait_for_commits()?;
        let table = self.tables.get_mut(&id).ok_or_else(|| unknown(&id))?;
        if table.actor.hot_rows() > 0 {
            self.commit_now(&id, Vec::new())?;
        }
        let table = self.tables.get_mut(&id).ok_or_else(|| unknown(&id))?;
        let applied = table.actor.apply(rows, lineage, false, flag)?;
        self.commit_now(
            &id,
            vec![(format!("{IMPORT_APP}{import_id}"), consumed as i64)],
        )?;
        self.publish();
        Ok(applied)
    }

    /// Commits one dataset on this thread.
    fn commit_now(&mut self, id: &DatasetId, txns: Vec<(String, i64)>) -> Result<(), LakeError> {
        let table = self.tables.get_mut(id).ok_or_else(|| unknown(id))?;
        let job = table
            .actor
            .freeze_through(&self.app_id, self.through, self.stable_time, txns, now_ms())
            .ok_or_else(|| LakeError::Usage(format!("dataset `{id}` is being committed")))?;
        table.hot_since = None;
        let outcome = job.run();
        match table.actor.admit(outcome)? {
            None => {
                self.upkeep.note_change(id);
                Ok(())
            }
            Some(error) => Err(error),
        }
    }

    fn wait_for_commits(&mut self) -> Result<(), LakeError> {
        while let Some(outcome) = self.worker.wait() {
            self.admit(outcome)?;
        }
        Ok(())
    }

    /// Admits one outcome; returns true where it was a success.
    fn admit(&mut self, outcome: Outcome) -> Result<bool, LakeError> {
        let outcome = match outcome {
            Outcome::Commit(outcome) => outcome,
            Outcome::Replace(outcome) => return self.admit_replaced(outcome),
        };
        let id = outcome.declaration().id.clone();
        let Some(table) = self.tables.get_mut(&id) else {
            return Ok(false);
        };
        let failed = table.actor.admit(outcome)?;
        let now = Instant::now();
        table.last_commit = now;
        table.hot_since = (table.actor.hot_rows() > 0).then_some(now);
        match failed {
            None => {
                table.failures = 0;
                table.retry_at = None;
                self.upkeep.note_change(&id);
                metrics::counter!("meetnet_commits_total", "dataset" => id.to_string())
                    .increment(1);
                info!(dataset = %id, version = table.actor.version(), through = table.actor.committed_through().0, "committed");
                Ok(true)
            }
            Some(error) => {
                table.failures += 1;
                let pause = RETRY_PAUSE * 2_u32.saturating_pow(table.failures.min(8) - 1);
                table.retry_at = Some(now + pause.min(RETRY_PAUSE_MAX));
                metrics::counter!("meetnet_commit_failures_total", "dataset" => id.to_string())
                    .increment(1);
                warn!(dataset = %id, failures = table.failures, error = &error as &dyn std::error::Error, "commit failed, its rows stay hot");
                Ok(false)
            }
        }
    }
}

impl Table {
    fn new(actor: DatasetActor, commit_wait: Duration) -> Self {
        Self {
            commit_wait,
            actor,
            published: None,
            hot_since: None,
            last_commit: Instant::now(),
            failures: 0,
            retry_at: None,
        }
    }

    fn is_due(&self, limits: &LakeLimits, through: Sequence, pressed: bool, now: Instant) -> bool {
        if self.actor.is_committing() || self.retry_at.is_some_and(|at| now < at) {
            return false;
        }
        if self.actor.hot_rows() == 0 {
            return self.actor.committed_through() < through
                && now.duration_since(self.last_commit) >= limits.stable_age_max;
        }
        pressed
            || self.actor.hot_rows() >= limits.commit_rows_max
            // What a barrier left behind does not wait for its age.
            || self.actor.revised_files() > limits.revised_files_max
            || self
                .hot_since
                .is_some_and(|since| now.duration_since(since) >= limits.commit_age_max)
    }
}

fn unknown(id: &DatasetId) -> LakeError {
    LakeError::Usage(format!("dataset `{id}` is not declared"))
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_millis() as i64)
}

#[cfg(test)]
mod tests;
