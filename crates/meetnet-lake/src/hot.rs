//! Hot rows: applied, visible to queries, not yet committed.
//!
//! Rows have running numbers. They lie in chunks of consecutive numbers, so that small chunks can be joined without
//! touching the index (key -> number of the current version). Readers hold `Arc`s of what they see; a mark on a row
//! that a reader may hold is set on a copy.

mod index;

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{concat_batches, interleave, take_record_batch};
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use hashbrown::HashMap;
use meetnet_model::common;

use self::index::HotIndex;
use crate::keys::KeyCodec;
use crate::snapshot::HotBatch;

/// Chunks of one size class that are joined into one of the next: queries see at most a few dozen batches, and a row
/// is copied at most five times.
const FANOUT: usize = 8;
/// Rows of a chunk that is not joined any further.
const CHUNK_ROWS_MAX: usize = 65_536;
/// Memory of the marks of a row: when it was replaced, and by which frame.
const MARK_BYTES: usize = 16;
/// Memory of a key that has replaced versions, without its bytes: its slot, two allocations, room for four versions.
const HISTORY_KEY_BYTES: usize = 120;
/// Memory of a replaced version beyond those, in a list that may have twice the room.
const HISTORY_ROW_BYTES: usize = 16;

/// The hot rows of one dataset.
#[derive(Debug)]
pub(crate) struct HotRows {
    schema: SchemaRef,
    codec: Arc<KeyCodec>,
    chunks: Vec<Chunk>,
    next_row: u64,
    /// Rows below are frozen by a commit under way.
    frozen_below: u64,
    /// Key -> row number of the current version, where that is hot.
    current: HotIndex,
    /// Key -> row numbers of replaced versions.
    history: HashMap<Box<[u8]>, Vec<u64>>,
    history_bytes: usize,
    /// No row was received later, µs.
    received_max: i64,
    /// Memory of the chunks.
    bytes: usize,
}

/// Rows with consecutive numbers.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) first_row: u64,
    pub(crate) batch: RecordBatch,
    /// Sequence of each row's frame.
    pub(crate) sequences: Arc<Vec<u64>>,
    pub(crate) marks: Option<Marks>,
    bytes: usize,
}

/// Which rows of a chunk have been replaced.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    /// Per row: `superseded_at`, or [`HotBatch::LIVE`].
    pub(crate) at: Arc<Vec<i64>>,
    /// Per row: the sequence that replaced it; 0 while live.
    pub(crate) by: Vec<u64>,
}

impl Chunk {
    fn end(&self) -> u64 {
        self.first_row + self.batch.num_rows() as u64
    }

    /// Returns the first `rows` rows and the others.
    fn split_at(&self, rows: usize) -> (Self, Self) {
        let length = self.batch.num_rows() - rows;
        let part = |start: usize, length: usize| {
            let batch = self.batch.slice(start, length);
            let end = start + length;
            Self {
                first_row: self.first_row + start as u64,
                sequences: Arc::new(self.sequences[start..end].to_vec()),
                marks: self.marks.as_ref().map(|marks| Marks {
                    at: Arc::new(marks.at[start..end].to_vec()),
                    by: marks.by[start..end].to_vec(),
                }),
                // The memory is shared: each counts for its share of it.
                bytes: self.bytes * length / self.batch.num_rows().max(1),
                batch,
            }
        };
        (part(0, rows), part(rows, length))
    }

    /// Returns the chunk without the marks that frames after `sequence` have set.
    fn as_of(&self, sequence: u64) -> Self {
        let mut chunk = self.clone();
        if let Some(marks) = &mut chunk.marks
            && marks.by.iter().any(|by| *by > sequence)
        {
            let at = Arc::make_mut(&mut marks.at);
            for (at, by) in at.iter_mut().zip(&mut marks.by) {
                if *by > sequence {
                    (*at, *by) = (HotBatch::LIVE, 0);
                }
            }
        }
        chunk
    }
}

impl HotRows {
    pub(crate) fn new(schema: SchemaRef, codec: Arc<KeyCodec>) -> Self {
        Self {
            schema,
            codec,
            chunks: Vec::new(),
            next_row: 0,
            frozen_below: 0,
            current: HotIndex::default(),
            history: HashMap::new(),
            history_bytes: 0,
            received_max: i64::MIN,
            bytes: 0,
        }
    }

