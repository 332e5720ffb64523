//! What time it is for the lake. Everything here that has an age or a pause asks this clock, so that a test can let a
//! day go by between two steps.

use std::fmt;
use std::time::{Duration, Instant};

use crate::journal::{Clock, system_clock, system_monotonic_clock};

/// The wall clock, which log entries and retention go by, and one that nobody sets, for pauses and ages in memory.
#[derive(Clone)]
pub struct LakeClock {
    wall: Clock,
    monotonic: Clock,
    /// Where the monotonic clock stands at 0.
    origin: Instant,
}

impl LakeClock {
    /// Returns the clocks of the system.
    pub fn system() -> Self {
        Self::new(system_clock(), system_monotonic_clock())
    }

    /// Returns clocks that somebody else moves: `wall` in µs since 1970 UTC, `monotonic` in µs since any moment.
    pub fn new(wall: Clock, monotonic: Clock) -> Self {
        Self {
            wall,
            monotonic,
            origin: Instant::now(),
        }
    }

    /// The time, ms since 1970 UTC.
    pub(super) fn now_ms(&self) -> i64 {
        (self.wall)() / 1_000
    }

    /// A moment to measure ages from; only comparable with others of this clock.
    pub(super) fn instant(&self) -> Instant {
        self.origin + Duration::from_micros(u64::try_from((self.monotonic)()).unwrap_or(0))
    }
}

impl fmt::Debug for LakeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeClock").finish_non_exhaustive()
    }
}
