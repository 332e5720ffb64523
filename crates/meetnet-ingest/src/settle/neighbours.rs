//! What the sensors around measure at the same time: for the neighbour test.
//!
//! ```text
//! stations of the days ─▶ for each place, the nearest within the radius
//! rows of the days ─────▶ by property, sensor with a place and ten minutes: the last value
//! ```

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::calendar::{DAY_US, SECOND_US};
use meetnet_model::dataset::DatasetKind;
use meetnet_model::ids::DatasetId;
use meetnet_model::quality::{Neighbour, Quality};
use meetnet_quality::QualityRules;
use meetnet_quality::backward::Observation;
use meetnet_quality::neighbour::neighbour;

use super::SettleError;

/// Values within ten minutes, as the clock has them, are of the same time.
const SLOT_US: i64 = 600 * SECOND_US;
/// Slots of a day.
const DAY_SLOTS: i64 = DAY_US / SLOT_US;
/// Neighbours that a value is compared with at most: the nearest.
const NEIGHBOURS_MAX: usize = 32;
/// Values in memory at once, about: 128 MiB.
const SLOTS_MAX: i64 = 32 << 20;
/// Mean radius of the Earth, metres.
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// A sensor at one place for some time.
#[derive(Clone, Debug)]
struct Place {
    sensor: usize,
    /// Degrees.
    lon: f64,
    lat: f64,
    /// From when until when it is there, µs.
    period: Range<i64>,
    /// Positions of the nearest other places, nearest first.
    near: Vec<u32>,
}

/// The values of one property, and where they were measured.
#[derive(Debug, Default)]
struct Property {
    sensors: HashMap<Box<str>, usize>,
    /// By sensor: by slot the last value; NaN where there is none.
    slots: Vec<Vec<f32>>,
    places: Vec<Place>,
    /// By sensor: positions of its places.
    places_of: Vec<Vec<usize>>,
}

/// What the neighbour tests of some days compare with.
#[derive(Debug)]
pub(super) struct Neighbours {
    begin: i64,
    properties: HashMap<String, Property>,
    none: Property,
}

/// The neighbours of one sensor.
#[derive(Clone, Copy)]
pub(super) struct Near<'a> {
    begin: i64,
    property: &'a Property,
    sensor: Option<usize>,
}

/// The declared tests of a dataset, by property.
fn declared(
    rules: &QualityRules,
    dataset: &DatasetId,
) -> impl Iterator<Item = (String, Neighbour)> {
    let tests = rules.whole_tests(dataset).into_iter().flatten();
    tests.filter_map(|(property, tests)| Some((property.clone(), tests.neighbour?)))
}

/// How many days can be gone through at once.
pub(super) fn days_max(rules: &QualityRules, dataset: &DatasetId, snapshot: &LakeSnapshot) -> i64 {
    let properties = declared(rules, dataset).count() as i64;
    let places: u64 = place_tables(snapshot)
        .flat_map(|table| table.files.iter())
        .map(|file| file.rows)
        .sum();
    let places = i64::try_from(places).unwrap_or(i64::MAX);
    let per_day = (DAY_SLOTS * properties).saturating_mul(places);
    (SLOTS_MAX / per_day.max(1)).clamp(1, 31)
}

fn place_tables(snapshot: &LakeSnapshot) -> impl Iterator<Item = &TableSnapshot> {
    let tables = snapshot.tables.values().map(|table| &**table);
    tables.filter(|table| table.declaration.kind == DatasetKind::Places)
}

