//! A declaration and the table log that it belongs to: read once, and checked before anything is written.

use std::sync::Arc;

use meetnet_model::dataset::DatasetDeclaration;
use serde_json::json;

use super::log::{Committed, TableLog, commit_info};
use crate::error::LakeError;
use crate::storage::TableFolder;

/// A declared dataset with the log of its table, where there is one; the log allows the declaration.
#[derive(Debug)]
pub(crate) struct DeclaredTable {
    folder: TableFolder,
    declaration: Arc<DatasetDeclaration>,
    log: Option<TableLog>,
    /// The table has an older form of the declaration.
    is_changed: bool,
}

impl DeclaredTable {
    /// Reads the log of the table in `folder`; nothing is written.
    ///
    /// # Errors
    /// [`LakeError::ForbiddenChange`] where the table refuses the declaration.
    pub(crate) fn read(
        folder: TableFolder,
        declaration: Arc<DatasetDeclaration>,
    ) -> Result<Self, LakeError> {
        let mut table = Self {
            log: TableLog::open(&folder)?,
            folder,
            declaration,
            is_changed: false,
        };
        table.check()?;
        Ok(table)
    }

    /// Takes in what has been committed since the log was read, and checks again.
    ///
    /// # Errors
    /// As [`DeclaredTable::read`].
    pub(crate) fn refresh(&mut self) -> Result<(), LakeError> {
        match &mut self.log {
            Some(log) => log.refresh()?,
            None => self.log = TableLog::open(&self.folder)?,
        }
        self.check()
    }

    fn check(&mut self) -> Result<(), LakeError> {
        let Some(log) = &self.log else {
            return Ok(());
        };
        let stored = log.declaration()?;
        self.is_changed = stored != *self.declaration;
        if !self.is_changed {
            return Ok(());
        }
        meetnet_model::change::check_change(&stored, &self.declaration).map_err(|problems| {
            LakeError::ForbiddenChange {
                dataset: self.declaration.id.clone(),
                problems,
            }
        })
    }

    /// The declaration.
    pub(crate) fn declaration(&self) -> &Arc<DatasetDeclaration> {
        &self.declaration
    }

    /// Makes the table where there is none, gives it the declaration where it has an older form, and returns its log.
    ///
    /// # Errors
    /// Where the log cannot be written, or somebody else has.
    pub(crate) fn open(self, now_ms: i64) -> Result<TableLog, LakeError> {
        let Some(mut log) = self.log else {
            return TableLog::create(&self.folder, &self.declaration, now_ms);
        };
        log.sync()?;
        if self.is_changed {
            let metadata = log.changed_metadata(&self.declaration);
            let info = commit_info("SET DECLARATION", now_ms, json!({}));
            match log.commit(vec![info, metadata], now_ms) {
                Committed::Done => {}
                // The next start finds out.
                Committed::Lost(error) | Committed::Unsettled(error) => return Err(error),
            }
        }
        Ok(log)
    }
}
