//! Places: a row that says where something stands from a time on goes on with the period that is under way, or begins
//! another one.
//!
//! ```text
//! nothing known of it                    -> a period begins
//! at most 250 m from the newest period   -> that one goes on: its start and its published point, the row's other values
//! further away, and later                -> the newest period ends there, and another one begins
//! "there, then", at an earlier period    -> nothing: that one says it
//! earlier otherwise                      -> a period that ends where the next known one begins
//! before it in the order of versions     -> history of the newest period at most: it neither ends nor changes it
//! ```
//!
//! So a sensor that is told of every five minutes has one row, and one that does not know its place well does not hop from
//! point to point of the grid, nor from one municipality to the next: the published point lies in one. What is told once
//! counts: APIs and registries say what somebody has entered, not what a receiver has measured. A row that has `valid_to` is a
//! period that its sender knows, and stays as it is.
//!
//! A point that is finer than the publication grid gives way to one of the grid, and not the other way round: so the row of a
//! source that may publish exact places no longer (`exact_location`) is revised once, and its replaced versions can be erased.
//!
//! It is part of applying rows, so a replay of the same frames makes the same periods. The whole table is read for it:
//! places are few.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::interleave;
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use meetnet_model::privacy::{STAYED_M_MAX, lat_is_exact, lon_is_exact, metres};
use meetnet_model::rows::DatasetRows;

use super::stored::Place as Rank;
use super::{DatasetActor, Lineage};
use crate::error::LakeError;
use crate::snapshot::HotBatch;
use crate::table::read;

/// Rows of a file that are read at a time.
const BATCH_ROWS: usize = 8_192;
/// Column of the start, which a period keeps while it goes on.
const START: &str = "valid_from";
/// Columns of the point, which it keeps, too.
const POINT: [&str; 4] = ["lon", "lat", "h3_r7", "h3_r9"];
/// Column that belongs to the point, and that declarations may tell otherwise of the same one.
const MUNICIPALITY: &str = "municipality";

/// Rows as they are applied.
pub(super) struct Settled {
    pub(super) declared: RecordBatch,
    pub(super) envelopes: Vec<u32>,
    /// Which of the given rows each comes from.
    pub(super) origins: Vec<u32>,
}

/// Where a row stands: the batch among those at hand, and the row in it.
type At = (usize, usize);

/// Where the values of a row stand that is put together.
#[derive(Clone, Copy)]
struct Parts {
    /// Its start.
    start: At,
    /// Its point.
    point: At,
    /// The municipality of that point.
    municipality: At,
    /// All others.
    values: At,
}

impl Parts {
    /// Returns those of a row as it is.
    fn of(at: At) -> Self {
        Self {
            start: at,
            point: at,
            municipality: at,
            values: at,
        }
    }
}

/// A period of one place.
struct Period {
    from: i64,
    until: Option<i64>,
    parts: Parts,
    /// What places its row in the order of versions: whether rows come one by one or many at once, the same one wins.
    rank: Rank,
}

impl Period {
    fn new(from: i64, until: Option<i64>, at: At, rank: Rank) -> Self {
        Self {
            from,
            until,
            parts: Parts::of(at),
            rank,
        }
    }

    /// Returns true for one that was under way then.
    fn holds(&self, at: i64) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// What is known before rows are applied.
struct Known {
    /// The incoming rows first.
    batches: Vec<RecordBatch>,
    /// By the key without its time: the periods of the place by their starts; one at least.
    periods: HashMap<Box<[u8]>, Vec<Period>>,
}

/// Rows being put together.
#[derive(Default)]
struct Draft {
    rows: Vec<Parts>,
    until: Vec<Option<i64>>,
    origins: Vec<u32>,
}

impl Draft {
    fn push(&mut self, origin: usize, parts: Parts, until: Option<i64>) {
        self.rows.push(parts);
        self.until.push(until);
        self.origins.push(origin as u32);
    }
}

/// Positions of the columns that decide.
struct PlaceColumns {
    valid_to: usize,
    lon: usize,
    lat: usize,
    /// None where the dataset has none.
    municipality: Option<usize>,
}

impl PlaceColumns {
    /// Returns none for datasets of another kind.
    fn of(declaration: &DatasetDeclaration) -> Option<Self> {
        if declaration.kind != DatasetKind::Places {
            return None;
        }
        Some(Self {
            valid_to: declaration.column_index("valid_to")?,
            lon: declaration.column_index("lon")?,
            lat: declaration.column_index("lat")?,
            municipality: declaration.column_index(MUNICIPALITY),
        })
    }

    fn point(&self, batches: &[RecordBatch], (batch, row): At) -> Option<(f64, f64)> {
        let value = |column: usize| {
            let array = batches[batch]
                .column(column)
                .as_primitive_opt::<Float64Type>()?;
            (!array.is_null(row)).then(|| array.value(row))
        };
        Some((value(self.lon)?, value(self.lat)?))
    }

