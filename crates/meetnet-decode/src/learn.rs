//! Proposes the declaration of a source for messages that nobody has described: which values are which properties, in
//! which unit, when and by whom they were measured, and how sure that is.
//!
//! samples → [`leaves`] (named values) → guesses by name and range of values → TOML to paste
//!
//! It repeats names and ranges of numbers, and no text of a message: ids and tokens stay where they are.

mod known;
mod leaves;
mod names;
mod render;
mod times;
mod values;

use std::collections::BTreeSet;

use meetnet_model::declarations::Declarations;
use meetnet_model::licence::Licence;
use meetnet_model::source::WireFormat;
use thiserror::Error;

use crate::decoders::is_utf16;

use known::{Known, MapNeed};
use leaves::{Leaf, LeafPlace, LeafValue, Leaves};
use times::TimeGuess;
use values::ValueGuess;

/// The licence of a source of which nothing is known.
const LICENCE: &str = "CC-BY-4.0";

/// Why nothing can be proposed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LearnError {
    /// No sample, or an empty one.
    #[error("there is nothing to learn from; name files with messages as the device sends them")]
    Nothing,
    /// No form that is known.
    #[error(
        "the samples are neither JSON, nor lines of JSON, nor a table with a header and rows, nor lines of the line protocol, \
         nor a form such as `a=1&b=2`; name files with messages as the device sends them, whole and with nothing around them"
    )]
    UnknownForm,
    /// Lines as a subscriber prints them.
    #[error(
        "the lines have a topic before the message; keep the messages alone, and name the topic by --topic"
    )]
    TopicBefore,
    /// Bytes that are no text.
    #[error(
        "sample {0} is not text (UTF-8); devices that send bytes need a decoder before they come here"
    )]
    NotText(usize),
    /// Text as spreadsheets and Windows write it.
    #[error(
        "sample {0} is UTF-16; convert it with `iconv -f UTF-16 -t UTF-8`, and let the sender write UTF-8"
    )]
    Utf16(usize),
}

/// What is known of a source that is to be proposed, beside its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSource {
    /// Its id.
    pub id: String,
    /// The topic under which its messages arrive; None where nobody says so, and they are pushed.
    pub topic: Option<String>,
    /// The address of the broker of that topic, and what a person has to know of it.
    pub broker: (String, String),
    /// The variable with the token of those who push; None where nobody needs one.
    pub token: Option<String>,
    /// The configuration that it is tried in, by its file.
    pub config: String,
}

impl Default for NewSource {
    fn default() -> Self {
        Self {
            id: "new-source".to_owned(),
            topic: None,
            broker: ("mqtt://127.0.0.1:1883".to_owned(), "your broker".to_owned()),
            token: None,
            config: "meetnet.toml".to_owned(),
        }
    }
}

/// Returns a proposal as TOML for messages of one kind of device, whose values are properties of `declarations`.
pub fn learn(
    samples: &[&[u8]],
    new: &NewSource,
    declarations: &Declarations,
) -> Result<String, LearnError> {
    let mut texts = Vec::new();
    for (at, sample) in samples.iter().enumerate() {
        if is_utf16(sample) {
            return Err(LearnError::Utf16(at + 1));
        }
        let text = std::str::from_utf8(sample).map_err(|_| LearnError::NotText(at + 1))?;
        // A tab may be the delimiter beside an empty cell.
        let is_blank = |c: char| c.is_whitespace() && c != '\t';
        let text = text.trim_start_matches('\u{feff}').trim_matches(is_blank);
        if !text.trim().is_empty() {
            texts.push(text);
        }
    }
    if texts.is_empty() {
        return Err(LearnError::Nothing);
    }
    let (known, leaves) = match known::recorded(&texts) {
        Some((known, leaves)) => (Some(known), leaves),
        None => {
            let unknown = || {
                if leaves::have_topics(&texts) {
                    LearnError::TopicBefore
                } else {
                    LearnError::UnknownForm
                }
            };
            let leaves = leaves::leaves(&texts).ok_or_else(unknown)?;
            // What has a topic is sent by somebody, who says what it is of: IRCEL's points by themselves do not.
            let is_ircel = |known: &Known| known.format == WireFormat::Ircel;
            let known = known::known(&texts, &leaves);
            match known.filter(|(known, _)| new.topic.is_none() || !is_ircel(known)) {
                Some((known, mut of_known)) => {
                    of_known.lenient = leaves.lenient;
                    (Some(known), of_known)
                }
                None => (None, leaves),
            }
        }
    };
    let proposal = propose(known, leaves, new, declarations);
    Ok(render::proposal(&proposal))
}

/// What a proposal says.
#[derive(Clone, Debug)]
struct Proposal {
    new: NewSource,
    /// The licence that it is proposed under, and why that one.
    licence: (String, String),
    /// The format that the messages are known by.
    known: Option<Known>,
    leaves: Leaves,
    topic: Option<TopicGuess>,
    /// None where nothing in the messages names it, or the topic does.
    sensor: Option<SensorGuess>,
    /// Two messages have the same time.
    equal_times: bool,
    time: Option<TimeGuess>,
    /// The values that are something, by position among the leaves.
    values: Vec<(usize, ValueGuess)>,
    /// Those that are not.
    unmapped: Vec<usize>,
}

