//! Rows as text: one line per row, missing values left out. Shared by the unit tests and the integration tests.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use meetnet_model::time::format_rfc3339;

/// Returns the values of one row, each with its column's name and a space before.
pub(crate) fn row(batch: &RecordBatch, row: usize) -> String {
    let mut text = String::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if !column.is_null(row) {
            let _ = write!(text, " {}={}", field.name(), cell(column, row));
        }
    }
    text
}

fn cell(column: &ArrayRef, row: usize) -> String {
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Timestamp(..) => {
            format_rfc3339(column.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::List(_) => {
            let list = column.as_list::<i32>().value(row);
            format!("{:?}", list.as_primitive::<Float64Type>().values().to_vec())
        }
        other => panic!("no declared column has type {other}"),
    }
}
