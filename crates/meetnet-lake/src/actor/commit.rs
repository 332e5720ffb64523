//! Committing: hot rows and masks become files and one table commit that also says "applied through N".
//!
//! ```text
//! freeze (actor) -> CommitJob::run (any thread) -> admit (actor)
//! ```
//!
//! A job holds the table log, so a dataset has at most one commit under way. Rows applied meanwhile stay hot; what
//! they replaced in frozen rows or rewritten files is found again by key in the new files when the commit is admitted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use meetnet_model::calendar;
use meetnet_model::common;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::{LicenceId, Sequence};
use serde_json::json;

use super::{DatasetActor, MaskState, insert_files};
use crate::error::LakeError;
use crate::hot::{Chunk, take_rows};
use crate::keys::{self, KeyCodec};
use crate::snapshot::{HotBatch, LiveFile};
use crate::table::actions::{Action, Remove, Txn};
use crate::table::files::{Partition, PartitionWriter, add_action};
use crate::table::log::{TableLog, commit_info};
use crate::table::lookup::{self, WantedKey, conform};

/// Application id of "recorded through", µs: `serve` needs it, and only transactions survive a checkpoint.
pub(crate) const RECORDED_THROUGH: &str = "meetnet/recorded-through";

/// Frozen rows and masks of one dataset, on their way into files.
#[derive(Debug)]
pub(crate) struct CommitJob {
    declaration: Arc<DatasetDeclaration>,
    codec: Arc<KeyCodec>,
    log: TableLog,
    chunks: Vec<Chunk>,
    masked: Vec<(Arc<LiveFile>, MaskState)>,
    through: Sequence,
    txns: Vec<(String, i64)>,
    now_ms: i64,
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
enum CommitFailure {
    /// The table is as it was: the rows stay hot, the next attempt may succeed.
    Retry(LakeError),
    /// Whether the commit happened is not known: only a restart may go on.
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

