//! What each source is doing: counters and connection state for pages, `/metrics` and `/readyz`.
//!
//! `mqtt, http, poll -> [status] -> admin pages, metrics, readyz`
//!
//! Updating costs a few relaxed atomics per message; texts change only when a connection does. Every counter is
//! published twice, here and through the `metrics` facade, so that pages need no metrics server. It decides nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use meetnet_model::ids::SourceId;
use meetnet_model::redact::redact_text;
use meetnet_model::source::SourceKind;
use metrics::{Counter, Gauge};
use serde::Serialize;

use self::unclaimed::Unclaimed;
use crate::dup_window::lock;

mod unclaimed;

#[cfg(test)]
mod tests;

pub use self::unclaimed::UnclaimedPushes;

/// A counter that is readable here and exported as a metric.
#[derive(Debug)]
pub(crate) struct Tally {
    value: AtomicU64,
    metric: Counter,
}

impl Tally {
    fn new(name: &'static str, source: &SourceId) -> Self {
        let metric = metrics::counter!(name, "source" => source.as_str().to_owned());
        Self {
            value: AtomicU64::new(0),
            metric,
        }
    }

    pub(crate) fn add(&self, count: u64) {
        self.value.fetch_add(count, Relaxed);
        self.metric.increment(count);
    }

    pub(crate) fn get(&self) -> u64 {
        self.value.load(Relaxed)
    }
}

/// The live state of one source, written by its task.
#[derive(Debug)]
pub(crate) struct SourceState {
    source: SourceId,
    kind: SourceKind,
    connected: AtomicBool,
    connected_once: AtomicBool,
    /// There from the first moment at which it says something: of a polled API, behind its first question.
    connected_metric: OnceLock<Gauge>,
    subscribed: AtomicBool,
    session_present: AtomicBool,
    last_message_at: AtomicI64,
    registered_at: i64,
    /// µs; 0: silence is nothing unusual.
    silent_after: AtomicI64,
    unacked: AtomicU64,
    unacked_metric: Gauge,
    texts: Mutex<Texts>,
    failing: Mutex<Failing>,
    failing_metric: Gauge,
    pub(crate) messages: Tally,
    pub(crate) bytes: Tally,
    pub(crate) acked: Tally,
    pub(crate) duplicates_dropped: Tally,
    pub(crate) redelivered: Tally,
    pub(crate) retained_ignored: Tally,
    pub(crate) oversized: Tally,
    pub(crate) lost: Tally,
    pub(crate) broker_dropped: Tally,
    pub(crate) refused: Tally,
    pub(crate) reconnects: Tally,
    pub(crate) polls: Tally,
    pub(crate) poll_failures: Tally,
}

#[derive(Debug, Default)]
struct Texts {
    protocol: Option<&'static str>,
    last_error: Option<ErrorNote>,
    since: i64,
}

/// Targets that are shown one by one.
const FAILING_LISTED_MAX: usize = 20;

#[derive(Debug, Default)]
struct Failing {
    total: u64,
    /// The first few.
    listed: Vec<FailingTarget>,
}

/// A target of a polled source that does not answer: a road segment, a time series.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailingTarget {
    /// Its name within the source.
    pub target: String,
    /// Whether it is its past that is asked for, by a backfill; else what is new, or its gaps.
    pub of_past: bool,
    /// The spans that keep failing while newer periods are answered, so that live polling has passed them over; None where it
    /// is not these that fail.
    pub gaps: Option<String>,
    /// Since when, µs since 1970.
    pub since: i64,
    /// Failures in a row.
    pub failures: u64,
    /// When it is asked again at the earliest, µs since 1970.
    pub again_at: i64,
    /// What went wrong last, without credentials.
    pub message: String,
}

/// The last thing that went wrong at a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorNote {
    /// When, µs since 1970.
    pub at: i64,
    /// What was wrong and what to do, without credentials.
    pub message: String,
}

