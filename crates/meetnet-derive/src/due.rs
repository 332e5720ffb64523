//! Which rows a pass computes: those that became due, and those that a change touches.
//!
//! ```text
//! (since, through] ─▶ buckets whose end and grace lie in it: all series ─┐
//! rows recorded since ─▶ the buckets that they reach: their series ──────┴▶ spans of neighbouring buckets
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use arrow::array::RecordBatch;
use meetnet_lake::committed::{KeyPart, RowRange};
use meetnet_model::calendar::DAY_US;

use crate::error::DeriveError;
use crate::input::Keys;
use crate::plan::{Plan, Series};
use crate::reached::Reached;

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
pub struct Touched<'p> {
    plan: &'p Plan,
    reached: Reached<'p, Series>,
}

impl<'p> Touched<'p> {
    /// Returns an empty pass up to `through`, µs since 1970 UTC.
    pub fn new(plan: &'p Plan, through: i64) -> Self {
        Self {
            plan,
            reached: Reached::new(&plan.buckets, plan.grace, through),
        }
    }

    /// Adds the buckets that became due after `since` (none: ever) and that rows from `bounds.0` to `bounds.1` (µs since 1970
    /// UTC) can lie in.
    pub fn add_due(&mut self, since: Option<i64>, bounds: (i64, i64)) {
        self.reached.add_due(since, bounds);
    }

    /// Adds the buckets that changed rows reach, where they are due; those that are not come by [`Touched::add_due`] later.
    ///
    /// # Errors
    /// Where the rows lack a key column.
    pub fn add_changed(&mut self, batch: &RecordBatch) -> Result<(), DeriveError> {
        let keys = Keys::of(self.plan, batch)?;
        // Rows of one series and bucket mostly follow each other. Where nothing looks around, they touch the same.
        let looks_around = self.plan.look_back > 0 || self.plan.look_ahead > 0;
        let mut known: Option<(Series, Range<i64>)> = None;
        for row in 0..batch.num_rows() {
            let time = keys.time(row);
            let is_known = known
                .as_ref()
                .is_some_and(|(series, times)| times.contains(&time) && keys.is_of(row, series));
            if is_known || !keys.is_meant(row) {
                continue;
            }
            let earliest = time.saturating_sub(self.plan.look_ahead);
            let Some(first) = self.reached.walk.start(earliest) else {
                continue;
            };
            let Some(first_end) = self.reached.walk.next(first) else {
                continue;
            };
            let last = time.saturating_add(self.plan.look_back);
            // Every series is compared with it.
            let reference = self.plan.reference.as_ref();
            let is_reference = reference.is_some_and(|part| keys.leads_with(row, part));
            let mut next = Some((first, first_end));
            while let Some((start, end)) = next
                && start <= last
                && self.reached.is_due(end)
            {
                if is_reference {
                    self.reached.touch_all(start, end);
                } else {
                    self.reached.touch(start, end, || keys.series(row));
                }
                next = self.reached.walk.next(end).map(|next_end| (end, next_end));
            }
            known = (!looks_around).then(|| (keys.series(row), first..first_end));
        }
        Ok(())
    }

    /// Returns what is to be computed, in the order of time.
    pub fn into_spans(self) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for (start, end, series) in self.reached.into_buckets() {
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
        spans
    }
}

#[cfg(test)]
mod tests;
