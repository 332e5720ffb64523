//! Room on a full disk for the segment that an opening begins: without it nobody could start, and so nobody make room by what
//! the configuration says.
//!
//! ```text
//! no space ─▶ archive: what is too old or too much goes ─▶ the reserve gives its space ─▶ wait, while that is wanted
//! ```
//!
//! The reserve goes last: where the archive made room, it stays whole. What it gave is not for messages; see `space`.

use std::time::{Duration, Instant};

use super::JournalOptions;
use super::archive::Archive;
use super::error::JournalError;
use super::reserve;

/// Between two looks for room: the second pause is twice the first, and so on up to the longest.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long an opening that is not wanted any more goes on waiting at most.
const STEP: Duration = Duration::from_millis(50);

/// Makes room, or waits for it.
pub(crate) struct Room<'a> {
    pub(crate) options: &'a JournalOptions,
    archive: &'a Archive,
    /// False: it is not waited for.
    waits: &'a dyn Fn() -> bool,
    /// A write found no space.
    pub(crate) was_short: bool,
}

impl<'a> Room<'a> {
    pub(crate) fn new(
        options: &'a JournalOptions,
        archive: &'a Archive,
        waits: &'a dyn Fn() -> bool,
    ) -> Self {
        Self {
            options,
            archive,
            waits,
            was_short: false,
        }
    }

    /// Writes with `write`, which leaves nothing where it fails, and again with more room where it found no space.
    ///
    /// # Errors
    /// As `write`; for want of space where none can be made, and it is not waited for.
    pub(crate) fn write<T>(
        &mut self,
        write: impl Fn() -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        let mut pause = PAUSE_MIN;
        loop {
            let error = match write() {
                Err(error) if error.is_disk_full() => error,
                written => return written,
            };
            let is_first = !std::mem::replace(&mut self.was_short, true);
            if is_first {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the journal is opened on a full disk: making room for it"
                );
            }
            // Also where nothing was due: half a file that a crash left in the archive has gone.
            if self.made() || is_first {
                continue;
            }
            if !(self.waits)() {
                return Err(error);
            }
            if pause == PAUSE_MIN {
                metrics::gauge!("meetnet_journal_disk_full").set(1.0);
                tracing::error!(
                    dir = %self.options.dir.display(),
                    "the journal's disk is full, and its reserve is used up: what is committed is answered, \
                     messages are taken once somebody makes room"
                );
            }
            if !self.wait(pause) {
                return Err(error);
            }
            pause = (2 * pause).min(PAUSE_MAX);
        }
    }

    /// Makes room by what is there. Returns false where there is nothing to give any more.
    fn made(&self) -> bool {
        let dropped = self.archive.drop_due().unwrap_or_else(|error| {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "failed to make room in the raw archive");
            false
        });
        if dropped {
            return true;
        }
        let released = reserve::release(self.options.files.as_ref(), &self.options.dir);
        released.unwrap_or_else(|error| {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, "failed to release the journal's reserve");
            false
        })
    }

    /// Waits for `pause`. Returns false where it is not waited for any more.
    fn wait(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        while (self.waits)() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(STEP));
        }
        false
    }
}
