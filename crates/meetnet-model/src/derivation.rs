//! How a derived dataset is made: `[derive]` of its declaration.
//!
//! ```text
//! current rows of `from` ─(where)─▶ per series and bucket of time ─(columns)─▶ one row
//! ```
//!
//! A *series* is what the rows of one key differ in beside their time: the key columns of the derived dataset that its
//! input has too. A *bucket* is an hour, day, month or year by the clocks of a zone. A derived row is a function of the
//! current input rows of its series and bucket, and of nothing else but what its columns reach: running means the hours
//! before, means over several buckets the buckets before, runs the buckets around, differences the same bucket of the reference.
//! It is there exactly where its bucket has an input row. `meetnet-derive` computes it; this module only says what is wanted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::buckets::{BucketError, BucketWidth, TimeBuckets};
use crate::calendar::SECOND_US;
use crate::column::ColumnType;
use crate::declarations::{DeclarationError, Declarations};
use crate::ids::DatasetId;
use crate::licence::datasets_of;

/// How rows of one dataset become rows of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derivation {
    /// The dataset that it is made of; it may be derived itself.
    pub from: DatasetId,
    /// How long the interval of a row is.
    pub bucket: Bucket,
    /// Whose clocks say when it begins (IANA name); none: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// A row appears when everything recorded until so many seconds after its interval is committed.
    pub grace_s: u32,
    /// A row appears so many seconds after the *beginning* of its interval: it says how far that has come, and is revised by all
    /// that comes in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub so_far: bool,
    /// An observation is expected every so many seconds: what coverage is a share of.
    pub expected_s: u32,
    /// Rows with a greater quality flag do not count (QARTOD: 3 suspect, 4 fail, 9 missing).
    pub quality_max: i8,
    /// Which input rows are meant, and which of them count.
    #[serde(default, rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The agreement that allows a licence which asks for less than the inputs' do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// Whose rows others are compared with: a value of the first key column. None: differences are null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<ConditionValue>,
    /// What each column outside the key is.
    pub columns: BTreeMap<String, ColumnRule>,
}

/// The interval of a derived row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    /// An hour by the clock.
    Hour,
    /// A local day: 23, 24 or 25 hours.
    Day,
    /// A local month.
    Month,
    /// A local year.
    Year,
}

impl Bucket {
    /// Returns the intervals by the clocks of a zone (IANA name; none: UTC).
    ///
    /// # Errors
    /// Where the zone is not known.
    pub fn of_zone(self, zone: Option<&str>) -> Result<TimeBuckets, BucketError> {
        let width = match self {
            Self::Hour => BucketWidth::Micros(3_600 * SECOND_US),
            Self::Day => BucketWidth::Days(1),
            Self::Month => BucketWidth::Months(1),
            Self::Year => BucketWidth::Months(12),
        };
        TimeBuckets::try_new(width, zone, None)
    }

    /// Returns how long an interval is at most, s: the clocks may be set back by an hour in it.
    pub fn longest_s(self) -> u32 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 25 * 3_600,
            Self::Month => 31 * 86_400 + 3_600,
            Self::Year => 366 * 86_400 + 3_600,
        }
    }
}

/// A condition on an input row: one of `equals` and `at_least`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Column of the input.
    pub column: String,
    /// Other rows are not meant: for this dataset they do not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub equals: Option<ConditionValue>,
    /// Rows with less, or without a value, do not count: they were expected, and lower the coverage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
}

impl Condition {
    /// Returns what is wrong with it by itself; none where nothing is.
    pub(crate) fn problem(&self) -> Option<String> {
        (self.equals.is_some() == self.at_least.is_some()).then(|| {
            format!(
                "the condition on `{}` has one of `equals` and `at_least`; write one",
                self.column
            )
        })
    }

    /// Returns whether a column of this type can be compared so; `is_key` says whether it is of the input's key.
    pub(crate) fn fits(&self, column_type: Option<ColumnType>, is_key: bool) -> bool {
        match &self.equals {
            Some(value) => is_key && column_type == Some(value.column_type()),
            None => column_type == Some(ColumnType::Float),
        }
    }
}

/// A value that a key column of the input has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "is no value of a key column; write a whole number, or a text in quotes"
)]
pub enum ConditionValue {
    /// Of an integer column.
    Int(i64),
    /// Of a text column.
    Text(String),
}

impl ConditionValue {
    /// Returns the type of the columns that have such a value.
    pub fn column_type(&self) -> ColumnType {
        match self {
            Self::Int(_) => ColumnType::Int,
            Self::Text(_) => ColumnType::Text,
        }
    }
}

