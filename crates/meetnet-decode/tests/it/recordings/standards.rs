//! Examples that standards publish: SenML, SensorThings, and the data models of FIWARE.

use std::collections::BTreeMap;

use meetnet_decode::EnvelopeRef;
use serde_json::Value;

use super::{decode, decoders, files, folder, long_rows, reasons};
use crate::harness::RECEIVED_AT;

/// 2015-01-01T00:00:00Z in µs.
const CLOCKS_ARE_SET_FROM: i64 = 1_420_070_400_000_000;

#[test]
fn senml_examples_resolve_as_the_standard_says() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let decoders = decoders(
        "format = 'senml'\n\
         map = [ { dataset = 'heat', property = 'air_temperature', field = '' } ]",
    );
    let mut compared = 0;
    for path in files(&samples.join("senml"), "json") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let decoded = decode(&decoders, &[], &std::fs::read(&path).unwrap());
        if name.starts_with("ex12") {
            // It is of 2011, and has no resolution to compare with.
            assert_eq!(
                reasons(&decoded),
                BTreeMap::from([("bad_time", 2)]),
                "{name}"
            );
            continue;
        }
        let stem = name.split('.').next().unwrap();
        let resolved = samples
            .join("senml")
            .join(format!("{stem}.gen.resolved.json"));
        let resolved: Value = serde_json::from_slice(&std::fs::read(resolved).unwrap()).unwrap();
        let expected: Vec<(i64, f64)> = resolved
            .as_array()
            .unwrap()
            .iter()
            .map(|record| {
                // The first example has no time, so its resolution has the time at which it was resolved.
                let time = record["t"].as_f64().unwrap() * 1e6;
                let time = if stem == "ex1" && !name.contains("resolved") {
                    RECEIVED_AT
                } else {
                    time as i64
                };
                (time, record["v"].as_f64().unwrap())
            })
            .collect();
        let found: Vec<(i64, f64)> = long_rows(&decoded)
            .into_iter()
            .map(|(_, _, time, value, _)| (time, value))
            .collect();
        // Times before 2015 say that a clock was not set; some examples are of 2010 and 2011.
        let (expected, early): (Vec<_>, Vec<_>) = expected
            .into_iter()
            .partition(|(time, _)| *time >= CLOCKS_ARE_SET_FROM);
        let mut rejected = BTreeMap::new();
        if !early.is_empty() {
            rejected.insert("bad_time", early.len());
        }
        assert_eq!((found, reasons(&decoded)), (expected, rejected), "{name}");
        compared += 1;
    }
    assert!(compared >= 9, "{compared} examples");
}

#[test]
fn sensorthings_samples() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let decoders = decoders(
        "format = 'sensorthings'\n\
         map = [ { dataset = 'heat', property = 'air_temperature', field = '1' } ]",
    );
    let body = std::fs::read(samples.join("sensorthings/create_observation_http.json")).unwrap();
    let expected: Value = serde_json::from_slice(&body).unwrap();
    let decoded = decode(&decoders, &[], &body);
    let rows = long_rows(&decoded);
    assert_eq!((rows.len(), decoded.rejects.len()), (1, 0));
    // 2015-02-05T17:00:00Z
    assert_eq!(
        (rows[0].2, Some(rows[0].3)),
        (1_423_155_600_000_000, expected["result"].as_f64())
    );
    // A published recording whose member is misspelled: it is not given the time at which it came.
    let text = std::fs::read_to_string(
        samples.join("sensorthings/hexoskin-observation-creation-via-mqtt.txt"),
    )
    .unwrap();
    let body = &text[text.find('{').unwrap()..];
    let body = body.find("{\n").map_or(body, |at| &body[at..]);
    let decoded = decoders.decode_body(&EnvelopeRef {
        sequence: 1,
        source: "test",
        topic: "v1.0/Datastreams(1)/Observations",
        meta: &[],
        payload: body.as_bytes(),
        received_at: RECEIVED_AT,
        truncated: false,
    });
    assert_eq!(
        (decoded.row_count(), reasons(&decoded)),
        (0, BTreeMap::from([("unexpected_shape", 1)]))
    );
    assert!(decoded.rejects[0].message.contains("phenonmenonTime"));
}

#[test]
fn fiware_examples_become_what_their_attributes_say() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let zoned = decoders(
        "format = 'ngsi'\ntime = { field = 'dateObserved', format = 'rfc3339', zone = 'UTC' }",
    );
    let plain = decoders("format = 'ngsi'");
    let folder = samples.join("fiware");
    let mut paths = files(&folder, "json");
    paths.extend(files(&folder, "jsonld"));
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let body = std::fs::read(&path).unwrap();
        let entity: Value = serde_json::from_slice(&body).unwrap();
        let decoded = decode(&zoned, &[], &body);
        if name.starts_with("Traffic") || name.starts_with("Waste") {
            let reason = if name.starts_with("Traffic") {
                "unknown_place"
            } else {
                "no_mapped_value"
            };
            assert_eq!(reasons(&decoded), BTreeMap::from([(reason, 1)]), "{name}");
            continue;
        }
        // Read a second way: the value of an attribute, wherever it is, in the unit that the model or a code says.
        let value = |attribute: &str| {
            let of = &entity[attribute];
            of.as_f64().or_else(|| of["value"].as_f64())
        };
        let weather = name.starts_with("Weather");
        let mut expected = BTreeMap::new();
        for (attribute, property, factor) in [
            ("temperature", "air_temperature", 1.0),
            ("relativeHumidity", "relative_humidity", 100.0),
            ("windSpeed", "wind_speed", 1.0),
            ("windDirection", "wind_direction", 1.0),
            ("atmosphericPressure", "air_pressure", 1.0),
            ("precipitation", "rainfall", 1.0),
            ("pm4", "pm4", 1.0),
            ("no", "no", 1.0),
            ("no2", "no2", 1.0),
            ("co2", "co2", 1.0),
            ("so2", "so2", 1.0),
            ("co", "co", 1.0),
        ] {
            let is_of_model = weather != property.starts_with(['p', 'n', 'c', 's'])
                && (weather || attribute != "precipitation");
            let is_shared = [
                "temperature",
                "relativeHumidity",
                "windSpeed",
                "windDirection",
            ];
            if let Some(value) = value(attribute)
                && (is_of_model || is_shared.contains(&attribute))
            {
                expected.insert(property.to_owned(), (value * factor * 1e9).round() / 1e9);
            }
        }
        let found: BTreeMap<String, f64> = long_rows(&decoded)
            .into_iter()
            .map(|(_, property, _, value, _)| (property, value))
            .collect();
        assert_eq!((found, decoded.rejects.len()), (expected, 0), "{name}");
        let strict = decode(&plain, &[], &body);
        if weather {
            assert_eq!(strict.row_count(), decoded.row_count(), "{name}");
        } else {
            // The published examples have no zone.
            assert_eq!(
                reasons(&strict),
                BTreeMap::from([("bad_time", 1)]),
                "{name}"
            );
        }
        let sensors = long_rows(&decoded);
        assert!(sensors.iter().all(|row| !row.0.contains("2016-")), "{name}");
    }
}
