//! Buckets that a pass reaches: those that became due whole, others for what changes touch in them, once it is quiet there.
//!
//! Rows of intervals that are over come in many commits. So what they touch waits until nothing more has come for it, or it has
//! waited for long enough. Nothing of that is stored: rows recorded from [`Waiting::since`] on touch the same again. Past a limit
//! nothing waits, and buckets are reached whole.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use meetnet_model::buckets::{TimeBuckets, Walk};
use meetnet_model::calendar::SECOND_US;

use crate::plan::Series;

/// Pairs of bucket and what is touched in it that are kept: beyond that nothing waits, and buckets are reached whole. Each takes
/// about 32 bytes.
pub(crate) const PAIRS_MAX: usize = 262_144;
/// What is touched waits until a stretch of this length has passed in which it was not, µs. Stretches begin at the same time for
/// all, so that what many commits touch is read by few passes.
pub(crate) const QUIET_US: i64 = 15 * SECOND_US;

/// When what must not wait was recorded.
pub(crate) const AT_ONCE: i64 = i64::MIN;

/// Buckets by start: the end, and what of them; none: all.
pub(crate) type Buckets = BTreeMap<i64, (i64, Option<BTreeSet<Series>>)>;

/// From which committed state of the inputs a pass goes to which; times are µs since 1970 UTC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    /// What was recorded until then has been looked at, and buckets that were due by then have been computed; none: nothing has.
    pub(crate) since: Option<i64>,
    /// Everything recorded until then is committed.
    pub(crate) through: i64,
    /// The time now, by the clock that rows are recorded by: `through` or later.
    pub(crate) now: i64,
    /// How many pairs of bucket and what is touched in it are kept at most.
    pub(crate) pairs_max: usize,
}

impl Pass {
    /// Returns whether something was committed: if not, something has waited for long enough.
    pub(crate) fn looks(self) -> bool {
        self.since != Some(self.through)
    }
}

/// Which buckets still have all of their input, by their start, µs since 1970 UTC: a retention may have dropped what others were
/// made of, and their rows stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    /// From where on a bucket is computed when it becomes due: what it is itself is there.
    due_from: i64,
    /// From where on it is computed again: what it looks back to is there, too.
    again_from: i64,
}

impl Whole {
    /// Nothing has been dropped.
    pub(crate) const ALL: Self = Self {
        due_from: i64::MIN,
        again_from: i64::MIN,
    };

    /// Returns what is whole where everything before a time was dropped.
    pub(crate) fn after(dropped_before: Option<i64>) -> Self {
        dropped_before.map_or(Self::ALL, |before| Self {
            due_from: before,
            again_from: before,
        })
    }

    /// The same for buckets that look `back` and `ahead` (µs) of themselves. What comes in order changes those until the time
    /// `through`, and goes on to, however little is kept.
    pub(crate) fn looking_around(self, (back, ahead): (i64, i64), through: i64) -> Self {
        let in_order = through.saturating_sub(back).saturating_sub(ahead);
        let reached = self.due_from.saturating_add(back).min(in_order);
        Self {
            again_from: self.due_from.max(reached),
            ..self
        }
    }
}

/// Buckets, and what of each a change can touch: a series, or a cell as its only part.
#[derive(Debug)]
pub(crate) struct Reached<'p> {
    /// Finds buckets.
    pub(crate) walk: Walk<'p>,
    /// From the end of a bucket until it is due, µs.
    grace: i64,
    /// Whether it is due so long after its start instead.
    so_far: bool,
    /// How long what is touched waits at most, µs.
    patience: i64,
    whole: Whole,
    pass: Pass,
    /// Those that became due: the end by the start.
    due: BTreeMap<i64, i64>,
    waiting: Waiting,
    /// There were too many pairs.
    is_full: bool,
}

/// What has been touched and not been computed.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// By start.
    buckets: BTreeMap<i64, Bucket>,
    names: Names,
    /// How many are kept that are not whole buckets.
    pairs: usize,
    since: Option<i64>,
    ready_at: Option<i64>,
}

#[derive(Debug)]
struct Bucket {
    end: i64,
    what: What,
}

#[derive(Debug)]
enum What {
    All(Touch),
    /// By number of the series.
    Some(BTreeMap<u32, Touch>),
}

/// Series by number: each is kept once, in however many buckets it is touched.
#[derive(Debug, Default)]
struct Names {
    numbers: BTreeMap<Series, u32>,
}

