//! The configuration changes under a running daemon while messages come: none is lost, none is doubled, and a wrong file
//! changes nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::desk;
use crate::process::{Running, answer, http, refusal, wait_until_ready};

const SECTIONS: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n[schemas]\ndir = \"schemas\"\n";

const SECTIONS_OF_ADMIN: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n";

const ODOUR: &str = r#"
id = "odour"
version = 1
kind = "long"
grain = "month"
key = ["sensor_id", "property", "time"]
title = { nl = "Geur", en = "Odour", fr = "Odeurs" }
description = { nl = "Geur in de straat.", en = "Odour in the street.", fr = "Odeurs dans la rue." }
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

const INTENSITY: &str = r#"
[[property]]
name = "odour_intensity"
dataset = "odour"
unit = "1"
iri = "http://example.org/odour-intensity"
range = [0, 6]
title = { nl = "Geurintensiteit", en = "Odour intensity", fr = "Intensité" }
"#;

const NOSE: &str = r#"
[[source]]
id = "nose"
kind = "http"
format = "json"
sensor_id = { pointer = "/id" }
licence = "CC0-1.0"
map = [{ dataset = "odour", property = "odour_intensity", pointer = "/smell" }]
"#;

/// A device that pushes one message after the other to `desk`, each until it is taken.
struct Device {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Device {
    fn start(push: &str) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let (url, stopped) = (format!("{push}/ingest/v1/desk"), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut taken = 0;
            while !stopped.load(Ordering::SeqCst) {
                let body = format!(r#"{{"id": "d{taken}", "t": 1, "celsius": 2}}"#);
                loop {
                    match http("POST", &url, &body) {
                        (204, _) => break,
                        // Nothing of it was taken.
                        (429, _) => std::thread::sleep(Duration::from_millis(20)),
                        (status, said) => panic!("{status}: {said}"),
                    }
                }
                taken += 1;
            }
            taken
        });
        Self { stop, thread }
    }

    /// Stops it; returns how many messages were taken.
    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("every message is taken")
    }
}

/// Returns the one number of an answer.
fn number(portal: &str, query: &str) -> u64 {
    let said = answer(&["sql", "--url", portal, query]);
    let value = said
        .lines()
        .nth(1)
        .and_then(|line| line.trim().parse().ok());
    value.unwrap_or_else(|| panic!("{query}: {said}"))
}

fn write(file: &Path, text: &str) {
    std::fs::write(file, text).expect("a file");
}

