//! Values that are none of the type that they are used as: texts that cannot be read, and numbers that do not fit.

use std::str::FromStr;

use arrow::datatypes::DataType;
use meetnet_sql::literals::cell;

use super::Said;
use crate::error::sql_names::sql_name;
use crate::error::{StatementFault, shortened};

const TIME_FORMS: &str = "2026-01-31, 2026-01-31T12:00:00Z or 2026-01-31T12:00:00+01:00";
/// How much of a value is repeated.
const SHOWN_BYTES_MAX: usize = 100;

/// Texts that stand for a time, a zone or a span of time.
pub(super) fn time(text: &str) -> Option<Said> {
    if let Some(rest) = text.strip_prefix("Error parsing timestamp from '") {
        let (value, why) = rest.split_once("': ")?;
        let format_or_none = value.rsplit_once("' using format '");
        return Some(match format_or_none {
            None if is_infinite(value) => Said::of(
                StatementFault::Unsupported,
                format!(
                    "`{}` is no time here: there is none behind all others; write x IS NULL OR y < x, or a time such as '9999-12-31'",
                    short(value)
                ),
            ),
            None => Said::of(
                StatementFault::of_time(value),
                format!(
                    "`{}` is no time; write {TIME_FORMS} (UTC without an offset)",
                    short(value)
                ),
            ),
            Some((value, format)) if format.contains('%') => Said::of(
                StatementFault::InvalidTime,
                format!(
                    "`{}` is no time of the format `{format}`: {why}",
                    short(value)
                ),
            ),
            Some((_, format)) => Said::of(
                StatementFault::InvalidTime,
                format!(
                    "`{format}` is no format that times are read by; write %Y-%m-%d %H:%M:%S, or in PostgreSQL's patterns \
                     YYYY-MM-DD HH24:MI:SS"
                ),
            ),
        });
    }
    if let Some(rest) = text.strip_prefix("Invalid timezone \"") {
        let (zone, _) = rest.rsplit_once("\": ")?;
        return Some(Said::of(
            StatementFault::InvalidArgument,
            format!(
                "unknown time zone `{zone}`; use an IANA name such as `Europe/Brussels` or `UTC`"
            ),
        ));
    }
    if let Some(rest) = text.strip_prefix("Unable to represent ")
        && let Some((span, _)) = rest
            .split_once(" as ")
            .or_else(|| rest.split_once(" in a "))
        && span.starts_with(|sign: char| sign.is_ascii_digit() || sign == '-')
    {
        return Some(Said::of(
            StatementFault::IntervalRange,
            format!(
                "out of range: no interval can be as long as {}",
                short(span)
            ),
        ));
    }
    let span = text
        .strip_prefix("Invalid input syntax for type interval: \"")?
        .strip_suffix('"')?;
    // In a parameter or a text.
    let message = match span.get(..9) {
        Some(word) if word.eq_ignore_ascii_case("interval ") => format!(
            "`{}` is no span of time as a text is one; write 7 days or 90 minutes, without INTERVAL",
            short(span)
        ),
        _ => format!(
            "`{}` is no span of time; write for example INTERVAL '90 minutes' or INTERVAL '7 days'",
            short(span)
        ),
    };
    Some(Said::of(StatementFault::InvalidTime, message))
}

