use super::*;
use crate::messages::testing::{NOON_S, reading};

fn check(body: &[u8], expected: &Value) {
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(&body, expected);
}

#[test]
fn a_senml_pack_has_base_fields_and_records() {
    check(
        &senml("roof-3", NOON_S, &reading(21.5, 40.0)),
        &json!([
            { "bn": "roof-3:", "bt": NOON_S, "bu": "Cel", "n": "temperature", "v": 21.5 },
            { "n": "humidity", "u": "%RH", "v": 40.0 },
        ]),
    );
}

#[test]
fn an_observation_names_its_datastream() {
    check(
        &sensorthings("roof", NOON_S, 21.5),
        &json!({
            "phenomenonTime": "2026-11-20T11:00:00.000Z", "result": 21.5,
            "Datastream": { "@iot.id": 1 }, "parameters": { "station": "roof" },
        }),
    );
}

#[test]
fn context_brokers_write_attributes_in_three_ways() {
    let v2: Value = serde_json::from_slice(&ngsi_v2("roof", NOON_S, 21.5, 7.25)).unwrap();
    let entity = &v2["data"][0];
    assert_eq!(entity["id"], "urn:ngsi-ld:AirQualityObserved:roof");
    assert_eq!(entity["dateObserved"]["value"], "2026-11-20T11:00:00Z");
    assert_eq!(entity["pm25"]["value"], 7.25);
    assert_eq!(entity["pm25"]["metadata"]["unitCode"]["value"], "GQ");

    let bare: Value = serde_json::from_slice(&ngsi_key_values("roof", NOON_S, 21.5, 7.25)).unwrap();
    let entity = &bare["data"][0];
    assert_eq!(entity["id"], "urn:ngsi-ld:AirQualityObserved:roof");
    assert_eq!(entity["dateObserved"], "2026-11-20T11:00:00Z");
    assert_eq!(
        (&entity["temperature"], &entity["pm25"]),
        (&json!(21.5), &json!(7.25))
    );

    let ld: Value = serde_json::from_slice(&ngsi_ld("roof", NOON_S, &reading(21.5, 48.0))).unwrap();
    assert_eq!(ld["type"], "Notification");
    let entity = &ld["data"][0];
    assert_eq!(
        entity["dateObserved"]["value"]["@value"],
        "2026-11-20T11:00:00.000Z"
    );
    assert_eq!(entity["temperature"]["unitCode"], "CEL");
    assert_eq!(entity["relativeHumidity"]["value"], 0.48);
}
