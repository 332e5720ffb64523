//! Which sensor a row is from: `<namespace>-<id>`, the id taken from the topic or the body, hardware ids replaced by
//! their HMAC before anything else sees them.

use std::borrow::Cow;

use hashbrown::{Equivalent, HashMap};
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::source::{DECLARED_HARDWARE_ID, Place, SourceDeclaration, ValueRef};

use crate::error::SetupProblem;
use crate::fields::{Fields, Slot, WantedPlaces};
use crate::json::read::{self, Reading};
use crate::topic::{Captures, TopicPattern};
use crate::words;

/// Longest id that a device may call itself by, in bytes: it stands in every row.
const RAW_ID_BYTES_MAX: usize = 200;
/// Hardware ids whose HMAC a group remembers; then it starts afresh.
const HARDWARE_IDS_CACHED_MAX: usize = 16_384;

/// The HMAC ids that a group has met, so that a device costs one HMAC and not one per message.
#[derive(Debug, Default)]
pub(crate) struct HardwareIds {
    known: HashMap<Box<str>, Box<str>>,
}

/// Topics whose sensor id a group remembers; then it starts afresh.
const TOPICS_CACHED_MAX: usize = 16_384;
/// Bytes of a topic that is remembered.
const TOPIC_BYTES_MAX: usize = 256;

/// The sensor ids that a group has found in topics: a device speaks under one topic again and again.
#[derive(Debug, Default)]
pub(crate) struct TopicIds {
    known: HashMap<TopicOf<Box<str>>, Box<str>>,
    /// The source whose topics are looked for, by its position.
    pub(crate) source: usize,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TopicOf<T> {
    source: usize,
    topic: T,
}

impl Equivalent<TopicOf<Box<str>>> for TopicOf<&str> {
    fn equivalent(&self, known: &TopicOf<Box<str>>) -> bool {
        self.source == known.source && *self.topic == *known.topic
    }
}

impl TopicIds {
    fn get(&self, topic: &str) -> Option<&str> {
        let of = TopicOf {
            source: self.source,
            topic,
        };
        self.known.get(&of).map(|id| &**id)
    }

    fn insert(&mut self, topic: &str, id: &str) {
        if topic.len() > TOPIC_BYTES_MAX {
            return;
        }
        if self.known.len() >= TOPICS_CACHED_MAX {
            self.known.clear();
        }
        let of = TopicOf {
            source: self.source,
            topic: topic.into(),
        };
        self.known.insert(of, id.into());
    }
}

/// Why a message has no sensor id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdFault {
    /// The topic matches none of the source's patterns.
    UnknownTopic,
    /// There is no id where it should stand.
    Missing,
    /// What stands there is no id.
    Wrong,
}

/// Turns a raw id into a sensor id.
#[derive(Clone, Debug)]
pub(crate) struct Naming {
    /// `<namespace>-`
    prefix: Box<str>,
    key: PrivacyKey,
}

impl Naming {
    pub(crate) fn new(source: &SourceDeclaration, key: &PrivacyKey) -> Self {
        Self {
            prefix: format!("{}-", source.namespace).into(),
            key: key.clone(),
        }
    }

    /// Writes the sensor id of the device that calls itself `raw` into `id`.
    pub(crate) fn plain(&self, raw: &str, id: &mut String) -> Result<(), IdFault> {
        let raw = check_raw(raw)?;
        id.clear();
        id.push_str(&self.prefix);
        id.push_str(raw);
        Ok(())
    }

