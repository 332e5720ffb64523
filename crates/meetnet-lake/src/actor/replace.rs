//! Replacing files by others without changing what is answered (compaction), or by nothing (retention, repair).
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
use super::commit::{CommitFailure, commit_once};
use crate::error::LakeError;
use crate::lake::Compacted;
use crate::repair;
use crate::snapshot::LiveFile;
use crate::table::actions::Action;
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
    added: Vec<LiveFile>,
    /// What the log calls it.
    operation: &'static str,
    now_ms: i64,
}

/// What a job gives back to its actor.
#[derive(Debug)]
pub(crate) struct ReplaceOutcome {
    declaration: Arc<DatasetDeclaration>,
    log: TableLog,
    removed: Vec<Arc<LiveFile>>,
    added: Vec<LiveFile>,
    result: Result<(), CommitFailure>,
}

impl ReplaceOutcome {
    /// The dataset whose files changed.
    pub(crate) fn declaration(&self) -> &Arc<DatasetDeclaration> {
        &self.declaration
    }

    /// Returns what became of it, where no actor takes the files.
    pub(crate) fn into_result(self) -> Result<(), LakeError> {
        match self.result {
            Ok(()) => Ok(()),
            Err(CommitFailure::Retry(error) | CommitFailure::Fatal(error)) => Err(error),
        }
    }

    /// What it exchanges.
    pub(crate) fn counts(&self) -> Compacted {
        Compacted {
            files_before: self.removed.len() as u64,
            files_after: self.added.len() as u64,
            rows: self.added.iter().map(|file| file.rows).sum(),
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
            added,
            operation,
            now_ms,
        })
    }

    /// Takes the outcome of a job, as [`DatasetActor::admit`] does.
    pub(crate) fn admit_replaced(
        &mut self,
        outcome: ReplaceOutcome,
    ) -> Result<Option<LakeError>, LakeError> {
        self.version = outcome.log.version();
        self.log = Some(outcome.log);
        match outcome.result {
            Ok(()) => {}
            Err(CommitFailure::Retry(error)) => return Ok(Some(error)),
            Err(CommitFailure::Fatal(error)) => return Err(error),
        }
        let paths = outcome.removed.iter().map(|file| Arc::clone(&file.path));
        let added: Vec<Arc<LiveFile>> = outcome.added.into_iter().map(Arc::new).collect();
        let removed = self.swap_files(&paths.collect(), &added);
        if added.is_empty() {
            // Masks go with their rows. Their files are not read: they may be gone because they cannot be.
            for file in &removed {
                self.masks.remove(&file.path);
            }
        } else {
            let moved = self.take_masks(&removed, |_| true)?;
            self.map_masks(moved, &added)?;
        }
        self.dirty = true;
        Ok(None)
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
            now_ms,
        }
    }

    /// Commits the exchange. Every error leaves the table as it was, or changed whole.
    pub(crate) fn run(mut self) -> ReplaceOutcome {
        let result = self.commit();
        ReplaceOutcome {
            declaration: self.declaration,
            log: self.log,
            removed: self.removed,
            added: self.added,
            result,
        }
    }

    fn commit(&mut self) -> Result<(), CommitFailure> {
        // Files that come hold the rows of those that go: for readers of the log nothing changes.
        let data_change = self.added.is_empty();
        let info = json!({ "removed": self.removed.len(), "added": self.added.len() });
        let mut actions = vec![commit_info(self.operation, self.now_ms, info)];
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
        commit_once(&mut self.log, &actions, &self.added, self.now_ms)
    }
}
