//! What can go wrong with a query: a kind for callers, a message for the client, a source for the log.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use datafusion::error::DataFusionError;

/// What callers branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryErrorKind {
    /// The statement is wrong: syntax, names, types, or values that cannot be computed.
    BadRequest,
    /// The table does not exist, or not for this session.
    NotFound,
    /// The statement asks as of a time that messages may still arrive for; later it can succeed.
    NotSettled,
    /// The statement would do what this service never does: write, define, configure.
    Forbidden,
    /// The statement or its work is over a limit of size or memory.
    TooLarge,
    /// The work took longer than the time limit.
    Timeout,
    /// Too many queries run and wait already; try again.
    Busy,
    /// Too many queries of this one client run and wait; others are served.
    OverShare,
    /// Files of the snapshot were removed while they were read; ask again.
    SnapshotExpired,
    /// The object store that the tables lie in does not give what it was asked for; later it may.
    StoreUnavailable,
    /// A defect or a failing disk; the log has the cause.
    Internal,
}

impl QueryErrorKind {
    /// Returns the name of the kind, for metrics and problem types.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::NotFound => "not_found",
            Self::NotSettled => "not_settled",
            Self::Forbidden => "forbidden",
            Self::TooLarge => "too_large",
            Self::Timeout => "timeout",
            Self::Busy => "busy",
            Self::OverShare => "over_share",
            Self::SnapshotExpired => "snapshot_expired",
            Self::StoreUnavailable => "store_unavailable",
            Self::Internal => "internal",
        }
    }
}

/// What several queries have together and that was all taken, other than places to run: the query is within its own limits, and
/// the same can succeed later. Whose it is, the kind says: the client's (`OverShare`) or everybody's (`Busy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SharedLimit {
    /// Memory of queries and of answers that are not read yet.
    Memory,
    /// Temporary files.
    TemporaryFiles,
    /// The newest row of each series, which is read once for everybody.
    NewestRows,
}

/// What in a statement is wrong, for protocols that have a code for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatementFault {
    /// It cannot be read.
    Syntax,
    /// It names a column that is not there.
    Column,
    /// It names a column that several tables have.
    AmbiguousColumn,
    /// It calls a function that is not there, or a table function.
    Function,
    /// It asks for something that nobody has built.
    Unsupported,
    /// It divides by zero.
    DivisionByZero,
    /// It computes a number that its type cannot hold, or casts one to such a type.
    OutOfRange,
    /// It takes a text for a value of another type, which cannot be read as one.
    InvalidText,
    /// It takes a text for a date, a time or a span of time, which is written otherwise.
    InvalidTime,
    /// It names a day or an hour that there is not.
    TimeRange,
    /// It writes a span of time that is longer than one can be.
    IntervalRange,
    /// It calls a function with a value that this does not take.
    InvalidArgument,
    /// It takes a root of a negative number, or a power that there is not.
    Power,
    /// It takes a part of a text that has a negative length.
    NegativeLength,
    /// It parts a range that is none, or into none.
    Buckets,
    /// It matches by a regular expression that is none.
    Pattern,
    /// It casts values of a type to another one that none of them can become.
    NoCast,
    /// It puts values of two types where those of one are wanted, or of another than is wanted there.
    TypeMismatch,
    /// It names a type that there is not.
    Type,
    /// It shows a column beside aggregates that it does not group by.
    Grouping,
    /// It orders by a column that the answer does not have.
    Position,
    /// Its LIMIT is negative.
    NegativeLimit,
    /// Its OFFSET is negative.
    NegativeOffset,
}

