//! `meetnet rejects` as the data team uses it: a mapping is wrong, is mended, and nothing is lost.

use serde_json::Value;

use crate::process::{Running, answer, http, refusal, run, text, wait_until_ready};

fn config(pointer: &str) -> String {
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
licence = "CC0-1.0"
map = [{{ dataset = "heat", property = "air_temperature", pointer = "{pointer}", unit = "Cel" }}]
"#
    )
}

/// Starts a daemon; returns it, where it answers, and where it is pushed to.
fn start(file: &str) -> (Running, String, String) {
    let mut daemon = Running::start(&["run", "--config", file]);
    let mut address = |label: &str| {
        let rest = daemon.wait_for(label);
        format!("http://{}", rest.split_whitespace().next().unwrap_or(""))
    };
    let (portal, push) = (address(" http="), address("ingest_http="));
    wait_until_ready(&portal);
    (daemon, portal, push)
}

/// Lists 3 rejects of 2 reasons, and fewer.
fn says_what_it_leaves_out(file: &str) {
    let check = |more: &[&str], remark: &str, lines: usize, is_cut: bool| {
        let list = ["rejects", "list", "--config", file, "--format"];
        let output = run(&[&list[..], &["json"], more].concat());
        assert_eq!(text(&output.stderr), remark, "{more:?}");
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(json["row_count"], lines, "{more:?}");
        assert_eq!(json["truncated"], is_cut, "{more:?}");
        // Stdout stays what a program reads.
        let output = run(&[&list[..], &["csv"], more].concat());
        assert_eq!(text(&output.stderr), remark, "{more:?}");
        assert_eq!(text(&output.stdout).trim_end().lines().count(), lines + 1);
    };
    let few = "2 of 3 rejects, the newest; --limit N shows more, --summary counts them\n";
    check(&["--limit", "2"], few, 2, true);
    check(&["--limit", "3"], "", 3, false);
    check(&[], "", 3, false);
    let lines = "1 of 2 lines; --limit N shows more\n";
    check(&["--summary", "--limit", "1"], lines, 1, true);
    check(&["--summary"], "", 2, false);
}

