//! Checkpoints: where a restart begins, and with it what the quality tests knew there.
//!
//! rows in files up to T ─▶ state of T ─▶ checkpoint of T ─▶ segments up to T go to the archive, other states go

use std::time::{Duration, Instant};

use meetnet_lake::journal::{Checkpoint, Journal, JournalError};
use meetnet_model::ids::Sequence;
use meetnet_quality::history::QualityHistory;
use tracing::{info, warn};

use super::run::Runner;

impl Runner {
    /// Writes a checkpoint and lets the journal archive what is committed.
    pub(super) fn checkpoint(&mut self) {
        let through = self.lake.trim_point();
        // Also where nothing is written now: what commits cover would wait in memory.
        self.history.settle(through);
        // A large history is written less often: one MiB a second at most.
        let of_history = Duration::from_secs(self.history_bytes as u64 >> 20);
        let pause = self.options.limits.checkpoint_pause + of_history;
        if through <= self.trimmed_through || self.last_checkpoint.elapsed() < pause {
            return;
        }
        self.try_checkpoint();
    }

    /// Writes a checkpoint and trims. Where it cannot, the journal keeps what was not trimmed: nothing is lost, and the next
    /// commit tries again.
    pub(super) fn try_checkpoint(&mut self) {
        if let Err(error) = self.save_checkpoint() {
            let error: &dyn std::error::Error = &error;
            warn!(error, "checkpoint failed");
        }
    }

    /// Writes a checkpoint and trims, whether it is time for it or not.
    pub(super) fn save_checkpoint(&mut self) -> Result<(), JournalError> {
        self.last_checkpoint = Instant::now();
        let through = self.lake.trim_point().max(self.trimmed_through);
        // Before the checkpoint: a restart from it finds what the tests knew there.
        self.history.settle(through);
        let history = self.history.to_bytes();
        self.history_bytes = history.len();
        count_remembered(&self.history);
        self.journal.write_state(through, &history)?;
        let (last_sequence, last_recorded_at) = self.journal.durable();
        let checkpoint = Checkpoint {
            trimmed_through: through,
            last_sequence,
            last_recorded_at,
            datasets: self.lake.positions(),
            dup_windows: self.dup_windows.snapshot(through),
        };
        let trimmed = self.journal.checkpoint_and_trim(&checkpoint)?;
        self.trimmed_through = through;
        if trimmed.segments > 0 {
            info!(
                through = through.0,
                segments = trimmed.segments,
                "trimmed the journal"
            );
        }
        self.journal.remove_other_states(through)
    }
}

fn count_remembered(history: &QualityHistory) {
    for (dataset, remembered) in history.remembered() {
        let dataset = dataset.to_string();
        metrics::gauge!("meetnet_quality_series", "dataset" => dataset.clone())
            .set(remembered.series as f64);
        metrics::counter!("meetnet_quality_rows_untested_total", "dataset" => dataset)
            .absolute(remembered.untested_rows);
    }
}

/// Returns what tests by earlier rows remembered at `through`; nothing in a lake that has no such memory yet.
pub(super) fn read_history(
    journal: &Journal,
    through: Sequence,
) -> Result<QualityHistory, JournalError> {
    let Some(state) = journal.read_state(through)? else {
        return Ok(QualityHistory::default());
    };
    Ok(QualityHistory::from_bytes(&state).unwrap_or_else(|| {
        warn!("the history of the quality tests is of another version: it begins anew");
        QualityHistory::default()
    }))
}