    /// Freezes all hot rows and masks; `through` and `recorded_through` are the position and time up to which the
    /// commit is complete. `txns` are positions of imports that ride along.
    pub(crate) fn freeze(
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
        // Few commits revise committed rows; only those look at every file.
        let masked = if self.masks.is_empty() {
            Vec::new()
        } else {
            let masked = self.files.iter();
            masked
                .filter_map(|file| Some((Arc::clone(file), self.masks.get(&file.path)?.clone())))
                .collect()
        };
        Some(CommitJob {
            declaration: Arc::clone(&self.declaration),
            codec: Arc::clone(&self.codec),
            log,
            chunks: self.hot.freeze(),
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
        let mut files: Vec<Arc<LiveFile>> = self.files.to_vec();
        if !committed.removed.is_empty() {
            files.retain(|file| !committed.removed.contains(&file.path));
        }
        insert_files(&mut files, &added, &self.declaration);
        let old_files = std::mem::replace(&mut self.files, Arc::new(files));
        let mut moved = self.replaced_in_rewritten(&old_files, &committed.removed, through)?;
        moved.extend(self.replaced_while_frozen(through)?);
        self.map_masks(moved, &added)?;
        self.committed_through = through;
        self.dirty = true;
        Ok(None)
    }

    /// Takes the masks off removed files; returns those set by rows after the barrier, by key.
    fn replaced_in_rewritten(
        &mut self,
        old_files: &[Arc<LiveFile>],
        removed: &HashSet<Arc<str>>,
        through: Sequence,
    ) -> Result<Vec<(WantedKey, i64, u64)>, LakeError> {
        let mut moved = Vec::new();
        for file in old_files.iter().filter(|file| removed.contains(&file.path)) {
            let Some(mask) = self.masks.remove(&file.path) else {
                continue;
            };
            let late: Vec<(u32, u64)> = mask
                .by
                .iter()
                .filter(|(_, by)| **by > through.0)
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
    fn map_masks(
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
        let mut actions = vec![self.commit_info(&added)];
        for (app_id, version) in &self.txns {
            actions.push(Action::Txn(Txn {
                app_id: app_id.clone(),
                version: *version,
                last_updated: Some(self.now_ms),
            }));
        }
        for (file, _) in &self.masked {
            let add = add_action(&self.declaration, file);
            actions.push(Action::Remove(Remove {
                path: add.path,
                deletion_timestamp: Some(self.now_ms),
                data_change: true,
                extended_file_metadata: Some(true),
                partition_values: Some(add.partition_values),
                size: Some(add.size),
            }));
        }
        actions.extend(
            added
                .iter()
                .map(|file| Action::Add(add_action(&self.declaration, file))),
        );
        if let Err(error) = self.log.commit(&actions, self.now_ms) {
            // The entry may be there although we saw an error: only the log itself knows, and only once its name is
            // on disk does it count. Where the log cannot be asked, the rows must not be written a second time.
            self.log
                .refresh()
                .and_then(|()| self.log.sync())
                .map_err(CommitFailure::Fatal)?;
            let done = added.iter().all(|file| self.log.is_live(&file.path))
                && self
                    .txns
                    .iter()
                    .all(|(id, version)| self.log.txn(id) >= Some(*version));
            if !done {
                return Err(CommitFailure::Retry(error));
            }
        }
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

    /// Writes live rows, superseded rows and the rewritten files.
    fn write_files(&self) -> Result<Vec<LiveFile>, LakeError> {
        let failed = || LakeError::arrow("sort", &self.declaration.id);
        let mut files = Vec::new();
        let mut superseded = Vec::new();
        for (file, mask) in &self.masked {
            let (written, replaced) = self.rewrite(file, mask)?;
            files.extend(written);
            superseded.push(replaced);
        }
        let mut live = Vec::new();
        for chunk in &self.chunks {
            let (current, replaced) = split(chunk).map_err(failed())?;
            live.push(current);
            superseded.push(replaced);
        }
        files.extend(self.write_rows(&live, false)?);
        files.extend(self.write_rows(&superseded, true)?);
        Ok(files)
    }

    /// Writes rows (row schema, any order) into their partitions, sorted by key.
    fn write_rows(
        &self,
        batches: &[RecordBatch],
        superseded: bool,
    ) -> Result<Vec<LiveFile>, LakeError> {
        let failed = || LakeError::arrow("sort", &self.declaration.id);
        let rows = concat_batches(&self.declaration.row_schema(), batches).map_err(failed())?;
        if rows.num_rows() == 0 {
            return Ok(Vec::new());
        }
        let keys = self.codec.keys(&rows).map_err(failed())?;
        let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
        // Stable: versions of one key stay in the order they were applied.
        order.sort_by(|a, b| keys.row(*a as usize).cmp(&keys.row(*b as usize)));
        drop(keys);
        let mut files = Vec::new();
        for (partition, positions) in self.partitions(&rows, &order, superseded) {
            let sorted = take_rows(&rows, &positions).map_err(failed())?;
            let sorted = conform(&sorted, &self.declaration.file_schema()).map_err(failed())?;
            let mut writer = PartitionWriter::new(
                self.log.folder(),
                &self.declaration,
                &partition,
                self.now_ms,
            );
            writer.write(&sorted)?;
            files.extend(writer.finish()?);
        }
        Ok(files)
    }

    /// Splits positions by licence and period, keeping their order.
    fn partitions(
        &self,
        rows: &RecordBatch,
        order: &[u32],
        superseded: bool,
    ) -> BTreeMap<Partition, Vec<u32>> {
        let licences = rows
            .column_by_name(common::LICENCE)
            .expect("the row schema has a licence")
            .as_string::<i32>();
        let times = rows
            .column_by_name(self.declaration.time_column())
            .expect("a declaration has its time column")
            .as_primitive::<TimestampMicrosecondType>();
        let grain = self.declaration.grain;
        let mut groups: HashMap<(&str, i64), Vec<u32>> = HashMap::new();
        // Rows in key order stay in one period for long runs.
        let mut span = (i64::MAX, i64::MIN);
        for position in order {
            let row = *position as usize;
            let time = times.value(row);
            if !(span.0 <= time && time < span.1) {
                span = (
                    calendar::period_start(time, grain),
                    calendar::period_end(time, grain),
                );
            }
            groups
                .entry((licences.value(row), span.0))
                .or_default()
                .push(*position);
        }
        groups
            .into_iter()
            .map(|((licence, start), positions)| {
                let partition = Partition {
                    licence: LicenceId::new(licence),
                    superseded,
                    period: Arc::from(calendar::period(start, grain)),
                };
                (partition, positions)
            })
            .collect()
    }

    /// Writes a file again without its masked rows; returns the new files and the masked rows (row schema).
    fn rewrite(
        &self,
        file: &LiveFile,
        mask: &MaskState,
    ) -> Result<(Vec<LiveFile>, RecordBatch), LakeError> {
        let failed = || LakeError::arrow("rewrite", &self.declaration.id);
        let partition = Partition {
            licence: file.licence.clone(),
            superseded: false,
            period: Arc::clone(&file.period),
        };
        let mut writer = PartitionWriter::new(
            self.log.folder(),
            &self.declaration,
            &partition,
            self.now_ms,
        );
        let mut replaced = Vec::new();
        let mut start = 0_usize;
        for batch in lookup::read_file(self.log.folder(), &self.declaration, file)? {
            let batch = batch?;
            let end = start + batch.num_rows();
            let at: Vec<i64> = {
                let mut at = vec![HotBatch::LIVE; batch.num_rows()];
                for (row, when) in mask.public.rows.range(start as u32..end as u32) {
                    at[*row as usize - start] = *when;
                }
                at
            };
            let is_live: BooleanArray = at.iter().map(|at| Some(*at == HotBatch::LIVE)).collect();
            writer.write(&filter_record_batch(&batch, &is_live).map_err(failed())?)?;
            if is_live.false_count() > 0 {
                let rows = with_licence(&batch, &self.declaration, &file.licence)
                    .and_then(|rows| superseded_rows(&rows, &at))
                    .map_err(failed())?;
                replaced.push(rows);
            }
            start = end;
        }
        let replaced =
            concat_batches(&self.declaration.row_schema(), &replaced).map_err(failed())?;
        Ok((writer.finish()?, replaced))
    }
}

/// Splits a chunk into current and replaced rows, the latter with their `superseded_at`.
fn split(chunk: &Chunk) -> Result<(RecordBatch, RecordBatch), ArrowError> {
    let Some(marks) = &chunk.marks else {
        return Ok((chunk.batch.clone(), chunk.batch.slice(0, 0)));
    };
    let is_live: BooleanArray = marks
        .at
        .iter()
        .map(|at| Some(*at == HotBatch::LIVE))
        .collect();
    Ok((
        filter_record_batch(&chunk.batch, &is_live)?,
        superseded_rows(&chunk.batch, &marks.at)?,
    ))
}

/// Returns the replaced rows of a batch with their `superseded_at` filled in.
fn superseded_rows(batch: &RecordBatch, at: &[i64]) -> Result<RecordBatch, ArrowError> {
    let is_replaced: BooleanArray = at.iter().map(|at| Some(*at != HotBatch::LIVE)).collect();
    let index = batch.schema_ref().index_of(common::SUPERSEDED_AT)?;
    let mut columns = batch.columns().to_vec();
    let times: TimestampMicrosecondArray = at
        .iter()
        .map(|at| (*at != HotBatch::LIVE).then_some(*at))
        .collect();
    columns[index] = Arc::new(times.with_timezone("UTC"));
    filter_record_batch(
        &RecordBatch::try_new(batch.schema(), columns)?,
        &is_replaced,
    )
}

/// Brings a file batch to the row schema.
fn with_licence(
    batch: &RecordBatch,
    declaration: &DatasetDeclaration,
    licence: &LicenceId,
) -> Result<RecordBatch, ArrowError> {
    let schema = declaration.row_schema();
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            if field.name() == common::LICENCE {
                let text = std::iter::repeat_n(licence.as_str(), batch.num_rows());
                return Ok(
                    Arc::new(arrow::array::StringArray::from_iter_values(text)) as Arc<dyn Array>
                );
            }
            let index = batch.schema_ref().index_of(field.name())?;
            Ok(Arc::clone(batch.column(index)))
        })
        .collect::<Result<Vec<_>, ArrowError>>()?;
    RecordBatch::try_new(schema, columns)
}
