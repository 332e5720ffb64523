//! Clients of PostgreSQL: psql, psycopg and SQLAlchemy look around in a running daemon and ask it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use meetnet_testkit::free_port;
use meetnet_tests::daemon::{Installation, TOKEN};
use meetnet_tests::python;
use serde_json::json;

use crate::readers::{SOURCES, push_noise, push_traffic};

/// A daemon with a day of traffic on three segments, and the port of its PostgreSQL listener. Everybody may read; the
/// user `analyst` has the token of tests as a password.
fn installation() -> (Installation, u16) {
    let port = free_port().unwrap();
    let pg = format!(
        "[pg]\nlisten = \"127.0.0.1:{port}\"\n\
         users = [{{ name = \"analyst\", password = {{ env = \"MEETNET_TEST_TOKEN\" }} }}]\n{SOURCES}"
    );
    (Installation::new("", &pg).unwrap(), port)
}

/// Runs psql; None where it is not installed.
fn psql(port: u16, user: &str, password: &str, command: &str) -> Option<Output> {
    let port = port.to_string();
    let place = ["-h", "127.0.0.1", "-p", &port, "-U", user, "-d", "meetnet"];
    let arguments = [place.as_slice(), &["-c", command]].concat();
    psql_with(&arguments, password)
}

fn psql_with(arguments: &[&str], password: &str) -> Option<Output> {
    let output = Command::new("psql")
        .args(["-X", "-v", "ON_ERROR_STOP=1", "-P", "pager=off"])
        .args(arguments)
        .env("PGPASSWORD", password)
        .output();
    match output {
        Ok(output) => Some(output),
        Err(error) => {
            assert!(
                std::env::var_os("MEETNET_REQUIRE_PSQL").is_none(),
                "psql is required: apt-get install postgresql-client ({error})"
            );
            println!("skipped: psql is not installed");
            None
        }
    }
}

