//! The schedule of a run: message `n` is due `n / rate` seconds after its begin, whether earlier ones were acknowledged
//! or not.
//!
//! A server that is slow makes messages late, and their latency counts from when they were due, not from when there was
//! room to send them: waiting is never hidden. How far the schedule fell behind is reported, too. Memory is bounded by
//! the messages that may be on their way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meetnet_demo::load::expect::{Deliveries, Effects, Tally};
use meetnet_demo::load::lane::Lane;
use meetnet_demo::load::{Load, Unit};
use meetnet_model::time::format_rfc3339;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::send::{Delivery, Senders};
use crate::daemon::StopSignal;

/// What the clocks of sender and server may differ by, where receive times tell the rows of a run.
const CLOCK_ALLOWANCE_US: i64 = 1_000_000;
/// Different things that were said of messages that are not acknowledged, as far as they are told.
const COMPLAINTS_MAX: usize = 5;

/// When messages are due of a rate so low that it cannot be told: no run waits for it.
const DUE_AFTER_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// How fast to send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Messages per second; none: as fast as they are acknowledged.
    pub(super) per_second: Option<f64>,
    /// Most messages on their way or waiting for a place.
    pub(super) outstanding_max: usize,
}

/// What became of a run.
pub(super) struct Outcome {
    pub(super) tally: Tally,
    pub(super) latencies: Latencies,
    /// From the first message to the last acknowledgement.
    pub(super) elapsed: Duration,
    /// Messages begun, second copies not counted.
    pub(super) messages: u64,
    /// How late the latest message was begun.
    pub(super) behind_max: Duration,
    /// When it sent, RFC 3339, with [`CLOCK_ALLOWANCE_US`] on both sides.
    pub(super) sent: [String; 2],
    /// What was said of messages that are not acknowledged, and how often.
    pub(super) complaints: BTreeMap<String, u64>,
    /// Why not all was sent.
    pub(super) stopped: Option<String>,
}

/// What became of one message.
struct Settled {
    lane: usize,
    effects: Effects,
    deliveries: Deliveries,
    complaints: Vec<String>,
    denied: Option<String>,
    /// From when it was due to its first acknowledgement.
    latency: Option<Duration>,
}

/// Sends the messages of a plan; returns when all are settled, or when the run was stopped and those begun are.
pub(super) async fn drive(
    load: &Load,
    senders: &Arc<Senders>,
    pace: Pace,
    signal: &StopSignal,
) -> Outcome {
    let mut outcome = Outcome {
        tally: Tally::new(load),
        latencies: Latencies::default(),
        elapsed: Duration::ZERO,
        messages: 0,
        behind_max: Duration::ZERO,
        sent: [String::new(), String::new()],
        complaints: BTreeMap::new(),
        stopped: None,
    };
    let began_us = jiff::Timestamp::now().as_microsecond();
    let began = Instant::now();
    let mut tasks: JoinSet<Settled> = JoinSet::new();
    for number in 0..load.plan().messages {
        let due = pace.due(began, number);
        loop {
            let has_room = tasks.len() < pace.outstanding_max;
            if signal.is_stopped() {
                outcome.stopped = Some("it was interrupted".to_owned());
            } else if let Some(failure) = senders.failure() {
                outcome.stopped = Some(failure);
            }
            let is_due = due.is_none_or(|due| Instant::now() >= due);
            if outcome.stopped.is_some() || (has_room && is_due) {
                break;
            }
            tokio::select! {
                Some(settled) = tasks.join_next(), if !tasks.is_empty() => outcome.settle(settled),
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if has_room => {}
                () = signal.stopped() => {}
            }
        }
        if outcome.stopped.is_some() {
            break;
        }
        while let Some(settled) = tasks.try_join_next() {
            outcome.settle(settled);
        }
        // Without a rate a message is due when there is room for it.
        let due = due.unwrap_or_else(Instant::now);
        let behind = Instant::now().saturating_duration_since(due);
        outcome.behind_max = outcome.behind_max.max(behind);
        outcome.messages += 1;
        let unit = load.unit(number);
        let lane = load.lanes()[unit.lane];
        tasks.spawn(deliver(Arc::clone(senders), lane, unit, due));
    }
    while let Some(settled) = tasks.join_next().await {
        outcome.settle(settled);
    }
    outcome.elapsed = began.elapsed();
    let ended_us = jiff::Timestamp::now().as_microsecond();
    outcome.sent = [
        format_rfc3339(began_us - CLOCK_ALLOWANCE_US),
        format_rfc3339(ended_us + CLOCK_ALLOWANCE_US),
    ];
    outcome
}

