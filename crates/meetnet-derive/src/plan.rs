//! A derived dataset as it is computed: its declaration with every name looked up.

use std::collections::BTreeMap;
use std::sync::Arc;

use meetnet_lake::committed::KeyPart;
use meetnet_model::buckets::TimeBuckets;
use meetnet_model::calendar::SECOND_US;
use meetnet_model::column::ColumnType;
use meetnet_model::common;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::derivation::{Bucket, ColumnRule, ConditionValue, Derivation};
use meetnet_model::index::{self, AirIndex};

use crate::error::DeriveError;
use crate::position::fingerprint;

/// The values of a row's key columns without its time, in key order.
pub type Series = Vec<KeyPart>;

/// The key column that says what was measured.
const PROPERTY: &str = "property";
/// Raised whenever the same input would become other rows: everything is derived again then.
const RULES_VERSION: u32 = 2;

/// How the rows of one dataset are computed.
#[derive(Debug)]
pub struct Plan {
    pub(crate) declaration: Arc<DatasetDeclaration>,
    pub(crate) buckets: TimeBuckets,
    /// From the end of a bucket until its row is due, µs.
    pub(crate) grace: i64,
    /// Whether the row is due so long after the start instead: it says how far its bucket has come.
    pub(crate) so_far: bool,
    /// How long a change waits for others at most, µs: as long as a row does. Changes of a dataset that is made come together
    /// already.
    pub(crate) patience: i64,
    /// Between two expected observations, µs.
    pub(crate) expected: i64,
    /// From the time of a row without an interval to where it is in its stretch, µs. Rows of a derived dataset stand at the start
    /// of an interval that the clocks may have moved by an hour: their middle does not cross into another stretch.
    pub(crate) within: i64,
    /// How long before a bucket its input begins, µs.
    pub(crate) look_back: i64,
    /// How long after a bucket its input ends, µs.
    pub(crate) look_ahead: i64,
    /// The first part of the series that differences are from; none where nothing is compared.
    pub(crate) reference: Option<KeyPart>,
    pub(crate) quality_max: i8,
    /// Key columns but the time: name and position in the declaration.
    pub(crate) series: Vec<(String, usize)>,
    /// Position in `series` of the property.
    pub(crate) property: Option<usize>,
    /// Position in the declaration of the time.
    pub(crate) time: usize,
    pub(crate) equal: Vec<(String, KeyPart)>,
    pub(crate) least: Vec<(String, f64)>,
    /// Columns of floats that are read.
    pub(crate) values: Vec<String>,
    /// Columns of lists of floats that are read.
    pub(crate) lists: Vec<String>,
    /// Columns of whole numbers that are read.
    pub(crate) ints: Vec<String>,
    /// Columns of the row outside the key: position in the declaration, and what each is. In the order of the declaration,
    /// so that what a column is computed from comes before it.
    pub(crate) columns: Vec<(usize, Made)>,
    /// Whether the input says how long intervals are.
    pub(crate) has_interval: bool,
    /// Whether the series begins with the column that files of the input are sorted by first.
    pub(crate) leads: bool,
    /// Names the input and the rules.
    position_id: String,
}

/// What a column is. Numbers are positions in `values`, `lists` (`list`), `ints` (`Total`), or, from `Difference` on, in the
/// declaration.
#[derive(Clone, Debug)]
pub(crate) enum Made {
    Count,
    Coverage,
    CoverageSoFar,
    Mean(usize),
    Min(usize),
    Max(usize),
    Sum(usize),
    Total(usize),
    CountAbove {
        of: usize,
        limits: BTreeMap<String, f64>,
    },
    CountAboveMean {
        of: usize,
        limits: BTreeMap<String, f64>,
        averaged: Vec<String>,
        /// How long before its bucket the first of the others begins at most, µs.
        reach: i64,
        rows_min: usize,
    },
    Share {
        of: Vec<usize>,
        among: Vec<usize>,
    },
    Percentile {
        list: usize,
        weight: usize,
        class: f64,
        percent: f64,
    },
    RunningMeanMax {
        of: usize,
        hours: i64,
        hours_min: usize,
    },
    Run(RunRule),
    Difference(usize),
    Index {
        index: &'static AirIndex,
        of: usize,
    },
    AtLeast {
        of: usize,
        limit: f64,
    },
    Above {
        of: usize,
        limits: BTreeMap<String, f64>,
    },
    ByProperty(BTreeMap<String, i64>),
    MoreThan {
        of: usize,
        than: usize,
    },
}

