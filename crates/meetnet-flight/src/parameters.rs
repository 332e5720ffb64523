//! Values for a prepared statement: one row, its columns in the order of `$1`, `$2` and so on.
//!
//! | sent as | taken as |
//! |---|---|
//! | text of any kind, `arrow.uuid` | text |
//! | binary of any kind, of a fixed size too | binary |
//! | a time of the day in any unit | one in nanoseconds, as SQL has it |
//! | `date64` | a date |
//! | `float16` | `float32` |
//! | decimals of 32 and 64 bits | one of 128 bits |
//! | lists of any kind of such values; list views not within others | a list |
//! | dictionaries, booleans, other numbers, timestamps, spans, NULL | what they are |
//! | structs, maps, unions, runs | refused by the name of their type |

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use futures::{FutureExt, StreamExt, TryStreamExt};
use meetnet_model::hex;
use tonic::Status;
use tracing::debug;

use crate::answer::FlightStream;

#[cfg(test)]
mod tests;

/// What the metadata of a column says where its bytes are UUIDs.
const UUID_EXTENSION: [&str; 2] = ["ARROW:extension:name", "arrow.uuid"];

/// Messages in which one row may come: schema, dictionaries, rows, and some without any.
const MESSAGES_MAX: usize = 32;

/// What the values of a row may come to, in elements and in bytes of views and of binary of a fixed size, where no two of them share
/// theirs: what a message of a megabyte says can be gigabytes.
const ROW_SIZE_MAX: usize = 16 * 1024 * 1024;

/// Returns what clients are told of the values that a statement takes.
pub(crate) fn schema(types: &[Option<DataType>]) -> Schema {
    let fields = types.iter().enumerate().map(|(position, data_type)| {
        // What is text may be anything.
        let data_type = data_type.clone().unwrap_or(DataType::Utf8);
        Field::new(format!("${}", position + 1), data_type, true)
    });
    Schema::new(fields.collect::<Vec<Field>>())
}

/// Reads the values that a client binds; none where it sends no row.
///
/// # Errors
/// `InvalidArgument` for several rows, for types that no value has here, and for messages that cannot be read;
/// `DeadlineExceeded`.
pub(crate) async fn read(
    messages: FlightStream,
    time_max: Duration,
) -> Result<Vec<ArrayRef>, Status> {
    // The decoder checks lengths by panics in some places; whatever is sent must not take more down than its own call.
    let reading = AssertUnwindSafe(row(messages)).catch_unwind();
    match tokio::time::timeout(time_max, reading).await {
        Ok(Ok(values)) => values,
        Ok(Err(_panic)) => Err(unreadable("a message of them is malformed")),
        Err(_elapsed) => Err(Status::deadline_exceeded(format!(
            "the values did not arrive within {} s",
            time_max.as_secs()
        ))),
    }
}

async fn row(messages: FlightStream) -> Result<Vec<ArrayRef>, Status> {
    let messages = messages.take(MESSAGES_MAX).map_err(FlightError::from);
    let mut batches = FlightRecordBatchStream::new_from_flight_data(messages);
    let mut values: Option<Vec<ArrayRef>> = None;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(|error| match error {
            FlightError::Tonic(status) => *status,
            error => {
                debug!(error = %error, "values of a prepared statement cannot be read");
                unreadable("they are no Arrow messages of a schema and rows")
            }
        })?;
        match batch.num_rows() {
            0 => {}
            1 if values.is_none() => values = Some(plain_row(&batch)?),
            _ => {
                return Err(Status::invalid_argument(
                    "a prepared statement takes the values of one row at a time; run it once for each row",
                ));
            }
        }
    }
    Ok(values.unwrap_or_default())
}

fn unreadable(why: &str) -> Status {
    Status::invalid_argument(format!(
        "the values of the prepared statement cannot be read: {why}"
    ))
}

/// Returns the values of the first row, each in the one form that SQL has of it.
fn plain_row(batch: &RecordBatch) -> Result<Vec<ArrayRef>, Status> {
    let schema = batch.schema();
    let columns = batch.columns().iter().zip(schema.fields()).enumerate();
    let mut row_size = 0_usize;
    let values = columns.map(|(position, (value, field))| {
        row_size = row_size.saturating_add(size(value));
        if row_size > ROW_SIZE_MAX {
            let position = position + 1;
            return Err(unreadable(&format!("up to that of ${position} they are too large")));
        }
        plain(value, field).ok_or_else(|| {
            let position = position + 1;
            // A struct names all that is in it.
            let data_type = field.data_type().to_string();
            let data_type: String = data_type.chars().take(100).collect();
            Status::invalid_argument(format!(
                "the value of ${position} is of the type {data_type}, which is taken for no parameter; send a text, binary, a \
                 boolean, a number, a time, or a list of them"
            ))
        })
    });
    values.collect()
}