impl Pace {
    /// Returns when message `number` is due; none where there is no rate.
    fn due(self, began: Instant, number: u64) -> Option<Instant> {
        let rate = self.per_second?;
        let after = Duration::try_from_secs_f64(number as f64 / rate).ok();
        // Seconds that no clock can count are as far away as it gets.
        let due = after.and_then(|after| began.checked_add(after));
        Some(due.unwrap_or(began + DUE_AFTER_MAX))
    }
}

/// Sends every copy of a message.
async fn deliver(senders: Arc<Senders>, lane: Lane, unit: Unit, due: Instant) -> Settled {
    let mut settled = Settled {
        lane: unit.lane,
        effects: unit.effects,
        deliveries: Deliveries::default(),
        complaints: Vec::new(),
        denied: None,
        latency: None,
    };
    for _ in 0..unit.copies {
        let deliveries = &mut settled.deliveries;
        match senders.send(lane, &unit.outgoing).await {
            Delivery::Acknowledged => {
                deliveries.acknowledged += 1;
                settled.latency.get_or_insert_with(|| due.elapsed());
            }
            Delivery::InDoubt(why) => {
                deliveries.in_doubt += 1;
                settled.complaints.push(why);
            }
            Delivery::Refused(why) => {
                deliveries.refused += 1;
                settled.complaints.push(why);
            }
            Delivery::Denied(why) => {
                deliveries.refused += 1;
                settled.denied = Some(why);
            }
        }
    }
    settled
}

impl Outcome {
    fn settle(&mut self, settled: Result<Settled, JoinError>) {
        let settled = match settled {
            Ok(settled) => settled,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Tasks are not cancelled before they are joined.
            Err(_) => return,
        };
        self.tally
            .settle(settled.lane, &settled.effects, settled.deliveries);
        if let Some(latency) = settled.latency {
            self.latencies.add(latency);
        }
        for complaint in settled.complaints {
            let is_known = self.complaints.contains_key(&complaint);
            if is_known || self.complaints.len() < COMPLAINTS_MAX {
                *self.complaints.entry(complaint).or_default() += 1;
            }
        }
        if let Some(why) = settled.denied {
            self.stopped.get_or_insert(why);
        }
    }
}

/// Latencies in buckets, each at most a sixteenth wider than what is in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies {
    /// By [`bucket`].
    counts: BTreeMap<u32, u64>,
    total: u64,
}

impl Latencies {
    fn add(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        *self.counts.entry(bucket(micros)).or_default() += 1;
        self.total += 1;
    }

    /// Returns what `share` (`0..=1`) of the latencies stay within; none where there is none.
    pub(super) fn within(&self, share: f64) -> Option<Duration> {
        let wanted = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut below = 0;
        let mut buckets = self.counts.iter();
        let (bucket, _) = buckets.find(|(_, count)| {
            below += **count;
            below >= wanted
        })?;
        Some(Duration::from_micros(end_of(*bucket)))
    }
}

/// Bits of a number of µs that a bucket keeps behind the first.
const KEPT_BITS: u32 = 4;

/// Returns the bucket of a number of µs: its magnitude, and the bits behind the first.
fn bucket(micros: u64) -> u32 {
    match micros.checked_ilog2() {
        Some(magnitude) if magnitude >= KEPT_BITS => {
            let shift = magnitude - KEPT_BITS;
            let kept = (micros >> shift) as u32 & ((1 << KEPT_BITS) - 1);
            ((shift + 1) << KEPT_BITS) + kept
        }
        // Below 16 each number is a bucket.
        _ => micros as u32,
    }
}

/// Returns the largest number of µs in a bucket.
fn end_of(bucket: u32) -> u64 {
    let (row, kept) = (bucket >> KEPT_BITS, bucket & ((1 << KEPT_BITS) - 1));
    match row.checked_sub(1) {
        None => kept.into(),
        Some(shift) => {
            let first = ((1u64 << KEPT_BITS) + u64::from(kept)) << shift;
            first + ((1 << shift) - 1)
        }
    }
}

#[cfg(test)]
mod tests;