/// What a derived column is. Values are those of input rows that count and have one; without any the result is null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ColumnRule {
    /// Number of input rows that count; int.
    Count,
    /// Share, 0 to 1, of the expected observations that are there and count; float. The bucket is cut into stretches of
    /// `expected_s`; one that an observation lies in, or the interval that it states, is covered.
    Coverage,
    /// The same share of the bucket until the end of the stretch with the last input row, whether that counts or not; float.
    CoverageSoFar,
    /// Arithmetic mean of an input column; float.
    Mean(String),
    /// Least value of an input column; float.
    Min(String),
    /// Greatest value of an input column; float.
    Max(String),
    /// Sum of an input column; float.
    Sum(String),
    /// Sum of an input column of whole numbers; int. Also of rows that do not count because they have too little of something
    /// (`at_least`): what each of them has counted is counted.
    Total(String),
    /// How many rows have a value above the limit of their property; int. Null for properties without one.
    CountAbove {
        /// Input column.
        of: String,
        /// Limits by property, in that column's unit.
        limits: BTreeMap<String, f64>,
        /// Who set them, and where that is published.
        source: String,
    },
    /// Mean of that number over the bucket and those before it; float. Null where the bucket itself has no value.
    CountAboveMean {
        /// Input column.
        of: String,
        /// Limits by property, in that column's unit.
        limits: BTreeMap<String, f64>,
        /// Properties whose numbers are averaged; of others it is the number of the bucket.
        averaged: Vec<String>,
        /// Over how many buckets.
        buckets: u32,
        /// An earlier bucket with fewer values is left out.
        rows_min: u32,
        /// Who set the limits, and where that is published.
        source: String,
    },
    /// Sum of some input columns as a share of the sum of others; float. Of rows in which each of `among` has a value; null
    /// where that sum is zero.
    Share {
        /// The columns of the share.
        of: Vec<String>,
        /// The columns of the whole.
        among: Vec<String>,
    },
    /// A percentile of what histograms say together; float. Each histogram (shares per class, the first class from zero, the
    /// last open) counts by the number in `weight`; within a class values are spread evenly. Null where the percentile
    /// lies in the open class, of which no upper limit is known.
    HistogramPercentile {
        /// Input column with the histograms.
        of: String,
        /// Input column with how many each histogram describes.
        weight: String,
        /// Width of a class, in the unit of the result.
        class: f64,
        /// 0 to 100.
        percent: f64,
    },
    /// Greatest of the running means over so many hours that end in the bucket; float. The hours before it count.
    RunningMeanMax {
        /// Input column with a value per hour.
        of: String,
        /// Hours of one mean.
        hours: u32,
        /// Hours that must have a value.
        hours_min: u32,
    },
    /// Whether the bucket lies in a run: buckets that follow each other, each with a greatest value of at least `at_least`,
    /// and among them enough with at least `peak`; bool. A bucket without a value ends a run, and is null itself. What
    /// counts are stretches of at most `length_max` buckets, so that a change reaches no further than that.
    Run {
        /// Input column; of several values in a bucket the greatest counts.
        of: String,
        /// What each bucket has at least, in that column's unit.
        at_least: f64,
        /// How many buckets a run has at least.
        length_min: u32,
        /// What some of them have at least.
        peak: f64,
        /// How many do at least.
        peaks_min: u32,
        /// Longest stretch that is looked at, buckets.
        length_max: u32,
        /// Who set the limits, and where that is published.
        source: String,
    },
    /// A column of this row less the same column of the reference's row of that bucket; float. Null without a declared
    /// reference, where it has no value, and where the licences of the two do not go together.
    DifferenceToReference(String),
    /// Class of a column of this row, by an index of air quality and the row's property; int. Null for a property that the
    /// index does not know.
    Index {
        /// `eaqi` or `belaqi`.
        name: String,
        /// Column of this row, declared before.
        of: String,
    },
    /// Whether a column of this row is at least a limit; bool.
    AtLeast {
        /// Column of this row, declared before.
        of: String,
        /// The limit, in that column's unit.
        limit: f64,
        /// Who set it, and where that is published.
        source: String,
    },
    /// Whether a column of this row is above the limit of its property; bool. Null for properties without one.
    Above {
        /// Column of this row, declared before.
        of: String,
        /// Limits by property, in that column's unit.
        limits: BTreeMap<String, f64>,
        /// Who set them, and where that is published.
        source: String,
    },
    /// A declared number of the row's property; int. Null for properties without one.
    ByProperty {
        /// Numbers by property.
        numbers: BTreeMap<String, i64>,
        /// Who set them, and where that is published.
        source: String,
    },
    /// Whether a column of numbers of this row is greater than another; bool. Null where one of them is.
    MoreThan {
        /// Column of this row, declared before.
        of: String,
        /// Column of this row, declared before.
        than: String,
    },
}

impl Derivation {
    /// Returns the buckets of the rows.
    ///
    /// # Errors
    /// Where the zone is not known.
    pub fn buckets(&self) -> Result<TimeBuckets, BucketError> {
        self.bucket.of_zone(self.zone.as_deref())
    }

