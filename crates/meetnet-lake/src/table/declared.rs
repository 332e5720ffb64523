//! A declaration and the table log that it belongs to: read once, and checked before anything is written.

use std::sync::Arc;

use meetnet_model::dataset::DatasetDeclaration;
use serde_json::json;

use super::log::{Committed, TableLog, commit_info};
use crate::error::LakeError;
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

    /// Makes the table where there is none, gives it the declaration where it has an older form, and returns its log.
    /// Where openings of the lake have a number, an entry makes `opening` known: no earlier one can commit after it.
    ///
    /// # Errors
    /// Where the log cannot be written, or others keep writing it.
    pub(crate) fn open(mut self, opening: Option<i64>, now_ms: i64) -> Result<TableLog, LakeError> {
        for _ in 0..ATTEMPTS {
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
                Committed::Done => return Ok(log),
                // From a process that has ended, and on its way until now; or from one that is about to lose its version.
                Committed::Lost(_) if opening.is_some() => {}
                // The next start finds out.
                Committed::Lost(error) | Committed::Unsettled(error) => return Err(error),
            }
            self.log = Some(log);
            self.refresh()?;
        }
        Err(LakeError::TakenOver {
            table: self.folder.shown(""),
        })
    }
}
