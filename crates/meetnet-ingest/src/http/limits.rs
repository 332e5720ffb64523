//! The limits of the push listener, and the rate limit of one source.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::dup_window::lock;

#[cfg(test)]
mod tests;

/// The limits of the push listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushLimits {
    /// Largest body as sent.
    pub body_bytes_max: usize,
    /// Largest body after inflating: a few kilobytes can inflate to gigabytes.
    pub inflated_bytes_max: usize,
    /// Most body bytes in memory, over all requests.
    pub bodies_bytes_max: usize,
    /// Most requests at a time; more get 429.
    pub requests_max: usize,
    /// Most of them of one client whose bodies are still on their way; more get 429.
    pub requests_per_client_max: usize,
    /// Longest time for a body to arrive; then 408.
    pub body_wait: Duration,
    /// Least rate at which a body must arrive, behind its first seconds; then 408 as well.
    pub body_bytes_per_second_min: usize,
    /// Longest wait for the sync; then 503, nothing acknowledged.
    pub sync_wait: Duration,
    /// Longest wait for the decode; then 204 with `Meetnet-Pending: true`.
    pub outcome_wait: Duration,
}

impl Default for PushLimits {
    fn default() -> Self {
        Self {
            body_bytes_max: 8 * 1024 * 1024,
            inflated_bytes_max: 8 * 1024 * 1024,
            bodies_bytes_max: 64 * 1024 * 1024,
            requests_max: 256,
            requests_per_client_max: 64,
            body_wait: Duration::from_secs(30),
            body_bytes_per_second_min: 1024,
            sync_wait: Duration::from_secs(30),
            outcome_wait: Duration::from_secs(10),
        }
    }
}

/// A token bucket: `per_second` requests on average, bursts of one second's worth.
#[derive(Debug)]
pub(crate) struct RateLimit {
    per_second: f64,
    state: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl RateLimit {
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self {
            per_second,
            state: Mutex::new(Bucket {
                tokens: per_second,
                at: now,
            }),
        }
    }

    /// Takes one token, or returns how long until there is one.
    pub(crate) fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut bucket = lock(&self.state);
        let earned = now.saturating_duration_since(bucket.at).as_secs_f64() * self.per_second;
        bucket.tokens = (bucket.tokens + earned).min(self.per_second);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64(
            (1.0 - bucket.tokens) / self.per_second,
        ))
    }
}
