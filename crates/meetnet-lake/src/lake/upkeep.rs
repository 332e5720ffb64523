//! Looking after the tables: merging runs, dropping old periods, vacuum. In the background, one thing at a time.
//!
//! ```text
//! a commit was admitted -> choose -> [upkeep thread: merge] -> inputs still live? -> replace -> [commit thread] -> admit
//! once an hour          -> periods past their retention ----------------------------> replace by nothing
//! once a day            -> [upkeep thread: vacuum]
//! on request            -> repair, see `repairs`
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use meetnet_model::calendar;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::DatasetId;
use tracing::{debug, info, warn};

use super::worker::Worker;
use super::{Job, Lake, Table, now_ms};
use crate::actor::ReplaceOutcome;
use crate::compact::{Effort, MergeJob, MergeOutcome, choose};
use crate::error::LakeError;
use crate::repair::{InspectJob, Inspected, Repaired};
use crate::snapshot::LiveFile;
use crate::table::vacuum::{VacuumJob, Vacuumed};

/// A commit that would write an input of a running merge again waits for it this long at most: else the merge would be
/// in vain, and in a dataset with many revisions so would each after it.
const MERGE_WAIT_MAX: Duration = Duration::from_secs(30);
/// Pause after a merge that failed or came too late.
const MERGE_PAUSE: Duration = Duration::from_secs(60);
/// Between two looks for periods past their retention.
const RETENTION_PERIOD: Duration = Duration::from_secs(3_600);
/// Between two vacuums; the first comes this much later than the start, when nobody waits for it.
const VACUUM_PERIOD: Duration = Duration::from_secs(24 * 3_600);
const FIRST_VACUUM: Duration = Duration::from_secs(600);
/// A file that nobody has named for this long was left by a crash: no write takes so long.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3_600);

/// What a person can ask for; see [`Lake::request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpkeepRequest {
    /// Every partition of a dataset, or of all, becomes one run.
    Compact(Option<DatasetId>),
    /// Removes what nothing needs any more.
    Vacuum,
}

/// What merging has done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Merges admitted.
    pub merges: u64,
    /// Files they replaced.
    pub files_before: u64,
    /// Files they made.
    pub files_after: u64,
    /// Rows they wrote.
    pub rows: u64,
    /// Merges given up: an input was written again meanwhile, or an error.
    pub given_up: u64,
}

#[derive(Debug)]
pub(super) enum Task {
    Merge(MergeJob),
    Vacuum(Vec<(DatasetId, VacuumJob)>),
    Inspect(Vec<InspectJob>),
    Quarantine(Inspected),
}

#[derive(Debug)]
enum Done {
    Merge(MergeOutcome),
    Vacuum(Vacuumed, Vec<(DatasetId, LakeError)>),
    Inspect(Vec<Inspected>),
    Quarantine(Repaired),
}

impl Task {
    fn run(self) -> Done {
        match self {
            Self::Merge(job) => Done::Merge(job.run()),
            Self::Vacuum(jobs) => {
                let mut sum = Vacuumed::default();
                let mut failed = Vec::new();
                for (id, job) in jobs {
                    match job.run() {
                        Ok(vacuumed) => sum += vacuumed,
                        Err(error) => failed.push((id, error)),
                    }
                }
                Done::Vacuum(sum, failed)
            }
            Self::Inspect(jobs) => Done::Inspect(jobs.into_iter().map(InspectJob::run).collect()),
            Self::Quarantine(inspected) => {
                let mut repaired = Repaired::default();
                inspected.quarantine(&mut repaired);
                Done::Quarantine(repaired)
            }
        }
    }
}

