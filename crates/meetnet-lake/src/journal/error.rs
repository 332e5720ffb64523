//! What can go wrong in the journal: for the caller that branches and for the person who reads the log.

use std::io;
use std::path::{Path, PathBuf};

use meetnet_model::ids::Sequence;
use uuid::Uuid;

use crate::files::is_no_space;

/// The journal cannot be opened, read or trimmed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A file operation failed.
    #[error("failed to {operation} `{}`", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process holds the folder.
    #[error("journal folder `{}` is in use by process {holder}: stop it, or use another folder", dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// The pid in the lock file, or `unknown`.
        holder: String,
    },
    /// Somebody with another journal has the lake.
    #[error(
        "lake folder `{}` is in use by another daemon or command, whose journal lies elsewhere: stop that one, or choose \
         another folder in [lake] url",
        root.display()
    )]
    LakeLocked {
        /// The folder.
        root: PathBuf,
    },
    /// A restore into the folder was interrupted: parts of the journal or of the lake are missing.
    #[error("the restore into journal folder `{}` was not finished: remove it and the lake folder, and restore again", dir.display())]
    Restoring {
        /// The folder.
        dir: PathBuf,
    },
    /// The files were written by a newer version, which this one must not guess at.
    #[error("`{}` has format version {version}, which this version cannot read: run the newer meetnet", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The version in it.
        version: u32,
    },
    /// A segment of another journal lies in the folder.
    #[error("`{}` belongs to journal {found}, this folder to {expected}: move it away", path.display())]
    Foreign {
        /// The segment.
        path: PathBuf,
        /// The id in it.
        found: Uuid,
        /// The id of this journal.
        expected: Uuid,
    },
    /// A segment has the name of another one: by what is read first, acknowledged messages would be taken for void.
    #[error("`{}` has been renamed: by its header it is {name}; give it that name back", path.display())]
    Misnamed {
        /// The segment.
        path: PathBuf,
        /// The name that its header says.
        name: String,
    },
    /// Neither the identity file nor any segment header says which journal this is.
    #[error("journal folder `{}` has segments but no readable identity: restore the file `identity`", dir.display())]
    NoIdentity {
        /// The folder.
        dir: PathBuf,
    },
    /// The declarations cannot be journalled.
    #[error("failed to journal the declarations")]
    Declarations {
        /// Why.
        source: AppendError,
    },
    /// The frames after this position have been trimmed away.
    #[error("frames after {after} are no longer in the journal, which starts after {first}")]
    Trimmed {
        /// The position that was asked for.
        after: Sequence,
        /// The position before the oldest frame that is still there.
        first: Sequence,
    },
    /// The newest segment cannot be ended, because nothing more is taken.
    #[error("failed to begin a new segment of the journal")]
    Seal {
        /// Why nothing is taken.
        source: AppendError,
    },
    /// A copy of the journal would hold half of what is being erased.
    #[error(
        "the erasure asked for at sequence {sequence} is not complete: make the backup when it is"
    )]
    Erasing {
        /// The frame that asks for it.
        sequence: Sequence,
    },
    /// The journal is being copied, and what is erased meanwhile would be in half of the copy.
    #[error("a backup is being made: the erasure begins when it is done")]
    Held,
    /// The journal was shut down (or dropped) before this became durable.
    #[error("the journal is stopped")]
    Stopped,
    /// The journal was shut down while the disk refused the last group; its senders were not acknowledged.
    #[error("{frames} frames were not written when the journal stopped")]
    Unwritten {
        /// How many.
        frames: u64,
        /// The last refusal.
        source: io::Error,
    },
}

impl JournalError {
    /// Returns true where there is no space for it: another attempt may find some.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_no_space(source))
    }
}

/// An envelope was not taken; nothing of it is in the journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// A limit is reached: withhold acknowledgements and try again later.
    #[error("journal is full: {bytes} of {bytes_max} bytes of `{limit}` in use")]
    Full {
        /// Which limit.
        limit: FullLimit,
        /// Bytes in use, this frame included.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// The disk is full: withhold acknowledgements and try again later. It is taken again once there is room, without a
    /// restart.
    #[error("the journal's disk is full: nothing is taken until somebody makes room")]
    DiskFull,
    /// The frame can never be taken: truncate it or make it a reject.
    #[error("{field} has {bytes} bytes, at most {bytes_max} can be journalled")]
    FieldTooLong {
        /// What is too long.
        field: &'static str,
        /// Its length in bytes (or its number).
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// The journal is shut down.
    #[error("the journal is stopped")]
    Stopped,
}

/// The limits at which the journal takes nothing more for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FullLimit {
    /// `pending_bytes_max`: the disk does not keep up, or fails.
    PendingBytes,
    /// `journal_bytes_max`: what is behind the journal does not keep up, so that nothing is trimmed.
    JournalBytes,
}

impl std::fmt::Display for FullLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::PendingBytes => "pending_bytes_max",
            Self::JournalBytes => "journal_bytes_max",
        })
    }
}

/// Adds operation and path to an I/O error.
pub(crate) trait IoContext<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T, JournalError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T, JournalError> {
        self.map_err(|source| JournalError::Io {
            operation,
            path: path.to_path_buf(),
            source,
        })
    }
}
