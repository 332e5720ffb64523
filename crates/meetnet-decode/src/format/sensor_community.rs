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
//! - `map` adds value types (`pointer = "/NAME"`) and comes before the built-in ones.
//! - Value types that nobody knows become one reject for the whole body, which names them.

use std::borrow::Cow;
use std::collections::HashMap;

use meetnet_model::declarations::Declarations;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::SourceDeclaration;
use meetnet_model::time::TimeReader;

use crate::error::SetupProblem;
use crate::format::airrohr::{Unknown, built_in};
use crate::format::{Body, reject_id, reject_malformed, reject_time};
use crate::group::{Group, Output, Scratch};
use crate::identity::IdFault;
use crate::instant::{self, ObservedAt, TimeFault};
use crate::json::Fields;
use crate::json::pointer::Pointer;
use crate::json::read::{self, Reading};
use crate::json::shape::{Shape, Slot};
use crate::json::walk::{Span, elements, walk};
use crate::mapping::{Mapping, MappingFault, Observation};

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
    mapping: Mapping,
    /// Per value type that is wanted: the slot of its value.
    value_types: HashMap<Box<str>, Slot>,
    reading: Shape,
    slots: Slots,
    element: Shape,
    value_type: Slot,
    value: Slot,
    timestamp: TimeReader,
}

#[derive(Clone, Copy, Debug)]
struct Slots {
    sensor_id: Slot,
    sensor_type: Slot,
    timestamp: Slot,
    values: Slot,
}

