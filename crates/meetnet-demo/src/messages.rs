//! Readings in the wire formats of real devices: what a broker would carry.
//!
//! ```text
//! reading + time ──▶ Message { topic, payload }    telraam/<segment>/report      Telraam /v1/reports/traffic body
//!                                                   airrohr/<chip>                airRohr "own API" JSON
//!                                                   v3/<app>/devices/<dev>/up     The Things Stack v3 uplink
//!                                                   zigbee2mqtt/<device>          plain JSON with a time in ms
//!                          body for a topic or path: `tables`, `standards`, `devices`
//! ```
//!
//! Only well-formed messages are written here; what goes wrong on the way is `faults`' part.

pub mod devices;
pub mod standards;
pub mod tables;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::noise::Noise;
use crate::sensors::{AirReading, AirSensor, WeatherReading};
use crate::traffic::{Hardware, Mode, QuarterCount, SPEED_BINS, Segment};

/// Application of the demo's LoRaWAN stations.
pub const TTS_APPLICATION: &str = "leuven";
/// The firmware of all airRohr boxes.
const AIRROHR_SOFTWARE: &str = "NRZ-2024-135";

/// One message, as a device hands it to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// MQTT topic.
    pub topic: String,
    /// Body.
    pub payload: Vec<u8>,
}

impl Message {
    fn json(topic: String, body: &impl Serialize) -> Self {
        let payload =
            serde_json::to_vec(body).expect("string keys and finite numbers make valid JSON");
        Self { topic, payload }
    }
}

/// A number as Telraam writes it: without a fraction where it has none.
#[derive(Clone, Copy, Debug)]
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < 1e15 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

#[derive(Serialize)]
struct TelraamBody {
    status_code: u16,
    message: &'static str,
    report: Vec<TelraamRow>,
}

#[derive(Serialize)]
struct TelraamRow {
    instance_id: i64,
    segment_id: i64,
    date: String,
    interval: &'static str,
    uptime: Number,
    heavy: Number,
    car: Number,
    bike: Number,
    pedestrian: Number,
    night: Option<Number>,
    heavy_lft: Number,
    heavy_rgt: Number,
    car_lft: Number,
    car_rgt: Number,
    bike_lft: Number,
    bike_rgt: Number,
    pedestrian_lft: Number,
    pedestrian_rgt: Number,
    night_lft: Option<Number>,
    night_rgt: Option<Number>,
    direction: i64,
    #[serde(rename = "car_speed_hist_0to70plus")]
    speed_hist_70: Vec<Number>,
    #[serde(rename = "car_speed_hist_0to120plus")]
    speed_hist_120: Vec<Number>,
    timezone: &'static str,
    v85: Option<Number>,
}

/// Returns a report over some quarter-hours of one segment; each begins at the given second.
pub fn telraam_report(segment: &Segment, quarters: &[(i64, QuarterCount)]) -> Message {
    telraam_report_as(segment.id, segment, quarters)
}

/// Returns the same for the segment `id`, counted as on `segment`.
pub fn telraam_report_as(id: i64, segment: &Segment, quarters: &[(i64, QuarterCount)]) -> Message {
    let report = quarters
        .iter()
        .map(|(start, quarter)| telraam_row(id, segment, *start, quarter))
        .collect();
    let body = TelraamBody {
        status_code: 200,
        message: "ok",
        report,
    };
    Message::json(format!("telraam/{id}/report"), &body)
}

