//! sensor.community: readings as data.sensor.community lists them, and days of its archive as CSV.
//!
//! ```json
//! [{"timestamp": "2026-06-01 09:51:12", "sensor": {"id": 140, "sensor_type": {"name": "SDS011"}},
//!   "sensordatavalues": [{"value_type": "P1", "value": "19.13"}, …]}, …]
//! ```
//!
//! ```csv
//! sensor_id;sensor_type;location;lat;lon;timestamp;P1;durP1;ratioP1;P2;durP2;ratioP2
//! ```
//!
//! - Sensor: its public number. A box has several, one per device in it.
//! - Time: UTC without a zone, from the server's clock.
//! - Value types say what they measure without the device in front (`P1`, `temperature`), except that `P1` and `P2` of a
//!   PPD42NS are counts, not PM10 and PM2.5: they make no rows.
//! - Where a sensor stands is a row of `stations`, once per list. Files of the archive make none: they are of days past,
//!   and say since when of nothing.
//! - `map` adds value types (`field = "NAME"`) and comes before the built-in ones.
//! - Value types that nobody knows become one reject for the whole body, which names them.

use std::borrow::Cow;

use hashbrown::HashSet;
use meetnet_model::declarations::Declarations;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::SourceDeclaration;
use meetnet_model::time::TimeReader;

use crate::error::SetupProblem;
use crate::fields::{FieldNames, Fields, Raw, Slot, Span};
use crate::format::Body;
use crate::format::airrohr::Unknown;
use crate::format::mapped::{Document, Finds, FoundId, Mapped, built_in};
use crate::group::{Group, Output, Scratch};
use crate::identity::IdFault;
use crate::instant;
use crate::json::pointer::Pointer;
use crate::json::read::{self, Reading};
use crate::json::shape::Shape;
use crate::json::tape::{Tape, Value};
use crate::json::walk::walk;
use crate::mapping::MappingFault;
use crate::stations::{self, Station, Stations};
use crate::topic::TopicPattern;

/// Value types by the property they measure, with the unit in which they come.
const VALUE_TYPES: [(&str, &str, &str); 13] = [
    ("P0", "pm1", "ug/m3"),
    ("P2", "pm2_5", "ug/m3"),
    ("P4", "pm4", "ug/m3"),
    ("P1", "pm10", "ug/m3"),
    ("co2_ppm", "co2", "[ppm]"),
    ("temperature", "air_temperature", "Cel"),
    ("humidity", "relative_humidity", "%"),
    ("pressure", "air_pressure", "Pa"),
    ("pressure_at_sealevel", "sea_level_pressure", "Pa"),
    ("pressure_sealevel", "sea_level_pressure", "Pa"),
    ("noise_LAeq", "laeq", "dB[A]"),
    ("noise_LA_min", "lamin", "dB[A]"),
    ("noise_LA_max", "lamax", "dB[A]"),
];

/// Value types that are known and make no row: counts per size (no mass), radiation counters, durations, places, and
/// the box's own state.
const NOT_OBSERVATIONS: [&str; 27] = [
    "durP1",
    "ratioP1",
    "durP2",
    "ratioP2",
    "P01",
    "P03",
    "P05",
    "P5",
    "N01",
    "N03",
    "N05",
    "N1",
    "N25",
    "N4",
    "N5",
    "N10",
    "TS",
    "altitude",
    "lat",
    "lon",
    "height",
    "counts",
    "counts_per_minute",
    "hv_pulses",
    "sample_time_ms",
    "signal",
    "samples",
];

/// The device whose `P1` and `P2` are counts above 1 and 2.5 µm.
const COUNTER: &str = "PPD42NS";
/// The first columns of an archive file, which say whose reading a line is.
const HEAD: [&str; 6] = [
    "sensor_id",
    "sensor_type",
    "location",
    "lat",
    "lon",
    "timestamp",
];
const SENSOR_ID: usize = 0;
const SENSOR_TYPE: usize = 1;
const TIMESTAMP: usize = 5;
/// Columns of one line.
const COLUMNS_MAX: usize = 64;

/// The decoder of one source of sensor.community's data.
#[derive(Clone, Debug)]
pub(crate) struct SensorCommunityDecoder {
    mapped: Mapped,
    names: FieldNames,
    reading: Shape,
    slots: Slots,
    element: Shape,
    value_type: Slot,
    value: Slot,
    timestamp: TimeReader,
    /// None where the dataset is not declared.
    stations: Option<Stations>,
}

#[derive(Clone, Copy, Debug)]
struct Slots {
    sensor_id: Slot,
    sensor_type: Slot,
    longitude: Slot,
    latitude: Slot,
    timestamp: Slot,
    values: Slot,
}

