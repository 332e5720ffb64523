//! Committing: hot rows and masks become files and one table commit that also says "applied through N".
//!
//! ```text
//! freeze (actor) -> CommitJob::run (any thread) -> admit (actor)
//! ```
//!
//! A job holds the table log, so a dataset has at most one commit under way. Rows applied meanwhile stay hot; what
//! they replaced in frozen rows or rewritten files is found again by key in the new files when the commit is admitted.
//! Where that would touch too many files or partitions, the commit stops earlier (`barrier`).
//!
//! A job that ends without anybody knowing whether its entry is in the log ([`Admitted::Again`]) keeps the log and its
//! files and is run again, so no other commit of the table can come in between.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::Sequence;
use serde_json::json;

use super::barrier::CommitLimits;
use super::{DatasetActor, MaskState, insert_files, live_files};
use crate::error::LakeError;
use crate::hot::Chunk;
use crate::keys::KeyCodec;
use crate::snapshot::LiveFile;
use crate::table::actions::{Action, Txn};
use crate::table::files::{add_action, remove_action, remove_files};
use crate::table::log::{Committed, TableLog, commit_info};
use crate::table::lookup::{FileRows, WantedKey};

/// Application id of "recorded through", µs: `serve` needs it, and only transactions survive a checkpoint.
pub(crate) const RECORDED_THROUGH: &str = "meetnet/recorded-through";
/// Application id of the time, µs, that a retention has dropped everything before: it stays dropped, whatever is declared later.
pub(crate) const DROPPED_BEFORE: &str = "meetnet/dropped-before";
/// Application id of how often a repair has taken files out of the table: what imports had brought by then may be gone.
pub(super) const REPAIRS: &str = "meetnet/repairs";
/// Prefix of the application id of an import.
pub(crate) const IMPORT_APP: &str = "meetnet/import/";

/// Returns how often a repair has taken files out of the table of a log.
pub(super) fn repairs_in(log: &TableLog) -> u64 {
    log.txn(REPAIRS).unwrap_or(0).max(0) as u64
}

/// Frozen rows and masks of one dataset, on their way into files.
#[derive(Debug)]
pub(crate) struct CommitJob {
    pub(super) declaration: Arc<DatasetDeclaration>,
    pub(super) codec: Arc<KeyCodec>,
    pub(super) log: TableLog,
    pub(super) chunks: Vec<Chunk>,
    /// Files to write again, with the rows to leave out: row -> `superseded_at`.
    pub(super) masked: Vec<(Arc<LiveFile>, BTreeMap<u32, i64>)>,
    through: Sequence,
    txns: Vec<(String, i64)>,
    pub(super) now_ms: i64,
    /// The files of the job, once they are written and an entry that names them is on its way.
    written: Option<Vec<Arc<LiveFile>>>,
}

/// What a job gives back to its actor.
#[derive(Debug)]
pub(crate) struct CommitOutcome {
    job: CommitJob,
    result: Result<(), CommitFailure>,
}

/// Why a job did not commit.
#[derive(Debug)]
pub(super) enum CommitFailure {
    /// The table is as it was, or holds what an earlier process of ours had sent: the rows stay hot for the next job.
    Retry(LakeError),
    /// The entry may be in the table or not: the job is to be run again.
    Unsettled(LakeError),
    /// The table holds what the actor cannot know, or lacks what it has built on: only a restart may go on.
    Fatal(LakeError),
}

/// What the admission of an outcome leaves to do.
#[derive(Debug)]
pub(crate) enum Admitted<Job> {
    /// Nothing.
    Done,
    /// The table is not changed by the job: what it was to do is done by the next one.
    Failed(LakeError),
    /// The job is to be run again, some time later: nobody knows yet whether it has changed the table, or what it has
    /// written cannot be read now.
    Again(Job, LakeError),
}

impl CommitOutcome {
    /// The dataset that was committed.
    pub(crate) fn declaration(&self) -> &Arc<DatasetDeclaration> {
        &self.job.declaration
    }
}

impl DatasetActor {
    /// Returns true while a job has the table log.
    pub(crate) fn is_committing(&self) -> bool {
        self.log.is_none()
    }

    /// Number of files in which hot rows have replaced rows: a commit of everything writes them again.
    pub(crate) fn revised_files(&self) -> usize {
        self.masks.len()
    }

    /// Freezes hot rows and masks up to the barrier; `through` and `recorded_through` are the position and time up to
    /// which everything has been applied. Where that would touch more than `limits` allow the barrier is lower, and rows
    /// stay hot.
    pub(crate) fn freeze(
        &mut self,
        through: Sequence,
        recorded_through: i64,
        limits: CommitLimits,
        now_ms: i64,
    ) -> Option<CommitJob> {
        let (through, recorded_through) = self
            .lower_barrier(limits)
            .unwrap_or((through, recorded_through));
        self.freeze_through(through, recorded_through, Vec::new(), now_ms)
    }

