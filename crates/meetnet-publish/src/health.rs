//! `/healthz` and `/readyz`: whether the process lives, and whether its answers are complete. Both listeners have them: a
//! process that only writes has no public one.
//!
//! The binary hands a [`Readiness`] to the parts that start up; each reports its own step. Readiness is reached once and
//! kept: a broker that goes away later is detail in the body, since the data is still answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use meetnet_model::ids::SourceId;
use serde::Serialize;

use crate::admin::AdminState;
use crate::state::PublishState;

#[cfg(test)]
mod tests;

/// How long to wait for the first SUBACK of each broker source, once they have been started, before going without it.
pub const SUBSCRIBE_WAIT: Duration = Duration::from_secs(10);

/// The steps to readiness; a cheap handle that every part of the start-up shares.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    subscribe_wait: Duration,
    steps: Mutex<Steps>,
}

#[derive(Debug)]
struct Steps {
    /// When messages began to be taken; None before.
    taking_since: Option<Instant>,
    replaying: Option<ReplayReport>,
    history_loaded: bool,
    journal_disk_full: bool,
    disks_low: Vec<&'static str>,
    lake_reachable: Option<bool>,
    silent: Vec<SourceId>,
    failing: BTreeMap<SourceId, u64>,
    config_error: Option<String>,
    no_sources: bool,
    sources: BTreeMap<SourceId, BrokerStep>,
    /// Ready once: a source that is added later is waited for by nobody.
    was_ready: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct BrokerStep {
    subscribed_once: bool,
    connected: bool,
}

/// The body of `/readyz`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReadinessReport {
    /// Whether answers are complete.
    pub ready: bool,
    /// Whether every journalled message is in the answers, and messages are taken. Before, what is committed is answered,
    /// and what has been replayed of the rest.
    pub journal_replayed: bool,
    /// How far the replay has come; none before its length is known, and once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaying: Option<ReplayReport>,
    /// Whether the history to load at the start is loaded.
    pub history_loaded: bool,
    /// Whether messages are refused because the journal's disk is full. Detail: what is stored is answered.
    pub journal_disk_full: bool,
    /// Folders (`journal`, `lake`) on disks with little space left. Detail: nothing is refused for that.
    pub disks_low: Vec<&'static str>,
    /// Of a process that follows the tables of another: whether the last look at them succeeded. Where it did not,
    /// answers are from the last one that did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lake_reachable: Option<bool>,
    /// Sources that have said nothing for longer than they may. Detail: what is stored is answered.
    pub silent_sources: Vec<SourceId>,
    /// How many targets of polled sources do not answer, by source: road segments, time series. Detail: the others are
    /// asked all the same, and what is stored is answered.
    pub failing_targets: BTreeMap<SourceId, u64>,
    /// Whether the configuration on disk is refused and an earlier one is in force. Detail: that one works. What is wrong
    /// with it is not for the public: see the log and the operations page.
    pub config_refused: bool,
    /// Whether a process that takes messages in has no source, so that nothing comes. Detail: what is stored is answered,
    /// and a source can be added while it runs.
    pub no_sources: bool,
    /// Broker sources by id.
    pub sources: BTreeMap<SourceId, BrokerReport>,
}

/// A replay of the journal in [`ReadinessReport`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ReplayReport {
    /// Frames of the journal that have been applied.
    pub frames: u64,
    /// Frames that there are to apply.
    pub frames_total: u64,
}

/// One broker source in [`ReadinessReport`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BrokerReport {
    /// Whether its first subscription was granted.
    pub subscribed: bool,
    /// Whether it is connected now.
    pub connected: bool,
}

impl Readiness {
    /// Nothing is done yet. `brokers` are the sources whose first subscription is waited for, at most [`SUBSCRIBE_WAIT`].
    pub fn new(brokers: impl IntoIterator<Item = SourceId>) -> Self {
        Self::with_subscribe_wait(brokers, SUBSCRIBE_WAIT)
    }

    /// As [`Readiness::new`], with another longest wait for subscriptions.
    pub fn with_subscribe_wait(
        brokers: impl IntoIterator<Item = SourceId>,
        subscribe_wait: Duration,
    ) -> Self {
        let sources = brokers
            .into_iter()
            .map(|id| (id, BrokerStep::default()))
            .collect();
        Self(Arc::new(Inner {
            subscribe_wait,
            steps: Mutex::new(Steps {
                taking_since: None,
                replaying: None,
                history_loaded: false,
                journal_disk_full: false,
                disks_low: Vec::new(),
                lake_reachable: None,
                silent: Vec::new(),
                failing: BTreeMap::new(),
                config_error: None,
                no_sources: false,
                sources,
                was_ready: false,
            }),
        }))
    }

