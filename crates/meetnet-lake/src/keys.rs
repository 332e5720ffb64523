//! Keys as bytes: comparable, hashable, and with the series (the key without its time) as a prefix.
//!
//! The bytes are Arrow's row format, so their order is the order of the files. A timestamp is its last nine bytes.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use arrow::row::{RowConverter, Rows, SortField};
use meetnet_model::dataset::DatasetDeclaration;

use crate::error::LakeError;
use crate::snapshot::StatisticsValue;

/// Bytes of a timestamp in the row format: one for null, eight for the value.
const TIMESTAMP_BYTES: usize = 9;

/// Encodes the keys of one dataset.
#[derive(Debug)]
pub(crate) struct KeyCodec {
    keys: RowConverter,
    values: RowConverter,
    /// Positions of the key columns in the declared (and file) schema.
    pub(crate) key_columns: Vec<usize>,
    /// Positions of the declared columns outside the key.
    pub(crate) value_columns: Vec<usize>,
    /// Whether the key ends in the time column, so that a series has a frontier.
    pub(crate) has_series: bool,
}

impl KeyCodec {
    pub(crate) fn new(declaration: &DatasetDeclaration) -> Result<Self, LakeError> {
        let converter = |columns: &[usize]| {
            let fields = columns
                .iter()
                .map(|i| SortField::new(declaration.columns[*i].column_type.data_type()))
                .collect();
            RowConverter::new(fields).map_err(LakeError::arrow("encode", &declaration.id))
        };
        let key_columns = declaration.key_indices();
        let value_columns = declaration.value_indices();
        let has_series = declaration.key.len() > 1
            && declaration
                .key
                .last()
                .is_some_and(|name| name == declaration.time_column());
        Ok(Self {
            keys: converter(&key_columns)?,
            values: converter(&value_columns)?,
            key_columns,
            value_columns,
            has_series,
        })
    }

    /// Returns the keys of `rows`, whose first columns are the declared ones.
    pub(crate) fn keys(&self, rows: &RecordBatch) -> Result<Rows, arrow::error::ArrowError> {
        self.keys.convert_columns(&select(rows, &self.key_columns))
    }

    /// Returns keys from just the key columns, in key order.
    pub(crate) fn keys_of(&self, columns: &[ArrayRef]) -> Result<Rows, arrow::error::ArrowError> {
        self.keys.convert_columns(columns)
    }

    /// Returns the declared values outside the key, as bytes that are equal where the values are.
    pub(crate) fn values(&self, rows: &RecordBatch) -> Result<Rows, arrow::error::ArrowError> {
        self.values
            .convert_columns(&select(rows, &self.value_columns))
    }

    /// Returns the same from just the columns outside the key, in declared order.
    pub(crate) fn values_of(&self, columns: &[ArrayRef]) -> Result<Rows, arrow::error::ArrowError> {
        self.values.convert_columns(columns)
    }

    /// Returns the series part of a key; the whole key where there is no series.
    pub(crate) fn series<'a>(&self, key: &'a [u8]) -> &'a [u8] {
        if self.has_series {
            &key[..key.len() - TIMESTAMP_BYTES]
        } else {
            key
        }
    }

    /// Returns the series of a key and its time, as a number in the order of times; 0 where there is no series.
    pub(crate) fn split<'a>(&self, key: &'a [u8]) -> (&'a [u8], u64) {
        let series = self.series(key);
        // The row format has them with the greatest byte first and the sign turned around.
        let time = key[series.len()..].last_chunk();
        (series, time.map_or(0, |time| u64::from_be_bytes(*time)))
    }
}

fn select(rows: &RecordBatch, columns: &[usize]) -> Vec<ArrayRef> {
    columns.iter().map(|i| rows.column(*i).clone()).collect()
}

/// Returns the value of a key column as statistics have it.
pub(crate) fn key_value(array: &dyn Array, row: usize) -> Option<StatisticsValue> {
    match array.data_type() {
        DataType::Int64 => Some(StatisticsValue::Int(
            array.as_primitive::<Int64Type>().value(row),
        )),
        DataType::Timestamp(..) => Some(StatisticsValue::Int(
            array.as_primitive::<TimestampMicrosecondType>().value(row),
        )),
        DataType::Utf8 => Some(StatisticsValue::Text(
            array.as_string::<i32>().value(row).into(),
        )),
        _ => None,
    }
}

/// Returns the positions in `rows` (sorted) that lie in `key ..= end of its series`.
pub(crate) fn series_tail(rows: &Rows, key: &[u8], series: &[u8]) -> Range<usize> {
    let row = |index: usize| rows.row(index).data();
    let start = partition_point(rows.num_rows(), |index| row(index) < key);
    // Every key of the series starts with its bytes, and those of later series are greater.
    let end = partition_point(rows.num_rows(), |index| {
        row(index) < key || row(index).starts_with(series)
    });
    start..end
}

/// Returns the first index below `length` where `below` is false; it must be true up to there and false from there.
pub(crate) fn partition_point(length: usize, below: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = low + (high - low) / 2;
        if below(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
