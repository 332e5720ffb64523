//! Keys as they lie in a file: runs of one series, and the times in them. Only the first key of a run is encoded.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{partition, take};
use arrow::datatypes::{DataType, Fields, Int32Type, Int64Type, Schema, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::row::Rows;
use meetnet_model::dataset::DatasetDeclaration;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;

use super::WantedKey;
use crate::keys::{KeyCodec, partition_point};

/// Some rows of a file, in the order of their keys.
#[derive(Debug)]
pub(super) struct KeyRuns {
    /// First keys of the runs; some of them, where the runs of a series were joined, are of none.
    firsts: Rows,
    runs: Vec<Run>,
    /// By row: its time, where the key ends in it. Else the rows of a run have the same key.
    times: Option<ScalarBuffer<i64>>,
    rows: usize,
}

/// Consecutive rows of one series.
#[derive(Debug)]
struct Run {
    /// Its first row, and the place of that row's key.
    start: usize,
    first: usize,
}

/// Returns how the key columns of a file are read for look-ups: their texts stay numbers of a dictionary, which compare
/// faster and are no copies.
pub(super) fn reading_keys(
    metadata: &ArrowReaderMetadata,
    declaration: &DatasetDeclaration,
) -> Result<ArrowReaderMetadata, ParquetError> {
    let fields = metadata.schema().fields().iter().map(|field| {
        let is_text = *field.data_type() == DataType::Utf8;
        if !is_text || !declaration.key.iter().any(|name| name == field.name()) {
            return Arc::clone(field);
        }
        let dictionary = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
        Arc::new(field.as_ref().clone().with_data_type(dictionary))
    });
    let schema = Arc::new(Schema::new(fields.collect::<Fields>()));
    let options = ArrowReaderOptions::new().with_schema(schema);
    ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options)
}

impl KeyRuns {
    /// Takes key columns as [`reading_keys`] has them, in any order.
    pub(super) fn new(
        codec: &KeyCodec,
        declaration: &DatasetDeclaration,
        batch: &RecordBatch,
    ) -> Result<Self, ArrowError> {
        let names = declaration.key.iter();
        let columns: Vec<&ArrayRef> = names
            .filter_map(|name| batch.column_by_name(name))
            .collect();
        let (of_series, times) = match columns.split_last() {
            Some((time, series)) if codec.has_series => {
                let times = time.as_primitive::<TimestampMicrosecondType>();
                (series, Some(times.values().clone()))
            }
            _ => (columns.as_slice(), None),
        };
        let rows = batch.num_rows();
        let mut begins = vec![false; rows];
        if let Some(first) = begins.first_mut() {
            *first = true;
        }
        for column in of_series {
            mark_changes(column, &mut begins)?;
        }
        let starts: Vec<u32> = (0..rows as u32)
            .filter(|row| begins[*row as usize])
            .collect();
        let starts = UInt32Array::from(starts);
        let firsts = columns
            .into_iter()
            .map(|column| take_plain(column, &starts))
            .collect::<Result<Vec<_>, _>>()?;
        let firsts = codec.keys_of(&firsts)?;
        let mut runs: Vec<Run> = Vec::with_capacity(starts.len());
        for (first, start) in starts.values().iter().enumerate() {
            let series = codec.series(firsts.row(first).data());
            // Dictionaries of two row groups number the same text in two ways.
            let goes_on = runs
                .last()
                .is_some_and(|last| codec.series(firsts.row(last.first).data()) == series);
            if !goes_on {
                let start = *start as usize;
                runs.push(Run { start, first });
            }
        }
        Ok(Self {
            firsts,
            runs,
            times,
            rows,
        })
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    fn series(&self, codec: &KeyCodec, run: usize) -> &[u8] {
        codec.series(self.firsts.row(self.runs[run].first).data())
    }

    fn rows_of(&self, run: usize) -> Range<usize> {
        let end = self.runs.get(run + 1).map_or(self.rows, |next| next.start);
        self.runs[run].start..end
    }

    /// Returns how many of the keys at `here` are of series before the first one of these rows.
    pub(super) fn first_near(
        &self,
        codec: &KeyCodec,
        wanted: &[WantedKey<'_>],
        here: &[usize],
    ) -> usize {
        if self.runs.is_empty() {
            return 0;
        }
        let first = self.series(codec, 0);
        here.partition_point(|index| codec.series(wanted[*index].key) < first)
    }

    /// Finds the keys at `here` (ascending, none of a series before the first one of these rows): `found` is told the
    /// position of each among the wanted ones, and its rows. Newest times that are sought are raised to those of these rows.
    pub(super) fn find(
        &self,
        codec: &KeyCodec,
        wanted: &[WantedKey<'_>],
        here: &[usize],
        newest: &mut [Option<i64>],
        mut found: impl FnMut(usize, Range<usize>),
    ) {
        let mut run = 0;
        // Where in the run the key before this one was sought.
        let mut from = 0;
        for &index in here {
            let key = &wanted[index];
            let series = codec.series(key.key);
            if run < self.runs.len() && self.series(codec, run) < series {
                let behind = self.runs.len() - run;
                run += partition_point(behind, |next| self.series(codec, run + next) < series);
                from = 0;
            }
            if run == self.runs.len() {
                return;
            }
            if self.series(codec, run) != series {
                continue;
            }
            let rows = self.rows_of(run);
            let Some(times) = &self.times else {
                found(index, rows);
                continue;
            };
            let times = &times[rows.clone()];
            // Rows that are met again follow each other.
            if times.get(from).is_some_and(|time| *time < key.time) {
                from += times[from..].partition_point(|time| *time < key.time);
            }
            let same = times[from..].iter();
            let same = same.take_while(|time| **time == key.time).count();
            if same > 0 {
                found(index, rows.start + from..rows.start + from + same);
            }
            if let (Some(newest), Some(last)) = (&mut newest[index], times.last()) {
                *newest = (*newest).max(*last);
            }
        }
    }
}

/// Marks the rows that have another value than the row before them.
fn mark_changes(column: &ArrayRef, begins: &mut [bool]) -> Result<(), ArrowError> {
    fn mark<T: PartialEq>(values: &[T], begins: &mut [bool]) {
        for (pair, begins) in values.windows(2).zip(begins.iter_mut().skip(1)) {
            *begins |= pair[0] != pair[1];
        }
    }
    match column.data_type() {
        DataType::Dictionary(..) => {
            mark(column.as_dictionary::<Int32Type>().keys().values(), begins);
        }
        DataType::Int64 => mark(column.as_primitive::<Int64Type>().values(), begins),
        DataType::Timestamp(..) => {
            mark(
                column.as_primitive::<TimestampMicrosecondType>().values(),
                begins,
            );
        }
        _ => {
            for range in partition(std::slice::from_ref(column))?.ranges() {
                begins[range.start] = true;
            }
        }
    }
    Ok(())
}

/// Takes rows of a column, as values where it is a dictionary.
fn take_plain(column: &ArrayRef, rows: &UInt32Array) -> Result<ArrayRef, ArrowError> {
    match column.as_dictionary_opt::<Int32Type>() {
        Some(dictionary) => take(
            dictionary.values(),
            &take(dictionary.keys(), rows, None)?,
            None,
        ),
        None => take(column, rows, None),
    }
}
