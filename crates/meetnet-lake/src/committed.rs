//! Committed current rows of one table, for what is made of them: those of some series and times in the order of the key,
//! and those recorded from some time on.
//!
//! `snapshot -> files by statistics -> pages by page index -> rows -> batches, each row with its licence`
//!
//! Hot rows and masks are left out: what is derived is a function of what is committed.
//! Memory: per run of files one batch, and the pages it is decoded from.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use meetnet_model::common::{LICENCE, RECEIVED_AT, RECORDED_AT};
use meetnet_model::dataset::DatasetDeclaration;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::ParquetMetaData;

use crate::check::key_schema;
use crate::compact::{Batches, Merge, MergeInput, files_by_run};
use crate::damage;
use crate::error::LakeError;
use crate::keys::KeyCodec;
use crate::snapshot::{LiveFile, StatisticsValue, TableSnapshot};
use crate::storage::{Access, TableFolder};
use crate::table::read::{self, Bounds, conform, key_pages, load_footer, select_ranges};

/// Rows of a run in memory.
const BATCH_ROWS: usize = 8_192;

/// A value of a key column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyPart {
    /// Of an integer column.
    Int(i64),
    /// Of a text column.
    Text(Arc<str>),
}

impl KeyPart {
    /// Returns the value of a row; none for a null and for columns that no key begins with.
    pub fn of(column: &dyn Array, row: usize) -> Option<Self> {
        if column.is_null(row) {
            return None;
        }
        match column.data_type() {
            DataType::Int64 => Some(Self::Int(column.as_primitive::<Int64Type>().value(row))),
            DataType::Utf8 => Some(Self::Text(column.as_string::<i32>().value(row).into())),
            _ => None,
        }
    }

    /// Compares with a bound; none where it is of another type.
    fn compare(&self, bound: &StatisticsValue) -> Option<Ordering> {
        match (self, bound) {
            (Self::Int(own), StatisticsValue::Int(other)) => Some(own.cmp(other)),
            (Self::Text(own), StatisticsValue::Text(other)) => {
                Some(own.as_ref().cmp(other.as_ref()))
            }
            _ => None,
        }
    }
}

/// Which rows are wanted.
#[derive(Clone, Debug)]
pub struct RowRange {
    /// Their first time, µs since 1970 UTC.
    pub from: i64,
    /// The first time after theirs.
    pub to: i64,
    /// Values of the first key column, ascending; none: all.
    pub leading: Option<Vec<KeyPart>>,
}

impl RowRange {
    /// Returns whether rows with these bounds of first key column and time can be wanted.
    fn meets(&self, leading: Option<&Bounds>, time: Option<&Bounds>) -> bool {
        let int = |value: &Option<StatisticsValue>| value.as_ref()?.int();
        if let Some((min, max)) = time
            && (int(min).is_some_and(|min| min >= self.to)
                || int(max).is_some_and(|max| max < self.from))
        {
            return false;
        }
        let (Some(wanted), Some((min, max))) = (&self.leading, leading) else {
            return true;
        };
        let below = |part: &KeyPart| {
            let order = min.as_ref().and_then(|min| part.compare(min));
            order == Some(Ordering::Less)
        };
        let first = wanted.partition_point(below);
        wanted.get(first).is_some_and(|part| {
            let order = max.as_ref().and_then(|max| part.compare(max));
            order != Some(Ordering::Greater)
        })
    }
}

/// The committed current rows of a table.
#[derive(Debug)]
pub struct CommittedRows<'a> {
    table: &'a TableSnapshot,
    codec: KeyCodec,
}

impl<'a> CommittedRows<'a> {
    /// Returns the rows of a table.
    ///
    /// # Errors
    /// Where its key cannot be encoded, which no declared one is.
    pub fn new(table: &'a TableSnapshot) -> Result<Self, LakeError> {
        let codec = KeyCodec::new(&table.declaration)?;
        Ok(Self { table, codec })
    }

