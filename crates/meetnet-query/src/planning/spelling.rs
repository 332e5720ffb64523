//! What PostgreSQL and DuckDB write and DataFusion does not, in words that it plans: the syntax tree is changed, in every
//! dialect.
//!
//! | written | planned |
//! |---|---|
//! | `mod(a, b)` | `a % b` |
//! | `every(x)` | `bool_and(x)` |
//! | `date_trunc('day', time, zone)` | `time_bucket(INTERVAL '1 day', time, zone)`, of centuries with an origin |
//! | `timezone('Europe/Brussels', time)` | `time AT TIME ZONE 'Europe/Brussels'` |
//! | `age(time)` | `age(current_date(), time)` |
//! | `make_interval(days => 1, hours => n)` | `1 * INTERVAL '1 day' + n * INTERVAL '1 hour'` |
//! | `format('%s of %s', a, b)` | `concat('', a, ' of ', b, '')`; only of `%s` and `%I` |
//! | `ceiling(x)`, `variance(x)`, `approx_count_distinct(x)` | `ceil(x)`, `var_samp(x)`, `approx_distinct(x)` |
//! | `array_remove(list, 1)`, `array_replace(list, 1, 2)` | `array_remove_all(list, 1)`, `array_replace_all(list, 1, 2)`: the others stop at the first |
//! | `list[2:]`, `list[:3]` | `list[2:2147483647]`, `list[1:3]` |
//! | `percentile_disc(0.9) WITHIN GROUP (ORDER BY x)` | a value among all of a group: `percentiles.rs` |
//! | `regexp_replace(text, '(a)', '$1 \1')` | `regexp_replace(text, '(a)', '$$1 ${1}')` |
//! | `regexp_like(text, '^a', 'n')`, PostgreSQL's flags | `regexp_like(text, '^a', 'm')`: `flags.rs` |
//! | `9999999999999999.99::decimal(20, 2)` | `'9999999999999999.99'::decimal(20, 2)`: a number by itself is a float; `typed.rs` |
//! | `to_timestamp(text, 'YYYY-MM-DD')` | `to_timestamp(text, '%Y-%m-%d')`, outside PostgreSQL's dialect, which has its own |
//! | `FETCH FIRST 3 ROWS ONLY` | `LIMIT 3` |
//! | `lag(x, 1, y) OVER w` | `CASE WHEN lag(true, 1) OVER w IS NULL THEN y ELSE lag(x, 1) OVER w END`: `shifted.rs` |
//! | `generate_series(TIMESTAMP '2026-01-01 00:00', …, '1 hour')` | `generate_series(TIMESTAMP(9) '2026-01-01 00:00:00', …, INTERVAL '1 hour')`, which takes no others |
//! | `SELECT day FROM generate_series(…) AS day` | `… AS day(day)`, where there is no such column otherwise |
//! | `FROM counts` | `SELECT * FROM counts` |
//! | `(a, b) < (c, d)`, `(a, b) IS NULL` | `a < c OR a = c AND b < d`, `a IS NULL AND b IS NULL`: `rows.rs` |
//! | `(a, b) IN (SELECT x, y …)` | `struct(a, b) IN (SELECT struct(x, y) …)`, and from there to `EXISTS (…)`: `row_members.rs` |
//! | `ROLLUP ((a, b), c)`, `CUBE ((a, b), c)` | `GROUPING SETS ((a, b, c), (a, b), ())`, …: `grouped_pairs.rs` |
//! | `GROUP BY ()`, `GROUP BY a, ()` | `GROUP BY GROUPING SETS (())`, `GROUP BY a` |
//! | `x LIKE ANY (ARRAY[a, b])`, `text ^@ start`, `@ x` | `x LIKE a OR x LIKE b`, `starts_with(text, start)`, `abs(x)`: `operators.rs` |
//! | `substring(place FROM '[0-9]+')` | `substring_of_pattern(place, '[0-9]+')`: `matched.rs` |
//! | `place::varchar(3)`, `place::char` | `substring(place::varchar FROM 1 FOR 3)`, `… FOR 1)`: `typed.rs` |
//! | `INTERVAL '1 day 02:00'`, `'P1D'::interval` | `INTERVAL '1 day 2 hours 0 minutes'`, …: `spans.rs` |
//! | `x = ANY(ARRAY[1, NULL])`, `x > ANY(list)` | `x IN (1, NULL)`, `x > ANY(list) OR …`: `members.rs` |
//! | `json_agg(x)`, `json_object_agg(k, v)`, `x::json` | `json_of_elements(array_agg(json_element(x)), ', ')`, …: `json_calls.rs` |
//! | `unnest(list) AS x` | `unnest(list) AS x(x)`: the alias names the column, too (not the fields of a struct) |

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{
    self, AccessExpr, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, Interval, LimitClause, ObjectName,
    Query, Select, SelectFlavor, SelectItem, Subscript, TableAlias, TableAliasColumnDef,
    TableFactor, Value, VisitMut, VisitorMut, WildcardAdditionalOptions,
};
use meetnet_model::buckets::century_start;
use meetnet_model::calendar::format_rfc3339;
use meetnet_model::calendar_unit::CalendarUnit;
use meetnet_model::time::with_seconds;
use meetnet_sql::SUBSTRING_OF_PATTERN;

