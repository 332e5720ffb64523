//! Decoding before its turn: while the pipeline applies one group of a replay, the next ones are decoded on threads beside
//! it.
//!
//! `journal -> [groups in order] -> decoders, one per thread -> [groups in order] -> apply`
//!
//! What comes out does not depend on the threads: a group is decoded by itself, by the declarations in force, and whatever
//! looks at other rows (look-ups, quality history, DUP windows, counts of rejects) happens when it is applied, in the
//! order of the journal. A frame that changes by what is decoded, or erases, is a barrier: its group is taken by the pipeline
//! alone, and nothing behind it is read before that is done.
//!
//! It writes nothing, so a crash finds what it would have found without it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use meetnet_lake::journal::{FrameGroup, FrameKind, FrameRef};
use meetnet_model::declarations::Declarations;
use meetnet_model::privacy::PrivacyKey;
use tracing::warn;

use super::group::{GroupDecoder, Taken};
use crate::dup_window::payload_hash;

/// Groups that have been read and not applied, per thread that decodes, the pipeline's own included: one that it decodes,
/// and one that is ready or next.
const GROUPS_PER_THREAD: usize = 2;
/// Where groups of so many bytes wait, no other one is read: the group of a large message is as long as that, and what is
/// decoded of it several times as long.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// What has been made of a group.
pub(super) struct DecodedGroup {
    pub(super) taken: Taken,
    /// Of each frame that [`is_observed`]: the hash of its payload.
    pub(super) payload_hashes: Vec<[u8; 16]>,
}

/// What comes next in the order of the journal.
pub(super) enum Turn {
    /// To be applied.
    Decoded(Arc<FrameGroup>, DecodedGroup),
    /// To be decoded and applied as a whole, by whoever holds the tables.
    Alone(Arc<FrameGroup>),
}

/// A group that waits for its turn.
enum Waiting {
    /// Somebody decodes it, or will.
    Decoding(Arc<FrameGroup>, Receiver<DecodedGroup>),
    /// A barrier. Nothing waits behind it.
    Alone(Arc<FrameGroup>),
}

impl Waiting {
    fn bytes(&self) -> usize {
        match self {
            Self::Decoding(group, _) | Self::Alone(group) => group.bytes(),
        }
    }
}

/// A group to be decoded.
struct Job {
    group: Arc<FrameGroup>,
    done: Sender<DecodedGroup>,
}

impl Job {
    fn carry_out(self, decoder: &mut GroupDecoder) {
        let decoded = decode(decoder, &self.group);
        // Where the replay has ended, nobody wants it.
        let _ = self.done.send(decoded);
    }
}

/// Groups that have been read and not applied, and the threads that decode them.
pub(super) struct DecodeAhead {
    declarations: Arc<Declarations>,
    key: PrivacyKey,
    threads_max: usize,
    /// None once the threads are to end.
    jobs: Option<Sender<Job>>,
    /// Where the threads, and the pipeline while it would only wait, take what nobody has begun.
    open_jobs: Receiver<Job>,
    threads: Vec<JoinHandle<()>>,
    /// In the order of the journal.
    waiting: VecDeque<Waiting>,
    /// Length of the groups that wait.
    waiting_bytes: usize,
    waiting_bytes_max: usize,
}

impl DecodeAhead {
    /// Decodes by `declarations`, of which decoders have been built before; with `threads_max` of 0 everything is done by who
    /// calls [`DecodeAhead::next_turn`].
    pub(super) fn new(
        threads_max: usize,
        declarations: &Arc<Declarations>,
        key: &PrivacyKey,
    ) -> Self {
        let (jobs, open_jobs) = bounded(groups_max(threads_max));
        Self {
            declarations: Arc::clone(declarations),
            key: key.clone(),
            threads_max,
            jobs: Some(jobs),
            open_jobs,
            threads: Vec::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            waiting_bytes_max: WAITING_BYTES_MAX,
        }
    }

    /// Returns true where no group waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns true where another group may be read.
    pub(super) fn has_room(&self) -> bool {
        let is_barred = matches!(self.waiting.back(), Some(Waiting::Alone(_)));
        !is_barred
            && self.waiting.len() < groups_max(self.threads_max)
            && self.waiting_bytes < self.waiting_bytes_max
    }

