//! Pauses between connection attempts: doubling, capped, with jitter so that sources do not return in step.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The first pause.
const FIRST: Duration = Duration::from_millis(250);
/// A connection that lasted this long was a good one: the next pause is short again.
pub(crate) const GOOD_AFTER: Duration = Duration::from_secs(5);

/// The state of one source's pauses.
#[derive(Debug)]
pub(crate) struct Backoff {
    jitter: StdRng,
    next: Duration,
    max: Duration,
}

impl Backoff {
    pub(crate) fn new(max: Duration) -> Self {
        Self {
            jitter: StdRng::from_os_rng(),
            next: FIRST.min(max),
            max,
        }
    }

    /// Returns the pause before the next attempt: between half of and all of the current step.
    pub(crate) fn pause(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.max);
        step.mul_f64(self.jitter.random_range(0.5..=1.0))
    }

    pub(crate) fn reset(&mut self) {
        self.next = FIRST.min(self.max);
    }
}

#[cfg(test)]
mod tests;
