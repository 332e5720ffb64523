//! `[[source]]`: what decides what its messages become (journalled), and how it is connected (not journalled).

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use meetnet_ingest::http::is_fixed_path;
use meetnet_model::calendar::DAY_US;
use meetnet_model::ids::{LicenceId, SourceId};
use meetnet_model::licence::Licence;
use meetnet_model::quantity::DurationText;
use meetnet_model::registry::{self, RegisteredDevice, WrittenDevice};
use meetnet_model::source::{
    DeviceDeclaration, MapEntry, SecretRef, SourceDeclaration, SourceKind, TimeWindow, WireFormat,
};
use meetnet_model::time::day_or_time;
use toml::Spanned;

use super::document::{Document, Section};
use super::hint::did_you_mean;
use super::sections::is_plain_name;
use super::source_keys::{KIND_KEYS, LATER_KINDS, is_of_other_kind};
use super::source_mqtt::{self, MqttTransport};
use super::source_places::{is_exact, moves, municipalities};
use super::source_poll::{self, NamedProperty, PollTransport, PolledKind};
use super::{Located, raw};

/// Most requests per second of a push source that does not say otherwise.
const REQUESTS_PER_SECOND_DEFAULT: u32 = 1_000;

/// One source, checked.
#[derive(Clone, Debug)]
pub(crate) struct SourceConfig {
    /// What is journalled of it.
    pub(crate) declaration: SourceDeclaration,
    /// How it is connected.
    pub(crate) transport: Transport,
    /// How long it may say nothing; None: as long as it likes.
    pub(crate) silent_after: Option<Duration>,
}

/// How far back the times of a polled source may lie, µs, where it declares nothing else: a hundred years.
const POLLED_BACK_US: i64 = 100 * 366 * DAY_US;

/// How the messages of a source arrive.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    /// A subscription.
    Mqtt(Box<MqttTransport>),
    /// A push endpoint.
    Http(HttpTransport),
    /// A polled API.
    Poll(Box<PollTransport>),
    /// By `meetnet import` only.
    Files,
}

/// What `kind` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mqtt,
    Http,
    Polled(PolledKind),
    Files,
}

impl Kind {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "mqtt" => Some(Self::Mqtt),
            "http" => Some(Self::Http),
            "files" => Some(Self::Files),
            other => PolledKind::parse(other).map(Self::Polled),
        }
    }
}

/// The push endpoint, without its token.
#[derive(Clone, Debug)]
pub(crate) struct HttpTransport {
    pub(crate) token: Option<Located<SecretRef>>,
    /// The database, bucket or station that requests name.
    pub(crate) name: Option<String>,
    /// A path of its own.
    pub(crate) path: Option<String>,
    pub(crate) requests_per_second_max: u32,
}

/// A source and the places that later checks blame.
pub(super) struct ReadSource {
    pub(super) config: SourceConfig,
    pub(super) id_span: Range<usize>,
    /// None where it has none of its own.
    client_id_span: Option<Range<usize>>,
    pub(super) licence_span: Range<usize>,
    pub(super) map_spans: Vec<Range<usize>>,
    pub(super) named_properties: Vec<NamedProperty>,
    /// Where each device stands: in the file, or in a registry.
    pub(super) device_places: Vec<Located<()>>,
}

/// Reads every source.
pub(super) fn read_all(document: &mut Document<'_>, folder: &Path) -> Vec<ReadSource> {
    let sections = document.take_all("source");
    let mut sources: Vec<ReadSource> = Vec::with_capacity(sections.len());
    let mut namespaces: BTreeMap<(String, i32), SourceId> = BTreeMap::new();
    for section in sections {
        let Some(source) = read(document, section, folder) else {
            continue;
        };
        let declaration = &source.config.declaration;
        let id = &declaration.id;
        if sources
            .iter()
            .any(|other| other.config.declaration.id == *id)
        {
            let message = format!("there is already a source `{id}`; give this one another id");
            document.problem(source.id_span.clone(), message);
            continue;
        }
        let namespace = (declaration.namespace.clone(), declaration.precedence);
        if let Some(other) = namespaces.insert(namespace, id.clone()) {
            let message = format!(
                "shares the namespace `{}` with source `{other}`: the same key from both would be a matter of luck; \
                 give one a higher `precedence`, or its own namespace",
                declaration.namespace
            );
            document.problem(source.id_span.clone(), message);
        }
        if let Transport::Http(HttpTransport {
            path: Some(path), ..
        }) = &source.config.transport
            && let Some(other) = owner_of_path(&sources, path)
        {
            let message =
                format!("source `{other}` has the path {path} already; give this one another");
            document.problem(source.id_span.clone(), message);
        }
        if let Some(span) = &source.client_id_span
            && let Transport::Mqtt(mqtt) = &source.config.transport
            && !mqtt.options.client_id.is_empty()
            && let Some(other) = owner_of_session(&sources, mqtt)
        {
            let message = format!(
                "source `{other}` has the client id `{}` at {} already, and a broker lets only one of them be connected; \
                 give this one a `client_id` of its own, or leave it out",
                mqtt.options.client_id, mqtt.options.url
            );
            document.problem(span.clone(), message);
        }
        sources.push(source);
    }
    sources
}

