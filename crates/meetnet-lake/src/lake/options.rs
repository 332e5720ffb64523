//! What a lake is opened with: whose it is, its limits, its clock.

use std::collections::BTreeMap;
use std::time::Duration;

use meetnet_model::ids::DatasetId;
use uuid::Uuid;

use super::clock::LakeClock;
use crate::actor::CommitLimits;
use crate::journal::Openings;
use crate::known::KnownTables;
use crate::snapshot::SharedSnapshot;

/// Whose the lake is, and when it commits.
#[derive(Clone, Debug)]
pub struct LakeOptions {
    /// The journal whose positions the tables record.
    pub journal_id: Uuid,
    /// What that journal remembers of opening the lake; a lake in an object store is not opened without.
    pub openings: Option<Openings>,
    /// What its checkpoint says of the tables: a lake in which one is behind that is not opened. None: nothing is known.
    pub known: Option<KnownTables>,
    /// When it commits.
    pub limits: LakeLimits,
    /// Datasets whose old periods are dropped, and how long one stays after it has ended.
    pub retention: BTreeMap<DatasetId, Duration>,
    /// The pointer that readers load already, with what is committed; None: one of its own.
    pub shared: Option<SharedSnapshot>,
    /// What time it is.
    pub clock: LakeClock,
    /// Called by each thread of the lake's that has had nothing to do for a while: an allocator may keep memory by thread.
    pub give_back: fn(),
    /// True: threads of the lake's own commit, merge and remove files. False: its owner calls `Lake::run_commit_job`
    /// and `Lake::run_upkeep_job`, so that a test decides every step.
    pub background: bool,
}

/// When the lake commits, and how much it holds.
#[derive(Clone, Copy, Debug)]
pub struct LakeLimits {
    /// A hot row is committed at this age at the latest.
    pub commit_age_max: Duration,
    /// A dataset with this many hot rows commits at once.
    pub commit_rows_max: u64,
    /// Memory of all hot rows, bytes: at half of it the largest dataset commits, at all of it applying stops.
    pub hot_bytes_max: usize,
    /// An idle dataset records its position at least this often.
    pub stable_age_max: Duration,
    /// Files that one commit writes again for replaced rows; a commit of more is cut in several.
    pub revised_files_max: usize,
    /// Partitions that one commit writes into; a commit of more is cut in several.
    pub commit_partitions_max: usize,
    /// Whether runs of files are merged in the background.
    pub compaction: bool,
    /// How long a replaced file stays, for readers and links that still hold it.
    pub vacuum_after: Duration,
}

impl LakeOptions {
    /// Returns the defaults for a journal.
    pub fn new(journal_id: Uuid) -> Self {
        Self {
            journal_id,
            openings: None,
            known: None,
            limits: LakeLimits::default(),
            retention: BTreeMap::new(),
            shared: None,
            clock: LakeClock::system(),
            give_back: || (),
            background: true,
        }
    }
}

impl LakeLimits {
    pub(super) fn of_commit(&self) -> CommitLimits {
        CommitLimits {
            revised_files_max: self.revised_files_max,
            partitions_max: self.commit_partitions_max,
        }
    }
}

impl Default for LakeLimits {
    fn default() -> Self {
        Self {
            commit_age_max: Duration::from_secs(60),
            commit_rows_max: 1_000_000,
            hot_bytes_max: 96 << 20,
            stable_age_max: Duration::from_secs(300),
            revised_files_max: 32,
            commit_partitions_max: 64,
            compaction: true,
            vacuum_after: Duration::from_secs(7 * 24 * 3_600),
        }
    }
}