/// The state of one source at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceStatus {
    /// Its id.
    pub source: SourceId,
    /// How messages arrive.
    pub kind: SourceKind,
    /// Whether the broker has accepted the connection; a push endpoint is connected while it listens, a polled API while
    /// it answers, files that are imported never.
    pub connected: bool,
    /// Whether every filter was granted at least once since start-up; the first moment a source is ready.
    pub subscribed: bool,
    /// Protocol of the connection: `mqtt-5`, `mqtt-3.1.1`, `http` or `https`; none before the first.
    pub protocol: Option<&'static str>,
    /// Whether the broker resumed an earlier session at the last connection.
    pub session_present: bool,
    /// When `connected` last changed, µs since 1970.
    pub since: i64,
    /// When the last message came, µs since 1970.
    pub last_message_at: Option<i64>,
    /// How long it may say nothing, µs; None: as long as it likes.
    pub silent_after: Option<i64>,
    /// Whether it has said nothing for longer, since the start where it never has.
    pub silent: bool,
    /// Messages received, redelivered ones included.
    pub messages_total: u64,
    /// Payload bytes received.
    pub bytes_total: u64,
    /// Messages acknowledged to the sender.
    pub acked_total: u64,
    /// Messages received on this connection and not yet acknowledged.
    pub unacked: u64,
    /// Redelivered publishes that the DUP window recognised.
    pub duplicates_dropped_total: u64,
    /// Redelivered publishes that were new to the journal.
    pub redelivered_total: u64,
    /// Retained messages ignored.
    pub retained_ignored_total: u64,
    /// Envelopes above the limit, of which the head was kept.
    pub oversized_total: u64,
    /// Messages known to be lost: QoS 0 while the journal was full.
    pub lost_total: u64,
    /// Messages that the broker reports as dropped, for all its clients together.
    pub broker_dropped_total: u64,
    /// Requests refused before the journal (credentials, size, rate).
    pub refused_total: u64,
    /// Connections after the first.
    pub reconnects_total: u64,
    /// Questions to a polled API.
    pub polls_total: u64,
    /// Questions to a polled API that were not answered with data.
    pub poll_failures_total: u64,
    /// Targets of a polled API that fail: those that answer are asked all the same.
    pub targets_failing: u64,
    /// The first few of them.
    pub failing: Vec<FailingTarget>,
    /// The last thing that went wrong.
    pub last_error: Option<ErrorNote>,
}

impl SourceState {
    fn new(source: &SourceId, kind: SourceKind) -> Self {
        let gauge =
            |name: &'static str| metrics::gauge!(name, "source" => source.as_str().to_owned());
        let tally = |name| Tally::new(name, source);
        Self {
            kind,
            connected: AtomicBool::new(false),
            connected_once: AtomicBool::new(false),
            connected_metric: match kind {
                // Nothing is to be connected, so that nobody may be alarmed.
                SourceKind::Files => OnceLock::from(Gauge::noop()),
                SourceKind::Mqtt | SourceKind::Http => {
                    OnceLock::from(gauge("meetnet_source_connected"))
                }
                // Nobody knows before it is asked, which may be an hour away.
                SourceKind::Poll => OnceLock::new(),
            },
            source: source.clone(),
            subscribed: AtomicBool::new(kind == SourceKind::Files),
            session_present: AtomicBool::new(false),
            last_message_at: AtomicI64::new(0),
            registered_at: now_us(),
            silent_after: AtomicI64::new(0),
            unacked: AtomicU64::new(0),
            unacked_metric: gauge("meetnet_source_unacked"),
            texts: Mutex::new(Texts {
                since: now_us(),
                ..Texts::default()
            }),
            failing: Mutex::default(),
            failing_metric: match kind {
                SourceKind::Poll => gauge("meetnet_source_targets_failing"),
                SourceKind::Mqtt | SourceKind::Http | SourceKind::Files => Gauge::noop(),
            },
            messages: tally("meetnet_source_messages_total"),
            bytes: tally("meetnet_source_bytes_total"),
            acked: tally("meetnet_source_acked_total"),
            duplicates_dropped: tally("meetnet_source_duplicates_dropped_total"),
            redelivered: tally("meetnet_source_redelivered_total"),
            retained_ignored: tally("meetnet_source_retained_ignored_total"),
            oversized: tally("meetnet_source_oversized_total"),
            lost: tally("meetnet_source_lost_total"),
            broker_dropped: tally("meetnet_source_broker_dropped_total"),
            refused: tally("meetnet_source_refused_total"),
            reconnects: tally("meetnet_source_reconnects_total"),
            polls: tally("meetnet_source_polls_total"),
            poll_failures: tally("meetnet_source_poll_failures_total"),
        }
    }

