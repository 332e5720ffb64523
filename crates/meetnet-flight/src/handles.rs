//! What the service keeps for clients between their calls, found by random numbers that nobody can guess: tickets,
//! prepared statements and logins.
//!
//! Bounded in number, bytes and time. What is full lets go of what was made, or used, the longest ago: its client asks
//! again, and nobody can keep others out by taking every place. No clock: the caller passes `now`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Bytes of a number: nobody tries 2^128.
const ID_BYTES: usize = 16;
/// What one entry takes beside what it holds.
const ENTRY_BYTES: usize = 512;

/// The number of an entry.
pub(crate) type Id = [u8; ID_BYTES];

/// Bounds of [`Handles`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) count_max: usize,
    pub(crate) bytes_max: usize,
    /// How long an entry lives after it was made, or renewed.
    pub(crate) time_max: Duration,
}

/// Entries by their numbers.
#[derive(Debug)]
pub(crate) struct Handles<T> {
    bounds: Bounds,
    kept: Mutex<Kept<T>>,
}

#[derive(Debug)]
struct Kept<T> {
    entries: HashMap<Id, Entry<T>>,
    /// Numbers of entries by when they were made or renewed. All live equally long, so they end in this order, too.
    by_age: BTreeMap<u64, Id>,
    /// The place of the newest in `by_age`.
    newest: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    bytes: usize,
    age: u64,
    ends: Instant,
}

impl<T> Kept<T> {
    fn remove(&mut self, id: &Id) -> Option<T> {
        let entry = self.entries.remove(id)?;
        self.by_age.remove(&entry.age);
        self.bytes -= entry.bytes;
        Some(entry.value)
    }

    fn add(&mut self, id: Id, value: T, bytes: usize, ends: Instant) {
        self.newest += 1;
        self.by_age.insert(self.newest, id);
        self.bytes += bytes;
        let entry = Entry {
            value,
            bytes,
            age: self.newest,
            ends,
        };
        self.entries.insert(id, entry);
    }

    /// Lets go of what has ended, and of the oldest until there is room for one of so many bytes.
    fn make_room(&mut self, bytes: usize, bounds: Bounds, now: Instant) {
        while let Some(oldest) = self.by_age.values().next().copied() {
            let has_ended = self
                .entries
                .get(&oldest)
                .is_none_or(|entry| entry.ends <= now);
            let is_full =
                self.entries.len() >= bounds.count_max || self.bytes + bytes > bounds.bytes_max;
            if !has_ended && !is_full {
                break;
            }
            self.remove(&oldest);
        }
    }
}

impl<T: Clone> Handles<T> {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let kept = Kept {
            entries: HashMap::new(),
            by_age: BTreeMap::new(),
            newest: 0,
            bytes: 0,
        };
        Self {
            bounds,
            kept: Mutex::new(kept),
        }
    }

    /// Every change is whole before the lock is given back, so a panic elsewhere leaves the entries usable.
    fn kept(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a value that takes so many bytes; returns its number.
    pub(crate) fn put(&self, value: T, bytes: usize, now: Instant) -> Id {
        let id: Id = rand::random();
        let bytes = bytes.saturating_add(ENTRY_BYTES);
        let mut kept = self.kept();
        kept.make_room(bytes, self.bounds, now);
        kept.add(id, value, bytes, now + self.bounds.time_max);
        id
    }

    /// Returns the value with a number, if it has not ended.
    pub(crate) fn get(&self, id: &[u8], now: Instant) -> Option<T> {
        let kept = self.kept();
        let entry = kept.entries.get(&Id::try_from(id).ok()?)?;
        (entry.ends > now).then(|| entry.value.clone())
    }

    /// As [`Self::get`]; the value lives as long again.
    pub(crate) fn renew(&self, id: &[u8], now: Instant) -> Option<T> {
        let id = Id::try_from(id).ok()?;
        let mut kept = self.kept();
        let entry = kept.entries.get(&id)?;
        let bytes = entry.bytes;
        if entry.ends <= now {
            return None;
        }
        let value = kept.remove(&id)?;
        kept.add(id, value.clone(), bytes, now + self.bounds.time_max);
        Some(value)
    }

    /// Puts another value under a number that is in use, which lives as long again; does nothing where it has ended.
    pub(crate) fn replace(&self, id: &[u8], value: T, bytes: usize, now: Instant) {
        let Ok(id) = Id::try_from(id) else {
            return;
        };
        let bytes = bytes.saturating_add(ENTRY_BYTES);
        let mut kept = self.kept();
        if kept.remove(&id).is_some() {
            kept.make_room(bytes, self.bounds, now);
            kept.add(id, value, bytes, now + self.bounds.time_max);
        }
    }

    /// Lets go of the value with a number.
    pub(crate) fn remove(&self, id: &[u8]) {
        if let Ok(id) = Id::try_from(id) {
            self.kept().remove(&id);
        }
    }
}
