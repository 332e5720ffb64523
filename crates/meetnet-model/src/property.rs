//! The property table (`schemas/properties.toml`): what long datasets can hold.

use crate::units::{Gas, REFERENCE_TEMPERATURE};
use serde::{Deserialize, Serialize};

use crate::ids::DatasetId;
use crate::quality::PropertyTests;
use crate::texts::Texts;

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