fn owner_of_path<'s>(sources: &'s [ReadSource], path: &str) -> Option<&'s SourceId> {
    let mut configs = sources.iter().map(|source| &source.config);
    let owner = configs.find(|config| {
        matches!(&config.transport, Transport::Http(http) if http.path.as_deref() == Some(path))
    });
    owner.map(|config| &config.declaration.id)
}

/// Returns the source that has the client id of `mqtt` at its broker. Those that follow from the journal differ, as ids do.
fn owner_of_session<'s>(sources: &'s [ReadSource], mqtt: &MqttTransport) -> Option<&'s SourceId> {
    let broker = mqtt.options.url.to_string();
    let mut configs = sources.iter().map(|source| &source.config);
    let owner = configs.find(|config| {
        let Transport::Mqtt(other) = &config.transport else {
            return false;
        };
        let other = &other.options;
        other.client_id == mqtt.options.client_id && other.url.to_string() == broker
    });
    owner.map(|config| &config.declaration.id)
}

fn read(document: &mut Document<'_>, section: Section<'_>, folder: &Path) -> Option<ReadSource> {
    let (kind, kind_name) = kind(document, &section)?;
    for (key, span) in section.keys() {
        if is_of_other_kind(&key, &kind_name) {
            let message = format!("`{key}` has no meaning for kind = \"{kind_name}\"; remove it");
            document.problem(span, message);
        }
    }
    let section_span = section.span();
    let raw: raw::Source = document.read(section)?;
    name(document, "id", &raw.id);
    if let Some(namespace) = &raw.namespace {
        name(document, "namespace", namespace);
    }
    let id = SourceId::new(raw.id.get_ref());
    let format = match (&raw.format, kind) {
        (Some(text), _) => format(document, text),
        // What an API answers is known.
        (None, Kind::Polled(polled)) => Some(polled.format()),
        (None, Kind::Mqtt | Kind::Http | Kind::Files) => {
            let message = "the key `format` is missing; add it";
            document.problem(section_span.clone(), message);
            None
        }
    };
    if let Some(format) = format {
        check_format_keys(document, &raw, format);
    }
    let transport = match kind {
        Kind::Polled(polled) => source_poll::read(document, polled, &raw, &section_span)
            .map(|transport| Transport::Poll(Box::new(transport))),
        Kind::Mqtt => source_mqtt::read(document, &raw, folder, &section_span)
            .map(|transport| Transport::Mqtt(Box::new(transport))),
        Kind::Http => Some(Transport::Http(http(document, &raw, format))),
        Kind::Files => Some(Transport::Files),
    };
    let named_properties = source_poll::named_properties(&raw);
    let asked_since = raw.since.as_ref();
    let asked_since = asked_since.and_then(|since| day_or_time(since.get_ref()));
    let time_window = time_window(document, raw.time_window, kind, asked_since);
    if let (Some(after), Kind::Files) = (&raw.silent_after, kind) {
        let message = "files come when somebody imports them, so their source is never silent; remove `silent_after`";
        document.problem(after.span(), message);
    }
    let silent_after = raw.silent_after.map(|after| after.into_inner().0);
    let licence_span = raw.licence.span();
    let map_spans = raw.map.iter().map(Spanned::span).collect();
    let (municipality, municipalities) =
        municipalities(document, raw.municipality, raw.municipalities, folder);
    let has_map = !raw.map.is_empty();
    let exact_location = raw.exact_location.as_ref();
    let exact_location = exact_location
        .is_some_and(|declared| is_exact(document, declared, format.map(|of| (of, has_map))));
    let (devices, device_places) =
        devices(document, raw.device, raw.registry, exact_location, folder);
    moves(document, &devices, &device_places);
    let declaration = SourceDeclaration {
        namespace: raw
            .namespace
            .map_or_else(|| id.to_string(), Spanned::into_inner),
        id,
        kind: match kind {
            Kind::Mqtt => SourceKind::Mqtt,
            Kind::Http => SourceKind::Http,
            Kind::Polled(_) => SourceKind::Poll,
            Kind::Files => SourceKind::Files,
        },
        format: format?,
        // What is none is refused with the sources.
        licence: Licence::read(raw.licence.get_ref())
            .unwrap_or_else(|| LicenceId::new(raw.licence.get_ref())),
        attribution: raw.attribution,
        permission: raw.permission,
        // Each of the two is of one kind of sources.
        topics: raw
            .topics
            .or(raw.files)
            .map(Spanned::into_inner)
            .unwrap_or_default(),
        sensor_id: raw.sensor_id,
        hardware_id: raw.hardware_id,
        time: raw.time,
        time_window,
        time_is: raw.time_is,
        interval_s: raw.interval_s,
        sentinels: raw.sentinels,
        valid: raw.valid,
        constants: raw.constants,
        reference_temperature: raw.reference_temperature,
        pairs: raw.pairs,
        lenient: raw.lenient,
        decimal_comma: raw.decimal_comma.is_some_and(Spanned::into_inner),
        unit_in_value: raw.unit_in_value.is_some_and(Spanned::into_inner),
        csv: raw.csv.map(Spanned::into_inner),
        units: raw.units.map(Spanned::into_inner),
        map: raw
            .map
            .into_iter()
            .map(Spanned::<MapEntry>::into_inner)
            .collect(),
        devices,
        municipality,
        municipalities,
        exact_location,
        precedence: raw.precedence,
    };
    Some(ReadSource {
        config: SourceConfig {
            declaration,
            transport: transport?,
            silent_after,
        },
        id_span: raw.id.span(),
        client_id_span: raw.client_id.as_ref().map(Spanned::span),
        licence_span,
        map_spans,
        named_properties,
        device_places,
    })
}

