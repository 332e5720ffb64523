//! What can go wrong with a query: a kind for callers, a message for the client, a source for the log.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError, TableReference};
use datafusion::error::DataFusionError;
use meetnet_functions::descriptions;
use meetnet_lake::damage::Damage;
use parquet::errors::ParquetError;

use crate::as_of::AS_OF_SUFFIX;
use crate::memory::{ALL_QUERIES, OF_QUERY};
use crate::room::OF_CLIENT;

mod elsewhere;
mod near_names;
mod sql_names;
mod words;

use elsewhere::instead;
use words::{Said, in_words, of_syntax, same_columns, unsupported, unsupported_cast};

pub use near_names::nearest;
pub(crate) use near_names::suggestion;
pub(crate) use sql_names::sql_name;

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
    /// It asks for less than no rows.
    NegativeLimit,
    /// It leaves out less than no rows.
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
    pub(crate) fn of_statement(fault: StatementFault, message: impl Into<String>) -> Self {
        Self::new(QueryErrorKind::BadRequest, message).with_fault(fault)
    }

    /// Makes the error of something that a statement asks for and that there is not.
    pub(crate) fn not_supported(what: impl fmt::Display) -> Self {
        Self::of_statement(
            StatementFault::Unsupported,
            format!("not supported: {what}"),
        )
    }

    /// Makes the error of a subquery that nobody can compute.
    pub(crate) fn of_subquery() -> Self {
        let message = unsupported("logical expression ScalarSubquery");
        Self::of_statement(StatementFault::Unsupported, message)
    }

    /// Makes the error of an `unnest` in FROM of what another table there has.
    pub(crate) fn of_unnest() -> Self {
        let message = "not supported: unnest in FROM of a column of another table there; write it in SELECT: SELECT t.id, unnest(t.list) \
                       AS x FROM t, and where x is used a query around it";
        Self::of_statement(StatementFault::Unsupported, message)
    }

    fn with_fault(mut self, fault: StatementFault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// Says what was all taken.
    pub(crate) fn with_shared_limit(mut self, limit: SharedLimit) -> Self {
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

    /// Makes the error of a file that cannot be used; `file` starts at the lake.
    pub(crate) fn broken_file(file: &str, damage: Damage) -> Self {
        let message = format!(
            "a file of the tables cannot be read: `{file}` {damage}; whoever runs this service finds what is lost with \
             `meetnet check`"
        );
        Self::new(QueryErrorKind::Internal, message)
    }

    /// Makes the error of files that nobody can read now, since the store that they lie in does not give them.
    pub(crate) fn store_unavailable() -> Self {
        Self::new(
            QueryErrorKind::StoreUnavailable,
            "the store that the tables lie in cannot be read at the moment; ask again later",
        )
    }

    /// Returns true where reading files failed, and not the statement: which file, the error does not say.
    pub(crate) fn is_of_reading(&self) -> bool {
        self.is_of_reading
    }

    /// Classifies an error of DataFusion. `tables` are the names that a mistyped table could have meant.
    pub fn from_datafusion(error: DataFusionError, tables: &[String]) -> Self {
        let root = error.find_root();
        let classified = classify(root, tables);
        Self {
            kind: classified.kind,
            fault: classified.fault,
            shared_limit: classified.shared_limit,
            message: shortened(classified.message, MESSAGE_BYTES_MAX),
            is_of_reading: own_error(root).is_none()
                && is_of_reading(root)
                && of_condition(root).is_none(),
            retry_after_s: None,
            source: Some(Arc::new(error)),
        }
    }
}

/// Length of a message: names in it are as long as a client has written them.
const MESSAGE_BYTES_MAX: usize = 4_000;

/// Returns a text of which at most `bytes_max` bytes are left; where some are not, it says so.
pub(crate) fn shortened(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push('…');
    }
    text
}

