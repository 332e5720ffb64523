//! The configuration with which a meetnet takes what the load generator sends. Text and nothing else.

use std::fmt::Write as _;

use super::lane::{Lane, LoadFormat, Transport};

/// Where the sources of [`config_toml`] are reached. Secrets are names of environment variables.
#[derive(Clone, Debug)]
pub struct Wiring {
    /// The broker, as `url` of a source has it.
    pub broker: String,
    /// User name at the broker.
    pub username: Option<String>,
    /// Variable with the password at the broker.
    pub password_env: Option<String>,
    /// File with the authority that signed the broker's certificate.
    pub tls_ca: Option<String>,
    /// Variable with the token of the push sources.
    pub token_env: Option<String>,
}

/// Returns a whole configuration: listeners on loopback and a source for each lane.
pub fn config_toml(lanes: &[Lane], prefix: &str, wiring: &Wiring) -> String {
    let mut text = String::from(
        "# For `meetnet simulate`: save it, and `meetnet run --config FILE`. In a configuration of your own, leave the\n\
         # two listeners out.\n\n\
         [http]\nlisten = \"127.0.0.1:8080\"\n\n\
         [ingest_http]\nlisten = \"127.0.0.1:8081\"\n",
    );
    let mut written: Vec<String> = Vec::new();
    for lane in lanes {
        let id = lane.source_id(prefix);
        if !written.contains(&id) {
            text.push_str(&source(*lane, &id, prefix, wiring));
            written.push(id);
        }
    }
    text
}

fn source(lane: Lane, id: &str, prefix: &str, wiring: &Wiring) -> String {
    let mut text = format!(
        "\n[[source]]\nid = \"{id}\"\nkind = \"{}\"\n",
        lane.transport.as_str()
    );
    let mut line = |key: &str, value: &str| {
        writeln!(text, "{key} = {value}").expect("writing to a text cannot fail");
    };
    let quoted = |value: &str| format!("{value:?}");
    let secret = |name: &str| format!("{{ env = {name:?} }}");
    match lane.transport {
        Transport::Mqtt => {
            line("url", &quoted(&wiring.broker));
            let optional = [("username", &wiring.username), ("tls_ca", &wiring.tls_ca)];
            for (key, value) in optional {
                if let Some(value) = value {
                    line(key, &quoted(value));
                }
            }
            if let Some(name) = &wiring.password_env {
                line("password", &secret(name));
            }
            line("topics", &format!("[{:?}]", topics(lane.format, prefix)));
        }
        Transport::Http => {
            if let Some(name) = &wiring.token_env {
                line("token", &secret(name));
            }
            if matches!(lane.format, LoadFormat::Influx | LoadFormat::InfluxV2) {
                line("database", &quoted(id));
            }
            line("requests_per_second_max", "1000000");
        }
    }
    line("format", &quoted(lane.format.wire_format()));
    // Counts in Telraam's form are taken for Telraam's, which may not be given away freer.
    let licence = match lane.format {
        LoadFormat::Telraam => "CC-BY-NC-4.0",
        _ => "CC0-1.0",
    };
    line("licence", &quoted(licence));
    for (key, value) in declared(lane) {
        line(key, value);
    }
    text
}

/// Returns the topic pattern of an MQTT lane.
fn topics(format: LoadFormat, prefix: &str) -> String {
    match format {
        LoadFormat::Telraam => format!("{prefix}/telraam/+/report"),
        LoadFormat::Airrohr | LoadFormat::Ecowitt => {
            format!("{prefix}/{}/{{device}}", format.as_str())
        }
        LoadFormat::Tts => format!("v3/{prefix}@ttn/devices/{{device}}/up"),
        LoadFormat::Chirpstack => format!("application/{prefix}/device/{{device}}/event/up"),
        // An application of its own: both servers use the same topics.
        LoadFormat::ChirpstackV3 => {
            format!("application/{prefix}-v3/device/{{device}}/event/up")
        }
        LoadFormat::Json => format!("{prefix}/zigbee2mqtt/{{device}}"),
        LoadFormat::Wunderground => format!("{prefix}/wunderground/+"),
        LoadFormat::SensorThings => format!("{prefix}/v1.1/Observations"),
        other => format!("{prefix}/{}", other.as_str()),
    }
}

