//! Declarations that change while the lake is open.
//!
//! A frame of the journal says from where on they are in force; everything before it has been applied by the old ones.
//!
//! - **Live**, a dataset whose declaration changed is committed up to the frame, and its table opened again with the new
//!   one, so no file holds rows of two forms. A new dataset gets a table. A dataset that is gone is hidden from readers;
//!   its table stays, and what is left to commit is committed.
//! - **In a replay** tables have the newest declarations from the start, for those were checked first. Rows of an older
//!   form fit by nulls. Only a dataset that the tail of the journal still has, and the newest declarations not, is opened
//!   for the replay, in the form that its table has: its rows were acknowledged.
//!
//! Whoever changes declarations asks for [`Lake::prepare`] first, before there is a frame: what could fail at the frame
//! fails there, where nothing has changed. The units of new properties are in the tables before it, too: rows behind it
//! are in them, and the next start may be with another configuration.
//!
//! Crash: before the frame is durable nothing has changed; after it the next start opens the tables with the new
//! declarations and replays. A live change that fails halfway is left to that, too.

use std::sync::Arc;

use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::{DatasetId, LicenceId};
use meetnet_model::property::PropertyUnits;
use tracing::info;

use super::{Lake, open_table, unknown};
use crate::error::LakeError;
use crate::storage::TableFolder;
use crate::table::declared::DeclaredTable;
use crate::table::log::TableLog;

