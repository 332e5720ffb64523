//! Devices that differ from what their source declares: other fields, constants or calibration, or a station's name.
//!
//! sensor id of a document → [`Devices::find`] → [`Device`]
//!
//! A device is looked up by the id that its rows would have, behind the namespace: for a hardware id that is the HMAC,
//! so that no hardware id is kept here either. [`with_pseudonyms`] puts HMACs in the place of the ids that a
//! configuration names, before anything is journalled.

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::HashMap;
use meetnet_model::declarations::Declarations;
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::source::{
    DECLARED_HARDWARE_ID, DeviceDeclaration, SourceDeclaration, WireFormat,
};

use crate::error::SetupProblem;
use crate::identity::{check_raw, is_mac_address};
use crate::mapping::Mapping;

/// The declared devices of a source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Devices {
    devices: Vec<Device>,
    by_id: HashMap<Box<str>, usize>,
    by_pattern: Vec<(IdPattern, usize)>,
    /// Bytes of `<namespace>-`, in front of the ids.
    prefix_bytes: usize,
}

/// What one device has of its own.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    /// The sensor id of its station, where that stands in its rows.
    pub(crate) sensor_id: Option<Box<str>>,
    /// None where its values are mapped as those of all others.
    pub(crate) mapping: Option<Mapping>,
}

impl Devices {
    /// Compiles the devices of `source`; `mapping` compiles the mapping of one that has its own.
    pub(crate) fn compile(
        source: &SourceDeclaration,
        mut mapping: impl FnMut(&DeviceDeclaration) -> Result<Mapping, SetupProblem>,
    ) -> Result<Self, SetupProblem> {
        let mut devices = Self {
            prefix_bytes: source.namespace.len() + 1,
            ..Self::default()
        };
        let by_hardware_id = !source.hardware_kinds().is_empty();
        for (index, declared) in source.devices.iter().enumerate() {
            devices
                .add(declared, source, by_hardware_id, &mut mapping)
                .map_err(|problem| SetupProblem::Device {
                    index,
                    problem: Box::new(problem),
                })?;
        }
        Ok(devices)
    }

    fn add(
        &mut self,
        declared: &DeviceDeclaration,
        source: &SourceDeclaration,
        by_hardware_id: bool,
        mapping: &mut impl FnMut(&DeviceDeclaration) -> Result<Mapping, SetupProblem>,
    ) -> Result<(), SetupProblem> {
        let at = self.devices.len();
        let ids: Vec<&str> = match (declared.pseudonyms.as_slice(), declared.id.trim()) {
            ([], "") => return Err(SetupProblem::DeviceWithoutId),
            ([], _) if by_hardware_id => return Err(SetupProblem::HardwarePattern),
            ([], id) => vec![id],
            (pseudonyms, _) => pseudonyms.iter().map(String::as_str).collect(),
        };
        for id in ids {
            if id.contains('*') {
                self.by_pattern.push((IdPattern::parse(id), at));
            } else if self.by_id.insert(id.into(), at).is_some() {
                return Err(SetupProblem::DeviceTwice);
            }
        }
        let sensor_id = match &declared.station {
            None => None,
            Some(station) => {
                let station = check_raw(station).map_err(|_| SetupProblem::Station)?;
                Some(format!("{}-{station}", source.namespace).into())
            }
        };
        let differs = !(declared.map.is_empty()
            && declared.constants.is_empty()
            && declared.calibration.is_empty());
        self.devices.push(Device {
            sensor_id,
            mapping: differs.then(|| mapping(declared)).transpose()?,
        });
        Ok(())
    }

    /// Returns the mappings of devices that have their own.
    pub(crate) fn mappings_mut(&mut self) -> impl Iterator<Item = &mut Mapping> {
        self.devices
            .iter_mut()
            .filter_map(|device| device.mapping.as_mut())
    }

    /// Returns the same.
    pub(crate) fn mappings(&self) -> impl Iterator<Item = &Mapping> {
        let devices = self.devices.iter();
        devices.filter_map(|device| device.mapping.as_ref())
    }

    /// Returns the device that a sensor id is of, if it has anything of its own.
    pub(crate) fn find(&self, sensor_id: &str) -> Option<&Device> {
        if self.devices.is_empty() {
            return None;
        }
        let id = sensor_id.get(self.prefix_bytes..)?;
        let at = self.by_id.get(id).copied().or_else(|| {
            let mut patterns = self.by_pattern.iter();
            patterns.find_map(|(pattern, at)| pattern.takes(id).then_some(*at))
        })?;
        self.devices.get(at)
    }
}

/// An id in which `*` stands for any characters, also none.
#[derive(Clone, Debug)]
struct IdPattern {
    /// What stands between the stars: at least two parts.
    parts: Vec<Box<str>>,
}

impl IdPattern {
    fn parse(text: &str) -> Self {
        Self {
            parts: text.split('*').map(Into::into).collect(),
        }
    }

    fn takes(&self, id: &str) -> bool {
        let [first, middle @ .., last] = self.parts.as_slice() else {
            return false;
        };
        let Some(mut rest) = id.strip_prefix(&**first) else {
            return false;
        };
        for part in middle {
            match rest.split_once(&**part) {
                Some((_, behind)) => rest = behind,
                None => return false,
            }
        }
        rest.ends_with(&**last)
    }
}

/// Returns the declarations with HMACs in the place of the hardware ids that they name: the form that is journalled.
/// Patterns stay as they are; [`Decoders::new`](crate::Decoders::new) refuses them for hardware ids.
pub fn with_pseudonyms(declarations: &Arc<Declarations>, key: &PrivacyKey) -> Arc<Declarations> {
    let mut hidden = Cow::Borrowed(&**declarations);
    for (id, source) in &declarations.sources {
        if let Some(source) = source_with_pseudonyms(source, key) {
            hidden.to_mut().sources.insert(id.clone(), Arc::new(source));
        }
    }
    match hidden {
        Cow::Borrowed(_) => Arc::clone(declarations),
        Cow::Owned(hidden) => Arc::new(hidden),
    }
}

/// Returns the source with its hardware ids replaced; none where it names none.
pub(crate) fn source_with_pseudonyms(
    source: &SourceDeclaration,
    key: &PrivacyKey,
) -> Option<SourceDeclaration> {
    let names_one = |device: &DeviceDeclaration| {
        let is_one = !device.id.is_empty() && !device.id.contains('*');
        is_one && !kinds_of(source, device).is_empty()
    };
    if !source.devices.iter().any(names_one) {
        return None;
    }
    let mut hidden = source.clone();
    for device in hidden.devices.iter_mut().filter(|device| names_one(device)) {
        let kinds = kinds_of(source, device);
        let id = std::mem::take(&mut device.id);
        let pseudonym = |kind: &&str| key.hardware_id(kind, id.trim());
        device.pseudonyms = kinds.iter().map(pseudonym).collect();
    }
    Some(hidden)
}

/// Returns the kinds of hardware ids that the id of a device may be of; none where it is a name.
fn kinds_of(source: &SourceDeclaration, device: &DeviceDeclaration) -> &'static [&'static str] {
    // Its decoder does the same with the ids of messages.
    let finds_its_id = source.format == WireFormat::Wunderground && source.sensor_id.is_none();
    if finds_its_id && is_mac_address(device.id.trim()) {
        return &[DECLARED_HARDWARE_ID];
    }
    source.hardware_kinds()
}

#[cfg(test)]
mod tests;
