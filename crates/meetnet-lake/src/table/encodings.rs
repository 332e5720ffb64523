//! How the columns of a row group are encoded: settings of the Parquet writer, and what its first rows say about them.
//! The trials behind each choice stand in docs/decisions/0003-file-layout.md.
//!
//! `dataset, first rows of a row group -> one writer per column`

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::{concat, partition};
use arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, Schema, SchemaRef, TimestampMicrosecondType,
};
use meetnet_model::calendar::{period_end, period_start};
use meetnet_model::common::RECEIVED_AT;
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, TypePtr};

/// Rows between two looks at the length of a page in columns that are never null; in others a page is as long as asked for. Pages
/// of a multiple of it begin at the same rows in both, as far as rows are not passed on in pieces.
const BATCH_ROWS: usize = 1_024;
/// Rows per page of a declared column at most: a key look-up reads about one page per sensor.
const PAGE_ROWS_MAX: usize = 5 * BATCH_ROWS;
/// Pages that a series should have: a window of time over all sensors reads those that it touches, and of a series in one page
/// that is all of it.
const PAGES_PER_SERIES: f64 = 4.0;
/// A series of fewer rows in a period has no pages of its own size: the least page would be half of it, or more.
const SERIES_ROWS_MIN: f64 = 2_000.0;
/// Tests have small pages, see `parquet_file`.
const TEST_PAGE_ROWS: usize = if cfg!(test) { 4 } else { PAGE_ROWS_MAX };
/// Bytes of a page of a common column, nearly always its whole row group: when a row was received repeats from one
/// property of a sensor to the next, a month of rows apart, and compression sees no further than the page.
const COMMON_PAGE_BYTES: usize = 4 << 20;
/// Rows per page of a common column: more than a row group has. Not the greatest number: the writer adds to it.
const COMMON_PAGE_ROWS: usize = 1 << 20;
/// Rows of a row group that are looked at, and values of a column: a dictionary pays later than in its first thousands.
pub(crate) const SAMPLE_ROWS: usize = 32_768;
/// Up to this share of distinct values a dictionary is never much larger than the values.
const REPEATED_SHARE_MAX: f64 = 0.2;
/// Beyond this share of distinct values no dictionary was smaller than the values.
const UNREPEATED_SHARE_MIN: f64 = 0.7;

/// Returns the settings that hold for a whole file.
pub(crate) fn settings(kind: DatasetKind) -> WriterPropertiesBuilder {
    // Level 1 saves a sixth of the CPU time of level 3 and costs 4 % of size. Level 6 takes a fortieth off the many counts of a
    // wide dataset, of which there are few rows; off readings, of which there are many, it takes nothing.
    let level = match kind {
        DatasetKind::Wide => 6,
        DatasetKind::Long | DatasetKind::Places | DatasetKind::Private => 3,
    };
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(
            ZstdLevel::try_new(level).expect("3 and 6 are zstd levels"),
        ))
        .set_write_batch_size(BATCH_ROWS)
}

/// Returns the writers of a row group that begins with `rows` (file schema), of which there is at least one batch and which are
/// looked at up to [`SAMPLE_ROWS`]; `root` is the file's Parquet schema.
pub(crate) fn column_writers(
    declaration: &DatasetDeclaration,
    root: &TypePtr,
    rows: &[RecordBatch],
) -> Result<Vec<ArrowColumnWriter>, ParquetError> {
    let rows = FirstRows::of(rows);
    let schema = rows.schema();
    // Each column is one leaf: the only nested type is a list.
    let declared = declaration.columns.len();
    let settings = declared_columns(declaration, &rows)?;
    let mut columns = writers(settings, root, Arc::clone(&schema))?;
    columns.truncate(declared);
    let common = writers(common_columns(declaration, &schema), root, schema)?;
    columns.extend(common.into_iter().skip(declared));
    Ok(columns)
}

/// The first rows of a row group. Few of their columns are looked at, so each is put together when it is: all of them would be a copy
/// of rows that wait in memory already.
struct FirstRows(Vec<RecordBatch>);

impl FirstRows {
    /// Takes up to [`SAMPLE_ROWS`] of batches, of which there is at least one.
    fn of(batches: &[RecordBatch]) -> Self {
        let mut room = SAMPLE_ROWS;
        let mut first = Vec::new();
        for batch in batches {
            let length = batch.num_rows().min(room);
            first.push(batch.slice(0, length));
            room -= length;
            if room == 0 {
                break;
            }
        }
        Self(first)
    }

