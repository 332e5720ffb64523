//! Erasing rows for good: what the pipeline asks of the tables, one dataset after the other.
//!
//! ```text
//! settle -> find_rows, read_found (which rows, of which envelopes?) -> erase_rows
//! ```
//!
//! On the pipeline's thread, so nothing is applied meanwhile. Readers that hold an older snapshot may find a file gone,
//! as after a vacuum.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::DatasetId;
use tracing::info;

use super::upkeep::Done;
use super::{Job, Lake, unknown};
use crate::actor::{Admitted, ErasedRows, FoundInFile};
use crate::error::LakeError;
use crate::storage::TableFolder;
use crate::table::log::TableLog;
use crate::table::select::Select;

/// Rows of one dataset that were found in its live files.
#[derive(Clone, Debug)]
pub struct FoundRows {
    dataset: DatasetId,
    files: Vec<FoundInFile>,
}

impl FoundRows {
    /// Returns how many rows they are.
    pub fn count(&self) -> u64 {
        self.files.iter().map(|found| found.rows.len() as u64).sum()
    }
}

impl Lake {
    /// Returns the declarations of all tables.
    pub fn datasets(&self) -> Vec<Arc<DatasetDeclaration>> {
        let tables = self.tables.values();
        tables
            .map(|table| Arc::clone(table.actor.declaration()))
            .collect()
    }

    /// Says whether the lake has tables of datasets that are not declared any more: nobody looks into those.
    ///
    /// # Errors
    /// Where there is one; it is named.
    pub fn refuse_former_tables(&self) -> Result<(), LakeError> {
        let storage = &self.storage;
        let names = storage.folders("").map_err(|error| {
            let lake = storage.location().name();
            LakeError::io("list", lake.as_ref())(error)
        })?;
        // What begins with `_` is the lake's own and no table.
        for name in names.into_iter().filter(|name| !name.starts_with('_')) {
            let folder = TableFolder::new(Arc::clone(storage), &name);
            if !self.tables.contains_key(&DatasetId::new(&name))
                && TableLog::open(&folder)?.is_some()
            {
                return Err(LakeError::Usage(format!(
                    "table `{name}` of the lake is not declared any more, so nothing can be erased from it: declare it \
                     again, or remove its folder"
                )));
            }
        }
        Ok(())
    }

    /// Commits everything that has been applied, and ends what runs in the background: nothing is hot afterwards, and
    /// nobody reads or writes a file but queries. A merge that was under way is begun anew later.
    ///
    /// # Errors
    /// Where a commit fails, or rows wait for a file that cannot be read.
    pub fn settle(&mut self) -> Result<(), LakeError> {
        self.wait_for_commits()?;
        let ids: Vec<DatasetId> = self.tables.keys().cloned().collect();
        for id in &ids {
            self.run_again(id)?;
        }
        self.upkeep.cancelled.store(true, Ordering::Relaxed);
        while let Some(done) = self.upkeep.worker.wait() {
            match done {
                Done::Merge(outcome) => outcome.discard(),
                Done::Vacuum(vacuumed, failed) => self.report_vacuum(vacuumed, &failed),
                Done::Inspect(found) => self.repairs.take_inspected(found),
                Done::Quarantine(repaired) => self.repairs.take_quarantined(repaired),
            }
        }
        self.upkeep.cancelled.store(false, Ordering::Relaxed);
        if let Some(outcome) = self.upkeep.merged.take() {
            outcome.discard();
        }
        self.upkeep.merge_bytes = 0;
        if let Some((id, _)) = self.upkeep.merging.take() {
            self.upkeep.note_change(&id);
        }
        if let Some((id, _)) = self.tables.iter().find(|(_, table)| table.held.is_some()) {
            return Err(LakeError::Usage(format!(
                "rows of dataset `{id}` wait for a file that cannot be read; run `meetnet check --repair`"
            )));
        }
        self.commit_all()
    }

    /// Finds rows in the live files of a dataset by what stands in `columns`; no hot ones.
    ///
    /// # Errors
    /// Where the dataset is not declared or a file cannot be read.
    pub fn find_rows(
        &self,
        dataset: &DatasetId,
        columns: &[&str],
        select: &mut Select<'_>,
    ) -> Result<FoundRows, LakeError> {
        let table = self.tables.get(dataset).ok_or_else(|| unknown(dataset))?;
        Ok(FoundRows {
            dataset: dataset.clone(),
            files: table.actor.find_rows(columns, select)?,
        })
    }

    /// Reads some columns of found rows.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn read_found(
        &mut self,
        found: &FoundRows,
        columns: &[&str],
    ) -> Result<Vec<RecordBatch>, LakeError> {
        let id = &found.dataset;
        let table = self.tables.get_mut(id).ok_or_else(|| unknown(id))?;
        let files = found.files.iter();
        files
            .map(|found| table.actor.read_found(found, columns))
            .collect()
    }

    /// Erases found rows from every file of their dataset: those that are live, those that are not any more and hold
    /// rows that `select` means, and the log's statistics of earlier versions. After [`Lake::settle`], and before anything
    /// else is applied.
    ///
    /// # Errors
    /// In `Ok`: a step failed; doing it again from [`Lake::settle`] on goes on from there. `Err`: only a restart helps.
    pub fn erase_rows(
        &mut self,
        found: &FoundRows,
        columns: &[&str],
        select: &mut Select<'_>,
    ) -> Result<Result<ErasedRows, LakeError>, LakeError> {
        let id = &found.dataset;
        let now_ms = self.options.clock.now_ms();
        let table = self.tables.get_mut(id).ok_or_else(|| unknown(id))?;
        let job = match table.actor.erase_job(&found.files, now_ms) {
            Ok(job) => job,
            Err(error) => return Ok(Err(error)),
        };
        if let Some(job) = job {
            match table.actor.admit_replaced(job.run())? {
                // Readers must not look any more for what is removed next.
                Admitted::Done => self.publish(),
                Admitted::Failed(error) => return Ok(Err(error)),
                Admitted::Again(job, error) => {
                    table.again = Some(Job::Replace(job));
                    return Ok(Err(error));
                }
            }
        }
        let table = self.tables.get_mut(id).ok_or_else(|| unknown(id))?;
        let mut erased = match table.actor.forget_rows(columns, select) {
            Ok(erased) => erased,
            Err(error) => return Ok(Err(error)),
        };
        erased.rows = found.count();
        erased.files = found.files.len() as u64;
        let ErasedRows {
            rows,
            files,
            replaced_files,
            unreadable_files,
            log_files,
        } = erased;
        info!(dataset = %id, version = table.actor.version(), rows, files, replaced_files, unreadable_files, log_files, "erased rows");
        self.upkeep.note_change(id);
        Ok(Ok(erased))
    }
}
