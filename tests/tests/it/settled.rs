//! The spike and neighbour tests of the settle pass against numpy, row by row, over generated series and over recordings.

use std::fmt::Write as _;
use std::fs;

use meetnet_model::calendar::SECOND_US;
use meetnet_model::schemas;
use meetnet_quality::settle::WholeTests;
use meetnet_tests::daemon::Installation;
use meetnet_tests::{python, recordings};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::gathered::with_archive;
use crate::quality::SOURCES;

/// 2026-04-01.
const BEGIN_S: i64 = 1_775_001_600;
const DAYS: i64 = 5;
/// Longitude and latitude of the sensors, on the publication grid. The last one but one is far from all others, the last has
/// no place.
const SENSORS: [Option<(f64, f64)>; 9] = [
    Some((4.701, 50.88)),
    Some((4.7025, 50.881)),
    Some((4.7055, 50.878)),
    Some((4.6995, 50.876)),
    Some((4.7085, 50.883)),
    Some((4.6935, 50.879)),
    Some((4.701, 50.886)),
    Some((4.8, 50.95)),
    None,
];

/// Settles everything, and sees that numpy finds each row flagged as it should be. Returns how many rows it looked at, and how
/// often each test gave each flag.
fn settle(installation: &Installation, asked: &Value) -> (u64, Value) {
    installation.succeed(&["quality", "settle"]).unwrap();
    let file = installation.folder().join("tests.json");
    fs::write(&file, asked.to_string()).unwrap();
    let lake = installation.lake();
    let answer = python::run("settled.py", &[lake.as_path(), file.as_path()]).unwrap();
    assert_eq!(answer["wrong"], json!([]), "{answer:#}");
    let rows = answer["rows"].as_u64().unwrap();
    let found = answer["found"].clone();
    println!("{rows} rows: {found}");
    // Each test has said something of some rows, good and bad, and nothing of others.
    for test in ["spike", "neighbour"] {
        for flag in ["1", "2", "3", "4"] {
            let count = found[test][flag].as_u64().unwrap_or(0);
            assert!(count > 0, "{test} never gives {flag}: {found}");
        }
    }
    (rows, found)
}

/// Temperatures of the sensors, about alike, with outliers of one sensor and of one value.
fn temperatures(random: &mut StdRng) -> (String, u64) {
    let mut lines = String::new();
    let mut count = 0;
    for sensor in 0..SENSORS.len() {
        let mut drift = 0.0;
        for step in 0..DAYS * 144 {
            match random.random_range(0..60) {
                0 => drift = f64::from(random.random_range(-160_i32..160)) / 16.0,
                1..4 => drift = 0.0,
                4..8 => continue,
                _ => {}
            }
            let outlier = match random.random_range(0..25) {
                0 => f64::from(random.random_range(-200_i32..200)) / 16.0,
                _ => 0.0,
            };
            // It gets warmer until noon; that is the same for all.
            let noon = (step % 144 - 72).abs() / 9;
            let noise = f64::from(random.random_range(0_i32..12)) / 16.0;
            let t = 12.0 - f64::from(noon as i32) + noise + drift + outlier;
            let ts = BEGIN_S + step * 600 + random.random_range(0..600);
            writeln!(lines, "{{\"id\":\"{sensor}\",\"ts\":{ts},\"t\":{t}}}").unwrap();
            count += 1;
        }
    }
    (lines, count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spikes_and_neighbours_are_those_of_numpy() {
    if !python::has_packages(&["deltalake", "numpy", "pandas"]) {
        return;
    }
    let seed = std::env::var("MEETNET_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("MEETNET_SEED={seed}");
    let mut source = SOURCES.to_owned();
    for (sensor, place) in SENSORS.iter().enumerate() {
        if let Some((longitude, latitude)) = place {
            write!(
                source,
                "[[source.device]]\nid = \"{sensor}\"\nsince = \"2020-01-01\"\nlongitude = {longitude:?}\n\
                 latitude = {latitude:?}\n"
            )
            .unwrap();
        }
    }
    let installation = Installation::new("", &source).unwrap();
    let (lines, sent) = temperatures(&mut StdRng::seed_from_u64(seed));
    let file = installation.folder().join("history.ndjson");
    fs::write(&file, lines).unwrap();
    installation
        .succeed(&["import", "json", file.to_str().unwrap()])
        .unwrap();
    // Who starts says where the devices stand.
    let daemon = installation.start().await.unwrap();
    installation
        .wait_for("SELECT count(*) FROM stations", 8)
        .await
        .unwrap();
    daemon.stop().unwrap();

    let declarations = schemas::builtin().into_declarations([]);
    let property = declarations.property("heat", "air_temperature").unwrap();
    let tests = &property.tests;
    let reach = WholeTests::new(tests).unwrap().reach_us() / SECOND_US;
    let limits = json!({ "reach_s": reach, "spike": tests.spike, "neighbour": tests.neighbour });
    let asked = json!({ "dataset": "heat", "properties": { "air_temperature": limits } });
    let (rows, found) = settle(&installation, &asked);
    assert_eq!(rows, sent);
    // Of one sensor nobody knows where it is, and one has nobody around it.
    let untold = found["neighbour"]["2"].as_u64().unwrap();
    assert!(untold >= 2 * sent / 10, "{untold} of {sent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spikes_and_neighbours_of_recordings_are_those_of_numpy() {
    let Some(data) = recordings("MEETNET_REAL_DATA") else {
        return;
    };
    if !python::has_packages(&["deltalake", "numpy", "pandas"]) {
        return;
    }
    // What ships declares neither test for dust; the recordings are of nothing else.
    let declared = r#"
[[property]]
name = "pm10"
dataset = "air"
unit = "ug/m3"
iri = "http://dd.eionet.europa.eu/vocabulary/aq/pollutant/5"
range = [-5, 2000]
title = { nl = "PM10", en = "PM10", fr = "PM10" }
[property.tests]
spike = { suspect = 5, fail = 25 }
neighbour = { radius_m = 5000, neighbours_min = 3, deviation_min = 2, suspect = 3, fail = 8 }
"#;
    let installation = with_archive(&data, |archive| {
        let source = format!("[schemas]\ndir = \"declarations\"\n{archive}");
        let installation = Installation::new("", &source).unwrap();
        let folder = installation.folder().join("declarations");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("dust.toml"), declared).unwrap();
        installation
    })
    .await;
    let asked = json!({ "dataset": "air", "properties": { "pm10": {
        "reach_s": 86_400,
        "spike": { "suspect": 5, "fail": 25 },
        "neighbour": {
            "radius_m": 5_000, "neighbours_min": 3, "deviation_min": 2, "suspect": 3, "fail": 8,
        },
    } } });
    let (rows, _) = settle(&installation, &asked);
    let stored = installation
        .sql_on_files("SELECT count(*) FROM air")
        .unwrap();
    assert_eq!(stored[0][0], rows);
}
