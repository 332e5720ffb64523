//! What rows of a cell and bucket add up to, and the row that becomes of it.

use std::collections::BTreeMap;

use arrow::array::{
    Array, AsArray, Float64Array, Int8Array, RecordBatch, TimestampMicrosecondArray,
};
use arrow::datatypes::{Float64Type, Int8Type, TimestampMicrosecondType};
use meetnet_lake::committed::KeyPart;
use meetnet_model::common;
use meetnet_model::ids::{DatasetId, LicenceId};
use meetnet_model::rows::RowsBuilder;

use super::{CellRule, GatherPlan, InputPlan, TIME};
use crate::error::DeriveError;
use crate::input::is_at;

/// What one input reads of a batch.
pub(super) struct Columns<'a> {
    place: &'a dyn Array,
    times: &'a TimestampMicrosecondArray,
    quality: &'a Int8Array,
    quality_max: i8,
    equal: Vec<(&'a dyn Array, &'a KeyPart)>,
    least: Vec<(&'a Float64Array, f64)>,
    values: Vec<&'a Float64Array>,
    licences: &'a dyn Array,
}

impl<'a> Columns<'a> {
    pub(super) fn of(
        of: &DatasetId,
        input: &'a InputPlan,
        batch: &'a RecordBatch,
    ) -> Result<Self, DeriveError> {
        let column = |name: &str| -> Result<&'a dyn Array, DeriveError> {
            let found = batch
                .column_by_name(name)
                .ok_or_else(|| DeriveError::no_column(of, name))?;
            Ok(&**found)
        };
        let float = |name: &str| {
            column(name)?
                .as_primitive_opt::<Float64Type>()
                .ok_or_else(|| DeriveError::no_column(of, name))
        };
        let quality = column(common::QUALITY)?.as_primitive_opt::<Int8Type>();
        let times = column(TIME)?.as_primitive_opt::<TimestampMicrosecondType>();
        Ok(Self {
            place: column(&input.place)?,
            times: times.ok_or_else(|| DeriveError::no_column(of, TIME))?,
            quality: quality.ok_or_else(|| DeriveError::no_column(of, common::QUALITY))?,
            quality_max: input.quality_max,
            equal: input
                .equal
                .iter()
                .map(|(name, part)| Ok((column(name)?, part)))
                .collect::<Result<_, DeriveError>>()?,
            least: input
                .least
                .iter()
                .map(|(name, least)| Ok((float(name)?, *least)))
                .collect::<Result<_, DeriveError>>()?,
            values: input
                .values
                .iter()
                .map(|name| float(name))
                .collect::<Result<_, _>>()?,
            licences: column(common::LICENCE)?,
        })
    }

    /// Returns whether a row is meant, and counts.
    pub(super) fn counts(&self, row: usize) -> bool {
        let is_meant = self
            .equal
            .iter()
            .all(|(column, part)| is_at(*column, row, part));
        is_meant
            && self.quality.value(row) <= self.quality_max
            && self
                .least
                .iter()
                .all(|(column, least)| column.is_valid(row) && column.value(row) >= *least)
    }

    pub(super) fn time(&self, row: usize) -> i64 {
        self.times.value(row)
    }

    pub(super) fn place(&self, row: usize) -> Option<KeyPart> {
        KeyPart::of(self.place, row)
    }

    pub(super) fn licence(&self, row: usize) -> &'a str {
        let licences = self.licences.as_string_opt::<i32>();
        licences.map_or("", |licences| licences.value(row))
    }

    fn value(&self, row: usize, value: usize) -> Option<f64> {
        let column = self.values[value];
        column.is_valid(row).then(|| column.value(row))
    }
}

/// The cells of a span.
#[derive(Debug)]
pub(super) struct Cells<'p> {
    plan: &'p GatherPlan,
    cells: BTreeMap<(i64, KeyPart), OfCell>,
}

/// What has been met of one.
#[derive(Clone, Debug)]
pub(super) struct OfCell {
    /// Of the rows that count.
    pub(super) licences: Vec<LicenceId>,
    /// Per input, per column of it.
    sums: Vec<Vec<Sum>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    /// Rows that count; but for counts those with a value.
    rows: i64,
    /// Sum, or extreme.
    value: f64,
}

impl<'p> Cells<'p> {
    pub(super) fn new(plan: &'p GatherPlan) -> Self {
        Self {
            plan,
            cells: BTreeMap::new(),
        }
    }

