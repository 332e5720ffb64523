//! A daemon in a folder of a test's own, with one push source `desk` that tells temperatures.

use std::time::{Duration, Instant};

use crate::process::{Running, http, wait_until_ready};

/// A key by which its messages say when they were measured.
pub(crate) const TIME: &str = r#"time = { pointer = "/ts", format = "unix" }"#;

/// Returns a configuration: `sections` and the listeners on free ports, and the source with further `keys`.
pub(crate) fn config(sections: &str, keys: &str) -> String {
    format!(
        r#"
{sections}
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
map = [{{ dataset = "heat", property = "air_temperature", pointer = "/t", unit = "Cel" }}]
{keys}
"#
    )
}

/// Writes a configuration into a new folder; returns that and the path of the file.
pub(crate) fn installation(config: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("meetnet.toml");
    std::fs::write(&file, config).expect("a file");
    let file = file.display().to_string();
    (dir, file)
}

/// Starts the daemon of a configuration; returns it, where it answers, and where it is pushed to.
pub(crate) fn start(file: &str) -> (Running, String, String) {
    let mut daemon = Running::start(&["run", "--config", file]);
    let (portal, push) = (daemon.listener(" http="), daemon.listener("ingest_http="));
    wait_until_ready(&portal);
    (daemon, portal, push)
}

/// Pushes one message, which must be taken.
pub(crate) fn push(address: &str, body: &str) {
    let (status, said) = http("POST", &format!("{address}/ingest/v1/desk"), body);
    assert_eq!(status, 204, "{said}");
}

/// Waits until something is so.
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
