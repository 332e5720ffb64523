//! Verifying one table log: every version from the last checkpoint on (full: from the oldest that is there), each
//! against the state before it.
//!
//! A log that cannot be read is where a table's check ends: what is live would be a guess.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::{DatasetId, Sequence};

use super::Depth;
use super::report::{FindingKind, Place, Report};
use crate::actor::live_files;
use crate::error::LakeError;
use crate::snapshot::LiveFile;
use crate::storage::{TableFolder, folder_of};
use crate::table::actions::Action;
use crate::table::checkpoint::{self, LAST_CHECKPOINT, checkpoint_path};
use crate::table::files::{Partition, live_file};
use crate::table::log::{LOG_FOLDER, TableLog, entry_path, read_entry};
use crate::table::schema;
use crate::table::vacuum::version_of;

const RESTORE_TABLE: &str = "stop the daemon and restore the table's folder from a backup, or ask for help: what is live \
                             in this table is not known without it; the files themselves are untouched";
/// How often a log is read anew because a vacuum took entries away meanwhile.
const ATTEMPTS_MAX: usize = 5;

/// A table whose log could be read.
pub(super) struct CheckedTable {
    pub(super) dataset: DatasetId,
    pub(super) log: TableLog,
    pub(super) declaration: Arc<DatasetDeclaration>,
    pub(super) files: Vec<Arc<LiveFile>>,
}

/// What a log is verified with.
pub(super) struct Context<'a> {
    pub(super) folder: &'a TableFolder,
    pub(super) depth: Depth,
    /// T of the journal, where it is known.
    pub(super) trimmed_through: Option<Sequence>,
    /// The name under which the table records positions in the journal.
    pub(super) app_id: Option<String>,
}

/// Versions and checkpoints that are there.
#[derive(Debug, Default)]
struct Listing {
    entries: BTreeSet<u64>,
    checkpoints: BTreeSet<u64>,
}

/// Why reading stopped.
enum Stop {
    /// A listed entry is gone: a vacuum works here.
    Moved,
    /// It has been reported.
    Reported,
    Failed(LakeError),
}

impl From<LakeError> for Stop {
    fn from(error: LakeError) -> Self {
        Self::Failed(error)
    }
}

/// Verifies the log in a folder; None where there is none, or it cannot be read.
pub(super) fn check(
    context: &Context<'_>,
    report: &mut Report,
) -> Result<Option<CheckedTable>, LakeError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let mut found = Report::default();
        let checked = match context.check(&mut found) {
            Ok(checked) => checked,
            Err(Stop::Reported) => None,
            Err(Stop::Moved) if attempts < ATTEMPTS_MAX => continue,
            Err(Stop::Moved) => {
                return Err(LakeError::Usage(format!(
                    "the log of table `{}` changes faster than it can be read; try again",
                    context.folder.name()
                )));
            }
            Err(Stop::Failed(error)) => return Err(error),
        };
        report.findings.append(&mut found.findings);
        report.counts.log_entries += found.counts.log_entries;
        report.counts.tables += u64::from(checked.is_some());
        return Ok(checked);
    }
}

