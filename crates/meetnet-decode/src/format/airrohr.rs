//! airRohr firmware's "own API": one POST per interval with the values of all the box's sensors.
//!
//! ```json
//! {"esp8266id": "1234567", "software_version": "NRZ-2024-135", "sensordatavalues": [
//!   {"value_type": "SDS_P1", "value": "12.30"}, {"value_type": "BME280_pressure", "value": "100659.00"}, …]}
//! ```
//!
//! - Time: the body has none and the firmware never sends late, so it is the receive time (unless declared).
//! - Sensor: the HMAC of the chip id in the body, else of the header `X-Sensor`, unless `sensor_id` is declared.
//! - A property that two sensors of one box measure is taken from the first in the order of [`VALUE_TYPES`] that has
//!   a value: a row is known by box, property and time.
//! - `map` adds value types (`field = "NAME"`, also `pointer = "/NAME"`) and comes before the built-in ones.
//! - Value types in neither list become one reject that names them; the other values stay.
//!
//! A message with the header X-PIN is one sensor's, as api.sensor.community takes them: [`pins`].

mod pins;

use hashbrown::HashMap;
use meetnet_model::declarations::Declarations;
use meetnet_model::privacy;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::{Place, SourceDeclaration};

use crate::error::SetupProblem;
use crate::fields::{Fields, Slot, Span};
use crate::format::Body;
use crate::format::mapped::{Document, Finds, FoundId, Mapped, built_in};
use crate::group::{Group, Output, Scratch};
use crate::identity::IdFault;
use crate::json::places::PairPlaces;
use crate::json::pointer::Pointer;
use crate::json::read::{self, Reading};
use crate::json::shape::Shape;
use crate::json::tape::{Value, Values};
use crate::json::walk::walk;
use crate::mapping::{Emitted, MappingFault};
use crate::topic::TopicPattern;

use pins::Pins;

/// Value types by the property they measure, with the unit in which the firmware sends them; the better sensor first.
pub(super) const VALUE_TYPES: [(&str, &str, &str); 47] = [
    ("SPS30_P0", "pm1", "ug/m3"),
    ("NPM_P0", "pm1", "ug/m3"),
    ("IPS_P0", "pm1", "ug/m3"),
    ("PMS_P0", "pm1", "ug/m3"),
    ("SPS30_P2", "pm2_5", "ug/m3"),
    ("NPM_P2", "pm2_5", "ug/m3"),
    ("IPS_P2", "pm2_5", "ug/m3"),
    ("SDS_P2", "pm2_5", "ug/m3"),
    ("PMS_P2", "pm2_5", "ug/m3"),
    ("HPM_P2", "pm2_5", "ug/m3"),
    ("SPS30_P4", "pm4", "ug/m3"),
    ("SPS30_P1", "pm10", "ug/m3"),
    ("NPM_P1", "pm10", "ug/m3"),
    ("IPS_P1", "pm10", "ug/m3"),
    ("SDS_P1", "pm10", "ug/m3"),
    ("PMS_P1", "pm10", "ug/m3"),
    ("HPM_P1", "pm10", "ug/m3"),
    ("SCD30_co2_ppm", "co2", "[ppm]"),
    ("BME280_temperature", "air_temperature", "Cel"),
    ("SHT3X_temperature", "air_temperature", "Cel"),
    ("HTU21D_temperature", "air_temperature", "Cel"),
    ("temperature", "air_temperature", "Cel"),
    ("DHT_temperature", "air_temperature", "Cel"),
    ("DHT22_temperature", "air_temperature", "Cel"),
    ("DS18B20_temperature", "air_temperature", "Cel"),
    ("BMP280_temperature", "air_temperature", "Cel"),
    ("BMP_temperature", "air_temperature", "Cel"),
    ("SCD30_temperature", "air_temperature", "Cel"),
    ("BME280_humidity", "relative_humidity", "%"),
    ("SHT3X_humidity", "relative_humidity", "%"),
    ("HTU21D_humidity", "relative_humidity", "%"),
    ("humidity", "relative_humidity", "%"),
    ("DHT_humidity", "relative_humidity", "%"),
    ("DHT22_humidity", "relative_humidity", "%"),
    ("SCD30_humidity", "relative_humidity", "%"),
    ("BME280_pressure", "air_pressure", "Pa"),
    ("BMP280_pressure", "air_pressure", "Pa"),
    ("BMP_pressure", "air_pressure", "Pa"),
    ("BME280_pressure_sealevel", "sea_level_pressure", "Pa"),
    ("BMP280_pressure_sealevel", "sea_level_pressure", "Pa"),
    ("BMP_pressure_sealevel", "sea_level_pressure", "Pa"),
    ("DNMS_noise_LAeq", "laeq", "dB[A]"),
    ("DNMS_noise_LA_min", "lamin", "dB[A]"),
    ("DNMS_noise_LA_max", "lamax", "dB[A]"),
    ("noise_LAeq", "laeq", "dB[A]"),
    ("noise_LA_min", "lamin", "dB[A]"),
    ("noise_LA_max", "lamax", "dB[A]"),
];

