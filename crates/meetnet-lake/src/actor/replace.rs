//! Replacing files by others without changing what is answered (compaction), by nothing (retention, repair), or by the
//! same without some rows (erasure).
//!
//! ```text
//! files to go, files to come -> replace (actor) -> ReplaceJob::run (any thread) -> admit_replaced (actor)
//! ```
//!
//! It says nothing about the journal: no position moves. Masks on files that go are found again by key in those that
//! come, whoever set them.

use std::collections::HashSet;
use std::sync::Arc;

use meetnet_model::dataset::DatasetDeclaration;
use serde_json::json;

use super::DatasetActor;
use super::commit::{Admitted, CommitFailure, DROPPED_BEFORE, REPAIRS, repairs_in, settled};
use super::erase::ERASE;
use crate::error::LakeError;
use crate::lake::{Compacted, has_imports};
use crate::repair;
use crate::snapshot::LiveFile;
use crate::table::actions::{Action, Txn};
use crate::table::files::{add_action, remove_action};
use crate::table::log::{TableLog, commit_info};
use crate::table::quarantine::{self, REPAIR};
use crate::table::vacuum::VacuumJob;

/// Files that change places.
#[derive(Debug)]
pub(crate) struct ReplaceJob {
    declaration: Arc<DatasetDeclaration>,
    log: TableLog,
    removed: Vec<Arc<LiveFile>>,
    added: Vec<Arc<LiveFile>>,
    /// What the log calls it.
    operation: &'static str,
    /// Of a retention.
    dropped: Option<DroppedPeriods>,
    now_ms: i64,
    /// Whether an entry is on its way.
    sent: bool,
}

/// What a retention drops.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DroppedPeriods {
    /// Everything before it is gone now, µs since 1970 UTC.
    pub(crate) before: i64,
    /// Current rows of periods that had been dropped already: they came too late.
    pub(crate) late_rows: u64,
}

/// What a job gives back to its actor.
#[derive(Debug)]
pub(crate) struct ReplaceOutcome {
    job: ReplaceJob,
    result: Result<(), CommitFailure>,
}

impl ReplaceOutcome {
    /// The dataset whose files changed.
    pub(crate) fn declaration(&self) -> &Arc<DatasetDeclaration> {
        &self.job.declaration
    }

    /// How many rows came after a retention had dropped their period, and go with it. None of a made dataset did: a rebuild
    /// makes those again that are past the retention of what it makes.
    pub(crate) fn late_rows(&self) -> u64 {
        let is_made = self.job.declaration.is_made();
        let dropped = self.job.dropped.filter(|_| !is_made);
        dropped.map_or(0, |dropped| dropped.late_rows)
    }

    /// Returns what became of it, where no actor takes the files.
    pub(crate) fn into_result(self) -> Result<(), LakeError> {
        match self.result {
            Ok(()) => Ok(()),
            Err(
                CommitFailure::Retry(error)
                | CommitFailure::Unsettled(error)
                | CommitFailure::Fatal(error),
            ) => Err(error),
        }
    }

    /// What it exchanges.
    pub(crate) fn counts(&self) -> Compacted {
        let (removed, added) = (&self.job.removed, &self.job.added);
        Compacted {
            files_before: removed.len() as u64,
            files_after: added.len() as u64,
            rows: added.iter().map(|file| file.rows).sum(),
            ..Compacted::default()
        }
    }
}

impl DatasetActor {
    /// Returns true where all of `files` are live.
    pub(crate) fn holds(&self, files: &[Arc<LiveFile>]) -> bool {
        let live: HashSet<&str> = self.files.iter().map(|file| &*file.path).collect();
        files.iter().all(|file| live.contains(&*file.path))
    }

    /// Returns true where hot rows have replaced rows of one of `files`.
    pub(crate) fn masks_any(&self, files: &[Arc<LiveFile>]) -> bool {
        !self.masks.is_empty() && files.iter().any(|file| self.masks.contains_key(&file.path))
    }

    /// Prepares a vacuum; None while a job has the table log. Times in ms, see [`VacuumJob::new`].
    pub(crate) fn vacuum(
        &self,
        vacuum_after_ms: i64,
        orphan_age_ms: i64,
        now_ms: i64,
    ) -> Option<VacuumJob> {
        let log = self.log.as_ref()?;
        Some(VacuumJob::new(log, vacuum_after_ms, orphan_age_ms, now_ms))
    }

    /// Files that a repair has taken out and may not have moved; none while a job has the table log.
    pub(crate) fn unmoved(&self) -> Vec<String> {
        self.log.as_ref().map(repair::unmoved).unwrap_or_default()
    }

    /// Whether files were imported into the table; not asked while a job has its log.
    pub(crate) fn has_imports(&self) -> bool {
        self.log.as_ref().is_some_and(has_imports)
    }

