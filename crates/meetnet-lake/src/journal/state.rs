//! State files: what whoever drives the tables has to know at T to go on from there as it did before.
//!
//! There is one per position, `SEQUENCE.state`: the bytes as they were given, then their CRC-32C (4 bytes, little-endian).
//! The file of a position is durable before the checkpoint that names the position, and those of other positions go after
//! it. So whatever a crash leaves, the file of the checkpoint's T is there. It is written under a name of its own first,
//! always the same, so that what an erasure takes away is in no half-written file either; a write that fails leaves none,
//! for on a full disk it would keep the space that it was refused from commits.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use meetnet_model::ids::Sequence;

use super::Journal;
use super::checkpoint::Sealed;
use super::error::{IoContext, JournalError};
use super::shared::locked;
use crate::files::{self, FileHandle, Files, UNFINISHED};

/// How the names end.
const STATE: &str = ".state";
/// The name of one that is being written.
const WRITTEN: &str = "state";

impl Journal {
    /// Keeps the state at `through`; durable on return. An earlier one of the same position is replaced.
    ///
    /// # Errors
    /// Where it cannot be written, also with the space of the reserve, or the journal is stopped.
    pub fn write_state(&self, through: Sequence, state: &[u8]) -> Result<(), JournalError> {
        let folder = locked(&self.inner.folder);
        if folder.is_none() {
            return Err(JournalError::Stopped);
        }
        let options = &self.inner.shared.options;
        let write = || write(options.files.as_ref(), &options.dir, through, state);
        match write() {
            Err(error) if error.is_disk_full() => {
                self.release_reserve()?;
                write()
            }
            written => written,
        }
    }

    /// Returns the state at `through`; None where there is none. A damaged one is reported, and is none.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read_state(&self, through: Sequence) -> Result<Option<Vec<u8>>, JournalError> {
        let options = &self.inner.shared.options;
        match read(options.files.as_ref(), &options.dir, through)? {
            Sealed::Valid(state) => Ok(Some(state)),
            Sealed::Missing => Ok(None),
            Sealed::Damaged => {
                let path = options.dir.join(name(through));
                tracing::error!(path = %path.display(), "a state file is damaged: going on without it");
                Ok(None)
            }
        }
    }

    /// Removes the states of other positions than `through`.
    ///
    /// # Errors
    /// Where one cannot be removed.
    pub fn remove_other_states(&self, through: Sequence) -> Result<(), JournalError> {
        let options = &self.inner.shared.options;
        let files = options.files.as_ref();
        let (dir, kept) = (&options.dir, name(through));
        let mut removed = false;
        for listed in files.list(dir).context("list", dir)? {
            if listed.name.ends_with(STATE) && listed.name != kept {
                let path = dir.join(&listed.name);
                files.remove(&path).context("remove", &path)?;
                removed = true;
            }
        }
        if removed {
            files.sync_dir(dir).context("sync", dir)?;
        }
        Ok(())
    }
}

/// Returns the name of the state at `through`.
pub(crate) fn name(through: Sequence) -> String {
    format!("{:020}{STATE}", through.0)
}

/// Reads the state at `through`.
pub(crate) fn read(
    files: &dyn Files,
    dir: &Path,
    through: Sequence,
) -> Result<Sealed<Vec<u8>>, JournalError> {
    let path = dir.join(name(through));
    let mut content = match files::read_all(files, &path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Sealed::Missing),
        Err(error) => return Err(error).context("read", &path),
    };
    let sealed = content
        .split_last_chunk::<4>()
        .filter(|(state, seal)| crc32c::crc32c(state) == u32::from_le_bytes(**seal))
        .map(|(state, _)| state.len());
    let Some(length) = sealed else {
        return Ok(Sealed::Damaged);
    };
    content.truncate(length);
    Ok(Sealed::Valid(content))
}

/// A state file that has been opened: it can be read also when its name is gone.
#[derive(Debug)]
pub(crate) struct OpenState {
    pub(crate) path: PathBuf,
    pub(crate) handle: Arc<dyn FileHandle>,
    pub(crate) bytes: u64,
}

/// Opens the state at `through`; None where there is none.
pub(crate) fn open(
    files: &dyn Files,
    dir: &Path,
    through: Sequence,
) -> Result<Option<OpenState>, JournalError> {
    let path = dir.join(name(through));
    match files.open_to_read(&path) {
        Ok(handle) => {
            let bytes = handle.bytes().context("read the length of", &path)?;
            Ok(Some(OpenState {
                path,
                handle,
                bytes,
            }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("open", &path),
    }
}

fn write(
    files: &dyn Files,
    dir: &Path,
    through: Sequence,
    state: &[u8],
) -> Result<(), JournalError> {
    let unfinished = dir.join(format!("{WRITTEN}{UNFINISHED}"));
    let path = dir.join(name(through));
    let fill = || {
        let handle = files.create(&unfinished).context("create", &unfinished)?;
        handle.append(state).context("write", &unfinished)?;
        let seal = crc32c::crc32c(state).to_le_bytes();
        handle.append(&seal).context("write", &unfinished)?;
        handle.sync_data().context("sync", &unfinished)?;
        files
            .rename(&unfinished, &path)
            .context("rename into place", &path)
    };
    fill().inspect_err(|_: &JournalError| {
        let _ = files.remove(&unfinished);
    })?;
    files.sync_dir(dir).context("sync", dir)
}

#[cfg(test)]
mod tests;