impl Neighbours {
    /// Reads what the tests of the days in `span` compare with.
    pub(super) fn read(
        rules: &QualityRules,
        dataset: &DatasetId,
        snapshot: &LakeSnapshot,
        span: Range<i64>,
    ) -> Result<Self, SettleError> {
        let limits: HashMap<String, Neighbour> = declared(rules, dataset).collect();
        let mut neighbours = Self {
            begin: span.start,
            properties: HashMap::new(),
            none: Property::default(),
        };
        let Some(table) = snapshot.tables.get(dataset).filter(|_| !limits.is_empty()) else {
            return Ok(neighbours);
        };
        let ever = i64::MIN..span.end;
        let mut placed: HashSet<Box<str>> = HashSet::new();
        for table in place_tables(snapshot) {
            table.visit_sorted::<SettleError>(&["id"], ever.clone(), &mut |rows| {
                let ids = rows.column_by_name("id");
                let ids = ids.and_then(|array| array.as_string_opt::<i32>());
                for id in ids.into_iter().flatten().flatten() {
                    placed.insert(Box::from(id));
                }
                Ok(())
            })?;
        }
        let columns = ["sensor_id", "property", "time", "value"];
        table.visit_sorted::<SettleError>(&columns, span.clone(), &mut |rows| {
            neighbours.take(rows, &limits, &placed, &span);
            Ok(())
        })?;
        for table in place_tables(snapshot) {
            let columns = ["id", "valid_from", "valid_to", "lon", "lat"];
            table.visit_sorted::<SettleError>(&columns, ever.clone(), &mut |rows| {
                for property in neighbours.properties.values_mut() {
                    property.take_places(rows, &span);
                }
                Ok(())
            })?;
        }
        for (name, property) in &mut neighbours.properties {
            if let Some(limits) = limits.get(name) {
                property.find_near(f64::from(limits.radius_m));
            }
        }
        Ok(neighbours)
    }

    /// Takes the values of sensors that are `placed`. Of others nothing is compared, and memory is counted by places.
    fn take(
        &mut self,
        rows: &RecordBatch,
        limits: &HashMap<String, Neighbour>,
        placed: &HashSet<Box<str>>,
        span: &Range<i64>,
    ) {
        let text = |name: &str| rows.column_by_name(name)?.as_string_opt::<i32>();
        let times = rows.column_by_name("time");
        let times = times.and_then(|a| a.as_primitive_opt::<TimestampMicrosecondType>());
        let values = rows.column_by_name("value");
        let values = values.and_then(|array| array.as_primitive_opt::<Float64Type>());
        let (Some(sensors), Some(properties), Some(times), Some(values)) =
            (text("sensor_id"), text("property"), times, values)
        else {
            return;
        };
        let slots = ((span.end - span.start) / SLOT_US) as usize + 1;
        for row in 0..rows.num_rows() {
            let (time, name) = (times.value(row), properties.value(row));
            let is_tested = span.contains(&time) && limits.contains_key(name);
            if !is_tested || values.is_null(row) || !placed.contains(sensors.value(row)) {
                continue;
            }
            if !self.properties.contains_key(name) {
                self.properties.insert(name.to_owned(), Property::default());
            }
            let slot = ((time - span.start) / SLOT_US) as usize;
            if let Some(property) = self.properties.get_mut(name) {
                let sensor = property.sensor(sensors.value(row), slots);
                property.slots[sensor][slot] = values.value(row) as f32;
            }
        }
    }

    /// Returns the neighbours of a sensor.
    pub(super) fn of(&self, property: &str, sensor: &str) -> Near<'_> {
        let property = self.properties.get(property).unwrap_or(&self.none);
        Near {
            begin: self.begin,
            property,
            sensor: property.sensors.get(sensor).copied(),
        }
    }
}

impl Property {
    /// Returns the position of a sensor; it gets one.
    fn sensor(&mut self, id: &str, slots: usize) -> usize {
        if let Some(sensor) = self.sensors.get(id) {
            return *sensor;
        }
        let sensor = self.slots.len();
        self.sensors.insert(id.into(), sensor);
        self.slots.push(vec![f32::NAN; slots]);
        self.places_of.push(Vec::new());
        sensor
    }

