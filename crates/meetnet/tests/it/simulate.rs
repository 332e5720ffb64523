//! `meetnet simulate` against the real program: every format over a broker and over HTTP, with faults, and the answers
//! are exactly what the run says. What is not so is found.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{Running, answer, http, refusal, run, text, wait_until_ready};

const PATIENCE: Duration = Duration::from_secs(60);

/// Writes the configuration that a run needs, with listeners at ports that the system chooses.
fn write_config(file: &Path, broker: &str) {
    let printed = answer(&[
        "simulate",
        "--print-config",
        "--mqtt",
        broker,
        "--http",
        "x",
    ]);
    let config = printed
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:8081", "127.0.0.1:0")
        // The demo's broker has no $SYS topics.
        .replace(
            "kind = \"mqtt\"\n",
            "kind = \"mqtt\"\nwatch_broker_drops = false\n",
        );
    std::fs::write(file, config).expect("a file");
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn read(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).expect("the expectation");
    serde_json::from_str(&text).expect("JSON")
}

/// Writes an expectation anew with one figure changed; returns what the check says to it.
fn check_changed(portal: &str, file: &Path, change: impl FnOnce(&mut Value)) -> String {
    let mut expectation = read(file);
    change(&mut expectation);
    let changed = file.with_extension("changed");
    std::fs::write(&changed, expectation.to_string()).expect("a file");
    let changed = changed.display().to_string();
    let arguments = [
        "simulate", "--verify", portal, "--wait", "0s", "--expect", &changed,
    ];
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn what_was_acknowledged_is_in_the_answers_and_a_difference_is_found() {
    let broker =
        meetnet_demo::start_broker("127.0.0.1:0".parse().expect("an address")).expect("a broker");
    let broker_url = format!("mqtt://{}", broker.addr());
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("meetnet.toml");
    let config = path.display().to_string();
    write_config(&path, &broker_url);
    answer(&["config", "check", "--config", &config]);
    let mut daemon = Running::start(&["run", "--config", &config]);
    let (portal, push) = (daemon.listener(" http="), daemon.listener("ingest_http="));
    wait_until_ready(&portal);
    wait_until("every source is subscribed", || {
        let (_, body) = http("GET", &format!("{portal}/readyz"), "");
        !body.contains("\"subscribed\":false")
    });

    let simulate = |seed: &str, messages: &str, file: &Path| {
        let file = file.display().to_string();
        let to = ["simulate", "--mqtt", &broker_url, "--http", &push, "--gzip"];
        let run = ["--seed", seed, "--messages", messages, "--expect", &file];
        let size = [
            "--devices",
            "3",
            "--batch",
            "5",
            "--inflight",
            "50",
            "--rate",
            "1000",
        ];
        // Which messages have a fault follows from the time, too. The shares are such that of the 43 messages of a
        // format some are cut off at whatever time this runs.
        let faults = [
            "--duplicates",
            "0.1",
            "--late",
            "0.1",
            "--truncated",
            "0.3",
            "--out-of-range",
            "0.1",
        ];
        answer(&[&to[..], &run[..], &size[..], &faults[..]].concat())
    };
    let verify = |file: &Path| {
        let file = file.display().to_string();
        answer(&["simulate", "--verify", &portal, "--expect", &file])
    };
    let first = dir.path().join("first.json");
    let said = simulate("7", "1100", &first);
    assert!(said.contains("seed 7,"), "{said}");
    assert!(said.contains(" 0 in doubt, 0 refused"), "{said}");
    assert!(said.contains("malformed"), "{said}");
    let said = verify(&first);
    assert!(said.starts_with("equal: "), "{said}");

    // Another run by the same sources is none of the first one's business, nor the other way round. Where devices are
    // pseudonyms receive times tell them apart, with a second for clocks on either side.
    std::thread::sleep(Duration::from_millis(2_100));
    let second = dir.path().join("second.json");
    simulate("8", "400", &second);
    for file in [&first, &second] {
        let said = verify(file);
        assert!(said.starts_with("equal: "), "{said}");
    }

    // Rejects are private; the data team's command has them.
    let rejects_of = |file: &Path, source: &str| -> u64 {
        let expectation = read(file);
        let rejects = expectation["rejects"].as_array().expect("a list");
        let of_source = rejects.iter().filter(|one| one["source"] == source);
        of_source.filter_map(|one| one["must"].as_u64()).sum()
    };
    for source in ["sim-mqtt-senml", "sim-http-influx", "sim-http-airrohr"] {
        let count = rejects_of(&first, source) + rejects_of(&second, source);
        assert!(count > 0, "{source}");
        wait_until("the rejects are listed", || {
            let list = answer(&[
                "rejects",
                "list",
                "--summary",
                "--format",
                "csv",
                "--config",
                &config,
            ]);
            list.contains(&format!("{source},malformed,{count},"))
        });
    }

    let said = check_changed(&portal, &first, |expectation| {
        let sum = &mut expectation["parts"][0]["series"][0]["must"]["sum"];
        *sum = (sum.as_i64().expect("a sum") + 1).into();
    });
    assert!(said.contains("1 difference between"), "{said}");
    assert!(said.contains("sum"), "{said}");
    let said = check_changed(&portal, &first, |expectation| {
        let rows = &mut expectation["parts"][0]["series"][0]["must"]["rows"];
        *rows = (rows.as_u64().expect("a number") + 1).into();
    });
    // Those of the series and all of its source.
    assert!(said.contains("2 differences between"), "{said}");

    // A server that knows no such source says so at the first message.
    let unknown = ["--prefix", "other", "--formats", "json", "--messages", "5"];
    let file = dir.path().join("third.json").display().to_string();
    let to = ["simulate", "--http", &push, "--expect", &file];
    let said = refusal(&[&to[..], &unknown[..]].concat(), 1);
    assert!(
        said.contains("no source of kind `http` has this name") && said.contains("--print-config"),
        "{said}"
    );
    daemon.stop();
}

#[test]
fn a_run_without_anybody_there_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("run.json").display().to_string();
    let refused = |to: [&str; 2], code: i32| {
        let arguments = [&["simulate", "--expect", &file][..], &to[..]].concat();
        refusal(&arguments, code)
    };
    // Port 1 is nobody's.
    let said = refused(["--mqtt", "mqtt://127.0.0.1:1"], 1);
    assert!(
        said.contains("cannot connect to the broker at 127.0.0.1:1"),
        "{said}"
    );
    let said = refused(["--http", "http://127.0.0.1:1"], 1);
    assert!(
        said.contains("nobody answers at http://127.0.0.1:1"),
        "{said}"
    );
    let said = refused(["--mqtt", "127.0.0.1:1"], 2);
    assert!(said.contains("mqtt://HOST"), "{said}");
    let said = refused(["--seed", "1"], 2);
    assert!(said.contains("--mqtt") && said.contains("--http"), "{said}");
    let said = refusal(
        &[
            "simulate",
            "--verify",
            "http://127.0.0.1:1",
            "--expect",
            "/nowhere/run.json",
        ],
        2,
    );
    assert!(said.contains("cannot read `/nowhere/run.json`"), "{said}");
}
