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
//! most often the one that followed before; no allocation, and nothing when it is committed.

use std::collections::{BTreeMap, VecDeque};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use hashbrown::HashMap;
use meetnet_model::ids::{DatasetId, Sequence};
use meetnet_model::rows::DatasetRows;

use crate::backward::Observation;
use crate::names::Names;
use crate::rules::QualityRules;
use crate::series::{Change, SeriesFlags, SeriesHistory};

mod bytes;

/// Series of one dataset that are remembered at most; later ones are not tested, which [`Remembered::untested_rows`]
/// counts. At 2 KiB each they take 128 MiB.
pub const SERIES_MAX: usize = 65_536;
/// Places for pending changes that are not given back.
const PENDING_KEPT: usize = 1_024;

/// The history of all datasets.
#[derive(Clone, Debug, Default)]
pub struct QualityHistory {
    datasets: BTreeMap<DatasetId, DatasetHistory>,
}

/// The history of one dataset.
#[derive(Clone, Debug, Default)]
struct DatasetHistory {
    /// Sensor -> position in `of_sensors`.
    sensors: HashMap<Box<str>, u32>,
    /// Per sensor: its series, in the order in which they came.
    of_sensors: Vec<Vec<SeriesOf>>,
    /// Names of properties; their positions are in `of_sensors`.
    properties: Vec<Box<str>>,
    /// [`SERIES_MAX`] at most.
    series: Vec<SeriesHistory>,
    /// Ascending by sequence.
    pending: VecDeque<Pending>,
    untested_rows: u64,
}

/// A series of a sensor.
#[derive(Clone, Copy, Debug)]
struct SeriesOf {
    /// Position in `properties`.
    property: u32,
    /// Position in `series`.
    series: u32,
}

/// How much of a dataset is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Series, [`SERIES_MAX`] at most.
    pub series: usize,
    /// Rows since the start that were not tested by earlier ones because there was no room for their series.
    pub untested_rows: u64,
}

/// A change by a row that may not be committed yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    sequence: Sequence,
    /// Position in `series`.
    series: u32,
    change: Change,
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
        let history = self.datasets.entry(id.clone()).or_default();
        let mut tested = Names::default();
        let mut last: Option<(&str, u32)> = None;
        let mut flags = vec![SeriesFlags::NOT_EVALUATED; rows.batch.num_rows()];
        for (row, flags) in flags.iter_mut().enumerate() {
            let property = tested.find(properties.value(row), |name| {
                let tests = rules.get(name)?.series.as_ref()?;
                Some((tests, history.property(name)))
            });
            let Some((tests, property)) = property else {
                continue;
            };
            let name = sensors.value(row);
            let sensor = match last {
                Some((same, sensor)) if same == name => Some(sensor),
                _ => history.sensors.get(name).copied(),
            };
            let Some((sensor, series)) = history.series_of(sensor, name, property) else {
                history.untested_rows += 1;
                continue;
            };
            last = Some((name, sensor));
            let value = values.is_valid(row).then(|| values.value(row));
            let observation = Observation {
                time: times.value(row),
                value: value.unwrap_or(f64::NAN),
            };
            let (of_row, change) = history.series[series as usize].observe(tests, observation);
            *flags = of_row;
            if let Some(change) = change {
                history.pending.push_back(Pending {
                    sequence: sequence_of(rows.envelopes[row]),
                    series,
                    change,
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
            let pending = &mut history.pending;
            let settled = pending.partition_point(|pending| pending.sequence <= through);
            pending.drain(..settled);
            // A burst, or a commit that failed for an hour, must not hold its memory for good.
            let kept = pending.len().max(PENDING_KEPT);
            if pending.capacity() > 4 * kept {
                pending.shrink_to(2 * kept);
            }
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

    /// Returns the positions of a sensor and of its series of a property, a new one where there is room. `sensor` is the
    /// position, where it is known.
    fn series_of(&mut self, sensor: Option<u32>, name: &str, property: u32) -> Option<(u32, u32)> {
        if let Some(sensor) = sensor {
            let mut of_sensor = self.of_sensors[sensor as usize].iter();
            if let Some(known) = of_sensor.find(|known| known.property == property) {
                return Some((sensor, known.series));
            }
        }
        self.add(sensor, name, property, SeriesHistory::default())
    }

    /// Adds a series with what it remembers, and its sensor where that is new; None where there is no room.
    fn add(
        &mut self,
        sensor: Option<u32>,
        name: &str,
        property: u32,
        history: SeriesHistory,
    ) -> Option<(u32, u32)> {
        if self.series.len() >= SERIES_MAX {
            return None;
        }
        let series = self.series.len() as u32;
        self.series.push(history);
        let sensor = sensor.unwrap_or_else(|| {
            let sensor = self.of_sensors.len() as u32;
            self.of_sensors.push(Vec::new());
            self.sensors.insert(name.into(), sensor);
            sensor
        });
        self.of_sensors[sensor as usize].push(SeriesOf { property, series });
        Some((sensor, series))
    }

    /// Forgets the sensors that `is_wanted` names, so that there is as much room as after a restart.
    fn forget(&mut self, is_wanted: &mut impl FnMut(&str) -> bool) {
        let mut old = std::mem::take(self);
        self.properties = old.properties;
        self.untested_rows = old.untested_rows;
        // By the position before.
        let mut positions: Vec<Option<u32>> = vec![None; old.series.len()];
        for (name, sensor) in old.sensors {
            if is_wanted(&name) {
                continue;
            }
            let mut of_sensor = std::mem::take(&mut old.of_sensors[sensor as usize]);
            for SeriesOf { series, .. } in &mut of_sensor {
                let before = std::mem::replace(series, self.series.len() as u32) as usize;
                positions[before] = Some(*series);
                self.series.push(std::mem::take(&mut old.series[before]));
            }
            self.sensors.insert(name, self.of_sensors.len() as u32);
            self.of_sensors.push(of_sensor);
        }
        let moved = |pending: Pending| {
            let series = positions[pending.series as usize]?;
            Some(Pending { series, ..pending })
        };
        self.pending = old.pending.into_iter().filter_map(moved).collect();
    }
}

#[cfg(test)]
mod tests;
