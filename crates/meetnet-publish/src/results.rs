//! Answers that are kept, as they were sent, for those who ask the same next: bounded in bytes, least recently used go
//! first.
//!
//! An answer is found by its question, and given as long as the tables are in the state that it was made from. What it
//! says of how far it reaches is then still true, if no longer the most there is to say.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use meetnet_lake::snapshot::LakeSnapshot;
use meetnet_model::hex::Hex;
use meetnet_model::ids::Sequence;
use meetnet_model::licence::Rights;
use meetnet_query::{AnswerState, Format, QueryAnswer, QueryRequest};
use sha2::{Digest, Sha256};

use crate::coding::Coding;
use crate::proof::Proof;

#[cfg(test)]
mod tests;

/// What one entry takes beside its bytes.
const ENTRY_BYTES: usize = 2048;
/// Answers larger than this share of the cache would empty it.
const ENTRY_SHARE_MAX: usize = 8;
/// Goes into every tag: another number where the same question to the same state gets other bytes than it did before.
const TAG_VERSION: &[u8] = b"2";

/// A question: what decides about the bytes of an answer, but for the state of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// Returns the key of a question.
    pub(crate) fn of(request: &QueryRequest, format: Format, coding: Coding) -> Self {
        let mut hash = Sha256::new();
        // With its length, so that no two lists of parts are one text.
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(request.sql.as_bytes());
        part(format!("{:?}", request.parameters).as_bytes());
        part(format!("{:?}", request.session).as_bytes());
        part(format!("{:?}", request.as_of).as_bytes());
        part(format!("{:?}", request.licences).as_bytes());
        part(format!("{:?}", request.row_limit).as_bytes());
        part(format.as_str().as_bytes());
        part(coding.as_str().as_bytes());
        Self(hash.finalize().into())
    }

    /// Returns the strong ETag of the answer to the question in a state of the tables, with its quotes.
    fn tag(&self, state: &AnswerState, answer: &QueryAnswer, format: Format) -> Arc<str> {
        let mut hash = Sha256::new();
        hash.update(TAG_VERSION);
        // The state of a table may outlast an update, and another release may compute and write otherwise.
        hash.update(env!("CARGO_PKG_VERSION"));
        hash.update(self.0);
        hash.update(state.to_string());
        hash.update(answer.rights.licence_text());
        hash.update(answer.rights.attribution_text());
        // They hang on what is declared, which is no state of a table.
        for hint in &answer.hints {
            hash.update(hint);
        }
        // Bytes that say how far they reach are others where they say more.
        if format.states_reach() || format == Format::Parquet {
            hash.update(answer.through.0.to_le_bytes());
            hash.update(answer.stable_time.to_le_bytes());
        }
        format!("\"{}\"", Hex(&hash.finalize()[..16])).into()
    }
}

/// What an answer says of itself, whoever is given it.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) through: Sequence,
    pub(crate) stable_time: i64,
    pub(crate) as_of: Option<i64>,
    pub(crate) rights: Rights,
    pub(crate) hints: Vec<String>,
    pub(crate) is_settled: bool,
    /// Strong ETag, where the same question to the same state has the same answer.
    pub(crate) tag: Option<Arc<str>>,
}

impl Made {
    /// Reads an answer's head.
    pub(crate) fn of(answer: &QueryAnswer, key: &Key, format: Format) -> Self {
        let tag = answer.state.as_ref();
        Self {
            through: answer.through,
            stable_time: answer.stable_time,
            as_of: answer.as_of,
            rights: answer.rights.clone(),
            hints: answer.hints.clone(),
            is_settled: answer.is_settled,
            tag: tag.map(|state| key.tag(state, answer, format)),
        }
    }
}

/// A kept answer.
#[derive(Debug)]
pub(crate) struct KeptAnswer {
    pub(crate) made: Made,
    pub(crate) bytes: Bytes,
    pub(crate) coding: Coding,
    pub(crate) proof: Proof,
}

/// The answers that are kept.
#[derive(Debug)]
pub(crate) struct ResultCache {
    bytes_max: usize,
    /// Bytes of answers that are under way: as many as may be kept, however slowly clients read.
    recorded: AtomicUsize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Key, Entry>,
    /// Keys by their last use.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    answer: Arc<KeptAnswer>,
    state: AnswerState,
    last_use: u64,
}

