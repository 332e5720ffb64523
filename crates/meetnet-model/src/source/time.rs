//! How a source writes times, and which of them it may send.

use serde::{Deserialize, Serialize};

use super::Place;

/// The text form of times: a name, or a pattern with `%`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum TimeFormat {
    /// `rfc3339`: RFC 3339 / ISO 8601 with an offset, or naive (`2026-01-31 12:00:00`) with a declared zone.
    Rfc3339,
    /// `unix`: seconds since 1970, whole or with a fraction.
    Unix,
    /// `unix-ms`: milliseconds since 1970.
    UnixMs,
    /// `unix-us`: microseconds since 1970.
    UnixUs,
    /// `unix-ns`: nanoseconds since 1970.
    UnixNs,
    /// Anything else: a pattern as `strftime` has them, for example `%d/%m/%Y %H:%M`.
    Pattern(String),
}

impl From<String> for TimeFormat {
    fn from(text: String) -> Self {
        match text.as_str() {
            "rfc3339" => Self::Rfc3339,
            "unix" => Self::Unix,
            "unix-ms" => Self::UnixMs,
            "unix-us" => Self::UnixUs,
            "unix-ns" => Self::UnixNs,
            _ => Self::Pattern(text),
        }
    }
}

impl From<TimeFormat> for String {
    fn from(format: TimeFormat) -> Self {
        match format {
            TimeFormat::Rfc3339 => "rfc3339".to_owned(),
            TimeFormat::Unix => "unix".to_owned(),
            TimeFormat::UnixMs => "unix-ms".to_owned(),
            TimeFormat::UnixUs => "unix-us".to_owned(),
            TimeFormat::UnixNs => "unix-ns".to_owned(),
            TimeFormat::Pattern(pattern) => pattern,
        }
    }
}

/// Which end of its interval the time of an observation is. Rows carry the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeIs {
    /// The start.
    #[default]
    Start,
    /// The end: the length of the interval is taken off.
    End,
}

impl TimeIs {
    pub(super) fn is_start(&self) -> bool {
        *self == Self::Start
    }
}

/// What to do with a local time that occurs twice in autumn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoubledHour {
    /// The first of the two (summer time).
    First,
    /// The second of the two (winter time).
    Second,
    /// Make it a reject.
    Reject,
}

/// Where the time of an observation stands and how it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeDeclaration {
    /// JSON Pointer to the time; either this or `field`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Name of the field that holds the time; either this or `pointer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// JSON Pointer to the time of day, where date and time of day stand apart: the two are read as one text, with a
    /// blank between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_pointer: Option<String>,
    /// Name of the field that holds the time of day, where it stands apart from the date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_field: Option<String>,
    /// Its text form.
    pub format: TimeFormat,
    /// IANA zone of naive times (`"UTC"`, `"Europe/Brussels"`); required where times have no offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Rule for the doubled autumn hour of naive local times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubled_hour: Option<DoubledHour>,
}

impl TimeDeclaration {
    /// Returns the declaration of a time at a JSON Pointer that carries an offset or counts from 1970.
    pub fn at_pointer(pointer: impl Into<String>, format: TimeFormat) -> Self {
        Self {
            pointer: Some(pointer.into()),
            field: None,
            clock_pointer: None,
            clock_field: None,
            format,
            zone: None,
            doubled_hour: None,
        }
    }

    /// Returns where the time (or its date) stands; none unless exactly one place is named.
    pub fn place(&self) -> Option<Place<'_>> {
        Place::of(self.pointer.as_deref(), self.field.as_deref())
    }

    /// Returns where the time of day stands, where it stands apart from the date.
    pub fn clock_place(&self) -> Option<Place<'_>> {
        Place::of(self.clock_pointer.as_deref(), self.clock_field.as_deref())
    }
}

/// Which times of observations are accepted: a span around the receive time, and none of a clock that was never set. In
/// microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeWindow {
    /// How far back, µs.
    pub back_us: i64,
    /// How far ahead, µs.
    pub ahead_us: i64,
    /// The first that is believed, µs since 1970 UTC.
    #[serde(default = "since_us", skip_serializing_if = "is_since_us")]
    pub since_us: i64,
}

impl TimeWindow {
    /// 2015-01-01T00:00:00Z: clocks that were never set begin in 1970 or 2000, and sensors that are read here are younger.
    pub const SINCE_US: i64 = 1_420_070_400_000_000;
}

fn since_us() -> i64 {
    TimeWindow::SINCE_US
}

fn is_since_us(since_us: &i64) -> bool {
    *since_us == TimeWindow::SINCE_US
}

impl Default for TimeWindow {
    fn default() -> Self {
        const HOUR_US: i64 = 3_600_000_000;
        Self {
            back_us: 400 * 24 * HOUR_US,
            ahead_us: HOUR_US,
            since_us: Self::SINCE_US,
        }
    }
}
