//! One table of a lake: its actor, when it commits, and how failures are answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use meetnet_model::ids::{DatasetId, Sequence};
use meetnet_model::property::PropertyUnits;
use tracing::{debug, error, info, warn};

use super::{Job, LakeLimits};
use crate::actor::{CommitJob, CommitLimits, DatasetActor, RECORDED_THROUGH};
use crate::error::LakeError;
use crate::snapshot::TableSnapshot;

/// First pause after a failed commit; doubled with each further failure.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between attempts.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);
/// So many failures in a row, half a minute of them, are an alarm whatever the error.
const LASTING_FAILURES: u32 = 6;

/// An actor and the state of its commits.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) actor: DatasetActor,
    /// Units of the properties that the dataset has been declared with, as the table log has them.
    units: PropertyUnits,
    pub(super) published: Option<Arc<TableSnapshot>>,
    /// Where it stood when it was opened: position and stable time of its last commit.
    found: (Sequence, i64),
    /// Whether readers see it: not those that nothing declares any more, which only commit what is left.
    pub(super) is_declared: bool,
    /// When the oldest hot row was applied.
    pub(super) hot_since: Option<Instant>,
    pub(super) last_commit: Instant,
    /// A commit stopped before everything: what it left does not wait for its age.
    pub(super) left_behind: bool,
    /// Longest time between two commits of hot rows.
    pub(super) commit_wait: Duration,
    /// Failed attempts since the last success.
    failures: u32,
    pub(super) retry_at: Option<Instant>,
    /// Where the dataset stands while rows wait to be applied: position, and time up to which everything recorded is in it.
    pub(super) held: Option<(Sequence, i64)>,
    /// A job that has to be run again, with the table log: nothing else changes the table before.
    pub(super) again: Option<Job>,
}

impl Table {
    pub(super) fn new(
        actor: DatasetActor,
        units: PropertyUnits,
        commit_wait: Duration,
        now: Instant,
    ) -> Self {
        let stable_time = actor.txn(RECORDED_THROUGH).unwrap_or(0);
        Self {
            commit_wait,
            found: (actor.committed_through(), stable_time),
            actor,
            units,
            published: None,
            is_declared: true,
            hot_since: None,
            last_commit: now,
            failures: 0,
            retry_at: None,
            held: None,
            again: None,
            left_behind: false,
        }
    }

    /// Returns true where the table has all of these units.
    pub(super) fn has_units(&self, units: &PropertyUnits) -> bool {
        units
            .iter()
            .all(|(name, unit)| self.units.get(name) == Some(unit))
    }

    /// Returns where the table stands: position and stable time, of the lake or, where rows wait, its own.
    pub(super) fn position(&self, applied: (Sequence, i64)) -> (Sequence, i64) {
        self.held.unwrap_or(applied)
    }

    /// Returns how far readers are told that the table reaches: in a replay, frames up to where it was opened are in its
    /// files already, and readers have been told so.
    pub(super) fn shown_position(&self, applied: (Sequence, i64)) -> (Sequence, i64) {
        let (through, stable_time) = self.position(applied);
        let (found_through, found_stable_time) = self.found;
        (
            through.max(found_through),
            stable_time.max(found_stable_time),
        )
    }

    /// Freezes what is applied, within the limits; None while a job has the table log.
    pub(super) fn freeze(
        &mut self,
        applied: (Sequence, i64),
        limits: CommitLimits,
        now_ms: i64,
    ) -> Option<CommitJob> {
        let (through, stable_time) = self.position(applied);
        let job = self.actor.freeze(through, stable_time, limits, now_ms)?;
        self.hot_since = None;
        self.left_behind = job.through() < through;
        Some(job)
    }

    /// Ends an episode of failures.
    pub(super) fn note_success(&mut self, id: &DatasetId) {
        if self.failures > 0 {
            info!(dataset = %id, failures = self.failures, "commits work again");
            metrics::gauge!("meetnet_commit_failing", "dataset" => id.to_string()).set(0.0);
        }
        self.failures = 0;
        self.retry_at = None;
    }

    /// Counts a failure, decides on the pause, and raises the alarm: once per episode, and once more where it lasts.
    pub(super) fn note_failure(&mut self, id: &DatasetId, error: &LakeError, now: Instant) {
        self.failures += 1;
        // Rows do not wait for their age again, only for the pause.
        self.left_behind = true;
        let pause = RETRY_PAUSE * 2_u32.saturating_pow(self.failures.min(8) - 1);
        self.retry_at = Some(now + pause.min(RETRY_PAUSE_MAX));
        metrics::counter!("meetnet_commit_failures_total", "dataset" => id.to_string())
            .increment(1);
        metrics::gauge!("meetnet_commit_failing", "dataset" => id.to_string()).set(1.0);
        let failures = self.failures;
        let first = failures == 1;
        let cause: &dyn std::error::Error = error;
        if (first && error.needs_a_person()) || failures == LASTING_FAILURES {
            error!(dataset = %id, failures, error = cause, "commits fail: rows stay in memory and in the journal until one works");
        } else if first {
            warn!(dataset = %id, failures, error = cause, "a commit failed, its rows stay hot: trying again");
        } else {
            debug!(dataset = %id, failures, error = cause, "a commit failed again");
        }
    }

    pub(super) fn is_due(
        &self,
        limits: &LakeLimits,
        applied: (Sequence, i64),
        pressed: bool,
        now: Instant,
    ) -> bool {
        if self.actor.is_committing() || self.retry_at.is_some_and(|at| now < at) {
            return false;
        }
        if self.actor.hot_rows() == 0 {
            return self.actor.committed_through() < self.position(applied).0
                && now.duration_since(self.last_commit) >= limits.stable_age_max;
        }
        pressed
            || self.actor.hot_rows() >= limits.commit_rows_max
            || self.left_behind
            || self.actor.revised_files() > limits.revised_files_max
            || self
                .hot_since
                .is_some_and(|since| now.duration_since(since) >= limits.commit_age_max)
    }
}
