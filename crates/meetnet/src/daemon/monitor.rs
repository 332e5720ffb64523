//! What keeps an eye on the running parts: readiness, gauges, and the figures of the operations page.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use meetnet_ingest::pipeline::{NewestTimes, RejectCounts, ReplayWatch};
use meetnet_ingest::poll::{Backfills, OpenBackfill};
use meetnet_ingest::status::{FailingTarget, SourceStatus, Statuses, UnclaimedPushes};
use meetnet_model::calendar::{SECOND_US, format_rfc3339};
use meetnet_model::ids::SourceId;
use meetnet_model::source::SourceKind;
use meetnet_publish::{
    BackfillRow, FailingRow, JournalStatus, OperationsStatus, Readiness, RejectRow, ReplayReport,
    SourceRow, UnclaimedRow,
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::opening::WriteSideView;
use super::sessions::LeftSessions;
use super::space::Measured;

/// How often the parts are looked at.
const PERIOD: Duration = Duration::from_millis(250);
/// Rounds between two clean-ups of the metrics recorder, whose histograms would grow without them.
const UPKEEP_ROUNDS: u32 = 20;
/// Rounds between two looks at the number of messages, and at how far sources have come.
const RATE_ROUNDS: u32 = 20;
/// Time that a rate is measured over.
const RATE_SPAN: Duration = Duration::from_secs(60);

/// Moments, and how many messages there had been.
type Counts = VecDeque<(Instant, u64)>;

/// How many messages each source had at some moments of the last minute; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates(Arc<Mutex<BTreeMap<SourceId, Counts>>>);

impl Rates {
    fn note(&self, statuses: &[SourceStatus], now: Instant) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|source, _| statuses.iter().any(|status| status.source == *source));
        for status in statuses {
            let counts = counts.entry(status.source.clone()).or_default();
            // The oldest that stays is as old as the span, or younger where the daemon is.
            while counts
                .get(1)
                .is_some_and(|(at, _)| now.duration_since(*at) >= RATE_SPAN)
            {
                counts.pop_front();
            }
            counts.push_back((now, status.messages_total));
        }
    }

    /// Returns the messages per minute of a source; None before the second look.
    fn per_minute(&self, source: &SourceId) -> Option<f64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = counts.get(source)?;
        let ((first_at, first), (last_at, last)) = (counts.front()?, counts.back()?);
        let seconds = last_at.duration_since(*first_at).as_secs_f64();
        (seconds > 0.0).then(|| (last.saturating_sub(*first)) as f64 * 60.0 / seconds)
    }
}

/// Says which sources are silent, and logs those that have become so or speak again; returns the silent ones.
fn report_silence(
    statuses: &[SourceStatus],
    before: Vec<SourceId>,
    readiness: &Readiness,
) -> Vec<SourceId> {
    let mut silent = Vec::new();
    for status in statuses {
        let Some(after) = status.silent_after else {
            continue;
        };
        let value = if status.silent { 1.0 } else { 0.0 };
        metrics::gauge!("meetnet_source_silent", "source" => status.source.to_string()).set(value);
        let was_silent = before.contains(&status.source);
        let after_s = after / 1_000_000;
        match (was_silent, status.silent) {
            (false, true) => {
                warn!(source = %status.source, silent_after_s = after_s, "source is silent: look at its sensors, gateway or broker");
            }
            (true, false) => info!(source = %status.source, "source speaks again"),
            _ => {}
        }
        if status.silent {
            silent.push(status.source.clone());
        }
    }
    // Gone, or allowed to be silent now: nobody else takes the alarm back.
    for source in before.iter().filter(|source| !silent.contains(source)) {
        metrics::gauge!("meetnet_source_silent", "source" => source.to_string()).set(0.0);
    }
    if silent != before {
        readiness.silent(silent.clone());
    }
    silent
}