impl Lake {
    /// Does what [`Lake::redeclare`] would otherwise have to do first: makes the tables of new datasets, which readers do
    /// not see before, gives tables the units of new properties, and commits datasets whose declaration changes. The
    /// declarations in force stay as they are.
    ///
    /// # Errors
    /// [`LakeError::ForbiddenChange`] where a table refuses, before anything is changed; others where a table cannot be
    /// read, made or committed now.
    pub fn prepare(&mut self, declarations: &Declarations) -> Result<(), LakeError> {
        for declared in self.read_changed(declarations)? {
            let id = declared.declaration().id.clone();
            match self.tables.get(&id) {
                None => {
                    self.reopen(declared)?;
                    self.hide(&id);
                }
                Some(table) if table.has_units(declared.units()) => {
                    self.wait_for_commits()?;
                    self.commit_whole(&id)?;
                }
                Some(table) => {
                    // Before the frame: once there are rows behind it, nothing else would say after a crash what they are in.
                    let is_declared = table.is_declared;
                    let known = Arc::clone(table.actor.declaration());
                    let declared = self.read_table(&id, &known, declarations.units_of(&id))?;
                    self.reopen(declared)?;
                    if !is_declared {
                        self.hide(&id);
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts declarations in force for what is applied next. Everything applied so far has been counted by
    /// [`Lake::advance`].
    ///
    /// # Errors
    /// [`LakeError::ForbiddenChange`] where a table refuses, before anything is changed; others where a dataset cannot be
    /// committed or opened: only a restart helps.
    pub fn redeclare(&mut self, declarations: &Declarations) -> Result<(), LakeError> {
        for declared in self.read_changed(declarations)? {
            self.reopen(declared)?;
        }
        for (id, table) in &mut self.tables {
            let is_declared = declarations.datasets.contains_key(id);
            if table.is_declared && !is_declared {
                info!(dataset = %id, "no longer declared: hidden, its files stay");
            }
            table.is_declared = is_declared;
        }
        Ok(())
    }

    /// Opens the tables of datasets that have none open, in the form that they have, for a replay: readers do not see
    /// them before [`Lake::redeclare`] says that they are declared. Nothing else changes.
    ///
    /// # Errors
    /// Where one cannot be read or written.
    pub fn open_missing(&mut self, declarations: &Declarations) -> Result<(), LakeError> {
        for (id, declaration) in &declarations.datasets {
            if self.tables.contains_key(id) {
                continue;
            }
            let stored = TableLog::open(&self.folder_of(id))?;
            let (declaration, units) = match stored {
                Some(log) => {
                    let mut stored = log.declaration()?;
                    // The log does not say it; an erasure in what is replayed asks.
                    if let (Some(own), Some(of_frame)) = (&mut stored.derive, &declaration.derive) {
                        own.reference.clone_from(&of_frame.reference);
                    }
                    (Arc::new(stored), log.property_units()?)
                }
                None => (Arc::clone(declaration), declarations.units_of(id)),
            };
            let declared = self.read_table(id, &declaration, units)?;
            self.reopen(declared)?;
            self.hide(id);
        }
        Ok(())
    }

    /// Has a dataset name whoever rows under `licence` ask to name, before such rows come: whatever the configuration says of
    /// who fills it, no file and no answer leaves the name out. Nothing changes where it is named already; else what is hot is
    /// committed, and the table opened again with the name in its declaration, where a start finds it.
    ///
    /// # Errors
    /// Where the dataset cannot be committed or opened now: the rows must not come.
    pub fn name_source(
        &mut self,
        id: &DatasetId,
        licence: &LicenceId,
        attribution: &str,
    ) -> Result<(), LakeError> {
        let table = self.tables.get(id).ok_or_else(|| unknown(id))?;
        let known = table.actor.declaration();
        if known.attributions(licence).any(|name| name == attribution) {
            return Ok(());
        }
        let mut declaration = DatasetDeclaration::clone(known);
        let named = declaration.source_licences.entry(licence.clone());
        named.or_default().push(attribution.to_owned());
        let is_declared = table.is_declared;
        // The table's own units stay: no property comes with a name.
        let declared = self.read_table(id, &Arc::new(declaration), PropertyUnits::default())?;
        self.reopen(declared)?;
        if !is_declared {
            self.hide(id);
        }
        Ok(())
    }

    /// Keeps a table from readers that is open only for rows that are still to come, or to be committed.
    fn hide(&mut self, id: &DatasetId) {
        if let Some(table) = self.tables.get_mut(id) {
            table.is_declared = false;
        }
    }

    fn folder_of(&self, id: &DatasetId) -> TableFolder {
        TableFolder::new(Arc::clone(&self.storage), id.as_str())
    }

    fn read_table(
        &self,
        id: &DatasetId,
        declaration: &Arc<DatasetDeclaration>,
        units: PropertyUnits,
    ) -> Result<DeclaredTable, LakeError> {
        DeclaredTable::read(self.folder_of(id), Arc::clone(declaration), units)
    }

    /// Reads the tables of datasets that are not open with their declaration and the units of their properties.
    fn read_changed(&self, declarations: &Declarations) -> Result<Vec<DeclaredTable>, LakeError> {
        let mut changed = Vec::new();
        for (id, declaration) in &declarations.datasets {
            let units = declarations.units_of(id);
            let is_same = self.tables.get(id).is_some_and(|table| {
                let known = table.actor.declaration();
                (Arc::ptr_eq(known, declaration) || known == declaration) && table.has_units(&units)
            });
            if !is_same {
                changed.push(self.read_table(id, declaration, units)?);
            }
        }
        Ok(changed)
    }

    /// Opens a table, or opens it again once what it has is committed.
    fn reopen(&mut self, mut declared: DeclaredTable) -> Result<(), LakeError> {
        let id = declared.declaration().id.clone();
        let mut held = None;
        if self.tables.contains_key(&id) {
            self.wait_for_commits()?;
            self.commit_whole(&id)?;
            let table = self.tables.get(&id).ok_or_else(|| unknown(&id))?;
            if table.actor.hot_rows() > 0 {
                return Err(LakeError::Usage(format!(
                    "dataset `{id}` has rows behind the change of its declaration"
                )));
            }
            held = table.held;
            // The commit is in the log now.
            declared.refresh()?;
        }
        // Rows that wait are not in the table, though their frames have been taken.
        let applied = held.map_or(self.through, |(through, _)| through);
        let mut table = open_table(declared, &self.options, &self.app_id, applied, self.opening)?;
        table.held = held;
        info!(dataset = %id, version = table.actor.version(), "opened with a new declaration");
        self.tables.insert(id.clone(), table);
        self.upkeep.note_change(&id);
        Ok(())
    }
}
