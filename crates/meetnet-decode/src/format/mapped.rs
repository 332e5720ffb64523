//! What a source declares of its messages, compiled, and how a document becomes rows by it: which sensor, when, which
//! values. Every format that maps ends here.
//!
//! values of a document ([`Fields`]) → sensor id + time → [`crate::mapping`] → rows and rejects
//!
//! A flat format needs little more than this:
//!
//! ```text
//! compile  let mut names = FieldNames::default();
//!          Mapped::compile(source, topics, declarations, built_in, Finds::Sensor, &mut names)
//! decode   values.begin(&names); for each field { if let Some(slot) = names.slot(name) { values.set(slot, value) } }
//!          mapped.emit_or_reject(&body, &Document { fields: values.fields(), … }, found_id, found_time, …)
//! ```

use std::borrow::Cow;

use meetnet_model::declarations::Declarations;
use meetnet_model::source::{MapEntry, SourceDeclaration};

use crate::devices::Devices;
use crate::error::SetupProblem;
use crate::fields::{Fields, Slot, WantedPlaces};
use crate::format::{Body, reject_id, reject_time};
use crate::group::{Output, RowScratch};
use crate::identity::{DeclaredId, IdFault};
use crate::instant::{DeclaredTime, ObservedAt, TimeFault};
use crate::mapping::{
    Emitted, Mapping, MappingFault, Observation, Plan, Series, Stated, UnitCodes,
};
use crate::topic::TopicPattern;

/// The compiled declaration of one source.
#[derive(Clone, Debug)]
pub(crate) struct Mapped {
    sensor_id: Option<DeclaredId>,
    time: Option<DeclaredTime>,
    mapping: Mapping,
    devices: Devices,
}

/// Whether a format finds out by itself which sensor a message is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finds {
    /// It does, where the source declares no `sensor_id`.
    Sensor,
    /// It does not: the source must say.
    Nothing,
}

/// The sensor that a format finds in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FoundId<'t> {
    /// None.
    Nobody,
    /// A public number or name.
    Plain(Cow<'t, str>),
    /// A hardware id and its kind, which keeps ids of different kinds apart; it is replaced by its HMAC.
    Hardware(&'static str, Cow<'t, str>),
}

/// One document of a body: an object, a row, a line, a form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Document<'a> {
    pub(crate) fields: Fields<'a, 'a>,
    /// The part of the body that a reject shows.
    pub(crate) excerpt: &'a str,
    /// What a reject calls it, for example `the message`.
    pub(crate) what: &'static str,
    /// What a reject says where nothing names the sensor.
    pub(crate) missing_id: &'static str,
}

/// A document that has one field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OneField<'a> {
    pub(crate) fields: Fields<'a, 'a>,
    pub(crate) slot: Slot,
    /// The part of the body that a reject shows.
    pub(crate) excerpt: &'a str,
}

/// The sensor of a document; its id is in the scratch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sensor<'m> {
    /// The sensor id of its station, which then stands in its rows.
    station: Option<&'m str>,
    mapping: &'m Mapping,
}

impl<'m> Sensor<'m> {
    /// Returns the series that its documents with the one field in slot `field` belong to, where they are of one.
    pub(crate) fn series(self, field: Slot, output: &Output) -> Option<Series<'m>> {
        self.mapping.series(field, output)
    }

    /// Makes rows of the points of its series that wait in the scratch.
    pub(crate) fn end_series(
        self,
        series: &Series<'_>,
        scratch: &mut RowScratch,
        output: &mut Output,
    ) {
        let sensor_id = self.station.unwrap_or(&scratch.sensor_id);
        series.emit(sensor_id, &mut scratch.points, output);
    }

    /// Appends the rows of a document of the sensor. Returns what it became.
    #[inline]
    pub(crate) fn emit_field(
        self,
        document: OneField<'_>,
        time: ObservedAt,
        stated: Stated<'_>,
        scratch: &mut RowScratch,
        output: &mut Output,
    ) -> Emitted {
        let OneField {
            fields,
            slot,
            excerpt,
        } = document;
        let observation = Observation {
            fields,
            time,
            sensor_id: self.station.unwrap_or(&scratch.sensor_id),
            stated,
            excerpt,
        };
        let floats = &mut scratch.floats;
        self.mapping.emit_field(&observation, slot, floats, output)
    }
}