impl Made {
    /// Returns the limit that input rows of a property are held against one by one.
    pub(crate) fn row_limit(&self, property: &str) -> Option<f64> {
        match self {
            Self::CountAbove { limits, .. } | Self::CountAboveMean { limits, .. } => {
                limits.get(property).copied()
            }
            _ => None,
        }
    }

    /// Returns whether the value of a series with this property depends on buckets before its own.
    pub(crate) fn looks_back(&self, property: Option<&str>) -> bool {
        match self {
            Self::RunningMeanMax { .. } => true,
            Self::CountAboveMean { averaged, .. } => {
                property.is_some_and(|property| averaged.iter().any(|name| name == property))
            }
            _ => false,
        }
    }
}

/// Which buckets lie in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunRule {
    /// Position in `values`.
    pub(crate) of: usize,
    pub(crate) at_least: f64,
    pub(crate) length_min: usize,
    pub(crate) peak: f64,
    pub(crate) peaks_min: usize,
    pub(crate) length_max: usize,
}

impl Plan {
    /// Returns the plan of a derived dataset; none for one that is not derived.
    ///
    /// # Errors
    /// Where a name is not known, which the check of declarations excludes.
    pub fn new(
        declaration: &Arc<DatasetDeclaration>,
        input: &DatasetDeclaration,
    ) -> Result<Option<Self>, DeriveError> {
        let Some(derivation) = &declaration.derive else {
            return Ok(None);
        };
        let dataset = &declaration.id;
        let buckets = derivation
            .buckets()
            .map_err(|source| DeriveError::Buckets {
                dataset: dataset.clone(),
                source,
            })?;
        let no_column = |column: &str| DeriveError::no_column(dataset, column);
        let position = |name: &str| {
            declaration
                .column_index(name)
                .ok_or_else(|| no_column(name))
        };
        let time = declaration.time_column();
        let series = declaration
            .key
            .iter()
            .filter(|name| *name != time)
            .map(|name| Ok((name.clone(), position(name)?)))
            .collect::<Result<Vec<_>, DeriveError>>()?;
        let mut names = Names::default();
        let mut columns = Vec::new();
        for (at, column) in declaration.columns.iter().enumerate() {
            if declaration.key.contains(&column.name) {
                continue;
            }
            let rule = derivation.columns.get(&column.name);
            let rule = rule.ok_or_else(|| no_column(&column.name))?;
            let made = names.made(rule, derivation.bucket, &position)?;
            columns.push((at, made.ok_or_else(|| no_column(&column.name))?));
        }
        let equal = derivation
            .equalities()
            .map(|(name, value)| (name.to_owned(), key_part(value)));
        let compares = columns
            .iter()
            .any(|(_, made)| matches!(made, Made::Difference(_)));
        let reference = derivation.reference.as_ref().filter(|_| compares);
        let least = derivation.least_values();
        let expected = i64::from(derivation.expected_s.max(1)) * SECOND_US;
        let grace = i64::from(derivation.grace_s) * SECOND_US;
        Ok(Some(Self {
            grace,
            so_far: derivation.so_far,
            patience: if input.is_made() { 0 } else { grace },
            expected,
            within: if input.derive.is_some() {
                expected / 2
            } else {
                0
            },
            look_back: derivation.look_back(),
            look_ahead: derivation.look_ahead(),
            reference: reference.map(key_part),
            quality_max: derivation.quality_max,
            property: series.iter().position(|(name, _)| name == PROPERTY),
            leads: series.first().map(|(name, _)| name) == input.key.first(),
            time: position(time)?,
            equal: equal.collect(),
            least: least
                .map(|(name, least)| (name.to_owned(), least))
                .collect(),
            values: names.values,
            lists: names.lists,
            ints: names.ints,
            position_id: position_id(derivation),
            declaration: Arc::clone(declaration),
            buckets,
            series,
            columns,
            has_interval: has_interval(input),
        }))
    }

    /// The derived dataset.
    pub fn declaration(&self) -> &Arc<DatasetDeclaration> {
        &self.declaration
    }

    /// Returns what names the position of a pass in the derived table: its input, and the rules by a hash. After a change of
    /// the rules there is no position.
    pub fn position_id(&self) -> &str {
        &self.position_id
    }

    /// Returns the columns of the input, beside its key, that say what a row counts for: what a fold reads.
    pub fn reads(&self) -> Vec<&str> {
        let values = self.values.iter().chain(&self.lists).chain(&self.ints);
        let mut names: Vec<&str> = self
            .least
            .iter()
            .map(|(name, _)| name)
            .chain(values)
            .map(String::as_str)
            .collect();
        names.push(common::QUALITY);
        if self.has_interval {
            names.push(common::INTERVAL_S);
        }
        names
    }
}

