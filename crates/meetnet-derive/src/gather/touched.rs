//! Which cells of which buckets a pass gathers.
//!
//! ```text
//! (since, through] ─▶ buckets whose end and grace lie in it: all cells ─────────────────────────┐
//! rows recorded since ─▶ their buckets: the cell that they stood in ─▶ until it is quiet ────────┤
//! places recorded since, places before ─▶ buckets in which something moved: both of its cells ───┴▶ spans
//! ```
//!
//! After a restart nobody knows the places before: then every bucket from the beginning of a changed place on is gathered whole.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use meetnet_lake::committed::KeyPart;
use meetnet_model::ids::DatasetId;

use super::places::{Move, Places, VALID_FROM};
use super::{GatherPlan, InputPlan, PlacesById, SPAN_US_MAX, TIME, Tables};
use crate::deriver::unreadable;
use crate::error::DeriveError;
use crate::input::{Recorded, is_at};
use crate::passed::Seen;
use crate::reached::{AT_ONCE, Pass, Reached, Waiting, Whole};

/// Moves that are followed bucket by bucket: after more of them every bucket from the first on is gathered whole.
const MOVES_MAX: usize = 64;

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
    pass: Pass,
    reached: Reached<'p>,
}

impl<'p> Touched<'p> {
    /// Returns what a pass begins with: what waits.
    pub(super) fn new(
        plan: &'p GatherPlan,
        tables: &Tables<'_>,
        pass: Pass,
        waiting: Waiting,
    ) -> Self {
        let patience = if tables.is_observed(plan) {
            plan.grace
        } else {
            0
        };
        Self {
            plan,
            pass,
            reached: Reached::new(&plan.buckets, plan.grace, patience, pass, waiting),
        }
    }

    /// Says which buckets are gathered at all.
    pub(super) fn whole(self, whole: Whole) -> Self {
        Self {
            reached: self.reached.whole(whole),
            ..self
        }
    }

    /// Finds everything that the pass makes; returns the places that it makes it by. `known` are those of the pass before, none
    /// where nobody knows them, and what it had seen.
    pub(super) fn find(
        &mut self,
        tables: &Tables<'_>,
        (known, seen): (PlacesById, &Seen),
        check: &impl Fn() -> Result<(), DeriveError>,
    ) -> Result<PlacesById, DeriveError> {
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
            return Ok(PlacesById::new());
        };
        self.reached.add_due(bounds);
        let Some(since) = self.pass.since else {
            return read_places(plan, tables);
        };
        if !self.pass.looks() && !known.is_empty() {
            return Ok(known);
        }
        let changed = first_changed_place(plan, tables, (since, seen), check)?;
        let places = match changed {
            None if !known.is_empty() => known,
            _ => {
                let places = read_places(plan, tables)?;
                if known.is_empty() {
                    // What stood there before it moved or was corrected, and in which cell, nobody knows any more.
                    if let Some(changed) = changed {
                        self.reached.add_all((bounds.0.max(changed), bounds.1));
                    }
                } else {
                    self.add_moved(&known, &places, bounds, check)?;
                }
                places
            }
        };
        let unreadable = unreadable(plan.id());
        for input in &plan.inputs {
            let Some(places) = places.get(&input.places) else {
                continue;
            };
            let rows = tables.rows(&input.from, plan.id())?;
            let changed = rows.recorded_from(since, &[], seen.of(&input.from));
            for batch in changed.map_err(&unreadable)? {
                check()?;
                self.add_changed(input, places, &batch.map_err(&unreadable)?)?;
            }
        }
        Ok(places)
    }

    /// Adds the cells that something left or came to. They do not wait: they follow from the places of the pass before, which
    /// nobody knows after a restart.
    fn add_moved(
        &mut self,
        known: &PlacesById,
        places: &PlacesById,
        bounds: (i64, i64),
        check: &impl Fn() -> Result<(), DeriveError>,
    ) -> Result<(), DeriveError> {
        let (none, (first, last)) = (Places::default(), bounds);
        let mut moves: Vec<Move> = Vec::new();
        for (dataset, new) in places {
            moves.extend(known.get(dataset).unwrap_or(&none).moves_to(new));
        }
        // Each is followed bucket by bucket.
        if moves.len() > MOVES_MAX {
            if let Some(from) = moves.iter().map(|moved| moved.from).min() {
                self.reached.add_all((first.max(from), last));
            }
            return Ok(());
        }
        for moved in moves {
            check()?;
            let mut next = self.reached.walk.start(moved.from.max(first));
            while let Some(start) = next
                && start <= last
                && start < moved.to
                && let Some(end) = self.reached.walk.next(start)
                && self.reached.was_due(start, end)
            {
                for cell in moved.cells.iter().flatten() {
                    let cell = || vec![cell.clone()];
                    self.reached.touch(start, end, AT_ONCE, cell);
                }
                next = Some(end);
            }
        }
        Ok(())
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
        let recorded = Recorded::of(of, batch)?;
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
                && self.reached.was_due(start, end)
            {
                let cell = || vec![cell.clone()];
                self.reached.touch(start, end, recorded.at(row), cell);
            }
        }
        Ok(())
    }

    /// Returns what is to be gathered, in the order of time, and what waits on.
    pub(super) fn into_spans(self) -> (Vec<Span>, Waiting) {
        let mut spans: Vec<Span> = Vec::new();
        let (buckets, waiting) = self.reached.into_buckets();
        for (start, (end, cells)) in buckets {
            let cells: Option<BTreeSet<KeyPart>> =
                cells.map(|cells| cells.into_iter().flatten().collect());
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
        (spans, waiting)
    }
}

/// Reads the places of all inputs.
fn read_places(plan: &GatherPlan, tables: &Tables<'_>) -> Result<PlacesById, DeriveError> {
    let ids: BTreeSet<&DatasetId> = plan.inputs.iter().map(|input| &input.places).collect();
    ids.into_iter()
        .map(|id| {
            let rows = tables.rows(id, plan.id())?;
            let places = Places::read(plan.id(), &rows, &plan.gathering.cell)?;
            Ok((id.clone(), places))
        })
        .collect()
}

/// Returns when the first of the places began that changed since; none where none did.
fn first_changed_place(
    plan: &GatherPlan,
    tables: &Tables<'_>,
    (since, seen): (i64, &Seen),
    check: &impl Fn() -> Result<(), DeriveError>,
) -> Result<Option<i64>, DeriveError> {
    let of = plan.id();
    let unreadable = unreadable(of);
    let datasets: BTreeSet<&DatasetId> = plan.inputs.iter().map(|input| &input.places).collect();
    let mut first: Option<i64> = None;
    for dataset in datasets {
        let rows = tables.rows(dataset, of)?;
        let changed = rows.recorded_from(since, &[], seen.of(dataset));
        for batch in changed.map_err(&unreadable)? {
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
