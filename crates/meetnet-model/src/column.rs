//! A declared column of a dataset.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use serde::{Deserialize, Serialize};

use crate::common::timestamp_type;
use crate::quality::PropertyTests;
use crate::texts::Texts;

/// The types a declared column can have. No unsigned types: Delta has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// Signed 64-bit integer.
    Int,
    /// 64-bit float.
    Float,
    /// True or false.
    Bool,
    /// Microseconds since 1970, UTC.
    Timestamp,
    /// List of 64-bit floats, for histograms.
    FloatList,
}

impl ColumnType {
    /// Returns the name, as declarations and messages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Timestamp => "timestamp",
            Self::FloatList => "float_list",
        }
    }

    /// Returns the Arrow type of the column, in files and in SQL.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Bool => DataType::Boolean,
            Self::Timestamp => timestamp_type(),
            Self::FloatList => {
                DataType::List(Arc::new(Field::new("element", DataType::Float64, true)))
            }
        }
    }
}

/// One declared column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnDeclaration {
    /// Name in files and SQL (`[a-z][a-z0-9_]*`).
    pub name: String,
    /// Type of its values.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Whether every row must have a value.
    #[serde(default)]
    pub required: bool,
    /// UCUM unit; absent for ids and texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Observed-property IRI; absent for ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iri: Option<String>,
    /// Plausible range in `unit`, inclusive; values outside are kept and flagged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// Quality tests of a wide dataset's numbers beside the range; [`Neighbour`](crate::quality::Neighbour) is for long
    /// ones.
    #[serde(default, skip_serializing_if = "PropertyTests::is_empty")]
    pub tests: PropertyTests,
    /// What the column says, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<Texts>,
}
