//! Rows of several datasets, gathered by place and bucket.
//!
//! ```text
//! due, recorded since, sensors that stood elsewhere ─▶ buckets and cells ─▶ rows of each input ─▶ cells ─▶ rows
//! ```
//!
//! A cell of a bucket is always made anew from all of its input, each input in the order of its key: equal inputs give equal
//! bits. What has lost all of its input since it was made becomes a row without values, since nothing is ever removed.
//!
//! Memory: the places, the pairs of bucket and cell that are touched, and the cells of one span.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meetnet_lake::committed::{CommittedRows, KeyPart, RowRange};
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::buckets::TimeBuckets;
use meetnet_model::calendar::{DAY_US, SECOND_US};
use meetnet_model::common;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::derivation::ColumnRule;
use meetnet_model::gathering::{GatheredInput, Gathering};
use meetnet_model::ids::{DatasetId, LicenceId};
use meetnet_model::rows::RowsBuilder;

use crate::deriver::unreadable;
use crate::error::DeriveError;
use crate::fold::{Finished, licence_of};
use crate::passed::Seen;
use crate::plan::{key_part, place};
use crate::position::fingerprint;
use crate::reached::{Pass, Waiting, Whole};

use self::cells::{Cells, Columns, OfCell, Stored};
use self::places::Places;
use self::touched::{Span, Touched};

mod cells;
mod places;
mod touched;

/// Raised whenever the same input would become other rows: everything is gathered again then.
const RULES_VERSION: u32 = 1;
/// The time of observations: all of them have it under this name.
const TIME: &str = "time";
/// Longest span: its cells are in memory.
const SPAN_US_MAX: i64 = 7 * DAY_US;

/// Places by their dataset.
pub(crate) type PlacesById = BTreeMap<DatasetId, Places>;

/// A gathered dataset as it is computed: its declaration with every name looked up.
#[derive(Debug)]
pub(crate) struct GatherPlan {
    declaration: Arc<DatasetDeclaration>,
    gathering: Gathering,
    buckets: TimeBuckets,
    /// From the end of a bucket until its rows are due, µs.
    grace: i64,
    /// Positions in the declaration of cell and time.
    cell: usize,
    time: usize,
    inputs: Vec<InputPlan>,
    position_id: String,
}

/// One input of it.
#[derive(Debug)]
struct InputPlan {
    from: DatasetId,
    places: DatasetId,
    /// The column with the place.
    place: String,
    quality_max: i8,
    equal: Vec<(String, KeyPart)>,
    least: Vec<(String, f64)>,
    /// Columns of floats that are read.
    values: Vec<String>,
    /// Position in the declaration, and what it is.
    columns: Vec<(usize, CellRule)>,
}

/// What a column is; numbers are positions in `values`.
#[derive(Clone, Copy, Debug)]
enum CellRule {
    Count,
    Mean(usize),
    Min(usize),
    Max(usize),
    Sum(usize),
}

impl GatherPlan {
    /// Returns the plan of a gathered dataset.
    ///
    /// # Errors
    /// Where a name is not known, which the check of declarations excludes.
    pub(crate) fn new(
        declaration: &Arc<DatasetDeclaration>,
        gathering: &Gathering,
    ) -> Result<Self, DeriveError> {
        let dataset = &declaration.id;
        let position = |name: &str| {
            let at = declaration.column_index(name);
            at.ok_or_else(|| DeriveError::no_column(dataset, name))
        };
        let buckets = gathering.buckets().map_err(|source| DeriveError::Buckets {
            dataset: dataset.clone(),
            source,
        })?;
        let inputs = gathering
            .inputs
            .iter()
            .map(|input| InputPlan::new(input, dataset, &position))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            grace: i64::from(gathering.grace_s) * SECOND_US,
            cell: position(&gathering.cell)?,
            time: position(declaration.time_column())?,
            position_id: position_id(gathering),
            declaration: Arc::clone(declaration),
            gathering: gathering.clone(),
            buckets,
            inputs,
        })
    }

    pub(crate) fn position_id(&self) -> &str {
        &self.position_id
    }

    fn id(&self) -> &DatasetId {
        &self.declaration.id
    }

    /// Returns until when a retention has dropped everything of one of the inputs; places are of no time.
    pub(crate) fn dropped_before(&self, dropped: &BTreeMap<DatasetId, i64>) -> Option<i64> {
        let times = self.inputs.iter();
        let times = times.filter_map(|input| dropped.get(&input.from).copied());
        times.max()
    }

    /// Returns the tables that it is made of; none where one of them is not there yet.
    pub(crate) fn tables<'s>(&self, snapshot: &'s LakeSnapshot) -> Option<Tables<'s>> {
        let ids = self
            .inputs
            .iter()
            .flat_map(|input| [&input.from, &input.places]);
        let tables: Option<BTreeMap<DatasetId, &TableSnapshot>> = ids
            .map(|id| {
                let (id, table) = snapshot.tables.get_key_value(id)?;
                Some((id.clone(), &**table))
            })
            .collect();
        let own = snapshot.tables.get(self.id()).map(|own| &**own);
        Some(Tables {
            tables: tables?,
            own,
        })
    }
}

