use std::net::SocketAddr;

use axum::Extension;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

async fn start(
    router: Router,
    limits: ServeLimits,
) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel();
    let shutdown = async {
        let _ = stopped.await;
    };
    let server = tokio::spawn(serve_with(listener, router, limits, shutdown));
    (address, stop, server)
}

async fn exchange(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a listener");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("the server reads");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

/// As [`exchange`], with who may be closed before anything was sent.
async fn exchange_or_end(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a listener");
    let _ = stream.write_all(REQUEST.as_bytes()).await;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn requests_are_answered_until_shutdown() {
    let router = Router::new().route("/", get(|| async { "hello" }));
    let (address, stop, server) = start(router, ServeLimits::default()).await;
    let answer = exchange(address, REQUEST).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello"),
        "{answer}"
    );
    stop.send(()).expect("the server runs");
    server.await.expect("no panic").expect("no error");
    assert!(
        TcpStream::connect(address).await.is_err(),
        "the port is free again"
    );
}

/// What proves a long answer complete arrives behind its last chunk.
#[tokio::test]
async fn trailers_reach_those_who_read_them() {
    let router = crate::fixture::router();
    let (address, _stop, _server) = start(router, ServeLimits::default()).await;
    for (te, times) in [("TE: trailers\r\n", 5000), ("", 5001)] {
        let query = "SELECT+heat.value,+repeat('x',+100)+FROM+heat,+generate_series(1,+";
        let path = format!("/api/v1/sql?format=csv&q={query}{times})");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{te}Connection: close\r\n\r\n");
        let answer = exchange(address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer:.200}");
        let (_, trailers) = answer.rsplit_once("\r\n0\r\n").expect("a last chunk");
        let rows = format!("meetnet-rows: {}\r\n", 2 * times);
        assert_eq!(trailers.contains(&rows), !te.is_empty(), "{trailers}");
        let digest = trailers.contains("repr-digest: sha-256=:");
        assert_eq!(digest, !te.is_empty(), "{trailers}");
    }
}

#[tokio::test]
async fn an_answer_in_progress_is_finished_before_the_end() {
    let (begun_sender, begun) = oneshot::channel();
    let begun_sender = Arc::new(std::sync::Mutex::new(Some(begun_sender)));
    let slow = move || async move {
        if let Some(sender) = begun_sender.lock().expect("no panic").take() {
            let _ = sender.send(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        "late"
    };
    let router = Router::new().route("/", get(slow));
    let (address, stop, server) = start(router, ServeLimits::default()).await;
    let asking = tokio::spawn(exchange(address, REQUEST));
    begun.await.expect("the handler runs");
    stop.send(()).expect("the server runs");
    assert!(asking.await.expect("no panic").ends_with("late"));
    server.await.expect("no panic").expect("no error");
}

/// Who counts how answers end has to know before they do.
#[tokio::test]
async fn it_is_said_before_answers_are_cut_off() {
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/long", get(std::future::pending::<&'static str>));
    let limits = ServeLimits {
        drain_time_max: Duration::from_millis(50),
        ..ServeLimits::default()
    };
    for (path, expect) in [("/", false), ("/long", true)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        let (cut, mut is_cut) = oneshot::channel();
        let before_cut = move || cut.send(()).expect("the test waits");
        let clients = ClientSettings::default();
        let serving = serve_behind(
            listener,
            router.clone(),
            limits,
            clients,
            shutdown,
            before_cut,
        );
        let server = tokio::spawn(serving);
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut stream = TcpStream::connect(address).await.expect("a listener");
        let sent = stream.write_all(request.as_bytes()).await;
        sent.expect("the server reads");
        // The request is under way, or answered.
        tokio::time::sleep(Duration::from_millis(50)).await;
        stop.send(()).expect("the server runs");
        server.await.expect("no panic").expect("no error");
        assert_eq!(is_cut.try_recv().is_ok(), expect, "{path}");
    }
}

#[tokio::test]
async fn a_client_that_sends_nothing_is_cut_off() {
    let limits = ServeLimits {
        header_time_max: Duration::from_millis(50),
        ..ServeLimits::default()
    };
    let (address, _stop, _server) = start(Router::new(), limits).await;
    for sent in ["", "GET / HTTP/1.1\r\nHost: lo"] {
        let waiting = exchange(address, sent);
        let cut_off = tokio::time::timeout(Duration::from_secs(5), waiting).await;
        assert!(cut_off.is_ok(), "after {sent:?}");
    }
}

#[tokio::test]
async fn connections_over_the_limit_wait_their_turn() {
    let router = Router::new().route("/", get(|| async { "hello" }));
    let limits = ServeLimits {
        connections_max: 1,
        ..ServeLimits::default()
    };
    let (address, _stop, _server) = start(router, limits).await;
    let mut first = TcpStream::connect(address).await.expect("a listener");
    // Give the server the time to take the only place for this connection.
    first
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .expect("the server reads");
    let mut byte = [0];
    first.read_exact(&mut byte).await.expect("an answer");
    let second = tokio::spawn(exchange(address, REQUEST));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(
        !second.is_finished(),
        "the first still holds the only place"
    );
    drop(first);
    assert!(second.await.expect("no panic").ends_with("hello"));
}

#[tokio::test]
async fn a_client_with_too_many_connections_is_told_so() {
    let router = Router::new().route("/", get(|| async { "hello" }));
    let limits = ServeLimits {
        connections_per_client_max: 2,
        ..ServeLimits::default()
    };
    let (address, _stop, _server) = start(router.clone(), limits).await;
    let open = async || {
        let mut stream = TcpStream::connect(address).await.expect("a listener");
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut byte = [0];
        stream.read_exact(&mut byte).await.expect("an answer");
        stream
    };
    let (first, _second) = (open().await, open().await);
    let refused = exchange(address, REQUEST).await;
    assert!(refused.starts_with("HTTP/1.1 429 "), "{refused}");
    assert!(refused.contains("\r\nRetry-After: 2\r\n"), "{refused}");
    let (_, body) = refused.split_once("\r\n\r\n").expect("a head and a body");
    let problem: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(problem["type"], "/problems/connections", "{refused}");
    assert_eq!(problem["title"], "You have too many connections open here");
    let detail = problem["detail"].as_str().expect("a text");
    assert!(detail.contains("2 connections"), "{detail}");
    drop(first);
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while !exchange(address, REQUEST).await.ends_with("hello") {
        assert!(std::time::Instant::now() < deadline, "a place is free");
    }

    let untold = ServeLimits {
        are_refused_told: false,
        ..limits
    };
    let (address, _stop, _server) = start(router.clone(), untold).await;
    let open = async || TcpStream::connect(address).await.expect("a listener");
    let _held = (open().await, open().await);
    assert_eq!(exchange_or_end(address).await, "");

    // A proxy has the connections of all its clients.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let clients = ClientSettings {
        proxies: vec!["127.0.0.0/8".parse().expect("a range")],
        ..ClientSettings::default()
    };
    let never = std::future::pending();
    tokio::spawn(serve_behind(
        listener,
        router,
        limits,
        clients,
        never,
        || {},
    ));
    let open = async || TcpStream::connect(address).await.expect("a listener");
    let _held = (open().await, open().await, open().await);
    assert!(exchange(address, REQUEST).await.ends_with("hello"));
}

#[tokio::test]
async fn a_request_says_whose_it_is_behind_a_proxy_as_well() {
    let whose =
        |Extension(address): Extension<ClientAddress>| async move { format!("{address:?}") };
    let router = Router::new().route("/", get(whose));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let clients = ClientSettings {
        proxies: vec!["127.0.0.1".parse().expect("a range")],
        header: Some(axum::http::HeaderName::from_static("x-forwarded-for")),
        ..ClientSettings::default()
    };
    let limits = ServeLimits::default();
    let never = std::future::pending();
    tokio::spawn(serve_behind(
        listener,
        router,
        limits,
        clients,
        never,
        || {},
    ));
    for (header, expect) in [
        ("", "ClientAddress(Some(127.0.0.1))"),
        (
            "X-Forwarded-For: 192.0.2.7\r\n",
            "ClientAddress(Some(192.0.2.7))",
        ),
        ("X-Forwarded-For: somebody\r\n", "ClientAddress(None)"),
    ] {
        let request =
            format!("GET / HTTP/1.1\r\nHost: localhost\r\n{header}Connection: close\r\n\r\n");
        let answer = exchange(address, &request).await;
        assert!(answer.ends_with(expect), "{header}: {answer}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let router = Router::new().route("/", get(|| async { "hello" }));
    let (address, _stop, _server) = start(router, ServeLimits::default()).await;
    for (name, filler) in [
        ("One", "x".repeat(200_000)),
        ("Many", "x\r\nA: ".repeat(200)),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {filler}\r\n\r\n");
        let answer = exchange(address, &request).await;
        assert!(
            answer.starts_with("HTTP/1.1 431 ") || answer.is_empty(),
            "{name}: {answer}"
        );
    }
    assert!(exchange(address, REQUEST).await.ends_with("hello"));
}