    /// Approximate memory of rows, of what says that they were replaced, and of the index, bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.current.bytes() + self.history_bytes
    }

    pub(crate) fn rows(&self) -> u64 {
        self.chunks
            .iter()
            .map(|chunk| chunk.batch.num_rows() as u64)
            .sum()
    }

    /// The rows, in the order they were applied.
    pub(crate) fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Number that the next pushed row gets.
    pub(crate) fn next_row(&self) -> u64 {
        self.next_row
    }

    /// Number of the oldest row; of the next one where there is none.
    pub(crate) fn oldest_row(&self) -> u64 {
        self.chunks
            .first()
            .map_or(self.next_row, |chunk| chunk.first_row)
    }

    /// Sequence of the oldest row; None where there is none.
    pub(crate) fn oldest_sequence(&self) -> Option<u64> {
        self.chunks
            .first()
            .and_then(|chunk| chunk.sequences.first().copied())
    }

    /// Row number of the current version of a key, if that is hot.
    pub(crate) fn current(&self, key: &[u8]) -> Option<u64> {
        let (series, time) = self.codec.split(key);
        self.current.get(series, time)
    }

    /// Does the same; where there is none, makes `row` the current version. Also returns the number of the key's series, less
    /// than [`HotRows::series`], which it has until rows are dropped.
    pub(crate) fn current_or_set(&mut self, key: &[u8], row: u64) -> (Option<u64>, usize) {
        let (series, time) = self.codec.split(key);
        self.current.get_or_set(series, time, row)
    }

    /// Number of series that have hot rows.
    pub(crate) fn series(&self) -> usize {
        self.current.series()
    }

    /// A time that no hot row was received after, µs; the least number where there is none.
    pub(crate) fn received_max(&self) -> i64 {
        self.received_max
    }

    /// Row numbers of the replaced hot versions of a key.
    pub(crate) fn history(&self, key: &[u8]) -> &[u64] {
        self.history.get(key).map_or(&[], Vec::as_slice)
    }

    /// Makes `row` the current version of `key`.
    pub(crate) fn set_current(&mut self, key: &[u8], row: u64) {
        let (series, time) = self.codec.split(key);
        self.current.set(series, time, row);
    }

    /// Remembers `row` as a replaced version of `key`.
    pub(crate) fn add_history(&mut self, key: &[u8], row: u64) {
        let rows = self.history.entry(key.into()).or_default();
        self.history_bytes += match rows.len() {
            0 => HISTORY_KEY_BYTES + key.len(),
            _ => HISTORY_ROW_BYTES,
        };
        rows.push(row);
    }

    /// Returns the chunk and the position in it of a pushed row.
    pub(crate) fn locate(&self, row: u64) -> Option<(&Chunk, usize)> {
        let index = self.chunks.partition_point(|chunk| chunk.end() <= row);
        let chunk = self.chunks.get(index)?;
        Some((chunk, row.checked_sub(chunk.first_row)? as usize))
    }

    /// Marks a pushed row as replaced at `at` (µs) by the frame `by`.
    pub(crate) fn mark(&mut self, row: u64, at: i64, by: u64) {
        let index = self.chunks.partition_point(|chunk| chunk.end() <= row);
        let Some(chunk) = self.chunks.get_mut(index) else {
            return;
        };
        let rows = chunk.batch.num_rows();
        if chunk.marks.is_none() {
            chunk.bytes += MARK_BYTES * rows;
            self.bytes += MARK_BYTES * rows;
        }
        let marks = chunk.marks.get_or_insert_with(|| Marks {
            at: Arc::new(vec![HotBatch::LIVE; rows]),
            by: vec![0; rows],
        });
        let position = (row - chunk.first_row) as usize;
        Arc::make_mut(&mut marks.at)[position] = at;
        marks.by[position] = by;
    }

    /// Appends rows in the row schema.
    pub(crate) fn push(
        &mut self,
        batch: RecordBatch,
        sequences: Vec<u64>,
    ) -> Result<(), ArrowError> {
        let bytes = batch.get_array_memory_size() + 8 * sequences.len();
        self.bytes += bytes;
        let received = batch
            .column_by_name(common::RECEIVED_AT)
            .and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>())
            .and_then(|times| times.values().iter().copied().max());
        self.received_max = self.received_max.max(received.unwrap_or(i64::MAX));
        let first_row = self.next_row;
        self.next_row += batch.num_rows() as u64;
        self.chunks.push(Chunk {
            first_row,
            batch,
            sequences: Arc::new(sequences),
            marks: None,
            bytes,
        });
        self.join_small()
    }

    /// Joins the last chunks while there are [`FANOUT`] of one size class.
    fn join_small(&mut self) -> Result<(), ArrowError> {
        while let Some(start) = self.joinable() {
            let joined = join(&self.schema, &self.chunks[start..])?;
            let before: usize = self.chunks[start..].iter().map(|chunk| chunk.bytes).sum();
            self.bytes = self.bytes - before + joined.bytes;
            self.chunks.truncate(start);
            self.chunks.push(joined);
        }
        Ok(())
    }

    fn joinable(&self) -> Option<usize> {
        let start = self.chunks.len().checked_sub(FANOUT)?;
        let last = &self.chunks[start..];
        let class = size_class(last.last()?);
        let same = last
            .iter()
            .all(|chunk| chunk.first_row >= self.frozen_below && size_class(chunk) <= class);
        let rows: usize = last.iter().map(|chunk| chunk.batch.num_rows()).sum();
        (same && rows <= CHUNK_ROWS_MAX).then_some(start)
    }

    /// Freezes the rows of frames up to `sequence` for a commit; returns them as those frames left them: a row that a
    /// later one has replaced is live.
    pub(crate) fn freeze(&mut self, sequence: u64) -> Vec<Chunk> {
        let whole = self.chunks_through(sequence);
        if let Some(chunk) = self.chunks.get(whole) {
            let rows = chunk.sequences.partition_point(|of| *of <= sequence);
            if rows > 0 {
                let (front, back) = chunk.split_at(rows);
                self.bytes = self.bytes - chunk.bytes + front.bytes + back.bytes;
                self.chunks.splice(whole..=whole, [front, back]);
            }
        }
        let frozen = self.chunks_through(sequence);
        self.frozen_below = self
            .chunks
            .get(frozen)
            .map_or(self.next_row, |chunk| chunk.first_row);
        self.chunks[..frozen]
            .iter()
            .map(|chunk| chunk.as_of(sequence))
            .collect()
    }

    /// Number of chunks that hold rows up to `sequence` only.
    fn chunks_through(&self, sequence: u64) -> usize {
        self.chunks.partition_point(|chunk| {
            let last = chunk.sequences.last();
            last.is_none_or(|last| *last <= sequence)
        })
    }

    /// Returns when the first row after `sequence` was recorded, µs, with its receive time where that is the same.
    pub(crate) fn recorded_after(&self, sequence: u64) -> Option<i64> {
        let chunk = self.chunks.get(self.chunks_through(sequence))?;
        let row = chunk.sequences.partition_point(|of| *of <= sequence);
        let micros = |name: &str| {
            let array = chunk.batch.column_by_name(name)?;
            let array = array.as_primitive_opt::<TimestampMicrosecondType>()?;
            (!array.is_null(row)).then(|| array.value(row))
        };
        micros(common::RECORDED_AT).or_else(|| micros(common::RECEIVED_AT))
    }

    /// Gives the frozen rows back after a commit that failed.
    pub(crate) fn unfreeze(&mut self) {
        self.frozen_below = 0;
    }

    /// Returns the frozen rows that were replaced by frames after `sequence`, as (chunk, position) with their marks.
    pub(crate) fn replaced_while_frozen(
        &self,
        sequence: u64,
    ) -> Vec<(RecordBatch, usize, i64, u64)> {
        let mut replaced = Vec::new();
        for chunk in &self.chunks[..self.frozen_chunks()] {
            let Some(marks) = &chunk.marks else { continue };
            let late = marks
                .by
                .iter()
                .enumerate()
                .filter(|(_, by)| **by > sequence);
            replaced.extend(late.map(|(row, by)| (chunk.batch.clone(), row, marks.at[row], *by)));
        }
        replaced
    }

    /// Number of chunks that are frozen.
    fn frozen_chunks(&self) -> usize {
        let boundary = self.frozen_below;
        self.chunks
            .partition_point(|chunk| chunk.first_row < boundary)
    }

    /// Drops the frozen rows after their commit.
    pub(crate) fn drop_frozen(&mut self) {
        let boundary = self.frozen_below;
        let frozen = self.frozen_chunks();
        for chunk in self.chunks.drain(..frozen) {
            self.bytes = self.bytes.saturating_sub(chunk.bytes);
        }
        if self.chunks.is_empty() {
            self.received_max = i64::MIN;
        }
        self.current.forget_below(boundary);
        let mut history_bytes = 0;
        self.history.retain(|key, rows| {
            rows.retain(|row| *row >= boundary);
            if let Some(more) = rows.len().checked_sub(1) {
                history_bytes += HISTORY_KEY_BYTES + key.len() + more * HISTORY_ROW_BYTES;
            }
            !rows.is_empty()
        });
        self.history_bytes = history_bytes;
        if self.history.capacity() > 4 * self.history.len() + 1_024 {
            self.history.shrink_to_fit();
        }
        self.frozen_below = 0;
    }

    /// Returns what readers see.
    pub(crate) fn batches(&self) -> Vec<HotBatch> {
        self.chunks
            .iter()
            .map(|chunk| HotBatch {
                batch: chunk.batch.clone(),
                superseded: chunk.marks.as_ref().map(|marks| Arc::clone(&marks.at)),
            })
            .collect()
    }
}

