//! Merging sorted runs of one partition into one, in bounded memory.
//!
//! `runs of files -> batches in key order -> PartitionWriter`
//!
//! Memory: per run one batch and the pages it is decoded from, and the row group being written. The batches of all runs
//! together have a limit, so those of many runs are small; `policy` limits the pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::row::Rows;
use meetnet_model::dataset::DatasetDeclaration;

use super::policy::Choice;
use crate::damage;
use crate::error::LakeError;
use crate::hot::gather_rows;
use crate::journal::step_aside;
use crate::keys::KeyCodec;
use crate::snapshot::LiveFile;
use crate::storage::TableFolder;
use crate::table::files::{PartitionWriter, remove_files};
use crate::table::read;

/// Rows of a run in memory, at most.
const RUN_BATCH_ROWS: usize = 4_096;
/// Fewer would cost more than their memory is worth.
const RUN_BATCH_ROWS_MIN: usize = 256;
/// Rows of all runs in memory: about 25 MiB, and their keys.
const BATCHES_ROWS: usize = 131_072;
/// Rows gathered before they are written: no fewer than are looked at to choose the encodings of a row group. Batches that they lie
/// in stay until then.
const OUTPUT_ROWS: usize = 16_384;
/// A stretch of this many rows of one run is passed on as it is.
const STRETCH_ROWS: usize = 1_024;

/// Runs of one partition on their way to become one.
#[derive(Debug)]
pub(crate) struct MergeJob {
    pub(crate) folder: TableFolder,
    pub(crate) declaration: Arc<DatasetDeclaration>,
    pub(crate) codec: Arc<KeyCodec>,
    pub(crate) choice: Choice,
    /// Set where the result is not wanted any more.
    pub(crate) cancelled: Arc<AtomicBool>,
    pub(crate) now_ms: i64,
}

/// What a merge has written; nothing names the files yet.
#[derive(Debug)]
pub(crate) struct MergeOutcome {
    pub(crate) folder: TableFolder,
    pub(crate) declaration: Arc<DatasetDeclaration>,
    pub(crate) inputs: Vec<Arc<LiveFile>>,
    /// None where it was cancelled.
    pub(crate) result: Result<Option<Vec<LiveFile>>, LakeError>,
}

impl MergeOutcome {
    /// Removes what was written.
    pub(crate) fn discard(self) {
        if let Ok(Some(files)) = &self.result {
            remove_files(&self.folder, files);
        }
    }
}

impl MergeJob {
    /// Merges.
    pub(crate) fn run(self) -> MergeOutcome {
        let result = self.merge();
        MergeOutcome {
            inputs: self.choice.files(),
            folder: self.folder,
            declaration: self.declaration,
            result,
        }
    }

    fn merge(&self) -> Result<Option<Vec<LiveFile>>, LakeError> {
        let partition = &self.choice.partition;
        let mut writer = PartitionWriter::new(
            &self.folder,
            &self.declaration,
            partition,
            None,
            self.now_ms,
        );
        let input = MergeInput {
            folder: &self.folder,
            declaration: &self.declaration,
            codec: &self.codec,
            schema: self.declaration.file_schema(),
            verify: true,
        };
        let mut merge = Merge::new(input, &self.choice.runs)?;
        while let Some(batch) = merge.next_batch()? {
            if self.cancelled.load(Ordering::Relaxed) {
                return Ok(None);
            }
            writer.write(&batch)?;
            step_aside();
        }
        writer.finish().map(Some)
    }
}

/// What runs are read by.
pub(crate) struct MergeInput<'a> {
    pub(crate) folder: &'a TableFolder,
    pub(crate) declaration: &'a DatasetDeclaration,
    pub(crate) codec: &'a KeyCodec,
    /// The columns to read, the key's among them: the file schema, or some of it in its order.
    pub(crate) schema: SchemaRef,
    /// Compares each file with its hash before it is read. What is written from it has a hash of its own: what is wrong
    /// with this one could not be told any more.
    pub(crate) verify: bool,
}