fn telraam_row(id: i64, segment: &Segment, start_s: i64, quarter: &QuarterCount) -> TelraamRow {
    let [car, heavy, bike, pedestrian, night] = Mode::ALL.map(|mode| quarter.extrapolated(mode));
    let total = |[left, right]: [f64; 2]| Number(crate::traffic::round10(left + right));
    let has_night = segment.hardware == Hardware::S2;
    let fine = segment
        .speeds(quarter)
        .copied()
        .unwrap_or([0.0; SPEED_BINS]);
    TelraamRow {
        instance_id: -1,
        segment_id: id,
        date: instant(start_s, 0, 3),
        interval: "quarterly",
        uptime: Number(quarter.uptime()),
        heavy: total(heavy),
        car: total(car),
        bike: total(bike),
        pedestrian: total(pedestrian),
        night: has_night.then(|| total(night)),
        heavy_lft: Number(heavy[0]),
        heavy_rgt: Number(heavy[1]),
        car_lft: Number(car[0]),
        car_rgt: Number(car[1]),
        bike_lft: Number(bike[0]),
        bike_rgt: Number(bike[1]),
        pedestrian_lft: Number(pedestrian[0]),
        pedestrian_rgt: Number(pedestrian[1]),
        night_lft: has_night.then_some(Number(night[0])),
        night_rgt: has_night.then_some(Number(night[1])),
        direction: 1,
        speed_hist_70: coarse_speeds(&fine).into_iter().map(Number).collect(),
        speed_hist_120: fine.into_iter().map(Number).collect(),
        timezone: "Europe/Brussels",
        v85: segment.v85(quarter).map(Number),
    }
}

/// Joins 5 km/h bins to the eight 10 km/h bins of the older histogram; the last one is open.
pub(crate) fn coarse_speeds(fine: &[f64; SPEED_BINS]) -> [f64; 8] {
    let mut coarse = [0.0; 8];
    for (position, share) in fine.iter().enumerate() {
        coarse[(position / 2).min(7)] += share;
    }
    coarse.map(|share| (share * 100.0).round() / 100.0)
}

#[derive(Serialize)]
struct AirrohrBody<'a> {
    esp8266id: &'a str,
    software_version: &'static str,
    sensordatavalues: Vec<AirrohrValue>,
}

#[derive(Serialize)]
struct AirrohrValue {
    value_type: &'static str,
    value: String,
}

/// Returns an airRohr's message. It has no time of its own: the receive time is its time.
/// Without `climate` the BME280's values are empty, as firmware sends them when that sensor does not answer.
pub fn airrohr(sensor: &AirSensor, reading: &AirReading, climate: bool) -> Message {
    airrohr_as(&sensor.chip_id, reading, climate)
}

/// Returns the same for the box with this chip id.
pub fn airrohr_as(chip_id: &str, reading: &AirReading, climate: bool) -> Message {
    let two = |value: f64| format!("{value:.2}");
    let climate_value = |value: f64| if climate { two(value) } else { String::new() };
    let value = |value_type, value| AirrohrValue { value_type, value };
    let body = AirrohrBody {
        esp8266id: chip_id,
        software_version: AIRROHR_SOFTWARE,
        sensordatavalues: vec![
            value("SDS_P1", two(reading.pm10)),
            value("SDS_P2", two(reading.pm2_5)),
            value("BME280_temperature", climate_value(reading.temperature)),
            value("BME280_pressure", climate_value(reading.pressure_pa)),
            value("BME280_humidity", climate_value(reading.humidity)),
            value("samples", "5012345".to_owned()),
            value("min_micro", "28".to_owned()),
            value("max_micro", "20157".to_owned()),
            value("interval", "145000".to_owned()),
            value("signal", reading.signal_dbm.to_string()),
        ],
    };
    Message::json(format!("airrohr/{chip_id}"), &body)
}

/// What a LoRaWAN uplink says beside its reading.
#[derive(Clone, Copy, Debug)]
pub struct LoraFrame<'a> {
    /// Application that the device belongs to.
    pub application: &'a str,
    /// Name of the device in the network's console.
    pub device_id: &'a str,
    /// DevEUI, 16 hexadecimal digits.
    pub dev_eui: &'a str,
    /// Counter of the uplinks; 0 is left out of the message, as the network server does.
    pub f_cnt: i64,
    /// When the network server received it, seconds since 1970.
    pub second: i64,
    /// Whether the network has a decoder for the device.
    pub decoded: bool,
}

