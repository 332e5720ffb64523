//! Taking broken files out of the tables, and saying what they held.
//!
//! ```text
//! live files ─examine─▶ broken ones: what they held ─▶ log entry REPAIR (Remove) ─▶ moved to `_quarantine/`
//! ```
//!
//! A file is taken out where it is missing or not the bytes that were written. Nothing is invented: rows that were in
//! it are missing until its raw messages are replayed. What is wrong otherwise (a log that cannot be read, rows that
//! contradict each other, a disk that does not answer) is left alone and stays a finding of the check.
//!
//! Crash safety: see `table/quarantine.rs`. Two ways in: [`repair`] under the lock of a stopped journal, before anything
//! is replayed, for a replay may itself trip over the file; and in a running daemon through the dataset actors
//! (`Lake::request_repair`).

mod held;
mod raw;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::DatasetId;
use serde::{Deserialize, Serialize};

pub use self::held::{HeldPart, KeyRange, SourceRange, TimeRange};
pub use self::raw::RawFrames;
use crate::actor::{ReplaceJob, live_files};
use crate::check::{Depth, FindingKind, Verdict, examine, kind_of, table_folders, with_sources};
use crate::damage::{self, Damage};
use crate::error::LakeError;
use crate::journal::checkpoint::Sealed;
use crate::journal::opening::stored_identity;
use crate::journal::{FolderLock, JournalError, JournalPlace, Openings};
use crate::known::KnownTables;
use crate::lake::has_imports;
use crate::snapshot::LiveFile;
use crate::storage::{self, LakeStorage, TableFolder};
use crate::table::log::TableLog;
use crate::table::quarantine::{self, REPAIR};

/// What to repair where no daemon runs.
#[derive(Clone, Debug)]
pub struct RepairOptions {
    /// Where the tables lie.
    pub storage: Arc<dyn LakeStorage>,
    /// The journal that they are written from.
    pub journal: JournalPlace,
    /// Full: files are hashed. Quick: only length and footer are looked at.
    pub depth: Depth,
}

/// Why nothing could be repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// A daemon holds the journal folder, or it cannot be read.
    #[error("failed to take hold of the journal")]
    Journal(#[from] JournalError),
    /// The tables cannot be listed, or are another journal's.
    #[error("failed to look at the tables")]
    Lake(#[from] LakeError),
}

/// What a repair did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Repaired {
    /// Files that were taken out.
    pub files: Vec<QuarantinedFile>,
    /// What could not be repaired.
    pub left: Vec<LeftAlone>,
}

/// A file that was taken out of its table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuarantinedFile {
    /// The dataset.
    pub dataset: DatasetId,
    /// Its path in the table's folder.
    pub path: String,
    /// Where it is now in the table's folder; none where it was missing.
    pub kept_as: Option<String>,
    /// What was wrong with it.
    pub fault: FindingKind,
    /// The same as a sentence.
    pub what: String,
    /// Rows that the table has lost with it.
    pub rows: u64,
    /// True: its rows had been replaced, only history is lost.
    pub superseded: bool,
    /// Which rows: keys and times.
    pub held: Vec<HeldPart>,
    /// The raw messages that its rows can have come from, by source; empty before [`Repaired::find_raw`].
    pub raw: Vec<RawFrames>,
    /// True: files were imported into the dataset. Those that its rows came from bring them back when they are imported again.
    #[serde(default)]
    pub has_imports: bool,
}

/// A table or file that a repair left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftAlone {
    /// The dataset.
    pub dataset: DatasetId,
    /// The file; none where it is the table as a whole.
    pub path: Option<String>,
    /// Why.
    pub reason: String,
}

impl Repaired {
    /// Looks for the raw messages of the rows that are gone, in archive and journal; a daemon may run.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn find_raw(&mut self, journal: &JournalPlace) -> Result<(), JournalError> {
        raw::find(journal, &mut self.files)
    }
}

/// Takes broken files out of all tables, while nobody else does anything to them.
///
/// # Errors
/// [`JournalError::Locked`] where a daemon runs: it says which process. [`LakeError::OtherWriter`] and
/// [`LakeError::OtherCopy`] where the tables in a bucket are another journal's.
pub fn repair(options: &RepairOptions, now_ms: i64) -> Result<Repaired, RepairError> {
    let place = &options.journal;
    let _lock = FolderLock::acquire(place.files.as_ref(), &place.dir)?;
    let id = match stored_identity(place.files.as_ref(), &place.dir)? {
        Sealed::Valid(identity) => Some(identity.id),
        Sealed::Missing | Sealed::Damaged => None,
    };
    let openings = Openings::new(Arc::clone(&place.files), place.dir.clone());
    // A bucket has no lock: its daemon may run on another machine.
    storage::check_writer(&*options.storage, id, &openings)?;
    let known = KnownTables::read(place)?;
    damage::recall(&*options.storage)?;
    let mut repaired = Repaired::default();
    for folder in table_folders(&options.storage)? {
        let known = known.as_ref();
        if let Err(error) = repair_table(&folder, known, options.depth, now_ms, &mut repaired) {
            repaired.left.push(LeftAlone::table(&folder, &error));
        }
    }
    repaired.find_raw(place)?;
    Ok(repaired)
}

