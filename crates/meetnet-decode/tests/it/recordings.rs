//! Real recordings, counted a second way. They are read through `MEETNET_REAL_DATA` and `MEETNET_SAMPLES`, which
//! `.ci/run` sets; without them the tests say so and pass.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use meetnet_decode::{Decoded, Decoders, EnvelopeRef};
use serde_json::Value;

use crate::harness::{self, RECEIVED_AT};

/// Everything that was ever recorded.
const WIDE: &str = "time_window = { back_us = 400000000000000000, ahead_us = 400000000000000000 }";

pub(crate) fn folder(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    if folder.is_none() {
        println!("{variable} is not set: recordings are not tested");
    }
    folder
}

pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no .{extension} in {}", folder.display());
    files
}

pub(crate) fn decoders(declaration: &str) -> Decoders {
    harness::decoders(harness::source(&format!("{declaration}\n{WIDE}")).unwrap()).unwrap()
}

pub(crate) fn decode(decoders: &Decoders, meta: &[(Box<str>, Box<str>)], body: &[u8]) -> Decoded {
    decoders.decode_body(&EnvelopeRef {
        sequence: 1,
        source: "test",
        topic: "",
        meta,
        payload: body,
        received_at: RECEIVED_AT,
        truncated: false,
    })
}

pub(crate) fn reasons(decoded: &Decoded) -> BTreeMap<&'static str, usize> {
    let mut reasons = BTreeMap::new();
    for reject in &decoded.rejects {
        *reasons.entry(reject.reason.as_str()).or_default() += 1;
    }
    reasons
}

/// Count, missing values and sum of a column.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    rows: usize,
    missing: usize,
    sum: f64,
}

impl Tally {
    fn add(&mut self, value: Option<f64>) {
        self.rows += 1;
        match value {
            Some(value) => self.sum += value,
            None => self.missing += 1,
        }
    }
}

#[test]
fn telraam_files_of_karlsruhe() {
    let Some(data) = folder("MEETNET_REAL_DATA") else {
        return;
    };
    let decoders = decoders("format = 'telraam'");
    let mut expected: BTreeMap<String, Tally> = BTreeMap::new();
    let mut found: BTreeMap<String, Tally> = BTreeMap::new();
    for path in files(&data.join("telraam/karlsruhe"), "json") {
        let body = std::fs::read(&path).unwrap();
        let decoded = decode(&decoders, &[], &body);
        assert_eq!(decoded.rejects, [], "{}", path.display());
        let file: Value = serde_json::from_slice(&body).unwrap();
        for row in file["data"].as_array().unwrap() {
            let counts = ["car", "heavy", "bike", "pedestrian", "night"];
            let saw_nothing = row["uptime"].as_f64() == Some(0.0)
                && counts
                    .iter()
                    .all(|name| row[name].as_f64().unwrap_or(0.0) == 0.0);
            for name in counts.into_iter().chain(["car_lft", "night_rgt"]) {
                let value = row[name].as_f64().filter(|_| !saw_nothing);
                expected.entry(name.to_owned()).or_default().add(value);
            }
            expected
                .entry("uptime".to_owned())
                .or_default()
                .add(row["uptime"].as_f64());
            expected
                .entry("v85".to_owned())
                .or_default()
                .add(row["v85"].as_f64());
        }
        for rows in &decoded.rows {
            for (field, column) in rows
                .batch
                .schema()
                .fields()
                .iter()
                .zip(rows.batch.columns())
            {
                if *field.data_type() == DataType::Float64 && expected.contains_key(field.name()) {
                    let tally = found.entry(field.name().clone()).or_default();
                    column
                        .as_primitive::<Float64Type>()
                        .iter()
                        .for_each(|value| tally.add(value));
                }
            }
        }
    }
    assert_eq!(expected["uptime"].rows, 22_910);
    assert_eq!(expected["car"].missing, 7_252);
    assert_eq!(expected["v85"].missing, 13_140);
    for (name, expected) in &expected {
        let found = &found[name];
        assert_eq!(
            (found.rows, found.missing),
            (expected.rows, expected.missing),
            "{name}"
        );
        assert!(
            (found.sum - expected.sum).abs() < 1e-6,
            "{name}: {found:?}, {expected:?}"
        );
    }
}

