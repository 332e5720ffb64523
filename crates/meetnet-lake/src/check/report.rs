//! What a check says: findings in a fixed order, each with its place and what to do, and how much was looked at.

use std::fmt;

use meetnet_model::ids::DatasetId;
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something that was stored cannot be read, or answers are wrong.
    Damage,
    /// Nothing is lost, but somebody should know.
    Warning,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// The journal's identity is unreadable, or the journal is missing although tables were written from one.
    JournalIdentity,
    /// The journal's checkpoint is unreadable or missing.
    JournalCheckpoint,
    /// What was known at the checkpoint, beside the tables, is unreadable.
    JournalState,
    /// A segment's header is damaged, or its name says something else.
    SegmentHeader,
    /// The declarations at the head of a segment are missing, damaged or not those in force.
    SegmentHead,
    /// A segment of another journal, or of a newer version.
    SegmentForeign,
    /// Bytes of a segment that held frames.
    FrameDamage,
    /// Frames that are missing between two segments, or at the end.
    FramesMissing,
    /// Sequences that no frame has, although no bytes are missing.
    SequenceSkipped,
    /// A sequence or `recorded_at` that does not rise.
    SequenceOrder,
    /// Bytes behind the last frame of a journal that nobody has open.
    TornTail,
    /// A damaged region that a recovery put aside.
    KeptAside,
    /// A compressed segment of the raw archive cannot be unpacked.
    ArchiveDamage,
    /// The raw archive holds frames that the journal should still have.
    ArchiveAhead,
    /// A table of the checkpoint is missing.
    TableMissing,
    /// A table is behind what the checkpoint says of it.
    TableBehind,
    /// A table folder holds files but no log.
    LogMissing,
    /// A version of the table log is missing although later ones are there.
    LogEntryMissing,
    /// A version of the table log is unreadable.
    LogEntryUnreadable,
    /// A checkpoint of the table log is unreadable or missing.
    LogCheckpoint,
    /// A checkpoint of the table log says something else than the versions up to it.
    LogCheckpointDiffers,
    /// Versions of the table log contradict each other, or an entry contradicts itself.
    LogInconsistent,
    /// Declaration, schema or protocol of a table are not readable, or contradict each other.
    LogMetadata,
    /// A file of the table is missing.
    FileMissing,
    /// A file has another length than its log entry says.
    FileLength,
    /// A file has another hash than its log entry says.
    FileHash,
    /// A file is no readable Parquet.
    FileUnreadable,
    /// The storage failed while a file was read: whether the file is sound is not known.
    FileUnknown,
    /// A file's own metadata name another dataset, licence or schema than its table.
    FileMetadata,
    /// A file holds something else than its log entry says: number of rows, least and greatest values.
    FileStatistics,
    /// Rows of a file are not in the order of their keys.
    FileOrder,
    /// Two files of one run overlap in their keys.
    RunOverlap,
    /// A file holds rows of another period than its partition's.
    WrongPartition,
    /// `superseded_at` is missing, or where it must not be, or before the row was recorded.
    SupersededAt,
    /// Versions of a key are not in the order of their revisions.
    RevisionOrder,
    /// A key is current in two rows.
    KeyTwice,
}

impl FindingKind {
    /// Returns how bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::JournalState
            | Self::SegmentHeader
            | Self::SegmentForeign
            | Self::SequenceSkipped
            | Self::TornTail
            | Self::KeptAside
            | Self::FileUnknown => Severity::Warning,
            _ => Severity::Damage,
        }
    }
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the journal folder.
    Journal {
        /// File name; none where it is the journal as a whole.
        file: Option<String>,
        /// Byte in the file.
        offset: Option<u64>,
    },
    /// In the raw archive.
    Archive {
        /// File name.
        file: String,
        /// Byte in the file, unpacked.
        offset: Option<u64>,
    },
    /// In a table's folder.
    Table {
        /// The dataset.
        dataset: DatasetId,
        /// Path in the folder; none where it is the table as a whole.
        file: Option<String>,
    },
}

impl Place {
    /// The whole journal.
    pub(super) const JOURNAL: Self = Self::Journal {
        file: None,
        offset: None,
    };

    /// Returns a table, or a file of it.
    pub(super) fn table(dataset: &DatasetId, file: Option<&str>) -> Self {
        Self::Table {
            dataset: dataset.clone(),
            file: file.map(str::to_owned),
        }
    }

    /// Returns true for a place in a dataset's table.
    pub(super) fn is_in_table(&self, of: &DatasetId) -> bool {
        matches!(self, Self::Table { dataset, .. } if dataset == of)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, offset) = match self {
            Self::Journal { file, offset } => {
                f.write_str("journal")?;
                (file.as_deref(), *offset)
            }
            Self::Archive { file, offset } => {
                f.write_str("raw archive")?;
                (Some(file.as_str()), *offset)
            }
            Self::Table { dataset, file } => {
                write!(f, "table {dataset}")?;
                (file.as_deref(), None)
            }
        };
        if let Some(file) = file {
            write!(f, ", {file}")?;
        }
        match offset {
            Some(offset) => write!(f, " at byte {offset}"),
            None => Ok(()),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub kind: FindingKind,
    /// What exactly.
    pub what: String,
    /// What to do about it.
    pub to_do: String,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Segments of the journal and its archive.
    pub segments: u64,
    /// Frames that were read, those at the heads of segments aside.
    pub frames: u64,
    /// Tables.
    pub tables: u64,
    /// Versions of table logs that were read.
    pub log_entries: u64,
    /// Live files.
    pub files: u64,
    /// Rows of live files by the log; a full check reads them all.
    pub rows: u64,
    /// Bytes of segments and files that were read whole.
    pub bytes: u64,
    /// Files in quarantine.
    pub quarantined: u64,
}

/// The outcome of a check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What is wrong, by place.
    pub findings: Vec<Finding>,
    /// How much was looked at.
    pub counts: Counts,
}

impl Report {
    /// Returns true where nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Adds a finding.
    pub(super) fn add(
        &mut self,
        kind: FindingKind,
        place: Place,
        what: impl Into<String>,
        to_do: impl Into<String>,
    ) {
        self.findings.push(Finding {
            place,
            severity: kind.severity(),
            kind,
            what: what.into(),
            to_do: to_do.into(),
        });
    }

    /// Puts findings in order, each once.
    pub(super) fn finish(&mut self) {
        self.findings.sort();
        self.findings.dedup();
    }
}
