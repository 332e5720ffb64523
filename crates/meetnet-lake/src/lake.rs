//! All tables of one folder and their actors, driven by the pipeline; one snapshot of all of them for readers.
//!
//! ```text
//! decoded group -> Lake::apply (per dataset) -> Lake::advance -> Lake::publish      on the pipeline's thread
//! Lake::tick -> freeze -> [commit thread: CommitJob::run] -> admit -> publish
//!            -> upkeep: [upkeep thread: merge, vacuum] -> replace -> [commit thread] -> admit -> publish
//! ```

mod clock;
mod declared;
mod erase;
mod import;
mod options;
mod reader;
mod redeclare;
mod repairs;
mod retention;
mod summary;
mod table;
mod upkeep;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use meetnet_model::ids::{DatasetId, Sequence};
use meetnet_model::rows::DatasetRows;
use tracing::debug;

pub use self::clock::LakeClock;
pub use self::declared::{DeclaredTables, check_property_units};
pub use self::erase::FoundRows;
pub(crate) use self::import::has_imports;
pub use self::options::{LakeLimits, LakeOptions};
pub use self::reader::LakeReader;
use self::repairs::Repairs;
pub use self::retention::past_retention;
use self::summary::CommitSummary;
use self::table::Table;
use self::upkeep::Upkeep;
pub use self::upkeep::{Compacted, UpkeepRequest};
use self::worker::Worker;
use crate::actor::{
    Admitted, Applied, CommitJob, CommitOutcome, DatasetActor, Flag, Lineage, Precedences,
    ReplaceJob, ReplaceOutcome, Standing,
};
use crate::error::LakeError;
use crate::snapshot::{LakeSnapshot, SharedSnapshot, TableSnapshot};
use crate::storage::{self, LakeStorage};
use crate::table::declared::DeclaredTable;
pub use crate::table::vacuum::Vacuumed;

/// The thread that commits gives its memory back after this long without a commit.
const REST_AFTER: Duration = Duration::from_secs(5);
/// Prefix of the Delta application id of a journal.
pub(crate) const JOURNAL_APP: &str = "meetnet/journal/";

/// The tables of one folder.
#[derive(Debug)]
pub struct Lake {
    options: LakeOptions,
    storage: Arc<dyn LakeStorage>,
    app_id: String,
    /// Number of this opening, where openings have one.
    opening: Option<i64>,
    tables: BTreeMap<DatasetId, Table>,
    shared: SharedSnapshot,
    through: Sequence,
    stable_time: i64,
    worker: Worker<Job, Outcome>,
    upkeep: Upkeep,
    repairs: Repairs,
    /// Commits that the log has not said yet.
    summary: CommitSummary,
    /// Memory that its owner keeps for rows until they are committed, bytes.
    kept_beside: usize,
    /// A commit found no space, and nobody has been told.
    short_of_space: bool,
    /// A dataset whose actor is no longer usable: see [`Lake::tick`].
    lost: Option<DatasetId>,
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
    ///
    /// # Errors
    /// [`LakeError::ForbiddenChange`] where a table has been changed since it was read and now refuses its declaration;
    /// [`LakeError::LostTables`] where one is behind what is known of it; others where the lake is somebody else's, or cannot
    /// be read or written.
    pub fn open(
        options: LakeOptions,
        declared: DeclaredTables,
        trimmed_through: Sequence,
    ) -> Result<Self, LakeError> {
        let (storage, declared) = declared.into_current()?;
        if let Some(known) = &options.known {
            known.check(&storage, &declared)?;
        }
        let (id, openings) = (options.journal_id, options.openings.as_ref());
        let opening = storage::claim(&*storage, id, openings, options.clock.now_ms())?;
        let app_id = format!("{JOURNAL_APP}{}", options.journal_id);
        let now = options.clock.instant();
        let mut tables = BTreeMap::new();
        for table in declared {
            let id = table.declaration().id.clone();
            let table = open_table(table, &options, &app_id, trimmed_through, opening)?;
            tables.insert(id, table);
        }
        let worker = if options.background {
            Worker::start("lake-commit", Job::run, REST_AFTER, options.give_back)?
        } else {
            Worker::by_hand(Job::run)
        };
        let shared = options.shared.clone();
        let shared =
            shared.unwrap_or_else(|| Arc::new(ArcSwap::from_pointee(LakeSnapshot::default())));
        Ok(Self {
            upkeep: Upkeep::start(tables.keys(), &options, now)?,
            options,
            storage,
            app_id,
            opening,
            tables,
            shared,
            through: trimmed_through,
            stable_time: 0,
            worker,
            repairs: Repairs::default(),
            summary: CommitSummary::default(),
            kept_beside: 0,
            short_of_space: false,
            lost: None,
        })
    }