    /// Returns true unless both rows say where they are and that is too far apart.
    fn are_near(&self, batches: &[RecordBatch], a: At, b: At) -> bool {
        match (self.point(batches, a), self.point(batches, b)) {
            (Some(a), Some(b)) => metres(a, b) <= STAYED_M_MAX,
            _ => true,
        }
    }

    /// Returns true where a published point is finer than the grid, and the row tells of one that is not.
    fn is_taken_back(&self, batches: &[RecordBatch], published: At, own: At) -> bool {
        let is_exact = |(lon, lat)| lon_is_exact(lon) || lat_is_exact(lat);
        match (self.point(batches, published), self.point(batches, own)) {
            (Some(published), Some(own)) => is_exact(published) && !is_exact(own),
            _ => false,
        }
    }

    /// Returns those of a period that goes on with a row near by: which point is published, and which municipality. Another
    /// point may lie in another one, which says nothing of the one that is kept, unless nobody has.
    fn gone_on(&self, batches: &[RecordBatch], period: Parts, own: At) -> Parts {
        let (batch, row) = period.municipality;
        let is_told = self
            .municipality
            .is_some_and(|column| batches[batch].column(column).is_valid(row));
        let point = if self.is_taken_back(batches, period.point, own) {
            own
        } else {
            period.point
        };
        let is_same_point = self.point(batches, point) == self.point(batches, own);
        let municipality = if is_told && !is_same_point {
            period.municipality
        } else {
            own
        };
        Parts {
            point,
            municipality,
            ..period
        }
    }
}

impl DatasetActor {
    /// Returns rows of places with their periods; none where they are applied as they are. Rows that are met again after a
    /// restart are left alone.
    pub(super) fn settle_periods(
        &self,
        declared: &RecordBatch,
        rows: &DatasetRows,
        lineage: &[Lineage],
        skip_applied: bool,
    ) -> Result<Option<Settled>, LakeError> {
        let Some(columns) = PlaceColumns::of(&self.declaration) else {
            return Ok(None);
        };
        let valid_to = declared.column(columns.valid_to);
        let (Some(from), Some(to)) = (
            self.times(declared),
            valid_to.as_primitive_opt::<TimestampMicrosecondType>(),
        ) else {
            return Ok(None);
        };
        let total = declared.num_rows();
        let is_open = |row: usize| {
            let sequence = lineage[rows.envelopes[row] as usize].sequence;
            to.is_null(row) && (!skip_applied || sequence > self.applied)
        };
        if !(0..total).any(is_open) {
            return Ok(None);
        }
        let keys = self
            .codec
            .keys(declared)
            .map_err(self.arrow("encode keys of"))?;
        let series = |row: usize| self.codec.series(keys.row(row).data());
        let wanted: HashSet<&[u8]> = (0..total).filter(|row| is_open(*row)).map(series).collect();
        let mut known = self.known_periods(declared, &columns, &wanted)?;
        let mut draft = Draft::default();
        for row in 0..total {
            let (own, own_from) = ((0, row), from.value(row));
            let Lineage {
                precedence,
                received_at,
                ..
            } = lineage[rows.envelopes[row] as usize];
            let rank = (precedence, received_at);
            if !is_open(row) {
                let until = (!to.is_null(row)).then(|| to.value(row));
                draft.push(row, Parts::of(own), until);
                continue;
            }
            let Some(periods) = known.periods.get_mut(series(row)) else {
                let begun = vec![Period::new(own_from, None, own, rank)];
                known.periods.insert(series(row).into(), begun);
                draft.push(row, Parts::of(own), None);
                continue;
            };
            // Whoever only knows that it stands there now says nothing of a start.
            let says_start = rows.timeless.get(row) != Some(&true);
            let is_near = |place| columns.are_near(&known.batches, place, own);
            let next = periods.partition_point(|period| period.from <= own_from);
            let is_first = next == 0;
            let newest = periods.len() - 1;
            let period = &mut periods[newest];
            if is_near(period.parts.point) && !(says_start && is_first) {
                let mut parts = period.parts;
                parts.values = own;
                if rank >= period.rank {
                    parts = columns.gone_on(&known.batches, parts, own);
                    (period.parts, period.rank) = (parts, rank);
                }
                draft.push(row, parts, None);
                continue;
            }
            if own_from > period.from {
                if period.holds(own_from) {
                    if rank < period.rank {
                        draft.push(row, period.parts, period.until);
                        continue;
                    }
                    (period.until, period.rank) = (Some(own_from), rank);
                    draft.push(row, period.parts, period.until);
                }
                draft.push(row, Parts::of(own), None);
                periods.push(Period::new(own_from, None, own, rank));
                continue;
            }
            if own_from == period.from {
                draft.push(row, Parts::of(own), None);
                if rank >= period.rank {
                    *period = Period::new(own_from, None, own, rank);
                }
                continue;
            }
            let before = next.checked_sub(1).map(|before| &periods[before]);
            let known_then = before.filter(|period| {
                !says_start && period.holds(own_from) && is_near(period.parts.point)
            });
            if let Some(period) = known_then {
                draft.push(row, period.parts, period.until);
                continue;
            }
            let told_before = before.filter(|period| period.from == own_from);
            let told_before = told_before.map(|period| period.rank);
            let until = Some(periods[next].from);
            draft.push(row, Parts::of(own), until);
            let earlier = Period::new(own_from, until, own, rank);
            match told_before {
                None => periods.insert(next, earlier),
                Some(before) if rank >= before => periods[next - 1] = earlier,
                Some(_) => {}
            }
        }
        let declared = self
            .drafted(&draft, &known.batches, columns.valid_to)
            .map_err(self.arrow("assemble"))?;
        let of_origin = |origin: &u32| rows.envelopes[*origin as usize];
        Ok(Some(Settled {
            declared,
            envelopes: draft.origins.iter().map(of_origin).collect(),
            origins: draft.origins,
        }))
    }

