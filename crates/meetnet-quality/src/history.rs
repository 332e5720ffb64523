//! What the backward-looking tests remember of every series, as a function of the journal alone.
//!
//! ```text
//! decoded rows, in the order of the journal ─▶ live ─▶ flags
//!                                          └─▶ pending ─ committed up to T ─▶ settled ─▶ state file of T
//! ```
//!
//! **Live** is the history behind everything decoded; flags come from it. **Settled** is the same history as it was at
//! T, the position that the journal is replayed from: a restart begins with it, meets the frames behind T again, and so
//! makes the flags that it made before. Between the two lie the **pending** observations, which are those of rows that
//! are not committed; a message that comes again adds none. Whether a row is new, unchanged or a revision plays no
//! part, and what an import brings has no place in the journal and none here; decision 0004 says why, and what is left
//! to the settle pass.

use std::collections::{BTreeMap, HashMap, VecDeque};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use meetnet_model::ids::{DatasetId, Sequence};
use meetnet_model::rows::DatasetRows;

use crate::backward::Observation;
use crate::rules::QualityRules;
use crate::series::{SeriesFlags, SeriesHistory};

mod bytes;

/// Series of one dataset that are remembered at most; later ones are not tested. At 2 KiB each, twice, they take 256 MiB.
pub const SERIES_MAX: usize = 65_536;

/// The history of all datasets.
#[derive(Clone, Debug, Default)]
pub struct QualityHistory {
    datasets: BTreeMap<DatasetId, DatasetHistory>,
}

/// The history of one dataset.
#[derive(Clone, Debug, Default)]
struct DatasetHistory {
    /// Sensor -> property and position in `series`.
    sensors: HashMap<Box<str>, Vec<(Box<str>, usize)>>,
    series: Vec<Series>,
    /// Ascending by sequence.
    pending: VecDeque<Pending>,
    /// Rows of series that there is no room for, since somebody asked.
    untested: u64,
}

#[derive(Clone, Debug, Default)]
struct Series {
    live: SeriesHistory,
    settled: SeriesHistory,
}

/// An observation of a row that may not be committed yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    sequence: Sequence,
    series: usize,
    observation: Observation,
    observations_max: usize,
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
        let mut flags = vec![SeriesFlags::NOT_EVALUATED; rows.batch.num_rows()];
        for (row, flags) in flags.iter_mut().enumerate() {
            let property = properties.value(row);
            let Some(tests) = rules.get(property).and_then(|rules| rules.series.as_ref()) else {
                continue;
            };
            let Some(series) = history.series_of(sensors.value(row), property) else {
                history.untested += 1;
                continue;
            };
            let value = values.is_valid(row).then(|| values.value(row));
            let observation = Observation {
                time: times.value(row),
                value: value.unwrap_or(f64::NAN),
            };
            let live = &mut history.series[series].live;
            let (of_row, has_changed) = live.observe(tests, observation);
            *flags = of_row;
            if has_changed {
                history.pending.push_back(Pending {
                    sequence: sequence_of(rows.envelopes[row]),
                    series,
                    observation,
                    observations_max: tests.observations(),
                });
            }
        }
        flags
    }

    /// Returns how many rows of a dataset were not tested since this was last asked: their series are beyond
    /// [`SERIES_MAX`].
    pub fn take_untested(&mut self, dataset: &DatasetId) -> u64 {
        let history = self.datasets.get_mut(dataset);
        history.map_or(0, |history| std::mem::take(&mut history.untested))
    }

    /// Moves what is settled on to `through`: everything up to there is committed.
    pub fn settle(&mut self, through: Sequence) {
        for history in self.datasets.values_mut() {
            while let Some(pending) = history.pending.front()
                && pending.sequence <= through
            {
                let settled = &mut history.series[pending.series].settled;
                settled.record(pending.observation, pending.observations_max);
                history.pending.pop_front();
            }
        }
    }

    /// Forgets the sensors that `is_wanted` names.
    pub fn forget(&mut self, mut is_wanted: impl FnMut(&str) -> bool) {
        for history in self.datasets.values_mut() {
            let DatasetHistory {
                sensors,
                series,
                pending,
                ..
            } = history;
            sensors.retain(|sensor, properties| {
                let goes = is_wanted(sensor);
                if goes {
                    for (_, at) in properties.iter() {
                        series[*at] = Series::default();
                        pending.retain(|pending| pending.series != *at);
                    }
                }
                !goes
            });
        }
    }
}

impl DatasetHistory {
    /// Returns the position of a series, a new one where there is room.
    fn series_of(&mut self, sensor: &str, property: &str) -> Option<usize> {
        let known = self.sensors.get(sensor);
        let same = |(name, _): &&(Box<str>, usize)| **name == *property;
        if let Some((_, at)) = known.and_then(|properties| properties.iter().find(same)) {
            return Some(*at);
        }
        self.add(sensor, property, SeriesHistory::default())
    }

    /// Adds a series with what it remembers; None where there is no room.
    fn add(&mut self, sensor: &str, property: &str, history: SeriesHistory) -> Option<usize> {
        let at = self.series.len();
        if at >= SERIES_MAX {
            return None;
        }
        self.series.push(Series {
            live: history.clone(),
            settled: history,
        });
        let properties = self.sensors.entry(sensor.into()).or_default();
        properties.push((property.into(), at));
        Some(at)
    }
}

#[cfg(test)]
mod tests;
