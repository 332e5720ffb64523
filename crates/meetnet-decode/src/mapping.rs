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

pub(crate) use compile::{MappingFault, Plan, dataset_position, filled_column, long_columns};
pub(crate) use emit::{Emitted, Observation, Series};
pub(crate) use stated::{Stated, UnitCodes, Units};

use meetnet_model::column::ColumnType;
use meetnet_model::rows::LongColumns;

use crate::comma::DecimalComma;
use crate::fields::Slot;
use crate::mapping::stated::StatedUnits;
use crate::mapping::steps::Steps;
use crate::quantity::UnitInValue;
use crate::sentinels::Sentinels;
use crate::validity::Validity;

/// A compiled mapping.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    /// What says of a whole message that its values are readings.
    valid: Option<Validity>,
    values: Vec<LongValue>,
    rows: Vec<WideRow>,
    /// Of messages with one field each: by slot, the numbers of the values that may come of it. Empty for others.
    by_field: Vec<Vec<usize>>,
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
    comma: DecimalComma,
    unit_in_value: UnitInValue,
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
    /// Prepares for [`Mapping::emit_field`]; `is_field` says of a slot whether it is that of a field.
    pub(crate) fn index_fields(&mut self, is_field: &dyn Fn(Slot) -> bool) {
        let slots = self.values.iter().flat_map(|value| &value.origins);
        let slots = slots.map(|origin| usize::from(origin.slot.0) + 1);
        let slots = slots.max().unwrap_or(0);
        self.by_field = vec![Vec::new(); slots];
        for (number, value) in self.values.iter().enumerate() {
            let slots = value.origins.iter().map(|origin| origin.slot);
            if !slots.clone().all(is_field) {
                // What stands beside the fields may be there with any of them.
                self.by_field.iter_mut().for_each(|of| of.push(number));
                continue;
            }
            for slot in slots {
                let of = &mut self.by_field[usize::from(slot.0)];
                if of.last() != Some(&number) {
                    of.push(number);
                }
            }
        }
    }

    /// Returns the datasets that it fills, by number.
    #[cfg(test)]
    pub(crate) fn datasets(&self) -> Vec<usize> {
        let long = self.values.iter().map(|value| value.dataset);
        let wide = self.rows.iter().map(|row| row.dataset);
        long.chain(wide).collect()
    }

    /// Returns where values stand that must be numbers, and what they are called there.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = (Slot, &str)> {
        let long = self.values.iter().flat_map(|value| &value.origins);
        let wide = self.rows.iter().flat_map(|row| &row.cells);
        let wide = wide
            .filter(|cell| matches!(cell.column_type, ColumnType::Int | ColumnType::Float))
            .map(|cell| &cell.origin);
        long.chain(wide).map(|origin| (origin.slot, &*origin.name))
    }

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
