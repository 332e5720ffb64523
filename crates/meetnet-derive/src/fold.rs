//! Input rows in the order of their key become derived rows: one series and one bucket at a time.
//!
//! `sorted rows -> series -> bucket -> sums, extremes, covered stretches -> row`
//!
//! Memory: one open bucket, the values that means look back to, where there are runs the buckets of one series in the
//! span, the keys of rows that are withheld, and the rows that nobody has taken yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use arrow::array::RecordBatch;
use meetnet_lake::committed::KeyPart;
use meetnet_model::buckets::Walk;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::LicenceId;
use meetnet_model::licence::combine;
use meetnet_model::rows::{DatasetRows, RowsBuilder};

use crate::due::Span;
use crate::error::DeriveError;
use crate::input::Input;
use crate::plan::{Made, Plan, RunRule, Series};
use crate::reference::References;

mod bucket;
mod runs;
#[cfg(test)]
mod tests;
mod trail;

use bucket::{Around, Cell, OpenBucket};
use runs::Buckets;
use trail::LicenceTrail;

/// Derived rows under one licence.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The rows.
    pub rows: DatasetRows,
    /// Their licence.
    pub licence: LicenceId,
}

/// Makes the rows of one span of time.
#[derive(Debug)]
pub struct Fold<'p> {
    plan: &'p Plan,
    span: &'p Span,
    walk: Walk<'p>,
    series: Option<Series>,
    /// Per column: the limit that rows of the series are held against.
    limits: Vec<Option<f64>>,
    /// Start of the bucket of the last row.
    at: Option<i64>,
    /// That bucket, where its row is wanted.
    open: Option<OpenBucket>,
    /// Per column: what counts of the hours that its running mean may still need, by time; or of the buckets that its mean may,
    /// by their start.
    recent: Vec<VecDeque<(i64, f64)>>,
    /// Licences of what the series' rows say of the time around them.
    trail: LicenceTrail,
    /// Per run: its column in the declaration, its rule, and the values of the series.
    runs: Vec<(usize, RunRule, Buckets)>,
    /// Rows of the series that wait for the buckets behind theirs; empty where there are no runs.
    waiting: Vec<Row>,
    references: Option<&'p References>,
    builders: BTreeMap<LicenceId, RowsBuilder>,
    rows: usize,
    /// Buckets by series whose rows nobody may hand on.
    withheld: BTreeMap<Series, BTreeSet<i64>>,
}

/// A row without its series.
#[derive(Debug)]
struct Row {
    start: i64,
    end: i64,
    licence: LicenceId,
    cells: Vec<Cell>,
}

impl<'p> Fold<'p> {
    /// Returns a fold that has met no row.
    pub fn new(plan: &'p Plan, span: &'p Span) -> Self {
        let runs = plan.columns.iter().filter_map(|(column, made)| match made {
            Made::Run(rule) => Some((*column, *rule, Buckets::default())),
            _ => None,
        });
        Self {
            plan,
            span,
            walk: plan.buckets.walk(),
            series: None,
            limits: no_limits(plan),
            at: None,
            open: None,
            recent: nothing_recent(plan),
            trail: LicenceTrail::default(),
            runs: runs.collect(),
            waiting: Vec::new(),
            references: None,
            builders: BTreeMap::new(),
            rows: 0,
            withheld: BTreeMap::new(),
        }
    }

    /// Gives it the rows that others are compared with.
    pub(crate) fn with_references(self, references: &'p References) -> Self {
        Self {
            references: Some(references),
            ..self
        }
    }

