//! Under which numbers this journal has opened its lake in an object store: what tells it from a copy of itself, which
//! has the same id and does not know what the other one has done since.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::checkpoint::{self, Sealed};
use super::error::JournalError;
use crate::files::Files;

/// File in the journal's folder.
const OPENINGS: &str = "openings";
/// Numbers that are kept. The newest is enough unless openings keep failing half-way, or a store carries a request out
/// long after its sender has died.
const KEPT: usize = 16;

/// The memory of one journal; it lies in the journal's folder, and whoever has that one's lock writes it.
#[derive(Clone, Debug)]
pub struct Openings {
    files: Arc<dyn Files>,
    dir: PathBuf,
}

#[derive(Default, Serialize, Deserialize)]
struct OpeningsFile {
    /// The newest last.
    numbers: Vec<i64>,
}

impl Openings {
    /// Returns the memory in the journal folder `dir`, which need not hold one yet.
    pub fn new(files: Arc<dyn Files>, dir: PathBuf) -> Self {
        Self { files, dir }
    }

    /// Returns true where this journal has opened its lake under `number`, or begun to.
    ///
    /// # Errors
    /// Where the memory cannot be read. One that is damaged knows nothing.
    pub(crate) fn knows(&self, number: i64) -> Result<bool, JournalError> {
        Ok(self.read()?.numbers.contains(&number))
    }

    /// Adds a number; durable.
    ///
    /// # Errors
    /// Where the memory cannot be read or written.
    pub(crate) fn remember(&self, number: i64) -> Result<(), JournalError> {
        let mut file = self.read()?;
        file.numbers.push(number);
        let forgotten = file.numbers.len().saturating_sub(KEPT);
        file.numbers.drain(..forgotten);
        checkpoint::write_sealed(self.files.as_ref(), &self.dir, OPENINGS, &file)
    }

    fn read(&self) -> Result<OpeningsFile, JournalError> {
        let files = self.files.as_ref();
        match checkpoint::read_sealed::<OpeningsFile>(files, &self.dir, OPENINGS)? {
            Sealed::Valid(file) => Ok(file),
            Sealed::Missing => Ok(OpeningsFile::default()),
            Sealed::Damaged => {
                let dir = self.dir.display();
                tracing::warn!(%dir, "the file `{OPENINGS}` of the journal is damaged");
                Ok(OpeningsFile::default())
            }
        }
    }
}
