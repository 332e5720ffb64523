//! Units as messages: which builder, which topic or path, and where a truncated one is cut.

use super::lane::{Lane, LoadFormat, Transport};
use super::{Load, Outgoing, Reading};
use crate::messages::{self, LoraFrame, devices, standards, tables};
use crate::sensors::{AirReading, WeatherReading};
use crate::traffic::{Mode, QUARTER_S, QuarterCount};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
/// The precision in which each version of InfluxDB's API is written to, and its seconds; MQTT has no place to say one.
const NANOSECONDS: i64 = 1_000_000_000;
const MILLISECONDS: i64 = 1_000;
const SECONDS: i64 = 1;

impl Load {
    /// Writes a message of `device`; there is at least one reading.
    pub(super) fn outgoing(
        &self,
        lane: Lane,
        device: u32,
        readings: &[Reading],
        is_truncated: bool,
    ) -> Outgoing {
        let mut payload = self.payload(lane, device, readings);
        if is_truncated {
            let end = cut(lane.format, &payload);
            payload.truncate(end);
        }
        match lane.transport {
            Transport::Mqtt => Outgoing {
                place: self.topic(lane, device),
                is_get: false,
                headers: Vec::new(),
                payload,
            },
            Transport::Http => self.request(lane, device, payload),
        }
    }

    fn payload(&self, lane: Lane, device: u32, readings: &[Reading]) -> Vec<u8> {
        let Some(first) = readings.first() else {
            return Vec::new();
        };
        let station = self.station(lane, device);
        let (second, weather) = (first.second, first.weather());
        let all = || -> Vec<_> {
            let pairs = readings.iter();
            pairs
                .map(|reading| (reading.second, reading.weather()))
                .collect()
        };
        let prefix = &self.plan().prefix;
        match lane.format {
            LoadFormat::Telraam => {
                let id = self.segment_id(lane, device);
                let quarter = [(second, first.quarter())];
                messages::telraam_report_as(id, &self.segment, &quarter).payload
            }
            LoadFormat::Airrohr => {
                let chip = self.chip_id(lane, device);
                messages::airrohr_as(&chip, &first.air(), true).payload
            }
            LoadFormat::SensorCommunity => devices::sensor_community(&first.air()),
            LoadFormat::Tts => {
                let frame = LoraFrame {
                    application: prefix,
                    device_id: &station,
                    dev_eui: &self.dev_eui(lane, device),
                    f_cnt: second.rem_euclid(1 << 16),
                    second,
                    decoded: true,
                };
                messages::tts_uplink(&frame, &weather).payload
            }
            LoadFormat::Chirpstack => {
                let dev_eui = self.dev_eui(lane, device);
                devices::chirpstack(prefix, &dev_eui, second, &weather)
            }
            LoadFormat::ChirpstackV3 => {
                let dev_eui = self.dev_eui(lane, device);
                devices::chirpstack_v3(prefix, &dev_eui, second, &weather)
            }
            LoadFormat::Json if lane.transport == Transport::Mqtt => {
                messages::zigbee(&station, &weather, second * MILLISECONDS, true).payload
            }
            LoadFormat::Json | LoadFormat::Ndjson => tables::ndjson(&station, &all()),
            LoadFormat::Csv => tables::csv(&station, &all()),
            LoadFormat::Influx | LoadFormat::InfluxV2 => {
                tables::line_protocol(&station, &all(), per_second(lane))
            }
            LoadFormat::Ecowitt => devices::ecowitt(&self.passkey(lane, device), second, &weather),
            LoadFormat::Wunderground => {
                devices::wunderground(&station, self.password(lane), second, &weather)
            }
            LoadFormat::SensorThings => {
                standards::sensorthings(&station, second, weather.temperature)
            }
            LoadFormat::Ngsi => standards::ngsi_v2(
                &station,
                second,
                weather.temperature,
                hundredths(first.pm2_5),
            ),
            LoadFormat::NgsiKeyValues => standards::ngsi_key_values(
                &station,
                second,
                weather.temperature,
                hundredths(first.pm2_5),
            ),
            LoadFormat::NgsiLd => standards::ngsi_ld(&station, second, &weather),
            LoadFormat::Senml => standards::senml(&station, second, &weather),
        }
    }

    fn topic(&self, lane: Lane, device: u32) -> String {
        let prefix = &self.plan().prefix;
        let station = self.station(lane, device);
        match lane.format {
            LoadFormat::Telraam => {
                format!("{prefix}/telraam/{}/report", self.segment_id(lane, device))
            }
            LoadFormat::Airrohr => format!("{prefix}/airrohr/{station}"),
            LoadFormat::Tts => format!("v3/{prefix}@ttn/devices/{station}/up"),
            LoadFormat::Chirpstack => format!("application/{prefix}/device/{station}/event/up"),
            LoadFormat::ChirpstackV3 => {
                format!("application/{prefix}-v3/device/{station}/event/up")
            }
            LoadFormat::Json => format!("{prefix}/zigbee2mqtt/{station}"),
            LoadFormat::Ecowitt => format!("{prefix}/ecowitt/{station}"),
            LoadFormat::Wunderground => format!("{prefix}/wunderground/{station}"),
            LoadFormat::SensorThings => format!("{prefix}/v1.1/Observations"),
            other => format!("{prefix}/{}", other.as_str()),
        }
    }

