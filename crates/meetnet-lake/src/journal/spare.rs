//! The spare: a file of zeros that the next segment is written over.
//!
//! ```text
//! a segment fills ─▶ asked for ─▶ zeros, synced step by step on a thread of its own ─▶ ready
//! next segment: renamed into its name ─▶ groups are written over the zeros ─▶ sealed: cut behind the last
//! ```
//!
//! A group that makes its file longer has more to sync than itself: space is allocated and the length changes. While queries
//! had every processor, such a sync took up to half a second now and then, and all acknowledgements behind it as long; one
//! over zeros did not (docs/decisions/0006-spare-segment.md). Space that is only reserved does not help: what is written to
//! it for the first time changes the file as well.
//!
//! A spare is never needed: where there is none yet, or no room for it, a segment grows as it is written. What is left of
//! one goes when the journal is opened. Zeros behind the last frame are no damage in the segment that was written last.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use super::Journal;
use super::error::{IoContext, JournalError};
use super::shared::{Shared, locked};
use crate::files::{FileHandle, Files};

/// By its ending it is removed when the journal is opened.
const SPARE: &str = "spare.tmp";
/// Zeros of one sync: it must not keep the syncs of groups waiting.
const STEP_BYTES: u64 = 1 << 20;
/// Between two of them, on the journal's own thread.
const STEP_PAUSE: Duration = Duration::from_millis(20);
/// A spare is asked for when a segment has come to a part of its length, and to so many bytes: who has few messages needs
/// none, and those that have many have it before the segment is full.
const ASKED_AT_PART: u64 = 16;
const ASKED_AT_BYTES_MIN: u64 = 1 << 20;

/// Returns how long a segment becomes before a spare is asked for.
pub(crate) fn asked_at(segment_bytes_max: u64) -> u64 {
    (segment_bytes_max / ASKED_AT_PART).max(ASKED_AT_BYTES_MIN)
}

/// Whether there is a spare, and whom to ask for one.
#[derive(Debug, Default)]
pub(crate) struct Spare {
    is_ready: AtomicBool,
    /// The newest segment was written over one.
    is_in_use: AtomicBool,
    is_being_made: AtomicBool,
    /// The one that is being made is to go.
    is_given_up: AtomicBool,
    thread: Mutex<Option<Sender<()>>>,
}

impl Spare {
    /// Returns where the thread that makes spares is told that one is asked for.
    pub(crate) fn asked(&self) -> Receiver<()> {
        let (thread, asked) = crossbeam_channel::bounded(1);
        *locked(&self.thread) = Some(thread);
        asked
    }

    /// Asks for a spare; nobody waits for it.
    pub(crate) fn ask(&self) {
        if let Some(thread) = &*locked(&self.thread) {
            // Full: it has been told already.
            let _ = thread.try_send(());
        }
    }

    /// Lets the thread end.
    pub(crate) fn end(&self) {
        drop(locked(&self.thread).take());
    }

    /// Gives up one that is being made. Returns whether a write that found no space may find some by the spare: the room of
    /// that one, or a segment over the one that there is.
    pub(crate) fn gives_room(&self) -> bool {
        self.is_given_up.store(true, Ordering::Release);
        self.is_being_made.load(Ordering::Acquire) || self.is_ready.load(Ordering::Acquire)
    }

    /// Whether the segment that is begun now is written over the spare.
    pub(crate) fn is_ready(&self) -> bool {
        let is_ready = self.is_ready.load(Ordering::Acquire);
        self.is_in_use.store(is_ready, Ordering::Release);
        is_ready
    }
}

impl Journal {
    /// Without background threads: makes the file of zeros that the next segment is written over, where there is none, and
    /// lets that segment begin with the next group where the newest one grows. `go_on` is asked before each step. Returns
    /// whether it has made one. With threads, one of them does it when a segment fills.
    ///
    /// # Errors
    /// Where a file operation fails, want of space among them; nothing of it is left then.
    pub fn prepare_segment(&self, go_on: &dyn Fn() -> bool) -> Result<bool, JournalError> {
        let shared = &self.inner.shared;
        shared
            .prepare_segment(go_on)
            .context("prepare a segment in", &shared.options.dir)
    }
}

/// Makes spares when they are asked for, until nobody asks any more; a stop ends one half-way.
pub(crate) fn make(shared: &Shared, asked: &Receiver<()>, stop: &AtomicBool) {
    let go_on = || {
        thread::sleep(STEP_PAUSE);
        !stop.load(Ordering::Relaxed)
    };
    while asked.recv().is_ok() {
        if let Err(error) = shared.prepare_segment(&go_on) {
            let error: &dyn std::error::Error = &error;
            tracing::debug!(error, "no spare for the next segment of the journal");
        }
    }
}

impl Shared {
    /// Makes a spare where there is none, and lets a segment begin over it where the newest one grows. `go_on` is asked
    /// before each step. Returns whether it has made one.
    pub(crate) fn prepare_segment(&self, go_on: &dyn Fn() -> bool) -> io::Result<bool> {
        let options = &self.options;
        // What room there is belongs to those who need it, the reserve first.
        let is_short = self.is_disk_full() || self.reserve_missing.load(Ordering::Acquire);
        if self.spare.is_ready.load(Ordering::Acquire) || is_short {
            return Ok(false);
        }
        let files = options.files.as_ref();
        let spare = &self.spare;
        spare.is_given_up.store(false, Ordering::Release);
        spare.is_being_made.store(true, Ordering::Release);
        let go_on = || go_on() && !spare.is_given_up.load(Ordering::Acquire);
        let filled = fill(files, &options.dir, options.segment_bytes_max, &go_on);
        spare.is_being_made.store(false, Ordering::Release);
        if !filled? {
            return Ok(false);
        }
        self.spare.is_ready.store(true, Ordering::Release);
        if !self.spare.is_in_use.load(Ordering::Acquire) {
            self.begin_segment();
        }
        Ok(true)
    }
}

/// Makes a file of zeros that are on disk; false where it was to stop. Half of one is removed.
fn fill(files: &dyn Files, dir: &Path, bytes: u64, go_on: &dyn Fn() -> bool) -> io::Result<bool> {
    let path = dir.join(SPARE);
    let handle = files.create(&path)?;
    let step = usize::try_from(bytes.min(STEP_BYTES)).map_err(io::Error::other)?;
    let zeros = vec![0; step];
    let write = || -> io::Result<bool> {
        let mut left = bytes;
        while left > 0 {
            if !go_on() {
                return Ok(false);
            }
            let step = left.min(STEP_BYTES);
            handle.append(&zeros[..step as usize])?;
            handle.sync_data()?;
            left -= step;
        }
        Ok(true)
    };
    let filled = write();
    if !matches!(filled, Ok(true)) {
        let _ = files.remove(&path);
    }
    filled
}

impl Shared {
    /// Gives the spare the name of a segment, and opens it to be written over. The caller syncs the folder.
    pub(crate) fn begin_over_spare(&self, segment: &Path) -> io::Result<Arc<dyn FileHandle>> {
        let options = &self.options;
        let renamed = options.files.rename(&options.dir.join(SPARE), segment);
        // Only now, or the next one would be begun in this file; a file that cannot be renamed is written anew, too.
        self.spare.is_ready.store(false, Ordering::Release);
        renamed?;
        options.files.open_to_overwrite(segment)
    }
}
