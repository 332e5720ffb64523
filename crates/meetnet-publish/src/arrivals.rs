//! The newest observations, read from the hot rows of a snapshot; `committed.rs` has those that are committed.
//!
//! What one station measured at one time is one arrival, however many rows it makes: a long dataset has a row per
//! property, a wide one a row with many columns.

use std::cmp::Reverse;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, Int8Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int8Type, Int64Type, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use meetnet_lake::snapshot::{HotBatch, TableSnapshot};
use meetnet_model::column::ColumnType;
use meetnet_model::common;
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};

pub(crate) mod committed;
#[cfg(test)]
mod tests;

/// Most arrivals that are kept.
pub(crate) const ARRIVALS_MAX: usize = 15;
/// Arrivals that a dataset keeps however busy the others are.
const PER_DATASET_MIN: usize = 2;
/// Most readings of one arrival.
const READINGS_MAX: usize = 32;
/// Most hot rows that are looked at per dataset, from the newest: a burst of one station must not make a page slow.
const ROWS_MAX: usize = 2_000;

/// What one station measured at one time, or in one interval from then on.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// The dataset.
    pub(crate) declaration: Arc<DatasetDeclaration>,
    /// The sensor or segment: the first key column as text.
    pub(crate) place: String,
    /// Time of the observation, µs since 1970 UTC.
    pub(crate) time: i64,
    /// How long it was observed, s; None: it is not said.
    pub(crate) interval_s: Option<i64>,
    /// When it was received, µs since 1970 UTC.
    pub(crate) received_at: i64,
    /// What was measured.
    pub(crate) readings: Vec<Reading>,
    /// The worst quality flag of its rows.
    pub(crate) quality: i8,
}

/// One measured value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    /// Property of a long dataset, column of a wide one.
    pub(crate) name: String,
    /// The value in the declared unit; None: missing.
    pub(crate) value: Option<f64>,
}

impl Arrival {
    fn is_same(&self, other: &Self) -> bool {
        self.time == other.time
            && self.interval_s == other.interval_s
            && self.place == other.place
            && self.declaration.id == other.declaration.id
    }
}

/// Returns the newest arrivals of `tables`, newest first, filled up with `earlier` ones.
pub(crate) fn newest<'a>(
    tables: impl Iterator<Item = &'a TableSnapshot>,
    earlier: &[Arrival],
) -> Vec<Arrival> {
    join(tables.flat_map(of_table).collect(), earlier)
}

/// Fills arrivals up with others that are not among them, newest first. Of the same one the first counts.
fn join<'a>(
    mut arrivals: Vec<Arrival>,
    others: impl IntoIterator<Item = &'a Arrival>,
) -> Vec<Arrival> {
    for other in others {
        if !arrivals.iter().any(|arrival| arrival.is_same(other)) {
            arrivals.push(other.clone());
        }
    }
    // A stable sort: among equals the order of application stays.
    arrivals.sort_by_key(|arrival| Reverse(arrival.received_at));
    select(arrivals)
}

/// Keeps the first of each dataset, then the newest, in order.
fn select(arrivals: Vec<Arrival>) -> Vec<Arrival> {
    let mut kept = vec![false; arrivals.len()];
    let mut count = 0;
    for guaranteed in [true, false] {
        for i in 0..arrivals.len() {
            let of_same_dataset =
                |j: &usize| kept[*j] && arrivals[*j].declaration.id == arrivals[i].declaration.id;
            if count == ARRIVALS_MAX
                || kept[i]
                || (guaranteed && (0..i).filter(of_same_dataset).count() >= PER_DATASET_MIN)
            {
                continue;
            }
            kept[i] = true;
            count += 1;
        }
    }
    arrivals
        .into_iter()
        .zip(kept)
        .filter_map(|(arrival, kept)| kept.then_some(arrival))
        .collect()
}

fn of_table(table: &TableSnapshot) -> Vec<Arrival> {
    if !table.declaration.is_observed() {
        return Vec::new();
    }
    let mut arrivals: Vec<Arrival> = Vec::new();
    let mut looked_at = 0;
    for hot in table.hot.iter().rev() {
        let Some(columns) = Columns::of(&table.declaration, &hot.batch) else {
            continue;
        };
        for row in (0..hot.batch.num_rows()).rev() {
            looked_at += 1;
            if looked_at > ROWS_MAX {
                return arrivals;
            }
            let is_current = hot
                .superseded
                .as_ref()
                .is_none_or(|superseded| superseded[row] == HotBatch::LIVE);
            if !is_current {
                continue;
            }
            let arrival = columns.arrival(&table.declaration, row);
            match arrivals.iter().position(|known| known.is_same(&arrival)) {
                Some(known) => arrivals[known].add(arrival),
                None if arrivals.len() == ARRIVALS_MAX => return arrivals,
                None => arrivals.push(arrival),
            }
        }
    }
    arrivals
}

