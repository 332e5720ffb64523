//! Vacuum: removes files that nothing needs any more.
//!
//! | file | removed |
//! |---|---|
//! | no longer live, with a tombstone | some time after it was removed: readers and links may still hold it |
//! | named by nobody: left by a crash, or its tombstone is forgotten | some time after it was begun (its name says when) |
//! | broken, and taken out of the table by a repair | never: it is in the quarantine, or moves there now |
//! | log entries and checkpoints before a checkpoint | when that checkpoint is old enough |
//! | what a crash cut off in the lake's own folder, beside the tables | some time after it was begun, too |
//!
//! Names are never used twice, so what is removed here can never be wanted again. It runs beside commits: what they add
//! meanwhile is younger than everything that it looks at, also where somebody sets the clock back in between, since it looks at
//! the clock once more behind each list of files. None begins while something else is being written, so where somebody has set
//! the clock ahead it is only early. A file whose name is none of ours is left alone.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::files::begun_at_ms;
use super::log::{LOG_FOLDER, TableLog, entry_path};
use super::quarantine;
use crate::error::LakeError;
use crate::storage::{LakeStorage, TableFolder};

/// The lake's own folder, beside those of its tables: no dataset's id begins with `_`.
const OWN_FOLDER: &str = "_meetnet";
/// How the name of a file ends that has not got its own yet.
const UNFINISHED: &str = ".tmp";

/// What to look for in the lake's own folder: small files, each written under another name first.
#[derive(Debug)]
pub(crate) struct OwnVacuumJob {
    storage: Arc<dyn LakeStorage>,
    orphans: Orphans,
}

/// Which files that nobody has named go.
#[derive(Clone, Copy, Debug)]
struct Orphans {
    /// How old they are, longer than any write takes.
    age_ms: i64,
    /// Before which they were begun, ms since 1970.
    before_ms: i64,
}

impl Orphans {
    fn new(age_ms: i64, now_ms: i64) -> Self {
        Self {
            age_ms,
            before_ms: now_ms.saturating_sub(age_ms),
        }
    }

    /// Returns before when files were begun that go, once files have been listed: where the clock has been set back since the
    /// vacuum began, files have been begun by that clock.
    fn before_ms(self, now_ms: i64) -> i64 {
        self.before_ms.min(now_ms.saturating_sub(self.age_ms))
    }
}

impl OwnVacuumJob {
    /// `orphan_age_ms` as in [`VacuumJob::new`].
    pub(crate) fn new(storage: Arc<dyn LakeStorage>, orphan_age_ms: i64, now_ms: i64) -> Self {
        Self {
            storage,
            orphans: Orphans::new(orphan_age_ms, now_ms),
        }
    }

    /// Removes what a crash has cut off; `now_ms` reads the clock, ms since 1970.
    pub(crate) fn run(&self, now_ms: &dyn Fn() -> i64) -> Result<Vacuumed, LakeError> {
        let lake = self.storage.location().name();
        let shown = Path::new(&lake).join(OWN_FOLDER);
        let listed = self.storage.list(OWN_FOLDER);
        let mut useless = listed.map_err(LakeError::io("list", &shown))?;
        let before_ms = self.orphans.before_ms(now_ms());
        useless.retain(|object| {
            let is_old = begun_at_ms(&object.path).is_some_and(|begun_at| begun_at < before_ms);
            is_old && object.path.ends_with(UNFINISHED)
        });
        let vacuumed = Vacuumed {
            orphans: useless.len() as u64,
            bytes: useless.iter().map(|object| object.bytes).sum(),
            ..Vacuumed::default()
        };
        let paths: Vec<String> = useless.into_iter().map(|object| object.path).collect();
        if !paths.is_empty() {
            let removed = self.storage.remove_all(&paths);
            removed.map_err(LakeError::io("remove files of", &shown))?;
        }
        Ok(vacuumed)
    }
}

/// What to look for in one table.
#[derive(Debug)]
pub(crate) struct VacuumJob {
    folder: TableFolder,
    /// Live files, and those whose tombstone is too young.
    wanted: HashSet<String>,
    /// Files whose tombstone is old enough.
    expired: HashSet<String>,
    /// Files that a repair took out of the table.
    quarantined: HashSet<String>,
    /// What is older than this, ms since 1970, may go.
    before_ms: i64,
    /// Files that nobody ever named.
    orphans: Orphans,
}

/// What a vacuum removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vacuumed {
    /// Data files that had been replaced.
    pub replaced_files: u64,
    /// Data and temporary files that nobody named.
    pub orphans: u64,
    /// Log entries and checkpoints.
    pub log_files: u64,
    /// Bytes of all.
    pub bytes: u64,
    /// Tables that were not looked through to the end, for an error that is in the log; the lake's own folder counts as one.
    pub failed_tables: u64,
}

