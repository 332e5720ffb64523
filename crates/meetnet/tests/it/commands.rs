//! Commands that end by themselves: what they print and the exit code.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

use crate::desk::installation;
use crate::process::{answer, meetnet, refusal, run};

const MINIMAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/minimal.toml");

#[test]
fn help_is_an_answer_and_nonsense_is_not() {
    assert!(answer(&["--help"]).contains("meetnet <COMMAND>"));
    refusal(&[], 2);
    refusal(&["publish"], 2);
    refusal(&["run"], 2);
    refusal(&["sql", "SELECT 1", "--format", "xml"], 2);
    let said = refusal(&["sql", "SELECT 1", "--as-of", "yesterday"], 2);
    assert!(said.contains("2026-01-31T12:00:00Z"), "{said}");
}

#[test]
fn config_check_says_what_is_in_effect() {
    let said = answer(&["config", "check", "--config", MINIMAL]);
    for part in [
        "is in order",
        "http         127.0.0.1:8080",
        "admin        off",
        "flight       off",
        "zigbee2mqtt/{device}",
        "18 datasets",
    ] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
    // Kinds stand below each other, however long an id is.
    let column = |id: &str, kind: &str| {
        let mut lines = said.lines();
        let line = lines.find(|line| line.trim_start().starts_with(&format!("{id} ")));
        line.expect("a dataset").find(kind)
    };
    assert_eq!(column("air", "long"), column("quality_rules", "private"));
}

#[test]
fn config_check_says_where_devices_push_and_what_will_be_dropped() {
    let (_dir, file) = installation(
        r#"
[ingest_http]
listen = "127.0.0.1:8081"
[[dataset]]
id = "air"
retention = "3d"
[[source]]
id = "roofs"
kind = "http"
format = "ecowitt"
licence = "CC-BY-4.0"
path = "/weather/roofs"
"#,
    );
    let said = answer(&["config", "check", "--config", &file]);
    for part in [
        "as its sources, kept 3d, then dropped",
        "POST /ingest/v1/roofs, open to whoever reaches it",
        "also /data/report/  /weather/roofs",
    ] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
    assert_eq!(said.matches("then dropped").count(), 1, "{said}");
}

#[test]
fn config_check_says_once_how_sources_are_written() {
    let one = "[source]\nid = \"a\"\nkind = \"http\"\nformat = \"json\"\n";
    let (_dir, file) = installation(&format!("{one}{one}{one}"));
    let said = refusal(&["config", "check", "--config", &file], 2);
    let expect = format!("{file}:1: there can be several of these: write [[source]]");
    assert!(said.contains(&expect), "{said}");
    assert!(said.contains("1 problem in the configuration"), "{said}");
}

#[test]
fn config_check_says_what_to_look_at() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("meetnet.toml");
    let check = |devices: &str| {
        let text = format!(
            "{}registry = \"devices.csv\"\n",
            std::fs::read_to_string(MINIMAL)
                .unwrap()
                .replace("hardware_id = true", "hardware_id = false")
        );
        std::fs::write(&file, text).unwrap();
        let registry = format!("id,since,latitude,longitude\n{devices}");
        std::fs::write(folder.path().join("devices.csv"), registry).unwrap();
        let file = file.to_str().unwrap();
        answer(&["config", "check", "--config", file])
    };
    let right = "a,2025-01-01,50.88,4.70\nb,,50.85,4.75\n";
    let said = check(right);
    assert!(
        said.contains("2 places, latitude 50.85 to 50.88, longitude 4.70 to 4.75"),
        "{said}"
    );
    assert!(!said.contains("look at"), "{said}");
    let said = check(&format!("{right}c,2199-01-01,50.87,4.71\nd,,4.70,50.88\n"));
    for expected in [
        "look at\n  source `balcony`, `d`: latitude 4.7",
        "are far from the other places; the other way round they are not",
        "source `balcony`, `c`: `since` is still to come: 2199-01-01T00:00:00Z",
    ] {
        assert!(said.contains(expected), "no {expected} in\n{said}");
    }
}