/// Value types that are known and make no row: the box's own state, particle counts per size (no mass), the PPD42NS
/// (`P1` and `P2` are counts above 1 and 2.5 µm, not PM10 and PM2.5), and places (a place is declared, not sent).
const NOT_OBSERVATIONS: [&str; 38] = [
    "samples",
    "min_micro",
    "max_micro",
    "interval",
    "signal",
    "P1",
    "durP1",
    "ratioP1",
    "P2",
    "durP2",
    "ratioP2",
    "NPM_N1",
    "NPM_N10",
    "NPM_N25",
    "IPS_P01",
    "IPS_P03",
    "IPS_P05",
    "IPS_P5",
    "IPS_N01",
    "IPS_N03",
    "IPS_N05",
    "IPS_N1",
    "IPS_N25",
    "IPS_N5",
    "IPS_N10",
    "SPS30_N05",
    "SPS30_N1",
    "SPS30_N25",
    "SPS30_N4",
    "SPS30_N10",
    "SPS30_TS",
    "GPS_lat",
    "GPS_lon",
    "GPS_height",
    "GPS_timestamp",
    "GPS_date",
    "GPS_time",
    "PMS_N1",
];

/// Beside the body: the pin of the sensor whose values they are.
const PIN_META: &str = "x-pin";
/// Names of unknown value types that one reject lists, and the characters it takes of each.
const UNKNOWN_LISTED_MAX: usize = 8;
const UNKNOWN_CHARS_MAX: usize = 40;

/// The decoder of one source of airRohr boxes.
#[derive(Clone, Debug)]
pub(crate) struct AirrohrDecoder {
    shape: Shape,
    chip_ids: [(Slot, &'static str); 3],
    values: Slot,
    mapped: Mapped,
    /// One element of `sensordatavalues`.
    element: Shape,
    value_type: Slot,
    value: Slot,
    /// Per known value type: the slot of its value, none where it makes no row.
    value_types: HashMap<Box<str>, Option<Slot>>,
    pins: Pins,
}

impl AirrohrDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        let of_source = |problem| (None, problem);
        let mut shape = Shape::new();
        let [esp8266, esp32, raspi] = CHIP_PREFIXES;
        let chip_ids = [
            (shape.want_member("esp8266id").map_err(of_source)?, esp8266),
            (shape.want_member("esp32id").map_err(of_source)?, esp32),
            (shape.want_member("raspiid").map_err(of_source)?, raspi),
        ];
        let values = shape.want_member("sensordatavalues").map_err(of_source)?;
        let mut element = Shape::new();
        let value_type = element.want_member("value_type").map_err(of_source)?;
        let value = element.want_member("value").map_err(of_source)?;

        let mut names = HashMap::new();
        let mut places = PairPlaces {
            shape: &mut shape,
            names: &mut names,
        };
        let source = &with_value_types(source)?;
        let mapped = Mapped::compile(
            source,
            topics,
            declarations,
            built_in(declarations, &VALUE_TYPES),
            Finds::Sensor,
            &mut places,
        )?;
        let mut value_types: HashMap<Box<str>, Option<Slot>> = names
            .into_iter()
            .map(|(name, slot)| (name, Some(slot)))
            .collect();
        for name in NOT_OBSERVATIONS {
            value_types.entry(name.into()).or_insert(None);
        }
        let is_declared = |name: &str| {
            source
                .map
                .iter()
                .any(|entry| matches!(entry.place(), Some(Place::Field(field)) if field == name))
        };
        Ok(Self {
            pins: Pins::of(&value_types, is_declared),
            shape,
            chip_ids,
            values,
            mapped,
            element,
            value_type,
            value,
            value_types,
        })
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
        let text = body.text;
        let Scratch {
            spans,
            part_spans,
            row,
            ..
        } = scratch;
        let message = tape.read(text)?;
        walk(&self.shape, message, spans);
        let list = message.at(spans[usize::from(self.values.0)]);
        let Some(list) = list.and_then(Value::elements) else {
            output.reject(
                RejectReason::UnexpectedShape,
                "no airRohr message: it has no list `sensordatavalues`",
                text,
            );
            return Ok(());
        };
        if list.is_empty() {
            output.reject(
                RejectReason::NoObservation,
                "`sensordatavalues` is empty: the box measured nothing",
                text,
            );
            return Ok(());
        }
        let pin = body.envelope.meta(PIN_META);
        let unknown = self.sort_values(text, list, pin, part_spans, spans);
        let fields = Fields::json(text, spans);
        let document = Document {
            fields,
            excerpt: text,
            what: "the message",
            missing_id: "the message says in neither `esp8266id`, `esp32id` nor the header X-Sensor which box \
                         it is from; declare `sensor_id` where boxes cannot send it",
        };
        let found_id = || self.chip_id(body, &fields);
        let emitted = self
            .mapped
            .emit(body, &document, found_id, || Ok(None), row, output);
        let Some(nothing_mapped) = emitted.map(Emitted::is_nothing) else {
            return Ok(());
        };
        if unknown.count > 0 {
            unknown.reject(nothing_mapped, text, output);
        } else if nothing_mapped {
            output.reject(
                RejectReason::NoMappedValue,
                "none of the message's values belongs to a property",
                text,
            );
        }
        Ok(())
    }

