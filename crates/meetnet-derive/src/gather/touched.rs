//! Which cells of which buckets a pass gathers.
//!
//! ```text
//! (since, through] ─▶ buckets whose end and grace lie in it: all cells ───────────┐
//! rows recorded since ─▶ their buckets: the cell that they stood in ──────────────┤
//! places recorded since ─▶ every bucket from their beginning on: all cells ───────┴▶ spans
//! ```

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use meetnet_lake::committed::KeyPart;
use meetnet_model::buckets::Walk;
use meetnet_model::ids::DatasetId;

use super::places::{Places, VALID_FROM};
use super::{GatherPlan, InputPlan, SPAN_US_MAX, TIME, Tables};
use crate::deriver::unreadable;
use crate::error::DeriveError;
use crate::input::is_at;

/// Pairs of bucket and cell that are kept: beyond that buckets are gathered whole.
const PAIRS_MAX: usize = 262_144;

/// Buckets that follow each other, and the cells that are gathered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
    /// By start of the bucket; none: all cells.
    wanted: BTreeMap<i64, Option<BTreeSet<KeyPart>>>,
}

impl Span {
    /// Returns whether a cell of a bucket is gathered.
    pub(super) fn wants(&self, start: i64, cell: &KeyPart) -> bool {
        let wanted = self.wanted.get(&start);
        wanted.is_some_and(|cells| cells.as_ref().is_none_or(|cells| cells.contains(cell)))
    }

    /// Returns the cells of all its buckets; none where one of them is gathered whole.
    pub(super) fn cells(&self) -> Option<BTreeSet<&KeyPart>> {
        let mut all = BTreeSet::new();
        for cells in self.wanted.values() {
            all.extend(cells.as_ref()?);
        }
        Some(all)
    }
}

/// Gathers what a pass makes.
pub(super) struct Touched<'p> {
    plan: &'p GatherPlan,
    walk: Walk<'p>,
    through: i64,
    /// By start of the bucket: its end, and the cells; none: all.
    buckets: BTreeMap<i64, (i64, Option<BTreeSet<KeyPart>>)>,
    pairs: usize,
}

impl<'p> Touched<'p> {
    pub(super) fn new(plan: &'p GatherPlan, through: i64) -> Self {
        Self {
            plan,
            walk: plan.buckets.walk(),
            through,
            buckets: BTreeMap::new(),
            pairs: 0,
        }
    }

    fn is_due(&self, end: i64) -> bool {
        end.saturating_add(self.plan.grace) <= self.through
    }

