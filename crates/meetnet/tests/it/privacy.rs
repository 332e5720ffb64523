//! `meetnet privacy scan` on an installation: clean where devices are declared as such, and each leak named where not.

use crate::process::{Running, answer, http, refusal, run, text, wait_until_ready};

/// A source of JSON whose sensor ids are published as they are, or as pseudonyms.
fn config(hides_ids: bool) -> String {
    let hidden = if hides_ids { "hardware_id = true" } else { "" };
    format!(
        r#"
[http]
listen = "127.0.0.1:0"
[ingest_http]
listen = "127.0.0.1:0"
[[source]]
id = "desk"
kind = "http"
format = "json"
sensor_id = {{ pointer = "/id" }}
{hidden}
licence = "CC0-1.0"
map = [{{ dataset = "heat", property = "air_temperature", pointer = "/temperature", unit = "Cel" }}]
"#
    )
}

/// Starts a daemon on a new folder and pushes good messages and bad ones that tell who sent them.
fn with_messages(folder: &std::path::Path, hides_ids: bool) -> (Running, String, String) {
    let path = folder.join("meetnet.toml");
    std::fs::write(&path, config(hides_ids)).expect("a file");
    let file = path.display().to_string();
    let mut daemon = Running::start(&["run", "--config", &file]);
    let (portal, push) = (daemon.listener(" http="), daemon.listener("ingest_http="));
    wait_until_ready(&portal);
    let pushed = format!("{push}/ingest/v1/desk");
    for device in ["70b3d57ed005abcd", "0102030405060708a", "AA:BB:CC:DD:EE:FF"] {
        let body = format!(r#"{{"id": "{device}", "temperature": 20.5}}"#);
        assert_eq!(http("POST", &pushed, &body).0, 204, "{body}");
    }
    for body in [
        r#"{"id": "1", "mac": "AA:BB:CC:DD:EE:FF", "token": "hunter2", "lat": 50.87981}"#,
        r#"{"id": "70b3d57ed005abcd", "mail": "an@example.org"}"#,
        "PASSKEY=0123456789ABCDEF0123456789ABCDEF&from=mqtt://an:hunter2@broker",
        "50.87981, 4.70052",
    ] {
        assert_eq!(http("POST", &pushed, body).0, 400, "{body}");
    }
    (daemon, portal, file)
}

#[test]
fn tables_rejects_answers_and_logs_are_clean() {
    let dir = tempfile::tempdir().expect("a folder");
    let (daemon, portal, file) = with_messages(dir.path(), true);
    let said = answer(&["privacy", "scan", "--url", &portal]);
    assert!(said.contains("no personal data"), "{said}");
    let (status, log) = daemon.interrupt();
    assert_eq!(status.code(), Some(0), "{log}");
    let logged = dir.path().join("meetnet.log");
    std::fs::write(&logged, log).expect("a file");
    let logged = logged.display().to_string();
    let said = answer(&["privacy", "scan", "--config", &file, &logged]);
    assert!(said.contains("no personal data"), "{said}");
}

#[test]
fn leaks_are_found_in_files_and_answers_and_end_with_1() {
    let dir = tempfile::tempdir().expect("a folder");
    let (daemon, portal, file) = with_messages(dir.path(), false);
    let output = run(&["privacy", "scan", "--url", &portal]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("heat.sensor_id: column: eui64 in 1 row (70b…)"),
        "{said}"
    );
    assert!(
        said.contains("heat.sensor_id: column: mac in 1 row (AA:…)"),
        "{said}"
    );
    daemon.stop();
    let output = run(&["privacy", "scan", "--config", &file]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let in_file = said
        .lines()
        .find(|line| line.contains(".parquet: column sensor_id: eui64 in 1 row"));
    assert!(
        in_file.is_some_and(|line| line.contains("heat/licence=CC0-1.0")),
        "{said}"
    );
    // Least and greatest values stand in the table log.
    assert!(said.contains("_delta_log/"), "{said}");
    for full in ["70b3d57ed005abcd", "AA:BB:CC:DD:EE:FF"] {
        assert!(!said.contains(full), "{said}");
    }
    // Nothing of it is in the rejects.
    assert!(!said.contains("/rejects/"), "{said}");
}

#[test]
fn what_is_named_must_be_there() {
    let said = refusal(&["privacy", "scan"], 2);
    assert!(said.contains("say what to search"), "{said}");
    let said = refusal(&["privacy", "scan", "--dir", "/nowhere/at/all"], 1);
    assert!(said.contains("1 place could not be searched"), "{said}");
    let said = refusal(&["privacy", "scan", "--url", "http://127.0.0.1:9"], 1);
    assert!(said.contains("no answer from http://127.0.0.1:9"), "{said}");
}
