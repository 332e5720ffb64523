//! A dataset by declaration alone: a folder of TOML files adds it, a wrong file or a forbidden change stops the start.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::Path;

use meetnet_tests::daemon::Installation;
use serde_json::json;

const WATER: &str = r#"
id = "water"
version = 1
kind = "long"
grain = "month"
key = ["sensor_id", "property", "time"]
title = { nl = "Water", en = "Water", fr = "Eau" }
description = { nl = "Waterkwaliteit in de Dijle.", en = "Water quality in the Dyle.", fr = "La Dyle." }
[[column]]
name = "sensor_id"
type = "text"
required = true
[[column]]
name = "property"
type = "text"
required = true
[[column]]
name = "time"
type = "timestamp"
required = true
[[column]]
name = "value"
type = "float"
"#;

const PROPERTIES: &str = r#"
[[property]]
name = "water_temperature"
dataset = "water"
unit = "Cel"
iri = "http://vocab.nerc.ac.uk/standard_name/water_temperature/"
range = [-2, 40]
title = { nl = "Watertemperatuur", en = "Water temperature", fr = "Température de l'eau" }
"#;

const SOURCE: &str = r#"
[schemas]
dir = "declarations"

[[source]]
id = "buoy"
kind = "http"
format = "json"
sensor_id = { pointer = "/id" }
token = { env = "MEETNET_TEST_TOKEN" }
licence = "CC0-1.0"
map = [{ dataset = "water", property = "water_temperature", pointer = "/t", unit = "[degF]" }]
"#;

fn installation(files: &[(&str, &str)]) -> Installation {
    let installation = Installation::new("", SOURCE).unwrap();
    write(&installation.folder().join("declarations"), files);
    installation
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
}

/// Length and hash of each file of a folder, by name; not of the lock, which names the process that took it last.
fn content(folder: &Path) -> BTreeMap<OsString, (usize, u64)> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file() && entry.file_name() != "lock")
        .map(|entry| {
            let bytes = fs::read(entry.path()).unwrap();
            let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&bytes);
            (entry.file_name(), (bytes.len(), hash))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_dataset_is_one_file() {
    let files = [("water.toml", WATER), ("properties.toml", PROPERTIES)];
    let installation = installation(&files);
    let daemon = installation.start().await.unwrap();
    for (body, status) in [
        (json!({ "id": "dijle", "t": 50 }), 204),
        (json!({ "id": "dijle" }), 400),
    ] {
        let answer = installation
            .push("buoy", body.to_string().into_bytes(), &[])
            .await
            .unwrap();
        assert_eq!(answer.0, status, "{answer:?}");
    }
    let rows = installation
        .sql("SELECT sensor_id, property, value, quality, licence FROM water")
        .await
        .unwrap();
    assert_eq!(
        rows,
        [[
            json!("buoy-dijle"),
            json!("water_temperature"),
            json!(10.0),
            json!(1),
            json!("CC0-1.0")
        ]]
    );
    daemon.stop().unwrap();
    // The table keeps the declaration it was made with: its key may not change.
    let changed = WATER.replace("grain = \"month\"", "grain = \"day\"");
    write(
        &installation.folder().join("declarations"),
        &[("water.toml", &changed)],
    );
    let journal = installation.folder().join("journal");
    let before = content(&journal);
    let output = installation.run(&["run"]).unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains("water") && message.contains("grain"),
        "{message}"
    );
    // The journal did not take it either: it says how what follows it is decoded.
    assert_eq!(content(&journal), before);
    // A new nullable column and other texts may.
    let grown = format!("{WATER}\n[[column]]\nname = \"depth\"\ntype = \"float\"\nunit = \"cm\"\n")
        .replace("version = 1", "version = 2");
    write(
        &installation.folder().join("declarations"),
        &[("water.toml", &grown)],
    );
    let daemon = installation.start().await.unwrap();
    let rows = installation
        .sql("SELECT value, depth FROM water")
        .await
        .unwrap();
    assert_eq!(rows, [[json!(10.0), json!(null)]]);
    daemon.stop().unwrap();
}

#[test]
fn a_wrong_declaration_stops_the_start_and_says_where() {
    let check = |from: &str, to: &str, expect: &[&str]| {
        let text = WATER.replacen(from, to, 1);
        assert_ne!(text, WATER, "{from}");
        let installation = installation(&[("water.toml", &text), ("properties.toml", PROPERTIES)]);
        for command in [&["config", "check"][..], &["run"][..]] {
            let output = installation.run(command).unwrap();
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(
                output.status.code(),
                Some(2),
                "{command:?}, {to}: {message}"
            );
            for part in expect {
                assert!(
                    message.contains(part),
                    "{command:?}: `{part}` is not in\n{message}"
                );
            }
        }
    };
    check(
        "type = \"float\"",
        "type = \"decimal\"",
        &["water.toml:23", "decimal"],
    );
    check(
        "\"property\", \"time\"]",
        "\"propertie\", \"time\"]",
        &["water.toml:6", "propertie"],
    );
    check("nl = \"Water\", ", "", &["water.toml:7", "nl"]);
    check(
        "id = \"water\"",
        "id = \"Water\"",
        &["water.toml:2", "Water"],
    );
    check(
        "name = \"value\"",
        "name = \"property\"",
        &["water.toml", "property"],
    );
}
