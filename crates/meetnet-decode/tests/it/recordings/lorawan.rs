//! Uplinks of LoRaWAN network servers: The Things Stack and ChirpStack.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use serde_json::Value;

use super::{Tally, decode, decoders, folder, reasons};
use crate::harness;

#[test]
fn every_things_stack_uplink_is_an_explained_reject() {
    let Some(data) = folder("MEETNET_REAL_DATA") else {
        return;
    };
    let decoders = decoders(
        "format = 'tts-v3'\n\
         map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/temperature' } ]",
    );
    let lines =
        std::fs::read_to_string(data.join("lorawan/thingsboard_ThingsStackCommunity.jsonl"))
            .unwrap();
    let mut uplinks = 0;
    for line in lines.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let decoded = decode(&decoders, &[], record["payload"].to_string().as_bytes());
        assert_eq!(
            reasons(&decoded),
            BTreeMap::from([("no_decoded_payload", 1)])
        );
        assert!(decoded.rejects[0].message.contains("payload formatter"));
        uplinks += 1;
    }
    assert_eq!(uplinks, 263);
}

#[test]
fn every_chirpstack_message_is_a_row_or_says_why_not() {
    let Some(data) = folder("MEETNET_REAL_DATA") else {
        return;
    };
    let decoders = decoders(
        "format = 'chirpstack-v4'\n\
         map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/temperatureSensor' },\n\
         { dataset = 'heat', property = 'relative_humidity', pointer = '/humiditySensor' } ]",
    );
    let lines = std::fs::read_to_string(data.join("lorawan/thingsboard_ChirpStack.jsonl")).unwrap();
    // Counted from the fields alone: 112 have the shape of v3 and a decoded payload, one is a status.
    let (mut expected, mut found) = (BTreeMap::new(), BTreeMap::new());
    let (mut values, mut sum) = (Tally::default(), Tally::default());
    for line in lines.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let payload = &record["payload"];
        let outcome = match payload["objectJSON"].as_str() {
            Some(object) => {
                let object: Value = serde_json::from_str(object).unwrap();
                for name in ["temperatureSensor", "humiditySensor"] {
                    values.add(object[name].as_f64());
                }
                "rows"
            }
            None if payload.get("data").is_some() => "no_decoded_payload",
            None => "ignored",
        };
        *expected.entry(outcome).or_insert(0) += 1;
        let body = payload.to_string();
        let made = harness::check(&decoders, "", body.as_bytes());
        let decoded = decode(&decoders, &[], body.as_bytes());
        let outcome = match (made.rows, made.rejects, made.ignored) {
            (2, 0, 0) => "rows",
            (0, 1, 0) => decoded.rejects[0].reason.as_str(),
            (0, 0, 1) => "ignored",
            other => panic!("{other:?}: {body}"),
        };
        *found.entry(outcome).or_insert(0) += 1;
        for rows in &decoded.rows {
            let column = rows.declaration.column_index("value").unwrap();
            let column = rows.batch.column(column).as_primitive::<Float64Type>();
            column.iter().for_each(|value| sum.add(value));
        }
    }
    assert_eq!(found, expected);
    assert_eq!(sum, values);
    assert_eq!(
        expected,
        BTreeMap::from([("rows", 112), ("no_decoded_payload", 276), ("ignored", 1)])
    );
}

#[test]
fn things_stack_samples() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let decoders = decoders(
        "format = 'tts-v3'\n\
         map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/temperature_1' },\n\
         { dataset = 'heat', property = 'air_pressure', pointer = '/barometric_pressure_1' },\n\
         { dataset = 'heat', property = 'relative_humidity', pointer = '/relative_humidity_1' } ]",
    );
    let read = |name: &str| std::fs::read(samples.join("lorawan").join(name)).unwrap();
    // No f_cnt, and a humidity of 0 that is a value.
    let decoded = decode(
        &decoders,
        &[],
        &read("osem_TTNv3payload_cayennelpp_valid.json"),
    );
    assert_eq!((decoded.row_count(), decoded.rejects.len()), (3, 0));
    let decoded = decode(&decoders, &[], &read("AM107_ThingsStackCommunity.json"));
    assert_eq!(
        reasons(&decoded),
        BTreeMap::from([("no_decoded_payload", 1)])
    );
    // The same device at the other network server, without a codec there, too.
    let chirpstack = super::decoders(
        "format = 'chirpstack-v4'\n\
         map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/temperature' } ]",
    );
    let decoded = decode(&chirpstack, &[], &read("AM107_ChirpStack.json"));
    assert_eq!(
        reasons(&decoded),
        BTreeMap::from([("no_decoded_payload", 1)])
    );
}
