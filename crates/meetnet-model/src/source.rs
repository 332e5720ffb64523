//! A source declaration: one configured origin of messages, as far as decoding and routing need it.
//!
//! It is part of the journalled declarations, so it names secrets (`{ env = "NAME" }`) and never holds them.

mod format;
mod mapping;
mod time;
mod validity;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::format::{DECLARED_HARDWARE_ID, StationUnits, WireFormat};
pub use self::mapping::{Calibration, Constant, MapEntry, Sentinel};
pub use self::time::{DoubledHour, TimeDeclaration, TimeFormat, TimeIs, TimeWindow};
pub use self::validity::{Mark, Validity};
use crate::ids::{LicenceId, SourceId};
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
    /// Files that are imported, and nothing else.
    Files,
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
    /// Topic patterns with named captures (`zigbee2mqtt/{device}`); for MQTT. Of files that are imported: what their
    /// paths end in (`{station}.csv`).
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
    /// What says of a whole message that its values are readings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<Validity>,
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
    /// Whether numbers in texts of JSON are written with a comma (`"21,5"`), for formats `json` and `ndjson`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub decimal_comma: bool,
    /// Whether numbers may have their unit behind them (`"21.3 °C"`), for formats `json`, `ndjson` and `csv`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unit_in_value: bool,
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
            valid: None,
            constants: BTreeMap::new(),
            reference_temperature: None,
            pairs: None,
            lenient: false,
            decimal_comma: false,
            unit_in_value: false,
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
