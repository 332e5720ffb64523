//! What went wrong with a query, in words of those who asked: errors of DataFusion, of files and of stores.

use std::error::Error;
use std::fmt;

use arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError, TableReference};
use datafusion::error::DataFusionError;
use meetnet_functions::descriptions;
use meetnet_lake::damage::Damage;
use parquet::errors::ParquetError;

use crate::as_of::AS_OF_SUFFIX;
use crate::memory::{ALL_QUERIES, OF_QUERY};
use crate::planning::ROW_NAME;
use crate::room::OF_CLIENT;

mod elsewhere;
mod near_names;
mod sql_names;
mod words;

use elsewhere::instead;
use words::{Said, in_words, of_syntax, same_columns, unsupported, unsupported_cast};

pub(crate) use meetnet_sql::shortened;
pub use meetnet_sql::{QueryError, QueryErrorKind, SharedLimit, StatementFault};
pub use near_names::nearest;
pub(crate) use near_names::suggestion;
pub(crate) use sql_names::sql_name;

/// Makes the error of a subquery that nobody can compute.
pub(crate) fn of_subquery() -> QueryError {
    let message = unsupported("logical expression ScalarSubquery");
    QueryError::of_statement(StatementFault::Unsupported, message)
}

/// Makes the error of a LIMIT or an OFFSET, `clause`, by what nobody can compute before.
pub(crate) fn of_row_count(clause: &str) -> QueryError {
    QueryError::not_supported(format!(
        "{clause} by what is not known, or cannot be computed, before the statement runs; write a number, or a parameter"
    ))
}

/// Makes the error of an `unnest` in FROM of what another table there has.
pub(crate) fn of_unnest() -> QueryError {
    let message = "not supported: unnest in FROM of a column of another table there; write it in SELECT: SELECT t.id, unnest(t.list) \
                   AS x FROM t, and where x is used a query around it";
    QueryError::of_statement(StatementFault::Unsupported, message)
}

/// Makes the error of a file that cannot be used; `file` starts at the lake.
pub(crate) fn broken_file(file: &str, damage: Damage) -> QueryError {
    let message = format!(
        "a file of the tables cannot be read: `{file}` {damage}; whoever runs this service finds what is lost with \
         `meetnet check`"
    );
    QueryError::new(QueryErrorKind::Internal, message)
}

/// Makes the error of files that nobody can read now, since the store that they lie in does not give them.
pub(crate) fn store_unavailable() -> QueryError {
    QueryError::new(
        QueryErrorKind::StoreUnavailable,
        "the store that the tables lie in cannot be read at the moment; ask again later",
    )
}

/// Classifies an error of DataFusion. `tables` are the names that a mistyped table could have meant.
pub(crate) fn from_datafusion(error: DataFusionError, tables: &[String]) -> QueryError {
    let root = error.find_root();
    let mut classified = classify(root, tables);
    classified.message = shortened(classified.message, MESSAGE_BYTES_MAX);
    let is_of_reading =
        own_error(root).is_none() && is_of_reading(root) && of_condition(root).is_none();
    classified.of_datafusion(error, is_of_reading)
}

/// Length of a message: names in it are as long as a client has written them.
const MESSAGE_BYTES_MAX: usize = 4_000;

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
    ("RepartitionExec[Merge", "a sort"),
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
        return of_unnest();
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
    if let Some(error) = of_negative(text) {
        return error;
    }
    if text.starts_with("SHOW [VARIABLE]") {
        return QueryError::new(
            QueryErrorKind::Forbidden,
            "this service does not show its settings",
        );
    }
    of_said(in_words(first_line(own_words(text))))
}

/// Makes the error of a LIMIT or an OFFSET that is negative.
fn of_negative(text: &str) -> Option<QueryError> {
    let (fault, clause) = if text.starts_with("LIMIT must be >= 0") {
        (StatementFault::NegativeLimit, "LIMIT")
    } else if text.starts_with("OFFSET must be >=0") {
        (StatementFault::NegativeOffset, "OFFSET")
    } else {
        return None;
    };
    let message = format!("{clause} must not be negative");
    Some(QueryError::of_statement(fault, message))
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
        // Nobody has written these.
        .filter(|name| !name.starts_with(ROW_NAME))
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