    /// Reports how far the replay of the journal has come; it changes nothing once that is done.
    pub fn replaying(&self, report: ReplayReport) {
        self.change(|steps| {
            if steps.taking_since.is_none() {
                steps.replaying = Some(report);
            }
        });
    }

    /// Reports that the journal's tail is applied, and that sources have been started behind it: first subscriptions are
    /// waited for from here on.
    pub fn journal_replayed(&self) {
        self.change(|steps| {
            steps.taking_since.get_or_insert_with(Instant::now);
            steps.replaying = None;
        });
    }

    /// Reports that the history is loaded; without history to load, call it at once.
    pub fn history_loaded(&self) {
        self.change(|steps| steps.history_loaded = true);
    }

    /// Reports whether a look at the tables of another process succeeded.
    pub fn lake_reachable(&self, reachable: bool) {
        self.change(|steps| steps.lake_reachable = Some(reachable));
    }

    /// Reports a granted subscription of a broker source.
    pub fn subscribed(&self, source: &SourceId) {
        self.change(|steps| {
            let step = steps.sources.entry(source.clone()).or_default();
            step.subscribed_once = true;
            step.connected = true;
        });
    }

    /// Reports that a broker source lost its connection.
    pub fn disconnected(&self, source: &SourceId) {
        self.change(|steps| steps.sources.entry(source.clone()).or_default().connected = false);
    }

    /// Reports that a broker source is no longer configured.
    pub fn forget(&self, source: &SourceId) {
        self.change(|steps| {
            steps.sources.remove(source);
        });
    }

    /// Reports why the configuration on disk is refused; None: it is in force.
    pub fn config_error(&self, error: Option<String>) {
        self.change(|steps| steps.config_error = error);
    }

    /// Returns why the configuration on disk is refused; for operators, as it names files and keys.
    pub(crate) fn read_config_error(&self) -> Option<String> {
        let steps = self.0.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.config_error.clone()
    }

    /// Reports whether there is no source to take messages from.
    pub fn no_sources(&self, none: bool) {
        self.change(|steps| steps.no_sources = none);
    }

    /// Reports whether the journal's disk is full.
    pub fn journal_disk_full(&self, is_full: bool) {
        self.change(|steps| steps.journal_disk_full = is_full);
    }

    /// Reports which folders lie on disks with little space left.
    pub fn disks_low(&self, folders: Vec<&'static str>) {
        self.change(|steps| steps.disks_low = folders);
    }

    /// Reports which sources have said nothing for longer than they may.
    pub fn silent(&self, sources: Vec<SourceId>) {
        self.change(|steps| steps.silent = sources);
    }

    /// Reports how many targets of polled sources do not answer, by source; those without one are left out.
    pub fn failing(&self, targets: BTreeMap<SourceId, u64>) {
        self.change(|steps| steps.failing = targets);
    }

    /// Returns where the start-up stands.
    pub fn report(&self) -> ReadinessReport {
        // A panic elsewhere cannot leave the flags half changed.
        let mut steps = self.0.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let subscribed = steps.sources.values().all(|step| step.subscribed_once);
        let journal_replayed = steps.taking_since.is_some();
        let waited = steps
            .taking_since
            .is_some_and(|since| since.elapsed() >= self.0.subscribe_wait);
        steps.was_ready |= journal_replayed && steps.history_loaded && (subscribed || waited);
        ReadinessReport {
            ready: steps.was_ready,
            journal_replayed,
            replaying: steps.replaying,
            history_loaded: steps.history_loaded,
            journal_disk_full: steps.journal_disk_full,
            disks_low: steps.disks_low.clone(),
            lake_reachable: steps.lake_reachable,
            silent_sources: steps.silent.clone(),
            failing_targets: steps.failing.clone(),
            config_refused: steps.config_error.is_some(),
            no_sources: steps.no_sources,
            sources: steps
                .sources
                .iter()
                .map(|(id, step)| {
                    let report = BrokerReport {
                        subscribed: step.subscribed_once,
                        connected: step.connected,
                    };
                    (id.clone(), report)
                })
                .collect(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Steps)) {
        change(&mut self.0.steps.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl FromRef<PublishState> for Readiness {
    fn from_ref(state: &PublishState) -> Self {
        state.readiness.clone()
    }
}

impl FromRef<AdminState> for Readiness {
    fn from_ref(state: &AdminState) -> Self {
        state.readiness.clone()
    }
}

/// Answers 200 while the process lives.
pub(crate) async fn healthz() -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], "ok\n")
}

/// Answers 200 when ready, 503 before, with the report either way.
pub(crate) async fn readyz(State(readiness): State<Readiness>) -> Response {
    let report = readiness.report();
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, [(CACHE_CONTROL, "no-store")], Json(report)).into_response()
}