/// Returns a size as the configuration writes it: in the largest unit that it is a whole number of.
pub(crate) fn size_text(bytes: u64) -> String {
    let (bits, unit) = match bytes.trailing_zeros() {
        // Of no bytes all 64 bits are zeros.
        64.. => (0, "bytes"),
        30.. => (30, "GiB"),
        20.. => (20, "MiB"),
        10.. => (10, "KiB"),
        _ => (0, "bytes"),
    };
    format!("{} {unit}", bytes >> bits)
}

impl From<QueryError> for DataFusionError {
    fn from(error: QueryError) -> Self {
        Self::External(Box::new(error))
    }
}

/// Returns what an error of DataFusion means, without its source.
fn classify(error: &DataFusionError, tables: &[String]) -> QueryError {
    use QueryErrorKind::{Busy, Forbidden, Internal, OverShare, TooLarge};
    if let Some(own) = own_error(error) {
        return own.clone();
    }
    match error {
        DataFusionError::SQL(parser, _) => {
            let text = parser.to_string();
            unreadable(text.trim_start_matches("sql parser error: "))
        }
        DataFusionError::SchemaError(schema, _) => of_schema(schema),
        DataFusionError::Plan(text) => match text.split_once("not supported: ") {
            Some((subject @ ("DDL " | "DML " | "Statement "), what)) => QueryError::new(
                Forbidden,
                format!(
                    "this service only reads; {}{what} is not allowed",
                    subject.to_lowercase()
                ),
            ),
            _ => of_plan(text, tables),
        },
        DataFusionError::NotImplemented(text) => match unsupported_cast(first_line(text)) {
            Some(said) => of_said(said),
            None => QueryError::of_statement(
                StatementFault::Unsupported,
                unsupported(first_line(text)),
            ),
        },
        DataFusionError::Execution(text) | DataFusionError::Configuration(text) => {
            if let Some((_, pattern)) = text.split_once(NO_PATTERN) {
                return of_pattern(pattern);
            }
            of_said(in_words(first_line(own_words(text))))
        }
        // What BETWEEN is of types that do not go together.
        DataFusionError::Internal(text) if text.starts_with("Failed to coerce types ") => {
            of_said(in_words(first_line(text)))
        }
        error if is_of_reading(error) => of_condition(error)
            .unwrap_or_else(|| QueryError::new(Internal, internal_message())),
        DataFusionError::ArrowError(arrow, _) => {
            let text = arrow.to_string();
            if let Some((_, pattern)) = text.split_once(NO_PATTERN) {
                return of_pattern(pattern);
            }
            let error = of_said(in_words(first_line(&text)));
            match **arrow {
                ArrowError::DivideByZero => error.with_fault(StatementFault::DivisionByZero),
                ArrowError::ArithmeticOverflow(_) => error.with_fault(StatementFault::OutOfRange),
                _ => error,
            }
        }
        DataFusionError::ResourcesExhausted(text) if text.contains(OF_CLIENT) => QueryError::new(
            OverShare,
            "your queries, and answers of yours that are not read yet, together need more memory than one client may have \
             (client_memory_bytes_max of the service, or memory_total_bytes_max of your API key); wait for one to end, or \
             read on",
        )
        .with_shared_limit(SharedLimit::Memory),
        DataFusionError::ResourcesExhausted(text) if text.contains(ALL_QUERIES) => QueryError::new(
            Busy,
            "all running queries together need more memory than there is for them (memory_total_bytes_max of the service); \
             try again later",
        )
        .with_shared_limit(SharedLimit::Memory),
        DataFusionError::ResourcesExhausted(text) => {
            QueryError::new(TooLarge, too_much_memory(text))
        }
        DataFusionError::Collection(errors) if !errors.is_empty() => {
            classify(errors[0].find_root(), tables)
        }
        DataFusionError::External(source) => match source.downcast_ref::<regex::Error>() {
            Some(pattern) => of_pattern(&pattern.to_string()),
            None => QueryError::new(Internal, internal_message()),
        },
        _ => QueryError::new(Internal, internal_message()),
    }
}