#[test]
fn the_configuration_changes_while_messages_come() {
    let text = desk::config(SECTIONS, "");
    let (dir, file) = desk::installation(&text);
    let (path, schemas) = (dir.path().join("meetnet.toml"), dir.path().join("schemas"));
    std::fs::create_dir(&schemas).expect("a folder");
    let (mut daemon, portal, push) = desk::start(&file);
    let admin = daemon.listener("admin=");
    let operations = || http("GET", &format!("{admin}/"), "").1;
    let smell = || {
        http(
            "POST",
            &format!("{push}/ingest/v1/nose"),
            r#"{"id": "a", "smell": 3}"#,
        )
    };
    let device = Device::start(&push);
    desk::wait_for("messages come", || {
        number(&portal, "SELECT count(*) FROM heat") > 0
    });
    assert_eq!(smell().0, 404);

    // A dataset and a source, by a change of the files.
    write(&schemas.join("odour.toml"), ODOUR);
    write(&schemas.join("odour-properties.toml"), INTENSITY);
    let with_nose = format!("{text}{NOSE}");
    write(&path, &with_nose);
    daemon.wait_for_next(r#"sources_added="nose""#);
    assert_eq!(smell().0, 204);
    desk::wait_for("the row is answered", || {
        number(&portal, "SELECT count(*) FROM odour") == 1
    });
    assert!(operations().contains(">nose<"));

    // Another mapping and another limit, at SIGHUP: the endpoint is exchanged under its device.
    let mended = with_nose.replacen("/t\"", "/celsius\"", 1);
    let mended = mended.replacen(
        "id = \"desk\"",
        "id = \"desk\"\nrequests_per_second_max = 5000",
        1,
    );
    assert_ne!(mended, with_nose);
    write(&path, &mended);
    daemon.signal("HUP");
    daemon.wait_for_next(r#"sources_changed="desk""#);
    desk::wait_for("messages are read anew", || {
        number(&portal, "SELECT count(*) FROM heat WHERE value = 2") > 0
    });

    // A source goes; its rows stay.
    let without_nose = mended.replacen(NOSE, "", 1);
    write(&path, &without_nose);
    daemon.wait_for_next(r#"sources_removed="nose""#);
    assert_eq!(smell().0, 404);
    assert!(!operations().contains(">nose<"));
    assert_eq!(number(&portal, "SELECT count(*) FROM odour"), 1);

    // A wrong file, and one that takes a restart: said everywhere, and nothing changes.
    let refused = |is_refused: bool| {
        let metric = format!("meetnet_config_refused {}\n", u8::from(is_refused));
        assert!(
            http("GET", &format!("{admin}/metrics"), "")
                .1
                .contains(&metric)
        );
        let (status, ready) = http("GET", &format!("{portal}/readyz"), "");
        assert_eq!(status, 200, "{ready}");
        assert!(
            ready.contains(&format!("\"config_refused\":{is_refused}")),
            "{ready}"
        );
        assert!(!ready.contains("meetnet.toml"), "{ready}");
        assert_eq!(
            operations().contains("The one before stays in force."),
            is_refused
        );
    };
    refused(false);
    write(&path, &format!("{without_nose}[[source]]\nid = \"bad\"\n"));
    daemon.signal("HUP");
    let wrong = "the key `kind` is missing";
    let said = daemon.wait_for_next("configuration refused: the one before stays in force");
    assert!(said.contains(wrong), "{said}");
    refused(true);
    assert!(operations().contains(wrong));
    let said = refusal(&["config", "check", "--config", &file], 2);
    assert!(said.contains(wrong), "{said}");
    let restart = format!("[lake]\ncommit_age_max = \"7s\"\n{without_nose}");
    write(&path, &restart);
    let said = daemon.wait_for_next("configuration refused: the one before stays in force");
    assert!(said.contains("[lake] commit_age_max has changed"), "{said}");
    refused(true);
    write(&path, &without_nose);
    daemon.wait_for_next("the configuration on disk is the one in force again");
    refused(false);

    let taken = device.stop();
    let counts = || {
        let all = number(&portal, "SELECT count(*) FROM heat");
        let different = number(&portal, "SELECT count(DISTINCT sensor_id) FROM heat");
        (all, different)
    };
    desk::wait_for("every message is answered", || counts().0 >= taken);
    assert_eq!(counts(), (taken, taken));
    // Each was read by the mapping of its own time.
    let late = "SELECT count(*) FROM heat WHERE value = 1 \
                AND time > (SELECT min(time) FROM heat WHERE value = 2)";
    assert_eq!(number(&portal, late), 0);
    assert!(number(&portal, "SELECT count(*) FROM heat WHERE value = 1") > 0);
    assert_eq!(
        answer(&["rejects", "list", "--config", &file, "--format", "csv"])
            .trim()
            .lines()
            .count(),
        1
    );

    // A stop that meets a change ends as ever, and the next start has what is configured then.
    write(&path, &with_nose);
    daemon.signal("HUP");
    daemon.stop();
    let committed = answer(&["sql", "--config", &file, "SELECT count(*) FROM heat"]);
    assert_eq!(committed.lines().nth(1), Some(taken.to_string().as_str()));
    let (daemon, portal, push) = desk::start(&file);
    let (status, said) = http(
        "POST",
        &format!("{push}/ingest/v1/nose"),
        r#"{"id": "b", "smell": 1}"#,
    );
    assert_eq!(status, 204, "{said}");
    assert_eq!(number(&portal, "SELECT count(*) FROM heat"), taken);
    daemon.stop();
}

#[test]
fn a_daemon_without_a_source_says_what_to_write_and_takes_it_over() {
    let (dir, file) = desk::installation("");
    let path = dir.path().join("meetnet.toml");
    let mut daemon = Running::start(&["run", "--config", &file]);
    let said = daemon.wait_for("no source is configured");
    assert!(said.contains("add [[source]] with id"), "{said}");
    let said = daemon.wait_for("nothing listens for queries");
    assert!(said.contains("add [http] with listen"), "{said}");
    daemon.wait_for(" ready");
    daemon.stop();
    let said = answer(&["config", "check", "--config", &file]);
    assert!(
        said.contains("0 sources\n  nothing is taken in; add"),
        "{said}"
    );

    let whole = desk::config(SECTIONS_OF_ADMIN, "");
    let (without, source) = whole.split_once("[[source]]").expect("a source");
    let source = format!("[[source]]{source}");
    write(&path, without);
    let mut daemon = Running::start(&["run", "--config", &file]);
    let (portal, push) = (daemon.listener(" http="), daemon.listener("ingest_http="));
    let admin = daemon.listener("admin=");
    wait_until_ready(&portal);
    let state = |none: bool| {
        let (status, ready) = http("GET", &format!("{portal}/readyz"), "");
        assert_eq!(status, 200, "{ready}");
        assert!(ready.contains(&format!("\"no_sources\":{none}")), "{ready}");
        let (_, page) = http("GET", &format!("{admin}/"), "");
        assert_eq!(page.contains("No source is configured"), none);
    };
    state(true);
    write(&path, &format!("{without}{source}"));
    daemon.wait_for_next(r#"sources_added="desk""#);
    desk::push(&push, r#"{"id": "a", "t": 1.5}"#);
    state(false);
    // The last one goes: that is said again.
    write(&path, without);
    daemon.wait_for_next("no source is configured");
    state(true);
    daemon.stop();
}

#[test]
fn both_halves_take_a_change_over() {
    let sections = r#"
[lake]
commit_age_max = "200ms"
[admin]
listen = "127.0.0.1:0"
serve_listen = "127.0.0.1:0"
[schemas]
dir = "schemas"
"#;
    let text = desk::config(sections, "");
    let (dir, file) = desk::installation(&text);
    let (path, schemas) = (dir.path().join("meetnet.toml"), dir.path().join("schemas"));
    std::fs::create_dir(&schemas).expect("a folder");
    let mut ingest = Running::start(&["ingest", "--config", &file]);
    let push = ingest.listener("ingest_http=");
    let mut serve = Running::start(&["serve", "--config", &file]);
    let (portal, admin) = (serve.listener(" http="), serve.listener("admin="));
    wait_until_ready(&portal);
    write(&schemas.join("odour.toml"), ODOUR);
    write(&schemas.join("odour-properties.toml"), INTENSITY);
    write(&path, &format!("{text}{NOSE}"));
    for half in [&mut ingest, &mut serve] {
        half.signal("HUP");
        half.wait_for_next(r#"sources_added="nose""#);
    }
    let (status, said) = http(
        "POST",
        &format!("{push}/ingest/v1/nose"),
        r#"{"id": "a", "smell": 3}"#,
    );
    assert_eq!(status, 204, "{said}");
    desk::wait_for("the lake has the dataset", || {
        let (_, datasets) = http("GET", &format!("{portal}/api/v1/datasets"), "");
        datasets.contains("odour")
    });
    desk::wait_for("the commit is seen", || {
        number(&portal, "SELECT count(*) FROM odour") == 1
    });
    // Each says of itself that it refuses.
    write(&path, "[http]\nlisten = 7\n");
    for half in [&mut ingest, &mut serve] {
        half.signal("HUP");
        half.wait_for_next("configuration refused: the one before stays in force");
    }
    assert!(
        http("GET", &format!("{admin}/"), "")
            .1
            .contains("The one before stays in force.")
    );
    assert_eq!(number(&portal, "SELECT count(*) FROM odour"), 1);
    serve.stop();
    ingest.stop();
}
