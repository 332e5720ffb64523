//! Committing: hot rows and masks become files and one table commit that also says "applied through N".
//!
//! ```text
//! freeze (actor) -> CommitJob::run (any thread) -> admit (actor)
//! ```
//!
//! A job holds the table log, so a dataset has at most one commit under way. Rows applied meanwhile stay hot; what
//! they replaced in frozen rows or rewritten files is found again by key in the new files when the commit is admitted.
//! Where rows have replaced others in too many files, the commit stops before the frame that would touch one file more.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::Sequence;
use serde_json::json;

use super::{DatasetActor, MaskState, insert_files};
use crate::error::LakeError;
use crate::hot::Chunk;
use crate::keys::{self, KeyCodec};
use crate::snapshot::LiveFile;
use crate::table::actions::{Action, Txn};
use crate::table::files::{add_action, remove_action};
use crate::table::log::{TableLog, commit_info};
use crate::table::lookup::WantedKey;

/// Application id of "recorded through", µs: `serve` needs it, and only transactions survive a checkpoint.
pub(crate) const RECORDED_THROUGH: &str = "meetnet/recorded-through";

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
}

/// What a job gives back to its actor.
#[derive(Debug)]
pub(crate) struct CommitOutcome {
    declaration: Arc<DatasetDeclaration>,
    log: TableLog,
    through: Sequence,
    result: Result<Committed, CommitFailure>,
}

/// Why a job did not commit.
#[derive(Debug)]
pub(super) enum CommitFailure {
    /// The table is as it was: the rows stay hot, the next attempt may succeed.
    Retry(LakeError),
    /// The table is not what the actor knows, or nobody can say what it is: only a restart may go on.
    Fatal(LakeError),
}

#[derive(Debug)]
struct Committed {
    added: Vec<LiveFile>,
    removed: HashSet<Arc<str>>,
}

impl CommitOutcome {
    /// The dataset that was committed.
    pub(crate) fn declaration(&self) -> &Arc<DatasetDeclaration> {
        &self.declaration
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
    /// which everything has been applied. At most `revised_files_max` files are written again, unless one frame alone
    /// asks for more: the barrier is lower then, and rows stay hot.
    pub(crate) fn freeze(
        &mut self,
        app_id: &str,
        through: Sequence,
        recorded_through: i64,
        revised_files_max: usize,
        now_ms: i64,
    ) -> Option<CommitJob> {
        let (through, recorded_through) = self
            .lower_barrier(revised_files_max)
            .unwrap_or((through, recorded_through));
        self.freeze_through(app_id, through, recorded_through, Vec::new(), now_ms)
    }

    /// Returns the barrier before the frame that would touch one file too many, and up to when everything recorded is
    /// within it.
    fn lower_barrier(&self, revised_files_max: usize) -> Option<(Sequence, i64)> {
        if self.masks.len() <= revised_files_max {
            return None;
        }
        let mut first: Vec<u64> = self
            .masks
            .values()
            .filter_map(|mask| mask.by.values().min().copied())
            .collect();
        first.sort_unstable();
        let least = *first.first()?;
        let barrier = least.max(first.get(revised_files_max)?.saturating_sub(1));
        // The frames behind the barrier begin with one that has a hot row: the mask's.
        let recorded_after = self.hot.recorded_after(barrier)?;
        Some((Sequence(barrier), recorded_after - 1))
    }

    /// Freezes hot rows and masks of frames up to `through`, however many files that writes again; `txns` are positions
    /// of imports that ride along.
    pub(crate) fn freeze_through(
        &mut self,
        app_id: &str,
        through: Sequence,
        recorded_through: i64,
        mut txns: Vec<(String, i64)>,
        now_ms: i64,
    ) -> Option<CommitJob> {
        let log = self.log.take()?;
        txns.push((app_id.to_owned(), through.0 as i64));
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
        })
    }

    /// Takes the outcome of a job: on success the files are live and the frozen rows gone. Where the attempt failed the
    /// rows stay hot for the next one, and its error is returned in `Ok`. An `Err` leaves the actor unusable: only a
    /// restart, which rebuilds it from table and journal, helps.
    pub(crate) fn admit(&mut self, outcome: CommitOutcome) -> Result<Option<LakeError>, LakeError> {
        let CommitOutcome {
            log,
            through,
            result,
            ..
        } = outcome;
        self.version = log.version();
        self.log = Some(log);
        let committed = match result {
            Ok(committed) => committed,
            Err(CommitFailure::Retry(error)) => {
                self.hot.unfreeze();
                return Ok(Some(error));
            }
            Err(CommitFailure::Fatal(error)) => return Err(error),
        };
        let added: Vec<Arc<LiveFile>> = committed.added.into_iter().map(Arc::new).collect();
        let removed = self.swap_files(&committed.removed, &added);
        let mut moved = self.take_masks(&removed, |by| by > through.0)?;
        moved.extend(self.replaced_while_frozen(through)?);
        self.map_masks(moved, &added)?;
        self.committed_through = through;
        self.dirty = true;
        Ok(None)
    }

    /// Puts `added` in the place of the files at `removed`, and returns those.
    pub(super) fn swap_files(
        &mut self,
        removed: &HashSet<Arc<str>>,
        added: &[Arc<LiveFile>],
    ) -> Vec<Arc<LiveFile>> {
        let (gone, mut files): (Vec<_>, Vec<_>) = self
            .files
            .iter()
            .cloned()
            .partition(|file| removed.contains(&file.path));
        insert_files(&mut files, added, &self.declaration);
        self.files = Arc::new(files);
        gone
    }

    /// Takes the masks off removed files; returns those that the commit did not carry out, by key: `is_late` says it of
    /// the sequence that set one.
    pub(super) fn take_masks(
        &mut self,
        removed: &[Arc<LiveFile>],
        is_late: impl Fn(u64) -> bool,
    ) -> Result<Vec<(WantedKey, i64, u64)>, LakeError> {
        let mut moved = Vec::new();
        for file in removed {
            let Some(mask) = self.masks.remove(&file.path) else {
                continue;
            };
            let late: Vec<(u32, u64)> = mask
                .by
                .iter()
                .filter(|(_, by)| is_late(**by))
                .map(|(row, by)| (*row, *by))
                .collect();
            if late.is_empty() {
                continue;
            }
            let rows: Vec<u32> = late.iter().map(|(row, _)| *row).collect();
            let batch = self.reader.read_rows(file, &rows)?;
            for (at, (row, by)) in late.into_iter().enumerate() {
                moved.push((self.wanted_in(&batch, at)?, mask.public.rows[&row], by));
            }
        }
        Ok(moved)
    }

    /// Drops the frozen rows; returns those replaced after the barrier, by key.
    fn replaced_while_frozen(
        &mut self,
        through: Sequence,
    ) -> Result<Vec<(WantedKey, i64, u64)>, LakeError> {
        let replaced = self.hot.drop_frozen(through.0);
        replaced
            .into_iter()
            .map(|(batch, row, at, by)| Ok((self.wanted_in(&batch, row)?, at, by)))
            .collect()
    }

    fn wanted_in(&self, batch: &RecordBatch, row: usize) -> Result<WantedKey, LakeError> {
        let one = batch.slice(row, 1);
        let keys = self
            .codec
            .keys(&one)
            .map_err(self.arrow("encode keys of"))?;
        let columns = self
            .codec
            .key_columns
            .iter()
            .filter_map(|index| keys::key_value(one.column(*index).as_ref(), 0))
            .collect();
        let time = one
            .column_by_name(self.declaration.time_column())
            .and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>())
            .map_or(0, |array| array.value(0));
        Ok(WantedKey {
            key: keys.row(0).data().into(),
            columns,
            time,
        })
    }

    /// Sets masks on the new files for rows that were replaced while the commit was under way.
    pub(super) fn map_masks(
        &mut self,
        mut moved: Vec<(WantedKey, i64, u64)>,
        added: &[Arc<LiveFile>],
    ) -> Result<(), LakeError> {
        if moved.is_empty() {
            return Ok(());
        }
        moved.sort_unstable_by(|a, b| a.0.key.cmp(&b.0.key));
        let wanted: Vec<WantedKey> = moved.iter().map(|(wanted, ..)| wanted.clone()).collect();
        let current: Vec<Arc<LiveFile>> = added
            .iter()
            .filter(|file| !file.superseded)
            .cloned()
            .collect();
        let found = self.reader.find(&wanted, &current)?;
        for ((_, at, by), found) in moved.into_iter().zip(found) {
            for (file, row) in found.rows {
                self.mask(&file.path, row, at, by);
            }
        }
        Ok(())
    }
}