    /// Takes the group behind those that wait.
    pub(super) fn push(&mut self, group: FrameGroup) {
        let group = Arc::new(group);
        self.waiting_bytes += group.bytes();
        if group.frames().any(|frame| is_barrier(&frame)) {
            self.waiting.push_back(Waiting::Alone(group));
            return;
        }
        // A single group is decoded as fast without them: most journals have no more after a clean end.
        if self.threads.is_empty() && !self.waiting.is_empty() {
            self.begin();
        }
        let (done, decoded) = bounded(1);
        if let Some(jobs) = &self.jobs {
            let group = Arc::clone(&group);
            // There is room for as many as wait, and it is open as long as `self` is: what did not come is decoded in its turn.
            let _ = jobs.try_send(Job { group, done });
        }
        self.waiting.push_back(Waiting::Decoding(group, decoded));
    }

    /// Returns the group whose turn it is, decoded; none where none waits. `own` decodes what nobody has begun, rather than
    /// wait; it is empty, and of the same declarations.
    pub(super) fn next_turn(&mut self, own: &mut GroupDecoder) -> Option<Turn> {
        let next = self.waiting.pop_front()?;
        self.waiting_bytes -= next.bytes();
        let (group, decoded) = match next {
            Waiting::Alone(group) => return Some(Turn::Alone(group)),
            Waiting::Decoding(group, decoded) => (group, decoded),
        };
        loop {
            match decoded.try_recv() {
                Ok(decoded) => return Some(Turn::Decoded(group, decoded)),
                Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {}
            }
            // Oldest first: what is waited for is among them, or under way.
            if let Ok(job) = self.open_jobs.try_recv() {
                job.carry_out(own);
                continue;
            }
            match decoded.recv() {
                Ok(decoded) => return Some(Turn::Decoded(group, decoded)),
                Err(_) => break,
            }
        }
        // Its thread has panicked. Decoded here, it does what it would have done without threads.
        let decoded = decode(own, &group);
        Some(Turn::Decoded(group, decoded))
    }

    /// Starts the threads. With fewer of them it takes longer, nothing else.
    fn begin(&mut self) {
        for _ in 0..self.threads_max {
            let Ok(mut decoder) = GroupDecoder::new(&self.declarations, &self.key) else {
                return;
            };
            let open_jobs = self.open_jobs.clone();
            let started = thread::Builder::new()
                .name("replay-decode".to_owned())
                .spawn(move || {
                    for job in open_jobs {
                        job.carry_out(&mut decoder);
                    }
                });
            match started {
                Ok(thread) => self.threads.push(thread),
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    warn!(error, "the journal is replayed by fewer threads");
                    return;
                }
            }
        }
    }
}

impl Drop for DecodeAhead {
    fn drop(&mut self) {
        // A replay that was ended in the middle does not wait for what nobody has begun.
        while self.open_jobs.try_recv().is_ok() {}
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // What it panicked at has been said when it did.
            let _ = thread.join();
        }
    }
}

/// Groups that may wait.
fn groups_max(threads_max: usize) -> usize {
    match threads_max {
        // Nothing is gained by reading ahead.
        0 => 1,
        threads_max => GROUPS_PER_THREAD * (threads_max + 1),
    }
}

/// Returns true where frames behind this one may be decoded otherwise than those before it, or not be there any more.
fn is_barrier(frame: &FrameRef<'_>) -> bool {
    matches!(frame.kind, FrameKind::Declarations | FrameKind::Erase)
}

/// Returns true for frames that a DUP window has to know.
pub(super) fn is_observed(frame: &FrameRef<'_>) -> bool {
    frame.kind == FrameKind::Envelope && frame.packet_id != 0
}

fn decode(decoder: &mut GroupDecoder, group: &FrameGroup) -> DecodedGroup {
    let mut payload_hashes = Vec::new();
    for frame in group.frames() {
        if is_observed(&frame) {
            payload_hashes.push(payload_hash(frame.payload));
        }
        if matches!(frame.kind, FrameKind::Envelope | FrameKind::Replay) {
            decoder.decode(&frame);
        }
    }
    DecodedGroup {
        taken: decoder.take(),
        payload_hashes,
    }
}

#[cfg(test)]
mod tests;
