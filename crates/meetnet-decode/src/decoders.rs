//! All decoders of one declarations frame: the way in.

mod mention;

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::HashMap;
use meetnet_model::declarations::Declarations;
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::{SourceDeclaration, WireFormat};

use crate::devices::source_with_pseudonyms;
use crate::envelope::EnvelopeRef;
use crate::error::{DecodeSetupError, SetupProblem};
use crate::format::airrohr::AirrohrDecoder;
use crate::format::chirpstack::ChirpstackDecoder;
use crate::format::csv::CsvDecoder;
use crate::format::influx::InfluxDecoder;
use crate::format::json::JsonDecoder;
use crate::format::mapped::Mapped;
use crate::format::ngsi::NgsiDecoder;
use crate::format::senml::SenmlDecoder;
use crate::format::sensor_community::SensorCommunityDecoder;
use crate::format::sensorthings::SensorThingsDecoder;
use crate::format::series::SeriesDecoder;
use crate::format::station::StationDecoder;
use crate::format::telraam::TelraamDecoder;
use crate::format::tts::TtsDecoder;
use crate::format::{Body, Common, NOT_TEXT, reject_malformed};
use crate::group::{Decoded, Group};
use crate::json::lenient::without_nan;
use crate::json::read;
use crate::mapping::MappingFault;
use crate::stations::DeclaredStations;
use crate::topic::TopicPattern;

pub use self::mention::Subject;

/// Bytes of a body that can be decoded: positions in it are 32 bits wide. Sources set far lower limits.
const BODY_BYTES_MAX: usize = u32::MAX as usize;
/// Bytes of one that is not UTF-8: each byte that is no text becomes three.
const TORN_BYTES_MAX: usize = BODY_BYTES_MAX / 3;

/// What is said about a body that spreadsheets and Windows write as "Unicode".
const UTF_16: &str = "the body is UTF-16; let the sender write UTF-8, or convert a file with `iconv -f UTF-16 -t UTF-8`";

/// Beside a body: what it is about, where that is no measurement.
pub const ABOUT_META: &str = "about";
/// An envelope about the devices that the source declares: it makes rows of their stations. Its body says nothing.
pub const ABOUT_DEVICES: &str = "devices";
/// What an API says of one station. The sensors that are polled there stand beside the body, each as `sensor`.
pub const ABOUT_STATION: &str = "station";

/// The decoders of every declared source, built once per declarations frame.
#[derive(Debug)]
pub struct Decoders {
    declarations: Arc<Declarations>,
    sources: Vec<(Box<str>, Source)>,
    /// By id, their positions in `sources`.
    by_id: HashMap<Box<str>, usize>,
}

#[derive(Debug)]
struct Source {
    common: Common,
    lenient: bool,
    format: Format,
}

#[derive(Debug)]
enum Format {
    Telraam(TelraamDecoder),
    Airrohr(AirrohrDecoder),
    Tts(TtsDecoder),
    Chirpstack(Box<ChirpstackDecoder>),
    SensorThings(Box<SensorThingsDecoder>),
    Ngsi(Box<NgsiDecoder>),
    Senml(Box<SenmlDecoder>),
    Json(JsonDecoder),
    /// One document of JSON per line.
    Ndjson(JsonDecoder),
    Csv(Box<CsvDecoder>),
    Station(StationDecoder),
    Influx(InfluxDecoder),
    SensorCommunity(SensorCommunityDecoder),
    Series(SeriesDecoder),
}

impl Decoders {
    /// Builds the decoders. On error, names the source and the map entry that cannot be decoded by.
    pub fn new(
        declarations: &Arc<Declarations>,
        key: &PrivacyKey,
    ) -> Result<Self, DecodeSetupError> {
        let mut sources: Vec<(Box<str>, Source)> = Vec::with_capacity(declarations.sources.len());
        for source in declarations.sources.values() {
            let hidden = source_with_pseudonyms(source, key);
            let source = hidden.as_ref().unwrap_or(source);
            let failed = |(entry, problem)| DecodeSetupError {
                source_id: source.id.clone(),
                entry,
                problem,
            };
            let format = Format::compile(source, declarations).map_err(failed)?;
            let stations = DeclaredStations::compile(source, declarations)
                .map_err(|problem| failed((None, problem)))?;
            let common = Common {
                stations,
                ..Common::new(source, key)
            };
            let decoder = Source {
                common,
                lenient: source.lenient,
                format,
            };
            sources.push((source.id.as_str().into(), decoder));
        }
        let by_id = sources.iter().enumerate();
        Ok(Self {
            declarations: Arc::clone(declarations),
            by_id: by_id.map(|(at, (id, _))| (id.clone(), at)).collect(),
            sources,
        })
    }

