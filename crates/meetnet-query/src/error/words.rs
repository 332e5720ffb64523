//! What DataFusion and Arrow say of a statement, in words for whoever wrote it: what is wrong, and what to write.
//!
//! Their texts are matched, since most of these errors are of one type. One that is not known stays as it is, so that a newer
//! DataFusion can at worst make a message less helpful.

use std::str::FromStr;

use arrow::datatypes::DataType;
use datafusion::common::SchemaError;

use super::sql_names::{sql_name, with_sql_names};
use super::{StatementFault, first_line, of_row_count, shortened};
use crate::guard::{not_cast, refuses};

mod values;

/// What stands before a text and says which library, or which step of it, found the error.
const PREFIXES: [&str; 8] = [
    "Arrow error: ",
    "Cast error: ",
    "Compute error: ",
    "Error during planning: ",
    "Execution error: ",
    "Internal error: ",
    "Invalid argument error: ",
    "Parser error: ",
];
/// What DataFusion says behind an error of a call, for who can see types.
const CALL_HELP: &str = ". No function matches the given name";

/// How much of an expression is repeated.
const SHOWN_BYTES_MAX: usize = 100;

/// What a client is told of an error in a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// What is wrong, where protocols have a code for it.
    pub(super) fault: Option<StatementFault>,
    pub(super) message: String,
}

impl Said {
    fn of(fault: StatementFault, message: impl Into<String>) -> Self {
        Self {
            fault: Some(fault),
            message: message.into(),
        }
    }

    fn plain(message: impl Into<String>) -> Self {
        Self {
            fault: None,
            message: message.into(),
        }
    }
}

/// Returns what a client is told of an error in a statement; `text` is one line.
pub(super) fn in_words(text: &str) -> Said {
    let text = without_prefixes(text);
    let without_tree = match text.contains("span: Span(") {
        true => without_dump(text),
        false => text,
    };
    known(text).unwrap_or_else(|| Said::plain(without_tree))
}

/// Returns what a client is told of a text that is no statement.
pub(super) fn of_syntax(text: &str) -> String {
    let text = text.replace(", found: EOF", ", found: the end of the statement");
    let text = text.replace(
        "recursion limit exceeded",
        "expressions or queries stand too deep in each other (recursion); nest less, for example with WITH",
    );
    text.replace(
        "No infix parser for token Sharp",
        "write a XOR b in place of a # b, which PostgreSQL's protocol alone has;",
    )
}

/// Returns what a client is told that nobody has built.
pub(super) fn unsupported(text: &str) -> String {
    if let Some((_, expression)) = text.split_once("logical expression ")
        && let Some(message) = unplanned(expression)
    {
        return message.to_owned();
    }
    if let Some(data_type) = text.strip_prefix("Unsupported SQL type ") {
        let data_type = shortened(data_type.to_owned(), SHOWN_BYTES_MAX);
        return format!(
            "not supported: the type {data_type}; write TEXT, or another type that columns have"
        );
    }
    let of_rows = text.strip_prefix("Unsupported ");
    if let Some((clause @ ("LIMIT" | "OFFSET"), _)) =
        of_rows.and_then(|what| what.split_once(" expression: "))
    {
        return of_row_count(clause).message;
    }
    let what = text.strip_prefix("Unsupported ast node ").unwrap_or(text);
    let instead = match what {
        "COUNT DISTINCT with multiple arguments" => {
            "; write count(DISTINCT (a, b)), or SELECT count(*) FROM (SELECT DISTINCT a, b FROM …)"
        }
        "Only identifiers and literals are supported in tuples" => "; write struct(a + 1, b)",
        "TOP" => "; write LIMIT at the end",
        _ if what.starts_with("FETCH") => "; write LIMIT",
        _ if what.starts_with("Pivot ") => {
            "; write a column for each value: max(value) FILTER (WHERE property = 'pm10') AS pm10"
        }
        _ => "",
    };
    format!("not supported: {}{instead}", without_dump(what))
}