impl Names {
    /// Returns the number of a series, which is added where it is not there yet.
    fn number(&mut self, series: Series) -> u32 {
        let next = self.numbers.len() as u32;
        *self.numbers.entry(series).or_insert(next)
    }

    /// Returns the series by their numbers.
    fn list(&self) -> Vec<&Series> {
        let named = self.numbers.iter();
        let mut list: Vec<(u32, &Series)> =
            named.map(|(series, number)| (*number, series)).collect();
        list.sort_unstable_by_key(|(number, _)| *number);
        list.into_iter().map(|(_, series)| series).collect()
    }
}

/// The stretches in which the first and the last row was recorded.
#[derive(Clone, Copy, Debug)]
struct Touch {
    first: i64,
    last: i64,
}

/// Returns the number of the stretch of a time, µs since 1970 UTC.
pub(crate) fn stretch(at: i64) -> i64 {
    at.div_euclid(QUIET_US)
}

impl Touch {
    fn at(at: i64) -> Self {
        let stretch = stretch(at);
        Self {
            first: stretch,
            last: stretch,
        }
    }

    fn joined(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }

    /// Returns when the waiting ends, µs since 1970 UTC, unless more comes.
    fn ready_at(self, patience: i64) -> i64 {
        let quiet = self.last.saturating_add(2).saturating_mul(QUIET_US);
        let at_last = self.first.saturating_mul(QUIET_US).saturating_add(patience);
        quiet.min(at_last)
    }
}

impl Waiting {
    /// Returns a time that nothing which waits was recorded before, µs since 1970 UTC; none where nothing waits.
    pub(crate) fn since(&self) -> Option<i64> {
        self.since
    }

    /// Returns when the first of it is to be computed, µs since 1970 UTC; none where nothing waits.
    pub(crate) fn ready_at(&self) -> Option<i64> {
        self.ready_at
    }

    /// Returns how much waits: pairs of bucket and series, and whole buckets.
    pub(crate) fn count(&self) -> usize {
        let buckets = self.buckets.values();
        let whole = buckets.filter(|bucket| matches!(bucket.what, What::All(_)));
        self.pairs + whole.count()
    }

    fn add(&mut self, start: i64, bucket: Bucket, patience: i64) {
        match &bucket.what {
            What::All(touch) => self.note(*touch, patience),
            What::Some(some) => {
                self.pairs += some.len();
                for touch in some.values() {
                    self.note(*touch, patience);
                }
            }
        }
        self.buckets.insert(start, bucket);
    }

    fn note(&mut self, touch: Touch, patience: i64) {
        let least = |known: Option<i64>, at: i64| Some(known.map_or(at, |known| known.min(at)));
        self.since = least(self.since, touch.first.saturating_mul(QUIET_US));
        self.ready_at = least(self.ready_at, touch.ready_at(patience));
    }
}

impl<'p> Reached<'p> {
    /// Returns what a pass begins with: what waits. `patience` is how long it does at most, µs.
    pub(crate) fn new(
        buckets: &'p TimeBuckets,
        grace: i64,
        patience: i64,
        pass: Pass,
        waiting: Waiting,
    ) -> Self {
        Self {
            walk: buckets.walk(),
            grace,
            so_far: false,
            patience,
            whole: Whole::ALL,
            pass,
            due: BTreeMap::new(),
            waiting,
            is_full: false,
        }
    }

    /// Says whether rows say how far their buckets have come, and so are due from the start on.
    pub(crate) fn so_far(self, so_far: bool) -> Self {
        Self { so_far, ..self }
    }

    /// Says which buckets are computed at all.
    pub(crate) fn whole(self, whole: Whole) -> Self {
        Self { whole, ..self }
    }

    /// Returns when a bucket is due that lasts from `start` to `end`, µs since 1970 UTC.
    fn due_at(&self, start: i64, end: i64) -> i64 {
        let from = if self.so_far { start } else { end };
        from.saturating_add(self.grace)
    }

    /// Returns whether it was due before: changes touch it, for it does not come as a whole any more.
    pub(crate) fn was_due(&self, start: i64, end: i64) -> bool {
        let due = self.due_at(start, end);
        self.pass.since.is_some_and(|since| due <= since)
    }

    /// Adds the buckets that became due in the pass and that rows from `bounds.0` to `bounds.1` (µs since 1970 UTC) can lie in.
    pub(crate) fn add_due(&mut self, bounds: (i64, i64)) {
        self.add_due_after(self.pass.since, bounds);
    }

