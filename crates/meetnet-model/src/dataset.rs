//! A dataset declaration: one declared table, its key, columns, units, licence and texts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::assessment::Assessment;
use crate::column::ColumnDeclaration;
use crate::common;
use crate::derivation::Derivation;
use crate::gathering::Gathering;
use crate::ids::{DatasetId, LicenceId};
use crate::texts::Texts;

/// The shape of a dataset's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatasetKind {
    /// One column per measured property; the key ends in `time`.
    Wide,
    /// One row per `sensor_id`, `property` and `time`; properties come from the property table.
    Long,
    /// Places with a validity period: key (`id`, `valid_from`).
    Places,
    /// For the data team only; never registered on public sessions.
    Private,
}

/// The period of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grain {
    /// `year=2026`
    Year,
    /// `month=2026-01`
    Month,
    /// `day=2026-01-01`
    Day,
}

impl Grain {
    /// Returns the name of the partition column.
    pub fn column(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
        }
    }
}

/// A declared quality rule of a wide dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "test", rename_all = "snake_case", deny_unknown_fields)]
pub enum QualityRule {
    /// The row is suspect where the share of the interval that a device saw is too small.
    Uptime {
        /// The column with the share, 0..1.
        column: String,
        /// Below this share the row is suspect.
        suspect_below: f64,
    },
    /// The row is missing where none of these columns has a value.
    Missing {
        /// The columns.
        columns: Vec<String>,
    },
}

/// One declared dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetDeclaration {
    /// Name of the table, its folder and its URL.
    pub id: DatasetId,
    /// Version of the declaration, raised with each change; written into every file.
    pub version: u32,
    /// Shape of the rows.
    pub kind: DatasetKind,
    /// Period of one partition, taken from the partition time column.
    pub grain: Grain,
    /// Names of the key columns, in order. Files are sorted by them.
    pub key: Vec<String>,
    /// Licence that the dataset is published under, if the city declares one; checked against its sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<LicenceId>,
    /// Attribution that files and answers carry beside the licence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<String>,
    /// Licences of the configured sources that fill it, each with whom those sources ask to name:
    /// [`Declarations::state_licences`](crate::declarations::Declarations::state_licences) fills it in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub source_licences: BTreeMap<LicenceId, Vec<String>>,
    /// Short name.
    pub title: Texts,
    /// What the data is, how it is made and how to read it.
    pub description: Texts,
    /// Quality rules beside the ranges of the columns.
    #[serde(default, rename = "rule", skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<QualityRule>,
    /// How its rows are made of another dataset's; none: they come from sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub derive: Option<Derivation>,
    /// How its rows judge those of other datasets; none: it is about something else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assess: Option<Assessment>,
    /// How its rows are gathered from several datasets by place; none: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gather: Option<Gathering>,
    /// The declared columns, in order.
    #[serde(rename = "column")]
    pub columns: Vec<ColumnDeclaration>,
}

impl DatasetDeclaration {
    /// Returns the position of a declared column.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Returns the positions of the key columns, in key order.
    pub fn key_indices(&self) -> Vec<usize> {
        self.key
            .iter()
            .filter_map(|name| self.column_index(name))
            .collect()
    }

    /// Returns the positions of the declared columns that are not in the key: equal values there mean "unchanged".
    pub fn value_indices(&self) -> Vec<usize> {
        (0..self.columns.len())
            .filter(|i| !self.key.contains(&self.columns[*i].name))
            .collect()
    }

