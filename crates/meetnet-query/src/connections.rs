//! What goes wrong when a connection to a listener is accepted.

use std::io;
use std::time::Duration;

use tracing::warn;

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