/// A topic, the level that names the device as a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TopicGuess {
    pattern: String,
    is_hardware: bool,
}

/// The value that names the sensor.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SensorGuess {
    leaf: usize,
    is_hardware: bool,
    /// It names the place where something is counted, or what is measured in; there may be several of it in one.
    is_place: bool,
}

fn propose(
    known: Option<Known>,
    mut leaves: Leaves,
    new: &NewSource,
    declarations: &Declarations,
) -> Proposal {
    // Formats know where their times are and, all but the line protocol, whose the values are.
    let has_codec = known.is_some_and(|known| matches!(known.map, MapNeed::Codec(_)));
    let names_sensor = known.is_none_or(|known| known.format == WireFormat::Influx);
    let topic = new.topic.as_deref().map(topic_guess);
    let time = known
        .is_none()
        .then(|| times::time(&leaves.leaves))
        .flatten();
    let sensor = names_sensor.then(|| sensor(&leaves.leaves)).flatten();
    // A topic names the sensor. Where values of several come at one time it names none of these, and the messages do.
    let equal_times = has_equal_times(&leaves.leaves, time.as_ref());
    let sensor = sensor.filter(|sensor| {
        topic.is_none() || (equal_times && has_several_names(&leaves.leaves[sensor.leaf]))
    });
    let takes_units = known.is_none() && leaves.form.takes_units();
    let mut with_units: Vec<(usize, Leaf)> = Vec::new();
    let mut values: Vec<(usize, ValueGuess)> = Vec::new();
    let mut unmapped = Vec::new();
    for (at, leaf) in leaves.leaves.iter().enumerate() {
        let is_taken = time
            .as_ref()
            .is_some_and(|time| time.leaf == at || time.clock == Some(at))
            || sensor.as_ref().is_some_and(|sensor| sensor.leaf == at);
        if is_taken {
            continue;
        }
        // Of a list that a codec writes only single elements can be mapped, and which those are nobody knows.
        let is_in_list =
            matches!(&leaf.place, LeafPlace::Pointer(pointer) if pointer.contains("/*"));
        let numbers = takes_units.then(|| leaf.with_units()).flatten();
        match values::guess(numbers.as_ref().unwrap_or(leaf), declarations) {
            Some(guess) if !(is_in_list && has_codec) => {
                values.push((at, guess));
                with_units.extend(numbers.map(|numbers| (at, numbers)));
            }
            _ => unmapped.push(at),
        }
    }
    // What is no value that is known stays the text that it is: `4 C` may be the name of a place.
    for (at, numbers) in with_units {
        leaves.leaves[at] = numbers;
    }
    // Two values of one property in one message: the surer one stays, since a row is known by its property.
    let mut kept: Vec<(usize, ValueGuess)> = Vec::new();
    for (at, guess) in values {
        match kept
            .iter_mut()
            .find(|(_, known)| known.property == guess.property)
        {
            None => kept.push((at, guess)),
            Some(known) if guess.certainty < known.1.certainty => {
                unmapped.push(known.0);
                *known = (at, guess);
            }
            Some(_) => unmapped.push(at),
        }
    }
    unmapped.sort_unstable();
    Proposal {
        new: new.clone(),
        licence: licence(known.as_ref(), &kept, declarations),
        known,
        leaves,
        topic,
        sensor,
        equal_times,
        time,
        values: kept,
        unmapped,
    }
}

/// Returns a licence under which the values may be rows of their datasets, and what a person has to know of it.
fn licence(
    known: Option<&Known>,
    values: &[(usize, ValueGuess)],
    declarations: &Declarations,
) -> (String, String) {
    const CHECK: &str = "what the owner of the data allows: check it";
    let licence = known.map_or(LICENCE, |known| known.licence);
    let mut datasets = values
        .iter()
        .filter_map(|(_, value)| declarations.dataset(&value.dataset));
    let asked = datasets.find_map(|dataset| {
        let declared = dataset.licence.as_ref()?;
        (!Licence::allows(licence, declared.as_str())).then_some((dataset, declared))
    });
    match asked {
        Some((dataset, declared)) => (
            declared.to_string(),
            format!(
                "dataset `{}` is published under it: check that the owner of the data allows it",
                dataset.id
            ),
        ),
        None => (licence.to_owned(), CHECK.to_owned()),
    }
}

/// Names that a sensor id goes by, the likelier first.
const SENSOR_NAMES: [&str; 21] = [
    "sensorid",
    "deviceid",
    "stationid",
    "nodeid",
    "sensor",
    "device",
    "station",
    "devicename",
    "sensorname",
    "friendlyname",
    "node",
    "serial",
    "serialnumber",
    "deveui",
    "mac",
    "macaddress",
    "ieeeaddr",
    "ieeeaddress",
    "imei",
    "id",
    "name",
];

/// Names of those that may be of anything.
const SENSOR_NAMES_VAGUE: [&str; 2] = ["id", "name"];

