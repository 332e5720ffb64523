//! A source declaration: one configured origin of messages, as far as decoding and routing need it.
//!
//! It is part of the journalled declarations, so it names secrets (`{ env = "NAME" }`) and never holds them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{DatasetId, LicenceId, SourceId};
use crate::municipality::Municipality;

/// How a source's messages arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A subscription at an MQTT broker.
    Mqtt,
    /// A push endpoint: `POST /ingest/v1/{source}`.
    Http,
    /// An API that is polled.
    Poll,
}

/// The wire format of a source's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WireFormat {
    /// Telraam `/v1/reports/traffic` bodies.
    Telraam,
    /// airRohr "own API" JSON.
    Airrohr,
    /// The Things Stack v3 uplinks.
    TtsV3,
    /// ChirpStack v4 uplinks.
    ChirpstackV4,
    /// Observations of the OGC SensorThings API 1.1.
    #[serde(rename = "sensorthings")]
    SensorThings,
    /// Notifications of context brokers: NGSIv2 and NGSI-LD.
    Ngsi,
    /// SenML packs (RFC 8428) in JSON.
    Senml,
    /// JSON objects, read by the declared mapping.
    Json,
    /// The same, one document per line.
    Ndjson,
    /// Tables as text, read by the declared mapping.
    Csv,
    /// Form fields of Ecowitt weather stations and their other brands.
    Ecowitt,
    /// Query strings of stations that upload to Weather Underground.
    Wunderground,
    /// InfluxDB line protocol.
    Influx,
    /// Readings of sensor.community, and days of its archive.
    SensorCommunity,
    /// Time series and layers of IRCEL-CELINE.
    Ircel,
    /// Measurements of single sensors of openSenseMap.
    Opensensemap,
}

impl WireFormat {
    /// Returns the kinds of hardware ids that the format finds in its messages, as their HMACs take them. An id that
    /// the source declares is of the kind [`DECLARED_HARDWARE_ID`].
    pub fn hardware_kinds(self) -> &'static [&'static str] {
        match self {
            Self::Airrohr | Self::Influx => &["chip"],
            Self::TtsV3 => &["dev_eui", "tts_device"],
            Self::ChirpstackV4 => &["dev_eui"],
            Self::Senml => &["mac", "urn_dev"],
            Self::Ecowitt => &["passkey"],
            Self::Telraam
            | Self::SensorThings
            | Self::Ngsi
            | Self::Json
            | Self::Ndjson
            | Self::Csv
            | Self::Wunderground
            | Self::SensorCommunity
            | Self::Ircel
            | Self::Opensensemap => &[],
        }
    }

    /// Every format, in the order in which messages list them.
    pub const ALL: [Self; 16] = [
        Self::Telraam,
        Self::Airrohr,
        Self::TtsV3,
        Self::ChirpstackV4,
        Self::SensorThings,
        Self::Ngsi,
        Self::Senml,
        Self::Json,
        Self::Ndjson,
        Self::Csv,
        Self::Ecowitt,
        Self::Wunderground,
        Self::Influx,
        Self::SensorCommunity,
        Self::Ircel,
        Self::Opensensemap,
    ];

    /// Returns the format of this name, as [`WireFormat::as_str`] writes it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }

    /// Returns the name, as configuration and messages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Telraam => "telraam",
            Self::Airrohr => "airrohr",
            Self::TtsV3 => "tts-v3",
            Self::ChirpstackV4 => "chirpstack-v4",
            Self::SensorThings => "sensorthings",
            Self::Ngsi => "ngsi",
            Self::Senml => "senml",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Ecowitt => "ecowitt",
            Self::Wunderground => "wunderground",
            Self::Influx => "influx",
            Self::SensorCommunity => "sensor-community",
            Self::Ircel => "ircel",
            Self::Opensensemap => "opensensemap",
        }
    }
}

/// The kind of a hardware id that a source declares (`sensor_id` with `hardware_id = true`), as its HMAC takes it.
pub const DECLARED_HARDWARE_ID: &str = "device";

/// The units in which a station sends its values, where their names do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StationUnits {
    /// °C, hPa, km/h and mm, under names that say °F, inHg, mph and in.
    Metric,
}

/// The name of a secret: where its value is found at run time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file whose trimmed content is the secret; relative to the configuration file.
    File(String),
}

/// Where a value stands in a message: what a declaration writes as `pointer` or `field`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// A JSON Pointer (RFC 6901) into the body; empty for the whole of it.
    Pointer(&'a str),
    /// A field by its name, taken literally: a CSV column, a form or query field, a field or tag of the line protocol,
    /// a SenML name, a value type, a member of a JSON object.
    Field(&'a str),
}

impl<'a> Place<'a> {
    /// Returns the place that a declaration names; none unless it names exactly one.
    pub fn of(pointer: Option<&'a str>, field: Option<&'a str>) -> Option<Self> {
        match (pointer, field) {
            (Some(pointer), None) => Some(Self::Pointer(pointer)),
            (None, Some(field)) => Some(Self::Field(field)),
            _ => None,
        }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pointer("") => f.write_str("(the whole body)"),
            Self::Pointer(text) | Self::Field(text) => f.write_str(text),
        }
    }
}