use super::flags::respell_flags;
use super::grouped_pairs::sets_of_pairs;
use super::json_calls::json_of;
use super::matched::{is_text, matched_part};
use super::members::{among, any_or_null};
use super::operators::{REPEATED_BYTES_MAX, without_operator};
use super::percentiles::{discrete_percentile, name_percentiles};
use super::row_members::as_one_value;
use super::rows::compared_by_parts;
use super::shifted::shifted_or;
use super::typed::respell_typed;
use crate::error::{QueryError, StatementFault};
use crate::parse::parsed_mut;
use crate::postgres::{formatted_call, reading_format_of};

/// Writes a statement, or the one that is to be explained, in the words that DataFusion plans.
///
/// # Errors
/// Where it reads times by a pattern of PostgreSQL that there is nothing for, or asks for the clocks of a zone that is no constant.
pub(super) fn respell(statement: &mut Statement) -> Result<(), QueryError> {
    let Some(parsed) = parsed_mut(statement) else {
        return Ok(());
    };
    if let ControlFlow::Break(message) = parsed.visit(&mut Patterns) {
        return Err(QueryError::of_statement(
            StatementFault::Unsupported,
            message,
        ));
    }
    respell_parsed(parsed);
    Ok(())
}

/// Makes formats of the patterns that times are read by, and looks at the zones. In PostgreSQL's dialect `to_char` has such too, and
/// its rewriter makes formats of all.
struct Patterns;