/// Returns what a source declares of sensor, time and values.
fn declared(lane: Lane) -> &'static [(&'static str, &'static str)] {
    const BY_TOPIC: (&str, &str) = ("sensor_id", "\"{device}\"");
    const DECODED: (&str, &str) = (
        "map",
        "[\n  { dataset = \"heat\", property = \"air_temperature\", pointer = \"/temperature\", unit = \"Cel\" },\n  \
         { dataset = \"heat\", property = \"relative_humidity\", pointer = \"/humidity\", unit = \"%\" },\n]",
    );
    match (lane.transport, lane.format) {
        (Transport::Mqtt, LoadFormat::Airrohr | LoadFormat::Ecowitt) => &[BY_TOPIC],
        (Transport::Mqtt, LoadFormat::Tts | LoadFormat::Chirpstack | LoadFormat::ChirpstackV3) => {
            &[BY_TOPIC, DECODED]
        }
        (Transport::Http, LoadFormat::Tts | LoadFormat::Chirpstack | LoadFormat::ChirpstackV3) => {
            &[DECODED]
        }
        (Transport::Mqtt, LoadFormat::Json) => &[
            BY_TOPIC,
            ("time", "{ pointer = \"/ts\", format = \"unix-ms\" }"),
            DECODED,
        ],
        (Transport::Http, LoadFormat::Json) | (_, LoadFormat::Ndjson) => &[
            ("sensor_id", "{ pointer = \"/id\" }"),
            ("time", "{ pointer = \"/at\", format = \"unix\" }"),
            (
                "map",
                "[\n  { dataset = \"heat\", property = \"air_temperature\", pointer = \"/t\", unit = \"Cel\" },\n  \
                 { dataset = \"heat\", property = \"relative_humidity\", pointer = \"/rh\", unit = \"%\" },\n]",
            ),
        ],
        (_, LoadFormat::Csv) => &[
            ("sensor_id", "{ field = \"station\" }"),
            ("time", "{ field = \"time\", format = \"rfc3339\" }"),
            (
                "map",
                "[\n  { dataset = \"heat\", property = \"air_temperature\", field = \"temp\", unit = \"Cel\" },\n  \
                 { dataset = \"heat\", property = \"relative_humidity\", field = \"rh\", unit = \"%\" },\n]",
            ),
        ],
        (_, LoadFormat::Influx | LoadFormat::InfluxV2) => &[
            ("sensor_id", "{ field = \"station\" }"),
            (
                "map",
                "[\n  { dataset = \"heat\", property = \"air_temperature\", field = \"weather.temp\", unit = \"Cel\" },\n  \
                 { dataset = \"heat\", property = \"relative_humidity\", field = \"weather.hum\", unit = \"%\" },\n]",
            ),
        ],
        (_, LoadFormat::SensorThings) => &[
            ("sensor_id", "{ pointer = \"/parameters/station\" }"),
            (
                "map",
                "[\n  { dataset = \"heat\", property = \"air_temperature\", field = \"1\", unit = \"Cel\" },\n]",
            ),
        ],
        (_, LoadFormat::Senml) => &[(
            "map",
            "[\n  { dataset = \"heat\", property = \"air_temperature\", field = \"temperature\" },\n  \
             { dataset = \"heat\", property = \"relative_humidity\", field = \"humidity\" },\n]",
        )],
        // What their messages say is known without a map.
        (
            _,
            LoadFormat::Telraam
            | LoadFormat::Airrohr
            | LoadFormat::SensorCommunity
            | LoadFormat::Ecowitt
            | LoadFormat::Wunderground
            | LoadFormat::Ngsi
            | LoadFormat::NgsiLd
            | LoadFormat::NgsiKeyValues,
        ) => &[],
    }
}
