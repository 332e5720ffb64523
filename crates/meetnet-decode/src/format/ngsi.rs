//! Notifications of context brokers: NGSIv2 (`normalized`, `keyValues`, `simplified…`, `values`) and NGSI-LD. Bare
//! entities, and arrays of them, are taken too.
//!
//! ```text
//! {"subscriptionId": …, "data": [entity, …]}   entity: {"id", "type", attribute: value or {"value", "unitCode", …}}
//! ```
//!
//! - Values are attributes: `field = "temperature"`, or a pointer whose first step is the attribute. How an attribute is
//!   written (`21`, `{"value": 21}`, `{"@value": …}`, `{"object": …}`) is seen at the attribute itself; the header
//!   `Ngsiv2-AttrsFormat` only says that objects with a member `value` are none of ours. In `values` an entity is a list
//!   without names, so its attributes are `pointer = "/0"` and so on, and `sensor_id` must be declared.
//! - Entities of the Smart Data Models that [`models`] knows need no `map`; what the map says comes first.
//! - Sensor: the id of the entity, without `urn:ngsi-ld:TYPE:` and without the time that some brokers append to it.
//! - Time: declared, else `dateObservedFrom` and `dateObservedTo`, else `dateObserved`, else the `observedAt` of each
//!   attribute, else the receive time. An interval gives rows its start and its length. Published examples have no zone:
//!   such a time is a reject until `time` declares one.
//! - Unit: `unitCode` (UN/CEFACT) of an attribute, else the one of the map or model.

mod models;

use std::borrow::Cow;
use std::collections::HashMap;

use meetnet_model::declarations::Declarations;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::{MapEntry, Place, SourceDeclaration, ValueRef};
use meetnet_model::time::TimeReader;

use crate::error::SetupProblem;
use crate::fields::{Fields, Raw, Slot, Span, WantedPlaces};
use crate::format::Body;
use crate::format::mapped::{Document, Finds, FoundId, Mapped, built_in};
use crate::format::ngsi::models::{MODELS, TRAFFIC, Traffic, UNITS};
use crate::group::{Group, Output, Scratch};
use crate::identity::IdFault;
use crate::instant::{self, ObservedAt, Period, TimeFault};
use crate::json::pointer::Pointer;
use crate::json::read::{self, Reading};
use crate::json::shape::Shape;
use crate::json::tape::Value;
use crate::json::walk::walk;
use crate::mapping::{MappingFault, Stated, Units};
use crate::topic::TopicPattern;

/// What an attribute without a value is in NGSI-LD.
const LD_NULL: &str = "\"urn:ngsi-ld:null\"";

/// The decoder of one source of NGSI notifications.
#[derive(Clone, Debug)]
pub(crate) struct NgsiDecoder {
    notification: Shape,
    data: Slot,
    message_type: Slot,
    entity: Shape,
    id: Slot,
    entity_type: Slot,
    attributes: Vec<Attribute>,
    /// The attribute that names the sensor, where one is declared.
    sensor_id: Option<Slot>,
    times: Vec<Time>,
    time_is_declared: bool,
    reader: TimeReader,
    /// By entity type, without map entries for types that are not here.
    models: Vec<(&'static str, Mapped)>,
    /// For entities of other types; none where the source has no map.
    declared: Option<Mapped>,
    traffic: Option<Traffic>,
}

/// The places where one wanted attribute may say what.
#[derive(Clone, Copy, Debug)]
struct Attribute {
    /// Where its value is put, however it is written.
    slot: Slot,
    whole: Slot,
    /// Whether that is the attribute itself: where it is absent, all else is.
    is_attribute: bool,
    value: Slot,
    typed_value: Slot,
    own_typed_value: Slot,
    object: Slot,
    unit: Slot,
    metadata_unit: Slot,
    observed_at: Slot,
}

/// Where the time of an entity stands.
#[derive(Clone, Debug)]
struct Time {
    from: Slot,
    to: Option<Slot>,
    name: Box<str>,
}

/// Gives slots to attributes.
struct AttributePlaces<'a> {
    entity: &'a mut Shape,
    attributes: &'a mut Vec<Attribute>,
    known: HashMap<String, Slot>,
}

