//! A declaration and the table log that it belongs to: read once, and checked before anything is written.

use std::sync::Arc;

use meetnet_model::change::{check_change, check_property_change};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::property::PropertyUnits;
use serde_json::json;

use super::log::{Committed, TableLog, as_logged, commit_info};
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
    /// Of its properties, and of those that the table has had.
    units: PropertyUnits,
    log: Option<TableLog>,
    /// The table has an older form of the declaration, or lacks units.
    is_changed: bool,
}

impl DeclaredTable {
    /// Reads the log of the table in `folder`; nothing is written. `units` are those of the properties that are declared
    /// for the dataset.
    ///
    /// # Errors
    /// [`LakeError::ForbiddenChange`] where the table refuses the declaration, or one of the units.
    pub(crate) fn read(
        folder: TableFolder,
        declaration: Arc<DatasetDeclaration>,
        units: PropertyUnits,
    ) -> Result<Self, LakeError> {
        let mut table = Self {
            log: TableLog::open(&folder)?,
            folder,
            declaration,
            units,
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
        let (stored, units) = (log.declaration()?, log.property_units()?);
        let id = &self.declaration.id;
        let changes = check_change(&stored, &self.declaration);
        let of_units = check_property_change(id, &units, &self.units);
        let problems: Vec<String> = [changes, of_units]
            .into_iter()
            .filter_map(Result::err)
            .flatten()
            .collect();
        if problems.is_empty() {
            // Rows of properties that are gone stay: should one come back, it must be in their unit.
            self.units.extend(units.clone());
            self.is_changed = stored != as_logged(&self.declaration) || units != self.units;
            return Ok(());
        }
        Err(LakeError::ForbiddenChange {
            dataset: id.clone(),
            problems,
        })
    }

    /// The declaration.
    pub(crate) fn declaration(&self) -> &Arc<DatasetDeclaration> {
        &self.declaration
    }

    /// Units of the properties of the dataset, as its table has them once it is open: also of those that are gone.
    pub(crate) fn units(&self) -> &PropertyUnits {
        &self.units
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

    /// Makes the table where there is none, gives it declaration and units where it has an older form, and returns its log.
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
            None => TableLog::create(&self.folder, &self.declaration, &self.units, now_ms)?,
        };
        log.set_opening(opening);
        let operation = match (self.is_changed, opening) {
            (true, _) => "SET DECLARATION",
            (false, Some(_)) => "OPEN",
            (false, None) => return Ok(log),
        };
        let mut actions = vec![commit_info(operation, now_ms, json!({}))];
        if self.is_changed {
            actions.push(log.changed_metadata(&self.declaration, &self.units));
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