/// Makes the error of a statement that is wrong as it is said.
fn of_said(said: Said) -> QueryError {
    let error = QueryError::new(QueryErrorKind::BadRequest, said.message);
    match said.fault {
        Some(fault) => error.with_fault(fault),
        None => error,
    }
}

/// What stands before the error of a regular expression that functions of DataFusion cannot use.
const NO_PATTERN: &str = "Regular expression did not compile: ";

/// Says what is wrong with a regular expression, or with flags, which are put before it.
fn of_pattern(text: &str) -> QueryError {
    // Over several lines it shows the place, and says behind that what is wrong there.
    let of_place = |line: &str| line.trim_start().strip_prefix("error: ").map(str::to_owned);
    let what = text.lines().find_map(of_place);
    let last = || text.lines().next_back().unwrap_or_default().to_owned();
    let what = what.unwrap_or_else(last);
    let fault = match what.as_str() {
        "unrecognized flag" => StatementFault::InvalidArgument,
        _ => StatementFault::Pattern,
    };
    let message = format!(
        "a regular expression, or its flags, cannot be used: {what}; there is no look-around and no back reference, and the flags are \
         c, g, i, m, n, p, s, w, x and U"
    );
    QueryError::of_statement(fault, message)
}

/// Makes the error of a statement that cannot be read.
pub(crate) fn unreadable(what: impl fmt::Display) -> QueryError {
    let what = of_syntax(&what.to_string());
    let message = format!("the SQL could not be read: {what}");
    QueryError::of_statement(StatementFault::Syntax, message)
}

/// Returns an error of ours that came through DataFusion, or through something that was written to.
fn own_error(error: &DataFusionError) -> Option<&QueryError> {
    match error {
        DataFusionError::External(source) => source.downcast_ref(),
        DataFusionError::IoError(error) => error.get_ref()?.downcast_ref(),
        DataFusionError::ArrowError(arrow, _) => match arrow.as_ref() {
            ArrowError::IoError(_, error) => error.get_ref()?.downcast_ref(),
            ArrowError::ExternalError(source) => source.downcast_ref(),
            _ => None,
        },
        _ => None,
    }
}

/// Returns true where a file, or the storage, failed; errors of Arrow are of the statement otherwise.
fn is_of_reading(error: &DataFusionError) -> bool {
    match error {
        DataFusionError::ParquetError(_)
        | DataFusionError::ObjectStore(_)
        | DataFusionError::IoError(_) => true,
        DataFusionError::ArrowError(arrow, _) => is_arrow_reading(arrow),
        DataFusionError::External(source) => is_source_reading(source.as_ref()),
        DataFusionError::Collection(errors) => errors
            .first()
            .is_some_and(|first| is_of_reading(first.find_root())),
        _ => false,
    }
}

/// What stands before an error of a condition that files are read by. It comes as one of reading, and as a text.
const CONDITION: &str = "Error evaluating filter predicate: ";

/// Returns the error of a statement that came while a file was read by one of its conditions.
fn of_condition(error: &DataFusionError) -> Option<QueryError> {
    let text = error.to_string();
    let (_, cause) = text.split_once(CONDITION)?;
    if cause.contains("DivideByZero") {
        let message = in_words("Divide by zero error").message;
        return Some(QueryError::of_statement(
            StatementFault::DivisionByZero,
            message,
        ));
    }
    let kinds = ["ArrowError(", "Execution("];
    if !kinds.iter().any(|kind| cause.starts_with(kind)) {
        return None;
    }
    let (_, what) = cause.split_once("(\"")?;
    let (what, _) = what.split_once("\")")?;
    if cause.contains("ArithmeticOverflow") {
        let message = in_words(&format!("Arithmetic overflow: {what}")).message;
        return Some(QueryError::of_statement(
            StatementFault::OutOfRange,
            message,
        ));
    }
    Some(of_said(in_words(what)))
}

