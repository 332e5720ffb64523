//! One Parquet file, zstd. Row groups leave as they are complete; the footer says `through` and `stable_time`. What is not
//! complete is in memory: of a thousand columns with as many dictionaries that would be gigabytes, so that an answer of many
//! columns, or of long texts, has smaller row groups.
//!
//! Intervals are texts in it, as in CSV and JSON: the writer of parquet 59.3 has none of months, days and nanoseconds, and
//! Parquet's own type has milliseconds and is read by few.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::streamed::{Finished, Streamed};
use super::{ATTRIBUTION, Encoder, Footer, Header, LICENCE, failed, format_time};
use crate::error::{QueryError, QueryErrorKind};

/// Rows of one row group, which is what the writer holds in memory.
const ROW_GROUP_ROWS: usize = 131_072;
/// Bytes that the writer may hold behind a batch; a row group of a dataset's columns has less.
const ROW_GROUP_BYTES: usize = 32 << 20;
/// Columns up to which each has a dictionary, whose table takes 72 KiB before there is a value.
const DICTIONARIES_MAX: usize = 256;
/// Columns of a file, of which each part of a struct is one: more than a SELECT may have. Each takes some kilobytes in every
/// row group, also where there is one row.
const COLUMNS_MAX: usize = 4_096;
const WRITING: &str = "writing Parquet";

pub(super) struct ParquetFile {
    file: Streamed<ArrowWriter<Finished>>,
    /// What is written, where that is not what is answered.
    written: Option<SchemaRef>,
}

impl Default for ParquetFile {
    fn default() -> Self {
        Self {
            file: Streamed::new(WRITING),
            written: None,
        }
    }
}

/// Returns the type that values are written as; None where that is their own.
fn written_type(of: &DataType) -> Option<DataType> {
    Some(match of {
        DataType::Interval(_) => DataType::Utf8,
        DataType::List(field) => DataType::List(written_field(field)?),
        DataType::LargeList(field) => DataType::LargeList(written_field(field)?),
        DataType::Struct(fields) if fields.iter().any(|field| written_field(field).is_some()) => {
            let fields = fields.iter();
            let written =
                fields.map(|field| written_field(field).unwrap_or_else(|| Arc::clone(field)));
            DataType::Struct(written.collect())
        }
        _ => return None,
    })
}

fn written_field(of: &FieldRef) -> Option<FieldRef> {
    let data_type = written_type(of.data_type())?;
    Some(Arc::new(Field::clone(of).with_data_type(data_type)))
}

/// Returns the schema that an answer is written with; None where that is its own.
fn written_schema(of: &SchemaRef) -> Option<SchemaRef> {
    let is_other = of
        .fields()
        .iter()
        .any(|field| written_field(field).is_some());
    is_other.then(|| {
        let fields = of.fields().iter();
        let written = fields.map(|field| written_field(field).unwrap_or_else(|| Arc::clone(field)));
        let written: Vec<FieldRef> = written.collect();
        Arc::new(Schema::new_with_metadata(written, of.metadata().clone()))
    })
}

/// Returns rows as they are written.
fn written_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, QueryError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(
        |(column, field)| match column.data_type() == field.data_type() {
            true => Ok(Arc::clone(column)),
            false => cast(column, field.data_type()),
        },
    );
    columns
        .collect::<Result<Vec<_>, _>>()
        .and_then(|columns| RecordBatch::try_new(Arc::clone(schema), columns))
        .map_err(|error| failed(WRITING, error))
}

/// Returns how many columns of Parquet a type is.
fn columns_of(of: &DataType) -> usize {
    match of {
        DataType::Struct(fields) => fields
            .iter()
            .map(|field| columns_of(field.data_type()))
            .sum(),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => columns_of(field.data_type()),
        _ => 1,
    }
}

/// Completes the row group where the writer holds much of it.
fn complete_row_group(writer: &mut ArrowWriter<Finished>) -> Result<(), ParquetError> {
    if writer.memory_size() < ROW_GROUP_BYTES {
        return Ok(());
    }
    writer.flush()
}

impl Encoder for ParquetFile {
    fn begin(&mut self, header: &Header<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let fields = header.schema.fields().iter();
        let columns: usize = fields.map(|field| columns_of(field.data_type())).sum();
        if columns > COLUMNS_MAX {
            return Err(QueryError::new(
                QueryErrorKind::TooLarge,
                format!(
                    "the answer has {columns} columns as Parquet, which has one for each part of a struct; at most \
                     {COLUMNS_MAX} are written: ask for the parts that you need, or for another format"
                ),
            ));
        }
        let level = ZstdLevel::try_new(3).map_err(|error| failed(WRITING, error))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_dictionary_enabled(columns <= DICTIONARIES_MAX)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by("meetnet".to_owned())
            .build();
        self.written = written_schema(header.schema);
        let schema = Arc::clone(self.written.as_ref().unwrap_or(header.schema));
        self.file
            .begin(|to| ArrowWriter::try_new(to, schema, Some(properties)), out)
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        match &self.written {
            Some(schema) => {
                let batch = written_batch(batch, schema)?;
                self.file.batch_and(&batch, complete_row_group, out)
            }
            None => self.file.batch_and(batch, complete_row_group, out),
        }
    }

    fn end(&mut self, footer: &Footer<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let mut facts = vec![
            ("meetnet.through", footer.through.to_string()),
            ("meetnet.stable_time", format_time(footer.stable_time)),
            ("meetnet.truncated", footer.truncated.to_string()),
            ("meetnet.rows", footer.rows.to_string()),
        ];
        if !footer.rights.licences.is_empty() {
            facts.push((LICENCE, footer.rights.licence_text()));
        }
        if !footer.rights.attributions.is_empty() {
            facts.push((ATTRIBUTION, footer.rights.attribution_text()));
        }
        if let Some(as_of) = footer.as_of {
            facts.push(("meetnet.as_of", format_time(as_of)));
        }
        let state_facts = |writer: &mut ArrowWriter<Finished>| {
            for (key, value) in facts {
                writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
            }
        };
        self.file.end(state_facts, out)
    }
}