#[test]
fn rejects_are_listed_shown_replayed_and_dropped() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("meetnet.toml");
    let file = path.display().to_string();
    std::fs::write(&path, config("/temperature")).expect("a file");
    let (daemon, _, push) = start(&file);
    for body in [
        r#"{"id": "1", "temp": 20.5}"#,
        r#"{"id": "2", "temp": 21}"#,
        "[1,",
    ] {
        let (status, said) = http("POST", &format!("{push}/ingest/v1/desk"), body);
        assert_eq!(status, 400, "{said}");
    }
    let list = |more: &[&str]| {
        let mut arguments = vec!["rejects", "list", "--config", &file, "--format", "csv"];
        arguments.extend(more);
        answer(&arguments)
    };
    let lines = |text: &str| text.trim_end().lines().count() - 1;
    // In the daemon: what is not committed is there, too.
    let all = list(&[]);
    assert_eq!(lines(&all), 3, "{all}");
    assert_eq!(lines(&list(&["--reason", "malformed"])), 1);
    // A name that was mistyped looks like work done, where nobody says so.
    for (command, name, expect) in [
        ("list", "o'neill", "there is no source `o'neill`"),
        ("replay", "dsk", "did you mean `desk`?"),
        ("drop", "dsk", "did you mean `desk`?"),
    ] {
        let said = refusal(
            &["rejects", command, "--source", name, "--config", &file],
            2,
        );
        assert!(said.contains(expect), "{command}: {said}");
    }
    assert_eq!(lines(&list(&["--limit", "2"])), 2);
    says_what_it_leaves_out(&file);
    let summary = list(&["--summary"]);
    assert!(summary.contains("desk,no_mapped_value,2,2,"), "{summary}");
    let malformed = list(&["--reason", "malformed"]);
    let sequence = malformed
        .lines()
        .nth(1)
        .and_then(|line| line.split(',').next());
    let sequence = sequence.expect("a reject").to_owned();
    let shown = answer(&["rejects", "show", &sequence, "--config", &file]);
    assert!(shown.contains("3 bytes from source `desk`"), "{shown}");
    let raw = answer(&["rejects", "show", &sequence, "--raw", "--config", &file]);
    assert_eq!(raw, "[1,");
    let said = refusal(&["rejects", "show", "4711", "--raw", "--config", &file], 1);
    assert!(
        said.contains("message 4711 is in neither journal nor archive"),
        "{said}"
    );
    let said = refusal(&["rejects", "show", "4711", "--config", &file], 1);
    assert!(said.contains("there is no reject of it either"), "{said}");
    assert!(said.contains("or never was"), "{said}");
    let said = refusal(
        &["rejects", "list", "--reason", "bad", "--config", &file],
        2,
    );
    assert!(
        said.contains("there is no reason `bad`; there are too_large"),
        "{said}"
    );
    let said = refusal(&["rejects", "drop", "--config", &file], 2);
    assert!(said.contains("say which rejects"), "{said}");
    // Nothing is mended yet: all of them come out again.
    let said = answer(&["rejects", "replay", "--config", &file]);
    assert!(
        said.contains("replayed 3 messages: 0 of 3 rejects are resolved"),
        "{said}"
    );
    let (status, said) = daemon.interrupt();
    assert_eq!(status.code(), Some(0), "{said}");
    // The log says what was done. A list is for who asked: its excerpts would outlive an erasure there.
    assert!(said.contains("0 of 3 rejects are resolved"), "{said}");
    let excerpt = ": 20.5}";
    assert!(all.contains(excerpt), "{all}");
    assert!(!said.contains(excerpt), "{said}");

    // Without a daemon: what is committed.
    assert_eq!(lines(&list(&[])), 3);
    says_what_it_leaves_out(&file);
    std::fs::write(&path, config("/temp")).expect("a file");
    let said = answer(&["rejects", "replay", "--source", "desk", "--config", &file]);
    assert!(
        said.contains("replayed 3 messages: 2 of 3 rejects are resolved"),
        "{said}"
    );
    assert!(said.contains("1 came out again"), "{said}");
    let rows = "heat: 2 new, 0 revisions, 0 duplicates, 0 older than what is stored";
    assert!(said.contains(rows), "{said}");
    let sql = "SELECT count(*) AS n, sum(value) AS s FROM heat";
    let (daemon, portal, _) = start(&file);
    assert_eq!(answer(&["sql", "--url", &portal, sql]), "n,s\r\n2,41.5\r\n");
    assert_eq!(lines(&list(&[])), 1);
    assert_eq!(lines(&list(&["--resolved"])), 3);
    let said = answer(&["rejects", "drop", "--all", "--config", &file]);
    assert!(said.contains("dropped 1 reject of 1 message;"), "{said}");
    // Nothing is left to do, and nobody is told that it was done.
    for (command, more) in [("drop", &["--all"][..]), ("replay", &[][..])] {
        let arguments = [&["rejects", command, "--config", &file], more].concat();
        let output = run(&arguments);
        let (said, why) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{command}: {said}{why}");
        assert_eq!(said.trim_end(), "no open reject matches");
        assert!(why.contains("nothing was "), "{why}");
    }
    // Every message, rejected or not: the rows are there already.
    let range = ["--sequence", "1..1000", "--all-messages"];
    let said = answer(&[&["rejects", "replay", "--config", &file], &range[..]].concat());
    assert!(said.starts_with("replayed "), "{said}");
    assert!(said.contains("heat: 0 new, 0 revisions, "), "{said}");
    assert!(!said.contains(" 0 duplicates"), "{said}");
    assert_eq!(answer(&["sql", "--url", &portal, sql]), "n,s\r\n2,41.5\r\n");
    // What was dropped comes out again and stays dropped, and the decision to drop it is no message.
    assert_eq!(list(&[]).trim_end().lines().count(), 1, "{}", list(&[]));
    assert!(list(&["--resolved"]).contains(",dropped"));
    let (status, said) = daemon.interrupt();
    assert_eq!(status.code(), Some(0), "{said}");
}

