//! Observations of the OGC SensorThings API 1.1, as clients create them: one object at `Observations` or
//! `Datastreams(id)/Observations`, or many at `CreateObservations` (the data array extension).
//!
//! ```json
//! {"phenomenonTime": "2026-06-01T11:00:00Z", "result": 21.6, "Datastream": {"@iot.id": 1}}
//! [{"Datastream": {"@iot.id": 1}, "components": ["phenomenonTime", "result"],
//!   "dataArray@iot.count": 1, "dataArray": [["2026-06-01T11:00:00Z", 21.6]]}]
//! ```
//!
//! - A datastream is one property of one sensor: `map` names it by its id (`field = "1"`). The id stands in the body, or
//!   in the topic or path that the message came to, `…/Datastreams(1)/Observations`. Where the two disagree, nobody knows
//!   whose value it is: a reject.
//! - Sensor: the id of the datastream, unless `sensor_id` is declared.
//! - Time: declared, else `phenomenonTime`, else `resultTime`, else the receive time. An interval `start/end` gives the
//!   row its start and its length.
//! - A member that the standard does not know may be a misspelled one (the standard's own examples have
//!   `phenonmenonTime`). Where the observation has no time that is understood, that may be it, so the observation is a
//!   reject; else it is a row, and a reject names the member. Members with `@` are annotations.
//! - Each row of a data array is decoded by itself.

mod members;

use std::borrow::Cow;

use hashbrown::HashMap;
use meetnet_model::declarations::Declarations;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::SourceDeclaration;
use meetnet_model::time::TimeReader;

use crate::fields::{Fields, Raw, Slot, Span};
use crate::format::mapped::{Finds, FoundId, Mapped, OneField, Sensor};
use crate::format::{Body, reject_id, reject_time, shown_name};
use crate::group::{Group, Output, RowScratch, Scratch};
use crate::identity::IdFault;
use crate::instant::{self, ObservedAt, Period, TimeFault};
use crate::json::places::PairPlaces;
use crate::json::read::{self, Reading};
use crate::json::shape::Shape;
use crate::json::tape::{Value, Values};
use crate::json::walk::{Wanted, walk, walk_member};
use crate::mapping::{MappingFault, Series, Stated};
use crate::topic::TopicPattern;

use members::{Slots, times};

/// The decoder of one source of SensorThings observations.
#[derive(Clone, Debug)]
pub(crate) struct SensorThingsDecoder {
    shape: Shape,
    slots: Slots,
    /// Where the time may stand, with its name; the first that has one counts.
    times: Vec<(Slot, Box<str>)>,
    time_is_declared: bool,
    reader: TimeReader,
    /// The slot of the result, by datastream.
    datastreams: HashMap<Box<str>, Slot>,
    mapped: Mapped,
}

