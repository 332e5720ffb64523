//! Errors of the lake: a small kind that callers branch on, and a message with its source for the log.

use std::io;
use std::path::{Path, PathBuf};

use meetnet_model::ids::DatasetId;

use crate::damage::Damage;
use crate::journal::JournalError;
use crate::known::LostTable;

/// Tables that one message names.
const LISTED_MAX: usize = 3;

/// What went wrong in the lake.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// An operation of the file system failed.
    #[error("failed to {operation} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// Somebody else committed the version that was to be written.
    #[error("version {version} of table {} exists already", table.display())]
    Conflict {
        /// Folder of the table.
        table: PathBuf,
        /// The version that was to be written.
        version: u64,
    },
    /// A file of the table log cannot be read.
    #[error("{} is not a readable table log entry: {reason}; run `meetnet check`", path.display())]
    BrokenLog {
        /// The log entry.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A version of the table log is missing, though later ones have been: what is live is not known.
    #[error(
        "{} is missing, though its table has had version {newest}: put it back, mount the lake, or restore the table's \
         folder from a backup; `meetnet check` says what is there",
        path.display()
    )]
    MissingEntry {
        /// The log entry.
        path: PathBuf,
        /// A version that the table has, or has had.
        newest: u64,
    },
    /// Tables are behind what the journal knows of them, or are not there.
    #[error(
        "{lake} is not as this journal has left it: {}; nothing was changed: mount the lake, or restore it as it was; where \
         it is lost for good, `meetnet check --accept-loss DATASET` for each of these tables lets a start go on without",
        listed(tables)
    )]
    LostTables {
        /// The lake.
        lake: String,
        /// The tables.
        tables: Vec<LostTable>,
    },
    /// A Parquet file cannot be read or written.
    #[error("failed to {operation} {}", path.display())]
    Parquet {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: parquet::errors::ParquetError,
    },
    /// A file of a table is not as it was written. Rows of other files are answered as before.
    #[error("{} {damage}: run `meetnet check --repair`", path.display())]
    BrokenFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        damage: Damage,
    },
    /// Arrow refused a batch: a bug, not bad data.
    #[error("failed to {operation} rows of dataset `{dataset}`")]
    Arrow {
        /// What was tried, as a verb.
        operation: &'static str,
        /// The dataset.
        dataset: DatasetId,
        /// Why it failed.
        #[source]
        source: arrow::error::ArrowError,
    },
    /// The declaration differs from the one the table was made with, in a way that would break its rows.
    #[error("dataset `{dataset}` cannot take its new declaration: {}", problems.join("; "))]
    ForbiddenChange {
        /// The dataset.
        dataset: DatasetId,
        /// One sentence per forbidden change.
        problems: Vec<String>,
    },
    /// Another journal writes to the lake.
    #[error(
        "{lake} belongs to the journal {journal}, and this daemon has another one; stop the other daemon or choose \
         another prefix, or, where that journal is lost for good, remove {mark}"
    )]
    OtherWriter {
        /// The lake.
        lake: String,
        /// Id of the journal that writes to it.
        journal: String,
        /// Object that says so.
        mark: String,
    },
    /// Another copy of the journal has opened the lake.
    #[error(
        "{lake} was opened at {opened_at} with another copy of this journal, which has messages that this one lacks, and \
         this one may have some that it lacks; let the other one go on, or, where it is lost for good, remove {mark}"
    )]
    OtherCopy {
        /// The lake.
        lake: String,
        /// When, for people.
        opened_at: String,
        /// Object that says so.
        mark: String,
    },
    /// Since this process has opened the lake, another one did so with a copy of its journal.
    #[error(
        "another daemon with a copy of this journal writes to table {}; only one of the two can go on, and this one stops: \
         what it has acknowledged and not committed is in its journal alone, so keep that folder",
        table.display()
    )]
    TakenOver {
        /// Folder of the table.
        table: PathBuf,
    },
    /// What the journal remembers of the lake cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store of the lake cannot make commits atomic.
    #[error(
        "{lake} overwrites objects that were to be written only if absent (`If-None-Match: *`), so two commits could \
         take one version; use a store that has conditional writes"
    )]
    NoConditionalWrites {
        /// The lake.
        lake: String,
    },
    /// The lake is used in a way that its state does not allow.
    #[error("{0}")]
    Usage(String),
}

/// Names tables for people: an unmounted lake lacks all of them, and a few say that.
fn listed(tables: &[LostTable]) -> String {
    let shown = tables.iter().take(LISTED_MAX).map(LostTable::to_string);
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if let Some(more @ 1..) = tables.len().checked_sub(LISTED_MAX) {
        text.push_str(&format!(", and {more} more"));
    }
    text
}

impl LakeError {
    /// Returns true where waiting does not help: somebody has to make room, allow access or repair a file.
    pub fn needs_a_person(&self) -> bool {
        use io::ErrorKind::{NotADirectory, PermissionDenied, ReadOnlyFilesystem};
        let broken = self.is_of_log() || matches!(self, Self::BrokenFile { .. });
        let refused = [NotADirectory, PermissionDenied, ReadOnlyFilesystem];
        broken || self.is_disk_full() || self.io_kind().is_some_and(|kind| refused.contains(&kind))
    }

    /// Returns true where the log of one table is at fault, which says nothing about other tables.
    pub(crate) fn is_of_log(&self) -> bool {
        matches!(self, Self::BrokenLog { .. } | Self::MissingEntry { .. })
    }

    /// Returns true where what is stored could not be read: rows that must be compared with it have to wait.
    pub fn is_of_reading(&self) -> bool {
        matches!(
            self,
            Self::BrokenFile { .. } | Self::Io { .. } | Self::Parquet { .. }
        )
    }

    /// Returns true where an object store did not answer, or says that it cannot do anything now: whatever else it were asked,
    /// it would do no better.
    pub fn is_outage(&self) -> bool {
        self.is_of_object_store() && self.io_kind() == Some(io::ErrorKind::Other)
    }

    /// Returns true where an object store did not do what it was asked, whatever its reason: it may the next time.
    pub fn is_of_object_store(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            // An error of the system hides what it was made of from who walks the causes.
            let inner = error
                .downcast_ref::<io::Error>()
                .and_then(io::Error::get_ref);
            if inner.is_some_and(|inner| inner.is::<object_store::Error>()) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// Returns true where who asks is not allowed to.
    pub fn is_refused_access(&self) -> bool {
        self.io_kind() == Some(io::ErrorKind::PermissionDenied)
    }

    /// Returns true where there was no space for a write.
    pub fn is_disk_full(&self) -> bool {
        let kind = self.io_kind();
        kind.is_some_and(|kind| {
            [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded].contains(&kind)
        })
    }

    /// Returns the kind of the storage's error behind this one; None where there is none.
    pub(crate) fn io_kind(&self) -> Option<io::ErrorKind> {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return Some(error.kind());
            }
            cause = error.source();
        }
        None
    }

    /// Returns a function that wraps an I/O error with its operation and object.
    pub(crate) fn io(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io {
            operation,
            path,
            source,
        }
    }

    /// Returns a function that wraps a Parquet error with its operation and file.
    pub(crate) fn parquet(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(parquet::errors::ParquetError) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Parquet {
            operation,
            path,
            source,
        }
    }

    /// Returns a function that wraps an Arrow error with its operation and dataset.
    pub(crate) fn arrow(
        operation: &'static str,
        dataset: &DatasetId,
    ) -> impl FnOnce(arrow::error::ArrowError) -> Self + use<> {
        let dataset = dataset.clone();
        move |source| Self::Arrow {
            operation,
            dataset,
            source,
        }
    }
}