impl std::ops::AddAssign for Vacuumed {
    fn add_assign(&mut self, other: Self) {
        self.replaced_files += other.replaced_files;
        self.orphans += other.orphans;
        self.log_files += other.log_files;
        self.bytes += other.bytes;
        self.failed_tables += other.failed_tables;
    }
}

impl std::ops::Sub for Vacuumed {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            replaced_files: self.replaced_files - before.replaced_files,
            orphans: self.orphans - before.orphans,
            log_files: self.log_files - before.log_files,
            bytes: self.bytes - before.bytes,
            failed_tables: self.failed_tables - before.failed_tables,
        }
    }
}

impl VacuumJob {
    /// Looks at a table as it is now. `vacuum_after_ms`: how long a replaced file stays; `orphan_age_ms`: how long one
    /// that nobody named does, longer than any write takes.
    pub(crate) fn new(
        log: &TableLog,
        vacuum_after_ms: i64,
        orphan_age_ms: i64,
        now_ms: i64,
    ) -> Self {
        let before_ms = now_ms - vacuum_after_ms;
        let mut wanted: HashSet<String> = log.adds().map(|add| add.path.clone()).collect();
        let (mut expired, mut quarantined) = (HashSet::new(), HashSet::new());
        for remove in log.tombstones() {
            let set = if quarantine::is_kept(remove) {
                &mut quarantined
            } else if remove.deletion_timestamp.unwrap_or(0) > before_ms {
                &mut wanted
            } else {
                &mut expired
            };
            set.insert(remove.path.clone());
        }
        Self {
            folder: log.folder().clone(),
            wanted,
            expired,
            quarantined,
            before_ms,
            orphans: Orphans::new(orphan_age_ms, now_ms),
        }
    }

    /// Removes them; `now_ms` reads the clock, ms since 1970.
    pub(crate) fn run(&self, now_ms: &dyn Fn() -> i64) -> Result<Vacuumed, LakeError> {
        let mut vacuumed = Vacuumed::default();
        let mut checkpoints = Vec::new();
        let mut entries = Vec::new();
        let mut useless = Vec::new();
        let listed = self.folder.list("")?;
        let orphans_before_ms = self.orphans.before_ms(now_ms());
        for object in listed {
            let path = object.path.as_str();
            if path.starts_with(LOG_FOLDER)
                && let Some(version) = version_of(path)
            {
                if path.ends_with(".checkpoint.parquet") {
                    checkpoints.push(version);
                }
                entries.push((version, object));
                continue;
            }
            if quarantine::holds(path) {
                continue;
            }
            if self.quarantined.contains(path) {
                // A crash came between its removal and this.
                quarantine::keep(&self.folder, path)?;
                continue;
            }
            let ours = path.ends_with(".parquet") || path.ends_with(UNFINISHED);
            let Some(begun_at_ms) = begun_at_ms(path).filter(|_| ours) else {
                continue;
            };
            let counted = if self.expired.contains(path) {
                &mut vacuumed.replaced_files
            } else if !self.wanted.contains(path) && begun_at_ms < orphans_before_ms {
                &mut vacuumed.orphans
            } else {
                continue;
            };
            *counted += 1;
            useless.push(object);
        }
        if let Some(kept) = self.oldest_needed(checkpoints)? {
            let before = entries.into_iter().filter(|(version, _)| *version < kept);
            let count = useless.len();
            useless.extend(before.map(|(_, object)| object));
            vacuumed.log_files = (useless.len() - count) as u64;
        }
        vacuumed.bytes = useless.iter().map(|object| object.bytes).sum();
        self.folder
            .remove_all(useless.iter().map(|object| object.path.as_str()))?;
        Ok(vacuumed)
    }

    /// Returns the newest checkpoint that is old enough for everything before it to go.
    fn oldest_needed(&self, mut checkpoints: Vec<u64>) -> Result<Option<u64>, LakeError> {
        checkpoints.sort_unstable_by_key(|version| std::cmp::Reverse(*version));
        for version in checkpoints {
            let committed_at_ms = self.committed_at_ms(version)?;
            if committed_at_ms.is_some_and(|at| at < self.before_ms) {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }

    /// When a version was committed, ms since 1970, as its entry says.
    fn committed_at_ms(&self, version: u64) -> Result<Option<i64>, LakeError> {
        let Some(entry) = self.folder.read(&entry_path(version))? else {
            return Ok(None);
        };
        let mut actions = serde_json::Deserializer::from_slice(&entry).into_iter::<Value>();
        Ok(actions.find_map(|action| action.ok()?.get("commitInfo")?.get("timestamp")?.as_i64()))
    }
}

/// Version of a log entry or checkpoint.
pub(crate) fn version_of(path: &str) -> Option<u64> {
    let name = path.rsplit('/').next()?;
    let (version, kind) = name.split_once('.')?;
    matches!(kind, "json" | "checkpoint.parquet")
        .then(|| version.parse().ok())
        .flatten()
}