#[test]
fn what_was_dropped_stays_dropped_where_its_message_is_replayed() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("meetnet.toml");
    let file = path.display().to_string();
    std::fs::write(&path, config("/temperature")).expect("a file");
    let (daemon, _, push) = start(&file);
    let body = r#"[{"id": "1", "temp": 20.5}, {"id": "2", "temp": "cold", "temperature": "cold"}]"#;
    let (status, said) = http("POST", &format!("{push}/ingest/v1/desk"), body);
    assert_eq!(status, 400, "{said}");
    let wrong_type = ["rejects", "drop", "--reason", "wrong_type"];
    let said = answer(&[&wrong_type[..], &["--config", &file]].concat());
    assert!(said.contains("dropped 1 reject of 1 message;"), "{said}");
    let (status, said) = daemon.interrupt();
    assert_eq!(status.code(), Some(0), "{said}");

    std::fs::write(&path, config("/temp")).expect("a file");
    let said = answer(&["rejects", "replay", "--source", "desk", "--config", &file]);
    assert!(
        said.contains("replayed 1 message: 1 of 1 reject is resolved"),
        "{said}"
    );
    let list = ["rejects", "list", "--format", "csv", "--config", &file];
    let open = answer(&list);
    assert_eq!(open.trim_end().lines().count(), 1, "{open}");
    let all = answer(&[&list[..], &["--resolved"]].concat());
    assert!(
        all.contains(",replayed") && all.contains(",dropped"),
        "{all}"
    );
}

#[test]
fn what_was_dropped_stays_dropped_where_a_replay_of_its_message_is_replayed() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("meetnet.toml");
    let file = path.display().to_string();
    std::fs::write(&path, config("/temperature")).expect("a file");
    let (daemon, _, push) = start(&file);
    let body = r#"[{"id": "1", "temp": 20.5}, {"id": "2", "temp": "cold", "temperature": "cold"}]"#;
    let (status, said) = http("POST", &format!("{push}/ingest/v1/desk"), body);
    assert_eq!(status, 400, "{said}");
    let list = ["rejects", "list", "--format", "csv", "--config", &file];
    let listed = answer(&list);
    let sequence = listed
        .lines()
        .nth(1)
        .and_then(|line| line.split(',').next());
    let sequence: u64 = sequence.expect("a reject").parse().expect("a number");
    let wrong_type = ["rejects", "drop", "--reason", "wrong_type"];
    let said = answer(&[&wrong_type[..], &["--config", &file]].concat());
    assert!(said.contains("dropped 1 reject of 1 message;"), "{said}");
    // Nothing is mended: what is open comes out again.
    let said = answer(&["rejects", "replay", "--config", &file]);
    assert!(said.contains("0 of 1 reject is resolved"), "{said}");
    let (status, said) = daemon.interrupt();
    assert_eq!(status.code(), Some(0), "{said}");

    // Mended, and the replay is replayed without its message, which stands before it.
    std::fs::write(&path, config("/temp")).expect("a file");
    let behind = format!("{}..1000", sequence + 1);
    let range = ["--sequence", &behind, "--all-messages"];
    let said = answer(&[&["rejects", "replay", "--config", &file], &range[..]].concat());
    assert!(
        said.contains("replayed 1 message: 1 of 1 reject is resolved"),
        "{said}"
    );
    let open = answer(&list);
    assert_eq!(open.trim_end().lines().count(), 1, "{open}");
}

#[test]
fn rejects_of_one_reason_are_replayed_with_the_others_of_their_message() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("meetnet.toml");
    let file = path.display().to_string();
    std::fs::write(&path, config("/temperature")).expect("a file");
    let (daemon, _, push) = start(&file);
    // The second message has none of that reason.
    for body in [
        r#"[{"id": "1", "temp": 20.5}, {"id": "2", "temp": 21.5, "temperature": "cold"}]"#,
        r#"{"id": "3", "temp": 22.5, "temperature": "cold"}"#,
    ] {
        let (status, said) = http("POST", &format!("{push}/ingest/v1/desk"), body);
        assert_eq!(status, 400, "{said}");
    }
    let (status, said) = daemon.interrupt();
    assert_eq!(status.code(), Some(0), "{said}");

    std::fs::write(&path, config("/temp")).expect("a file");
    let no_value = ["rejects", "replay", "--reason", "no_mapped_value"];
    let said = answer(&[&no_value[..], &["--config", &file]].concat());
    assert!(
        said.contains("replayed 1 message: 2 of 2 rejects are resolved"),
        "{said}"
    );
    let open = answer(&["rejects", "list", "--format", "csv", "--config", &file]);
    assert_eq!(open.trim_end().lines().count(), 2, "{open}");
}

