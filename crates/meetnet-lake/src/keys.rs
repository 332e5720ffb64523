//! Keys as bytes: comparable, hashable, and with the series (the key without its time) as a prefix.
//!
//! The bytes are Arrow's row format, so their order is the order of the files. A timestamp is its last nine bytes.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMicrosecondArray, make_comparator, new_null_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::SortOptions;
use arrow::compute::kernels::cmp::not_distinct;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
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
    /// The same bytes for every value; only nulls are greater than all values instead of less.
    keys_nulls_last: RowConverter,
    values: RowConverter,
    /// Types of the key columns.
    key_types: Vec<DataType>,
    /// Positions of the key columns in the declared (and file) schema.
    pub(crate) key_columns: Vec<usize>,
    /// Positions of the declared columns outside the key.
    pub(crate) value_columns: Vec<usize>,
    /// Whether the key ends in the time column, so that a series has a frontier.
    pub(crate) has_series: bool,
}

impl KeyCodec {
    pub(crate) fn new(declaration: &DatasetDeclaration) -> Result<Self, LakeError> {
        let data_type = |column: &usize| declaration.columns[*column].column_type.data_type();
        let converter = |columns: &[usize], options: SortOptions| {
            let fields = columns.iter().map(data_type);
            let fields = fields.map(|field| SortField::new_with_options(field, options));
            RowConverter::new(fields.collect()).map_err(LakeError::arrow("encode", &declaration.id))
        };
        let key_columns = declaration.key_indices();
        let value_columns = declaration.value_indices();
        let has_series = declaration.key.len() > 1
            && declaration
                .key
                .last()
                .is_some_and(|name| name == declaration.time_column());
        Ok(Self {
            keys: converter(&key_columns, SortOptions::default())?,
            keys_nulls_last: converter(&key_columns, SortOptions::default().nulls_last())?,
            values: converter(&value_columns, SortOptions::default())?,
            key_types: key_columns.iter().map(data_type).collect(),
            key_columns,
            value_columns,
            has_series,
        })
    }

    /// Returns the keys of `rows`, whose first columns are the declared ones.
    pub(crate) fn keys(&self, rows: &RecordBatch) -> Result<Rows, ArrowError> {
        self.keys.convert_columns(&select(rows, &self.key_columns))
    }

    /// Returns keys from just the key columns, in key order.
    pub(crate) fn keys_of(&self, columns: &[ArrayRef]) -> Result<Rows, ArrowError> {
        self.keys.convert_columns(columns)
    }

    /// Returns the declared values outside the key, as bytes that are equal where the values are.
    pub(crate) fn values(&self, rows: &RecordBatch) -> Result<Rows, ArrowError> {
        self.values
            .convert_columns(&select(rows, &self.value_columns))
    }

    /// Returns the same from just the columns outside the key, in declared order.
    pub(crate) fn values_of(&self, columns: &[ArrayRef]) -> Result<Rows, ArrowError> {
        self.values.convert_columns(columns)
    }

    /// Returns per set of rows bytes that none of their keys is less than, and bytes that none is greater than.
    /// `bound_of` knows the least and the greatest value of a key column (by its place in the key) in a set, or not.
    pub(crate) fn bounds<'b>(
        &self,
        sets: usize,
        bound_of: impl Fn(usize, usize) -> (Option<&'b StatisticsValue>, Option<&'b StatisticsValue>),
    ) -> Result<(Rows, Rows), ArrowError> {
        let columns = |value: &dyn Fn(usize, usize) -> Option<&'b StatisticsValue>| -> Vec<_> {
            let of_type = self.key_types.iter().enumerate();
            of_type
                .map(|(column, of)| array_of(of, (0..sets).map(|set| value(column, set)).collect()))
                .collect()
        };
        // A column of a key is never null: a bound that is not known is less or greater than everything.
        let least = columns(&|column, set| bound_of(column, set).0);
        let greatest = columns(&|column, set| bound_of(column, set).1);
        Ok((
            self.keys.convert_columns(&least)?,
            self.keys_nulls_last.convert_columns(&greatest)?,
        ))
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
        let time = key[series.len()..].last_chunk::<8>();
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

