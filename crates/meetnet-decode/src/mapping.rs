//! The declared mapping: which value of a message becomes which property (one row each) or column (one row together).
//!
//! fields of a message + time + sensor id → rows of long and wide datasets
//!
//! Formats come here by way of [`crate::format::mapped`]. The property table says
//! which dataset a property belongs to; no code does.

mod compile;
mod emit;
mod stated;
mod steps;

pub(crate) use compile::{MappingFault, Plan, dataset_position, filled_column};
pub(crate) use emit::{Emitted, Observation};
pub(crate) use stated::{Stated, UnitCodes, Units};

use meetnet_model::column::ColumnType;

use crate::fields::Slot;
use crate::mapping::stated::StatedUnits;
use crate::mapping::steps::Steps;
use crate::sentinels::Sentinels;
use crate::validity::Validity;

/// A compiled mapping.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    /// What says of a whole message that its values are readings.
    valid: Option<Validity>,
    values: Vec<LongValue>,
    rows: Vec<WideRow>,
}

/// One property of a long dataset: at most one row per message.
#[derive(Clone, Debug)]
struct LongValue {
    dataset: usize,
    columns: LongColumns,
    property: Box<str>,
    /// Where its value may stand; the first that has one counts.
    origins: Vec<Origin>,
}

/// Positions of the columns that every long dataset has.
#[derive(Clone, Copy, Debug)]
struct LongColumns {
    sensor_id: usize,
    property: usize,
    time: usize,
    value: usize,
    interval_s: Option<usize>,
}

/// Where a value stands, and how it is written there.
#[derive(Clone, Debug)]
struct Origin {
    slot: Slot,
    /// The pointer or name, for messages.
    name: Box<str>,
    /// What makes the canonical value of the one sent.
    steps: Steps,
    /// How its unit is converted where the message states it; none in formats that state none.
    stated: Option<StatedUnits>,
    sentinels: Sentinels,
    /// What says of the value that it is a reading.
    valid: Option<Validity>,
    interval_s: Option<i64>,
    /// Whether the time of a message is the end of that interval.
    ends: bool,
}

/// One row of a wide dataset per message.
#[derive(Clone, Debug)]
struct WideRow {
    dataset: usize,
    time: usize,
    sensor_id: Option<usize>,
    /// The column `interval_s`.
    interval: Option<usize>,
    /// Whether the time of a message is the end of that interval.
    ends: bool,
    constants: Vec<ConstantCell>,
    cells: Vec<WideCell>,
}

/// A value that every row has, unless the message has another.
#[derive(Clone, Debug)]
struct ConstantCell {
    column: usize,
    value: ConstantValue,
}

#[derive(Clone, Debug)]
enum ConstantValue {
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(Box<str>),
}

#[derive(Clone, Debug)]
struct WideCell {
    column: usize,
    column_type: ColumnType,
    in_key: bool,
    origin: Origin,
}

impl Mapping {
    /// Returns the names of the wanted values, for a message that has none of them.
    pub(crate) fn wanted(&self) -> String {
        const NAMED_MAX: usize = 6;
        let long = self.values.iter().flat_map(|value| &value.origins);
        let wide = self
            .rows
            .iter()
            .flat_map(|row| &row.cells)
            .filter(|cell| !cell.in_key);
        let names: Vec<&str> = long
            .chain(wide.map(|cell| &cell.origin))
            .map(|origin| &*origin.name)
            .collect();
        let mut text = String::new();
        for name in names.iter().take(NAMED_MAX) {
            text.push_str(if text.is_empty() { "`" } else { ", `" });
            text.push_str(name);
            text.push('`');
        }
        if names.len() > NAMED_MAX {
            text.push_str(&format!(" and {} more", names.len() - NAMED_MAX));
        }
        text
    }
}
