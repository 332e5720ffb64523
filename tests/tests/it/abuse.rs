//! Strangers who try to hurt the service: hostile statements, slow readers and writers, floods of connections. Each is
//! refused with a clear error, or bounded, and the service is as healthy afterwards as it was before.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use meetnet_testkit::free_port;
use meetnet_tests::abuse::{Section, sections};
use meetnet_tests::daemon::{Daemon, Installation};
use meetnet_tests::postgres::{PgClient, PgEnd};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::readers::{SOURCES, push_noise, push_traffic};

/// How long a statement may take to end: the five seconds that it may wait for its turn, its own time, and what a busy
/// machine adds.
const TOOK_MAX: Duration = Duration::from_secs(10);
/// How long a statement is asked again that found no place: where other tests have the processors, what its client has
/// asked before takes its time to end.
const AGAIN_MAX: Duration = Duration::from_secs(60);
/// How long others may have to wait for their answers on a machine that does other things as well.
const HEALTHY_MAX: Duration = Duration::from_secs(5);
/// Another client than the tests' own: another network of the loopback.
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 9, 9, 9);
/// Statements that are sent at a time.
const AT_A_TIME: usize = 4;
/// Memory that the process may take, at the most and afterwards: bytes.
const PEAK_BYTES_MAX: u64 = 1200 << 20;
const KEPT_BYTES_MAX: u64 = 400 << 20;

/// A daemon with limits that are soon reached, and the address of its PostgreSQL listener.
struct Target {
    installation: Installation,
    daemon: Daemon,
    pg: SocketAddr,
}

impl Target {
    async fn start() -> Self {
        let port = free_port().unwrap();
        let sections = format!(
            "[pg]\nlisten = \"127.0.0.1:{port}\"\nconnections_per_client_max = 32\nstall_time_max = \"1s\"\n\
             [query]\nquery_time_max = \"600ms\"\nstall_time_max = \"1s\"\nrow_limit = 1000\nmemory_bytes_max = \"64MiB\"\n\
             memory_total_bytes_max = \"256MiB\"\nquery_spill_bytes_max = \"64MiB\"\nclient_running_max = 6\n\
             client_queued_max = 8\nqueue_time_max = \"5s\"\n[audit]\ndir = \"audit\"\n{SOURCES}"
        );
        let installation = Installation::new("", &sections).unwrap();
        // The harness writes [http] itself: these keys are added to it.
        let path = installation.folder().join("meetnet.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replacen(
            "[http]\n",
            "[http]\nheader_time_max = \"1s\"\nstall_time_max = \"1s\"\nbody_time_max = \"1s\"\n",
            1,
        );
        std::fs::write(&path, text).unwrap();
        let daemon = installation.start().await.unwrap();
        push_traffic(&installation, 1.0).await;
        push_noise(&installation, 1).await;
        Self {
            installation,
            daemon,
            pg: (Ipv4Addr::LOCALHOST, port).into(),
        }
    }

    /// The service answers others soon.
    async fn is_healthy(&self, after: &str) {
        let started = Instant::now();
        let answer = self.installation.get("/healthz", &[]).await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "after {after}");
        let count = self.installation.cell("SELECT count(*) FROM traffic").await;
        let count = count.unwrap_or_else(|error| {
            panic!("after {after}: {error}\n{}", self.installation.log_tail())
        });
        assert_eq!(count, 72, "after {after}");
        let mut pg = PgClient::login(self.pg).await.unwrap();
        assert_eq!(
            pg.query("SELECT 1").await.unwrap(),
            PgEnd::Answered,
            "after {after}"
        );
        let took = started.elapsed();
        assert!(took < HEALTHY_MAX, "after {after}: {took:?}");
    }

    /// Returns a line of `/proc/PID/status`, bytes.
    fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.daemon.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or_else(|| panic!("no {name} in\n{status}")) << 10
    }

    async fn places_left(&self) -> u64 {
        let answer = self
            .installation
            .get("/api/v1/datasets", &[])
            .await
            .unwrap();
        let left = answer.headers()["ratelimit"].to_str().unwrap();
        left.rsplit('=').next().unwrap().parse().unwrap()
    }
}