impl InputPlan {
    fn new(
        input: &GatheredInput,
        dataset: &DatasetId,
        position: &impl Fn(&str) -> Result<usize, DeriveError>,
    ) -> Result<Self, DeriveError> {
        let mut values = Vec::new();
        let mut columns = Vec::new();
        for (name, rule) in &input.columns {
            let made = match rule {
                ColumnRule::Count => CellRule::Count,
                ColumnRule::Mean(of) => CellRule::Mean(place(&mut values, of)),
                ColumnRule::Min(of) => CellRule::Min(place(&mut values, of)),
                ColumnRule::Max(of) => CellRule::Max(place(&mut values, of)),
                ColumnRule::Sum(of) => CellRule::Sum(place(&mut values, of)),
                _ => return Err(DeriveError::no_column(dataset, name)),
            };
            columns.push((position(name)?, made));
        }
        let conditions = &input.conditions;
        let equal = conditions.iter().filter_map(|condition| {
            let value = condition.equals.as_ref()?;
            Some((condition.column.clone(), key_part(value)))
        });
        let least = conditions
            .iter()
            .filter_map(|condition| Some((condition.column.clone(), condition.at_least?)));
        Ok(Self {
            from: input.from.clone(),
            places: input.places.clone(),
            place: input.place.clone(),
            quality_max: input.quality_max,
            equal: equal.collect(),
            least: least.collect(),
            values,
            columns,
        })
    }
}

/// The tables of a gathered dataset.
#[derive(Debug)]
pub(crate) struct Tables<'s> {
    tables: BTreeMap<DatasetId, &'s TableSnapshot>,
    own: Option<&'s TableSnapshot>,
}

impl<'s> Tables<'s> {
    /// Returns until when everything recorded is committed in all of them, µs since 1970 UTC.
    pub(crate) fn through(&self) -> i64 {
        let times = self.tables.values().map(|table| table.stable_time);
        times.min().unwrap_or(i64::MIN)
    }

    /// Returns the table of the gathered dataset itself, where there is one.
    pub(crate) fn own(&self) -> Option<&'s TableSnapshot> {
        self.own
    }

    /// Returns all that it is made of.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'s TableSnapshot> {
        self.tables.values().copied()
    }

    /// Returns whether some of the rows come from sensors, not from rows that were made of others.
    fn is_observed(&self, plan: &GatherPlan) -> bool {
        plan.inputs.iter().any(|input| {
            let table = self.tables.get(&input.from);
            table.is_some_and(|table| !table.declaration.is_made())
        })
    }

    fn rows(&self, id: &DatasetId, of: &DatasetId) -> Result<CommittedRows<'s>, DeriveError> {
        let table = self
            .tables
            .get(id)
            .copied()
            .ok_or_else(|| DeriveError::no_column(of, id.as_str()))?;
        CommittedRows::new(table).map_err(unreadable(of))
    }
}

/// What a pass makes.
pub(crate) struct Gathered<'a> {
    plan: &'a GatherPlan,
    tables: &'a Tables<'a>,
    places: PlacesById,
    spans: Vec<Span>,
}

impl<'a> Gathered<'a> {
    /// Finds what a pass makes of what waits, of the places that rows were made by (none: nobody knows) and of rows that were not
    /// seen, and what waits after it; only buckets that are `whole`.
    ///
    /// # Errors
    /// Where a table cannot be read, or `check` fails.
    pub(crate) fn find(
        plan: &'a GatherPlan,
        tables: &'a Tables<'a>,
        (pass, whole): (Pass, Whole),
        (waiting, known): (Waiting, (PlacesById, &Seen)),
        check: &impl Fn() -> Result<(), DeriveError>,
    ) -> Result<(Self, Waiting), DeriveError> {
        let mut touched = Touched::new(plan, tables, pass, waiting).whole(whole);
        let places = touched.find(tables, known, check)?;
        let (spans, waiting) = touched.into_spans();
        let gathered = Self {
            plan,
            tables,
            places,
            spans,
        };
        Ok((gathered, waiting))
    }

    /// Makes the rows; each span's go to `take`. Returns the places that they were made by.
    ///
    /// # Errors
    /// Where a table cannot be read, or `take` or `check` fails.
    pub(crate) fn make(
        self,
        check: &impl Fn() -> Result<(), DeriveError>,
        mut take: impl FnMut(Vec<Finished>) -> Result<(), DeriveError>,
    ) -> Result<PlacesById, DeriveError> {
        for span in &self.spans {
            check()?;
            let rows = of_span(self.plan, self.tables, &self.places, span, check)?;
            take(rows)?;
        }
        Ok(self.places)
    }
}

