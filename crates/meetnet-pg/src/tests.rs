//! The server from outside, frame by frame. The client writes and reads with `pgwire`, which shares no code with what
//! reads here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use meetnet_access::{Access, User};
use meetnet_lake::snapshot::{LakeSnapshot, SharedSnapshot};
use meetnet_query::{QueryOptions, QueryService};
use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::extendedquery::{Bind, Describe, Execute, Parse, Sync};
use pgwire::messages::simplequery::Query;
use pgwire::messages::startup::{Authentication, BackendKeyData, SecretKey, SslRequest, Startup};
use pgwire::messages::{DecodeContext, Message, PgWireBackendMessage as Backend, ProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;

mod cancels;
mod clients;
mod copies;
mod failures;
mod limits;
mod prepared;
mod tls;

/// Nothing here may take longer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Work for minutes.
const LONG: &str = "SELECT count(*) FROM generate_series(1, 1000000) AS a, generate_series(1, 1000000) AS b \
                    WHERE a.value + b.value = 3";

/// Starts a server without datasets; it ends with the runtime of its test.
async fn server(options: PgOptions, query: QueryOptions) -> SocketAddr {
    let snapshot = Arc::new(ArcSwap::from_pointee(LakeSnapshot::default()));
    server_over(snapshot, options, query).await
}

/// Starts a server over the snapshot of a test's own.
async fn server_over(
    snapshot: SharedSnapshot,
    options: PgOptions,
    query: QueryOptions,
) -> SocketAddr {
    let service = QueryService::new(query, snapshot).expect("a service");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(serve(listener, service, options, std::future::pending()));
    address
}

async fn default_server() -> SocketAddr {
    server(PgOptions::default(), QueryOptions::default()).await
}

struct Client {
    stream: TcpStream,
    input: BytesMut,
    context: DecodeContext,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let mut context = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
        context.awaiting_frontend_ssl = false;
        context.awaiting_frontend_startup = false;
        Self {
            stream: TcpStream::connect(address).await.expect("a connection"),
            input: BytesMut::new(),
            context,
        }
    }

    /// Connects and logs in as anybody; returns what cancels it, too.
    async fn login(address: SocketAddr) -> (Self, BackendKeyData) {
        let mut client = Self::connect(address).await;
        client.send(&startup("public")).await;
        let mut key = None;
        loop {
            match client.receive().await.expect("a message") {
                Backend::BackendKeyData(data) => key = Some(data),
                Backend::ReadyForQuery(_) => break,
                Backend::ErrorResponse(error) => panic!("{error:?}"),
                _ => {}
            }
        }
        (client, key.expect("a key"))
    }

    async fn send(&mut self, message: &impl Message) {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes).expect("an encoding");
        self.stream.write_all(&bytes).await.expect("sent");
    }

    /// Returns the next message; None where the server has closed the connection.
    async fn receive(&mut self) -> Option<Backend> {
        loop {
            if let Some(message) =
                Backend::decode(&mut self.input, &self.context).expect("a message")
            {
                return Some(message);
            }
            let read = self.stream.read_buf(&mut self.input);
            match timeout(PATIENCE, read).await.expect("an answer in time") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Returns the messages up to the next ReadyForQuery or the end, one word or line each.
    async fn exchange(&mut self) -> Vec<String> {
        let mut shown = Vec::new();
        while let Some(message) = self.receive().await {
            let ready = matches!(message, Backend::ReadyForQuery(_));
            shown.push(show(&message));
            if ready {
                break;
            }
        }
        shown
    }

    async fn query(&mut self, sql: &str) -> Vec<String> {
        self.send(&Query::new(sql.to_owned())).await;
        self.exchange().await
    }
}

fn startup(user: &str) -> Startup {
    let mut startup = Startup::new();
    startup
        .parameters
        .insert("user".to_owned(), user.to_owned());
    startup
        .parameters
        .insert("database".to_owned(), "meetnet".to_owned());
    startup
}

fn show(message: &Backend) -> String {
    match message {
        Backend::RowDescription(rows) => {
            let fields = rows.fields.iter();
            let fields = fields.map(|field| format!("{}:{}", field.name, field.type_id));
            format!("columns {}", fields.collect::<Vec<_>>().join(" "))
        }
        Backend::DataRow(row) => {
            let mut data: &[u8] = &row.data;
            let mut cells = Vec::new();
            while data.len() >= 4 {
                let (length, rest) = data.split_at(4);
                let length = i32::from_be_bytes(length.try_into().expect("4 bytes"));
                let (cell, rest) = rest.split_at(usize::try_from(length).unwrap_or(0));
                cells.push(match length {
                    -1 => "NULL".to_owned(),
                    _ => String::from_utf8_lossy(cell).escape_debug().to_string(),
                });
                data = rest;
            }
            format!("row {}", cells.join("|"))
        }
        Backend::CommandComplete(done) => done.tag.clone(),
        Backend::ErrorResponse(error) => {
            let field = |kind: u8| error.fields.iter().find(|(found, _)| *found == kind);
            let text = |kind| field(kind).map_or("", |(_, text)| text.as_str());
            format!("{} {}", text(b'S'), text(b'C'))
        }
        Backend::ReadyForQuery(ready) => format!("ready {}", char::from(ready.status as u8)),
        Backend::ParameterDescription(parameters) => format!("parameters {:?}", parameters.types),
        Backend::NoticeResponse(_) => "notice".to_owned(),
        Backend::ParameterStatus(status) => format!("status {}={}", status.name, status.value),
        Backend::ParseComplete(_) => "parsed".to_owned(),
        Backend::BindComplete(_) => "bound".to_owned(),
        Backend::PortalSuspended(_) => "suspended".to_owned(),
        Backend::EmptyQueryResponse(_) => "empty".to_owned(),
        Backend::NoData(_) => "no data".to_owned(),
        Backend::CopyOutResponse(copy) => format!("copy {} {:?}", copy.format, copy.column_formats),
        Backend::CopyData(copied) => {
            let text = String::from_utf8_lossy(&copied.data);
            format!("data {}", text.escape_debug())
        }
        Backend::CopyDone(_) => "copied".to_owned(),
        Backend::Authentication(Authentication::SASL(mechanisms)) => format!("sasl {mechanisms:?}"),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn simple_queries_are_answered_in_order() {
    let (mut client, _) = Client::login(default_server().await).await;
    let check = async |client: &mut Client, sql: &str, expected: &[&str]| {
        assert_eq!(client.query(sql).await, expected, "{sql}");
    };
    let client = &mut client;
    check(client, "-- ping", &["empty", "ready I"]).await;
    check(
        client,
        "SELECT 1 AS one, NULL AS nothing, true; SHOW server_version",
        &[
            "columns one:20 nothing:25 ?column?:16",
            "row 1|NULL|t",
            "SELECT 1",
            "columns server_version:25",
            "row 14.0",
            "SHOW",
            "ready I",
        ],
    )
    .await;
    let plan = client.query("EXPLAIN (FORMAT JSON) SELECT 1 AS a").await;
    assert_eq!(plan[0], "columns QUERY PLAN:114");
    assert!(plan[1].contains("Node Type"), "{plan:?}");
    check(
        client,
        "EXPLAIN SELECT 1 AS a",
        &[
            "columns QUERY PLAN:25",
            "row logical_plan",
            "row   Projection: Int64(1) AS a",
            "row     EmptyRelation: rows=1",
            "row physical_plan",
            "row   ProjectionExec: expr=[1 as a]",
            "row     PlaceholderRowExec",
            "SELECT 6",
            "ready I",
        ],
    )
    .await;
    // What comes after an error is not done.
    check(
        client,
        "SELECT 1 AS a; SELEC 1; SELECT 2",
        &[
            "columns a:20",
            "row 1",
            "SELECT 1",
            "ERROR 42601",
            "ready I",
        ],
    )
    .await;
    check(client, "DROP TABLE counts", &["ERROR 25006", "ready I"]).await;
    check(client, "SELECT * FROM counts", &["ERROR 42P01", "ready I"]).await;
    check(client, "SHOW nonsense", &["ERROR 42704", "ready I"]).await;
    check(
        client,
        "SET timezone = 'Europe/Brussels'",
        &["notice", "SET", "ready I"],
    )
    .await;
    check(
        client,
        "SET application_name = 'desk'",
        &["status application_name=desk", "SET", "ready I"],
    )
    .await;
    check(
        client,
        "SET client_encoding = 'LATIN1'",
        &["ERROR 22023", "ready I"],
    )
    .await;
}

#[tokio::test]
async fn transactions_and_cursors_keep_their_state() {
    let (mut client, _) = Client::login(default_server().await).await;
    for (sql, expected) in [
        ("BEGIN", &["BEGIN", "ready T"][..]),
        (
            "DECLARE c CURSOR FOR SELECT value FROM generate_series(1, 3)",
            &["DECLARE CURSOR", "ready T"],
        ),
        (
            "FETCH FORWARD 2 FROM c",
            &["columns value:20", "row 1", "row 2", "FETCH 2", "ready T"],
        ),
        (
            "FETCH ALL FROM c",
            &["columns value:20", "row 3", "FETCH 1", "ready T"],
        ),
        ("FETCH c", &["columns value:20", "FETCH 0", "ready T"]),
        ("SELECT nothing", &["ERROR 42703", "ready E"]),
        ("SELECT 1", &["ERROR 25P02", "ready E"]),
        ("COMMIT", &["ROLLBACK", "ready I"]),
        ("FETCH c", &["ERROR 34000", "ready I"]),
        ("DECLARE c CURSOR FOR SELECT 1", &["ERROR 25P01", "ready I"]),
        ("SAVEPOINT s", &["ERROR 25P01", "ready I"]),
    ] {
        assert_eq!(client.query(sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn prepared_statements_take_values_and_give_rows_a_few_at_a_time() {
    let (mut client, _) = Client::login(default_server().await).await;
    let sql = "SELECT value FROM generate_series(1, 5) WHERE value >= $1";
    client
        .send(&Parse::new(Some("s".into()), sql.into(), vec![]))
        .await;
    client.send(&Describe::new(b'S', Some("s".into()))).await;
    let one = Bytes::copy_from_slice(&1_i64.to_be_bytes());
    client
        .send(&Bind::new(
            None,
            Some("s".into()),
            vec![1],
            vec![Some(one)],
            vec![0],
        ))
        .await;
    for rows_max in [2, 2, 0, 0] {
        client.send(&Execute::new(None, rows_max)).await;
    }
    client.send(&Sync::new()).await;
    assert_eq!(
        client.exchange().await,
        [
            "parsed",
            "parameters [20]",
            "columns value:20",
            "bound",
            "row 1",
            "row 2",
            "suspended",
            "row 3",
            "row 4",
            "suspended",
            "row 5",
            "SELECT 1",
            "SELECT 0",
            "ready I",
        ]
    );
    // Binary, by a value in text.
    let four = Bytes::from_static(b"5");
    client
        .send(&Bind::new(
            None,
            Some("s".into()),
            vec![],
            vec![Some(four)],
            vec![1],
        ))
        .await;
    client.send(&Execute::new(None, 0)).await;
    client.send(&Sync::new()).await;
    let five = r"row \0\0\0\0\0\0\0\u{5}";
    assert_eq!(
        client.exchange().await,
        ["bound", five, "SELECT 1", "ready I"]
    );
}

#[tokio::test]
async fn after_an_error_everything_is_skipped_up_to_sync() {
    let (mut client, _) = Client::login(default_server().await).await;
    client
        .send(&Parse::new(None, "SELECT $1".into(), vec![600]))
        .await;
    client
        .send(&Parse::new(None, "SELECT 1".into(), vec![]))
        .await;
    client.send(&Execute::new(None, 0)).await;
    client.send(&Sync::new()).await;
    assert_eq!(client.exchange().await, ["ERROR 0A000", "ready I"]);
    client.send(&Execute::new(Some("none".into()), 0)).await;
    client.send(&Sync::new()).await;
    assert_eq!(client.exchange().await, ["ERROR 34000", "ready I"]);
    client
        .send(&Parse::new(None, "SELECT $1 + 1".into(), vec![20]))
        .await;
    client
        .send(&Bind::new(None, None, vec![], vec![], vec![]))
        .await;
    client.send(&Sync::new()).await;
    assert_eq!(
        client.exchange().await,
        ["parsed", "ERROR 08P01", "ready I"]
    );
}

/// Checks that a statement which would run for long ends when it is cancelled, and when its time is over.
async fn check_ended(address: SocketAddr, sql: &str) {
    let (mut client, key) = Client::login(address).await;
    let ended = ["ERROR 57014", "ready I"].map(str::to_owned);
    client.send(&Query::new(sql.to_owned())).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let asked = Instant::now();
    let mut other = Client::connect(address).await;
    other
        .send(&CancelRequest::new(key.pid, key.secret_key.clone()))
        .await;
    // It is planned once, so its columns come with its first rows.
    assert_eq!(client.exchange().await, ended);
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );

    assert_eq!(
        client.query("SET statement_timeout = '200ms'").await,
        ["SET", "ready I"]
    );
    assert_eq!(client.query(sql).await, ended);
    assert_eq!(client.query("SELECT 1 AS a").await[1], "row 1");
}

#[tokio::test]
async fn a_running_statement_ends_when_it_is_cancelled_or_its_time_is_over() {
    check_ended(default_server().await, LONG).await;
}

#[tokio::test]
async fn a_secret_that_is_wrong_cancels_nothing() {
    let address = default_server().await;
    let (mut client, key) = Client::login(address).await;
    // It would be cancelled at once, and ends by itself only after a second.
    assert_eq!(
        client.query("SET statement_timeout = '1s'").await,
        ["SET", "ready I"]
    );
    let started = Instant::now();
    client.send(&Query::new(LONG.to_owned())).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let wrong = key.secret_key.as_i32().map_or(0, |secret| secret ^ 1);
    let mut other = Client::connect(address).await;
    other
        .send(&CancelRequest::new(key.pid, SecretKey::I32(wrong)))
        .await;
    assert!(other.receive().await.is_none());
    assert_eq!(client.exchange().await[0], "ERROR 57014");
    assert!(started.elapsed() >= Duration::from_millis(900));
}

#[tokio::test]
async fn an_answer_over_the_row_limit_is_an_error_and_not_short() {
    let query = QueryOptions {
        row_limit: 10,
        ..QueryOptions::default()
    };
    let (mut client, _) = Client::login(server(PgOptions::default(), query).await).await;
    let shown = client
        .query("SELECT value FROM generate_series(1, 11)")
        .await;
    assert_eq!(shown[shown.len() - 2..], ["ERROR 54000", "ready I"]);
    let shown = client
        .query("SELECT value FROM generate_series(1, 10)")
        .await;
    assert_eq!(shown[shown.len() - 2..], ["SELECT 10", "ready I"]);
}

#[tokio::test]
async fn who_may_not_come_in_is_told_why() {
    let access = Access {
        users: vec![User {
            name: "analyst".to_owned(),
            password: "correct horse".to_owned(),
        }],
        ..Access::default()
    };
    let options = PgOptions {
        access: access.clone(),
        ..PgOptions::default()
    };
    let strict = PgOptions {
        access: Access {
            anonymous: false,
            ..access
        },
        ..PgOptions::default()
    };
    let closed = PgOptions {
        tls_required: true,
        ..PgOptions::default()
    };
    let check = async |options: PgOptions, startup: Startup, expected: &str| {
        let address = server(options, QueryOptions::default()).await;
        let mut client = Client::connect(address).await;
        client.send(&startup).await;
        let first = client.receive().await.expect("an answer");
        assert_eq!(show(&first), expected);
    };
    check(PgOptions::default(), startup("root"), "FATAL 28000").await;
    // Somebody unknown is asked for a password as somebody known is.
    check(options.clone(), startup("root"), "sasl [\"SCRAM-SHA-256\"]").await;
    check(options, startup("analyst"), "sasl [\"SCRAM-SHA-256\"]").await;
    for name in ["public", "anonymous"] {
        check(strict.clone(), startup(name), "sasl [\"SCRAM-SHA-256\"]").await;
    }
    check(closed, startup("public"), "FATAL 28000").await;
    let mut elsewhere = startup("public");
    elsewhere
        .parameters
        .insert("database".to_owned(), "postgres".to_owned());
    check(PgOptions::default(), elsewhere, "FATAL 3D000").await;
}

/// psqlODBC never ends where the user has the name of the schema.
#[tokio::test]
async fn anybody_has_two_names_where_nobody_has_the_second() {
    let named = |name: &str| PgOptions {
        access: Access {
            users: vec![User {
                name: name.to_owned(),
                password: "correct horse".to_owned(),
            }],
            ..Access::default()
        },
        ..PgOptions::default()
    };
    for (options, expected) in [
        (PgOptions::default(), true),
        (named("analyst"), true),
        (named("anonymous"), false),
    ] {
        let address = server(options, QueryOptions::default()).await;
        let mut client = Client::connect(address).await;
        client.send(&startup("anonymous")).await;
        let first = client.receive().await.expect("an answer");
        let is_in = matches!(first, Backend::Authentication(Authentication::Ok));
        assert_eq!(is_in, expected, "{}", show(&first));
    }
}

#[tokio::test]
async fn tls_is_refused_where_there_is_no_certificate() {
    let mut client = Client::connect(default_server().await).await;
    client.send(&SslRequest::new()).await;
    let mut answer = [0];
    client
        .stream
        .read_exact(&mut answer)
        .await
        .expect("an answer");
    assert_eq!(answer, *b"N");
    client.send(&startup("public")).await;
    assert!(matches!(
        client.receive().await,
        Some(Backend::Authentication(Authentication::Ok))
    ));
}

#[tokio::test]
async fn limits_end_connections_and_free_their_places() {
    let limits = PgLimits {
        connections_max: 1,
        idle_time_max: Duration::from_millis(500),
        message_bytes_max: 10_000,
        ..PgLimits::default()
    };
    let options = PgOptions {
        limits,
        ..PgOptions::default()
    };
    let address = server(options, QueryOptions::default()).await;
    let (mut first, _) = Client::login(address).await;
    let mut second = Client::connect(address).await;
    second.send(&startup("public")).await;
    assert_eq!(second.exchange().await, ["FATAL 53300"]);
    // The first is silent for too long; then there is room.
    assert_eq!(first.exchange().await, ["FATAL 57P05"]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (mut third, _) = Client::login(address).await;
    assert_eq!(
        third
            .query(&format!("SELECT '{}'", "x".repeat(20_000)))
            .await,
        ["FATAL 08P01"]
    );
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (mut fourth, _) = Client::login(address).await;
    fourth
        .stream
        .write_all(b"Q\0\0\0\x06a")
        .await
        .expect("sent");
    fourth.stream.write_all(b"b").await.expect("sent");
    assert_eq!(fourth.exchange().await, ["FATAL 08P01"]);
}

#[tokio::test]
async fn a_client_that_reads_nothing_or_leaves_frees_its_query() {
    let limits = PgLimits {
        stall_time_max: Duration::from_millis(500),
        ..PgLimits::default()
    };
    let options = PgOptions {
        limits,
        ..PgOptions::default()
    };
    let query = QueryOptions {
        running_max: 1,
        queue_time_max: Duration::from_secs(10),
        ..QueryOptions::default()
    };
    let address = server(options, query).await;
    let (mut slow, _) = Client::login(address).await;
    slow.send(&Query::new(
        "SELECT value, repeat('x', 1000) FROM generate_series(1, 200000)".to_owned(),
    ))
    .await;
    let (mut leaving, _) = Client::login(address).await;
    leaving.send(&Query::new(LONG.to_owned())).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(leaving);
    let (mut other, _) = Client::login(address).await;
    assert_eq!(
        other.query("SELECT 1 AS a").await,
        ["columns a:20", "row 1", "SELECT 1", "ready I"]
    );
}
