//! What the tables owe: everything recorded, in order, by the rules of the upsert. It knows no files, no masks and no
//! commits; it is slow and short on purpose.
//!
//! ```text
//! key unknown                    -> current, revision 0
//! same value                     -> nothing; where it is to be kept as a confirmation, and later: as below
//! earlier in the order           -> history, unless that holds it
//! later in the order             -> current, revision + 1; the old one is history from then on
//! order = (declared precedence of the source, received_at, order of recording)
//! ```

use std::collections::{BTreeMap, BTreeSet};

use meetnet_model::ids::DatasetId;

/// Datasets of the schedules; `rejects` is keyed by frame.
pub(super) const DATASETS: [&str; 3] = ["air", "heat", "rejects"];

/// What identifies a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) dataset: &'static str,
    /// The other key columns, joined.
    pub(super) name: String,
    /// µs.
    pub(super) time: i64,
}

/// One version of a row, as readers see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) key: Key,
    /// Bits of the value.
    pub(super) value: Option<u64>,
    pub(super) source: String,
    pub(super) licence: String,
    pub(super) revision: i64,
    pub(super) received_at: i64,
    pub(super) recorded_at: i64,
    /// None while it is current.
    pub(super) superseded_at: Option<i64>,
}

/// Something recorded that changes rows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Event {
    /// A message, or one row of an import.
    Rows {
        source: &'static str,
        licence: &'static str,
        received_at: i64,
        recorded_at: i64,
        /// They are kept where they say again what is stored.
        confirms: bool,
        rows: Vec<(Key, Option<u64>)>,
    },
    /// New precedences by source, recorded then.
    Precedences {
        recorded_at: i64,
        of: BTreeMap<&'static str, i32>,
    },
}

impl Event {
    fn recorded_at(&self) -> i64 {
        match self {
            Self::Rows { recorded_at, .. } | Self::Precedences { recorded_at, .. } => *recorded_at,
        }
    }
}

/// The rows after some events.
#[derive(Clone, Debug, Default)]
pub(super) struct Fold {
    current: BTreeMap<Key, Version>,
    history: BTreeSet<Version>,
    precedences: BTreeMap<String, i32>,
}

impl Fold {
    pub(super) fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut fold = Self::default();
        events.into_iter().for_each(|event| fold.apply(event));
        fold
    }

    /// The rows as every event recorded by `time` left them.
    pub(super) fn as_of<'a>(events: impl IntoIterator<Item = &'a Event>, time: i64) -> Self {
        let by_then = events.into_iter();
        Self::of(by_then.filter(|event| event.recorded_at() <= time))
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Precedences { of, .. } => {
                let named = of.iter().map(|(source, of)| ((*source).to_owned(), *of));
                self.precedences = named.collect();
            }
            Event::Rows {
                source,
                licence,
                received_at,
                recorded_at,
                confirms,
                rows,
            } => {
                for (key, value) in rows {
                    let new = Version {
                        key: key.clone(),
                        value: *value,
                        source: (*source).to_owned(),
                        licence: (*licence).to_owned(),
                        revision: 0,
                        received_at: *received_at,
                        recorded_at: *recorded_at,
                        superseded_at: None,
                    };
                    self.upsert(new, *confirms);
                }
            }
        }
    }

    fn order(&self, version: &Version) -> (i32, i64) {
        let precedence = self.precedences.get(&version.source);
        (precedence.copied().unwrap_or(0), version.received_at)
    }

    fn upsert(&mut self, mut new: Version, confirms: bool) {
        let Some(stored) = self.current.get(&new.key).cloned() else {
            self.current.insert(new.key.clone(), new);
            return;
        };
        let counts_for_more = self.order(&new).0 > self.order(&stored).0;
        let is_kept = counts_for_more || (confirms && self.order(&new) > self.order(&stored));
        if stored.value == new.value && !is_kept {
            return;
        }
        if self.order(&new) < self.order(&stored) {
            let same = |old: &Version| {
                (&old.key, old.value, old.received_at) == (&new.key, new.value, new.received_at)
            };
            if !self.history.iter().any(same) {
                new.revision = stored.revision;
                new.superseded_at = Some(new.recorded_at.max(stored.recorded_at));
                self.history.insert(new);
            }
            return;
        }
        new.revision = stored.revision + 1;
        self.history.insert(Version {
            superseded_at: Some(new.recorded_at),
            ..stored
        });
        self.current.insert(new.key.clone(), new);
    }

    /// All versions of a dataset.
    pub(super) fn versions(&self, dataset: &DatasetId) -> BTreeSet<Version> {
        let all = self.current.values().chain(&self.history);
        all.filter(|version| version.key.dataset == dataset.as_str())
            .cloned()
            .collect()
    }

    /// How many versions there are.
    pub(super) fn count(&self) -> usize {
        self.current.len() + self.history.len()
    }
}
