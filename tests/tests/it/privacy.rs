//! `meetnet privacy scan` finds each kind of personal data in each place where there must be none: files of public tables,
//! answers, logs, metrics, excerpts of rejects. Whatever is found ends it with 1.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use meetnet_model::redact::PersonalKind;
use meetnet_testkit::binary::meetnet_binary;
use meetnet_tests::daemon::Installation;
use meetnet_tests::python;

/// One of each kind, as it would stand in a text.
fn sample(kind: PersonalKind) -> &'static str {
    match kind {
        PersonalKind::Mac => "AA:BB:CC:DD:EE:FF",
        PersonalKind::Eui => "70b3d57ed005abcd",
        PersonalKind::ChipId => "esp8266-1234567",
        PersonalKind::Email => "an@example.org",
        PersonalKind::Passkey => "0123456789ABCDEF0123456789ABCDEF",
        PersonalKind::Token => "token=hunter2",
        PersonalKind::BasicAuth => "mqtt://an:hunter2@broker",
        PersonalKind::Coordinates => "50.87981, 4.70052",
    }
}

/// Scans; returns what it said. It must have found something, and must not repeat it.
fn found(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for kind in PersonalKind::ALL {
        assert!(!said.contains(sample(kind)), "{said}");
    }
    said
}

/// A scan without a configuration.
fn scan(arguments: &[&str]) -> Output {
    let mut command = Command::new(meetnet_binary().unwrap());
    command.args(["privacy", "scan"]).args(arguments);
    command.output().unwrap()
}

/// Sees that a line of the report names place, kind and number of rows.
fn assert_says(said: &str, place: &[&str], kind: PersonalKind, rows: u64) {
    let expect = format!(": {} in {rows} row", kind.as_str());
    let is_it = |line: &str| line.contains(&expect) && place.iter().all(|part| line.contains(part));
    assert!(
        said.lines().any(is_it),
        "no line of {place:?} with `{expect}`:\n{said}"
    );
}

