//! Flags by earlier rows: the same whatever ended in between.

use meetnet_model::quality::QualityTest;

use super::*;

/// Appends a temperature; `seconds` count from an hour ago.
fn send(daemon: &Daemon, seconds: i64, temperature: f64) -> Sequence {
    let ts = *HOUR_AGO_MS + seconds * 1_000;
    daemon.append("timed", &format!("{{\"ts\":{ts},\"t\":{temperature}}}"))
}

static HOUR_AGO_MS: std::sync::LazyLock<i64> = std::sync::LazyLock::new(|| now_ms() - 3_600_000);

#[test]
fn flags_by_earlier_rows_are_the_same_after_a_stop_and_after_a_crash() {
    let rate = QualityTest::RateOfChange.bit();
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    // The first says nothing of a change; 1 degree in a minute can be, 17 cannot.
    send(&daemon, 0, -4.0);
    let last = send(&daemon, 60, -3.0);
    let found = flags(&daemon.wait(last), "heat");
    assert_eq!(found, [(Some(-4.0), 1, 0), (Some(-3.0), 1, 0)]);
    daemon.pipeline.shutdown().unwrap();

    // The rows before are committed, and the journal is trimmed behind them.
    let stopped = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), stopped.path());
    let daemon = start(stopped.path());
    assert_eq!(daemon.replayed.applied, Applied::default());
    send(&daemon, 120, 14.0);
    send(&daemon, 180, 15.0);
    // A late one is compared with what was before it, and is before what comes after it.
    send(&daemon, 90, 13.0);
    // The same again is no row.
    send(&daemon, 120, 14.0);
    let last = send(&daemon, 240, 15.5);
    let expect = [
        (Some(14.0), 4, rate),
        (Some(15.0), 1, 0),
        (Some(13.0), 4, rate),
        (Some(15.5), 1, 0),
    ];
    assert_eq!(flags(&daemon.wait(last), "heat"), expect);

    let crashed = tempfile::tempdir().unwrap();
    copy_folder(stopped.path(), crashed.path());
    drop(daemon);
    let daemon = start(crashed.path());
    assert!(daemon.replayed.frames >= 5, "{:?}", daemon.replayed);
    assert_eq!(flags(&daemon.wait(last), "heat"), expect);
    // The late one is what the next late one is compared with.
    let last = send(&daemon, 100, 13.25);
    let found = flags(&daemon.wait(last), "heat");
    assert_eq!(found.last(), Some(&(Some(13.25), 1, 0)));
}