fn repair_table(
    folder: &TableFolder,
    known: Option<&KnownTables>,
    depth: Depth,
    now_ms: i64,
    repaired: &mut Repaired,
) -> Result<(), LakeError> {
    let Some(log) = TableLog::open(folder)? else {
        return Ok(());
    };
    // A version of ours would take the place of one that is missing.
    let dataset = DatasetId::new(folder.name());
    if let Some(lost) = known.and_then(|known| known.lost(&dataset, Some(&log))) {
        return Err(LakeError::LostTables {
            lake: folder.location().name(),
            tables: vec![lost],
        });
    }
    log.sync()?;
    let declaration = Arc::new(log.declaration()?);
    let files = live_files(&log, &declaration)?;
    let job = InspectJob {
        folder: folder.clone(),
        declaration: Arc::clone(&declaration),
        files: Arc::new(files),
        unmoved: unmoved(&log),
        depth,
    };
    let mut inspected = job.run();
    repaired.left.append(&mut inspected.left);
    if inspected.broken.is_empty() {
        return Ok(());
    }
    inspected.has_imports = has_imports(&log);
    let removed = inspected.files();
    ReplaceJob::without_actor(log, declaration, removed, REPAIR, now_ms)
        .run()
        .into_result()?;
    inspected.quarantine(repaired);
    Ok(())
}

/// Returns the files that a repair has taken out of a table, and that a crash may have left in their place.
pub(crate) fn unmoved(log: &TableLog) -> Vec<String> {
    let kept = log
        .tombstones()
        .filter(|remove| quarantine::is_kept(remove));
    kept.map(|remove| remove.path.clone()).collect()
}

/// Looks for broken files in one table.
#[derive(Debug)]
pub(crate) struct InspectJob {
    pub(crate) folder: TableFolder,
    pub(crate) declaration: Arc<DatasetDeclaration>,
    pub(crate) files: Arc<Vec<Arc<LiveFile>>>,
    /// See [`unmoved`].
    pub(crate) unmoved: Vec<String>,
    pub(crate) depth: Depth,
}

/// What was found in one table.
#[derive(Debug)]
pub(crate) struct Inspected {
    pub(crate) folder: TableFolder,
    pub(crate) declaration: Arc<DatasetDeclaration>,
    /// Files were imported into it: known where the broken files are taken out.
    pub(crate) has_imports: bool,
    pub(crate) broken: Vec<BrokenFile>,
    pub(crate) left: Vec<LeftAlone>,
}

/// A broken file, and what it held.
#[derive(Debug)]
pub(crate) struct BrokenFile {
    pub(crate) file: Arc<LiveFile>,
    damage: Damage,
    held: Vec<HeldPart>,
}

impl InspectJob {
    /// Looks at every file.
    pub(crate) fn run(self) -> Inspected {
        let mut inspected = Inspected {
            folder: self.folder,
            declaration: self.declaration,
            has_imports: false,
            broken: Vec::new(),
            left: Vec::new(),
        };
        let (folder, declaration) = (&inspected.folder, &inspected.declaration);
        for path in &self.unmoved {
            if let Err(error) = quarantine::keep(folder, path) {
                inspected.left.push(LeftAlone::file(folder, path, &error));
            }
        }
        for file in self.files.iter() {
            let was_damaged = folder.damage_of(&file.path).is_some();
            match examine(folder, declaration, file, self.depth) {
                // Compared with its hash, and put back since.
                Verdict::Sound(_) if was_damaged => folder.forget_damage(&file.path),
                Verdict::Sound(_) => {}
                Verdict::Broken(damage) => inspected.broken.push(BrokenFile {
                    held: held::read(folder, declaration, file, damage),
                    file: Arc::clone(file),
                    damage,
                }),
                Verdict::Unknown(error) => {
                    inspected
                        .left
                        .push(LeftAlone::file(folder, &file.path, &error));
                }
            }
        }
        inspected
    }
}

impl Inspected {
    /// The broken files.
    pub(crate) fn files(&self) -> Vec<Arc<LiveFile>> {
        let broken = self.broken.iter();
        broken.map(|broken| Arc::clone(&broken.file)).collect()
    }

    /// Moves the broken files, which the log no longer names, and says what they were.
    pub(crate) fn quarantine(self, repaired: &mut Repaired) {
        for BrokenFile { file, damage, held } in self.broken {
            if let Err(error) = quarantine::keep(&self.folder, &file.path) {
                // It stays where it is; the next repair or vacuum moves it.
                let left = LeftAlone::file(&self.folder, &file.path, &error);
                repaired.left.push(left);
            }
            repaired.files.push(QuarantinedFile {
                dataset: self.declaration.id.clone(),
                path: file.path.to_string(),
                kept_as: (damage != Damage::Missing).then(|| quarantine::kept_path(&file.path)),
                fault: kind_of(damage),
                what: format!("it {damage}"),
                rows: file.rows,
                superseded: file.superseded,
                held,
                raw: Vec::new(),
                has_imports: self.has_imports,
            });
        }
    }
}

impl LeftAlone {
    /// Says why a table was left alone.
    pub(crate) fn table(folder: &TableFolder, error: &LakeError) -> Self {
        Self {
            dataset: DatasetId::new(folder.name()),
            path: None,
            reason: with_sources(error),
        }
    }

    fn file(folder: &TableFolder, path: &str, error: &LakeError) -> Self {
        Self {
            path: Some(path.to_owned()),
            ..Self::table(folder, error)
        }
    }
}
