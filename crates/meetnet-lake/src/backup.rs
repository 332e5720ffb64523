//! Backup and restore: one folder that holds lake and journal as they were at one moment, taken while messages come in.
//!
//! ```text
//! hold the journal ─▶ lake: each table at a version ─▶ archive ─▶ journal, all that is durable ─▶ sync ─▶ manifest
//! ```
//!
//! | in the backup's folder | what it is |
//! |---|---|
//! | `lake/<dataset>/…` | live files, and the part of the table log that leads to them |
//! | `journal/…` | identity, checkpoint and the state at it, segments, and what else the caller names |
//! | `archive/…` | the raw archive, where it was asked for |
//! | `manifest` | what all of it is, with lengths and hashes; JSON with a checksum |
//!
//! # Why it is whole
//!
//! A copy is a state that a crash could have left, so a restored daemon starts as after a crash. That rests on an order:
//! 1. The journal is held at a checkpoint T: every row of every frame up to T is in the tables, and no frame after T goes
//!    away. (Were the journal's checkpoint copied after the tables, it could promise rows that the copied tables lack.)
//! 2. Each table is copied at some version. They differ in age, and need not agree: a table says itself how far it is.
//! 3. The journal is copied last: it reaches at least as far as any table, and every message that was acknowledged
//!    before the backup began is in it.
//! 4. The manifest is written when all else is synced. **A folder without one is no backup**, whatever is in it.
//!
//! Files that never change (Parquet, archive) become second names of the same bytes where the file system can do that,
//! else copies. Segments are always copied: the next start cuts the newest one. Every byte is read and hashed, also
//! what is linked, and a data file must have the hash that the table log has for it: damage shows when the backup is
//! made, not when it is needed. What is known to be damaged beforehand is compared before anything is copied.
//!
//! It knows nothing of configuration: what the journal's folder holds besides the journal, the caller names.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meetnet_model::ids::DatasetId;
use meetnet_model::quantity::SizeText;
use meetnet_model::readable::counted;

mod copy;
mod manifest;
mod restore;

pub use manifest::{Manifest, ManifestFile, ManifestTable};
pub use restore::{RestoreOptions, restore};

use copy::Copier;
use manifest::{ARCHIVE, JOURNAL, LAKE, MANIFEST};

use crate::actor::live_files;
use crate::damage::{self, Damage, DamagedFiles};
use crate::error::LakeError;
use crate::files::Files;
use crate::journal::archive::ArchiveName;
use crate::journal::checkpoint::{self, CHECKPOINT};
use crate::journal::hold::Hold;
use crate::journal::opening::IDENTITY;
use crate::journal::{Journal, JournalError, state};
use crate::lake::JOURNAL_APP;
use crate::storage::{Access, LakeLocation, LakeStorage, OpenFile, TableFolder};
use crate::table;
use crate::table::log::{TableLog, entry_path};

/// Told what has been copied, one line for people at a time.
pub type Progress<'a> = dyn FnMut(String) + 'a;

/// What to put into a backup, and where.
#[derive(Clone, Debug)]
pub struct BackupOptions {
    /// The folder: absent, or empty. Only its owner may look into it.
    pub dir: PathBuf,
    /// How it is written; private files, for raw messages are among them.
    pub files: Arc<dyn Files>,
    /// Whether the raw archive goes in.
    pub with_archive: bool,
    /// Names of further small files in the journal's folder, copied where they are there.
    pub journal_files: Vec<String>,
}

/// Why a backup was not made, or not restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is something in the folder that a backup should go to.
    #[error("{} is not empty: name a new folder for the backup{}", dir.display(), if *is_whole { "" } else { "; what is there is no backup, or one that was interrupted, and can be removed" })]
    Taken {
        /// The folder.
        dir: PathBuf,
        /// Whether it holds a complete backup.
        is_whole: bool,
    },
    /// The folder holds no complete backup.
    #[error("{} is no backup: it has no `manifest`, which is written last; one that was interrupted cannot be restored", dir.display())]
    NoManifest {
        /// The folder.
        dir: PathBuf,
    },
    /// A newer version made the backup.
    #[error("the backup in {} has format {format}, which this version cannot read: run the newer meetnet", dir.display())]
    NewerFormat {
        /// The folder.
        dir: PathBuf,
        /// The format.
        format: u32,
    },
    /// There is something where a backup should be restored to.
    #[error("{place} is not empty: a backup is restored into new folders; move away what is there")]
    Occupied {
        /// Folder or URL.
        place: String,
    },
    /// A file of the backup is not what the manifest says.
    #[error("{} {what}: the backup is damaged, use another one", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Live data files are known to be damaged, and are.
    #[error("{} {damage}{}: nothing was copied; put the same file back or run `meetnet check --repair`, and make the backup then", path.display(), and_others(*others))]
    KnownDamage {
        /// The first of them.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
        /// How many others there are.
        others: usize,
    },
    /// A data file is not what the table log says.
    #[error("{} is not the file that was committed: run `meetnet check`", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A file that a table names is not there.
    #[error("{} is not there, though its table names it: run the backup again, and `meetnet check` if it is still missing", path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("failed to {operation} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The journal cannot be read, or its folder is in use.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The tables cannot be read.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