impl WantedPlaces for AttributePlaces<'_> {
    fn want(&mut self, place: Place<'_>) -> Result<Slot, SetupProblem> {
        let pointer = match place {
            Place::Pointer(text) => Pointer::parse(text)?,
            Place::Field(name) => Pointer::member(name),
        };
        let [attribute, inner @ ..] = pointer.tokens() else {
            return Err(SetupProblem::FieldWanted(String::new()));
        };
        // Tokens hold no line ends that matter: two pointers with one key are one pointer.
        let key = pointer.tokens().join("\n");
        if let Some(slot) = self.known.get(&key) {
            return Ok(*slot);
        }
        let entity = &mut *self.entity;
        let mut want = |steps: &[&str], inner: &[Box<str>]| {
            let steps = steps.iter().map(|step| Box::from(*step));
            let tokens = std::iter::once(attribute.clone())
                .chain(steps)
                .chain(inner.iter().cloned());
            entity.want(&Pointer::of_tokens(tokens))
        };
        let places = Attribute {
            whole: want(&[], inner)?,
            is_attribute: inner.is_empty(),
            value: want(&["value"], inner)?,
            typed_value: want(&["value", "@value"], inner)?,
            own_typed_value: want(&["@value"], inner)?,
            object: want(&["object"], inner)?,
            unit: want(&["unitCode"], &[])?,
            metadata_unit: want(&["metadata", "unitCode", "value"], &[])?,
            observed_at: want(&["observedAt"], &[])?,
            slot: Slot(0),
        };
        let slot = entity.reserve()?;
        self.attributes.push(Attribute { slot, ..places });
        self.known.insert(key, slot);
        Ok(slot)
    }
}