impl SensorThingsDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        let of_source = |problem| (None, problem);
        let mut shape = Shape::new();
        let slots = Slots::want(&mut shape).map_err(of_source)?;
        let mut datastreams = HashMap::new();
        let mut places = PairPlaces {
            shape: &mut shape,
            names: &mut datastreams,
        };
        let times = times(source, &mut places).map_err(of_source)?;
        let reader = instant::period_reader(source).map_err(of_source)?;
        // The time may be an interval, so it is read here.
        let timeless = SourceDeclaration {
            time: None,
            ..source.clone()
        };
        let mut mapped = Mapped::compile(
            &timeless,
            topics,
            declarations,
            Vec::new(),
            Finds::Sensor,
            &mut places,
        )?;
        mapped.index_fields(&|slot| datastreams.values().any(|field| *field == slot));
        let format = source.format.as_str();
        mapped.check_long(format, declarations).map_err(of_source)?;
        Ok(Self {
            shape,
            slots,
            times,
            time_is_declared: source.time.is_some(),
            reader,
            datastreams,
            mapped,
        })
    }

    /// The compiled declaration of the source.
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
        let mut items = Items::default();
        let document = tape.read(body.text)?;
        let Some(entities) = document.elements() else {
            self.entity(body, document, &mut items, output, scratch);
            return Ok(());
        };
        if entities.is_empty() {
            let message = "the body is an empty array";
            output.reject(RejectReason::NoObservation, message, body.text);
        }
        for entity in entities {
            self.entity(body, entity, &mut items, output, scratch);
        }
        Ok(())
    }

    /// Decodes one object: an observation or a data array.
    fn entity(
        &self,
        body: &Body<'_>,
        entity: Value<'_>,
        items: &mut Items,
        output: &mut Output,
        scratch: &mut Scratch,
    ) {
        walk(&self.shape, entity, &mut scratch.spans);
        let part = entity.text();
        let fields = Fields::json(body.text, &scratch.spans);
        let datastream = match self.datastream(body, &fields) {
            Ok(datastream) => datastream,
            Err(fault) => {
                let rows = self.rows(entity, &scratch.spans);
                reject_entity(fault, rows, part, items, output);
                return;
            }
        };
        let datastream = Datastream {
            id: &datastream,
            slot: self.datastreams.get(&*datastream).copied(),
            sensor: None,
        };
        if fields.has(self.slots.data_array) {
            self.data_array(body, datastream, entity, items, output, scratch);
            return;
        }
        items.begin(output);
        let result = scratch.spans[usize::from(self.slots.result.0)];
        let Scratch { spans, row, .. } = scratch;
        self.observation(body, datastream, result, part, spans, row, output);
    }

    /// Returns the id of the datastream that an observation belongs to.
    fn datastream<'t>(
        &self,
        body: &Body<'t>,
        fields: &Fields<'t, '_>,
    ) -> Result<Cow<'t, str>, Fault> {
        if fields.has(self.slots.multi_datastream) {
            return Err(Fault(
                RejectReason::UnexpectedShape,
                "an observation of a MultiDatastream has several results; let the sender create one Datastream for each",
            ));
        }
        let named_by_path = of_path(body.envelope.topic);
        // What is escaped in a path is not compared with what it stands for.
        let plain = named_by_path.filter(|id| !id.contains('%'));
        match read::text(fields.raw(self.slots.datastream)) {
            Reading::Value(id) if plain.is_some_and(|other| *other != *id) => Err(Fault(
                RejectReason::UnexpectedShape,
                "the path or topic is of another datastream than the `@iot.id` in the body; let the sender name the same \
                 in both, or post to `Observations`",
            )),
            Reading::Value(id) => Ok(id),
            Reading::Missing => named_by_path.map(Into::into).ok_or(Fault(
                RejectReason::MissingField,
                "nothing says which datastream the observation is of: the body has no `Datastream` with an `@iot.id`, \
                 and the topic or path no `Datastreams(id)`",
            )),
            Reading::Wrong => Err(Fault(
                RejectReason::WrongType,
                "the `@iot.id` of the datastream is no number and no text",
            )),
        }
    }

    /// Decodes the rows of a data array.
    fn data_array<'t>(
        &'t self,
        body: &Body<'_>,
        datastream: Datastream<'t>,
        entity: Value<'_>,
        items: &mut Items,
        output: &mut Output,
        scratch: &mut Scratch,
    ) {
        let fault = self.components(body, entity, scratch).err();
        let Some(rows) = self.rows(entity, &scratch.spans) else {
            items.begin(output);
            let message = "`dataArray` is no list of rows";
            return output.reject(RejectReason::UnexpectedShape, message, entity.text());
        };
        let Scratch {
            spans,
            cells,
            row: row_scratch,
            ..
        } = scratch;
        let sensor = match self.mapped.sensor_id() {
            // It may stand in each row.
            Some(_) => None,
            None => Some(self.sensor(body, &datastream, &Fields::json("", &[]), row_scratch)),
        };
        let of_series = sensor.and_then(Result::ok).and_then(|sensor| {
            let series = sensor.series(datastream.slot?, output)?;
            Some((sensor, series, self.point_cells(cells)?))
        });
        let datastream = Datastream {
            sensor,
            ..datastream
        };
        for row in rows {
            items.begin(output);
            let text = row.text();
            if let Some(Fault(reason, message)) = fault {
                output.reject(reason, message, text);
                continue;
            }
            if let Some((sensor, series, cells)) = &of_series {
                if let Some(point) = self.point(body, series, cells, row) {
                    row_scratch.points.push(point);
                    continue;
                }
                // Rows stay in the order of the array.
                sensor.end_series(series, row_scratch, output);
            }
            if !self.note_cells(row, cells, spans) {
                let message = format!(
                    "the row is no list of {} values, one for each of the `components`",
                    cells.len()
                );
                output.reject(RejectReason::UnexpectedShape, message, text);
                continue;
            }
            let result = spans[usize::from(self.slots.result.0)];
            self.observation(body, datastream, result, text, spans, row_scratch, output);
        }
        if let Some((sensor, series, _)) = of_series {
            sensor.end_series(&series, row_scratch, output);
        }
    }

    /// Notes what is wanted of the cells of a row; false where the row is no list of as many.
    fn note_cells(&self, row: Value<'_>, wanted: &[Wanted], spans: &mut [Span]) -> bool {
        let Some(mut cells) = row.elements() else {
            return false;
        };
        spans.fill(Span::default());
        for wanted in wanted {
            let Some(cell) = cells.next() else {
                return false;
            };
            walk_member(&self.shape, *wanted, cell, spans);
        }
        cells.is_empty()
    }

    /// Returns which cells of a row make a point, where each is one value.
    fn point_cells(&self, wanted: &[Wanted]) -> Option<PointCells> {
        // Of two for one member the last counts.
        let of = |slot| {
            let is_it =
                |wanted: &Wanted| matches!(wanted, Wanted::Value(wanted) if *wanted == slot);
            wanted.iter().rposition(is_it)
        };
        Some(PointCells {
            time: self.times.iter().find_map(|(slot, _)| of(*slot))?,
            value: of(self.slots.result)?,
            all: wanted.len(),
        })
    }

    /// Returns the point of the series that a row is, as most are; none where it takes a longer look.
    #[inline]
    fn point(
        &self,
        body: &Body<'_>,
        series: &Series<'_>,
        cells: &PointCells,
        row: Value<'_>,
    ) -> Option<(i64, f64)> {
        let (mut time, mut value, mut count) = (None, None, 0);
        for cell in row.elements()? {
            if count == cells.time {
                time = Some(cell);
            }
            if count == cells.value {
                value = Some(cell);
            }
            count += 1;
        }
        if count != cells.all {
            return None;
        }
        let time = read::unquoted(Raw::Json(time?.text()));
        let time = self.reader.read_usual(time)?;
        let value = Raw::Json(value?.text());
        series.point(Some(value), body.check_time(time).ok()?)
    }

    /// Returns the rows of a data array, if it is a list.
    fn rows<'t>(&self, entity: Value<'t>, spans: &[Span]) -> Option<Values<'t>> {
        let rows = entity.at(spans[usize::from(self.slots.data_array.0)]);
        rows.and_then(Value::elements)
    }

    /// Notes which member each component is.
    fn components(
        &self,
        body: &Body<'_>,
        entity: Value<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Fault> {
        let fields = Fields::json(body.text, &scratch.spans);
        if fields.has(self.slots.unknown) {
            return Err(Fault(
                RejectReason::UnexpectedShape,
                "the data array has a member that SensorThings 1.1 does not know; it may be a misspelled one",
            ));
        }
        let list = entity.at(fields.span(self.slots.components));
        let Some(list) = list.and_then(Value::elements) else {
            return Err(Fault(
                RejectReason::UnexpectedShape,
                "`components` is no list of names",
            ));
        };
        scratch.cells.clear();
        for component in list {
            let name = match read::text(Some(Raw::Json(component.text()))) {
                Reading::Value(name) => name,
                Reading::Missing | Reading::Wrong => "".into(),
            };
            let member = self.shape.member(&name);
            // `FeatureOfInterest/id` is how the standard names the id of what is observed.
            let is_known = match name.split_once('/') {
                Some((of, _)) => self.shape.member(of).is_some(),
                None => member.is_some() || name.contains('@'),
            };
            if !is_known {
                return Err(Fault(
                    RejectReason::UnexpectedShape,
                    "`components` names a member that SensorThings 1.1 does not know; it may be a misspelled one",
                ));
            }
            scratch.cells.push(Wanted::of_member(&self.shape, member));
        }
        Ok(())
    }

    /// Decodes one observation, whose members stand in `spans`.
    #[expect(clippy::too_many_arguments, reason = "each comes from another place")]
    fn observation(
        &self,
        body: &Body<'_>,
        datastream: Datastream<'_>,
        result: Span,
        excerpt: &str,
        spans: &mut [Span],
        row: &mut RowScratch,
        output: &mut Output,
    ) {
        let Some(slot) = datastream.slot else {
            let message = "no entry of the `map` has the datastream as its `field`; add one to keep its observations";
            return output.reject(RejectReason::NoMappedValue, message, excerpt);
        };
        spans[usize::from(slot.0)] = result;
        let fields = Fields::json(body.text, spans);
        let unknown = fields.source_text(self.slots.unknown);
        let period = self.period(&fields);
        if let (Some(name), Ok(None)) = (unknown, &period) {
            let message = format!(
                "SensorThings 1.1 does not know the member `{}`, and the observation has no time: it may be a misspelled \
                 `phenomenonTime`. Correct the sender, or declare `time = {{ pointer = \"/…\", format = \"rfc3339\" }}`",
                shown_name(name)
            );
            return output.reject(RejectReason::UnexpectedShape, message, excerpt);
        }
        let interval_s = match &period {
            Ok(Some(period)) => period.interval_s,
            Ok(None) | Err(_) => None,
        };
        let received_at = body.envelope.received_at;
        let time = || match period? {
            Some(Period { start, .. }) => body.check_time(start).map(ObservedAt::Own),
            None => Ok(ObservedAt::Received(received_at)),
        };
        let sensor = match datastream.sensor {
            Some(sensor) => sensor,
            None => self.sensor(body, &datastream, &fields, row),
        };
        let sensor = match sensor {
            Ok(sensor) => sensor,
            Err(fault) => {
                let missing =
                    "the observation has no sensor id where the source's `sensor_id` says";
                return reject_id(fault, missing, excerpt, output);
            }
        };
        let time = match time() {
            Ok(time) => time,
            Err(fault) => return reject_time(&fault, excerpt, output),
        };
        let document = OneField {
            fields,
            slot,
            excerpt,
        };
        let stated = Stated {
            interval_s,
            units: None,
        };
        let emitted = sensor.emit_field(document, time, stated, row, output);
        if emitted.is_nothing() {
            let message = "the observation has no `result`";
            output.reject(RejectReason::NoMappedValue, message, excerpt);
        }
        if let Some(name) = unknown {
            // The row is stored, so this is about no element that failed.
            output.end_items();
            let message = format!(
                "SensorThings 1.1 does not know the member `{}`; what it says is in the journal only",
                shown_name(name)
            );
            output.reject(RejectReason::UnexpectedShape, message, excerpt);
        }
    }

    /// Finds the sensor of an observation.
    fn sensor(
        &self,
        body: &Body<'_>,
        datastream: &Datastream<'_>,
        fields: &Fields<'_, '_>,
        row: &mut RowScratch,
    ) -> Result<Sensor<'_>, IdFault> {
        let found_id = || Ok(FoundId::Plain(datastream.id.into()));
        self.mapped.sensor(body, fields, found_id, row)
    }

    /// Returns when the observation was made; none where it does not say.
    fn period(&self, fields: &Fields<'_, '_>) -> Result<Option<Period>, TimeFault> {
        for (slot, name) in &self.times {
            let name = format_args!("`{name}`");
            if let Some(period) = instant::read_period(&self.reader, fields.raw(*slot), name)? {
                return Ok(Some(period));
            }
        }
        match self.times.first() {
            Some((_, name)) if self.time_is_declared => {
                Err(TimeFault::missing("observation", name))
            }
            _ => Ok(None),
        }
    }
}

