//! Who asks: holders of API keys, and clients with too many connections or queries.

use std::collections::HashMap;

use meetnet_lake::snapshot::TableSnapshot;
use meetnet_lake::storage::{FolderStorage, TableFolder};
use meetnet_model::ids::{DatasetId, Sequence};
use meetnet_model::schemas;
use meetnet_query::{ApiKey, ApiKeys, KeyDigest, KeyLimits};
use pgwire::messages::startup::Password;

use super::*;

fn with_key() -> PgOptions {
    let key = ApiKey {
        name: "university".into(),
        digest: KeyDigest::of("a long random key"),
        limits: KeyLimits {
            row_limit: Some(5),
            ..KeyLimits::default()
        },
    };
    PgOptions {
        keys: ApiKeys::new([key]),
        ..PgOptions::default()
    }
}

#[tokio::test]
async fn answers_are_restricted_to_licences_by_a_setting() {
    let address = default_server().await;
    let login = async |options: &str| {
        let mut client = Client::connect(address).await;
        let mut asked = startup("public");
        let options = ("options".to_owned(), options.to_owned());
        asked.parameters.extend([options]);
        client.send(&asked).await;
        let answers = client.exchange().await;
        (client, answers.last().cloned().unwrap_or_default())
    };
    let show = async |client: &mut Client| {
        let shown = client.query("SHOW meetnet.licence").await;
        assert_eq!(shown[0], "columns meetnet.licence:25");
        shown[1].clone()
    };
    let (mut client, _) = login("").await;
    let client = &mut client;
    assert_eq!(show(client).await, "row ");
    let of_two = "SET meetnet.licence = 'CC0-1.0, CC-BY-4.0'";
    assert_eq!(client.query(of_two).await, ["SET", "ready I"]);
    assert_eq!(show(client).await, "row CC-BY-4.0,CC0-1.0");
    // What nobody knows changes nothing.
    for wrong in ["not a licence", "CC-BY-3.0"] {
        let set = format!("SET meetnet.licence TO '{wrong}'");
        assert_eq!(client.query(&set).await, ["ERROR 22023", "ready I"]);
        assert_eq!(show(client).await, "row CC-BY-4.0,CC0-1.0");
    }
    client.query("RESET meetnet.licence").await;
    assert_eq!(show(client).await, "row ");

    // What is asked for at the start is what everything goes back to.
    let (mut client, _) = login("-c meetnet.licence=CC0-1.0").await;
    let client = &mut client;
    for reset in ["RESET meetnet.licence", "RESET ALL", "DISCARD ALL"] {
        client.query(of_two).await;
        client.query(reset).await;
        assert_eq!(show(client).await, "row CC0-1.0", "{reset}");
    }
    client.query("SET meetnet.licence = ''").await;
    assert_eq!(show(client).await, "row ");
    let (_, said) = login("-c meetnet.licence=CC-BY-3.0").await;
    assert_eq!(said, "FATAL 22023");
}

/// The dataset `noise` without rows, up to a sequence that was recorded at a time, µs since 1970 UTC.
fn reaching(through: u64, stable_time: i64) -> LakeSnapshot {
    let declarations = schemas::builtin().into_declarations([]);
    let id = DatasetId::new("noise");
    let declaration = &declarations.datasets[&id];
    let table = TableSnapshot {
        declaration: Arc::clone(declaration),
        folder: TableFolder::new(Arc::new(FolderStorage::new("/nowhere")), id.as_str()),
        version: 3,
        through: Sequence(through),
        stable_time,
        files: Arc::default(),
        masks: Arc::new(HashMap::new()),
        hot: Arc::default(),
    };
    LakeSnapshot {
        tables: [(id, Arc::new(table))].into_iter().collect(),
    }
}

