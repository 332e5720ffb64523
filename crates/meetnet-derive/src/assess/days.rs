//! Rows of an observed dataset, in the order of its key, become figures per day.

use std::ops::Range;

use arrow::array::{Array, AsArray, Int8Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{Int8Type, Int64Type, TimestampMicrosecondType};
use meetnet_lake::committed::KeyPart;
use meetnet_model::calendar::{DAY_US, SECOND_US};
use meetnet_model::common;
use meetnet_model::quality::Quality;

use super::AssessPlan;
use super::figures::{Figures, bounds};
use crate::error::DeriveError;
use crate::input::{Recorded, is_at};

/// Makes the figures of days that follow each other, from their rows and those of the days before them.
pub(super) struct DayFold<'p> {
    plan: &'p AssessPlan,
    /// The first day that is read.
    first: i64,
    /// Days before those that are wanted.
    lead: usize,
    bounds: Vec<f64>,
    series: Option<Vec<KeyPart>>,
    /// Per day that is read: the slots in which the series has an observation, a bit each.
    slots: Vec<u64>,
    /// Per day that is read: whether the series has a row.
    of_series: Vec<bool>,
    /// The same of everything whose key begins as that of the series: a sensor, a segment.
    of_sensor: Vec<bool>,
    /// The time of the pass before, µs since 1970 UTC.
    since: Option<i64>,
    /// Per day that is read: whether the series had a row by then.
    was_there: Vec<bool>,
    days: Vec<OfDay>,
}

/// What is found of a day.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OfDay {
    pub(super) figures: Figures,
    /// Whether a series has its first row there since the pass before, so that the days behind expect it.
    pub(super) is_new: bool,
}

/// What is read of a batch.
struct Columns<'a> {
    series: Vec<&'a dyn Array>,
    times: &'a TimestampMicrosecondArray,
    received: &'a TimestampMicrosecondArray,
    quality: &'a Int8Array,
    revisions: &'a Int64Array,
    intervals: Option<&'a Int64Array>,
    /// None where nobody asks.
    recorded: Option<Recorded<'a>>,
}

impl<'a> Columns<'a> {
    fn of(
        plan: &AssessPlan,
        batch: &'a RecordBatch,
        asks_recorded: bool,
    ) -> Result<Self, DeriveError> {
        let column = |name: &str| -> Result<&'a dyn Array, DeriveError> {
            let found = batch
                .column_by_name(name)
                .ok_or_else(|| plan.no_column(name))?;
            Ok(&**found)
        };
        let received = column(common::RECEIVED_AT)?;
        let revisions = column(common::REVISION)?.as_primitive_opt::<Int64Type>();
        let quality = column(common::QUALITY)?.as_primitive_opt::<Int8Type>();
        let intervals = if plan.has_interval {
            column(common::INTERVAL_S)?.as_primitive_opt::<Int64Type>()
        } else {
            None
        };
        Ok(Self {
            series: plan
                .series
                .iter()
                .map(|name| column(name))
                .collect::<Result<_, _>>()?,
            times: plan.times(batch)?,
            received: received
                .as_primitive_opt::<TimestampMicrosecondType>()
                .ok_or_else(|| plan.no_column(common::RECEIVED_AT))?,
            quality: quality.ok_or_else(|| plan.no_column(common::QUALITY))?,
            revisions: revisions.ok_or_else(|| plan.no_column(common::REVISION))?,
            intervals,
            recorded: if asks_recorded {
                Some(Recorded::of(&plan.declaration.id, batch)?)
            } else {
                None
            },
        })
    }

    fn is_of(&self, row: usize, series: &[KeyPart]) -> bool {
        let mut columns = self.series.iter().zip(series);
        columns.all(|(column, part)| is_at(*column, row, part))
    }

    fn is_of_sensor(&self, row: usize, series: &[KeyPart]) -> bool {
        let mut first = self.series.iter().zip(series).take(1);
        first.all(|(column, part)| is_at(*column, row, part))
    }

    /// Returns the length of a row's interval, µs; 0 where it has none.
    fn interval(&self, row: usize) -> i64 {
        let interval = self.intervals.filter(|intervals| intervals.is_valid(row));
        let seconds = interval.map_or(0, |intervals| intervals.value(row));
        seconds.max(0).saturating_mul(SECOND_US)
    }
}