    /// Adds a row of an input, which is told by its number.
    pub(super) fn add(
        &mut self,
        start: i64,
        cell: &KeyPart,
        number: usize,
        columns: &Columns<'_>,
        row: usize,
    ) {
        let plan = self.plan;
        let of_cell = self
            .cells
            .entry((start, cell.clone()))
            .or_insert_with(|| OfCell::of_nothing(plan));
        let licence = columns.licence(row);
        if !of_cell
            .licences
            .iter()
            .any(|known| known.as_str() == licence)
        {
            of_cell.licences.push(LicenceId::new(licence));
        }
        let rules = &plan.inputs[number].columns;
        for ((_, rule), sum) in rules.iter().zip(&mut of_cell.sums[number]) {
            match rule {
                CellRule::Count => sum.rows += 1,
                CellRule::Mean(of) | CellRule::Sum(of) => {
                    sum.join(columns.value(row, *of), |sum, value| sum + value)
                }
                CellRule::Min(of) => sum.join(columns.value(row, *of), f64::min),
                CellRule::Max(of) => sum.join(columns.value(row, *of), f64::max),
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&(i64, KeyPart), &OfCell)> {
        self.cells.iter()
    }
}

impl Sum {
    fn join(&mut self, value: Option<f64>, join: impl Fn(f64, f64) -> f64) {
        let Some(value) = value else {
            return;
        };
        self.value = if self.rows == 0 {
            value
        } else {
            join(self.value, value)
        };
        self.rows += 1;
    }
}

impl OfCell {
    /// Returns a cell without any row.
    pub(super) fn of_nothing(plan: &GatherPlan) -> Self {
        let inputs = plan.inputs.iter();
        Self {
            licences: Vec::new(),
            sums: inputs
                .map(|input| vec![Sum::default(); input.columns.len()])
                .collect(),
        }
    }

    /// Writes the row.
    pub(super) fn write(
        &self,
        plan: &GatherPlan,
        start: i64,
        cell: &KeyPart,
        builder: &mut RowsBuilder,
    ) -> Result<(), DeriveError> {
        match cell {
            KeyPart::Int(cell) => builder.set_int(plan.cell, *cell),
            KeyPart::Text(cell) => builder.set_text(plan.cell, cell),
        }
        builder.set_int(plan.time, start);
        for (input, sums) in plan.inputs.iter().zip(&self.sums) {
            for ((column, rule), sum) in input.columns.iter().zip(sums) {
                match rule {
                    CellRule::Count => builder.set_int(*column, sum.rows),
                    _ if sum.rows == 0 => {}
                    CellRule::Mean(_) => builder.set_float(*column, sum.value / sum.rows as f64),
                    CellRule::Min(_) | CellRule::Max(_) | CellRule::Sum(_) => {
                        builder.set_float(*column, sum.value);
                    }
                }
            }
        }
        if let Err(column) = builder.finish_row(0) {
            return Err(DeriveError::incomplete(&plan.declaration.id, column));
        }
        Ok(())
    }
}

/// The keys and licences of rows that are stored already.
pub(super) struct Stored<'a> {
    cells: &'a dyn Array,
    times: &'a TimestampMicrosecondArray,
    licences: &'a dyn Array,
}

impl<'a> Stored<'a> {
    pub(super) fn of(plan: &GatherPlan, batch: &'a RecordBatch) -> Result<Self, DeriveError> {
        let of = &plan.declaration.id;
        let column = |name: &str| -> Result<&'a dyn Array, DeriveError> {
            let found = batch
                .column_by_name(name)
                .ok_or_else(|| DeriveError::no_column(of, name))?;
            Ok(&**found)
        };
        let time = plan.declaration.time_column();
        let times = column(time)?.as_primitive_opt::<TimestampMicrosecondType>();
        Ok(Self {
            cells: column(&plan.gathering.cell)?,
            times: times.ok_or_else(|| DeriveError::no_column(of, time))?,
            licences: column(common::LICENCE)?,
        })
    }

    pub(super) fn time(&self, row: usize) -> i64 {
        self.times.value(row)
    }

    pub(super) fn cell(&self, row: usize) -> Option<KeyPart> {
        KeyPart::of(self.cells, row)
    }

    pub(super) fn licence(&self, row: usize) -> &'a str {
        let licences = self.licences.as_string_opt::<i32>();
        licences.map_or("", |licences| licences.value(row))
    }
}
