//! Commands that ask a service do so with an API key: from a file or the environment, and shown nowhere.

use std::path::Path;
use std::process::Output;

use crate::desk::{self, installation, start};
use crate::process::{meetnet, refusal, text};

const KEY: &str = "city-test-key";
/// SHA-256 of [`KEY`].
const DIGEST: &str = "7232498b65709e75cd7eb8abf363be498a303bcb75377bc4d1a1242c2767bd5d";
const WRONG_KEY: &str = "nobody-has-this-key";
/// A run of `meetnet simulate` that left nothing.
const EXPECTATION: &str = r#"{
  "version": 1, "seed": 1, "run": "r", "sent": ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"],
  "messages": {"acknowledged": 0, "duplicates": 0, "in_doubt": 0, "refused": 0},
  "parts": [{
    "source": "desk", "dataset": "heat", "is_wide": false, "selection": {"sensors_beginning": "nobody"},
    "series": [{
      "name": "air_temperature",
      "must": {"rows": 0, "sum": 0, "lowest": null, "highest": null},
      "may": {"rows": 0, "sum": 0, "lowest": null, "highest": null}
    }]
  }],
  "rejects": []
}"#;

/// Runs a command with `MEETNET_API_KEY`.
fn run_with(arguments: &[&str], key: Option<&str>) -> Output {
    let mut command = meetnet(arguments);
    if let Some(key) = key {
        command.env("MEETNET_API_KEY", key);
    }
    let output = command.output().expect("the program starts");
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(
        !said.contains(KEY) && !said.contains(WRONG_KEY),
        "{arguments:?}: {said}"
    );
    output
}

fn written(file: &Path, content: &str) -> String {
    std::fs::write(file, content).expect("a file");
    file.display().to_string()
}

#[test]
fn every_command_that_asks_a_service_sends_the_key() {
    let sections = format!("[[api_key]]\nname = \"university\"\nsha256 = \"{DIGEST}\"\n");
    let (dir, file) = installation(&desk::config(&sections, ""));
    let (daemon, portal, push) = start(&file);
    desk::push(&push, r#"{"id": "a", "t": 20.5}"#);
    let expectation = written(&dir.path().join("expectation.json"), EXPECTATION);
    let mirror = dir.path().join("mirror").display().to_string();
    let right = written(&dir.path().join("right.key"), &format!("{KEY}\n"));
    let wrong = written(&dir.path().join("wrong.key"), WRONG_KEY);
    let commands: [&[&str]; 5] = [
        &["sql", "--url", &portal, "SELECT 1 AS one"],
        &["export", "heat", "--url", &portal],
        &["export", "heat", "--files", &mirror, "--url", &portal],
        &["privacy", "scan", "--url", &portal],
        &[
            "simulate",
            "--verify",
            &portal,
            "--wait",
            "0s",
            "--expect",
            &expectation,
        ],
    ];
    for command in commands {
        let check = |more: &[&str], variable: Option<&str>, code: i32| {
            let output = run_with(&[command, more].concat(), variable);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{command:?}: {said}");
            if code == 1 {
                // Either in the service's words, or by its status.
                let is_refused =
                    said.contains("nobody has this API key") || said.contains("401 Unauthorized");
                assert!(is_refused, "{command:?}: {said}");
            }
        };
        check(&[], None, 0);
        check(&[], Some(KEY), 0);
        check(&["--api-key-file", &right], None, 0);
        check(&[], Some(WRONG_KEY), 1);
        check(&["--api-key-file", &wrong], None, 1);
        // Who names a file means that one.
        check(&["--api-key-file", &right], Some(WRONG_KEY), 0);
        check(&["--api-key-file", &wrong], Some(KEY), 1);
        // A key that is none is not left out.
        check(&[], Some(""), 2);
        check(&["--api-key-file", &mirror], None, 2);
    }
    daemon.stop();
    // Nobody is asked with it.
    let lake = dir.path().join("data/lake").display().to_string();
    let said = refusal(
        &["sql", "--lake", &lake, "--api-key-file", &right, "SELECT 1"],
        2,
    );
    assert!(said.contains("cannot be used with"), "{said}");
}
