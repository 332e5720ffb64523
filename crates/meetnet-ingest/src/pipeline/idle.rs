//! What the pipeline does where there is nothing to do.

use std::time::{Duration, Instant};

use meetnet_lake::journal::AppendError;
use tracing::warn;

use super::PipelineError;
use super::run::Runner;

/// Without work for this long, memory that a burst has left behind is given back.
pub(super) const REST_AFTER: Duration = Duration::from_secs(5);

impl Runner {
    /// Moves the stable time on where nothing arrives.
    pub(super) fn tick_if_idle(&mut self) -> Result<(), PipelineError> {
        if self.last_frame.elapsed() < self.options.limits.idle_tick {
            return Ok(());
        }
        self.last_frame = Instant::now();
        match self.journal.append_tick() {
            Ok(_) | Err(AppendError::Full { .. } | AppendError::DiskFull) => Ok(()),
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "no tick frame");
                Ok(())
            }
        }
    }

    pub(super) fn note_work(&mut self) {
        self.last_work = Instant::now();
        self.rests = false;
    }

    /// Gives memory back once after work has ended: nothing else would, for what frees memory is work.
    pub(super) fn rest_if_idle(&mut self) {
        if !self.rests && self.last_work.elapsed() >= REST_AFTER {
            self.rests = true;
            self.lake.give_back();
        }
    }
}