    /// Takes the next rows, in the order of the input's key.
    ///
    /// # Errors
    /// Where they lack a column that the plan reads.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), DeriveError> {
        let plan = self.plan;
        let input = Input::of(plan, batch)?;
        for row in 0..batch.num_rows() {
            if !input.keys.is_meant(row) {
                continue;
            }
            let is_same = self
                .series
                .as_ref()
                .is_some_and(|series| input.keys.is_of(row, series));
            if !is_same {
                self.end_series()?;
                let series = input.keys.series(row);
                let property = property_of(plan, &series);
                let columns = plan.columns.iter();
                self.limits = columns
                    .map(|(_, made)| property.and_then(|property| made.row_limit(property)))
                    .collect();
                self.series = Some(series);
                self.at = None;
                self.recent.iter_mut().for_each(VecDeque::clear);
                self.trail.clear();
                self.runs.iter_mut().for_each(|(.., met)| met.clear());
            }
            let time = input.keys.time(row);
            let Some(start) = self.walk.start(time) else {
                continue;
            };
            if self.at != Some(start) {
                self.close()?;
                self.enter(start);
            }
            let counts = input.counts(row);
            if counts {
                if plan.look_back > 0 || plan.look_ahead > 0 {
                    self.trail.add(time, input.licence(row));
                }
                for ((_, made), recent) in plan.columns.iter().zip(&mut self.recent) {
                    let (of, at) = match made {
                        Made::RunningMeanMax { of, .. } => (*of, time),
                        Made::CountAboveMean { of, .. } => (*of, start),
                        _ => continue,
                    };
                    if let Some(value) = input.value(row, of) {
                        recent.push_back((at, value));
                    }
                }
                for (_, rule, met) in &mut self.runs {
                    if let Some(value) = input.value(row, rule.of)
                        && let Some(end) = self.walk.next(start)
                    {
                        met.add(start, end, value);
                    }
                }
            }
            if let Some(open) = &mut self.open {
                open.add(plan, &input, row, counts);
            }
        }
        Ok(())
    }

    /// Says that there are no more rows.
    ///
    /// # Errors
    /// As [`Fold::push`].
    pub fn finish(&mut self) -> Result<(), DeriveError> {
        self.end_series()
    }

    /// Returns how many rows are finished and not taken.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns how many rows had no licence that all of their input allows.
    pub fn withheld(&self) -> u64 {
        let buckets = self.withheld.values();
        buckets.map(|buckets| buckets.len() as u64).sum()
    }

    /// Returns the first parts of the series of those rows, ascending.
    pub(crate) fn withheld_leading(&self) -> Vec<KeyPart> {
        let parts = self.withheld.keys().filter_map(|series| series.first());
        let mut parts: Vec<KeyPart> = parts.cloned().collect();
        parts.dedup();
        parts
    }

    /// Takes a row that is stored. Where its bucket is withheld now, it is made anew, without values and under the licence that it
    /// had: nothing is ever removed. Only after the last row of the input.
    pub(crate) fn add_stored(
        &mut self,
        series: Series,
        start: i64,
        licence: &str,
    ) -> Result<(), DeriveError> {
        let buckets = self.withheld.get(&series);
        let is_withheld = buckets.is_some_and(|buckets| buckets.contains(&start));
        let Some(end) = self.walk.next(start).filter(|_| is_withheld) else {
            return Ok(());
        };
        let plan = self.plan;
        let nothing = nothing_recent(plan);
        let around = Around {
            recent: &nothing,
            property: None,
            reference: None,
        };
        let cells = OpenBucket::new(plan, &no_limits(plan), start, end).cells(plan, &around);
        self.series = Some(series);
        self.write(Row {
            start,
            end,
            licence: LicenceId::new(licence),
            cells,
        })
    }

    /// Takes the finished rows, by licence.
    pub fn take(&mut self) -> Vec<Finished> {
        self.rows = 0;
        let builders = std::mem::take(&mut self.builders);
        let finished = builders.into_iter().map(|(licence, mut builder)| Finished {
            rows: builder.take(),
            licence,
        });
        finished.collect()
    }

    /// Begins a bucket.
    fn enter(&mut self, start: i64) {
        self.at = Some(start);
        let earliest = start.saturating_sub(self.plan.look_back);
        for recent in &mut self.recent {
            while recent.front().is_some_and(|(time, _)| *time < earliest) {
                recent.pop_front();
            }
        }
        let series = self.series.as_deref().unwrap_or_default();
        if self.span.wants(start, series)
            && let Some(end) = self.walk.next(start)
        {
            self.open = Some(OpenBucket::new(self.plan, &self.limits, start, end));
        }
    }

    /// Ends the bucket that is open, and makes its row.
    fn close(&mut self) -> Result<(), DeriveError> {
        let (Some(open), Some(series)) = (self.open.take(), &self.series) else {
            return Ok(());
        };
        let plan = self.plan;
        let references = self.references;
        let reference = references.and_then(|references| references.of(open.start, series));
        let property = property_of(plan, series);
        let is_of_past = |(_, made): &(usize, Made)| made.looks_back(property);
        let past: Vec<&LicenceId> = if plan.columns.iter().any(is_of_past) {
            let from = open.start.saturating_sub(plan.look_back);
            self.trail.within(from, open.end).collect()
        } else {
            Vec::new()
        };
        // What a row says of others is left out where their licences do not go with its own.
        let choices = [(true, true), (true, false), (false, true), (false, false)];
        let chosen = choices.into_iter().find_map(|(compares, looks_back)| {
            let reference = reference.filter(|_| compares);
            let of_reference = reference.map(|reference| &reference.licence);
            let of_past: &[&LicenceId] = if looks_back { &past } else { &[] };
            let licences = open.licences.iter().chain(of_reference);
            let licences = licences.chain(of_past.iter().copied());
            let licence = licence_of(&plan.declaration, licences)?;
            Some((licence, reference, looks_back))
        });
        let Some((licence, reference, looks_back)) = chosen else {
            let buckets = self.withheld.entry(series.clone()).or_default();
            buckets.insert(open.start);
            return Ok(());
        };
        let nothing = (!looks_back).then(|| nothing_recent(plan));
        let around = Around {
            recent: nothing.as_ref().unwrap_or(&self.recent),
            property,
            reference,
        };
        let row = Row {
            start: open.start,
            end: open.end,
            licence,
            cells: open.cells(plan, &around),
        };
        if self.runs.is_empty() {
            return self.write(row);
        }
        self.waiting.push(row);
        Ok(())
    }

    /// Ends the series: what waits for later buckets waits no longer.
    fn end_series(&mut self) -> Result<(), DeriveError> {
        self.close()?;
        let plan = self.plan;
        for mut row in std::mem::take(&mut self.waiting) {
            let from = row.start.saturating_sub(plan.look_back);
            let to = row.end.saturating_add(plan.look_ahead);
            let licences = self.trail.within(from, to).chain([&row.licence]);
            // A run is left out where the licences of the buckets around do not go with that of the row.
            if let Some(licence) = licence_of(&plan.declaration, licences) {
                row.licence = licence;
                for (column, rule, met) in &self.runs {
                    let is_in_run = met.is_in_run(rule, row.start);
                    row.cells[*column] = is_in_run.map_or(Cell::Null, Cell::Bool);
                }
            }
            self.write(row)?;
        }
        Ok(())
    }

    /// Adds a row of the series to what can be taken.
    fn write(&mut self, row: Row) -> Result<(), DeriveError> {
        let plan = self.plan;
        let series = self.series.as_deref().unwrap_or_default();
        let builder = self
            .builders
            .entry(row.licence)
            .or_insert_with(|| RowsBuilder::new(plan.declaration.clone()));
        for ((_, column), part) in plan.series.iter().zip(series) {
            match part {
                KeyPart::Int(value) => builder.set_int(*column, *value),
                KeyPart::Text(value) => builder.set_text(*column, value),
            }
        }
        builder.set_int(plan.time, row.start);
        for (column, cell) in row.cells.into_iter().enumerate() {
            match cell {
                Cell::Null => {}
                Cell::Int(value) => builder.set_int(column, value),
                Cell::Float(value) => builder.set_float(column, value),
                Cell::Bool(value) => builder.set_bool(column, value),
            }
        }
        if let Err(column) = builder.finish_row(0) {
            return Err(DeriveError::incomplete(&plan.declaration.id, column));
        }
        self.rows += 1;
        Ok(())
    }
}

