//! A backfill of a polled source over a stop and a crash: every window is asked for, and what was answered is not asked
//! for again.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use meetnet_tests::daemon::Installation;
use serde_json::{Value, json};

/// Windows of 90 days in the years that are asked for.
const WINDOWS: usize = 21;
const FROM: &str = "2020-01-01";
const TO: &str = "2025-01-01";

/// An API with one row per window, which tells what it was asked.
#[derive(Clone, Default)]
struct Telraam {
    /// By the begin of the window: how often it was asked for.
    asked: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Telraam {
    /// Listens for as long as the process runs; returns its port.
    fn listen(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let api = self.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                // A daemon that was killed leaves connections that nobody reads.
                let _ = api.answer(connection);
            }
        });
        port
    }

    fn answer(&self, connection: std::io::Result<TcpStream>) -> std::io::Result<()> {
        let mut connection = connection?;
        let mut reader = BufReader::new(connection.try_clone()?);
        let (mut line, mut length) = (String::new(), 0);
        while reader.read_line(&mut line)? > 0 && line.trim() != "" {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let begin = asked["time_start"].as_str().unwrap_or_default().to_owned();
        let row = json!({
            "instance_id": -1, "segment_id": 9_000_001_463_i64, "date": begin.replace(' ', "T"), "interval": "hourly",
            "uptime": 0.9, "car": 1, "heavy": 0, "bike": 2, "pedestrian": 3,
        });
        let said = json!({"status_code": 200, "message": "ok", "report": [row]}).to_string();
        write!(
            connection,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{said}",
            said.len()
        )?;
        *self.asked.lock().unwrap().entry(begin).or_default() += 1;
        Ok(())
    }

    /// How often each window of the past was asked for.
    fn of_the_past(&self) -> Vec<usize> {
        let asked = self.asked.lock().unwrap();
        let past = asked.iter().filter(|(begin, _)| begin.as_str() < TO);
        past.map(|(_, times)| *times).collect()
    }

    /// Waits until so many windows of the past were asked for.
    async fn wait(&self, windows: usize, installation: &Installation) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.of_the_past().len() < windows {
            assert!(
                Instant::now() < deadline,
                "{:?}\n{}",
                self.of_the_past(),
                installation.log_tail()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_goes_on_after_a_stop_and_after_a_crash() {
    let telraam = Telraam::default();
    let port = telraam.listen();
    let source = format!(
        "[[source]]\nid = \"telraam\"\nkind = \"telraam\"\nurl = \"http://127.0.0.1:{port}\"\n\
         api_key = {{ env = \"MEETNET_TEST_TOKEN\" }}\nsegments = [9000001463]\ngeometry = false\n\
         licence = \"CC-BY-NC-4.0\"\nrequest_pause = \"400ms\"\n"
    );
    let installation = Installation::new("", &source).unwrap();
    let daemon = installation.start().await.unwrap();
    let backfill = ["backfill", "telraam", "--from", FROM, "--to", TO];
    let mut waiting = installation.begin(&backfill).unwrap();
    telraam.wait(4, &installation).await;
    daemon.stop().unwrap();
    // Whoever waits is told that it is not done.
    assert!(!waiting.wait().unwrap().success());

    let daemon = installation.start().await.unwrap();
    telraam.wait(9, &installation).await;
    daemon.kill().unwrap();

    let daemon = installation.start().await.unwrap();
    // The same command shows how it gets on, and begins nothing.
    let said = installation.succeed(&backfill).unwrap();
    assert!(
        said.starts_with(&format!("asked `telraam` for {WINDOWS} windows: ")),
        "{said}"
    );
    let asked = telraam.of_the_past();
    assert_eq!(asked.len(), WINDOWS, "{asked:?}");
    // What the stop and the crash cut off, and nothing else.
    let again: usize = asked.iter().map(|times| times - 1).sum();
    assert!(again <= 2, "{asked:?}");
    let rows = format!("SELECT count(*) FROM traffic WHERE time < '{TO}'");
    let windows = i64::try_from(WINDOWS).unwrap();
    assert_eq!(
        installation.wait_for(&rows, windows).await.unwrap(),
        windows
    );
    daemon.stop().unwrap();
    let rejects = installation
        .sql_on_files("SELECT count(*) FROM rejects")
        .unwrap();
    assert_eq!(rejects[0][0], 0);

    // It is forgotten now: nothing is asked of the past, and there is nothing to cancel.
    let daemon = installation.start().await.unwrap();
    let cancel = installation
        .run(&["backfill", "telraam", "--cancel"])
        .unwrap();
    assert_eq!(cancel.status.code(), Some(2));
    let message = String::from_utf8_lossy(&cancel.stderr);
    assert!(message.contains("no backfill of `telraam`"), "{message}");
    daemon.stop().unwrap();
    assert_eq!(telraam.of_the_past(), asked);
}