#[test]
fn config_check_lists_every_problem() {
    let (_dir, file) = installation("[http]\nlisten = \"here\"\n[privacy]\nsecret = \"hunter2\"\n");
    let said = refusal(&["config", "check", "--config", &file], 2);
    assert!(
        said.contains(&format!("{file}:2: `here` is no address")),
        "{said}"
    );
    assert!(
        said.contains(&format!("{file}:4: a secret must not stand")),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_wrong_declaration_stops_the_start_and_names_its_line() {
    let (dir, file) = installation("[schemas]\ndir = \"schemas\"\n");
    std::fs::create_dir(dir.path().join("schemas")).expect("a folder");
    std::fs::write(
        dir.path().join("schemas/odour.toml"),
        "id = \"odour\"\nversion = 1\nkind = \"tall\"\n",
    )
    .expect("a file");
    let said = refusal(&["run", "--config", &file], 2);
    assert!(said.contains("schemas/odour.toml:3: "), "{said}");
}

#[test]
fn a_taken_port_is_named_before_anything_is_opened() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    let (dir, file) = installation(&format!("[http]\nlisten = \"{address}\"\n"));
    let said = refusal(&["run", "--config", &file], 2);
    assert!(
        said.contains(&format!("cannot listen on {address} for [http]")),
        "{said}"
    );
    assert!(!dir.path().join("data").exists(), "nothing was made");
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let (dir, file) = installation("[journal]\ndir = \"meetnet.toml/journal\"\n");
    let said = refusal(&["run", "--config", &file], 2);
    assert!(said.contains("meetnet.toml/journal"), "{said}");
    let said = refusal(&["demo", "--dir", &file, "--mqtt", "127.0.0.1:0"], 2);
    assert!(
        said.contains(&format!(
            "cannot use the folder {file}; name another with --dir"
        )),
        "{said}"
    );
    drop(dir);
}

#[test]
fn sql_needs_somebody_to_ask() {
    let free = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port");
    let said = refusal(&["sql", "--url", &format!("http://{free}"), "SELECT 1"], 1);
    assert!(said.contains("does it run?"), "{said}");
    refusal(&["sql", "--url", "127.0.0.1", "SELECT 1"], 2);
    let (_dir, file) = installation("");
    let said = refusal(&["sql", "--config", &file, "SELECT 1"], 1);
    assert!(said.contains("nothing has been committed yet"), "{said}");
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let (dir, file) = installation("");
    std::fs::create_dir_all(dir.path().join("data/lake")).expect("a lake");
    let mut child = meetnet(&[
        "sql",
        "--config",
        &file,
        "SELECT * FROM generate_series(1, 3000000)",
    ])
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .expect("the program starts");
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    stdout.read_line(&mut first).expect("a line");
    drop(stdout);
    let output = child.wait_with_output().expect("an end");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        (output.status.code(), said.as_str()),
        (Some(0), ""),
        "after {first}"
    );
}

#[test]
fn every_format_is_written() {
    let (dir, file) = installation("");
    std::fs::create_dir_all(dir.path().join("data/lake")).expect("a lake");
    let ask = |format: &str| {
        let output = run(&[
            "sql",
            "--config",
            &file,
            "--format",
            format,
            "SELECT 1 AS one",
        ]);
        assert!(
            output.status.success(),
            "{format}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    assert_eq!(ask("csv").trim_ascii(), b"one\r\n1");
    assert_eq!(ask("ndjson").trim_ascii(), b"{\"one\":1}");
    assert!(ask("json").starts_with(b"{"));
    assert!(String::from_utf8_lossy(&ask("table")).contains("one"));
    assert!(ask("parquet").starts_with(b"PAR1"));
    assert!(ask("arrow").starts_with(&[0xff; 4]));
    let said = refusal(&["sql", "--config", &file, "DROP TABLE air"], 1);
    assert!(said.contains("only reads"), "{said}");
}