impl SensorCommunityDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        let mut names = FieldNames::default();
        let entries = built_in(declarations, &VALUE_TYPES);
        let mapped = Mapped::compile(
            source,
            topics,
            declarations,
            entries,
            Finds::Sensor,
            &mut names,
        )?;
        let compile_shapes = || -> Result<_, SetupProblem> {
            let mut reading = Shape::new();
            let slots = Slots {
                sensor_id: reading.want(&Pointer::parse("/sensor/id")?)?,
                sensor_type: reading.want(&Pointer::parse("/sensor/sensor_type/name")?)?,
                longitude: reading.want(&Pointer::parse("/location/longitude")?)?,
                latitude: reading.want(&Pointer::parse("/location/latitude")?)?,
                timestamp: reading.want_member("timestamp")?,
                values: reading.want_member("sensordatavalues")?,
            };
            let mut element = Shape::new();
            let value_type = element.want_member("value_type")?;
            let value = element.want_member("value")?;
            Ok((
                reading,
                slots,
                element,
                value_type,
                value,
                instant::utc_reader()?,
                Stations::compile(declarations)?,
            ))
        };
        let (reading, slots, element, value_type, value, timestamp, stations) =
            compile_shapes().map_err(|problem| (None, problem))?;
        Ok(Self {
            mapped,
            names,
            reading,
            slots,
            element,
            value_type,
            value,
            timestamp,
            stations,
        })
    }

    /// Returns the datasets that it fills, by number.
    #[cfg(test)]
    pub(crate) fn datasets(&self) -> Vec<usize> {
        let mut datasets = self.mapped.datasets();
        datasets.extend(self.stations.as_ref().map(Stations::dataset));
        datasets
    }

    /// Returns the compiled declaration of its source.
    pub(crate) fn mapped(&self) -> &Mapped {
        &self.mapped
    }

    pub(crate) fn decode(
        &self,
        body: &Body<'_>,
        group: &mut Group,
    ) -> Result<(), serde_json::Error> {
        let Group {
            output,
            tape,
            scratch,
            ..
        } = group;
        if body.text.starts_with(HEAD[SENSOR_ID]) {
            self.csv(body, output, scratch);
            return Ok(());
        }
        self.list(body, tape, output, scratch)
    }

    /// Decodes a list of readings.
    fn list(
        &self,
        body: &Body<'_>,
        tape: &mut Tape,
        output: &mut Output,
        scratch: &mut Scratch,
    ) -> Result<(), serde_json::Error> {
        let text = body.text;
        let Scratch {
            spans,
            part_spans,
            values,
            row,
            ..
        } = scratch;
        let Some(readings) = tape.read(text)?.elements() else {
            output.reject(
                RejectReason::UnexpectedShape,
                "no list of readings, and no file of the archive",
                text,
            );
            return Ok(());
        };
        let mut unknown = Unknown::default();
        let mut known = false;
        let mut seen = HashSet::new();
        for value in readings {
            walk(&self.reading, value, spans);
            let reading = value.text();
            let fields = Fields::json(text, spans);
            let list = value.at(fields.span(self.slots.values));
            let Some(pairs) = list.and_then(Value::elements) else {
                output.reject(
                    RejectReason::UnexpectedShape,
                    "the reading has no list `sensordatavalues`",
                    reading,
                );
                continue;
            };
            let device = match read::text(fields.raw(self.slots.sensor_type)) {
                Reading::Value(name) => Some(name),
                Reading::Missing | Reading::Wrong => None,
            };
            let is_counter = device.as_deref() == Some(COUNTER);
            values.begin(&self.names);
            for element in pairs {
                walk(&self.element, element, part_spans);
                let pair = Fields::json(text, part_spans);
                let Reading::Value(name) = read::text(pair.raw(self.value_type)) else {
                    unknown.add("(no value_type)");
                    continue;
                };
                match self.place_of(&name, is_counter) {
                    Place::Slot(slot) => {
                        if let Reading::Value(value) = read::text(pair.raw(self.value)) {
                            values.set(slot, &value);
                        }
                    }
                    Place::Ignored => {}
                    Place::Unknown => unknown.add(match name {
                        Cow::Borrowed(name) => name,
                        Cow::Owned(_) => "(escaped name)",
                    }),
                }
            }
            let document = document(values.fields(), reading);
            let found_id = || plain_id(fields.raw(self.slots.sensor_id));
            let found_time = || {
                let raw = fields.raw(self.slots.timestamp);
                instant::read(&self.timestamp, raw, "`timestamp`")
            };
            let emitted = self
                .mapped
                .emit(body, &document, found_id, found_time, row, output);
            let Some(emitted) = emitted else { continue };
            known |= !emitted.is_nothing();
            let place = stations::place(
                fields.raw(self.slots.longitude),
                fields.raw(self.slots.latitude),
            );
            let (id, kind) = match self.mapped.station_of(&row.sensor_id) {
                // Devices of several kinds may be one station: each poll would say another one last.
                Some(station) => (station, None),
                None => (row.sensor_id.as_str(), device.as_deref()),
            };
            if let (Some(stations), Some(place)) = (&self.stations, place)
                && seen.insert(id.to_owned())
            {
                let station = Station {
                    id,
                    name: None,
                    kind,
                    place,
                    since: None,
                };
                stations.see(&station, body, reading, output);
            }
        }
        if unknown.count > 0 {
            unknown.reject(!known, text, output);
        }
        Ok(())
    }

    /// Decodes a file of the archive. A cell has no quotes there, so a line is split at every `;`.
    fn csv(&self, body: &Body<'_>, output: &mut Output, scratch: &mut Scratch) {
        let text = body.text;
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
        if !header.starts_with(&HEAD) || header.len() > COLUMNS_MAX {
            let message = "the first line names other columns than a file of the archive";
            output.reject(RejectReason::UnexpectedShape, message, text);
            return;
        }
        let mut unknown = Unknown::default();
        for name in &header[HEAD.len()..] {
            if matches!(self.place_of(name, false), Place::Unknown) {
                unknown.add(name);
            }
        }
        let places = |is_counter: bool| -> Vec<Option<Slot>> {
            let of = |name: &&str| match self.place_of(name, is_counter) {
                Place::Slot(slot) => Some(slot),
                Place::Ignored | Place::Unknown => None,
            };
            header[HEAD.len()..].iter().map(of).collect()
        };
        let (usual, of_counter) = (places(false), places(true));
        let Scratch {
            spans,
            part_spans: cells,
            row,
            ..
        } = scratch;
        let mut known = false;
        for line in lines.filter(|line| !line.is_empty()) {
            cells.clear();
            cells.extend(line.split(';').map(|cell| Span::of(cell, text)));
            if cells.len() != header.len() {
                let message = format!(
                    "the line has {} columns instead of {}: it was cut short",
                    cells.len(),
                    header.len()
                );
                output.reject(RejectReason::Malformed, message, line);
                continue;
            }
            let cell = |at: usize| cells[at].text(text);
            let is_counter = cell(SENSOR_TYPE) == Some(COUNTER);
            let slots = if is_counter { &of_counter } else { &usual };
            spans.clear();
            spans.resize(self.names.slots(), Span::default());
            for (slot, cell) in slots.iter().zip(&cells[HEAD.len()..]) {
                if let Some(slot) = slot {
                    spans[usize::from(slot.0)] = *cell;
                }
            }
            let document = document(Fields::text(text, spans), line);
            let found_id = || plain_id(cell(SENSOR_ID).map(Raw::Text));
            let found_time = || {
                let raw = cell(TIMESTAMP).map(Raw::Text);
                instant::read(&self.timestamp, raw, "`timestamp`")
            };
            let emitted = self
                .mapped
                .emit(body, &document, found_id, found_time, row, output);
            known |= emitted.is_some_and(|emitted| !emitted.is_nothing());
        }
        if unknown.count > 0 {
            unknown.reject(!known, text, output);
        }
    }

    fn place_of(&self, value_type: &str, is_counter: bool) -> Place {
        if is_counter && matches!(value_type, "P1" | "P2") {
            return Place::Ignored;
        }
        match self.names.slot(value_type) {
            Some(slot) => Place::Slot(slot),
            None if NOT_OBSERVATIONS.contains(&value_type) => Place::Ignored,
            None => Place::Unknown,
        }
    }
}

/// What becomes of a value type.
enum Place {
    Slot(Slot),
    Ignored,
    Unknown,
}

fn document<'a>(fields: Fields<'a, 'a>, excerpt: &'a str) -> Document<'a> {
    Document {
        fields,
        excerpt,
        what: "the reading",
        missing_id: "the reading does not say in `sensor.id` (`sensor_id`) which sensor it is from",
    }
}

fn plain_id(raw: Option<Raw<'_>>) -> Result<FoundId<'_>, IdFault> {
    match read::text(raw) {
        Reading::Value(id) => Ok(FoundId::Plain(id)),
        Reading::Missing => Err(IdFault::Missing),
        Reading::Wrong => Err(IdFault::Wrong),
    }
}

#[cfg(test)]
mod tests;