fn size_class(chunk: &Chunk) -> u32 {
    (chunk.batch.num_rows().max(1)).ilog2() / FANOUT.ilog2()
}

fn join(schema: &SchemaRef, chunks: &[Chunk]) -> Result<Chunk, ArrowError> {
    let batch = concat_batches(schema, chunks.iter().map(|chunk| &chunk.batch))?;
    let sequences: Vec<u64> = chunks
        .iter()
        .flat_map(|c| c.sequences.iter().copied())
        .collect();
    let marks = chunks.iter().any(|chunk| chunk.marks.is_some()).then(|| {
        let (mut at, mut by) = (Vec::new(), Vec::new());
        for chunk in chunks {
            match &chunk.marks {
                Some(marks) => {
                    at.extend_from_slice(&marks.at);
                    by.extend_from_slice(&marks.by);
                }
                None => {
                    at.resize(at.len() + chunk.batch.num_rows(), HotBatch::LIVE);
                    by.resize(by.len() + chunk.batch.num_rows(), 0);
                }
            }
        }
        Marks {
            at: Arc::new(at),
            by,
        }
    });
    let of_marks = marks.as_ref().map_or(0, |_| MARK_BYTES * sequences.len());
    let bytes = batch.get_array_memory_size() + 8 * sequences.len() + of_marks;
    Ok(Chunk {
        first_row: chunks[0].first_row,
        batch,
        sequences: Arc::new(sequences),
        marks,
        bytes,
    })
}