/// Returns per row whether two lists of columns say the same; floats do where their bits are equal.
pub(crate) fn equal_rows(
    rows: usize,
    left: &[ArrayRef],
    right: &[ArrayRef],
) -> Result<BooleanBuffer, ArrowError> {
    let mut equal = BooleanBuffer::new_set(rows);
    for (left, right) in left.iter().zip(right) {
        let has_values = |column: &ArrayRef| column.null_count() < rows;
        if !has_values(left) && !has_values(right) {
            continue;
        }
        if are_same_bytes(left, right) {
            continue;
        }
        let lists = left.as_list_opt::<i32>().zip(right.as_list_opt::<i32>());
        let of_column = match lists.filter(|(left, right)| have_same_shape(left, right)) {
            Some((left, right)) => equal_lists(left, right)?,
            None if left.data_type().is_nested() => {
                let compare = make_comparator(left, right, SortOptions::default())?;
                (0..rows).map(|row| compare(row, row).is_eq()).collect()
            }
            None => not_distinct(left, right)?.values().clone(),
        };
        equal &= &of_column;
    }
    Ok(equal)
}

/// Returns true where two columns of numbers are null in the same rows and the same bytes, so that all rows say the same: nearly
/// always, and many times faster than value by value. False says nothing: below a null may stand anything.
fn are_same_bytes(left: &ArrayRef, right: &ArrayRef) -> bool {
    let (Some(of_left), Some(of_right)) = (bytes_of(left), bytes_of(right)) else {
        return false;
    };
    left.data_type() == right.data_type()
        && of_left == of_right
        && nulls_of(left) == nulls_of(right)
}

/// Returns which rows are null, where some are.
fn nulls_of(column: &ArrayRef) -> Option<&NullBuffer> {
    column.nulls().filter(|nulls| nulls.null_count() > 0)
}

/// Returns the values of a column of numbers as bytes.
fn bytes_of(column: &ArrayRef) -> Option<&[u8]> {
    let values = match column.data_type() {
        DataType::Float64 => column.as_primitive::<Float64Type>().values().inner(),
        DataType::Int64 => column.as_primitive::<Int64Type>().values().inner(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            times.values().inner()
        }
        _ => return None,
    };
    Some(values.as_slice())
}

/// Returns true where each list has as many values as the other one, or both are null: nearly always.
fn have_same_shape(left: &ListArray, right: &ListArray) -> bool {
    let is_same = |row| {
        left.is_null(row) == right.is_null(row) && left.value_length(row) == right.value_length(row)
    };
    !left.values().data_type().is_nested() && (0..left.len()).all(is_same)
}

/// Returns per row whether two lists of the same shape say the same, comparing all their values at once.
fn equal_lists(left: &ListArray, right: &ListArray) -> Result<BooleanBuffer, ArrowError> {
    let values_of = |lists: &ListArray| {
        let (first, last) = (lists.value_offsets()[0], lists.value_offsets()[lists.len()]);
        lists
            .values()
            .slice(first as usize, (last - first) as usize)
    };
    let (of_left, of_right) = (values_of(left), values_of(right));
    if are_same_bytes(&of_left, &of_right) {
        return Ok(BooleanBuffer::new_set(left.len()));
    }
    let equal = not_distinct(&of_left, &of_right)?;
    let equal = equal.values();
    if equal.count_set_bits() == equal.len() {
        return Ok(BooleanBuffer::new_set(left.len()));
    }
    let offsets = left.value_offsets();
    let is_equal = |row: usize| {
        let (start, length) = (offsets[row] - offsets[0], offsets[row + 1] - offsets[row]);
        let values = equal.slice(start as usize, length as usize);
        left.is_null(row) || values.count_set_bits() == values.len()
    };
    Ok((0..left.len()).map(is_equal).collect())
}

/// Returns values of statistics as a column of a key's type; null where there is none, or of another type.
fn array_of(data_type: &DataType, values: Vec<Option<&StatisticsValue>>) -> ArrayRef {
    let ints = || {
        let values = values.iter();
        values.map(|value| value.and_then(StatisticsValue::int))
    };
    match data_type {
        DataType::Int64 => Arc::new(ints().collect::<Int64Array>()),
        DataType::Timestamp(..) => Arc::new(
            ints()
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        DataType::Utf8 => {
            let texts = values.iter().map(|value| match value {
                Some(StatisticsValue::Text(text)) => Some(&**text),
                _ => None,
            });
            Arc::new(texts.collect::<StringArray>())
        }
        other => new_null_array(other, values.len()),
    }
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

#[cfg(test)]
mod tests;
