//! Restoring a backup into new folders.
//!
//! The whole backup is read and compared with its manifest before anything is written: whoever restores has lost
//! something already, and half of a lake would look like all of it. While files are written a mark lies in the
//! journal's folder, which keeps the journal from being opened; it goes last. Files are copied, never linked: what is
//! restored must not share its bytes with the only backup of it.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::copy::{open, pass, write};
use super::manifest::{ARCHIVE, JOURNAL, LAKE, Manifest, ManifestFile};
use super::{BackupError, Progress, amount};
use crate::damage;
use crate::files::{Files, sync_parents};
use crate::journal::FolderLock;
use crate::journal::opening::{LOCK, RESTORING};
use crate::storage::{self, LakeStorage, folder_of};

/// Where a backup is and where it goes to.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// Folder of the backup.
    pub dir: PathBuf,
    /// Folder of the journal: absent, or empty.
    pub journal_dir: PathBuf,
    /// Folder of the raw archive: absent, or empty.
    pub archive_dir: PathBuf,
    /// How journal and archive are written: private files.
    pub files: Arc<dyn Files>,
}

/// Restores a backup into an empty lake and empty folders.
///
/// # Errors
/// Where the backup is damaged or incomplete, something is where it should go, or a process holds the journal's folder:
/// nothing is written or made then. Where a file cannot be written: the journal cannot be opened; remove what there is and
/// restore again.
pub fn restore(
    storage: &dyn LakeStorage,
    options: &RestoreOptions,
    progress: &mut Progress<'_>,
) -> Result<Manifest, BackupError> {
    let RestoreOptions {
        dir,
        journal_dir,
        archive_dir,
        files,
    } = options;
    let files = files.as_ref();
    let manifest = Manifest::read(files, dir)?;
    // Where nobody has ever had the folder, it is made once nothing can be refused any more.
    let has_lock = listed(files, journal_dir)?.iter().any(|name| name == LOCK);
    let take = || FolderLock::acquire(files, journal_dir);
    let held = has_lock.then(take).transpose()?;
    refuse_occupied(storage, options)?;
    for file in &manifest.files {
        let path = dir.join(&file.path);
        let is = open(files, &path).and_then(|open| pass(&open, &path, &mut |_| Ok(())));
        verify(file, &path, is)?;
    }
    let count = manifest.files.len() as u64;
    progress(format!("verified {}", amount(count, manifest.bytes())));

    for folder in [journal_dir, archive_dir] {
        files
            .create_dir(folder)
            .map_err(BackupError::io("create", folder))?;
    }
    let _lock = match held {
        Some(lock) => lock,
        None => {
            let lock = take()?;
            // Another restore may have been faster.
            refuse_occupied(storage, options)?;
            lock
        }
    };
    let mark = journal_dir.join(RESTORING);
    write(files, &mark, |_| Ok(()))?;
    let sync = |folder: &Path| {
        files
            .sync_dir(folder)
            .map_err(BackupError::io("sync", folder))
    };
    for folder in [journal_dir, archive_dir] {
        sync(folder)?;
        sync_parents(files, folder).map_err(BackupError::io("sync the parents of", folder))?;
    }
    storage::disclaim(storage, &manifest.journal_id)?;
    // Of files that had the names of those that come, and are none of them.
    damage::clear(storage)?;
    restore_lake(storage, files, dir, &manifest)?;
    progress("restored the lake".to_owned());
    for (part, to) in [(ARCHIVE, archive_dir), (JOURNAL, journal_dir)] {
        for (file, rest) in manifest.part(part) {
            let path = dir.join(&file.path);
            let source = open(files, &path)?;
            write(files, &to.join(rest), |append| {
                let is = pass(&source, &path, append);
                verify(file, &path, is)
            })?;
        }
        sync(to)?;
    }
    // The one thing that still says that it is not whole.
    files
        .remove(&mark)
        .map_err(BackupError::io("remove", &mark))?;
    sync(journal_dir)?;
    progress("restored the journal".to_owned());
    Ok(manifest)
}

/// Returns the names of the files in a folder; none where there is no such folder.
fn listed(files: &dyn Files, dir: &Path) -> Result<Vec<String>, BackupError> {
    match files.list(dir) {
        Ok(listed) => Ok(listed.into_iter().map(|file| file.name).collect()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(BackupError::io("list", dir)(error)),
    }
}

/// Nothing is overwritten, and nothing is mixed: files of another journal or lake would be taken for parts of this one.
fn refuse_occupied(storage: &dyn LakeStorage, options: &RestoreOptions) -> Result<(), BackupError> {
    for dir in [&options.journal_dir, &options.archive_dir] {
        let names = listed(options.files.as_ref(), dir)?;
        if names.iter().any(|name| name != LOCK) {
            return Err(BackupError::Occupied {
                place: dir.display().to_string(),
            });
        }
    }
    let lake = storage.location().name();
    let tables = storage
        .folders("")
        .map_err(BackupError::io("list", Path::new(&lake)))?;
    // No table is called so: notes on the lake itself.
    if tables.iter().all(|name| name.starts_with('_')) {
        Ok(())
    } else {
        Err(BackupError::Occupied { place: lake })
    }
}

fn restore_lake(
    storage: &dyn LakeStorage,
    files: &dyn Files,
    dir: &Path,
    manifest: &Manifest,
) -> Result<(), BackupError> {
    let lake = PathBuf::from(storage.location().name());
    let mut folders = BTreeSet::new();
    for (file, rest) in manifest.part(LAKE) {
        let path = dir.join(&file.path);
        let target = lake.join(rest);
        let source = open(files, &path)?;
        let mut new = storage
            .create(rest)
            .map_err(BackupError::io("create", &target))?;
        let is = pass(&source, &path, &mut |bytes| {
            new.write_all(bytes)
                .map_err(BackupError::io("write", &target))
        });
        verify(file, &path, is)?;
        new.finish().map_err(BackupError::io("sync", &target))?;
        folders.insert(folder_of(rest));
    }
    for folder in folders {
        storage
            .sync_names(folder)
            .map_err(BackupError::io("sync", &lake.join(folder)))?;
    }
    Ok(())
}

/// Compares a file that was read with what the manifest says of it.
fn verify(
    file: &ManifestFile,
    path: &Path,
    is: Result<String, BackupError>,
) -> Result<(), BackupError> {
    let damaged = |what: &str| {
        Err(BackupError::Damaged {
            path: path.to_path_buf(),
            what: what.to_owned(),
        })
    };
    match is {
        Ok(sha256) if sha256 == file.sha256 => Ok(()),
        Ok(_) => damaged("is not what was backed up"),
        Err(BackupError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            damaged("is missing")
        }
        Err(error) => Err(error),
    }
}