    /// Finds everything that a pass from `since` (none: from the beginning) makes.
    pub(super) fn find(
        &mut self,
        tables: &Tables<'_>,
        places: &BTreeMap<&DatasetId, Places>,
        since: Option<i64>,
        check: &impl Fn() -> Result<(), DeriveError>,
    ) -> Result<(), DeriveError> {
        let plan = self.plan;
        let mut bounds: Option<(i64, i64)> = None;
        for input in &plan.inputs {
            let of_input = tables.rows(&input.from, plan.id())?.time_bounds();
            bounds = match (bounds, of_input) {
                (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
                (a, b) => a.or(b),
            };
        }
        let Some(bounds) = bounds else {
            return Ok(());
        };
        let Some(since) = since else {
            self.add_all(bounds.0, bounds.1);
            return Ok(());
        };
        self.add_due(since, bounds);
        if let Some(changed) = self.first_changed_place(tables, since, check)? {
            self.add_all(bounds.0.max(changed), bounds.1);
        }
        let unreadable = unreadable(plan.id());
        for input in &plan.inputs {
            let Some(places) = places.get(&input.places) else {
                continue;
            };
            let rows = tables.rows(&input.from, plan.id())?;
            let changed = rows.recorded_from(since, &[]).map_err(&unreadable)?;
            for batch in changed {
                check()?;
                self.add_changed(input, places, &batch.map_err(&unreadable)?)?;
            }
        }
        Ok(())
    }

    /// Adds every bucket that is due and that rows from `first` to `last` can lie in, whole.
    fn add_all(&mut self, first: i64, last: i64) {
        let mut start = self.walk.start(first);
        while let Some(at) = start
            && at <= last
            && let Some(end) = self.walk.next(at)
            && self.is_due(end)
        {
            self.touch_all(at, end);
            start = Some(end);
        }
    }

    /// Adds the buckets that became due after `since`, whole.
    fn add_due(&mut self, since: i64, bounds: (i64, i64)) {
        let earliest = since.saturating_sub(self.plan.grace).saturating_sub(1);
        self.add_all(bounds.0.max(earliest), bounds.1);
        // The first of them may have been due before.
        let grace = self.plan.grace;
        self.buckets
            .retain(|_, (end, _)| end.saturating_add(grace) > since);
    }

    /// Returns when the first of the places began that changed since; none where none did. What stood there before it moved or
    /// was corrected, and in which cell, nobody has to know: every bucket from then on is gathered whole.
    fn first_changed_place(
        &self,
        tables: &Tables<'_>,
        since: i64,
        check: &impl Fn() -> Result<(), DeriveError>,
    ) -> Result<Option<i64>, DeriveError> {
        let of = self.plan.id();
        let unreadable = unreadable(of);
        let datasets: BTreeSet<&DatasetId> =
            self.plan.inputs.iter().map(|input| &input.places).collect();
        let mut first: Option<i64> = None;
        for dataset in datasets {
            let rows = tables.rows(dataset, of)?;
            for batch in rows.recorded_from(since, &[]).map_err(&unreadable)? {
                check()?;
                let batch = batch.map_err(&unreadable)?;
                let began = batch.column_by_name(VALID_FROM);
                let began = began
                    .and_then(|began| began.as_primitive_opt::<TimestampMicrosecondType>())
                    .ok_or_else(|| DeriveError::no_column(of, VALID_FROM))?;
                first = first
                    .into_iter()
                    .chain(began.values().iter().copied())
                    .min();
            }
        }
        Ok(first)
    }

    /// Adds the cells that changed rows of an input stand in.
    fn add_changed(
        &mut self,
        input: &InputPlan,
        places: &Places,
        batch: &RecordBatch,
    ) -> Result<(), DeriveError> {
        let of = self.plan.id();
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| DeriveError::no_column(of, name))
        };
        let times = column(TIME)?
            .as_primitive_opt::<TimestampMicrosecondType>()
            .ok_or_else(|| DeriveError::no_column(of, TIME))?;
        let ids = column(&input.place)?;
        let equal = input
            .equal
            .iter()
            .map(|(name, part)| Ok((column(name)?, part)));
        let equal = equal.collect::<Result<Vec<_>, DeriveError>>()?;
        for row in 0..batch.num_rows() {
            if !equal
                .iter()
                .all(|(column, part)| is_at(&**column, row, part))
            {
                continue;
            }
            let time = times.value(row);
            let Some(start) = self.walk.start(time) else {
                continue;
            };
            let Some(end) = self.walk.next(start) else {
                continue;
            };
            let id = KeyPart::of(ids, row);
            if let Some(cell) = id.and_then(|id| places.cell(&id, time))
                && self.is_due(end)
            {
                self.touch(start, end, cell);
            }
        }
        Ok(())
    }

    fn touch(&mut self, start: i64, end: i64, cell: &KeyPart) {
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
        } else if !some.contains(cell) {
            some.insert(cell.clone());
            self.pairs += 1;
        }
    }

    fn touch_all(&mut self, start: i64, end: i64) {
        let (_, wanted) = self.buckets.entry(start).or_insert((end, None));
        if let Some(some) = wanted.take() {
            self.pairs -= some.len();
        }
    }

    /// Returns what is to be gathered, in the order of time.
    pub(super) fn into_spans(self) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for (start, (end, cells)) in self.buckets {
            match spans.last_mut() {
                Some(span) if span.to == start && end.saturating_sub(span.from) <= SPAN_US_MAX => {
                    span.to = end;
                    span.wanted.insert(start, cells);
                }
                _ => spans.push(Span {
                    from: start,
                    to: end,
                    wanted: BTreeMap::from([(start, cells)]),
                }),
            }
        }
        spans
    }
}
