//! Readings as devices and their servers push them: Ecowitt gateways, uploaders to Weather Underground, ChirpStack v4 and
//! v3, and airRohr boxes that send to sensor.community.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use super::{instant, packed};
use crate::sensors::{AirReading, WeatherReading};

/// °F, one decimal, as stations write it: exact for halves of a °C.
fn fahrenheit(celsius: f64) -> String {
    format!("{:.1}", celsius * 1.8 + 32.0)
}

/// `2026-06-01+11:59:30`, UTC, as forms write it.
fn form_date(second: i64) -> String {
    instant(second, 0, 0)
        .replace('T', "+")
        .trim_end_matches('Z')
        .to_owned()
}

/// Escapes a value that may hold anything.
fn form_value(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// Returns the form of an Ecowitt gateway. `passkey` is its hardware id and credential.
pub fn ecowitt(passkey: &str, second: i64, reading: &WeatherReading) -> Vec<u8> {
    let (date, outdoors) = (form_date(second), fahrenheit(reading.temperature));
    format!(
        "PASSKEY={passkey}&stationtype=GW2000A_V3.1.5&runtime=86400&dateutc={date}&tempinf=71.8&humidityin=45\
         &tempf={outdoors}&humidity={:.0}&model=GW2000A",
        reading.humidity
    )
    .into_bytes()
}

/// Returns what a station uploads to Weather Underground, as the query string of its request; `password` stands in it
/// where there is one.
pub fn wunderground(
    station: &str,
    password: Option<&str>,
    second: i64,
    reading: &WeatherReading,
) -> Vec<u8> {
    let (date, outdoors) = (form_date(second), fahrenheit(reading.temperature));
    let password = password.map_or_else(String::new, |password| {
        format!("&PASSWORD={}", form_value(password))
    });
    format!(
        "ID={station}{password}&action=updateraw&dateutc={date}&indoortempf=70.2&tempf={outdoors}&humidity={:.0}\
         &softwaretype=EasyWeatherV1.6.6",
        reading.humidity
    )
    .into_bytes()
}

/// Returns an uplink event of ChirpStack v4 with what the codec made of it.
pub fn chirpstack(
    application: &str,
    dev_eui: &str,
    second: i64,
    reading: &WeatherReading,
) -> Vec<u8> {
    let time = instant(second, 512_000_000, 3);
    json!({
        "deduplicationId": format!("57433366-50a6-4dc2-8145-{second:012x}"),
        "time": time,
        "deviceInfo": {
            "tenantName": "city",
            "applicationName": application,
            "deviceName": format!("station-{dev_eui}"),
            "devEui": dev_eui,
        },
        "devAddr": "01020304",
        "adr": true,
        "dr": 5,
        "fCnt": 1 + second.rem_euclid(65_535),
        "fPort": 2,
        "confirmed": false,
        "data": BASE64.encode(packed(reading)),
        "object": { "temperature": reading.temperature, "humidity": reading.humidity },
        "rxInfo": [{ "gatewayId": "0a0b0c0d0e0f0102", "gwTime": time, "rssi": -97, "snr": 7.5 }],
        "txInfo": { "frequency": 868_100_000 },
    })
    .to_string()
    .into_bytes()
}

/// Returns an uplink event as ChirpStack v3 sends it: the DevEUI is base64, and what the codec made is a text.
pub fn chirpstack_v3(
    application: &str,
    dev_eui: &str,
    second: i64,
    reading: &WeatherReading,
) -> Vec<u8> {
    let time = instant(second, 512_000_000, 3);
    let eui = u64::from_str_radix(dev_eui, 16).unwrap_or_default();
    let decoded = json!({ "temperature": reading.temperature, "humidity": reading.humidity });
    json!({
        "applicationID": "7",
        "applicationName": application,
        "deviceName": format!("station-{dev_eui}"),
        "devEUI": BASE64.encode(eui.to_be_bytes()),
        "rxInfo": [{ "gatewayID": "CgsMDQ4PAQI=", "time": time, "rssi": -97, "loRaSNR": 7.5 }],
        "txInfo": { "frequency": 868_100_000, "dr": 5 },
        "adr": true,
        "fCnt": 1 + second.rem_euclid(65_535),
        "fPort": 2,
        "data": BASE64.encode(packed(reading)),
        "objectJSON": decoded.to_string(),
        "publishedAt": time,
    })
    .to_string()
    .into_bytes()
}

/// What goes beside the body of [`sensor_community`]: the sensor's pin, header `X-PIN`.
pub const LASER_PIN: &str = "1";

/// Returns the header `X-Sensor` of a box with this chip id.
pub fn x_sensor(chip_id: &str) -> String {
    format!("esp8266-{chip_id}")
}

/// Returns the message of a box's laser counter to api.sensor.community. Box and sensor stand in headers.
pub fn sensor_community(reading: &AirReading) -> Vec<u8> {
    json!({
        "software_version": super::AIRROHR_SOFTWARE,
        "sensordatavalues": [
            { "value_type": "P1", "value": format!("{:.2}", reading.pm10) },
            { "value_type": "P2", "value": format!("{:.2}", reading.pm2_5) },
        ],
    })
    .to_string()
    .into_bytes()
}

#[cfg(test)]
mod tests;
