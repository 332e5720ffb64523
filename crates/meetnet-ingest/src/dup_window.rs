//! The DUP window: what lets a redelivered MQTT publish be acknowledged without a second row.
//!
//! `mqtt::flow -> [dup_window] -> journal checkpoint`, and at start `checkpoint, replayed frames -> [dup_window]`
//!
//! A broker that did not see a PUBACK sends the publish again after the next CONNACK, flagged DUP, in the original
//! order (MQTT 5, 4.4 and 4.6). Per source, the window holds the last journalled publishes whose PUBACK is not proven
//! to have arrived. Rules:
//!
//! - An entry is made when the publish is appended, not when it is durable: a redelivery after a reconnect without a
//!   crash must find it. Its acknowledgement waits for the original's sync all the same.
//! - Packet ids of unacknowledged publishes are distinct, so a new publish with an id proves the older entry's PUBACK.
//! - The answer to a question that left after the PUBACK proves it too, as both travel on one ordered connection: a
//!   PINGREQ, or a probe (an UNSUBSCRIBE of a filter that nobody uses), as no PINGREQ leaves while others do.
//! - Redelivered publishes match in window order only (the *run*). The first one that matches nothing was received
//!   but never journalled; everything the broker sent after it is newer than the window, so the run ends there.
//! - The broker has no session: nothing will be redelivered, and ids start afresh. The window is cleared.
//! - A window is a session's, whatever the sources were called that have had it: see `history`.
//!
//! It is not a general deduplication: equal messages with different ids are different messages.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use meetnet_lake::journal::DupEntry;
use meetnet_model::ids::{Sequence, SourceId};
use sha2::{Digest, Sha256};

use self::history::Routes;
use crate::epoch::Epoch;

mod history;

pub use self::history::SessionHistory;

#[cfg(test)]
mod tests;

/// Most entries: every packet id once. The receive maximum would do if brokers kept to it, but Mosquitto 2.0.11 sends
/// as many again for each PUBACK while its queue is long. Proofs keep the window far smaller.
const ENTRIES_MAX: usize = u16::MAX as usize;

/// How a DUP publish relates to the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// Journalled before this connection as the given sequence.
    Redelivered(Sequence),
    /// Journalled on this very connection: a broker that repeats without a reconnect.
    Repeated(Sequence),
}

/// What is asked of a broker to learn that it has read everything before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    Ping,
    Probe,
}

/// The window of one source.
#[derive(Debug)]
pub(crate) struct DupWindow {
    /// In receive order; `None` where an entry was proven.
    entries: VecDeque<Option<DupEntry>>,
    /// Index of `entries[0]`, counted since the window was made.
    first: u64,
    /// Packet id to index; every live entry has its own id.
    by_id: HashMap<u16, u64>,
    entries_max: usize,
    /// Entries below this index are from before the connection.
    connection_start: u64,
    /// Where the next redelivered publish may match; `None` once the run has ended.
    run: Option<u64>,
    /// Indices whose PUBACK left on this connection, oldest first.
    left: VecDeque<u64>,
    /// Per question: how many of `left` had gone when the outstanding one left.
    covers: [Option<usize>; 2],
    /// Epoch of the last recovered frame, to see a lost session in the journal.
    recovered_epoch: Option<Epoch>,
}

impl Default for DupWindow {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            by_id: HashMap::new(),
            entries_max: ENTRIES_MAX,
            connection_start: 0,
            run: None,
            left: VecDeque::new(),
            covers: [None; 2],
            recovered_epoch: None,
        }
    }
}

impl DupWindow {
    /// Starts a connection.
    pub(crate) fn connected(&mut self, session_present: bool) {
        if !session_present {
            self.clear();
        }
        self.connection_start = self.end();
        self.run = Some(self.first);
        self.left.clear();
        self.covers = [None; 2];
    }

    /// Looks a publish with the DUP flag up, and moves or ends the run.
    pub(crate) fn find(
        &mut self,
        packet_id: u16,
        topic: &str,
        payload_hash: [u8; 16],
    ) -> Option<Match> {
        let found = self.by_id.get(&packet_id).copied().and_then(|index| {
            let entry = self.entries.get((index - self.first) as usize)?.as_ref()?;
            let equal = entry.payload_hash == payload_hash && *entry.topic == *topic;
            equal.then_some((index, entry.sequence))
        });
        match (found, self.run) {
            (Some((index, sequence)), _) if index >= self.connection_start => {
                Some(Match::Repeated(sequence))
            }
            (Some((index, sequence)), Some(next)) if index >= next => {
                self.run = Some(index + 1);
                Some(Match::Redelivered(sequence))
            }
            _ => {
                self.run = None;
                None
            }
        }
    }

