//! What is to be erased: as a person asks for it, as the journal keeps it, and as rows are held against it.
//!
//! The journal keeps pseudonyms only: a request that named the sensor would itself have to be erased.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int64Type};
use meetnet_decode::{Decoders, Subject};
use meetnet_model::ids::SourceId;
use meetnet_model::privacy::PrivacyKey;
use serde::{Deserialize, Serialize};

/// Kinds of pseudonyms; that of the secret has the empty text.
const SECRET: &str = "secret of erasures";
const SENSOR: &str = "erased sensor";
const SEGMENT: &str = "erased segment";
/// Subjects whose answer is remembered; then it starts afresh.
const KNOWN_MAX: usize = 65_536;

/// Sensors and road segments of which nothing may be left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EraseRequest {
    /// Published ids of sensors.
    pub sensor_ids: BTreeSet<String>,
    /// Ids of road segments.
    pub segment_ids: BTreeSet<i64>,
    /// Devices by what they call themselves at a source (chip id, DevEUI, name): the sensor id follows from it.
    pub devices: BTreeSet<(SourceId, String)>,
}

/// The same as the payload of an erase frame, in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Journalled {
    /// Tells which privacy secret the others were made with: with another one nothing would be found, and nobody told.
    secret: String,
    /// Pseudonyms of sensor ids.
    sensors: BTreeSet<String>,
    /// Pseudonyms of segment ids, in decimal.
    segments: BTreeSet<String>,
}

impl Journalled {
    /// Takes a request, or says which source is not declared.
    pub(crate) fn new(
        request: &EraseRequest,
        decoders: &Decoders,
        key: &PrivacyKey,
    ) -> Result<Self, SourceId> {
        let mut sensors: BTreeSet<String> = BTreeSet::new();
        for id in &request.sensor_ids {
            sensors.insert(key.pseudonym(SENSOR, id));
        }
        for (source, name) in &request.devices {
            let ids = decoders.sensor_ids(source.as_str(), name);
            if ids.is_empty() {
                return Err(source.clone());
            }
            sensors.extend(ids.iter().map(|id| key.pseudonym(SENSOR, id)));
        }
        let segments = request.segment_ids.iter();
        Ok(Self {
            secret: key.pseudonym(SECRET, ""),
            sensors,
            segments: segments
                .map(|id| key.pseudonym(SEGMENT, &id.to_string()))
                .collect(),
        })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("lists of texts make valid JSON")
    }
}

/// Says of sensors and segments whether they are to be erased.
#[derive(Debug)]
pub(crate) struct Wanted {
    request: Journalled,
    key: PrivacyKey,
    /// What has been asked: a subject costs one HMAC and not one per row.
    sensors: HashMap<Box<str>, bool>,
    segments: HashMap<i64, bool>,
    /// Of what is wanted: those that rows, messages or rejects were found of.
    met_sensors: BTreeSet<String>,
    met_segments: BTreeSet<i64>,
}

impl Wanted {
    /// Reads the payload of an erase frame; None where it was made with another privacy secret.
    pub(crate) fn read(
        payload: &[u8],
        key: &PrivacyKey,
    ) -> Result<Option<Self>, serde_json::Error> {
        let request: Journalled = serde_json::from_slice(payload)?;
        let is_same = request.secret == key.pseudonym(SECRET, "");
        Ok(is_same.then(|| Self {
            request,
            key: key.clone(),
            sensors: HashMap::new(),
            segments: HashMap::new(),
            met_sensors: BTreeSet::new(),
            met_segments: BTreeSet::new(),
        }))
    }

    pub(crate) fn holds(&mut self, subject: Subject<'_>) -> bool {
        match subject {
            Subject::Sensor(id) => {
                if let Some(known) = self.sensors.get(id) {
                    return *known;
                }
                let sensors = &self.request.sensors;
                let holds = sensors.contains(&self.key.pseudonym(SENSOR, id));
                if self.sensors.len() >= KNOWN_MAX {
                    self.sensors.clear();
                }
                self.sensors.insert(id.into(), holds);
                holds
            }
            Subject::Segment(id) => {
                if let Some(known) = self.segments.get(&id) {
                    return *known;
                }
                let segments = &self.request.segments;
                let holds = segments.contains(&self.key.pseudonym(SEGMENT, &id.to_string()));
                if self.segments.len() >= KNOWN_MAX {
                    self.segments.clear();
                }
                self.segments.insert(id, holds);
                holds
            }
        }
    }

    /// The same of something that goes because of it: then something of the subject was there.
    pub(crate) fn meets(&mut self, subject: Subject<'_>) -> bool {
        let holds = self.holds(subject);
        match subject {
            Subject::Sensor(id) if holds && !self.met_sensors.contains(id) => {
                self.met_sensors.insert(id.to_owned());
            }
            Subject::Segment(id) if holds => {
                self.met_segments.insert(id);
            }
            _ => {}
        }
        holds
    }

    /// Returns what of a request nothing was found of, as it was named: the journal itself knows no names.
    pub(crate) fn missing(&self, request: &EraseRequest, decoders: &Decoders) -> EraseRequest {
        let is_missing = |id: &String| !self.met_sensors.contains(id);
        let sensors = request.sensor_ids.iter().filter(|id| is_missing(id));
        let segments = request.segment_ids.iter();
        let segments = segments.filter(|&id| !self.met_segments.contains(id));
        // Each may have any of several ids.
        let devices = request.devices.iter().filter(|(source, name)| {
            let ids = decoders.sensor_ids(source.as_str(), name);
            ids.iter().all(is_missing)
        });
        EraseRequest {
            sensor_ids: sensors.cloned().collect(),
            segment_ids: segments.copied().collect(),
            devices: devices.cloned().collect(),
        }
    }

    /// Says per row whether its subject, which stands in `column`, is to be erased.
    pub(crate) fn rows(&mut self, rows: &RecordBatch, column: &str) -> Vec<bool> {
        let none = || vec![false; rows.num_rows()];
        let Some(array) = rows.column_by_name(column) else {
            return none();
        };
        match array.data_type() {
            DataType::Utf8 => {
                let ids = array.as_string::<i32>();
                let (mut last, mut holds) = (None, false);
                let mut of = |row: usize| {
                    let id = ids.value(row);
                    // Rows of a sensor stand together in a file.
                    if last != Some(id) {
                        (last, holds) = (Some(id), self.meets(Subject::Sensor(id)));
                    }
                    holds && !ids.is_null(row)
                };
                (0..rows.num_rows()).map(&mut of).collect()
            }
            DataType::Int64 => {
                let ids = array.as_primitive::<Int64Type>();
                let ids = ids.iter();
                ids.map(|id| id.is_some_and(|id| self.meets(Subject::Segment(id))))
                    .collect()
            }
            _ => none(),
        }
    }
}

#[cfg(test)]
mod tests;
