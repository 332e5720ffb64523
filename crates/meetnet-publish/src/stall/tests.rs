use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_off() {
    let (server, _client) = tokio::io::duplex(8);
    let mut server = StallLimit::new(server, Duration::from_millis(20));
    let error = server.write_all(&[0; 64]).await.expect_err("nobody reads");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_slow_reader_is_not_cut_off() {
    let (server, mut client) = tokio::io::duplex(8);
    let mut server = StallLimit::new(server, Duration::from_millis(500));
    let reading = tokio::spawn(async move {
        let mut bytes = vec![0; 8];
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            client
                .read_exact(&mut bytes)
                .await
                .expect("the server writes");
        }
    });
    server.write_all(&[0; 64]).await.expect("the client reads");
    reading.await.expect("the reader ends");
}
