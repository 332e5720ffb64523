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
use meetnet_model::ids::DatasetId;

use super::places::{Places, VALID_FROM};
use super::{GatherPlan, InputPlan, SPAN_US_MAX, TIME, Tables};
use crate::deriver::unreadable;
use crate::error::DeriveError;
use crate::input::is_at;
use crate::reached::Reached;

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
    reached: Reached<'p, KeyPart>,
}

impl<'p> Touched<'p> {
    pub(super) fn new(plan: &'p GatherPlan, through: i64) -> Self {
        Self {
            plan,
            reached: Reached::new(&plan.buckets, plan.grace, through),
        }
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
        self.reached.add_due(since, bounds);
        let Some(since) = since else {
            return Ok(());
        };
        if let Some(changed) = self.first_changed_place(tables, since, check)? {
            let from = bounds.0.max(changed);
            self.reached.add_due(None, (from, bounds.1));
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
            let Some(start) = self.reached.walk.start(time) else {
                continue;
            };
            let Some(end) = self.reached.walk.next(start) else {
                continue;
            };
            let id = KeyPart::of(ids, row);
            if let Some(cell) = id.and_then(|id| places.cell(&id, time))
                && self.reached.is_due(end)
            {
                self.reached.touch(start, end, || cell.clone());
            }
        }
        Ok(())
    }

    /// Returns what is to be gathered, in the order of time.
    pub(super) fn into_spans(self) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for (start, end, cells) in self.reached.into_buckets() {
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