/// Names keys that belong to another format.
fn check_format_keys(document: &mut Document<'_>, raw: &raw::Source, format: WireFormat) {
    if let Some(csv) = &raw.csv
        && format != WireFormat::Csv
    {
        let message = "`csv` says how tables are written; remove it, or write format = \"csv\"";
        document.problem(csv.span(), message);
    }
    if let Some(decimal_comma) = &raw.decimal_comma
        && !matches!(format, WireFormat::Json | WireFormat::Ndjson)
    {
        let message = match format {
            WireFormat::Csv => "it is a key of `csv`: write csv = { decimal_comma = true }",
            _ => "`decimal_comma` is for format = \"json\" and \"ndjson\"; remove it",
        };
        document.problem(decimal_comma.span(), message);
    }
    if let Some(unit_in_value) = &raw.unit_in_value
        && !matches!(
            format,
            WireFormat::Json | WireFormat::Ndjson | WireFormat::Csv
        )
    {
        let message = "`unit_in_value` is for format = \"json\", \"ndjson\" and \"csv\"; remove it";
        document.problem(unit_in_value.span(), message);
    }
    if let Some(units) = &raw.units
        && format != WireFormat::Ecowitt
    {
        let message =
            "`units` is for format = \"ecowitt\" only; write the unit of each field in `map`";
        document.problem(units.span(), message);
    }
}

/// Returns of which times a message can speak: as it is declared, else as its kind allows. An API that is asked for all since
/// `asked_since` may answer that.
fn time_window(
    document: &mut Document<'_>,
    declared: Option<raw::TimeWindow>,
    kind: Kind,
    asked_since: Option<i64>,
) -> TimeWindow {
    let default = match kind {
        // What an API answers was not timed by a device, and a backfill asks for years.
        Kind::Polled(_) => TimeWindow {
            back_us: POLLED_BACK_US,
            since_us: asked_since.map_or(TimeWindow::SINCE_US, |since| {
                since.min(TimeWindow::SINCE_US)
            }),
            ..TimeWindow::default()
        },
        Kind::Mqtt | Kind::Http | Kind::Files => TimeWindow::default(),
    };
    let Some(declared) = declared else {
        return default;
    };
    let micros =
        |text: Option<DurationText>, default: i64| text.map_or(default, |text| text.micros());
    let since = declared.since.as_ref();
    let since = since.and_then(|since| {
        let time = day_or_time(since.get_ref());
        if time.is_none() {
            let message = "write a day (\"1998-03-01\") or a time with its offset";
            document.problem(since.span(), message);
        }
        time
    });
    TimeWindow {
        back_us: micros(declared.back, default.back_us),
        ahead_us: micros(declared.ahead, default.ahead_us),
        since_us: since.unwrap_or(default.since_us),
    }
}