impl<'p> DayFold<'p> {
    /// Returns a fold that has met no row. `since` is the time of the pass before, µs since 1970 UTC; none: there was none.
    pub(super) fn new(plan: &'p AssessPlan, days: &Range<i64>, since: Option<i64>) -> Self {
        let lead = usize::try_from(plan.lead).unwrap_or(0);
        let wanted = usize::try_from(days.end - days.start).unwrap_or(0);
        let of_day = OfDay {
            figures: Figures {
                days: 1,
                ..Figures::default()
            },
            is_new: false,
        };
        Self {
            plan,
            first: days.start - plan.lead,
            lead,
            bounds: bounds(),
            series: None,
            slots: vec![0; lead + wanted],
            of_series: vec![false; lead + wanted],
            of_sensor: vec![false; lead + wanted],
            since,
            was_there: vec![false; lead + wanted],
            days: vec![of_day; wanted],
        }
    }

    /// Takes the next rows.
    ///
    /// # Errors
    /// Where they lack a column.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<(), DeriveError> {
        let columns = Columns::of(self.plan, batch, self.since.is_some())?;
        for row in 0..batch.num_rows() {
            let series = self.series.as_deref();
            if !series.is_some_and(|series| columns.is_of(row, series)) {
                let is_other = !series.is_some_and(|series| columns.is_of_sensor(row, series));
                self.end_series();
                if is_other {
                    self.end_sensor();
                }
                let parts = columns.series.iter();
                self.series = Some(parts.filter_map(|part| KeyPart::of(*part, row)).collect());
            }
            self.add(&columns, row);
        }
        Ok(())
    }

    /// Returns what was found of the days that were wanted.
    pub(super) fn finish(mut self) -> Vec<OfDay> {
        self.end_series();
        self.end_sensor();
        self.days
    }

    fn add(&mut self, columns: &Columns<'_>, row: usize) {
        let time = columns.times.value(row);
        let day = time.div_euclid(DAY_US);
        let Ok(at) = usize::try_from(day - self.first) else {
            return;
        };
        if at >= self.of_series.len() {
            return;
        }
        self.of_series[at] = true;
        self.of_sensor[at] = true;
        if let (Some(since), Some(recorded)) = (self.since, &columns.recorded)
            && recorded.at(row) < since
        {
            self.was_there[at] = true;
        }
        let quality = columns.quality.value(row);
        let interval = columns.interval(row);
        if quality != Quality::Missing.code() {
            let from = time - day * DAY_US;
            let to = from.saturating_add(interval.max(1)).min(DAY_US);
            for slot in from / self.plan.slot..=(to - 1) / self.plan.slot {
                self.slots[at] |= 1 << slot;
            }
        }
        let Some(OfDay { figures, .. }) = at
            .checked_sub(self.lead)
            .and_then(|at| self.days.get_mut(at))
        else {
            return;
        };
        figures.count_flag(quality);
        figures.revisions += columns.revisions.value(row);
        let received = columns.received.value(row);
        // Where they are the same, nobody but the clock here has said when it was.
        if received != time {
            let late = received.saturating_sub(time).saturating_sub(interval);
            figures.count_lateness(&self.bounds, late as f64 / SECOND_US as f64);
        }
    }

    fn end_series(&mut self) {
        let slots_of_day = DAY_US / self.plan.slot;
        for (at, is_there) in is_there(&self.of_series, self.lead) {
            if is_there && let Some(day) = self.days.get_mut(at) {
                let read = at + self.lead;
                day.figures.slots_expected += slots_of_day;
                day.figures.slots += i64::from(self.slots[read].count_ones());
                day.is_new |= self.of_series[read] && !self.was_there[read];
            }
        }
        self.was_there.fill(false);
        self.slots.fill(0);
        self.of_series.fill(false);
    }

    fn end_sensor(&mut self) {
        for (at, is_there) in is_there(&self.of_sensor, self.lead) {
            let Some(OfDay { figures, .. }) = self.days.get_mut(at) else {
                continue;
            };
            if self.of_sensor[at + self.lead] {
                figures.sensors += 1;
            } else if is_there {
                figures.silent += 1;
            }
        }
        self.of_sensor.fill(false);
    }
}

/// Returns for each day behind the first `lead` whether there was a row in it or in the `lead` days before it.
fn is_there(days: &[bool], lead: usize) -> Vec<(usize, bool)> {
    let mut last = None;
    let mut found = Vec::with_capacity(days.len().saturating_sub(lead));
    for (at, has_row) in days.iter().enumerate() {
        if *has_row {
            last = Some(at);
        }
        if at >= lead {
            found.push((at - lead, last.is_some_and(|last| at - last <= lead)));
        }
    }
    found
}

#[cfg(test)]
mod tests;
