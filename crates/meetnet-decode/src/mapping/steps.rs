//! From a number as sent to the canonical value: scale, unit, calibration.

use meetnet_model::source::{Calibration, MapEntry, SourceDeclaration};
use meetnet_model::units::{Conversion, Gas, REFERENCE_TEMPERATURE};

use crate::error::SetupProblem;

/// Temperatures in Cel that a volume of air can be told at.
const REFERENCE_TEMPERATURES: std::ops::RangeInclusive<f64> = -50.0..=60.0;

/// What a value becomes.
pub(super) struct Target<'a> {
    pub(super) unit: Option<&'a str>,
    /// Of the gas that the property is, in g/mol.
    pub(super) molar_mass: Option<f64>,
    pub(super) calibration: Option<Calibration>,
}

/// What makes the canonical value of the one sent, in this order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    pub(super) scale: Conversion,
    /// From the declared unit; a message may state another.
    pub(super) unit: Conversion,
    pub(super) calibration: Conversion,
    /// The gas that the property is, for units that a message states.
    pub(super) gas: Option<Gas>,
    /// Whether values in the declared unit stay as they are.
    is_identity: bool,
}

impl Steps {
    /// Leaves every value as it is.
    pub(super) const NONE: Self = Self {
        scale: Conversion::IDENTITY,
        unit: Conversion::IDENTITY,
        calibration: Conversion::IDENTITY,
        gas: None,
        is_identity: true,
    };

    /// Returns the steps that an entry declares.
    pub(super) fn compile(
        entry: &MapEntry,
        target: &Target<'_>,
        source: &SourceDeclaration,
    ) -> Result<Self, SetupProblem> {
        let declared = entry.reference_temperature.or(source.reference_temperature);
        let temperature = declared.unwrap_or(REFERENCE_TEMPERATURE);
        if !REFERENCE_TEMPERATURES.contains(&temperature) {
            return Err(SetupProblem::ReferenceTemperature);
        }
        let gas = target.molar_mass.map(|molar_mass| Gas {
            molar_mass,
            temperature,
        });
        let unit = match (entry.unit.as_deref(), target.unit) {
            (None, _) => Conversion::IDENTITY,
            (Some(unit), Some(canonical)) => Conversion::between(unit, canonical, gas)
                .map_err(|error| SetupProblem::Unit(error.to_string()))?,
            (Some(_), None) => {
                let column = entry.column.clone().unwrap_or_default();
                return Err(SetupProblem::UnitNotWanted(column));
            }
        };
        let scale = linear(entry.scale.unwrap_or(1.0), entry.offset.unwrap_or(0.0))?;
        let calibration = match target.calibration {
            Some(Calibration { scale, offset }) => linear(scale, offset)?,
            None => Conversion::IDENTITY,
        };
        let steps = [scale, unit, calibration];
        Ok(Self {
            scale,
            unit,
            calibration,
            gas,
            is_identity: steps.into_iter().all(Conversion::is_identity),
        })
    }

    /// Returns true where values stay as they are.
    pub(super) fn is_identity(&self) -> bool {
        self.is_identity
    }

    /// Returns the canonical value of one in the declared unit.
    #[inline]
    pub(super) fn apply(&self, value: f64) -> f64 {
        if self.is_identity {
            return value;
        }
        self.apply_from(self.unit, value)
    }

    /// Returns the canonical value of one in a unit that `unit` converts.
    #[inline]
    pub(super) fn apply_from(&self, unit: Conversion, value: f64) -> f64 {
        self.calibration.apply(unit.apply(self.scale.apply(value)))
    }
}

fn linear(scale: f64, offset: f64) -> Result<Conversion, SetupProblem> {
    if scale.is_finite() && scale != 0.0 && offset.is_finite() {
        Ok(Conversion::linear(scale, offset))
    } else {
        Err(SetupProblem::Scale)
    }
}
