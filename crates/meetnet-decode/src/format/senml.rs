//! Sensor Measurement Lists (SenML, RFC 8428) in JSON: an array of records, whose base fields hold for the records
//! behind them.
//!
//! ```json
//! [{"bn": "urn:dev:ow:10e2073a0108006:", "bt": 1780311600, "bu": "Cel", "n": "roof", "v": 21.5},
//!  {"n": "humidity", "u": "%RH", "v": 40, "t": -5}]
//! ```
//!
//! - A name is `bn` and `n` put together. `map` takes it by its end (`field = "humidity"`), where `:`, `/`, `.` or `_`
//!   stands before it, the longest that fits first; `field = ""` takes every name that no other entry takes. The sensor
//!   is what stands before, or the whole name where nothing does. Names that begin with `urn:dev:` hold hardware ids,
//!   so they are replaced by their HMAC.
//! - A sum (`s`) is another quantity than a value (`v`): `field = "energy#sum"` takes it. `#` is in no name.
//! - Time: `bt` and `t` added; below 2²⁸ it is relative to the receive time, and 0 or absent is the receive time.
//! - The unit of a record (`u`, else `bu`) wins over the one of the map.
//! - A base field that cannot be read makes rejects of all records that it holds for. Members that end in `_` and are not
//!   known must be understood, says the RFC: such a record is a reject. All others are ignored.
//! - Records whose names no entry takes become one reject; the others stay.
//! - A record without a value may only set base fields. With a name, or without base fields, it is a reject: its value is
//!   missing, or its member is misspelled. So is a pack of which nothing comes.

mod members;

use std::borrow::Cow;

use hashbrown::HashMap;
use meetnet_model::declarations::Declarations;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::{MapEntry, Place, SourceDeclaration, TimeFormat, ValueRef};
use meetnet_model::time::TimeReader;

use crate::error::SetupProblem;
use crate::fields::{FieldNames, Fields, Raw, Slot, Span, WantedPlaces};
use crate::format::mapped::{Finds, FoundId, Mapped, OneField, Sensor};
use crate::format::{Body, reject_id};
use crate::group::{Group, Output, RowScratch, Scratch};
use crate::identity::IdFault;
use crate::instant::{self, ObservedAt};
use crate::json::read::{self, Reading};
use crate::mapping::{MappingFault, Series, Stated, UnitCodes, Units};
use crate::topic::TopicPattern;

use members::{Base, Fault, Members, number_of, text_of};

/// Unit codes of the SenML registries (RFC 8428, 8798) that measure what a property can be.
const UNITS: &UnitCodes = &[
    ("Cel", "Cel"),
    ("K", "K"),
    ("%RH", "%"),
    ("%", "%"),
    ("/", "1"),
    ("/100", "%"),
    ("count", "1"),
    ("ppm", "[ppm]"),
    ("ppb", "[ppb]"),
    ("Pa", "Pa"),
    ("hPa", "hPa"),
    ("m/s", "m/s"),
    ("km/h", "km/h"),
    ("m", "m"),
    ("km", "km"),
    ("cm", "cm"),
    ("mm", "mm"),
    ("mm/h", "mm/h"),
    ("ug/m3", "ug/m3"),
    ("kg", "kg"),
    ("g", "g"),
    ("W/m2", "W/m2"),
    ("lx", "lx"),
    ("deg", "deg"),
    ("rad", "rad"),
    // Registered as a relative level; who maps it to a sound level says what it is.
    ("dB", "dB[A]"),
    ("s", "s"),
    ("ms", "ms"),
    ("min", "min"),
    ("h", "h"),
    ("l", "L"),
    ("m3", "m3"),
    ("l/s", "L/s"),
    ("m3/s", "m3/s"),
    ("V", "V"),
    ("mV", "mV"),
    ("A", "A"),
    ("mA", "mA"),
    ("W", "W"),
    ("kW", "kW"),
    ("Wh", "W.h"),
    ("kWh", "kW.h"),
    ("J", "J"),
    ("Hz", "Hz"),
    ("pH", "[pH]"),
    ("NTU", "[NTU]"),
];