impl Context<'_> {
    fn dataset(&self) -> DatasetId {
        DatasetId::new(self.folder.name())
    }

    fn place(&self, file: Option<&str>) -> Place {
        Place::table(&self.dataset(), file)
    }

    fn check(&self, report: &mut Report) -> Result<Option<CheckedTable>, Stop> {
        let listing = Listing::read(self.folder)?;
        let newest = listing
            .entries
            .last()
            .max(listing.checkpoints.last())
            .copied();
        let Some(newest) = newest else {
            self.check_for_files(report)?;
            return Ok(None);
        };
        let last = self.last_checkpoint(&listing, newest, report)?;
        let base = self.base(&listing, last, report)?;
        let mut log = TableLog::empty(self.folder);
        if let Some(version) = base {
            let actions = checkpoint::read(self.folder, version)?.ok_or(Stop::Moved)?;
            log.fold_version(version, actions);
        }
        for version in base.map_or(0, |base| base + 1)..=newest {
            self.fold(&mut log, version, newest, report)?;
            if listing.checkpoints.contains(&version) {
                let to_do = listing.without_checkpoint(newest);
                self.compare(&log, version, last == Some(version), to_do, report)?;
            }
        }
        self.checked(log, report).map(Some)
    }

    /// Says what is wrong where there is no log at all.
    fn check_for_files(&self, report: &mut Report) -> Result<(), LakeError> {
        let listed = self.folder.list("")?;
        if listed
            .iter()
            .any(|object| object.path.ends_with(".parquet"))
        {
            report.add(
                FindingKind::LogMissing,
                self.place(Some(LOG_FOLDER)),
                "there are files, but no log says which of them count",
                RESTORE_TABLE,
            );
        }
        Ok(())
    }

    /// Returns the version of the last checkpoint, which readers start from; verifies that every later version is
    /// there.
    fn last_checkpoint(
        &self,
        listing: &Listing,
        newest: u64,
        report: &mut Report,
    ) -> Result<Option<u64>, Stop> {
        let last = match checkpoint::read_last(self.folder) {
            Ok(last) => last.map(|(version, _)| version),
            Err(error @ (LakeError::BrokenLog { .. } | LakeError::Parquet { .. })) => {
                self.report_checkpoint(&error, listing, newest, report);
                return Err(Stop::Reported);
            }
            Err(error) => return Err(error.into()),
        };
        if last.is_none()
            && !listing.entries.contains(&0)
            && let Some(version) = listing.checkpoints.last()
        {
            report.add(
                FindingKind::LogCheckpoint,
                self.place(Some(LAST_CHECKPOINT)),
                "it is missing, and so is version 0",
                format!(
                    "stop the daemon, write `{{\"version\":{version},\"size\":0}}` into it, and check again"
                ),
            );
            return Err(Stop::Reported);
        }
        let first = last.map_or(0, |version| version + 1);
        let missing: Vec<u64> = (first..=newest)
            .filter(|version| !listing.entries.contains(version))
            .collect();
        if let Some(version) = missing.first() {
            report.add(
                FindingKind::LogEntryMissing,
                self.place(Some(&entry_path(*version))),
                format!(
                    "it is missing, as {} versions up to {newest} are; nothing reads or writes the table",
                    missing.len()
                ),
                format!("put it back where it was moved; else {RESTORE_TABLE}"),
            );
            return Err(Stop::Reported);
        }
        Ok(last)
    }

    fn report_checkpoint(
        &self,
        error: &LakeError,
        listing: &Listing,
        newest: u64,
        report: &mut Report,
    ) {
        let path = match error {
            LakeError::BrokenLog { path, .. } | LakeError::Parquet { path, .. } => path.file_name(),
            _ => None,
        };
        let file = path.map_or_else(
            || LOG_FOLDER.to_owned(),
            |name| format!("{LOG_FOLDER}/{}", name.to_string_lossy()),
        );
        report.add(
            FindingKind::LogCheckpoint,
            self.place(Some(&file)),
            with_sources(error),
            listing.without_checkpoint(newest),
        );
    }

    /// Returns the checkpoint to start from; None: version 0.
    fn base(
        &self,
        listing: &Listing,
        last: Option<u64>,
        report: &mut Report,
    ) -> Result<Option<u64>, Stop> {
        let Some(last) = last.filter(|_| self.depth == Depth::Full) else {
            return Ok(last);
        };
        let is_whole_from =
            |first: u64| (first..=last).all(|version| listing.entries.contains(&version));
        if is_whole_from(0) {
            return Ok(None);
        }
        for version in listing.checkpoints.range(..last).copied() {
            if !is_whole_from(version + 1) {
                continue;
            }
            match checkpoint::read(self.folder, version) {
                Ok(_) => return Ok(Some(version)),
                Err(error) => self.report_old_checkpoint(version, &error, report),
            }
        }
        Ok(Some(last))
    }

    fn report_old_checkpoint(&self, version: u64, error: &LakeError, report: &mut Report) {
        report.add(
            FindingKind::LogCheckpoint,
            self.place(Some(&checkpoint_path(version))),
            with_sources(error),
            "remove it: nobody reads it, there is a later one",
        );
    }

    /// Reads a version and verifies it against the state before.
    fn fold(
        &self,
        log: &mut TableLog,
        version: u64,
        newest: u64,
        report: &mut Report,
    ) -> Result<(), Stop> {
        let path = entry_path(version);
        let actions = match read_entry(self.folder, version) {
            Ok(actions) => actions.ok_or(Stop::Moved)?,
            Err(LakeError::BrokenLog { reason, .. }) => {
                let to_do = if version == newest && self.can_repeat(log) {
                    "stop the daemon and move the file away: it is the newest version, and the journal still holds \
                     everything since the one before, which the next start applies again; where that start is refused, \
                     `meetnet check --accept-loss` with the table's name lets it go on"
                } else {
                    RESTORE_TABLE
                };
                report.add(
                    FindingKind::LogEntryUnreadable,
                    self.place(Some(&path)),
                    reason,
                    to_do,
                );
                return Err(Stop::Reported);
            }
            Err(error) => return Err(error.into()),
        };
        report.counts.log_entries += 1;
        let mut problems = Vec::new();
        for action in actions {
            match &action {
                Action::Add(add) if log.is_live(&add.path) => {
                    problems.push(format!("it adds {}, which is live already", add.path));
                }
                Action::Remove(remove) if !log.is_live(&remove.path) => {
                    problems.push(format!("it removes {}, which is not live", remove.path));
                }
                Action::Txn(txn)
                    if Some(&txn.app_id) == self.app_id.as_ref()
                        && log.txn(&txn.app_id) > Some(txn.version) =>
                {
                    problems.push(format!(
                        "it sets the journal's position back to {}",
                        txn.version
                    ));
                }
                _ => {}
            }
            log.fold_version(version, vec![action]);
        }
        for problem in problems {
            report.add(
                FindingKind::LogInconsistent,
                self.place(Some(&path)),
                problem,
                "another program has written this table, or a daemon on a copy of it: stop that, and compare the rows \
                 with the raw archive",
            );
        }
        Ok(())
    }

    /// Whether the journal holds every frame since the state of `log`.
    fn can_repeat(&self, log: &TableLog) -> bool {
        let applied = self.app_id.as_ref().and_then(|app_id| log.txn(app_id));
        let (Some(applied), Some(trimmed)) = (applied, self.trimmed_through) else {
            return false;
        };
        trimmed.0 <= applied.max(0) as u64
    }

    /// Compares a checkpoint with the versions up to it.
    fn compare(
        &self,
        log: &TableLog,
        version: u64,
        is_last: bool,
        to_do: &str,
        report: &mut Report,
    ) -> Result<(), Stop> {
        let stored = match checkpoint::read(self.folder, version) {
            Ok(Some(actions)) => actions,
            // A vacuum took it.
            Ok(None) => return Ok(()),
            // The last one has been read once already.
            Err(error) if is_last => return Err(error.into()),
            Err(error) => {
                self.report_old_checkpoint(version, &error, report);
                return Ok(());
            }
        };
        let (folded, stored) = (State::of(log.actions()), State::of(stored));
        let differences = folded.differences(&stored);
        if differences > 0 {
            report.add(
                FindingKind::LogCheckpointDiffers,
                self.place(Some(&checkpoint_path(version))),
                format!("{differences} of its actions are not what the versions up to it say"),
                to_do,
            );
        }
        Ok(())
    }

    /// Verifies what the log says of the table in the end.
    fn checked(&self, log: TableLog, report: &mut Report) -> Result<CheckedTable, Stop> {
        let mut refuse = |what: String| {
            report.add(
                FindingKind::LogMetadata,
                self.place(Some(LOG_FOLDER)),
                what,
                RESTORE_TABLE,
            );
            Stop::Reported
        };
        log.check_protocol()
            .map_err(|error| refuse(error.to_string()))?;
        let declaration = log
            .declaration()
            .map_err(|error| refuse(error.to_string()))?;
        log.property_units()
            .map_err(|error| refuse(error.to_string()))?;
        if declaration.id != self.dataset() {
            return Err(refuse(format!(
                "it is the table of dataset `{}`",
                declaration.id
            )));
        }
        if schema::schema_string(&declaration.table_schema()) != log.schema_string() {
            refuse("its schema is not that of its declaration".to_owned());
        }
        let declaration = Arc::new(declaration);
        let grain = declaration.grain.column();
        let mut is_readable = true;
        for add in log.adds() {
            let what = match live_file(&declaration, add) {
                None => "its entry lacks partition values, statistics or hash",
                Some(file) if Partition::of(&file).folder(grain) != folder_of(&add.path) => {
                    "it does not lie in the folder of its partition values"
                }
                Some(_) => continue,
            };
            is_readable &= live_file(&declaration, add).is_some();
            report.add(
                FindingKind::LogInconsistent,
                self.place(Some(&add.path)),
                what,
                RESTORE_TABLE,
            );
        }
        if !is_readable {
            return Err(Stop::Reported);
        }
        Ok(CheckedTable {
            dataset: self.dataset(),
            files: live_files(&log, &declaration)?,
            declaration,
            log,
        })
    }
}