    fn files(&self) -> impl Iterator<Item = &'a Arc<LiveFile>> {
        self.table.files.iter().filter(|file| !file.superseded)
    }

    /// Returns the least and the greatest time of the rows, µs since 1970 UTC; none where there are none.
    pub fn time_bounds(&self) -> Option<(i64, i64)> {
        let name = self.table.declaration.time_column();
        let bounds = self.files().map(|file| {
            let times = file.statistics.get(name);
            match times.map(|times| (&times.min, &times.max)) {
                Some((Some(StatisticsValue::Int(min)), Some(StatisticsValue::Int(max)))) => {
                    (*min, *max)
                }
                // Times are never null, so their bounds are always known; if not, everything is looked through.
                _ => (i64::MIN, i64::MAX),
            }
        });
        bounds.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Returns rows in the order of the key, batch by batch: the key columns and `columns` in the order of the file, then
    /// `licence`.
    ///
    /// # Errors
    /// Where a file cannot be read; so do the batches.
    pub fn in_range(&self, columns: &[&str], range: RowRange) -> Result<SortedRows<'_>, LakeError> {
        let declaration = &self.table.declaration;
        let schema = key_schema(declaration, columns)?;
        let wanted: Vec<Arc<LiveFile>> = self
            .files()
            .filter(|file| {
                let bounds = |name: &str| -> Option<Bounds> {
                    let column = file.statistics.get(name)?;
                    Some((column.min.clone(), column.max.clone()))
                };
                let leading = declaration.key.first().and_then(|name| bounds(name));
                range.meets(leading.as_ref(), bounds(declaration.time_column()).as_ref())
            })
            .cloned()
            .collect();
        let reader = Arc::new(RangeReader {
            folder: self.table.folder.clone(),
            declaration: Arc::clone(declaration),
            key_columns: self.codec.key_columns.clone(),
            schema: Arc::clone(&schema),
            range,
        });
        let runs = files_by_run(&wanted)
            .into_iter()
            .map(|files| run_of(files, &reader))
            .collect();
        let input = MergeInput {
            folder: &self.table.folder,
            declaration,
            codec: &self.codec,
            schema,
            verify: false,
        };
        Ok(SortedRows {
            merge: Merge::of_batches(input, runs)?,
        })
    }

    /// Returns the rows that were recorded at `from` (µs since 1970 UTC) or later, in no order: the key columns and `columns`
    /// in the order of the file, and the times of reception and recording. Files of earlier rows are not opened, nor those in
    /// `seen`, whose rows are left out.
    pub fn recorded_from(
        &self,
        from: i64,
        columns: &[&str],
        seen: &[Arc<LiveFile>],
    ) -> Result<impl Iterator<Item = Result<RecordBatch, LakeError>> + use<>, LakeError> {
        let declaration = Arc::clone(&self.table.declaration);
        let schema = key_schema(
            &declaration,
            &[columns, &[RECEIVED_AT, RECORDED_AT]].concat(),
        )?;
        let folder = self.table.folder.clone();
        let files: Vec<Arc<LiveFile>> = self
            .files()
            .filter(|file| file.recorded_bounds().is_none_or(|(_, last)| last >= from))
            .filter(|file| !seen.iter().any(|seen| seen.path == file.path))
            .cloned()
            .collect();
        Ok(files.into_iter().flat_map(move |file| -> Batches {
            let dataset = declaration.id.clone();
            let rows = read::read_file(&folder, &declaration, &file, &schema, BATCH_ROWS);
            match rows {
                Ok(rows) => Box::new(rows.map(move |batch| {
                    recorded(&batch?, from).map_err(LakeError::arrow("select", &dataset))
                })),
                Err(error) => Box::new(std::iter::once(Err(error))),
            }
        }))
    }
}

/// Rows in the order of the key.
pub struct SortedRows<'a> {
    merge: Merge<'a>,
}

impl SortedRows<'_> {
    /// Returns the next rows; none at the end.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, LakeError> {
        self.merge.next_batch()
    }
}

/// Reads the wanted rows of files.
struct RangeReader {
    folder: TableFolder,
    declaration: Arc<DatasetDeclaration>,
    /// Positions of the key columns in a file.
    key_columns: Vec<usize>,
    /// What is read.
    schema: SchemaRef,
    range: RowRange,
}

/// Returns the rows of one run, each file opened when it is come to.
fn run_of(files: Vec<Arc<LiveFile>>, reader: &Arc<RangeReader>) -> Batches {
    let reader = Arc::clone(reader);
    Box::new(files.into_iter().flat_map(move |file| -> Batches {
        match reader.read(&file) {
            Ok(rows) => rows,
            Err(error) => {
                let error = damage::diagnose(&reader.folder, &file, error);
                Box::new(std::iter::once(Err(error)))
            }
        }
    }))
}

impl RangeReader {
    fn read(self: &Arc<Self>, file: &Arc<LiveFile>) -> Result<Batches, LakeError> {
        let shown = self.folder.shown(&file.path);
        let failed = || LakeError::parquet("read", &shown);
        // These rows are answered, or others are computed from them.
        self.folder.refuse_damaged(&file.path)?;
        let mut input = self.folder.open(file, Access::Pages)?;
        let footer = load_footer(&input).map_err(failed())?;
        let ranges = self.page_ranges(footer.metadata());
        if ranges.is_empty() {
            return Ok(Box::new(std::iter::empty()));
        }
        let rows = ranges.iter().map(ExactSizeIterator::len).sum::<usize>();
        let is_whole = rows == file.rows as usize;
        if is_whole {
            input = self.folder.open(file, Access::Whole)?;
        }
        let selected = (!is_whole).then(|| select_ranges(footer.metadata(), ranges));
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(input, footer);
        let mask = read::columns_of(&builder, &self.schema);
        let mut builder = builder.with_projection(mask).with_batch_size(BATCH_ROWS);
        if let Some((groups, selection)) = selected {
            builder = builder
                .with_row_groups(groups)
                .with_row_selection(selection);
        }
        let rows = builder.build().map_err(failed())?;
        let (reader, file) = (Arc::clone(self), Arc::clone(file));
        Ok(Box::new(rows.map(move |batch| {
            batch
                .and_then(|batch| reader.wanted(&batch, &file))
                .map_err(LakeError::arrow("read", &reader.declaration.id))
                .map_err(|error| damage::diagnose(&reader.folder, &file, error))
        })))
    }