fn is_arrow_reading(error: &ArrowError) -> bool {
    match error {
        ArrowError::ParquetError(_) | ArrowError::IoError(..) => true,
        ArrowError::ExternalError(source) => is_source_reading(source.as_ref()),
        _ => false,
    }
}

fn is_source_reading(source: &(dyn Error + Send + Sync + 'static)) -> bool {
    source.is::<ParquetError>()
        || source.is::<object_store::Error>()
        || source.is::<std::io::Error>()
}

fn internal_message() -> String {
    "the query failed inside the server; the server's log has the cause".to_owned()
}

/// Functions say themselves what is wrong with their arguments; DataFusion puts its own words before and behind.
fn own_words(text: &str) -> &str {
    let Some((_, own)) = text.split_once("user-defined coercion failed with: ") else {
        return text;
    };
    let own = own.strip_prefix("Error during planning: ").unwrap_or(own);
    own.split_once(". No function matches the given name")
        .map_or(own, |(own, _)| own)
}

/// DataFusion appends backtraces and help on further lines; clients need the first.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text).trim()
}

/// What stands before the name of an operator that got no memory.
const NO_MEMORY_FOR: &str = "Additional allocation failed for ";

/// Operators that hold memory, as their names in errors begin, and what a statement has them for.
const HOLDS_MEMORY: &[(&str, &str)] = &[
    ("ExternalSorter", "a sort"),
    ("SortPreservingMerge", "a sort"),
    (
        "TopK",
        "a sort with LIMIT, which holds as many rows as that asks for",
    ),
    ("AggregateStream", "a grouping"),
    ("SingleHashAggregate", "a grouping"),
    ("PartialHashAggregate", "a grouping"),
    ("FinalHashAggregate", "a grouping"),
    ("PartialReduceHashAggregate", "a grouping"),
    ("OrderedFinalAggregate", "a grouping"),
    ("OrderedPartialAggregate", "a grouping"),
    ("GroupedHashAggregate", "a grouping"),
    ("RunAggregate", "a grouping"),
    ("HashJoin", "a join"),
    ("NestedLoopJoin", "a join"),
    ("CrossJoin", "a join"),
    ("SMJStream", "a join"),
    ("window", "a window"),
];

/// Says of which limit a query has had all, and for what. Who else holds memory stands on further lines, and is no business of
/// clients.
fn too_much_memory(text: &str) -> String {
    let first = first_line(text);
    let what = match first.strip_prefix(NO_MEMORY_FOR) {
        Some(operator) => {
            let known = HOLDS_MEMORY
                .iter()
                .find(|(begin, _)| operator.starts_with(*begin));
            let operator = operator.split(" with top memory consumers").next();
            known.map_or(operator.unwrap_or_default(), |(_, what)| *what)
        }
        // Ours say it in words.
        None => first,
    };
    let most = text.split_once(OF_QUERY).and_then(|(_, rest)| {
        let (size, _) = rest.split_once(',')?;
        Some(size)
    });
    match most {
        Some(size) => format!(
            "the query needs more than {size} of memory, which is the most; narrow it by time, or group or sort fewer rows ({what})"
        ),
        None => format!(
            "the query needs more memory than one query may use; narrow it by time or group by fewer keys ({what})"
        ),
    }
}