/// Returns how many elements a value has, and bytes in views and binary of a fixed size, each as often as it is said.
fn size(value: &ArrayRef) -> usize {
    let within = match value.data_type() {
        DataType::Utf8View => total(value.as_string_view().lengths()),
        DataType::BinaryView => total(value.as_binary_view().lengths()),
        DataType::List(_) => size(value.as_list::<i32>().values()),
        DataType::LargeList(_) => size(value.as_list::<i64>().values()),
        DataType::ListView(_) => size(value.as_list_view::<i32>().values()),
        DataType::LargeListView(_) => size(value.as_list_view::<i64>().values()),
        DataType::FixedSizeList(..) => size(value.as_fixed_size_list().values()),
        DataType::Dictionary(..) => size(value.as_any_dictionary().values()),
        DataType::FixedSizeBinary(width) => {
            let width = usize::try_from(*width).unwrap_or(0);
            value.len().saturating_mul(width)
        }
        _ => 0,
    };
    value.len().saturating_add(within)
}

fn total(lengths: impl Iterator<Item = u32>) -> usize {
    lengths.fold(0, |sum: usize, length| sum.saturating_add(length as usize))
}

/// Returns a value in the one form that SQL has of it; None where it has none.
fn plain(value: &ArrayRef, field: &Field) -> Option<ArrayRef> {
    let data_type = value.data_type();
    if is_uuid(field) {
        let bytes = value.as_fixed_size_binary();
        let text = (!bytes.is_null(0)).then(|| hex::uuid(bytes.value(0)));
        return Some(Arc::new(StringArray::from(vec![text.flatten()])));
    }
    let form = plain_type(data_type)?;
    if form == *data_type {
        return Some(ArrayRef::clone(value));
    }
    cast_with_options(value, &form, &strict()).ok()
}

fn is_uuid(field: &Field) -> bool {
    let [key, name] = UUID_EXTENSION;
    let says_so = field.metadata().get(key).is_some_and(|said| said == name);
    says_so && *field.data_type() == DataType::FixedSizeBinary(16)
}

/// Returns the form that values of a type are taken in.
fn plain_type(data_type: &DataType) -> Option<DataType> {
    let form = match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Date64 => DataType::Date32,
        // Times of the day in different units are not compared.
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Nanosecond),
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => {
            let element = element_type(field.data_type())?;
            DataType::List(Arc::new(Field::new_list_field(element, true)))
        }
        DataType::Dictionary(keys, values) => {
            DataType::Dictionary(keys.clone(), Box::new(element_type(values)?))
        }
        DataType::Struct(_)
        | DataType::Map(..)
        | DataType::Union(..)
        | DataType::RunEndEncoded(..) => return None,
        other => other.clone(),
    };
    Some(form)
}

/// As [`plain_type`], of what stands in a list or dictionary. Views of lists may share what they hold, and would be copied for
/// each.
fn element_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::ListView(_) | DataType::LargeListView(_) => None,
        other => plain_type(other),
    }
}

/// A value that does not fit must not become null.
fn strict() -> CastOptions<'static> {
    CastOptions {
        safe: false,
        ..CastOptions::default()
    }
}

/// Returns the values with the types that the statement gives their places, as far as those tell. A text takes that type,
/// as in an address; everything else says itself what it is, and is compared as SQL compares it.
///
/// # Errors
/// `InvalidArgument` for a text that is none of its type, and for binary in the place of something else.
pub(crate) fn typed(
    values: Vec<ArrayRef>,
    types: &[Option<DataType>],
) -> Result<Vec<ArrayRef>, Status> {
    let wanted = types.iter().chain(std::iter::repeat(&None));
    let values = values.into_iter().zip(wanted).enumerate();
    let typed = values.map(|(position, (value, wanted))| match wanted {
        // A list that is written as a text is read where the values are put in: a cast would make a list of one text.
        Some(wanted) if wanted.is_nested() && is_text(value.data_type()) => Ok(value),
        Some(wanted) if says_nothing(value.data_type()) && !is_text(wanted) => {
            cast_with_options(&value, wanted, &strict()).map_err(|_| {
                let position = position + 1;
                Status::invalid_argument(format!("the value of ${position} is no {wanted}"))
            })
        }
        // SQL would compare the bytes of a text with it, and find nothing.
        Some(wanted) if is_binary(value.data_type()) && !is_binary(wanted) => {
            if value.is_null(0) {
                return Ok(new_null_array(wanted, 1));
            }
            let position = position + 1;
            Err(Status::invalid_argument(format!(
                "the value of ${position} is binary, and its place takes {wanted}; send it as such, or as a text, which a UUID is \
                 here, too"
            )))
        }
        _ => Ok(value),
    });
    typed.collect()
}

/// Returns the types that a statement is planned with, where it has been given values: their own. A text in the place of a list is
/// that list: it is read where the values are put in.
pub(crate) fn known(values: &[ArrayRef], types: &[Option<DataType>]) -> Vec<Option<DataType>> {
    let wanted = types.iter().chain(std::iter::repeat(&None));
    let known = values.iter().zip(wanted).map(|(value, wanted)| {
        let list = wanted.as_ref().filter(|wanted| wanted.is_nested());
        let list = list.filter(|_| is_text(value.data_type()));
        list.unwrap_or(value.data_type()).clone()
    });
    known.map(Some).collect()
}

fn says_nothing(data_type: &DataType) -> bool {
    *data_type == DataType::Null || is_text(data_type)
}

fn is_binary(data_type: &DataType) -> bool {
    match data_type {
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => true,
        DataType::Dictionary(_, values) => is_binary(values),
        _ => false,
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}
