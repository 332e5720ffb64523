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

use meetnet_model::ids::DatasetId;
use tracing::{debug, error, info, warn};

use super::retention::{dropped_periods, past_retention};
use super::worker::Worker;
use super::{Job, Lake, LakeClock, LakeOptions, Table, unknown};
use crate::actor::{Admitted, DROPPED_BEFORE, ReplaceOutcome};
use crate::compact::{Effort, MergeJob, MergeOutcome, choose};
use crate::error::LakeError;
use crate::repair::{InspectJob, Inspected, Repaired};
use crate::snapshot::LiveFile;
use crate::table::files::Partition;
use crate::table::vacuum::{OwnVacuumJob, VacuumJob, Vacuumed};

/// A commit that would write an input of a running merge again waits for it this long at most: else the merge would be
/// in vain, and in a dataset with many revisions so would each after it.
const MERGE_WAIT_MAX: Duration = Duration::from_secs(30);
/// Pause of a dataset after a merge that failed or came too late.
const MERGE_PAUSE: Duration = Duration::from_secs(60);
/// How long the partition of a broken file is left alone.
const BROKEN_PAUSE: Duration = Duration::from_secs(3_600);
/// The thread gives its memory back after this long without a task: a merge leaves 15 to 20 MiB with it, and it may be seconds to the
/// next.
const REST_AFTER: Duration = Duration::from_millis(100);
/// Between two looks for periods past their retention.
const RETENTION_PERIOD: Duration = Duration::from_secs(3_600);
/// And again where a job had the log of a table.
const RETENTION_PAUSE: Duration = Duration::from_secs(1);
/// Between two vacuums; the first comes this much later than the start, when nobody waits for it.
const VACUUM_PERIOD: Duration = Duration::from_secs(24 * 3_600);
const FIRST_VACUUM: Duration = Duration::from_secs(600);
/// The next merge waits for a vacuum that is due for this long at most: a commit that does not succeed keeps that waiting, too.
const VACUUM_WAIT_MAX: Duration = Duration::from_secs(30);
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
    /// How many of these for an error, which is in the log; a request to merge their dataset is given up too.
    pub failed: u64,
}

#[derive(Debug)]
pub(super) enum Task {
    Merge(MergeJob),
    Vacuum(OwnVacuumJob, Vec<(DatasetId, VacuumJob)>, LakeClock),
    Inspect(Vec<InspectJob>),
    Quarantine(Inspected),
}

#[derive(Debug)]
pub(super) enum Done {
    Merge(MergeOutcome),
    Vacuum(Vacuumed, Vec<NotVacuumed>),
    Inspect(Vec<Inspected>),
    Quarantine(Repaired),
}

/// A table that was not looked through to the end, or the lake's own folder, and why.
pub(super) type NotVacuumed = (Option<DatasetId>, LakeError);

