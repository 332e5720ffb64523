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

/// Returns the conversions that change anything, in their order.
pub(super) fn steps(
    entry: &MapEntry,
    target: &Target<'_>,
    source: &SourceDeclaration,
) -> Result<Box<[Conversion]>, SetupProblem> {
    let scale = linear(entry.scale.unwrap_or(1.0), entry.offset.unwrap_or(0.0))?;
    let unit = unit(entry, target, source)?;
    let calibration = match target.calibration {
        Some(Calibration { scale, offset }) => linear(scale, offset)?,
        None => Conversion::IDENTITY,
    };
    Ok([scale, unit, calibration]
        .into_iter()
        .filter(|step| !step.is_identity())
        .collect())
}

fn linear(scale: f64, offset: f64) -> Result<Conversion, SetupProblem> {
    if scale.is_finite() && scale != 0.0 && offset.is_finite() {
        Ok(Conversion::linear(scale, offset))
    } else {
        Err(SetupProblem::Scale)
    }
}

/// Returns the conversion from the unit as sent to the canonical one.
fn unit(
    entry: &MapEntry,
    target: &Target<'_>,
    source: &SourceDeclaration,
) -> Result<Conversion, SetupProblem> {
    let declared = entry.reference_temperature.or(source.reference_temperature);
    let temperature = declared.unwrap_or(REFERENCE_TEMPERATURE);
    if !REFERENCE_TEMPERATURES.contains(&temperature) {
        return Err(SetupProblem::ReferenceTemperature);
    }
    let gas = target.molar_mass.map(|molar_mass| Gas {
        molar_mass,
        temperature,
    });
    match (entry.unit.as_deref(), target.unit) {
        (None, _) => Ok(Conversion::IDENTITY),
        (Some(unit), Some(canonical)) => Conversion::between(unit, canonical, gas)
            .map_err(|error| SetupProblem::Unit(error.to_string())),
        (Some(_), None) => {
            let column = entry.column.clone().unwrap_or_default();
            Err(SetupProblem::UnitNotWanted(column))
        }
    }
}