    fn request(&self, lane: Lane, device: u32, payload: Vec<u8>) -> Outgoing {
        let prefix = &self.plan().prefix;
        let source = lane.source_id(prefix);
        let mut headers = Vec::new();
        let (place, content_type) = match lane.format {
            LoadFormat::Airrohr => ("/airrohr".to_owned(), JSON),
            LoadFormat::SensorCommunity => {
                headers.push(("x-sensor", devices::x_sensor(&self.chip_id(lane, device))));
                headers.push(("x-pin", devices::LASER_PIN.to_owned()));
                ("/v1/push-sensor-data/".to_owned(), JSON)
            }
            LoadFormat::Ecowitt => ("/data/report/".to_owned(), FORM),
            LoadFormat::Wunderground => {
                let query = String::from_utf8_lossy(&payload);
                return Outgoing {
                    place: format!("/weatherstation/updateweatherstation.php?{query}"),
                    is_get: true,
                    headers,
                    payload: Vec::new(),
                };
            }
            LoadFormat::Influx => (format!("/write?db={source}&precision=s"), TEXT),
            LoadFormat::InfluxV2 => (
                format!("/api/v2/write?bucket={source}&org={prefix}&precision=ms"),
                TEXT,
            ),
            LoadFormat::SensorThings => ("/v1.1/Observations".to_owned(), JSON),
            LoadFormat::Chirpstack | LoadFormat::ChirpstackV3 => {
                (format!("/ingest/v1/{source}?event=up"), JSON)
            }
            LoadFormat::Ngsi => {
                headers.push(("ngsiv2-attrsformat", "normalized".to_owned()));
                (format!("/ingest/v1/{source}"), JSON)
            }
            LoadFormat::NgsiKeyValues => {
                headers.push(("ngsiv2-attrsformat", "keyValues".to_owned()));
                (format!("/ingest/v1/{source}"), JSON)
            }
            LoadFormat::Csv => (format!("/ingest/v1/{source}"), "text/csv"),
            LoadFormat::Ndjson => (format!("/ingest/v1/{source}"), "application/x-ndjson"),
            LoadFormat::Telraam
            | LoadFormat::Tts
            | LoadFormat::Json
            | LoadFormat::NgsiLd
            | LoadFormat::Senml => (format!("/ingest/v1/{source}"), JSON),
        };
        headers.push(("content-type", content_type.to_owned()));
        Outgoing {
            place,
            is_get: false,
            headers,
            payload,
        }
    }
}

impl Reading {
    fn weather(&self) -> WeatherReading {
        WeatherReading {
            temperature: self.half_degrees as f64 / 2.0,
            humidity: self.percent as f64,
            wind_speed: None,
            rain_rate: None,
            battery_v: 3.0,
        }
    }

    fn air(&self) -> AirReading {
        AirReading {
            pm10: hundredths(self.pm10),
            pm2_5: hundredths(self.pm2_5),
            temperature: self.half_degrees as f64 / 2.0,
            humidity: self.percent as f64,
            pressure_pa: self.pascals as f64,
            signal_dbm: -60,
        }
    }

    /// A counter that was up all the time: counts are not extrapolated.
    fn quarter(&self) -> QuarterCount {
        let mut quarter = QuarterCount {
            interval_s: QUARTER_S,
            seconds_up: QUARTER_S,
            ..QuarterCount::default()
        };
        quarter.counts[Mode::Car as usize] = self.cars;
        quarter.counts[Mode::Bike as usize] = self.bikes;
        quarter
    }
}

/// Returns the units of a lane's times in line protocol that make a second.
fn per_second(lane: Lane) -> i64 {
    match (lane.transport, lane.format) {
        (Transport::Mqtt, _) => NANOSECONDS,
        (Transport::Http, LoadFormat::InfluxV2) => MILLISECONDS,
        (Transport::Http, _) => SECONDS,
    }
}

fn hundredths(count: i64) -> f64 {
    count as f64 / 100.0
}

/// Returns where a truncated message ends: what is left of it is then known. Of tables it is the last line that is
/// broken, of forms the humidity that is lost, and of everything else nothing can be read.
fn cut(format: LoadFormat, payload: &[u8]) -> usize {
    let behind = |text: &str| {
        let text = text.as_bytes();
        let at = payload
            .windows(text.len())
            .rposition(|window| window == text);
        at.map_or(payload.len() / 2, |at| at + text.len())
    };
    let last_line = payload
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |at| at + 1);
    match format {
        // Two of four cells.
        LoadFormat::Csv => {
            let commas = payload[last_line..].iter().enumerate();
            let mut commas = commas.filter(|(_, byte)| **byte == b',').map(|(at, _)| at);
            commas.nth(1).map_or(payload.len(), |at| last_line + at)
        }
        LoadFormat::Ndjson => last_line + (payload.len() - last_line) / 2,
        LoadFormat::Influx | LoadFormat::InfluxV2 => behind("hum="),
        LoadFormat::Ecowitt | LoadFormat::Wunderground => behind("&humid"),
        _ => payload.len() / 2,
    }
}
