//! How large arguments are, in bytes as they are shown: a slice of a large buffer counts for its part.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::ColumnarValue;

/// Bytes that a text or a short list takes in most cases.
const TEXT_BYTES: usize = 16;

/// Bytes of an argument over a batch; a constant counts for each row.
pub(super) fn size_of(value: &ColumnarValue, rows: usize) -> u64 {
    match value {
        ColumnarValue::Array(array) => array_bytes(array.as_ref()),
        ColumnarValue::Scalar(scalar) => (scalar_bytes(scalar) as u64).saturating_mul(rows as u64),
    }
}

pub(super) fn scalar_bytes(scalar: &ScalarValue) -> usize {
    match scalar {
        ScalarValue::Utf8(text) | ScalarValue::LargeUtf8(text) | ScalarValue::Utf8View(text) => {
            text.as_ref().map_or(0, String::len)
        }
        // What a value takes beside its bytes is not repeated with them.
        other => other
            .data_type()
            .primitive_width()
            .unwrap_or_else(|| other.size()),
    }
}

/// Bytes of the values that the columns of a batch show.
pub fn batch_bytes(batch: &RecordBatch) -> u64 {
    let columns = batch.columns().iter();
    columns.map(|column| array_bytes(column.as_ref())).sum()
}

/// Bytes of the texts and lists that the columns of a batch show. Numbers are left out: what is made of them is as small.
pub fn wide_bytes(batch: &RecordBatch) -> u64 {
    let columns = batch.columns().iter();
    let wide = columns.filter(|column| column.data_type().primitive_width().is_none());
    wide.map(|column| array_bytes(column.as_ref())).sum()
}

/// Bytes that a value of a type takes in most cases, before there is one.
pub fn usual_bytes(data_type: &DataType) -> usize {
    data_type.primitive_width().unwrap_or(match data_type {
        DataType::Boolean | DataType::Null => 1,
        _ => TEXT_BYTES,
    })
}

/// Bytes of the values an array shows; a slice of a large buffer counts for its part.
pub fn array_bytes(array: &dyn Array) -> u64 {
    let bytes = match array.data_type() {
        DataType::Utf8 => {
            let offsets = array.as_string::<i32>().value_offsets();
            span(offsets.first().copied(), offsets.last().copied())
        }
        DataType::LargeUtf8 => {
            let offsets = array.as_string::<i64>().value_offsets();
            span(offsets.first().copied(), offsets.last().copied())
        }
        DataType::Utf8View => array
            .as_string_view()
            .lengths()
            .map(u64::from)
            .fold(0, u64::saturating_add),
        // Arrow counts all elements of the list that a slice is of.
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            elements_bytes(list.values(), list.value_offsets())
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            elements_bytes(list.values(), list.value_offsets())
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            elements_bytes(&entries, map.value_offsets())
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            let bytes = columns.map(|column| array_bytes(column.as_ref()));
            bytes.fold(0, u64::saturating_add)
        }
        _ => array
            .to_data()
            .get_slice_memory_size()
            .map_or(u64::MAX, |bytes| bytes as u64),
    };
    bytes.max(array.len() as u64)
}

/// Bytes of the elements of lists that lie between the first offset and the last.
fn elements_bytes<O: OffsetSizeTrait>(elements: &ArrayRef, offsets: &[O]) -> u64 {
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else {
        return 0;
    };
    let (first, last) = (first.as_usize(), last.as_usize());
    array_bytes(elements.slice(first, last - first).as_ref())
}

fn span<T: Into<i64>>(first: Option<T>, last: Option<T>) -> u64 {
    match (first, last) {
        (Some(first), Some(last)) => u64::try_from(last.into() - first.into()).unwrap_or(0),
        _ => 0,
    }
}

/// Returns how many bytes the longest value of a column, or a constant, has.
pub fn longest_value(value: &ColumnarValue) -> u64 {
    match value {
        ColumnarValue::Scalar(scalar) => scalar_bytes(scalar) as u64,
        ColumnarValue::Array(array) => match array.data_type() {
            DataType::Utf8 => {
                let lengths = array.as_string::<i32>().offsets().lengths();
                lengths.max().unwrap_or(0) as u64
            }
            DataType::LargeUtf8 => {
                let lengths = array.as_string::<i64>().offsets().lengths();
                lengths.max().unwrap_or(0) as u64
            }
            DataType::Utf8View => array
                .as_string_view()
                .lengths()
                .map(u64::from)
                .max()
                .unwrap_or(0),
            other => match other.primitive_width() {
                Some(width) => width as u64,
                None => array_bytes(array.as_ref()),
            },
        },
    }
}

pub(super) fn greatest_number(value: &ColumnarValue) -> u64 {
    let array = match value {
        ColumnarValue::Array(array) => Arc::clone(array),
        ColumnarValue::Scalar(scalar) => match scalar.to_array() {
            Ok(array) => array,
            Err(_) => return u64::MAX,
        },
    };
    // A number that is no int64 is too large for any of these functions.
    let Ok(numbers) = cast(&array, &DataType::Int64) else {
        return u64::MAX;
    };
    let numbers = numbers.as_primitive::<Int64Type>();
    let greatest = arrow::compute::max(numbers)
        .unwrap_or(0)
        .max(0)
        .unsigned_abs();
    let overflown = numbers.null_count() > array.null_count();
    if overflown { u64::MAX } else { greatest }
}

/// Returns the length of one row's value: bytes of a text, elements of a list, 1 of anything else, 0 of nothing.
pub fn length_at(value: &ColumnarValue, row: usize) -> u64 {
    match value {
        ColumnarValue::Array(array) => length_in(array.as_ref(), row),
        ColumnarValue::Scalar(scalar) => match scalar {
            ScalarValue::List(list) => length_in(list.as_ref(), 0),
            ScalarValue::LargeList(list) => length_in(list.as_ref(), 0),
            ScalarValue::FixedSizeList(list) => length_in(list.as_ref(), 0),
            ScalarValue::Utf8(_) | ScalarValue::LargeUtf8(_) | ScalarValue::Utf8View(_) => {
                scalar_bytes(scalar) as u64
            }
            _ => 1,
        },
    }
}

fn length_in(array: &dyn Array, row: usize) -> u64 {
    if array.is_null(row) {
        return 0;
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value_length(row) as u64,
        DataType::LargeUtf8 => array.as_string::<i64>().value_length(row) as u64,
        DataType::Utf8View => array.as_string_view().value(row).len() as u64,
        DataType::List(_) => array.as_list::<i32>().value_length(row) as u64,
        DataType::LargeList(_) => array.as_list::<i64>().value_length(row) as u64,
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value_length() as u64,
        _ => 1,
    }
}