/// Returns a station's uplink as The Things Stack v3 publishes it.
pub fn tts_uplink(frame: &LoraFrame<'_>, reading: &WeatherReading) -> Message {
    let noise = Noise::new(frame.f_cnt as u64);
    let gateway = format!("leuven-gw-{}", 1 + noise.position(0, 4));
    let spreading_factor = 7 + noise.position(1, 4);
    let mut uplink = serde_json::json!({
        "session_key_id": BASE64.encode(frame.dev_eui),
        "f_port": 2,
        "frm_payload": BASE64.encode(packed(reading)),
        "rx_metadata": [{
            "gateway_ids": { "gateway_id": gateway },
            "time": instant(frame.second, 31_000_000, 6),
            "rssi": -120 + noise.position(2, 60) as i64,
            "snr": noise.between(3, -5.0, 11.0).round(),
        }],
        "settings": {
            "data_rate": { "lora": { "bandwidth": 125_000, "spreading_factor": spreading_factor, "coding_rate": "4/5" } },
            "frequency": "868100000",
        },
        "received_at": instant(frame.second, 52_118_004, 9),
        "consumed_airtime": "0.056576s",
        "network_ids": { "net_id": "000013", "tenant_id": "ttn", "cluster_id": "eu1" },
    });
    if frame.f_cnt != 0 {
        uplink["f_cnt"] = frame.f_cnt.into();
    }
    if frame.decoded {
        let mut decoded = serde_json::json!({
            "temperature": reading.temperature,
            "humidity": reading.humidity,
            "battery": reading.battery_v,
        });
        if let (Some(wind), Some(rain)) = (reading.wind_speed, reading.rain_rate) {
            decoded["wind_speed"] = wind.into();
            decoded["rain_rate"] = rain.into();
        }
        uplink["decoded_payload"] = decoded;
    }
    let body: Value = serde_json::json!({
        "end_device_ids": {
            "device_id": frame.device_id,
            "application_ids": { "application_id": frame.application },
            "dev_eui": frame.dev_eui,
            "dev_addr": "260B0000",
        },
        "received_at": instant(frame.second, 268_430_911, 9),
        "uplink_message": uplink,
    });
    Message::json(
        format!(
            "v3/{}@ttn/devices/{}/up",
            frame.application, frame.device_id
        ),
        &body,
    )
}

/// The bytes that the device sent over the air: tenths in two bytes each.
fn packed(reading: &WeatherReading) -> Vec<u8> {
    let tenths = |value: f64| ((value * 10.0).round() as i16).to_be_bytes();
    let values = [
        Some(reading.temperature),
        Some(reading.humidity),
        reading.wind_speed,
        reading.rain_rate,
    ];
    values.into_iter().flatten().flat_map(tenths).collect()
}

#[derive(Serialize)]
struct ZigbeeBody {
    temperature: Option<f64>,
    humidity: f64,
    battery: i64,
    linkquality: i64,
    ts: i64,
}

/// Returns a balcony sensor's message; `ts` is its own time, milliseconds since 1970.
/// Without `temperature` that value is null.
pub fn zigbee(device: &str, reading: &WeatherReading, ts_ms: i64, temperature: bool) -> Message {
    let body = ZigbeeBody {
        temperature: temperature.then_some(reading.temperature),
        humidity: reading.humidity,
        battery: ((reading.battery_v - 2.7) * 100.0)
            .round()
            .clamp(0.0, 100.0) as i64,
        linkquality: 90 + ts_ms.div_euclid(1_000).rem_euclid(80),
        ts: ts_ms,
    };
    Message::json(format!("zigbee2mqtt/{device}"), &body)
}

/// Writes an instant in RFC 3339 with `digits` digits after the second.
fn instant(second: i64, nanosecond: i32, digits: u8) -> String {
    let timestamp = Timestamp::new(second, nanosecond).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{timestamp:.precision$}", precision = usize::from(digits))
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
