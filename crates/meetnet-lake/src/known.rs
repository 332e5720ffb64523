//! What a journal knows of the tables that it has written, and whether those in the lake can be the same.
//!
//! ```text
//! commit ─▶ entry of the table log, synced ─▶ checkpoint of the journal: version and position of each table ─▶ trim
//! start  ─▶ is each table at least there? ─▶ only then is anything written
//! ```
//!
//! A checkpoint speaks of a commit only after the commit is on disk with its name, and frames leave the journal only behind
//! the checkpoint. So neither a crash nor a loss of power leaves a table behind what the checkpoint says of it: a table
//! that is behind, or not there, is somewhere else (a disk that is not mounted), was set back, or is lost. Going on would
//! make new versions in place of those that are missing, and nobody could tell afterwards. A table that is ahead is usual:
//! the process ended between its commit and the next checkpoint. So is one that the checkpoint does not name: it was made
//! since.
//!
//! It knows nothing of rows, and does not look at files: that is `check`'s work.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use meetnet_model::ids::{DatasetId, Sequence};
use serde::Serialize;
use uuid::Uuid;

use crate::error::LakeError;
use crate::journal::checkpoint::{self, CHECKPOINT, Checkpoint, Sealed};
use crate::journal::opening::stored_identity;
use crate::journal::{FolderLock, JournalError, JournalPlace, Recovery};
use crate::lake::JOURNAL_APP;
use crate::storage::{LakeStorage, TableFolder};
use crate::table::declared::DeclaredTable;
use crate::table::log::TableLog;

/// How far a table has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TablePosition {
    /// Version of its log.
    pub version: u64,
    /// The frame of the journal up to which everything is in it.
    pub through: Sequence,
}

/// A table that is not where the journal has left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LostTable {
    /// Its dataset.
    pub dataset: DatasetId,
    /// Where it was.
    pub known: TablePosition,
    /// Where it is; none where there is no table.
    pub found: Option<TablePosition>,
}

/// What the checkpoint of a journal says of its tables.
#[derive(Clone, Debug)]
pub struct KnownTables {
    /// The name under which tables record positions in the journal.
    app_id: String,
    positions: BTreeMap<DatasetId, TablePosition>,
}

impl KnownTables {
    /// Takes it from what was found when the journal `journal_id` was opened; None where nothing is known.
    pub fn found(recovery: &Recovery, journal_id: Uuid) -> Option<Self> {
        let checkpoint = recovery.checkpoint.as_ref()?;
        Some(Self::of(checkpoint, journal_id))
    }

    fn of(checkpoint: &Checkpoint, journal_id: Uuid) -> Self {
        let positions = checkpoint.datasets.iter().map(|(id, position)| {
            let (version, through) = *position;
            (id.clone(), TablePosition { version, through })
        });
        Self {
            app_id: format!("{JOURNAL_APP}{journal_id}"),
            positions: positions.collect(),
        }
    }

    /// Reads it from the journal's folder; None where nothing is known: a journal without a readable checkpoint applies
    /// all that it holds again.
    ///
    /// # Errors
    /// Where the folder cannot be read, or is of a newer version.
    pub fn read(place: &JournalPlace) -> Result<Option<Self>, JournalError> {
        let stored = read_stored(place)?;
        Ok(stored.map(|(journal_id, checkpoint)| Self::of(&checkpoint, journal_id)))
    }

    /// Returns what is lost of a table whose log is `log`, or that is not there.
    pub(crate) fn lost(&self, dataset: &DatasetId, log: Option<&TableLog>) -> Option<LostTable> {
        let known = *self.positions.get(dataset)?;
        let found = log.map(|log| TablePosition {
            version: log.version(),
            through: Sequence(log.txn(&self.app_id).unwrap_or(0).max(0) as u64),
        });
        let is_whole = match found {
            Some(found) => known.version <= found.version && known.through <= found.through,
            // Of a table that was only made nothing is lost.
            None => known.version == 0,
        };
        (!is_whole).then(|| LostTable {
            dataset: dataset.clone(),
            known,
            found,
        })
    }