    /// Returns the declarations that the decoders were built from.
    pub fn declarations(&self) -> &Arc<Declarations> {
        &self.declarations
    }

    /// Returns an empty group for envelopes of these declarations; use it again after [`Group::take`].
    pub fn group(&self) -> Group {
        Group::new(&self.declarations)
    }

    /// Decodes the envelope at position `index` of the group. Whatever its bytes are, what is good in it becomes rows
    /// and what is not becomes rejects; envelopes of a group are decoded in ascending order of `index`.
    ///
    /// `group` must come from [`Decoders::group`] of the same declarations.
    pub fn decode(&self, index: u32, envelope: &EnvelopeRef<'_>, group: &mut Group) {
        group.output.begin(index);
        self.decode_begun(envelope, group);
        group.output.end();
    }

    /// Decodes one envelope by itself.
    pub fn decode_body(&self, envelope: &EnvelopeRef<'_>) -> Decoded {
        let mut group = self.group();
        self.decode(0, envelope, &mut group);
        group.take()
    }

    fn source(&self, id: &str) -> Option<&Source> {
        let at = *self.by_id.get(id)?;
        self.sources.get(at).map(|(_, source)| source)
    }

    /// Returns the source of an envelope; it is mostly that of the envelope before, whose position is `last`.
    fn source_after(&self, id: &str, last: &mut usize) -> Option<&Source> {
        match self.sources.get(*last) {
            Some((known, source)) if **known == *id => Some(source),
            _ => {
                *last = *self.by_id.get(id)?;
                self.sources.get(*last).map(|(_, source)| source)
            }
        }
    }

    fn decode_begun(&self, envelope: &EnvelopeRef<'_>, group: &mut Group) {
        let mut reject = |reason, message: &dyn std::fmt::Display| {
            group.output.reject_bytes(reason, message, envelope.payload);
        };
        let last = &mut group.scratch.row.topics.source;
        let source = self.source_after(envelope.source, last);
        let Some(source) = source else {
            let message = "the source of the envelope is not declared; declare it again and replay its rejects";
            return reject(RejectReason::UnknownSource, &message);
        };
        if envelope.truncated || envelope.payload.len() > BODY_BYTES_MAX {
            let message = "the envelope is larger than its source allows; only its head was kept";
            return reject(RejectReason::TooLarge, &message);
        }
        if envelope.meta(ABOUT_META) == Some(ABOUT_DEVICES) {
            let stations = &source.common.stations;
            return stations.emit(envelope.received_at, &mut group.output);
        }
        if is_utf16(envelope.payload) {
            return reject(RejectReason::Malformed, &UTF_16);
        }
        let (text, is_torn) = match std::str::from_utf8(envelope.payload) {
            Ok(text) => (Cow::Borrowed(text), false),
            // One byte of another encoding says nothing about the other lines.
            Err(_) if source.format.is_of_lines() && envelope.payload.len() <= TORN_BYTES_MAX => {
                (String::from_utf8_lossy(envelope.payload), true)
            }
            Err(error) => {
                let message = format!("not UTF-8 from byte {} on", error.valid_up_to());
                return reject(RejectReason::Malformed, &message);
            }
        };
        // A byte order mark is no JSON, but some gateways write one.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let text = match &source.format {
            Format::Csv(csv) => csv.trimmed(text),
            _ => text.trim_ascii(),
        };
        // Some formats skip lines of any white space, not of ASCII's alone.
        if read::trimmed(text).is_empty() {
            return reject(RejectReason::Malformed, &"the body is empty");
        }
        if !matches!(source.format, Format::Ndjson(_)) {
            return source.decode(envelope, text, is_torn, group);
        }
        // Each line by itself: one that is cut, or has a bare `nan`, says nothing about the others.
        for line in text.lines().map(str::trim_ascii) {
            if is_torn && line.contains(char::REPLACEMENT_CHARACTER) {
                let output = &mut group.output;
                output.reject(RejectReason::Malformed, NOT_TEXT, line);
            } else if !line.is_empty() {
                source.decode(envelope, line, false, group);
            }
        }
    }
}