    /// Writes the sensor id of the device with hardware id `raw`: the HMAC under the privacy key.
    /// `kind` keeps ids of different kinds apart; `raw` counts without regard to case.
    pub(crate) fn hardware(
        &self,
        kind: &str,
        raw: &str,
        ids: &mut HardwareIds,
        id: &mut String,
    ) -> Result<(), IdFault> {
        let raw = check_raw(raw)?;
        // `id` serves as the cache key first: no allocation for a device that is known.
        id.clear();
        for part in [&self.prefix, kind, ":"] {
            id.push_str(part);
        }
        let start = id.len();
        id.push_str(raw);
        id[start..].make_ascii_lowercase();
        if let Some(known) = ids.known.get(id.as_str()) {
            id.clear();
            id.push_str(known);
            return Ok(());
        }
        let name = format!(
            "{}{}",
            self.prefix,
            self.key.hardware_id(kind, &id[start..])
        );
        if ids.known.len() >= HARDWARE_IDS_CACHED_MAX {
            ids.known.clear();
        }
        ids.known.insert(id.as_str().into(), name.as_str().into());
        *id = name;
        Ok(())
    }
}

/// Returns the part of a text that names a device or station.
pub(crate) fn check_raw(raw: &str) -> Result<&str, IdFault> {
    let raw = read::trimmed(raw);
    if raw.is_empty() {
        return Err(IdFault::Missing);
    }
    let has_control = !words::is_printable(raw.as_bytes()) && raw.chars().any(char::is_control);
    if raw.len() > RAW_ID_BYTES_MAX || has_control {
        return Err(IdFault::Wrong);
    }
    Ok(raw)
}

/// Hexadecimal digits of a MAC address.
const MAC_DIGITS: usize = 12;

/// Returns true for a MAC address: 12 hexadecimal digits, or 6 pairs of them with `:` or `-` between.
pub(crate) fn is_mac_address(id: &str) -> bool {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_of_pairs = |separator: char| {
        id.split(separator).count() * 2 == MAC_DIGITS
            && id
                .split(separator)
                .all(|pair| pair.len() == 2 && is_hex(pair))
    };
    (id.len() == MAC_DIGITS && is_hex(id)) || is_of_pairs(':') || is_of_pairs('-')
}

#[derive(Clone, Debug)]
enum Part {
    Literal(Box<str>),
    /// Per topic pattern: the position of the capture.
    Capture(Box<[usize]>),
}

impl Part {
    /// Returns what the part is for a topic that the pattern at position `pattern` took.
    fn text<'p>(&'p self, pattern: usize, captures: &Captures<'p>) -> Result<&'p str, IdFault> {
        match self {
            Self::Literal(literal) => Ok(literal),
            Self::Capture(at) => match captures[at[pattern]] {
                "" => Err(IdFault::Missing),
                text => Ok(text),
            },
        }
    }
}

#[derive(Clone, Debug)]
enum Origin {
    Template(Vec<Part>),
    Value(Slot),
}

/// The declared `sensor_id` of a source.
#[derive(Clone, Debug)]
pub(crate) struct DeclaredId {
    origin: Origin,
    hardware: bool,
    topics: Vec<TopicPattern>,
}