impl Task {
    fn run(self) -> Done {
        match self {
            Self::Merge(job) => Done::Merge(job.run()),
            Self::Vacuum(own, jobs, clock) => {
                let now_ms = || clock.now_ms();
                let mut sum = Vacuumed::default();
                let mut failed = Vec::new();
                let mut add = |id, vacuumed: Result<Vacuumed, LakeError>| match vacuumed {
                    Ok(vacuumed) => sum += vacuumed,
                    Err(error) => failed.push((id, error)),
                };
                add(None, own.run(&now_ms));
                for (id, job) in jobs {
                    add(Some(id), job.run(&now_ms));
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
    pub(super) worker: Worker<Task, Done>,
    /// Stops a merge that is not wanted any more.
    pub(super) cancelled: Arc<AtomicBool>,
    /// Dataset and inputs of the merge under way, until its outcome is admitted or given up.
    pub(super) merging: Option<(DatasetId, Vec<Arc<LiveFile>>)>,
    /// Memory that it holds while it runs, bytes; 0 from when it has run.
    pub(super) merge_bytes: usize,
    /// A merge that waits for the table log.
    pub(super) merged: Option<MergeOutcome>,
    /// Datasets whose files have changed since they were looked at.
    due: BTreeSet<DatasetId>,
    /// Datasets that somebody wants compacted whole.
    wanted: BTreeSet<DatasetId>,
    /// How much is merged without being asked for.
    effort: Effort,
    /// Datasets whose last merge failed, and until when they are left alone.
    paused: BTreeMap<DatasetId, Instant>,
    /// Broken files that a merge has met, and until when their partitions are left alone.
    broken: BTreeMap<Arc<str>, Instant>,
    compacted: Compacted,
    next_retention: Instant,
    next_vacuum: Instant,
    /// Since when the next merge has waited for a vacuum.
    vacuum_awaited: Option<Instant>,
    vacuumed: Vacuumed,
    vacuums_running: usize,
}

impl Upkeep {
    pub(super) fn start<'a>(
        datasets: impl Iterator<Item = &'a DatasetId>,
        options: &LakeOptions,
        now: Instant,
    ) -> Result<Self, LakeError> {
        Ok(Self {
            worker: if options.background {
                Worker::start("lake-upkeep", Task::run, REST_AFTER, options.give_back)?
            } else {
                Worker::by_hand(Task::run)
            },
            cancelled: Arc::default(),
            merging: None,
            merge_bytes: 0,
            merged: None,
            due: datasets.cloned().collect(),
            wanted: BTreeSet::new(),
            effort: Effort::Steady,
            paused: BTreeMap::new(),
            broken: BTreeMap::new(),
            compacted: Compacted::default(),
            next_retention: now,
            next_vacuum: now + FIRST_VACUUM,
            vacuum_awaited: None,
            vacuumed: Vacuumed::default(),
            vacuums_running: 0,
        })
    }

    /// Hands a task to the upkeep thread.
    pub(super) fn send(&mut self, task: Task) -> Result<(), LakeError> {
        self.worker.send(task)
    }

    /// Without a thread: carries out the oldest task that waits; false where none does.
    pub(super) fn run_job(&mut self) -> bool {
        self.worker.run_one()
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

    /// Returns true while the next merge waits for a vacuum that is due: where merges follow each other and there is always a commit
    /// when one ends, it would not have its turn.
    fn awaits_vacuum(&mut self, now: Instant) -> bool {
        if now < self.next_vacuum {
            self.vacuum_awaited = None;
            return false;
        }
        let since = *self.vacuum_awaited.get_or_insert(now);
        now.duration_since(since) < VACUUM_WAIT_MAX
    }

    /// Returns the next merge.
    fn next_merge(
        &mut self,
        tables: &BTreeMap<DatasetId, Table>,
        background: bool,
        now: Instant,
        now_ms: i64,
    ) -> Option<MergeJob> {
        self.paused.retain(|_, until| now < *until);
        self.broken.retain(|_, until| now < *until);
        let (paused, broken, effort) = (&self.paused, &self.broken, self.effort);
        let next = |ids: &mut BTreeSet<DatasetId>, effort| {
            while let Some(id) = ids.iter().find(|id| !paused.contains_key(*id)).cloned() {
                let choice = tables.get(&id).and_then(|table| {
                    let files = without_partitions_of(broken, table.actor.files());
                    Some((table, choose(&files, effort, now_ms)?))
                });
                match choice {
                    Some((table, choice)) => return Some((id, table, choice)),
                    None => ids.remove(&id),
                };
            }
            None
        };
        let found = next(&mut self.wanted, Effort::Full)
            .or_else(|| background.then(|| next(&mut self.due, effort)).flatten());
        let (id, table, choice) = found?;
        self.merging = Some((id, choice.files()));
        self.merge_bytes = choice.bytes() as usize;
        Some(MergeJob {
            folder: table.actor.folder().clone(),
            declaration: Arc::clone(table.actor.declaration()),
            codec: Arc::clone(table.actor.codec()),
            choice,
            cancelled: Arc::clone(&self.cancelled),
            now_ms,
        })
    }

    /// Takes note of a merge that failed: a broken file costs the merges of its partition, another error those of its
    /// dataset for a while.
    fn note_failure(&mut self, outcome: &MergeOutcome, error: &LakeError, now: Instant) {
        let id = &outcome.declaration.id;
        let is_broken = |file: &&Arc<LiveFile>| {
            let shown = outcome.folder.shown(&file.path);
            matches!(error, LakeError::BrokenFile { path, .. } if *path == shown)
        };
        let error: &dyn std::error::Error = error;
        if let Some(file) = outcome.inputs.iter().find(is_broken) {
            error!(dataset = %id, error, "cannot merge the files of a period: one of them is broken");
            self.broken
                .insert(Arc::clone(&file.path), now + BROKEN_PAUSE);
            self.merging = None;
            self.compacted.given_up += 1;
            self.compacted.failed += 1;
            return;
        }
        warn!(dataset = %id, error, "failed to merge files, trying again later");
        self.fail(id, now);
    }

    fn give_up(&mut self, id: &DatasetId, now: Instant) {
        self.merging = None;
        self.compacted.given_up += 1;
        self.paused.insert(id.clone(), now + MERGE_PAUSE);
        metrics::counter!("meetnet_merges_given_up_total", "dataset" => id.to_string())
            .increment(1);
    }

    fn fail(&mut self, id: &DatasetId, now: Instant) {
        self.wanted.remove(id);
        self.compacted.failed += 1;
        self.give_up(id, now);
    }
}

/// Leaves out the files of partitions that hold a broken one.
fn without_partitions_of(
    broken: &BTreeMap<Arc<str>, Instant>,
    files: &Arc<Vec<Arc<LiveFile>>>,
) -> Arc<Vec<Arc<LiveFile>>> {
    let is_broken = |file: &&Arc<LiveFile>| broken.contains_key(&file.path);
    let partitions: BTreeSet<Partition> = files
        .iter()
        .filter(is_broken)
        .map(|file| Partition::of(file))
        .collect();
    if partitions.is_empty() {
        return Arc::clone(files);
    }
    let whole = files
        .iter()
        .filter(|file| !partitions.contains(&Partition::of(file)));
    Arc::new(whole.cloned().collect())
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
                self.upkeep.paused.clear();
            }
            UpkeepRequest::Compact(Some(id)) => {
                if !self.tables.contains_key(&id) {
                    return Err(unknown(&id));
                }
                self.upkeep.paused.remove(&id);
                self.upkeep.wanted.insert(id);
            }
            UpkeepRequest::Vacuum => self.upkeep.next_vacuum = self.now(),
        }
        Ok(())
    }

    /// Says whether merging waits for something more urgent, the replay of a journal: what keeps runs bounded is merged all the
    /// same, and the rest once it waits no more, in fewer merges than it would have taken meanwhile.
    pub fn put_merges_off(&mut self, put_off: bool) {
        self.upkeep.effort = match put_off {
            true => Effort::Least,
            false => Effort::Steady,
        };
        for id in self.tables.keys() {
            self.upkeep.note_change(id);
        }
    }

    /// Returns true while a request has not been carried out, or given up.
    pub fn is_tending(&self) -> bool {
        let upkeep = &self.upkeep;
        !upkeep.wanted.is_empty()
            || upkeep.merging.is_some()
            || upkeep.vacuums_running > 0
            || upkeep.next_vacuum <= self.now()
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
                Done::Merge(outcome) => {
                    self.upkeep.merge_bytes = 0;
                    self.upkeep.merged = Some(outcome);
                }
                Done::Vacuum(vacuumed, failed) => self.report_vacuum(vacuumed, &failed),
                Done::Inspect(found) => self.repairs.take_inspected(found),
                Done::Quarantine(repaired) => self.repairs.take_quarantined(repaired),
            }
        }
        if let Some(outcome) = self.upkeep.merged.take() {
            self.place(outcome)?;
        }
        self.go_on_repairing()?;
        let now = self.now();
        if now >= self.upkeep.next_retention {
            // A commit may have the log of a table: it is looked again soon.
            let is_done = self.drop_old_periods()?;
            let pause = if is_done {
                RETENTION_PERIOD
            } else {
                RETENTION_PAUSE
            };
            self.upkeep.next_retention = now + pause;
        }
        if now >= self.upkeep.next_vacuum && self.start_vacuum()? {
            self.upkeep.next_vacuum = now + VACUUM_PERIOD;
        }
        if self.upkeep.merging.is_none() && !self.upkeep.awaits_vacuum(now) {
            let background = self.options.limits.compaction;
            let now_ms = self.options.clock.now_ms();
            if let Some(job) = self
                .upkeep
                .next_merge(&self.tables, background, now, now_ms)
            {
                debug!(dataset = %job.declaration.id, runs = job.choice.runs.len(), "merging");
                self.upkeep.vacuum_awaited = None;
                self.upkeep.worker.send(Task::Merge(job))?;
            }
        }
        Ok(())
    }

    /// Takes another retention of datasets, and looks for periods past it with the next [`Lake::tick`].
    pub fn retain(&mut self, retention: BTreeMap<DatasetId, Duration>) {
        self.options.retention = retention;
        self.upkeep.next_retention = self.now();
    }

    /// Puts merged files in the place of their inputs, if those are all still live.
    fn place(&mut self, outcome: MergeOutcome) -> Result<(), LakeError> {
        let id = outcome.declaration.id.clone();
        let (now, now_ms) = (self.now(), self.options.clock.now_ms());
        let Some(table) = self.tables.get_mut(&id) else {
            return Ok(());
        };
        if let Err(error) = &outcome.result {
            self.upkeep.note_failure(&outcome, error, now);
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
        if let Some(job) = table.actor.replace(inputs, files, "OPTIMIZE", now_ms) {
            self.worker.send(Job::Replace(job))?;
        }
        Ok(())
    }

    /// Admits an exchange of files. The inner error is the attempt's, which has been noted.
    pub(super) fn admit_replaced(
        &mut self,
        outcome: ReplaceOutcome,
    ) -> Result<Result<(), LakeError>, LakeError> {
        let id = outcome.declaration().id.clone();
        let now = self.now();
        let table = self.tables.get_mut(&id).ok_or_else(|| unknown(&id))?;
        let (counts, late_rows) = (outcome.counts(), outcome.late_rows());
        let is_merge = counts.files_after > 0;
        let admitted = table.actor.admit_replaced(outcome);
        let admitted = admitted.inspect_err(|_| self.lost = Some(id.clone()))?;
        let failed = match admitted {
            Admitted::Done => {
                table.note_success(&id);
                None
            }
            Admitted::Again(job, error) => {
                table.again = Some(Job::Replace(job));
                table.note_failure(&id, &error, now);
                return Ok(Err(error));
            }
            Admitted::Failed(error) => {
                table.note_failure(&id, &error, now);
                Some(error)
            }
        };
        let version = table.actor.version();
        let is_repair = self.admit_repaired(&id, failed.as_ref())?;
        if let Some(error) = failed {
            if is_merge {
                self.upkeep.fail(&id, now);
            }
            return Ok(Err(error));
        }
        self.upkeep.note_change(&id);
        if is_merge {
            self.upkeep.merging = None;
            self.upkeep.compacted.add(counts);
            metrics::counter!("meetnet_merges_total", "dataset" => id.to_string()).increment(1);
            info!(dataset = %id, version, files_before = counts.files_before, files_after = counts.files_after, rows = counts.rows, "merged files");
        } else if !is_repair && counts.files_before > 0 {
            info!(dataset = %id, version, files = counts.files_before, "dropped periods past their retention");
        }
        if late_rows > 0 {
            metrics::counter!("meetnet_rows_past_retention_total", "dataset" => id.to_string())
                .increment(late_rows);
            warn!(dataset = %id, rows = late_rows, "dropped rows that came after the retention had dropped their period: what is derived says nothing of them");
        }
        Ok(Ok(()))
    }

    /// Drops what is past its retention; false while a job has the log of a table of which something is.
    fn drop_old_periods(&mut self) -> Result<bool, LakeError> {
        let now_ms = self.options.clock.now_ms();
        let mut is_done = true;
        for (id, kept) in &self.options.retention {
            let Some(table) = self.tables.get_mut(id) else {
                continue;
            };
            let grain = table.actor.declaration().grain;
            let old = past_retention(table.actor.files(), grain, *kept, now_ms);
            let old: Vec<Arc<LiveFile>> = old.cloned().collect();
            let noted = table.actor.txn(DROPPED_BEFORE);
            let files = table.actor.files();
            let dropped = dropped_periods(files, &old, grain, (*kept, now_ms), noted);
            let Some(dropped) = dropped else {
                continue;
            };
            match table.actor.drop_periods(old, dropped, now_ms) {
                Some(job) => self.worker.send(Job::Replace(job))?,
                None => is_done = false,
            }
        }
        Ok(is_done)
    }

    /// Starts a vacuum of all tables; false while a job has the log of one, or a merge is under way: the files that they write are
    /// named by nobody yet, and only their age would tell them from what a crash has left. By a clock that was set ahead they are old.
    fn start_vacuum(&mut self) -> Result<bool, LakeError> {
        let mut tables = self.tables.values();
        if self.upkeep.merging.is_some() || tables.any(|table| table.actor.is_committing()) {
            return Ok(false);
        }
        let vacuum_after = millis(self.options.limits.vacuum_after);
        let orphan_age = millis(ORPHAN_AGE);
        let now_ms = self.options.clock.now_ms();
        let own = OwnVacuumJob::new(Arc::clone(&self.storage), orphan_age, now_ms);
        let jobs: Vec<(DatasetId, VacuumJob)> = self
            .tables
            .iter()
            .filter_map(|(id, table)| {
                let job = table.actor.vacuum(vacuum_after, orphan_age, now_ms)?;
                Some((id.clone(), job))
            })
            .collect();
        self.upkeep.vacuums_running += 1;
        let clock = self.options.clock.clone();
        self.upkeep.worker.send(Task::Vacuum(own, jobs, clock))?;
        Ok(true)
    }

    pub(super) fn report_vacuum(&mut self, vacuumed: Vacuumed, failed: &[NotVacuumed]) {
        self.upkeep.vacuums_running -= 1;
        self.upkeep.vacuumed += vacuumed;
        self.upkeep.vacuumed.failed_tables += failed.len() as u64;
        for (id, error) in failed {
            let dataset = id.as_ref().map(tracing::field::display);
            warn!(
                dataset,
                error = error as &dyn std::error::Error,
                "failed to remove old files, trying again tomorrow"
            );
        }
        metrics::counter!("meetnet_vacuumed_bytes_total").increment(vacuumed.bytes);
        if vacuumed != Vacuumed::default() {
            let Vacuumed {
                replaced_files,
                orphans,
                log_files,
                bytes,
                failed_tables: _,
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
            failed: self.failed - before.failed,
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
