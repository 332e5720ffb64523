use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::{Duration, timeout};

use super::{JOINED_BYTES_MAX, JoiningSocket, WriteThrough};

/// Reads what has arrived, without waiting for more.
async fn arrived(peer: &mut (impl AsyncReadExt + Unpin)) -> usize {
    let mut buffer = vec![0; 64 * 1024];
    let read = timeout(Duration::from_millis(5), peer.read(&mut buffer)).await;
    read.map_or(0, |count| count.unwrap())
}

#[tokio::test]
async fn flushed_packets_leave_together_when_the_reader_turns_to_reading() {
    let (ours, mut peer) = duplex(64 * 1024);
    let mut socket = JoiningSocket::new(ours, WriteThrough::default());
    for _ in 0..10 {
        socket.write_all(b"\x40\x02\x00\x01").await.unwrap();
        socket.flush().await.unwrap();
    }
    assert_eq!(arrived(&mut peer).await, 0);
    let mut byte = [0];
    // Nothing to read: the wait itself sends.
    assert!(
        timeout(Duration::from_millis(5), socket.read(&mut byte))
            .await
            .is_err()
    );
    assert_eq!(arrived(&mut peer).await, 40);
}

#[tokio::test]
async fn a_large_burst_is_not_put_off() {
    let (ours, mut peer) = duplex(64 * 1024);
    let mut socket = JoiningSocket::new(ours, WriteThrough::default());
    socket.write_all(&vec![7; JOINED_BYTES_MAX]).await.unwrap();
    socket.flush().await.unwrap();
    assert_eq!(arrived(&mut peer).await, JOINED_BYTES_MAX);
}

#[tokio::test]
async fn the_last_packets_of_a_connection_leave_at_once() {
    let (ours, mut peer) = duplex(1024);
    let through = WriteThrough::default();
    let mut socket = JoiningSocket::new(ours, through.clone());
    socket.write_all(b"ack").await.unwrap();
    socket.flush().await.unwrap();
    through.set();
    socket.write_all(b"disconnect").await.unwrap();
    socket.flush().await.unwrap();
    assert_eq!(arrived(&mut peer).await, 13);
}