    /// Returns the name of the timestamp column that places a row in its partition:
    /// `time`, for places `valid_from`, for private datasets `received_at`'s declared stand-in `time`.
    pub fn time_column(&self) -> &'static str {
        match self.kind {
            DatasetKind::Places => "valid_from",
            _ => "time",
        }
    }

    /// Returns the column that says what a row is about: a sensor (text) or a road segment (integer). It is the key column
    /// `sensor_id` or `segment_id`, or the `id` of places; private datasets have none.
    pub fn subject_column(&self) -> Option<&ColumnDeclaration> {
        let names: &[&str] = match self.kind {
            DatasetKind::Wide | DatasetKind::Long => &["sensor_id", "segment_id"],
            DatasetKind::Places => &["id"],
            DatasetKind::Private => &[],
        };
        let key = self
            .key
            .iter()
            .find(|name| names.contains(&name.as_str()))?;
        self.columns.iter().find(|column| column.name == *key)
    }

    /// Returns whom to name for rows under a licence: the dataset's own attribution, then those of its sources.
    pub fn attributions(&self, licence: &LicenceId) -> impl Iterator<Item = &str> {
        let of_sources = self.source_licences.get(licence).into_iter().flatten();
        let own = self.attribution.as_deref();
        own.into_iter().chain(of_sources.map(String::as_str))
    }

    /// Returns true where anybody may read the dataset.
    pub fn is_public(&self) -> bool {
        self.kind != DatasetKind::Private
    }

    /// Returns true where its rows are made of other datasets' rows: no source fills it.
    pub fn is_made(&self) -> bool {
        self.derive.is_some() || self.assess.is_some() || self.gather.is_some()
    }

    /// Returns true where its rows are what sensors observed: no places, nothing private, and nothing that was made of others.
    pub fn is_observed(&self) -> bool {
        matches!(self.kind, DatasetKind::Wide | DatasetKind::Long) && !self.is_made()
    }

    /// Returns the zone (IANA name) by whose clocks its rows are days, months or years; none: UTC. What people write without a
    /// time of day, such as `2026-07-01`, is a day there.
    pub fn zone(&self) -> Option<&str> {
        let derived = self.derive.as_ref();
        let gathered = self.gather.as_ref();
        derived
            .and_then(|derivation| derivation.zone.as_deref())
            .or_else(|| gathered.and_then(|gathering| gathering.zone.as_deref()))
    }

    /// Returns the datasets whose rows its rows are made of. Those that it judges, and places, are not among them.
    pub fn made_of(&self) -> BTreeSet<&DatasetId> {
        let derived = self.derive.as_ref().map(|derivation| &derivation.from);
        let gathered = self.gather.iter().flat_map(|gathering| &gathering.inputs);
        derived
            .into_iter()
            .chain(gathered.map(|input| &input.from))
            .collect()
    }

    /// Returns the agreement by which it may be under a licence that asks for less than its inputs' do.
    pub fn permission(&self) -> Option<&str> {
        let derived = self.derive.as_ref();
        let gathered = self.gather.as_ref();
        derived
            .and_then(|derivation| derivation.permission.as_deref())
            .or_else(|| gathered.and_then(|gathering| gathering.permission.as_deref()))
    }

    /// Returns whether rows of its inputs under a licence count.
    pub fn takes(&self, licence: &LicenceId) -> bool {
        let gathering = self.gather.as_ref();
        gathering.is_none_or(|gathering| gathering.takes(licence.as_str()))
    }

    fn declared_fields(&self) -> Vec<Field> {
        self.columns
            .iter()
            .map(|c| Field::new(&c.name, c.column_type.data_type(), !c.required))
            .collect()
    }

    /// Returns the schema of the declared columns only: what a decoder fills.
    pub fn declared_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.declared_fields()))
    }

    /// Returns the schema of a row in SQL: declared columns, then the common ones.
    pub fn row_schema(&self) -> SchemaRef {
        let mut fields = self.declared_fields();
        fields.extend(common::common_fields());
        Arc::new(Schema::new(fields))
    }

    /// Returns the schema of a row in a Parquet file: a SQL row without the partition column `licence`.
    pub fn file_schema(&self) -> SchemaRef {
        let mut fields = self.declared_fields();
        fields.extend(
            common::common_fields()
                .into_iter()
                .filter(|f| f.name() != common::LICENCE),
        );
        Arc::new(Schema::new(fields))
    }

    /// Returns the schema of the Delta table: a file row, then `licence`, `superseded` and the grain column.
    pub fn table_schema(&self) -> SchemaRef {
        let mut fields: Vec<Field> = self
            .file_schema()
            .fields()
            .iter()
            .map(|f| f.as_ref().clone())
            .collect();
        fields.push(Field::new(common::LICENCE, DataType::Utf8, false));
        fields.push(Field::new(common::SUPERSEDED, DataType::Boolean, false));
        fields.push(Field::new(self.grain.column(), DataType::Utf8, false));
        Arc::new(Schema::new(fields))
    }
}

#[cfg(test)]
mod tests;
