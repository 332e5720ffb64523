//! What is wrong with a table's file: asked before its rows go into another file, whose own hash would hide the damage,
//! and when it could not be read.
//!
//! It compares with what the log says and reads nothing as Parquet.

use std::fmt;
use std::io;

use parquet::file::reader::{ChunkReader, Length};
use sha2::{Digest, Sha256};

use crate::error::LakeError;
use crate::snapshot::LiveFile;
use crate::storage::{Access, TableFolder};
use crate::table::parquet_file::hex;

/// What is wrong with a file of a table. Displayed as the end of a sentence that begins with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// It is not there.
    Missing,
    /// It has another length than was committed.
    WrongLength {
        /// Its length in bytes.
        bytes: u64,
        /// The length that was committed.
        expected: u64,
    },
    /// It has the right length, and other bytes than were committed.
    WrongChecksum,
    /// It has the bytes that were committed, and cannot be read as rows.
    Unreadable,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::WrongLength { bytes, expected } => {
                write!(f, "has {bytes} bytes instead of {expected}")
            }
            Self::WrongChecksum => f.write_str("has other bytes than were written"),
            Self::Unreadable => f.write_str("cannot be read as Parquet"),
        }
    }
}

/// Compares a file with what the log says of it: presence, length, SHA-256. None: it is as it was written.
///
/// # Errors
/// Where the storage does not answer: that says nothing about the file.
pub fn examine(folder: &TableFolder, file: &LiveFile) -> Result<Option<Damage>, LakeError> {
    let stored = match folder.open_as_stored(&file.path, Access::Whole) {
        Ok(stored) => stored,
        Err(LakeError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(Some(Damage::Missing));
        }
        Err(error) => return Err(error),
    };
    let (bytes, expected) = (stored.len(), file.bytes);
    if bytes != expected {
        return Ok(Some(Damage::WrongLength { bytes, expected }));
    }
    let mut hash = Sha256::new();
    let mut content = stored
        .get_read(0)
        .map_err(LakeError::parquet("read", &folder.shown(&file.path)))?;
    io::copy(&mut content, &mut hash).map_err(LakeError::io("read", &folder.shown(&file.path)))?;
    Ok((hex(&hash.finalize()) != *file.sha256).then_some(Damage::WrongChecksum))
}

/// Returns an error where a file is not as it was written.
///
/// # Errors
/// [`LakeError::BrokenFile`], or as [`examine`].
pub(crate) fn verify(folder: &TableFolder, file: &LiveFile) -> Result<(), LakeError> {
    match examine(folder, file)? {
        None => Ok(()),
        Some(damage) => Err(broken(folder, file, damage)),
    }
}

/// Finds out what is behind an error met while rows of `file` were read: the file, or something that may pass.
pub(crate) fn diagnose(folder: &TableFolder, file: &LiveFile, error: LakeError) -> LakeError {
    use io::ErrorKind::{NotFound, UnexpectedEof};
    // A storage that gave another error than that the file is not there or too short may work the next time.
    if error
        .io_kind()
        .is_some_and(|kind| ![NotFound, UnexpectedEof].contains(&kind))
    {
        return error;
    }
    match examine(folder, file) {
        Ok(Some(damage)) => broken(folder, file, damage),
        Ok(None) => broken(folder, file, Damage::Unreadable),
        // The reader of Parquet keeps only the text of what a storage says. It does not answer: that may pass.
        Err(unanswered) => unanswered,
    }
}

fn broken(folder: &TableFolder, file: &LiveFile, damage: Damage) -> LakeError {
    LakeError::BrokenFile {
        path: folder.shown(&file.path),
        damage,
    }
}

#[cfg(test)]
mod tests;