/// Times below are relative to now: 2²⁸ s, in µs.
const RELATIVE_BELOW_US: i64 = (1 << 28) * 1_000_000;
/// What an entry of the map ends in that takes sums.
const SUM: &str = "#sum";
/// What is said of a record that measures nothing.
const NO_VALUE: &str = "the record has no value that the `map` wants, at `v` or as a sum at `s`; `NaN`, `null`, empty texts and \
    declared sentinels are none";
/// What hardware ids begin with (RFC 9039).
pub(crate) const DEVICE_URN: &str = "urn:dev:";

/// The decoder of one source of SenML packs.
#[derive(Clone, Debug)]
pub(crate) struct SenmlDecoder {
    names: FieldNames,
    /// By the end of a name: the slots of values and of sums.
    ends: HashMap<Box<str>, Quantity>,
    /// Bytes of the longest of them.
    end_bytes_max: usize,
    mapped: Mapped,
    seconds: TimeReader,
}

/// The slots of one mapped quantity.
#[derive(Clone, Copy, Debug, Default)]
struct Quantity {
    value: Option<Slot>,
    sum: Option<Slot>,
}

/// What the record before has left for those behind it.
struct Pack<'p, 't, 'm> {
    base: &'p mut Base<'t>,
    named: &'p mut Option<Named<'t, 'm>>,
    unmapped: &'p mut Unmapped<'t>,
}

/// What the name of a record stands for. Records of a pack mostly repeat it, so it is kept until there is another one, or
/// another unit; the id of the sensor is in the scratch.
#[derive(Clone, Copy, Debug)]
struct Named<'t, 'm> {
    /// Its part of the name, as it stands in the record.
    own_name: Option<Raw<'t>>,
    /// The unit of its own, as it stands there.
    own_unit: Option<Raw<'t>>,
    quantity: Quantity,
    sensor: Result<Sensor<'m>, IdFault>,
    /// The series of its values in that unit, or in that of the pack, where they are of one.
    series: Option<Series<'m>>,
}

impl Named<'_, '_> {
    /// Returns true where a record that sets no base fields stands for the same.
    #[inline]
    fn is_of(&self, record: &Members<'_>) -> bool {
        let has_same_name = self.own_name == record.name;
        let has_same_unit = self.own_unit == record.unit;
        has_same_name && has_same_unit
    }
}

/// What came of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// It measures nothing, and need not.
    BaseFields,
    /// Rows, now or with the series that it is of, rejects, or one more of those that no entry takes.
    Something,
}

/// Records whose names no entry of the map takes.
#[derive(Debug, Default)]
struct Unmapped<'t> {
    count: u32,
    first: &'t str,
}

