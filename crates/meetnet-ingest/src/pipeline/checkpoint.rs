//! Checkpoints: where a restart begins, and with it what the quality tests knew there.
//!
//! rows in files up to T ─▶ state of T ─▶ checkpoint of T ─▶ segments up to T go to the archive, other states go

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use meetnet_lake::journal::{Checkpoint, Journal, JournalError};
use meetnet_model::ids::Sequence;
use meetnet_quality::history::QualityHistory;
use tracing::{info, warn};

use super::run::Runner;

impl Runner {
    /// Writes a checkpoint and lets the journal archive what is committed, where it is time for it. With a large history
    /// it is only begun: [`Runner::end_checkpoint`] comes when that is written.
    pub(super) fn checkpoint(&mut self) {
        let through = self.lake.trim_point();
        // A large history is written less often: one MiB a second at most.
        let of_history = Duration::from_secs(self.history_bytes as u64 >> 20);
        let pause = self.options.limits.checkpoint_pause + of_history;
        let is_early = self.state_writing.is_some() || self.last_checkpoint.elapsed() < pause;
        if through <= self.trimmed_through || is_early {
            return;
        }
        let history = self.settled_history(through);
        if history.len() > self.options.limits.history_inline_bytes_max {
            self.state_writing = StateWriting::begin(&self.journal, through, history);
        } else {
            warn_of(self.write_checkpoint(through, &history));
        }
    }

    /// Ends the checkpoint whose history was being written, once it is.
    pub(super) fn end_checkpoint(&mut self) {
        let Some(writing) = self.state_writing.take_if(|writing| writing.has_ended()) else {
            return;
        };
        let through = writing.through;
        let written = writing.wait();
        warn_of(written.and_then(|()| self.trim(through)));
    }

    /// Writes a checkpoint and trims. Where it cannot, the journal keeps what was not trimmed: nothing is lost, and the next
    /// commit tries again.
    pub(super) fn try_checkpoint(&mut self) {
        warn_of(self.save_checkpoint());
    }

    /// Writes a checkpoint and trims, whether it is time for it or not.
    pub(super) fn save_checkpoint(&mut self) -> Result<(), JournalError> {
        // A state of before that came to the disk behind this one would stay there, with what an erasure takes away.
        if let Some(writing) = self.state_writing.take() {
            warn_of(writing.wait());
        }
        let through = self.lake.trim_point().max(self.trimmed_through);
        let history = self.settled_history(through);
        self.write_checkpoint(through, &history)
    }

    /// Lets go of what quality tests could take back of rows that are committed. Nothing waits in memory for a checkpoint, nor
    /// for the end of a replay: what is written later is a state of then.
    pub(super) fn settle(&mut self) {
        let through = self.lake.trim_point();
        self.history.settle(through);
        self.uncommitted.settle(through);
        self.lake.set_kept_beside(self.kept_beside());
    }

    /// Returns what quality tests knew at `through`.
    fn settled_history(&mut self, through: Sequence) -> Vec<u8> {
        self.last_checkpoint = Instant::now();
        self.history.settle(through);
        let history = self.history.to_bytes();
        self.history_bytes = history.len();
        count_remembered(&self.history);
        history
    }

    fn write_checkpoint(&mut self, through: Sequence, history: &[u8]) -> Result<(), JournalError> {
        // Before the checkpoint: a restart from it finds what the tests knew there.
        self.journal.write_state(through, history)?;
        self.trim(through)
    }

    /// Writes the checkpoint of a position whose state is written, and trims.
    fn trim(&mut self, through: Sequence) -> Result<(), JournalError> {
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

/// A state that is being written on a thread of its own, so that rows go on meanwhile. To drop it waits for it.
pub(super) struct StateWriting {
    through: Sequence,
    thread: Option<JoinHandle<Result<(), JournalError>>>,
}

impl StateWriting {
    /// Begins to write a state; none where there is no thread for it.
    fn begin(journal: &Journal, through: Sequence, state: Vec<u8>) -> Option<Self> {
        let journal = journal.clone();
        let write = move || journal.write_state(through, &state);
        let thread = thread::Builder::new().name("quality-state".to_owned());
        match thread.spawn(write) {
            Ok(thread) => Some(Self {
                through,
                thread: Some(thread),
            }),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                warn!(error, "checkpoint failed");
                None
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until it is written, or cannot be.
    fn wait(mut self) -> Result<(), JournalError> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            Some(Ok(written)) => written,
            None => Ok(()),
        }
    }
}

impl Drop for StateWriting {
    fn drop(&mut self) {
        // Whoever opens the journal next must not meet it.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn warn_of(saved: Result<(), JournalError>) {
    if let Err(error) = saved {
        let error: &dyn std::error::Error = &error;
        warn!(error, "checkpoint failed");
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