fn shown(sql: &str) -> String {
    sql.chars().take(120).collect()
}

/// Sends a statement over HTTP; returns how it ended, in the words of the table.
async fn over_http(client: reqwest::Client, http: SocketAddr, sql: String) -> (String, String) {
    let url = format!("http://{http}/api/v1/sql?format=csv");
    let request = client.post(url).header("content-type", "application/sql");
    let answer = request.body(sql).send().await.unwrap();
    let status = answer.status();
    let text = match answer.text().await {
        Ok(text) => text,
        // An answer that breaks off says that it is not whole.
        Err(error) => return ("ok".to_owned(), error.to_string()),
    };
    if status.is_success() {
        return ("ok".to_owned(), shown(&text));
    }
    let problem: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}"));
    let kind = problem["type"]
        .as_str()
        .unwrap()
        .trim_start_matches("/problems/");
    let kind = match kind {
        "query-too-expensive" => "timeout".to_owned(),
        kind => kind.replace('-', "_"),
    };
    (kind, text)
}

/// Sends the statements of a section over HTTP; returns those that ended in another way than they may.
async fn misjudged_over_http(target: &Target, section: &Section) -> Vec<String> {
    let http = target.installation.http();
    let folder = target.installation.folder().display().to_string();
    // The daemon ends idle connections early here: none is used again.
    let client = reqwest::Client::builder().pool_max_idle_per_host(0);
    let client = client.build().unwrap();
    let mut wrong = Vec::new();
    for statements in section.statements.chunks(AT_A_TIME) {
        let mut asked = JoinSet::new();
        for sql in statements {
            let (client, sql) = (client.clone(), sql.clone());
            asked.spawn(async move {
                let deadline = Instant::now() + AGAIN_MAX;
                loop {
                    let started = Instant::now();
                    let (kind, text) = over_http(client.clone(), http, sql.clone()).await;
                    // The others of its client had not ended in five seconds, or have what it needs: asked again, as it is
                    // told to.
                    let is_later = [
                        "over_share",
                        "client_memory",
                        "client_temporary_files",
                        "service_memory",
                    ]
                    .contains(&kind.as_str());
                    if !is_later || started > deadline {
                        return (sql, kind, text, started.elapsed());
                    }
                }
            });
        }
        while let Some(answer) = asked.join_next().await {
            let (sql, kind, text, took) = answer.unwrap();
            let is_told = section.kinds.contains(&kind.as_str());
            let is_quick = took < TOOK_MAX;
            let is_discreet = !text.contains(&folder) && text.len() < 20_000;
            if !is_told || !is_quick || !is_discreet {
                wrong.push(format!(
                    "{}: {kind} after {took:?}: {}",
                    shown(&sql),
                    shown(&text)
                ));
            }
        }
    }
    wrong
}

