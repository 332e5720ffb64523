use std::collections::BTreeSet;
use std::time::Duration;

use meetnet_query::{Client, Protocol};

use super::*;

/// 2026-11-28T23:59:59Z.
const EVENING: i64 = 1_795_910_399_000_000;

fn config(dir: &Path, days: u64, file_bytes_max: u64) -> AuditConfig {
    AuditConfig {
        dir: dir.join("audit"),
        retention: Duration::from_secs(days * 24 * 3600),
        file_bytes_max,
    }
}

fn entry(address: &str) -> AuditEntry {
    AuditEntry {
        client: Client::of_address(Protocol::Http, address.parse().ok()),
        shape: "SELECT ? FROM heat".to_owned(),
        digest: "0123456789abcdef".to_owned(),
        outcome: "ok",
        rows: 3,
        bytes: 120,
        duration: Duration::from_millis(17),
    }
}

fn client_of(line: &Line) -> String {
    let value: serde_json::Value = serde_json::from_str(&line.text).unwrap();
    value["client"].as_str().unwrap().to_owned()
}

#[test]
fn a_line_names_nobody_and_a_client_is_another_one_tomorrow() {
    let folder = tempfile::tempdir().unwrap();
    let log = AuditLog::start(&config(folder.path(), 30, 1 << 20)).unwrap();
    let line = log.line(&entry("192.0.2.7"), EVENING);
    assert_eq!(line.date, "2026-11-28");
    let mut value: serde_json::Value = serde_json::from_str(&line.text).unwrap();
    let client = value["client"].take();
    assert_eq!(client.as_str().unwrap().len(), PSEUDONYM_CHARS);
    assert_eq!(
        value,
        json!({
            "time": "2026-11-28T23:59:59Z",
            "protocol": "http",
            "client": null,
            "key": null,
            "statement": "0123456789abcdef",
            "shape": "SELECT ? FROM heat",
            "outcome": "ok",
            "rows": 3,
            "bytes": 120,
            "duration_ms": 17,
        })
    );
    assert!(!line.text.contains("192.0"), "{}", line.text);
    // The same client on the same day, another client, the next day, another start.
    let same = log.line(&entry("192.0.2.99"), EVENING - DAY_US / 2);
    assert_eq!(client_of(&same), client_of(&line));
    let other = log.line(&entry("198.51.100.1"), EVENING);
    let tomorrow = log.line(&entry("192.0.2.7"), EVENING + DAY_US);
    let again = AuditLog::start(&config(folder.path(), 30, 1 << 20)).unwrap();
    let restarted = again.line(&entry("192.0.2.7"), EVENING);
    let clients = [&line, &other, &tomorrow, &restarted].map(client_of);
    assert_eq!(BTreeSet::from(clients).len(), 4);
}

#[test]
fn files_are_of_days_and_go_after_the_retention() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 2, 1 << 20);
    fs::create_dir(&config.dir).unwrap();
    let names = || {
        let entries = fs::read_dir(&config.dir).unwrap();
        let names: BTreeSet<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.into_iter().collect::<Vec<_>>()
    };
    fs::write(config.dir.join("notes.txt"), "of somebody else").unwrap();
    let mut files = AuditFiles::new(&config);
    let write = |files: &mut AuditFiles, day: i64| {
        let time = format_rfc3339(EVENING + day * DAY_US);
        let line = Line {
            date: time[..DATE_CHARS].to_owned(),
            text: format!("{day}\n"),
        };
        files.write(&line).unwrap();
        files.flush().unwrap();
    };
    for day in [0, 0, 1, 2] {
        write(&mut files, day);
    }
    assert_eq!(
        names(),
        [
            "audit-2026-11-28.ndjson",
            "audit-2026-11-29.ndjson",
            "audit-2026-11-30.ndjson",
            "notes.txt"
        ]
    );
    let first = fs::read_to_string(config.dir.join("audit-2026-11-28.ndjson")).unwrap();
    assert_eq!(first, "0\n0\n");
    write(&mut files, 3);
    assert_eq!(
        names(),
        [
            "audit-2026-11-29.ndjson",
            "audit-2026-11-30.ndjson",
            "audit-2026-12-01.ndjson",
            "notes.txt"
        ]
    );
}

#[test]
fn the_file_of_a_day_is_bounded_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 2, 10);
    fs::create_dir(&config.dir).unwrap();
    for _ in 0..2 {
        let mut files = AuditFiles::new(&config);
        for _ in 0..5 {
            let line = Line {
                date: "2026-11-28".to_owned(),
                text: "line\n".to_owned(),
            };
            files.write(&line).unwrap();
        }
        files.flush().unwrap();
    }
    let written = fs::read_to_string(config.dir.join("audit-2026-11-28.ndjson")).unwrap();
    assert_eq!(written, "line\nline\n");
}