#[test]
fn telraam_samples() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let decoders = decoders("format = 'telraam'");
    for path in files(&samples.join("telraam"), "json") {
        let body = std::fs::read(&path).unwrap();
        let decoded = decode(&decoders, &[], &body);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let value: Value = serde_json::from_slice(&body).unwrap();
        let is_report = value
            .get("report")
            .is_some_and(|r| r[0].get("uptime").is_some());
        if is_report || value.get("uptime").is_some() {
            let rows = value["report"].as_array().map_or(1, Vec::len);
            assert_eq!(
                (decoded.row_count(), decoded.rejects.len()),
                (rows, 0),
                "{name}"
            );
        } else {
            // Segments that say since when they count are places; everything else is explained.
            let features = value["features"].as_array();
            let places = features.map_or(0, |features| {
                let since = |feature: &&Value| {
                    feature["properties"]["first_data_package"].is_string()
                        && feature["properties"]["oidn"].is_i64()
                };
                features.iter().filter(since).count()
            });
            assert_eq!(decoded.row_count(), places, "{name}");
            let rejects = features.map_or(1, |features| features.len() - places);
            assert_eq!(decoded.rejects.len(), rejects, "{name}");
        }
    }
}

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
}

#[test]
fn the_real_airrohr_message() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let decoders = decoders("format = 'airrohr'");
    let body = std::fs::read(samples.join("sensor_community/airrohr_push_real.json")).unwrap();
    let meta = [("x-sensor".into(), "esp8266-1234567".into())];
    let decoded = decode(&decoders, &meta, &body);
    assert_eq!(decoded.rejects, []);
    let mut values = BTreeMap::new();
    for rows in &decoded.rows {
        let column = |name: &str| {
            let at = rows.declaration.column_index(name).unwrap();
            std::sync::Arc::clone(rows.batch.column(at))
        };
        let (properties, numbers) = (column("property"), column("value"));
        for row in 0..rows.batch.num_rows() {
            let property = properties.as_string::<i32>().value(row).to_owned();
            values.insert(property, numbers.as_primitive::<Float64Type>().value(row));
        }
    }
    let expected = [
        ("air_pressure", 1006.59),
        ("air_temperature", 26.8),
        ("pm10", 1.87),
        ("pm2_5", 1.05),
    ];
    assert_eq!(
        values,
        expected
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    );
    // The sample names no box; without the header nobody knows which it is.
    assert_eq!(
        reasons(&decode(&decoders, &[], &body)),
        BTreeMap::from([("missing_field", 1)])
    );
}

#[test]
fn json_with_a_random_tail_is_one_reject() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    let decoders = decoders(
        "format = 'json'\nsensor_id = { pointer = '/sensor/id' }\n\
         map = [ { dataset = 'air', property = 'pm10', pointer = '/sensordatavalues/0/value' } ]",
    );
    let path = samples.join("sensor_community/invalid_json_random_tail_issue154.json.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let body = text.split_once('\n').unwrap().1;
    let decoded = decode(&decoders, &[], body.as_bytes());
    assert_eq!(decoded.row_count(), 0);
    assert_eq!(reasons(&decoded), BTreeMap::from([("malformed", 1)]));
    assert!(
        decoded.rejects[0].message.contains("line 1 column"),
        "{}",
        decoded.rejects[0].message
    );
}

#[test]
fn generic_mqtt_samples_become_rows_or_rejects() {
    let Some(samples) = folder("MEETNET_SAMPLES") else {
        return;
    };
    for file in files(&samples.join("generic_mqtt"), "txt") {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let Some((topic, body)) = line.split_once(" = ") else {
                continue;
            };
            let body = body.split("   #").next().unwrap_or(body);
            for (name, target) in harness::TARGETS {
                if name != "mapping" {
                    target(body.as_bytes());
                }
            }
            let lenient = decoders(
                "format = 'json'\nlenient = true\ntopics = ['{device...}']\nsensor_id = '{device}'\n\
                 map = [ { dataset = 'heat', property = 'air_temperature', pointer = '/temperature' } ]",
            );
            let made = harness::check(&lenient, topic.trim(), body.trim().as_bytes());
            assert_eq!(made.count(), 1, "{line}");
        }
    }
}