impl Mapped {
    /// Compiles what `source` declares, and `built_in` entries behind the source's own; `places` gives the slots.
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        declarations: &Declarations,
        built_in: Vec<MapEntry>,
        finds: Finds,
        places: &mut dyn WantedPlaces,
    ) -> Result<Self, MappingFault> {
        let of_source = |problem| (None, problem);
        let sensor_id = DeclaredId::compile(source, topics, places).map_err(of_source)?;
        let time = DeclaredTime::compile(source, places).map_err(of_source)?;
        let plan = Plan::of_source(source, declarations, &built_in);
        let mapping = Mapping::compile(&plan, places)?;
        let devices = Devices::compile(source, |device| {
            Mapping::compile(&plan.of_device(device), places).map_err(|(_, problem)| problem)
        });
        let devices = devices.map_err(of_source)?;
        if finds == Finds::Nothing
            && sensor_id.is_none()
            && let Some(dataset) = mapping.needs_sensor_id(declarations)
        {
            return Err(of_source(SetupProblem::NoSensorId(dataset.id.to_string())));
        }
        Ok(Self {
            sensor_id,
            time,
            mapping,
            devices,
        })
    }

    /// Returns the declared `sensor_id`.
    pub(crate) fn sensor_id(&self) -> Option<&DeclaredId> {
        self.sensor_id.as_ref()
    }

    /// Returns the sensor id that stands in rows of the device with this one, where a station is declared for it.
    pub(crate) fn station_of(&self, sensor_id: &str) -> Option<&str> {
        self.devices.find(sensor_id)?.sensor_id.as_deref()
    }

    /// Appends the rows of one document. What the source does not declare comes from the format: `found_id` gives the
    /// sensor, `found_time` the time in µs UTC; where it gives none, the document was made when it was received.
    ///
    /// Returns what the document became; none where it is a reject as a whole.
    pub(crate) fn emit<'t>(
        &self,
        body: &Body<'_>,
        document: &Document<'t>,
        found_id: impl FnOnce() -> Result<FoundId<'t>, IdFault>,
        found_time: impl FnOnce() -> Result<Option<i64>, TimeFault>,
        scratch: &mut RowScratch,
        output: &mut Output,
    ) -> Option<Emitted> {
        let time = |joined: &mut String| self.time(body, document, found_time, joined);
        let stated = Stated::default();
        self.emit_by_device(body, document, found_id, time, stated, scratch, output)
            .map(|(emitted, _)| emitted)
    }

    /// Does the same for formats that find the time in their own way, and whose messages state interval and units.
    #[expect(clippy::too_many_arguments, reason = "each comes from another place")]
    pub(crate) fn emit_at<'t>(
        &self,
        body: &Body<'_>,
        document: &Document<'t>,
        found_id: impl FnOnce() -> Result<FoundId<'t>, IdFault>,
        time: impl FnOnce() -> Result<ObservedAt, TimeFault>,
        stated: Stated<'t>,
        scratch: &mut RowScratch,
        output: &mut Output,
    ) -> Option<Emitted> {
        let time = |_: &mut String| time();
        self.emit_by_device(body, document, found_id, time, stated, scratch, output)
            .map(|(emitted, _)| emitted)
    }

    /// Does the same; a document without any of the mapped values becomes a reject.
    pub(crate) fn emit_or_reject<'t>(
        &self,
        body: &Body<'_>,
        document: &Document<'t>,
        found_id: impl FnOnce() -> Result<FoundId<'t>, IdFault>,
        found_time: impl FnOnce() -> Result<Option<i64>, TimeFault>,
        scratch: &mut RowScratch,
        output: &mut Output,
    ) {
        let time = |joined: &mut String| self.time(body, document, found_time, joined);
        let stated = Stated::default();
        let emitted = self.emit_by_device(body, document, found_id, time, stated, scratch, output);
        if let Some((emitted, mapping)) = emitted
            && emitted.is_nothing()
        {
            mapping.reject_nothing(document.what, document.excerpt, output);
        }
    }

    /// Returns the mapping of the device, too. `time` gets a buffer.
    #[expect(clippy::too_many_arguments, reason = "each comes from another place")]
    fn emit_by_device<'t>(
        &self,
        body: &Body<'_>,
        document: &Document<'t>,
        found_id: impl FnOnce() -> Result<FoundId<'t>, IdFault>,
        time: impl FnOnce(&mut String) -> Result<ObservedAt, TimeFault>,
        stated: Stated<'t>,
        scratch: &mut RowScratch,
        output: &mut Output,
    ) -> Option<(Emitted, &Mapping)> {
        let sensor = match self.sensor(body, &document.fields, found_id, scratch) {
            Ok(sensor) => sensor,
            Err(fault) => {
                reject_id(fault, document.missing_id, document.excerpt, output);
                return None;
            }
        };
        let time = match time(&mut scratch.time) {
            Ok(time) => time,
            Err(fault) => {
                reject_time(&fault, document.excerpt, output);
                return None;
            }
        };
        let observation = Observation {
            fields: document.fields,
            time,
            sensor_id: sensor.station.unwrap_or(&scratch.sensor_id),
            stated,
            excerpt: document.excerpt,
        };
        let floats = &mut scratch.floats;
        let emitted = sensor.mapping.emit(&observation, floats, output);
        Some((emitted, sensor.mapping))
    }

    /// Finds the sensor of a document, and what is declared of it.
    pub(crate) fn sensor<'t>(
        &self,
        body: &Body<'_>,
        fields: &Fields<'_, '_>,
        found_id: impl FnOnce() -> Result<FoundId<'t>, IdFault>,
        scratch: &mut RowScratch,
    ) -> Result<Sensor<'_>, IdFault> {
        self.name(body, fields, found_id, scratch)?;
        let device = self.devices.find(&scratch.sensor_id);
        let mapping = device.and_then(|device| device.mapping.as_ref());
        Ok(Sensor {
            station: device.and_then(|device| device.sensor_id.as_deref()),
            mapping: mapping.unwrap_or(&self.mapping),
        })
    }

    /// Writes the sensor id of a document into the scratch; where nothing names a sensor, it is empty.
    fn name<'t>(
        &self,
        body: &Body<'_>,
        fields: &Fields<'_, '_>,
        found: impl FnOnce() -> Result<FoundId<'t>, IdFault>,
        scratch: &mut RowScratch,
    ) -> Result<(), IdFault> {
        let naming = &body.common.naming;
        let RowScratch {
            sensor_id,
            hardware_ids,
            topics,
            ..
        } = scratch;
        if let Some(declared) = &self.sensor_id {
            let topic = body.envelope.topic;
            return declared.resolve_remembering(
                naming,
                topic,
                fields,
                hardware_ids,
                topics,
                sensor_id,
            );
        }
        match found()? {
            FoundId::Plain(raw) => naming.plain(&raw, sensor_id),
            FoundId::Hardware(kind, raw) => naming.hardware(kind, &raw, hardware_ids, sensor_id),
            FoundId::Nobody => {
                sensor_id.clear();
                Ok(())
            }
        }
    }

    /// Returns the datasets that it and its devices fill, by number.
    #[cfg(test)]
    pub(crate) fn datasets(&self) -> Vec<usize> {
        let mappings = std::iter::once(&self.mapping).chain(self.devices.mappings());
        mappings.flat_map(Mapping::datasets).collect()
    }

    /// Returns where values stand, of any device, that must be numbers, and what they are called there.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = (Slot, &str)> {
        let mappings = std::iter::once(&self.mapping).chain(self.devices.mappings());
        mappings.flat_map(|mapping| mapping.numbers())
    }

    /// Returns the names of the wanted values, for a message that has none of them.
    pub(crate) fn wanted(&self) -> String {
        self.mapping.wanted()
    }

    /// Turns wide datasets away, for a format whose messages have one value each: every value would be a row that says
    /// of the other columns that nothing was measured.
    pub(crate) fn check_long(
        &self,
        format: &'static str,
        declarations: &Declarations,
    ) -> Result<(), SetupProblem> {
        match self.mapping.wide_dataset(declarations) {
            None => Ok(()),
            Some(dataset) => Err(SetupProblem::LongOnly {
                format,
                dataset: dataset.id.to_string(),
            }),
        }
    }

    /// Prepares for messages that have one field each; `is_field` says of a slot whether it is that of a field.
    pub(crate) fn index_fields(&mut self, is_field: &dyn Fn(Slot) -> bool) {
        for mapping in std::iter::once(&mut self.mapping).chain(self.devices.mappings_mut()) {
            mapping.index_fields(is_field);
        }
    }

    /// Prepares for messages that state their units by `codes`.
    pub(crate) fn state_units(&mut self, codes: &UnitCodes, declarations: &Declarations) {
        for mapping in std::iter::once(&mut self.mapping).chain(self.devices.mappings_mut()) {
            mapping.state_units(codes, declarations);
        }
    }

    /// Returns the time of a document.
    fn time(
        &self,
        body: &Body<'_>,
        document: &Document<'_>,
        found: impl FnOnce() -> Result<Option<i64>, TimeFault>,
        joined: &mut String,
    ) -> Result<ObservedAt, TimeFault> {
        let time = match &self.time {
            Some(declared) => Some(declared.resolve(&document.fields, joined)?),
            None => found()?,
        };
        match time {
            Some(time) => body.check_time(time).map(ObservedAt::Own),
            None => Ok(ObservedAt::Received(body.envelope.received_at)),
        }
    }
}

/// Returns map entries for the fields that a format knows by itself: `(field, property, unit as sent)`, as far as the
/// properties are declared. The better of two fields for one property comes first.
pub(crate) fn built_in(
    declarations: &Declarations,
    fields: &[(&str, &str, &str)],
) -> Vec<MapEntry> {
    let entry = |(field, name, unit): &(&str, &str, &str)| {
        let mut properties = declarations.properties.iter();
        let property = properties.find(|property| property.name == *name)?;
        Some(
            MapEntry::property(property.dataset.clone(), *name)
                .in_field(*field)
                .in_unit(*unit),
        )
    };
    fields.iter().filter_map(entry).collect()
}
