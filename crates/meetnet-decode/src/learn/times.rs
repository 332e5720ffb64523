//! Which value is a time, and how it is written.

use meetnet_model::source::{DoubledHour, TimeFormat};
use meetnet_model::time::TimeReader;

use super::leaves::{Leaf, LeafValue};
use super::names;

/// Names that a time goes by, the likelier first.
const NAMES: [&str; 32] = [
    "phenomenontime",
    "resulttime",
    "measuredat",
    "observedat",
    "recordedat",
    "timestamp",
    "datetime",
    "dateutc",
    "timeutc",
    "utctime",
    "dateobserved",
    "created",
    "createdat",
    "sampledat",
    "time",
    "date",
    "at",
    "ts",
    "unixtime",
    "when",
    "receivedat",
    "uhrzeit",
    "tijd",
    "zeitpunkt",
    "tijdstip",
    "horodatage",
    // Of a device, by zigbee2mqtt: when it sent what the message says.
    "lastseen",
    "from",
    "start",
    "begin",
    "until",
    "end",
];
/// Names of the begin of an interval.
const BEGINS: [&str; 3] = ["from", "start", "begin"];
/// Names of its end.
const ENDS: [&str; 2] = ["until", "end"];
/// Parts of the names of times that are of something else than the measurement.
const OTHER_MOMENTS: [&str; 15] = [
    "min",
    "max",
    "server",
    "update",
    "updated",
    "boot",
    "restart",
    "uptime",
    "last",
    "next",
    "since",
    "installed",
    "emptied",
    "valid",
    "expires",
];
/// The rank of a time whose name has a word for one among others.
const BY_PART: usize = NAMES.len();
/// The rank of one whose name says that it is of something else than the measurement.
const OF_ANOTHER: usize = BY_PART + 1;
/// The rank of a time that no name tells.
const BY_LOOK: usize = usize::MAX;
/// A date alone: what it is the day of, nobody knows by its look.
const DATE: &str = "%Y-%m-%d";
/// Patterns of tables and stations.
const PATTERNS: [&str; 12] = [
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d-%m-%Y %H:%M:%S",
    "%d-%m-%Y %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y%m%d%H%M%S",
    DATE,
];
/// 2015-01-01 and 2100-01-01 in seconds: between them a number can be a time.
const SECONDS: std::ops::Range<f64> = 1_420_070_400.0..4_102_444_800.0;

/// A value that can be the time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TimeGuess {
    /// Position among the leaves.
    pub(super) leaf: usize,
    /// Position of the time of day, where `leaf` is the date alone.
    pub(super) clock: Option<usize>,
    pub(super) format: String,
    /// The texts carry no offset, so that a zone must be declared.
    pub(super) is_naive: bool,
    /// Another format that reads every value, too.
    pub(super) or: Option<String>,
    /// How well the name goes with a time: 0 best.
    rank: usize,
}

impl TimeGuess {
    /// Returns true where the values look like times, and no name says so.
    pub(super) fn is_by_look(&self) -> bool {
        self.rank == BY_LOOK
    }

    /// Returns true where a name says that they are times, and perhaps not of the measurement.
    pub(super) fn is_of_another(&self) -> bool {
        self.rank == OF_ANOTHER
    }
}

/// Says which end of an interval the times of a leaf are, where its name tells.
pub(super) fn end_of_interval(leaf: &Leaf) -> Option<&'static str> {
    let name = names::plain(&leaf.name);
    let is = |words: &[&str]| words.contains(&name.as_str());
    if is(&BEGINS) {
        return Some("start");
    }
    is(&ENDS).then_some("end")
}

/// Returns the best guess.
pub(super) fn time(leaves: &[Leaf]) -> Option<TimeGuess> {
    if let Some(guess) = apart(leaves) {
        return Some(guess);
    }
    let leaves = || leaves.iter().enumerate();
    let guesses = leaves().filter_map(|(at, leaf)| guess(at, leaf));
    let by_name = guesses.min_by_key(|guess| guess.rank);
    match by_name {
        Some(guess) if !guess.is_of_another() => Some(guess),
        by_name => {
            let mut by_look = leaves().filter_map(|(at, leaf)| by_look(at, leaf));
            by_look.next().or(by_name)
        }
    }
}

fn guess(at: usize, leaf: &Leaf) -> Option<TimeGuess> {
    let name = names::plain(&leaf.name);
    let by_name = NAMES.iter().position(|known| *known == name);
    let rank = by_name.or_else(|| {
        let parts = names::tokens(&leaf.name);
        let says_time =
            |part: &String| matches!(part.as_str(), "time" | "date" | "timestamp" | "at");
        let is_other = |part: &String| OTHER_MOMENTS.contains(&part.as_str());
        let rank = if parts.iter().any(is_other) {
            OF_ANOTHER
        } else {
            BY_PART
        };
        parts.iter().any(says_time).then_some(rank)
    })?;
    read(at, leaf, rank)
}

