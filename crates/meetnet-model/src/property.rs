//! The property table (`schemas/properties.toml`): what long datasets can hold.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::DatasetId;
use crate::quality::PropertyTests;
use crate::texts::Texts;
use crate::units::{Gas, REFERENCE_TEMPERATURE};

/// Canonical UCUM units of the values of a dataset, by the name of the property that a row is of.
pub type PropertyUnits = BTreeMap<String, String>;

/// One observed property of a long dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PropertyDeclaration {
    /// Name in the column `property`, for example `pm2_5`.
    pub name: String,
    /// The long dataset that holds it.
    pub dataset: DatasetId,
    /// Canonical UCUM unit of the column `value`.
    pub unit: String,
    /// IRI of the observed property.
    pub iri: String,
    /// Plausible range in `unit`, inclusive; values outside are kept and flagged.
    pub range: [f64; 2],
    /// The quality tests beside it.
    #[serde(default, skip_serializing_if = "PropertyTests::is_empty")]
    pub tests: PropertyTests,
    /// How its values are made from those of another property; absent where they are measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<Correction>,
    /// Molar mass in g/mol, where a volume fraction (ppb) must convert to a mass concentration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub molar_mass: Option<f64>,
    /// Name for people.
    pub title: Texts,
}

impl PropertyDeclaration {
    /// Returns the gas that it is a share of, at [`REFERENCE_TEMPERATURE`]; none for what is no gas.
    pub fn gas(&self) -> Option<Gas> {
        let temperature = REFERENCE_TEMPERATURE;
        self.molar_mass.map(|molar_mass| Gas {
            molar_mass,
            temperature,
        })
    }
}

/// A property that is another one of the same dataset, corrected. The other one stays as it was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// The measured property.
    pub of: String,
    /// How it is corrected.
    pub method: CorrectionMethod,
    /// The relative humidity (%) that the same sensor tells in the same message for the same time.
    pub humidity: CorrectionInput,
    /// Hygroscopicity of the particles, above 0.
    pub kappa: f64,
    /// Density of the dry particles, g/cm3.
    pub density: f64,
    /// Above this relative humidity (%) there is no corrected value: it would be divided by a factor without bound.
    pub humidity_max: f64,
}

/// The published methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionMethod {
    /// Mass of particles that have taken up water, to their dry mass, by kappa-Koehler theory (Petters and Kreidenweis,
    /// Atmospheric Chemistry and Physics 7, 1961, 2007): the volume of water is kappa times aw / (1 - aw) that of the dry
    /// particle, where aw is the relative humidity as a share.
    KappaKoehler,
}

impl CorrectionMethod {
    /// Returns the name in declarations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KappaKoehler => "kappa_koehler",
        }
    }

    /// Returns who published the method, and where.
    pub fn source(self) -> &'static str {
        match self {
            Self::KappaKoehler => {
                "M. D. Petters and S. M. Kreidenweis, Atmospheric Chemistry and Physics 7, 1961, 2007, \
                 https://doi.org/10.5194/acp-7-1961-2007"
            }
        }
    }
}

/// A property of a long dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorrectionInput {
    /// The dataset.
    pub dataset: DatasetId,
    /// Name of the property.
    pub property: String,
}

impl Correction {
    /// Returns the corrected value at a relative humidity (%); None where the method has none.
    pub fn apply(&self, value: f64, humidity: f64) -> Option<f64> {
        let is_known = (0.0..=self.humidity_max).contains(&humidity);
        let CorrectionMethod::KappaKoehler = self.method;
        is_known.then(|| {
            let activity = humidity / 100.0;
            let water = self.kappa / self.density * activity / (1.0 - activity);
            value / (1.0 + water)
        })
    }
}

#[cfg(test)]
mod tests;
