//! Licences from outside: what answers state and leave out, and declarations that promise too much.

use std::path::Path;

use crate::process::{Running, answer, http, refusal, wait_until_ready};

const LISTENERS: &str =
    "[http]\nlisten = \"127.0.0.1:0\"\n[ingest_http]\nlisten = \"127.0.0.1:0\"\n";

fn source(id: &str, licence: &str, more: &str) -> String {
    format!(
        r#"
[[source]]
id = "{id}"
kind = "http"
format = "json"
sensor_id = {{ pointer = "/id" }}
licence = "{licence}"
{more}
map = [{{ dataset = "heat", property = "air_temperature", pointer = "/temperature", unit = "Cel" }}]
"#
    )
}

/// Writes a configuration; returns its name.
fn configure(folder: &Path, sections: &str) -> String {
    let path = folder.join("meetnet.toml");
    std::fs::write(&path, format!("{LISTENERS}{sections}")).expect("a file");
    path.display().to_string()
}

fn promise(licence: &str) -> String {
    format!("[[dataset]]\nid = \"heat\"\nlicence = \"{licence}\"\n")
}

#[test]
fn answers_state_licences_and_a_start_keeps_what_lies_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let club = source("club", "CC-BY-NC-4.0", "attribution = \"Garden club\"");
    let city = source("city", "CC0-1.0", "");
    let file = configure(dir.path(), &format!("{club}{city}"));
    let mut daemon = Running::start(&["run", "--config", &file]);
    let (portal, push) = (daemon.listener(" http="), daemon.listener("ingest_http="));
    wait_until_ready(&portal);
    for id in ["club", "city"] {
        let body = format!(r#"{{"id": "{id}", "temperature": 20.5}}"#);
        let (status, said) = http("POST", &format!("{push}/ingest/v1/{id}"), &body);
        assert_eq!(status, 204, "{said}");
    }
    let sql = "SELECT sensor_id, licence FROM heat ORDER BY 1";
    let all = answer(&["sql", "--url", &portal, "--format", "json", sql]);
    assert!(
        all.contains(r#""licences":["CC-BY-NC-4.0","CC0-1.0"],"attributions":["Garden club"]"#),
        "{all}"
    );
    let free = ["sql", "--licence", "CC0-1.0", "--format", "json"];
    let asked = answer(&[&free[..], &["--url", &portal, sql]].concat());
    assert!(asked.contains(r#"["city-city","CC0-1.0"]"#), "{asked}");
    assert!(!asked.contains("club"), "{asked}");
    daemon.stop();
    let asked = answer(&[&free[..], &["--config", &file, sql]].concat());
    assert!(asked.contains(r#"["city-city","CC0-1.0"]"#), "{asked}");
    assert!(!asked.contains("club"), "{asked}");

    // The source is there and asks for more than is promised.
    let file = configure(dir.path(), &format!("{}{club}", promise("CC-BY-4.0")));
    let said = refusal(&["run", "--config", &file], 2);
    assert!(
        said.contains(
            "dataset `heat` declares CC-BY-4.0, but its source `club` is under CC-BY-NC-4.0"
        ),
        "{said}"
    );
    // The source is gone, its rows are not.
    let file = configure(dir.path(), &format!("{}{city}", promise("CC-BY-4.0")));
    for role in ["run", "ingest", "serve"] {
        let said = refusal(&[role, "--config", &file], 2);
        assert!(
            said.contains("dataset `heat` declares CC-BY-4.0, but rows of `club` lie in its table under CC-BY-NC-4.0"),
            "{role}: {said}"
        );
    }
    // What they allow is no hindrance.
    let file = configure(dir.path(), &format!("{}{city}", promise("CC-BY-NC-4.0")));
    let mut daemon = Running::start(&["run", "--config", &file]);
    wait_until_ready(&daemon.listener(" http="));
    daemon.stop();
}

#[test]
fn a_change_promises_no_more_than_the_rows_allow_also_those_in_memory() {
    let dir = tempfile::tempdir().expect("a folder");
    let club = source("club", "CC-BY-NC-4.0", "");
    let city = source("city", "CC0-1.0", "");
    let both = format!("{club}{city}");
    let promised = format!("{}{city}", promise("CC-BY-4.0"));
    let file = configure(dir.path(), &both);
    let mut daemon = Running::start(&["run", "--config", &file]);
    let (portal, push) = (daemon.listener(" http="), daemon.listener("ingest_http="));
    wait_until_ready(&portal);
    let body = r#"{"id": "club", "temperature": 20.5}"#;
    let (status, said) = http("POST", &format!("{push}/ingest/v1/club"), body);
    assert_eq!(status, 204, "{said}");
    let refuses = |daemon: &mut Running| {
        configure(dir.path(), &promised);
        daemon.signal("HUP");
        let said = daemon.wait_for_next("configuration refused: the one before stays in force");
        assert!(
            said.contains("rows of `club` lie in its table under CC-BY-NC-4.0"),
            "{said}"
        );
        configure(dir.path(), &both);
    };
    // The row is not a minute old, so no commit has come yet.
    refuses(&mut daemon);
    daemon.stop();
    let mut reader = Running::start(&["serve", "--config", &file]);
    wait_until_ready(&reader.listener(" http="));
    refuses(&mut reader);
    reader.stop();
}

#[test]
fn a_start_refuses_each_promise_that_the_sources_do_not_allow() {
    let dir = tempfile::tempdir().expect("a folder");
    let club = source("club", "CC-BY-NC-4.0", "");
    let derived = |more: &str| {
        format!("[[dataset]]\nid = \"heat_hourly\"\nlicence = \"CC-BY-4.0\"\n{more}{club}")
    };
    for (sections, expect) in [
        (
            format!("{}{club}", promise("CC-BY-4.0")),
            "dataset `heat` declares CC-BY-4.0, but its source `club` is under CC-BY-NC-4.0",
        ),
        (
            derived(""),
            "dataset `heat_hourly` declares CC-BY-4.0, but it is made of `heat` (CC-BY-NC-4.0)",
        ),
        // A reference that says nothing is none.
        (
            derived("permission = \" \"\n"),
            "`permission` names an agreement; fill it in, or remove it",
        ),
        (
            source("club", "CC BY 4.0", ""),
            "source `club` has the licence `CC BY 4.0`, which is not a licence id",
        ),
    ] {
        let file = configure(dir.path(), &sections);
        for role in ["run", "ingest", "serve"] {
            let said = refusal(&[role, "--config", &file], 2);
            assert!(said.contains(expect), "{role}: {said}\n{sections}");
        }
    }
    for sections in [
        derived("permission = \"letter of 2026-03-01\"\n"),
        format!("{}{club}", promise("CC-BY-NC-4.0")),
    ] {
        let file = configure(dir.path(), &sections);
        answer(&["config", "check", "--config", &file]);
    }
}

#[test]
fn telraam_counts_are_never_declared_free() {
    let dir = tempfile::tempdir().expect("a folder");
    let telraam = |licence: &str, more: &str| {
        format!(
            "[[source]]\nid = \"counter\"\nkind = \"http\"\nformat = \"telraam\"\nlicence = \"{licence}\"\n{more}"
        )
    };
    for licence in ["CC0-1.0", "CC-BY-4.0"] {
        let file = configure(dir.path(), &telraam(licence, ""));
        for command in [&["run"][..], &["config", "check"]] {
            let said = refusal(&[command, &["--config", &file]].concat(), 2);
            assert!(
                said.contains("source `counter` declares") && said.contains("CC-BY-NC-4.0"),
                "{said}"
            );
        }
    }
    let agreed = telraam("CC-BY-4.0", "permission = \"letter of 2026-03-01\"\n");
    let file = configure(dir.path(), &agreed);
    answer(&["config", "check", "--config", &file]);
}
