//! Where sensors and segments stood: in which cell, and when.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use meetnet_lake::committed::{CommittedRows, KeyPart, RowRange};
use meetnet_model::ids::DatasetId;

use crate::deriver::unreadable;
use crate::error::DeriveError;

const ID: &str = "id";
pub(super) const VALID_FROM: &str = "valid_from";
const VALID_TO: &str = "valid_to";

/// The places of one dataset.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// By id, by time.
    periods: BTreeMap<KeyPart, Vec<Period>>,
}

/// Something that stood elsewhere than was known before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Move {
    /// From when, µs since 1970 UTC.
    pub(super) from: i64,
    /// Until when.
    pub(super) to: i64,
    /// The cell that was known, and the one that is.
    pub(super) cells: [Option<KeyPart>; 2],
}

/// How long a place holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Period {
    from: i64,
    to: i64,
    cell: Option<KeyPart>,
}

impl Places {
    /// Reads all places; `of` is the dataset that they are read for, `cell` the column with the cell.
    pub(super) fn read(
        of: &DatasetId,
        committed: &CommittedRows<'_>,
        cell: &str,
    ) -> Result<Self, DeriveError> {
        let unreadable = unreadable(of);
        let range = RowRange {
            from: i64::MIN,
            to: i64::MAX,
            leading: None,
        };
        let rows = committed.in_range(&[VALID_TO, cell], range);
        let mut rows = rows.map_err(&unreadable)?;
        let mut places = Self::default();
        while let Some(batch) = rows.next_batch().map_err(&unreadable)? {
            places.add(of, &batch, cell)?;
        }
        Ok(places)
    }

    /// Adds the places of a batch, which come by id and time.
    pub(super) fn add(
        &mut self,
        of: &DatasetId,
        batch: &RecordBatch,
        cell: &str,
    ) -> Result<(), DeriveError> {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .ok_or_else(|| DeriveError::no_column(of, name))
        };
        let times = |name: &str| {
            column(name)?
                .as_primitive_opt::<TimestampMicrosecondType>()
                .ok_or_else(|| DeriveError::no_column(of, name))
        };
        let (ids, cells) = (column(ID)?, column(cell)?);
        let (from, to) = (times(VALID_FROM)?, times(VALID_TO)?);
        for row in 0..batch.num_rows() {
            let Some(id) = KeyPart::of(ids, row) else {
                continue;
            };
            let to = if to.is_valid(row) {
                to.value(row)
            } else {
                i64::MAX
            };
            self.periods.entry(id).or_default().push(Period {
                from: from.value(row),
                to,
                cell: KeyPart::of(cells, row),
            });
        }
        Ok(())
    }

    /// Returns the cell of a place at a time; none where it was nowhere then, or nobody knows.
    pub(super) fn cell(&self, id: &KeyPart, time: i64) -> Option<&KeyPart> {
        let periods = self.periods.get(id)?;
        let behind = periods.partition_point(|period| period.from <= time);
        let period = periods.get(behind.checked_sub(1)?)?;
        period.cell.as_ref().filter(|_| time < period.to)
    }

    /// Returns what stands elsewhere by later places: all the times in which its cell is another one.
    pub(super) fn moves_to(&self, later: &Self) -> Vec<Move> {
        let ids: BTreeSet<&KeyPart> = self.periods.keys().chain(later.periods.keys()).collect();
        let mut moves = Vec::new();
        for id in ids {
            let (before, after) = (self.periods.get(id), later.periods.get(id));
            if before == after {
                continue;
            }
            // Between two of these times nothing changes; before the first it is nowhere.
            let periods = before.into_iter().chain(after).flatten();
            let times: BTreeSet<i64> = periods
                .flat_map(|period| [period.from, period.to])
                .collect();
            let ends = times.iter().copied().skip(1).chain([i64::MAX]);
            for (from, to) in times.iter().copied().zip(ends) {
                let cells = [self.cell(id, from), later.cell(id, from)];
                if cells[0] != cells[1] {
                    let cells = cells.map(Option::<&KeyPart>::cloned);
                    moves.push(Move { from, to, cells });
                }
            }
        }
        moves
    }

    /// Returns what has ever stood in some cells.
    pub(super) fn in_cells<'a>(
        &'a self,
        cells: &'a BTreeSet<&'a KeyPart>,
    ) -> impl Iterator<Item = &'a KeyPart> {
        let of_some = move |period: &Period| {
            period
                .cell
                .as_ref()
                .is_some_and(|cell| cells.contains(cell))
        };
        let places = self.periods.iter();
        places
            .filter(move |(_, periods)| periods.iter().any(of_some))
            .map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests;
