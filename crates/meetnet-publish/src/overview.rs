//! What there is and what is arriving: the figures behind the portal and the dataset API, computed once per second for
//! all readers.
//!
//! It reads a snapshot's files, statistics and hot rows; it opens no file and runs no query.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, StringArray};
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::common;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::{DatasetId, LicenceId, Sequence};

use crate::arrivals::{self, Arrival};

#[cfg(test)]
mod tests;

/// The dataset of what could not become rows.
const REJECTS: &str = "rejects";

/// The public datasets at one instant.
#[derive(Debug, Default)]
pub(crate) struct Overview {
    /// Public datasets, by id.
    pub(crate) datasets: Vec<DatasetOverview>,
    /// Messages, or parts of them, that could not become rows.
    pub(crate) rejects: u64,
    /// The newest observations, newest first.
    pub(crate) arrivals: Vec<Arrival>,
}

/// One public dataset at one instant.
#[derive(Clone, Debug)]
pub(crate) struct DatasetOverview {
    /// Its declaration.
    pub(crate) declaration: Arc<DatasetDeclaration>,
    /// Current rows.
    pub(crate) rows: u64,
    /// Of those, rows not yet committed.
    pub(crate) hot_rows: u64,
    /// Least and greatest time of an observation, µs since 1970 UTC.
    pub(crate) time_range: Option<(i64, i64)>,
    /// False where a replaced row may have held one of the bounds.
    pub(crate) time_range_exact: bool,
    /// When its rows last changed: when the newest of them was recorded, µs since 1970 UTC.
    pub(crate) last_update: Option<i64>,
    /// When the newest row was received, as the row says, µs since 1970 UTC.
    pub(crate) last_received: Option<i64>,
    /// Files of the current rows.
    pub(crate) files: usize,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Licences of the rows.
    pub(crate) licences: BTreeSet<LicenceId>,
    /// Every message up to this sequence is in the rows.
    pub(crate) through: Sequence,
    /// `recorded_at` of `through`, µs since 1970 UTC.
    pub(crate) stable_time: i64,
}

impl Overview {
    /// Reads a snapshot. `earlier` gives the arrivals to go on showing after a commit has emptied the hot rows.
    pub(crate) fn of(snapshot: &LakeSnapshot, earlier: &[Arrival]) -> Self {
        let tables = || {
            snapshot
                .tables
                .values()
                .filter(|table| table.declaration.is_public())
        };
        Self {
            datasets: tables().map(|table| DatasetOverview::of(table)).collect(),
            // Private, but how many there are may be known.
            rejects: snapshot
                .tables
                .get(&DatasetId::new(REJECTS))
                .map_or(0, |table| meetnet_query::dataset_summary(table).rows),
            arrivals: arrivals::newest(tables().map(|table| &**table), earlier),
        }
    }

    /// Returns one dataset.
    pub(crate) fn dataset(&self, id: &str) -> Option<&DatasetOverview> {
        self.datasets
            .iter()
            .find(|dataset| dataset.declaration.id.as_str() == id)
    }
}

impl DatasetOverview {
    fn of(table: &TableSnapshot) -> Self {
        let summary = meetnet_query::dataset_summary(table);
        Self {
            declaration: Arc::clone(&table.declaration),
            rows: summary.rows,
            hot_rows: summary.hot_rows,
            time_range: summary.time_min.zip(summary.time_max),
            time_range_exact: summary.bounds_exact,
            last_update: summary.last_changed,
            last_received: summary.last_received,
            files: summary.files,
            bytes: summary.bytes,
            licences: licences(table),
            through: table.through,
            stable_time: table.stable_time,
        }
    }
}

fn licences(table: &TableSnapshot) -> BTreeSet<LicenceId> {
    let mut licences: BTreeSet<LicenceId> = table
        .files
        .iter()
        .filter(|f| !f.superseded)
        .map(|f| f.licence.clone())
        .collect();
    for hot in table.hot.iter() {
        let Some(column) = hot.batch.column_by_name(common::LICENCE).and_then(as_text) else {
            continue;
        };
        // Rows of one licence come in runs; only the first of a run costs a look-up.
        let mut last = None;
        for licence in column.iter().flatten() {
            if last != Some(licence) {
                licences.insert(LicenceId::new(licence));
                last = Some(licence);
            }
        }
    }
    licences
}

fn as_text(column: &ArrayRef) -> Option<&StringArray> {
    column.as_string_opt::<i32>()
}

/// The newest overview, shared by all readers within `age_max`.
#[derive(Debug)]
pub(crate) struct OverviewCache {
    age_max: Duration,
    newest: Mutex<Option<(Instant, Arc<Overview>)>>,
}

impl OverviewCache {
    /// Returns an empty cache.
    pub(crate) fn new(age_max: Duration) -> Self {
        Self {
            age_max,
            newest: Mutex::new(None),
        }
    }

    /// Returns an overview that is at most `age_max` old. Readers that come while one is computed wait for it.
    pub(crate) fn get(&self, snapshot: impl FnOnce() -> Arc<LakeSnapshot>) -> Arc<Overview> {
        // The value is only ever replaced whole, so a panic elsewhere leaves it usable.
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, overview)) = &*newest
            && at.elapsed() < self.age_max
        {
            return Arc::clone(overview);
        }
        let earlier = newest
            .as_ref()
            .map_or(&[][..], |(_, overview)| &overview.arrivals);
        let overview = Arc::new(Overview::of(&snapshot(), earlier));
        *newest = Some((Instant::now(), Arc::clone(&overview)));
        overview
    }
}
