//! Which rows a pass computes: those that became due, and those that a change touches.
//!
//! ```text
//! (since, through] ─▶ buckets whose end and grace lie in it: all series ─────────────────┐
//! rows recorded since ─▶ the buckets that they reach: their series ─▶ until it is quiet ─┴▶ spans of neighbouring buckets
//! ```
//!
//! Where rows say how far their bucket has come (`so_far`), it is its start that counts, not its end.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use arrow::array::RecordBatch;
use meetnet_lake::committed::{KeyPart, RowRange};
use meetnet_model::calendar::DAY_US;

use crate::error::DeriveError;
use crate::input::{Keys, Recorded};
use crate::plan::{Plan, Series};
use crate::reached::{Pass, Reached, Waiting, Whole, stretch};

/// Longest span: its rows are read in one go, each run of files with a batch in memory.
const SPAN_US_MAX: i64 = 40 * DAY_US;

/// Buckets that follow each other, and the series whose rows are computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Start of the first bucket, µs since 1970 UTC.
    pub from: i64,
    /// End of the last one.
    pub to: i64,
    /// Whose rows.
    pub wanted: Wanted,
}

/// Whose rows of a span are computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Those of all series.
    All,
    /// By start of the bucket.
    Some(BTreeMap<i64, BTreeSet<Series>>),
}

impl Span {
    /// Returns the same buckets of all series.
    pub(crate) fn of_all(&self) -> Self {
        Self {
            wanted: Wanted::All,
            ..*self
        }
    }

    /// Returns whether the row of a bucket and series is computed.
    pub fn wants(&self, start: i64, series: &[KeyPart]) -> bool {
        if !(self.from..self.to).contains(&start) {
            return false;
        }
        match &self.wanted {
            Wanted::All => true,
            Wanted::Some(buckets) => buckets
                .get(&start)
                .is_some_and(|wanted| wanted.contains(series)),
        }
    }

    /// Returns the input rows that the rows of the span are made of.
    pub fn input(&self, plan: &Plan) -> RowRange {
        let leading = match &self.wanted {
            Wanted::Some(buckets) if plan.leads => {
                let parts = buckets
                    .values()
                    .flatten()
                    .filter_map(|series| series.first());
                let parts: BTreeSet<&KeyPart> = parts.collect();
                Some(parts.into_iter().cloned().collect())
            }
            _ => None,
        };
        RowRange {
            from: self.from.saturating_sub(plan.look_back),
            to: self.to.saturating_add(plan.look_ahead),
            leading,
        }
    }
}

/// Gathers what a pass computes.
#[derive(Debug)]
pub(crate) struct Touched<'p> {
    plan: &'p Plan,
    reached: Reached<'p>,
}

impl<'p> Touched<'p> {
    /// Returns what a pass begins with: what waits.
    pub(crate) fn new(plan: &'p Plan, pass: Pass, waiting: Waiting) -> Self {
        let reached = Reached::new(&plan.buckets, plan.grace, plan.patience, pass, waiting)
            .so_far(plan.so_far);
        Self { plan, reached }
    }

    /// Says which buckets are computed at all.
    pub(crate) fn whole(self, whole: Whole) -> Self {
        Self {
            reached: self.reached.whole(whole),
            ..self
        }
    }

    /// Adds the buckets that became due in the pass and that rows from `bounds.0` to `bounds.1` (µs since 1970 UTC) can lie in.
    pub(crate) fn add_due(&mut self, bounds: (i64, i64)) {
        self.reached.add_due(bounds);
    }

    /// Adds the buckets that changed rows reach, where they were due before; others come by [`Touched::add_due`], now or later.
    ///
    /// # Errors
    /// Where the rows lack a key column, or a time of recording.
    pub(crate) fn add_changed(&mut self, batch: &RecordBatch) -> Result<(), DeriveError> {
        let keys = Keys::of(self.plan, batch)?;
        let recorded = Recorded::of(&self.plan.declaration.id, batch)?;
        // Rows of one series and bucket mostly follow each other. Where nothing looks around, they touch the same, if they were
        // recorded at about the same time.
        let looks_around = self.plan.look_back > 0 || self.plan.look_ahead > 0;
        let mut known: Option<(Series, Range<i64>, i64)> = None;
        for row in 0..batch.num_rows() {
            let time = keys.time(row);
            let at = recorded.at(row);
            let is_known = known.as_ref().is_some_and(|(series, times, then)| {
                times.contains(&time) && stretch(at) == *then && keys.is_of(row, series)
            });
            if is_known || !keys.is_meant(row) {
                continue;
            }
            let earliest = time.saturating_sub(self.plan.look_ahead);
            let Some(first) = self.reached.walk.start(earliest) else {
                continue;
            };
            let first_end = self.reached.walk.next(first);
            // Most rows are of buckets that are not over.
            let Some(first_end) = first_end.filter(|end| self.reached.was_due(first, *end)) else {
                continue;
            };
            let last = time.saturating_add(self.plan.look_back);
            // Every series is compared with it.
            let reference = self.plan.reference.as_ref();
            let is_reference = reference.is_some_and(|part| keys.leads_with(row, part));
            let mut next = Some((first, first_end));
            while let Some((start, end)) = next
                && start <= last
                && self.reached.was_due(start, end)
            {
                if is_reference {
                    self.reached.touch_all(start, end, at);
                } else {
                    self.reached.touch(start, end, at, || keys.series(row));
                }
                next = self.reached.walk.next(end).map(|next_end| (end, next_end));
            }
            known = (!looks_around).then(|| (keys.series(row), first..first_end, stretch(at)));
        }
        Ok(())
    }

    /// Returns what is to be computed, in the order of time, and what waits on.
    pub(crate) fn into_spans(self) -> (Vec<Span>, Waiting) {
        let mut spans: Vec<Span> = Vec::new();
        let (buckets, waiting) = self.reached.into_buckets();
        for (start, (end, series)) in buckets {
            if let Some(span) = spans.last_mut()
                && span.to == start
                && end.saturating_sub(span.from) <= SPAN_US_MAX
            {
                match (&mut span.wanted, &series) {
                    (Wanted::All, None) => {
                        span.to = end;
                        continue;
                    }
                    (Wanted::Some(buckets), Some(series)) => {
                        span.to = end;
                        buckets.insert(start, series.clone());
                        continue;
                    }
                    _ => {}
                }
            }
            spans.push(Span {
                from: start,
                to: end,
                wanted: series.map_or(Wanted::All, |series| {
                    Wanted::Some(BTreeMap::from([(start, series)]))
                }),
            });
        }
        (spans, waiting)
    }
}

#[cfg(test)]
mod tests;
