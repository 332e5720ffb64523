//! Which sensors and segments a message may speak of that became no row: whoever must find every trace of one asks here.
//!
//! `topic, bytes -> words -> every id that a device has which calls itself so -> is it meant?`
//!
//! A message that cannot be decoded names its sensor all the same, somewhere. This goes by words, so it also finds one
//! that merely occurs; what asks must prefer that to missing one. Hardware ids are compared by their HMAC, as anywhere.

use std::borrow::Cow;
use std::collections::HashSet;

use meetnet_model::column::ColumnType;
use meetnet_model::source::{DECLARED_HARDWARE_ID, WireFormat};

use super::{Decoders, Format, Source};
use crate::format::airrohr::{CHIP, CHIP_PREFIXES};
use crate::format::chirpstack::hexadecimal_of_base64;
use crate::format::senml::DEVICE_URN;
use crate::format::tts::{DEV_EUI, DEVICE_OF_APPLICATION};
use crate::identity::HardwareIds;

/// What may stand within an id, and between an id and something else.
const JOINTS: [char; 4] = ['-', '_', '.', ':'];
/// A run of more parts is no id with something around it, but perhaps one with a time: then only short stretches count.
const PARTS_MAX: usize = 8;
/// Parts of such a stretch.
const STRETCH_PARTS_MAX: usize = 4;

/// What a row, or a message, is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A sensor, by its published id.
    Sensor(&'a str),
    /// A road segment.
    Segment(i64),
}

impl Decoders {
    /// Returns whether `topic` or `texts` of a message of `source` may name a subject that `is_meant`; every source is
    /// asked where that one is not declared. The first that is meant ends the search: who wants all of them says no to each.
    pub fn mention(
        &self,
        source: &str,
        topic: &str,
        texts: &[&[u8]],
        is_meant: &mut dyn FnMut(Subject<'_>) -> bool,
    ) -> bool {
        let mut search = Search {
            ids: HardwareIds::default(),
            id: String::new(),
            is_meant,
        };
        if let Some(of) = self.source(source) {
            return self.source_mentions(source, of, topic, texts, &mut search);
        }
        let mut sources = self.sources.iter();
        sources.any(|(id, of)| self.source_mentions(id, of, topic, texts, &mut search))
    }

    /// Returns every sensor id that a device of `source` can have which calls itself `name`, the likeliest first; nothing
    /// where the source is not declared.
    pub fn sensor_ids(&self, source: &str, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(source) = self.source(source) {
            let mut search = Search {
                ids: HardwareIds::default(),
                id: String::new(),
                is_meant: &mut |subject| {
                    if let Subject::Sensor(id) = subject {
                        found.push(id.to_owned());
                    }
                    false
                },
            };
            search.device(source, name.trim());
        }
        found
    }

    fn source_mentions(
        &self,
        id: &str,
        source: &Source,
        topic: &str,
        texts: &[&[u8]],
        search: &mut Search<'_>,
    ) -> bool {
        if search.topic(source, topic) {
            return true;
        }
        if matches!(source.format, Format::Tts(_)) {
            let words: Vec<&str> = words(topic).collect();
            let mut pairs = words.iter().flat_map(|application| {
                let devices = words.iter();
                devices.map(move |device| format!("{application}/{device}"))
            });
            if pairs.any(|pair| search.hardware(source, DEVICE_OF_APPLICATION, &pair)) {
                return true;
            }
        }
        if matches!(source.format, Format::Chirpstack(_))
            && texts.iter().any(|text| search.base64(source, text))
        {
            return true;
        }
        if matches!(source.format, Format::Senml(_))
            && texts.iter().any(|text| search.pack(source, text))
        {
            return true;
        }
        let has_segments = self.has_segments(id);
        let mut seen = HashSet::new();
        let texts = texts.iter().map(|text| String::from_utf8_lossy(text));
        for text in std::iter::once(Cow::Borrowed(topic)).chain(texts) {
            for word in words(&text) {
                if !seen.insert(word.to_owned()) {
                    continue;
                }
                let segment = word.parse::<i64>().ok().filter(|_| has_segments);
                if segment.is_some_and(|segment| (search.is_meant)(Subject::Segment(segment)))
                    || (search.is_meant)(Subject::Sensor(word))
                    || search.device(source, word)
                {
                    return true;
                }
            }
        }
        false
    }

    /// Whether messages of a source can become rows of road segments: elsewhere a number is no segment.
    fn has_segments(&self, source: &str) -> bool {
        let mut declared = self.declarations.sources.values();
        declared
            .find(|of| of.id.as_str() == source)
            .is_some_and(|of| {
                let mut datasets = of.map.iter().map(|entry| entry.dataset.as_str());
                matches!(of.format, WireFormat::Telraam | WireFormat::Ngsi)
                    || datasets.any(|dataset| {
                        let dataset = self.declarations.dataset(dataset);
                        let subject = dataset.and_then(|dataset| dataset.subject_column());
                        subject.is_some_and(|column| column.column_type == ColumnType::Int)
                    })
            })
    }
}

struct Search<'a> {
    ids: HardwareIds,
    id: String,
    is_meant: &'a mut dyn FnMut(Subject<'_>) -> bool,
}

