//! The settled history as bytes, for the state file of T. Little-endian; a text or list has its length (u32) before it.
//!
//! ```text
//! version u8, datasets [ id text, sensors [ id text, series [ property text, history ] ] ]
//! history = has_forgotten u8, interval_s u32, measure_in u8, observations [ time i64, value f64 ]
//! ```

use meetnet_model::ids::DatasetId;

use super::{DatasetHistory, QualityHistory};
use crate::backward::Observation;
use crate::series::{OBSERVATIONS_MAX, SeriesHistory};

/// Version of the form; another one is not read.
const VERSION: u8 = 1;

impl QualityHistory {
    /// Returns the settled history as bytes: the same for the same history.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_length(&mut out, self.datasets.len());
        for (id, history) in &self.datasets {
            put_text(&mut out, id.as_str());
            put_length(&mut out, history.sensors.len());
            let mut sensors: Vec<_> = history.sensors.iter().collect();
            sensors.sort();
            for (sensor, properties) in sensors {
                put_text(&mut out, sensor);
                put_length(&mut out, properties.len());
                for (property, at) in properties {
                    put_text(&mut out, property);
                    history.series[*at].settled().put(&mut out);
                }
            }
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
                let sensor = from.text()?;
                for _ in 0..from.length()? {
                    let property = from.text()?;
                    dataset.add(sensor, property, SeriesHistory::read(&mut from)?)?;
                }
            }
            history.datasets.insert(id, dataset);
        }
        from.0.is_empty().then_some(history)
    }
}

impl SeriesHistory {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.has_forgotten));
        out.extend(self.interval_s.to_le_bytes());
        out.push(self.measure_in);
        put_length(out, self.observations.len());
        for observation in &self.observations {
            out.extend(observation.time.to_le_bytes());
            out.extend(observation.value.to_le_bytes());
        }
    }

    fn read(from: &mut Reader<'_>) -> Option<Self> {
        let has_forgotten = from.byte()? != 0;
        let interval_s = u32::from_le_bytes(from.array()?);
        let measure_in = from.byte()?;
        let count = from.length()?;
        if count > OBSERVATIONS_MAX {
            return None;
        }
        let mut history = Self {
            has_forgotten,
            interval_s,
            measure_in,
            ..Self::default()
        };
        for _ in 0..count {
            history.observations.push_back(Observation {
                time: i64::from_le_bytes(from.array()?),
                value: f64::from_le_bytes(from.array()?),
            });
        }
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