impl CommitJob {
    /// Writes the files and commits them. Every error leaves the table as it was, or committed whole.
    pub(crate) fn run(mut self) -> CommitOutcome {
        let result = self.commit();
        CommitOutcome {
            declaration: self.declaration,
            log: self.log,
            through: self.through,
            result,
        }
    }

    fn commit(&mut self) -> Result<Committed, CommitFailure> {
        let added = self.write_files().map_err(CommitFailure::Retry)?;
        // From here on the log may name the files, whatever is said of it: they are not taken back.
        let mut actions = vec![self.commit_info(&added)];
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
        commit_once(&mut self.log, &actions, &added, self.now_ms)?;
        Ok(Committed {
            added,
            removed: self
                .masked
                .iter()
                .map(|(file, _)| Arc::clone(&file.path))
                .collect(),
        })
    }

    fn commit_info(&self, added: &[LiveFile]) -> Action {
        let txns: BTreeMap<&str, i64> = self.txns.iter().map(|(id, v)| (id.as_str(), *v)).collect();
        let rows: u64 = added.iter().map(|file| file.rows).sum();
        let info =
            json!({ "through": self.through, "txns": txns, "files": added.len(), "rows": rows });
        commit_info("WRITE", self.now_ms, info)
    }
}

/// Commits `actions`, which make `added` live, and finds out what an error means.
pub(super) fn commit_once(
    log: &mut TableLog,
    actions: &[Action],
    added: &[LiveFile],
    now_ms: i64,
) -> Result<(), CommitFailure> {
    let known = log.version();
    let Err(error) = log.commit(actions, now_ms) else {
        return Ok(());
    };
    // The entry may be there although we saw an error: only the log itself knows, and only once its name is on disk
    // does it count. Where the log cannot be asked, the rows must not be written a second time.
    log.refresh()
        .and_then(|()| log.sync())
        .map_err(CommitFailure::Fatal)?;
    let is_ours = |action: &Action| match action {
        Action::Txn(txn) => log.txn(&txn.app_id) >= Some(txn.version),
        Action::Remove(remove) => !log.is_live(&remove.path),
        _ => true,
    };
    if added.iter().all(|file| log.is_live(&file.path)) && actions.iter().all(is_ours) {
        return Ok(());
    }
    if log.version() != known {
        // Nobody else writes this table, so it is an earlier attempt of ours that came through after all (a slow
        // object store): the rows it holds are hot here still, and would be written again.
        return Err(CommitFailure::Fatal(error));
    }
    Err(CommitFailure::Retry(error))
}
