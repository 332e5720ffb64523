//! Connection epochs: which connection a frame came in on, and whether that connection began a new broker session.
//!
//! A packet id means something only within its connection (for acknowledging) and within its session (for the DUP
//! window). The number is journalled with each frame: `counter << 1 | new session`.

use std::time::{SystemTime, UNIX_EPOCH};

/// One connection of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Epoch(u32);

impl Epoch {
    /// Returns an epoch before the first connection of this process. The counter starts at the clock's seconds, so
    /// that epochs of two runs of the daemon differ; it need not be exact.
    pub(crate) fn start() -> Self {
        let seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Self((seconds as u32) << 1)
    }

    /// Reads the number of a frame.
    pub(crate) fn from_frame(number: u32) -> Self {
        Self(number)
    }

    /// Returns the number as it is journalled.
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    /// Returns the epoch of the next connection.
    pub(crate) fn next(self, session_present: bool) -> Self {
        Self((self.0 & !1).wrapping_add(2) | u32::from(!session_present))
    }

    /// Whether the broker had no session when this connection began.
    pub(crate) fn is_new_session(self) -> bool {
        self.0 & 1 == 1
    }
}
