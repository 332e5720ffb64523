//! Holding the journal still while it is copied: messages come in and commits go on, but nothing is trimmed, so that
//! one checkpoint and every frame after it stay in the folder.
//!
//! A copy and an erasure never overlap: half of the copy would hold what is erased, and nobody would know. Whichever
//! comes second waits, or is refused.

use std::io;
use std::path::Path;
use std::sync::Arc;

use meetnet_model::ids::Sequence;

use super::Journal;
use super::checkpoint::{self, CHECKPOINT, Checkpoint, Sealed};
use super::error::{IoContext, JournalError};
use super::segment::Segment;
use super::shared::{Shared, locked};
use super::state::{self, OpenState};
use crate::files::{self, Files};

/// A journal whose segments stay until this is dropped. They go on to count against `journal_bytes_max`: a hold that
/// lasts makes sources wait.
#[derive(Debug)]
pub(crate) struct Hold {
    journal: Journal,
    checkpoint: Option<Checkpoint>,
    state: Option<OpenState>,
}

impl Journal {
    /// Starts a hold.
    ///
    /// # Errors
    /// Where the journal is stopped, its checkpoint cannot be read, or an erasure is not complete.
    pub(crate) fn hold(&self) -> Result<Hold, JournalError> {
        // Who writes a checkpoint and trims for it has this lock: both are done, or neither has begun.
        let folder = locked(&self.inner.folder);
        if folder.is_none() {
            return Err(JournalError::Stopped);
        }
        let options = &self.inner.shared.options;
        let files = options.files.as_ref();
        let checkpoint =
            match checkpoint::read_sealed::<Checkpoint>(files, &options.dir, CHECKPOINT)? {
                Sealed::Valid(checkpoint) => Some(checkpoint),
                Sealed::Missing => None,
                Sealed::Damaged => {
                    let damaged =
                        io::Error::new(io::ErrorKind::InvalidData, "its checksum is wrong");
                    return Err(damaged).context("read", &options.dir.join(CHECKPOINT));
                }
            };
        // Later checkpoints take its name away.
        let state = match &checkpoint {
            Some(checkpoint) => state::open(files, &options.dir, checkpoint.trimmed_through)?,
            None => None,
        };
        self.inner
            .shared
            .hold_segments()
            .map_err(|sequence| JournalError::Erasing { sequence })?;
        Ok(Hold {
            journal: self.clone(),
            checkpoint,
            state,
        })
    }
}

impl Journal {
    /// Begins the erasure that the frame at `sequence` asks for: no copy of the journal begins before
    /// [`Journal::end_erasure`]. Again after a failure.
    ///
    /// # Errors
    /// [`JournalError::Held`] while a copy is under way: try again when it is done. No other one begins meanwhile.
    pub fn begin_erasure(&self, sequence: Sequence) -> Result<(), JournalError> {
        if self.inner.shared.note_erasure(sequence) {
            return Err(JournalError::Held);
        }
        Ok(())
    }

    /// Says that an erasure is complete.
    pub fn end_erasure(&self, sequence: Sequence) {
        self.inner.shared.end_erasure(sequence);
    }
}

impl Hold {
    /// The checkpoint when the hold began: what a copy goes on from.
    pub(crate) fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// The state at that checkpoint, where there was one.
    pub(crate) fn state(&self) -> Option<&OpenState> {
        self.state.as_ref()
    }

    /// Returns the segments as they are now, oldest first; each is durable up to its `readable_bytes`.
    pub(crate) fn segments(&self) -> Vec<Segment> {
        self.shared().segments()
    }

    /// Reads a small file of the journal's folder; None where there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let options = &self.shared().options;
        let path = options.dir.join(name);
        match files::read_all(options.files.as_ref(), &path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context("read", &path),
        }
    }

    /// Folder of the raw archive: nothing is moved in meanwhile, but files are compressed, and go when their time is up.
    pub(crate) fn archive_dir(&self) -> &Path {
        &self.journal.inner.archive.dir
    }

    /// The file operations of the journal.
    pub(crate) fn files(&self) -> &dyn Files {
        self.shared().options.files.as_ref()
    }

    /// What time it is, µs since 1970 UTC.
    pub(crate) fn now(&self) -> i64 {
        (self.shared().options.clock)()
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.journal.inner.shared
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared().release_segments();
    }
}
