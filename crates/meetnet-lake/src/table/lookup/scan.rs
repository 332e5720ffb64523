//! Reading on where the last look-up ended: rows that are asked for again come in the order of the file, a group of messages at
//! a time, and a page has rows for several groups.
//!
//! `positions, ascending -> [scan] -> rows`
//!
//! It decodes each page once, and the dictionaries of a row group once, however many look-ups that serves. What comes in another
//! order is read by itself (`KeyReader::read_columns`).

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

use crate::hot::take_rows;
use crate::table::read::conform;

/// Rows decoded at once; of a wide dataset they have about a megabyte.
pub(super) const BATCH_ROWS: usize = if cfg!(test) { 3 } else { 2_048 };
/// Rows that are decoded for nothing rather than to begin anew, which reads pages and dictionaries again.
const GAP_ROWS: usize = if cfg!(test) { 5 } else { 8_192 };
/// A look-up of fewer rows does not begin a scan.
const ROWS_MIN: usize = if cfg!(test) { 2 } else { 64 };
/// Up to so many rows are decoded for one that is wanted: the pages between are decompressed all the same.
const ROWS_PER_WANTED_MAX: usize = 16;

/// Some columns of a file, being read from its front to its end.
#[derive(Debug)]
pub(super) struct Scan {
    path: Arc<str>,
    schema: SchemaRef,
    /// Who has the scan has the reader; the mutex lets others know of the scan.
    reader: Mutex<ParquetRecordBatchReader>,
    /// Rows of the file that are decoded, and their values; none at first.
    rows: Range<usize>,
    batch: RecordBatch,
    #[cfg(test)]
    begun_at: usize,
}

/// Returns true where rows (ascending) lie close enough together to be read with what is between them.
pub(super) fn pays(rows: &[u32]) -> bool {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return false;
    };
    let span = (last - first) as usize + 1;
    rows.len() >= ROWS_MIN && span <= ROWS_PER_WANTED_MAX * rows.len()
}

impl Scan {
    /// Starts at row `first` of a file, where `reader` stands, too: it returns the columns of `schema`, or of an earlier
    /// declaration, of all rows from there on.
    pub(super) fn new(
        path: &Arc<str>,
        schema: &SchemaRef,
        reader: ParquetRecordBatchReader,
        first: usize,
    ) -> Self {
        Self {
            path: Arc::clone(path),
            schema: Arc::clone(schema),
            reader: Mutex::new(reader),
            rows: first..first,
            batch: RecordBatch::new_empty(Arc::clone(schema)),
            #[cfg(test)]
            begun_at: first,
        }
    }

    /// Returns the row of the file at which it began.
    #[cfg(test)]
    pub(super) fn begun_at(&self) -> usize {
        self.begun_at
    }

    /// Returns true where rows of a file from `first` on come next, or nearly.
    pub(super) fn comes_to(&self, path: &str, schema: &SchemaRef, first: usize) -> bool {
        *self.path == *path
            && (self.rows.start..=self.rows.end + GAP_ROWS).contains(&first)
            && self.schema == *schema
    }

    /// Returns the rows at `wanted` (ascending, each once), none of them before those that are decoded. They come in parts, as
    /// they were decoded: to join these would be a copy of every column.
    pub(super) fn take(&mut self, wanted: &[u32]) -> Result<Vec<RecordBatch>, ArrowError> {
        let mut parts = Vec::new();
        let mut wanted = wanted;
        while let Some(first) = wanted.first() {
            while *first as usize >= self.rows.end {
                self.decode_more()?;
            }
            let here = wanted.partition_point(|row| (*row as usize) < self.rows.end);
            let (now, later) = wanted.split_at(here);
            parts.push(self.take_decoded(now)?);
            wanted = later;
        }
        Ok(parts)
    }

    fn decode_more(&mut self) -> Result<(), ArrowError> {
        let reader = self.reader.get_mut();
        let reader = reader.unwrap_or_else(PoisonError::into_inner);
        let batch = match reader.next() {
            Some(batch) => conform(&batch?, &self.schema)?,
            None => RecordBatch::new_empty(Arc::clone(&self.schema)),
        };
        if batch.num_rows() == 0 {
            let message = format!("the file ends at row {}", self.rows.end);
            return Err(ArrowError::ParquetError(message));
        }
        self.rows = self.rows.end..self.rows.end + batch.num_rows();
        self.batch = batch;
        Ok(())
    }

    /// Returns some of the decoded rows; where they follow each other, nothing is copied.
    fn take_decoded(&self, rows: &[u32]) -> Result<RecordBatch, ArrowError> {
        let positions: Vec<u32> = rows
            .iter()
            .map(|row| row - self.rows.start as u32)
            .collect();
        match (positions.first(), positions.last()) {
            (Some(first), Some(last)) if (last - first) as usize + 1 == positions.len() => {
                Ok(self.batch.slice(*first as usize, positions.len()))
            }
            _ => take_rows(&self.batch, &positions),
        }
    }
}