impl Search<'_> {
    /// Asks for every id of a device that calls itself `name`. Ids of another format cost an HMAC and find nobody; a source
    /// may have had another one.
    fn device(&mut self, source: &Source, name: &str) -> bool {
        let of_formats = WireFormat::ALL
            .iter()
            .flat_map(|format| format.hardware_kinds());
        let mut kinds = of_formats.copied().chain([DECLARED_HARDWARE_ID]);
        if kinds.any(|kind| self.hardware(source, kind, name)) {
            return true;
        }
        let mut chips = CHIP_PREFIXES.iter().map(|prefix| format!("{prefix}{name}"));
        if chips.any(|chip| self.hardware(source, CHIP, &chip)) {
            return true;
        }
        let named = source.common.naming.plain(name, &mut self.id);
        named.is_ok() && self.is_named(source)
    }

    /// Asks for the id that the topic alone gives, by the declared template.
    fn topic(&mut self, source: &Source, topic: &str) -> bool {
        let declared = source.format.mapped().and_then(|mapped| mapped.sensor_id());
        let naming = &source.common.naming;
        declared.is_some_and(|id| id.resolve_topic(naming, topic, &mut self.ids, &mut self.id))
            && self.is_named(source)
    }

    /// Asks for the DevEUIs that a text holds as base64, as ChirpStack v3 writes them.
    fn base64(&mut self, source: &Source, text: &[u8]) -> bool {
        let is_of_it = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
        let mut runs = text.split(|byte| !is_of_it(byte));
        runs.any(|run| {
            let run = std::str::from_utf8(run).ok();
            let dev_eui = run.and_then(hexadecimal_of_base64);
            dev_eui.is_some_and(|dev_eui| self.hardware(source, DEV_EUI, &dev_eui))
        })
    }

    /// Asks for the devices whose names stand in two parts in a SenML pack: `bn` and `n`.
    fn pack(&mut self, source: &Source, text: &[u8]) -> bool {
        let text = String::from_utf8_lossy(text);
        let mut seen = HashSet::new();
        for name in names_of_pack(&text) {
            for device in beginnings(&name) {
                if !seen.insert(device.to_owned()) {
                    continue;
                }
                let urn = device.strip_prefix(DEVICE_URN);
                let mac = urn.and_then(|urn| urn.strip_prefix("mac:"));
                let mut forms = [Some(device), urn, mac].into_iter().flatten();
                if forms.any(|form| self.device(source, form)) {
                    return true;
                }
            }
        }
        false
    }

    fn hardware(&mut self, source: &Source, kind: &str, raw: &str) -> bool {
        let naming = &source.common.naming;
        let named = naming.hardware(kind, raw, &mut self.ids, &mut self.id);
        named.is_ok() && self.is_named(source)
    }

    /// Asks for the id that has been made, and for that of the station which stands in its place.
    fn is_named(&mut self, source: &Source) -> bool {
        let station = source
            .format
            .mapped()
            .and_then(|mapped| mapped.station_of(&self.id));
        (self.is_meant)(Subject::Sensor(&self.id))
            || station.is_some_and(|station| (self.is_meant)(Subject::Sensor(station)))
    }
}

/// Returns the names of the records of a SenML pack, base names in front, as far as the text can be read. A base name that
/// stands behind the name in its record cannot be told from that of the next one, so both the one before and the one behind
/// count.
fn names_of_pack(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut base = "";
    let mut since_base: Vec<&str> = Vec::new();
    for pair in quoted(text).windows(2) {
        let &[(key, between), (value, _)] = pair else {
            continue;
        };
        match (key, between) {
            ("bn", ":") => {
                let behind = since_base.drain(..);
                names.extend(behind.map(|name| format!("{value}{name}")));
                base = value;
            }
            ("n", ":") => {
                names.push(format!("{base}{value}"));
                since_base.push(value);
            }
            _ => {}
        }
    }
    names
}

/// Returns the quoted texts of a JSON text, each with what stands between it and the next one.
fn quoted(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, inner)) = rest.split_once('"') {
        let mut is_escaped = false;
        let end = inner.find(|c: char| {
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let (string, behind) = match end {
            Some(end) => (&inner[..end], &inner[end + 1..]),
            None => (inner, ""),
        };
        let between = behind.split('"').next().unwrap_or_default();
        found.push((string, between.trim()));
        rest = behind;
    }
    found
}

/// Returns what may be the device in the name of a record: the whole of it, and what stands before each separator.
fn beginnings(name: &str) -> impl Iterator<Item = &str> {
    let parts = name.match_indices([':', '/', '.', '_']);
    parts.map(move |(at, _)| &name[..at]).chain([name])
}

/// Returns the words of a text: runs of letters, digits and joints, and each stretch of parts of such a run.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let runs = text.split(|c: char| !(c.is_alphanumeric() || JOINTS.contains(&c)));
    runs.flat_map(|run| {
        let run = run.trim_matches(JOINTS);
        let mut starts = vec![0];
        let mut ends = Vec::new();
        for (at, joint) in run.match_indices(JOINTS) {
            ends.push(at);
            starts.push(at + joint.len());
        }
        ends.push(run.len());
        let is_long = starts.len() > PARTS_MAX;
        let mut stretches = Vec::new();
        for (first, start) in starts.iter().enumerate() {
            for (last, end) in ends.iter().enumerate().skip(first) {
                let is_whole = first == 0 && last + 1 == ends.len();
                let is_short = last - first < STRETCH_PARTS_MAX;
                if (!is_long || is_whole || is_short) && start < end {
                    stretches.push(&run[*start..*end]);
                }
            }
        }
        stretches
    })
}

#[cfg(test)]
mod tests;