impl SenmlDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        let of_source = |problem| (None, problem);
        let format = source.format.as_str();
        if source.time.is_some() {
            return Err(of_source(SetupProblem::TimeNotWanted(format)));
        }
        if matches!(
            source.sensor_id,
            Some(ValueRef::Pointer { .. } | ValueRef::Field { .. })
        ) {
            return Err(of_source(SetupProblem::IdByTemplate(format)));
        }
        let entries = source.map.iter();
        let of_devices = source.devices.iter().flat_map(|device| &device.map);
        let looks_beside = |entry: &MapEntry| {
            let valid = entry.valid.as_ref();
            valid.is_some_and(|valid| valid.place().is_some())
        };
        if source.valid.is_some() || entries.chain(of_devices).any(looks_beside) {
            return Err(of_source(SetupProblem::ValidityBeside(format)));
        }
        let mut names = FieldNames::default();
        let mut mapped = Mapped::compile(
            source,
            topics,
            declarations,
            Vec::new(),
            Finds::Sensor,
            &mut names,
        )?;
        mapped.check_long(format, declarations).map_err(of_source)?;
        mapped.state_units(UNITS, declarations);
        mapped.index_fields(&|_| true);
        let mut ends: HashMap<Box<str>, Quantity> = HashMap::new();
        for (position, entry) in source.map.iter().enumerate() {
            let place = entry.place();
            let slot = place.ok_or(SetupProblem::OnePlace);
            let slot = slot.and_then(|place| names.want(place));
            let slot = slot.map_err(|problem| (Some(position), problem))?;
            let (Some(Place::Field(text)) | Some(Place::Pointer(text))) = place else {
                continue;
            };
            let name = text.strip_prefix('/').unwrap_or(text);
            match name.strip_suffix(SUM) {
                Some(name) => ends.entry(name.into()).or_default().sum = Some(slot),
                None => ends.entry(name.into()).or_default().value = Some(slot),
            }
        }
        Ok(Self {
            names,
            end_bytes_max: ends.keys().map(|end| end.len()).max().unwrap_or(0),
            ends,
            mapped,
            seconds: TimeReader::with(TimeFormat::Unix, None, None)
                .map_err(|error| of_source(SetupProblem::Time(error.to_string())))?,
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
        let text = body.text;
        let Some(records) = tape.read(text)?.elements() else {
            let message = "no SenML pack: the body is no array of records";
            output.reject(RejectReason::UnexpectedShape, message, text);
            return Ok(());
        };
        let mut nothing = if records.is_empty() {
            Some("the pack has no record")
        } else {
            Some("no record of the pack has a value: all of them only set base fields")
        };
        let mut base = Base::new();
        let mut named = None;
        let mut unmapped = Unmapped::default();
        for (at, value) in records.enumerate() {
            output.begin_item(at as u32);
            if !value.is_object() {
                let message = "a record is no object";
                output.reject(RejectReason::UnexpectedShape, message, value.text());
                nothing = None;
                continue;
            }
            let members = Members::of(value);
            if let Some(point) = self.point(body, &members, &base, named.as_ref()) {
                scratch.row.points.push(point);
                nothing = None;
                continue;
            }
            let record = value.text();
            let pack = Pack {
                base: &mut base,
                named: &mut named,
                unmapped: &mut unmapped,
            };
            match self.record(body, record, &members, pack, output, scratch) {
                Ok(Came::BaseFields) => {}
                Ok(Came::Something) => nothing = None,
                Err(Fault(reason, message)) => {
                    output.reject(reason, message, record);
                    nothing = None;
                }
            }
        }
        output.end_items();
        end_series(named.as_ref(), &mut scratch.row, output);
        unmapped.reject(output);
        if let Some(message) = nothing {
            output.reject(RejectReason::NoObservation, message, text);
        }
        Ok(())
    }

    /// Returns the point that a record is of the series of the one before, as most are; none where it takes a longer look.
    #[inline]
    fn point(
        &self,
        body: &Body<'_>,
        members: &Members<'_>,
        base: &Base<'_>,
        named: Option<&Named<'_, '_>>,
    ) -> Option<(i64, f64)> {
        let named = named?;
        let series = named.series.as_ref()?;
        let is_value_alone = members.value.is_some() && members.sum.is_none();
        let is_plain = is_value_alone && members.base.is_empty() && !members.has_unknown;
        if !is_plain || base.value != 0.0 || !named.is_of(members) {
            return None;
        }
        match self.time(body, base, members) {
            Ok(ObservedAt::Own(time)) => series.point(members.value, time),
            Ok(ObservedAt::Received(_)) | Err(_) => None,
        }
    }

    /// Decodes one record. Of a fault the caller makes the reject.
    fn record<'t, 'm>(
        &'m self,
        body: &Body<'_>,
        record: &'t str,
        members: &Members<'t>,
        pack: Pack<'_, 't, 'm>,
        output: &mut Output,
        scratch: &mut Scratch,
    ) -> Result<Came, Fault> {
        let Scratch {
            part_spans,
            text: name,
            values,
            row,
            ..
        } = scratch;
        let Pack {
            base,
            named,
            unmapped,
        } = pack;
        let sets_base = !members.base.is_empty();
        if sets_base {
            base.take(&members.base, &self.seconds);
            end_series(named.take().as_ref(), row, output);
        }
        if let Some(fault) = &base.fault {
            return Err(fault.clone());
        }
        if members.has_unknown {
            return Err(Fault(
                RejectReason::UnexpectedShape,
                "the record has a member ending in `_`, which must be understood and is not".into(),
            ));
        }
        let Members {
            value,
            text,
            boolean,
            data,
            ..
        } = *members;
        let value = value.or(text).or(boolean).or(data);
        let sum = number_of(members.sum, "`s`")?;
        let no_value = || Fault(RejectReason::NoMappedValue, NO_VALUE.into());
        if value.is_none() && sum.is_none() {
            if sets_base && members.name.is_none() {
                return Ok(Came::BaseFields);
            }
            return Err(no_value());
        }
        let Named {
            quantity,
            sensor,
            series,
            ..
        } = match *named {
            Some(named) if named.is_of(members) => named,
            _ => {
                name.clear();
                name.push_str(&base.name);
                name.push_str(&text_of(members.name, "`n`")?);
                check_name(name)?;
                let (quantity, device) = self.quantity(name).unwrap_or_default();
                let nothing = Fields::text("", &[]);
                let found_id = || Ok(found_id(device));
                end_series(named.take().as_ref(), row, output);
                let sensor = self.mapped.sensor(body, &nothing, found_id, row);
                let of_series = |sensor: Sensor<'m>| {
                    let series = sensor.series(quantity.value?, output)?;
                    match &*unit_of(members, base).ok()? {
                        "" => Some(series),
                        unit => series.in_unit(unit),
                    }
                };
                *named.insert(Named {
                    own_name: members.name,
                    own_unit: members.unit,
                    quantity,
                    sensor,
                    series: sensor.ok().and_then(of_series),
                })
            }
        };
        let (value, sum) = (quantity.value.zip(value), quantity.sum.zip(sum));
        if value.is_none() && sum.is_none() {
            unmapped.add(record);
            return Ok(Came::Something);
        }
        let time = self.time(body, base, members)?;
        let unit = unit_of(members, base)?;
        // Returns whether anything came of it.
        let mut emit = |slot, fields: Fields<'_, '_>, stated: Stated<'_>| -> bool {
            let document = OneField {
                fields,
                slot,
                excerpt: record,
            };
            match sensor {
                Ok(sensor) => {
                    if let (Some(series), ObservedAt::Own(time)) = (&series, time)
                        && Some(slot) == quantity.value
                        && let Some(point) = series.point(document.fields.raw(slot), time)
                    {
                        row.points.push(point);
                        return true;
                    }
                    // Rows stay in the order of the records.
                    end_series(named.as_ref(), row, output);
                    let emitted = sensor.emit_field(document, time, stated, row, output);
                    !emitted.is_nothing()
                }
                Err(fault) => {
                    let missing = "the topic has no sensor id where the source's `sensor_id` says";
                    reject_id(fault, missing, record, output);
                    true
                }
            }
        };
        let mut is_something = false;
        if let Some((slot, raw)) = value {
            let stated = Stated {
                interval_s: None,
                units: (!unit.is_empty()).then_some(Units::Same(&unit)),
            };
            let (Raw::Json(text) | Raw::Text(text)) = raw;
            if members.value.is_some() && base.value != 0.0 {
                if let Some(value) = number_of(members.value, "`v`")? {
                    values.begin(&self.names);
                    values.set_number(slot, base.value + value);
                    is_something |= emit(slot, values.fields(), stated);
                }
            } else if text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
                // A number is taken as it stands.
                part_spans.clear();
                part_spans.resize(self.names.slots(), Span::default());
                part_spans[usize::from(slot.0)] = Span::of(text, body.text);
                is_something |= emit(slot, Fields::json(body.text, part_spans), stated);
            } else {
                match read::text(Some(raw)) {
                    Reading::Value(text) => {
                        values.begin(&self.names);
                        values.set(slot, &text);
                        is_something |= emit(slot, values.fields(), stated);
                    }
                    Reading::Missing => {}
                    Reading::Wrong => {
                        return Err(Fault(
                            RejectReason::WrongType,
                            "the value of the record is no number".into(),
                        ));
                    }
                }
            }
        }
        if let Some((slot, sum)) = sum {
            values.begin(&self.names);
            values.set_number(slot, base.sum + sum);
            // The unit of a record is that of its value; a sum over time has that unit times seconds.
            is_something |= emit(slot, values.fields(), Stated::default());
        }
        if is_something {
            Ok(Came::Something)
        } else {
            Err(no_value())
        }
    }

    /// Returns the quantity that a name ends in, and the device before it.
    fn quantity<'n>(&self, name: &'n str) -> Option<(Quantity, &'n str)> {
        // What is longer than any end need not be looked up, so the device is mostly passed over.
        let first = name.len().checked_sub(self.end_bytes_max + 1);
        if first.is_none()
            && let Some(quantity) = self.ends.get(name)
        {
            return Some((*quantity, name));
        }
        let bytes = name.as_bytes();
        let mut separators = (first.unwrap_or(0)..bytes.len())
            .filter(|at| matches!(bytes[*at], b':' | b'/' | b'.' | b'_'));
        let end = separators.find_map(|at| {
            let end = name.get(at + 1..).filter(|end| !end.is_empty())?;
            Some((*self.ends.get(end)?, name.get(..at)?))
        });
        end.or_else(|| Some((*self.ends.get("")?, name)))
    }

    /// Returns when a record was measured.
    #[inline]
    fn time(
        &self,
        body: &Body<'_>,
        base: &Base<'_>,
        members: &Members<'_>,
    ) -> Result<ObservedAt, Fault> {
        let own = instant::read(&self.seconds, members.time, "`t`")?;
        let time = base.time_us.saturating_add(own.unwrap_or(0));
        let received_at = body.envelope.received_at;
        if time >= RELATIVE_BELOW_US {
            let time = body.check_time(time)?;
            return Ok(ObservedAt::Own(time));
        }
        // A time that is told from now is as good as our clock.
        let time = received_at.saturating_add(time);
        let time = body.check_time(time)?;
        Ok(ObservedAt::Received(time))
    }
}