impl NgsiDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        let of_source = |problem| (None, problem);
        let mut notification = Shape::new();
        let message_type = notification.want_member("type").map_err(of_source)?;
        let data = notification.want_member("data").map_err(of_source)?;
        let mut entity = Shape::new();
        let id = entity.want_member("id").map_err(of_source)?;
        let entity_type = entity.want_member("type").map_err(of_source)?;
        let mut attributes = Vec::new();
        let mut places = AttributePlaces {
            entity: &mut entity,
            attributes: &mut attributes,
            known: HashMap::new(),
        };
        let times = times(source, &mut places).map_err(of_source)?;
        let sensor_place = match &source.sensor_id {
            Some(ValueRef::Field { field }) => Some(Place::Field(field)),
            Some(ValueRef::Pointer { pointer }) => Some(Place::Pointer(pointer)),
            Some(ValueRef::Template(_)) | None => None,
        };
        let sensor_id = sensor_place.map(|place| places.want(place)).transpose();
        let reader = instant::period_reader(source).map_err(of_source)?;
        // The time may be an interval, or stand at each attribute, so it is read here.
        let timeless = SourceDeclaration {
            time: None,
            ..source.clone()
        };
        let mut compile = |built_in: Vec<MapEntry>| -> Result<Mapped, MappingFault> {
            let mut mapped = Mapped::compile(
                &timeless,
                topics,
                declarations,
                built_in,
                Finds::Sensor,
                &mut places,
            )?;
            mapped.state_units(UNITS, declarations);
            Ok(mapped)
        };
        let mut models = Vec::new();
        for (name, fields) in MODELS {
            let built_in = built_in(declarations, fields);
            if !built_in.is_empty() {
                models.push((*name, compile(built_in)?));
            }
        }
        let declared = match source.map.as_slice() {
            [] => None,
            _ => Some(compile(Vec::new())?),
        };
        let maps_traffic = source
            .map
            .iter()
            .any(|entry| entry.dataset.as_str() == TRAFFIC);
        let traffic = match declarations.dataset(TRAFFIC) {
            // The fixed mapping knows of no `valid`, so these entities need a map of the source's, too.
            Some(_) if !maps_traffic && source.valid.is_none() => {
                Some(Traffic::compile(declarations, &mut places).map_err(of_source)?)
            }
            _ => None,
        };
        Ok(Self {
            notification,
            data,
            message_type,
            entity,
            id,
            entity_type,
            attributes,
            sensor_id: sensor_id.map_err(of_source)?,
            times,
            time_is_declared: source.time.is_some(),
            reader,
            models,
            declared,
            traffic,
        })
    }

    /// Returns the datasets that it fills, by number.
    #[cfg(test)]
    pub(crate) fn datasets(&self) -> Vec<usize> {
        let models = self.models.iter().map(|(_, mapped)| mapped);
        let mapped = self.declared.iter().chain(models);
        let mut datasets: Vec<usize> = mapped.flat_map(Mapped::datasets).collect();
        datasets.extend(self.traffic.as_ref().map(Traffic::dataset));
        datasets
    }

    /// The compiled declaration of the source, as far as it is the same for every data model.
    pub(crate) fn mapped(&self) -> Option<&Mapped> {
        let models = self.models.iter().map(|(_, mapped)| mapped);
        self.declared.iter().chain(models).next()
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
        let text = body.text;
        let document = tape.read(text)?;
        let entities = if document.is_array() {
            document
        } else {
            walk(&self.notification, document, &mut scratch.spans);
            let fields = Fields::json(text, &scratch.spans);
            let data = document.at(fields.span(self.data));
            // An entity may have an attribute `data`, which is no list.
            let is_notified = |data: &Value<'_>| {
                data.is_array()
                    || (data.is_object()
                        && is_type(fields.source_text(self.message_type), "Notification"))
            };
            let Some(entities) = data.filter(is_notified) else {
                self.entity(body, document, output, scratch);
                return Ok(());
            };
            entities
        };
        let Some(entities) = entities.elements() else {
            // NGSI-LD allows one entity without a list.
            output.begin_item(0);
            self.entity(body, entities, output, scratch);
            return Ok(());
        };
        if entities.is_empty() {
            let message = "the notification has no entity";
            output.reject(RejectReason::NoObservation, message, text);
        }
        for (at, entity) in entities.enumerate() {
            output.begin_item(at as u32);
            self.entity(body, entity, output, scratch);
        }
        Ok(())
    }

    fn entity(
        &self,
        body: &Body<'_>,
        entity: Value<'_>,
        output: &mut Output,
        scratch: &mut Scratch,
    ) {
        walk(&self.entity, entity, &mut scratch.spans);
        let part = entity.text();
        if !part.starts_with(['{', '[']) {
            let message = "no entity: neither an object nor a list of values";
            return output.reject(RejectReason::UnexpectedShape, message, part);
        }
        let Scratch {
            spans,
            part_spans: values,
            units,
            subset,
            row,
            ..
        } = scratch;
        let fields = Fields::json(body.text, spans);
        self.gather(body, &fields, values, units);
        let entity_type = fields.source_text(self.entity_type);
        let period = self.period(&Fields::json(body.text, values));
        if let Some(traffic) = &self.traffic
            && is_type(entity_type, models::TRAFFIC_TYPE)
        {
            let id = fields.raw(self.id);
            let values = Fields::json(body.text, values);
            return traffic.emit(body, id, period, &values, part, output);
        }
        let model = self
            .models
            .iter()
            .find(|(name, _)| is_type(entity_type, name));
        let Some(mapped) = model.map(|(_, mapped)| mapped).or(self.declared.as_ref()) else {
            let message = "entities of this type have no default mapping; add a `map` to the source that names their \
                           attributes as `field`";
            return output.reject(RejectReason::NoMappedValue, message, part);
        };
        let received_at = body.envelope.received_at;
        // Returns whether anything came of the values.
        let mut emit = |values: &[Span], period: Result<Option<Period>, TimeFault>| {
            let interval_s = match &period {
                Ok(Some(period)) => period.interval_s,
                Ok(None) | Err(_) => None,
            };
            let time = || match period? {
                Some(Period { start, .. }) => body.check_time(start).map(ObservedAt::Own),
                None => Ok(ObservedAt::Received(received_at)),
            };
            let found_id = || match read::text(fields.raw(self.id)) {
                Reading::Value(id) => Ok(FoundId::Plain(sensor_of(id, entity_type))),
                Reading::Missing => Err(IdFault::Missing),
                Reading::Wrong => Err(IdFault::Wrong),
            };
            let document = Document {
                fields: Fields::json(body.text, values),
                excerpt: part,
                what: "the entity",
                missing_id: "the entity has no `id`; where notifications are lists of values, declare `sensor_id`",
            };
            let stated = Stated {
                interval_s,
                units: Some(Units::BySlot(Fields::json(body.text, units))),
            };
            let emitted = mapped.emit_at(body, &document, found_id, time, stated, row, output);
            emitted.is_none_or(|emitted| !emitted.is_nothing())
        };
        let mut any = false;
        if matches!(period, Ok(None)) {
            while let Some(stamp) = self.take_one_time(&fields, values, subset) {
                let name = "`observedAt` of an attribute";
                let raw = stamp.map(Raw::Json);
                any |= emit(
                    subset,
                    instant::read_period(&TimeReader::RFC3339, raw, name),
                );
            }
        } else {
            any = emit(values, period);
        }
        if !any {
            let message = format!("the entity has no value at {}", mapped.wanted());
            output.reject(RejectReason::NoMappedValue, message, part);
        }
    }

    /// Puts the value of each attribute, however it is written, under its slot, and its unit likewise.
    fn gather(
        &self,
        body: &Body<'_>,
        fields: &Fields<'_, '_>,
        values: &mut Vec<Span>,
        units: &mut Vec<Span>,
    ) {
        let format = body.envelope.meta("ngsiv2-attrsformat").unwrap_or("");
        let is_plain = format.eq_ignore_ascii_case("keyValues") || format.starts_with("simplified");
        for spans in [&mut *values, &mut *units] {
            spans.clear();
            spans.resize(self.entity.slots(), Span::default());
        }
        for attribute in &self.attributes {
            // So it is with most: an entity has few of the attributes that data models know.
            if attribute.is_attribute && !fields.has(attribute.whole) {
                continue;
            }
            let value = attribute.value(fields, is_plain);
            let Some(value) = value.filter(|value| *value != LD_NULL) else {
                continue;
            };
            values[usize::from(attribute.slot.0)] = Span::of(value, body.text);
            let unit = fields
                .source_text(attribute.unit)
                .or_else(|| fields.source_text(attribute.metadata_unit));
            if let Some(unit) = unit {
                units[usize::from(attribute.slot.0)] = Span::of(unit, body.text);
            }
        }
    }

    /// Takes the values that one `observedAt` holds for out of `values` into `subset`, and returns it; none where no
    /// value is left. Values without one belong together, too.
    fn take_one_time<'t>(
        &self,
        fields: &Fields<'t, '_>,
        values: &mut [Span],
        subset: &mut Vec<Span>,
    ) -> Option<Option<&'t str>> {
        let is_left = |attribute: &&Attribute, values: &[Span]| {
            Some(attribute.slot) != self.sensor_id
                && values[usize::from(attribute.slot.0)] != Span::default()
        };
        let first = self.attributes.iter().find(|a| is_left(a, values))?;
        let stamp = fields.source_text(first.observed_at);
        subset.clear();
        subset.resize(values.len(), Span::default());
        for attribute in &self.attributes {
            let at = usize::from(attribute.slot.0);
            if Some(attribute.slot) == self.sensor_id {
                subset[at] = values[at];
            } else if fields.source_text(attribute.observed_at) == stamp {
                subset[at] = std::mem::take(&mut values[at]);
            }
        }
        Some(stamp)
    }

    /// Returns when the entity was observed; none where it does not say.
    fn period(&self, values: &Fields<'_, '_>) -> Result<Option<Period>, TimeFault> {
        for time in &self.times {
            let name = format_args!("`{}`", time.name);
            let Some(period) = instant::read_period(&self.reader, values.raw(time.from), name)?
            else {
                continue;
            };
            let to = time.to.and_then(|to| values.raw(to));
            let end = instant::read(&self.reader, to, format_args!("the end of `{}`", time.name))?;
            return match end {
                Some(end) => Period::between(period.start, end, name).map(Some),
                None => Ok(Some(period)),
            };
        }
        match self.times.first() {
            Some(time) if self.time_is_declared => Err(TimeFault::missing("entity", &time.name)),
            _ => Ok(None),
        }
    }
}

