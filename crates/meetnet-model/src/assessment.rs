//! A dataset that says how good others are: `[assess]` of its declaration.
//!
//! ```text
//! rows of every observed dataset ─▶ per day (UTC): flags, revisions, lateness, slots, sensors ─▶ months, all
//! ```
//!
//! *Observed* are wide and long datasets that sources fill. A row of period `day` is a function of the current rows of its
//! dataset in that day, and of which series had any in the days before; those of `month` and `all` are sums of days.
//! `meetnet-derive` computes them; this module says what is wanted, and which columns there are.

use serde::{Deserialize, Serialize};

use crate::column::ColumnType;
use crate::dataset::{DatasetDeclaration, DatasetKind};

/// How rows of other datasets are judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assessment {
    /// A day appears when everything recorded until so many seconds after its end is committed.
    pub grace_s: u32,
    /// Days are looked at again when so many seconds have passed: late rows come one by one.
    pub every_s: u32,
    /// A series that is there is expected to have an observation in each stretch of so many seconds.
    pub slot_s: u32,
    /// A series is there for so many days after its last observation.
    pub active_days: u32,
}

/// The key columns of such a dataset.
pub const KEY: [&str; 3] = ["dataset", "period", "time"];

/// Periods of its rows.
pub const PERIODS: [&str; 3] = ["day", "month", "all"];

/// The columns of such a dataset outside the key.
pub const COLUMNS: [(&str, ColumnType); 18] = [
    ("rows", ColumnType::Int),
    ("passed", ColumnType::Int),
    ("not_evaluated", ColumnType::Int),
    ("suspect", ColumnType::Int),
    ("failed", ColumnType::Int),
    ("missing", ColumnType::Int),
    ("revisions", ColumnType::Int),
    ("slots", ColumnType::Int),
    ("slots_expected", ColumnType::Int),
    ("completeness", ColumnType::Float),
    ("timed", ColumnType::Int),
    ("lateness_p50_s", ColumnType::Float),
    ("lateness_p90_s", ColumnType::Float),
    ("lateness_p99_s", ColumnType::Float),
    ("lateness_classes", ColumnType::FloatList),
    ("sensors", ColumnType::Int),
    ("silent", ColumnType::Int),
    ("days", ColumnType::Int),
];

/// Most slots of a day: a bit each.
pub const SLOTS_MAX: u32 = 64;

impl Assessment {
    /// Returns what is wrong with the numbers; none where nothing is.
    pub fn problem(&self) -> Option<&'static str> {
        let slots = 86_400_u32.checked_div(self.slot_s).unwrap_or(0);
        if slots == 0 || slots > SLOTS_MAX || 86_400 % self.slot_s != 0 {
            return Some(
                "`slot_s` divides a day into 64 parts at most: use 1350 to 86400, such as 3600",
            );
        }
        if !(1..=31).contains(&self.active_days) {
            return Some("`active_days` is from 1 to 31; correct it");
        }
        None
    }

    /// Returns whether a dataset is judged.
    pub fn judges(dataset: &DatasetDeclaration) -> bool {
        matches!(dataset.kind, DatasetKind::Wide | DatasetKind::Long) && !dataset.is_made()
    }
}

#[cfg(test)]
mod tests;
