//! What is wrong with a table's file: asked before its rows go into another file, whose own hash would hide the damage,
//! and when it could not be read.
//!
//! It compares with what the log says and reads nothing as Parquet. What was found is remembered in `known`, and over a
//! restart in `notes`.

use std::fmt;
use std::io;

use meetnet_model::hex::Hex;
use parquet::file::reader::Length;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::LakeError;
use crate::snapshot::LiveFile;
use crate::storage::{Access, FileChunks, TableFolder};

mod known;
mod notes;

pub use known::DamagedFiles;
pub(crate) use notes::{clear, forget, recall, remember};

/// Bytes that are read and hashed at once.
const CHUNK_BYTES: u64 = 1 << 20;

/// What is wrong with a file of a table. Displayed as the end of a sentence that begins with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    match verify(folder, file) {
        Ok(()) => Ok(None),
        Err(LakeError::BrokenFile { damage, .. }) => Ok(Some(damage)),
        Err(error) => Err(error),
    }
}

/// Opens a file that is there with the length that the log has for it.
///
/// # Errors
/// [`LakeError::BrokenFile`] where it is not, or as [`examine`].
pub(crate) fn open(
    folder: &TableFolder,
    file: &LiveFile,
    access: Access,
) -> Result<FileChunks, LakeError> {
    let stored = match folder.open_as_stored(&file.path, access) {
        Err(error) if error.io_kind() == Some(io::ErrorKind::NotFound) => {
            return Err(broken(folder, file, Damage::Missing));
        }
        opened => opened?,
    };
    match wrong_length(stored.len(), file.bytes) {
        Some(damage) => Err(broken(folder, file, damage)),
        None => Ok(stored),
    }
}

fn wrong_length(bytes: u64, expected: u64) -> Option<Damage> {
    if bytes != expected {
        return Some(Damage::WrongLength { bytes, expected });
    }
    None
}

/// Returns an error where a file is not as it was written. One that is has no damage any more, whatever was known of it.
///
/// # Errors
/// [`LakeError::BrokenFile`], or as [`examine`].
pub(crate) fn verify(folder: &TableFolder, file: &LiveFile) -> Result<(), LakeError> {
    match compare(folder, file, &mut |_| true)? {
        None => {
            folder.note_damage(&file.path, None);
            Ok(())
        }
        Some(damage) => Err(broken(folder, file, damage)),
    }
}

/// The same as a value, and slowly: `go_on` is told how many bytes were read, may wait, and says whether to read more. None:
/// nothing is wrong with the file, or the comparison was broken off.
///
/// # Errors
/// As [`examine`].
pub(crate) fn compare(
    folder: &TableFolder,
    file: &LiveFile,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<Option<Damage>, LakeError> {
    // A bucket may notice only when it is read that a file is gone.
    let or_missing = |error: LakeError| match error.io_kind() {
        Some(io::ErrorKind::NotFound) => Ok(Some(Damage::Missing)),
        _ => Err(error),
    };
    let stored = match folder.open_as_stored(&file.path, Access::Whole) {
        Ok(stored) => stored,
        Err(error) => return or_missing(error),
    };
    let bytes = stored.len();
    if let Some(damage) = wrong_length(bytes, file.bytes) {
        return Ok(Some(damage));
    }
    let stored = stored.into_stored();
    let shown = folder.shown(&file.path);
    let mut hash = Sha256::new();
    let mut at = 0;
    while at < bytes {
        let length = (bytes - at).min(CHUNK_BYTES);
        let read = stored.read_at(at, length as usize);
        match read.map_err(LakeError::io("read", &shown)) {
            Ok(chunk) => hash.update(&chunk),
            Err(error) => return or_missing(error),
        }
        at += length;
        if !go_on(length) {
            return Ok(None);
        }
    }
    let is_same = Hex(&hash.finalize()).to_string() == *file.sha256;
    Ok((!is_same).then_some(Damage::WrongChecksum))
}

/// Finds out what is behind an error met while `file` was read: the file, or something that may pass.
pub(crate) fn diagnose(folder: &TableFolder, file: &LiveFile, error: LakeError) -> LakeError {
    use io::ErrorKind::{NotFound, UnexpectedEof};
    // It is known already.
    if matches!(error, LakeError::BrokenFile { .. }) {
        return error;
    }
    // A storage that gave another error than that the file is not there or too short may work the next time.
    if error
        .io_kind()
        .is_some_and(|kind| ![NotFound, UnexpectedEof].contains(&kind))
    {
        return error;
    }
    match verify(folder, file) {
        // It was not there, and is: its store had an outage, or a disk was put back.
        Ok(()) if error.io_kind() == Some(NotFound) => error,
        Ok(()) => broken(folder, file, Damage::Unreadable),
        // What is wrong with it. Or the storage does not answer: that may pass, and the reader of Parquet keeps only the
        // text of what a storage says.
        Err(found) => found,
    }
}

/// Makes the error of a file that was found broken, which the scrub examines next.
fn broken(folder: &TableFolder, file: &LiveFile, damage: Damage) -> LakeError {
    folder.suspect(&file.path);
    LakeError::BrokenFile {
        path: folder.shown(&file.path),
        damage,
    }
}

#[cfg(test)]
mod tests;