    /// Freezes hot rows and masks of frames up to `through`, however much that touches; `txns` are positions
    /// of imports that ride along.
    pub(crate) fn freeze_through(
        &mut self,
        through: Sequence,
        recorded_through: i64,
        mut txns: Vec<(String, i64)>,
        now_ms: i64,
    ) -> Option<CommitJob> {
        let log = self.log.take()?;
        // Never back: a journal that has lost its end is behind what the table has taken, and its checkpoint knows of that.
        let through = self.committed_through.max(through);
        txns.push((self.app_id.clone(), through.0 as i64));
        txns.push((RECORDED_THROUGH.to_owned(), recorded_through));
        let masked_by_then = |mask: &MaskState| -> BTreeMap<u32, i64> {
            let rows = mask.by.iter().filter(|(_, by)| **by <= through.0);
            rows.map(|(row, _)| (*row, mask.public.rows[row])).collect()
        };
        // Few commits revise committed rows; only those look at every file.
        let masked = if self.masks.is_empty() {
            Vec::new()
        } else {
            self.files
                .iter()
                .filter_map(|file| Some((file, masked_by_then(self.masks.get(&file.path)?))))
                .filter(|(_, rows)| !rows.is_empty())
                .map(|(file, rows)| (Arc::clone(file), rows))
                .collect()
        };
        Some(CommitJob {
            declaration: Arc::clone(&self.declaration),
            codec: Arc::clone(&self.codec),
            log,
            chunks: self.hot.freeze(through.0),
            masked,
            through,
            txns,
            now_ms,
            written: None,
        })
    }

    /// Takes the outcome of a job: on success the files are live and the frozen rows gone. An `Err` leaves the actor
    /// unusable: only a restart, which rebuilds it from table and journal, helps.
    pub(crate) fn admit(
        &mut self,
        outcome: CommitOutcome,
    ) -> Result<Admitted<CommitJob>, LakeError> {
        let CommitOutcome { job, result } = outcome;
        match result {
            Ok(()) => {}
            Err(CommitFailure::Unsettled(error)) => return Ok(Admitted::Again(job, error)),
            Err(CommitFailure::Retry(error)) => {
                self.hot.unfreeze();
                self.take_back(job.log)?;
                return Ok(Admitted::Failed(error));
            }
            Err(CommitFailure::Fatal(error)) => return Err(error),
        }
        let removed = job.masked.iter().map(|(file, _)| Arc::clone(&file.path));
        let added = job.written.as_deref().unwrap_or_default();
        // Nothing has changed here where that fails: the next run finds the entry in the log and comes back.
        if let Err(error) = self.exchange(&removed.collect(), added, Some(job.through)) {
            return Ok(Admitted::Again(job, error));
        }
        self.committed_through = job.through;
        self.version = job.log.version();
        self.log = Some(job.log);
        Ok(Admitted::Done)
    }

    /// Takes the log back after a job that did not change the table. It may hold what an earlier process had sent before
    /// it ended and what came through since (a slow object store): the rows of frames that this process has replayed
    /// and keeps hot. They are in files now.
    pub(super) fn take_back(&mut self, log: TableLog) -> Result<(), LakeError> {
        if log.version() != self.version {
            let live = live_files(&log, &self.declaration)?;
            let known: HashSet<&str> = self.files.iter().map(|file| &*file.path).collect();
            let added: Vec<Arc<LiveFile>> = live
                .iter()
                .filter(|file| !known.contains(&*file.path))
                .cloned()
                .collect();
            let kept: HashSet<&str> = live.iter().map(|file| &*file.path).collect();
            let gone = self.files.iter().filter(|file| !kept.contains(&*file.path));
            let removed: HashSet<Arc<str>> = gone.map(|file| Arc::clone(&file.path)).collect();
            let through = Sequence(log.txn(&self.app_id).unwrap_or(0).max(0) as u64);
            let through = through.max(self.committed_through);
            self.hot.freeze(through.0);
            self.exchange(&removed, &added, Some(through))?;
            if !removed.is_empty() {
                // Merged, or gone for good: nobody here knows.
                self.forget_newest_times();
            }
            self.committed_through = through;
            self.version = log.version();
            self.repairs = repairs_in(&log);
        }
        self.log = Some(log);
        Ok(())
    }

