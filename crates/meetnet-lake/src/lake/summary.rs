//! What commits have done, in one line of the log for many: with a line each, a daemon that is well would say little else.
//!
//! A commit that only moves the position of a dataset on has no rows, and is not counted: each dataset has one every
//! `stable_age_max`, whether something comes in or not. Each commit by itself is logged at `debug`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use meetnet_model::ids::DatasetId;
use tracing::info;

/// From the first commit that a line counts to the line.
const PERIOD: Duration = Duration::from_secs(600);

/// Commits that have not been said yet.
#[derive(Debug, Default)]
pub(super) struct CommitSummary {
    /// When the first of them was.
    since: Option<Instant>,
    commits: u64,
    rows: u64,
    datasets: BTreeSet<DatasetId>,
}

impl CommitSummary {
    /// Counts a commit of rows.
    pub(super) fn add(&mut self, dataset: &DatasetId, rows: u64, now: Instant) {
        if rows == 0 {
            return;
        }
        self.since.get_or_insert(now);
        self.commits += 1;
        self.rows += rows;
        if !self.datasets.contains(dataset) {
            self.datasets.insert(dataset.clone());
        }
    }

    /// Says what has been counted, if that is due.
    pub(super) fn tell_if_due(&mut self, now: Instant) {
        if self.is_due(now) {
            self.tell();
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.since
            .is_some_and(|since| now.duration_since(since) >= PERIOD)
    }

    /// Says what has been counted and begins anew; nothing where nothing has.
    pub(super) fn tell(&mut self) {
        let Self {
            since: Some(_),
            commits,
            rows,
            datasets,
        } = std::mem::take(self)
        else {
            return;
        };
        let datasets: Vec<&str> = datasets.iter().map(DatasetId::as_str).collect();
        let datasets = datasets.join(", ");
        info!(commits, rows, datasets, "committed");
    }
}

#[cfg(test)]
mod tests;