/// Names of input columns, each once.
#[derive(Default)]
struct Names {
    values: Vec<String>,
    lists: Vec<String>,
    ints: Vec<String>,
}

impl Names {
    /// Returns what a rule makes; none where it names an index that there is not.
    fn made(
        &mut self,
        rule: &ColumnRule,
        bucket: Bucket,
        position: &impl Fn(&str) -> Result<usize, DeriveError>,
    ) -> Result<Option<Made>, DeriveError> {
        let mut value = |name: &String| place(&mut self.values, name);
        Ok(Some(match rule {
            ColumnRule::Count => Made::Count,
            ColumnRule::Coverage => Made::Coverage,
            ColumnRule::CoverageSoFar => Made::CoverageSoFar,
            ColumnRule::Mean(of) => Made::Mean(value(of)),
            ColumnRule::Min(of) => Made::Min(value(of)),
            ColumnRule::Max(of) => Made::Max(value(of)),
            ColumnRule::Sum(of) => Made::Sum(value(of)),
            ColumnRule::Total(of) => Made::Total(place(&mut self.ints, of)),
            ColumnRule::CountAbove { of, limits, .. } => Made::CountAbove {
                of: value(of),
                limits: limits.clone(),
            },
            ColumnRule::CountAboveMean {
                of,
                limits,
                averaged,
                buckets,
                rows_min,
                ..
            } => Made::CountAboveMean {
                of: value(of),
                limits: limits.clone(),
                averaged: averaged.clone(),
                reach: i64::from(buckets.saturating_sub(1))
                    * i64::from(bucket.longest_s())
                    * SECOND_US,
                rows_min: *rows_min as usize,
            },
            ColumnRule::Share { of, among } => Made::Share {
                of: of.iter().map(&mut value).collect(),
                among: among.iter().map(&mut value).collect(),
            },
            ColumnRule::HistogramPercentile {
                of,
                weight,
                class,
                percent,
            } => Made::Percentile {
                weight: value(weight),
                list: place(&mut self.lists, of),
                class: *class,
                percent: *percent,
            },
            ColumnRule::RunningMeanMax {
                of,
                hours,
                hours_min,
            } => Made::RunningMeanMax {
                of: value(of),
                hours: i64::from(*hours),
                hours_min: *hours_min as usize,
            },
            ColumnRule::Run {
                of,
                at_least,
                length_min,
                peak,
                peaks_min,
                length_max,
                ..
            } => Made::Run(RunRule {
                of: value(of),
                at_least: *at_least,
                length_min: *length_min as usize,
                peak: *peak,
                peaks_min: *peaks_min as usize,
                length_max: *length_max as usize,
            }),
            ColumnRule::DifferenceToReference(of) => Made::Difference(position(of)?),
            ColumnRule::Index { name, of } => {
                let Some(index) = index::find(name) else {
                    return Ok(None);
                };
                Made::Index {
                    index,
                    of: position(of)?,
                }
            }
            ColumnRule::AtLeast { of, limit, .. } => Made::AtLeast {
                of: position(of)?,
                limit: *limit,
            },
            ColumnRule::Above { of, limits, .. } => Made::Above {
                of: position(of)?,
                limits: limits.clone(),
            },
            ColumnRule::ByProperty { numbers, .. } => Made::ByProperty(numbers.clone()),
            ColumnRule::MoreThan { of, than } => Made::MoreThan {
                of: position(of)?,
                than: position(than)?,
            },
        }))
    }
}

/// Returns the position of a name, which is added where it is not there yet.
pub(crate) fn place(names: &mut Vec<String>, name: &str) -> usize {
    names
        .iter()
        .position(|known| known == name)
        .unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        })
}

/// Returns whether rows of a dataset say how long their intervals are.
pub(crate) fn has_interval(declaration: &DatasetDeclaration) -> bool {
    declaration
        .columns
        .iter()
        .any(|column| column.name == common::INTERVAL_S && column.column_type == ColumnType::Int)
}

/// Returns a declared value as one of a key column.
pub(crate) fn key_part(value: &ConditionValue) -> KeyPart {
    match value {
        ConditionValue::Int(value) => KeyPart::Int(*value),
        ConditionValue::Text(value) => KeyPart::Text(value.as_str().into()),
    }
}

fn position_id(derivation: &Derivation) -> String {
    // By which right makes no other rows. The grace does: what was not due by the old one may be long due by the new one.
    let rules = Derivation {
        permission: None,
        ..derivation.clone()
    };
    let text = serde_json::to_string(&rules).expect("a derivation has string keys only");
    let digits = fingerprint(&format!("{RULES_VERSION} {text}"));
    format!("derive/{}/{digits}", derivation.from)
}
