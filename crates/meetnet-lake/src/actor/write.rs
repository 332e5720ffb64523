//! Writing the files of a commit: live rows, superseded rows, and the files that lose rows.
//!
//! `frozen rows, masked files -> CommitJob::write_files -> files, synced`
//!
//! It decides nothing and commits nothing: what it writes exists for nobody until the log names it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use hashbrown::HashMap;
use meetnet_model::calendar;
use meetnet_model::common;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::LicenceId;

use super::commit::CommitJob;
use super::order::{RowPlace, key_order};
use super::rewrite::rewrite_without;
use crate::error::LakeError;
use crate::hot::{Chunk, gather_rows};
use crate::snapshot::{HotBatch, LiveFile};
use crate::table::files::{Partition, PartitionWriter, remove_files};
use crate::table::read::conform;

/// Rows that are brought into key order at once: no fewer than are looked at to choose the encodings of a row group.
const WRITTEN_ROWS: usize = 16_384;

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
        let schema = self.declaration.file_schema();
        let of_file = batches.iter().map(|batch| conform(batch, &schema));
        let of_file = of_file.collect::<Result<Vec<_>, _>>().map_err(failed())?;
        let of_file: Vec<&RecordBatch> = of_file.iter().collect();
        let order = key_order(&self.codec, batches).map_err(failed())?;
        for (partition, rows) in self.partitions(batches, order, superseded) {
            let (folder, declaration) = (self.log.folder(), &self.declaration);
            let mut writer =
                PartitionWriter::new(folder, declaration, &partition, None, self.now_ms);
            // It is written between two frames: what arrives waits for it.
            if self.is_import() {
                writer = writer.with_help();
            }
            // Never all of them a second time: this is the largest thing in memory.
            for rows in rows.chunks(WRITTEN_ROWS) {
                let rows: Vec<(usize, usize)> = rows
                    .iter()
                    .map(|(batch, row)| (*batch as usize, *row as usize))
                    .collect();
                let sorted = gather_rows(&of_file, &rows).map_err(failed())?;
                writer.write(&sorted)?;
            }
            files.extend(writer.finish()?);
        }
        Ok(())
    }

    /// Splits places by licence and period, keeping their order.
    fn partitions(
        &self,
        batches: &[RecordBatch],
        order: Vec<RowPlace>,
        superseded: bool,
    ) -> BTreeMap<Partition, Vec<RowPlace>> {
        let columns = batches.iter().map(|batch| {
            let column = |name: &str| {
                let column = batch.column_by_name(name);
                column.expect("the row schema has a licence and the declared time")
            };
            let times = column(self.declaration.time_column());
            (
                column(common::LICENCE).as_string::<i32>(),
                times.as_primitive::<TimestampMicrosecondType>(),
            )
        });
        let columns: Vec<_> = columns.collect();
        let grain = self.declaration.grain;
        // By partition: its licence and the start of its period, and how many rows it has.
        let mut groups: Vec<((&str, i64), usize)> = Vec::new();
        let mut known: HashMap<(&str, i64), usize> = HashMap::new();
        // Rows that follow each other: their partition, and how many they are.
        let mut stretches: Vec<(usize, usize)> = Vec::new();
        // Rows in key order stay in one period, and with one source, for long runs.
        let mut span = (i64::MAX, i64::MIN);
        let mut last = 0;
        for place in &order {
            let (licences, times) = columns[place.0 as usize];
            let (licence, time) = (
                licences.value(place.1 as usize),
                times.value(place.1 as usize),
            );
            if !(span.0 <= time && time < span.1) {
                span = (
                    calendar::period_start(time, grain),
                    calendar::period_end(time, grain),
                );
            }
            let group = (licence, span.0);
            if groups.get(last).is_none_or(|(other, _)| *other != group) {
                last = *known.entry(group).or_insert_with(|| {
                    groups.push((group, 0));
                    groups.len() - 1
                });
            }
            groups[last].1 += 1;
            match stretches.last_mut() {
                Some((same, rows)) if *same == last => *rows += 1,
                _ => stretches.push((last, 1)),
            }
        }
        let counts = groups.iter().map(|(_, rows)| *rows);
        let places = divided(order, counts, &stretches);
        groups
            .into_iter()
            .zip(places)
            .map(|(((licence, start), _), places)| {
                let partition = Partition {
                    licence: LicenceId::new(licence),
                    superseded,
                    period: Arc::from(calendar::period(start, grain)),
                };
                (partition, places)
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

/// Divides places in parts of so many rows each: `stretches` say which part each next place belongs to, and how many behind it.
/// Nearly always there is one part, which is what was given.
fn divided(
    order: Vec<RowPlace>,
    counts: impl ExactSizeIterator<Item = usize>,
    stretches: &[(usize, usize)],
) -> Vec<Vec<RowPlace>> {
    if counts.len() == 1 {
        return vec![order];
    }
    let mut parts: Vec<Vec<RowPlace>> = counts.map(Vec::with_capacity).collect();
    let mut rest = order.as_slice();
    for (part, rows) in stretches {
        let (stretch, behind) = rest.split_at(*rows);
        parts[*part].extend_from_slice(stretch);
        rest = behind;
    }
    parts
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

#[cfg(test)]
mod tests;
