//! Rows that hold no others with them.
//!
//! A grouping gives its groups as slices of one batch that has all of them. A slice holds that batch in memory as long as anybody
//! has it, and who holds slices asks for the memory of the whole batch with each of them: a sort of 300,000 groups, which are
//! 13 MiB, asked for more than 256 MiB and was refused. So the rows of a slice are copied, column by column, where a column holds
//! much more than its rows need. What most nodes give is not: the price is a look at the sizes of the columns of each batch, and
//! at the lengths of texts that are views.
//!
//! Values of a dictionary stay where they are, since all batches of a file share them; its keys are copied.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch, RecordBatchOptions};
use arrow::compute::concat;
use arrow::datatypes::DataType;
use datafusion::error::Result;

#[cfg(test)]
mod tests;

/// A column holds no more than so many times what its rows need: who makes one doubles its memory when it is full.
const HELD_TIMES_MAX: usize = 2;
/// Bytes that a column may hold without being looked at: an empty one has some, too.
const HELD_BYTES_FREE: usize = 1 << 10;
/// Bytes of a view of a text, beside the text.
const VIEW_BYTES: usize = 16;

/// Returns the same rows in columns that hold about as much memory as these rows need.
///
/// # Errors
/// Where a column cannot be copied.
pub(super) fn own_rows(batch: RecordBatch) -> Result<RecordBatch> {
    if !batch.columns().iter().any(holds_others) {
        return Ok(batch);
    }
    let columns = batch.columns().iter().map(|column| {
        if holds_others(column) {
            copied(column)
        } else {
            Ok(Arc::clone(column))
        }
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        batch.schema(),
        columns,
        &rows,
    )?)
}

/// Returns true for a column that holds much more than its rows need.
fn holds_others(column: &ArrayRef) -> bool {
    let column: &dyn Array = match column.as_any_dictionary_opt() {
        Some(dictionary) => dictionary.keys(),
        None => column.as_ref(),
    };
    let held = column.get_buffer_memory_size();
    held > HELD_BYTES_FREE && held > needed_bytes(column).saturating_mul(HELD_TIMES_MAX)
}

/// Copies the rows of a column, and nothing else that it holds.
fn copied(column: &ArrayRef) -> Result<ArrayRef> {
    // One array alone would be given back as it is.
    let copy = concat(&[column.as_ref(), column.slice(0, 0).as_ref()])?;
    // Of texts that are views only the views have been copied, of others all.
    let own: ArrayRef = match copy.data_type() {
        DataType::Utf8View => Arc::new(copy.as_string_view().gc()),
        DataType::BinaryView => Arc::new(copy.as_binary_view().gc()),
        _ => copy,
    };
    Ok(own)
}

/// Returns how many bytes the rows of a column need.
fn needed_bytes(column: &dyn Array) -> usize {
    let rows = column.len();
    let data_type = column.data_type();
    if let Some(width) = data_type.primitive_width() {
        return rows * width;
    }
    match data_type {
        DataType::Utf8View => viewed_bytes(column.as_string_view().lengths()),
        DataType::BinaryView => viewed_bytes(column.as_binary_view().lengths()),
        // Arrow counts all elements of the list that a slice is of.
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            elements_bytes(lists.values().as_ref(), lists.value_offsets())
        }
        DataType::LargeList(_) => {
            let lists = column.as_list::<i64>();
            elements_bytes(lists.values().as_ref(), lists.value_offsets())
        }
        DataType::Map(..) => {
            let maps = column.as_map();
            elements_bytes(maps.entries(), maps.value_offsets())
        }
        DataType::FixedSizeList(..) => inner_bytes(column.as_fixed_size_list().values().as_ref()),
        DataType::Struct(_) => {
            let fields = column.as_struct().columns().iter();
            fields.map(|field| inner_bytes(field.as_ref())).sum()
        }
        _ => column
            .to_data()
            .get_slice_memory_size()
            .unwrap_or(usize::MAX),
    }
}

/// Returns how many bytes views of so long texts need with these texts.
fn viewed_bytes(lengths: impl Iterator<Item = u32>) -> usize {
    lengths.map(|length| VIEW_BYTES + length as usize).sum()
}

/// Returns how many bytes the elements of lists need that lie between the first offset and the last, with the offsets.
fn elements_bytes<O: OffsetSizeTrait>(elements: &dyn Array, offsets: &[O]) -> usize {
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else {
        return 0;
    };
    let (first, last) = (first.as_usize(), last.as_usize());
    let elements = elements.slice(first, last - first);
    size_of_val(offsets) + inner_bytes(elements.as_ref())
}

/// Returns how many bytes the values within a list or a struct need. Texts that are views there, and values of a dictionary, are
/// all needed: a copy would hold them as well, and be made again by each who holds the rows.
fn inner_bytes(values: &dyn Array) -> usize {
    match values.data_type() {
        DataType::Utf8View | DataType::BinaryView => values.get_buffer_memory_size(),
        DataType::Dictionary(..) => {
            let dictionary = values.as_any_dictionary();
            needed_bytes(dictionary.keys()) + dictionary.values().get_buffer_memory_size()
        }
        _ => needed_bytes(values),
    }
}
