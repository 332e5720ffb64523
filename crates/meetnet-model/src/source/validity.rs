//! What says of a message, or of one of its values, whether it is a reading at all.

use serde::{Deserialize, Serialize};

use super::Place;

/// What must hold for values to be readings; all of what is declared must. Without a place it is the value itself, as sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Validity {
    /// JSON Pointer to what says so; this, `field`, or neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Name of the field that says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What stands there where the values are readings. With a place and nothing else declared: `true`, also as 1.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub is: Vec<Mark>,
    /// What stands there where they are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub is_not: Vec<Mark>,
    /// The least number that stands there, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The largest number that stands there, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

impl Validity {
    /// Returns true where it names a place twice.
    pub fn names_two_places(&self) -> bool {
        self.pointer.is_some() && self.field.is_some()
    }

    /// Returns where it looks; none: at the value itself.
    pub fn place(&self) -> Option<Place<'_>> {
        Place::of(self.pointer.as_deref(), self.field.as_deref())
    }

    /// Returns true where nothing is asked of what stands there.
    pub fn asks_nothing(&self) -> bool {
        self.is.is_empty() && self.is_not.is_empty() && self.min.is_none() && self.max.is_none()
    }
}

/// What a device writes where a reading is valid, or is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "is no mark of validity; write true, false, a number, or a text in quotes"
)]
pub enum Mark {
    /// `true` or `false`, also as 1 and 0.
    Bool(bool),
    /// A number, however it is written.
    Number(f64),
    /// A text, case and all.
    Text(String),
}