    fn schema(&self) -> SchemaRef {
        self.0[0].schema()
    }

    /// Returns the rows of one column.
    fn column(&self, index: usize) -> Result<ArrayRef, ParquetError> {
        match self.0.as_slice() {
            [one] => Ok(Arc::clone(one.column(index))),
            several => {
                let parts = several.iter().map(|batch| batch.column(index).as_ref());
                Ok(concat(&parts.collect::<Vec<_>>())?)
            }
        }
    }
}

/// Settings are those of a whole file. A file that goes nowhere lends its own to a row group of another.
fn writers(
    settings: WriterPropertiesBuilder,
    root: &TypePtr,
    schema: SchemaRef,
) -> Result<Vec<ArrowColumnWriter>, ParquetError> {
    let settings = Arc::new(settings.build());
    let file = SerializedFileWriter::new(io::sink(), Arc::clone(root), settings)?;
    ArrowRowGroupWriterFactory::new(&file, schema).create_column_writers(0)
}

fn declared_columns(
    declaration: &DatasetDeclaration,
    rows: &FirstRows,
) -> Result<WriterPropertiesBuilder, ParquetError> {
    let schema = rows.schema();
    let page_rows = page_rows(declaration, rows)?.min(TEST_PAGE_ROWS);
    let start = settings(declaration.kind).set_data_page_row_count_limit(page_rows);
    let mut settings = start.clone();
    for (index, field) in schema.fields().iter().enumerate() {
        settings = match field.data_type() {
            DataType::Timestamp(..) => packed(settings, leaf(field)),
            DataType::Float64 | DataType::List(_)
                if !wants_dictionary(&start, field, &rows.column(index)?)? =>
            {
                settings.set_column_dictionary_enabled(leaf(field), false)
            }
            _ => settings,
        };
    }
    Ok(settings)
}

/// Returns the rows of a page of a declared column. A page of a wide dataset costs its header in some forty columns, and those of
/// a network that measures by the minute are many as they are: they all have the greatest.
fn page_rows(declaration: &DatasetDeclaration, rows: &FirstRows) -> Result<usize, ParquetError> {
    let of_series = match declaration.kind {
        DatasetKind::Long => rows_of_a_series(declaration, rows),
        _ => Ok(None),
    };
    Ok(match of_series? {
        Some(of_series) if of_series >= SERIES_ROWS_MIN => {
            let batches = (of_series / PAGES_PER_SERIES) as usize / BATCH_ROWS;
            (batches * BATCH_ROWS).clamp(BATCH_ROWS, PAGE_ROWS_MAX)
        }
        _ => PAGE_ROWS_MAX,
    })
}

/// Returns how many rows a series has in a whole period at the pace of these: a commit has few of them, and a merge passes rows on
/// as they come. None where the key has no time, or no two rows follow each other in it.
fn rows_of_a_series(
    declaration: &DatasetDeclaration,
    rows: &FirstRows,
) -> Result<Option<f64>, ParquetError> {
    let last = declaration.key.last();
    let ends_in_time = last.is_some_and(|last| last == declaration.time_column());
    let key = declaration.key_indices();
    let Some((time, series)) = key.split_last().filter(|_| ends_in_time) else {
        return Ok(None);
    };
    let times = rows.column(*time)?;
    let series = series.iter().map(|column| rows.column(*column));
    let series = series.collect::<Result<Vec<ArrayRef>, _>>()?;
    Ok(rows_at_the_pace_of(declaration, &times, &series))
}

/// Returns the rows of a whole period at the pace of rows with these times and series.
fn rows_at_the_pace_of(
    declaration: &DatasetDeclaration,
    times: &ArrayRef,
    series: &[ArrayRef],
) -> Option<f64> {
    let times = times.as_primitive_opt::<TimestampMicrosecondType>()?;
    let (mut steps, mut span_us) = (0_usize, 0_i64);
    for run in partition(series).ok()?.ranges() {
        steps += run.len() - 1;
        span_us += times.value(run.end - 1) - times.value(run.start);
    }
    let first = *times.values().first()?;
    let grain = declaration.grain;
    let period_us = period_end(first, grain) - period_start(first, grain);
    (span_us > 0).then(|| period_us as f64 * steps as f64 / span_us as f64)
}

