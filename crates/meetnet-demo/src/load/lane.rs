//! Lanes: a wire format over a transport, with the source that takes it.

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Published at QoS 1.
    Mqtt,
    /// Pushed, one request per message.
    Http,
}

impl Transport {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Mqtt, Self::Http];

    /// Returns its name, as source ids have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Http => "http",
        }
    }
}

/// What the load generator speaks: the wire formats, some of them in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LoadFormat {
    /// Telraam reports, a quarter of an hour each.
    Telraam,
    /// airRohr boxes, "own API".
    Airrohr,
    /// airRohr boxes, one sensor per message with X-Sensor and X-PIN.
    SensorCommunity,
    /// The Things Stack v3.
    Tts,
    /// zigbee2mqtt over MQTT, one plain document per request over HTTP.
    Json,
    /// Ecowitt gateways.
    Ecowitt,
    /// Uploaders to Weather Underground.
    Wunderground,
    /// InfluxDB line protocol, version 1 over HTTP.
    Influx,
    /// The same by version 2 of InfluxDB's API.
    InfluxV2,
    /// ChirpStack v4.
    Chirpstack,
    /// SensorThings 1.1 observations.
    SensorThings,
    /// NGSIv2 notifications.
    Ngsi,
    /// NGSI-LD notifications.
    NgsiLd,
    /// SenML packs.
    Senml,
    /// Tables.
    Csv,
    /// A JSON document per line.
    Ndjson,
    /// ChirpStack v3: what the codec made is a text in the event.
    ChirpstackV3,
    /// NGSIv2 notifications whose attributes are bare values.
    NgsiKeyValues,
}

impl LoadFormat {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Telraam,
        Self::Airrohr,
        Self::SensorCommunity,
        Self::Tts,
        Self::Json,
        Self::Ecowitt,
        Self::Wunderground,
        Self::Influx,
        Self::InfluxV2,
        Self::Chirpstack,
        Self::SensorThings,
        Self::Ngsi,
        Self::NgsiLd,
        Self::Senml,
        Self::Csv,
        Self::Ndjson,
        Self::ChirpstackV3,
        Self::NgsiKeyValues,
    ];

    /// Returns the name by which it is asked for.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Telraam => "telraam",
            Self::Airrohr => "airrohr",
            Self::SensorCommunity => "sensor-community",
            Self::Tts => "tts-v3",
            Self::Json => "json",
            Self::Ecowitt => "ecowitt",
            Self::Wunderground => "wunderground",
            Self::Influx => "influx",
            Self::InfluxV2 => "influx-v2",
            Self::Chirpstack => "chirpstack-v4",
            Self::SensorThings => "sensorthings",
            Self::Ngsi => "ngsi",
            Self::NgsiLd => "ngsi-ld",
            Self::Senml => "senml",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::ChirpstackV3 => "chirpstack-v3",
            Self::NgsiKeyValues => "ngsi-keyvalues",
        }
    }

    /// Returns the format of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }

    /// Returns the `format` of the source that takes it.
    pub fn wire_format(self) -> &'static str {
        match self {
            Self::SensorCommunity => Self::Airrohr.as_str(),
            Self::InfluxV2 => Self::Influx.as_str(),
            Self::NgsiLd | Self::NgsiKeyValues => Self::Ngsi.as_str(),
            Self::ChirpstackV3 => Self::Chirpstack.as_str(),
            own => own.as_str(),
        }
    }

    /// Returns true where a message has many readings, one a line.
    pub fn is_table(self) -> bool {
        matches!(
            self,
            Self::Csv | Self::Ndjson | Self::Influx | Self::InfluxV2
        )
    }

    /// Returns true where messages have a time of their own, so that one that comes twice makes one row.
    pub fn has_own_time(self) -> bool {
        !matches!(self, Self::Airrohr | Self::SensorCommunity)
    }

    /// Returns the seconds between two readings of a device.
    pub fn step_s(self) -> i64 {
        match self {
            Self::Telraam => crate::traffic::QUARTER_S,
            _ => 1,
        }
    }
}

/// A format over a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// How messages travel.
    pub transport: Transport,
    /// What they are.
    pub format: LoadFormat,
}

impl Lane {
    /// Returns the lanes of some transports and formats, as far as there are such.
    pub fn of(transports: &[Transport], formats: &[LoadFormat]) -> Vec<Self> {
        let lanes = formats.iter().flat_map(|format| {
            transports.iter().map(|transport| Self {
                transport: *transport,
                format: *format,
            })
        });
        lanes.filter(|lane| lane.exists()).collect()
    }

    /// Returns the id of the source that takes its messages. Boxes push their own API's messages and those of
    /// sensor.community to one source, because neither says which is meant.
    pub fn source_id(self, prefix: &str) -> String {
        let format = match self.format {
            LoadFormat::SensorCommunity => LoadFormat::Airrohr,
            own => own,
        };
        format!("{prefix}-{}-{}", self.transport.as_str(), format.as_str())
    }

    /// Returns true where nothing in the rows tells the run's devices from others: they are pseudonyms. Over MQTT the
    /// printed sources take a name from the topic instead.
    pub fn hides_devices(self) -> bool {
        self.transport == Transport::Http
            && matches!(
                self.format,
                LoadFormat::Airrohr
                    | LoadFormat::SensorCommunity
                    | LoadFormat::Tts
                    | LoadFormat::Chirpstack
                    | LoadFormat::ChirpstackV3
                    | LoadFormat::Ecowitt
            )
    }

    /// Returns a number of its own below 100, whichever lanes are in use.
    pub(super) fn number(self) -> u8 {
        self.format as u8 * 2 + self.transport as u8
    }

    fn exists(self) -> bool {
        let is_http_only = matches!(
            self.format,
            LoadFormat::SensorCommunity | LoadFormat::InfluxV2
        );
        self.transport == Transport::Http || !is_http_only
    }
}