    /// Reads what hot rows and files hold of the wanted places.
    fn known_periods(
        &self,
        declared: &RecordBatch,
        place_columns: &PlaceColumns,
        wanted: &HashSet<&[u8]>,
    ) -> Result<Known, LakeError> {
        let mut known = Known {
            batches: vec![declared.clone()],
            periods: HashMap::new(),
        };
        for chunk in self.hot.chunks() {
            let marks = chunk.marks.as_ref();
            let is_live = |row: usize| marks.is_none_or(|marks| marks.at[row] == HotBatch::LIVE);
            self.note_periods(&chunk.batch, place_columns, wanted, is_live, &mut known)?;
        }
        let schema = self.declaration.file_schema();
        for file in self.files.iter().filter(|file| !file.superseded) {
            let mask = self.masks.get(&file.path);
            let mut start = 0_u32;
            let batches =
                read::read_file(&self.folder, &self.declaration, file, &schema, BATCH_ROWS)?;
            for batch in batches {
                let batch = batch?;
                let is_live = |row: usize| {
                    mask.is_none_or(|mask| !mask.by.contains_key(&(start + row as u32)))
                };
                self.note_periods(&batch, place_columns, wanted, is_live, &mut known)?;
                start += batch.num_rows() as u32;
            }
        }
        Ok(known)
    }

    /// Notes the periods of the wanted places in a batch of hot rows or of a file.
    fn note_periods(
        &self,
        batch: &RecordBatch,
        columns: &PlaceColumns,
        wanted: &HashSet<&[u8]>,
        is_live: impl Fn(usize) -> bool,
        known: &mut Known,
    ) -> Result<(), LakeError> {
        let keys = self
            .codec
            .keys(batch)
            .map_err(self.arrow("encode keys of"))?;
        let valid_to = batch.column(columns.valid_to);
        let (Some(from), Some(to)) = (
            self.times(batch),
            valid_to.as_primitive_opt::<TimestampMicrosecondType>(),
        ) else {
            return Ok(());
        };
        let number = known.batches.len();
        let mut is_needed = false;
        for row in 0..batch.num_rows() {
            let series = self.codec.series(keys.row(row).data());
            if !wanted.contains(series) || !is_live(row) {
                continue;
            }
            is_needed = true;
            let until = to.is_valid(row).then(|| to.value(row));
            let version = self.version_of(batch, row);
            let rank = (version.precedence, version.received_at);
            let found = Period::new(from.value(row), until, (number, row), rank);
            let periods = known.periods.entry(series.into()).or_default();
            let at = periods.partition_point(|period| period.from < found.from);
            periods.insert(at, found);
        }
        if is_needed {
            let declared: Vec<usize> = (0..self.declaration.columns.len()).collect();
            let declared = batch.project(&declared).map_err(self.arrow("read"))?;
            known.batches.push(declared);
        }
        Ok(())
    }

    fn drafted(
        &self,
        draft: &Draft,
        batches: &[RecordBatch],
        valid_to: usize,
    ) -> Result<RecordBatch, arrow::error::ArrowError> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.declaration.columns.len());
        for (index, column) in self.declaration.columns.iter().enumerate() {
            if index == valid_to {
                let until: TimestampMicrosecondArray = draft.until.iter().copied().collect();
                columns.push(Arc::new(until.with_timezone("UTC")));
                continue;
            }
            let picked = |parts: &Parts| match column.name.as_str() {
                START => parts.start,
                MUNICIPALITY => parts.municipality,
                name if POINT.contains(&name) => parts.point,
                _ => parts.values,
            };
            let picked: Vec<At> = draft.rows.iter().map(picked).collect();
            let arrays: Vec<&dyn Array> = batches
                .iter()
                .map(|batch| batch.column(index).as_ref())
                .collect();
            columns.push(interleave(&arrays, &picked)?);
        }
        RecordBatch::try_new(self.declaration.declared_schema(), columns)
    }
}
