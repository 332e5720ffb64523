//! `[[source]]` of the kinds that are polled: which API, what of it, and how often.

use std::ops::Range;

use meetnet_ingest::poll::{
    Api, IrcelOptions, Layer, PollOptions, PollOptionsError, SensorCommunityOptions, Series,
    TelraamOptions,
};
use meetnet_model::declarations::Declarations;
use meetnet_model::source::{MapEntry, SecretRef, SourceDeclaration, WireFormat};
use meetnet_model::time::day_or_time;
use meetnet_model::units::Conversion;
use toml::Spanned;

use super::document::Document;
use super::hint::did_you_mean;
use super::sections::bytes;
use super::{Located, raw};

/// Least room for an answer.
const ANSWER_BYTES_MIN: usize = 64 << 10;

/// A polled API, without its key.
#[derive(Clone, Debug)]
pub(crate) struct PollTransport {
    pub(crate) options: PollOptions,
    pub(crate) api_key: Option<Located<SecretRef>>,
}

/// The kinds that are polled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PolledKind {
    Telraam,
    SensorCommunity,
    Ircel,
    OpenSenseMap,
}

impl PolledKind {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "telraam" => Some(Self::Telraam),
            "sensor-community" => Some(Self::SensorCommunity),
            "ircel" => Some(Self::Ircel),
            "opensensemap" => Some(Self::OpenSenseMap),
            _ => None,
        }
    }

    /// What the API answers.
    pub(super) fn format(self) -> WireFormat {
        match self {
            Self::Telraam => WireFormat::Telraam,
            Self::SensorCommunity => WireFormat::SensorCommunity,
            Self::Ircel => WireFormat::Ircel,
            Self::OpenSenseMap => WireFormat::Opensensemap,
        }
    }

    /// Where the API is, unless the source says otherwise.
    fn url(self) -> &'static str {
        match self {
            Self::Telraam => "https://telraam-api.net",
            Self::SensorCommunity => "https://data.sensor.community",
            Self::Ircel => "https://geo.irceline.be/sos/api/v1",
            Self::OpenSenseMap => "https://api.opensensemap.org",
        }
    }

    /// What a key that is needed and missing is written as.
    fn wanted_key(self) -> Option<&'static str> {
        match self {
            Self::Telraam => Some("api_key = { env = \"TELRAAM_API_KEY\" }"),
            Self::SensorCommunity | Self::Ircel | Self::OpenSenseMap => None,
        }
    }

    fn api(self, document: &mut Document<'_>, raw: &raw::Source) -> Api {
        match self {
            Self::Telraam => Api::Telraam(TelraamOptions {
                segments: raw
                    .segments
                    .as_ref()
                    .map(|segments| segments.get_ref().clone())
                    .unwrap_or_default(),
                advanced: raw.advanced.unwrap_or(false),
                geometry: raw.geometry.unwrap_or(true),
            }),
            Self::SensorCommunity => Api::SensorCommunity(SensorCommunityOptions {
                area: raw.area,
                within: raw.within,
                country: raw.country.clone(),
                archive: raw.archive.clone().unwrap_or_default(),
                archive_url: raw.archive_url.as_ref().and_then(|url| {
                    let parsed = SensorCommunityOptions::archive_at(url.get_ref());
                    parsed
                        .map_err(|error| document.problem(url.span(), error.to_string()))
                        .ok()
                }),
            }),
            Self::Ircel => Api::Ircel(IrcelOptions {
                series: series(raw, |id| id),
                layers: layers(raw),
            }),
            // Rows carry the number of the sensor; that of its box says nothing more.
            Self::OpenSenseMap => Api::OpenSenseMap(series(raw, |id| {
                id.split_once('/').map_or(id, |(_, sensor)| sensor)
            })),
        }
    }

    /// Where the things to poll are named.
    fn named_at(self, raw: &raw::Source) -> Option<Range<usize>> {
        let series = raw.series.as_ref().map(Spanned::span);
        match self {
            Self::Telraam => raw.segments.as_ref().map(Spanned::span),
            Self::SensorCommunity => None,
            Self::Ircel => series.or_else(|| raw.layers.as_ref().map(Spanned::span)),
            Self::OpenSenseMap => series,
        }
    }
}