/// Returns what is said of an expression that stands where nothing can compute it; by its name, behind which DataFusion writes out
/// its tree.
fn unplanned(expression: &str) -> Option<&'static str> {
    let mut words = expression.split(|letter: char| !letter.is_alphanumeric());
    Some(match words.next()? {
        "WindowFunction" => {
            "not supported: a window function in WHERE; write QUALIFY, or WHERE around a subquery"
        }
        "AggregateFunction" => {
            "not supported: an aggregate in WHERE or GROUP BY, which has no rows of a group yet; write HAVING, or WHERE or \
             GROUP BY around a subquery"
        }
        "ScalarSubquery" => {
            "not supported: a subquery with columns of the query around it that are compared otherwise than by = (such as \
             inner.time > outer.time), or with a LIMIT; write a JOIN with GROUP BY, or number the rows in a WITH, \
             row_number() OVER (PARTITION BY … ORDER BY …) AS n, and JOIN those of n = 1"
        }
        "Exists" | "InSubquery" => {
            "not supported: IN (SELECT …) as a value, in SELECT, CASE or ON, or EXISTS (SELECT …) within an aggregate, in ON, or \
             with columns of the query around it but in its WHERE; in WHERE both can stand. \
             Write LEFT JOIN (SELECT DISTINCT key, true AS found FROM …) AS x ON x.key = outer.key, and x.found IS NOT NULL"
        }
        "OuterReferenceColumn" => {
            "not supported: a subquery, LATERAL or not, with columns of the query around it that are compared otherwise than by \
             =, or with a LIMIT; write a JOIN with that condition, or number the rows in a WITH, \
             row_number() OVER (PARTITION BY … ORDER BY …) AS n, and JOIN those of n = 1"
        }
        _ => return None,
    })
}

fn without_prefixes(mut text: &str) -> &str {
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    text
}

/// A syntax tree in a message says nothing to who wrote the statement.
fn without_dump(text: &str) -> &str {
    match text.split_once(" { ") {
        Some((before, dump)) if dump.contains(": ") => before,
        _ => text,
    }
}

fn known(text: &str) -> Option<Said> {
    if text == "Divide by zero error" {
        return Some(Said::of(
            StatementFault::DivisionByZero,
            "the statement would divide by zero; divide by NULLIF(x, 0), which leaves the answer empty there",
        ));
    }
    values::time(text)
        .or_else(|| values::range(text))
        .or_else(|| values::cast(text))
        .or_else(|| own_function(text))
        .or_else(|| function(text))
        .or_else(|| call(text))
        .or_else(|| argument(text).map(Said::plain))
        .or_else(|| of_fault(StatementFault::Grouping, grouping(text)))
        .or_else(|| same_names(text).map(Said::plain))
        .or_else(|| types(text))
        .or_else(|| condition(text))
        .or_else(|| of_fault(StatementFault::Position, position(text)))
        .or_else(|| of_fault(StatementFault::Unsupported, order(text)))
        .or_else(|| subquery(text))
}

fn of_fault(fault: StatementFault, message: Option<String>) -> Option<Said> {
    message.map(|message| Said::of(fault, message))
}

/// What functions of ours say of a call: which they are, and what is wrong.
fn own_function(text: &str) -> Option<Said> {
    let (name, why) = text.strip_prefix('`')?.split_once("`: ")?;
    let is_name = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
    if !name.chars().all(is_name) {
        return None;
    }
    let is_of_call = why.starts_with("it takes ")
        || why.starts_with("argument ") && why.contains(" is of type ");
    let fault = match name {
        _ if is_of_call => StatementFault::Function,
        "width_bucket" => StatementFault::Buckets,
        _ => StatementFault::InvalidArgument,
    };
    let text = match why.split_once(" is of type ") {
        Some((before, data_type)) if is_of_call => {
            let data_type = with_sql_names(data_type);
            format!("`{name}`: {before} is of type {data_type}")
        }
        _ => text.to_owned(),
    };
    Some(Said::of(fault, text))
}