impl BackupError {
    fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io {
            operation,
            path,
            source,
        }
    }
}

/// Makes a backup of a lake and the open journal before it. Messages go on to be taken meanwhile, until the journal
/// reaches `journal_bytes_max`: it is not trimmed before this is done.
///
/// # Errors
/// Where the folder is not empty, a file cannot be read or written, or one is not what its table says. What has been
/// written by then stays, without a manifest; nothing was where a file was known to be damaged.
pub fn write(
    storage: &Arc<dyn LakeStorage>,
    journal: &Journal,
    options: &BackupOptions,
    progress: &mut Progress<'_>,
) -> Result<Manifest, BackupError> {
    let (files, dir) = (options.files.as_ref(), options.dir.as_path());
    refuse_known_damage(storage)?;
    claim(files, dir)?;
    let hold = journal.hold()?;
    let mut copier = Copier::new(files, dir);
    let mut manifest = Manifest::new(hold.now(), journal.id());
    let names = storage.folders("").map_err(BackupError::io(
        "list",
        Path::new(&storage.location().name()),
    ))?;
    for name in names {
        let table = copy_table(&mut copier, storage, &name, journal)?;
        if let Some(table) = table {
            progress(format!("table {name}: {}", copier.done()));
            manifest.tables.insert(DatasetId::new(&name), table);
        }
    }
    if options.with_archive {
        copy_archive(&mut copier, &hold)?;
        progress(format!("raw archive: {}", copier.done()));
    }
    for name in [IDENTITY]
        .into_iter()
        .chain(options.journal_files.iter().map(String::as_str))
    {
        if let Some(content) = hold.read(name)? {
            copier.put(format!("{JOURNAL}/{name}"), &content)?;
        }
    }
    if let Some(checkpoint) = hold.checkpoint() {
        manifest.trimmed_through = checkpoint.trimmed_through;
        let content = checkpoint::seal(checkpoint).map_err(BackupError::io("encode", dir))?;
        copier.put(format!("{JOURNAL}/{CHECKPOINT}"), &content)?;
    }
    if let Some(state) = hold.state() {
        let file = OpenFile::new(Arc::clone(&state.handle), state.bytes);
        let path = format!("{JOURNAL}/{}", state::name(manifest.trimmed_through));
        copier.copy(path, &file, &state.path)?;
    }
    for segment in hold.segments() {
        let file = OpenFile::new(Arc::clone(&segment.handle), segment.readable_bytes);
        let path = format!("{JOURNAL}/{}", segment.name);
        copier.copy(path, &file, &segment.path)?;
        manifest.last_sequence = manifest.last_sequence.max(segment.last);
    }
    progress(format!("journal: {}", copier.done()));
    manifest.files = copier.finish()?;
    manifest.write(files, dir)?;
    Ok(manifest)
}

/// Compares the live files that are known to be damaged: hours of copying would end at them. One that was put back is none
/// any more, and one that is live no longer is not copied.
fn refuse_known_damage(storage: &Arc<dyn LakeStorage>) -> Result<(), BackupError> {
    damage::recall(&**storage)?;
    let known = storage.damaged().map(DamagedFiles::paths);
    let known = known.unwrap_or_default();
    let tables: BTreeSet<&str> = known
        .iter()
        .filter_map(|path| path.split('/').next())
        .collect();
    let mut damaged = Vec::new();
    for name in tables {
        let folder = TableFolder::new(Arc::clone(storage), name);
        let Some(log) = TableLog::open(&folder)? else {
            continue;
        };
        for file in live_files(&log, &log.declaration()?)? {
            if folder.damage_of(&file.path).is_some()
                && let Some(damage) = damage::examine(&folder, &file)?
            {
                damaged.push((folder.shown(&file.path), damage));
            }
        }
    }
    let others = damaged.len().saturating_sub(1);
    match damaged.into_iter().next() {
        Some((path, damage)) => Err(BackupError::KnownDamage {
            path,
            damage,
            others,
        }),
        None => Ok(()),
    }
}