    /// Puts `added` in the place of the files at `removed`. With `through`, they also hold the frozen rows, those of
    /// frames up to there, as those frames left them. Masks and marks that are not carried out in the files are found
    /// again by key. Nothing has changed where that fails.
    pub(super) fn exchange(
        &mut self,
        removed: &HashSet<Arc<str>>,
        added: &[Arc<LiveFile>],
        through: Option<Sequence>,
    ) -> Result<(), LakeError> {
        let carried_out = through.unwrap_or(Sequence::ZERO);
        let mut moved = Vec::new();
        // Where nothing comes (retention, a broken file) there is nothing to find, and the files may be unreadable.
        if !added.is_empty() {
            moved = self.masks_after(removed, carried_out)?;
            if through.is_some() {
                moved.extend(self.replaced_while_frozen(carried_out)?);
            }
        }
        let masks = self.find_again(moved, added)?;

        let mut files = Vec::with_capacity(self.files.len() + added.len());
        let stay = self
            .files
            .iter()
            .filter(|file| !removed.contains(&file.path));
        files.extend(stay.cloned());
        insert_files(&mut files, added, &self.declaration);
        self.newest_stored = super::newest_of(&files, &self.declaration);
        self.files = Arc::new(files);
        self.masks.retain(|path, _| !removed.contains(path));
        self.masked_rows = self.masks.values().map(|mask| mask.by.len()).sum();
        for path in removed {
            self.reader.forget(path);
        }
        if through.is_some() {
            self.hot.drop_frozen();
        }
        for PlacedMask { file, row, at, by } in masks {
            self.mask(&file.path, row, at, by);
        }
        self.dirty = true;
        Ok(())
    }

    /// Forgets the newest times of series after rows have gone for good: they may be theirs. One far ahead would have every row
    /// of its series looked up.
    pub(super) fn forget_newest_times(&mut self) {
        self.frontier.forget(self.hot.next_row());
    }

    /// Returns the masks on `removed` files that frames after `carried_out` have set, by key.
    fn masks_after(
        &mut self,
        removed: &HashSet<Arc<str>>,
        carried_out: Sequence,
    ) -> Result<Vec<Moved>, LakeError> {
        let mut moved = Vec::new();
        let files = Arc::clone(&self.files);
        for file in files.iter().filter(|file| removed.contains(&file.path)) {
            let Some(mask) = self.masks.get(&file.path) else {
                continue;
            };
            let late: Vec<(u32, i64, u64)> = mask
                .by
                .iter()
                .filter(|(_, by)| **by > carried_out.0)
                .map(|(row, by)| (*row, mask.public.rows[row], *by))
                .collect();
            if late.is_empty() {
                continue;
            }
            let rows: Vec<u32> = late.iter().map(|(row, ..)| *row).collect();
            let batch = self.reader.read_rows(file, &rows)?;
            for (position, (_, at, by)) in late.into_iter().enumerate() {
                let (key, time) = self.key_in(&batch, position)?;
                moved.push(Moved { key, time, at, by });
            }
        }
        Ok(moved)
    }

    /// Returns the frozen rows that frames after the barrier have replaced, by key: they have been committed live.
    fn replaced_while_frozen(&self, through: Sequence) -> Result<Vec<Moved>, LakeError> {
        let replaced = self.hot.replaced_while_frozen(through.0);
        let moved = replaced.into_iter().map(|(batch, row, at, by)| {
            let (key, time) = self.key_in(&batch, row)?;
            Ok(Moved { key, time, at, by })
        });
        moved.collect()
    }

    /// Returns the key of a row and its partition time, µs.
    fn key_in(&self, batch: &RecordBatch, row: usize) -> Result<(Box<[u8]>, i64), LakeError> {
        let one = batch.slice(row, 1);
        let keys = self
            .codec
            .keys(&one)
            .map_err(self.arrow("encode keys of"))?;
        let time = one
            .column_by_name(self.declaration.time_column())
            .and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>())
            .map_or(0, |array| array.value(0));
        Ok((keys.row(0).data().into(), time))
    }

    /// Finds rows that were replaced in the files that hold them now.
    fn find_again(
        &mut self,
        mut moved: Vec<Moved>,
        added: &[Arc<LiveFile>],
    ) -> Result<Vec<PlacedMask>, LakeError> {
        if moved.is_empty() {
            return Ok(Vec::new());
        }
        moved.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let wanted = moved.iter().map(|moved| WantedKey {
            key: &moved.key,
            time: moved.time,
            seeks_newest: false,
        });
        let wanted: Vec<WantedKey<'_>> = wanted.collect();
        let current = added.iter().filter(|file| !file.superseded);
        let found = self.reader.find(&wanted, current)?;
        let mut masks = Vec::with_capacity(moved.len());
        for FileRows { file, rows } in found.files {
            masks.extend(rows.into_iter().map(|(row, index)| PlacedMask {
                file: Arc::clone(&file),
                row,
                at: moved[index].at,
                by: moved[index].by,
            }));
        }
        Ok(masks)
    }
}