impl<'t> Unmapped<'t> {
    fn add(&mut self, record: &'t str) {
        self.count += 1;
        if self.count == 1 {
            self.first = record;
        }
    }

    fn reject(&self, output: &mut Output) {
        if self.count > 0 {
            output.reject(
                RejectReason::NoMappedValue,
                format_args!(
                    "{} record(s) have a name that no entry of the `map` takes, the first of them in the excerpt; add an \
                     entry whose `field` is the end of the name to keep them",
                    self.count
                ),
                self.first,
            );
        }
    }
}

/// Makes rows of the points that wait for it.
fn end_series(named: Option<&Named<'_, '_>>, row: &mut RowScratch, output: &mut Output) {
    if let Some(Named {
        sensor: Ok(sensor),
        series: Some(series),
        ..
    }) = named
    {
        sensor.end_series(series, row, output);
    }
}

/// Returns the unit of a record: its own, else that of the pack; empty where there is none.
fn unit_of<'a>(members: &Members<'a>, base: &'a Base<'_>) -> Result<Cow<'a, str>, Fault> {
    let own = text_of(members.unit, "`u`")?;
    Ok(if own.is_empty() {
        Cow::Borrowed(&*base.unit)
    } else {
        own
    })
}

/// By byte: whether a name may have it.
static IS_NAME_BYTE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        let sign = byte as u8;
        table[byte] =
            sign.is_ascii_alphanumeric() || matches!(sign, b'-' | b':' | b'.' | b'/' | b'_');
        byte += 1;
    }
    table
};

