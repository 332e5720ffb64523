//! Errors as clients of gRPC read them: the one table from kinds of errors to codes.

use arrow_flight::error::FlightError;
use meetnet_query::{QueryError, QueryErrorKind};
use tonic::{Code, Status};
use tracing::error;

/// A message travels in one header, and clients take headers of 8 KiB together.
const MESSAGE_BYTES_MAX: usize = 2048;

/// Returns what a client is told of an error of its statement.
pub(crate) fn of_query(error: QueryError) -> Status {
    let code = match error.kind {
        QueryErrorKind::BadRequest => Code::InvalidArgument,
        QueryErrorKind::NotFound => Code::NotFound,
        QueryErrorKind::NotSettled => Code::FailedPrecondition,
        QueryErrorKind::Forbidden => Code::PermissionDenied,
        QueryErrorKind::TooLarge | QueryErrorKind::OverShare => Code::ResourceExhausted,
        QueryErrorKind::Timeout => Code::DeadlineExceeded,
        QueryErrorKind::Busy | QueryErrorKind::StoreUnavailable => Code::Unavailable,
        QueryErrorKind::SnapshotExpired => Code::Aborted,
        QueryErrorKind::Internal => Code::Internal,
    };
    let mut message = error.message;
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
    Status::new(code, message)
}

/// Logs an error that is no client's fault, and returns what the client is told of it.
pub(crate) fn internal(
    operation: &str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> Status {
    error!(operation, error = %source, "Flight SQL failed");
    of_query(QueryError::internal(operation, source))
}

/// Returns what a client is told when a stream of batches ends early.
pub(crate) fn of_stream(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        error => internal("sending rows", error),
    }
}

/// What only reads refuses whatever writes.
pub(crate) fn only_reads(what: &str) -> Status {
    Status::permission_denied(format!("this service only reads; {what} is not allowed"))
}

/// The client, or another of its calls, has cancelled the statement.
pub(crate) fn cancelled() -> Status {
    Status::cancelled("the statement was cancelled by its user")
}

/// Counts an error that a client is told.
pub(crate) fn count(status: &Status) {
    let code = format!("{:?}", status.code());
    metrics::counter!("meetnet_flight_errors_total", "code" => code).increment(1);
}