impl Listing {
    fn read(folder: &TableFolder) -> Result<Self, LakeError> {
        let mut listing = Self::default();
        for object in folder.list(LOG_FOLDER)? {
            let Some(version) = version_of(&object.path) else {
                continue;
            };
            if object.path == entry_path(version) {
                listing.entries.insert(version);
            } else if object.path == checkpoint_path(version) {
                listing.checkpoints.insert(version);
            }
        }
        Ok(listing)
    }

    /// What to do where a checkpoint cannot be used. With every version from the first on, it is only a short cut.
    fn without_checkpoint(&self, newest: u64) -> &'static str {
        if (0..=newest).all(|version| self.entries.contains(&version)) {
            "stop the daemon and remove that checkpoint and `_delta_log/_last_checkpoint`: every version since the table \
             was made is there, and the table opens from them"
        } else {
            RESTORE_TABLE
        }
    }
}

/// Actions by what they are about, for a comparison; checkpoints forget old removals.
struct State {
    kept: BTreeMap<String, Action>,
    removed: BTreeMap<String, Action>,
}

impl State {
    fn of(actions: Vec<Action>) -> Self {
        let (mut kept, mut removed) = (BTreeMap::new(), BTreeMap::new());
        for action in actions {
            match &action {
                Action::Remove(remove) => {
                    removed.insert(remove.path.clone(), action);
                    continue;
                }
                Action::Add(add) => kept.insert(format!("add {}", add.path), action),
                Action::Txn(txn) => kept.insert(format!("txn {}", txn.app_id), action),
                Action::MetaData(_) => kept.insert("metadata".to_owned(), action),
                Action::Protocol(_) => kept.insert("protocol".to_owned(), action),
                Action::CommitInfo(_) => None,
            };
        }
        Self { kept, removed }
    }

    /// Counts actions of this state, and of `stored`, that the other has not, or other than so.
    fn differences(&self, stored: &Self) -> usize {
        let differs = |of: &BTreeMap<String, Action>, from: &BTreeMap<String, Action>| {
            let other = of
                .iter()
                .filter(|(key, action)| from.get(*key) != Some(*action));
            other.count()
        };
        let lost = self
            .kept
            .keys()
            .filter(|key| !stored.kept.contains_key(*key))
            .count();
        lost + differs(&stored.kept, &self.kept) + differs(&stored.removed, &self.removed)
    }
}

/// Returns an error with its sources, as one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
