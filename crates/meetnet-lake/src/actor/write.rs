//! Writing the files of a commit: live rows, superseded rows, and the files that lose rows.
//!
//! `frozen rows, masked files -> CommitJob::write_files -> files, synced`
//!
//! It decides nothing and commits nothing: what it writes exists for nobody until the log names it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use meetnet_model::calendar;
use meetnet_model::common;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::LicenceId;

use super::commit::CommitJob;
use super::rewrite::rewrite_without;
use crate::error::LakeError;
use crate::hot::{Chunk, take_rows};
use crate::snapshot::{HotBatch, LiveFile};
use crate::table::files::{Partition, PartitionWriter, remove_files};
use crate::table::read::conform;

impl CommitJob {
    /// Writes live rows, superseded rows and the rewritten files.
    pub(super) fn write_files(&self) -> Result<Vec<LiveFile>, LakeError> {
        let mut files = Vec::new();
        let written = self.write_files_into(&mut files);
        // No log can name them yet, and a full disk needs the space.
        written.inspect_err(|_| remove_files(self.log.folder(), &files))?;
        Ok(files)
    }

    fn write_files_into(&self, files: &mut Vec<LiveFile>) -> Result<(), LakeError> {
        let failed = || LakeError::arrow("sort", &self.declaration.id);
        let mut superseded = Vec::new();
        for (file, masked) in &self.masked {
            let (written, replaced) = self.rewrite(file, masked)?;
            files.extend(written);
            superseded.push(replaced);
        }
        let mut live = Vec::new();
        for chunk in &self.chunks {
            let (current, replaced) = split(chunk).map_err(failed())?;
            live.push(current);
            superseded.push(replaced);
        }
        self.write_rows(&live, false, files)?;
        self.write_rows(&superseded, true, files)
    }

    /// Writes rows (row schema, any order) into their partitions, sorted by key.
    fn write_rows(
        &self,
        batches: &[RecordBatch],
        superseded: bool,
        files: &mut Vec<LiveFile>,
    ) -> Result<(), LakeError> {
        let failed = || LakeError::arrow("sort", &self.declaration.id);
        let rows = concat_batches(&self.declaration.row_schema(), batches).map_err(failed())?;
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let keys = self.codec.keys(&rows).map_err(failed())?;
        let mut order: Vec<u32> = (0..rows.num_rows() as u32).collect();
        // Stable: versions of one key stay in the order they were applied.
        order.sort_by(|a, b| keys.row(*a as usize).cmp(&keys.row(*b as usize)));
        drop(keys);
        for (partition, positions) in self.partitions(&rows, &order, superseded) {
            let sorted = take_rows(&rows, &positions).map_err(failed())?;
            let sorted = conform(&sorted, &self.declaration.file_schema()).map_err(failed())?;
            let (folder, declaration) = (self.log.folder(), &self.declaration);
            let mut writer =
                PartitionWriter::new(folder, declaration, &partition, None, self.now_ms);
            writer.write(&sorted)?;
            files.extend(writer.finish()?);
        }
        Ok(())
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

    /// Writes a file again without its masked rows (row -> `superseded_at`); returns the new files and the masked rows
    /// (row schema).
    fn rewrite(
        &self,
        file: &LiveFile,
        masked: &BTreeMap<u32, i64>,
    ) -> Result<(Vec<LiveFile>, RecordBatch), LakeError> {
        let (folder, declaration) = (self.log.folder(), &self.declaration);
        let rows: Vec<u32> = masked.keys().copied().collect();
        let mut replaced = Vec::new();
        let take = |batch: &RecordBatch, start: u32| {
            let mut at = vec![HotBatch::LIVE; batch.num_rows()];
            for (row, when) in masked.range(start..start + batch.num_rows() as u32) {
                at[(row - start) as usize] = *when;
            }
            let rows = with_licence(batch, declaration, &file.licence)?;
            replaced.push(superseded_rows(&rows, &at)?);
            Ok(())
        };
        let files = rewrite_without(folder, declaration, file, &rows, self.now_ms, take)?;
        let replaced = concat_batches(&declaration.row_schema(), &replaced)
            .map_err(LakeError::arrow("rewrite", &declaration.id))?;
        Ok((files, replaced))
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
pub(super) fn with_licence(
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
