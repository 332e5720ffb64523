//! Wire formats by name, and what is known of each before a message arrives.

use serde::{Deserialize, Serialize};

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