impl VisitorMut for Patterns {
    /// What cannot be read.
    type Break = String;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<String> {
        if let Expr::AtTimeZone { time_zone, .. } = &*expr
            && text(time_zone).is_none()
        {
            let message = "AT TIME ZONE takes the name of a zone in quotes, 'Europe/Brussels', and neither a parameter nor a column; \
                           over PostgreSQL's protocol it takes them, too";
            return ControlFlow::Break(message.to_owned());
        }
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        let name = match function.name.0.as_slice() {
            [part] => part.as_ident().map(|name| name.value.to_lowercase()),
            _ => None,
        };
        let Some(name @ ("to_timestamp" | "to_date")) = name.as_deref() else {
            return ControlFlow::Continue(());
        };
        let FunctionArguments::List(list) = &mut function.args else {
            return ControlFlow::Continue(());
        };
        for argument in list.args.iter_mut().skip(1) {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) = argument else {
                continue;
            };
            if let Value::SingleQuotedString(pattern) = &mut value.value {
                match reading_format_of(pattern) {
                    Ok(format) => *pattern = format,
                    Err(message) => return ControlFlow::Break(format!("`{name}`: {message}")),
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// Writes a statement in the words that DataFusion plans.
pub(crate) fn respell_parsed(parsed: &mut ast::Statement) {
    // The visitor never breaks.
    let _ = parsed.visit(&mut Respelling {
        repeated_bytes_left: REPEATED_BYTES_MAX,
    });
}

struct Respelling {
    /// How much several patterns may still write several times.
    repeated_bytes_left: usize,
}

impl VisitorMut for Respelling {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        fetch_as_limit(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if select.flavor == SelectFlavor::FromFirstNoSelect && select.projection.is_empty() {
            let all = SelectItem::Wildcard(WildcardAdditionalOptions::default());
            select.projection.push(all);
        }
        name_percentiles(select);
        group_all(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        let series = match table {
            TableFactor::Table {
                name,
                args: Some(args),
                ..
            } if is_series(name) => Some(&mut args.args),
            TableFactor::Function { name, args, .. } if is_series(name) => Some(args),
            _ => None,
        };
        if let Some(args) = series {
            // PostgreSQL reads a text there as the span of time that it must be.
            if let [_, _, FunctionArg::Unnamed(FunctionArgExpr::Expr(step))] = args.as_mut_slice()
                && let Some(width) = text(step).filter(|width| width.parse::<f64>().is_err())
            {
                *step = interval(width.to_owned());
            }
            // The visitor never breaks.
            let _ = args.visit(&mut SeriesValues);
        }
        if let TableFactor::UNNEST {
            alias: Some(alias),
            array_exprs,
            with_offset: false,
            with_ordinality: false,
            ..
        } = table
            && let [array] = array_exprs.as_slice()
            && !is_struct(array)
        {
            name_column(alias);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(json) = json_of(expr) {
            *expr = json;
        }
        if let Expr::Function(function) = expr
            && let Some(other) = respelled(function)
        {
            *expr = other;
        }
        if let Expr::CompoundFieldAccess { access_chain, .. } = expr {
            access_chain.iter_mut().for_each(close_slice);
        }
        respell_typed(expr);
        if let Some(other) = among(expr).or_else(|| any_or_null(expr)) {
            *expr = other;
        }
        if let Some(other) = compared_by_parts(expr).or_else(|| as_one_value(expr)) {
            *expr = other;
        }
        if let Some(other) = matched_part(expr).or_else(|| sets_of_pairs(expr)) {
            *expr = other;
        }
        if let Some(other) = without_operator(expr, &mut self.repeated_bytes_left) {
            *expr = other;
        }
        ControlFlow::Continue(())
    }
}

/// Takes the groups `()`, which are one of all rows, out of a GROUP BY: alone they are the one set of no columns.
fn group_all(select: &mut Select) {
    let GroupByExpr::Expressions(groups, _) = &mut select.group_by else {
        return;
    };
    let count = groups.len();
    groups.retain(|group| !matches!(group, Expr::Tuple(parts) if parts.is_empty()));
    if groups.is_empty() && count > 0 {
        groups.push(Expr::GroupingSets(vec![Vec::new()]));
    }
}

/// Gives a part of a list the bounds that are left out.
fn close_slice(access: &mut AccessExpr) {
    let bound = |number: &str| {
        let number = Value::Number(number.to_owned(), false);
        Some(Expr::Value(number.with_empty_span()))
    };
    if let AccessExpr::Subscript(Subscript::Slice {
        lower_bound,
        upper_bound,
        ..
    }) = access
    {
        if lower_bound.is_none() {
            *lower_bound = bound("1");
        }
        // No list is longer: positions are of 32 bits.
        if upper_bound.is_none() {
            *upper_bound = bound("2147483647");
        }
    }
}

/// Returns true for the name of a table function whose times have nanoseconds.
pub(super) fn is_series(name: &ObjectName) -> bool {
    match name.0.as_slice() {
        [part] => part.as_ident().is_some_and(|name| {
            let name = name.value.to_lowercase();
            ["generate_series", "range"].contains(&name.as_str())
        }),
        _ => false,
    }
}

/// Makes times without a precision such of nanoseconds, and whole numbers such of 64 bits: series take no others.
struct SeriesValues;

impl VisitorMut for SeriesValues {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let (data_type, written) = match expr {
            Expr::TypedString(typed) => (&mut typed.data_type, Some(&mut typed.value.value)),
            Expr::Cast {
                expr, data_type, ..
            } => match expr.as_mut() {
                Expr::Value(value) => (data_type, Some(&mut value.value)),
                _ => (data_type, None),
            },
            _ => return ControlFlow::Continue(()),
        };
        if matches!(
            data_type,
            ast::DataType::Int(_)
                | ast::DataType::Int2(_)
                | ast::DataType::Int4(_)
                | ast::DataType::Integer(_)
                | ast::DataType::SmallInt(_)
        ) {
            *data_type = ast::DataType::BigInt(None);
        }
        let ast::DataType::Timestamp(precision, _) = data_type else {
            return ControlFlow::Continue(());
        };
        *precision = precision.or(Some(9));
        // These are constants before any other text is read as people write it.
        if let Some(Value::SingleQuotedString(time)) = written
            && let Some(whole) = with_seconds(time)
        {
            *time = whole;
        }
        ControlFlow::Continue(())
    }
}

/// Gives the column of each series that has an alias that name, as PostgreSQL does: `generate_series(1, 3) AS n`. Returns true
/// where there were any.
///
/// It is the second choice: as DataFusion has it, the column is `value`.
pub(super) fn name_series(statement: &mut Statement) -> bool {
    let mut named = NamedSeries(false);
    if let Some(parsed) = parsed_mut(statement) {
        // The visitor never breaks.
        let _ = parsed.visit(&mut named);
    }
    named.0
}

/// Whether the column of a series has got a name.
struct NamedSeries(bool);

impl VisitorMut for NamedSeries {
    type Break = ();

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name,
            args: Some(_),
            alias: Some(alias),
            ..
        }
        | TableFactor::Function {
            name,
            alias: Some(alias),
            ..
        } = table
            && is_series(name)
        {
            self.0 |= name_column(alias);
        }
        ControlFlow::Continue(())
    }
}

/// Calls the one column of a table as the table is called; returns false where the columns have names already.
fn name_column(alias: &mut TableAlias) -> bool {
    let has_none = alias.columns.is_empty();
    if has_none {
        alias.columns.push(TableAliasColumnDef {
            name: alias.name.clone(),
            data_type: None,
        });
    }
    has_none
}

/// Returns true for what unnest makes a column of each field of.
fn is_struct(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(expr) => is_struct(expr),
        Expr::Struct { .. } | Expr::Dictionary(_) | Expr::Tuple(_) => true,
        Expr::Function(function) => match function.name.0.as_slice() {
            [part] => part.as_ident().is_some_and(|name| {
                let name = name.value.to_lowercase();
                ["struct", "named_struct", "row"].contains(&name.as_str())
            }),
            _ => false,
        },
        _ => false,
    }
}

/// Makes a FETCH of so many rows the LIMIT that it means; any other one is refused by the planner.
fn fetch_as_limit(query: &mut Query) {
    let Some(fetch) = &query.fetch else {
        return;
    };
    let has_limit = match &query.limit_clause {
        None => false,
        Some(LimitClause::LimitOffset {
            limit, limit_by, ..
        }) => limit.is_some() || !limit_by.is_empty(),
        Some(LimitClause::OffsetCommaLimit { .. }) => true,
    };
    if has_limit || fetch.with_ties || fetch.percent {
        return;
    }
    // FETCH FIRST ROW ONLY
    let one = || Expr::Value(Value::Number("1".to_owned(), false).with_empty_span());
    let rows = fetch.quantity.clone().unwrap_or_else(one);
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit, .. }) => *limit = Some(rows),
        clause => {
            *clause = Some(LimitClause::LimitOffset {
                limit: Some(rows),
                offset: None,
                limit_by: Vec::new(),
            });
        }
    }
    query.fetch = None;
}