/// Names that places and things go by, with which sensors are known where these have no name of their own: texts alone, since
/// a number may be what a counter has counted.
const PLACE_NAMES: [&str; 30] = [
    "container",
    "containerid",
    "bin",
    "binid",
    "gate",
    "gateid",
    "counter",
    "counterid",
    "site",
    "siteid",
    "box",
    "boxid",
    "meter",
    "meterid",
    "point",
    "pointid",
    "post",
    "location",
    "locationid",
    "place",
    "meetpunt",
    "meetpost",
    "telpunt",
    "locatie",
    "plaats",
    "messstelle",
    "zählstelle",
    "standort",
    "lieu",
    "borne",
];

fn sensor(leaves: &[Leaf]) -> Option<SensorGuess> {
    let candidates = leaves.iter().enumerate().filter_map(|(at, leaf)| {
        let name = names::plain(&leaf.name);
        let rank_of = |name: &str| {
            let mut known = SENSOR_NAMES.iter().chain(PLACE_NAMES.iter());
            known.position(|known| *known == name)
        };
        // The `id` of a `sensor` is a sensor id; an `id` alone may be the message's.
        let with_parent = leaf.path.split(' ').rev().take(2);
        let with_parent: Vec<&str> = with_parent.collect();
        let with_parent: String = with_parent.into_iter().rev().collect();
        let rank = rank_of(&names::plain(&with_parent)).or_else(|| rank_of(&name))?;
        let texts: Vec<&str> = leaf
            .values
            .iter()
            .filter_map(|value| value.text())
            .collect();
        // A value of the message itself comes before one that lies deep in it.
        let depth = match &leaf.place {
            LeafPlace::Pointer(pointer) => pointer.matches('/').count(),
            LeafPlace::Field(_) => 1,
        };
        let is_hardware = matches!(
            name.as_str(),
            "deveui"
                | "mac"
                | "macaddress"
                | "ieeeaddr"
                | "ieeeaddress"
                | "imei"
                | "serial"
                | "serialnumber"
        ) || texts.iter().any(|text| is_hardware_id(text));
        let is_place = rank >= SENSOR_NAMES.len();
        let is_vague = is_place || SENSOR_NAMES_VAGUE.contains(&SENSOR_NAMES[rank]);
        // Coordinates name nothing.
        let is_name = |text: &&str| text.parse::<f64>().is_err() && !text.contains(',');
        let can_be = !texts.is_empty() && (!is_place || texts.iter().all(is_name));
        can_be.then_some((
            (is_vague, depth, rank),
            SensorGuess {
                leaf: at,
                is_hardware,
                is_place,
            },
        ))
    });
    let best = candidates.min_by_key(|(order, _)| *order);
    best.map(|(_, guess)| guess)
}

/// Returns true where the messages name more than one sensor.
fn has_several_names(names: &Leaf) -> bool {
    let names: BTreeSet<&str> = names.values.iter().filter_map(LeafValue::text).collect();
    names.len() > 1
}

/// Returns true where two messages have the same time.
fn has_equal_times(leaves: &[Leaf], time: Option<&TimeGuess>) -> bool {
    let Some(time) = time else {
        return false;
    };
    let texts = |at: usize| {
        let values = leaves[at].values.iter();
        values.map(|value| value.text().unwrap_or_default())
    };
    let clocks: Vec<&str> = time.clock.map_or_else(Vec::new, |at| texts(at).collect());
    let mut seen = BTreeSet::new();
    let mut times = texts(time.leaf).enumerate();
    times.any(|(at, date)| !seen.insert((date, clocks.get(at).copied())))
}

/// Returns true for what looks like a MAC, an EUI or another number that hardware carries.
fn is_hardware_id(text: &str) -> bool {
    let text = text.strip_prefix("0x").unwrap_or(text);
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    matches!(digits.len(), 12 | 16)
        && digits.bytes().all(|b| b.is_ascii_hexdigit())
        && (digits.bytes().any(|b| b.is_ascii_alphabetic()) || digits.len() != text.len())
}

/// Levels of topics that say what a message is, not whose.
const TOPIC_WORDS: [&str; 19] = [
    "sensor",
    "sensors",
    "state",
    "status",
    "up",
    "uplink",
    "data",
    "telemetry",
    "tele",
    "stat",
    "event",
    "events",
    "rpc",
    "devices",
    "device",
    "json",
    "values",
    "measurements",
    "readings",
];

fn topic_guess(topic: &str) -> TopicGuess {
    let levels: Vec<&str> = topic.split('/').collect();
    let is_device = |level: &&str| {
        let level = level.to_lowercase();
        !level.is_empty() && !TOPIC_WORDS.contains(&level.as_str())
    };
    // The last level that can be a name. The first one is mostly the system's, unless all behind it are words.
    let last = levels.iter().rposition(is_device);
    let at = last.unwrap_or(levels.len() - 1);
    let pattern: Vec<&str> = levels
        .iter()
        .enumerate()
        .map(|(level, text)| if level == at { "{device}" } else { text })
        .collect();
    TopicGuess {
        pattern: pattern.join("/"),
        is_hardware: is_hardware_id(levels[at]),
    }
}

#[cfg(test)]
mod tests;
