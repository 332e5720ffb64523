//! What appends, the writer, readers and trimming share: the catalogue of segments and the durable position.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use meetnet_model::ids::Sequence;

use super::JournalOptions;
use super::error::JournalError;
use super::frame::FrameKey;
use super::segment::{Identity, Segment};
use super::spare::Spare;
use super::writer::Pending;

/// Called by the writer after each sync with the durable position: sequence and `recorded_at`.
pub type DurableCallback = Box<dyn Fn(Sequence, i64) + Send + Sync>;

type Callbacks = Arc<[Arc<dyn Fn(Sequence, i64) + Send + Sync>]>;

/// What an append was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its position in the journal; durable once [`Journal::durable`](super::Journal::durable) has reached it.
    pub sequence: Sequence,
    /// µs since 1970 UTC, strictly increasing with the sequence.
    pub recorded_at: i64,
}

/// How far the end of a journal's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// Nothing more is taken; what is pending is written.
    Stopping,
    Stopped,
}

/// Locks, also after another thread panicked: every critical section here leaves its data whole at each step.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The segments that are not trimmed, and the end of what is durable.
#[derive(Debug)]
pub(crate) struct Catalog {
    /// By number; never empty, the last one takes appends.
    segments: BTreeMap<u64, Segment>,
    durable: (Sequence, i64),
    /// Readers that have not come this far have lost frames.
    trimmed: Sequence,
    /// Copies under way: while there are any, nothing is trimmed.
    holds: u32,
    /// Frames that ask for an erasure which is not complete: while there are any, no copy is begun.
    erasing: BTreeSet<Sequence>,
}

/// State behind every handle of one journal.
pub(crate) struct Shared {
    pub(crate) options: JournalOptions,
    pub(crate) identity: Identity,
    pub(crate) key: FrameKey,
    pub(crate) pending: Mutex<Pending>,
    pub(crate) pending_changed: Condvar,
    catalog: Mutex<Catalog>,
    durable_changed: Condvar,
    callbacks: Mutex<Callbacks>,
    pub(crate) stored_bytes: AtomicU64,
    stopped: AtomicBool,
    pub(crate) spare: Spare,
    /// See `space`.
    pub(super) disk_full: AtomicBool,
    /// The reserve file is to be filled again.
    pub(super) reserve_missing: AtomicBool,
    /// But not before this, µs of the monotonic clock.
    pub(super) reserve_due_at: AtomicI64,
    /// Frames that were never written, and why: set when the journal stops on a failing disk.
    pub(crate) unwritten: Mutex<Option<(u64, io::Error)>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("dir", &self.options.dir)
            .finish_non_exhaustive()
    }
}

/// Where a reader stands in the catalogue.
#[derive(Debug)]
pub(crate) struct Position {
    /// The segment to read; none where it has been trimmed meanwhile.
    pub(crate) segment: Option<Segment>,
    /// The segment after it.
    pub(crate) next: Option<Segment>,
    pub(crate) trimmed: Sequence,
}

impl Shared {
    pub(crate) fn new(
        options: JournalOptions,
        identity: Identity,
        segments: Vec<Segment>,
        durable: (Sequence, i64),
        trimmed: Sequence,
    ) -> Self {
        let segments: BTreeMap<u64, Segment> = segments
            .into_iter()
            .map(|segment| (segment.name.number, segment))
            .collect();
        let stored: u64 = segments.values().map(|segment| segment.stored_bytes).sum();
        let (now, monotonic) = ((options.clock)(), (options.monotonic_clock)());
        Self {
            pending: Mutex::new(Pending::new(durable, now, monotonic)),
            options,
            identity,
            key: identity.key(),
            pending_changed: Condvar::new(),
            catalog: Mutex::new(Catalog {
                segments,
                durable,
                trimmed,
                holds: 0,
                erasing: BTreeSet::new(),
            }),
            durable_changed: Condvar::new(),
            callbacks: Mutex::new(Arc::new([])),
            stored_bytes: AtomicU64::new(stored),
            stopped: AtomicBool::new(false),
            spare: Spare::default(),
            disk_full: AtomicBool::new(false),
            reserve_missing: AtomicBool::new(false),
            reserve_due_at: AtomicI64::new(i64::MIN),
            unwritten: Mutex::new(None),
        }
    }

    pub(crate) fn durable(&self) -> (Sequence, i64) {
        locked(&self.catalog).durable
    }

    pub(crate) fn add_callback(&self, callback: DurableCallback) {
        // The writer may be walking the old list: it is replaced, not changed under it.
        let mut callbacks = locked(&self.callbacks);
        let all = callbacks
            .iter()
            .cloned()
            .chain([Arc::from(callback)])
            .collect();
        *callbacks = all;
    }

    /// Moves the durable end and tells everybody.
    pub(crate) fn publish(&self, sequence: Sequence, recorded_at: i64) {
        locked(&self.catalog).durable = (sequence, recorded_at);
        self.durable_changed.notify_all();
        metrics::gauge!("meetnet_journal_durable_sequence").set(sequence.0 as f64);
        let callbacks = Arc::clone(&locked(&self.callbacks));
        for callback in callbacks.iter() {
            callback(sequence, recorded_at);
        }
    }

    /// Waits until `sequence` is durable, or `wait_max` has passed: false then.
    pub(crate) fn wait_durable(
        &self,
        sequence: Sequence,
        wait_max: Duration,
    ) -> Result<bool, JournalError> {
        let is_open = |catalog: &mut Catalog| {
            catalog.durable.0 < sequence && !self.stopped.load(Ordering::Acquire)
        };
        let (catalog, _) = self
            .durable_changed
            .wait_timeout_while(locked(&self.catalog), wait_max, is_open)
            .unwrap_or_else(PoisonError::into_inner);
        if catalog.durable.0 >= sequence {
            Ok(true)
        } else if self.stopped.load(Ordering::Acquire) {
            Err(JournalError::Stopped)
        } else {
            Ok(false)
        }
    }

