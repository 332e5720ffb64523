//! Buckets that a pass reaches: those that became due whole, others for what a change touches in them, up to a limit.

use std::collections::{BTreeMap, BTreeSet};

use meetnet_model::buckets::{TimeBuckets, Walk};

/// Pairs of bucket and what is touched in it that are kept: beyond that buckets are reached whole.
pub(crate) const PAIRS_MAX: usize = 262_144;

/// Buckets, and what of each; `T` is what a change can touch in one: a series, a cell.
#[derive(Debug)]
pub(crate) struct Reached<'p, T> {
    /// Finds buckets.
    pub(crate) walk: Walk<'p>,
    /// From the end of a bucket until it is due, µs.
    grace: i64,
    /// Everything recorded until then is committed, µs since 1970 UTC.
    through: i64,
    /// By start of the bucket: its end, and what of it; none: all.
    buckets: BTreeMap<i64, (i64, Option<BTreeSet<T>>)>,
    /// How many are kept that are not whole buckets.
    pub(crate) pairs: usize,
}

impl<'p, T: Ord> Reached<'p, T> {
    /// Returns nothing yet, of a pass up to `through`, µs since 1970 UTC.
    pub(crate) fn new(buckets: &'p TimeBuckets, grace: i64, through: i64) -> Self {
        Self {
            walk: buckets.walk(),
            grace,
            through,
            buckets: BTreeMap::new(),
            pairs: 0,
        }
    }

    /// Returns whether a bucket is due that ends then.
    pub(crate) fn is_due(&self, end: i64) -> bool {
        end.saturating_add(self.grace) <= self.through
    }

    /// Adds the buckets that became due after `since` (none: ever) and that rows from `bounds.0` to `bounds.1` (µs since 1970
    /// UTC) can lie in.
    pub(crate) fn add_due(&mut self, since: Option<i64>, bounds: (i64, i64)) {
        let (first, last) = bounds;
        let from = since.map_or(first, |since| {
            first.max(since.saturating_sub(self.grace).saturating_sub(1))
        });
        let mut start = self.walk.start(from);
        while let Some(at) = start
            && at <= last
            && let Some(end) = self.walk.next(at)
            && self.is_due(end)
        {
            let due = end.saturating_add(self.grace);
            if since.is_none_or(|since| due > since) {
                self.touch_all(at, end);
            }
            start = Some(end);
        }
    }

    /// Adds something of the bucket from `start` to `end`.
    pub(crate) fn touch(&mut self, start: i64, end: i64, what: impl FnOnce() -> T) {
        let is_full = self.pairs >= PAIRS_MAX;
        let (_, wanted) = self
            .buckets
            .entry(start)
            .or_insert_with(|| (end, (!is_full).then(BTreeSet::new)));
        let Some(some) = wanted else {
            return;
        };
        if is_full {
            self.touch_all(start, end);
        } else if some.insert(what()) {
            self.pairs += 1;
        }
    }

    /// Adds the whole bucket from `start` to `end`.
    pub(crate) fn touch_all(&mut self, start: i64, end: i64) {
        let (_, wanted) = self.buckets.entry(start).or_insert((end, None));
        if let Some(some) = wanted.take() {
            self.pairs -= some.len();
        }
    }

    /// Returns the buckets in the order of time: start, end, and what of each; none: all.
    pub(crate) fn into_buckets(self) -> impl Iterator<Item = (i64, i64, Option<BTreeSet<T>>)> {
        let buckets = self.buckets.into_iter();
        buckets.map(|(start, (end, wanted))| (start, end, wanted))
    }
}
