//! Values for a prepared statement: one row, its columns in the order of `$1`, `$2` and so on.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use arrow::array::{Array, ArrayRef};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use futures::{FutureExt, StreamExt, TryStreamExt};
use tonic::Status;
use tracing::debug;

use crate::answer::FlightStream;

/// Messages in which one row may come: schema, dictionaries, rows, and some without any.
const MESSAGES_MAX: usize = 32;

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
/// `InvalidArgument` for several rows, and for messages that cannot be read; `DeadlineExceeded`.
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
            1 if values.is_none() => values = Some(batch.columns().to_vec()),
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

/// Returns the values with the types that the statement gives their places, as far as those tell. A text takes that type,
/// as in an address; everything else says itself what it is, and is compared as SQL compares it.
///
/// # Errors
/// `InvalidArgument` for a text that is none of its type.
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
            let options = CastOptions {
                safe: false,
                ..CastOptions::default()
            };
            cast_with_options(&value, wanted, &options).map_err(|_| {
                let position = position + 1;
                Status::invalid_argument(format!("the value of ${position} is no {wanted}"))
            })
        }
        _ => Ok(value),
    });
    typed.collect()
}

fn says_nothing(data_type: &DataType) -> bool {
    *data_type == DataType::Null || is_text(data_type)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}
