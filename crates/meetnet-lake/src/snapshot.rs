//! What a reader sees: one consistent, immutable view of all tables, published behind one atomic pointer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use arrow::array::RecordBatch;
use meetnet_model::common;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::{DatasetId, LicenceId, Sequence};
use meetnet_model::licence::StoredLicences;

use crate::error::LakeError;
use crate::storage::{Access, StoredFile, TableFolder};
use crate::table::files::begun_at_ms;

/// The pointer that writers swap and readers load.
pub type SharedSnapshot = Arc<ArcSwap<LakeSnapshot>>;

/// All tables at one instant.
#[derive(Clone, Debug, Default)]
pub struct LakeSnapshot {
    /// Tables by dataset, private ones included.
    pub tables: BTreeMap<DatasetId, Arc<TableSnapshot>>,
}

impl LakeSnapshot {
    /// Returns the licences of the committed rows of each table.
    pub fn stored_licences(&self) -> StoredLicences {
        self.tables
            .iter()
            .map(|(id, table)| (id.clone(), licences_of(&table.files)))
            .collect()
    }
}

/// Returns the licences of files, with the sources that their statistics name: the least and the greatest.
pub(crate) fn licences_of(files: &[Arc<LiveFile>]) -> BTreeMap<LicenceId, BTreeSet<String>> {
    let mut licences: BTreeMap<LicenceId, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let sources = licences.entry(file.licence.clone()).or_default();
        let bounds = file.statistics.get(common::SOURCE);
        for bound in bounds.into_iter().flat_map(|c| [&c.min, &c.max]).flatten() {
            if let StatisticsValue::Text(source) = bound {
                sources.insert(source.to_string());
            }
        }
    }
    licences
}

/// One table at one instant: committed files, the rows masked in them, and hot rows.
#[derive(Clone, Debug)]
pub struct TableSnapshot {
    /// The declaration the table has.
    pub declaration: Arc<DatasetDeclaration>,
    /// Folder of the table: says where its files are.
    pub folder: TableFolder,
    /// Version of the table log.
    pub version: u64,
    /// Every frame up to this sequence is in the answers.
    pub through: Sequence,
    /// `recorded_at` of `through`, µs since 1970 UTC.
    pub stable_time: i64,
    /// Live files of both partitions (`superseded` false and true), sorted by partition, then by least key.
    pub files: Arc<Vec<Arc<LiveFile>>>,
    /// Per file path: rows of `superseded=false` files that hot rows have replaced.
    pub masks: Arc<HashMap<Arc<str>, Arc<Mask>>>,
    /// Rows not yet committed, in the order they were applied.
    pub hot: Arc<Vec<HotBatch>>,
}

impl TableSnapshot {
    /// Returns what there is under `path`, which is relative to the table's folder and may be any text. It reads the
    /// storage, so it may wait.
    ///
    /// # Errors
    /// [`LakeError::BrokenFile`] where the file is known to be damaged; others where the storage fails, or lacks a live
    /// file.
    pub fn data_file(&self, path: &str) -> Result<DataFile, LakeError> {
        if let Some(live) = self.files.iter().find(|file| *file.path == *path) {
            self.folder.refuse_damaged(path)?;
            let stored = self.folder.open(live, Access::Whole)?.into_stored();
            return Ok(DataFile::Live(Arc::clone(live), stored));
        }
        if !self.is_gone(path) {
            return Ok(DataFile::Unknown);
        }
        self.folder.refuse_damaged(path)?;
        let kept = self.folder.open_if_there(path, Access::Whole)?;
        Ok(kept.map_or(DataFile::Gone, |kept| {
            DataFile::Replaced(kept.into_stored())
        }))
    }

    /// Returns true where `path` is a name that the table gave to a data file which is live no longer: replaced, erased
    /// or removed for good, never to come back. Names are told by their shape; nobody keeps a list of them.
    pub fn is_gone(&self, path: &str) -> bool {
        let grain = self.declaration.grain.column();
        let folders = [common::LICENCE, common::SUPERSEDED, grain];
        let mut parts = path.split('/');
        let is_partition = folders.iter().all(|name| {
            let value = parts.next().and_then(|part| part.strip_prefix(name));
            value.is_some_and(|value| value.len() > 1 && value.starts_with('='))
        });
        let is_file = parts.next().is_some_and(|name| name.ends_with(".parquet"));
        is_partition
            && is_file
            && parts.next().is_none()
            && begun_at_ms(path).is_some()
            && !self.files.iter().any(|file| *file.path == *path)
    }
}