#[test]
fn sensor_community_archive_lines_as_json() {
    let Some(data) = folder("MEETNET_REAL_DATA") else {
        return;
    };
    let decoders = decoders(
        "format = 'json'\nnamespace = 'sc'\nsensor_id = { pointer = '/sensor_id' }\n\
         time = { pointer = '/timestamp', format = 'rfc3339', zone = 'UTC' }\n\
         map = [ { dataset = 'air', property = 'pm10', pointer = '/P1', unit = 'ug/m3' },\n\
         { dataset = 'air', property = 'pm2_5', pointer = '/P2', unit = 'ug/m3' } ]",
    );
    let mut group = decoders.group();
    let (mut expected, mut lines_without_values) = (Tally::default(), 0);
    for path in files(&data.join("sensor_community/archive_csv"), "csv") {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap().split(';').collect();
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let record: BTreeMap<&str, &str> =
                header.iter().copied().zip(line.split(';')).collect();
            let values =
                ["P1", "P2"].map(|name| record.get(name).and_then(|v| v.parse::<f64>().ok()));
            values
                .into_iter()
                .flatten()
                .for_each(|value| expected.add(Some(value)));
            lines_without_values += usize::from(values == [None, None]);
            let body = serde_json::to_vec(&record).unwrap();
            decoders.decode(
                0,
                &EnvelopeRef {
                    sequence: 1,
                    source: "test",
                    topic: "",
                    meta: &[],
                    payload: &body,
                    received_at: RECEIVED_AT,
                    truncated: false,
                },
                &mut group,
            );
        }
    }
    let decoded = group.take();
    let rows = &decoded.rows[0];
    let mut found = Tally::default();
    let column = rows
        .batch
        .column(rows.declaration.column_index("value").unwrap());
    column
        .as_primitive::<Float64Type>()
        .iter()
        .for_each(|value| found.add(value));
    println!("{found:?}, {:?}", reasons(&decoded));
    assert_eq!(column.null_count(), 0);
    assert_eq!((found.rows, found.missing), (expected.rows, 0));
    assert!(
        (found.sum - expected.sum).abs() < 1e-3,
        "{found:?}, {expected:?}"
    );
    assert_eq!(decoded.rejects.len(), lines_without_values);
}

/// Property, time, value and interval of every row of a long dataset.
fn long_rows(decoded: &Decoded) -> Vec<(String, String, i64, f64, Option<i64>)> {
    let mut found = Vec::new();
    for rows in &decoded.rows {
        let column = |name: &str| {
            let at = rows.declaration.column_index(name).unwrap();
            std::sync::Arc::clone(rows.batch.column(at))
        };
        let (sensors, properties, times, values, intervals) = (
            column("sensor_id"),
            column("property"),
            column("time"),
            column("value"),
            column("interval_s"),
        );
        let intervals = intervals.as_primitive::<Int64Type>();
        for row in 0..rows.batch.num_rows() {
            found.push((
                sensors.as_string::<i32>().value(row).to_owned(),
                properties.as_string::<i32>().value(row).to_owned(),
                times.as_primitive::<TimestampMicrosecondType>().value(row),
                values.as_primitive::<Float64Type>().value(row),
                intervals.is_valid(row).then(|| intervals.value(row)),
            ));
        }
    }
    found
}

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

#[test]
fn sensor_community_archive_as_csv() {
    let Some(data) = folder("MEETNET_REAL_DATA") else {
        return;
    };
    let decoders = decoders(
        "format = 'csv'\ncsv = { delimiter = ';' }\nnamespace = 'sc'\nsensor_id = { field = 'sensor_id' }\n\
         time = { field = 'timestamp', format = 'rfc3339', zone = 'UTC' }\n\
         map = [ { dataset = 'air', property = 'pm10', field = 'P1' },\n\
         { dataset = 'air', property = 'pm2_5', field = 'P2' } ]",
    );
    let (mut expected, mut found) = (Tally::default(), Tally::default());
    let (mut cut, mut rejects) = (0, BTreeMap::new());
    for path in files(&data.join("sensor_community/archive_csv"), "csv") {
        let text = std::fs::read_to_string(&path).unwrap();
        // Counted by splitting lines: no cell of the archive is quoted.
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap().split(';').collect();
        let column = |name| header.iter().position(|found| *found == name).unwrap();
        let columns = [column("P1"), column("P2")];
        for line in lines.filter(|line| !line.is_empty()) {
            let cells: Vec<&str> = line.split(';').collect();
            if cells.len() != header.len() {
                cut += 1;
                continue;
            }
            for at in columns {
                if let Ok(value) = cells[at].parse() {
                    expected.add(Some(value));
                }
            }
        }
        let decoded = decode(&decoders, &[], text.as_bytes());
        for (_, _, _, value, _) in long_rows(&decoded) {
            found.add(Some(value));
        }
        for (reason, count) in reasons(&decoded) {
            *rejects.entry(reason).or_insert(0) += count;
        }
    }
    assert_eq!(found.rows, expected.rows);
    assert!(
        (found.sum - expected.sum).abs() < 1e-3,
        "{found:?}, {expected:?}"
    );
    assert_eq!((rejects, cut), (BTreeMap::from([("malformed", 1)]), 1));
}
