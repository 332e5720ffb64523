//! When the disk is full: what is refused meanwhile, and when it is over.
//!
//! ```text
//! no space for a write ─▶ full: appends are refused, what was taken is tried again,
//!                         the reserve's space is for checkpoint and commits
//! everything taken is written, and the reserve is filled again ─▶ over
//! ```
//!
//! Without the last condition new messages would use up the space that commits were given.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::reserve;
use super::shared::{Phase, Shared, locked};
use crate::files::is_no_space;

/// How often a full disk is asked for room while nothing waits to be written.
const SPACE_PERIOD: Duration = Duration::from_secs(5);
/// How often a reserve is tried that found no room although writes do.
const RESERVE_PERIOD_US: i64 = 60_000_000;

impl Shared {
    /// Returns true from the first write that found no space until there is room again.
    pub(crate) fn is_disk_full(&self) -> bool {
        self.disk_full.load(Ordering::Acquire)
    }

    /// Takes note of an error of a write; raises the alarm where it begins a time without space.
    pub(crate) fn note_write_error(&self, error: &io::Error) {
        // What a spare takes is nobody's loss: the next attempt has that room, and would end the alarm at once.
        if is_no_space(error) && !self.spare.gives_room() {
            self.begin_disk_full();
        }
    }

    fn begin_disk_full(&self) {
        if !self.disk_full.swap(true, Ordering::AcqRel) {
            metrics::gauge!("meetnet_journal_disk_full").set(1.0);
            tracing::error!(
                dir = %self.options.dir.display(),
                "the journal's disk is full: messages are refused and nothing is acknowledged until there is room again"
            );
            // A writer that waits for frames has to look for room from now on. Under the lock, or one that is about to
            // wait would miss it.
            let _pending = locked(&self.pending);
            self.pending_changed.notify_all();
        }
    }

    /// Gives the space of the reserve to checkpoint and commits: messages are refused until it is filled again. Returns
    /// whether there was one.
    pub(crate) fn release_reserve(&self) -> io::Result<bool> {
        let released = reserve::release(self.options.files.as_ref(), &self.options.dir)?;
        if released {
            self.reserve_missing.store(true, Ordering::Release);
            self.begin_disk_full();
        }
        Ok(released)
    }

    /// Fills the reserve file where it is not.
    pub(crate) fn restore_reserve(&self) -> io::Result<()> {
        let options = &self.options;
        let restored =
            reserve::restore(options.files.as_ref(), &options.dir, options.reserve_bytes);
        self.reserve_missing
            .store(restored.is_err(), Ordering::Release);
        restored
    }

    /// Fills the reserve file when the journal is opened. Where it finds no room: `was_short` says that the opening itself
    /// found none, so it is a full disk from the start.
    pub(crate) fn begin_with_reserve(&self, was_short: bool) {
        metrics::gauge!("meetnet_journal_disk_full").set(0.0);
        match self.restore_reserve() {
            Ok(()) => {}
            Err(_) if was_short => self.begin_disk_full(),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "no room for the journal's reserve file: make some");
            }
        }
    }

    /// Ends the time without space where everything taken has been written and the reserve finds room.
    pub(crate) fn look_for_space(&self) {
        if self.is_disk_full() && self.restore_reserve().is_ok() {
            self.disk_full.store(false, Ordering::Release);
            metrics::gauge!("meetnet_journal_disk_full").set(0.0);
            tracing::info!("the journal's disk has room again: messages are taken");
        }
    }

    /// Tries a reserve again, now and then, that found no room when the journal was opened.
    pub(crate) fn restore_reserve_if_due(&self) {
        if self.is_disk_full() || !self.reserve_missing.load(Ordering::Acquire) {
            return;
        }
        let now = (self.options.monotonic_clock)();
        if now >= self.reserve_due_at.load(Ordering::Acquire) {
            self.reserve_due_at
                .store(now.saturating_add(RESERVE_PERIOD_US), Ordering::Release);
            if let Err(error) = self.restore_reserve() {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(error, "no room for the journal's reserve file yet");
            }
        }
    }

    /// Waits on a full disk until something is pending or it is time to look for room. Returns false where the journal
    /// is being stopped and nothing is pending.
    pub(crate) fn wait_for_space(&self) -> bool {
        let waiting = |pending: &mut super::writer::Pending| {
            pending.group.frames == 0 && pending.phase == Phase::Open
        };
        let (pending, _) = self
            .pending_changed
            .wait_timeout_while(locked(&self.pending), SPACE_PERIOD, waiting)
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        pending.group.frames > 0 || pending.phase == Phase::Open
    }
}