impl Attribute {
    /// Returns the value as it stands in the entity. `is_plain` says that attributes are values, not objects that have
    /// one.
    fn value<'t>(&self, fields: &Fields<'t, '_>, is_plain: bool) -> Option<&'t str> {
        let whole = fields.source_text(self.whole);
        if whole.is_some_and(|whole| !whole.starts_with('{')) {
            return whole;
        }
        let typed = fields.source_text(self.own_typed_value);
        if is_plain {
            return typed.or(whole);
        }
        [self.typed_value, self.value, self.object]
            .into_iter()
            .find_map(|slot| fields.source_text(slot))
            .or(typed)
            .or(whole)
    }
}

/// Returns where the time stands.
fn times(
    source: &SourceDeclaration,
    places: &mut AttributePlaces<'_>,
) -> Result<Vec<Time>, SetupProblem> {
    let mut time = |from: Place<'_>, to: Option<Place<'_>>| {
        Ok(Time {
            from: places.want(from)?,
            to: to.map(|to| places.want(to)).transpose()?,
            name: from.to_string().into(),
        })
    };
    match &source.time {
        Some(declared) => {
            let place = declared.place().ok_or(SetupProblem::OnePlace)?;
            Ok(vec![time(place, None)?])
        }
        None => Ok(vec![
            time(
                Place::Field("dateObservedFrom"),
                Some(Place::Field("dateObservedTo")),
            )?,
            time(Place::Field("dateObserved"), None)?,
        ]),
    }
}