    /// Adds all buckets that are due, however long they have been, and that rows between `bounds` can lie in.
    pub(crate) fn add_all(&mut self, bounds: (i64, i64)) {
        self.add_due_after(None, bounds);
    }

    fn add_due_after(&mut self, since: Option<i64>, bounds: (i64, i64)) {
        let (first, last) = bounds;
        let from = since.map_or(first, |since| {
            first.max(since.saturating_sub(self.grace).saturating_sub(1))
        });
        let mut start = self.walk.start(from);
        while let Some(at) = start
            && at <= last
            && let Some(end) = self.walk.next(at)
        {
            let due = self.due_at(at, end);
            if due > self.pass.through {
                break;
            }
            if since.is_none_or(|since| due > since) {
                self.due.insert(at, end);
            }
            start = Some(end);
        }
    }

    /// Adds something of the bucket from `start` to `end`, which a row recorded at `at` touches.
    pub(crate) fn touch(&mut self, start: i64, end: i64, at: i64, what: impl FnOnce() -> Series) {
        let kept = self.waiting.pairs.max(self.waiting.names.numbers.len());
        if kept >= self.pass.pairs_max {
            self.is_full = true;
            return self.touch_all(start, end, at);
        }
        let touch = Touch::at(at);
        let bucket = self.waiting.buckets.entry(start).or_insert_with(|| Bucket {
            end,
            what: What::Some(BTreeMap::new()),
        });
        match &mut bucket.what {
            What::All(all) => *all = all.joined(touch),
            What::Some(some) => match some.entry(self.waiting.names.number(what())) {
                Entry::Occupied(mut known) => {
                    let joined = known.get().joined(touch);
                    known.insert(joined);
                }
                Entry::Vacant(new) => {
                    new.insert(touch);
                    self.waiting.pairs += 1;
                }
            },
        }
    }

    /// Adds the whole bucket from `start` to `end`, which a row recorded at `at` touches.
    pub(crate) fn touch_all(&mut self, start: i64, end: i64, at: i64) {
        let touch = Touch::at(at);
        let bucket = self.waiting.buckets.entry(start).or_insert_with(|| Bucket {
            end,
            what: What::All(touch),
        });
        let joined = match &bucket.what {
            What::All(all) => all.joined(touch),
            What::Some(some) => {
                self.waiting.pairs -= some.len();
                some.values().fold(touch, |all, one| all.joined(*one))
            }
        };
        bucket.what = What::All(joined);
    }

    /// Returns the buckets that the pass computes, and what waits on.
    pub(crate) fn into_buckets(self) -> (Buckets, Waiting) {
        let Self {
            patience,
            whole,
            pass,
            due,
            waiting,
            is_full,
            ..
        } = self;
        // A pass from the beginning computes again what an earlier one may have made.
        let due_from = match pass.since {
            Some(_) => whole.due_from,
            None => whole.again_from,
        };
        let due = due.into_iter().filter(|(start, _)| *start >= due_from);
        let is_ready = |touch: &Touch| is_full || touch.ready_at(patience) <= pass.now;
        let due = due.map(|(start, end)| (start, (end, None)));
        let mut reached: Buckets = due.collect();
        let Waiting { buckets, names, .. } = waiting;
        let list = names.list();
        let mut rest = Waiting::default();
        for (start, Bucket { end, what }) in buckets {
            if reached.contains_key(&start) || start < whole.again_from {
                continue;
            }
            match what {
                What::All(touch) if is_ready(&touch) => {
                    reached.insert(start, (end, None));
                }
                What::All(_) => rest.add(start, Bucket { end, what }, patience),
                What::Some(some) => {
                    let (ready, waits): (BTreeMap<_, _>, BTreeMap<_, _>) =
                        some.into_iter().partition(|(_, touch)| is_ready(touch));
                    if !ready.is_empty() {
                        let series = ready.keys().filter_map(|number| list.get(*number as usize));
                        let series = series.map(|series| series.to_vec()).collect();
                        reached.insert(start, (end, Some(series)));
                    }
                    if !waits.is_empty() {
                        let what = What::Some(waits);
                        rest.add(start, Bucket { end, what }, patience);
                    }
                }
            }
        }
        if rest.pairs > 0 {
            rest.names = names;
        }
        (reached, rest)
    }

    #[cfg(test)]
    pub(crate) fn pairs(&self) -> usize {
        self.waiting.pairs
    }
}