    /// Takes the declared precedence of sources, as it is in force for the rows that a dataset is given next: all are
    /// equal before. Rows may wait while the declarations change, so each dataset has its own.
    pub fn set_precedences(&mut self, dataset: &DatasetId, precedences: &Precedences) {
        if let Some(table) = self.tables.get_mut(dataset) {
            table.actor.set_precedences(precedences);
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
            table.hot_since = Some(self.options.clock.instant());
        }
        Ok(applied)
    }

    /// Returns where rows stand to what is stored of their keys now, and changes nothing. `lineage` is by envelope position.
    ///
    /// # Errors
    /// Where the dataset has no table, or what is stored cannot be read.
    pub fn standing(
        &mut self,
        rows: &DatasetRows,
        lineage: &[Lineage],
    ) -> Result<Vec<Standing>, LakeError> {
        let id = &rows.declaration.id;
        let table = self.tables.get_mut(id).ok_or_else(|| unknown(id))?;
        table.actor.standing(rows, lineage)
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

    /// Says that `rows`, which [`Lake::apply`] could not compare with what is stored, and all rows of their dataset behind
    /// them wait: the dataset is at the frame before them until [`Lake::release`].
    pub fn hold(&mut self, rows: &DatasetRows, lineage: &[Lineage]) {
        let Some(table) = self.tables.get_mut(&rows.declaration.id) else {
            return;
        };
        let applied = table.actor.applied();
        let mut frames = rows.envelopes.iter().map(|row| &lineage[*row as usize]);
        let first = frames.find(|frame| frame.sequence > applied);
        table.held = first.map(|first| (Sequence(first.sequence.0 - 1), first.recorded_at - 1));
    }

    /// Says that no rows of a dataset wait any more.
    pub fn release(&mut self, dataset: &DatasetId) {
        if let Some(table) = self.tables.get_mut(dataset) {
            table.held = None;
        }
    }

    /// Makes what has been applied visible to readers, all tables at once.
    pub fn publish(&mut self) {
        let applied = (self.through, self.stable_time);
        let mut tables = BTreeMap::new();
        let mut changed = false;
        for (id, table) in &mut self.tables {
            if !table.is_declared {
                changed |= table.published.take().is_some();
                continue;
            }
            let dirty = table.actor.take_dirty();
            let (through, stable_time) = table.shown_position(applied);
            let moved = |snapshot: &TableSnapshot| {
                (snapshot.through, snapshot.stable_time) != (through, stable_time)
            };
            let snapshot = match &table.published {
                Some(snapshot) if !dirty && !moved(snapshot) => Arc::clone(snapshot),
                Some(snapshot) if !dirty => Arc::new(TableSnapshot {
                    through,
                    stable_time,
                    ..TableSnapshot::clone(snapshot)
                }),
                _ => Arc::new(table.actor.snapshot(through, stable_time)),
            };
            let known = table.published.as_ref();
            changed |= known.is_none_or(|known| !Arc::ptr_eq(known, &snapshot));
            table.published = Some(Arc::clone(&snapshot));
            tables.insert(id.clone(), snapshot);
        }
        if changed {
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

    /// Says how much memory the owner keeps for rows until [`Lake::trim_point`] has passed them, bytes: commits begin with
    /// regard to it.
    pub fn set_kept_beside(&mut self, bytes: usize) {
        self.kept_beside = bytes;
    }

    /// Memory that the merge under way holds, about, bytes; 0 where there is none.
    pub fn merge_bytes(&self) -> usize {
        self.upkeep.merge_bytes
    }

    /// Returns true where no more may be applied until a commit is admitted.
    pub fn is_full(&self) -> bool {
        self.hot_bytes() >= self.options.limits.hot_bytes_max
    }

    /// Every frame up to here is in files: the journal may archive it.
    pub fn trim_point(&self) -> Sequence {
        let held = self.tables.values().filter_map(|table| table.held);
        let held = held.map(|(through, _)| through);
        self.tables
            .values()
            .filter_map(|table| table.actor.oldest_uncommitted())
            .map(|oldest| Sequence(oldest.0.saturating_sub(1)))
            .chain(held)
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
    ///
    /// # Errors
    /// Where what a dataset has in memory and what is in its table cannot be told apart any more, whoever found that out:
    /// only a restart, which rebuilds the one from the other and the journal, helps.
    pub fn tick(&mut self) -> Result<usize, LakeError> {
        if let Some(id) = &self.lost {
            return Err(LakeError::Usage(format!(
                "dataset `{id}` cannot go on: restart the daemon"
            )));
        }
        let mut admitted = 0;
        while let Some(outcome) = self.worker.finished() {
            admitted += usize::from(self.admit(outcome)?.is_ok());
        }
        let (now, now_ms) = (self.now(), self.options.clock.now_ms());
        for table in self.tables.values_mut() {
            if table.retry_at.is_none_or(|at| at <= now)
                && let Some(job) = table.again.take()
            {
                self.worker.send(job)?;
            }
        }
        let bytes_max = self.options.limits.hot_bytes_max;
        let hot_bytes = self.hot_bytes();
        let pressed = hot_bytes + self.kept_beside >= bytes_max / 2;
        // Else the largest would commit its few rows again and again, while another one holds back what is kept beside.
        let is_hot = hot_bytes >= bytes_max / 8;
        let oldest = self
            .tables
            .values()
            .filter_map(|table| table.actor.oldest_uncommitted())
            .min()
            .filter(|_| self.kept_beside >= bytes_max / 4);
        let largest = self
            .tables
            .values()
            .map(|table| table.actor.hot_bytes())
            .max()
            .unwrap_or(0);
        let applied = (self.through, self.stable_time);
        let limits = self.options.limits;
        for (id, table) in &mut self.tables {
            let has_oldest = oldest.is_some() && table.actor.oldest_uncommitted() == oldest;
            let is_largest = is_hot && table.actor.hot_bytes() == largest;
            let is_pressed = pressed && (is_largest || has_oldest);
            if table.is_due(&limits, applied, is_pressed, now)
                && (is_pressed || !self.upkeep.holds_up(id, table, now))
                && let Some(job) = table.freeze(applied, limits.of_commit(), now_ms)
            {
                self.worker.send(Job::Commit(job))?;
            }
        }
        self.tend()?;
        self.summary.tell_if_due(now);
        Ok(admitted)
    }

    /// Says what has been committed since the log said so last: at the end of the process.
    pub fn tell_commits(&mut self) {
        self.summary.tell();
    }

    /// Commits everything that has been applied and waits for it.
    ///
    /// # Errors
    /// The first of the datasets that could not be committed now; their rows stay hot.
    pub fn commit_all(&mut self) -> Result<(), LakeError> {
        self.wait_for_commits()?;
        let applied = (self.through, self.stable_time);
        let ids: Vec<DatasetId> = self
            .tables
            .iter()
            .filter(|(_, table)| {
                table.actor.hot_rows() > 0
                    || table.actor.committed_through() < table.position(applied).0
            })
            .map(|(id, _)| id.clone())
            .collect();
        // One that fails does not keep the others from it. A store that is away would have each of them wait as long.
        let mut committed = Ok(());
        for id in ids {
            let one = self.commit_whole(&id);
            let is_away = one.as_ref().is_err_and(LakeError::is_outage);
            committed = committed.and(one);
            if is_away {
                break;
            }
        }
        self.publish();
        committed
    }

    /// Commits everything of one dataset on this thread, in as many commits as the limits ask for.
    fn commit_whole(&mut self, id: &DatasetId) -> Result<(), LakeError> {
        self.run_again(id)?;
        let applied = (self.through, self.stable_time);
        loop {
            let limits = self.options.limits.of_commit();
            let table = self.tables.get_mut(id).ok_or_else(|| unknown(id))?;
            let now_ms = self.options.clock.now_ms();
            let job = table.freeze(applied, limits, now_ms);
            let job = job.ok_or_else(|| is_committing(id))?;
            let is_last = !table.left_behind;
            self.admit(Outcome::Commit(job.run()))??;
            if is_last {
                return Ok(());
            }
        }
    }

    /// Runs a job of one dataset that is to be run again, on this thread.
    fn run_again(&mut self, id: &DatasetId) -> Result<(), LakeError> {
        let table = self.tables.get_mut(id).ok_or_else(|| unknown(id))?;
        match table.again.take() {
            Some(job) => self.admit(job.run())?,
            None => Ok(()),
        }
    }

    /// Without background threads: carries out the oldest commit or exchange of files that waits, and returns false where
    /// none does. It counts with the next [`Lake::tick`], as if a thread had done it.
    pub fn run_commit_job(&mut self) -> bool {
        self.worker.run_one()
    }

    /// The same for the oldest merge or vacuum that waits.
    pub fn run_upkeep_job(&mut self) -> bool {
        self.upkeep.run_job()
    }

    /// The present moment by the lake's clock: what pauses are measured by.
    pub fn now(&self) -> Instant {
        self.options.clock.instant()
    }

    /// Waits for the jobs under way; what became of them is in the tables.
    fn wait_for_commits(&mut self) -> Result<(), LakeError> {
        while let Some(outcome) = self.worker.wait() {
            // A failure has been noted; the rows are hot for whoever commits next.
            let _ = self.admit(outcome)?;
        }
        Ok(())
    }

    /// Admits one outcome. The inner error is the attempt's, which has been noted and will be made again.
    fn admit(&mut self, outcome: Outcome) -> Result<Result<(), LakeError>, LakeError> {
        let outcome = match outcome {
            Outcome::Commit(outcome) => outcome,
            Outcome::Replace(outcome) => return self.admit_replaced(outcome),
        };
        let id = outcome.declaration().id.clone();
        let table = self.tables.get_mut(&id).ok_or_else(|| unknown(&id))?;
        let hot_rows = table.actor.hot_rows();
        let admitted = table.actor.admit(outcome);
        let admitted = admitted.inspect_err(|_| self.lost = Some(id.clone()))?;
        let now = self.options.clock.instant();
        table.last_commit = now;
        table.hot_since = (table.actor.hot_rows() > 0).then_some(now);
        let error = match admitted {
            Admitted::Done => {
                table.note_success(&id);
                self.upkeep.note_change(&id);
                metrics::counter!("meetnet_commits_total", "dataset" => id.to_string())
                    .increment(1);
                let rows = hot_rows.saturating_sub(table.actor.hot_rows());
                debug!(dataset = %id, version = table.actor.version(), through = table.actor.committed_through().0, rows, "committed");
                self.summary.add(&id, rows, now);
                return Ok(Ok(()));
            }
            Admitted::Failed(error) => error,
            Admitted::Again(job, error) => {
                table.again = Some(Job::Commit(job));
                error
            }
        };
        table.note_failure(&id, &error, now);
        self.short_of_space |= error.is_disk_full();
        Ok(Err(error))
    }

    /// Gives back what a burst has left behind and nothing needs at rest: called by the owner's thread, where it has had
    /// nothing to do for a while.
    pub fn give_back(&mut self) {
        for table in self.tables.values_mut() {
            table.actor.give_back();
        }
        (self.options.give_back)();
    }

    /// Returns true once after a commit that found no space: whoever keeps a reserve gives it now.
    pub fn take_short_of_space(&mut self) -> bool {
        std::mem::take(&mut self.short_of_space)
    }
}

/// Opens one table.
fn open_table(
    table: DeclaredTable,
    options: &LakeOptions,
    app_id: &str,
    applied: Sequence,
    opening: Option<i64>,
) -> Result<Table, LakeError> {
    let (now, now_ms) = (options.clock.instant(), options.clock.now_ms());
    let units = table.units().clone();
    let mut actor = DatasetActor::open(table, app_id, applied, opening, now_ms)?;
    actor.keep_tombstones(2 * upkeep::millis(options.limits.vacuum_after));
    Ok(Table::new(actor, units, options.limits.commit_age_max, now))
}

fn unknown(id: &DatasetId) -> LakeError {
    LakeError::Usage(format!("dataset `{id}` is not declared"))
}

fn is_committing(id: &DatasetId) -> LakeError {
    LakeError::Usage(format!("dataset `{id}` is being committed"))
}

#[cfg(test)]
mod tests;
