//! When an observation was made, and whether that can be: the device's time where it has one, else the receive time.

use std::fmt::Display;
use std::time::Duration;

use meetnet_model::calendar::SECOND_US;
use meetnet_model::quantity::DurationText;
use meetnet_model::reject::RejectReason;
use meetnet_model::rows::RowsBuilder;
use meetnet_model::source::{SourceDeclaration, TimeFormat, TimeWindow};
use meetnet_model::time::{TimeError, TimeReader, format_rfc3339};

use crate::error::SetupProblem;
use crate::fields::{Fields, Raw, Slot, WantedPlaces};
use crate::json::read::{self, Reading};

/// Years in which clocks begin that nobody sets: of Unix, of GPS, and of chips that keep the time.
const CLOCK_BEGINS: [&str; 3] = ["1970", "1980", "2000"];

/// When an observation was made, µs UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObservedAt {
    /// The message says so.
    Own(i64),
    /// The message says nothing: when it was received.
    Received(i64),
}

impl ObservedAt {
    /// Returns the time `seconds` before. A receive time stays what it is: that of the message, not of an interval.
    pub(crate) fn before(self, seconds: i64) -> Self {
        match self {
            Self::Own(time) => Self::Own(time.saturating_sub(seconds.saturating_mul(SECOND_US))),
            Self::Received(time) => Self::Received(time),
        }
    }

    /// Returns the time.
    #[inline]
    pub(crate) fn micros(self) -> i64 {
        match self {
            Self::Own(time) | Self::Received(time) => time,
        }
    }

    /// Sets the time of a draft.
    #[inline]
    pub(crate) fn set(self, column: usize, row: &mut RowsBuilder) {
        match self {
            Self::Own(time) => row.set_int(column, time),
            Self::Received(time) => row.set_receive_time(column, time),
        }
    }
}

/// Why an observation has no time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeFault {
    pub(crate) reason: RejectReason,
    pub(crate) message: String,
}