/// Returns the first value that its name calls a time, and that is none in any form that is tried.
pub(super) fn unread(leaves: &[Leaf]) -> Option<&Leaf> {
    let is_unread = |(at, leaf): &(usize, &Leaf)| {
        let name = names::plain(&leaf.name);
        let is_named = NAMES.contains(&name.as_str());
        let has_text = leaf.values.iter().any(|value| value.text().is_some());
        is_named && has_text && read(*at, leaf, BY_PART).is_none()
    };
    leaves
        .iter()
        .enumerate()
        .find(is_unread)
        .map(|(_, leaf)| leaf)
}

/// Returns a time that its texts alone tell.
fn by_look(at: usize, leaf: &Leaf) -> Option<TimeGuess> {
    let parts = names::tokens(&leaf.name);
    let is_other = |part: &String| OTHER_MOMENTS.contains(&part.as_str());
    let is_number = |value: &LeafValue| value.number().is_some();
    if parts.iter().any(is_other) || leaf.values.iter().any(is_number) {
        return None;
    }
    read(at, leaf, BY_LOOK).filter(|guess| guess.format != DATE)
}

/// Returns how the times of a leaf are written; none where its values are no times.
fn read(at: usize, leaf: &Leaf, rank: usize) -> Option<TimeGuess> {
    let texts: Vec<&str> = leaf
        .values
        .iter()
        .filter_map(|value| value.text())
        .collect();
    if texts.is_empty() || texts.len() < leaf.values.len() {
        return None;
    }
    if let Some(format) = counted(leaf) {
        return Some(TimeGuess {
            leaf: at,
            clock: None,
            format: format.to_owned(),
            is_naive: false,
            or: None,
            rank,
        });
    }
    let mut formats = std::iter::once("rfc3339")
        .chain(PATTERNS)
        .filter(|format| reads(format, &texts, true));
    let format = formats.next()?;
    Some(TimeGuess {
        leaf: at,
        clock: None,
        format: format.to_owned(),
        is_naive: !reads(format, &texts, false),
        or: other(format, formats),
        rank,
    })
}

/// Returns a date and a time of day that stand apart.
fn apart(leaves: &[Leaf]) -> Option<TimeGuess> {
    let named = |words: &[&str]| {
        let is_word = |leaf: &Leaf| {
            names::tokens(&leaf.name)
                .iter()
                .any(|part| words.contains(&part.as_str()))
        };
        leaves.iter().position(is_word)
    };
    let date = named(&["date", "datum", "day", "dag"])?;
    let clock = named(&["time", "clock", "tijd", "uhrzeit", "zeit", "heure"])
        .filter(|clock| *clock != date)?;
    let texts = |at: usize| -> Vec<&str> {
        leaves[at]
            .values
            .iter()
            .filter_map(|value| value.text())
            .collect()
    };
    let (dates, clocks) = (texts(date), texts(clock));
    if dates.is_empty() || dates.len() != clocks.len() {
        return None;
    }
    let joined: Vec<String> = dates
        .iter()
        .zip(&clocks)
        .map(|(date, clock)| format!("{date} {clock}"))
        .collect();
    let joined: Vec<&str> = joined.iter().map(String::as_str).collect();
    let formats = std::iter::once("rfc3339").chain(PATTERNS);
    // A date that is a time already needs no other field.
    if formats
        .clone()
        .any(|format| format != DATE && reads(format, &dates, true))
    {
        return None;
    }
    let mut formats = formats.filter(|format| reads(format, &joined, true));
    let format = formats.next()?;
    Some(TimeGuess {
        leaf: date,
        clock: Some(clock),
        format: format.to_owned(),
        is_naive: true,
        or: other(format, formats),
        rank: 0,
    })
}

/// Returns the next format that reads the times, where it may read them otherwise: those of ISO 8601 are what they are.
fn other(format: &str, mut formats: impl Iterator<Item = &'static str>) -> Option<String> {
    formats
        .next()
        .filter(|_| format != "rfc3339")
        .map(str::to_owned)
}

/// Returns the format of times that count from 1970, by their size.
fn counted(leaf: &Leaf) -> Option<&'static str> {
    let numbers: Option<Vec<f64>> = leaf.values.iter().map(|value| value.number()).collect();
    let numbers = numbers?;
    let fits = |per_second: f64| {
        numbers
            .iter()
            .all(|number| SECONDS.contains(&(number / per_second)))
    };
    [
        (1.0, "unix"),
        (1e3, "unix-ms"),
        (1e6, "unix-us"),
        (1e9, "unix-ns"),
    ]
    .into_iter()
    .find_map(|(per_second, format)| fits(per_second).then_some(format))
}

fn reads(format: &str, texts: &[&str], with_zone: bool) -> bool {
    let format = TimeFormat::from(format.to_owned());
    let reader = TimeReader::with(format, with_zone.then_some("UTC"), Some(DoubledHour::First));
    reader.is_ok_and(|reader| texts.iter().all(|text| reader.read_text(text).is_ok()))
}
