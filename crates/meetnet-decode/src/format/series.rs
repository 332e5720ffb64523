//! One time series per body: which sensor and property it is stands beside the body, where the poll that asked for it
//! has put it (`sensor`, `property`, `unit`, `interval-s`).
//!
//! - 52°North, as IRCEL-CELINE answers: `{"values": [{"timestamp": 1556056800000, "value": 18.5}, …]}`; -99.99 and
//!   `"NaN"` are missing.
//! - A layer of IRCEL's WFS: GeoJSON whose features name their station (`ab_eoi_code`); `sensor` is not needed then.
//! - openSenseMap: `[{"createdAt": "2026-06-01T09:00:00.123Z", "value": "4.2"}, …]`.
//!
//! What the APIs say of a station itself (`about` beside the body; `sensor` for each sensor that is polled there) becomes
//! rows of `stations`, as do the places in a layer.
//!
//! Times are taken as they are: whether the time of a mean is its begin or its end is the publisher's word.

use std::collections::BTreeMap;

use hashbrown::HashSet;
use meetnet_model::declarations::Declarations;
use meetnet_model::lambert72;
use meetnet_model::reject::RejectReason;
use meetnet_model::rows::{LongColumns, LongRow, LongSeries};
use meetnet_model::source::{SourceDeclaration, TimeFormat, WireFormat};
use meetnet_model::time::TimeReader;
use meetnet_model::units::{Conversion, Gas};

use crate::decoders::{ABOUT_META, ABOUT_STATION};
use crate::error::SetupProblem;
use crate::fields::{Fields, Slot};
use crate::format::{Body, reject_id, reject_time};
use crate::group::{Group, Output, RowScratch};
use crate::identity::IdFault;
use crate::instant;
use crate::json::pointer::Pointer;
use crate::json::read::{self, Reading};
use crate::json::shape::Shape;
use crate::json::tape::Value;
use crate::json::walk::walk;
use crate::mapping::{MappingFault, dataset_position, long_columns};
use crate::stations::{self, Station, Stations};

/// What IRCEL-CELINE writes where there is no value.
const IRCEL_SENTINEL: f64 = -99.99;

/// The decoder of one source of time series.
#[derive(Clone, Debug)]
pub(crate) struct SeriesDecoder {
    is_ircel: bool,
    whole: Shape,
    values: Slot,
    features: Slot,
    point: Shape,
    slots: PointSlots,
    properties: BTreeMap<Box<str>, Property>,
    millis: TimeReader,
    text: TimeReader,
    described: Shape,
    description: DescriptionSlots,
    /// None where the dataset is not declared.
    stations: Option<Stations>,
}

/// Where the parts of one point stand, in whichever form it comes.
#[derive(Clone, Copy, Debug)]
struct PointSlots {
    timestamp: Slot,
    created_at: Slot,
    feature_timestamp: Slot,
    value: Slot,
    feature_value: Slot,
    station: Slot,
    station_name: Slot,
    /// Longitude and latitude, or metres east and north.
    place: (Slot, Slot),
}

/// Where the parts of what an API says of a station stand, in whichever form it comes.
#[derive(Clone, Copy, Debug)]
struct DescriptionSlots {
    /// At 52°North, and of a box today and as it was first.
    places: [(Slot, Slot); 3],
    label: Slot,
    since: Slot,
}

/// A property of a long dataset and the columns of its rows.
#[derive(Clone, Debug)]
struct Property {
    dataset: usize,
    unit: Box<str>,
    gas: Option<Gas>,
    columns: LongColumns,
}

/// What stands beside a body.
struct Beside<'a> {
    name: &'a str,
    property: &'a Property,
    conversion: Conversion,
    interval_s: Option<i64>,
    /// The id of the sensor, where the poll says which one it is.
    sensor_id: Result<String, IdFault>,
    /// Whether its points become rows together.
    is_series: bool,
}

impl Beside<'_> {
    /// Makes rows of the points that wait for it.
    fn end_series(&self, row: &mut RowScratch, output: &mut Output) {
        let Ok(sensor_id) = &self.sensor_id else {
            return;
        };
        let series = LongSeries {
            sensor_id,
            property: self.name,
            interval_s: self.interval_s,
        };
        let Property {
            dataset, columns, ..
        } = self.property;
        output.push_series(*dataset, columns, &series, &mut row.points);
    }
}

