//! `ingest` and `serve` as two processes over one folder.

use crate::desk;
use crate::process::{Running, answer, http, refusal, wait_until_ready};

#[test]
fn serve_sees_what_ingest_commits() {
    let sections = r#"
[lake]
commit_age_max = "200ms"
[admin]
listen = "127.0.0.1:0"
serve_listen = "127.0.0.1:0"
"#;
    let (_dir, file) = desk::installation(&desk::config(sections, ""));
    let said = refusal(&["serve", "--config", &file], 1);
    assert!(said.contains("start `meetnet ingest` first"), "{said}");

    let mut ingest = Running::start(&["ingest", "--config", &file]);
    let (push, ingest_admin) = (ingest.listener("ingest_http="), ingest.listener("admin="));
    let mut serve = Running::start(&["serve", "--config", &file]);
    let (portal, serve_admin) = (serve.listener(" http="), serve.listener("admin="));
    wait_until_ready(&portal);

    desk::push(&push, r#"{"id": "a", "t": 1.5}"#);
    let (status, body) = http("POST", &format!("{push}/ingest/v1/desk"), "nonsense");
    assert_eq!(status, 400, "{body}");
    let query = "SELECT sensor_id, value FROM heat";
    desk::wait_for("the commit is seen", || {
        answer(&["sql", "--url", &portal, query]) == "sensor_id,value\r\ndesk-a,1.5\r\n"
    });
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
    serve.stop();
    ingest.stop();
    let reasons = answer(&["sql", "--config", &file, "SELECT reason FROM rejects"]);
    assert_eq!(reasons, "reason\r\nmalformed\r\n");
}
