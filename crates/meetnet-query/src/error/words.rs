//! What DataFusion and Arrow say of a statement, in words for whoever wrote it: what is wrong, and what to write.
//!
//! Their texts are matched, since most of these errors are of one type. One that is not known stays as it is, so that a newer
//! DataFusion can at worst make a message less helpful.

use datafusion::common::SchemaError;
use meetnet_sql::literals::cell;

use super::{first_line, shortened};

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
const TIME_FORMS: &str = "2026-01-31, 2026-01-31T12:00:00Z or 2026-01-31T12:00:00+01:00";

/// How much of an expression is repeated.
const SHOWN_BYTES_MAX: usize = 100;

/// Returns what a client is told of an error in a statement; `text` is one line.
pub(super) fn in_words(text: &str) -> String {
    let text = without_prefixes(text);
    let without_tree = match text.contains("span: Span(") {
        true => without_dump(text),
        false => text,
    };
    known(text).unwrap_or_else(|| without_tree.to_owned())
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

fn known(text: &str) -> Option<String> {
    if text == "Divide by zero error" {
        return Some(
            "the statement would divide by zero; divide by NULLIF(x, 0), which leaves the answer empty there".to_owned(),
        );
    }
    time(text)
        .or_else(|| range(text))
        .or_else(|| cast(text))
        .or_else(|| call(text))
        .or_else(|| argument(text))
        .or_else(|| grouping(text))
        .or_else(|| same_names(text))
        .or_else(|| types(text))
        .or_else(|| position(text))
        .or_else(|| order(text))
        .or_else(|| subquery(text))
}

/// Texts that stand for a time, a zone or a span of time.
fn time(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix("Error parsing timestamp from '") {
        let (value, why) = rest.split_once("': ")?;
        return Some(match value.rsplit_once("' using format '") {
            None if is_infinite(value) => format!(
                "`{value}` is no time here: there is none behind all others; write x IS NULL OR y < x, or a time such as '9999-12-31'"
            ),
            None => format!("`{value}` is no time; write {TIME_FORMS} (UTC without an offset)"),
            Some((value, format)) if format.contains('%') => {
                format!("`{value}` is no time of the format `{format}`: {why}")
            }
            Some((_, format)) => format!(
                "`{format}` is no format that times are read by; write %Y-%m-%d %H:%M:%S, or in PostgreSQL's patterns \
                 YYYY-MM-DD HH24:MI:SS"
            ),
        });
    }
    if let Some(rest) = text.strip_prefix("Invalid timezone \"") {
        let (zone, _) = rest.rsplit_once("\": ")?;
        return Some(format!(
            "unknown time zone `{zone}`; use an IANA name such as `Europe/Brussels` or `UTC`"
        ));
    }
    let span = text
        .strip_prefix("Invalid input syntax for type interval: \"")?
        .strip_suffix('"')?;
    // In a parameter or a text.
    Some(match span.get(..9) {
        Some(word) if word.eq_ignore_ascii_case("interval ") => format!(
            "`{span}` is no span of time as a text is one; write 7 days or 90 minutes, without INTERVAL"
        ),
        _ => format!(
            "`{span}` is no span of time; write for example INTERVAL '90 minutes' or INTERVAL '7 days'"
        ),
    })
}

/// Returns true for what PostgreSQL calls the time before or behind all others.
fn is_infinite(text: &str) -> bool {
    let text = text.trim().trim_start_matches(['-', '+']);
    ["infinity", "inf"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// Numbers that do not fit the type that they are computed in.
fn range(text: &str) -> Option<String> {
    let of_number = text.strip_prefix("Can't cast value ");
    if let Some((value, data_type)) = of_number.and_then(|what| what.split_once(" to type ")) {
        return Some(format!("out of range: {value} is no {data_type}"));
    }
    let of_decimal = text.strip_prefix("Cannot cast to Decimal128(");
    if let Some((decimal, value)) =
        of_decimal.and_then(|what| what.split_once("). Overflowing on "))
    {
        return Some(format!("out of range: {value} is no DECIMAL({decimal})"));
    }
    let of_operator = text.strip_prefix("Arithmetic overflow: ");
    let of_operator = of_operator.map(|what| what.trim_start_matches("Overflow happened on: "));
    let of_abs = || text.split_once(" overflow on ").map(|(_, what)| what);
    let what = of_operator.or_else(of_abs)?;
    Some(format!(
        "out of range: {what} does not fit the type that it is computed in; compute with wider numbers, CAST(x AS DECIMAL(38, 0)), \
         or with CAST(x AS DOUBLE) where the last digits do not matter"
    ))
}

/// A text that is used as something else, and is none.
fn cast(text: &str) -> Option<String> {
    let rest = text
        .strip_prefix("Cannot cast string '")
        .or_else(|| text.strip_prefix("Cannot cast value '"))?;
    let (value, data_type) = rest.rsplit_once("' to value of ")?;
    let data_type = data_type.strip_suffix(" type")?;
    if let ("Int64", Some(cell)) = (data_type, cell(value)) {
        return Some(format!(
            "`{value}` is used as a whole number, and is none; as an H3 cell it is {cell}"
        ));
    }
    let used_as = match data_type {
        "Boolean" => "as true or false, and is neither".to_owned(),
        "Date32" | "Date64" => "as a date, and is none; dates are written 2026-01-31".to_owned(),
        "Int8" | "Int16" | "Int32" | "Int64" | "UInt8" | "UInt16" | "UInt32" | "UInt64" => {
            "as a whole number, and is none".to_owned()
        }
        _ if data_type.starts_with("Float") || data_type.starts_with("Decimal") => {
            "as a number, and is none".to_owned()
        }
        _ => format!("as a value of {data_type}, and is none"),
    };
    Some(format!("`{value}` is used {used_as}"))
}

/// A call with arguments that the function does not take. A function of several signatures says it of each.
fn call(text: &str) -> Option<String> {
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
    let mut taken: Vec<(&str, Vec<&str>)> = Vec::new();
    for reason in rest.split("Error during planning: ") {
        let reason = reason.trim_end_matches([',', '.', ' ']);
        let reason = reason.strip_prefix(own.as_str()).unwrap_or(reason);
        let Some((takes, got)) = reason.split_once(" but received ") else {
            continue;
        };
        let takes = takes.trim_end_matches(',');
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
            .map(|(position, &takes)| match position {
                0 => takes,
                _ => takes.strip_prefix("requires ").unwrap_or(takes),
            })
            .collect();
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
fn types(text: &str) -> Option<String> {
    let has_time = text.contains("Timestamp") || text.contains("Date");
    let compared = text
        .strip_prefix("Cannot infer common argument type for comparison operation ")
        .or_else(|| text.strip_prefix("Can not find compatible types to compare "));
    if let Some(what) = compared {
        let hint = match has_time {
            true => "write a time as '2026-01-31T12:00:00Z', seconds since 1970 as to_timestamp(…)",
            false => "make one the other's type: CAST(… AS …)",
        };
        return Some(format!("these cannot be compared: {what}; {hint}"));
    }
    if let Some(what) = text.strip_prefix("Cannot coerce arithmetic expression ") {
        let what = what.strip_suffix(" to valid types").unwrap_or(what);
        let hint = match has_time {
            true => "write a span of time as INTERVAL '7 days'",
            false => "make one the other's type: CAST(… AS …)",
        };
        return Some(format!("these cannot be computed: {what}; {hint}"));
    }
    let what = text.strip_prefix("There isn't a common type to coerce ")?;
    let (of, _) = what.split_once(" and ")?;
    let hint = match has_time {
        true => "write time >= '2026-01-01' AND time < '2026-02-01'",
        false => "write CAST(… AS TEXT)",
    };
    what.ends_with("LIKE expression")
        .then(|| format!("LIKE compares texts, and not {of}; {hint}"))
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
fn subquery(text: &str) -> Option<String> {
    if text.starts_with("Correlated scalar subquery can only be used in") {
        return Some(
            "not supported: a subquery with columns of the query around it in ON or ORDER BY; write it in SELECT or WHERE, or JOIN \
             a WITH that computes it for every key"
                .to_owned(),
        );
    }
    if text.starts_with("null_aware anti join only supports single column join key") {
        return Some(
            "not supported: NOT IN (SELECT …) with columns of the query around it; write NOT EXISTS (SELECT 1 FROM t WHERE t.x = \
             outer.x AND …)"
                .to_owned(),
        );
    }
    if let Some((columns, names)) = text
        .strip_prefix("Source table contains ")
        .and_then(|counts| counts.strip_suffix(" names given as column alias"))
        .and_then(|counts| counts.split_once(" columns but only "))
    {
        return Some(format!(
            "the columns of a subquery or a table are {columns}, and {names} are named or compared: (a, b) IN (SELECT x, y …) and AS \
             t(a, b) take two columns"
        ));
    }
    let columns =
        text.strip_prefix("Too many columns! The subquery should only return one column: ")?;
    Some(format!(
        "a subquery that is a value, or that IN compares one value with, answers one column, and this one {columns}; (a, b) IN \
         (SELECT x, y FROM t) compares rows"
    ))
}

#[cfg(test)]
mod tests;
