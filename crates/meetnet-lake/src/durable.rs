//! File operations that are on disk when they return. `object_store`'s local folder never syncs, so the lake brings
//! its own: a file is synced before anything names it, and the folder that names it is synced before anyone is told.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::error::LakeError;

/// Syncs a folder, so that the names in it survive a power loss.
pub(crate) fn sync_folder(path: &Path) -> Result<(), LakeError> {
    File::open(path)
        .and_then(|f| f.sync_all())
        .map_err(LakeError::io("sync folder", path))
}

/// Creates a folder with its parents; every folder that gained a name is synced.
pub(crate) fn create_folders(path: &Path) -> Result<(), LakeError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        create_folders(parent)?;
    }
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(LakeError::io("create folder", path)(error)),
    }
    match path.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(parent) => sync_folder(parent),
        None => Ok(()),
    }
}

/// Outcome of [`put_if_absent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// The file is there, with these bytes, synced.
    Done,
    /// Another file had the name.
    Exists,
}

/// Writes a file that must not exist yet: it appears whole or not at all, and is synced with its folder.
pub(crate) fn put_if_absent(path: &Path, bytes: &[u8]) -> Result<Put, LakeError> {
    let temporary = write_temporary(path, bytes)?;
    // A hard link fails where the name is taken, which a rename would silently replace.
    let linked = fs::hard_link(&temporary, path);
    let _ = fs::remove_file(&temporary);
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(Put::Exists),
        Err(error) => return Err(LakeError::io("create", path)(error)),
    }
    sync_folder(path.parent().unwrap_or(Path::new(".")))?;
    Ok(Put::Done)
}

/// Writes a file in place of any earlier one: readers see the old or the new bytes, whole; synced with its folder.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), LakeError> {
    let temporary = write_temporary(path, bytes)?;
    fs::rename(&temporary, path).map_err(LakeError::io("rename to", path))?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Writes and syncs `bytes` beside `path` under a name of its own.
fn write_temporary(path: &Path, bytes: &[u8]) -> Result<PathBuf, LakeError> {
    let temporary = path.with_file_name(format!(".{}.tmp", Uuid::new_v4().simple()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&temporary)
        .map_err(LakeError::io("create", &temporary))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(LakeError::io("write", &temporary))?;
    Ok(temporary)
}
