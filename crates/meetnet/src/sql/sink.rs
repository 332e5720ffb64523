//! Where an answer goes: stdout, a pager, or a file that appears when it is whole.

use std::path::Path;

use super::Output;
use super::pager::Pager;
use crate::failure::Failure;
use crate::part_file::{PartFile, Written};

/// An answer that is being written. Where it breaks off there is no file, and no part of one.
pub(crate) enum Sink {
    Stdout(Output),
    /// A pager, which starts with the first bytes: until then the progress is shown.
    Pager {
        command: String,
        pager: Option<Pager>,
    },
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

    /// Writes to the pager of this command.
    pub(super) fn pager(command: &str) -> Self {
        Self::Pager {
            command: command.to_owned(),
            pager: None,
        }
    }

    /// Returns true where the terminal is another program's from the first bytes on.
    pub(super) fn takes_terminal(&self) -> bool {
        matches!(self, Self::Pager { .. })
    }

    /// Writes; false: the reader of stdout, or of the pager, has had enough.
    ///
    /// # Errors
    /// Where there is no room, and where the pager cannot be run.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<bool, Failure> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::Pager { command, pager } => {
                let mut running = match pager.take() {
                    Some(running) => running,
                    None => Pager::start(command)?,
                };
                if !running.write(bytes)? {
                    // Whether its person has left it or it was never there, its end says.
                    return running.finish().map(|()| false);
                }
                *pager = Some(running);
                Ok(true)
            }
            Self::File(file) => file.write(bytes).map(|()| true).map_err(Failure::Work),
        }
    }

    /// Gives the file its name, and says what is in it; waits for the pager.
    ///
    /// # Errors
    /// Where it cannot be written to its end.
    pub(crate) fn finish(self) -> Result<Option<Written>, Failure> {
        match self {
            Self::Stdout(stdout) => stdout.finish().map(|()| None),
            Self::Pager { pager, .. } => pager.map_or(Ok(()), Pager::finish).map(|()| None),
            Self::File(file) => file.finish().map(Some).map_err(Failure::Work),
        }
    }
}