impl SensorCommunityDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        let mut value_types: HashMap<Box<str>, Slot> = HashMap::new();
        let mut entries = source.map.clone();
        entries.extend(built_in(declarations, &VALUE_TYPES));
        let mapping = Mapping::compile(&entries, declarations, |pointer| {
            let parsed = Pointer::parse(pointer)?;
            let [name] = parsed.tokens() else {
                return Err(SetupProblem::Pointer(pointer.to_owned()));
            };
            let next = Slot(value_types.len() as u16);
            Ok(*value_types.entry(name.clone()).or_insert(next))
        })?;
        let compile_shapes = || -> Result<_, SetupProblem> {
            let mut reading = Shape::new();
            let slots = Slots {
                sensor_id: reading.want(&Pointer::parse("/sensor/id")?)?,
                sensor_type: reading.want(&Pointer::parse("/sensor/sensor_type/name")?)?,
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
            ))
        };
        let (reading, slots, element, value_type, value, timestamp) =
            compile_shapes().map_err(|problem| (None, problem))?;
        Ok(Self {
            mapping,
            value_types,
            reading,
            slots,
            element,
            value_type,
            value,
            timestamp,
        })
    }

    pub(crate) fn decode(
        &self,
        body: &Body<'_>,
        group: &mut Group,
    ) -> Result<(), serde_json::Error> {
        let Group { output, scratch } = group;
        if body.text.starts_with(HEAD[SENSOR_ID]) {
            self.csv(body, output, scratch);
            return Ok(());
        }
        self.list(body, output, scratch)
    }

    /// Decodes a list of readings.
    fn list(
        &self,
        body: &Body<'_>,
        output: &mut Output,
        scratch: &mut Scratch,
    ) -> Result<(), serde_json::Error> {
        let text = body.text;
        if !elements(text, text, &mut scratch.elements)? {
            output.reject(
                RejectReason::UnexpectedShape,
                "no list of readings, and no file of the archive",
                text,
            );
            return Ok(());
        }
        let mut unknown = Unknown::default();
        let mut known = false;
        for at in 0..scratch.elements.len() {
            let reading = scratch.elements[at].text(text).unwrap_or_default();
            match self.reading(body, reading, &mut unknown, output, scratch) {
                Ok(has_rows) => known |= has_rows,
                Err(error) => reject_malformed(&error, reading, output),
            }
        }
        if unknown.count > 0 {
            unknown.reject(!known, text, output);
        }
        Ok(())
    }

    /// Decodes one reading; returns whether it has any of the wanted values.
    fn reading<'t>(
        &self,
        body: &Body<'t>,
        reading: &'t str,
        unknown: &mut Unknown<'t>,
        output: &mut Output,
        scratch: &mut Scratch,
    ) -> Result<bool, serde_json::Error> {
        let text = body.text;
        let Scratch {
            spans,
            part_spans,
            part_elements,
            sensor_id,
            floats,
            ..
        } = scratch;
        walk(&self.reading, reading, text, spans)?;
        let fields = Fields { whole: text, spans };
        let is_list = match fields.raw(self.slots.values) {
            Some(list) => elements(list, text, part_elements)?,
            None => false,
        };
        if !is_list {
            let message = "the reading has no list `sensordatavalues`";
            output.reject(RejectReason::UnexpectedShape, message, reading);
            return Ok(false);
        }
        let of = Origin {
            id: read::text(fields.raw(self.slots.sensor_id)),
            time: instant::read(
                &self.timestamp,
                fields.raw(self.slots.timestamp),
                "`timestamp`",
            ),
            excerpt: reading,
        };
        let is_counter = matches!(
            read::text(fields.raw(self.slots.sensor_type)),
            Reading::Value(name) if name == COUNTER
        );
        let mut values = vec![Span::default(); self.value_types.len()];
        for element in part_elements.iter() {
            let element = element.text(text).unwrap_or_default();
            let read = walk(&self.element, element, text, part_spans);
            let pair = Fields {
                whole: text,
                spans: part_spans,
            };
            let (Ok(()), Reading::Value(name)) = (read, read::text(pair.raw(self.value_type)))
            else {
                unknown.add("(no value_type)");
                continue;
            };
            match self.place_of(&name, is_counter) {
                Place::Slot(slot) => {
                    let value = pair.raw(self.value);
                    values[usize::from(slot.0)] =
                        value.map(|raw| Span::of(raw, text)).unwrap_or_default();
                }
                Place::Ignored => {}
                Place::Unknown => unknown.add(match name {
                    Cow::Borrowed(name) => name,
                    Cow::Owned(_) => "(escaped name)",
                }),
            }
        }
        Ok(self.rows(body, of, &values, sensor_id, floats, output))
    }

    /// Makes the rows of one reading; returns whether it has any of the wanted values.
    fn rows(
        &self,
        body: &Body<'_>,
        origin: Origin<'_>,
        values: &[Span],
        sensor_id: &mut String,
        floats: &mut Vec<f64>,
        output: &mut Output,
    ) -> bool {
        let Origin { id, time, excerpt } = origin;
        let named = match id {
            Reading::Value(id) => body.common.naming.plain(&id, sensor_id),
            Reading::Missing => Err(IdFault::Missing),
            Reading::Wrong => Err(IdFault::Wrong),
        };
        if let Err(fault) = named {
            let missing =
                "the reading does not say in `sensor.id` (`sensor_id`) which sensor it is from";
            reject_id(fault, missing, excerpt, output);
            return false;
        }
        let time = match time.and_then(|time| time.map(|time| body.check_time(time)).transpose()) {
            Ok(Some(time)) => time,
            Ok(None) => {
                let message = "the reading has no `timestamp`";
                output.reject(RejectReason::MissingField, message, excerpt);
                return false;
            }
            Err(fault) => {
                reject_time(&fault, excerpt, output);
                return false;
            }
        };
        let observation = Observation {
            fields: Fields {
                whole: body.text,
                spans: values,
            },
            time: ObservedAt::Own(time),
            sensor_id,
            sentinels: &body.common.sentinels,
            excerpt,
        };
        !self.mapping.emit(&observation, floats, output).is_nothing()
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
            spans: values,
            part_spans: cells,
            sensor_id,
            floats,
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
            values.clear();
            values.resize(self.value_types.len(), Span::default());
            // A number in a cell reads as it would in JSON.
            for (slot, cell) in slots.iter().zip(&cells[HEAD.len()..]) {
                if let Some(slot) = slot {
                    values[usize::from(slot.0)] = *cell;
                }
            }
            let time = cell(TIMESTAMP)
                .map(|time| self.timestamp.read_text(time))
                .transpose();
            let origin = Origin {
                id: cell(SENSOR_ID).map_or(Reading::Missing, |id| Reading::Value(id.into())),
                time: time.map_err(|error| TimeFault::unreadable("`timestamp`", &error)),
                excerpt: line,
            };
            known |= self.rows(body, origin, values, sensor_id, floats, output);
        }
        if unknown.count > 0 {
            unknown.reject(!known, text, output);
        }
    }

    fn place_of(&self, value_type: &str, is_counter: bool) -> Place {
        if is_counter && matches!(value_type, "P1" | "P2") {
            return Place::Ignored;
        }
        match self.value_types.get(value_type) {
            Some(slot) => Place::Slot(*slot),
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

/// Whose reading it is, when it was made, and what a reject shows.
struct Origin<'a> {
    id: Reading<Cow<'a, str>>,
    time: Result<Option<i64>, TimeFault>,
    excerpt: &'a str,
}

#[cfg(test)]
mod tests;