    /// Counts one message and its payload bytes; `at` is in µs since 1970.
    pub(crate) fn message(&self, bytes: usize, at: i64) {
        self.messages.add(1);
        self.bytes.add(bytes as u64);
        self.last_message_at.store(at, Relaxed);
    }

    pub(crate) fn set_unacked(&self, count: usize) {
        self.unacked.store(count as u64, Relaxed);
        self.unacked_metric.set(count as f64);
    }

    pub(crate) fn set_connected(&self, protocol: &'static str, session_present: bool) {
        if self.connected_once.swap(true, Relaxed) {
            self.reconnects.add(1);
        }
        self.session_present.store(session_present, Relaxed);
        lock(&self.texts).protocol = Some(protocol);
        self.turn(true);
    }

    /// Notes that a polled API has answered.
    pub(crate) fn reached(&self, protocol: &'static str) {
        if !self.connected.load(Relaxed) {
            self.set_connected(protocol, false);
        }
    }

    /// Notes that a polled API was asked, and that nothing says whether it answers: it did before, or does not.
    pub(crate) fn not_reached(&self) {
        if !self.connected.load(Relaxed) {
            self.set_disconnected();
        }
    }

    pub(crate) fn set_disconnected(&self) {
        self.set_unacked(0);
        self.turn(false);
    }

    pub(crate) fn set_subscribed(&self) {
        self.subscribed.store(true, Relaxed);
    }

    /// Notes which targets of a polled API fail, by name; what is said of one target comes one after the other, and is asked
    /// for only where it is shown: thousands may fail, and each question comes by here.
    pub(crate) fn set_failing<'t, F>(&self, targets: impl Iterator<Item = (&'t str, F)>)
    where
        F: FnOnce() -> FailingTarget,
    {
        let mut failing = Failing::default();
        let mut last = None;
        for (name, target) in targets {
            if last != Some(name) {
                failing.total += 1;
                last = Some(name);
            }
            if failing.listed.len() < FAILING_LISTED_MAX {
                let mut target = target();
                target.message = redact_text(&target.message).into_owned();
                failing.listed.push(target);
            }
        }
        self.failing_metric.set(failing.total as f64);
        *lock(&self.failing) = failing;
    }

    pub(crate) fn note_error(&self, message: impl Into<String>) {
        // Pages and `/readyz` show it, and the error of a library may repeat a topic or an address with a password.
        let message = redact_text(&message.into()).into_owned();
        lock(&self.texts).last_error = Some(ErrorNote {
            at: now_us(),
            message,
        });
    }

    fn turn(&self, connected: bool) {
        let metric = self.connected_metric.get_or_init(
            || metrics::gauge!("meetnet_source_connected", "source" => self.source.as_str().to_owned()),
        );
        metric.set(if connected { 1.0 } else { 0.0 });
        if self.connected.swap(connected, Relaxed) != connected {
            lock(&self.texts).since = now_us();
        }
    }

    fn read(&self, source: &SourceId, now: i64) -> SourceStatus {
        let texts = lock(&self.texts);
        let failing = lock(&self.failing);
        let last_message_at = self.last_message_at.load(Relaxed);
        let silent_after = Some(self.silent_after.load(Relaxed)).filter(|after| *after > 0);
        let silence = now.saturating_sub(last_message_at.max(self.registered_at));
        SourceStatus {
            source: source.clone(),
            kind: self.kind,
            connected: self.connected.load(Relaxed),
            subscribed: self.subscribed.load(Relaxed),
            protocol: texts.protocol,
            session_present: self.session_present.load(Relaxed),
            since: texts.since,
            last_message_at: (last_message_at != 0).then_some(last_message_at),
            silent_after,
            silent: silent_after.is_some_and(|after| silence > after),
            messages_total: self.messages.get(),
            bytes_total: self.bytes.get(),
            acked_total: self.acked.get(),
            unacked: self.unacked.load(Relaxed),
            duplicates_dropped_total: self.duplicates_dropped.get(),
            redelivered_total: self.redelivered.get(),
            retained_ignored_total: self.retained_ignored.get(),
            oversized_total: self.oversized.get(),
            lost_total: self.lost.get(),
            broker_dropped_total: self.broker_dropped.get(),
            refused_total: self.refused.get(),
            reconnects_total: self.reconnects.get(),
            polls_total: self.polls.get(),
            poll_failures_total: self.poll_failures.get(),
            targets_failing: failing.total,
            failing: failing.listed.clone(),
            last_error: texts.last_error.clone(),
        }
    }
}

