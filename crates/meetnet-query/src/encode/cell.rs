//! Cells of a batch as text: each column is matched to its type once, not once per row.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray, types::*};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use meetnet_sql::time_text::{per_second, write_date, write_time};
use serde_json::to_writer;

use super::failed;
use crate::error::QueryError;

/// The greatest integer up to which a double has every one: 2^53 − 1. Beyond it JSON's numbers are not the same for all readers (RFC
/// 8259, section 6).
const EXACT_MAX: u64 = (1 << 53) - 1;

/// One column of a batch, ready to be written cell by cell.
pub(crate) struct Cells {
    nulls: Option<NullBuffer>,
    values: Values,
}

enum Values {
    Null,
    Bool(BooleanArray),
    Int(ScalarBuffer<i64>),
    Unsigned(ScalarBuffer<u64>),
    Float(ScalarBuffer<f64>),
    /// Values and how many of them are a second.
    Time(ScalarBuffer<i64>, i64),
    Date(ScalarBuffer<i32>),
    Text(StringArray),
    List(OffsetBuffer<i32>, Box<Cells>),
}

impl Cells {
    /// Matches a column to its type. Rare types become text first.
    pub(crate) fn new(array: &ArrayRef) -> Result<Self, QueryError> {
        let to = |data_type: &DataType| {
            cast(array, data_type).map_err(|error| failed("encoding the answer", error))
        };
        let values = match array.data_type() {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Bool(array.as_boolean().clone()),
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Values::Int(
                to(&DataType::Int64)?
                    .as_primitive::<Int64Type>()
                    .values()
                    .clone(),
            ),
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
                Values::Unsigned(
                    to(&DataType::UInt64)?
                        .as_primitive::<UInt64Type>()
                        .values()
                        .clone(),
                )
            }
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Values::Float(
                to(&DataType::Float64)?
                    .as_primitive::<Float64Type>()
                    .values()
                    .clone(),
            ),
            DataType::Timestamp(unit, _) => {
                let counts = match unit {
                    TimeUnit::Second => array.as_primitive::<TimestampSecondType>().values(),
                    TimeUnit::Millisecond => {
                        array.as_primitive::<TimestampMillisecondType>().values()
                    }
                    TimeUnit::Microsecond => {
                        array.as_primitive::<TimestampMicrosecondType>().values()
                    }
                    TimeUnit::Nanosecond => {
                        array.as_primitive::<TimestampNanosecondType>().values()
                    }
                };
                Values::Time(counts.clone(), per_second(*unit))
            }
            DataType::Date32 => Values::Date(array.as_primitive::<Date32Type>().values().clone()),
            DataType::Utf8 => Values::Text(array.as_string::<i32>().clone()),
            DataType::LargeUtf8 | DataType::Utf8View => {
                Values::Text(to(&DataType::Utf8)?.as_string::<i32>().clone())
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Values::List(list.offsets().clone(), Box::new(Self::new(list.values())?))
            }
            DataType::LargeList(field) | DataType::ListView(field) => {
                return Self::new(&to(&DataType::List(field.clone()))?);
            }
            DataType::Dictionary(_, values) => return Self::new(&to(values)?),
            _ => Values::Text(formatted(array)?),
        };
        Ok(Self {
            nulls: array.logical_nulls(),
            values,
        })
    }

    /// Returns true where the cell has no value; NaN is none either.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return true;
        }
        match &self.values {
            Values::Null => true,
            Values::Float(values) => !values[row].is_finite(),
            _ => false,
        }
    }

    /// Returns the cell where it is a text.
    pub(crate) fn text(&self, row: usize) -> Option<&str> {
        match &self.values {
            Values::Text(values) => Some(values.value(row)),
            _ => None,
        }
    }

    /// Returns true for lists, whose JSON has commas.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.values, Values::List(..))
    }

    /// Appends the cell as JSON. Integers that readers such as JavaScript round are texts: the cell of a hexagonal grid would be
    /// another one.
    pub(crate) fn write_json(&self, row: usize, out: &mut Vec<u8>) {
        let is_rounded = match &self.values {
            Values::Int(values) => values[row].unsigned_abs() > EXACT_MAX,
            Values::Unsigned(values) => values[row] > EXACT_MAX,
            _ => false,
        };
        match &self.values {
            _ if is_rounded && !self.is_null(row) => {
                out.push(b'"');
                self.write_text(row, out);
                out.push(b'"');
            }
            Values::List(offsets, items) if !self.is_null(row) => {
                write_list(offsets, row, out, |item, out| items.write_json(item, out));
            }
            _ => self.write_item(row, out),
        }
    }

    /// Appends the cell as JSON with integers as numbers, as lists have them in texts.
    fn write_item(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
            return;
        }
        match &self.values {
            // Writing to memory cannot fail, and a text is always JSON.
            Values::Text(values) => {
                let _ = to_writer(out, values.value(row));
            }
            Values::Time(..) | Values::Date(_) => {
                out.push(b'"');
                self.write_text(row, out);
                out.push(b'"');
            }
            _ => self.write_text(row, out),
        }
    }

    /// Appends the cell as plain text: nothing for null, lists as JSON.
    pub(crate) fn write_text(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            return;
        }
        match &self.values {
            Values::Null => {}
            Values::Bool(values) => {
                out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
            }
            Values::Int(values) => {
                let _ = to_writer(out, &values[row]);
            }
            Values::Unsigned(values) => {
                let _ = to_writer(out, &values[row]);
            }
            Values::Float(values) => {
                let _ = to_writer(out, &values[row]);
            }
            Values::Time(values, per_second) => {
                let fraction = values[row].rem_euclid(*per_second) * (1_000_000_000 / per_second);
                write_time(values[row].div_euclid(*per_second), fraction as u32, out);
            }
            Values::Date(values) => write_date(i64::from(values[row]), out),
            Values::Text(values) => out.extend_from_slice(values.value(row).as_bytes()),
            Values::List(offsets, items) => {
                write_list(offsets, row, out, |item, out| items.write_item(item, out));
            }
        }
    }
}

/// Appends a list as JSON, whose items `write` appends.
fn write_list(
    offsets: &OffsetBuffer<i32>,
    row: usize,
    out: &mut Vec<u8>,
    write: impl Fn(usize, &mut Vec<u8>),
) {
    out.push(b'[');
    for item in offsets[row] as usize..offsets[row + 1] as usize {
        if item > offsets[row] as usize {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// Returns the columns of a batch.
pub(crate) fn columns(batch: &arrow::array::RecordBatch) -> Result<Vec<Cells>, QueryError> {
    batch.columns().iter().map(Cells::new).collect()
}

fn formatted(array: &ArrayRef) -> Result<StringArray, QueryError> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array.as_ref(), &options)
        .map_err(|error| failed("encoding the answer", error))?;
    let texts = (0..array.len()).map(|row| formatter.value(row).try_to_string());
    let texts = texts.collect::<Result<Vec<_>, _>>();
    Ok(StringArray::from(
        texts.map_err(|error| failed("encoding the answer", error))?,
    ))
}