/// Returns what psql prints, or what it says is wrong.
fn printed(output: &Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// What is no error, but would be taken for "nothing was measured", is a notice beside the answer.
#[tokio::test]
async fn psql_is_told_of_what_no_row_can_be() {
    let (installation, port) = installation();
    let daemon = installation.start().await.unwrap();
    push_noise(&installation, 1).await;
    let command = "SELECT count(*) FROM noise WHERE property = 'laeqq'";
    if let Some(output) = psql(port, "public", "", command) {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let notice =
            "NOTICE:  `noise` knows no property `laeqq`; did you mean `laeq`? There are laeq, ";
        assert!(said.contains(notice), "{said}");
        assert!(printed(&output).unwrap().contains("(1 row)"));
    }
    daemon.stop().unwrap();
}

#[tokio::test]
async fn psql_looks_around_and_asks() {
    let (installation, port) = installation();
    let daemon = installation.start().await.unwrap();
    push_traffic(&installation, 1.0).await;
    push_noise(&installation, 1).await;
    for (command, expected) in [
        (r"\dt", &["public | traffic", "| table | meetnet"][..]),
        (r"\dt+", &["Traffic counts"]),
        (r"\d", &["traffic_history", "| view"]),
        (r"\l", &["meetnet", "UTF8"]),
        (
            r"\d traffic",
            &[
                "Table \"public.traffic\"",
                "segment_id",
                "bigint",
                "timestamp with time zone",
                "not null",
            ],
        ),
        (r"\dn", &["public"]),
        (
            r"\d+ traffic",
            &[
                "speed_hist",
                "Length of the interval (s)",
                "Access method: heap",
            ],
        ),
        (r"\dn+", &["Access privileges", "public"]),
        (r"\dp", &["Column privileges", "traffic"]),
        (r"\conninfo", &["as user \"public\""]),
        (r"\drds", &[]),
        (r"\dc", &["List of conversions", "(0 rows)"]),
        (r"\ddp", &["Default access privileges", "(0 rows)"]),
        (r"\dconfig", &["configuration parameters", "(0 rows)"]),
        (r"\dconfig server_version", &["server_version | 14.0"]),
        (
            "EXPLAIN (FORMAT JSON) SELECT car FROM traffic",
            &["QUERY PLAN", "Node Type", "\"traffic\"", "(1 row)"],
        ),
        (
            "TABLE traffic ORDER BY time LIMIT 2",
            &["segment_id", "(2 rows)"],
        ),
        ("SELECT localtimestamp > '2026-01-01'", &[" t\n"]),
        (
            "SELECT f_table_name, srid, type FROM geometry_columns",
            &["f_table_name"],
        ),
        (
            "SELECT st_asbinary(geom, 'NDR') FROM stations_layer WHERE geom && st_makeenvelope(4, 50, 5, 51, 4326)",
            &["st_asbinary"],
        ),
        (
            "SELECT count(*) > 500 FROM pg_get_keywords() WHERE catcode <> 'R'",
            &[" t\n"],
        ),
        (
            "SELECT segment_id, max(car) FROM traffic GROUP BY segment_id ORDER BY segment_id LIMIT 1",
            &["segment_id | max", "1 |  23"],
        ),
        (
            "SELECT time FROM traffic ORDER BY time LIMIT 1",
            &["2026-03-01 00:00:00+00"],
        ),
    ] {
        let Some(output) = psql(port, "public", "", command) else {
            return;
        };
        let printed = printed(&output).unwrap_or_else(|wrong| panic!("{command}: {wrong}"));
        for part in expected {
            assert!(
                printed.contains(part),
                "{command}: no `{part}` in\n{printed}"
            );
        }
        assert!(
            !printed.contains("rejects"),
            "{command}: a private table in\n{printed}"
        );
    }
    for (user, password, command, expected) in [
        (
            "public",
            "",
            "DROP TABLE traffic",
            "this service only reads",
        ),
        (
            "public",
            "",
            "SELECT * FROM rejects",
            "there is no table `rejects`",
        ),
        (
            "analyst",
            "a wrong one",
            "SELECT 1",
            "password authentication failed",
        ),
        (
            "nobody",
            TOKEN,
            "SELECT 1",
            "password authentication failed",
        ),
    ] {
        let output = psql(port, user, password, command).unwrap();
        let wrong = printed(&output).expect_err(command);
        assert!(wrong.contains(expected), "{command}: {wrong}");
    }
    let output = psql(port, "analyst", TOKEN, "SELECT count(*) FROM traffic").unwrap();
    assert!(printed(&output).unwrap().contains("72"));
    daemon.stop().unwrap();
}

#[tokio::test]
async fn psql_copies_rows_to_files() {
    let (installation, port) = installation();
    let daemon = installation.start().await.unwrap();
    push_traffic(&installation, 1.0).await;
    let file = installation.folder().join("copied");
    let to = format!("to '{}'", file.display());
    let two = "(SELECT segment_id, time, car, NULL AS nothing FROM traffic WHERE segment_id = 2 ORDER BY time LIMIT 2)";
    for (options, expected) in [
        (
            "",
            "2\t2026-03-01 00:00:00+00\t0\t\\N\n2\t2026-03-01 01:00:00+00\t1\t\\N\n",
        ),
        (
            "csv header",
            "segment_id,time,car,nothing\n2,2026-03-01 00:00:00+00,0,\n2,2026-03-01 01:00:00+00,1,\n",
        ),
        (
            "with (format csv, delimiter ';', null '-', force_quote (time))",
            "2;\"2026-03-01 00:00:00+00\";0;-\n2;\"2026-03-01 01:00:00+00\";1;-\n",
        ),
    ] {
        let command = format!(r"\copy {two} {to} {options}");
        let Some(output) = psql(port, "public", "", &command) else {
            return;
        };
        assert_eq!(printed(&output).as_deref(), Ok("COPY 2\n"), "{command}");
        assert_eq!(fs::read_to_string(&file).unwrap(), expected, "{command}");
    }

    let command = format!(r"\copy traffic (segment_id) {to} with (format binary)");
    let output = psql(port, "public", "", &command).unwrap();
    assert_eq!(printed(&output).as_deref(), Ok("COPY 72\n"));
    let bytes = fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"PGCOPY\n\xff\r\n\0"));
    // A head, the number of columns and a long one for each row, an end.
    assert_eq!(bytes.len(), 19 + 72 * (2 + 4 + 8) + 2);

    let from = format!(
        r"\copy traffic from '{}' with (format binary)",
        file.display()
    );
    let refused = printed(&psql(port, "public", "", &from).unwrap()).expect_err(&from);
    assert!(refused.contains("this service only reads"), "{refused}");
    let private = format!(r"\copy rejects {to}");
    let refused = printed(&psql(port, "public", "", &private).unwrap()).expect_err(&private);
    assert!(refused.contains("there is no table `rejects`"), "{refused}");
    daemon.stop().unwrap();
}