/// Makes the rejects of an object that cannot be read: one for each of its rows, so that each is answered.
fn reject_entity(
    fault: Fault,
    rows: Option<Values<'_>>,
    part: &str,
    items: &mut Items,
    output: &mut Output,
) {
    let Fault(reason, message) = fault;
    for _ in 0..rows.map_or(1, Iterator::count) {
        items.begin(output);
        output.reject(reason, message, part);
    }
}

/// The datastream of an observation, and the slot of its result; none where no entry of the map takes it.
#[derive(Clone, Copy, Debug)]
struct Datastream<'t> {
    id: &'t str,
    slot: Option<Slot>,
    /// The sensor of all its observations, where it is known before them.
    sensor: Option<Result<Sensor<'t>, IdFault>>,
}

/// Which cells of a row of a data array make a point.
#[derive(Clone, Copy, Debug)]
struct PointCells {
    time: usize,
    value: usize,
    /// How many there are in all.
    all: usize,
}

/// Why an object or a row is no observation.
#[derive(Clone, Copy, Debug)]
struct Fault(RejectReason, &'static str);

/// Numbers the observations of a body.
#[derive(Debug, Default)]
struct Items {
    next: u32,
}

impl Items {
    fn begin(&mut self, output: &mut Output) {
        output.begin_item(self.next);
        self.next = self.next.saturating_add(1);
    }
}

/// Returns the id in `…/Datastreams(id)/Observations`, without the quotes of a text.
fn of_path(path: &str) -> Option<&str> {
    let (_, rest) = path.rsplit_once("Datastreams(")?;
    let (id, _) = rest.rsplit_once(')')?;
    let id = ["'", "%27"]
        .into_iter()
        .find_map(|quote| id.strip_prefix(quote).and_then(|id| id.strip_suffix(quote)))
        .unwrap_or(id);
    (!id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests;
