//! `meetnet quality` without a daemon and with one: flags of imported rows, and by which rules they are.

use crate::desk;
use crate::process::{Running, answer, refusal, wait_until_ready};

const SECTIONS: &str = "[schemas]\ndir = \"schemas\"\n";

/// The property as the program has it, with another limit of the spike test.
const PROPERTY: &str = r#"
[[property]]
name = "air_temperature"
dataset = "heat"
unit = "Cel"
iri = "http://vocab.nerc.ac.uk/standard_name/air_temperature/"
range = [-30, 50]
title = { nl = "Luchttemperatuur", en = "Air temperature", fr = "Température de l'air" }
[property.tests]
spike = { suspect = SUSPECT }
"#;

#[test]
fn stored_rows_are_flagged_again_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = dir.path().join("meetnet.toml");
    std::fs::write(&config, desk::config(SECTIONS, desk::TIME)).expect("a file");
    let schemas = dir.path().join("schemas");
    std::fs::create_dir(&schemas).expect("a folder");
    let declare = |suspect: &str| {
        let text = PROPERTY.replace("SUSPECT", suspect);
        std::fs::write(schemas.join("properties.toml"), text).expect("a file");
    };
    declare("3");
    let config = config.display().to_string();
    // Twelve quiet values and one that stands out by 4.
    let line = |at: i64| {
        let value = if at == 6 { 24 } else { 20 };
        format!(
            "{{\"id\":\"7\",\"ts\":{},\"t\":{value}}}\n",
            1_600_000_000 + at * 300
        )
    };
    let file = dir.path().join("history.ndjson");
    std::fs::write(&file, (0..13).map(line).collect::<String>()).expect("a file");
    let file = file.display().to_string();
    answer(&["import", "json", &file, "--config", &config]);

    let quality = |arguments: &[&str]| {
        answer(&[&["quality"][..], arguments, &["--config", &config]].concat())
    };
    let sql = |query: &str| answer(&["sql", "--config", &config, "--format", "csv", query]);
    let flagged = "SELECT count(*) AS n FROM heat WHERE quality = 3 AND quality_tests = 256";
    let said = quality(&["rerun", "--dataset", "heat", "--dry-run"]);
    assert!(
        said.contains("heat: 1 of 13 rows would get other flags, in 1 day"),
        "{said}"
    );
    assert_eq!(sql(flagged), "n\r\n0\r\n");
    let said = quality(&["rerun", "--dataset", "heat"]);
    assert!(
        said.contains("heat: 1 of 13 rows got other flags, in 1 day"),
        "{said}"
    );
    assert!(said.contains("spike: 1 more, 0 fewer"), "{said}");
    assert_eq!(sql(flagged), "n\r\n1\r\n");
    let history = "SELECT revision, quality FROM heat_history WHERE value = 24 ORDER BY revision";
    assert_eq!(sql(history), "revision,quality\r\n0,1\r\n1,3\r\n");
    let rules = "SELECT dataset, tested, revised FROM quality_rules";
    assert_eq!(sql(rules), "dataset,tested,revised\r\nheat,13,1\r\n");

    // In a daemon, by other rules: what they say of one row changes, and nothing else is written.
    declare("5");
    let mut daemon = Running::start(&["run", "--config", &config]);
    let rest = daemon.wait_for(" http=");
    let portal = format!("http://{}", rest.split_whitespace().next().unwrap_or(""));
    wait_until_ready(&portal);
    let said = quality(&["rerun", "--from", "2020-09-13", "--to", "2020-09-14"]);
    assert!(
        said.contains("heat: 1 of 13 rows got other flags, in 1 day"),
        "{said}"
    );
    let said = quality(&["rerun"]);
    assert!(
        said.contains("heat: 0 of 13 rows got other flags, in 1 day"),
        "{said}"
    );
    // What the daemon derives meanwhile has rows of its own to settle.
    let said = quality(&["settle"]);
    assert!(!said.contains("heat:"), "{said}");
    let said = quality(&["rerun", "--dataset", "heat", "--to", "2020-09-13"]);
    assert!(said.contains("nothing to settle"), "{said}");
    let current = "SELECT sum(revision) AS r, max(quality) AS q FROM heat";
    assert_eq!(
        answer(&["sql", "--url", &portal, current]),
        "r,q\r\n2,1\r\n"
    );
    let refused = |arguments: &[&str], expect: &str| {
        let said = refusal(
            &[&["quality", "rerun", "--config", &config], arguments].concat(),
            2,
        );
        assert!(said.contains(expect), "`{said}` does not say `{expect}`");
    };
    refused(&["--dataset", "nothing"], "there is no dataset `nothing`");
    refused(
        &["--dataset", "rejects"],
        "there is no dataset `rejects` with quality",
    );
    refused(
        &["--from", "2020-09-14", "--to", "2020-09-13"],
        "--from must lie before --to",
    );
    let (status, said) = daemon.interrupt();
    assert_eq!(status.code(), Some(0), "{said}");
}