/// What there is under a path of a table.
#[derive(Clone, Debug)]
pub enum DataFile {
    /// A live file.
    Live(Arc<LiveFile>, Arc<dyn StoredFile>),
    /// One that is live no longer, and still kept for those who have begun to read it.
    Replaced(Arc<dyn StoredFile>),
    /// It was there, and will not come back.
    Gone,
    /// No name that the table gives to its files.
    Unknown,
}

/// One live Parquet file of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveFile {
    /// Path relative to the table's folder: `licence=…/superseded=…/month=…/<uuid>.parquet`.
    pub path: Arc<str>,
    /// Name of the run it belongs to: files of one run do not overlap in their keys.
    pub run: Arc<str>,
    /// Its place in the run, in key order.
    pub part: u32,
    /// Length in bytes.
    pub bytes: u64,
    /// Number of rows.
    pub rows: u64,
    /// Partition value `licence`.
    pub licence: LicenceId,
    /// Partition value `superseded`: true for replaced rows.
    pub superseded: bool,
    /// Partition value of the grain column, for example `2026-01`.
    pub period: Arc<str>,
    /// Lower-case hex SHA-256 of the file.
    pub sha256: Arc<str>,
    /// When the file was committed, milliseconds since 1970.
    pub committed_at_ms: i64,
    /// Statistics per column of the file.
    pub statistics: BTreeMap<Arc<str>, ColumnStatistics>,
}

impl LiveFile {
    /// Returns when the first and the last of its rows were recorded, µs; None: not known.
    pub fn recorded_bounds(&self) -> Option<(i64, i64)> {
        let (received, _) = self.int_bounds(common::RECEIVED_AT)?;
        match self.int_bounds(common::RECORDED_AT)? {
            (None, _) => received,
            (Some(recorded), 0) => Some(recorded),
            // Where it is null the row was recorded as it was received.
            (Some((min, max)), _) => {
                let (received_min, received_max) = received?;
                Some((min.min(received_min), max.max(received_max)))
            }
        }
    }

    /// Returns when the first and the last of its rows were replaced, µs; None: not known, or not all of them were.
    pub fn superseded_bounds(&self) -> Option<(i64, i64)> {
        match self.int_bounds(common::SUPERSEDED_AT)? {
            (bounds, 0) => bounds,
            _ => None,
        }
    }

    /// Bounds and number of nulls of a column of integers; None where they are not known.
    fn int_bounds(&self, column: &str) -> Option<(Option<(i64, i64)>, u64)> {
        let column = self.statistics.get(column)?;
        let nulls = column.nulls?;
        match (&column.min, &column.max) {
            (Some(StatisticsValue::Int(min)), Some(StatisticsValue::Int(max))) => {
                Some((Some((*min, *max)), nulls))
            }
            (None, None) if nulls == self.rows => Some((None, nulls)),
            _ => None,
        }
    }
}

/// Statistics of one column in one file; absent bounds mean "unknown".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnStatistics {
    /// Least value.
    pub min: Option<StatisticsValue>,
    /// Greatest value.
    pub max: Option<StatisticsValue>,
    /// Number of nulls.
    pub nulls: Option<u64>,
}

/// A bound: exact, except that long texts may be cut (the minimum down, the maximum up).
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub enum StatisticsValue {
    /// Integers and timestamps (µs since 1970 UTC).
    Int(i64),
    /// Floats.
    Float(f64),
    /// Texts.
    Text(Arc<str>),
}

impl StatisticsValue {
    /// Returns an integer or timestamp, µs; none for others.
    pub(crate) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Float(_) | Self::Text(_) => None,
        }
    }
}

/// Rows of one committed file that hot rows have replaced: position in the file -> `superseded_at` (µs).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mask {
    /// Ascending by row.
    pub rows: BTreeMap<u32, i64>,
}

/// A batch of hot rows in the SQL row schema (`DatasetDeclaration::row_schema`).
/// Its column `superseded_at` is all null; `superseded` says which rows have been replaced since.
#[derive(Clone, Debug)]
pub struct HotBatch {
    /// The rows.
    pub batch: RecordBatch,
    /// Per row: `superseded_at` (µs), [`HotBatch::LIVE`] for current ones. None: all current.
    pub superseded: Option<Arc<Vec<i64>>>,
}

impl HotBatch {
    /// Marks a row that is current.
    pub const LIVE: i64 = i64::MAX;
}