/// Returns the rows of `batch` at `positions`, in that order.
pub(crate) fn take_rows(batch: &RecordBatch, positions: &[u32]) -> Result<RecordBatch, ArrowError> {
    if positions.len() == batch.num_rows()
        && positions
            .iter()
            .enumerate()
            .all(|(i, position)| i == *position as usize)
    {
        return Ok(batch.clone());
    }
    take_record_batch(batch, &UInt32Array::from(positions.to_vec()))
}

/// Returns rows of batches of one schema, each by batch and row; columns in which no batch has a value are not gathered.
pub(crate) fn gather_rows(
    batches: &[&RecordBatch],
    rows: &[(usize, usize)],
) -> Result<RecordBatch, ArrowError> {
    let first = batches.first().ok_or_else(|| {
        ArrowError::InvalidArgumentError("there is no batch to gather rows of".to_owned())
    })?;
    let columns = (0..first.num_columns()).map(|column| {
        let arrays = batches.iter().map(|batch| batch.column(column).as_ref());
        let arrays: Vec<&dyn Array> = arrays.collect();
        if arrays.iter().all(|array| array.null_count() == array.len()) {
            return Ok(new_null_array(arrays[0].data_type(), rows.len()));
        }
        interleave(&arrays, rows)
    });
    RecordBatch::try_new(first.schema(), columns.collect::<Result<Vec<_>, _>>()?)
}

#[cfg(test)]
mod tests;