    /// Returns the row ranges of a file whose pages can hold wanted rows, ascending.
    fn page_ranges(&self, metadata: &ParquetMetaData) -> Vec<Range<usize>> {
        let time = self.declaration.time_column();
        let of_time = self.declaration.key.iter().position(|name| name == time);
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut group_start = 0;
        for (group, row_group) in metadata.row_groups().iter().enumerate() {
            let group_rows = row_group.num_rows() as usize;
            for (page, bounds) in key_pages(&self.key_columns, metadata, group, group_rows) {
                let time = of_time.and_then(|position| bounds.get(position));
                if !self.range.meets(bounds.first(), time) {
                    continue;
                }
                let (start, end) = (group_start + page.start, group_start + page.end);
                match ranges.last_mut() {
                    Some(last) if last.end == start => last.end = end,
                    _ => ranges.push(start..end),
                }
            }
            group_start += group_rows;
        }
        ranges
    }

    /// Returns the wanted rows of a batch, with their licence: pages hold others, too.
    fn wanted(&self, batch: &RecordBatch, file: &LiveFile) -> Result<RecordBatch, ArrowError> {
        let batch = conform(batch, &self.schema)?;
        let times = batch
            .column_by_name(self.declaration.time_column())
            .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let leading = self
            .declaration
            .key
            .first()
            .and_then(|name| batch.column_by_name(name));
        let mut is_leading = IsLeading::new(
            self.range.leading.as_deref(),
            leading.map(|column| &**column),
        );
        let (from, to) = (self.range.from, self.range.to);
        let is_wanted: Vec<bool> = (0..batch.num_rows())
            .map(|row| {
                let is_timely = times.is_none_or(|times| (from..to).contains(&times.value(row)));
                is_timely && is_leading.at(row)
            })
            .collect();
        let batch = if is_wanted.iter().all(|is_wanted| *is_wanted) {
            batch
        } else {
            filter_record_batch(&batch, &BooleanArray::from(is_wanted))?
        };
        with_licence(&batch, file.licence.as_str())
    }
}

/// Says which rows have a wanted value in the first key column. Rows of one value follow each other.
struct IsLeading<'a> {
    wanted: Option<&'a [KeyPart]>,
    column: Option<&'a dyn Array>,
    /// The value that was looked up last, and what was found.
    last: Option<(KeyPart, bool)>,
}

impl<'a> IsLeading<'a> {
    fn new(wanted: Option<&'a [KeyPart]>, column: Option<&'a dyn Array>) -> Self {
        Self {
            wanted,
            column,
            last: None,
        }
    }

    fn at(&mut self, row: usize) -> bool {
        let (Some(wanted), Some(column)) = (self.wanted, self.column) else {
            return true;
        };
        if let Some((last, is_wanted)) = &self.last
            && is_at(last, column, row)
        {
            return *is_wanted;
        }
        let Some(part) = KeyPart::of(column, row) else {
            return false;
        };
        let is_wanted = wanted.binary_search(&part).is_ok();
        self.last = Some((part, is_wanted));
        is_wanted
    }
}

/// Returns whether a row has a value, without making one of it.
fn is_at(part: &KeyPart, column: &dyn Array, row: usize) -> bool {
    match part {
        KeyPart::Int(value) => column
            .as_primitive_opt::<Int64Type>()
            .is_some_and(|column| column.value(row) == *value),
        KeyPart::Text(value) => column
            .as_string_opt::<i32>()
            .is_some_and(|column| column.value(row) == value.as_ref()),
    }
}

fn with_licence(batch: &RecordBatch, licence: &str) -> Result<RecordBatch, ArrowError> {
    let mut fields = batch.schema().fields().to_vec();
    fields.push(Arc::new(Field::new(LICENCE, DataType::Utf8, false)));
    let licences = std::iter::repeat_n(licence, batch.num_rows());
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(StringArray::from_iter_values(licences)));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// Returns the rows that were recorded at `from` or later.
fn recorded(batch: &RecordBatch, from: i64) -> Result<RecordBatch, ArrowError> {
    let times = |name: &str| {
        let column = batch.column_by_name(name)?;
        column.as_primitive_opt::<TimestampMicrosecondType>()
    };
    let (received, recorded) = (times(RECEIVED_AT), times(RECORDED_AT));
    let is_new = (0..batch.num_rows()).map(|row| {
        let at = recorded
            .filter(|recorded| recorded.is_valid(row))
            .or(received)
            .map(|times| times.value(row));
        at.is_none_or(|at| at >= from)
    });
    let is_new: Vec<bool> = is_new.collect();
    filter_record_batch(batch, &BooleanArray::from(is_new))
}

#[cfg(test)]
mod tests;
