//! Units of measurement: UCUM codes, the spellings sensors use for them, and conversion between them.
//!
//! A [`Conversion`] is built once per mapped field when a declaration is read and applied per value. Every conversion
//! is linear. Factors are kept as fractions of whole numbers, so that Pa to hPa divides by 100 and
//! stays as exact as the reading.
//!
//! A volume fraction (`[ppb]`) converts to a mass concentration (`ug/m3`) by the gas's molar mass at 1013.25 hPa and
//! a reference temperature, which a source may declare. Where it does not, it is 20 Cel, as in European reporting
//! (Directive 2008/50/EC, annex VI C, and its successor (EU) 2024/2881: gases at 293 K and 101.3 kPa): one mole of an
//! ideal gas fills 24.055 l then, and 1 ppb of NO2 is 1.9125 ug/m3. Where 25 Cel is the custom (24.465 l; US EPA,
//! 40 CFR 50.3), it is 1.8804.

use thiserror::Error;

mod table;

use table::{ALIASES, UNITS};

/// Temperature in Cel at which masses of gases in a volume of air are told, where a source declares no other.
pub const REFERENCE_TEMPERATURE: f64 = 20.0;

/// A gas, for conversions between shares of a volume and masses in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gas {
    /// Molar mass in g/mol.
    pub molar_mass: f64,
    /// Temperature in Cel that the volume of the mass concentration has.
    pub temperature: f64,
}

impl Gas {
    /// Returns the mass of the gas alone in a volume, in g/m3, at 1013.25 hPa: M p / (R T). None for what is no gas.
    fn grams_per_m3(self) -> Option<f64> {
        const GAS_CONSTANT: f64 = 8.314_462_618;
        let kelvin = self.temperature + 273.15;
        let density = self.molar_mass * 101_325.0 / (GAS_CONSTANT * kelvin);
        (self.molar_mass > 0.0 && kelvin > 0.0 && density.is_finite()).then_some(density)
    }
}

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

    /// Returns the conversion from one unit to another; `gas` is needed between volume fractions and mass
    /// concentrations only.
    pub fn between(from: &str, to: &str, gas: Option<Gas>) -> Result<Self, UnitError> {
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
                let Some(grams_per_m3) = gas.and_then(Gas::grams_per_m3) else {
                    return Err(UnitError::NeedsMolarMass {
                        from: from.to_owned(),
                        to: to.to_owned(),
                    });
                };
                // Base units are 1 and g/m3.
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

    /// Returns the conversion `value * scale + offset`.
    pub fn linear(scale: f64, offset: f64) -> Self {
        if scale == 1.0 && offset == 0.0 {
            return Self::IDENTITY;
        }
        Self(Some(Linear {
            before: 0.0,
            multiply: scale,
            divide: 1.0,
            after: offset,
        }))
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