impl StatementFault {
    /// Returns what is wrong with a text that is no date, no time and no time of day: it is written as one is, and names a day or an
    /// hour that there is not, or it is not.
    pub fn of_time(text: &str) -> Self {
        let text = text.trim().to_ascii_lowercase();
        let clock = text.strip_suffix("am").or_else(|| text.strip_suffix("pm"));
        let digits = clock.unwrap_or(&text);
        let is_sign = |sign: char| sign.is_ascii_digit() || "-:.+tz ".contains(sign);
        let is_whole = digits.bytes().all(|sign| sign.is_ascii_digit());
        let has_form = digits.starts_with(|sign: char| sign.is_ascii_digit())
            && digits.chars().all(is_sign)
            && (digits.matches('-').count() >= 2
                || digits.contains(':')
                || is_whole && matches!(digits.len(), 6 | 8));
        match has_form {
            true => Self::TimeRange,
            false => Self::InvalidTime,
        }
    }
}

/// A query that did not work.
#[derive(Clone, Debug)]
pub struct QueryError {
    /// What callers branch on.
    pub kind: QueryErrorKind,
    /// What is wrong with the statement, where that is more than the kind says.
    pub fault: Option<StatementFault>,
    /// What was all taken, where it was not the places to run.
    pub shared_limit: Option<SharedLimit>,
    /// For the client: what was wrong, where, what to do. Names no paths of this machine.
    pub message: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
    /// Whether reading files failed, and not the statement.
    is_of_reading: bool,
    retry_after_s: Option<u64>,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for QueryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_ref()
            .map(|source| source.as_ref() as &(dyn Error + 'static))
    }
}

impl QueryError {
    /// Makes an error without a source.
    pub fn new(kind: QueryErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            fault: None,
            shared_limit: None,
            message: message.into(),
            source: None,
            is_of_reading: false,
            retry_after_s: None,
        }
    }

    /// Makes an error of a statement that is wrong.
    pub fn of_statement(fault: StatementFault, message: impl Into<String>) -> Self {
        Self::new(QueryErrorKind::BadRequest, message).with_fault(fault)
    }

    /// Makes the error of something that a statement asks for and that there is not.
    pub fn not_supported(what: impl fmt::Display) -> Self {
        Self::of_statement(
            StatementFault::Unsupported,
            format!("not supported: {what}"),
        )
    }

    /// Says what in the statement is wrong.
    pub fn with_fault(mut self, fault: StatementFault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Says what was all taken.
    pub fn with_shared_limit(mut self, limit: SharedLimit) -> Self {
        self.shared_limit = Some(limit);
        self
    }

    /// Says in how many seconds it makes sense to come again.
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Returns in how many seconds it makes sense to come again, where that is known.
    pub fn retry_after_s(&self) -> Option<u64> {
        self.retry_after_s
    }

    /// Attaches the cause, for the log.
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Makes an error of kind `Internal`: the client learns that it is not its fault, the log the rest.
    pub fn internal(operation: &str, source: impl Error + Send + Sync + 'static) -> Self {
        Self::new(
            QueryErrorKind::Internal,
            format!(
                "the query failed inside the server ({operation}); the server's log has the cause"
            ),
        )
        .with_source(source)
    }

    /// Makes the error of an answer that the row limit has cut, for readers who would take it for a whole one.
    pub fn cut(row_limit: usize) -> Self {
        Self::new(
            QueryErrorKind::TooLarge,
            format!(
                "the answer has more than the {row_limit} rows that one answer may have; narrow the query, or ask for \
                 fewer by LIMIT"
            ),
        )
    }

    /// Returns true where reading files failed, and not the statement: which file, the error does not say.
    pub fn is_of_reading(&self) -> bool {
        self.is_of_reading
    }

    /// Attaches the error of DataFusion that this one says in other words, and whether reading files failed.
    pub fn of_datafusion(self, error: DataFusionError, is_of_reading: bool) -> Self {
        Self {
            is_of_reading,
            retry_after_s: None,
            source: Some(Arc::new(error)),
            ..self
        }
    }
}

/// Returns a text of which at most `bytes_max` bytes are left; where some are not, it says so.
pub fn shortened(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}

impl From<QueryError> for DataFusionError {
    fn from(error: QueryError) -> Self {
        Self::External(Box::new(error))
    }
}