/// As [`misjudged_over_http`], over PostgreSQL: an answer only where one will do, an error that is ours never.
async fn misjudged_over_postgres(target: &Target, section: &Section) -> Vec<String> {
    let may_answer = section.kinds.contains(&"ok");
    let mut wrong = Vec::new();
    for statements in section.statements.chunks(AT_A_TIME) {
        let mut asked = JoinSet::new();
        for sql in statements {
            let (pg, sql) = (target.pg, sql.clone());
            asked.spawn(async move {
                let started = Instant::now();
                let mut client = PgClient::login(pg).await.unwrap();
                let end = client.query(&sql).await;
                (sql, end, started.elapsed())
            });
        }
        while let Some(answer) = asked.join_next().await {
            let (sql, end, took) = answer.unwrap();
            let is_told = match &end {
                Ok(PgEnd::Answered) => may_answer,
                Ok(PgEnd::Failed(code, message)) => code != "XX000" && !message.is_empty(),
                Err(_) => false,
            };
            if !is_told || took > TOOK_MAX {
                wrong.push(format!("{}: {end:?} after {took:?}", shown(&sql)));
            }
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_statements_are_refused_or_bounded() {
    let target = Target::start().await;
    target.is_healthy("the start").await;
    let mut wrong = Vec::new();
    for section in sections().unwrap() {
        if !section.postgres_only {
            let found = misjudged_over_http(&target, &section).await;
            wrong.extend(
                found
                    .into_iter()
                    .map(|found| format!("HTTP, {}: {found}", section.name)),
            );
            target.is_healthy(section.name).await;
        }
        if !section.http_only {
            let found = misjudged_over_postgres(&target, &section).await;
            wrong.extend(
                found
                    .into_iter()
                    .map(|found| format!("PostgreSQL, {}: {found}", section.name)),
            );
            target.is_healthy(section.name).await;
        }
    }
    assert!(
        wrong.is_empty(),
        "{} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let (peak, kept) = (target.memory("VmHWM:"), target.memory("VmRSS:"));
    println!(
        "memory: {} MiB at the most, {} MiB at the end",
        peak >> 20,
        kept >> 20
    );
    assert!(
        peak < PEAK_BYTES_MAX && kept < KEPT_BYTES_MAX,
        "{peak} and {kept} bytes"
    );
    is_audited(&target);
    target.daemon.stop().unwrap();
}

/// Every statement has left a line, and no line says who or what about.
fn is_audited(target: &Target) {
    let folder = target.installation.folder().join("audit");
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        lines.extend(text.lines().map(str::to_owned));
    }
    assert!(lines.len() > 600, "{} lines", lines.len());
    for line in &lines {
        let value: Value = serde_json::from_str(line).unwrap();
        assert!(
            value["client"]
                .as_str()
                .is_some_and(|client| client.len() == 16),
            "{line}"
        );
        for secret in ["127.0.0", "/etc/passwd", "o'clock", "example.org"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
    for protocol in ["\"protocol\":\"http\"", "\"protocol\":\"postgres\""] {
        assert!(
            lines.iter().any(|line| line.contains(protocol)),
            "{protocol}"
        );
    }
}

/// Opens a connection from an address of the loopback.
async fn connect_from(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(IpAddr::V4(from), 0))?;
    socket.connect(to).await
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_and_writers_hold_nothing_for_long() {
    let target = Target::start().await;
    let http = target.installation.http();
    let before = target.places_left().await;

    // Long answers that nobody reads, over both protocols.
    let mut readers = Vec::new();
    for _ in 0..4 {
        let mut stream = connect_from(STRANGER, http).await.unwrap();
        let request = "GET /api/v1/sql?format=json&q=SELECT+repeat('x',16000)+FROM+traffic+a,traffic+b HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        readers.push(stream);
    }
    let mut pg_readers = Vec::new();
    for _ in 0..2 {
        let mut client = PgClient::login(target.pg).await.unwrap();
        client
            .send("SELECT repeat('x', 16000) FROM traffic a, traffic b LIMIT 1000")
            .await
            .unwrap();
        pg_readers.push(client);
    }
    // Heads and bodies that never end.
    let mut writers = Vec::new();
    for sent in [
        "G",
        "GET /api/v1/sql?q=SELECT",
        "POST /api/v1/sql HTTP/1.1\r\nHost: x\r\nContent-Type: application/sql\r\nContent-Length: 1000\r\n\r\nSELECT",
        "POST /api/v1/sql HTTP/1.1\r\nHost: x\r\nContent-Type: application/sql\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nSEL",
    ] {
        let mut stream = connect_from(STRANGER, http).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        writers.push(stream);
    }
    let mut half_message = PgClient::login(target.pg).await.unwrap();
    half_message
        .stream
        .write_all(b"Q\0\0\x10\0SELECT")
        .await
        .unwrap();

    target.is_healthy("slow clients have come").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    target.is_healthy("slow clients have been given up").await;
    assert_eq!(
        target.places_left().await,
        before,
        "every place is free again"
    );
    let ended = async |stream: &mut TcpStream| {
        let mut rest = Vec::new();
        // Closed or reset: either way it is over.
        let read = tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut rest));
        read.await.is_ok()
    };
    for stream in writers.iter_mut().chain([&mut half_message.stream]) {
        assert!(
            ended(stream).await,
            "a client that never ends its request is cut off"
        );
    }
    for stream in &mut readers {
        assert!(
            ended(stream).await,
            "a client that reads nothing is cut off"
        );
    }
    drop(pg_readers);
    target.daemon.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_of_one_client_leave_room_for_others() {
    let target = Target::start().await;
    for (name, address) in [
        ("HTTP", target.installation.http()),
        ("PostgreSQL", target.pg),
    ] {
        let mut held = Vec::new();
        for _ in 0..1000 {
            // What the listener does not take at once, it refuses.
            if let Ok(stream) = connect_from(STRANGER, address).await {
                held.push(stream);
            }
        }
        assert!(held.len() > 500, "{name}: {}", held.len());
        target.is_healthy(name).await;
        drop(held);
        target.is_healthy(name).await;
    }
    // A head that is too large, and one of too many lines.
    let http = target.installation.http();
    for head in [
        "A: ".to_owned() + &"x".repeat(1 << 20),
        "A: x\r\n".repeat(5000),
    ] {
        let mut stream = connect_from(STRANGER, http).await.unwrap();
        let request = format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n");
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer));
        let _ = read.await.expect("an end");
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{}",
            shown(&answer)
        );
    }
    target.is_healthy("large heads").await;
    // What a proxy before the service could read as a request for another host.
    for (request, expect) in [
        ("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200"),
        ("GET /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 400"),
        (
            "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "HTTP/1.1 400",
        ),
        ("GET /healthz HTTP/1.0\r\n\r\n", "HTTP/1.0 200"),
    ] {
        let mut stream = connect_from(STRANGER, http).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), expect, "{request:?}");
    }
    target.daemon.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_much_waits_behind_itself() {
    let target = Target::start().await;
    let http = target.installation.http();
    let builder = reqwest::Client::builder().local_address(IpAddr::V4(STRANGER));
    let greedy = builder.build().unwrap();
    let endless = "SELECT count(*) FROM generate_series(1, 1000000000000)";
    let mut asked = JoinSet::new();
    for _ in 0..40 {
        let request = greedy.post(format!("http://{http}/api/v1/sql"));
        let request = request
            .header("content-type", "application/sql")
            .body(endless);
        asked.spawn(async move {
            let answer = request.send().await.unwrap();
            let retry = answer.headers().get("retry-after").is_some();
            (answer.status().as_u16(), retry)
        });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    // There are places for others all the while.
    for _ in 0..5 {
        target
            .is_healthy("forty long queries of somebody else")
            .await;
    }
    let mut statuses: Vec<(u16, bool)> = Vec::new();
    while let Some(answer) = asked.join_next().await {
        statuses.push(answer.unwrap());
    }
    let count = |wanted: (u16, bool)| statuses.iter().filter(|status| **status == wanted).count();
    // Six run and eight wait; the others are over their share, and told when to come again.
    assert!(count((429, true)) >= 20, "{statuses:?}");
    assert!(count((422, false)) >= 6, "{statuses:?}");
    assert_eq!(count((429, true)) + count((422, false)), 40, "{statuses:?}");
    target.is_healthy("all of it").await;
    target.daemon.stop().unwrap();
}

/// Pushes as somebody else than the attacker; returns the status, and how long the answer took.
async fn pushed(installation: &Installation) -> (u16, Duration) {
    let started = Instant::now();
    let body = b"{\"id\": \"n1\", \"laeq\": 41.5}".to_vec();
    let push = installation.push("open", body, &[]);
    let answer = tokio::time::timeout(Duration::from_secs(10), push).await;
    (answer.expect("an answer").unwrap().0, started.elapsed())
}

/// Returns an installation whose listener of pushes has limits that are soon reached, and a source without a token.
async fn pushes_under_attack() -> (Installation, Daemon) {
    let anybody = SOURCES.replace("\"open\"", "\"anybody\"");
    let (_, anybody) = anybody.split_once("id = \"anybody\"").unwrap();
    let anybody = anybody.replace("token = { env = \"MEETNET_TEST_TOKEN\" }\n", "");
    let sources = format!("{SOURCES}\n[[source]]\nid = \"anybody\"{anybody}");
    let installation = Installation::new("", &sources).unwrap();
    let path = installation.folder().join("meetnet.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let limits = "[ingest_http]\nheader_time_max = \"2s\"\nconnections_max = 200\nconnections_per_client_max = 100\n\
                  requests_max = 40\nrequests_per_client_max = 10\n";
    std::fs::write(&path, text.replacen("[ingest_http]\n", limits, 1)).unwrap();
    let daemon = installation.start().await.unwrap();
    (installation, daemon)
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_do_not_stop_pushes() {
    let (installation, daemon) = pushes_under_attack().await;
    let address = installation.ingest_http();
    let mut held = Vec::new();
    for _ in 0..300 {
        // What the listener does not take at once, it refuses.
        if let Ok(mut stream) = connect_from(STRANGER, address).await {
            let _ = stream.write_all(b"P").await;
            held.push(stream);
        }
    }
    assert!(held.len() > 200, "{}", held.len());
    let (status, took) = pushed(&installation).await;
    assert_eq!(status, 204);
    assert!(took < HEALTHY_MAX, "{took:?}");
    // Nor does anybody keep a place without a request.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for stream in &mut held {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut rest));
        assert!(read.await.is_ok(), "it is over");
    }
    assert_eq!(pushed(&installation).await.0, 204);
    daemon.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_do_not_come_do_not_stop_pushes() {
    let (installation, daemon) = pushes_under_attack().await;
    let address = installation.ingest_http();
    for (path, held_answer) in [
        // Anybody may push there: the slow ones of one client wait for their bodies, and no more of them than its share.
        ("/ingest/v1/anybody", None),
        // Nobody takes these, whatever their bodies are.
        ("/data/report/", Some("HTTP/1.1 404")),
        ("/ingest/v1/open", Some("HTTP/1.1 401")),
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
        let mut held = Vec::new();
        for _ in 0..48 {
            let mut stream = connect_from(STRANGER, address).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            held.push(stream);
        }
        let (status, took) = pushed(&installation).await;
        assert_eq!(status, 204, "{path}");
        assert!(took < HEALTHY_MAX, "{path}: {took:?}");
        // A body of which nothing comes has ten seconds, and what is refused at once does not even have those.
        let time = if held_answer.is_some() { 3 } else { 20 };
        let mut answers = Vec::new();
        for stream in &mut held {
            let mut answer = [0; 12];
            let read = stream.read_exact(&mut answer);
            let read = tokio::time::timeout(Duration::from_secs(time), read).await;
            read.expect("an end in time").unwrap();
            answers.push(String::from_utf8_lossy(&answer).into_owned());
        }
        match held_answer {
            Some(expect) => assert!(answers.iter().all(|answer| answer == expect), "{answers:?}"),
            None => {
                let slow = answers.iter().filter(|answer| *answer == "HTTP/1.1 408");
                let refused = answers.iter().filter(|answer| *answer == "HTTP/1.1 429");
                assert_eq!((slow.count(), refused.count()), (10, 38), "{answers:?}");
            }
        }
    }
    daemon.stop().unwrap();
}