impl MergeInput<'_> {
    /// Returns the keys of rows in the schema.
    pub(crate) fn keys(&self, rows: &RecordBatch) -> Result<Rows, LakeError> {
        let columns = self.declaration.key.iter();
        let columns: Vec<_> = columns
            .filter_map(|name| rows.column_by_name(name).cloned())
            .collect();
        self.codec
            .keys_of(&columns)
            .map_err(LakeError::arrow("encode keys of", &self.declaration.id))
    }
}

/// The rows of several runs in key order.
pub(crate) struct Merge<'a> {
    input: MergeInput<'a>,
    /// Runs that have rows left; the heap below holds their positions.
    runs: Vec<RunReader>,
    /// A binary heap: the run with the least key first.
    heap: Vec<usize>,
    /// Batches that the gathered rows lie in.
    batches: Vec<RecordBatch>,
    /// Gathered rows: position in `batches`, row.
    gathered: Vec<(usize, usize)>,
    /// Position of each run's batch in `batches`, where rows of it have been gathered.
    slots: Vec<Option<usize>>,
    /// Rows that come after the gathered ones, as they are.
    stretch: Option<RecordBatch>,
}

impl<'a> Merge<'a> {
    /// Starts with the first rows of `of_runs`, each the files of a run in key order.
    pub(crate) fn new(
        input: MergeInput<'a>,
        of_runs: &[Vec<Arc<LiveFile>>],
    ) -> Result<Self, LakeError> {
        let batch_rows = batch_rows(of_runs.len());
        let readers = of_runs.iter().map(|files| RunReader {
            files: files.clone().into_iter(),
            batch_rows,
            batches: None,
            batch: None,
            at: 0,
        });
        Self::of_readers(input, readers)
    }

    /// The same of runs that are being read already: each the rows of one in key order, with the key columns.
    pub(crate) fn of_batches(
        input: MergeInput<'a>,
        of_runs: Vec<Batches>,
    ) -> Result<Self, LakeError> {
        let readers = of_runs.into_iter().map(|batches| RunReader {
            files: Vec::new().into_iter(),
            batch_rows: RUN_BATCH_ROWS,
            batches: Some(batches),
            batch: None,
            at: 0,
        });
        Self::of_readers(input, readers)
    }

    fn of_readers(
        input: MergeInput<'a>,
        readers: impl Iterator<Item = RunReader>,
    ) -> Result<Self, LakeError> {
        let mut runs = Vec::new();
        for mut run in readers {
            if run.load(&input)? {
                runs.push(run);
            }
        }
        let mut merge = Self {
            input,
            heap: (0..runs.len()).collect(),
            slots: vec![None; runs.len()],
            runs,
            batches: Vec::new(),
            gathered: Vec::new(),
            stretch: None,
        };
        for position in (0..merge.heap.len() / 2).rev() {
            merge.sift_down(position);
        }
        Ok(merge)
    }