/// The states of all sources, shared by their tasks and whoever shows them.
#[derive(Clone, Debug, Default)]
pub struct Statuses {
    sources: Arc<Mutex<BTreeMap<SourceId, Arc<SourceState>>>>,
    unclaimed: Unclaimed,
}

impl Statuses {
    /// Returns every source's state, in order of id.
    pub fn read(&self) -> Vec<SourceStatus> {
        self.read_at(now_us())
    }

    /// Returns every source's state as it is judged at `now`, µs since 1970.
    fn read_at(&self, now: i64) -> Vec<SourceStatus> {
        lock(&self.sources)
            .iter()
            .map(|(source, state)| state.read(source, now))
            .collect()
    }

    /// Says how long a source may say nothing before it counts as silent; None: as long as it likes.
    pub fn expect(&self, source: &SourceId, kind: SourceKind, silent_after: Option<Duration>) {
        let micros = silent_after.map_or(0, |after| {
            i64::try_from(after.as_micros()).unwrap_or(i64::MAX)
        });
        let state = self.register(source, kind);
        state.silent_after.store(micros, Relaxed);
    }

    /// Takes a source out that there is no more, or that becomes one of another kind.
    pub fn forget(&self, source: &SourceId) {
        if let Some(state) = lock(&self.sources).remove(source) {
            // Its metric stays, as long as the process.
            if state.connected_metric.get().is_some() {
                state.set_disconnected();
            }
            state.set_failing(std::iter::empty::<(&str, fn() -> FailingTarget)>());
        }
    }

    /// Returns one source's state.
    pub fn read_one(&self, source: &SourceId) -> Option<SourceStatus> {
        lock(&self.sources)
            .get(source)
            .map(|state| state.read(source, now_us()))
    }

    /// Returns the pushes that no source claims, by path: those of the last push first, and at the end, without a path,
    /// those of further ones together.
    pub fn unclaimed(&self) -> Vec<UnclaimedPushes> {
        self.unclaimed.read()
    }

    /// Counts a push that no source claims, and why it did not.
    pub(crate) fn note_unclaimed(&self, path: &str, reason: String) {
        self.unclaimed.note(path, reason, now_us());
    }

    /// Returns the state of a source, registered on first use. Metrics are bound to the recorder installed by then.
    pub(crate) fn register(&self, source: &SourceId, kind: SourceKind) -> Arc<SourceState> {
        let mut sources = lock(&self.sources);
        let state = sources
            .entry(source.clone())
            .or_insert_with(|| Arc::new(SourceState::new(source, kind)));
        Arc::clone(state)
    }
}

/// Returns the clock in µs since 1970.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}