impl Kept {
    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.last_use);
            self.bytes -= entry.answer.bytes.len() + ENTRY_BYTES;
        }
    }
}

impl ResultCache {
    /// Returns an empty cache for so many bytes; 0 keeps nothing.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            recorded: AtomicUsize::new(0),
            kept: Mutex::default(),
        }
    }

    /// Every change is whole before the lock is given back, so a panic elsewhere leaves the cache usable.
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the answer to a question, where there is one that still holds.
    pub(crate) fn get(&self, key: &Key, snapshot: &LakeSnapshot) -> Option<Arc<KeptAnswer>> {
        let mut kept = self.kept();
        let holds = kept
            .entries
            .get(key)
            .map(|entry| entry.state.holds(snapshot));
        let result = if holds == Some(true) { "hit" } else { "miss" };
        metrics::counter!("meetnet_result_cache_total", "result" => result).increment(1);
        if holds? {
            kept.uses += 1;
            let now = kept.uses;
            let entry = kept.entries.get_mut(key)?;
            let before = std::mem::replace(&mut entry.last_use, now);
            let answer = Arc::clone(&entry.answer);
            kept.by_use.remove(&before);
            kept.by_use.insert(now, *key);
            return Some(answer);
        }
        kept.remove(key);
        None
    }

    /// Returns what keeps the answer to a question while it is sent.
    pub(crate) fn record(self: &Arc<Self>, key: Key, state: AnswerState, made: Made) -> Recording {
        Recording {
            taken: Taken {
                cache: Arc::clone(self),
                bytes: 0,
            },
            key,
            state,
            made,
            chunks: Vec::new(),
            left: self.bytes_max / ENTRY_SHARE_MAX,
        }
    }

    fn keep(&self, key: Key, state: AnswerState, answer: KeptAnswer) {
        let bytes = answer.bytes.len() + ENTRY_BYTES;
        if bytes > self.bytes_max {
            return;
        }
        let mut kept = self.kept();
        kept.remove(&key);
        while kept.bytes + bytes > self.bytes_max {
            let Some(oldest) = kept.by_use.values().next().copied() else {
                break;
            };
            kept.remove(&oldest);
        }
        kept.uses += 1;
        let last_use = kept.uses;
        kept.by_use.insert(last_use, key);
        let answer = Arc::new(answer);
        let entry = Entry {
            answer,
            state,
            last_use,
        };
        kept.entries.insert(key, entry);
        kept.bytes += bytes;
        metrics::gauge!("meetnet_result_cache_bytes").set(kept.bytes as f64);
    }
}

/// What one answer takes of the bytes that are recorded, until it is dropped.
struct Taken {
    cache: Arc<ResultCache>,
    bytes: usize,
}

impl Taken {
    /// Takes more; false: there is no room for it.
    fn grow(&mut self, bytes: usize) -> bool {
        let before = self.cache.recorded.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        before.saturating_add(bytes) <= self.cache.bytes_max
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.cache.recorded.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Gathers the bytes of one answer while they are sent.
pub(crate) struct Recording {
    taken: Taken,
    key: Key,
    state: AnswerState,
    made: Made,
    chunks: Vec<Bytes>,
    /// Bytes that may still come.
    left: usize,
}

impl Recording {
    /// Takes the next bytes; false: the answer is too large to be kept, or too many are recorded.
    pub(crate) fn add(&mut self, bytes: &Bytes) -> bool {
        let Some(left) = self.left.checked_sub(bytes.len()) else {
            return false;
        };
        if !self.taken.grow(bytes.len()) {
            return false;
        }
        self.left = left;
        self.chunks.push(bytes.clone());
        true
    }

    /// Keeps the answer, which is whole.
    pub(crate) fn keep(self, coding: Coding, proof: Proof) {
        let answer = KeptAnswer {
            made: self.made,
            bytes: self.chunks.concat().into(),
            coding,
            proof,
        };
        self.taken.cache.keep(self.key, self.state, answer);
    }
}