/// State of the upkeep.
#[derive(Debug)]
pub(super) struct Upkeep {
    worker: Worker<Task, Done>,
    /// Stops a merge when the lake is dropped.
    cancelled: Arc<AtomicBool>,
    /// Dataset and inputs of the merge under way, until its outcome is admitted or given up.
    merging: Option<(DatasetId, Vec<Arc<LiveFile>>)>,
    /// A merge that waits for the table log.
    merged: Option<MergeOutcome>,
    /// Datasets whose files have changed since they were looked at.
    due: BTreeSet<DatasetId>,
    /// Datasets that somebody wants compacted whole.
    wanted: BTreeSet<DatasetId>,
    paused_until: Option<Instant>,
    compacted: Compacted,
    next_retention: Instant,
    next_vacuum: Instant,
    vacuumed: Vacuumed,
    vacuums_running: usize,
}

impl Upkeep {
    pub(super) fn start(declarations: &Declarations) -> Result<Self, LakeError> {
        let now = Instant::now();
        Ok(Self {
            worker: Worker::start("lake-upkeep", Task::run)?,
            cancelled: Arc::default(),
            merging: None,
            merged: None,
            due: declarations.datasets.keys().cloned().collect(),
            wanted: BTreeSet::new(),
            paused_until: None,
            compacted: Compacted::default(),
            next_retention: now,
            next_vacuum: now + FIRST_VACUUM,
            vacuumed: Vacuumed::default(),
            vacuums_running: 0,
        })
    }

    /// Hands a task to the upkeep thread.
    pub(super) fn send(&mut self, task: Task) -> Result<(), LakeError> {
        self.worker.send(task)
    }

    /// Notes that the files of a dataset have changed.
    pub(super) fn note_change(&mut self, id: &DatasetId) {
        if !self.due.contains(id) {
            self.due.insert(id.clone());
        }
    }

    /// Returns true where a commit of the table should wait for a merge.
    pub(super) fn holds_up(&self, id: &DatasetId, table: &Table, now: Instant) -> bool {
        let Some((merging, inputs)) = &self.merging else {
            return false;
        };
        merging == id
            && table.actor.masks_any(inputs)
            && now.duration_since(table.last_commit) < table.commit_wait + MERGE_WAIT_MAX
    }

    /// Returns the next merge.
    fn next_merge(
        &mut self,
        tables: &BTreeMap<DatasetId, Table>,
        background: bool,
        now_ms: i64,
    ) -> Option<MergeJob> {
        let mut next = |ids: &mut BTreeSet<DatasetId>, effort| {
            while let Some(id) = ids.first().cloned() {
                let choice = tables
                    .get(&id)
                    .and_then(|table| Some((table, choose(table.actor.files(), effort, now_ms)?)));
                let Some((table, choice)) = choice else {
                    ids.remove(&id);
                    continue;
                };
                self.merging = Some((id, choice.files()));
                return Some(MergeJob {
                    folder: table.actor.folder().clone(),
                    declaration: Arc::clone(table.actor.declaration()),
                    codec: Arc::clone(table.actor.codec()),
                    choice,
                    cancelled: Arc::clone(&self.cancelled),
                    now_ms,
                });
            }
            None
        };
        if let Some(job) = next(&mut self.wanted, Effort::Full) {
            return Some(job);
        }
        background
            .then(|| next(&mut self.due, Effort::Steady))
            .flatten()
    }

