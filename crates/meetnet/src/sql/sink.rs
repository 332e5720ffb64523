//! Where an answer goes: stdout, or a file that appears when it is whole.

use std::path::Path;

use super::Output;
use crate::failure::Failure;
use crate::part_file::{PartFile, Written};

/// An answer that is being written. Where it breaks off there is no file, and no part of one.
pub(crate) enum Sink {
    Stdout(Output),
    File(Box<PartFile>),
}

impl Sink {
    /// Writes to a file, or to stdout where none is named.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub(crate) fn open(file: Option<&Path>) -> Result<Self, Failure> {
        match file {
            None => Ok(Self::Stdout(Output::new())),
            Some(path) => PartFile::create(path)
                .map(|file| Self::File(Box::new(file.whole_or_nothing())))
                .map_err(Failure::Work),
        }
    }

    /// Writes; false: the reader of stdout has had enough.
    ///
    /// # Errors
    /// Where there is no room.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File(file) => file.write(bytes).map(|()| true).map_err(Failure::Work),
        }
    }

    /// Gives the file its name, and says what is in it.
    ///
    /// # Errors
    /// Where it cannot be written to its end.
    pub(crate) fn finish(self) -> Result<Option<Written>, Failure> {
        match self {
            Self::Stdout(stdout) => stdout.finish().map(|()| None),
            Self::File(file) => file.finish().map(Some).map_err(Failure::Work),
        }
    }
}
