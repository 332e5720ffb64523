//! Messages in each wire format, as the simulated city's devices would send them: every one new, none with a fault.

use anyhow::{Result, bail};
use meetnet_demo::City;
use meetnet_demo::messages::{self, LoraFrame, Message};
use meetnet_demo::sensors::{Uplink, WeatherStation};
use meetnet_demo::traffic::QUARTER_S;
use meetnet_model::declarations::Declarations;
use meetnet_model::source::{
    MapEntry, SourceDeclaration, SourceKind, TimeDeclaration, TimeFormat, ValueRef, WireFormat,
};

use crate::{message, now_ms};

/// Quarters of an hour in one Telraam body: a quarter of a day, as a poll of the API brings them.
const QUARTERS_PER_BODY: u64 = 24;
/// How long ago the first Telraam report is: within the time that a source's messages may be late.
const TELRAAM_BACK_S: i64 = 390 * 86_400;
/// How long ago the first uplink is.
const UPLINK_BACK_S: i64 = 60 * 86_400;

/// The wire formats that the city of the demo sends.
pub const FORMATS: [WireFormat; 4] = [
    WireFormat::Telraam,
    WireFormat::Airrohr,
    WireFormat::TtsV3,
    WireFormat::Json,
];

/// The bodies of one format.
#[derive(Debug)]
pub struct Bodies {
    format: WireFormat,
    city: City,
    lora: Vec<WeatherStation>,
    now_ms: u64,
}

impl Bodies {
    /// Returns the bodies of the demo's city in a format.
    pub fn new(format: WireFormat) -> Self {
        let city = City::new(meetnet_demo::DEFAULT_SEED);
        let lora = city
            .stations
            .iter()
            .filter(|station| matches!(station.uplink, Uplink::Lora { .. }))
            .cloned()
            .collect();
        Self {
            format,
            city,
            lora,
            now_ms: now_ms(),
        }
    }

    /// Returns message `number`.
    ///
    /// # Errors
    /// Where the city has no such device.
    pub fn message(&self, number: u64) -> Result<Message> {
        let now_s = (self.now_ms / 1_000) as i64;
        Ok(match self.format {
            WireFormat::Telraam => {
                let (at, round) = turn(number, self.city.segments.len());
                let segment = &self.city.segments[at];
                let first =
                    (now_s - TELRAAM_BACK_S) / QUARTER_S + (round * QUARTERS_PER_BODY) as i64;
                let quarters: Vec<_> = (first..first + QUARTERS_PER_BODY as i64)
                    .map(|quarter| {
                        let second = quarter * QUARTER_S;
                        (second, segment.quarter(&self.city.sky(second)))
                    })
                    .collect();
                messages::telraam_report(segment, &quarters)
            }
            WireFormat::Airrohr => {
                let (at, round) = turn(number, self.city.air_sensors.len());
                let sensor = &self.city.air_sensors[at];
                let sky = self.city.sky(now_s - UPLINK_BACK_S + round as i64 * 145);
                messages::airrohr(sensor, &sensor.read(&sky), true)
            }
            WireFormat::TtsV3 => {
                let (at, round) = turn(number, self.lora.len());
                let station = &self.lora[at];
                let Uplink::Lora { device_id, dev_eui } = &station.uplink else {
                    bail!("a station on LoRaWAN has another uplink");
                };
                let second = now_s - UPLINK_BACK_S + round as i64 * 60;
                let frame = LoraFrame {
                    application: messages::TTS_APPLICATION,
                    device_id,
                    dev_eui,
                    f_cnt: (round % 65_536) as i64,
                    second,
                    decoded: true,
                };
                messages::tts_uplink(&frame, &station.read(&self.city.sky(second)))
            }
            WireFormat::Json => {
                let (topic, body) = message(number, self.now_ms - 3_600_000);
                Message {
                    topic,
                    payload: body.into_bytes(),
                }
            }
            other => bail!("the city of the demo sends no `{}`", other.as_str()),
        })
    }
}

/// Devices take turns: which one sends message `number`, and in which round.
fn turn(number: u64, devices: usize) -> (usize, u64) {
    let devices = devices as u64;
    ((number % devices) as usize, number / devices)
}

/// Returns the built-in datasets with one source `bench` that sends a format.
pub fn declarations(format: WireFormat) -> Declarations {
    let heat = |property: &str, pointer: &str, unit: &str| {
        MapEntry::property("heat", property)
            .at_pointer(pointer)
            .in_unit(unit)
    };
    let mut map = Vec::new();
    if matches!(format, WireFormat::TtsV3 | WireFormat::Json) {
        map.push(heat("air_temperature", "/temperature", "Cel"));
        map.push(heat("relative_humidity", "/humidity", "%"));
    }
    if format == WireFormat::TtsV3 {
        map.push(heat("wind_speed", "/wind_speed", "m/s"));
        map.push(heat("rain_rate", "/rain_rate", "mm/h"));
    }
    let is_json = format == WireFormat::Json;
    let topic = match format {
        WireFormat::Telraam => "telraam/+/report",
        WireFormat::Airrohr => "airrohr/+",
        WireFormat::TtsV3 => "v3/+/devices/+/up",
        _ => "bench/{device}",
    };
    meetnet_model::schemas::builtin().into_declarations([SourceDeclaration {
        topics: vec![topic.to_owned()],
        sensor_id: is_json.then(|| ValueRef::Template("{device}".to_owned())),
        time: is_json.then(|| TimeDeclaration::at_pointer("/ts", TimeFormat::UnixMs)),
        map,
        ..SourceDeclaration::new("bench", SourceKind::Mqtt, format, "CC0-1.0")
    }])
}
