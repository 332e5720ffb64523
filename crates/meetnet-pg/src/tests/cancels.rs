//! What a cancel request means: the statement that is answered just then, and no other.

use super::*;

/// Sends a cancel request, and returns once the server has taken it.
async fn cancel(address: SocketAddr, key: &BackendKeyData) {
    let mut other = Client::connect(address).await;
    other
        .send(&CancelRequest::new(key.pid, key.secret_key.clone()))
        .await;
    assert!(other.receive().await.is_none());
}

const ONE: [&str; 4] = ["columns a:20", "row 1", "SELECT 1", "ready I"];

/// Who has no connection left could not stop anything otherwise.
#[tokio::test]
async fn a_request_needs_no_place_among_the_connections() {
    let limits = PgLimits {
        connections_max: 1,
        ..PgLimits::default()
    };
    let options = PgOptions {
        limits,
        ..PgOptions::default()
    };
    let address = server(options, QueryOptions::default()).await;
    let (mut client, key) = Client::login(address).await;
    client.send(&Query::new(LONG.to_owned())).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let asked = Instant::now();
    cancel(address, &key).await;
    assert_eq!(client.exchange().await, ["ERROR 57014", "ready I"]);
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
}

/// Whoever opens connections and says nothing would keep others from stopping what runs, just while there is no place left.
#[tokio::test]
async fn connections_that_say_nothing_keep_no_request_away() {
    let limits = PgLimits {
        connections_max: 1,
        ..PgLimits::default()
    };
    let options = PgOptions {
        limits,
        ..PgOptions::default()
    };
    let address = server(options, QueryOptions::default()).await;
    let (mut client, key) = Client::login(address).await;
    client.send(&Query::new(LONG.to_owned())).await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(Client::connect(address).await);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let asked = Instant::now();
    cancel(address, &key).await;
    assert_eq!(client.exchange().await, ["ERROR 57014", "ready I"]);
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    // The oldest have given way, and somebody else still hears why there is no place.
    assert!(silent[0].receive().await.is_none());
    assert_eq!(client.query("SELECT 1 AS a").await, ONE);
    let mut other = Client::connect(address).await;
    other.send(&startup("public")).await;
    assert_eq!(other.exchange().await, ["FATAL 53300"]);
}

#[tokio::test]
async fn a_request_between_two_statements_stops_neither() {
    let address = default_server().await;
    let (mut client, key) = Client::login(address).await;
    cancel(address, &key).await;
    assert_eq!(client.query("SELECT 1 AS a").await, ONE);
    cancel(address, &key).await;
    client
        .send(&Parse::new(
            Some("s".into()),
            "SELECT 1 AS a".into(),
            vec![],
        ))
        .await;
    client.send(&Sync::new()).await;
    assert_eq!(client.exchange().await, ["parsed", "ready I"]);
    cancel(address, &key).await;
    client
        .send(&Bind::new(None, Some("s".into()), vec![], vec![], vec![]))
        .await;
    client.send(&Execute::new(None, 0)).await;
    client.send(&Sync::new()).await;
    assert_eq!(
        client.exchange().await,
        ["bound", "row 1", "SELECT 1", "ready I"]
    );
}

#[tokio::test]
async fn a_statement_that_waits_for_its_turn_or_its_plan_is_stopped() {
    let query = QueryOptions {
        running_max: 1,
        ..QueryOptions::default()
    };
    let address = server(PgOptions::default(), query).await;
    let (mut running, of_running) = Client::login(address).await;
    running.send(&Query::new(LONG.to_owned())).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let cancelled = ["ERROR 57014", "ready I"];
    for is_prepared in [false, true] {
        let (mut waiting, key) = Client::login(address).await;
        if is_prepared {
            waiting
                .send(&Parse::new(None, "SELECT 1 AS a".into(), vec![]))
                .await;
            waiting.send(&Sync::new()).await;
        } else {
            waiting.send(&Query::new("SELECT 1 AS a".to_owned())).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        cancel(address, &key).await;
        assert_eq!(waiting.exchange().await, cancelled);
    }
    cancel(address, &of_running).await;
    assert_eq!(running.exchange().await, cancelled);
    assert_eq!(running.query("SELECT 1 AS a").await, ONE);
}

/// Nobody waits for the query then: its rows are there, and wait for the client.
#[tokio::test]
async fn an_answer_that_is_read_slowly_is_stopped() {
    let address = default_server().await;
    let (mut client, key) = Client::login(address).await;
    let sql = "SELECT value, repeat('x', 1000) FROM generate_series(1, 900000)";
    client.send(&Query::new(sql.to_owned())).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    cancel(address, &key).await;
    let shown = client.exchange().await;
    assert_eq!(
        shown[shown.len() - 2..],
        ["ERROR 57014", "ready I"],
        "{} messages",
        shown.len()
    );
    assert_eq!(client.query("SELECT 1 AS a").await, ONE);
}

/// Of several statements in one message, the rest go with the one that was cancelled.
#[tokio::test]
async fn a_message_of_several_statements_ends_with_the_cancelled_one() {
    let address = default_server().await;
    let (mut client, key) = Client::login(address).await;
    client
        .send(&Query::new(format!("SELECT 1 AS a; {LONG}; SELECT 2")))
        .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    cancel(address, &key).await;
    assert_eq!(
        client.exchange().await,
        [
            "columns a:20",
            "row 1",
            "SELECT 1",
            "ERROR 57014",
            "ready I"
        ]
    );
}