/// Checks what a name is made of (RFC 8428, 4.5.1).
fn check_name(name: &str) -> Result<(), Fault> {
    let is_name_byte = |byte: u8| IS_NAME_BYTE[usize::from(byte)];
    let first = name.bytes().next();
    let (reason, message) = match first {
        None => (
            RejectReason::MissingField,
            "the record has no name: neither `bn` nor `n`",
        ),
        Some(first) if !first.is_ascii_alphanumeric() || !name.bytes().all(is_name_byte) => (
            RejectReason::WrongType,
            "`bn` and `n` make no SenML name: letters, digits, `-`, `:`, `.`, `/` and `_`, a letter or digit first",
        ),
        Some(_) => return Ok(()),
    };
    Err(Fault(reason, message.into()))
}

/// Returns the sensor that a device's name stands for.
fn found_id(device: &str) -> FoundId<'_> {
    match device.strip_prefix(DEVICE_URN) {
        None => FoundId::Plain(device.into()),
        // The same device under the same id, whichever format it speaks.
        Some(urn) => match urn.split_once(':') {
            Some(("mac", mac)) => FoundId::Hardware("mac", mac.into()),
            _ => FoundId::Hardware("urn_dev", urn.into()),
        },
    }
}

#[cfg(test)]
mod tests;
