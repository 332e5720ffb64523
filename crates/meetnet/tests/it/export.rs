//! `meetnet export`: a dataset to files of each format, from a service and from a folder, and mirrors of its files.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::desk::{self, installation, start};
use crate::process::{Running, answer, refusal, run, text};

/// Returns a time so many minutes ago, which the source's time window holds.
fn minute(at: i64) -> String {
    let now = jiff::Timestamp::now().as_second() / 60 * 60;
    let time = jiff::Timestamp::from_second(now - at * 60).expect("a time");
    time.to_string()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a file")
}

fn sensors(csv: &str) -> Vec<&str> {
    csv.lines()
        .skip(1)
        .filter_map(|line| line.split(',').next())
        .collect()
}

#[test]
fn a_dataset_becomes_a_file_and_says_what_may_be_done() {
    let sections = "[lake]\ncommit_age_max = \"200ms\"\n";
    let keys = "time = { pointer = \"/at\", format = \"rfc3339\" }\nattribution = \"Desk club\"";
    let (dir, file) = installation(&desk::config(sections, keys));
    let (daemon, portal, push) = start(&file);
    let newest = minute(1);
    for (id, at) in [("b", minute(3)), ("a", minute(2)), ("a", newest.clone())] {
        desk::push(
            &push,
            &format!(r#"{{"id": "{id}", "at": "{at}", "t": 20.5}}"#),
        );
    }
    let count = "SELECT count(*) AS n FROM heat";
    desk::wait_for("the rows are seen", || {
        answer(&["sql", "--url", &portal, count]) == "n\r\n3\r\n"
    });
    let csv = dir.path().join("heat.csv");
    let csv_name = csv.display().to_string();
    let url = ["--url", portal.as_str()];
    let export = |more: &[&str]| run_ok(&[&["export", "heat"][..], more].concat());
    // A day is settled once a tick has passed.
    desk::wait_for("the rows are settled", || {
        let (found, _) = export(&url);
        sensors(&found).len() == 3
    });
    let (stdout, said) = export(&[&url[..], &["-o", &csv_name]].concat());
    assert_eq!(stdout, "");
    assert!(
        said.contains("3 rows") && said.contains("licence CC0-1.0; name Desk club"),
        "{said}"
    );
    let found = read(&csv);
    assert_eq!(
        sensors(&found),
        ["desk-a", "desk-a", "desk-b"],
        "in the order of the key"
    );
    assert!(!dir.path().join("heat.csv.part").exists());
    let meta: Value =
        serde_json::from_str(&read(&dir.path().join("heat.csv.meta.json"))).expect("JSON");
    assert_eq!(meta["rows"], 3);
    assert_eq!(meta["bytes"], found.len());
    assert_eq!(meta["licences"][0]["id"], "CC0-1.0");
    assert_eq!(meta["attributions"], serde_json::json!(["Desk club"]));

    // As of the same time it is the same file, from whomever.
    let as_of = meta["as_of"].as_str().expect("a time");
    let (again, _) = export(&[&url[..], &["--as-of", as_of]].concat());
    assert_eq!(again, found);

    let (part, _) = export(&[&url[..], &["--sensor", "desk-a", "--from", &newest]].concat());
    assert_eq!(sensors(&part), ["desk-a"]);
    let (none, _) = export(&[&url[..], &["--property", "rainfall"]].concat());
    assert_eq!(
        (none.lines().count(), sensors(&none).len()),
        (1, 0),
        "a header all the same"
    );
    let (json, _) = export(&[&url[..], &["--format", "json"]].concat());
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["rows"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["licences"], serde_json::json!(["CC0-1.0"]));
    let parquet = dir.path().join("heat.parquet");
    export(&[&url[..], &["-o", &parquet.display().to_string()]].concat());
    assert!(
        std::fs::read(&parquet)
            .expect("a file")
            .starts_with(b"PAR1")
    );
    assert!(!dir.path().join("heat.parquet.meta.json").exists());

    let (places, _) = run_ok(&[
        "export", "stations", "--format", "geojson", "--url", &portal,
    ]);
    let places: Value = serde_json::from_str(&places).expect("JSON");
    assert_eq!(places["type"], "FeatureCollection");
    let (readings, _) = run_ok(&["export", "heat", "--format", "geojson", "--url", &portal]);
    let readings: Value = serde_json::from_str(&readings).expect("JSON");
    assert_eq!(readings["features"].as_array().map(Vec::len), Some(3));
    // Declared, though nothing tells it, is not unknown; one that is wrong is not left out.
    let wrong = |place: &[&str]| {
        let properties = ["--property", "air_temperature", "--property", "air_temp"];
        let said = refusal(&[&["export", "heat"][..], place, &properties].concat(), 2);
        assert!(
            said.contains(
                "`heat` has no property `air_temp`; it has air_pressure, air_temperature, "
            ),
            "{said}"
        );
    };
    wrong(&url);
    for asked in [
        &["export", "heat", "--url", &portal][..],
        &["export", "heat", "--files", &csv_name, "--url", &portal],
        &["sql", "SELECT 1 AS one", "--url", &portal],
    ] {
        let said = refusal(&[asked, &["--licence", "CC-BY-3.0"]].concat(), 1);
        assert!(said.contains("`CC-BY-3.0` is no known licence"), "{said}");
    }
    // A wrong command line, as a property that there is not.
    let nothing = ["export", "nothing", "--url", &portal];
    for asked in [
        &nothing[..],
        &[&nothing[..], &["--files", &csv_name]].concat(),
    ] {
        let said = refusal(asked, 2);
        assert!(said.contains("there is no dataset `nothing`"), "{said}");
    }
    let said = refusal(&["export", "heatt", "--url", &portal], 2);
    let near = "there is no dataset `heatt`; did you mean `heat`?";
    assert!(said.contains(near), "{said}");
    refusal(&["export", "heat", "--bbox", "1,2,3", "--url", &portal], 2);
    refusal(
        &["export", "stations", "--property", "x", "--url", &portal],
        2,
    );
    refusal(
        &[
            "export",
            "heat",
            "--from",
            "2026-02-01",
            "--to",
            "2026-01-01",
            "--url",
            &portal,
        ],
        2,
    );

    daemon.stop();
    let (committed, _) = run_ok(&["export", "heat", "--config", &file, "--as-of", as_of]);
    assert_eq!(committed, found);
    wrong(&["--config", &file]);
    let said = refusal(
        &[
            "export",
            "heat",
            "--config",
            &file,
            "--licence",
            "CC-BY-3.0",
        ],
        1,
    );
    assert!(said.contains("`CC-BY-3.0` is no known licence"), "{said}");
}

fn run_ok(arguments: &[&str]) -> (String, String) {
    let output = run(arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// Returns every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn files_are_mirrored_and_gone_on_with() {
    let lake = "[lake]\ncommit_age_max = \"200ms\"\nscrub_every = \"0s\"\n";
    let (dir, file) = installation(&desk::config(lake, ""));
    let (daemon, portal, push) = start(&file);
    desk::push(&push, r#"{"id": "a", "t": 20.5}"#);
    let mirror = dir.path().join("mirror");
    let mirror_name = mirror.display().to_string();
    let fetch = || run_ok(&["export", "heat", "--files", &mirror_name, "--url", &portal]).1;
    desk::wait_for("a file is committed", || fetch().starts_with("1 file "));
    assert!(fetch().contains("0 fetched, 1 there already, 0 removed"));
    let parquet = |path: &PathBuf| path.extension().is_some_and(|end| end == "parquet");
    let found = files(&mirror).into_iter().find(parquet).expect("a file");
    let whole = std::fs::read(&found).expect("a file");
    assert!(whole.starts_with(b"PAR1"));

    // Who asks for less the next time loses nothing that the service still lists.
    let narrowed = run_ok(&[
        "export",
        "heat",
        "--files",
        &mirror_name,
        "--url",
        &portal,
        "--licence",
        "ODbL-1.0",
    ]);
    assert!(narrowed.1.contains("0 removed"), "{}", narrowed.1);
    assert!(
        narrowed.1.contains("1 file of earlier runs"),
        "{}",
        narrowed.1
    );
    assert_eq!(std::fs::read(&found).expect("a file"), whole);
    assert!(fetch().contains("0 fetched, 1 there already, 0 removed"));

    // A part is gone on with, a broken file is fetched again, a broken part is noticed by its hash.
    let part = PathBuf::from(format!("{}.part", found.display()));
    std::fs::rename(&found, &part).expect("renamed");
    std::fs::write(&part, &whole[..100]).expect("a part");
    assert!(fetch().contains("1 fetched, 0 there already"));
    assert_eq!(std::fs::read(&found).expect("a file"), whole);
    let mut broken = whole.clone();
    broken[50] ^= 1;
    std::fs::write(&found, &broken).expect("a broken file");
    assert!(fetch().contains("1 fetched, 0 there already"));
    assert_eq!(std::fs::read(&found).expect("a file"), whole);
    std::fs::remove_file(&found).expect("removed");
    std::fs::write(&part, &broken[..100]).expect("a broken part");
    let said = refusal(
        &["export", "heat", "--files", &mirror_name, "--url", &portal],
        1,
    );
    assert!(said.contains("other bytes than its hash says"), "{said}");
    assert!(said.contains("the same command fetches it again"), "{said}");
    assert!(fetch().contains("1 fetched"));

    // Damaged where the service reads it: to fetch it again would give the same for ever.
    let stored = files(&dir.path().join("data/lake/heat"));
    let named = |path: &&PathBuf| path.file_name() == found.file_name();
    let stored = stored.iter().find(named).expect("the file of the lake");
    std::fs::write(stored, &broken).expect("a damaged file");
    std::fs::remove_file(&found).expect("removed");
    let said = refusal(
        &["export", "heat", "--files", &mirror_name, "--url", &portal],
        1,
    );
    assert!(said.contains("damaged at the service"), "{said}");
    assert!(said.contains("meetnet check --repair"), "{said}");
    std::fs::write(stored, &whole).expect("the file as it was");
    assert!(fetch().contains("1 fetched"));

    daemon.stop();
    let said = refusal(
        &["export", "heat", "--files", &mirror_name, "--config", &file],
        2,
    );
    assert!(said.contains("from a running service"), "{said}");
}

/// Ctrl-C is how most long exports end: what was written by then is removed, as where one fails.
#[test]
fn who_stops_an_export_is_told_and_finds_no_part_of_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let csv = dir.path().join("heat.csv");
    let csv_name = csv.display().to_string();
    // A service that takes questions and answers none.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    for arguments in [
        [
            "export",
            "heat",
            "--url",
            url.as_str(),
            "-o",
            csv_name.as_str(),
        ],
        [
            "sql",
            "SELECT 1",
            "--url",
            url.as_str(),
            "-o",
            csv_name.as_str(),
        ],
    ] {
        let running = Running::start(&arguments);
        let (asked, _) = silent.accept().expect("a question");
        let (status, said) = running.interrupt();
        assert_eq!(status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("stopped"), "{arguments:?}: {said}");
        drop(asked);
    }
    let left = std::fs::read_dir(dir.path()).expect("a folder");
    assert_eq!(left.count(), 0);
}
