//! What the backward-looking tests remember of every series, as a function of the journal alone.
//!
//! ```text
//! decoded rows, in the order of the journal ─▶ live ─▶ flags
//!                                          └─▶ pending ─ committed up to T: dropped
//!                       live, pending taken back ─▶ settled ─▶ state file of T
//! ```
//!
//! **Live** is the history behind everything decoded; flags come from it. **Settled** is the same history as it was at
//! T, the position that the journal is replayed from: a restart begins with it, meets the frames behind T again, and so
//! makes the flags that it made before. Between the two lie the **pending** changes, which are those by rows that are not
//! committed; a message that comes again makes none. Settled is made from live where it is written, by taking them back,
//! newest first: no series is held twice. Whether a row is new, unchanged or a revision plays no part, and what an import
//! brings has no place in the journal and none here; decision 0004 says why, and what is left to the settle pass.
//!
//! What an observation costs is a look-up of its sensor, which rows of one message share, and of its property, which is
//! most often the one that followed before; no allocation, and nothing when it is committed. Series are looked up for a
//! stretch of rows before any of them is tested: look-ups do not wait for each other, so their cache misses overlap.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use hashbrown::HashMap;
use meetnet_model::ids::{DatasetId, Sequence};
use meetnet_model::rows::DatasetRows;

use crate::backward::Observation;
use crate::names::{Name, Names, is_same};
use crate::rules::QualityRules;
use crate::series::{SeriesFlags, SeriesHistory};

mod bytes;
mod pending;

use self::pending::{Pending, PendingChanges};

/// Series of one dataset that are remembered at most; later ones are not tested, which [`Remembered::untested_rows`]
/// counts. At 2 KiB each they take 128 MiB.
pub const SERIES_MAX: usize = 65_536;
const _: () = assert!(
    SERIES_MAX <= 1 << 16,
    "a pending change has a series as u16"
);
/// Rows whose series are looked up before they are tested.
const STRETCH: usize = 128;

/// The history of all datasets.
#[derive(Clone, Debug, Default)]
pub struct QualityHistory {
    datasets: BTreeMap<DatasetId, DatasetHistory>,
}

/// The history of one dataset.
#[derive(Clone, Debug, Default)]
struct DatasetHistory {
    /// Sensor -> position of the first of its series.
    sensors: HashMap<Box<str>, u32>,
    /// Names of properties; their positions are in `links`.
    properties: Vec<Box<str>>,
    /// [`SERIES_MAX`] at most.
    series: Vec<SeriesHistory>,
    /// By series. A sensor's series are a ring, in the order in which they came: no list of its own per sensor, and from
    /// one row of a message to the next it is one step.
    links: Vec<Link>,
    pending: PendingChanges,
    untested_rows: u64,
}

/// The place of a series in the ring of its sensor.
#[derive(Clone, Copy, Debug)]
struct Link {
    /// Position in `properties`.
    property: u32,
    /// Position in `series`.
    next: u32,
}

/// How much of a dataset is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Series, [`SERIES_MAX`] at most.
    pub series: usize,
    /// Rows since the start that were not tested by earlier ones because there was no room for their series.
    pub untested_rows: u64,
}

impl QualityHistory {
    /// Tests rows of one dataset by those decoded before them, and remembers them. Returns the flags of each row; empty
    /// where no property of the dataset has such tests. `sequence_of` is by the position of an envelope.
    pub fn observe(
        &mut self,
        rules: &QualityRules,
        rows: &DatasetRows,
        sequence_of: impl Fn(u32) -> Sequence,
    ) -> Vec<SeriesFlags> {
        self.observe_rows(rules, rows, &sequence_of)
    }