/// Says how long ago what each source tells of was observed; returns the sources of which that is known.
fn report_lags(
    statuses: &[SourceStatus],
    newest: &BTreeMap<SourceId, i64>,
    now: i64,
    before: Vec<SourceId>,
) -> Vec<SourceId> {
    let gauge = |source: &SourceId| metrics::gauge!("meetnet_source_lag_seconds", "source" => source.to_string());
    let mut known = Vec::new();
    for status in statuses {
        if let Some(at) = newest.get(&status.source) {
            gauge(&status.source).set(now.saturating_sub(*at).max(0) as f64 / 1e6);
            known.push(status.source.clone());
        }
    }
    // Of one that is gone nobody is to be alarmed.
    for source in before.iter().filter(|source| !known.contains(source)) {
        gauge(source).set(f64::NAN);
    }
    known
}

/// Says how many targets of polled sources do not answer, by source; returns that.
fn report_failing(
    statuses: &[SourceStatus],
    before: BTreeMap<SourceId, u64>,
    readiness: &Readiness,
) -> BTreeMap<SourceId, u64> {
    let failing = statuses.iter().filter(|status| status.targets_failing > 0);
    let failing: BTreeMap<SourceId, u64> = failing
        .map(|status| (status.source.clone(), status.targets_failing))
        .collect();
    if failing != before {
        readiness.failing(failing.clone());
    }
    failing
}

/// Says which broker sources there are no more; returns those that there are.
fn report_gone(
    statuses: &[SourceStatus],
    before: Vec<SourceId>,
    readiness: &Readiness,
) -> Vec<SourceId> {
    let brokers = statuses
        .iter()
        .filter(|status| status.kind == SourceKind::Mqtt);
    let brokers: Vec<SourceId> = brokers.map(|status| status.source.clone()).collect();
    let gone = before.iter().filter(|source| !brokers.contains(source));
    gone.for_each(|source| readiness.forget(source));
    brokers
}

/// Starts the task; it runs until it is aborted.
pub(super) fn start(
    metrics: PrometheusHandle,
    statuses: Statuses,
    readiness: Readiness,
    (write_side, replay): (WriteSideView, ReplayWatch),
    rates: Rates,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut was_ready = false;
        let mut silent = Vec::new();
        let mut failing = BTreeMap::new();
        let mut brokers = Vec::new();
        let mut lags = Vec::new();
        for round in 0_u32.. {
            let read = statuses.read();
            if round % RATE_ROUNDS == 0 {
                rates.note(&read, Instant::now());
                if let Some(newest) = write_side.newest() {
                    let now = jiff::Timestamp::now().as_microsecond();
                    lags = report_lags(&read, &newest.read(), now, lags);
                }
            }
            silent = report_silence(&read, silent, &readiness);
            failing = report_failing(&read, failing, &readiness);
            brokers = report_gone(&read, brokers, &readiness);
            for status in read {
                if status.kind != SourceKind::Mqtt {
                    continue;
                }
                match (status.subscribed, status.connected) {
                    (true, true) => readiness.subscribed(&status.source),
                    (_, false) => readiness.disconnected(&status.source),
                    (false, true) => {}
                }
            }
            if !was_ready && readiness.report().ready {
                was_ready = true;
                info!("ready");
            }
            if let Some(journal) = write_side.journal() {
                let (durable, _) = journal.durable();
                metrics::gauge!("meetnet_journal_bytes").set(journal.bytes() as f64);
                metrics::gauge!("meetnet_journal_durable_sequence").set(durable.0 as f64);
                readiness.journal_disk_full(journal.is_disk_full());
            } else if let Some(progress) = replay.progress() {
                readiness.replaying(ReplayReport {
                    frames: progress.frames,
                    frames_total: progress.frames_total,
                });
            }
            if round % UPKEEP_ROUNDS == 0 {
                metrics.run_upkeep();
            }
            tokio::time::sleep(PERIOD).await;
        }
    })
}

fn backfill_row(open: OpenBackfill) -> BackfillRow {
    let progress = open.progress;
    BackfillRow {
        source: open.source,
        span: open.span.to_string(),
        begun: progress.begun,
        windows_done: progress.windows_done,
        windows_left: progress.windows_left,
        items: progress.items,
        expected_end: progress.expected_end,
        trouble: progress.trouble,
    }
}