/// Returns true where an entity is of a type: its name may be a whole IRI, and an entity of NGSI-LD can have several.
fn is_type(raw: Option<&str>, name: &str) -> bool {
    let Some(raw) = raw else { return false };
    raw.split(['[', ',', ']']).any(|one| {
        let one = one.trim().trim_matches('"');
        one.rsplit(['/', '#', ':']).next() == Some(name)
    })
}

/// Returns the id of an entity without what is not its sensor's: the prefix that names the type, and the time that some
/// brokers append, with which every observation would be a sensor of its own.
fn sensor_of<'t>(id: Cow<'t, str>, entity_type: Option<&str>) -> Cow<'t, str> {
    fn part<'s>(id: &'s str, entity_type: Option<&str>) -> &'s str {
        let mut rest = id.strip_prefix("urn:ngsi-ld:").unwrap_or(id);
        if let Some((before, behind)) = rest.split_once(':')
            && is_type(entity_type, before)
        {
            rest = behind;
        }
        let date = |at: &usize| {
            const SHAPE: &[u8] = b"0000-00-00T";
            let bytes = rest.as_bytes().get(*at..*at + SHAPE.len());
            bytes.is_some_and(|bytes| {
                bytes.iter().zip(SHAPE).all(|(byte, shape)| match shape {
                    b'0' => byte.is_ascii_digit(),
                    _ => byte == shape,
                })
            })
        };
        let end = (0..rest.len()).find(date).unwrap_or(rest.len());
        let sensor = rest[..end].trim_end_matches(['-', ':', '.', '_']);
        if sensor.is_empty() { id } else { sensor }
    }
    match id {
        Cow::Borrowed(id) => Cow::Borrowed(part(id, entity_type)),
        Cow::Owned(id) => Cow::Owned(part(&id, entity_type).to_owned()),
    }
}

#[cfg(test)]
mod tests;