/// Returns what a call means where that is no call; changes it where it is one of another function.
fn respelled(function: &mut Function) -> Option<Expr> {
    let [part] = function.name.0.as_slice() else {
        return None;
    };
    let name = part.as_ident()?.value.to_lowercase();
    respell_flags(&name, function);
    match name.as_str() {
        "every" => function.name = named("bool_and"),
        "ceiling" => function.name = named("ceil"),
        "variance" => function.name = named("var_samp"),
        "array_remove" => function.name = named("array_remove_all"),
        "array_replace" => function.name = named("array_replace_all"),
        "approx_count_distinct" => function.name = named("approx_distinct"),
        "percentile_disc" | "quantile_disc" => return discrete_percentile(function),
        "regexp_replace" => {
            let FunctionArguments::List(list) = &mut function.args else {
                return None;
            };
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) =
                list.args.get_mut(2)?
            else {
                return None;
            };
            if let Value::SingleQuotedString(replacement) = &mut value.value
                && let Some(other) = replacement_of(replacement)
            {
                *replacement = other;
            }
        }
        // In quotes it is a name like others; so PostgreSQL itself writes it.
        "substring" => {
            let [text, pattern] = arguments(function)?;
            if is_text(&pattern) {
                let arguments = vec![text, pattern];
                return Some(Expr::Function(call(SUBSTRING_OF_PATTERN, arguments)));
            }
        }
        "format" => return formatted_call(function),
        "make_interval" => return made_interval(function),
        "lag" | "lead" => return shifted_or(function),
        "mod" => {
            let [left, right] = arguments(function)?;
            let rest = binary(left, BinaryOperator::Modulo, right);
            return Some(Expr::Nested(Box::new(rest)));
        }
        // Up to the midnight with which today began.
        "age" => {
            let [time] = arguments(function)?;
            let today = Expr::Function(call("current_date", Vec::new()));
            return Some(Expr::Function(call("age", vec![today, time])));
        }
        "timezone" => {
            let [zone, time] = arguments(function)?;
            // AT TIME ZONE takes the name of a zone alone.
            text(&zone)?;
            return Some(Expr::AtTimeZone {
                // DataFusion 55.2 plans no operator there that has no brackets.
                timestamp: Box::new(Expr::Nested(Box::new(time))),
                time_zone: Box::new(zone),
            });
        }
        "date_trunc" => {
            let [unit, _, zone] = arguments(function)?;
            let unit = CalendarUnit::named(text(&unit)?);
            let FunctionArguments::List(list) = &mut function.args else {
                return None;
            };
            let width = match unit {
                // The call without a zone says which units there are.
                None | Some(CalendarUnit::Nanosecond) => {
                    list.args.truncate(2);
                    return None;
                }
                Some(CalendarUnit::Quarter) => "3 months".to_owned(),
                Some(CalendarUnit::Decade) => "10 years".to_owned(),
                Some(CalendarUnit::Century) => "100 years".to_owned(),
                Some(CalendarUnit::Millennium) => "1000 years".to_owned(),
                Some(unit) => format!("1 {}", unit.name()),
            };
            if matches!(unit, Some(CalendarUnit::Century | CalendarUnit::Millennium)) {
                // A zone that is unknown is refused where the call is planned.
                let start = century_start(Some(text(&zone)?)).unwrap_or_default();
                let origin = Value::SingleQuotedString(format_rfc3339(start));
                let origin = Expr::Value(origin.with_empty_span());
                list.args
                    .push(FunctionArg::Unnamed(FunctionArgExpr::Expr(origin)));
            }
            *list.args.first_mut()? = FunctionArg::Unnamed(FunctionArgExpr::Expr(interval(width)));
            function.name = named("time_bucket");
        }
        _ => {}
    }
    None
}

