//! How far a dataset is derived, as this process knows it: further than its table says, where nothing had to be written since,
//! and with what waits.
//!
//! A restart, and a pass that failed, go back to the position of the table. What was recorded from there on is looked at again, so
//! what waited waits again.

use std::collections::BTreeMap;
use std::sync::Arc;

use meetnet_lake::snapshot::{LiveFile, TableSnapshot};
use meetnet_model::ids::DatasetId;

use crate::gather::PlacesById;
use crate::reached::{Pass, Waiting};

/// Files of the inputs whose rows have been looked at: what is recorded at the very time of a state may have been committed with
/// it or behind it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    files: BTreeMap<DatasetId, Arc<Vec<Arc<LiveFile>>>>,
}

impl Seen {
    /// Returns those of tables after a pass, which was from what had been seen `before`.
    pub(crate) fn after<'s>(
        before: Self,
        pass: Pass,
        tables: impl IntoIterator<Item = &'s TableSnapshot>,
    ) -> Self {
        if !pass.looks() {
            return before;
        }
        let files = tables.into_iter().map(|table| {
            let id = table.declaration.id.clone();
            (id, Arc::clone(&table.files))
        });
        Self {
            files: files.collect(),
        }
    }

    /// Returns those of a table.
    pub(crate) fn of(&self, id: &DatasetId) -> &[Arc<LiveFile>] {
        self.files.get(id).map_or(&[][..], |files| files.as_slice())
    }
}

/// How far one dataset is derived of one input.
#[derive(Debug)]
pub(crate) struct Passed {
    /// Names the rules that it is derived by.
    pub(crate) rules: String,
    /// What was recorded until then has been looked at, and buckets that were due by then have been computed, µs since 1970 UTC.
    pub(crate) through: i64,
    /// What was recorded before is in the rows: `through`, or where something waits, when the first of it was recorded.
    pub(crate) position: i64,
    pub(crate) waiting: Waiting,
    /// The places that gathered rows were made by; after a restart none.
    pub(crate) places: PlacesById,
    pub(crate) seen: Seen,
}

impl Passed {
    /// Returns that everything is derived through a time, µs since 1970 UTC.
    pub(crate) fn at(rules: &str, through: i64) -> Self {
        Self {
            rules: rules.to_owned(),
            through,
            position: through,
            waiting: Waiting::default(),
            places: PlacesById::new(),
            seen: Seen::default(),
        }
    }

    /// Returns what a pass comes to from a position (none: the beginning), with what waits after it.
    pub(crate) fn after(rules: &str, before: Option<i64>, pass: Pass, waiting: Waiting) -> Self {
        let first = waiting.since().unwrap_or(pass.through);
        let first = first.min(pass.through);
        Self {
            // What waits is counted by stretches, which may begin before the position.
            position: before.map_or(first, |before| before.max(first)),
            waiting,
            ..Self::at(rules, pass.through)
        }
    }

    /// Returns whether there is nothing to do for a pass.
    fn is_idle(&self, pass: Pass) -> bool {
        let is_ready = || self.waiting.ready_at().is_some_and(|at| at <= pass.now);
        pass.through < self.through || (pass.through == self.through && !is_ready())
    }
}

/// How a pass begins.
pub(crate) enum Begun {
    /// Not at all: there is nothing to do.
    Idle(Passed),
    /// From a state to another.
    Pass(Pass, Before),
}

/// What is there before a pass.
#[derive(Default)]
pub(crate) struct Before {
    /// None: it is from the beginning.
    pub(crate) position: Option<i64>,
    pub(crate) waiting: Waiting,
    pub(crate) places: PlacesById,
    pub(crate) seen: Seen,
}

/// Begins a pass to what is committed, `through`, where there is something to do at the time `now`.
pub(crate) fn begin(passed: Option<Passed>, through: i64, now: i64, pairs_max: usize) -> Begun {
    let pass = Pass {
        since: passed.as_ref().map(|passed| passed.through),
        through,
        now: now.max(through),
        pairs_max,
    };
    match passed {
        None => Begun::Pass(pass, Before::default()),
        Some(passed) if passed.is_idle(pass) => Begun::Idle(passed),
        Some(passed) => {
            let before = Before {
                position: Some(passed.position),
                waiting: passed.waiting,
                places: passed.places,
                seen: passed.seen,
            };
            Begun::Pass(pass, before)
        }
    }
}

/// What is known of all datasets, by their id and that of the input.
#[derive(Debug, Default)]
pub(crate) struct AllPassed {
    passed: BTreeMap<(DatasetId, DatasetId), Passed>,
}

impl AllPassed {
    /// Takes out what is known of a dataset by some rules. What is known by others is forgotten: their rows may not be there much
    /// longer.
    pub(crate) fn take(
        &mut self,
        id: &DatasetId,
        input: &DatasetId,
        rules: &str,
    ) -> Option<Passed> {
        let passed = self.passed.remove(&(id.clone(), input.clone()))?;
        (passed.rules == rules).then_some(passed)
    }

    /// Puts it back, or what a pass has come to.
    pub(crate) fn put(&mut self, id: &DatasetId, input: &DatasetId, passed: Passed) {
        self.passed.insert((id.clone(), input.clone()), passed);
    }

    /// Returns how much waits: pairs of bucket and series, and whole buckets.
    pub(crate) fn waiting(&self) -> usize {
        let waiting = self.passed.values().map(|passed| &passed.waiting);
        waiting.map(Waiting::count).sum()
    }

    /// Returns when the first of what waits is to be computed, µs since 1970 UTC; none where nothing does.
    pub(crate) fn ready_at(&self) -> Option<i64> {
        let waiting = self.passed.values().map(|passed| &passed.waiting);
        waiting.filter_map(Waiting::ready_at).min()
    }
}