/// Where the name of a sensor comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "does not say which sensor; write a text, with captures of the topic where it has some (\"{device}\"), \
                 { pointer = \"/id\" } or { field = \"id\" }"
)]
pub enum ValueRef {
    /// A template over topic captures, for example `"{device}"`.
    Template(String),
    /// A JSON Pointer (RFC 6901) into the body.
    Pointer {
        /// The pointer, for example `/id`.
        pointer: String,
    },
    /// A named field.
    Field {
        /// Its name, for example `station`.
        field: String,
    },
}

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
    fn is_start(&self) -> bool {
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

/// A value that no message sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "is no constant; write a number, a text in quotes, true or false"
)]
pub enum Constant {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
}

/// What stands in a message where there is no value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "is no sentinel; write a number, or a text in quotes"
)]
pub enum Sentinel {
    /// A number, in the unit as sent: -999.
    Number(f64),
    /// A text, case and all: `unavailable`, `NA`.
    Text(String),
}

/// How the values of a device become those of a reference: `value * scale + offset`, in the canonical unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The factor.
    #[serde(default = "one")]
    pub scale: f64,
    /// What is added then.
    #[serde(default)]
    pub offset: f64,
}

fn one() -> f64 {
    1.0
}

/// Values that stand in an array of pairs: `[{"value_type": "P1", "value": "12"}, …]`. Each becomes a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairsDeclaration {
    /// JSON Pointer to the names, with `*` for the position in the array: `/sensordatavalues/*/value_type`.
    pub name: String,
    /// JSON Pointer to the values, in the same array.
    pub value: String,
}

/// A device, or several, that differ from what their source declares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceDeclaration {
    /// What the device calls itself; `*` stands for any characters. Empty where `pseudonyms` stand in its place.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The HMACs of a hardware id, one for each kind of id that the format knows. Hardware ids are journalled so only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pseudonyms: Vec<String>,
    /// The name of its station, which stands in sensor ids instead of the device's: a device is replaced, a station stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station: Option<String>,
    /// What people call its station.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Since when it stands there, µs since 1970 UTC; absent: since the place was declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// The municipality that it stands in; absent: that of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub municipality: Option<String>,
    /// Longitude of its place, WGS 84, on the publication grid unless the source has exact locations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
    /// Latitude of its place, WGS 84, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Entries that replace the source's for the same property or column, or come to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub map: Vec<MapEntry>,
    /// Constants that replace the source's, or come to them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub constants: BTreeMap<String, Constant>,
    /// Calibration by property or column.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub calibration: BTreeMap<String, Calibration>,
}

/// One mapped field: which decoded field becomes which property (long) or column (wide).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapEntry {
    /// The dataset of the row.
    pub dataset: DatasetId,
    /// The property of a long dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// The column of a wide dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// JSON Pointer to the value; either this or `field`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Name of the field that holds the value; either this or `pointer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// UCUM unit of the value as sent; converted to the canonical unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Length of the averaging interval in seconds, where the value is an average; absent: the source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<i64>,
    /// What a column of a wide dataset has where the message has no value for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constant: Option<Constant>,
    /// What means "no value" here, beside the source's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sentinels: Vec<Sentinel>,
    /// Factor of the value as sent: `sent * scale + offset` is in `unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// What is added then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<f64>,
    /// Temperature in Cel at which a gas fills the volume that a mass is told of; absent: the source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_temperature: Option<f64>,
}

impl MapEntry {
    /// Returns an entry that fills a property of a long dataset, from nowhere yet.
    pub fn property(dataset: impl Into<DatasetId>, property: impl Into<String>) -> Self {
        Self {
            property: Some(property.into()),
            ..Self::of(dataset.into())
        }
    }

    /// Returns an entry that fills a column of a wide dataset, from nowhere yet.
    pub fn column(dataset: impl Into<DatasetId>, column: impl Into<String>) -> Self {
        Self {
            column: Some(column.into()),
            ..Self::of(dataset.into())
        }
    }

    fn of(dataset: DatasetId) -> Self {
        Self {
            dataset,
            property: None,
            column: None,
            pointer: None,
            field: None,
            unit: None,
            interval_s: None,
            constant: None,
            sentinels: Vec::new(),
            scale: None,
            offset: None,
            reference_temperature: None,
        }
    }

    /// Returns the entry with the value at a JSON Pointer.
    pub fn at_pointer(self, pointer: impl Into<String>) -> Self {
        Self {
            pointer: Some(pointer.into()),
            ..self
        }
    }

    /// Returns the entry with the value in a named field.
    pub fn in_field(self, field: impl Into<String>) -> Self {
        Self {
            field: Some(field.into()),
            ..self
        }
    }

    /// Returns the entry with the unit in which the value is sent.
    pub fn in_unit(self, unit: impl Into<String>) -> Self {
        Self {
            unit: Some(unit.into()),
            ..self
        }
    }

    /// Returns where the value stands; none unless exactly one place is named.
    pub fn place(&self) -> Option<Place<'_>> {
        Place::of(self.pointer.as_deref(), self.field.as_deref())
    }
}