impl TimeFault {
    fn new(reason: RejectReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    /// That of a message, or a part of it, without the time that its source declares. With the receive time in its place, what
    /// is delivered twice would be two observations.
    pub(crate) fn missing(part: &str, name: &str) -> Self {
        Self::new(
            RejectReason::MissingField,
            format!("the {part} has no time at `{name}`, where the source declares it"),
        )
    }
}

/// Returns `time` if a message received at `received_at` can speak of it.
#[inline]
pub(crate) fn check_window(
    time: i64,
    received_at: i64,
    window: TimeWindow,
) -> Result<i64, TimeFault> {
    let late = received_at.saturating_sub(time);
    let ahead = late.saturating_neg();
    if time >= window.since_us && late <= window.back_us && ahead <= window.ahead_us {
        return Ok(time);
    }
    Err(out_of_window(time, received_at, window))
}

#[cold]
fn out_of_window(time: i64, received_at: i64, window: TimeWindow) -> TimeFault {
    if time < window.since_us {
        let told = format_rfc3339(time);
        let why = match in_longer_unit(time, received_at, window) {
            Some((factor, meant)) => format!(
                "in a unit {factor} times as long it would be of {}, so check the unit of the source's `time`, or the \
                 precision that the sender names",
                day(&meant)
            ),
            None if CLOCK_BEGINS.iter().any(|year| told.starts_with(year)) => {
                "the device's clock was not set".to_owned()
            }
            None => format!(
                "the device's clock was not set; where it is true, declare `time_window = {{ since = \"{}\" }}`",
                day(&told)
            ),
        };
        let since = format_rfc3339(window.since_us);
        let since = match window.since_us {
            TimeWindow::SINCE_US => "2015",
            _ => day(&since),
        };
        let message = format!("the time {told} lies before {since}: {why}");
        return TimeFault::new(RejectReason::BadTime, message);
    }
    let late = received_at.saturating_sub(time);
    let (distance, side, limit, key) = if late > window.back_us {
        (late, "before", window.back_us, "back")
    } else {
        (late.saturating_neg(), "after", window.ahead_us, "ahead")
    };
    let message = format!(
        "the time {} lies {} {side} the receive time; the source's time_window allows {} {key}",
        format_rfc3339(time),
        beyond(distance, limit),
        DurationText(Duration::from_micros(limit.unsigned_abs())),
    );
    TimeFault::new(RejectReason::TimeOutOfWindow, message)
}

/// Returns the day of a time as [`format_rfc3339`] writes it.
fn day(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}

/// Returns a distance that is longer than `limit`, both in µs, as people say it: 1772 days need no seconds, and seconds beyond 400
/// days are not told as so many seconds.
fn beyond(distance: i64, limit: i64) -> String {
    let (seconds, limit_s) = (distance / SECOND_US, limit / SECOND_US);
    let unit = [86_400_i64, 3_600, 60]
        .into_iter()
        .find(|&unit| seconds >= 2 * unit && seconds - seconds % unit > limit_s);
    if let Some(unit) = unit {
        let rounded = seconds - seconds % unit;
        return DurationText(Duration::from_secs(rounded.unsigned_abs())).to_string();
    }
    let limit = DurationText(Duration::from_micros(limit.unsigned_abs()));
    match seconds - limit_s {
        0 => format!("a moment more than {limit}"),
        beyond => format!("{limit} and {beyond}s"),
    }
}

/// Returns how much longer a unit would make `time` one that the window takes, and that time: seconds are read as
/// milliseconds or nanoseconds more often than clocks are not set.
fn in_longer_unit(time: i64, received_at: i64, window: TimeWindow) -> Option<(i64, String)> {
    let first = received_at.saturating_sub(window.back_us);
    let last = received_at.saturating_add(window.ahead_us);
    [1_000_i64, 1_000_000, 1_000_000_000]
        .into_iter()
        .filter_map(|factor| Some((factor, time.checked_mul(factor)?)))
        .find(|(_, meant)| *meant >= window.since_us && (first..=last).contains(meant))
        .map(|(factor, meant)| (factor, format_rfc3339(meant)))
}

/// Returns the reader of RFC 3339 times that are UTC where they carry no offset.
pub(crate) fn utc_reader() -> Result<TimeReader, SetupProblem> {
    TimeReader::with(TimeFormat::Rfc3339, Some("UTC"), None)
        .map_err(|error| SetupProblem::Time(error.to_string()))
}

/// Returns the reader of times that may be intervals: of the declared one, else of RFC 3339.
pub(crate) fn period_reader(source: &SourceDeclaration) -> Result<TimeReader, SetupProblem> {
    match &source.time {
        Some(declared) => {
            TimeReader::new(declared).map_err(|error| SetupProblem::Time(error.to_string()))
        }
        None => Ok(TimeReader::RFC3339),
    }
}

/// Reads a time that is written as nearly all are: such a one has no escapes and no white space around it.
#[inline]
fn read_usual(reader: &TimeReader, raw: Raw<'_>) -> Option<i64> {
    reader.read_usual(read::unquoted(raw))
}

/// Reads a time as it stands in a message; none where it is missing.
#[inline]
pub(crate) fn read(
    reader: &TimeReader,
    raw: Option<Raw<'_>>,
    name: impl Display,
) -> Result<Option<i64>, TimeFault> {
    match raw {
        None => Ok(None),
        Some(raw) => match read_usual(reader, raw) {
            Some(time) => Ok(Some(time)),
            None => read_unusual(reader, raw, &name),
        },
    }
}

/// Reads the first of several times that is not missing; none where all are.
#[inline]
pub(crate) fn read_first<const N: usize>(
    reader: &TimeReader,
    fields: &Fields<'_, '_>,
    places: [(Slot, &str); N],
) -> Result<Option<i64>, TimeFault> {
    for (slot, name) in places {
        if let Some(time) = read(reader, fields.raw(slot), name)? {
            return Ok(Some(time));
        }
    }
    Ok(None)
}

#[cold]
fn read_unusual(
    reader: &TimeReader,
    raw: Raw<'_>,
    name: &dyn Display,
) -> Result<Option<i64>, TimeFault> {
    match read::text(Some(raw)) {
        Reading::Missing => Ok(None),
        Reading::Value(text) => reader.read_text(&text).map(Some).map_err(|error| {
            // What a longer unit makes of a number lies far behind the year 9999.
            let is_number = error == TimeError::OutOfRange && text.trim().parse::<f64>().is_ok();
            let hint = if is_number {
                "; is it in a smaller unit, such as milliseconds in the place of seconds?"
            } else {
                ""
            };
            TimeFault::new(
                RejectReason::BadTime,
                format!("the time at {name}: {error}{hint}"),
            )
        }),
        Reading::Wrong => Err(TimeFault::new(
            RejectReason::BadTime,
            format!("the time at {name} is neither a text nor a number"),
        )),
    }
}

/// An instant, or an interval as ISO 8601 writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    /// The instant, or when the interval begins, µs UTC.
    pub(crate) start: i64,
    /// How long the interval is, in seconds; none for an instant.
    pub(crate) interval_s: Option<i64>,
}