/// What functions of DataFusion say of a value.
fn function(text: &str) -> Option<Said> {
    let said = |fault, message: String| Some(Said::of(fault, message));
    match text {
        "cannot take square root of a negative number"
        | "zero raised to a negative power is undefined" => {
            return said(StatementFault::Power, text.to_owned());
        }
        "factorial of a negative number is undefined" => {
            return said(StatementFault::OutOfRange, text.to_owned());
        }
        "Step cannot be zero" => {
            let message = "the step of a series cannot be zero".to_owned();
            return said(StatementFault::InvalidArgument, message);
        }
        _ => {}
    }
    if let Some(count) = text.strip_prefix("negative count not allowed: ") {
        let message = format!("no part of a text has a negative length: {count}");
        return said(StatementFault::NegativeLength, message);
    }
    if let Some(number) = text.strip_prefix("invalid Unicode scalar value: ") {
        let message = format!("there is no character of the number {number}");
        return said(StatementFault::InvalidArgument, message);
    }
    if let Some(parts) = text.strip_prefix("Unable to parse date from ") {
        let message = format!("there is no such day: year, month and day are {parts}");
        return said(StatementFault::TimeRange, message);
    }
    let (part, _) = text
        .strip_prefix("Date part '")?
        .split_once("' not supported")?;
    let part = shortened(part.to_owned(), SHOWN_BYTES_MAX);
    let message = format!(
        "a time has no part `{part}`; there are year, quarter, month, week, day, hour, minute, second, dow, isodow, doy and epoch"
    );
    said(StatementFault::InvalidArgument, message)
}

/// Returns what is said of a cast that nobody has built, or that nobody should: `Unsupported CAST from Int64 to Date32`.
pub(super) fn unsupported_cast(text: &str) -> Option<Said> {
    let (from, to) = text
        .strip_prefix("Unsupported CAST from ")?
        .split_once(" to ")?;
    let from = DataType::from_str(from).ok()?;
    let to = DataType::from_str(to).ok()?;
    Some(match refuses(&from, &to) {
        true => Said::of(StatementFault::NoCast, not_cast(&from, &to)),
        false => Said::of(
            StatementFault::Unsupported,
            format!(
                "not supported: a cast of {} to {}",
                sql_name(&from),
                sql_name(&to)
            ),
        ),
    })
}

/// A call with arguments that the function does not take. A function of several signatures says it of each.
fn call(text: &str) -> Option<Said> {
    let message = uncoerced(text).or_else(|| unmatched(text))?;
    Some(Said::of(StatementFault::Function, message))
}

/// `Failed to coerce arguments to satisfy a call to 'left' function: coercion from Utf8, Int64, Int64 to the signature … failed`.
fn uncoerced(text: &str) -> Option<String> {
    let rest = text.strip_prefix("Failed to coerce arguments to satisfy a call to '")?;
    let (name, rest) = rest.split_once("' function: coercion from ")?;
    let (types, _) = rest.split_once(" to the signature ")?;
    let types = with_sql_names(types);
    Some(format!(
        "`{name}` cannot be called so: it takes other arguments than ({types})"
    ))
}

