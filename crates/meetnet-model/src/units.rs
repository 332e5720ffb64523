//! Units of measurement: UCUM codes, the spellings sensors use for them, and conversion between them.
//!
//! A [`Conversion`] is built once per mapped field when a declaration is read and applied per value. Every conversion
//! is linear. Factors are kept as fractions of whole numbers, so that Pa to hPa divides by 100 and
//! stays as exact as the reading.
//!
//! A volume fraction (`[ppb]`) converts to a mass concentration (`ug/m3`) by the gas's molar mass at 25 Cel and
//! 1013.25 hPa, where one mole of an ideal gas fills 24.465 l. European reporting of NO2, O3 and SO2 uses 20 Cel: a
//! source that must follow it converts itself and sends `ug/m3`.

use thiserror::Error;

mod table;

use table::{ALIASES, UNITS};

/// Cubic metres that one mole of an ideal gas fills at 25 Cel and 1013.25 hPa: R T / p.
const MOLAR_VOLUME_M3: f64 = 8.314_462_618 * 298.15 / 101_325.0;

/// Why a value cannot be converted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnitError {
    /// Neither a UCUM code we know nor one of its other spellings.
    #[error(
        "unknown unit `{0}`; use a UCUM code such as Cel, [degF], %, hPa, m/s, mm, ug/m3 or [ppb]"
    )]
    Unknown(String),
    /// The units measure different things.
    #[error("`{from}` cannot become `{to}`: they measure different things")]
    Incompatible {
        /// The unit of the value.
        from: String,
        /// The unit asked for.
        to: String,
    },
    /// A volume fraction and a mass concentration, without the gas.
    #[error(
        "`{from}` becomes `{to}` only with the gas's molar mass; declare `molar_mass` for the property"
    )]
    NeedsMolarMass {
        /// The unit of the value.
        from: String,
        /// The unit asked for.
        to: String,
    },
}

/// What a unit measures; values convert within one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dimension {
    Temperature,
    Fraction,
    Pressure,
    Speed,
    Length,
    RainRate,
    MassConcentration,
    Irradiance,
    Angle,
    SoundLevel,
    Illuminance,
    Time,
    Volume,
    VolumeFlow,
    Mass,
    ElectricPotential,
    ElectricCurrent,
    Power,
    Energy,
    Frequency,
    Conductivity,
    Acidity,
    Turbidity,
    Activity,
}

/// One unit: a value `x` in it is `(x + offset) * numerator / denominator` in the base unit of its dimension.
#[derive(Debug)]
struct Unit {
    code: &'static str,
    dimension: Dimension,
    offset: f64,
    numerator: u64,
    denominator: u64,
}

fn find(unit: &str) -> Result<&'static Unit, UnitError> {
    let code = ALIASES
        .iter()
        .find(|(alias, _)| *alias == unit)
        .map_or(unit, |(_, code)| code);
    UNITS
        .iter()
        .find(|u| u.code == code)
        .ok_or_else(|| UnitError::Unknown(unit.to_owned()))
}

/// Returns the UCUM code of a unit given as UCUM code or in another spelling (`°C`, `µg/m³`, `mph`).
pub fn canonical_unit(unit: &str) -> Option<&'static str> {
    find(unit).ok().map(|u| u.code)
}

/// Returns true for a UCUM code or spelling that can be converted, if only to itself.
pub fn is_known_unit(unit: &str) -> bool {
    canonical_unit(unit).is_some()
}

/// How values of one unit become values of another: `(x + before) * multiply / divide + after`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conversion(Option<Linear>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Linear {
    before: f64,
    multiply: f64,
    divide: f64,
    after: f64,
}

impl Conversion {
    /// Leaves every value as it is, bit by bit.
    pub const IDENTITY: Self = Self(None);

    /// Returns the conversion from one unit to another; `molar_mass` in g/mol is needed between volume fractions and
    /// mass concentrations of a gas only.
    pub fn between(from: &str, to: &str, molar_mass: Option<f64>) -> Result<Self, UnitError> {
        let (source, target) = (find(from)?, find(to)?);
        if source.code == target.code {
            return Ok(Self::IDENTITY);
        }
        // Cancelled as whole numbers, so that next to nothing is left to round: Pa to hPa is `* 1 / 100`.
        let multiply = u128::from(source.numerator) * u128::from(target.denominator);
        let divide = u128::from(source.denominator) * u128::from(target.numerator);
        let shared = greatest_common_divisor(multiply, divide);
        let mut linear = Linear {
            before: source.offset,
            multiply: (multiply / shared) as f64,
            divide: (divide / shared) as f64,
            after: -target.offset,
        };
        match (source.dimension, target.dimension) {
            (a, b) if a == b => {}
            (Dimension::Fraction, Dimension::MassConcentration)
            | (Dimension::MassConcentration, Dimension::Fraction) => {
                let Some(molar_mass) = molar_mass.filter(|mass| *mass > 0.0) else {
                    return Err(UnitError::NeedsMolarMass {
                        from: from.to_owned(),
                        to: to.to_owned(),
                    });
                };
                // Base units are 1 and g/m3.
                let grams_per_m3 = molar_mass / MOLAR_VOLUME_M3;
                if source.dimension == Dimension::Fraction {
                    linear.multiply *= grams_per_m3;
                } else {
                    linear.divide *= grams_per_m3;
                }
            }
            _ => {
                return Err(UnitError::Incompatible {
                    from: from.to_owned(),
                    to: to.to_owned(),
                });
            }
        }
        Ok(Self(Some(linear)))
    }

    /// Returns true where values stay as they are.
    pub fn is_identity(self) -> bool {
        self.0.is_none()
    }

    /// Returns the converted value. Noise of binary fractions is rounded off (274.2 K is 1.05 Cel, not
    /// 1.0500000000000114), so that equal readings stay equal and files small; NaN and infinities stay what they are.
    #[inline]
    pub fn apply(self, value: f64) -> f64 {
        match self.0 {
            None => value,
            Some(linear) => {
                let scaled = (value + linear.before) * linear.multiply / linear.divide;
                without_noise(scaled + linear.after)
            }
        }
    }
}

/// Rounds to nine decimals where that is coarser than the noise and finer than any sensor.
fn without_noise(value: f64) -> f64 {
    let size = value.abs();
    // Above, nine decimals need more than the 53 bits of a float; below, they would cut into a tiny value such as
    // nanograms told in grams. What is smaller still is the rest of an offset: 32 [degF] is 0 Cel.
    if (1e-3..4e6).contains(&size) {
        (value * 1e9).round() / 1e9
    } else if size < 1e-13 {
        0.0
    } else {
        value
    }
}

fn greatest_common_divisor(a: u128, b: u128) -> u128 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[cfg(test)]
mod tests;