/// Makes the rows of a span.
fn of_span(
    plan: &GatherPlan,
    tables: &Tables<'_>,
    places: &PlacesById,
    span: &Span,
    check: &impl Fn() -> Result<(), DeriveError>,
) -> Result<Vec<Finished>, DeriveError> {
    let unreadable = unreadable(plan.id());
    let mut cells = Cells::new(plan);
    let froms: BTreeSet<&DatasetId> = plan.inputs.iter().map(|input| &input.from).collect();
    for from in froms {
        // Inputs that are rows of one dataset are read together.
        let inputs: Vec<(usize, &InputPlan)> = plan
            .inputs
            .iter()
            .enumerate()
            .filter(|(_, input)| input.from == *from)
            .collect();
        let committed = tables.rows(from, plan.id())?;
        let mut names = BTreeSet::from([common::QUALITY]);
        for (_, input) in &inputs {
            let least = input.least.iter().map(|(name, _)| name);
            names.extend(least.chain(&input.values).map(String::as_str));
        }
        let names: Vec<&str> = names.into_iter().collect();
        let range = RowRange {
            from: span.from,
            to: span.to,
            leading: leading(&inputs, tables, places, span),
        };
        let mut rows = committed.in_range(&names, range).map_err(&unreadable)?;
        let mut walk = plan.buckets.walk();
        while let Some(batch) = rows.next_batch().map_err(&unreadable)? {
            check()?;
            for (number, input) in &inputs {
                let columns = Columns::of(plan.id(), input, &batch)?;
                let Some(places) = places.get(&input.places) else {
                    continue;
                };
                for row in 0..batch.num_rows() {
                    if !columns.counts(row) || !plan.gathering.takes(columns.licence(row)) {
                        continue;
                    }
                    let time = columns.time(row);
                    let cell = columns.place(row);
                    let cell = cell.and_then(|place| places.cell(&place, time));
                    let (Some(cell), Some(start)) = (cell, walk.start(time)) else {
                        continue;
                    };
                    if span.wants(start, cell) {
                        cells.add(start, cell, *number, &columns, row);
                    }
                }
            }
        }
    }
    written(plan, tables, span, &cells)
}

/// Returns which places are read of the inputs, where their tables are sorted by place and only some cells are wanted.
fn leading(
    inputs: &[(usize, &InputPlan)],
    tables: &Tables<'_>,
    places: &PlacesById,
    span: &Span,
) -> Option<Vec<KeyPart>> {
    let cells = span.cells()?;
    let mut ids = BTreeSet::new();
    for (_, input) in inputs {
        let table = tables.tables.get(&input.from)?;
        if table.declaration.key.first() != Some(&input.place) {
            return None;
        }
        ids.extend(places.get(&input.places)?.in_cells(&cells));
    }
    Some(ids.into_iter().cloned().collect())
}

/// Returns the rows of the cells, by licence; those that are stored and have lost their input without values.
fn written(
    plan: &GatherPlan,
    tables: &Tables<'_>,
    span: &Span,
    cells: &Cells<'_>,
) -> Result<Vec<Finished>, DeriveError> {
    let unreadable = unreadable(plan.id());
    let mut builders: BTreeMap<LicenceId, RowsBuilder> = BTreeMap::new();
    let mut made: BTreeSet<(i64, KeyPart)> = BTreeSet::new();
    let mut withheld = 0;
    for ((start, cell), of_cell) in cells.iter() {
        let Some(licence) = licence_of(&plan.declaration, of_cell.licences.iter()) else {
            withheld += 1;
            continue;
        };
        let builder = builders
            .entry(licence)
            .or_insert_with(|| RowsBuilder::new(Arc::clone(&plan.declaration)));
        of_cell.write(plan, *start, cell, builder)?;
        made.insert((*start, cell.clone()));
    }
    if withheld > 0 {
        metrics::counter!("meetnet_derived_withheld_total", "dataset" => plan.id().to_string())
            .increment(withheld);
    }
    if let Some(own) = tables.own {
        let committed = CommittedRows::new(own).map_err(&unreadable)?;
        let range = RowRange {
            from: span.from,
            to: span.to,
            leading: None,
        };
        let mut rows = committed.in_range(&[], range).map_err(&unreadable)?;
        let of_nothing = OfCell::of_nothing(plan);
        while let Some(batch) = rows.next_batch().map_err(&unreadable)? {
            let stored = Stored::of(plan, &batch)?;
            for row in 0..batch.num_rows() {
                let (start, Some(cell)) = (stored.time(row), stored.cell(row)) else {
                    continue;
                };
                if !span.wants(start, &cell) || made.contains(&(start, cell.clone())) {
                    continue;
                }
                let licence = match &plan.declaration.licence {
                    Some(declared) => declared.clone(),
                    None => LicenceId::new(stored.licence(row)),
                };
                let builder = builders
                    .entry(licence)
                    .or_insert_with(|| RowsBuilder::new(Arc::clone(&plan.declaration)));
                of_nothing.write(plan, start, &cell, builder)?;
            }
        }
    }
    let finished = builders.into_iter().map(|(licence, mut builder)| Finished {
        rows: builder.take(),
        licence,
    });
    Ok(finished.collect())
}

fn position_id(gathering: &Gathering) -> String {
    // Unlike that of a derived dataset, an agreement makes other rows: those that forbid commercial use count.
    let text = serde_json::to_string(gathering).expect("a gathering has string keys only");
    let digits = fingerprint(&format!("{RULES_VERSION} {text}"));
    format!("gather/{digits}")
}
