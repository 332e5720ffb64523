//! What is kept of each dataset between requests: its newest rows, and whether reading them has failed.
//!
//! One request at a time brings the rows up to date, the others wait for it, but not for longer than for a turn of a query.
//! What has failed would most likely fail again, at the same cost: it is tried again after a pause, which doubles each time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use meetnet_model::ids::DatasetId;
use tokio::sync::OwnedMutexGuard;
use tracing::warn;

use super::Kept;
use crate::error::{QueryError, QueryErrorKind, SharedLimit};

#[cfg(test)]
mod tests;

/// How long nobody tries after the first failure, and at the most.
const PAUSE_MIN: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_secs(5 * 60);

/// The newest rows of the datasets that somebody has asked for; at most one entry per public dataset.
#[derive(Debug, Default)]
pub(crate) struct LatestCache {
    tables: Mutex<HashMap<DatasetId, Slot>>,
}

/// Held while the rows are brought up to date, so that they are once for all who wait.
type Slot = Arc<tokio::sync::Mutex<Held>>;

/// What there is of a dataset.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) kept: Option<Kept>,
    failed: Option<Failed>,
}

/// That the rows could not be brought up to date.
#[derive(Debug)]
struct Failed {
    why: String,
    /// In a row.
    times: u32,
    /// Nobody tries before.
    until: Instant,
}

impl LatestCache {
    fn slot(&self, dataset: &DatasetId) -> Slot {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tables.entry(dataset.clone()).or_default())
    }

    /// Waits until no other request is at work on the rows of a dataset.
    ///
    /// # Errors
    /// `Busy` where that takes longer than `patience`.
    pub(super) async fn held(
        &self,
        dataset: &DatasetId,
        patience: Duration,
    ) -> Result<OwnedMutexGuard<Held>, QueryError> {
        let held = self.slot(dataset).lock_owned();
        tokio::time::timeout(patience, held)
            .await
            .map_err(|_elapsed| {
                QueryError::new(
                    QueryErrorKind::Busy,
                    format!(
                        "the newest rows of `{dataset}` are being read for somebody else; try again later"
                    ),
                )
                .with_shared_limit(SharedLimit::NewestRows)
            })
    }
}

impl Held {
    /// Says whether the rows may be read now.
    ///
    /// # Errors
    /// `Busy` in the pause after a failure, with the time that is left of it.
    pub(super) fn check_pause(&self, dataset: &DatasetId, now: Instant) -> Result<(), QueryError> {
        match &self.failed {
            Some(failed) if now < failed.until => Err(failed.told(dataset, now)),
            _ => Ok(()),
        }
    }

    /// Takes note that the rows have been read.
    pub(super) fn succeeded(&mut self) {
        self.failed = None;
    }

    /// Takes note of an error; returns what is told until the rows are read again.
    pub(super) fn failed(
        &mut self,
        dataset: &DatasetId,
        error: QueryError,
        now: Instant,
    ) -> QueryError {
        let before = self.failed.as_ref().map_or(0, |failed| failed.times);
        let times = before.saturating_add(1);
        let pause = pause(times);
        warn!(
            %dataset,
            times,
            pause_s = pause.as_secs(),
            problem = error.message,
            "failed to read the newest rows"
        );
        let failed = Failed {
            why: error.message,
            times,
            until: now + pause,
        };
        let told = failed.told(dataset, now);
        self.failed = Some(failed);
        told
    }

    /// Ends the pause.
    #[cfg(test)]
    pub(super) fn end_pause(&mut self) {
        if let Some(failed) = &mut self.failed {
            failed.until = Instant::now();
        }
    }
}

impl Failed {
    fn told(&self, dataset: &DatasetId, now: Instant) -> QueryError {
        let left = self.until.saturating_duration_since(now);
        let seconds = (left.as_millis().div_ceil(1_000) as u64).max(1);
        let why = &self.why;
        QueryError::new(
            QueryErrorKind::Busy,
            format!(
                "the newest rows of `{dataset}` could not be read: {why}; they are read again in {seconds} s at the earliest"
            ),
        )
        .with_shared_limit(SharedLimit::NewestRows)
        .with_retry_after(seconds)
    }
}

/// Returns the pause after so many failures.
fn pause(times: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(times.saturating_sub(1));
    PAUSE_MIN.saturating_mul(doubled).min(PAUSE_MAX)
}