    /// Keeps tombstones for at least this long, ms.
    pub(crate) fn keep_tombstones(&mut self, retention_ms: i64) {
        if let Some(log) = &mut self.log {
            log.keep_tombstones(retention_ms);
        }
    }

    /// Prepares to put `added` in the place of `removed`, which must be live. None while a job has the table log.
    pub(crate) fn replace(
        &mut self,
        removed: Vec<Arc<LiveFile>>,
        added: Vec<LiveFile>,
        operation: &'static str,
        now_ms: i64,
    ) -> Option<ReplaceJob> {
        Some(ReplaceJob {
            declaration: Arc::clone(&self.declaration),
            log: self.log.take()?,
            removed,
            added: added.into_iter().map(Arc::new).collect(),
            operation,
            dropped: None,
            now_ms,
            sent: false,
        })
    }

    /// Prepares to drop periods past their retention, and to note for good that they are. None while a job has the table log.
    pub(crate) fn drop_periods(
        &mut self,
        removed: Vec<Arc<LiveFile>>,
        dropped: DroppedPeriods,
        now_ms: i64,
    ) -> Option<ReplaceJob> {
        let job = self.replace(removed, Vec::new(), "RETENTION", now_ms)?;
        Some(ReplaceJob {
            dropped: Some(dropped),
            ..job
        })
    }

    /// Takes the outcome of a job, as [`DatasetActor::admit`] does.
    pub(crate) fn admit_replaced(
        &mut self,
        outcome: ReplaceOutcome,
    ) -> Result<Admitted<ReplaceJob>, LakeError> {
        let ReplaceOutcome { job, result } = outcome;
        match result {
            Ok(()) => {}
            Err(CommitFailure::Unsettled(error)) => return Ok(Admitted::Again(job, error)),
            Err(CommitFailure::Retry(error)) => {
                self.take_back(job.log)?;
                return Ok(Admitted::Failed(error));
            }
            Err(CommitFailure::Fatal(error)) => return Err(error),
        }
        let removed = job.removed.iter().map(|file| Arc::clone(&file.path));
        if let Err(error) = self.exchange(&removed.collect(), &job.added, None) {
            return Ok(Admitted::Again(job, error));
        }
        if job.loses_rows() {
            self.forget_newest_times();
        }
        self.version = job.log.version();
        self.repairs = repairs_in(&job.log);
        self.log = Some(job.log);
        Ok(Admitted::Done)
    }
}

impl ReplaceJob {
    /// Prepares to take files out of a table that no actor has.
    pub(crate) fn without_actor(
        log: TableLog,
        declaration: Arc<DatasetDeclaration>,
        removed: Vec<Arc<LiveFile>>,
        operation: &'static str,
        now_ms: i64,
    ) -> Self {
        Self {
            declaration,
            log,
            removed,
            added: Vec::new(),
            operation,
            dropped: None,
            now_ms,
            sent: false,
        }
    }

    /// Whether rows go for good. Files of a merge hold those of the files that go.
    fn loses_rows(&self) -> bool {
        !self.removed.is_empty() && (self.added.is_empty() || self.operation == ERASE)
    }

    /// Commits the exchange; a job that has been run before finds out what became of its entry.
    pub(crate) fn run(mut self) -> ReplaceOutcome {
        let result = self.commit();
        ReplaceOutcome { job: self, result }
    }

    fn commit(&mut self) -> Result<(), CommitFailure> {
        let committed = match self.sent {
            true => self.log.settle(self.now_ms),
            false => {
                let actions = self.actions();
                self.sent = true;
                self.log.commit(actions, self.now_ms)
            }
        };
        settled(&mut self.log, committed, &self.added)
    }

    fn actions(&self) -> Vec<Action> {
        let data_change = self.loses_rows();
        let info = json!({ "removed": self.removed.len(), "added": self.added.len() });
        let mut actions = vec![commit_info(self.operation, self.now_ms, info)];
        // In the entry that drops them: whoever sees that they are gone sees why.
        actions.extend(self.dropped.map(|dropped| {
            Action::Txn(Txn {
                app_id: DROPPED_BEFORE.to_owned(),
                version: dropped.before,
                last_updated: Some(self.now_ms),
            })
        }));
        // In the entry that takes the files out, too: no import goes on behind rows that are gone.
        if self.operation == REPAIR {
            actions.push(Action::Txn(Txn {
                app_id: REPAIRS.to_owned(),
                version: repairs_in(&self.log) as i64 + 1,
                last_updated: Some(self.now_ms),
            }));
        }
        for file in &self.removed {
            let mut remove = remove_action(&self.declaration, file, self.now_ms);
            remove.data_change = data_change;
            if self.operation == REPAIR {
                remove.tags = Some(quarantine::tags());
            }
            actions.push(Action::Remove(remove));
        }
        for file in &self.added {
            let mut add = add_action(&self.declaration, file);
            add.data_change = data_change;
            actions.push(Action::Add(add));
        }
        actions
    }
}
