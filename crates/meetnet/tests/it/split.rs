//! `ingest` and `serve` as two processes over one folder.

use std::time::{Duration, Instant};

use crate::process::{Running, answer, http, refusal, wait_until_ready};

#[test]
fn serve_sees_what_ingest_commits() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("meetnet.toml");
    let config = r#"
[lake]
commit_age_max = "200ms"
[http]
listen = "127.0.0.1:0"
[ingest_http]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
serve_listen = "127.0.0.1:0"
[[source]]
id = "desk"
kind = "http"
format = "json"
sensor_id = { pointer = "/id" }
licence = "CC0-1.0"
map = [{ dataset = "heat", property = "air_temperature", pointer = "/t", unit = "Cel" }]
"#;
    std::fs::write(&file, config).expect("a file");
    let file = file.display().to_string();
    let said = refusal(&["serve", "--config", &file], 1);
    assert!(said.contains("start `meetnet ingest` first"), "{said}");

    let address = |rest: String| format!("http://{}", rest.split_whitespace().next().unwrap_or(""));
    let mut ingest = Running::start(&["ingest", "--config", &file]);
    let push = address(ingest.wait_for("ingest_http="));
    let ingest_admin = address(ingest.wait_for("admin="));
    let mut serve = Running::start(&["serve", "--config", &file]);
    let portal = address(serve.wait_for(" http="));
    let serve_admin = address(serve.wait_for("admin="));
    wait_until_ready(&portal);

    assert_eq!(
        http(
            "POST",
            &format!("{push}/ingest/v1/desk"),
            r#"{"id": "a", "t": 1.5}"#
        )
        .0,
        204
    );
    let (status, body) = http("POST", &format!("{push}/ingest/v1/desk"), "nonsense");
    assert_eq!(status, 400, "{body}");
    let deadline = Instant::now() + Duration::from_secs(30);
    let query = "SELECT sensor_id, value FROM heat";
    while answer(&["sql", "--url", &portal, query]) != "sensor_id,value\r\ndesk-a,1.5\r\n" {
        assert!(Instant::now() < deadline, "the commit is not seen");
        std::thread::sleep(Duration::from_millis(100));
    }
    // Each process tells of itself.
    let metrics = |admin: &str| http("GET", &format!("{admin}/metrics"), "").1;
    let (read, written) = (metrics(&serve_admin), metrics(&ingest_admin));
    assert!(read.contains("meetnet_queries_total") && !read.contains("meetnet_journal_"));
    assert!(
        written.contains("meetnet_journal_frames_total")
            && !written.contains("meetnet_queries_total")
    );
    let (status, page) = http("GET", &format!("{serve_admin}/"), "");
    assert!(status == 200 && page.contains("only reads"), "{page}");
    for process in [serve, ingest] {
        let (status, said) = process.interrupt();
        assert_eq!(status.code(), Some(0), "{said}");
    }
    let reasons = answer(&["sql", "--config", &file, "SELECT reason FROM rejects"]);
    assert_eq!(reasons, "reason\r\nmalformed\r\n");
}
