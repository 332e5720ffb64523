//! `meetnet import` with a daemon and without one, from files and from stdin.

use std::io::Write;
use std::process::Stdio;

use crate::desk;
use crate::process::{Running, answer, meetnet, refusal, run, text, wait_until_ready};

/// A source that is never asked and never listened to: nothing but files, whose names say which station they are of.
const FILES: &str = r#"
[http]
listen = "127.0.0.1:0"
[[source]]
id = "loggers"
kind = "files"
format = "csv"
files = ["monthly/{station}/{month}.csv", "{station}.csv"]
sensor_id = "{station}"
time = { field = "at", format = "unix" }
licence = "CC-BY-4.0"
map = [{ dataset = "heat", property = "air_temperature", field = "t" }]
"#;

#[test]
fn a_source_of_files_has_neither_broker_nor_listener() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = dir.path().join("meetnet.toml");
    std::fs::write(&config, FILES).expect("a file");
    let config = config.display().to_string();
    let write = |name: &str, text: &str| {
        let path = dir.path().join("history").join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let table = "at,t\n1600000000,20\n1600000060,21\n";
    let roof = write("roof.csv", table);
    write("monthly/yard/2020-09.csv", table);
    let other = write("notes.txt", table);
    let checked = answer(&["config", "check", "--config", &config]);
    assert!(
        checked.contains("monthly/{station}/{month}.csv  {station}.csv, by `meetnet import`"),
        "{checked}"
    );
    let tried = answer(&["source", "test", "loggers", &roof, "--config", &config]);
    assert!(tried.contains("loggers-roof"), "{tried}");
    let mut daemon = Running::start(&["run", "--config", &config]);
    let rest = daemon.wait_for(" http=");
    let portal = format!("http://{}", rest.split_whitespace().next().unwrap_or(""));
    wait_until_ready(&portal);
    // The same bytes under another name are rows of another station, whichever comes first.
    let import = |file: &str| answer(&["import", "csv", file, "--config", &config]);
    let said = import(&roof);
    assert!(said.contains("heat: 2 new"), "{said}");
    let said = import(&dir.path().join("history/monthly").display().to_string());
    assert!(said.contains("heat: 2 new"), "{said}");
    // Nothing of it is a row: a script must not take that for success, and the summary is there all the same.
    for _ in 0..2 {
        let output = run(&["import", "csv", &other, "--config", &config]);
        let (said, why) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{said}{why}");
        assert!(said.contains("2 rejects: 2 unknown_topic"), "{said}");
        assert!(why.contains("nothing was imported"), "{why}");
    }
    let said = import(&roof);
    assert!(said.contains("2 rows came by an earlier run"), "{said}");
    let sql = "SELECT sensor_id, count(*) AS n FROM heat GROUP BY sensor_id ORDER BY sensor_id";
    assert_eq!(
        answer(&["sql", "--url", &portal, sql]),
        "sensor_id,n\r\nloggers-roof,2\r\nloggers-yard,2\r\n"
    );
    let (status, said) = daemon.interrupt();
    assert_eq!(status.code(), Some(0), "{said}");
}

fn lines(count: i64) -> String {
    let line = |at: i64| {
        format!(
            "{{\"id\":\"7\",\"ts\":{},\"t\":{at}}}\n",
            1_600_000_000 + at * 60
        )
    };
    (0..count).map(line).collect()
}

#[test]
fn files_become_rows_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = dir.path().join("meetnet.toml");
    std::fs::write(&config, desk::config("", desk::TIME)).expect("a file");
    let config = config.display().to_string();
    let file = dir.path().join("history.ndjson");
    std::fs::write(&file, lines(50) + "rubbish\n").expect("a file");
    let file = file.display().to_string();
    let import = |more: &[&str]| answer(&[&["import", "json", "--config", &config], more].concat());
    // Without a daemon.
    let said = import(&[&file, "--dry-run"]);
    assert!(
        said.contains("1 file with") && said.contains("source `desk`"),
        "{said}"
    );
    let said = import(&[&file]);
    assert!(said.contains("1 file, 1 document, 50 rows"), "{said}");
    assert!(
        said.contains("heat: 50 new, 0 revisions, 0 duplicates"),
        "{said}"
    );
    assert!(said.contains("1 reject: 1 malformed"), "{said}");
    let said = import(&[&file]);
    assert!(said.contains("50 rows came by an earlier run"), "{said}");
    // In a daemon, from stdin.
    let mut daemon = Running::start(&["run", "--config", &config]);
    let rest = daemon.wait_for(" http=");
    let portal = format!("http://{}", rest.split_whitespace().next().unwrap_or(""));
    wait_until_ready(&portal);
    let mut child = meetnet(&["import", "json", "-", "--config", &config])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(lines(60).as_bytes()).expect("taken");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("heat: 10 new, 0 revisions, 50 duplicates"),
        "{said}"
    );
    let sql = "SELECT count(*) AS n, sum(value) AS s FROM heat";
    assert_eq!(
        answer(&["sql", "--url", &portal, sql]),
        "n,s\r\n60,1770.0\r\n"
    );
    let refused = |arguments: &[&str], expect: &str| {
        let said = refusal(&[&["import", "--config", &config], arguments].concat(), 2);
        assert!(said.contains(expect), "`{said}` does not say `{expect}`");
    };
    refused(&["json", "nothing.json"], "no file there");
    refused(
        &["xml", &file],
        "there is no format `xml`; there are telraam",
    );
    refused(
        &["telraam", &file],
        "no source of format `telraam` is configured",
    );
    refused(
        &["telraam", &file, "--source", "desk"],
        "source `desk` has the format `json`",
    );
    refused(
        &["json", &file, "--source", "dsk"],
        "source `dsk` is not configured; did you mean `desk`?",
    );
    let (status, said) = daemon.interrupt();
    assert_eq!(status.code(), Some(0), "{said}");
}

#[test]
fn what_is_refused_of_stdin_is_kept_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = dir.path().join("meetnet.toml");
    std::fs::write(&config, desk::config("", desk::TIME)).expect("a file");
    let config = config.display().to_string();
    let import = || {
        let mut child = meetnet(&["import", "json", "-", "--config", &config])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("piped");
        let sent = lines(2) + "rubbish\n";
        stdin.write_all(sent.as_bytes()).expect("taken");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        text(&output.stdout)
    };
    let said = import();
    let kept = "kept 1 refused message, 0 known from before";
    assert!(said.contains(kept) && said.contains("stdin: "), "{said}");
    let said = import();
    let known = "kept 0 refused messages, 1 known from before";
    assert!(said.contains(known), "{said}");
    assert!(said.contains("2 rows came by an earlier run"), "{said}");
}