impl Source {
    fn decode(&self, envelope: &EnvelopeRef<'_>, text: &str, is_torn: bool, group: &mut Group) {
        let Err(error) = self.try_decode(envelope, text, is_torn, group) else {
            return;
        };
        // Only a body that is not JSON comes here, so the search for `nan` costs good messages nothing.
        let without_nan = without_nan(text);
        let has_nan = matches!(without_nan, Cow::Owned(_));
        if !has_nan {
            return reject_malformed(&error, text, &mut group.output);
        }
        if !self.lenient {
            group.output.reject(
                RejectReason::Malformed,
                format_args!(
                    "not JSON: {error}; bare `nan` is read as missing with `lenient = true`"
                ),
                text,
            );
            return;
        }
        if let Err(error) = self.try_decode(envelope, &without_nan, is_torn, group) {
            reject_malformed(&error, text, &mut group.output);
        }
    }

    /// Decodes a body, or fails before anything was made of it.
    fn try_decode(
        &self,
        envelope: &EnvelopeRef<'_>,
        text: &str,
        is_torn: bool,
        group: &mut Group,
    ) -> Result<(), serde_json::Error> {
        let body = Body {
            common: &self.common,
            envelope,
            text,
            is_torn,
        };
        match &self.format {
            Format::Telraam(decoder) => decoder.decode(&body, group),
            Format::Airrohr(decoder) => decoder.decode(&body, group),
            Format::Tts(decoder) => decoder.decode(&body, group),
            Format::Chirpstack(decoder) => decoder.decode(&body, group),
            Format::SensorThings(decoder) => decoder.decode(&body, group),
            Format::Ngsi(decoder) => decoder.decode(&body, group),
            Format::Senml(decoder) => decoder.decode(&body, group),
            Format::Json(decoder) | Format::Ndjson(decoder) => decoder.decode(&body, group),
            Format::Csv(decoder) => {
                decoder.decode(&body, group);
                Ok(())
            }
            Format::Station(decoder) => {
                decoder.decode(&body, group);
                Ok(())
            }
            Format::Influx(decoder) => {
                decoder.decode(&body, group);
                Ok(())
            }
            Format::SensorCommunity(decoder) => decoder.decode(&body, group),
            Format::Series(decoder) => decoder.decode(&body, group),
        }
    }
}

/// Returns true for UTF-16, by its byte order mark or by two characters of ASCII at its beginning.
pub(crate) fn is_utf16(bytes: &[u8]) -> bool {
    match *bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [a, 0, b, 0, ..] | [0, a, 0, b, ..] => is_text(a) && is_text(b),
        _ => false,
    }
}

/// Returns true for what a text of ASCII begins with.
fn is_text(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte.is_ascii_whitespace()
}

impl Format {
    /// Returns true where each line of a body is a message by itself.
    fn is_of_lines(&self) -> bool {
        matches!(self, Self::Csv(_) | Self::Ndjson(_) | Self::Influx(_))
    }

    /// The compiled declaration of the source; none where the format maps nothing.
    fn mapped(&self) -> Option<&Mapped> {
        match self {
            Self::Telraam(_) | Self::Series(_) => None,
            Self::SensorCommunity(decoder) => Some(decoder.mapped()),
            Self::Airrohr(decoder) => Some(decoder.mapped()),
            Self::Tts(decoder) => Some(decoder.mapped()),
            Self::Chirpstack(decoder) => Some(decoder.mapped()),
            Self::SensorThings(decoder) => Some(decoder.mapped()),
            Self::Ngsi(decoder) => decoder.mapped(),
            Self::Senml(decoder) => Some(decoder.mapped()),
            Self::Json(decoder) | Self::Ndjson(decoder) => Some(decoder.mapped()),
            Self::Csv(decoder) => Some(decoder.mapped()),
            Self::Station(decoder) => Some(decoder.mapped()),
            Self::Influx(decoder) => decoder.mapped(),
        }
    }

