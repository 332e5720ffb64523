//! Which files of a lake this process knows to be damaged, so that nobody is given what is in them: a page with a changed
//! bit may decode all the same.
//!
//! ```text
//! scrub ─▶ [known] ◀─ asked by who gives values on: queries, downloads, derivations, figures
//!   ▲         │
//!   └─ suspected: found broken by whoever read the file ─┘
//! ```
//!
//! Commits and merges compare what they copy themselves. Look-ups of keys do not ask: one damaged file must not keep new rows
//! out of its dataset. Nor is a file noted that is missing: who opens it notices, and who puts it back waits for nothing.
//!
//! What the scrub has found is also noted in the lake (`notes`), so that the next process knows it before it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Damage;
use crate::error::LakeError;

/// Files that wait to be examined; those beyond are found by whoever reads them next, or by the next round.
const SUSPECTED_MAX: usize = 256;

/// The damaged files of a lake, by their path in it.
#[derive(Debug, Default)]
pub struct DamagedFiles {
    files: Mutex<Files>,
    revision: AtomicU64,
    /// Whether the notes of earlier processes have been read; held meanwhile, so that nobody answers without them.
    is_recalled: Mutex<bool>,
}

#[derive(Debug, Default)]
struct Files {
    damaged: BTreeMap<String, Damage>,
    suspected: BTreeSet<String>,
    /// Those that a note in the lake names.
    noted: BTreeSet<String>,
}

impl DamagedFiles {
    /// Every change is whole before the lock is given back.
    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that rises whenever a file is found damaged, or whole again: what was made of files before may hold what
    /// must not be answered.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::Acquire)
    }

    /// Returns what is wrong with a file; None where nothing is known to be.
    pub(crate) fn of(&self, path: &str) -> Option<Damage> {
        self.files().damaged.get(path).copied()
    }

    /// Notes what is wrong with a file, or that nothing is.
    pub(crate) fn note(&self, path: &str, damage: Option<Damage>) {
        let mut files = self.files();
        let before = match damage {
            Some(damage) => files.damaged.insert(path.to_owned(), damage),
            None => files.damaged.remove(path),
        };
        if before != damage {
            self.revision.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Notes that somebody has found a file broken.
    pub(crate) fn suspect(&self, path: String) {
        let mut files = self.files();
        if files.suspected.len() < SUSPECTED_MAX {
            files.suspected.insert(path);
        }
    }

    /// Returns the files that somebody has found broken, each once.
    pub(crate) fn take_suspected(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.files().suspected)
    }

    /// Takes what `read` finds noted in the lake, once for all readers of this process.
    ///
    /// # Errors
    /// Those of `read`: the next call tries again.
    pub(crate) fn recall(
        &self,
        read: impl FnOnce() -> Result<Vec<(String, Damage)>, LakeError>,
    ) -> Result<(), LakeError> {
        let is_recalled = self.is_recalled.lock();
        let mut is_recalled = is_recalled.unwrap_or_else(PoisonError::into_inner);
        if *is_recalled {
            return Ok(());
        }
        for (path, damage) in read()? {
            self.note(&path, Some(damage));
            self.files().noted.insert(path);
        }
        *is_recalled = true;
        Ok(())
    }

    /// Returns the files that are known to be damaged.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.files().damaged.keys().cloned().collect()
    }

    /// Returns the files that a note in the lake names.
    pub(crate) fn noted(&self) -> BTreeSet<String> {
        self.files().noted.clone()
    }

    /// Returns whether a note in the lake names a file, and how many do.
    pub(crate) fn is_noted(&self, path: &str) -> (bool, usize) {
        let files = self.files();
        (files.noted.contains(path), files.noted.len())
    }

    /// Says that a note in the lake names a file.
    pub(crate) fn note_written(&self, path: &str) {
        self.files().noted.insert(path.to_owned());
    }

    /// Says that none does any more; returns whether one did.
    pub(crate) fn note_removed(&self, path: &str) -> bool {
        self.files().noted.remove(path)
    }
}
