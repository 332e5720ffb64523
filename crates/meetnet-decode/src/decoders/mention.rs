//! Which sensors and segments a message may speak of that became no row: whoever must find every trace of one asks here.
//!
//! `topic, bytes -> words -> every id that a device has which calls itself so -> is it meant?`
//!
//! A message that cannot be decoded names its sensor all the same, somewhere. This goes by words, so it also finds one
//! that merely occurs; what asks must prefer that to missing one. Hardware ids are compared by their HMAC, as anywhere.

use std::borrow::Cow;
use std::collections::HashSet;

use meetnet_model::column::ColumnType;
use meetnet_model::source::WireFormat;

use super::{Decoders, Format, Source};
use crate::format::airrohr::{CHIP, CHIP_PREFIXES};
use crate::format::tts::{DEV_EUI, DEVICE_OF_APPLICATION};
use crate::identity::{DEVICE, DeclaredId, HardwareIds, Naming};

/// Kinds of hardware ids that stand alone.
const KINDS: [&str; 4] = [CHIP, DEV_EUI, DEVICE_OF_APPLICATION, DEVICE];
/// What may stand within an id, and between an id and something else.
const JOINTS: [char; 4] = ['-', '_', '.', ':'];
/// A run of more parts is no id with something around it.
const PARTS_MAX: usize = 8;

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
    /// asked where that one is not declared.
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
        if let Some(of) = self.sources.get(source) {
            return self.source_mentions(source, of, topic, texts, &mut search);
        }
        let mut sources = self.sources.iter();
        sources.any(|(id, of)| self.source_mentions(id, of, topic, texts, &mut search))
    }

    /// Returns every sensor id that a device of `source` can have which calls itself `name`, the likeliest first; nothing
    /// where the source is not declared.
    pub fn sensor_ids(&self, source: &str, name: &str) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(source) = self.sources.get(source) {
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
            search.device(&source.common.naming, name.trim());
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
        let naming = &source.common.naming;
        if source.names_topic(topic, search) {
            return true;
        }
        if matches!(source.format, Format::Tts(_)) {
            let words: Vec<&str> = words(topic).collect();
            let mut pairs = words.iter().flat_map(|application| {
                let devices = words.iter();
                devices.map(move |device| format!("{application}/{device}"))
            });
            if pairs.any(|pair| search.hardware(naming, DEVICE_OF_APPLICATION, &pair)) {
                return true;
            }
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
                    || search.device(naming, word)
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
                of.format == WireFormat::Telraam
                    || datasets.any(|dataset| {
                        let dataset = self.declarations.dataset(dataset);
                        let subject = dataset.and_then(|dataset| dataset.subject_column());
                        subject.is_some_and(|column| column.column_type == ColumnType::Int)
                    })
            })
    }
}

impl Source {
    /// Whether the topic alone names a sensor that is meant, by the declared template.
    fn names_topic(&self, topic: &str, search: &mut Search<'_>) -> bool {
        let declared = match &self.format {
            Format::Telraam(_) => return false,
            Format::Airrohr(decoder) => decoder.declared(),
            Format::Tts(decoder) => decoder.declared(),
            Format::Json(decoder) => decoder.declared(),
        };
        let naming = &self.common.naming;
        let declared = declared.sensor_id();
        declared.is_some_and(|declared| search.topic(naming, declared, topic))
    }
}

struct Search<'a> {
    ids: HardwareIds,
    id: String,
    is_meant: &'a mut dyn FnMut(Subject<'_>) -> bool,
}

impl Search<'_> {
    /// Asks for every id of a device that calls itself `name`.
    fn device(&mut self, naming: &Naming, name: &str) -> bool {
        if KINDS.iter().any(|kind| self.hardware(naming, kind, name)) {
            return true;
        }
        let mut chips = CHIP_PREFIXES.iter().map(|prefix| format!("{prefix}{name}"));
        if chips.any(|chip| self.hardware(naming, CHIP, &chip)) {
            return true;
        }
        naming.plain(name, &mut self.id).is_ok() && (self.is_meant)(Subject::Sensor(&self.id))
    }

    fn topic(&mut self, naming: &Naming, declared: &DeclaredId, topic: &str) -> bool {
        declared.resolve_topic(naming, topic, &mut self.ids, &mut self.id)
            && (self.is_meant)(Subject::Sensor(&self.id))
    }

    fn hardware(&mut self, naming: &Naming, kind: &str, raw: &str) -> bool {
        let named = naming.hardware(kind, raw, &mut self.ids, &mut self.id);
        named.is_ok() && (self.is_meant)(Subject::Sensor(&self.id))
    }
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
                if (!is_long || is_whole || first == last) && start < end {
                    stretches.push(&run[*start..*end]);
                }
            }
        }
        stretches
    })
}

#[cfg(test)]
mod tests;
