//! Readings in the formats of standards: SenML (RFC 8428), OGC SensorThings 1.1, NGSIv2 and NGSI-LD notifications.

use serde_json::{Value, json};

use super::instant;
use crate::sensors::WeatherReading;

/// Id of the datastream of air temperatures, °C, in [`sensorthings`].
pub const TEMPERATURE_DATASTREAM: i64 = 1;

fn bytes(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

/// Returns a SenML pack: temperature in the base unit, humidity in its own, both at the base time.
pub fn senml(station: &str, second: i64, reading: &WeatherReading) -> Vec<u8> {
    bytes(&json!([
        { "bn": format!("{station}:"), "bt": second, "bu": "Cel", "n": "temperature", "v": reading.temperature },
        { "n": "humidity", "u": "%RH", "v": reading.humidity },
    ]))
}

/// Returns one observation of the datastream [`TEMPERATURE_DATASTREAM`]; the station is among its parameters.
pub fn sensorthings(station: &str, second: i64, celsius: f64) -> Vec<u8> {
    bytes(&json!({
        "phenomenonTime": instant(second, 0, 3),
        "result": celsius,
        "Datastream": { "@iot.id": TEMPERATURE_DATASTREAM },
        "parameters": { "station": station },
    }))
}

/// Returns an NGSIv2 notification (`normalized`) of one `AirQualityObserved`: temperature, and PM2.5 in µg/m³.
pub fn ngsi_v2(station: &str, second: i64, celsius: f64, pm2_5: f64) -> Vec<u8> {
    bytes(&json!({
        "subscriptionId": "5f0c2a7e9b1d4c0001a2b3c4",
        "data": [{
            "id": format!("urn:ngsi-ld:AirQualityObserved:{station}"),
            "type": "AirQualityObserved",
            "dateObserved": { "type": "DateTime", "value": instant(second, 0, 0), "metadata": {} },
            "temperature": { "type": "Number", "value": celsius, "metadata": {} },
            "pm25": {
                "type": "Number",
                "value": pm2_5,
                "metadata": { "unitCode": { "type": "Text", "value": "GQ" } },
            },
        }],
    }))
}

/// Returns the same as [`ngsi_v2`] in `keyValues`: attributes are bare values, and no unit stands beside them.
pub fn ngsi_key_values(station: &str, second: i64, celsius: f64, pm2_5: f64) -> Vec<u8> {
    bytes(&json!({
        "subscriptionId": "5f0c2a7e9b1d4c0001a2b3c4",
        "data": [{
            "id": format!("urn:ngsi-ld:AirQualityObserved:{station}"),
            "type": "AirQualityObserved",
            "dateObserved": instant(second, 0, 0),
            "temperature": celsius,
            "pm25": pm2_5,
        }],
    }))
}

/// Returns an NGSI-LD notification of one `WeatherObserved`: temperature, and humidity as a share of 1.
pub fn ngsi_ld(station: &str, second: i64, reading: &WeatherReading) -> Vec<u8> {
    // Whole percents as hundredths: the division leaves the nearest number to two decimals.
    let share = reading.humidity.round() / 100.0;
    bytes(&json!({
        "id": "urn:ngsi-ld:Notification:5f0c2a7e9b1d4c0001a2b3c4",
        "type": "Notification",
        "subscriptionId": "urn:ngsi-ld:Subscription:weather",
        "notifiedAt": instant(second, 0, 3),
        "data": [{
            "id": format!("urn:ngsi-ld:WeatherObserved:{station}"),
            "type": "WeatherObserved",
            "dateObserved": {
                "type": "Property",
                "value": { "@type": "DateTime", "@value": instant(second, 0, 3) },
            },
            "temperature": { "type": "Property", "value": reading.temperature, "unitCode": "CEL" },
            "relativeHumidity": { "type": "Property", "value": share },
        }],
    }))
}

#[cfg(test)]
mod tests;
