//! What a message itself says of its values: the interval that they are of, and the unit of each. Both win over what
//! the map says, because one source can have devices of several kinds.
//!
//! The unit codes of a wire format are a closed list, so the conversion of every code to the unit of every mapped value
//! is made when the source is declared; a message costs one look-up in a short list.

use meetnet_model::declarations::Declarations;
use meetnet_model::units::{Conversion, Gas};

use crate::fields::Fields;
use crate::json::read::{self, Reading};
use crate::mapping::{Mapping, Origin};

/// The unit codes of a wire format, and the UCUM code of each.
pub(crate) type UnitCodes = [(&'static str, &'static str)];

/// What a message says of its values.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stated<'a> {
    /// Length of the interval that the values are of, in seconds; the time of the message is then its start.
    pub(crate) interval_s: Option<i64>,
    /// In which units the values are; a value of which nothing is said is in the unit of the map.
    pub(crate) units: Option<Units<'a>>,
}

/// The units that a message states.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Units<'a> {
    /// One for all its values.
    Same(&'a str),
    /// One for each, under the value's own slot.
    BySlot(Fields<'a, 'a>),
}

/// How a value becomes the canonical unit, by the unit that a message may state.
#[derive(Clone, Debug)]
pub(super) struct StatedUnits {
    canonical: Box<str>,
    conversions: Box<[(&'static str, Conversion)]>,
}

/// A value whose stated unit is unknown or measures something else.
pub(super) struct UnitFault<'a> {
    /// The unit that the value should become.
    pub(super) canonical: &'a str,
}

impl StatedUnits {
    fn new(codes: &UnitCodes, canonical: &str, gas: Option<Gas>) -> Self {
        let conversion = |(code, ucum): &(&'static str, &str)| {
            let conversion = Conversion::between(ucum, canonical, gas).ok()?;
            Some((*code, conversion))
        };
        Self {
            canonical: canonical.into(),
            conversions: codes.iter().filter_map(conversion).collect(),
        }
    }

    /// Returns how values in `unit` become the canonical one; none where it is not known or measures something else.
    pub(super) fn conversion(&self, unit: &str) -> Option<Conversion> {
        let mut known = self.conversions.iter();
        let found = known.find(|(code, _)| *code == unit);
        found.map(|(_, conversion)| *conversion)
    }
}

impl Mapping {
    /// Prepares for messages that state their units by `codes`.
    pub(crate) fn state_units(&mut self, codes: &UnitCodes, declarations: &Declarations) {
        let dataset = |number| declarations.datasets.values().nth(number);
        for value in &mut self.values {
            let property = dataset(value.dataset)
                .and_then(|dataset| declarations.property(dataset.id.as_str(), &value.property));
            let Some(property) = property else { continue };
            for origin in &mut value.origins {
                let gas = origin.steps.gas;
                origin.stated = Some(StatedUnits::new(codes, &property.unit, gas));
            }
        }
        for row in &mut self.rows {
            let Some(dataset) = dataset(row.dataset) else {
                continue;
            };
            for cell in &mut row.cells {
                let unit = dataset.columns[cell.column].unit.as_deref();
                cell.origin.stated = unit.map(|unit| StatedUnits::new(codes, unit, None));
            }
        }
    }
}

impl Origin {
    /// Makes the canonical value, from the unit that the message states where it states one.
    #[inline(always)]
    pub(super) fn converted(&self, value: f64, stated: &Stated<'_>) -> Result<f64, UnitFault<'_>> {
        match (stated.units, &self.stated) {
            (Some(said), Some(units)) => self.converted_from(said, units, value),
            _ => Ok(self.steps.apply(value)),
        }
    }

    fn converted_from<'a>(
        &'a self,
        said: Units<'_>,
        units: &'a StatedUnits,
        value: f64,
    ) -> Result<f64, UnitFault<'a>> {
        let declared = || self.steps.apply(value);
        let fault = UnitFault {
            canonical: &units.canonical,
        };
        let unit = match said {
            Units::Same(unit) => Reading::Value(unit.into()),
            Units::BySlot(fields) => read::text(fields.raw(self.slot)),
        };
        match unit {
            Reading::Missing => Ok(declared()),
            Reading::Wrong => Err(fault),
            Reading::Value(unit) => {
                let conversion = units.conversion(&unit).ok_or(fault)?;
                Ok(self.steps.apply_from(conversion, value))
            }
        }
    }
}
