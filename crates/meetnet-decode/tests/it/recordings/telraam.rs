//! Counts of Telraam: files of Karlsruhe, and samples of every answer of its API.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Float64Type};
use serde_json::Value;

use super::{Tally, decode, decoders, files, folder};

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
