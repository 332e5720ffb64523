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
use crate::series::{SeriesFlags, SeriesHistory, SeriesTests};

mod bytes;

/// Series of one dataset that are remembered at most; later ones are not tested, which [`Remembered::untested_rows`]
/// counts. At 2 KiB each they take 128 MiB, and as much again where all have something pending.
pub const SERIES_MAX: usize = 65_536;
/// Places for pending observations that are not given back.
const PENDING_KEPT: usize = 1_024;

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
    /// Positions in `series` of sensors that were forgotten: the next new ones take them, so that there is as much room as
    /// after a restart.
    free: Vec<usize>,
    /// Ascending by sequence.
    pending: VecDeque<Pending>,
    untested_rows: u64,
}

/// How much of a dataset is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Series, [`SERIES_MAX`] at most.
    pub series: usize,
    /// Rows since the start that were not tested by earlier ones because there was no room for their series.
    pub untested_rows: u64,
}

#[derive(Clone, Debug, Default)]
struct Series {
    live: SeriesHistory,
    /// None where nothing is pending: then it is the same as `live`, and most sensors report less often than rows are
    /// committed.
    settled: Option<Box<SeriesHistory>>,
    /// How many observations are pending.
    pending: u32,
}

impl Series {
    fn new(history: SeriesHistory) -> Self {
        Self {
            live: history,
            settled: None,
            pending: 0,
        }
    }

    /// Tests an observation and remembers it; also says whether it is pending now.
    fn observe(&mut self, tests: &SeriesTests, now: Observation) -> (SeriesFlags, bool) {
        // Most of what is polled again is known: nothing changes, and there is nothing to keep.
        let before =
            (self.pending == 0 && !self.live.holds(now)).then(|| Box::new(self.live.clone()));
        let (flags, has_changed) = self.live.observe(tests, now);
        if has_changed {
            if before.is_some() {
                self.settled = before;
            }
            self.pending += 1;
        }
        (flags, has_changed)
    }

    /// Takes the oldest of the pending observations over.
    fn settle(&mut self, observation: Observation, observations_max: usize) {
        self.pending = self.pending.saturating_sub(1);
        if self.pending == 0 {
            self.settled = None;
        } else if let Some(settled) = &mut self.settled {
            settled.record(observation, observations_max);
        }
    }

    fn settled(&self) -> &SeriesHistory {
        self.settled.as_deref().unwrap_or(&self.live)
    }
}

/// An observation of a row that may not be committed yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    sequence: Sequence,
    observation: Observation,
    /// Below [`SERIES_MAX`].
    series: u32,
    /// At most [`OBSERVATIONS_MAX`](crate::series::OBSERVATIONS_MAX).
    observations_max: u8,
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
                history.untested_rows += 1;
                continue;
            };
            let value = values.is_valid(row).then(|| values.value(row));
            let observation = Observation {
                time: times.value(row),
                value: value.unwrap_or(f64::NAN),
            };
            let (of_row, is_pending) = history.series[series].observe(tests, observation);
            *flags = of_row;
            if is_pending {
                history.pending.push_back(Pending {
                    sequence: sequence_of(rows.envelopes[row]),
                    observation,
                    series: series as u32,
                    observations_max: tests.observations() as u8,
                });
            }
        }
        flags
    }

    /// How much of each dataset is remembered.
    pub fn remembered(&self) -> impl Iterator<Item = (&DatasetId, Remembered)> {
        self.datasets.iter().map(|(id, history)| {
            let remembered = Remembered {
                series: history.series.len() - history.free.len(),
                untested_rows: history.untested_rows,
            };
            (id, remembered)
        })
    }

    /// Moves what is settled on to `through`: everything up to there is committed.
    pub fn settle(&mut self, through: Sequence) {
        for history in self.datasets.values_mut() {
            while let Some(pending) = history.pending.front()
                && pending.sequence <= through
            {
                history.series[pending.series as usize]
                    .settle(pending.observation, usize::from(pending.observations_max));
                history.pending.pop_front();
            }
            // A burst, or a commit that failed for an hour, must not hold its memory for good.
            let kept = history.pending.len().max(PENDING_KEPT);
            if history.pending.capacity() > 4 * kept {
                history.pending.shrink_to(2 * kept);
            }
        }
    }

    /// Forgets the sensors that `is_wanted` names.
    pub fn forget(&mut self, mut is_wanted: impl FnMut(&str) -> bool) {
        for history in self.datasets.values_mut() {
            let DatasetHistory {
                sensors,
                series,
                free,
                pending,
                ..
            } = history;
            sensors.retain(|sensor, properties| {
                let goes = is_wanted(sensor);
                if goes {
                    for (_, at) in properties.iter() {
                        series[*at] = Series::default();
                        free.push(*at);
                        pending.retain(|pending| pending.series as usize != *at);
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
        let series = Series::new(history);
        let at = match self.free.pop() {
            Some(at) => {
                self.series[at] = series;
                at
            }
            None if self.series.len() < SERIES_MAX => {
                self.series.push(series);
                self.series.len() - 1
            }
            None => return None,
        };
        let properties = self.sensors.entry(sensor.into()).or_default();
        properties.push((property.into(), at));
        Some(at)
    }
}

#[cfg(test)]
mod tests;
