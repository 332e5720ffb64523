//! Declaration files as they are written: every value that can be wrong on its own keeps its place in the text.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::assessment::Assessment;
use crate::column::ColumnType;
use crate::dataset::{DatasetKind, Grain, QualityRule};
use crate::derivation::{Bucket, ColumnRule, Condition, ConditionValue};
use crate::gathering::Gathering;
use crate::property::Correction;
use crate::quality::{AttenuatedSignal, FlatLine, MonthLimits, Neighbour, RateOfChange, Spike};

/// One file.
#[derive(Debug)]
pub(super) enum File {
    Dataset(Box<Dataset>),
    Properties(Vec<Spanned<Property>>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dataset {
    pub(super) id: Spanned<String>,
    pub(super) version: Spanned<u32>,
    pub(super) kind: DatasetKind,
    pub(super) grain: Grain,
    pub(super) key: Spanned<Vec<Spanned<String>>>,
    pub(super) licence: Option<Spanned<String>>,
    pub(super) attribution: Option<String>,
    pub(super) title: Option<Spanned<Texts>>,
    pub(super) description: Option<Spanned<Texts>>,
    #[serde(default)]
    pub(super) rule: Vec<Spanned<QualityRule>>,
    pub(super) derive: Option<Derive>,
    pub(super) assess: Option<Spanned<Assessment>>,
    pub(super) gather: Option<Spanned<Gathering>>,
    #[serde(default)]
    pub(super) column: Vec<Spanned<Column>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Derive {
    pub(super) from: Spanned<String>,
    pub(super) bucket: Bucket,
    pub(super) zone: Option<Spanned<String>>,
    pub(super) grace_s: u32,
    #[serde(default)]
    pub(super) so_far: bool,
    pub(super) expected_s: Spanned<u32>,
    pub(super) quality_max: Option<Spanned<i8>>,
    #[serde(default, rename = "where")]
    pub(super) conditions: Vec<Spanned<Condition>>,
    pub(super) permission: Option<String>,
    pub(super) reference: Option<ConditionValue>,
    pub(super) columns: BTreeMap<String, Spanned<ColumnRule>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Texts {
    #[serde(default)]
    pub(super) nl: String,
    #[serde(default)]
    pub(super) en: String,
    #[serde(default)]
    pub(super) fr: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Column {
    pub(super) name: Spanned<String>,
    #[serde(rename = "type")]
    pub(super) column_type: Spanned<ColumnType>,
    #[serde(default)]
    pub(super) required: bool,
    pub(super) unit: Option<Spanned<String>>,
    pub(super) iri: Option<Spanned<String>>,
    pub(super) range: Option<Spanned<Vec<f64>>>,
    pub(super) title: Option<Spanned<Texts>>,
    pub(super) tests: Option<Spanned<Tests>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PropertyFile {
    property: Vec<Spanned<Property>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Property {
    pub(super) name: Spanned<String>,
    pub(super) dataset: Spanned<String>,
    pub(super) unit: Spanned<String>,
    pub(super) iri: Spanned<String>,
    pub(super) range: Spanned<Vec<f64>>,
    pub(super) molar_mass: Option<Spanned<f64>>,
    pub(super) correction: Option<Spanned<Correction>>,
    pub(super) title: Option<Spanned<Texts>>,
    #[serde(default)]
    pub(super) tests: Tests,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tests {
    pub(super) suspect_range: Option<Spanned<Vec<f64>>>,
    #[serde(default)]
    pub(super) climatology: Vec<Spanned<MonthLimits>>,
    pub(super) rate_of_change: Option<Spanned<RateOfChange>>,
    pub(super) flat_line: Option<Spanned<FlatLine>>,
    pub(super) attenuated_signal: Option<Spanned<AttenuatedSignal>>,
    pub(super) spike: Option<Spanned<Spike>>,
    pub(super) neighbour: Option<Spanned<Neighbour>>,
}

/// Reads one file; what it declares shows by its tables.
pub(super) fn parse(text: &str) -> Result<File, toml::de::Error> {
    let table: toml::Table = toml::from_str(text)?;
    if table.contains_key("property") {
        toml::from_str::<PropertyFile>(text).map(|file| File::Properties(file.property))
    } else {
        toml::from_str(text).map(|dataset| File::Dataset(Box::new(dataset)))
    }
}