    /// Returns how long before its bucket a row's input begins, µs: what running means, means over buckets and runs look back to.
    pub fn look_back(&self) -> i64 {
        let seconds = self.columns.values().map(|rule| match rule {
            ColumnRule::RunningMeanMax { hours, .. } => i64::from(hours.saturating_sub(1)) * 3_600,
            ColumnRule::CountAboveMean { buckets, .. } => {
                i64::from(buckets.saturating_sub(1)) * i64::from(self.bucket.longest_s())
            }
            _ => self.run_reach_s(rule),
        });
        seconds.max().unwrap_or(0) * SECOND_US
    }

    /// Returns how long after its bucket a row's input ends, µs: what runs look ahead to.
    pub fn look_ahead(&self) -> i64 {
        let seconds = self.columns.values().map(|rule| self.run_reach_s(rule));
        seconds.max().unwrap_or(0) * SECOND_US
    }

    fn run_reach_s(&self, rule: &ColumnRule) -> i64 {
        match rule {
            ColumnRule::Run { length_max, .. } => {
                i64::from(length_max.saturating_sub(1)) * i64::from(self.bucket.longest_s())
            }
            _ => 0,
        }
    }

    /// Returns the values that a key column of the input must have.
    pub fn equalities(&self) -> impl Iterator<Item = (&str, &ConditionValue)> {
        let conditions = self.conditions.iter();
        conditions
            .filter_map(|condition| Some((condition.column.as_str(), condition.equals.as_ref()?)))
    }

    /// Returns the least values that rows must have to count.
    pub fn least_values(&self) -> impl Iterator<Item = (&str, f64)> {
        let conditions = self.conditions.iter();
        conditions.filter_map(|condition| Some((condition.column.as_str(), condition.at_least?)))
    }
}

impl ColumnRule {
    /// Returns the input columns that the rule reads.
    pub fn inputs(&self) -> Vec<&str> {
        match self {
            Self::Count | Self::Coverage | Self::CoverageSoFar => Vec::new(),
            Self::Mean(of) | Self::Min(of) | Self::Max(of) | Self::Sum(of) | Self::Total(of) => {
                vec![of.as_str()]
            }
            Self::CountAbove { of, .. } | Self::CountAboveMean { of, .. } => vec![of.as_str()],
            Self::Share { of, among } => of.iter().chain(among).map(String::as_str).collect(),
            Self::HistogramPercentile { of, weight, .. } => vec![of.as_str(), weight.as_str()],
            Self::RunningMeanMax { of, .. } | Self::Run { of, .. } => vec![of.as_str()],
            Self::DifferenceToReference(_)
            | Self::Index { .. }
            | Self::AtLeast { .. }
            | Self::Above { .. }
            | Self::ByProperty { .. }
            | Self::MoreThan { .. } => Vec::new(),
        }
    }

    /// Returns the columns of the same row that the rule reads.
    pub fn of_row(&self) -> Vec<&str> {
        match self {
            Self::DifferenceToReference(of)
            | Self::Index { of, .. }
            | Self::AtLeast { of, .. }
            | Self::Above { of, .. } => vec![of.as_str()],
            Self::MoreThan { of, than } => vec![of.as_str(), than.as_str()],
            _ => Vec::new(),
        }
    }

    /// Returns whether the rule asks which property the row is of.
    pub fn asks_property(&self) -> bool {
        matches!(
            self,
            Self::Index { .. }
                | Self::Above { .. }
                | Self::CountAbove { .. }
                | Self::CountAboveMean { .. }
                | Self::ByProperty { .. }
        )
    }
}

/// Checks that no source fills a derived dataset: its rows would not be what the declaration says.
pub fn check_filled(declarations: &Declarations) -> Vec<DeclarationError> {
    let mut errors = Vec::new();
    for source in declarations.sources.values() {
        for id in datasets_of(source, &declarations.properties) {
            let Some(dataset) = declarations.datasets.get(&id) else {
                continue;
            };
            if dataset.gather.is_some() {
                errors.push(DeclarationError::general(format!(
                    "source `{}` fills dataset `{id}`, whose rows are gathered from others; map to another dataset",
                    source.id
                )));
            }
            if dataset.assess.is_some() {
                errors.push(DeclarationError::general(format!(
                    "source `{}` fills dataset `{id}`, whose rows are figures about other datasets; map to another dataset",
                    source.id
                )));
            }
            if let Some(derivation) = &dataset.derive {
                errors.push(DeclarationError::general(format!(
                    "source `{}` fills dataset `{id}`, whose rows are made of `{}`; map to another dataset",
                    source.id, derivation.from
                )));
            }
        }
    }
    errors
}

#[cfg(test)]
mod tests;
