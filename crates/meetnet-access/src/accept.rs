//! What goes wrong when a connection is accepted.

use std::io;
use std::time::Duration;

/// How long to wait after `accept` failed for want of file handles: trying again at once would burn a core.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Returns true for errors of `accept` that say something about one client only.
pub fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}