    /// Returns the next rows; None at the end.
    pub(crate) fn next_batch(&mut self) -> Result<Option<RecordBatch>, LakeError> {
        if let Some(stretch) = self.stretch.take() {
            return Ok(Some(stretch));
        }
        while self.gathered.len() < OUTPUT_ROWS && self.stretch.is_none() {
            let Some(least) = self.heap.first().copied() else {
                break;
            };
            let length = self.stretch_length(least);
            let run = &mut self.runs[least];
            let start = run.at;
            run.at += length;
            if length >= STRETCH_ROWS {
                self.stretch = run.rows(start, length);
            } else {
                let slot = match self.slots[least] {
                    Some(slot) => slot,
                    None => {
                        self.batches
                            .extend(run.batch.as_ref().map(|(rows, _)| rows.clone()));
                        self.slots[least] = Some(self.batches.len() - 1);
                        self.batches.len() - 1
                    }
                };
                self.gathered
                    .extend((start..start + length).map(|row| (slot, row)));
            }
            if self.runs[least].is_at_end() {
                self.slots[least] = None;
                if !self.runs[least].load(&self.input)? {
                    self.heap.swap_remove(0);
                }
            }
            if !self.heap.is_empty() {
                self.sift_down(0);
            }
        }
        if self.gathered.is_empty() {
            return Ok(self.stretch.take());
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let gathered = gather_rows(&batches, &self.gathered)
            .map_err(LakeError::arrow("merge", &self.input.declaration.id))?;
        self.batches.clear();
        self.gathered.clear();
        self.slots.fill(None);
        Ok(Some(gathered))
    }

    /// How many rows of the run with the least key come before those of all others.
    fn stretch_length(&self, least: usize) -> usize {
        let run = &self.runs[least];
        let rows = run.row_count();
        let next = [1, 2]
            .into_iter()
            .filter_map(|position| self.heap.get(position).copied())
            .min_by(|a, b| self.compare(*a, *b));
        let Some(next) = next else {
            return rows - run.at;
        };
        let other = self.runs[next].key(self.runs[next].at);
        // Equal keys: the older run first.
        let precedes = |row: usize| match run.key(row).cmp(other) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => least < next,
            std::cmp::Ordering::Greater => false,
        };
        // Doubling steps, then halving: short stretches cost a comparison or two, long ones a few.
        let (mut low, mut step) = (run.at + 1, 1);
        while low < rows && precedes(low) {
            low = (low + step).min(rows);
            step *= 2;
        }
        let mut from = run.at + 1;
        let mut to = low;
        while from < to {
            let middle = from + (to - from) / 2;
            if precedes(middle) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from - run.at
    }

    fn compare(&self, a: usize, b: usize) -> std::cmp::Ordering {
        let key = |run: usize| self.runs[run].key(self.runs[run].at);
        key(a).cmp(key(b)).then(a.cmp(&b))
    }

    fn sift_down(&mut self, mut position: usize) {
        loop {
            let mut least = position;
            for child in [2 * position + 1, 2 * position + 2] {
                if let Some(run) = self.heap.get(child)
                    && self.compare(*run, self.heap[least]).is_lt()
                {
                    least = child;
                }
            }
            if least == position {
                return;
            }
            self.heap.swap(position, least);
            position = least;
        }
    }
}

/// Returns how many rows of each of so many runs are in memory.
pub(super) fn batch_rows(runs: usize) -> usize {
    (BATCHES_ROWS / runs.max(1)).clamp(RUN_BATCH_ROWS_MIN, RUN_BATCH_ROWS)
}

/// Batches of rows, or why they cannot be read.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, LakeError>>>;

/// The rows of one run, batch by batch.
struct RunReader {
    files: std::vec::IntoIter<Arc<LiveFile>>,
    /// Rows of a batch, at most.
    batch_rows: usize,
    batches: Option<Batches>,
    /// The batch and its keys.
    batch: Option<(RecordBatch, Rows)>,
    /// The next row in it.
    at: usize,
}

impl RunReader {
    /// Reads the next batch that has rows; false at the end of the run.
    fn load(&mut self, input: &MergeInput<'_>) -> Result<bool, LakeError> {
        self.batch = None;
        self.at = 0;
        loop {
            if let Some(batch) = self.batches.as_mut().and_then(Iterator::next) {
                let batch = batch?;
                if batch.num_rows() == 0 {
                    continue;
                }
                let keys = input.keys(&batch)?;
                self.batch = Some((batch, keys));
                return Ok(true);
            }
            let Some(file) = self.files.next() else {
                self.batches = None;
                return Ok(false);
            };
            if input.verify {
                damage::verify(input.folder, &file)?;
            }
            let rows = read::read_file(
                input.folder,
                input.declaration,
                &file,
                &input.schema,
                self.batch_rows,
            )?;
            self.batches = Some(Box::new(rows));
        }
    }

    fn row_count(&self) -> usize {
        self.batch.as_ref().map_or(0, |(rows, _)| rows.num_rows())
    }

    fn is_at_end(&self) -> bool {
        self.at >= self.row_count()
    }

    /// Key of a row of the batch; there is one while the run is in the heap.
    fn key(&self, row: usize) -> &[u8] {
        self.batch
            .as_ref()
            .map_or(&[], |(_, keys)| keys.row(row).data())
    }

    fn rows(&self, start: usize, length: usize) -> Option<RecordBatch> {
        self.batch
            .as_ref()
            .map(|(rows, _)| rows.slice(start, length))
    }
}