    /// Takes the places of its sensors that hold at some time of `span`.
    fn take_places(&mut self, rows: &RecordBatch, span: &Range<i64>) {
        let column = |name: &str| rows.column_by_name(name);
        let micros = |name: &str| column(name)?.as_primitive_opt::<TimestampMicrosecondType>();
        let degrees = |name: &str| column(name)?.as_primitive_opt::<Float64Type>();
        let ids = column("id").and_then(|array| array.as_string_opt::<i32>());
        let (Some(ids), Some(from), Some(to)) = (ids, micros("valid_from"), micros("valid_to"))
        else {
            return;
        };
        let (Some(lon), Some(lat)) = (degrees("lon"), degrees("lat")) else {
            return;
        };
        for row in 0..rows.num_rows() {
            let Some(sensor) = self.sensors.get(ids.value(row)).copied() else {
                continue;
            };
            let until = if to.is_valid(row) {
                to.value(row)
            } else {
                i64::MAX
            };
            let holds = from.value(row) < span.end && until > span.start;
            if holds && lon.is_valid(row) && lat.is_valid(row) {
                self.places_of[sensor].push(self.places.len());
                self.places.push(Place {
                    sensor,
                    lon: lon.value(row),
                    lat: lat.value(row),
                    period: from.value(row)..until,
                    near: Vec::new(),
                });
            }
        }
    }

    /// Finds for each place the nearest ones of other sensors within a radius.
    fn find_near(&mut self, radius_m: f64) {
        let mut by_lat: Vec<usize> = (0..self.places.len()).collect();
        by_lat.sort_by(|a, b| self.places[*a].lat.total_cmp(&self.places[*b].lat));
        let degrees = (radius_m / EARTH_RADIUS_M).to_degrees();
        let near: Vec<Vec<u32>> = self
            .places
            .iter()
            .map(|place| {
                let from = by_lat.partition_point(|at| self.places[*at].lat < place.lat - degrees);
                let mut near: Vec<(f64, u32)> = by_lat[from..]
                    .iter()
                    .take_while(|at| self.places[**at].lat <= place.lat + degrees)
                    .filter(|at| self.places[**at].sensor != place.sensor)
                    .map(|at| (distance_m(place, &self.places[*at]), *at as u32))
                    .filter(|(distance, _)| *distance <= radius_m)
                    .collect();
                near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                near.truncate(NEIGHBOURS_MAX);
                near.into_iter().map(|(_, at)| at).collect()
            })
            .collect();
        for (place, near) in self.places.iter_mut().zip(near) {
            place.near = near;
        }
    }
}

impl Near<'_> {
    /// Tests a value of the sensor. Without a place, or without values around it, nothing is said.
    pub(super) fn test(&self, now: Observation, limits: Neighbour) -> Quality {
        let property = self.property;
        let of_sensor = self.sensor.map(|sensor| &property.places_of[sensor]);
        let mut places = of_sensor
            .into_iter()
            .flatten()
            .map(|at| &property.places[*at]);
        let Some(place) = places.find(|place| place.period.contains(&now.time)) else {
            return Quality::NotEvaluated;
        };
        let slot = ((now.time - self.begin) / SLOT_US) as usize;
        let mut others = [0.0; NEIGHBOURS_MAX];
        let mut count = 0;
        for at in &place.near {
            let other = &property.places[*at as usize];
            let value = property.slots[other.sensor].get(slot).copied();
            if let Some(value) = value.filter(|value| value.is_finite())
                && other.period.contains(&now.time)
            {
                others[count] = f64::from(value);
                count += 1;
            }
        }
        neighbour(now.value, &mut others[..count], limits)
    }
}

/// Distance of two places that are near each other, metres: on a plane, which at a few kilometres is off by less than what
/// places are snapped to.
fn distance_m(a: &Place, b: &Place) -> f64 {
    let north = (b.lat - a.lat).to_radians();
    let east = (b.lon - a.lon).to_radians() * a.lat.to_radians().cos();
    EARTH_RADIUS_M * north.hypot(east)
}

#[cfg(test)]
mod tests;