/// Returns the text that `regexp_replace` puts in, in the words of the crate that does it: there `$1` means what `\1` means in
/// PostgreSQL, and `\&` and `\\` mean themselves. None where both mean the same.
fn replacement_of(text: &str) -> Option<String> {
    let mut written = String::new();
    let mut is_other = false;
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        match (sign, signs.peek().copied()) {
            ('$', _) => {
                written.push_str("$$");
                is_other = true;
            }
            ('\\', Some('&')) => {
                signs.next();
                written.push_str("${0}");
                is_other = true;
            }
            ('\\', Some('\\')) => {
                signs.next();
                written.push('\\');
                is_other = true;
            }
            // A group has one digit: what follows is text.
            ('\\', Some(group @ '1'..='9')) => {
                signs.next();
                written.extend(['$', '{', group, '}']);
                is_other |= signs.peek().is_some_and(char::is_ascii_digit);
            }
            (sign, _) => written.push(sign),
        }
    }
    is_other.then_some(written)
}

/// Parts of an interval in the order of the arguments of `make_interval`, and what each is a number of.
const INTERVAL_PARTS: [(&str, &str); 7] = [
    ("years", "1 year"),
    ("months", "1 month"),
    ("weeks", "1 week"),
    ("days", "1 day"),
    ("hours", "1 hour"),
    ("mins", "1 minute"),
    ("secs", "1 second"),
];

