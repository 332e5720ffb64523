//! Erasing rows: out of the live files, out of files that are live no longer, and out of the log's statistics.
//!
//! ```text
//! find (live files) -> files written again without the rows -> one commit
//!                   -> the log cut behind a checkpoint -> replaced files, orphans and the quarantine searched
//! ```
//!
//! Nothing may be hot, nothing else may run ([`Lake::settle`](crate::lake::Lake::settle)): then every file of ours that
//! is not live is left over, and the rows are in no memory but that of readers. Each step is durable before the next
//! begins, and each can be done again: a crash between them is made good by erasing again.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::rewrite::rewrite_without;
use super::{DatasetActor, ReplaceJob};
use crate::error::LakeError;
use crate::snapshot::LiveFile;
use crate::storage::folder_of;
use crate::table::files::{begun_at_ms, remove_files};
use crate::table::log::LOG_FOLDER;
use crate::table::quarantine;
use crate::table::select::{Select, schema_of, select_rows};

/// What the log calls the change.
pub(crate) const ERASE: &str = "ERASE";

/// Rows of live files of one dataset.
#[derive(Clone, Debug)]
pub(crate) struct FoundInFile {
    pub(crate) file: Arc<LiveFile>,
    /// Positions in the file, ascending; never none.
    pub(crate) rows: Vec<u32>,
}

/// What an erasure took out of tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErasedRows {
    /// Rows, replaced versions among them.
    pub rows: u64,
    /// Live files that were written again without them, or removed where they held nothing else.
    pub files: u64,
    /// Files that were live no longer and held some of the rows.
    pub replaced_files: u64,
    /// Files that nobody could read, and that were removed whole: broken ones in quarantine, and what crashes left.
    pub unreadable_files: u64,
    /// Log entries and checkpoints of earlier versions.
    pub log_files: u64,
}

impl std::ops::AddAssign for ErasedRows {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.files += other.files;
        self.replaced_files += other.replaced_files;
        self.unreadable_files += other.unreadable_files;
        self.log_files += other.log_files;
    }
}

impl DatasetActor {
    /// Finds rows in live files by `columns`.
    pub(crate) fn find_rows(
        &self,
        columns: &[&str],
        select: &mut Select<'_>,
    ) -> Result<Vec<FoundInFile>, LakeError> {
        let mut found = Vec::new();
        for file in self.files.iter() {
            let rows = select_rows(&self.folder, &self.declaration, &file.path, columns, select)?;
            if !rows.is_empty() {
                let file = Arc::clone(file);
                found.push(FoundInFile { file, rows });
            }
        }
        Ok(found)
    }

    /// Reads some columns of found rows.
    pub(crate) fn read_found(
        &mut self,
        found: &FoundInFile,
        columns: &[&str],
    ) -> Result<RecordBatch, LakeError> {
        let schema = schema_of(&self.declaration, columns);
        self.reader.read_columns(&found.file, &found.rows, &schema)
    }

    /// Writes the files again without the found rows, and prepares to put them in the place of those; None where nothing
    /// was found.
    pub(crate) fn erase_job(
        &mut self,
        found: &[FoundInFile],
        now_ms: i64,
    ) -> Result<Option<ReplaceJob>, LakeError> {
        if found.is_empty() {
            return Ok(None);
        }
        let mut added = Vec::new();
        for FoundInFile { file, rows } in found {
            let (folder, declaration) = (&self.folder, &self.declaration);
            match rewrite_without(folder, declaration, file, rows, now_ms, |_, _| Ok(())) {
                Ok(files) => added.extend(files),
                Err(error) => {
                    remove_files(folder, &added);
                    return Err(error);
                }
            }
        }
        let removed: Vec<_> = found.iter().map(|found| Arc::clone(&found.file)).collect();
        for file in &removed {
            self.reader.forget(&file.path);
        }
        let job = self.replace(removed, added, ERASE, now_ms);
        job.map(Some).ok_or_else(|| self.is_taken())
    }

    /// The table log is with a job.
    fn is_taken(&self) -> LakeError {
        LakeError::Usage(format!(
            "dataset `{}` is being committed",
            self.declaration.id
        ))
    }

    /// Removes what is left of rows that are in no live file: statistics of earlier versions in the log, files that are
    /// live no longer and hold some of them, and files that nobody can read.
    pub(crate) fn forget_rows(
        &mut self,
        columns: &[&str],
        select: &mut Select<'_>,
    ) -> Result<ErasedRows, LakeError> {
        let Some(log) = &mut self.log else {
            return Err(self.is_taken());
        };
        let mut erased = ErasedRows {
            log_files: log.cut()?,
            ..ErasedRows::default()
        };
        let mut changed = BTreeSet::new();
        for object in self.folder.list("")? {
            let path = object.path.as_str();
            let is_unfinished = path.ends_with(".tmp");
            let is_left_over = begun_at_ms(path).is_some() && !log.is_live(path);
            let counted = if quarantine::holds(path) || (is_left_over && is_unfinished) {
                &mut erased.unreadable_files
            } else if is_left_over && path.ends_with(".parquet") && !path.starts_with(LOG_FOLDER) {
                match select_rows(&self.folder, &self.declaration, path, columns, select) {
                    Ok(rows) if rows.is_empty() => continue,
                    Ok(_) => &mut erased.replaced_files,
                    Err(LakeError::Parquet { .. } | LakeError::Arrow { .. }) => {
                        &mut erased.unreadable_files
                    }
                    Err(error) => return Err(error),
                }
            } else {
                continue;
            };
            self.folder.remove_all([path])?;
            *counted += 1;
            changed.insert(folder_of(path).to_owned());
        }
        for folder in changed {
            self.folder.sync_names(&folder)?;
        }
        Ok(erased)
    }
}