    /// Adds a publish that was appended to the journal. An older entry with its id is proven: the broker gives an id
    /// out again only after its PUBACK.
    pub(crate) fn journalled(
        &mut self,
        packet_id: u16,
        topic: &str,
        payload_hash: [u8; 16],
        sequence: Sequence,
    ) {
        self.push(DupEntry {
            packet_id,
            topic: topic.into(),
            payload_hash,
            sequence,
        });
    }

    /// Notes that the PUBACK of `packet_id` was written to the connection.
    pub(crate) fn ack_left(&mut self, packet_id: u16) {
        if let Some(index) = self.by_id.get(&packet_id) {
            self.left.push_back(*index);
            // Older ones have left the window by its size already.
            if self.left.len() > self.entries_max {
                self.take_left(1);
            }
        }
    }

    /// Notes that a question was written: its answer proves every PUBACK before it.
    pub(crate) fn question_left(&mut self, question: Question) {
        self.covers[question as usize] = Some(self.left.len());
    }

    /// Removes what the answer to the outstanding question proves.
    pub(crate) fn question_answered(&mut self, question: Question) {
        let covers = self.covers[question as usize].take().unwrap_or(0);
        for index in self.take_left(covers) {
            self.remove(index);
        }
        self.drop_empty_front();
    }

    /// Returns how many PUBACKs left on this connection and are not proven.
    pub(crate) fn unproven(&self) -> usize {
        self.left.len()
    }

    /// Whether the outstanding probe has no answer yet.
    pub(crate) fn is_probing(&self) -> bool {
        self.covers[Question::Probe as usize].is_some()
    }

    fn take_left(&mut self, count: usize) -> Vec<u64> {
        let count = count.min(self.left.len());
        for covers in self.covers.iter_mut().flatten() {
            *covers = covers.saturating_sub(count);
        }
        self.left.drain(..count).collect()
    }

    /// Removes every entry; the run over them ends.
    pub(crate) fn clear(&mut self) {
        self.first = self.end();
        self.entries.clear();
        self.by_id.clear();
        self.left.clear();
        self.covers = [None; 2];
        self.run = None;
    }

    /// Removes the entries of frames that are erased.
    fn forget(&mut self, sequences: &BTreeSet<Sequence>) {
        let entries = (self.first..).zip(&self.entries);
        let gone: Vec<u64> = entries
            .filter_map(|(index, entry)| Some((index, entry.as_ref()?)))
            .filter(|(_, entry)| sequences.contains(&entry.sequence))
            .map(|(index, _)| index)
            .collect();
        gone.into_iter().for_each(|index| self.remove(index));
        self.drop_empty_front();
    }

    /// Returns how many entries are live.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn push(&mut self, entry: DupEntry) {
        let index = self.end();
        if let Some(older) = self.by_id.insert(entry.packet_id, index) {
            let slot = &mut self.entries[(older - self.first) as usize];
            *slot = None;
        }
        self.entries.push_back(Some(entry));
        self.drop_empty_front();
        self.evict();
    }

    fn remove(&mut self, index: u64) {
        let Some(position) = index.checked_sub(self.first) else {
            return;
        };
        let Some(slot) = self.entries.get_mut(position as usize) else {
            return;
        };
        if let Some(entry) = slot.take() {
            self.by_id.remove(&entry.packet_id);
        }
    }

    fn evict(&mut self) {
        while self.entries.len() > self.entries_max {
            if let Some(Some(entry)) = self.entries.pop_front() {
                self.by_id.remove(&entry.packet_id);
            }
            self.first += 1;
        }
    }

    fn drop_empty_front(&mut self) {
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
            self.first += 1;
        }
    }
}

/// The windows of all sources, shared with what writes checkpoints.
#[derive(Clone, Debug, Default)]
pub struct DupWindows {
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    /// By the source that has the session.
    windows: BTreeMap<SourceId, Arc<Mutex<DupWindow>>>,
    /// Which windows what sources journalled under other sessions, or other ids, belongs into.
    routes: Routes,
    /// What holds once the windows have been handed over.
    next_routes: Option<Routes>,
}

impl Known {
    /// Returns the window of a source, made empty on first use.
    fn window(&mut self, source: &SourceId) -> Arc<Mutex<DupWindow>> {
        Arc::clone(self.windows.entry(source.clone()).or_default())
    }
}

impl DupWindows {
    /// Says who has which session, and had it before; before [`restore`](Self::restore).
    pub fn begin_with(&self, history: &SessionHistory) {
        lock(&self.known).routes = Routes::of(history);
    }

    /// The same of sources that are to be exchanged while others run: it holds from the moment at which their windows are handed
    /// over.
    pub fn exchange_by(&self, history: &SessionHistory) {
        lock(&self.known).next_routes = Some(Routes::of(history));
    }