    /// Refuses appends from now on; the writer ends when nothing is pending.
    pub(crate) fn stop(&self) {
        let mut pending = locked(&self.pending);
        if pending.phase == Phase::Open {
            pending.phase = Phase::Stopping;
        }
        drop(pending);
        self.pending_changed.notify_all();
    }

    /// The writer is gone: nothing more becomes durable.
    pub(crate) fn mark_stopped(&self) {
        locked(&self.pending).phase = Phase::Stopped;
        // Under the lock that waiters hold while they look, or one could miss it and wait for ever.
        let catalog = locked(&self.catalog);
        self.stopped.store(true, Ordering::Release);
        drop(catalog);
        self.durable_changed.notify_all();
    }

    /// End of the newest segment: sequence and `recorded_at`.
    pub(crate) fn newest_end(&self) -> (Sequence, i64) {
        let catalog = locked(&self.catalog);
        let last = catalog
            .segments
            .last_key_value()
            .map_or(catalog.durable.0, |(_, s)| s.last);
        (last, catalog.durable.1)
    }

    /// Changes the newest segment after a sync. Whoever reads what it holds from now on finds the durable end behind it.
    pub(crate) fn update_newest(&self, change: impl FnOnce(&mut Segment)) {
        let mut catalog = locked(&self.catalog);
        let end = catalog.segments.last_entry().map(|mut newest| {
            let newest = newest.get_mut();
            change(newest);
            (newest.last, newest.last_recorded_at)
        });
        if let Some(end) = end {
            catalog.durable = catalog.durable.max(end);
        }
        self.count_stored(&catalog);
    }

    /// Adds a segment, or puts what has been written again in its place; readers that are in it start over.
    pub(crate) fn put_segment(&self, segment: Segment) {
        let mut catalog = locked(&self.catalog);
        let end = (segment.last, segment.last_recorded_at);
        catalog.durable = catalog.durable.max(end);
        catalog.segments.insert(segment.name.number, segment);
        self.count_stored(&catalog);
    }

    /// Returns the segments, oldest first.
    pub(crate) fn segments(&self) -> Vec<Segment> {
        locked(&self.catalog).segments.values().cloned().collect()
    }

    /// Keeps every segment until [`Shared::release_segments`] has been called as often as this; not while an erasure is
    /// not complete: its frame is the error.
    pub(crate) fn hold_segments(&self) -> Result<(), Sequence> {
        let mut catalog = locked(&self.catalog);
        if let Some(sequence) = catalog.erasing.first() {
            return Err(*sequence);
        }
        catalog.holds += 1;
        Ok(())
    }

    pub(crate) fn release_segments(&self) {
        locked(&self.catalog).holds -= 1;
    }

    /// Notes a request to erase; returns whether segments are held now.
    pub(crate) fn note_erasure(&self, sequence: Sequence) -> bool {
        let mut catalog = locked(&self.catalog);
        catalog.erasing.insert(sequence);
        catalog.holds > 0
    }

    pub(crate) fn end_erasure(&self, sequence: Sequence) {
        locked(&self.catalog).erasing.remove(&sequence);
    }

    /// Returns the segments, but the newest, that hold nothing after `through`, oldest first; none while they are held.
    pub(crate) fn trimmable(&self, through: Sequence) -> Vec<Segment> {
        if locked(&self.catalog).holds > 0 {
            return Vec::new();
        }
        let sealed = self.sealed().into_iter();
        sealed
            .take_while(|segment| segment.last <= through)
            .collect()
    }

    /// Returns the segments that nothing is appended to any more, oldest first.
    pub(crate) fn sealed(&self) -> Vec<Segment> {
        let catalog = locked(&self.catalog);
        let sealed = catalog.segments.len().saturating_sub(1);
        catalog.segments.values().take(sealed).cloned().collect()
    }

    pub(crate) fn forget_segment(&self, number: u64) {
        let mut catalog = locked(&self.catalog);
        if let Some(segment) = catalog.segments.remove(&number) {
            catalog.trimmed = catalog.trimmed.max(segment.last);
        }
        self.count_stored(&catalog);
    }

    fn count_stored(&self, catalog: &Catalog) {
        let stored = catalog
            .segments
            .values()
            .map(|segment| segment.stored_bytes)
            .sum();
        self.stored_bytes.store(stored, Ordering::Relaxed);
        metrics::gauge!("meetnet_journal_bytes").set(stored as f64);
    }

    /// Returns the segment in which a reader after `after` starts.
    pub(crate) fn locate(&self, after: Sequence) -> Result<Option<Segment>, JournalError> {
        let catalog = locked(&self.catalog);
        if after < catalog.trimmed {
            return Err(JournalError::Trimmed {
                after,
                first: catalog.trimmed,
            });
        }
        let segments = &catalog.segments;
        let at = segments
            .values()
            .rev()
            .find(|segment| segment.follows <= after);
        Ok(at.or_else(|| segments.values().next()).cloned())
    }

    /// Returns a segment as it is now, and its successor.
    pub(crate) fn position(&self, number: u64) -> Position {
        let catalog = locked(&self.catalog);
        Position {
            segment: catalog.segments.get(&number).cloned(),
            next: catalog
                .segments
                .range(number + 1..)
                .next()
                .map(|(_, segment)| segment.clone()),
            trimmed: catalog.trimmed,
        }
    }
}