#[tokio::test]
async fn an_answer_says_how_far_it_reaches_where_that_has_changed() {
    let snapshot = Arc::new(ArcSwap::from_pointee(reaching(42, 1_795_315_580_000_000)));
    let (options, query) = (PgOptions::default(), QueryOptions::default());
    let address = server_over(Arc::clone(&snapshot), options, query).await;
    let (mut client, _) = Client::login(address).await;
    let mut said = async |sql: &str| {
        let mut answers = client.query(sql).await;
        assert!(
            answers.contains(&"ready I".to_owned()),
            "{sql}: {answers:?}"
        );
        assert!(
            !answers.iter().any(|line| line.starts_with("ERROR")),
            "{sql}: {answers:?}"
        );
        answers.retain(|line| line.starts_with("status "));
        answers
    };
    let count = "SELECT count(*) FROM noise";
    let first = [
        "status meetnet.answer_through=42",
        "status meetnet.answer_stable_time=2026-11-22T02:46:20Z",
    ];
    assert_eq!(said(count).await, first);
    assert!(said(count).await.is_empty(), "nothing has changed");
    snapshot.store(Arc::new(reaching(43, 1_795_315_581_500_000)));
    let copy = "COPY (SELECT time FROM noise) TO STDOUT";
    let later = [
        "status meetnet.answer_through=43",
        "status meetnet.answer_stable_time=2026-11-22T02:46:21.500000Z",
    ];
    assert_eq!(said(copy).await, later);
}

#[tokio::test]
async fn the_holder_of_a_key_logs_in_with_it_and_has_its_limits() {
    let address = server(with_key(), QueryOptions::default()).await;
    let login = async |key: &str| {
        let mut client = Client::connect(address).await;
        client.send(&startup("university")).await;
        let asked = client.receive().await;
        assert!(matches!(
            asked,
            Some(Backend::Authentication(Authentication::CleartextPassword))
        ));
        client.send(&Password::new(key.to_owned())).await;
        let answers = client.exchange().await;
        (client, answers.last().cloned().unwrap_or_default())
    };
    for wrong in ["", "another key", "a long random key "] {
        assert_eq!(login(wrong).await.1, "FATAL 28P01", "{wrong:?}");
    }
    let (mut client, answer) = login("a long random key").await;
    assert_eq!(answer, "ready I");
    let shown = client
        .query("SELECT value FROM generate_series(1, 6)")
        .await;
    assert_eq!(shown[shown.len() - 2..], ["ERROR 54000", "ready I"]);
    let shown = client
        .query("SELECT value FROM generate_series(1, 5)")
        .await;
    assert_eq!(shown[shown.len() - 2..], ["SELECT 5", "ready I"]);
}

#[tokio::test]
async fn one_client_does_not_take_every_connection() {
    let limits = PgLimits {
        connections_per_client_max: 2,
        ..PgLimits::default()
    };
    let options = PgOptions {
        limits,
        ..PgOptions::default()
    };
    let address = server(options, QueryOptions::default()).await;
    let (first, _) = Client::login(address).await;
    let (mut second, _) = Client::login(address).await;
    let mut third = Client::connect(address).await;
    third.send(&startup("public")).await;
    assert_eq!(third.exchange().await, ["FATAL 53300"]);
    // Most clients ask for TLS first, and show no more of an answer to that than yes or no.
    let mut asking = Client::connect(address).await;
    asking.send(&SslRequest::new()).await;
    let mut answer = [0];
    let answered = asking.stream.read_exact(&mut answer).await;
    answered.expect("an answer");
    assert_eq!(answer, *b"N");
    asking.send(&startup("public")).await;
    assert_eq!(asking.exchange().await, ["FATAL 53300"]);
    drop(first);
    // Once the server has seen that it is gone.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (mut fourth, _) = Client::login(address).await;
    for client in [&mut second, &mut fourth] {
        let shown = client.query("SELECT 1 AS a").await;
        assert_eq!(shown, ["columns a:20", "row 1", "SELECT 1", "ready I"]);
    }
}

#[tokio::test]
async fn a_client_over_its_share_is_told_so() {
    let query = QueryOptions {
        client_running_max: 1,
        client_queued_max: 0,
        ..QueryOptions::default()
    };
    let address = server(with_key(), query).await;
    let (mut busy, _) = Client::login(address).await;
    busy.send(&Query::new(LONG.to_owned())).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (mut other, _) = Client::login(address).await;
    assert_eq!(
        other.query("SELECT 1 AS a").await,
        ["ERROR 53400", "ready I"]
    );
}

