//! What a broker does that costs messages or throughput, noticed by what it sends; `docs/mosquitto.md` says what to set.

#[cfg(test)]
mod tests;

/// Mosquitto's default for `max_inflight_messages`.
const INFLIGHT_DEFAULT: usize = 20;
/// Acknowledgement rounds that found exactly that many, before it is said.
const ROUNDS_MIN: u32 = 200;

/// Watches the broker's own count of dropped publishes.
#[derive(Debug, Default)]
pub(super) struct BrokerDrops {
    last: Option<u64>,
}

impl BrokerDrops {
    /// Reads the count that the broker tells; returns how many messages it has dropped since it told the one before.
    pub(super) fn read(&mut self, payload: &[u8]) -> u64 {
        let text = std::str::from_utf8(payload).unwrap_or("");
        let Ok(count) = text.trim().parse::<u64>() else {
            return 0;
        };
        // A broker that was restarted counts from zero.
        let dropped = self.last.map_or(0, |last| count.saturating_sub(last));
        self.last = Some(count);
        dropped
    }
}

/// Notices a broker that never lets more than Mosquitto's default be in flight.
#[derive(Debug)]
pub(super) struct InflightHint {
    most: usize,
    rounds: u32,
    is_over: bool,
}

impl InflightHint {
    /// `inflight_max` is what we allow the broker: where that is no more, there is nothing to notice.
    pub(super) fn new(inflight_max: u16) -> Self {
        Self {
            most: 0,
            rounds: 0,
            is_over: usize::from(inflight_max) <= INFLIGHT_DEFAULT,
        }
    }

    /// Takes how many messages wait for their acknowledgement; returns true once, when it is time to say so.
    pub(super) fn see(&mut self, unacked: usize) -> bool {
        self.most = self.most.max(unacked);
        if self.is_over || unacked != INFLIGHT_DEFAULT || self.most > INFLIGHT_DEFAULT {
            return false;
        }
        self.rounds += 1;
        self.is_over = self.rounds >= ROUNDS_MIN;
        self.is_over
    }
}