/// Returns what a series measures.
fn property_of<'s>(plan: &Plan, series: &'s [KeyPart]) -> Option<&'s str> {
    match series.get(plan.property?) {
        Some(KeyPart::Text(property)) => Some(&**property),
        _ => None,
    }
}

/// Returns for each column that rows are held against no limit.
fn no_limits(plan: &Plan) -> Vec<Option<f64>> {
    vec![None; plan.columns.len()]
}

/// Returns for each column that nothing before the bucket is known.
fn nothing_recent(plan: &Plan) -> Vec<VecDeque<(i64, f64)>> {
    vec![VecDeque::new(); plan.columns.len()]
}

/// Returns the licence of a row that is made of rows under `licences`: the declared one, or the one that all of them allow
/// and that asks for least.
pub(crate) fn licence_of<'a>(
    declaration: &DatasetDeclaration,
    licences: impl Iterator<Item = &'a LicenceId> + Clone,
) -> Option<LicenceId> {
    if let Some(declared) = &declaration.licence {
        return Some(declared.clone());
    }
    let first = licences.clone().next()?;
    if licences.clone().all(|licence| licence == first) {
        return Some(first.clone());
    }
    let allowed = combine(licences.map(LicenceId::as_str));
    allowed.first().map(LicenceId::new)
}
