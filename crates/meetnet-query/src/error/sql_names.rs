//! Types as SQL calls them, for whoever reads a message: Arrow's own names say nothing to them.
//!
//! `Timestamp(µs, "UTC") > Int64` -> `timestamp with time zone > bigint`

use std::str::FromStr;

use arrow::datatypes::DataType;

use crate::postgres::PgType;

/// Returns what SQL calls a type, as PostgreSQL writes it.
pub(crate) fn sql_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Dictionary(_, values) => sql_name(values),
        DataType::List(of) | DataType::LargeList(of) | DataType::FixedSizeList(of, _) => {
            format!("{}[]", sql_name(of.data_type()))
        }
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("numeric({precision}, {scale})"),
        DataType::Struct(_) => "record".to_owned(),
        DataType::Null => "unknown".to_owned(),
        other => PgType::of_arrow(other).sql_name(),
    }
}

/// Returns a text with the types that Arrow has names for as SQL calls them. It is one that a library has written: names of a
/// statement may be names of types, too.
pub(super) fn with_sql_names(text: &str) -> String {
    let mut named = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(sign) = rest.chars().next() {
        let is_start = sign.is_ascii_uppercase() && !before.is_alphanumeric() && before != '_';
        let end = match is_start {
            true => end_of_word(rest),
            false => sign.len_utf8(),
        };
        // With what stands in brackets behind it, or without.
        let whole = end + bracketed(&rest[end..]);
        let found = is_start.then(|| {
            let found = DataType::from_str(&rest[..whole]).map(|found| (found, whole));
            found.or_else(|_| DataType::from_str(&rest[..end]).map(|found| (found, end)))
        });
        let end = match found {
            Some(Ok((data_type, end))) => {
                named.push_str(&sql_name(&data_type));
                end
            }
            _ => {
                named.push_str(&rest[..end]);
                end
            }
        };
        before = rest[..end].chars().next_back().unwrap_or(' ');
        rest = &rest[end..];
    }
    named
}

/// Returns where the word ends that a text begins with, in bytes.
fn end_of_word(text: &str) -> usize {
    let end = text.find(|sign: char| !sign.is_alphanumeric() && sign != '_');
    end.unwrap_or(text.len())
}

/// Returns how many bytes a text begins with that stand in brackets; 0 where it does not.
fn bracketed(text: &str) -> usize {
    if !text.starts_with('(') {
        return 0;
    }
    let mut depth = 0_usize;
    for (at, sign) in text.char_indices() {
        match sign {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::with_sql_names;

    #[test]
    fn types_have_the_names_of_sql() {
        let check = |text: &str, expect: &str| assert_eq!(with_sql_names(text), expect, "{text}");
        check(
            "Timestamp(µs, \"UTC\") > Int64",
            "timestamp with time zone > bigint",
        );
        check(
            "Int64 with [Boolean, Utf8View]",
            "bigint with [boolean, text]",
        );
        check(
            "List(Int32) || Decimal128(5, 2)",
            "integer[] || numeric(5, 2)",
        );
        check(
            "Time64(ns) - Interval(MonthDayNano)",
            "time without time zone - interval",
        );
        check(
            "Timestamp(ns) + Date32",
            "timestamp without time zone + date",
        );
        check(
            "Dictionary(Int32, Utf8) LIKE Float64",
            "text LIKE double precision",
        );
        // What is no type, or not all of a word, stays.
        check(
            "Int640, my_Int64, Interval, (Boolean",
            "Int640, my_Int64, Interval, (boolean",
        );
        check("é (É", "é (É");
    }
}