fn unmatched(text: &str) -> Option<String> {
    let (name, rest) = text.strip_prefix("Function '")?.split_once("' ")?;
    let rest = rest.split_once(CALL_HELP).map_or(rest, |(rest, _)| rest);
    let rest = rest
        .strip_prefix("failed to match any signature, errors: ")
        .unwrap_or(rest);
    if !rest.contains(" but received ") {
        return None;
    }
    let own = format!("Function '{name}' ");
    // What it takes, by what it got: `expects 2 arguments`, `requires Int64`.
    let mut taken: Vec<(&str, Vec<String>)> = Vec::new();
    for reason in rest.split("Error during planning: ") {
        let reason = reason.trim_end_matches([',', '.', ' ']);
        let reason = reason.strip_prefix(own.as_str()).unwrap_or(reason);
        let Some((takes, got)) = reason.split_once(" but received ") else {
            continue;
        };
        let takes = with_sql_names(takes.trim_end_matches(','));
        let got = got.split_once(" (DataType").map_or(got, |(got, _)| got);
        match taken.iter_mut().find(|(known, _)| *known == got) {
            Some((_, all)) if all.contains(&takes) => {}
            Some((_, all)) => all.push(takes),
            None => taken.push((got, vec![takes])),
        }
    }
    let reasons = taken.iter().map(|(got, takes)| {
        let takes: Vec<&str> = takes
            .iter()
            .enumerate()
            .map(|(position, takes)| match position {
                0 => takes.as_str(),
                _ => takes.strip_prefix("requires ").unwrap_or(takes),
            })
            .collect();
        let got = with_sql_names(got);
        format!("it {}, and got {got}", takes.join(" or "))
    });
    let reasons: Vec<String> = reasons.collect();
    Some(format!(
        "`{name}` cannot be called so: {}",
        reasons.join("; ")
    ))
}

/// An argument of a table function that is no constant of its type.
fn argument(text: &str) -> Option<String> {
    if text == "Arguments must be literals" {
        return Some(
            "the arguments of a table function must be known before the statement runs; columns, placeholders and what cannot be \
             computed are none"
                .to_owned(),
        );
    }
    let (position, rest) = text.strip_prefix("Argument #")?.split_once(" must be ")?;
    let (what, got) = rest.split_once(", got ")?;
    let what = what.trim_end_matches(" or NULL");
    // A type has a name, and an expression is written out.
    let hint = match got.contains(['{', '(']) {
        true => "; placeholders, columns and what divides by zero are none",
        false => "",
    };
    Some(format!(
        "argument {position} of the table function must be {what} that is known before the statement runs{hint}"
    ))
}

/// A column beside aggregates that is neither grouped by nor in one.
fn grouping(text: &str) -> Option<String> {
    let (clause, rest) = text
        .strip_prefix("Column in ")?
        .split_once(" must be in GROUP BY or an aggregate function: ")?;
    let (_, rest) = rest.split_once("column \"")?;
    let (column, _) = rest.split_once("\" must appear in the GROUP BY clause")?;
    Some(format!(
        "`{column}` in {clause} must stand in GROUP BY, or inside an aggregate such as max(…) or avg(…)"
    ))
}

/// Two columns of one name, counted as those of a `*` are.
fn same_names(text: &str) -> Option<String> {
    let (_, rest) = text.split_once(" require unique expression names but the expression \"")?;
    let (first, rest) = rest.split_once("\" at position ")?;
    let (before, rest) = rest.split_once(" and \"")?;
    let (_, rest) = rest.rsplit_once("\" at position ")?;
    let (behind, _) = rest.split_once(' ')?;
    let [before, behind] = [before, behind].map(|position| position.parse::<usize>());
    let (before, behind) = (before.ok()? + 1, behind.ok()? + 1);
    // Behind a cast's AS stands a bracket.
    let alias = first.rsplit_once(" AS ").map(|(_, alias)| alias);
    Some(match alias.filter(|alias| !alias.contains(')')) {
        Some(alias) => format!(
            "columns {before} and {behind} are both called `{alias}`; call one of them otherwise: AS {alias}_2"
        ),
        None => unlike(
            &format!("columns {before} and {behind} have the same name"),
            first,
        ),
    })
}

/// Returns what is said of columns that cannot be told apart.
pub(super) fn same_columns(error: &SchemaError) -> String {
    match error {
        SchemaError::DuplicateQualifiedField { qualifier, name } => {
            let table = qualifier.table();
            format!(
                "there are two columns `{qualifier}.{name}`, as two tables of one FROM are called `{table}`; call each otherwise: \
                 FROM {table} AS a JOIN {table} AS b"
            )
        }
        SchemaError::DuplicateUnqualifiedField { name } => {
            unlike("two expressions have the same name", name)
        }
        other => first_line(&other.to_string()).to_owned(),
    }
}