impl DeclaredId {
    /// Returns the declared rule, if there is one; `places` gives the slot of its place.
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        places: &mut dyn WantedPlaces,
    ) -> Result<Option<Self>, SetupProblem> {
        let origin = match &source.sensor_id {
            None => return Ok(None),
            Some(ValueRef::Pointer { pointer }) => {
                Origin::Value(places.want(Place::Pointer(pointer))?)
            }
            Some(ValueRef::Field { field }) => Origin::Value(places.want(Place::Field(field))?),
            Some(ValueRef::Template(template)) => Origin::Template(parts(template, topics)?),
        };
        Ok(Some(Self {
            origin,
            hardware: source.hardware_id,
            topics: topics.to_vec(),
        }))
    }

    /// Writes the sensor id of a message into `id`.
    pub(crate) fn resolve(
        &self,
        naming: &Naming,
        topic: &str,
        fields: &Fields<'_, '_>,
        ids: &mut HardwareIds,
        id: &mut String,
    ) -> Result<(), IdFault> {
        let text;
        let joined;
        let raw: &str = match &self.origin {
            Origin::Value(slot) => match read::text(fields.raw(*slot)) {
                Reading::Value(value) => {
                    text = value;
                    &text
                }
                Reading::Missing => return Err(IdFault::Missing),
                Reading::Wrong => return Err(IdFault::Wrong),
            },
            Origin::Template(parts) => {
                joined = self.in_topic(parts, topic)?;
                &joined
            }
        };
        if self.hardware {
            naming.hardware(DECLARED_HARDWARE_ID, raw, ids, id)
        } else {
            naming.plain(raw, id)
        }
    }

    /// Does the same where the topic alone gives the id, and remembers it.
    pub(crate) fn resolve_remembering(
        &self,
        naming: &Naming,
        topic: &str,
        fields: &Fields<'_, '_>,
        ids: &mut HardwareIds,
        topics: &mut TopicIds,
        id: &mut String,
    ) -> Result<(), IdFault> {
        if !matches!(self.origin, Origin::Template(_)) {
            return self.resolve(naming, topic, fields, ids, id);
        }
        if let Some(known) = topics.get(topic) {
            id.clear();
            id.push_str(known);
            return Ok(());
        }
        self.resolve(naming, topic, fields, ids, id)?;
        topics.insert(topic, id);
        Ok(())
    }

    /// Writes the sensor id that the topic alone gives into `id`; false where it takes more, or none.
    pub(crate) fn resolve_topic(
        &self,
        naming: &Naming,
        topic: &str,
        ids: &mut HardwareIds,
        id: &mut String,
    ) -> bool {
        let nothing = Fields::text("", &[]);
        matches!(self.origin, Origin::Template(_))
            && self.resolve(naming, topic, &nothing, ids, id).is_ok()
    }

    /// Returns the raw id that a template makes of a topic.
    fn in_topic<'t>(&'t self, parts: &'t [Part], topic: &'t str) -> Result<Cow<'t, str>, IdFault> {
        // So most are written: `{device}`.
        if let [Part::Capture(at)] = parts {
            let mut taken = self.topics.iter().zip(at);
            let taken = taken.find_map(|(pattern, at)| pattern.captured(topic, *at));
            return match taken.ok_or(IdFault::UnknownTopic)? {
                "" => Err(IdFault::Missing),
                text => Ok(Cow::Borrowed(text)),
            };
        }
        let uses_captures = parts.iter().any(|part| matches!(part, Part::Capture(_)));
        let (pattern, captures) = if uses_captures {
            let mut found = self.topics.iter().enumerate();
            found
                .find_map(|(at, pattern)| Some((at, pattern.matches(topic)?)))
                .ok_or(IdFault::UnknownTopic)?
        } else {
            Default::default()
        };
        let part_text = |part: &'t Part| part.text(pattern, &captures);
        match parts {
            [part] => part_text(part).map(Cow::Borrowed),
            parts => parts
                .iter()
                .map(part_text)
                .collect::<Result<String, _>>()
                .map(Cow::Owned),
        }
    }
}

/// Splits `"{site}-{device}"` into its parts.
fn parts(template: &str, topics: &[TopicPattern]) -> Result<Vec<Part>, SetupProblem> {
    let wrong = || SetupProblem::Template(template.to_owned());
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((literal, tail)) = rest.split_once('{') {
        let (name, tail) = tail.split_once('}').ok_or_else(wrong)?;
        if name.is_empty() || literal.contains('}') {
            return Err(wrong());
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        let unknown = |pattern: &str| SetupProblem::UnknownCapture {
            capture: name.to_owned(),
            pattern: pattern.to_owned(),
        };
        if topics.is_empty() {
            return Err(unknown(""));
        }
        let at = topics
            .iter()
            .map(|pattern| {
                pattern
                    .capture(name)
                    .ok_or_else(|| unknown(pattern.as_str()))
            })
            .collect::<Result<_, _>>()?;
        parts.push(Part::Capture(at));
        rest = tail;
    }
    if rest.contains('}') || template.is_empty() {
        return Err(wrong());
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest.into()));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests;