#[tokio::test]
async fn psycopg_and_sqlalchemy_read_what_was_pushed() {
    if !python::has_packages(&["psycopg", "sqlalchemy"]) {
        return;
    }
    let (installation, port) = installation();
    let daemon = installation.start().await.unwrap();
    push_traffic(&installation, 1.0).await;
    push_noise(&installation, 1).await;
    let address = installation.folder().join("postgres.txt");
    for (user, password) in [("public", ""), ("analyst", TOKEN)] {
        fs::write(&address, format!("{port} {user}")).unwrap();
        let variables = [("PGPASSWORD", password.to_owned())];
        let found = python::run_with("postgres.py", &[address.as_path()], &variables).unwrap();
        let rows = json!([
            [2, "2026-03-01T22:00:00+00:00", 22.0],
            [2, "2026-03-01T23:00:00+00:00", 23.0],
        ]);
        assert_eq!(
            found,
            json!({
                "encrypted": false,
                "text": rows,
                "binary": rows,
                "list": 48,
                "texts": [true, true, 72, 72, 0, 0, 2, 72],
                "any of a list": 72,
                "cursor": 72,
                "cursor with values": rows,
                "cursor in binary": rows,
                "copied text": rows,
                "copied binary": rows,
                "copied csv": "segment_id;time;car\n\
                               2;2026-03-01 22:00:00+00;22\n\
                               2;2026-03-01 23:00:00+00;23\n",
                "copied types": ["[1.5, None, 2.5]", "12.50", "True", "2026-03-01", "None"],
                "copied table": 72,
                "copy refused": "25006",
                "refused": "25006",
                "cancelled": "57014",
                "too long": "57014",
                "after": 1,
                "licence at start": 0,
                "licensed": [
                    ["noise", 1, "CC0-1.0"],
                    ["traffic", 0, ""],
                    ["traffic", 72, "CC-BY-NC-4.0"],
                ],
                "comments": ["Traffic counts", "Length of the interval (s)"],
                "tables": ["noise", "traffic"],
                "columns": {"segment_id": "BIGINT", "time": "TIMESTAMP", "car": "DOUBLE PRECISION"},
                "sums": [[1, 276.0], [2, 276.0]],
            }),
            "{user}"
        );
    }
    daemon.stop().unwrap();
}

#[tokio::test]
async fn polars_reads_by_copy() {
    if !python::has_packages(&["polars", "adbc_driver_postgresql", "connectorx"]) {
        return;
    }
    let (installation, port) = installation();
    let daemon = installation.start().await.unwrap();
    push_traffic(&installation, 1.0).await;
    let address = installation.folder().join("port.txt");
    fs::write(&address, port.to_string()).unwrap();
    let found = python::run_with("copies.py", &[address.as_path()], &[]).unwrap();
    let rows = json!([
        [2, "2026-03-01T00:00:00+00:00", 0.0, null, true],
        [2, "2026-03-01T01:00:00+00:00", 1.0, null, true],
    ]);
    assert_eq!(
        found,
        json!({
            "adbc": rows,
            "adbc rows": 72,
            "connectorx": rows,
            "connectorx rows": 72,
            "list": [[1.5, null, 2.5]],
            "day": "2026-03-01",
        })
    );
    daemon.stop().unwrap();
}

/// Makes a certificate for 127.0.0.1 that signs itself; false where `openssl` is not installed.
pub(crate) fn certificate(folder: &Path) -> bool {
    let made = Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=meetnet".split(' '))
        .args("-addext subjectAltName=IP:127.0.0.1 -keyout server.key -out server.pem".split(' '))
        .current_dir(folder)
        .output();
    let Ok(made) = made else {
        println!("skipped: openssl is not installed");
        return false;
    };
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    true
}

#[tokio::test]
async fn with_a_certificate_connections_are_encrypted_and_others_refused() {
    let port = free_port().unwrap();
    let pg = format!(
        "[pg]\nlisten = \"127.0.0.1:{port}\"\ntls_required = true\ntls_cert = \"server.pem\"\n\
         tls_key = {{ file = \"server.key\" }}\n{SOURCES}"
    );
    let installation = Installation::new("", &pg).unwrap();
    if !certificate(installation.folder()) {
        return;
    }
    let daemon = installation.start().await.unwrap();
    let root = installation.folder().join("server.pem");
    let with = |mode: &str| {
        let place = format!(
            "host=127.0.0.1 port={port} user=public dbname=meetnet sslmode={mode} sslrootcert={}",
            root.display()
        );
        psql_with(&["-d", &place, "-c", r"\conninfo"], "")
    };
    let Some(output) = with("verify-full") else {
        return;
    };
    let encrypted = printed(&output).unwrap();
    assert!(encrypted.contains("SSL connection"), "{encrypted}");
    let refused = printed(&with("disable").unwrap()).expect_err("refused");
    assert!(refused.contains("TLS only"), "{refused}");
    daemon.stop().unwrap();
}