/// Returns what is said of two expressions of one name, which nobody has given them.
fn unlike(what: &str, name: &str) -> String {
    let hint = match name.contains("(<subquery>)") {
        true => {
            ", as subqueries are left out of names; compute these in a WITH, and JOIN it: WITH s AS (SELECT max(x) AS most FROM t) \
             SELECT a > s.most FROM u CROSS JOIN s"
        }
        false => "; give one of them another with AS",
    };
    let name = shortened(name.to_owned(), SHOWN_BYTES_MAX);
    format!("{what}, `{name}`{hint}")
}

/// Two types that do not go together.
fn types(text: &str) -> Option<Said> {
    let has_time = text.contains("Timestamp") || text.contains("Date");
    let operator = |message| Some(Said::of(StatementFault::Function, message));
    let mismatch = |message| Some(Said::of(StatementFault::TypeMismatch, message));
    let compared = text
        .strip_prefix("Cannot infer common argument type for comparison operation ")
        .or_else(|| text.strip_prefix("Can not find compatible types to compare "));
    if let Some(what) = compared {
        let what = with_sql_names(what);
        let hint = match has_time {
            true => "write a time as '2026-01-31T12:00:00Z', seconds since 1970 as to_timestamp(…)",
            false => "make one the other's type: CAST(… AS …)",
        };
        return operator(format!("these cannot be compared: {what}; {hint}"));
    }
    if let Some(what) = text.strip_prefix("Cannot coerce arithmetic expression ") {
        let what = with_sql_names(what.strip_suffix(" to valid types").unwrap_or(what));
        let hint = match has_time {
            true => "write a span of time as INTERVAL '7 days'",
            false => "make one the other's type: CAST(… AS …)",
        };
        return operator(format!("these cannot be computed: {what}; {hint}"));
    }
    let logical = "Cannot infer common argument type for logical boolean operation ";
    if let Some(what) = text.strip_prefix(logical) {
        let what = with_sql_names(what);
        return mismatch(format!(
            "AND and OR take what is true or false, and not {what}; compare it, such as x <> 0"
        ));
    }
    if let Some(what) =
        text.strip_prefix("Cannot infer common string type for string concat operation ")
    {
        let what = with_sql_names(what);
        return operator(format!(
            "|| puts texts, or lists, together, and not {what}; write CAST(… AS TEXT)"
        ));
    }
    let other = text.strip_prefix("Cannot infer common ");
    if let Some((_, what)) = other.and_then(|rest| rest.split_once(" operation ")) {
        let what = with_sql_names(what);
        return operator(format!(
            "these have no such operator: {what}; make one the other's type: CAST(… AS …)"
        ));
    }
    if let Some(what) = text.strip_prefix("Fail to find the coerced type for ") {
        let what = with_sql_names(what);
        return mismatch(format!(
            "these have no type together: {what}; make one the other's type: CAST(… AS …)"
        ));
    }
    if text.starts_with("Fail to find the coerced type, errors: ") {
        return mismatch(
            "the arguments have no type together; make them of one type: CAST(… AS …)".to_owned(),
        );
    }
    if let Some(what) = text.strip_prefix("Failed to coerce ") {
        let (what, _) = what
            .split_once(" to common types in ")
            .or_else(|| what.split_once(" in BETWEEN"))?;
        let what = with_sql_names(what);
        return mismatch(format!(
            "these have no type together: {what}; make one the other's type: CAST(… AS …)"
        ));
    }
    if let Some(rest) =
        text.strip_prefix("Incompatible inputs for Union: Previous inputs were of type ")
    {
        let (first, rest) = rest.split_once(", but got incompatible type ")?;
        let (second, column) = rest.split_once(" on column ")?;
        let [first, second] = [first, second].map(with_sql_names);
        let column = column.trim_matches('\'');
        return mismatch(format!(
            "the column `{column}` of a UNION is {first} in one of its queries, and {second} in another; make one the other's type: \
             CAST(… AS …)"
        ));
    }
    if text.starts_with("UNION queries have different number of columns")
        || text.starts_with("INTERSECT queries have different number of columns")
        || text.starts_with("EXCEPT queries have different number of columns")
    {
        let (operator, _) = text.split_once(' ')?;
        return Some(Said::of(
            StatementFault::Syntax,
            format!("the queries of {operator} have different numbers of columns"),
        ));
    }
    let what = text.strip_prefix("There isn't a common type to coerce ")?;
    let (of, _) = what.split_once(" and ")?;
    let hint = match has_time {
        true => "write time >= '2026-01-01' AND time < '2026-02-01'",
        false => "write CAST(… AS TEXT)",
    };
    if !what.ends_with("LIKE expression") {
        return None;
    }
    let of = with_sql_names(of);
    operator(format!("LIKE compares texts, and not {of}; {hint}"))
}

