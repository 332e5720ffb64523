//! Rows as they travel: types that every client reads, in messages that every client takes.
//!
//! Clients of gRPC refuse messages of more than 4 MiB unless they are told otherwise. The encoder of `arrow-flight` cuts
//! by the size of whole buffers, which slices share: here the size is that of what is sent.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;

#[cfg(test)]
mod tests;

/// Returns the schema that answers of `schema` are sent with. Every column may be null: what a plan promises of that
/// before it runs and after need not be the same, and clients compare.
pub(crate) fn wire_schema(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(wire_field);
    Schema::new(fields.collect::<Vec<_>>())
}

/// Returns the schema of a table as clients are told of it: with the types of its rows as they are sent, and with what
/// may be null.
pub(crate) fn table_schema(schema: &Schema) -> Schema {
    let fields = schema.fields().iter();
    let fields = fields.map(|field| {
        wire_field(field)
            .as_ref()
            .clone()
            .with_nullable(field.is_nullable())
    });
    Schema::new(fields.collect::<Vec<_>>())
}

fn wire_field(field: &FieldRef) -> FieldRef {
    let field: &Field = field;
    let wire = field.clone().with_data_type(wire_type(field.data_type()));
    Arc::new(wire.with_nullable(true))
}

/// Views, large lists and runs are younger than many clients.
fn wire_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => DataType::List(wire_field(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(wire_field(field), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(wire_field).collect()),
        DataType::Dictionary(keys, values) => {
            DataType::Dictionary(keys.clone(), Box::new(wire_type(values)))
        }
        DataType::RunEndEncoded(_, values) => wire_type(values.data_type()),
        other => other.clone(),
    }
}

/// Returns true where rows that were answered can be sent with the columns that were promised, each value as it is.
pub(crate) fn is_as_promised(answered: &Schema, promised: &Schema) -> bool {
    let values = |field: &FieldRef| match wire_type(field.data_type()) {
        DataType::Dictionary(_, values) => *values,
        other => other,
    };
    let (answered, promised) = (answered.fields(), promised.fields());
    let mut pairs = answered.iter().zip(promised.iter());
    answered.len() == promised.len() && pairs.all(|(a, b)| values(a).equals_datatype(&values(b)))
}

/// Returns a batch with the types of `schema`, as [`is_as_promised`] allows it.
///
/// # Errors
/// Where a value does not fit: it must not become null.
pub(crate) fn converted(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| {
        if column.data_type() == field.data_type() {
            return Ok(ArrayRef::clone(column));
        }
        cast_with_options(column, field.data_type(), &options)
    });
    with_columns(batch, schema, columns.collect::<Result<_, _>>()?)
}

/// Returns the rows of a batch in pieces of at most `bytes_max`, as far as rows can be told apart.
///
/// # Errors
/// None that could be a client's fault.
pub(crate) fn fitted(batch: RecordBatch, bytes_max: usize) -> Result<Vec<RecordBatch>, ArrowError> {
    let mut pieces = Vec::new();
    fit(batch, bytes_max, &mut pieces)?;
    Ok(pieces)
}

fn fit(
    batch: RecordBatch,
    bytes_max: usize,
    pieces: &mut Vec<RecordBatch>,
) -> Result<(), ArrowError> {
    let rows = batch.num_rows();
    if batch_bytes(&batch) <= bytes_max {
        pieces.push(batch);
        return Ok(());
    }
    // A dictionary is sent whole, however few of its values are used.
    let batch = with_small_dictionaries(&batch)?;
    let bytes = batch_bytes(&batch);
    if bytes <= bytes_max || rows <= 1 {
        pieces.push(batch);
        return Ok(());
    }
    let rows_each = rows.div_ceil(bytes.div_ceil(bytes_max.max(1))).max(1);
    // Rows differ in size, so a piece may have to be cut again; it has fewer rows each time.
    let rows_each = rows_each.min(rows - 1);
    for start in (0..rows).step_by(rows_each) {
        let piece = batch.slice(start, rows_each.min(rows - start));
        fit(piece, bytes_max, pieces)?;
    }
    Ok(())
}

fn with_small_dictionaries(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(|column| {
        let DataType::Dictionary(_, values) = column.data_type() else {
            return Ok(ArrayRef::clone(column));
        };
        if column.as_any_dictionary().values().len() <= column.len() {
            return Ok(ArrayRef::clone(column));
        }
        // Made anew, it has the values that are used.
        cast(&cast(column, values)?, column.data_type())
    });
    with_columns(batch, &batch.schema(), columns.collect::<Result<_, _>>()?)
}

fn with_columns(
    batch: &RecordBatch,
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
) -> Result<RecordBatch, ArrowError> {
    // Without columns nothing else would tell how many rows there are.
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(array_bytes).sum()
}

/// Returns how many bytes of an array are sent: of buffers that it shares, its own part.
fn array_bytes(array: &ArrayRef) -> usize {
    let nulls = array.nulls().map_or(0, |_| array.len().div_ceil(8));
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (first, last) = ends(list.value_offsets());
            nulls
                + list.value_offsets().len() * 4
                + array_bytes(&list.values().slice(first, last - first))
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let (first, last) = ends(map.value_offsets());
            let entries: ArrayRef = Arc::new(map.entries().slice(first, last - first));
            nulls + map.value_offsets().len() * 4 + array_bytes(&entries)
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            nulls + columns.map(array_bytes).sum::<usize>()
        }
        DataType::FixedSizeList(..) => nulls + array_bytes(array.as_fixed_size_list().values()),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let keys = dictionary.keys().to_data().get_slice_memory_size();
            keys.unwrap_or_default() + array_bytes(dictionary.values())
        }
        _ => {
            let bytes = array.to_data().get_slice_memory_size();
            bytes.unwrap_or_else(|_| array.get_buffer_memory_size())
        }
    }
}

/// Returns where the values of a list begin and end.
fn ends(offsets: &[i32]) -> (usize, usize) {
    let at = |offset: Option<&i32>| offset.map_or(0, |offset| *offset as usize);
    (at(offsets.first()), at(offsets.last()))
}
