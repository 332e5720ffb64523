//! Searching a Parquet file for personal data: data files of tables, checkpoints of their logs, files of others.
//!
//! `every text column, columns of coordinates, footer ─▶ model::redact::Search ─▶ leaks by place`
//!
//! It reads column by column, a few thousand values at a time, and knows no declaration: whatever a file says is looked
//! at. What personal data looks like is `meetnet_model::redact`'s business.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use meetnet_model::common;
use meetnet_model::redact::{Allowed, Leak, Search};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::Type;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::DataType;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::error::LakeError;
use crate::storage::{Access, FileChunks, LakeStorage};

#[cfg(test)]
mod tests;

/// Values that are decoded at once.
const BATCH_VALUES: usize = 8_192;
/// Where the writers of Arrow keep its schema, encoded; it is read as a schema.
const ARROW_SCHEMA: &str = "ARROW:schema";

/// Returns the personal data in a file, with the column or part of the footer that holds it.
///
/// # Errors
/// Where the file is not there, or cannot be read as Parquet.
pub fn search_parquet(
    storage: &dyn LakeStorage,
    path: &str,
    allowed: &Allowed,
) -> Result<Vec<(String, Leak)>, LakeError> {
    let shown = Path::new(&storage.location().name()).join(path);
    let file = storage
        .open(path, Access::Whole)
        .map_err(LakeError::io("open", &shown))?;
    SerializedFileReader::new(FileChunks::new(file))
        .and_then(|reader| search(&reader, allowed))
        .map_err(LakeError::parquet("read", &shown))
}

/// Returns the longitudes and latitudes in a file of places, of the rows that are from some of the sources.
///
/// # Errors
/// As [`search_parquet`].
pub fn coordinates_of(
    storage: &dyn LakeStorage,
    path: &str,
    sources: &BTreeSet<String>,
) -> Result<Vec<f64>, LakeError> {
    let shown = Path::new(&storage.location().name()).join(path);
    let file = storage
        .open(path, Access::Whole)
        .map_err(LakeError::io("open", &shown))?;
    let rows = ParquetRecordBatchReaderBuilder::try_new(FileChunks::new(file))
        .and_then(|builder| builder.build())
        .map_err(LakeError::parquet("read", &shown))?;
    let mut found = Vec::new();
    for batch in rows {
        let batch = batch.map_err(|error| LakeError::parquet("read", &shown)(error.into()))?;
        let of_sources = batch.column_by_name(common::SOURCE);
        let Some(of_sources) = of_sources.and_then(|array| array.as_string_opt::<i32>()) else {
            continue;
        };
        for name in ["lon", "lat"] {
            let degrees = batch.column_by_name(name);
            let degrees = degrees.and_then(|array| array.as_primitive_opt::<Float64Type>());
            for (source, degrees) in of_sources.iter().zip(degrees.into_iter().flatten()) {
                if source.is_some_and(|source| sources.contains(source)) {
                    found.extend(degrees);
                }
            }
        }
    }
    Ok(found)
}

fn search(
    reader: &SerializedFileReader<FileChunks>,
    allowed: &Allowed,
) -> Result<Vec<(String, Leak)>, ParquetError> {
    let mut found = Vec::new();
    let mut add = |place: String, search: Search| {
        found.extend(
            search
                .finish()
                .into_iter()
                .map(|leak| (place.clone(), leak)),
        );
    };
    for (place, search) in search_footer(reader, allowed)? {
        add(format!("footer {place}"), search);
    }
    let schema = reader.metadata().file_metadata().schema_descr();
    for (index, column) in schema.columns().iter().enumerate() {
        let name = column.path().parts().last().map_or("", String::as_str);
        let mut search = Search::new(name, allowed);
        let is_read = match column.physical_type() {
            Type::BYTE_ARRAY => true,
            Type::DOUBLE | Type::FLOAT => search.holds_coordinates(),
            _ => false,
        };
        if !is_read {
            continue;
        }
        for group in 0..reader.num_row_groups() {
            match reader.get_row_group(group)?.get_column_reader(index)? {
                ColumnReader::ByteArrayColumnReader(values) => visit(values, |value| {
                    // What is no text says nothing to a reader of texts.
                    if let Ok(text) = std::str::from_utf8(value.data()) {
                        search.text(text);
                    }
                })?,
                ColumnReader::DoubleColumnReader(values) => {
                    visit(values, |value| search.number(*value))?;
                }
                ColumnReader::FloatColumnReader(values) => {
                    visit(values, |value| search.number(f64::from(*value)))?;
                }
                _ => {}
            }
        }
        add(format!("column {}", column.path().string()), search);
    }
    Ok(found)
}

/// Shows each value of a column of a row group.
fn visit<T: DataType>(
    mut values: ColumnReaderImpl<T>,
    mut show: impl FnMut(&T::T),
) -> Result<(), ParquetError> {
    let (mut definitions, mut repetitions) = (Vec::new(), Vec::new());
    let mut batch = Vec::with_capacity(BATCH_VALUES);
    loop {
        definitions.clear();
        repetitions.clear();
        batch.clear();
        let (records, _, _) = values.read_records(
            BATCH_VALUES,
            Some(&mut definitions),
            Some(&mut repetitions),
            &mut batch,
        )?;
        batch.iter().for_each(&mut show);
        if records == 0 {
            return Ok(());
        }
    }
}

/// Searches what the footer says of the file and of its columns, beside their names.
fn search_footer(
    reader: &SerializedFileReader<FileChunks>,
    allowed: &Allowed,
) -> Result<BTreeMap<String, Search>, ParquetError> {
    let metadata = reader.metadata().file_metadata();
    let mut places = BTreeMap::new();
    let mut look = |place: &str, key: &str, text: &str| {
        places
            .entry(place.to_owned())
            .or_insert_with(|| Search::new(key, allowed))
            .text(text);
    };
    if let Some(maker) = metadata.created_by() {
        look("created_by", "created_by", maker);
    }
    let pairs = metadata.key_value_metadata();
    for pair in pairs
        .into_iter()
        .flatten()
        .filter(|pair| pair.key != ARROW_SCHEMA)
    {
        look(
            &pair.key,
            &pair.key,
            pair.value.as_deref().unwrap_or_default(),
        );
        look("keys", "", &pair.key);
    }
    let schema = parquet_to_arrow_schema(metadata.schema_descr(), pairs)?;
    for field in schema.fields() {
        look("columns", "", field.name());
        for (key, value) in field.metadata() {
            look(&format!("{} of {}", key, field.name()), key, value);
        }
    }
    Ok(places)
}