/// What is neither true nor false where a condition stands.
fn condition(text: &str) -> Option<Said> {
    let (what, data_type) = if let Some(rest) =
        text.strip_prefix("Cannot create filter with non-boolean predicate '")
    {
        let (what, data_type) = rest.rsplit_once("' returning ")?;
        let what = shortened(what.to_owned(), SHOWN_BYTES_MAX);
        (
            format!("a condition is true or false, and `{what}`"),
            data_type,
        )
    } else {
        let rest = text.strip_prefix("Unary operator 'NOT' requires a boolean expression, ")?;
        let what = "NOT takes what is true or false, and this".to_owned();
        (what, rest.strip_prefix("got ")?)
    };
    let data_type = with_sql_names(data_type);
    Some(Said::of(
        StatementFault::TypeMismatch,
        format!("{what} is of type {data_type}; compare it, such as x <> 0"),
    ))
}

/// ORDER BY with a number that is no column's.
fn position(text: &str) -> Option<String> {
    let rest = text.strip_prefix("Order by column out of bounds, specified: ")?;
    let (position, columns) = rest.split_once(", max: ")?;
    Some(format!(
        "there is no column {position} to order by; the answer has {columns}"
    ))
}

/// Rows that come in another order than a step of a plan needs, as far as the planner can tell; it names the whole plan.
fn order(text: &str) -> Option<String> {
    text.contains(" does not satisfy order requirements: ").then(|| {
        "not supported: what this orders or parts rows by; compute it in a subquery first, FROM (SELECT *, abs(x % 3) AS k FROM …) AS t, \
         and write ORDER BY k or PARTITION BY k"
            .to_owned()
    })
}

/// A subquery that stands where it cannot, or answers more than what is asked of it.
fn subquery(text: &str) -> Option<Said> {
    if text.starts_with("Correlated scalar subquery can only be used in") {
        return Some(Said::of(
            StatementFault::Unsupported,
            "not supported: a subquery with columns of the query around it in ON or ORDER BY; write it in SELECT or WHERE, or JOIN \
             a WITH that computes it for every key",
        ));
    }
    if text.starts_with("null_aware anti join only supports single column join key") {
        return Some(Said::of(
            StatementFault::Unsupported,
            "not supported: NOT IN (SELECT …) with columns of the query around it; write NOT EXISTS (SELECT 1 FROM t WHERE t.x = \
             outer.x AND …)",
        ));
    }
    if let Some((columns, names)) = text
        .strip_prefix("Source table contains ")
        .and_then(|counts| counts.strip_suffix(" names given as column alias"))
        .and_then(|counts| counts.split_once(" columns but only "))
    {
        return Some(Said::plain(format!(
            "the columns of a subquery or a table are {columns}, and {names} are named or compared: (a, b) IN (SELECT x, y …) and AS \
             t(a, b) take two columns"
        )));
    }
    let columns =
        text.strip_prefix("Too many columns! The subquery should only return one column: ")?;
    Some(Said::of(
        StatementFault::Syntax,
        format!(
            "a subquery that is a value, or that IN compares one value with, answers one column, and this one {columns}; (a, b) IN \
         (SELECT x, y FROM t) compares rows"
        ),
    ))
}

#[cfg(test)]
mod tests;
