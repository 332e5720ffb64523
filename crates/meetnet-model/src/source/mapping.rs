//! Which values of a message become which properties and columns, and what is no value.

use serde::{Deserialize, Serialize};

use super::{Place, Validity};
use crate::ids::DatasetId;

/// A value that no message sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "is no constant; write a number, a text in quotes, true or false"
)]
pub enum Constant {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
}

/// What stands in a message where there is no value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "is no sentinel; write a number, or a text in quotes"
)]
pub enum Sentinel {
    /// A number, in the unit as sent: -999.
    Number(f64),
    /// A text, case and all: `unavailable`, `NA`.
    Text(String),
}

/// How the values of a device become those of a reference: `value * scale + offset`, in the canonical unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// The factor.
    #[serde(default = "one")]
    pub scale: f64,
    /// What is added then.
    #[serde(default)]
    pub offset: f64,
}

fn one() -> f64 {
    1.0
}

/// One mapped field: which decoded field becomes which property (long) or column (wide).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapEntry {
    /// The dataset of the row.
    pub dataset: DatasetId,
    /// The property of a long dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// The column of a wide dataset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// JSON Pointer to the value; either this or `field`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Name of the field that holds the value; either this or `pointer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// UCUM unit of the value as sent; converted to the canonical unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Length of the averaging interval in seconds, where the value is an average; absent: the source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<i64>,
    /// What a column of a wide dataset has where the message has no value for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constant: Option<Constant>,
    /// What means "no value" here, beside the source's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sentinels: Vec<Sentinel>,
    /// What says of this value that it is a reading, beside what says so of the whole message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<Validity>,
    /// Factor of the value as sent: `sent * scale + offset` is in `unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// What is added then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<f64>,
    /// Temperature in Cel at which a gas fills the volume that a mass is told of; absent: the source's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_temperature: Option<f64>,
}

impl MapEntry {
    /// Returns an entry that fills a property of a long dataset, from nowhere yet.
    pub fn property(dataset: impl Into<DatasetId>, property: impl Into<String>) -> Self {
        Self {
            property: Some(property.into()),
            ..Self::of(dataset.into())
        }
    }

    /// Returns an entry that fills a column of a wide dataset, from nowhere yet.
    pub fn column(dataset: impl Into<DatasetId>, column: impl Into<String>) -> Self {
        Self {
            column: Some(column.into()),
            ..Self::of(dataset.into())
        }
    }

    fn of(dataset: DatasetId) -> Self {
        Self {
            dataset,
            property: None,
            column: None,
            pointer: None,
            field: None,
            unit: None,
            interval_s: None,
            constant: None,
            sentinels: Vec::new(),
            valid: None,
            scale: None,
            offset: None,
            reference_temperature: None,
        }
    }

    /// Returns the entry with the value at a JSON Pointer.
    pub fn at_pointer(self, pointer: impl Into<String>) -> Self {
        Self {
            pointer: Some(pointer.into()),
            ..self
        }
    }

    /// Returns the entry with the value in a named field.
    pub fn in_field(self, field: impl Into<String>) -> Self {
        Self {
            field: Some(field.into()),
            ..self
        }
    }

    /// Returns the entry with the unit in which the value is sent.
    pub fn in_unit(self, unit: impl Into<String>) -> Self {
        Self {
            unit: Some(unit.into()),
            ..self
        }
    }

    /// Returns where the value stands; none unless exactly one place is named.
    pub fn place(&self) -> Option<Place<'_>> {
        Place::of(self.pointer.as_deref(), self.field.as_deref())
    }
}