/// Returns true for what PostgreSQL calls the time before or behind all others.
fn is_infinite(text: &str) -> bool {
    let text = text.trim().trim_start_matches(['-', '+']);
    ["infinity", "inf"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// Numbers that do not fit the type that they are computed in, or cast to.
pub(super) fn range(text: &str) -> Option<Said> {
    let message = unfit(text)?;
    Some(Said::of(
        StatementFault::OutOfRange,
        format!("out of range: {message}"),
    ))
}

fn unfit(text: &str) -> Option<String> {
    let of_number = text.strip_prefix("Can't cast value ");
    if let Some((value, to)) = of_number.and_then(|what| what.split_once(" to type ")) {
        return Some(format!("{} is no {}", short(value), named(to)));
    }
    let of_decimal = text.strip_prefix("Cannot cast to Decimal");
    if let Some((decimal, value)) =
        of_decimal.and_then(|what| what.split_once("). Overflowing on "))
    {
        let (_, decimal) = decimal.split_once('(')?;
        return Some(format!("{} is no DECIMAL({decimal})", short(value)));
    }
    if let Some(message) = unfit_decimal(text) {
        return Some(message);
    }
    let of_operator = text
        .strip_prefix("Arithmetic overflow: ")
        .map(|what| what.trim_start_matches("Overflow happened on: "))
        .or_else(|| text.strip_prefix("Overflow happened on "));
    let of_abs = || text.split_once(" overflow on ").map(|(_, what)| what);
    let what = of_operator.or_else(of_abs)?;
    Some(format!(
        "{what} does not fit the type that it is computed in; compute with wider numbers, CAST(x AS DECIMAL(38, 0)), or with \
         CAST(x AS DOUBLE) where the last digits do not matter"
    ))
}

/// A decimal number of more digits than its type has: `12345.68 is too large to store in a Decimal128 of precision 5. Max is 999.99`.
fn unfit_decimal(text: &str) -> Option<String> {
    let (value, rest) = text
        .split_once(" is too large to store in a Decimal")
        .or_else(|| text.split_once(" is too small to store in a Decimal"))?;
    let is_number = value
        .bytes()
        .all(|sign| sign.is_ascii_digit() || b"-.".contains(&sign));
    let (precision, bound) = rest.split_once(" of precision ")?.1.split_once(". M")?;
    let (_, bound) = bound.split_once(" is ")?;
    let scale = bound.split_once('.').map_or(0, |(_, digits)| digits.len());
    is_number.then(|| {
        format!(
            "{} is no DECIMAL({precision}, {scale}), where {bound} is the {}",
            short(value),
            if bound.starts_with('-') {
                "least"
            } else {
                "most"
            }
        )
    })
}

/// A text that is used as something else, and is none.
pub(super) fn cast(text: &str) -> Option<Said> {
    let rest = text
        .strip_prefix("Cannot cast string '")
        .or_else(|| text.strip_prefix("Cannot cast value '"))?;
    let (value, data_type) = rest.rsplit_once("' to value of ")?;
    let data_type = data_type.strip_suffix(" type")?;
    let shown = short(value);
    if let ("Int64", Some(cell)) = (data_type, cell(value)) {
        return Some(Said::of(
            StatementFault::InvalidText,
            format!(
                "`{shown}` is used as a whole number (bigint), and is none; as an H3 cell it is {cell}"
            ),
        ));
    }
    let name = named(data_type);
    let number = value.trim();
    let (fault, used_as) = match data_type {
        "Boolean" => (
            StatementFault::InvalidText,
            "as true or false, and is neither".to_owned(),
        ),
        "Date32" | "Date64" => (
            StatementFault::of_time(value),
            "as a date, and is none; dates are written 2026-01-31".to_owned(),
        ),
        "Int8" | "Int16" | "Int32" | "Int64" | "UInt8" | "UInt16" | "UInt32" | "UInt64" => {
            if is_whole(number) {
                return Some(out_of_range(&shown, &name));
            }
            (
                StatementFault::InvalidText,
                format!("as a whole number ({name}), and is none"),
            )
        }
        _ if data_type.starts_with("Float") || data_type.starts_with("Decimal") => {
            if number.parse::<f64>().is_ok_and(f64::is_finite) {
                return Some(out_of_range(&shown, &name));
            }
            (
                StatementFault::InvalidText,
                format!("as a number ({name}), and is none"),
            )
        }
        _ if data_type.starts_with("Time") => (
            StatementFault::of_time(value),
            format!("as a value of {name}, and is none"),
        ),
        _ if data_type.starts_with("Interval") => (
            StatementFault::InvalidTime,
            format!("as a value of {name}, and is none"),
        ),
        _ => (
            StatementFault::InvalidText,
            format!("as a value of {name}, and is none"),
        ),
    };
    Some(Said::of(fault, format!("`{shown}` is used {used_as}")))
}

fn out_of_range(shown: &str, name: &str) -> Said {
    Said::of(
        StatementFault::OutOfRange,
        format!("out of range: `{shown}` is no {name}; cast it to a wider type"),
    )
}

/// Returns true for the digits of a whole number, with or without a sign.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// Returns what SQL calls the type that Arrow calls so.
fn named(data_type: &str) -> String {
    DataType::from_str(data_type).map_or_else(|_| data_type.to_owned(), |found| sql_name(&found))
}

fn short(value: &str) -> String {
    shortened(value.to_owned(), SHOWN_BYTES_MAX)
}