    /// Returns the chip id of the box, written as the header X-Sensor writes it, so that both give one box one id.
    fn chip_id<'t>(
        &self,
        body: &Body<'t>,
        fields: &Fields<'t, '_>,
    ) -> Result<FoundId<'t>, IdFault> {
        for (slot, kind) in self.chip_ids {
            match read::text(fields.raw(slot)) {
                Reading::Missing => {}
                Reading::Wrong => return Err(IdFault::Wrong),
                Reading::Value(chip) if chip.starts_with(kind) => {
                    return Ok(FoundId::Hardware(CHIP, chip));
                }
                Reading::Value(chip) => {
                    return Ok(FoundId::Hardware(CHIP, [kind, &*chip].concat().into()));
                }
            }
        }
        let header = body.envelope.meta("x-sensor").ok_or(IdFault::Missing)?;
        Ok(FoundId::Hardware(CHIP, header.into()))
    }

    /// Notes the values of a message in their slots; returns the value types that nobody knows.
    fn sort_values<'a>(
        &self,
        text: &'a str,
        list: Values<'a>,
        pin: Option<&str>,
        element_spans: &mut Vec<Span>,
        values: &mut [Span],
    ) -> Unknown<'a> {
        let mut unknown = Unknown::default();
        for element in list {
            walk(&self.element, element, element_spans);
            let fields = Fields::json(text, element_spans);
            let Reading::Value(name) = read::text(fields.raw(self.value_type)) else {
                unknown.add("(no value_type)");
                continue;
            };
            let at_pin = pin.and_then(|pin| self.pins.get(pin, &name));
            match at_pin.or_else(|| self.value_types.get(&*name).copied()) {
                Some(None) => {}
                Some(Some(slot)) => values[usize::from(slot.0)] = fields.span(self.value),
                None => match name {
                    std::borrow::Cow::Borrowed(name) => unknown.add(name),
                    std::borrow::Cow::Owned(_) => unknown.add("(escaped name)"),
                },
            }
        }
        unknown
    }
}

/// The kind of hardware id, as the HMAC takes it.
pub(crate) const CHIP: &str = "chip";
/// What stands before the number of a chip id, by kind of board.
pub(crate) const CHIP_PREFIXES: [&str; 3] = ["esp8266-", "esp32-", "raspi-"];

/// Returns the source with every pointer of its map as the value type that it names: `/SDS_P1` is `SDS_P1`.
fn with_value_types(source: &SourceDeclaration) -> Result<SourceDeclaration, MappingFault> {
    let mut source = source.clone();
    let of_devices = source.devices.iter_mut().flat_map(|device| &mut device.map);
    let entries = source.map.iter_mut().enumerate();
    let entries = entries.map(|(position, entry)| (Some(position), entry));
    for (position, entry) in entries.chain(of_devices.map(|entry| (None, entry))) {
        let Some(pointer) = entry.pointer.take() else {
            continue;
        };
        let fault = |problem| (position, problem);
        match Pointer::parse(&pointer).map_err(fault)?.tokens() {
            [name] if entry.field.is_none() => entry.field = Some(name.to_string()),
            [_] => return Err(fault(SetupProblem::OnePlace)),
            _ => return Err(fault(SetupProblem::FieldWanted(pointer))),
        }
    }
    Ok(source)
}

/// Value types that are in no list.
#[derive(Default)]
pub(super) struct Unknown<'a> {
    pub(super) count: usize,
    listed: Vec<&'a str>,
}

impl<'a> Unknown<'a> {
    pub(super) fn add(&mut self, name: &'a str) {
        self.count += 1;
        if self.listed.len() < UNKNOWN_LISTED_MAX && !self.listed.contains(&name) {
            self.listed.push(name);
        }
    }

    pub(super) fn reject(&self, nothing_mapped: bool, excerpt: &str, output: &mut Output) {
        let name_of = |name: &&str| -> String {
            // A name that could be anything (a MAC, a token) is only repeated where it looks like a value type.
            let is_name = name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_()- ".contains(&b));
            if is_name {
                name.chars().take(UNKNOWN_CHARS_MAX).collect()
            } else {
                "?".to_owned()
            }
        };
        let names: Vec<String> = self.listed.iter().map(name_of).collect();
        output.reject(
            RejectReason::NoMappedValue,
            format_args!(
                "{} value type(s) not known: {}; add them to the source's `map` to keep them{}",
                self.count,
                privacy::redact(names.join(", ").as_bytes()),
                if nothing_mapped {
                    "; the message has no other value"
                } else {
                    ""
                }
            ),
            excerpt,
        );
    }
}

#[cfg(test)]
mod tests;
