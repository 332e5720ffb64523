//! Errors as clients of PostgreSQL read them: the one table from kinds of errors to SQLSTATE codes, whatever they say.

use std::fmt;

use meetnet_query::{QueryError, QueryErrorKind, StatementFault};
use pgwire::messages::response::ErrorResponse;

#[cfg(test)]
mod tests;

/// Codes of PostgreSQL that this server sends.
pub(crate) mod state {
    pub(crate) const PROTOCOL: &str = "08P01";
    pub(crate) const UNSUPPORTED: &str = "0A000";
    pub(crate) const ENCODING: &str = "22021";
    pub(crate) const OUT_OF_RANGE: &str = "22003";
    pub(crate) const BAD_TIME: &str = "22007";
    pub(crate) const TIME_RANGE: &str = "22008";
    pub(crate) const NEGATIVE_LENGTH: &str = "22011";
    pub(crate) const INTERVAL_RANGE: &str = "22015";
    pub(crate) const BAD_PATTERN: &str = "2201B";
    pub(crate) const BAD_POWER: &str = "2201F";
    pub(crate) const BAD_BUCKETS: &str = "2201G";
    pub(crate) const NEGATIVE_LIMIT: &str = "2201W";
    pub(crate) const NEGATIVE_OFFSET: &str = "2201X";
    pub(crate) const DIVISION_BY_ZERO: &str = "22012";
    pub(crate) const BAD_VALUE: &str = "22023";
    pub(crate) const BAD_BINARY: &str = "22P03";
    pub(crate) const BAD_TEXT: &str = "22P02";
    pub(crate) const CURSOR_NAME: &str = "34000";
    pub(crate) const READ_ONLY: &str = "25006";
    pub(crate) const IN_TRANSACTION: &str = "25001";
    pub(crate) const NO_TRANSACTION: &str = "25P01";
    pub(crate) const FAILED_TRANSACTION: &str = "25P02";
    pub(crate) const STATEMENT_NAME: &str = "26000";
    pub(crate) const LOGIN: &str = "28000";
    pub(crate) const PASSWORD: &str = "28P01";
    pub(crate) const DATABASE: &str = "3D000";
    pub(crate) const RETRY: &str = "40001";
    pub(crate) const REFUSED: &str = "42000";
    pub(crate) const SYNTAX: &str = "42601";
    pub(crate) const AMBIGUOUS_COLUMN: &str = "42702";
    pub(crate) const COLUMN: &str = "42703";
    /// Of a setting, or a type.
    pub(crate) const SETTING: &str = "42704";
    pub(crate) const GROUPING: &str = "42803";
    pub(crate) const TYPE_MISMATCH: &str = "42804";
    pub(crate) const NO_CAST: &str = "42846";
    pub(crate) const FUNCTION: &str = "42883";
    pub(crate) const TABLE: &str = "42P01";
    pub(crate) const POSITION: &str = "42P10";
    pub(crate) const EXISTS: &str = "42P03";
    pub(crate) const STATEMENT_EXISTS: &str = "42P05";
    pub(crate) const BUSY: &str = "53000";
    pub(crate) const CONNECTIONS: &str = "53300";
    pub(crate) const OVER_SHARE: &str = "53400";
    pub(crate) const LIMIT: &str = "54000";
    pub(crate) const STATE: &str = "55000";
    pub(crate) const CANCELLED: &str = "57014";
    pub(crate) const SHUTDOWN: &str = "57P01";
    pub(crate) const IDLE: &str = "57P05";
    pub(crate) const STORE: &str = "58030";
    pub(crate) const INTERNAL: &str = "XX000";
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PgError {
    /// SQLSTATE.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    /// The connection ends with it.
    pub(crate) is_fatal: bool,
}

impl PgError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            is_fatal: false,
        }
    }

    pub(crate) fn fatal(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            is_fatal: true,
            ..Self::new(code, message)
        }
    }

    /// A message that breaks the protocol: what comes after it cannot be understood.
    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::fatal(state::PROTOCOL, message)
    }

    /// Returns the message for the client, and counts it.
    pub(crate) fn response(&self) -> ErrorResponse {
        metrics::counter!("meetnet_pg_errors_total", "sqlstate" => self.code).increment(1);
        let severity = if self.is_fatal { "FATAL" } else { "ERROR" };
        ErrorResponse::new(vec![
            (b'S', severity.to_owned()),
            (b'V', severity.to_owned()),
            (b'C', self.code.to_owned()),
            // A zero byte would end the text in the middle of the message.
            (b'M', self.message.replace('\0', " ")),
        ])
    }
}

impl fmt::Display for PgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl From<QueryError> for PgError {
    fn from(error: QueryError) -> Self {
        let code = match error.fault {
            Some(fault) => code_of_fault(fault),
            None => code_of_kind(error.kind),
        };
        Self::new(code, error.message)
    }
}

fn code_of_fault(fault: StatementFault) -> &'static str {
    match fault {
        StatementFault::Syntax => state::SYNTAX,
        StatementFault::Column => state::COLUMN,
        StatementFault::AmbiguousColumn => state::AMBIGUOUS_COLUMN,
        StatementFault::Function => state::FUNCTION,
        StatementFault::Unsupported => state::UNSUPPORTED,
        StatementFault::DivisionByZero => state::DIVISION_BY_ZERO,
        StatementFault::OutOfRange => state::OUT_OF_RANGE,
        StatementFault::InvalidText => state::BAD_TEXT,
        StatementFault::InvalidTime => state::BAD_TIME,
        StatementFault::TimeRange => state::TIME_RANGE,
        StatementFault::IntervalRange => state::INTERVAL_RANGE,
        StatementFault::InvalidArgument => state::BAD_VALUE,
        StatementFault::Power => state::BAD_POWER,
        StatementFault::NegativeLength => state::NEGATIVE_LENGTH,
        StatementFault::Buckets => state::BAD_BUCKETS,
        StatementFault::Pattern => state::BAD_PATTERN,
        StatementFault::NoCast => state::NO_CAST,
        StatementFault::TypeMismatch => state::TYPE_MISMATCH,
        StatementFault::Type => state::SETTING,
        StatementFault::Grouping => state::GROUPING,
        StatementFault::Position => state::POSITION,
        StatementFault::NegativeLimit => state::NEGATIVE_LIMIT,
        StatementFault::NegativeOffset => state::NEGATIVE_OFFSET,
    }
}

fn code_of_kind(kind: QueryErrorKind) -> &'static str {
    match kind {
        QueryErrorKind::BadRequest => state::REFUSED,
        QueryErrorKind::NotFound => state::TABLE,
        QueryErrorKind::NotSettled => state::STATE,
        QueryErrorKind::Forbidden => state::READ_ONLY,
        QueryErrorKind::TooLarge => state::LIMIT,
        QueryErrorKind::Timeout => state::CANCELLED,
        QueryErrorKind::Busy => state::BUSY,
        QueryErrorKind::OverShare => state::OVER_SHARE,
        QueryErrorKind::SnapshotExpired => state::RETRY,
        QueryErrorKind::StoreUnavailable => state::STORE,
        QueryErrorKind::Internal => state::INTERNAL,
    }
}
