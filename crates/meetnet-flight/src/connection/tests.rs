use std::time::Duration;

use meetnet_model::network::ClientCounts;
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::*;

const LOGIN_TIME: Duration = Duration::from_millis(50);

/// Returns a connection whose client says nothing, and what must live as long.
async fn connection(peer: &Peer) -> (Connection, impl Sized) {
    let (near, far) = tokio::io::duplex(64);
    let (sender, cut) = watch::channel(());
    let permit = Arc::new(Semaphore::new(1)).acquire_owned().await;
    let slot = ClientCounts::new(1).enter(peer.address);
    let place = Place::new(permit.expect("a place"), slot.expect("a place"));
    let end = Instant::now() + LOGIN_TIME;
    let connection = Connection::new(Box::new(near), peer.clone(), place, cut, end);
    (connection, (far, sender))
}

#[tokio::test]
async fn a_connection_without_a_call_ends_and_one_with_a_call_stays() {
    let peer = Peer::new(IpAddr::from([192, 0, 2, 1]));
    let (mut silent, _kept) = connection(&peer).await;
    let read = timeout(Duration::from_secs(20), silent.read_u8()).await;
    let error = read.expect("an end").expect_err("nothing was said");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);

    let peer = Peer::new(IpAddr::from([192, 0, 2, 1]));
    let (mut calling, _kept) = connection(&peer).await;
    peer.let_in();
    let read = timeout(4 * LOGIN_TIME, calling.read_u8()).await;
    assert!(read.is_err(), "it waits for more: {read:?}");
}