impl Arrival {
    /// Joins another row of the same place and time, which was applied before those already here.
    fn add(&mut self, other: Self) {
        self.received_at = self.received_at.max(other.received_at);
        self.quality = self.quality.max(other.quality);
        for reading in other.readings {
            if self.readings.len() < READINGS_MAX
                && !self.readings.iter().any(|known| known.name == reading.name)
            {
                self.readings.insert(0, reading);
            }
        }
    }
}

/// The columns of one batch that an arrival is made from.
struct Columns<'a> {
    place: &'a dyn Array,
    time: &'a [i64],
    interval_s: Option<&'a Int64Array>,
    received_at: &'a [i64],
    quality: &'a Int8Array,
    readings: ReadingColumns<'a>,
}

enum ReadingColumns<'a> {
    /// A long dataset: the columns `property` and `value`.
    Long(&'a StringArray, &'a Float64Array),
    /// A wide dataset: measured columns by name.
    Wide(Vec<(&'a str, Float64Array)>),
}

impl<'a> Columns<'a> {
    /// Finds the columns; None where the batch does not have the shape of its dataset's kind.
    fn of(declaration: &'a DatasetDeclaration, batch: &'a RecordBatch) -> Option<Self> {
        let column = |name: &str| batch.column_by_name(name);
        let times = |name: &str| {
            let times = column(name)?.as_primitive_opt::<TimestampMicrosecondType>()?;
            Some(&times.values()[..])
        };
        let readings = match declaration.kind {
            DatasetKind::Long => ReadingColumns::Long(
                column("property")?.as_string_opt::<i32>()?,
                column("value")?.as_primitive_opt::<Float64Type>()?,
            ),
            _ => ReadingColumns::Wide(
                measured_columns(declaration)
                    .into_iter()
                    .filter_map(|name| Some((name, as_floats(column(name)?)?)))
                    .collect(),
            ),
        };
        Some(Self {
            place: column(declaration.key.first()?)?,
            time: times(declaration.time_column())?,
            interval_s: column(common::INTERVAL_S)
                .and_then(|intervals| intervals.as_primitive_opt::<Int64Type>()),
            received_at: times(common::RECEIVED_AT)?,
            quality: column(common::QUALITY)?.as_primitive_opt::<Int8Type>()?,
            readings,
        })
    }

    fn arrival(&self, declaration: &Arc<DatasetDeclaration>, row: usize) -> Arrival {
        let value = |values: &Float64Array| values.is_valid(row).then(|| values.value(row));
        let readings = match &self.readings {
            ReadingColumns::Long(property, values) => {
                vec![Reading {
                    name: property.value(row).to_owned(),
                    value: value(values),
                }]
            }
            ReadingColumns::Wide(columns) => columns
                .iter()
                .filter(|(_, values)| values.is_valid(row))
                .take(READINGS_MAX)
                .map(|(name, values)| Reading {
                    name: (*name).to_owned(),
                    value: value(values),
                })
                .collect(),
        };
        Arrival {
            declaration: Arc::clone(declaration),
            place: array_value_to_string(self.place, row).unwrap_or_default(),
            time: self.time[row],
            interval_s: self
                .interval_s
                .filter(|intervals| intervals.is_valid(row))
                .map(|intervals| intervals.value(row)),
            received_at: self.received_at[row],
            readings,
            quality: self.quality.value(row),
        }
    }
}

/// Returns the columns of a wide dataset that hold what was observed: numbers with an observed property. A column that
/// breaks an earlier one down (`car_lft` after `car`) is left out: who wants it asks by SQL.
pub(crate) fn measured_columns(declaration: &DatasetDeclaration) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for column in &declaration.columns {
        let is_number = matches!(column.column_type, ColumnType::Float | ColumnType::Int);
        let is_part = names.iter().any(|name| {
            column
                .name
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('_'))
        });
        if is_number && !is_part && column.iri.is_some() && !declaration.key.contains(&column.name)
        {
            names.push(&column.name);
        }
    }
    names
}

fn as_floats(column: &dyn Array) -> Option<Float64Array> {
    match column.data_type() {
        DataType::Float64 => column.as_primitive_opt::<Float64Type>().cloned(),
        DataType::Int64 => {
            let integers = column.as_primitive_opt::<Int64Type>()?;
            Some(integers.unary(|value| value as f64))
        }
        _ => None,
    }
}