#[test]
fn rejects_of_a_source_that_was_removed_keep_their_reasons() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("meetnet.toml");
    let file = path.display().to_string();
    std::fs::write(&path, config("/temperature")).expect("a file");
    let (daemon, _, push) = start(&file);
    let body = r#"{"id": "1", "temp": 20.5}"#;
    let (status, said) = http("POST", &format!("{push}/ingest/v1/desk"), body);
    assert_eq!(status, 400, "{said}");
    let (status, said) = daemon.interrupt();
    assert_eq!(status.code(), Some(0), "{said}");

    let removed = config("/temp").replace("id = \"desk\"", "id = \"shelf\"");
    std::fs::write(&path, removed).expect("a file");
    let replay = ["rejects", "replay", "--source", "desk", "--config", &file];
    let output = run(&replay);
    let (said, why) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{said}{why}");
    assert!(
        said.contains("1 message of source `desk` left as before"),
        "{said}"
    );
    assert!(why.contains("nothing was replayed"), "{why}");
    let listed = ["rejects", "list", "--summary", "--format", "csv"];
    let listed = answer(&[&listed[..], &["--source", "desk", "--config", &file]].concat());
    assert!(listed.contains("desk,no_mapped_value,1,1,"), "{listed}");

    // Declared again, and mended.
    std::fs::write(&path, config("/temp")).expect("a file");
    let said = answer(&replay);
    assert!(
        said.contains("replayed 1 message: 1 of 1 reject is resolved"),
        "{said}"
    );
}

#[test]
fn a_value_that_was_said_again_is_not_overruled_by_a_replay() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("meetnet.toml");
    let file = path.display().to_string();
    let timed = |config: String| {
        let time = "time = { pointer = \"/ts\", format = \"unix-ms\" }\nlicence";
        config.replace("licence", time)
    };
    std::fs::write(&path, timed(config("/temperature"))).expect("a file");
    let (daemon, _, push) = start(&file);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("a clock");
    let ts = now.as_millis();
    // A second sensor says its value once, and is misunderstood, too.
    for (body, expect) in [
        (
            format!(r#"{{"id": "1", "ts": {ts}, "temperature": 20.5}}"#),
            204,
        ),
        (
            format!(r#"{{"id": "2", "ts": {ts}, "temperature": 10.5}}"#),
            204,
        ),
        (format!(r#"{{"id": "1", "ts": {ts}, "temp": 21.5}}"#), 400),
        (format!(r#"{{"id": "2", "ts": {ts}, "temp": 11.5}}"#), 400),
        (
            format!(r#"{{"id": "1", "ts": {ts}, "temperature": 20.5}}"#),
            204,
        ),
    ] {
        let (status, said) = http("POST", &format!("{push}/ingest/v1/desk"), &body);
        assert_eq!(status, expect, "{body}: {said}");
    }
    let (status, said) = daemon.interrupt();
    assert_eq!(status.code(), Some(0), "{said}");

    // Mended: both ways to say it are understood.
    let second =
        r#"{ dataset = "heat", property = "air_temperature", pointer = "/temp", unit = "Cel" }]"#;
    let mended = timed(config("/temperature")).replace("}]", &format!("}}, {second}"));
    std::fs::write(&path, mended).expect("a file");
    let (daemon, portal, _) = start(&file);
    let said = answer(&["rejects", "replay", "--config", &file]);
    assert!(
        said.contains("replayed 2 messages: 2 of 2 rejects are resolved"),
        "{said}"
    );
    assert!(
        said.contains("1 stored value said again by later messages"),
        "{said}"
    );
    let ask = |sql: &str| answer(&["sql", "--url", &portal, sql]);
    let values = "SELECT value FROM heat ORDER BY value";
    let history = "SELECT value, revision FROM heat_history ORDER BY value, revision";
    let expect = "value,revision\r\n10.5,0\r\n11.5,1\r\n20.5,0\r\n20.5,1\r\n21.5,1\r\n";
    assert_eq!(ask(values), "value\r\n11.5\r\n20.5\r\n");
    assert_eq!(ask(history), expect);
    // Once more, of closed rejects: nothing is told anew.
    let range = ["--sequence", "1..1000", "--all-messages"];
    let said = answer(&[&["rejects", "replay", "--config", &file], &range[..]].concat());
    assert!(!said.contains("said again"), "{said}");
    assert_eq!(ask(history), expect);
    let (status, said) = daemon.interrupt();
    assert_eq!(status.code(), Some(0), "{said}");
}