/// A source; each of its devices has a name, which is published.
fn source(names: &[&str]) -> String {
    let mut source = r#"
[[source]]
id = "desk"
kind = "http"
format = "json"
sensor_id = { pointer = "/id" }
token = { env = "MEETNET_TEST_TOKEN" }
licence = "CC0-1.0"
map = [{ dataset = "heat", property = "air_temperature", pointer = "/t", unit = "Cel" }]
"#
    .to_owned();
    for (number, name) in names.iter().enumerate() {
        write!(
            source,
            "[[source.device]]\nid = \"p{number}\"\nname = \"{name}\"\nlongitude = 4.701\nlatitude = 50.88\n"
        )
        .unwrap();
    }
    source
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_is_found_in_tables_and_answers() {
    let names = PersonalKind::ALL.map(sample);
    let installation = Installation::new("", &source(&names)).unwrap();
    let daemon = installation.start().await.unwrap();
    let stations = i64::try_from(names.len()).unwrap();
    installation
        .wait_for("SELECT count(*) FROM stations", stations)
        .await
        .unwrap();
    let url = format!("http://{}", installation.http());
    let answers = found(&scan(&["--url", &url]));
    daemon.stop().unwrap();
    let files = found(&installation.run(&["privacy", "scan"]).unwrap());
    for kind in PersonalKind::ALL {
        assert_says(&answers, &["stations.name: column"], kind, 1);
        assert_says(&answers, &["/api/v1/datasets/stations/rows"], kind, 1);
        let table = ["stations/licence=CC0-1.0", ".parquet: column name"];
        assert_says(&files, &table, kind, 1);
    }
}

#[test]
fn each_kind_is_found_in_logs_metrics_and_saved_answers() {
    let folder = tempfile::tempdir().unwrap();
    for kind in PersonalKind::ALL {
        let sample = sample(kind);
        let quoted = serde_json::json!(sample);
        for (name, text, place) in [
            (
                "meetnet.log",
                format!("2026-01-02T03:04:05Z  WARN refused detail={quoted}\n"),
                "text",
            ),
            (
                "log.ndjson",
                format!("{{\"level\":\"WARN\",\"fields\":{{\"detail\":{quoted}}}}}\n"),
                "fields.detail",
            ),
            (
                "metrics",
                format!(
                    "# TYPE meetnet_rejects_total counter\nmeetnet_rejects_total{{source={quoted}}} 3\n"
                ),
                "text",
            ),
            (
                "rows.json",
                format!(
                    "{{\"columns\":[{{\"name\":\"note\",\"type\":\"text\"}}],\"rows\":[[{quoted}]]}}"
                ),
                "rows.note",
            ),
            (
                "rows.csv",
                format!("sensor_id,note\nx,{quoted}\n"),
                "column note",
            ),
            (
                "page.html",
                format!("<p>Gemeten door {sample}</p>\n"),
                "text",
            ),
        ] {
            let file = folder.path().join(name);
            fs::write(&file, text).unwrap();
            let file = file.to_str().unwrap();
            let said = found(&scan(&[file]));
            assert_says(&said, &[name, place], kind, 1);
            // What is public on purpose can be left out, and then the scan passes.
            let output = scan(&["--allow", sample, file]);
            assert_eq!(output.status.code(), Some(0), "{name}: {sample}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_is_found_in_rejects_and_private_tables() {
    if !python::has_packages(&["pyarrow"]) {
        return;
    }
    let installation = Installation::new("", &source(&[])).unwrap();
    let daemon = installation.start().await.unwrap();
    for kind in PersonalKind::ALL {
        let body = serde_json::json!({ "id": "p", "note": sample(kind) }).to_string();
        let answer = installation.push("desk", body.into_bytes(), &[]).await;
        assert_eq!(answer.unwrap().0, 400, "{kind:?}");
    }
    daemon.stop().unwrap();
    // What is written is redacted: of all that was sent nothing is found, in the log of the daemon neither.
    let log = installation.folder().join("meetnet.log");
    let log = log.to_str().unwrap();
    let said = installation.succeed(&["privacy", "scan", log]).unwrap();
    assert!(said.contains("no personal data"), "{said}");
    let rejects = installation
        .sql_on_files("SELECT count(*) FROM rejects")
        .unwrap();
    let count = u64::try_from(PersonalKind::ALL.len()).unwrap();
    assert!(rejects[0][0].as_u64().unwrap() >= count, "{rejects:?}");

    let table = installation.lake().join("rejects");
    for kind in PersonalKind::ALL {
        for column in ["excerpt", "topic", "message"] {
            let arguments = [&*table, Path::new(column), Path::new(sample(kind))];
            let planted = python::run("planted.py", &arguments).unwrap();
            let rows = planted["rows"].as_u64().unwrap();
            assert!(rows > 0, "{planted}");
            let said = found(&installation.run(&["privacy", "scan"]).unwrap());
            let place = format!("planted.parquet: column {column}");
            assert_says(&said, &["/rejects/", &place], kind, rows);
            fs::remove_file(planted["file"].as_str().unwrap()).unwrap();
        }
    }
    // And nothing of it is left.
    installation.succeed(&["privacy", "scan"]).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exact_places_are_no_findings_where_their_source_declares_them() {
    let place = "[[source.device]]\nid = \"p\"\nlongitude = 4.70052\nlatitude = 50.87981\n";
    let sources = format!(
        "{}exact_location = true\nmunicipality = \"Leuven\"\n{place}",
        source(&[])
    );
    let installation = Installation::new("", &sources).unwrap();
    let daemon = installation.start().await.unwrap();
    installation
        .wait_for("SELECT count(*) FROM stations", 1)
        .await
        .unwrap();
    let stored = installation
        .sql("SELECT lon, lat, municipality FROM stations")
        .await
        .unwrap();
    assert_eq!(
        serde_json::json!(stored),
        serde_json::json!([[4.70052, 50.87981, "Leuven"]])
    );
    daemon.stop().unwrap();
    let daemon = installation.start().await.unwrap();
    let url = format!("http://{}", installation.http());
    let said = installation
        .succeed(&["privacy", "scan", "--url", &url])
        .unwrap();
    assert!(said.contains("no personal data"), "{said}");
    // Who does not know the configuration sees what a place on the grid would not show.
    let said = found(&scan(&["--url", &url]));
    assert_says(
        &said,
        &["stations.lat: column"],
        PersonalKind::Coordinates,
        1,
    );
    daemon.stop().unwrap();
    // Without the declaration the same rows are a leak.
    let file = installation.folder().join("meetnet.toml");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, config.replace("exact_location = true\n", "")).unwrap();
    let said = found(&installation.run(&["privacy", "scan"]).unwrap());
    assert_says(&said, &["column lat"], PersonalKind::Coordinates, 1);
}