/// A mask or mark on its way to the file that holds its row now.
struct Moved {
    key: Box<[u8]>,
    /// Partition time of the row, µs.
    time: i64,
    /// When the row was replaced, µs.
    at: i64,
    /// The frame that replaced it.
    by: u64,
}

/// The same with its place.
struct PlacedMask {
    file: Arc<LiveFile>,
    row: u32,
    at: i64,
    by: u64,
}

impl CommitJob {
    /// The barrier: frames up to here are committed whole.
    pub(crate) fn through(&self) -> Sequence {
        self.through
    }

    /// Writes the files and commits them; a job that has been run before finds out what became of its entry.
    pub(crate) fn run(mut self) -> CommitOutcome {
        let result = self.commit();
        CommitOutcome { job: self, result }
    }

    fn commit(&mut self) -> Result<(), CommitFailure> {
        let is_again = self.written.is_some();
        let committed = match &self.written {
            Some(_) => self.log.settle(self.now_ms),
            None => {
                // Before any folder is made: where the table is away, it would be in the way of what comes back.
                let in_place = self.log.check_in_place(&[]);
                in_place.map_err(CommitFailure::Retry)?;
                let added = self.write_files().map_err(CommitFailure::Retry)?;
                let actions = self.actions(&added);
                self.written = Some(added.into_iter().map(Arc::new).collect());
                // What is frozen stays in the hot rows: only the files are needed from here on.
                self.chunks = Vec::new();
                self.log.commit(actions, self.now_ms)
            }
        };
        let added = self.written.as_deref().unwrap_or_default();
        match settled(&mut self.log, committed, added) {
            // No frame holds the rows of an import, and what was applied since has been compared with them.
            Err(CommitFailure::Retry(error)) if is_again && self.is_import() => {
                Err(CommitFailure::Fatal(error))
            }
            settled => settled,
        }
    }

    /// Returns true where the rows came past the journal, and the commit runs on the thread that brings them.
    pub(super) fn is_import(&self) -> bool {
        self.txns.iter().any(|(id, _)| id.starts_with(IMPORT_APP))
    }

    fn actions(&self, added: &[LiveFile]) -> Vec<Action> {
        let mut actions = vec![self.commit_info(added)];
        for (app_id, version) in &self.txns {
            actions.push(Action::Txn(Txn {
                app_id: app_id.clone(),
                version: *version,
                last_updated: Some(self.now_ms),
            }));
        }
        let rewritten = self.masked.iter();
        actions.extend(
            rewritten.map(|(file, _)| {
                Action::Remove(remove_action(&self.declaration, file, self.now_ms))
            }),
        );
        actions.extend(
            added
                .iter()
                .map(|file| Action::Add(add_action(&self.declaration, file))),
        );
        actions
    }

    fn commit_info(&self, added: &[LiveFile]) -> Action {
        let txns: BTreeMap<&str, i64> = self.txns.iter().map(|(id, v)| (id.as_str(), *v)).collect();
        let rows: u64 = added.iter().map(|file| file.rows).sum();
        let info =
            json!({ "through": self.through, "txns": txns, "files": added.len(), "rows": rows });
        commit_info("WRITE", self.now_ms, info)
    }
}

/// Says what a job is to do about its entry; `added` are the files that it names.
pub(super) fn settled(
    log: &mut TableLog,
    committed: Committed,
    added: &[Arc<LiveFile>],
) -> Result<(), CommitFailure> {
    let error = match committed {
        Committed::Done => return Ok(()),
        Committed::Unsettled(error) => return Err(CommitFailure::Unsettled(error)),
        Committed::Lost(error) => error,
    };
    // No entry names the files, and none ever will.
    remove_files(log.folder(), added.iter().map(AsRef::as_ref));
    let imported = |log: &TableLog| -> Vec<(String, i64)> {
        let txns = log.txns(IMPORT_APP);
        txns.map(|(id, consumed)| (id.to_owned(), consumed))
            .collect()
    };
    let before = imported(log);
    // Where the log cannot be read now, the next job loses its version as well and comes here again.
    let refreshed = log.refresh().and_then(|()| log.sync());
    log.check_opening().map_err(CommitFailure::Fatal)?;
    if refreshed.is_ok() && imported(log) != before {
        // Rows that no frame holds: what was applied since has not been compared with them.
        return Err(CommitFailure::Fatal(error));
    }
    Err(CommitFailure::Retry(error))
}