    /// Returns the entries with a sequence of at most `through`, per source that journalled them, in receive order, for the
    /// checkpoint that ends there. Later ones are found in the replayed frames again, if they were synced; if they were not,
    /// their redelivery must make a row.
    pub fn snapshot(&self, through: Sequence) -> BTreeMap<SourceId, Vec<DupEntry>> {
        let known = lock(&self.known);
        let mut by_source: BTreeMap<SourceId, Vec<DupEntry>> = BTreeMap::new();
        for (source, window) in &known.windows {
            let window = lock(window);
            let entries = window.entries.iter().flatten();
            for entry in entries.filter(|entry| entry.sequence <= through) {
                let origin = known.routes.origin(source, entry.sequence);
                by_source.entry(origin).or_default().push(entry.clone());
            }
        }
        // One source may have had several sessions.
        for entries in by_source.values_mut() {
            entries.sort_by_key(|entry| entry.sequence);
        }
        by_source
    }

    /// Forgets the frames that are erased: an entry holds the topic. A broker that delivers one of them again is not
    /// recognised.
    pub(crate) fn forget(&self, sequences: &BTreeSet<Sequence>) {
        for window in lock(&self.known).windows.values() {
            lock(window).forget(sequences);
        }
    }

    /// Starts from a checkpoint's windows; before any source connects and before
    /// [`observe_recovered`](Self::observe_recovered).
    pub fn restore(&self, checkpoint: BTreeMap<SourceId, Vec<DupEntry>>) {
        let mut known = lock(&self.known);
        let mut by_heir: BTreeMap<SourceId, Vec<DupEntry>> = BTreeMap::new();
        for (source, entries) in checkpoint {
            for entry in entries {
                if let Some(heir) = known.routes.heir(&source, entry.sequence) {
                    by_heir.entry(heir).or_default().push(entry);
                }
            }
        }
        for (source, mut entries) in by_heir {
            entries.sort_by_key(|entry| entry.sequence);
            let window = known.window(&source);
            let mut window = lock(&window);
            window.clear();
            entries.into_iter().for_each(|entry| window.push(entry));
        }
    }

    /// Adds a frame found after the checkpoint; in ascending sequence. Frames of QoS 0 (packet id 0) are skipped.
    pub fn observe_recovered(
        &self,
        source: &SourceId,
        epoch: u32,
        packet_id: u16,
        topic: &str,
        payload: &[u8],
        sequence: Sequence,
    ) {
        if packet_id != 0 {
            let hash = payload_hash(payload);
            self.observe_hashed(source, epoch, packet_id, topic, hash, sequence);
        }
    }

    /// The same for a frame of QoS 1, the hash of whose payload is known: that is most of the work.
    pub(crate) fn observe_hashed(
        &self,
        source: &SourceId,
        epoch: u32,
        packet_id: u16,
        topic: &str,
        payload_hash: [u8; 16],
        sequence: Sequence,
    ) {
        let window = {
            let mut known = lock(&self.known);
            let Some(heir) = known.routes.heir(source, sequence) else {
                return;
            };
            known.window(&heir)
        };
        let mut window = lock(&window);
        let epoch = Epoch::from_frame(epoch);
        if epoch.is_new_session() && window.recovered_epoch.is_some_and(|last| last != epoch) {
            // The broker had lost the session between two frames: ids of older frames mean nothing any more. The
            // first frame after a checkpoint is no such change: the checkpoint's entries may be of its own session.
            window.clear();
        }
        window.recovered_epoch = Some(epoch);
        window.journalled(packet_id, topic, payload_hash, sequence);
    }

    /// Lets sources go on with the windows of others, whose sessions they have now: (before, after). All at once, since
    /// two may have exchanged their sessions. None of them may be connected.
    pub(crate) fn hand_over(&self, moves: &[(SourceId, SourceId)]) {
        let mut known = lock(&self.known);
        let windows = &mut known.windows;
        let taken = moves.iter().map(|(before, _)| windows.remove(before));
        let taken: Vec<_> = taken.collect();
        for ((_, after), window) in moves.iter().zip(taken) {
            // What a source remembers of a session that it no longer has means nothing in this one.
            match window {
                Some(window) => windows.insert(after.clone(), window),
                None => windows.remove(after),
            };
        }
        if let Some(routes) = known.next_routes.take() {
            known.routes = routes;
        }
    }

    /// Returns the window of a source, made empty on first use.
    pub(crate) fn window(&self, source: &SourceId) -> Arc<Mutex<DupWindow>> {
        lock(&self.known).window(source)
    }
}

/// Returns the first half of the payload's SHA-256: stored in checkpoints, so it must stay what it is.
pub(crate) fn payload_hash(payload: &[u8]) -> [u8; 16] {
    let whole = <[u8; 32]>::from(Sha256::digest(payload));
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

/// Locks, also after a panic elsewhere: every change of a window is complete before its guard drops.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
