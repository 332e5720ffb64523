//! Queries that nobody waits for any more.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::desk::{config, installation, start, wait_for};
use crate::process::http;

/// Works for hours.
const LONG: &str =
    "SELECT+max(a.value*b.value)+FROM+generate_series(1,1000000)+a,+generate_series(1,1000000)+b";

#[test]
fn who_goes_away_is_counted() {
    let (_dir, file) = installation(&config("[admin]\nlisten = \"127.0.0.1:0\"", ""));
    let (mut daemon, portal, _) = start(&file);
    let admin = daemon.listener(" admin=");
    let host = portal.strip_prefix("http://").expect("an http URL");
    wait_for("a query that was given up is counted", || {
        let mut stream = TcpStream::connect(host).expect("the listener is there");
        let request = format!("GET /api/v1/sql?q={LONG} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let sent = stream.write_all(request.as_bytes());
        sent.expect("the request is taken");
        // A query that had not begun by then is not counted; the next one is.
        std::thread::sleep(Duration::from_millis(200));
        drop(stream);
        let (_, metrics) = http("GET", &format!("{admin}/metrics"), "");
        metrics.contains("meetnet_queries_total{result=\"given_up\"} ")
    });
    daemon.stop();
}