fn failing_row(source: &SourceId, failing: &FailingTarget) -> FailingRow {
    FailingRow {
        source: source.clone(),
        target: failing.target.clone(),
        of_past: failing.of_past,
        gaps: failing.gaps.clone(),
        since: failing.since,
        failures: failing.failures,
        again_at: failing.again_at,
        message: failing.message.clone(),
    }
}

fn unclaimed_row(pushes: UnclaimedPushes) -> UnclaimedRow {
    UnclaimedRow {
        path: pushes.path,
        total: pushes.total,
        last_at: pushes.last_at,
        reason: pushes.reason,
    }
}

/// Returns what the operations page asks for; there is little to say before the write side is open.
pub(super) fn operations(
    statuses: &Statuses,
    disks: &Measured,
    write_side: &WriteSideView,
    left_sessions: &LeftSessions,
    rates: Rates,
) -> Arc<dyn Fn() -> OperationsStatus + Send + Sync> {
    let (statuses, disks) = (statuses.clone(), disks.clone());
    let (write_side, left_sessions) = (write_side.clone(), left_sessions.clone());
    Arc::new(move || {
        let tallies = write_side.rejects().map(RejectCounts::read);
        let tallies = tallies.unwrap_or_default();
        let newest = write_side.newest().map(NewestTimes::read);
        let newest = newest.unwrap_or_default();
        let of_source = |id: &SourceId| {
            tallies
                .iter()
                .filter(|((source, _), _)| source == id)
                .map(|(_, tally)| tally.total)
                .sum()
        };
        let read = statuses.read();
        let failing = read.iter().flat_map(|status| {
            let failing = status.failing.iter();
            failing.map(move |target| failing_row(&status.source, target))
        });
        let failing: Vec<FailingRow> = failing.collect();
        let sources = read
            .into_iter()
            .map(|status| SourceRow {
                connected: connected(&status),
                kind: status.kind,
                silent: status.silent,
                messages_total: status.messages_total,
                messages_per_minute: rates.per_minute(&status.source),
                unacked: status.unacked,
                last_message_at: status.last_message_at,
                newest_at: newest.get(&status.source).copied(),
                rejects_total: of_source(&status.source),
                last_error: status.last_error.map(|note| {
                    let at = format_rfc3339(note.at - note.at.rem_euclid(SECOND_US));
                    format!("{at}: {}", note.message)
                }),
                id: status.source,
            })
            .collect();
        let journal = write_side.journal().map(|journal| JournalStatus {
            bytes: journal.bytes(),
            durable: journal.durable().0,
            disk_full: journal.is_disk_full(),
            clock_step: journal.clock_step().is_some(),
        });
        let rejects = tallies.into_iter();
        let unclaimed = statuses.unclaimed().into_iter();
        let backfills = write_side.backfills().map(Backfills::open);
        let backfills = backfills.unwrap_or_default().into_iter();
        OperationsStatus {
            sources,
            failing,
            left_sessions: left_sessions.rows(),
            unclaimed: unclaimed.map(unclaimed_row).collect(),
            backfills: backfills.map(backfill_row).collect(),
            retentions: write_side.retentions(),
            journal: journal.unwrap_or_default(),
            disks: disks.read(),
            rejects: rejects
                .map(|((source, reason), tally)| RejectRow {
                    source,
                    reason,
                    total: tally.total,
                    sequence: tally.sequence,
                    message: tally.message,
                    excerpt: tally.excerpt,
                })
                .collect(),
        }
    })
}

/// Whether a source can deliver now; None where nothing is to be connected, or an API has not been asked yet.
fn connected(status: &SourceStatus) -> Option<bool> {
    match status.kind {
        SourceKind::Mqtt => Some(status.connected),
        SourceKind::Poll => {
            let is_known = status.connected || status.poll_failures_total > 0;
            is_known.then_some(status.connected)
        }
        SourceKind::Http | SourceKind::Files => None,
    }
}

#[cfg(test)]
mod tests;
