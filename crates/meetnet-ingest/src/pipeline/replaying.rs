//! The replay of a start: frames that were journalled and not committed before the process ended are applied again, while
//! readers see what is committed and what has been applied so far.
//!
//! `thread that replays -> [ReplayWatch] -> /readyz, operations page, whoever is told to stop`
//!
//! **A crash** in the middle, or a stop, leaves what any crash leaves: commits that the replay made are in the tables, and
//! the next one skips their frames. T does not move in a replay, unless an erasure moves it, with the state that belongs to
//! it: so the history of the quality tests, the DUP windows and the rejects are rebuilt from the same frames.
//!
//! **What the quality tests could take back** goes with the commits of the replay, in memory alone: how many frames there are
//! is no limit of it.
//!
//! **Groups are decoded ahead** (`ahead`), and applied one after the other in the order of the journal: rows, their
//! `recorded_at`, flags and rejects are those of a replay on one thread. What is decoded and not applied when it ends, for
//! whatever reason, is lost like any memory: its frames are in the journal.
//!
//! **Commits go on, merges wait** until it has ended, unless runs pile up: memory and the number of files stay bounded, and what
//! was committed meanwhile is merged once instead of by eights.
//!
//! **A frame that revises a committed row** masks it, as ever; the answer before was the committed one, with the position
//! that says so. **An erasure** is met at its frame: what it takes away is shown until then, as it was before the crash,
//! unless it had gone already.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use meetnet_lake::journal::Recovery;
use meetnet_lake::lake::Lake;
use meetnet_model::ids::Sequence;

use super::ahead::{DecodeAhead, Turn};
use super::run::{Runner, Step};
use super::{PipelineError, Replayed};

/// Time between two moments at which readers are shown what a replay has applied: each may cost a copy of every mask.
const SHOWN_PAUSE: Duration = Duration::from_millis(100);

/// A handle on a replay, which may not have begun; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ReplayWatch(Arc<Watched>);

#[derive(Debug, Default)]
struct Watched {
    /// Position before the first frame, and that of the last one; set once the journal has been read.
    span: OnceLock<(u64, u64)>,
    reached: AtomicU64,
    is_stopped: AtomicBool,
}

/// How far a replay has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplayProgress {
    /// Frames that have been applied.
    pub frames: u64,
    /// Frames that there are to apply.
    pub frames_total: u64,
}

impl ReplayWatch {
    /// Returns how far the replay has come; None before its length is known.
    pub fn progress(&self) -> Option<ReplayProgress> {
        let (before, last) = *self.0.span.get()?;
        let frames_total = last.saturating_sub(before);
        let reached = self.0.reached.load(Relaxed);
        Some(ReplayProgress {
            frames: reached.saturating_sub(before).min(frames_total),
            frames_total,
        })
    }

    /// Ends the replay where it is: [`Pipeline::start`](super::Pipeline::start) fails with
    /// [`PipelineError::Interrupted`](super::PipelineError::Interrupted), or has succeeded already. Nothing is lost: the
    /// journal keeps every frame that is not committed.
    pub fn stop(&self) {
        self.0.is_stopped.store(true, Relaxed);
    }

    /// Returns true where [`stop`](Self::stop) has been called.
    pub fn is_stopped(&self) -> bool {
        self.0.is_stopped.load(Relaxed)
    }

    /// Says that frames behind `before` are replayed, up to `last`.
    pub(super) fn begin(&self, before: Sequence, last: Sequence) {
        // A watch is of one replay.
        let _ = self.0.span.set((before.0, last.0));
    }

    /// Says that every frame up to `position` has been applied.
    pub(super) fn reach(&self, position: Sequence) {
        self.0.reached.store(position.0, Relaxed);
    }
}

impl Runner {
    /// Applies every frame that was recovered. Readers see what is committed at once, and what has been applied beside it
    /// every tenth of a second and at the end: a table never says less than it did, since the frames that it holds
    /// already are skipped and count as applied.
    ///
    /// `between` is called after each step: [`Step::Took`], or [`Step::Full`] where a commit has to end first. Its error
    /// ends the replay, for who wants no more of it, or knows that no commit will end.
    ///
    /// # Errors
    /// Where journal or tables cannot be read or written; only a restart helps.
    pub fn replay(
        &mut self,
        recovery: &Recovery,
        mut between: impl FnMut(&mut Lake, Step) -> Result<(), PipelineError>,
    ) -> Result<Replayed, PipelineError> {
        let last = recovery.last_sequence;
        let mut replayed = Replayed::default();
        self.lake.publish();
        // They would take processors from what decodes and applies; readers gain little from them in these seconds.
        self.lake.put_merges_off(true);
        let mut shown_at = self.lake.now();
        let mut ahead = self.decode_ahead();
        while !ahead.is_empty() || self.reader.position() < last {
            if self.erase_retry_at.is_some() {
                self.observe_behind(last)?;
                break;
            }
            self.tick_lake()?;
            self.give_reserve();
            self.retry_waiting()?;
            let step = if self.is_full() {
                Step::Full
            } else {
                self.read_ahead(&mut ahead, last)?;
                match ahead.next_turn(&mut self.decoder) {
                    Some(Turn::Decoded(group, decoded)) => {
                        replayed.frames += group.len() as u64;
                        replayed.applied += self.take_decoded(&group, &decoded)?;
                    }
                    Some(Turn::Alone(group)) => {
                        replayed.frames += group.len() as u64;
                        replayed.applied += self.take_group(&group)?;
                        // Nobody waits for what an earlier run was sent.
                        self.untold.clear();
                        // By what is in force now.
                        ahead = self.decode_ahead();
                    }
                    None => break,
                }
                Step::Took
            };
            let now = self.lake.now();
            if now.duration_since(shown_at) >= SHOWN_PAUSE {
                self.lake.publish();
                shown_at = now;
            }
            between(&mut self.lake, step)?;
        }
        self.replaying = false;
        self.lake.put_merges_off(false);
        self.lake.redeclare(&self.declarations)?;
        if self.lake.through() == last {
            // Also where everything was trimmed and nothing had to be replayed.
            self.lake.advance(last, recovery.last_recorded_at);
        }
        self.lake.publish();
        Ok(replayed)
    }

    fn decode_ahead(&self) -> DecodeAhead {
        let threads_max = self.options.limits.replay_threads_max;
        DecodeAhead::new(
            threads_max,
            self.decoder.decoders().declarations(),
            &self.key,
        )
    }

    /// Reads as many groups up to `last` as may wait. How many that are depends on nothing but limits and frames, so that
    /// the files see the same operations whoever decodes faster.
    fn read_ahead(&mut self, ahead: &mut DecodeAhead, last: Sequence) -> Result<(), PipelineError> {
        let bytes_max = self.options.limits.group_bytes_max;
        while ahead.has_room() && self.reader.position() < last {
            match self.reader.read_group(bytes_max) {
                Ok(Some(group)) => ahead.push(group),
                Ok(None) => break,
                // What was read before comes first; where the error stays, it comes again behind that.
                Err(_) if !ahead.is_empty() => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
