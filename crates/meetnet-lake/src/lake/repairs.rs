//! Taking broken files out of the tables of a running daemon, through their actors.
//!
//! ```text
//! request -> [upkeep thread: look at every file] -> still live? -> replace by nothing -> [commit thread] -> admit
//!         -> [upkeep thread: move to the quarantine] -> Repaired
//! ```

use std::collections::BTreeMap;

use meetnet_model::ids::DatasetId;
use tracing::warn;

use super::upkeep::Task;
use super::{Job, Lake};
use crate::check::Depth;
use crate::error::LakeError;
use crate::repair::{InspectJob, Inspected, LeftAlone, Repaired};
use crate::table::quarantine::REPAIR;

/// State of the repair that is under way, if any.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    wanted: Option<Depth>,
    /// Jobs of the upkeep thread.
    running: usize,
    /// Broken files that wait for the log of their table.
    waiting: BTreeMap<DatasetId, Inspected>,
    /// Broken files whose removal is being committed.
    committing: BTreeMap<DatasetId, Inspected>,
    repaired: Repaired,
    /// From a request until what was done is fetched.
    is_asked: bool,
}

impl Repairs {
    pub(super) fn is_busy(&self) -> bool {
        self.wanted.is_some()
            || self.running > 0
            || !self.waiting.is_empty()
            || !self.committing.is_empty()
    }

    /// Takes what was found broken.
    pub(super) fn take_inspected(&mut self, found: Vec<Inspected>) {
        self.running -= 1;
        for mut inspected in found {
            self.repaired.left.append(&mut inspected.left);
            if !inspected.broken.is_empty() {
                let dataset = inspected.declaration.id.clone();
                self.waiting.insert(dataset, inspected);
            }
        }
    }

    /// Takes what was moved.
    pub(super) fn take_quarantined(&mut self, mut quarantined: Repaired) {
        self.running -= 1;
        self.repaired.files.append(&mut quarantined.files);
        self.repaired.left.append(&mut quarantined.left);
    }
}

impl Lake {
    /// Asks for broken files to be taken out of the tables; [`Lake::take_repaired`] says when it is done. A request
    /// while one is being carried out asks for the same.
    pub fn request_repair(&mut self, depth: Depth) {
        if !self.repairs.is_busy() {
            self.repairs.wanted = Some(depth);
            self.repairs.is_asked = true;
        }
    }

    /// Returns what the last repair did, once after it has been done.
    pub fn take_repaired(&mut self) -> Option<Repaired> {
        if !self.repairs.is_asked || self.repairs.is_busy() {
            return None;
        }
        self.repairs.is_asked = false;
        Some(std::mem::take(&mut self.repairs.repaired))
    }

    /// Starts what is due.
    pub(super) fn go_on_repairing(&mut self) -> Result<(), LakeError> {
        if let Some(depth) = self.repairs.wanted.take() {
            let tables = self.tables.values();
            let jobs = tables.map(|table| InspectJob {
                folder: table.actor.folder().clone(),
                declaration: table.actor.declaration().clone(),
                files: table.actor.files().clone(),
                unmoved: table.actor.unmoved(),
                depth,
            });
            self.upkeep.send(Task::Inspect(jobs.collect()))?;
            self.repairs.running += 1;
        }
        let now_ms = self.options.clock.now_ms();
        for (dataset, mut inspected) in std::mem::take(&mut self.repairs.waiting) {
            let Some(table) = self.tables.get_mut(&dataset) else {
                continue;
            };
            if table.actor.is_committing() {
                self.repairs.waiting.insert(dataset, inspected);
                continue;
            }
            // A commit may have replaced it meanwhile: what was readable of it is elsewhere.
            inspected
                .broken
                .retain(|broken| table.actor.holds(std::slice::from_ref(&broken.file)));
            inspected.has_imports = table.actor.has_imports();
            let files = inspected.files();
            if !files.is_empty()
                && let Some(job) = table.actor.replace(files, Vec::new(), REPAIR, now_ms)
            {
                self.worker.send(Job::Replace(job))?;
                self.repairs.committing.insert(dataset, inspected);
            }
        }
        Ok(())
    }

    /// Takes the outcome of a removal; false where it was none of a repair's.
    pub(super) fn admit_repaired(
        &mut self,
        dataset: &DatasetId,
        failed: Option<&LakeError>,
    ) -> Result<bool, LakeError> {
        let Some(inspected) = self.repairs.committing.remove(dataset) else {
            return Ok(false);
        };
        match failed {
            None => {
                let files = inspected.broken.len();
                warn!(%dataset, files, "took broken files out of the table");
                self.upkeep.send(Task::Quarantine(inspected))?;
                self.repairs.running += 1;
            }
            Some(error) => {
                let left = LeftAlone::table(&inspected.folder, error);
                self.repairs.repaired.left.push(left);
            }
        }
        Ok(true)
    }
}
