//! Durations and sizes with their unit, as the configuration writes them: `"5s"`, `"400d"`, `"64MiB"`.
//!
//! A number without a unit is an error on purpose: nobody should have to guess whether `timeout = 30` is seconds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Why a text is not a duration or size.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QuantityError {
    /// No number in front.
    #[error("`{text}` is not a {what}; write a number and a unit, for example {example}")]
    NotANumber {
        /// The text.
        text: String,
        /// `duration` or `size`.
        what: &'static str,
        /// What would be right.
        example: &'static str,
    },
    /// A number alone.
    #[error("`{text}` has no unit; write for example {example}")]
    NoUnit {
        /// The text.
        text: String,
        /// What would be right.
        example: &'static str,
    },
    /// A unit that is not in the list.
    #[error("`{text}` has the unknown unit `{unit}`; use one of {known}")]
    UnknownUnit {
        /// The text.
        text: String,
        /// The part behind the number.
        unit: String,
        /// The units that exist.
        known: String,
    },
    /// Larger than the type can hold, or finer than its smallest step.
    #[error("`{text}` is too large or finer than one {step}")]
    OutOfRange {
        /// The text.
        text: String,
        /// Smallest step.
        step: &'static str,
    },
}

struct Kind {
    what: &'static str,
    example: &'static str,
    step: &'static str,
    /// Unit and its length in steps; of equal lengths the first is the one we write.
    units: &'static [(&'static str, u64)],
}

const DURATION: Kind = Kind {
    what: "duration",
    example: "\"250ms\", \"5s\", \"15m\", \"1h\" or \"400d\"",
    step: "microsecond",
    units: &[
        ("us", 1),
        ("ms", 1_000),
        ("s", 1_000_000),
        ("m", 60_000_000),
        ("min", 60_000_000),
        ("h", 3_600_000_000),
        ("d", 86_400_000_000),
    ],
};

const SIZE: Kind = Kind {
    what: "size",
    example: "\"512B\", \"10KB\" or \"64MiB\"",
    step: "byte",
    units: &[
        ("B", 1),
        ("KB", 1_000),
        ("kB", 1_000),
        ("KiB", 1 << 10),
        ("MB", 1_000_000),
        ("MiB", 1 << 20),
        ("GB", 1_000_000_000),
        ("GiB", 1 << 30),
        ("TB", 1_000_000_000_000),
        ("TiB", 1 << 40),
    ],
};

impl Kind {
    /// Returns `text` in steps, exactly.
    fn parse(&self, text: &str) -> Result<u64, QuantityError> {
        let trimmed = text.trim();
        let split = trimmed
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(split);
        let unit = unit.trim_start();
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let misplaced_dot = number.ends_with('.') || fraction.contains('.');
        if whole.is_empty() || misplaced_dot {
            return Err(QuantityError::NotANumber {
                text: text.to_owned(),
                what: self.what,
                example: self.example,
            });
        }
        if unit.is_empty() {
            return Err(QuantityError::NoUnit {
                text: text.to_owned(),
                example: self.example,
            });
        }
        let Some((_, steps)) = self.units.iter().find(|(name, _)| *name == unit) else {
            let known: Vec<&str> = self.units.iter().map(|(name, _)| *name).collect();
            return Err(QuantityError::UnknownUnit {
                text: text.to_owned(),
                unit: unit.to_owned(),
                known: known.join(", "),
            });
        };
        scale(whole, fraction, *steps).ok_or_else(|| QuantityError::OutOfRange {
            text: text.to_owned(),
            step: self.step,
        })
    }

    /// Writes `steps` in the largest unit that divides it.
    fn format(&self, steps: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = self
            .units
            .iter()
            .filter(|(_, size)| steps > 0 && steps.is_multiple_of(*size))
            .fold(
                &self.units[0],
                |best, unit| if unit.1 > best.1 { unit } else { best },
            );
        write!(f, "{}{unit}", steps / size)
    }
}

/// Returns `whole.fraction * steps`; none where it overflows or is not whole.
fn scale(whole: &str, fraction: &str, steps: u64) -> Option<u64> {
    let fraction = fraction.trim_end_matches('0');
    let denominator = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let product = digits.checked_mul(u128::from(steps))?;
    if !product.is_multiple_of(denominator) {
        return None;
    }
    u64::try_from(product / denominator).ok()
}

/// Reads a duration such as `250ms`, `5s`, `15m`, `1h` or `400d`, to the microsecond.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let micros = DURATION.parse(text)?;
    if i64::try_from(micros).is_err() {
        // Durations are compared with times, which are signed microseconds.
        return Err(QuantityError::OutOfRange {
            text: text.to_owned(),
            step: DURATION.step,
        });
    }
    Ok(Duration::from_micros(micros))
}

/// Reads a size in bytes such as `512B`, `10KB` (10,000) or `64MiB` (67,108,864).
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    SIZE.parse(text)
}

/// A duration in the configuration; reads and writes the form with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationText(pub Duration);

/// A number of bytes in the configuration; reads and writes the form with a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SizeText(pub u64);

impl DurationText {
    /// Returns the duration in microseconds, the unit of every time here.
    pub fn micros(self) -> i64 {
        i64::try_from(self.0.as_micros()).unwrap_or(i64::MAX)
    }
}

impl SizeText {
    /// Returns the size for people who want to know exactly how much: in the largest unit that it is a whole number of, `256 MiB`,
    /// `1000 bytes`.
    pub fn exact(self) -> String {
        let (bits, unit) = match self.0.trailing_zeros() {
            // Of no bytes all 64 bits are zeros.
            64.. => (0, "bytes"),
            30.. => (30, "GiB"),
            20.. => (20, "MiB"),
            10.. => (10, "KiB"),
            _ => (0, "bytes"),
        };
        format!("{} {unit}", self.0 >> bits)
    }

    /// Returns the size for people who want to know about how much: `512 B`, `1.5 MiB`.
    pub fn rounded(self) -> String {
        const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
        if self.0 < 1024 {
            return format!("{} B", self.0);
        }
        let mut size = self.0 as f64 / 1024.0;
        let mut unit = 0;
        // What would be written as 1024.0 is one of the next unit.
        while size >= 1023.95 && unit + 1 < UNITS.len() {
            size /= 1024.0;
            unit += 1;
        }
        format!("{size:.1} {}", UNITS[unit])
    }
}

impl FromStr for DurationText {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        parse_duration(text).map(Self)
    }
}

impl FromStr for SizeText {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        parse_size(text).map(Self)
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        DURATION.format(u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX), f)
    }
}

impl fmt::Display for SizeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SIZE.format(self.0, f)
    }
}

/// Expects text, so that a bare number gets the message about units rather than one about types.
struct TextVisitor<T>(&'static Kind, std::marker::PhantomData<T>);

impl<T: FromStr<Err = QuantityError>> de::Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a {} in quotes with its unit, for example {}",
            self.0.what, self.0.example
        )
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(&DURATION, std::marker::PhantomData))
    }
}

impl<'de> Deserialize<'de> for SizeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(&SIZE, std::marker::PhantomData))
    }
}

impl Serialize for DurationText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for SizeText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