impl Period {
    /// Returns the interval between two times; whole seconds are all that a row can say.
    pub(crate) fn between(start: i64, end: i64, name: impl Display) -> Result<Self, TimeFault> {
        let seconds = end.saturating_sub(start) / 1_000_000;
        if end < start {
            let message = format!("the interval at {name} ends before it begins");
            return Err(TimeFault::new(RejectReason::BadTime, message));
        }
        Ok(Self {
            start,
            interval_s: (seconds > 0).then_some(seconds),
        })
    }
}

/// Reads an instant or an interval `start/end`; none where it is missing.
#[inline]
pub(crate) fn read_period(
    reader: &TimeReader,
    raw: Option<Raw<'_>>,
    name: impl Display,
) -> Result<Option<Period>, TimeFault> {
    match raw {
        None => Ok(None),
        Some(raw) => match read_usual(reader, raw) {
            Some(start) => Ok(Some(Period {
                start,
                interval_s: None,
            })),
            None => read_unusual_period(reader, raw, &name),
        },
    }
}

fn read_unusual_period(
    reader: &TimeReader,
    raw: Raw<'_>,
    name: &dyn Display,
) -> Result<Option<Period>, TimeFault> {
    let text = match read::text(Some(raw)) {
        Reading::Value(text) => text,
        _ => {
            let instant = read(reader, Some(raw), name)?;
            return Ok(instant.map(|start| Period {
                start,
                interval_s: None,
            }));
        }
    };
    let instant = |text: &str| {
        reader.read_text(text).map_err(|error| {
            TimeFault::new(
                RejectReason::BadTime,
                format!("the time at {name}: {error}"),
            )
        })
    };
    // Looked for byte by byte: the text is too short for a search to pay.
    let slash = text.bytes().position(|byte| byte == b'/');
    let Some((start, end)) = slash.map(|at| (&text[..at], &text[at + 1..])) else {
        return instant(&text).map(|start| {
            Some(Period {
                start,
                interval_s: None,
            })
        });
    };
    Period::between(instant(start)?, instant(end)?, name).map(Some)
}

/// The declared `time` of a source.
#[derive(Clone, Debug)]
pub(crate) struct DeclaredTime {
    slot: Slot,
    /// The time of day, where it stands apart from the date.
    clock: Option<Slot>,
    reader: TimeReader,
    name: Box<str>,
}

impl DeclaredTime {
    /// Returns the declared rule, if there is one; `places` gives the slot of its place.
    pub(crate) fn compile(
        source: &SourceDeclaration,
        places: &mut dyn WantedPlaces,
    ) -> Result<Option<Self>, SetupProblem> {
        let Some(time) = &source.time else {
            return Ok(None);
        };
        let reader =
            TimeReader::new(time).map_err(|error| SetupProblem::Time(error.to_string()))?;
        let place = time.place().ok_or(SetupProblem::OnePlace)?;
        let is_apart = time.clock_pointer.is_some() || time.clock_field.is_some();
        let clock = if is_apart {
            let place = time.clock_place().ok_or(SetupProblem::OnePlace)?;
            Some(places.want(place)?)
        } else {
            None
        };
        Ok(Some(Self {
            slot: places.want(place)?,
            clock,
            reader,
            name: place.to_string().into(),
        }))
    }

    /// Returns the time of an observation; `joined` is a buffer.
    pub(crate) fn resolve(
        &self,
        fields: &Fields<'_, '_>,
        joined: &mut String,
    ) -> Result<i64, TimeFault> {
        let mut raw = fields.raw(self.slot);
        if let Some(clock) = self.clock {
            raw = match (read::text(raw), read::text(fields.raw(clock))) {
                (Reading::Value(date), Reading::Value(clock)) => {
                    joined.clear();
                    joined.push_str(&date);
                    joined.push(' ');
                    joined.push_str(&clock);
                    Some(Raw::Text(joined))
                }
                _ => None,
            };
        }
        let time = read(&self.reader, raw, format_args!("`{}`", self.name))?;
        time.ok_or_else(|| TimeFault::missing("message", &self.name))
    }
}

#[cfg(test)]
mod tests;
