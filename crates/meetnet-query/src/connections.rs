//! Connections to a listener: bounded for each client, so that nobody takes them all; and what goes wrong when one is
//! accepted.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::warn;

use crate::client::Network;

/// How long to wait after `accept` failed for want of file handles: trying again at once would burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Returns what `accept` returned; None where it failed, after a pause where it would fail at once again.
pub async fn accepted<C>(attempt: io::Result<C>) -> Option<C> {
    match attempt {
        Ok(connection) => Some(connection),
        Err(error) if is_of_one_connection(&error) => None,
        Err(error) => {
            warn!(%error, "failed to accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Returns true for errors of `accept` that say something about one client only.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// Counts the connections of each client; cheap to clone.
#[derive(Clone, Debug)]
pub struct ConnectionCounts(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    per_client_max: usize,
    open: Mutex<HashMap<Network, usize>>,
}

/// One connection's place; free again when it is dropped.
#[derive(Debug)]
pub struct ConnectionSlot {
    counts: ConnectionCounts,
    network: Network,
}

impl ConnectionCounts {
    /// Lets every client have so many connections.
    pub fn new(per_client_max: usize) -> Self {
        Self(Arc::new(Counts {
            per_client_max,
            open: Mutex::default(),
        }))
    }

    /// Every change is whole before the lock is given back, so a panic elsewhere leaves the counts usable.
    fn open(&self) -> MutexGuard<'_, HashMap<Network, usize>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a connection from an address; None where its client has all that it may have.
    pub fn enter(&self, address: IpAddr) -> Option<ConnectionSlot> {
        let network = Network::of(address);
        let mut open = self.open();
        let count = open.entry(network).or_default();
        if *count >= self.0.per_client_max {
            if *count == 0 {
                open.remove(&network);
            }
            return None;
        }
        *count += 1;
        Some(ConnectionSlot {
            counts: self.clone(),
            network,
        })
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut open = self.counts.open();
        if let Some(count) = open.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectionCounts;

    #[test]
    fn a_client_has_no_more_connections_than_it_may() {
        let counts = ConnectionCounts::new(2);
        let enter = |address: &str| counts.enter(address.parse().expect("an address"));
        let first = enter("192.0.2.1").expect("the first");
        let second = enter("192.0.2.2").expect("the second");
        assert!(enter("192.0.2.3").is_none(), "one network");
        let other = enter("198.51.100.1").expect("another client");
        drop(first);
        let again = enter("192.0.2.3").expect("a place is free again");
        drop((second, other, again));
        assert!(counts.open().is_empty(), "nothing is kept of who has left");
        assert!(
            ConnectionCounts::new(0)
                .enter([127, 0, 0, 1].into())
                .is_none()
        );
    }
}
