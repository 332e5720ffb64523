//! How the write side is, as whoever runs it tells the operations page.

use meetnet_model::ids::{DatasetId, Sequence, SourceId};
use meetnet_model::reject::RejectReason;
use meetnet_model::source::SourceKind;

/// How the write side is.
#[derive(Clone, Debug, Default)]
pub struct OperationsStatus {
    /// Every configured source.
    pub sources: Vec<SourceRow>,
    /// Targets of polled sources that do not answer, the first few of each source.
    pub failing: Vec<FailingRow>,
    /// Sessions at brokers that none of them has.
    pub left_sessions: Vec<LeftSessionRow>,
    /// Pushes that none of them claims.
    pub unclaimed: Vec<UnclaimedRow>,
    /// What polled sources are asked for of their past, in the order in which they do it.
    pub backfills: Vec<BackfillRow>,
    /// Retentions that are shorter than before, and not in force yet.
    pub retentions: Vec<RetentionRow>,
    /// The journal.
    pub journal: JournalStatus,
    /// The disks that it writes to.
    pub disks: Vec<DiskStatus>,
    /// Rejects since the start, by source and reason.
    pub rejects: Vec<RejectRow>,
}

/// One source.
#[derive(Clone, Debug)]
pub struct SourceRow {
    /// Its id.
    pub id: SourceId,
    /// How its messages arrive.
    pub kind: SourceKind,
    /// Whether it can deliver now; None where nothing is to be connected (a push endpoint, files), or an API has not been asked
    /// since the start.
    pub connected: Option<bool>,
    /// It has said nothing for longer than it may.
    pub silent: bool,
    /// Messages since the start.
    pub messages_total: u64,
    /// Messages per minute, over the last one; None where it cannot be said yet.
    pub messages_per_minute: Option<f64>,
    /// Messages that are taken and not yet acknowledged.
    pub unacked: u64,
    /// When the last one was received, µs since 1970 UTC.
    pub last_message_at: Option<i64>,
    /// When the newest observation that it has told of ended, µs since 1970 UTC; None before the first since the start.
    pub newest_at: Option<i64>,
    /// Rejects since the start.
    pub rejects_total: u64,
    /// The last error of the connection, without credentials.
    pub last_error: Option<String>,
}

/// A target of a polled source that does not answer.
#[derive(Clone, Debug)]
pub struct FailingRow {
    /// Of which source.
    pub source: SourceId,
    /// Its name within the source: a road segment, a time series.
    pub target: String,
    /// Whether it is its past that is asked for, by a backfill; else what is new, or its gaps.
    pub of_past: bool,
    /// The spans that were passed over, where it is these that fail.
    pub gaps: Option<String>,
    /// Since when, µs since 1970 UTC.
    pub since: i64,
    /// Failures in a row.
    pub failures: u64,
    /// When it is asked again at the earliest, µs since 1970 UTC.
    pub again_at: i64,
    /// What went wrong last, without credentials.
    pub message: String,
}

/// A session at a broker that no source has any more.
#[derive(Clone, Debug)]
pub struct LeftSessionRow {
    /// The source that had it.
    pub source: SourceId,
    /// What the broker knows it by.
    pub client_id: String,
    /// URL of the broker, without what is secret; None where it is not known.
    pub broker: Option<String>,
    /// Whether it still has subscriptions, so that messages gather in it.
    pub collects: bool,
    /// When it was found left, µs since 1970 UTC.
    pub since: i64,
    /// A command that ends it, without credentials; None where there is none.
    pub command: Option<String>,
}

/// Pushes to one path that no source claims.
#[derive(Clone, Debug)]
pub struct UnclaimedRow {
    /// The path, without what may be personal or secret; None: further paths together.
    pub path: Option<String>,
    /// How many since the start.
    pub total: u64,
    /// When the last one came, µs since 1970 UTC.
    pub last_at: i64,
    /// Why no source took it.
    pub reason: String,
}

/// A backfill that is not at its end.
#[derive(Clone, Debug)]
pub struct BackfillRow {
    /// Of which source.
    pub source: SourceId,
    /// The span that was asked for, as the command takes it.
    pub span: String,
    /// Whether it has begun; else another one of the source comes first.
    pub begun: bool,
    /// Windows asked for.
    pub windows_done: u64,
    /// Windows still to ask for.
    pub windows_left: u64,
    /// Rows, features or readings in the answers.
    pub items: u64,
    /// When it will be done, µs since 1970 UTC; None where that cannot be said.
    pub expected_end: Option<i64>,
    /// Why it is held up.
    pub trouble: Option<String>,
}

/// A retention that waits.
#[derive(Clone, Debug)]
pub struct RetentionRow {
    /// Of which dataset.
    pub dataset: DatasetId,
    /// How long its rows are kept then, as the configuration writes it.
    pub kept: String,
    /// Rows that are dropped by it, replaced ones included, of those that are stored now.
    pub rows: u64,
    /// Their periods: one, or the first and the last. Empty where there are none.
    pub periods: String,
    /// When they are dropped, µs since 1970 UTC.
    pub at: i64,
}

/// The journal.
#[derive(Clone, Copy, Debug, Default)]
pub struct JournalStatus {
    /// Bytes of the segments that are not trimmed.
    pub bytes: u64,
    /// Every frame up to this sequence is on disk.
    pub durable: Sequence,
    /// Messages are refused for want of space.
    pub disk_full: bool,
    /// The clock is not to be believed.
    pub clock_step: bool,
}

/// The disk under a folder that the daemon writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskStatus {
    /// What the folder holds: `journal` or `lake`.
    pub folder: &'static str,
    /// Bytes that may still be written; None where that cannot be measured.
    pub free_bytes: Option<u64>,
    /// Whether there is little space left.
    pub is_low: bool,
}

/// Rejects of one source for one reason.
#[derive(Clone, Debug)]
pub struct RejectRow {
    /// The source.
    pub source: SourceId,
    /// The reason.
    pub reason: RejectReason,
    /// How many since the start.
    pub total: u64,
    /// Sequence of the message of the example.
    pub sequence: Sequence,
    /// What was wrong with it.
    pub message: String,
    /// A redacted excerpt of it.
    pub excerpt: String,
}