    fn give_up(&mut self, id: &DatasetId, now: Instant) {
        self.merging = None;
        self.compacted.given_up += 1;
        self.paused_until = Some(now + MERGE_PAUSE);
        metrics::counter!("meetnet_merges_given_up_total", "dataset" => id.to_string())
            .increment(1);
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

impl Lake {
    /// Takes a request of a person; [`Lake::is_tending`] says when it is done.
    ///
    /// # Errors
    /// Where it names a dataset that is not declared.
    pub fn request(&mut self, request: UpkeepRequest) -> Result<(), LakeError> {
        match request {
            UpkeepRequest::Compact(None) => {
                self.upkeep.wanted.extend(self.tables.keys().cloned());
                self.upkeep.paused_until = None;
            }
            UpkeepRequest::Compact(Some(id)) => {
                if !self.tables.contains_key(&id) {
                    return Err(super::unknown(&id));
                }
                self.upkeep.wanted.insert(id);
                self.upkeep.paused_until = None;
            }
            UpkeepRequest::Vacuum => self.upkeep.next_vacuum = Instant::now(),
        }
        Ok(())
    }

    /// Returns true while a request has not been carried out, or given up.
    pub fn is_tending(&self) -> bool {
        let upkeep = &self.upkeep;
        !upkeep.wanted.is_empty()
            || upkeep.merging.is_some()
            || upkeep.vacuums_running > 0
            || upkeep.next_vacuum <= Instant::now()
            || self.repairs.is_busy()
    }

    /// What merging has done since the start.
    pub fn compacted(&self) -> Compacted {
        self.upkeep.compacted
    }

    /// What vacuum has removed since the start.
    pub fn vacuumed(&self) -> Vacuumed {
        self.upkeep.vacuumed
    }

    /// Fetches what is done and starts what is due.
    pub(super) fn tend(&mut self) -> Result<(), LakeError> {
        while let Some(done) = self.upkeep.worker.finished() {
            match done {
                Done::Merge(outcome) => self.upkeep.merged = Some(outcome),
                Done::Vacuum(vacuumed, failed) => self.report_vacuum(vacuumed, &failed),
                Done::Inspect(found) => self.repairs.take_inspected(found),
                Done::Quarantine(repaired) => self.repairs.take_quarantined(repaired),
            }
        }
        if let Some(outcome) = self.upkeep.merged.take() {
            self.place(outcome)?;
        }
        self.go_on_repairing()?;
        let now = Instant::now();
        if now >= self.upkeep.next_retention {
            self.upkeep.next_retention = now + RETENTION_PERIOD;
            self.drop_old_periods()?;
        }
        if now >= self.upkeep.next_vacuum && self.start_vacuum()? {
            self.upkeep.next_vacuum = now + VACUUM_PERIOD;
        }
        let paused = self.upkeep.paused_until.is_some_and(|until| now < until);
        if !paused && self.upkeep.merging.is_none() {
            let background = self.options.limits.compaction;
            if let Some(job) = self.upkeep.next_merge(&self.tables, background, now_ms()) {
                debug!(dataset = %job.declaration.id, runs = job.choice.runs.len(), "merging");
                self.upkeep.worker.send(Task::Merge(job))?;
            }
        }
        Ok(())
    }

    /// Puts merged files in the place of their inputs, if those are all still live.
    fn place(&mut self, outcome: MergeOutcome) -> Result<(), LakeError> {
        let id = outcome.declaration.id.clone();
        let now = Instant::now();
        let Some(table) = self.tables.get_mut(&id) else {
            return Ok(());
        };
        if let Err(error) = &outcome.result {
            warn!(dataset = %id, error = error as &dyn std::error::Error, "failed to merge files, trying again later");
            self.upkeep.wanted.remove(&id);
            self.upkeep.give_up(&id, now);
            return Ok(());
        }
        if !table.actor.holds(&outcome.inputs) {
            // A commit wrote an input again: the merge holds rows that are no longer current.
            outcome.discard();
            self.upkeep.give_up(&id, now);
            self.upkeep.note_change(&id);
            return Ok(());
        }
        if table.actor.is_committing() {
            self.upkeep.merged = Some(outcome);
            return Ok(());
        }
        let MergeOutcome { inputs, result, .. } = outcome;
        let Ok(Some(files)) = result else {
            self.upkeep.merging = None;
            return Ok(());
        };
        if let Some(job) = table.actor.replace(inputs, files, "OPTIMIZE", now_ms()) {
            self.worker.send(Job::Replace(job))?;
        }
        Ok(())
    }

    /// Admits an exchange of files; returns true where it was a success.
    pub(super) fn admit_replaced(&mut self, outcome: ReplaceOutcome) -> Result<bool, LakeError> {
        let id = outcome.declaration().id.clone();
        let Some(table) = self.tables.get_mut(&id) else {
            return Ok(false);
        };
        let counts = outcome.counts();
        let failed = table.actor.admit_replaced(outcome)?;
        let version = table.actor.version();
        let is_merge = counts.files_after > 0;
        let is_repair = self.admit_repaired(&id, failed.as_ref())?;
        if let Some(error) = failed {
            warn!(dataset = %id, error = &error as &dyn std::error::Error, "failed to exchange files, trying again later");
            if is_merge {
                self.upkeep.wanted.remove(&id);
                self.upkeep.give_up(&id, Instant::now());
            }
            return Ok(false);
        }
        self.upkeep.note_change(&id);
        if is_merge {
            self.upkeep.merging = None;
            self.upkeep.compacted.add(counts);
            metrics::counter!("meetnet_merges_total", "dataset" => id.to_string()).increment(1);
            info!(dataset = %id, version, files_before = counts.files_before, files_after = counts.files_after, rows = counts.rows, "merged files");
        } else if !is_repair {
            info!(dataset = %id, version, files = counts.files_before, "dropped periods past their retention");
        }
        Ok(true)
    }

    fn drop_old_periods(&mut self) -> Result<(), LakeError> {
        for (id, kept) in &self.options.retention {
            let Some(table) = self.tables.get_mut(id) else {
                continue;
            };
            let grain = table.actor.declaration().grain;
            let oldest_us = (now_ms() - millis(*kept)) * 1_000;
            // Names of periods have the order of time. The period that holds the oldest time to keep stays whole.
            let oldest = calendar::period(oldest_us, grain);
            let old: Vec<Arc<LiveFile>> = table
                .actor
                .files()
                .iter()
                .filter(|file| *file.period < *oldest)
                .cloned()
                .collect();
            if !old.is_empty()
                && let Some(job) = table.actor.replace(old, Vec::new(), "RETENTION", now_ms())
            {
                self.worker.send(Job::Replace(job))?;
            }
        }
        Ok(())
    }

    /// Starts a vacuum of all tables whose log is at hand; false where none is.
    fn start_vacuum(&mut self) -> Result<bool, LakeError> {
        let vacuum_after = millis(self.options.limits.vacuum_after);
        let jobs: Vec<(DatasetId, VacuumJob)> = self
            .tables
            .iter()
            .filter_map(|(id, table)| {
                let job = table
                    .actor
                    .vacuum(vacuum_after, millis(ORPHAN_AGE), now_ms())?;
                Some((id.clone(), job))
            })
            .collect();
        if jobs.len() < self.tables.len() {
            return Ok(false);
        }
        self.upkeep.vacuums_running += 1;
        self.upkeep.worker.send(Task::Vacuum(jobs))?;
        Ok(true)
    }

    fn report_vacuum(&mut self, vacuumed: Vacuumed, failed: &[(DatasetId, LakeError)]) {
        self.upkeep.vacuums_running -= 1;
        self.upkeep.vacuumed += vacuumed;
        for (id, error) in failed {
            warn!(dataset = %id, error = error as &dyn std::error::Error, "failed to remove old files, trying again tomorrow");
        }
        metrics::counter!("meetnet_vacuumed_bytes_total").increment(vacuumed.bytes);
        if vacuumed != Vacuumed::default() {
            let Vacuumed {
                replaced_files,
                orphans,
                log_files,
                bytes,
            } = vacuumed;
            info!(
                replaced_files,
                orphans, log_files, bytes, "removed files that nothing needs"
            );
        }
    }
}

impl std::ops::Sub for Compacted {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            merges: self.merges - before.merges,
            files_before: self.files_before - before.files_before,
            files_after: self.files_after - before.files_after,
            rows: self.rows - before.rows,
            given_up: self.given_up - before.given_up,
        }
    }
}

impl Compacted {
    fn add(&mut self, merge: Self) {
        self.merges += 1;
        self.files_before += merge.files_before;
        self.files_after += merge.files_after;
        self.rows += merge.rows;
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
