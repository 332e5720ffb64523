use serde_json::Value;

use super::*;
use crate::messages::testing::{NOON_S, reading};

fn text(body: Vec<u8>) -> String {
    String::from_utf8(body).unwrap()
}

#[test]
fn stations_send_forms_in_imperial_units() {
    let form = text(ecowitt("0A1B", NOON_S, &reading(20.5, 51.0)));
    assert!(form.starts_with("PASSKEY=0A1B&"), "{form}");
    assert!(form.contains("&dateutc=2026-11-20+11:00:00&"), "{form}");
    assert!(form.contains("&tempf=68.9&humidity=51&"), "{form}");

    let query = text(wunderground(
        "ILEUVE1",
        Some("x&y"),
        NOON_S,
        &reading(-10.0, 5.0),
    ));
    assert!(query.starts_with("ID=ILEUVE1&PASSWORD=x%26y&"), "{query}");
    assert!(query.contains("&tempf=14.0&humidity=5&"), "{query}");
    let open = text(wunderground("ILEUVE1", None, NOON_S, &reading(0.0, 5.0)));
    assert!(!open.contains("PASSWORD"), "{open}");
}

#[test]
fn an_uplink_of_chirpstack_carries_the_decoded_object() {
    let body = chirpstack("heat", "0102030405060708", NOON_S, &reading(21.5, 40.0));
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["deviceInfo"]["devEui"], "0102030405060708");
    assert_eq!(body["time"], "2026-11-20T11:00:00.512Z");
    assert_eq!(
        body["object"],
        json!({ "temperature": 21.5, "humidity": 40.0 })
    );
}

#[test]
fn version_3_of_chirpstack_writes_ids_as_base64_and_the_object_as_a_text() {
    let body = chirpstack_v3("heat", "0102030405060708", NOON_S, &reading(21.5, 40.0));
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["devEUI"], "AQIDBAUGBwg=");
    assert_eq!(body["publishedAt"], "2026-11-20T11:00:00.512Z");
    let object: Value = serde_json::from_str(body["objectJSON"].as_str().unwrap()).unwrap();
    assert_eq!(object, json!({ "temperature": 21.5, "humidity": 40.0 }));
}

#[test]
fn a_box_sends_one_sensor_to_sensor_community() {
    let reading = AirReading {
        pm10: 12.3,
        pm2_5: 5.05,
        temperature: 0.0,
        humidity: 0.0,
        pressure_pa: 0.0,
        signal_dbm: -60,
    };
    let body: Value = serde_json::from_slice(&sensor_community(&reading)).unwrap();
    assert_eq!(
        body["sensordatavalues"],
        json!([{ "value_type": "P1", "value": "12.30" }, { "value_type": "P2", "value": "5.05" }])
    );
    assert_eq!(x_sensor("1234567"), "esp8266-1234567");
}
