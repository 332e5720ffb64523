//! H3: the hexagons that places are counted in. A cell is an int64, as in the datasets; `to_hex` makes its usual text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, Int64Builder, ListBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use h3o::{CellIndex, LatLng, Resolution};

use super::is_place;
use crate::call::{Call, Parameter, wrong};
use crate::described::{FunctionDescription, FunctionKind};
use crate::scalar::{ScalarSpec, unchecked};

/// Steps that a disk may reach: 7,651 cells.
const STEPS_MAX: i64 = 50;
/// Cells of all the disks of one batch of rows: 64 MiB.
const DISK_CELLS_MAX: usize = 8 * 1024 * 1024;

static CELL_DESCRIPTION: FunctionDescription = FunctionDescription {
    name: "h3_cell",
    kind: FunctionKind::Scalar,
    signature: "h3_cell(lon, lat, resolution) → int64",
    description: "The H3 cell of a place in degrees, resolution 0 (largest) to 15; at 9 a cell is about 0.1 km2, at 7 \
                  about 5 km2. NULL where the numbers are no place.",
    unit: None,
    example: "SELECT to_hex(h3_cell(4.7005, 50.8798, 9))",
};

/// `h3_cell`.
pub(super) static CELL: ScalarSpec = ScalarSpec {
    description: &CELL_DESCRIPTION,
    parameters: &[Parameter::Number, Parameter::Number, Parameter::Whole],
    required: 3,
    returns: || DataType::Int64,
    unit_argument: None,
    check: |args| check_resolution(&CELL_DESCRIPTION, args, 2),
    evaluate: |call| {
        let (lons, lats) = (call.numbers(0)?, call.numbers(1)?);
        let resolutions = call.wholes(2)?;
        let mut cells = Int64Builder::with_capacity(call.rows);
        for row in 0..call.rows {
            if lons.is_null(row) || lats.is_null(row) || resolutions.is_null(row) {
                cells.append_null();
                continue;
            }
            let resolution = resolution(call.function, resolutions.value(row))?;
            let (lon, lat) = (lons.value(row), lats.value(row));
            let place = is_place(lon, lat).then(|| LatLng::new(lat, lon).ok());
            let cell = place.flatten().map(|place| place.to_cell(resolution));
            cells.append_option(cell.and_then(number));
        }
        Ok(Arc::new(cells.finish()))
    },
};

static PARENT_DESCRIPTION: FunctionDescription = FunctionDescription {
    name: "h3_parent",
    kind: FunctionKind::Scalar,
    signature: "h3_parent(cell, resolution) → int64",
    description: "The H3 cell of a coarser resolution that a cell belongs to. NULL where the number is no cell.",
    unit: None,
    example: "SELECT h3_parent(h3_cell(4.7005, 50.8798, 9), 7) = h3_cell(4.7005, 50.8798, 7)",
};

/// `h3_parent`.
pub(super) static PARENT: ScalarSpec = ScalarSpec {
    description: &PARENT_DESCRIPTION,
    parameters: &[Parameter::Whole, Parameter::Whole],
    required: 2,
    returns: || DataType::Int64,
    unit_argument: None,
    check: |args| check_resolution(&PARENT_DESCRIPTION, args, 1),
    evaluate: |call| {
        let (cells, resolutions) = (call.wholes(0)?, call.wholes(1)?);
        let mut parents = Int64Builder::with_capacity(call.rows);
        for row in 0..call.rows {
            let Some(cell) = cell_at(&cells, row).filter(|_| resolutions.is_valid(row)) else {
                parents.append_null();
                continue;
            };
            let resolution = resolution(call.function, resolutions.value(row))?;
            let Some(parent) = cell.parent(resolution) else {
                return Err(call.wrong(format!(
                    "a cell of resolution {} has no parent of resolution {resolution}",
                    cell.resolution()
                )));
            };
            parents.append_option(number(parent));
        }
        Ok(Arc::new(parents.finish()))
    },
};

