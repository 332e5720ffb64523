//! How a declaration names values of line protocol.
//!
//! - `field = "temp"`: the field or tag `temp` of every measurement;
//! - `field = "weather.temp"`: that of the measurement `weather`. Names may have dots of their own: in any other
//!   measurement it is the field that is called `weather.temp`;
//! - `pointer = "/temp"`, `"/weather/temp"`: the same without that doubt, for names with odd characters.

use meetnet_model::source::{DeviceDeclaration, MapEntry, Place, SourceDeclaration, ValueRef};

use crate::error::SetupProblem;
use crate::fields::{FieldNames, Slot, WantedPlaces};
use crate::json::pointer::Pointer;

/// The names that are wanted of the lines of one measurement; none: of all that no entry names.
pub(super) struct LinePlaces<'a> {
    pub(super) names: &'a mut FieldNames,
    pub(super) measurement: Option<&'a str>,
}

/// A name that no key has, for what is named of another measurement.
const NO_KEY: &str = "";

impl WantedPlaces for LinePlaces<'_> {
    fn want(&mut self, place: Place<'_>) -> Result<Slot, SetupProblem> {
        match place {
            Place::Field(name) => {
                let of_measurement = self.measurement.and_then(|measurement| {
                    let rest = name.strip_prefix(measurement)?.strip_prefix('.')?;
                    (!rest.is_empty()).then_some(rest)
                });
                self.names.want_name(of_measurement.unwrap_or(name))
            }
            Place::Pointer(text) => match Pointer::parse(text)?.tokens() {
                [name] => self.names.want_name(name),
                [measurement, name] if self.measurement == Some(&**measurement) => {
                    self.names.want_name(name)
                }
                [_, _] => self.names.want_name(NO_KEY),
                _ => Err(SetupProblem::FieldWanted(text.to_owned())),
            },
        }
    }
}

/// Returns the measurements that the declarations of a source may mean, each once.
pub(super) fn measurements_of(source: &SourceDeclaration) -> Vec<Box<str>> {
    let mut names: Vec<Box<str>> = Vec::new();
    let mut add = |name: &str| {
        if !name.is_empty() && !names.iter().any(|known| **known == *name) {
            names.push(name.into());
        }
    };
    let mut add_place = |place: Place<'_>| match place {
        Place::Field(name) => name.match_indices('.').for_each(|(at, _)| add(&name[..at])),
        Place::Pointer(text) => {
            if let Ok(pointer) = Pointer::parse(text)
                && let [measurement, _] = pointer.tokens()
            {
                add(measurement);
            }
        }
    };
    source
        .map
        .iter()
        .filter_map(MapEntry::place)
        .for_each(&mut add_place);
    match &source.sensor_id {
        Some(ValueRef::Field { field }) => add_place(Place::Field(field)),
        Some(ValueRef::Pointer { pointer }) => add_place(Place::Pointer(pointer)),
        Some(ValueRef::Template(_)) | None => {}
    }
    names
}

/// Returns true where an entry may name a value of such lines. One that names no place is left in, to be complained of.
pub(super) fn names_line_of(entry: &MapEntry, measurement: Option<&str>) -> bool {
    let Some(Place::Pointer(text)) = entry.place() else {
        return true;
    };
    match Pointer::parse(text).as_ref().map(Pointer::tokens) {
        Ok([named, _]) => measurement == Some(&**named),
        _ => true,
    }
}

/// Returns what a device declares of the lines of one measurement. What is calibrated is left out where only lines of other
/// measurements have it; what no line has stays in, to be complained of.
pub(super) fn device_of_lines(
    device: &DeviceDeclaration,
    source: &SourceDeclaration,
    measurement: Option<&str>,
) -> DeviceDeclaration {
    let entries = || source.map.iter().chain(&device.map);
    let fills = |entry: &MapEntry, name: &str| {
        entry.property.as_deref() == Some(name) || entry.column.as_deref() == Some(name)
    };
    let is_for_others = |name: &str| {
        let mut filling = entries().filter(|entry| fills(entry, name)).peekable();
        filling.peek().is_some() && filling.all(|entry| !names_line_of(entry, measurement))
    };
    let mut own = device.clone();
    own.map.retain(|entry| names_line_of(entry, measurement));
    own.calibration.retain(|name, _| !is_for_others(name));
    own
}
