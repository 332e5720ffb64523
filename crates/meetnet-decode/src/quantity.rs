//! Numbers with their unit behind them, as texts: `21.3 °C`, `55 %`, `12,5 µg/m³`.
//!
//! Where a source declares `unit_in_value` they are numbers, and the unit that stands there wins over the one of the map, as
//! one that a format states does. A unit that is not known, or measures something else, makes a reject: a number in the
//! wrong unit would be wrong by a factor without a word.

use std::borrow::Cow;

use meetnet_model::source::{SourceDeclaration, WireFormat};
use meetnet_model::units::{Conversion, Gas, UnitError, canonical_unit};

use crate::comma::{self, DecimalComma};

/// Longest text behind a number that is taken for a unit that is not known: `µg/m³`.
const UNIT_CHARS_MAX: usize = 6;
/// Longest number that is one with a unit behind it: more digits than a float has.
const NUMBER_BYTES_MAX: usize = 24;

/// Returns the number and the unit behind it of a text that is both; none for all else.
pub(crate) fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let (number, unit) = text.split_at_checked(number_length(text.as_bytes()))?;
    let unit = unit.trim_start();
    let is_number = (1..=NUMBER_BYTES_MAX).contains(&number.len());
    (is_number && is_unit(unit)).then_some((number, unit))
}

/// Returns how many bytes at the begin of a text are a decimal, with a point or with a comma.
fn number_length(text: &[u8]) -> usize {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let digits = |from: usize| {
        let digits = text[from..].iter();
        digits.take_while(|byte| byte.is_ascii_digit()).count()
    };
    let whole = digits(sign);
    if whole == 0 {
        return 0;
    }
    let end = sign + whole;
    match text.get(end) {
        Some(b'.' | b',') => match digits(end + 1) {
            0 => end,
            decimals => end + 1 + decimals,
        },
        _ => end,
    }
}

/// Returns true for a unit that is known, and for what looks like one.
fn is_unit(text: &str) -> bool {
    let is_of_unit =
        |c: char| c.is_alphabetic() || matches!(c, '°' | '℃' | '℉' | '%' | '/' | '²' | '³');
    let looks_like = (1..=UNIT_CHARS_MAX).contains(&text.chars().count());
    // The code of what has no unit is `1`; behind a number it is another number.
    let is_known = canonical_unit(text).is_some() && text != "1";
    is_known || (looks_like && text.chars().all(is_of_unit))
}

/// How a source that declares `unit_in_value` writes the numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantities {
    /// The key by which a comma is their decimal sign; none: it is none.
    comma: Option<&'static str>,
}

/// Why a text is no number with a unit behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QuantityFault {
    /// It is something else.
    Other,
    /// Its number has a comma, and nothing says that it is a decimal comma.
    Comma,
    /// Its point may group digits, by this key.
    Grouped(&'static str),
}

impl Quantities {
    /// Returns how a source writes them; none where it does not declare that it does.
    pub(crate) fn of(source: &SourceDeclaration) -> Option<Self> {
        if !source.unit_in_value || !is_declarable(source.format) {
            return None;
        }
        let comma = match source.format {
            WireFormat::Csv => {
                let csv = source.csv.as_ref();
                csv.is_some_and(|csv| csv.decimal_comma)
                    .then_some("csv.decimal_comma")
            }
            _ => source.decimal_comma.then_some("decimal_comma"),
        };
        Some(Self { comma })
    }

    /// Reads a number, as it is sent, and its unit.
    pub(crate) fn read(self, text: &str) -> Result<(f64, &str), QuantityFault> {
        let (number, unit) = split(text).ok_or(QuantityFault::Other)?;
        if let Some(key) = self.comma
            && comma::may_group_digits(number.as_bytes())
        {
            return Err(QuantityFault::Grouped(key));
        }
        let number = match (number.contains(','), self.comma) {
            (false, _) => Cow::Borrowed(number),
            (true, Some(_)) => Cow::Owned(number.replacen(',', ".", 1)),
            (true, None) => return Err(QuantityFault::Comma),
        };
        let value = number.parse().map_err(|_| QuantityFault::Other)?;
        Ok((value, unit))
    }
}

/// Returns true for formats whose values may be texts of their senders.
fn is_declarable(format: WireFormat) -> bool {
    matches!(
        format,
        WireFormat::Json | WireFormat::Ndjson | WireFormat::Csv
    )
}

/// What a unit behind the number is, in the values of one entry of a map.
#[derive(Clone, Debug)]
pub(crate) enum UnitInValue {
    /// No part of a value.
    Never,
    /// No part of a value, unless the source declares `unit_in_value`.
    Declarable,
    /// The unit that the value has.
    Declared(Box<Declared>),
}

/// What values with a unit behind them become.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    quantities: Quantities,
    /// The canonical unit; none where the values have no unit.
    canonical: Option<Box<str>>,
    /// The gas that the values are of.
    gas: Option<Gas>,
}

impl UnitInValue {
    /// Returns what it is in values that become `canonical`.
    pub(crate) fn of(
        source: &SourceDeclaration,
        canonical: Option<&str>,
        gas: Option<Gas>,
    ) -> Self {
        match Quantities::of(source) {
            Some(quantities) => Self::Declared(Box::new(Declared {
                quantities,
                canonical: canonical.map(Into::into),
                gas,
            })),
            None if is_declarable(source.format) => Self::Declarable,
            None => Self::Never,
        }
    }

    /// Returns the number of a text, as it is sent, and what makes its unit the canonical one; none where it is no number with
    /// a unit that can be read.
    pub(crate) fn read(&self, text: &str) -> Option<(f64, Conversion)> {
        let Self::Declared(declared) = self else {
            return None;
        };
        let (value, unit) = declared.quantities.read(text).ok()?;
        let canonical = declared.canonical.as_deref()?;
        let conversion = Conversion::between(unit, canonical, declared.gas).ok()?;
        Some((value, conversion))
    }

    /// Says what is wrong with the text at `name`, a number with a unit behind it; none where it is not that, or nothing is.
    pub(crate) fn fault(&self, name: &str, text: &str, comma: DecimalComma) -> Option<String> {
        const ALONE: &str = "let the sender write the number alone";
        let (number, unit) = split(text)?;
        let shown = format!("the value at `{name}`, `{number} {unit}`,");
        let declared = match self {
            Self::Never => return Some(format!("{shown} has a unit behind the number; {ALONE}")),
            Self::Declarable => {
                return Some(format!(
                    "{shown} has a unit behind the number; declare `unit_in_value = true` for the source, or {ALONE}"
                ));
            }
            Self::Declared(declared) => declared,
        };
        match declared.quantities.read(text) {
            Ok((_, unit)) => {
                let Some(canonical) = declared.canonical.as_deref() else {
                    return Some(format!(
                        "{shown} has a unit behind the number, and what it becomes has none; {ALONE}"
                    ));
                };
                let fault: UnitError = Conversion::between(unit, canonical, declared.gas).err()?;
                Some(format!("{shown} has another unit than it may: {fault}"))
            }
            Err(QuantityFault::Grouped(key)) => Some(comma::grouped(name, key)),
            Err(QuantityFault::Comma) => match comma {
                DecimalComma::Declarable(key) => Some(format!(
                    "{shown} is not a number; if its comma is a decimal comma, declare `{key}` for the source"
                )),
                DecimalComma::Never | DecimalComma::Declared => None,
            },
            Err(QuantityFault::Other) => None,
        }
    }
}

#[cfg(test)]
mod tests;