    /// Compiled once and with this crate, whoever calls it: what a row costs should not depend on that.
    fn observe_rows(
        &mut self,
        rules: &QualityRules,
        rows: &DatasetRows,
        sequence_of: &dyn Fn(u32) -> Sequence,
    ) -> Vec<SeriesFlags> {
        let id = &rows.declaration.id;
        let Some(rules) = rules.with_series_tests(id) else {
            return Vec::new();
        };
        let column = |name: &str| rows.batch.column_by_name(name);
        let sensors = column("sensor_id").and_then(|array| array.as_string_opt::<i32>());
        let properties = column("property").and_then(|array| array.as_string_opt::<i32>());
        let times =
            column("time").and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>());
        let values = column("value").and_then(|array| array.as_primitive_opt::<Float64Type>());
        let (Some(sensors), Some(properties), Some(times), Some(values)) =
            (sensors, properties, times, values)
        else {
            return Vec::new();
        };
        let Some(first_envelope) = rows.envelopes.first().copied() else {
            return Vec::new();
        };
        let history = self.datasets.entry(id.clone()).or_default();
        let mut tested = Names::default();
        // The sensor of the row before, and its series.
        let mut last: Option<(&str, u32)> = None;
        // The envelope of the row before, and its sequence.
        let mut envelope_before = first_envelope;
        let mut sequence = sequence_of(first_envelope);
        let mut flags = vec![SeriesFlags::NOT_EVALUATED; rows.batch.num_rows()];
        let mut found = [None; STRETCH];
        for (stretch, flags) in flags.chunks_mut(STRETCH).enumerate() {
            let first = stretch * STRETCH;
            for (row, found) in (first..).zip(&mut found[..flags.len()]) {
                *found = None;
                let property = tested.find(properties.value(row), |name| {
                    let tests = rules.get(name)?.series.as_ref()?;
                    Some((tests, history.property(name)))
                });
                let Some((tests, property)) = property else {
                    continue;
                };
                let name = sensors.value(row);
                let from = match last {
                    Some((before, series)) if is_same(before, name) => {
                        Some(history.links[series as usize].next)
                    }
                    _ => history.sensors.get(&Name(name)).copied(),
                };
                let Some(series) = history.series_of(from, name, property) else {
                    history.untested_rows += 1;
                    continue;
                };
                last = Some((name, series));
                *found = Some((tests, series));
            }
            let DatasetHistory {
                series: histories,
                pending,
                ..
            } = &mut *history;
            let of_stretch = first..first + flags.len();
            let times = &times.values()[of_stretch.clone()];
            let measured = &values.values()[of_stretch.clone()];
            let envelopes = &rows.envelopes[of_stretch];
            let observed = times.iter().zip(measured).zip(envelopes);
            let flagged = flags.iter_mut().zip(&found);
            for (row, ((flags, found), ((time, value), envelope))) in
                (first..).zip(flagged.zip(observed))
            {
                let Some((tests, series)) = *found else {
                    continue;
                };
                let is_null = values.nulls().is_some_and(|nulls| nulls.is_null(row));
                let observation = Observation {
                    time: *time,
                    value: if is_null { f64::NAN } else { *value },
                };
                if *envelope != envelope_before {
                    envelope_before = *envelope;
                    sequence = sequence_of(*envelope);
                }
                histories[series as usize].observe(tests, observation, flags, |change| {
                    pending.push(Pending::new(sequence, series, change));
                });
            }
        }
        flags
    }

    /// How much of each dataset is remembered.
    pub fn remembered(&self) -> impl Iterator<Item = (&DatasetId, Remembered)> {
        self.datasets.iter().map(|(id, history)| {
            let remembered = Remembered {
                series: history.series.len(),
                untested_rows: history.untested_rows,
            };
            (id, remembered)
        })
    }

    /// Moves what is settled on to `through`: everything up to there is committed.
    pub fn settle(&mut self, through: Sequence) {
        for history in self.datasets.values_mut() {
            history.pending.settle(through);
        }
    }

    /// Forgets the sensors that `is_wanted` names.
    pub fn forget(&mut self, mut is_wanted: impl FnMut(&str) -> bool) {
        for history in self.datasets.values_mut() {
            history.forget(&mut is_wanted);
        }
    }
}

impl DatasetHistory {
    /// Returns the position of a property's name.
    fn property(&mut self, name: &str) -> u32 {
        let known = self.properties.iter().position(|known| **known == *name);
        let at = known.unwrap_or_else(|| {
            self.properties.push(name.into());
            self.properties.len() - 1
        });
        at as u32
    }

    /// Returns the position of a sensor's series of a property, a new one where there is room. `from` is one of its series,
    /// the one to begin with; None where it has none.
    fn series_of(&mut self, from: Option<u32>, name: &str, property: u32) -> Option<u32> {
        if let Some(from) = from {
            let mut series = from;
            loop {
                let link = self.links[series as usize];
                if link.property == property {
                    return Some(series);
                }
                series = link.next;
                if series == from {
                    break;
                }
            }
        }
        self.add(name, property, SeriesHistory::default())
    }

    /// Adds a series with what it remembers as the last of its sensor; None where there is no room.
    fn add(&mut self, name: &str, property: u32, history: SeriesHistory) -> Option<u32> {
        if self.series.len() >= SERIES_MAX {
            return None;
        }
        let series = self.series.len() as u32;
        self.series.push(history);
        let first = self.sensors.get(name).copied();
        let next = first.unwrap_or(series);
        if let Some(first) = first {
            let mut last = first;
            while self.links[last as usize].next != first {
                last = self.links[last as usize].next;
            }
            self.links[last as usize].next = series;
        } else {
            self.sensors.insert(name.into(), series);
        }
        self.links.push(Link { property, next });
        Some(series)
    }

    /// The series of a sensor whose first is this one, in the order in which they came.
    fn ring(&self, first: u32) -> impl Iterator<Item = u32> {
        let after = move |series: &u32| {
            let next = self.links[*series as usize].next;
            (next != first).then_some(next)
        };
        std::iter::successors(Some(first), after)
    }

    /// Forgets the sensors that `is_wanted` names, so that there is as much room as after a restart.
    fn forget(&mut self, is_wanted: &mut impl FnMut(&str) -> bool) {
        let mut old = std::mem::take(self);
        self.properties = std::mem::take(&mut old.properties);
        self.untested_rows = old.untested_rows;
        // By the position before.
        let mut positions: Vec<Option<u32>> = vec![None; old.series.len()];
        for (name, first) in std::mem::take(&mut old.sensors) {
            if is_wanted(&name) {
                continue;
            }
            let of_sensor: Vec<u32> = old.ring(first).collect();
            for series in of_sensor {
                let before = series as usize;
                let history = std::mem::take(&mut old.series[before]);
                positions[before] = self.add(&name, old.links[before].property, history);
            }
        }
        for pending in old.pending.iter() {
            if let Some(series) = positions[pending.series()] {
                self.pending.push(pending.of_series(series));
            }
        }
    }
}

#[cfg(test)]
mod tests;