fn of_plan(text: &str, tables: &[String]) -> QueryError {
    let missing = text
        .strip_prefix("table '")
        .and_then(|rest| rest.split_once("' not found"))
        .map(|(name, _)| name);
    if let Some(name) = missing {
        let short = name.strip_prefix("meetnet.public.").unwrap_or(name);
        if let Some(dataset) = short.strip_suffix(AS_OF_SUFFIX)
            && tables.iter().any(|table| table == dataset)
        {
            let message =
                format!("`{short}` takes a time: {short}(TIMESTAMP '2026-01-31T12:00:00Z')");
            return QueryError::new(QueryErrorKind::BadRequest, message);
        }
        let hint = suggestion(short, tables.iter().map(String::as_str));
        return QueryError::new(
            QueryErrorKind::NotFound,
            format!("there is no table `{short}`{hint}"),
        );
    }
    let function = text
        .strip_prefix("table function '")
        .and_then(|rest| rest.split_once("' not found"))
        .map(|(name, _)| name);
    if let Some("unnest") = function {
        return QueryError::of_unnest();
    }
    if let Some(name) = function {
        let message = format!(
            "there is no table function `{name}`; there are time_grid, generate_series and, for \
             each dataset, its name with _as_of behind"
        );
        let error = QueryError::new(QueryErrorKind::NotFound, message);
        return error.with_fault(StatementFault::Function);
    }
    let call = text
        .strip_prefix("Invalid function '")
        .and_then(|rest| rest.split_once('\''));
    if let Some((name, rest)) = call {
        return QueryError::of_statement(StatementFault::Function, function_message(name, rest));
    }
    if text.starts_with("SHOW [VARIABLE]") {
        return QueryError::new(
            QueryErrorKind::Forbidden,
            "this service does not show its settings",
        );
    }
    of_said(in_words(first_line(own_words(text))))
}

/// Says what may have been meant by a function that is not there. DataFusion says the same of a window function without a
/// window, and then names the nearest of all functions, however far it is: `.\nDid you mean 'floor'?`.
fn function_message(name: &str, rest: &str) -> String {
    // Before what is described: of `percentile_disc` it says which calls there are.
    if let Some(instead) = instead(name) {
        return format!("there is no function `{name}`; write {instead}");
    }
    let mut known = descriptions();
    if let Some(known) = known.find(|known| known.name == name) {
        return format!(
            "there is no function `{name}` for a call like this one; it is called as {}",
            known.signature
        );
    }
    let names = descriptions().map(|known| known.name);
    let names: Vec<&str> = names.chain(rest.split('\'').nth(1)).collect();
    match nearest(name, &names) {
        Some(near) => format!("there is no function `{name}`; did you mean `{near}`?"),
        None => format!(
            "there is no function `{name}`; SELECT name, description FROM functions lists those for sensor data"
        ),
    }
}

fn of_schema(error: &SchemaError) -> QueryError {
    match error {
        SchemaError::FieldNotFound {
            field,
            valid_fields,
        } => {
            let message = column_message(field, valid_fields);
            QueryError::of_statement(StatementFault::Column, message)
        }
        SchemaError::AmbiguousReference { field } => {
            let message = format!(
                "column `{}` is ambiguous; put the table's name before it",
                field.name()
            );
            QueryError::of_statement(StatementFault::AmbiguousColumn, message)
        }
        other => QueryError::new(QueryErrorKind::BadRequest, same_columns(other)),
    }
}

/// Says what may have been meant by a column that is not there: one of its table, where it names one.
fn column_message(field: &Column, known: &[Column]) -> String {
    let is_of = |column: &Column, table: &str| {
        let of = column.relation.as_ref();
        of.is_some_and(|of| of.table().eq_ignore_ascii_case(table))
    };
    let table = field.relation.as_ref().map(TableReference::table);
    let mut tables: Vec<&str> = known
        .iter()
        .filter_map(|column| column.relation.as_ref().map(TableReference::table))
        .collect();
    tables.sort_unstable();
    tables.dedup();
    if let Some(table) = table
        && !tables.is_empty()
        && !known.iter().any(|column| is_of(column, table))
    {
        return format!(
            "there is no `{table}.{}` here; the tables are {}",
            field.name(),
            tables.join(", ")
        );
    }
    let mut names: Vec<&str> = known
        .iter()
        .filter(|column| table.is_none_or(|table| tables.is_empty() || is_of(column, table)))
        .map(|column| column.name())
        .collect();
    names.sort_unstable();
    names.dedup();
    let hint = suggestion(field.name(), names.into_iter());
    let of = table
        .map(|table| format!(" in `{table}`"))
        .unwrap_or_default();
    format!("there is no column `{}`{of}{hint}", field.name())
}

#[cfg(test)]
mod tests;
