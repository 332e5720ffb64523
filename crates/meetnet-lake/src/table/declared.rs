//! A declaration and the table log that it belongs to: read once, and checked before anything is written.

use std::sync::Arc;

use meetnet_model::dataset::DatasetDeclaration;
use serde_json::json;

use super::log::{Committed, TableLog, commit_info};
use crate::actor::live_files;
use crate::error::LakeError;
use crate::snapshot::LiveFile;
use crate::storage::TableFolder;

/// How often the log of a table that others write too is tried: each attempt is lost to another entry.
const ATTEMPTS: usize = 8;

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

    /// Folder of the table.
    pub(crate) fn folder(&self) -> &TableFolder {
        &self.folder
    }

    /// Returns the log of the table as it was read; none where there is no table.
    pub(crate) fn log(&self) -> Option<&TableLog> {
        self.log.as_ref()
    }

    /// Returns the declaration that the table has; none where there is no table.
    ///
    /// # Errors
    /// Where the log is broken.
    pub(crate) fn stored(&self) -> Result<Option<DatasetDeclaration>, LakeError> {
        self.log.as_ref().map(TableLog::declaration).transpose()
    }

    /// Returns the live files of the table; none where there is no table.
    ///
    /// # Errors
    /// Where an entry of the log is broken.
    pub(crate) fn files(&self) -> Result<Vec<Arc<LiveFile>>, LakeError> {
        let log = self.log.as_ref();
        log.map_or(Ok(Vec::new()), |log| live_files(log, &self.declaration))
    }

    /// Makes the table where there is none, gives it the declaration where it has an older form, and returns its log.
    /// Where openings of the lake have a number, an entry makes `opening` known: no earlier one can commit after it.
    ///
    /// # Errors
    /// Where the log cannot be written, or others keep writing it.
    pub(crate) fn open(mut self, opening: Option<i64>, now_ms: i64) -> Result<TableLog, LakeError> {
        // What has the version that was to be written comes from a process that has ended, and was on its way until now; or
        // from one that is about to lose the next.
        let is_lost =
            |error: &LakeError| opening.is_some() && matches!(error, LakeError::Conflict { .. });
        for _ in 0..ATTEMPTS {
            match self.try_open(opening, now_ms) {
                Err(error) if is_lost(&error) => self.refresh()?,
                opened => return opened,
            }
        }
        Err(LakeError::TakenOver {
            table: self.folder.shown(""),
        })
    }

    fn try_open(&mut self, opening: Option<i64>, now_ms: i64) -> Result<TableLog, LakeError> {
        let mut log = match self.log.take() {
            Some(log) => {
                log.sync()?;
                log
            }
            None => TableLog::create(&self.folder, &self.declaration, now_ms)?,
        };
        log.set_opening(opening);
        let operation = match (self.is_changed, opening) {
            (true, _) => "SET DECLARATION",
            (false, Some(_)) => "OPEN",
            (false, None) => return Ok(log),
        };
        let mut actions = vec![commit_info(operation, now_ms, json!({}))];
        if self.is_changed {
            actions.push(log.changed_metadata(&self.declaration));
        }
        match log.commit(actions, now_ms) {
            Committed::Done => Ok(log),
            Committed::Lost(error) => {
                self.log = Some(log);
                Err(error)
            }
            // The next start finds out.
            Committed::Unsettled(error) => Err(error),
        }
    }
}
