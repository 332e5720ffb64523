use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::http::testing::plain_server;

/// Pushes to a path over a connection of its own, and reads until the other side closes it.
async fn push(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("POST {path} HTTP/1.1\r\nHost: meetnet\r\nContent-Length: 2\r\n\r\n{{}}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_early_is_asked_to_come_again_and_then_meets_the_next_listener() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let early = EarlyPush::start(listener, &plain_server()).unwrap();
    for path in [
        "/ingest/v1/desk",
        "/ingest/v1/desk/token",
        "/write",
        "/airrohr",
    ] {
        let answer = push(address, path).await.to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 503 "), "{path}: {answer}");
        for expect in [
            "retry-after: 5\r\n",
            "application/problem+json",
            "send it again",
        ] {
            assert!(answer.contains(expect), "{path}: {answer}");
        }
    }
    let listener = early.end().await.unwrap();
    // Nobody serves now, and nobody is refused.
    let sent = tokio::spawn(async move { push(address, "/ingest/v1/desk").await });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 1024];
    let read = stream.read(&mut request).await.unwrap();
    assert!(request[..read].starts_with(b"POST /ingest/v1/desk"));
    stream
        .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
        .await
        .unwrap();
    drop(stream);
    assert!(sent.await.unwrap().starts_with("HTTP/1.1 204 "));
}