/// Reads how a source is polled; None where that cannot work (then a problem).
pub(super) fn read(
    document: &mut Document<'_>,
    kind: PolledKind,
    raw: &raw::Source,
    section: &Range<usize>,
) -> Option<PollTransport> {
    let url = raw.url.as_ref().map_or(kind.url(), |url| url.get_ref());
    let api = kind.api(document, raw);
    let mut options = match PollOptions::new(api, url) {
        Ok(options) => options,
        Err(error) => {
            let span = raw.url.as_ref().map_or(section.clone(), Spanned::span);
            document.problem(span, error.to_string());
            return None;
        }
    };
    if let (None, Some(wanted)) = (&raw.api_key, kind.wanted_key()) {
        let message = format!("the key `api_key` is missing; add {wanted}");
        document.problem(section.clone(), message);
    }
    if let Some(interval) = &raw.interval {
        options.interval = interval.get_ref().0;
    }
    for (from, to) in [
        (raw.reask, &mut options.reask),
        (raw.request_pause, &mut options.limits.pause),
        (raw.request_time_max, &mut options.request_time_max),
    ] {
        if let Some(text) = from {
            *to = text.0;
        }
    }
    if let Some(most) = raw.requests_per_day_max {
        options.limits.requests_per_day_max = Some(most.get());
    }
    if let Some(since) = &raw.since {
        options.since = day_or_time(since.get_ref());
        if options.since.is_none() {
            let message = "write a day (\"2026-01-31\") or a time with its offset";
            document.problem(since.span(), message);
        }
    }
    if let Some(size) = &raw.answer_bytes_max {
        let size = Some(Spanned::new(size.span(), *size.get_ref()));
        options.body_bytes_max = bytes(document, size, options.body_bytes_max, ANSWER_BYTES_MIN);
    }
    options.contact.clone_from(&raw.contact);
    if let Err(error) = options.check() {
        let named = match &error {
            PollOptionsError::Interval => raw.interval.as_ref().map(Spanned::span),
            _ => kind.named_at(raw),
        };
        document.problem(named.unwrap_or_else(|| section.clone()), error.to_string());
        return None;
    }
    let api_key = raw.api_key.as_ref();
    Some(PollTransport {
        options,
        api_key: api_key.map(|key| document.secret(key)),
    })
}

/// Reads the declared time series; `sensor_of` names the sensor of one that names none.
fn series(raw: &raw::Source, sensor_of: impl Fn(&str) -> &str) -> Vec<Series> {
    let declared = raw.series.as_ref().map(Spanned::get_ref);
    let read = |of: &raw::Series| Series {
        sensor: of
            .sensor
            .clone()
            .unwrap_or_else(|| sensor_of(&of.id).to_owned()),
        id: of.id.clone(),
        property: of.property.get_ref().clone(),
        unit: of.unit.as_ref().map(|unit| unit.get_ref().clone()),
        interval_s: of.interval_s,
    };
    declared.into_iter().flatten().map(read).collect()
}

fn layers(raw: &raw::Source) -> Vec<Layer> {
    let declared = raw.layers.as_ref().map(Spanned::get_ref);
    let read = |of: &raw::Layer| Layer {
        id: of.id.clone(),
        property: of.property.get_ref().clone(),
        unit: of.unit.as_ref().map(|unit| unit.get_ref().clone()),
        interval_s: of.interval_s,
    };
    declared.into_iter().flatten().map(read).collect()
}

/// A property that a source names outside its map, with the unit of its values, and where both stand.
#[derive(Clone, Debug)]
pub(super) struct NamedProperty {
    property: Spanned<String>,
    unit: Option<Spanned<String>>,
}

/// Returns the properties that a source's series and layers name.
pub(super) fn named_properties(raw: &raw::Source) -> Vec<NamedProperty> {
    let series = raw.series.as_ref().map(Spanned::get_ref);
    let series = series
        .into_iter()
        .flatten()
        .map(|of| (&of.property, &of.unit));
    let layers = raw.layers.as_ref().map(Spanned::get_ref);
    let layers = layers
        .into_iter()
        .flatten()
        .map(|of| (&of.property, &of.unit));
    let named = |(property, unit): (&Spanned<String>, &Option<Spanned<String>>)| NamedProperty {
        property: property.clone(),
        unit: unit.clone(),
    };
    series.chain(layers).map(named).collect()
}

/// Returns the source with what its series and layers name in its map, for checks of what it fills: its decoder takes no map.
pub(super) fn with_named(
    declaration: &SourceDeclaration,
    named: &[NamedProperty],
    declarations: &Declarations,
) -> SourceDeclaration {
    let mut declaration = declaration.clone();
    for NamedProperty { property, .. } in named {
        let mut declared = declarations.properties.iter();
        if let Some(found) = declared.find(|declared| declared.name == *property.get_ref()) {
            let entry = MapEntry::property(found.dataset.clone(), found.name.clone());
            declaration.map.push(entry);
        }
    }
    declaration
}

/// Checks them against what is declared: decoding would find out with the first body.
pub(super) fn check_properties(
    document: &mut Document<'_>,
    named: &[NamedProperty],
    declarations: &Declarations,
) {
    for NamedProperty { property, unit } in named {
        let name = property.get_ref().as_str();
        let mut declared = declarations.properties.iter();
        let Some(found) = declared.find(|declared| declared.name == name) else {
            let known = declarations.properties.iter();
            let known: Vec<&str> = known.map(|property| property.name.as_str()).collect();
            let message = format!(
                "there is no property `{name}`{}",
                did_you_mean(name, &known)
            );
            document.problem(property.span(), message);
            continue;
        };
        let Some(unit) = unit else { continue };
        let conversion = Conversion::between(unit.get_ref(), &found.unit, found.gas());
        if let Err(error) = conversion {
            document.problem(unit.span(), error.to_string());
        }
    }
}