/// Makes the folder; it must hold nothing.
fn claim(files: &dyn Files, dir: &Path) -> Result<(), BackupError> {
    files
        .create_dir(dir)
        .map_err(BackupError::io("create", dir))?;
    let listed = files.list(dir).map_err(BackupError::io("list", dir))?;
    let folders = files.folders(dir).map_err(BackupError::io("list", dir))?;
    if listed.is_empty() && folders.is_empty() {
        return Ok(());
    }
    Err(BackupError::Taken {
        dir: dir.to_path_buf(),
        is_whole: listed.iter().any(|file| file.name == MANIFEST),
    })
}

/// Copies one table as it is now; None where the folder holds none.
fn copy_table(
    copier: &mut Copier<'_>,
    storage: &Arc<dyn LakeStorage>,
    name: &str,
    journal: &Journal,
) -> Result<Option<ManifestTable>, BackupError> {
    let folder = TableFolder::new(Arc::clone(storage), name);
    // Before the log is read: a checkpoint that comes meanwhile may be of a version later than the one copied.
    let checkpoint = table::checkpoint::newest(&folder)?;
    let Some(log) = TableLog::open(&folder)? else {
        return Ok(None);
    };
    let location = storage.location();
    for file in live_files(&log, &log.declaration()?)? {
        let in_lake = format!("{name}/{}", file.path);
        let to = format!("{LAKE}/{in_lake}");
        let shown = folder.shown(&file.path);
        let taken = match &location {
            LakeLocation::Folder(root) => copier.link_or_copy(to, &root.join(&in_lake)),
            LakeLocation::Objects { .. } => match storage.open(&in_lake, Access::Whole) {
                Ok(source) => copier.copy(to, source.as_ref(), &shown),
                Err(error) => Err(BackupError::io("open", &shown)(error)),
            },
        };
        let taken = taken.map_err(|error| gone(error, &shown))?;
        if taken.bytes != file.bytes || *taken.sha256 != *file.sha256 {
            return Err(BackupError::Changed { path: shown });
        }
    }
    let mut log_files = Vec::new();
    let first = match &checkpoint {
        Some(newest) => {
            log_files.push(newest.path());
            newest.version
        }
        None => 0,
    };
    log_files.extend((first..=log.version()).map(entry_path));
    for path in log_files {
        let shown = folder.shown(&path);
        let content = folder
            .read(&path)?
            .ok_or(BackupError::Gone { path: shown })?;
        copier.put(format!("{LAKE}/{name}/{path}"), &content)?;
    }
    if let Some(newest) = checkpoint {
        let path = table::checkpoint::LAST_CHECKPOINT;
        copier.put(format!("{LAKE}/{name}/{path}"), &newest.pointer)?;
    }
    Ok(Some(ManifestTable {
        version: log.version(),
        through: log
            .txn(&format!("{JOURNAL_APP}{}", journal.id()))
            .unwrap_or(0)
            .max(0) as u64,
    }))
}

/// Copies the raw archive: what was trimmed before the hold.
fn copy_archive(copier: &mut Copier<'_>, hold: &Hold) -> Result<(), BackupError> {
    let dir = hold.archive_dir();
    let mut taken: Vec<u64> = Vec::new();
    loop {
        let mut has_changed = false;
        let listed = hold
            .files()
            .list(dir)
            .map_err(BackupError::io("list", dir))?;
        for name in listed.iter().map(|file| &file.name) {
            // One segment may have two files for a moment: as it was, and compressed.
            let Some(segment) = ArchiveName::parse(name).filter(|s| !taken.contains(&s.number))
            else {
                continue;
            };
            match copier.link_or_copy(format!("{ARCHIVE}/{name}"), &dir.join(name)) {
                Ok(_) => taken.push(segment.number),
                // Compressed meanwhile, or its time was up.
                Err(BackupError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    has_changed = true;
                }
                Err(error) => return Err(error),
            }
        }
        if !has_changed {
            return Ok(());
        }
    }
}

/// Says it better where a data file does not exist.
fn gone(error: BackupError, path: &Path) -> BackupError {
    match error {
        BackupError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            BackupError::Gone {
                path: path.to_path_buf(),
            }
        }
        error => error,
    }
}

/// Says that a damaged file is not the only one.
fn and_others(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => ", and another file is damaged".to_owned(),
        _ => format!(", and {others} others are damaged"),
    }
}

/// Files and bytes, for people.
fn amount(files: u64, bytes: u64) -> String {
    format!("{}, {}", counted(files, "file"), SizeText(bytes).rounded())
}
