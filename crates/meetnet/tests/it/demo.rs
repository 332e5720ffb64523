//! The demo: starts on free ports, answers, is refused twice in one folder, stops cleanly, and continues.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::process::{Running, answer, http, refusal, shell, wait_until_ready};

/// Arguments of a demo in `dir` at ports that the system chooses.
fn arguments<'a>(dir: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let free = "127.0.0.1:0";
    let mut arguments = vec!["demo", "--dir", dir];
    for flag in ["--http", "--ingest-http", "--admin", "--mqtt"] {
        arguments.extend([flag, free]);
    }
    arguments.extend(more);
    arguments
}

fn folder() -> (tempfile::TempDir, String) {
    let parent = tempfile::tempdir().expect("a folder");
    let dir = parent.path().join("demo").display().to_string();
    (parent, dir)
}

fn count(url: &str, from: &str) -> u64 {
    let said = answer(&[
        "sql",
        "--url",
        url,
        "--format",
        "csv",
        &format!("SELECT count(*) AS n FROM {from}"),
    ]);
    said.lines()
        .nth(1)
        .and_then(|line| line.trim().parse().ok())
        .unwrap_or_else(|| panic!("{said}"))
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_demo_without_history_answers_and_stops() {
    let (_parent, dir) = folder();
    let mut demo = Running::start(&arguments(&dir, &["--no-history"]));
    let portal = demo.address("portal ");
    let push = demo.address("push ");
    let operations = demo.address("operations ");
    demo.wait_for("Ctrl-C stops");
    wait_until_ready(&portal);
    assert_eq!(http("GET", &portal, "").0, 200);
    let (status, page) = http("GET", &format!("{portal}/datasets/heat?lang=en"), "");
    assert_eq!(status, 200);
    assert!(page.contains("Newest rows"), "{page}");
    assert_eq!(
        answer(&["sql", "--url", &portal, "SELECT 1 AS one"]),
        "one\r\n1\r\n"
    );
    let said = refusal(&["sql", "--url", &portal, "SELECT * FROM rejects"], 1);
    assert!(said.contains("there is no table `rejects`"), "{said}");

    let (status, body) = http("POST", &push, r#"{"id": "desk", "temperature": 21.5}"#);
    assert_eq!((status, body.as_str()), (204, ""));
    wait_until("the pushed row is in the answers", || {
        count(
            &portal,
            "heat WHERE sensor_id = 'try-desk' AND value = 21.5",
        ) == 1
    });
    wait_until("live messages of every format arrive", || {
        [
            "traffic",
            "air",
            "heat WHERE source = 'lora'",
            "heat WHERE source = 'balcony'",
        ]
        .iter()
        .all(|from| count(&portal, from) > 0)
    });
    // What it shows to try runs as it stands.
    let lines = demo.seen().iter().map(|line| line.trim());
    let shown: Vec<&str> = lines
        .filter(|line| line.starts_with("curl ") || line.contains(" sql --url "))
        .collect();
    assert_eq!(shown.len(), 3, "{:?}", demo.seen());
    for (line, head) in shown
        .iter()
        .zip(["month,bikes,cars", "name,time,value", "\"pm2_5\""])
    {
        let said = shell(line);
        assert!(said.contains(head), "{line}: {said}");
    }
    let (status, metrics) = http("GET", &format!("{operations}/metrics"), "");
    assert_eq!(status, 200);
    assert!(
        metrics.contains("meetnet_source_messages_total{source=\"airrohr\"}"),
        "{metrics}"
    );

    // The folder is held: nobody else may write there, and the message says who does.
    let config = Path::new(&dir).join("meetnet.toml").display().to_string();
    let said = refusal(&["run", "--config", &config], 2);
    assert!(
        said.contains(&format!("is in use by process {}", demo.pid())),
        "{said}"
    );

    let (status, said) = demo.interrupt();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("the same command continues"), "{said}");
    assert!(!said.contains("ERROR"), "{said}");

    // Everything was committed; without a daemon the files are read, rejects included.
    let rows = answer(&[
        "sql",
        "--config",
        &config,
        "SELECT value FROM heat WHERE sensor_id = 'try-desk'",
    ]);
    assert_eq!(rows, "value\r\n21.5\r\n");
    answer(&["sql", "--config", &config, "SELECT count(*) FROM rejects"]);
}

#[test]
fn clients_of_postgresql_and_of_flight_connect_where_they_are_wanted() {
    let (_parent, dir) = folder();
    let free = "127.0.0.1:0";
    let wanted = ["--no-history", "--pg", free, "--flight", free];
    let mut demo = Running::start(&arguments(&dir, &wanted));
    let psql = demo.wait_for("PostgreSQL  psql -h 127.0.0.1 -p ");
    let pg: u16 = psql
        .strip_suffix(" -U public meetnet")
        .and_then(|port| port.parse().ok())
        .unwrap_or_else(|| panic!("{psql}"));
    let flight = demo.wait_for("Flight SQL  grpc://");
    for address in [format!("127.0.0.1:{pg}"), flight.clone()] {
        let connected = std::net::TcpStream::connect(&address);
        assert!(connected.is_ok(), "{address}: {connected:?}");
    }
    // The first page tells of them, too.
    let portal = demo.address("portal ");
    let (status, page) = http("GET", &portal, "");
    assert_eq!(status, 200);
    for told in [
        format!("psql -h 127.0.0.1 -p {pg} -U public meetnet"),
        format!("grpc://{flight}"),
    ] {
        assert!(
            page.contains(&format!("<code>{told}</code>")),
            "{told}: {page}"
        );
    }
    demo.stop();
    // They are written down: whoever starts the demo again has them, too.
    let config = std::fs::read_to_string(Path::new(&dir).join("meetnet.toml"));
    let config = config.expect("the configuration");
    for section in ["\n[pg]\nlisten = ", "\n[flight]\nlisten = "] {
        assert!(config.contains(section), "{config}");
    }
}

#[test]
fn a_second_demo_continues_and_does_not_double() {
    const COUNTS: [&str; 5] = [
        "traffic WHERE interval_s = 3600",
        "air WHERE recorded_at IS NOT NULL AND received_at = time",
        "heat WHERE recorded_at IS NOT NULL AND received_at = time",
        "stations",
        "segments",
    ];
    let (_parent, dir) = folder();
    let counts_of = |portal: &str| COUNTS.map(|from| count(portal, from));

    let mut first = Running::start(&arguments(&dir, &["--history-days", "5"]));
    let portal = first.address("portal ");
    first.wait_for("rows in ");
    first.wait_for("Ctrl-C stops");
    let before = counts_of(&portal);
    assert!(before.iter().all(|count| *count > 0), "{before:?}");
    // Rows of the history come past the decoders: who is to be named with them stands in answers and files all the same.
    let named = |portal: &str| {
        let stations = format!("{portal}/api/v1/datasets/stations");
        let (rows, files) = (format!("{stations}/rows"), format!("{stations}/files"));
        for url in [&stations, &rows, &files] {
            let (status, said) = http("GET", url, "");
            assert_eq!(status, 200, "{url}: {said}");
            for kind in ["air sensors", "weather stations"] {
                let name = format!("Simulated {kind} of the meetnet demo");
                assert!(said.contains(&name), "{url} names {name}: {said}");
            }
            assert!(
                !said.contains("Simulated traffic counters"),
                "{url}: {said}"
            );
        }
    };
    named(&portal);
    first.stop();

    let config = Path::new(&dir).join("meetnet.toml");
    let edited = std::fs::read_to_string(&config)
        .expect("the configuration")
        .replace("\"Leuven\"", "\"Loven\"");
    std::fs::write(&config, edited).expect("an edit");

    let mut second = Running::start(&arguments(&dir, &["--history-days", "5"]));
    let portal = second.address("portal ");
    second.wait_for("is there already");
    second.wait_for("Ctrl-C stops");
    wait_until_ready(&portal);
    assert_eq!(counts_of(&portal), before);
    named(&portal);
    assert!(
        http("GET", &portal, "").1.contains("Loven"),
        "the user's change is kept"
    );
    wait_until("sources follow the broker to its new port", || {
        http("GET", &format!("{portal}/readyz"), "")
            .1
            .matches("\"connected\":true")
            .count()
            == 4
    });
    second.stop();
}

#[test]
fn an_interrupted_history_goes_on_where_it_stopped() {
    let (_parent, dir) = folder();
    let mut first = Running::start(&arguments(&dir, &["--history-days", "200"]));
    first.wait_for("MQTT ");
    std::thread::sleep(Duration::from_millis(700));
    first.stop();

    let mut second = Running::start(&arguments(&dir, &["--history-days", "200"]));
    let portal = second.address("portal ");
    second.wait_for("Ctrl-C stops");
    // Each of a sensor's hours once: the key says so, and the totals agree with what was made.
    let state = std::fs::read_to_string(Path::new(&dir).join("demo.json"))
        .expect("what the demo remembers");
    let total = state
        .split("\"telraam/traffic\":")
        .nth(1)
        .and_then(|rest| {
            rest.trim()
                .split([',', '\n', '}'])
                .next()?
                .trim()
                .parse::<u64>()
                .ok()
        })
        .unwrap_or_else(|| panic!("{state}"));
    assert_eq!(count(&portal, "traffic WHERE interval_s = 3600"), total);
    second.stop();
}

#[test]
fn a_taken_port_names_the_flag() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let (_parent, dir) = folder();
    let said = refusal(&["demo", "--dir", &dir, "--mqtt", &address], 2);
    assert!(said.contains(&address) && said.contains("--mqtt"), "{said}");
    let free = "127.0.0.1:0";
    let said = refusal(
        &[
            "demo",
            "--dir",
            &dir,
            "--mqtt",
            free,
            "--http",
            &address,
            "--ingest-http",
            free,
            "--admin",
            free,
        ],
        2,
    );
    assert!(
        said.contains(&format!("cannot listen on {address}")) && said.contains("--http"),
        "{said}"
    );
}
