//! The demo's sources: what stands in its `meetnet.toml`, and the ids and licences that history rows carry too.
//!
//! It writes text and nothing else; reading configuration is the binary's part.

use std::net::SocketAddr;

/// The sources of the simulated city.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DemoSource {
    /// Traffic counters.
    Telraam,
    /// Air sensors.
    Airrohr,
    /// Weather stations on LoRaWAN.
    Lora,
    /// Temperature sensors on balconies.
    Balcony,
}

impl DemoSource {
    /// All sources.
    pub const ALL: [Self; 4] = [Self::Telraam, Self::Airrohr, Self::Lora, Self::Balcony];

    /// Returns the source's id.
    pub fn id(self) -> &'static str {
        match self {
            Self::Telraam => "telraam",
            Self::Airrohr => "airrohr",
            Self::Lora => "lora",
            Self::Balcony => "balcony",
        }
    }

    /// Returns the prefix of its sensor ids.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::Balcony => "z2m",
            _ => self.id(),
        }
    }

    /// Returns the licence of its rows: the one that such data really has.
    pub fn licence(self) -> &'static str {
        match self {
            Self::Telraam => "CC-BY-NC-4.0",
            Self::Airrohr => "ODbL-1.0",
            Self::Lora => "CC-BY-4.0",
            Self::Balcony => "CC0-1.0",
        }
    }
}

/// Returns the `[[source]]` sections for a broker at `mqtt`, as TOML with comments. The demo's broker has no `$SYS`
/// topics and closes connections that ask for one, so nothing is asked.
pub fn sources_toml(mqtt: SocketAddr) -> String {
    format!(
        r#"# Traffic counters: bodies of Telraam's /v1/reports/traffic, as a bridge would publish them.
[[source]]
id = "telraam"
kind = "mqtt"
url = "mqtt://{mqtt}"
watch_broker_drops = false
topics = ["telraam/+/report"]
format = "telraam"
licence = "CC-BY-NC-4.0"
attribution = "Simulated traffic counters of the meetnet demo"     # whom to name: every answer and file says it

# Residents' air sensors: the "own API" JSON of airRohr firmware. It has no time: the receive time counts.
[[source]]
id = "airrohr"
kind = "mqtt"
url = "mqtt://{mqtt}"
watch_broker_drops = false
topics = ["airrohr/+"]
format = "airrohr"
licence = "ODbL-1.0"
attribution = "Simulated air sensors of the meetnet demo"

# Weather stations on LoRaWAN: uplinks of The Things Stack with a decoded payload.
[[source]]
id = "lora"
kind = "mqtt"
url = "mqtt://{mqtt}"
watch_broker_drops = false
topics = ["v3/+/devices/+/up"]
format = "tts-v3"
licence = "CC-BY-4.0"
attribution = "Simulated weather stations of the meetnet demo"
map = [
  {{ dataset = "heat", property = "air_temperature", pointer = "/temperature", unit = "Cel" }},
  {{ dataset = "heat", property = "relative_humidity", pointer = "/humidity", unit = "%" }},
  {{ dataset = "heat", property = "wind_speed", pointer = "/wind_speed", unit = "m/s" }},
  {{ dataset = "heat", property = "rain_rate", pointer = "/rain_rate", unit = "mm/h" }},
]

# Temperature sensors on balconies: plain JSON, one topic per device.
[[source]]
id = "balcony"
kind = "mqtt"
url = "mqtt://{mqtt}"
watch_broker_drops = false
topics = ["zigbee2mqtt/{{device}}"]
format = "json"
namespace = "z2m"
sensor_id = "{{device}}"
time = {{ pointer = "/ts", format = "unix-ms" }}
licence = "CC0-1.0"
map = [
  {{ dataset = "heat", property = "air_temperature", pointer = "/temperature", unit = "Cel" }},
  {{ dataset = "heat", property = "relative_humidity", pointer = "/humidity", unit = "%" }},
]
"#
    )
}

#[cfg(test)]
mod tests;
