//! Numbers whose decimal sign is a comma, where a source declares so: cells of tables, texts of JSON.
//!
//! A number with one comma is that number with a point. Points that group digits are not guessed at.

use meetnet_model::source::{SourceDeclaration, WireFormat};

/// What a comma in a number of a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DecimalComma {
    /// No part of a number.
    Never,
    /// No part of a number, unless the source declares this.
    Declarable(&'static str),
    /// Its decimal sign, in texts of JSON.
    Declared,
}

impl DecimalComma {
    /// Returns what it is in the values of a source. Tables bring theirs with a point, where they declare it.
    pub(crate) fn of(source: &SourceDeclaration) -> Self {
        match source.format {
            WireFormat::Json | WireFormat::Ndjson if source.decimal_comma => Self::Declared,
            WireFormat::Json | WireFormat::Ndjson => Self::Declarable("decimal_comma = true"),
            WireFormat::Csv => {
                let is_declared = source.csv.as_ref().is_some_and(|csv| csv.decimal_comma);
                if is_declared {
                    Self::Never
                } else {
                    Self::Declarable("csv = { decimal_comma = true }")
                }
            }
            _ => Self::Never,
        }
    }
}

/// Returns where the comma stands in what is a number with one, whatever its digits come to; none for all else.
pub(crate) fn position(number: &[u8]) -> Option<usize> {
    let is_of_number =
        |b: &u8| b.is_ascii_digit() || matches!(b, b',' | b'-' | b'+' | b'e' | b'E' | b' ');
    let mut commas = (0..number.len()).filter(|at| number[*at] == b',');
    match (commas.next(), commas.next()) {
        (Some(comma), None) if number.iter().all(is_of_number) => Some(comma),
        _ => None,
    }
}

/// Returns true for a number whose point may group its digits (`1.013`, but not `0.125` or `21.5`).
pub(crate) fn may_group_digits(number: &[u8]) -> bool {
    let number = number.trim_ascii();
    let digits = match number {
        [b'-' | b'+', digits @ ..] => digits,
        digits => digits,
    };
    let [first, rest @ .., b'.', a, b, c] = digits else {
        return false;
    };
    let all_digits = [a, b, c].into_iter().chain(rest).all(u8::is_ascii_digit);
    matches!(first, b'1'..=b'9') && rest.len() <= 2 && all_digits
}

/// Says what is wrong with such a number, which stands at `name`; `declared` is the key that makes the comma its decimal sign.
pub(crate) fn grouped(name: &str, declared: &str) -> String {
    format!(
        "the value at `{name}` has a point before its last three digits, which with `{declared}` may be a decimal point or \
         group digits; let the sender write `1,013` or `1013`"
    )
}
