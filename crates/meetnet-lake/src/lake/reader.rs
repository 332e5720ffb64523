//! Committed files without the daemon: what `meetnet serve` and `meetnet sql` read.

use std::collections::BTreeMap;
use std::sync::Arc;

use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::{DatasetId, Sequence};

use super::JOURNAL_APP;
use crate::actor::{DROPPED_BEFORE, RECORDED_THROUGH, live_files};
use crate::damage;
use crate::error::LakeError;
use crate::snapshot::{LakeSnapshot, TableSnapshot};
use crate::storage::{LakeStorage, TableFolder};
use crate::table::log::{LOG_FOLDER, TableLog};

/// Files that [`LakeReader::compare_damaged`] compares.
const COMPARED_MAX: usize = 16;

/// Follows the table logs of a folder; it sees commits, not hot rows.
#[derive(Debug)]
pub struct LakeReader {
    storage: Arc<dyn LakeStorage>,
    tables: BTreeMap<DatasetId, (TableLog, Arc<TableSnapshot>)>,
}

impl LakeReader {
    /// Opens every table in `storage`. What is noted there of damaged files is known from then on.
    ///
    /// # Errors
    /// Where the notes or a table log cannot be read.
    pub fn open(storage: Arc<dyn LakeStorage>) -> Result<Self, LakeError> {
        // Before the tables: so whatever a note names is live in one of them, or was removed.
        damage::recall(&*storage)?;
        let mut reader = Self {
            storage,
            tables: BTreeMap::new(),
        };
        reader.refresh()?;
        Ok(reader)
    }

    /// Takes in what has been committed since, new tables included; returns one consistent view.
    ///
    /// # Errors
    /// Where a table log cannot be read; the next call takes in what this one has not. Where one is broken, the others have been
    /// taken in: [`LakeReader::snapshot`] shows them.
    pub fn refresh(&mut self) -> Result<LakeSnapshot, LakeError> {
        let names = self.storage.folders("").map_err(|error| {
            let lake = self.storage.location().name();
            LakeError::io("list", lake.as_ref())(error)
        })?;
        // What begins with `_` is the lake's own and no table.
        let mut broken = Ok(());
        for name in names.into_iter().filter(|name| !name.starts_with('_')) {
            match self.refresh_table(&name) {
                Err(error) if error.is_of_log() => broken = broken.and(Err(error)),
                refreshed => refreshed?,
            }
        }
        broken.map(|()| self.snapshot())
    }

    /// Returns every table as it was read last.
    pub fn snapshot(&self) -> LakeSnapshot {
        let tables = self
            .tables
            .iter()
            .map(|(id, (_, table))| (id.clone(), Arc::clone(table)))
            .collect();
        LakeSnapshot { tables }
    }

    /// Takes in what has been committed of one table.
    fn refresh_table(&mut self, name: &str) -> Result<(), LakeError> {
        let id = DatasetId::new(name);
        match self.tables.get_mut(&id) {
            Some((log, snapshot)) => {
                log.catch_up()?;
                if log.version() != snapshot.version {
                    let declaration = declaration_of(log, &id)?;
                    *snapshot = Arc::new(snapshot_of(log, declaration)?);
                }
            }
            None => {
                let folder = TableFolder::new(Arc::clone(&self.storage), name);
                if let Some(log) = TableLog::open(&folder)? {
                    let declaration = declaration_of(&log, &id)?;
                    let snapshot = Arc::new(snapshot_of(&log, declaration)?);
                    self.tables.insert(id, (log, snapshot));
                }
            }
        }
        Ok(())
    }

    /// Compares the first live files that are noted as damaged once more: one that was put back since is answered again. For
    /// who reads once; elsewhere the scrub does it.
    pub fn compare_damaged(&self) {
        let mut compared = 0;
        for (_, table) in self.tables.values() {
            for file in table.files.iter() {
                if table.folder.damage_of(&file.path).is_none() {
                    continue;
                }
                if compared == COMPARED_MAX {
                    return;
                }
                compared += 1;
                // One that is whole is noted so. A storage that does not answer has proved nothing.
                let _ = damage::examine(&table.folder, file);
            }
        }
    }

    /// Returns before which time, µs since 1970 UTC, a retention has dropped everything of a table, as of the last refresh; only
    /// tables of which it has. Rows that came later may lie there: they are dropped too.
    pub fn dropped_before(&self) -> BTreeMap<DatasetId, i64> {
        let tables = self.tables.iter();
        let dropped =
            tables.filter_map(|(id, (log, _))| Some((id.clone(), log.txn(DROPPED_BEFORE)?)));
        dropped.collect()
    }
}

/// Returns the declaration of a table in the folder of the dataset `id`: one that was moved there is another dataset's.
fn declaration_of(log: &TableLog, id: &DatasetId) -> Result<Arc<DatasetDeclaration>, LakeError> {
    let declaration = log.declaration()?;
    if declaration.id != *id {
        return Err(LakeError::BrokenLog {
            path: log.folder().shown(LOG_FOLDER),
            reason: format!("it is the table of dataset `{}`", declaration.id),
        });
    }
    Ok(Arc::new(declaration))
}

/// Returns what is committed of a table, as rows of a declaration that the table allows.
pub(super) fn snapshot_of(
    log: &TableLog,
    declaration: Arc<DatasetDeclaration>,
) -> Result<TableSnapshot, LakeError> {
    let files = live_files(log, &declaration)?;
    Ok(TableSnapshot {
        folder: log.folder().clone(),
        version: log.version(),
        through: Sequence(log.txn_max(JOURNAL_APP).unwrap_or(0).max(0) as u64),
        stable_time: log.txn(RECORDED_THROUGH).unwrap_or(0),
        files: Arc::new(files),
        masks: Arc::default(),
        hot: Arc::default(),
        declaration,
    })
}