fn common_columns(declaration: &DatasetDeclaration, schema: &Schema) -> WriterPropertiesBuilder {
    let mut settings = settings(declaration.kind)
        .set_data_page_row_count_limit(COMMON_PAGE_ROWS)
        .set_data_page_size_limit(COMMON_PAGE_BYTES);
    for field in schema.fields() {
        if !matches!(field.data_type(), DataType::Timestamp(..)) {
            continue;
        }
        // The second property of a sensor was received when the first was: as they are, the same bytes come again, as
        // differences they would not. Rows of a wide dataset share it with no other.
        settings = if field.name() == RECEIVED_AT && declaration.kind == DatasetKind::Long {
            settings.set_column_dictionary_enabled(leaf(field), false)
        } else {
            packed(settings, leaf(field))
        };
    }
    settings
}

/// Times in key order rise by near-constant steps: differences pack them to bits, a dictionary would not.
fn packed(settings: WriterPropertiesBuilder, column: ColumnPath) -> WriterPropertiesBuilder {
    settings
        .set_column_dictionary_enabled(column.clone(), false)
        .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED)
}

fn leaf(field: &Field) -> ColumnPath {
    let mut parts = vec![field.name().clone()];
    if let DataType::List(element) = field.data_type() {
        parts.extend(["list".to_owned(), element.name().clone()]);
    }
    ColumnPath::new(parts)
}

/// Returns true where a column of floats or lists of floats is smaller with a dictionary. Readings that their device rounds repeat,
/// shares of a histogram do not, and of counts that were extrapolated the number of distinct ones does not tell: both are tried.
fn wants_dictionary(
    settings: &WriterPropertiesBuilder,
    field: &FieldRef,
    array: &ArrayRef,
) -> Result<bool, ParquetError> {
    let sample = first_values(array);
    let share = distinct_share(&sample);
    if share <= REPEATED_SHARE_MAX || share > UNREPEATED_SHARE_MIN {
        return Ok(share <= REPEATED_SHARE_MAX);
    }
    let bytes = |has_dictionary| {
        let settings = settings.clone().set_dictionary_enabled(has_dictionary);
        encoded_bytes(settings, field, &sample)
    };
    Ok(bytes(true)? < bytes(false)?)
}

/// Returns the first rows of a column: [`SAMPLE_ROWS`], or lists of about as many values.
fn first_values(array: &ArrayRef) -> ArrayRef {
    let rows = match array.as_list_opt::<i32>() {
        Some(lists) => {
            let offsets = lists.value_offsets();
            let end = offsets[0].saturating_add(SAMPLE_ROWS as i32);
            // The list in which the last of the values lies is the last one.
            offsets[1..].partition_point(|offset| *offset < end) + 1
        }
        None => SAMPLE_ROWS,
    };
    array.slice(0, rows.min(array.len()))
}

/// Returns distinct values by values: 0 of a column without values.
fn distinct_share(array: &ArrayRef) -> f64 {
    let lists = array.as_list_opt::<i32>();
    let within = lists.map(|lists| {
        let (start, end) = (lists.value_offsets()[0], lists.value_offsets()[lists.len()]);
        lists.values().slice(start as usize, (end - start) as usize)
    });
    let values: Option<&Float64Array> = within
        .as_ref()
        .unwrap_or(array)
        .as_primitive_opt::<Float64Type>();
    let mut seen = HashSet::new();
    let mut count = 0_usize;
    for value in values.into_iter().flatten().flatten() {
        seen.insert(value.to_bits());
        count += 1;
    }
    seen.len() as f64 / count.max(1) as f64
}

/// Returns the bytes of a column chunk of these values.
fn encoded_bytes(
    settings: WriterPropertiesBuilder,
    field: &FieldRef,
    array: &ArrayRef,
) -> Result<i64, ParquetError> {
    let schema = Arc::new(Schema::new(vec![Arc::clone(field)]));
    let root = ArrowSchemaConverter::new().convert(&schema)?;
    let mut bytes = 0;
    for mut column in writers(settings, &root.root_schema_ptr(), schema)? {
        for leaf in compute_leaves(field, array)? {
            column.write(&leaf)?;
        }
        bytes += column.close()?.close().metadata.compressed_size();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