/// How a source writes its tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CsvDeclaration {
    /// What stands between two cells: one ASCII character, a comma unless declared.
    pub delimiter: String,
    /// The columns in their order; none where the first row names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// Whether numbers are written with a comma (`21,5`).
    pub decimal_comma: bool,
}

impl Default for CsvDeclaration {
    fn default() -> Self {
        Self {
            delimiter: ",".to_owned(),
            columns: None,
            decimal_comma: false,
        }
    }
}

/// The span around the receive time in which an observation's time is accepted, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeWindow {
    /// How far back, µs.
    pub back_us: i64,
    /// How far ahead, µs.
    pub ahead_us: i64,
}

impl Default for TimeWindow {
    fn default() -> Self {
        const HOUR_US: i64 = 3_600_000_000;
        Self {
            back_us: 400 * 24 * HOUR_US,
            ahead_us: HOUR_US,
        }
    }
}

/// One source, as it is journalled: everything that decides what its messages become.
/// Connection details (URLs, credentials, limits of the transport) live in the configuration, not here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceDeclaration {
    /// Its id.
    pub id: SourceId,
    /// How messages arrive.
    pub kind: SourceKind,
    /// Their wire format.
    pub format: WireFormat,
    /// Prefix of the sensor ids.
    pub namespace: String,
    /// Licence of its rows.
    pub licence: LicenceId,
    /// Attribution text, if the licence asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<String>,
    /// The agreement by which `licence` is less than the publisher of the data asks for: a reference to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// Topic patterns with named captures (`zigbee2mqtt/{device}`); for MQTT.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<String>,
    /// Which station a message is from (generic formats).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensor_id: Option<ValueRef>,
    /// Whether `sensor_id` is a hardware id, to be replaced by its HMAC.
    #[serde(default)]
    pub hardware_id: bool,
    /// Where the time stands; absent: the receive time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeDeclaration>,
    /// Accepted times relative to the receive time.
    pub time_window: TimeWindow,
    /// Which end of its interval that time is.
    #[serde(default, skip_serializing_if = "TimeIs::is_start")]
    pub time_is: TimeIs,
    /// Length of the averaging interval in seconds, where entries do not say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<i64>,
    /// What means "no value" (-999, "NA", …).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sentinels: Vec<Sentinel>,
    /// Columns of wide datasets that have one value in every row, unless the message has another.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub constants: BTreeMap<String, Constant>,
    /// Temperature in Cel at which a gas fills the volume that a mass is told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_temperature: Option<f64>,
    /// The array that holds values as pairs (format `json`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<PairsDeclaration>,
    /// Whether literal `nan` in JSON is read as a missing value.
    #[serde(default)]
    pub lenient: bool,
    /// How tables are written, for format `csv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<CsvDeclaration>,
    /// The units of the format's built-in fields, where they are not those that the names say (format `ecowitt`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<StationUnits>,
    /// The mapping of fields to properties and columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub map: Vec<MapEntry>,
    /// Devices that differ; the first that has the id, else the first whose pattern takes it, counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceDeclaration>,
    /// The municipality that its places lie in, where devices do not say another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub municipality: Option<String>,
    /// Areas of municipalities: of a place in one of them it is that one, unless its device says another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub municipalities: Vec<Municipality>,
    /// Whether its places are published as they are told, not on the publication grid.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact_location: bool,
    /// Order among sources that share a namespace: a higher one wins over a lower one.
    #[serde(default)]
    pub precedence: i32,
}

impl SourceDeclaration {
    /// Returns true where it says of a device where it stands.
    pub fn has_places(&self) -> bool {
        self.devices.iter().any(|device| device.latitude.is_some())
    }

    /// Returns the kinds of hardware ids by which its devices are known; none where they are known by names.
    pub fn hardware_kinds(&self) -> &'static [&'static str] {
        match (&self.sensor_id, self.hardware_id) {
            (Some(_), true) => &[DECLARED_HARDWARE_ID],
            (Some(_), false) => &[],
            (None, _) => self.format.hardware_kinds(),
        }
    }

    /// Returns a source that declares nothing but what every source must: its namespace is its id, its messages have
    /// the receive time, and nothing is mapped.
    pub fn new(
        id: impl Into<SourceId>,
        kind: SourceKind,
        format: WireFormat,
        licence: impl Into<LicenceId>,
    ) -> Self {
        let id = id.into();
        Self {
            namespace: id.to_string(),
            id,
            kind,
            format,
            licence: licence.into(),
            attribution: None,
            permission: None,
            topics: Vec::new(),
            sensor_id: None,
            hardware_id: false,
            time: None,
            time_window: TimeWindow::default(),
            time_is: TimeIs::Start,
            interval_s: None,
            sentinels: Vec::new(),
            constants: BTreeMap::new(),
            reference_temperature: None,
            pairs: None,
            lenient: false,
            csv: None,
            units: None,
            map: Vec::new(),
            devices: Vec::new(),
            municipality: None,
            municipalities: Vec::new(),
            exact_location: false,
            precedence: 0,
        }
    }
}
