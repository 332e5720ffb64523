//! A dataset by declaration alone: a folder of TOML files adds it, a wrong file or a forbidden change stops the start.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::Path;
use std::time::{Duration, Instant};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_property_in_another_unit_stops_the_start_and_is_refused_while_the_daemon_runs() {
    let files = [("water.toml", WATER), ("properties.toml", PROPERTIES)];
    let installation = installation(&files);
    let declare = |properties: &str| {
        let folder = installation.folder().join("declarations");
        write(&folder, &[("properties.toml", properties)]);
    };
    // Values that are stored so far are degrees Celsius.
    let in_kelvin = PROPERTIES
        .replace("unit = \"Cel\"", "unit = \"K\"")
        .replace("[-2, 40]", "[271, 313]");
    let said = "dataset `water`: the unit of property `water_temperature` changed from Cel to K; undo it, or declare a \
                property of another name";
    let daemon = installation.start().await.unwrap();
    let push = async |t: i64| {
        let body = json!({ "id": "dijle", "t": t }).to_string().into_bytes();
        installation.push("buoy", body, &[]).await.unwrap()
    };
    assert_eq!(push(50).await.0, 204);

    declare(&in_kelvin);
    daemon.ask_to_reload().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !installation.log().contains(said) {
        assert!(Instant::now() < deadline, "{}", installation.log_tail());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = "configuration refused: the one before stays in force";
    assert!(installation.log().contains(refused));
    // The old one is in force: 68 °F are 20 °C.
    assert_eq!(push(68).await.0, 204);
    let values = "SELECT value FROM water ORDER BY value";
    let expect = [[json!(10.0)], [json!(20.0)]];
    assert_eq!(installation.sql(values).await.unwrap(), expect);
    daemon.stop().unwrap();

    // A start and a separate reader are stopped, and nothing is written. The check of the files alone asks no table.
    let journal = installation.folder().join("journal");
    let before = content(&journal);
    for role in ["run", "ingest", "serve"] {
        let output = installation.run(&[role]).unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{role}: {message}");
        assert!(message.contains(said), "{role}: {message}");
        assert_eq!(content(&journal), before, "{role}");
    }
    installation.succeed(&["config", "check"]).unwrap();

    // Gone and come back, it is still what the stored rows are in; under another name, it may be what it likes.
    let other = PROPERTIES.replace("water_temperature", "surface_temperature");
    declare(&other);
    let source = installation.folder().join("meetnet.toml");
    let text = fs::read_to_string(&source).unwrap();
    let renamed = text.replace("water_temperature", "surface_temperature");
    fs::write(&source, renamed).unwrap();
    let daemon = installation.start().await.unwrap();
    assert_eq!(push(86).await.0, 204);
    daemon.stop().unwrap();
    declare(&format!("{other}\n{in_kelvin}"));
    let output = installation.run(&["run"]).unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains(said), "{message}");
    declare(&format!("{other}\n{PROPERTIES}"));
    let daemon = installation.start().await.unwrap();
    let properties = "SELECT DISTINCT property FROM water ORDER BY property";
    assert_eq!(
        installation.sql(properties).await.unwrap(),
        [[json!("surface_temperature")], [json!("water_temperature")]]
    );
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
