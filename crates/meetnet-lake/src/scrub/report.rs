//! What the scrub tells whoever asks what it has done.

use std::sync::{Arc, Mutex, PoisonError};

/// What the scrub has done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// Whether there are rounds.
    pub has_rounds: bool,
    /// Files compared, each time counted.
    pub files: u64,
    /// Bytes read for it.
    pub bytes: u64,
    /// Attempts that the storage did not give the bytes for.
    pub unread: u64,
    /// Live files that are known to be damaged.
    pub damaged: u64,
    /// When the last whole round ended, ms since 1970; None before that.
    pub round_ended_at_ms: Option<i64>,
}

/// Reads what the scrub has done; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ScrubWatch(Arc<Mutex<ScrubReport>>);

impl ScrubWatch {
    /// Returns the report of now.
    pub fn read(&self) -> ScrubReport {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut ScrubReport)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