    /// Refuses a lake in which a table is behind what is known of it; nothing is written. `declared` have been read from
    /// `storage`; tables that nothing declares any more are looked up.
    ///
    /// # Errors
    /// [`LakeError::LostTables`].
    pub(crate) fn check(
        &self,
        storage: &Arc<dyn LakeStorage>,
        declared: &[DeclaredTable],
    ) -> Result<(), LakeError> {
        let mut tables = Vec::new();
        for dataset in self.positions.keys() {
            let is_of = |table: &&DeclaredTable| table.declaration().id == *dataset;
            if let Some(table) = declared.iter().find(is_of) {
                tables.extend(self.lost(dataset, table.log()));
                continue;
            }
            let folder = TableFolder::new(Arc::clone(storage), dataset.as_str());
            // One that cannot be read stops those who need it; for the others it is as good as hidden.
            if let Ok(log) = TableLog::open(&folder) {
                tables.extend(self.lost(dataset, log.as_ref()));
            }
        }
        if tables.is_empty() {
            return Ok(());
        }
        Err(LakeError::LostTables {
            lake: storage.location().name(),
            tables,
        })
    }
}

impl fmt::Display for LostTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            dataset,
            known,
            found,
        } = self;
        match found {
            Some(found) => write!(f, "table `{dataset}` is at {found}, and was at {known}"),
            None => write!(f, "table `{dataset}` is missing, and was at {known}"),
        }
    }
}

impl fmt::Display for TablePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, through } = self;
        write!(f, "version {version} with messages through {through}")
    }
}

/// Lets the journal forget what it knows of these tables beyond what is there: they are lost for good, and somebody has
/// decided to go on without. Returns what that was. Frames that the journal still holds are applied by the next start.
///
/// # Errors
/// [`LakeError::Usage`] where nothing is lost of one of them; [`JournalError::Locked`] where a daemon runs; others where
/// the journal or a table log cannot be read or written. Then nothing has changed.
pub fn accept_loss(
    storage: &Arc<dyn LakeStorage>,
    place: &JournalPlace,
    datasets: &[DatasetId],
) -> Result<Vec<LostTable>, LakeError> {
    let files = place.files.as_ref();
    let _lock = FolderLock::acquire(files, &place.dir)?;
    let Some((journal_id, mut checkpoint)) = read_stored(place)? else {
        return Err(LakeError::Usage(format!(
            "journal folder {} has no readable checkpoint, so there is no loss to accept",
            place.dir.display()
        )));
    };
    let known = KnownTables::of(&checkpoint, journal_id);
    let mut accepted = Vec::new();
    for dataset in datasets {
        let folder = TableFolder::new(Arc::clone(storage), dataset.as_str());
        let lost = known.lost(dataset, TableLog::open(&folder)?.as_ref());
        let lost = lost.ok_or_else(|| {
            LakeError::Usage(format!(
                "table `{dataset}` has everything that the journal knows of, so there is no loss to accept"
            ))
        })?;
        match lost.found {
            Some(found) => checkpoint
                .datasets
                .insert(dataset.clone(), (found.version, found.through)),
            None => checkpoint.datasets.remove(dataset),
        };
        accepted.push(lost);
    }
    checkpoint::write_sealed(files, &place.dir, CHECKPOINT, &checkpoint)?;
    Ok(accepted)
}

/// Reads the id and the checkpoint of a journal; None where one of them cannot be understood.
fn read_stored(place: &JournalPlace) -> Result<Option<(Uuid, Checkpoint)>, JournalError> {
    let files = place.files.as_ref();
    // A damaged identity is restored from a segment when the journal is opened.
    let Sealed::Valid(identity) = stored_identity(files, &place.dir)? else {
        return Ok(None);
    };
    match checkpoint::read_sealed::<Checkpoint>(files, &place.dir, CHECKPOINT)? {
        Sealed::Valid(checkpoint) => Ok(Some((identity.id, checkpoint))),
        Sealed::Missing | Sealed::Damaged => Ok(None),
    }
}

#[cfg(test)]
mod tests;
