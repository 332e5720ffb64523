//! How rows of several datasets come together by place and time: `[gather]` of a declaration.
//!
//! ```text
//! rows of each input ─▶ where their sensor stood then (places) ─▶ per cell and bucket ─▶ one row
//! ```
//!
//! A row is a function of the current rows of the inputs in its bucket and of the current places, and of nothing else. It is
//! there exactly where some input has a row, but for one that was there before and has lost all of its input: that stays, without
//! values. `meetnet-derive` computes it; this module only says what is wanted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::buckets::{BucketError, TimeBuckets};
use crate::derivation::{Bucket, ColumnRule, Condition};
use crate::ids::DatasetId;
use crate::licence::Licence;
use crate::quality::Quality;

/// How the rows of one dataset are gathered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gathering {
    /// The column of the places that says in which cell one lies, and the first key column.
    pub cell: String,
    /// How long the interval of a row is.
    pub bucket: Bucket,
    /// Whose clocks say when it begins (IANA name); none: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// A row appears when everything recorded until so many seconds after its interval is committed, of every input.
    pub grace_s: u32,
    /// The agreement by which rows count that forbid commercial use, or a licence is declared that asks for less than the
    /// inputs' do. None: such rows are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permission: Option<String>,
    /// What it is made of.
    #[serde(rename = "input")]
    pub inputs: Vec<GatheredInput>,
}

/// One dataset, or some rows of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatheredInput {
    /// The dataset; it may be derived itself.
    pub from: DatasetId,
    /// Where its sensors or segments stand.
    pub places: DatasetId,
    /// Its column that holds the id of a place.
    pub place: String,
    /// Rows with a greater quality flag do not count.
    #[serde(default = "suspect")]
    pub quality_max: i8,
    /// Which rows are meant, and which of them count.
    #[serde(default, rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Which columns it fills, and what each is: count, mean, min, max or sum of the rows in the cell.
    pub columns: BTreeMap<String, ColumnRule>,
}

fn suspect() -> i8 {
    Quality::Suspect.code()
}

impl Gathering {
    /// Returns the buckets of the rows.
    ///
    /// # Errors
    /// Where the zone is not known.
    pub fn buckets(&self) -> Result<TimeBuckets, BucketError> {
        self.bucket.of_zone(self.zone.as_deref())
    }

    /// Returns whether rows under a licence count.
    pub fn takes(&self, licence: &str) -> bool {
        let has_agreement = self
            .permission
            .as_deref()
            .is_some_and(|reference| !reference.trim().is_empty());
        has_agreement || !Licence::find(licence).is_some_and(|licence| licence.non_commercial)
    }
}

#[cfg(test)]
mod tests;
