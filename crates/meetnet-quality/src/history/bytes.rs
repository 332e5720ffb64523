//! The settled history as bytes, for the state file of T. Little-endian; a text or list has its length (u32) before it.
//!
//! ```text
//! version u8, datasets [ id text, sensors [ id text, series [ property text, history ] ] ]
//! history = has_forgotten u8, interval_s u32, measure_in u8, observations [ time i64, value f64 ]
//! ```

use meetnet_model::ids::DatasetId;

use super::{DatasetHistory, QualityHistory};
use crate::backward::Observation;
use crate::series::{MEASURE_EVERY, OBSERVATIONS_MAX, SeriesHistory, Summary};

/// Version of the form; another one is not read.
const VERSION: u8 = 1;

impl QualityHistory {
    /// Returns the settled history as bytes: the same for the same history.
    pub fn to_bytes(&self) -> Vec<u8> {
        let datasets = self.datasets.values();
        let mut out = Vec::with_capacity(datasets.map(DatasetHistory::bytes_max).sum());
        out.push(VERSION);
        put_length(&mut out, self.datasets.len());
        for (id, history) in &self.datasets {
            put_text(&mut out, id.as_str());
            history.put(&mut out);
        }
        out
    }

    /// Reads what [`QualityHistory::to_bytes`] wrote; None where it is not that.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader(bytes);
        if from.byte()? != VERSION {
            return None;
        }
        let mut history = Self::default();
        for _ in 0..from.length()? {
            let id = DatasetId::new(from.text()?);
            let mut dataset = DatasetHistory::default();
            for _ in 0..from.length()? {
                let name = from.text()?;
                for _ in 0..from.length()? {
                    let property = dataset.property(from.text()?);
                    dataset.add(name, property, SeriesHistory::read(&mut from)?)?;
                }
            }
            history.datasets.insert(id, dataset);
        }
        from.0.is_empty().then_some(history)
    }
}

impl DatasetHistory {
    /// About how many bytes it takes, rather more than less: what is written is not moved while it grows.
    fn bytes_max(&self) -> usize {
        let observations: usize = self.series.iter().map(SeriesHistory::len).sum();
        let names: usize = self.sensors.keys().map(|name| 8 + name.len()).sum();
        16 * observations + 48 * self.series.len() + names + 128
    }

    fn put(&self, out: &mut Vec<u8>) {
        // Per series its newest pending change, and per change the one of its series before.
        let mut newest: Vec<Option<usize>> = vec![None; self.series.len()];
        let mut earlier: Vec<Option<usize>> = Vec::with_capacity(self.pending.len());
        for (at, pending) in self.pending.iter().enumerate() {
            earlier.push(newest[pending.series()].replace(at));
        }
        let mut settled = SeriesHistory::default();
        put_length(out, self.sensors.len());
        let mut sensors: Vec<_> = self.sensors.iter().collect();
        sensors.sort_unstable();
        for (name, first) in sensors {
            put_text(out, name);
            put_length(out, self.ring(*first).count());
            for series in self.ring(*first) {
                let at = series as usize;
                put_text(out, &self.properties[self.links[at].property as usize]);
                let live = &self.series[at];
                let mut pending = newest[at];
                if pending.is_none() {
                    live.put(out);
                    continue;
                }
                settled.clone_from(live);
                while let Some(at) = pending {
                    settled.take_back(&self.pending.get(at).change());
                    pending = earlier[at];
                }
                settled.put(out);
            }
        }
    }
}

impl SeriesHistory {
    fn put(&self, out: &mut Vec<u8>) {
        let Summary {
            interval_s,
            measure_in,
            has_forgotten,
            ..
        } = self.summary;
        out.push(u8::from(has_forgotten));
        out.extend(interval_s.to_le_bytes());
        out.push(measure_in);
        put_length(out, self.observations.len());
        for observation in &self.observations {
            out.extend(observation.time.to_le_bytes());
            out.extend(observation.value.to_le_bytes());
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let mut history = Self::default();
        history.summary.has_forgotten = from.byte()? != 0;
        history.summary.interval_s = u32::from_le_bytes(from.array()?);
        history.summary.measure_in = from.byte().filter(|within| *within <= MEASURE_EVERY)?;
        let count = from.length()?;
        if count > OBSERVATIONS_MAX {
            return None;
        }
        for _ in 0..count {
            history.observations.push_back(Observation {
                time: i64::from_le_bytes(from.array()?),
                value: f64::from_le_bytes(from.array()?),
            });
        }
        history.complete();
        Some(history)
    }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    out.extend((length as u32).to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.extend(text.as_bytes());
}

/// The bytes that are not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn length(&mut self) -> Option<usize> {
        self.array().map(|bytes| u32::from_le_bytes(bytes) as usize)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).ok()
    }
}