/// `h3_disk`.
pub(super) static DISK: ScalarSpec = ScalarSpec {
    description: &FunctionDescription {
        name: "h3_disk",
        kind: FunctionKind::Scalar,
        signature: "h3_disk(cell, steps) → list of int64",
        description: "The H3 cells that are at most so many steps away, the cell itself among them, in no order: \
                      1 + 3 k (k + 1) cells for k steps. At most 50 steps. NULL where the number is no cell.",
        unit: None,
        example: "SELECT cardinality(h3_disk(h3_cell(4.7005, 50.8798, 9), 1))",
    },
    parameters: &[Parameter::Whole, Parameter::Whole],
    required: 2,
    returns: || DataType::new_list(DataType::Int64, true),
    unit_argument: None,
    check: unchecked,
    evaluate: disks,
};

fn disks(call: &Call<'_>) -> Result<ArrayRef> {
    let (cells, steps) = (call.wholes(0)?, call.wholes(1)?);
    let item = Field::new_list_field(DataType::Int64, true);
    let mut disks = ListBuilder::new(Int64Builder::new()).with_field(item);
    let mut count = 0;
    for row in 0..call.rows {
        let Some(cell) = cell_at(&cells, row).filter(|_| steps.is_valid(row)) else {
            disks.append_null();
            continue;
        };
        let steps = steps.value(row);
        if !(0..=STEPS_MAX).contains(&steps) {
            return Err(call.wrong(format!("steps must be 0 to {STEPS_MAX}, not {steps}")));
        }
        // At most 50.
        let steps = steps as u32;
        let size = 1 + 3 * steps as usize * (steps as usize + 1);
        count += size;
        if count > DISK_CELLS_MAX {
            return Err(call.wrong(format!(
                "it would make more than {DISK_CELLS_MAX} cells at once; take fewer steps or fewer rows"
            )));
        }
        for near in cell.grid_disk::<Vec<CellIndex>>(steps) {
            disks.values().append_option(number(near));
        }
        disks.append(true);
    }
    Ok(Arc::new(disks.finish()))
}

/// `h3_distance`.
pub(super) static DISTANCE: ScalarSpec = ScalarSpec {
    description: &FunctionDescription {
        name: "h3_distance",
        kind: FunctionKind::Scalar,
        signature: "h3_distance(a, b) → int64",
        description: "Steps from one H3 cell to another. NULL where they are of two resolutions, too far apart or on two \
                      sides of a pentagon to be counted, or no cells.",
        unit: Some("1"),
        example: "SELECT h3_distance(h3_cell(4.7005, 50.8798, 9), h3_cell(4.7105, 50.8798, 9))",
    },
    parameters: &[Parameter::Whole, Parameter::Whole],
    required: 2,
    returns: || DataType::Int64,
    unit_argument: None,
    check: unchecked,
    evaluate: |call| {
        let (from, to) = (call.wholes(0)?, call.wholes(1)?);
        let steps = |row: usize| {
            let (from, to) = (cell_at(&from, row)?, cell_at(&to, row)?);
            from.grid_distance(to).ok().map(i64::from)
        };
        let steps: Int64Array = (0..call.rows).map(steps).collect();
        Ok(Arc::new(steps))
    },
};

/// Returns a cell as int64: its highest bit is zero.
fn number(cell: CellIndex) -> Option<i64> {
    i64::try_from(u64::from(cell)).ok()
}

/// Returns the cell in a row; None for NULL and for what is no cell.
fn cell_at(cells: &Int64Array, row: usize) -> Option<CellIndex> {
    if cells.is_null(row) {
        return None;
    }
    let number = u64::try_from(cells.value(row)).ok()?;
    CellIndex::try_from(number).ok()
}

fn resolution(function: &FunctionDescription, given: i64) -> Result<Resolution> {
    let resolution = u8::try_from(given).ok().map(Resolution::try_from);
    match resolution {
        Some(Ok(resolution)) => Ok(resolution),
        _ => Err(wrong(
            function,
            format!("a resolution is 0 to 15, not {given}"),
        )),
    }
}

/// Checks a resolution that stands in the statement.
fn check_resolution(
    function: &FunctionDescription,
    args: &[Option<&ScalarValue>],
    index: usize,
) -> Result<()> {
    match args.get(index) {
        Some(Some(ScalarValue::Int64(Some(given)))) => resolution(function, *given).map(drop),
        _ => Ok(()),
    }
}
