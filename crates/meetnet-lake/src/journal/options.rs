//! Where a journal lives, its limits, and what it is given from outside: the clock and the file operations.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::files::{DiskFiles, Files};

/// A clock: µs since 1970 UTC, or since any moment where it is a monotonic one.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Returns the wall clock of the system.
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}

/// Returns a clock of the system that nobody sets; it stands still while the machine sleeps.
pub fn system_monotonic_clock() -> Clock {
    let start = Instant::now();
    Arc::new(move || i64::try_from(start.elapsed().as_micros()).unwrap_or(i64::MAX))
}

/// Where the journal lives, and its limits.
#[derive(Clone)]
pub struct JournalOptions {
    /// Folder of the journal: a local disk.
    pub dir: PathBuf,
    /// Folder of the private raw archive: on the same file system, segments move there by rename.
    pub archive_dir: PathBuf,
    /// A segment is closed before a group would make it longer than this. At most a quarter of `journal_bytes_max` is
    /// used, so that a full journal always has closed segments to trim.
    pub segment_bytes_max: u64,
    /// Bytes of untrimmed segments at which nothing more is taken.
    pub journal_bytes_max: u64,
    /// Bytes in memory, not yet synced, at which nothing more is taken; also the largest frame.
    pub pending_bytes_max: usize,
    /// Size of the reserve file; 0: none.
    pub reserve_bytes: u64,
    /// How long the archive keeps raw messages.
    pub raw_retention: Duration,
    /// Size of the archive at which its oldest files are dropped.
    pub archive_bytes_max: u64,
    /// Size of the copies of damaged regions (`aside/`) at which the oldest are dropped.
    pub aside_bytes_max: u64,
    /// What time it is.
    pub clock: Clock,
    /// How time goes on whatever is done to `clock`: steps of that one are noticed by it.
    pub monotonic_clock: Clock,
    /// The file operations; tests put a faulty layer here.
    pub files: Arc<dyn Files>,
    /// True: threads of the journal's own write groups and tend the archive. False: the owner calls
    /// [`Journal::write_group`](super::Journal::write_group) and [`Journal::tend_archive`](super::Journal::tend_archive), so that a test decides every step.
    pub background: bool,
}

impl JournalOptions {
    /// Returns the defaults for a journal in `dir` with its archive in `archive_dir`.
    pub fn new(dir: impl Into<PathBuf>, archive_dir: impl Into<PathBuf>) -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            dir: dir.into(),
            archive_dir: archive_dir.into(),
            segment_bytes_max: 64 * MIB,
            journal_bytes_max: 8 * 1024 * MIB,
            pending_bytes_max: 16 << 20,
            reserve_bytes: 64 * MIB,
            raw_retention: Duration::from_secs(30 * 24 * 3600),
            archive_bytes_max: 32 * 1024 * MIB,
            aside_bytes_max: 1024 * MIB,
            clock: system_clock(),
            monotonic_clock: system_monotonic_clock(),
            files: Arc::new(DiskFiles::PRIVATE),
            background: true,
        }
    }
}