/// Reads the devices of a source: those of its section first, then those of its registry.
fn devices(
    document: &mut Document<'_>,
    written: Vec<Spanned<WrittenDevice>>,
    registry: Option<Spanned<String>>,
    are_exact: bool,
    folder: &Path,
) -> (Vec<DeviceDeclaration>, Vec<Located<()>>) {
    let mut devices = Vec::new();
    let mut places = Vec::new();
    for device in written {
        let span = device.span();
        match device.into_inner().declare(are_exact) {
            Ok(device) => {
                devices.push(device);
                places.push(document.located((), span));
            }
            Err(message) => document.problem(span, message),
        }
    }
    let Some(registry) = registry else {
        return (devices, places);
    };
    document.note_file(registry.get_ref());
    let file = folder.join(registry.get_ref());
    let name = file.display().to_string();
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("cannot read the registry {name}: {error}");
            document.problem(registry.span(), message);
            return (devices, places);
        }
    };
    match registry::read(&name, &text, are_exact) {
        Ok(registered) => {
            for RegisteredDevice { device, line } in registered {
                devices.push(device);
                places.push(Located::in_file((), &name, line));
            }
        }
        Err(faults) => document.problems(faults),
    }
    (devices, places)
}

/// Reads the kind first: another version's kind has keys that this one does not know.
fn kind(document: &mut Document<'_>, section: &Section<'_>) -> Option<(Kind, String)> {
    let Some((name, span)) = section.text("kind") else {
        let message = "the key `kind` is missing; write kind = \"mqtt\" (a subscription), kind = \"http\" (a push endpoint) or \
                       kind = \"files\" (by `meetnet import` only)";
        document.problem(section.span(), message);
        return None;
    };
    if let Some(kind) = Kind::parse(&name) {
        return Some((kind, name));
    }
    let known: Vec<&str> = KIND_KEYS.iter().map(|(name, _)| *name).collect();
    let message = if LATER_KINDS.contains(&name.as_str()) {
        format!(
            "kind `{name}` is not in this version, which knows {}; remove the source",
            known.join(", ")
        )
    } else {
        format!("unknown kind `{name}`{}", did_you_mean(&name, &known))
    };
    document.problem(span, message);
    None
}

fn format(document: &mut Document<'_>, text: &Spanned<String>) -> Option<WireFormat> {
    let name = text.get_ref().as_str();
    let format = WireFormat::from_name(name);
    if format.is_none() {
        let known = WireFormat::ALL.map(WireFormat::as_str);
        let message = format!("unknown format `{name}`{}", did_you_mean(name, &known));
        document.problem(text.span(), message);
    }
    format
}

/// Checks a name that becomes a part of topics, paths, client ids and sensor ids.
fn name(document: &mut Document<'_>, key: &str, text: &Spanned<String>) {
    const BYTES_MAX: usize = 64;
    let value = text.get_ref();
    let first = value
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !(first && is_plain_name(value) && value.len() <= BYTES_MAX) {
        let message = format!(
            "{key} `{value}` must be lower-case letters, digits, - and _, begin with a letter or digit, and have at most {BYTES_MAX} characters"
        );
        document.problem(text.span(), message);
    }
}

/// Reads what belongs to a push endpoint, some of it to one format only.
fn http(
    document: &mut Document<'_>,
    raw: &raw::Source,
    format: Option<WireFormat>,
) -> HttpTransport {
    for (key, value, owner) in [
        ("database", &raw.database, WireFormat::Influx),
        ("station", &raw.station, WireFormat::Wunderground),
    ] {
        if let Some(value) = value
            && format.is_some_and(|format| format != owner)
        {
            let message = format!(
                "`{key}` is for format = \"{}\" only; remove it",
                owner.as_str()
            );
            document.problem(value.span(), message);
        }
    }
    if let Some(path) = &raw.path {
        own_path(document, path);
    }
    let name = raw.database.as_ref().or(raw.station.as_ref());
    HttpTransport {
        token: raw.token.as_ref().map(|token| document.secret(token)),
        name: name.map(|name| name.get_ref().clone()),
        path: raw.path.as_ref().map(|path| path.get_ref().clone()),
        requests_per_second_max: raw
            .requests_per_second_max
            .map_or(REQUESTS_PER_SECOND_DEFAULT, u32::from),
    }
}

/// Checks a path that a source takes beside its `/ingest/v1/ID`.
fn own_path(document: &mut Document<'_>, path: &Spanned<String>) {
    let text = path.get_ref().as_str();
    let is_path_byte = |b: u8| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b);
    let is_path = text.len() > 1 && text.starts_with('/') && text.bytes().all(is_path_byte);
    if !is_path {
        let message = "a path begins with / and goes on with letters, digits and / - _ . ~ only";
        document.problem(path.span(), message);
    } else if is_fixed_path(text) || text.starts_with("/ingest/") {
        let message = "this path is there already; leave `path` out, or choose one that is not";
        document.problem(path.span(), message);
    }
}