/// As pgbouncer, JDBC, Npgsql, SQLAlchemy and asyncpg do between two owners of a connection.
#[tokio::test]
async fn pools_tidy_connections_up() {
    let (mut client, _) = Client::login(default_server().await).await;
    let client = &mut client;
    let set =
        "SET statement_timeout = 5000; SET search_path TO other; PREPARE one AS SELECT 1 AS a";
    for (reset, tags, is_forgotten) in [
        ("DISCARD ALL", &["DISCARD ALL"][..], true),
        ("DEALLOCATE ALL", &["DEALLOCATE ALL"], true),
        ("DISCARD PLANS", &["DISCARD PLANS"], false),
        (
            "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL",
            &[
                "columns pg_advisory_unlock_all:25",
                "row ",
                "SELECT 1",
                "CLOSE CURSOR ALL",
                "UNLISTEN",
                "RESET",
            ],
            false,
        ),
        (
            "RESET ROLE; RESET SESSION AUTHORIZATION; SET SESSION AUTHORIZATION DEFAULT",
            &["RESET", "RESET", "SET"],
            false,
        ),
    ] {
        let prepared = client.query(set).await;
        assert_eq!(prepared, ["SET", "SET", "PREPARE", "ready I"], "{reset}");
        let mut answer = tags.to_vec();
        answer.push("ready I");
        assert_eq!(client.query(reset).await, answer);
        let ran = client.query("EXECUTE one").await;
        match is_forgotten {
            true => assert_eq!(ran, ["ERROR 26000", "ready I"], "{reset}"),
            false => assert_eq!(ran[1], "row 1", "{reset}: {ran:?}"),
        }
        client.query("DEALLOCATE ALL").await;
    }
    assert_eq!(client.query("BEGIN").await, ["BEGIN", "ready T"]);
    let answer = client.query("DISCARD ALL").await;
    assert_eq!(answer, ["ERROR 25001", "ready E"]);
    client.query("ROLLBACK").await;
}

/// As psycopg, JDBC and SQLAlchemy do before each statement of who has not asked to read only.
#[tokio::test]
async fn read_write_is_taken_and_changes_nothing() {
    let (mut client, _) = Client::login(default_server().await).await;
    for (sql, tag, state) in [
        ("BEGIN READ WRITE", "BEGIN", "ready T"),
        ("SET TRANSACTION READ WRITE", "SET", "ready T"),
        ("SET transaction_read_only = off", "SET", "ready T"),
        ("COMMIT", "COMMIT", "ready I"),
        (
            "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE",
            "BEGIN",
            "ready T",
        ),
        ("COMMIT", "COMMIT", "ready I"),
        (
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            "SET",
            "ready I",
        ),
        (
            "SET default_transaction_read_only TO 'off'",
            "SET",
            "ready I",
        ),
    ] {
        assert_eq!(client.query(sql).await, [tag, state], "{sql}");
    }
    for setting in ["transaction_read_only", "default_transaction_read_only"] {
        let shown = client.query(&format!("SHOW {setting}")).await;
        assert_eq!(shown[1], "row on", "{setting}");
    }
}

#[tokio::test]
async fn every_setting_is_shown() {
    let (mut client, _) = Client::login(default_server().await).await;
    client
        .query("SET statement_timeout = 5000; SET myapp.name = 'x'")
        .await;
    let shown = client.query("SHOW ALL").await;
    assert_eq!(shown[0], "columns name:25 setting:25 description:25");
    for row in [
        "row meetnet.licence||NULL",
        "row myapp.name|x|NULL",
        "row statement_timeout|5000|NULL",
        "row timezone|UTC|NULL",
        "row transaction_read_only|on|NULL",
    ] {
        assert!(shown.iter().any(|found| found == row), "{row}: {shown:?}");
    }
    assert_eq!(shown[shown.len() - 2..], ["SHOW", "ready I"]);
    let rows = shown[1..shown.len() - 2].iter();
    let names: Vec<&str> = rows.filter_map(|row| row.split('|').next()).collect();
    assert!(names.is_sorted(), "{names:?}");
    for (setting, value) in [("role", "none"), ("session_authorization", "public")] {
        let shown = client.query(&format!("SHOW {setting}")).await;
        assert_eq!(shown[1], format!("row {value}"));
    }
}
