//! A file that appears whole under its name or not at all: it is written as `NAME.part`, synced, and renamed. What was not
//! finished stays for whoever goes on with it; of what cannot be gone on with nothing stays.

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use meetnet_model::hex::Hex;
use sha2::{Digest, Sha256};

#[cfg(test)]
mod tests;

/// Bytes that are written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct PartFile {
    // Before `part`: what is closed is removed, not the other way round.
    to: BufWriter<File>,
    part: Part,
    path: PathBuf,
    hash: Sha256,
    bytes: u64,
}

/// The name that a file has until it is whole.
#[derive(Debug)]
struct Part {
    path: PathBuf,
    /// Nobody goes on with it: without its end it is removed.
    is_removed: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.is_removed {
            // There is an error already, which says more.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// What has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) bytes: u64,
    /// SHA-256, hexadecimal.
    pub(crate) sha256: String,
}

impl PartFile {
    /// Starts a file, in place of any part that an earlier attempt has left.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let part = part_of(path);
        let to = File::create(&part).with_context(|| cannot_write(&part))?;
        Ok(Self::over(to, part, path, Sha256::new(), 0))
    }

    /// Goes on with what an earlier attempt has left, or starts. [`PartFile::bytes`] says how much is there.
    ///
    /// # Errors
    /// Where it cannot be read or written.
    pub(crate) fn resume(path: &Path) -> anyhow::Result<Self> {
        let part = part_of(path);
        let mut options = fs::OpenOptions::new();
        let options = options.read(true).append(true).create(true);
        let mut file = options.open(&part).with_context(|| cannot_write(&part))?;
        let mut hash = Sha256::new();
        let bytes = std::io::copy(&mut file, &mut hash)
            .with_context(|| format!("failed to read {}", part.display()))?;
        Ok(Self::over(file, part, path, hash, bytes))
    }

    fn over(file: File, part: PathBuf, path: &Path, hash: Sha256, bytes: u64) -> Self {
        Self {
            to: BufWriter::with_capacity(BUFFER_BYTES, file),
            part: Part {
                path: part,
                is_removed: false,
            },
            path: path.to_path_buf(),
            hash,
            bytes,
        }
    }

    /// Leaves nothing behind where the file is not finished.
    pub(crate) fn whole_or_nothing(mut self) -> Self {
        self.part.is_removed = true;
        self
    }

    /// Removes what an earlier attempt has left of a file that nobody goes on with.
    ///
    /// # Errors
    /// Where it is there and cannot be removed.
    pub(crate) fn forget(path: &Path) -> anyhow::Result<()> {
        let part = part_of(path);
        match fs::remove_file(&part) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("failed to remove {}", part.display()))
            }
            _ => Ok(()),
        }
    }

    /// Returns how many bytes there are.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes at the end.
    ///
    /// # Errors
    /// Where there is no room.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.to
            .write_all(bytes)
            .with_context(|| cannot_write(&self.part.path))?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// Where it cannot be written to its end, or not be renamed.
    pub(crate) fn finish(self) -> anyhow::Result<Written> {
        self.finish_if(|_| Ok(()))
    }

    /// Gives the file its name where what was written is what it should be; else removes it.
    ///
    /// # Errors
    /// What `check` says, and as [`PartFile::finish`].
    pub(crate) fn finish_if(
        self,
        check: impl FnOnce(&Written) -> anyhow::Result<()>,
    ) -> anyhow::Result<Written> {
        let Self {
            to,
            mut part,
            path,
            hash,
            bytes,
        } = self;
        let written = Written {
            bytes,
            sha256: Hex(&hash.finalize()).to_string(),
        };
        if let Err(error) = check(&written) {
            // What is wrong would only be gone on with.
            part.is_removed = true;
            return Err(error);
        }
        let file = to
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)
            .with_context(|| cannot_write(&part.path))?;
        file.sync_all().with_context(|| cannot_write(&part.path))?;
        fs::rename(&part.path, &path).with_context(|| {
            format!(
                "failed to rename {} to {}",
                part.path.display(),
                path.display()
            )
        })?;
        part.is_removed = false;
        Ok(written)
    }
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn cannot_write(part: &Path) -> String {
    format!("failed to write {}", part.display())
}