    /// Returns the datasets that messages can become rows of, by number.
    #[cfg(test)]
    fn datasets(&self) -> Vec<usize> {
        match self {
            Self::Telraam(decoder) => decoder.datasets(),
            Self::Series(decoder) => decoder.datasets(),
            Self::SensorCommunity(decoder) => decoder.datasets(),
            Self::Ngsi(decoder) => decoder.datasets(),
            Self::Influx(decoder) => decoder.datasets(),
            Self::Airrohr(decoder) => decoder.mapped().datasets(),
            Self::Tts(decoder) => decoder.mapped().datasets(),
            Self::Chirpstack(decoder) => decoder.mapped().datasets(),
            Self::SensorThings(decoder) => decoder.mapped().datasets(),
            Self::Senml(decoder) => decoder.mapped().datasets(),
            Self::Json(decoder) | Self::Ndjson(decoder) => decoder.mapped().datasets(),
            Self::Csv(decoder) => decoder.mapped().datasets(),
            Self::Station(decoder) => decoder.mapped().datasets(),
        }
    }

    fn compile(
        source: &SourceDeclaration,
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        let topics: Vec<TopicPattern> = source
            .topics
            .iter()
            .map(|topic| TopicPattern::parse(topic))
            .collect::<Result<_, SetupProblem>>()
            .map_err(|problem| (None, problem))?;
        let takes_pairs = matches!(source.format, WireFormat::Json | WireFormat::Ndjson);
        if source.pairs.is_some() && !takes_pairs {
            return Err((None, SetupProblem::PairsNotHere));
        }
        Ok(match source.format {
            WireFormat::Telraam => Self::Telraam(TelraamDecoder::compile(source, declarations)?),
            WireFormat::Airrohr => {
                Self::Airrohr(AirrohrDecoder::compile(source, &topics, declarations)?)
            }
            WireFormat::TtsV3 => Self::Tts(TtsDecoder::compile(source, &topics, declarations)?),
            WireFormat::ChirpstackV4 => {
                let decoder = ChirpstackDecoder::compile(source, &topics, declarations)?;
                Self::Chirpstack(Box::new(decoder))
            }
            WireFormat::SensorThings => Self::SensorThings(Box::new(SensorThingsDecoder::compile(
                source,
                &topics,
                declarations,
            )?)),
            WireFormat::Ngsi => Self::Ngsi(Box::new(NgsiDecoder::compile(
                source,
                &topics,
                declarations,
            )?)),
            WireFormat::Senml => Self::Senml(Box::new(SenmlDecoder::compile(
                source,
                &topics,
                declarations,
            )?)),
            WireFormat::Json => Self::Json(JsonDecoder::compile(source, &topics, declarations)?),
            WireFormat::Ndjson => {
                Self::Ndjson(JsonDecoder::compile(source, &topics, declarations)?)
            }
            WireFormat::Csv => Self::Csv(Box::new(CsvDecoder::compile(
                source,
                &topics,
                declarations,
            )?)),
            WireFormat::Ecowitt | WireFormat::Wunderground => {
                Self::Station(StationDecoder::compile(source, &topics, declarations)?)
            }
            WireFormat::Influx => {
                Self::Influx(InfluxDecoder::compile(source, &topics, declarations)?)
            }
            WireFormat::SensorCommunity => Self::SensorCommunity(SensorCommunityDecoder::compile(
                source,
                &topics,
                declarations,
            )?),
            WireFormat::Ircel | WireFormat::Opensensemap => {
                Self::Series(SeriesDecoder::compile(source, declarations)?)
            }
        })
    }
}

#[cfg(test)]
mod tests;