/// Returns the sum that `make_interval` means; None where it has an argument that nobody knows, or one twice.
fn made_interval(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let mut taken: Vec<usize> = Vec::new();
    let mut sum = None;
    for (position, argument) in list.args.iter().enumerate() {
        let (part, value) = match argument {
            FunctionArg::Unnamed(value) => (position, value),
            FunctionArg::Named { name, arg, .. } => (interval_part(name)?, arg),
            FunctionArg::ExprNamed {
                name: Expr::Identifier(name),
                arg,
                ..
            } => (interval_part(name)?, arg),
            FunctionArg::ExprNamed { .. } => return None,
        };
        let (FunctionArgExpr::Expr(value), Some((_, unit))) = (value, INTERVAL_PARTS.get(part))
        else {
            return None;
        };
        if taken.contains(&part) {
            return None;
        }
        taken.push(part);
        let product = binary(
            Expr::Nested(Box::new(value.clone())),
            BinaryOperator::Multiply,
            interval((*unit).to_owned()),
        );
        sum = Some(match sum {
            Some(sum) => binary(sum, BinaryOperator::Plus, product),
            None => product,
        });
    }
    Some(Expr::Nested(Box::new(sum?)))
}

fn interval_part(name: &Ident) -> Option<usize> {
    INTERVAL_PARTS
        .iter()
        .position(|(part, _)| name.value.eq_ignore_ascii_case(part))
}

/// Joins two expressions by an operator.
pub(crate) fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

/// Returns the call of a function.
pub(crate) fn call(name: &str, arguments: Vec<Expr>) -> Function {
    let arguments = arguments.into_iter();
    let arguments = arguments.map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
    Function {
        name: named(name),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    }
}

fn named(name: &str) -> ObjectName {
    ObjectName::from(vec![Ident::new(name)])
}

fn interval(width: String) -> Expr {
    let value = Expr::Value(Value::SingleQuotedString(width).with_empty_span());
    Expr::Interval(Interval {
        value: Box::new(value),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Returns the arguments of a plain call, where there are so many.
fn arguments<const N: usize>(function: &Function) -> Option<[Expr; N]> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let is_plain = function.over.is_none()
        && function.filter.is_none()
        && list.clauses.is_empty()
        && list.duplicate_treatment.is_none();
    if !is_plain || list.args.len() != N {
        return None;
    }
    let expression = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    let arguments: Option<Vec<Expr>> = list.args.iter().map(expression).collect();
    arguments?.try_into().ok()
}