impl SeriesDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        if !source.map.is_empty() {
            return Err((None, SetupProblem::MapNotWanted(source.format.as_str())));
        }
        if source.valid.is_some() {
            let format = source.format.as_str();
            return Err((None, SetupProblem::ValidityNotWanted(format)));
        }
        Self::compile_fixed(source, declarations).map_err(|problem| (None, problem))
    }

    /// Returns the datasets that it fills, by number: with which of them a body is filled stands beside it.
    #[cfg(test)]
    pub(crate) fn datasets(&self) -> Vec<usize> {
        let properties = self.properties.values();
        let stations = self.stations.as_ref().map(Stations::dataset);
        properties
            .map(|property| property.dataset)
            .chain(stations)
            .collect()
    }

    fn compile_fixed(
        source: &SourceDeclaration,
        declarations: &Declarations,
    ) -> Result<Self, SetupProblem> {
        let mut whole = Shape::new();
        let (values, features) = (whole.want_member("values")?, whole.want_member("features")?);
        let mut point = Shape::new();
        let mut want = |pointer: &str| point.want(&Pointer::parse(pointer)?);
        let slots = PointSlots {
            timestamp: want("/timestamp")?,
            created_at: want("/createdAt")?,
            feature_timestamp: want("/properties/timestamp")?,
            value: want("/value")?,
            feature_value: want("/properties/value")?,
            station: want("/properties/ab_eoi_code")?,
            station_name: want("/properties/ab_name")?,
            place: (
                want("/geometry/coordinates/0")?,
                want("/geometry/coordinates/1")?,
            ),
        };
        let mut described = Shape::new();
        let mut want = |pointer: &str| described.want(&Pointer::parse(pointer)?);
        let mut coordinates = |at: &str| -> Result<(Slot, Slot), SetupProblem> {
            Ok((
                want(&format!("{at}/coordinates/0"))?,
                want(&format!("{at}/coordinates/1"))?,
            ))
        };
        let places = [
            coordinates("/station/geometry")?,
            coordinates("/currentLocation")?,
            coordinates("/loc/0/geometry")?,
        ];
        let description = DescriptionSlots {
            places,
            label: described.want(&Pointer::parse("/station/properties/label")?)?,
            since: described.want(&Pointer::parse("/currentLocation/timestamp")?)?,
        };
        let mut properties = BTreeMap::new();
        for declared in &declarations.properties {
            let (number, dataset) = dataset_position(declarations, declared.dataset.as_str())?;
            let property = Property {
                dataset: number,
                unit: declared.unit.as_str().into(),
                gas: declared.gas(),
                columns: long_columns(dataset)?,
            };
            properties.insert(declared.name.as_str().into(), property);
        }
        let problem = |error: meetnet_model::time::TimeError| SetupProblem::Time(error.to_string());
        Ok(Self {
            is_ircel: source.format == WireFormat::Ircel,
            whole,
            values,
            features,
            point,
            slots,
            properties,
            millis: TimeReader::with(TimeFormat::UnixMs, None, None).map_err(problem)?,
            text: instant::utc_reader()?,
            described,
            description,
            stations: Stations::compile(declarations)?,
        })
    }

    pub(crate) fn decode(
        &self,
        body: &Body<'_>,
        group: &mut Group,
    ) -> Result<(), serde_json::Error> {
        let text = body.text;
        if body.envelope.meta(ABOUT_META) == Some(ABOUT_STATION) {
            return self.station(body, group);
        }
        let Group {
            output,
            tape,
            scratch,
            ..
        } = group;
        let document = tape.read(text)?;
        let list = if document.is_array() {
            Some(document)
        } else {
            walk(&self.whole, document, &mut scratch.spans);
            let fields = Fields::json(text, &scratch.spans);
            let listed = |slot| document.at(fields.span(slot));
            listed(self.values).or_else(|| listed(self.features))
        };
        let Some(points) = list.and_then(Value::elements) else {
            output.reject(
                RejectReason::UnexpectedShape,
                "no time series: neither a list, nor `values` or `features` that are one",
                text,
            );
            return Ok(());
        };
        let beside = match self.beside(body, output) {
            Ok(beside) => beside,
            Err((reason, message)) => {
                output.reject(reason, message, text);
                return Ok(());
            }
        };
        let mut seen = HashSet::new();
        for point in points {
            walk(&self.point, point, &mut scratch.spans);
            let part = point.text();
            let fields = Fields::json(text, &scratch.spans);
            self.point(body, &beside, &fields, part, &mut scratch.row, output);
            self.place_of_point(body, &fields, part, &mut scratch.row, &mut seen, output);
        }
        beside.end_series(&mut scratch.row, output);
        Ok(())
    }

    /// Makes the rows of the sensors whose station the body describes.
    fn station(&self, body: &Body<'_>, group: &mut Group) -> Result<(), serde_json::Error> {
        let Group {
            output,
            tape,
            scratch,
            ..
        } = group;
        let text = body.text;
        walk(&self.described, tape.read(text)?, &mut scratch.spans);
        let fields = Fields::json(text, &scratch.spans);
        let slots = &self.description;
        let place = slots
            .places
            .iter()
            .find_map(|(lon, lat)| stations::place(fields.raw(*lon), fields.raw(*lat)));
        let Some(place) = place else {
            let message = "the description of the station does not say where it is";
            output.reject(RejectReason::MissingField, message, text);
            return Ok(());
        };
        let Some(stations) = &self.stations else {
            return Ok(());
        };
        let label = read::text(fields.raw(slots.label));
        let since = instant::read(&self.text, fields.raw(slots.since), "`timestamp`");
        let since = since.ok().flatten();
        let beside = body.envelope.meta.iter();
        for (_, sensor) in beside.filter(|(name, _)| &**name == "sensor") {
            let naming = &body.common.naming;
            if naming.plain(sensor, &mut scratch.row.sensor_id).is_err() {
                continue;
            }
            let station = Station {
                id: &scratch.row.sensor_id,
                // Boxes are named by those whose balcony they hang on.
                name: match &label {
                    Reading::Value(label) => Some(&**label),
                    Reading::Missing | Reading::Wrong => None,
                },
                kind: None,
                place,
                since: since.filter(|since| *since <= body.envelope.received_at),
            };
            stations.see(&station, body, text, output);
        }
        Ok(())
    }

    /// Makes the row of the station that a feature of a layer names, once per body.
    fn place_of_point(
        &self,
        body: &Body<'_>,
        fields: &Fields<'_, '_>,
        excerpt: &str,
        row: &mut RowScratch,
        seen: &mut HashSet<String>,
        output: &mut Output,
    ) {
        let slots = &self.slots;
        if !fields.has(slots.station) {
            return;
        }
        let (east, north) = slots.place;
        let (Some(stations), Reading::Value(code), Some(place)) = (
            &self.stations,
            read::text(fields.raw(slots.station)),
            stations::place(fields.raw(east), fields.raw(north)),
        ) else {
            return;
        };
        let named = body.common.naming.plain(&code, &mut row.sensor_id);
        let Some(place) = in_degrees(place) else {
            return;
        };
        if named.is_err() || !seen.insert(row.sensor_id.clone()) {
            return;
        }
        let name = read::text(fields.raw(slots.station_name));
        let station = Station {
            id: &row.sensor_id,
            name: match &name {
                Reading::Value(name) => Some(&**name),
                Reading::Missing | Reading::Wrong => None,
            },
            kind: None,
            place,
            since: None,
        };
        stations.see(&station, body, excerpt, output);
    }

    /// Reads what stands beside the body.
    fn beside<'a>(
        &'a self,
        body: &Body<'a>,
        output: &Output,
    ) -> Result<Beside<'a>, (RejectReason, String)> {
        let name = body.envelope.meta("property").ok_or_else(|| {
            let message =
                "nothing beside the body says which property it is; only a poll of the source does";
            (RejectReason::MissingField, message.to_owned())
        })?;
        let property = self.properties.get(name).ok_or_else(|| {
            let message = format!("there is no property `{name}`; correct the source's `series`");
            (RejectReason::NoMappedValue, message)
        })?;
        let unit = body.envelope.meta("unit").unwrap_or(&property.unit);
        let conversion =
            Conversion::between(unit, &property.unit, property.gas).map_err(|error| {
                (
                    RejectReason::WrongType,
                    format!("the unit of the series: {error}"),
                )
            })?;
        let mut sensor_id = String::new();
        let sensor = body.envelope.meta("sensor").ok_or(IdFault::Missing);
        let named = sensor.and_then(|sensor| body.common.naming.plain(sensor, &mut sensor_id));
        Ok(Beside {
            name,
            property,
            conversion,
            interval_s: body
                .envelope
                .meta("interval-s")
                .and_then(|seconds| seconds.parse().ok()),
            is_series: named.is_ok() && output.takes_series(property.dataset, &property.columns),
            sensor_id: named.map(|()| sensor_id),
        })
    }

    /// Makes the row of one point; a value that is told to be missing makes none.
    fn point(
        &self,
        body: &Body<'_>,
        beside: &Beside<'_>,
        fields: &Fields<'_, '_>,
        excerpt: &str,
        row: &mut RowScratch,
        output: &mut Output,
    ) {
        let slots = &self.slots;
        let slot = if fields.has(slots.value) {
            slots.value
        } else {
            slots.feature_value
        };
        let raw_value = fields.raw(slot);
        if raw_value.is_none() {
            // `null` says that nothing was measured; a point that says nothing is of something else.
            output.reject(
                RejectReason::MissingField,
                "the point has no `value`",
                excerpt,
            );
            return;
        }
        let value = match read::number_at(fields, slot) {
            Reading::Value(value) if self.is_missing(body, value) => return,
            Reading::Value(value) => beside.conversion.apply(value),
            Reading::Missing => return,
            Reading::Wrong => {
                output.reject(RejectReason::WrongType, "`value` is not a number", excerpt);
                return;
            }
        };
        let time = match self.time(body, fields) {
            Ok(Some(time)) => time,
            Ok(None) => {
                let message = "the point has no `timestamp` (or `createdAt`)";
                output.reject(RejectReason::MissingField, message, excerpt);
                return;
            }
            Err(fault) => return reject_time(&fault, excerpt, output),
        };
        if beside.is_series && value.is_finite() && !fields.has(slots.station) {
            row.points.push((time, value));
            return;
        }
        // Rows stay in the order of the points.
        beside.end_series(row, output);
        let named = match read::text(fields.raw(slots.station)) {
            Reading::Value(station) => {
                let named = body.common.naming.plain(&station, &mut row.sensor_id);
                named.map(|()| row.sensor_id.as_str())
            }
            _ => beside.sensor_id.as_deref().map_err(|fault| *fault),
        };
        let sensor_id = match named {
            Ok(sensor_id) => sensor_id,
            Err(fault) => {
                let missing = "neither the point nor the poll says which station it is of";
                return reject_id(fault, missing, excerpt, output);
            }
        };
        let property = beside.property;
        let row = LongRow {
            sensor_id,
            property: beside.name,
            time,
            is_receive_time: false,
            value,
            interval_s: beside.interval_s,
        };
        output.push_long(property.dataset, &property.columns, &row, excerpt);
    }

    fn is_missing(&self, body: &Body<'_>, value: f64) -> bool {
        (self.is_ircel && value == IRCEL_SENTINEL) || body.common.sentinels.has(value)
    }

    /// Returns the time of a point, µs UTC.
    fn time(
        &self,
        body: &Body<'_>,
        fields: &Fields<'_, '_>,
    ) -> Result<Option<i64>, instant::TimeFault> {
        let slots = &self.slots;
        let millis = instant::read(&self.millis, fields.raw(slots.timestamp), "`timestamp`")?;
        let time = match millis {
            Some(time) => Some(time),
            None => {
                let raw = fields
                    .raw(slots.created_at)
                    .or_else(|| fields.raw(slots.feature_timestamp));
                instant::read(&self.text, raw, "`createdAt` or `timestamp`")?
            }
        };
        time.map(|time| body.check_time(time)).transpose()
    }
}

/// Returns a place of IRCEL's WFS as longitude and latitude: it is written in metres of Belgian Lambert 72, whose numbers are
/// far above 180 in all of Belgium, unless the server was asked for degrees.
fn in_degrees((x, y): (f64, f64)) -> Option<(f64, f64)> {
    if x.abs() <= 180.0 && y.abs() <= 90.0 {
        Some((x, y))
    } else {
        lambert72::to_wgs84(x, y)
    }
}

#[cfg(test)]
mod tests;
