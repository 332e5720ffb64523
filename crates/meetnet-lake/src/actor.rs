//! One dataset's actor: the only one who changes its table. It decides for every decoded row whether it is new,
//! unchanged, a revision or history, keeps the hot rows and masks, and admits commits.
//!
//! It has no thread of its own: the pipeline drives it, so everything here is a function of the frames applied.

mod apply;
mod barrier;
mod commit;
mod erase;
mod frontier;
mod order;
mod periods;
mod reflag;
mod replace;
mod rewrite;
mod standing;
mod stored;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Int8Array, Int64Array, RecordBatch};
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use meetnet_model::ids::{LicenceId, Sequence, SourceId};

pub(crate) use self::barrier::CommitLimits;
use self::commit::repairs_in;
pub(crate) use self::commit::{
    Admitted, CommitJob, CommitOutcome, DROPPED_BEFORE, IMPORT_APP, RECORDED_THROUGH,
};
pub use self::erase::ErasedRows;
pub(crate) use self::erase::FoundInFile;
use self::frontier::Frontier;
pub use self::reflag::{NewFlags, Reflagged};
pub(crate) use self::replace::{DroppedPeriods, ReplaceJob, ReplaceOutcome};
pub use self::standing::{Standing, row_keys};
use crate::error::LakeError;
use crate::hot::HotRows;
use crate::keys::KeyCodec;
use crate::snapshot::{LiveFile, Mask, TableSnapshot};
use crate::storage::TableFolder;
use crate::table::declared::DeclaredTable;
use crate::table::files;
use crate::table::log::{LOG_FOLDER, TableLog};
use crate::table::lookup::KeyReader;

/// Where a row came from: what its common columns say.
#[derive(Clone, Debug)]
pub struct Lineage {
    /// Frame of the row.
    pub sequence: Sequence,
    /// When its envelope was received, µs.
    pub received_at: i64,
    /// When it was recorded, µs; equal to `received_at` unless it was replayed or imported.
    pub recorded_at: i64,
    /// Its source.
    pub source: SourceId,
    /// Licence of its source.
    pub licence: LicenceId,
    /// Declared precedence of its source.
    pub precedence: i32,
    /// It is kept where it says what the current version says, and is later in the order of versions: so that the table
    /// knows that the value was said again.
    pub confirms: bool,
}

/// Declared precedence by source; one that is not named has 0.
pub type Precedences = Arc<HashMap<SourceId, i32>>;

/// Sets the quality flags of rows that are about to be inserted: the columns `quality` and `quality_tests`. The numbers
/// are the positions of the rows among those that were to be applied.
pub type Flag<'a> =
    dyn FnMut(&DatasetDeclaration, &RecordBatch, &[u32]) -> (Int8Array, Int64Array) + 'a;

/// What became of decoded rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// New keys.
    pub inserted: u64,
    /// Values that replaced others.
    pub revised: u64,
    /// Rows equal to what is stored.
    pub unchanged: u64,
    /// Versions older than the stored one, kept as history.
    pub history: u64,
    /// Rows that the table holds already, met again after a restart.
    pub skipped: u64,
}

impl std::ops::AddAssign for Applied {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.revised += other.revised;
        self.unchanged += other.unchanged;
        self.history += other.history;
        self.skipped += other.skipped;
    }
}

/// Memory of a masked row, bytes: an entry in two trees, and one in the copy that readers may hold.
const MASKED_ROW_BYTES: usize = 64;

/// Rows of one committed file that hot rows have replaced.
#[derive(Clone, Debug, Default)]
struct MaskState {
    public: Arc<Mask>,
    /// Row -> sequence that replaced it.
    by: BTreeMap<u32, u64>,
}

/// State of one dataset.
#[derive(Debug)]
pub(crate) struct DatasetActor {
    /// Application id of the journal in the table log.
    app_id: String,
    declaration: Arc<DatasetDeclaration>,
    codec: Arc<KeyCodec>,
    /// None while a job has it.
    log: Option<TableLog>,
    folder: TableFolder,
    version: u64,
    reader: KeyReader,
    files: Arc<Vec<Arc<LiveFile>>>,
    /// No current row of a file has a later time, µs; the greatest number where files do not say, none where there is no
    /// such row.
    newest_stored: Option<i64>,
    masks: HashMap<Arc<str>, MaskState>,
    /// Rows in them.
    masked_rows: usize,
    hot: HotRows,
    frontier: Frontier,
    /// Declared precedence by source, for stored rows.
    precedences: Precedences,
    /// Rows up to here are in the table: they are skipped when met again.
    applied: Sequence,
    committed_through: Sequence,
    /// How often a repair has taken files out. Known also while a job has the log.
    repairs: u64,
    dirty: bool,
}

impl DatasetActor {
    /// Opens a table, creating it where there is none. `opening` is the number of this opening of the lake, where it has
    /// one; `now_ms`: ms since 1970 UTC.
    pub(crate) fn open(
        table: DeclaredTable,
        app_id: &str,
        trimmed_through: Sequence,
        opening: Option<i64>,
        now_ms: i64,
    ) -> Result<Self, LakeError> {
        let declaration = Arc::clone(table.declaration());
        let log = table.open(opening, now_ms)?;
        let folder = log.folder().clone();
        let committed = Sequence(log.txn(app_id).unwrap_or(0).max(0) as u64);
        let codec = Arc::new(KeyCodec::new(&declaration)?);
        let files = live_files(&log, &declaration)?;
        Ok(Self {
            app_id: app_id.to_owned(),
            version: log.version(),
            repairs: repairs_in(&log),
            reader: KeyReader::new(folder.clone(), Arc::clone(&declaration), Arc::clone(&codec)),
            folder,
            log: Some(log),
            newest_stored: newest_of(&files, &declaration),
            files: Arc::new(files),
            masks: HashMap::new(),
            masked_rows: 0,
            hot: HotRows::new(declaration.row_schema(), Arc::clone(&codec)),
            frontier: Frontier::default(),
            precedences: Arc::default(),
            applied: committed.max(trimmed_through),
            committed_through: committed,
            dirty: false,
            codec,
            declaration,
        })
    }

    /// Sets the declared precedence of sources.
    pub(crate) fn set_precedences(&mut self, precedences: &Precedences) {
        self.precedences = Arc::clone(precedences);
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Everything up to this sequence is committed.
    pub(crate) fn committed_through(&self) -> Sequence {
        self.committed_through
    }

    /// Rows of frames up to this sequence are in the table: they are skipped when met again.
    pub(crate) fn applied(&self) -> Sequence {
        self.applied
    }

    pub(crate) fn hot_rows(&self) -> u64 {
        self.hot.rows()
    }

    /// Approximate memory of what is not in files, bytes: hot rows, and the masks that they set on committed ones.
    pub(crate) fn hot_bytes(&self) -> usize {
        self.hot.bytes() + self.masked_rows * MASKED_ROW_BYTES
    }

    /// Sequence of the oldest row that is not committed.
    pub(crate) fn oldest_uncommitted(&self) -> Option<Sequence> {
        self.hot.oldest_sequence().map(Sequence)
    }

    /// The greatest journal position that any application has committed.
    pub(crate) fn txn_max(&self, prefix: &str) -> i64 {
        self.log
            .as_ref()
            .and_then(|log| log.txn_max(prefix))
            .unwrap_or(0)
    }

    /// How often a repair has taken files out of the table.
    pub(crate) fn repairs(&self) -> u64 {
        self.repairs
    }

    /// How far an import has come: rows consumed.
    pub(crate) fn txn(&self, app_id: &str) -> Option<i64> {
        self.log.as_ref().and_then(|log| log.txn(app_id))
    }

    /// Returns whether another application whose id starts with `prefix` has come as far as `app_id`, or further.
    pub(crate) fn is_overtaken(&self, app_id: &str, prefix: &str) -> bool {
        let Some((log, own)) = self.log.as_ref().zip(self.txn(app_id)) else {
            return false;
        };
        let mut others = log.txns(prefix).filter(|(id, _)| *id != app_id);
        others.any(|(_, position)| position >= own)
    }

    /// Forgets everything hot: the rows of a chunk of an import that was not committed, and what they replaced.
    pub(crate) fn forget_hot(&mut self) {
        self.hot = HotRows::new(self.declaration.row_schema(), Arc::clone(&self.codec));
        self.masks.clear();
        self.masked_rows = 0;
        self.frontier = Frontier::default();
        self.dirty = true;
    }

    /// Gives memory back that is only needed while rows arrive: what was read of files to look keys up, and room that
    /// nothing fills any more.
    pub(crate) fn give_back(&mut self) {
        self.reader.give_back();
        self.frontier.give_back();
        self.masks.shrink_to_fit();
    }

    /// Returns true once after each change that readers should see.
    pub(crate) fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// Returns what readers see; through and stable time are the pipeline's.
    pub(crate) fn snapshot(&self, through: Sequence, stable_time: i64) -> TableSnapshot {
        let masks = self
            .masks
            .iter()
            .map(|(path, state)| (Arc::clone(path), Arc::clone(&state.public)))
            .collect();
        TableSnapshot {
            declaration: Arc::clone(&self.declaration),
            folder: self.folder.clone(),
            version: self.version,
            through,
            stable_time,
            files: Arc::clone(&self.files),
            masks: Arc::new(masks),
            hot: Arc::new(self.hot.batches()),
        }
    }

    /// Rejects are looked up only where they are of a replay: else their key is the frame's own position.
    fn is_keyed_by_frame(&self) -> bool {
        self.declaration.kind == DatasetKind::Private
    }

    /// The live files, in the order that snapshots promise.
    pub(crate) fn files(&self) -> &Arc<Vec<Arc<LiveFile>>> {
        &self.files
    }

    /// The declaration the table has.
    pub(crate) fn declaration(&self) -> &Arc<DatasetDeclaration> {
        &self.declaration
    }

    /// Folder of the table.
    pub(crate) fn folder(&self) -> &TableFolder {
        &self.folder
    }

    pub(crate) fn codec(&self) -> &Arc<KeyCodec> {
        &self.codec
    }

    /// Masks a row of a committed file.
    fn mask(&mut self, file: &Arc<str>, row: u32, at: i64, by: u64) {
        let state = self.masks.entry(Arc::clone(file)).or_default();
        Arc::make_mut(&mut state.public).rows.insert(row, at);
        self.masked_rows += usize::from(state.by.insert(row, by).is_none());
    }
}

/// Reads the live files of a table, sorted by partition, then by least key.
pub(crate) fn live_files(
    log: &TableLog,
    declaration: &DatasetDeclaration,
) -> Result<Vec<Arc<LiveFile>>, LakeError> {
    let mut live = Vec::new();
    for add in log.adds() {
        let file = files::live_file(declaration, add).ok_or_else(|| LakeError::BrokenLog {
            path: log.folder().shown(LOG_FOLDER),
            reason: format!(
                "the entry of file {} lacks partition values, statistics or hash",
                add.path
            ),
        })?;
        live.push(Arc::new(file));
    }
    live.sort_by(|a, b| compare_files(a, b, declaration));
    Ok(live)
}

/// Returns a time that no current row of the files is later than, µs; none where there are no current rows.
fn newest_of(files: &[Arc<LiveFile>], declaration: &DatasetDeclaration) -> Option<i64> {
    let current = files.iter().filter(|file| !file.superseded);
    let newest = current.map(|file| {
        let times = file.statistics.get(declaration.time_column());
        let newest = times.and_then(|times| times.max.as_ref()?.int());
        newest.unwrap_or(i64::MAX)
    });
    newest.max()
}

/// The order of files that snapshots promise.
fn compare_files(
    a: &LiveFile,
    b: &LiveFile,
    declaration: &DatasetDeclaration,
) -> std::cmp::Ordering {
    let least =
        |file: &'_ LiveFile, name: &str| file.statistics.get(name).and_then(|c| c.min.clone());
    (&a.licence, a.superseded, &a.period)
        .cmp(&(&b.licence, b.superseded, &b.period))
        .then_with(|| {
            let columns = declaration.key.iter();
            columns
                .filter_map(|name| least(a, name).partial_cmp(&least(b, name)))
                .find(|order| order.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        })
        .then_with(|| a.path.cmp(&b.path))
}

/// Adds files to a list in order: a commit adds few to many, so it must not sort them all again.
pub(crate) fn insert_files(
    files: &mut Vec<Arc<LiveFile>>,
    added: &[Arc<LiveFile>],
    declaration: &DatasetDeclaration,
) {
    for file in added {
        let at = files.partition_point(|other| compare_files(other, file, declaration).is_lt());
        files.insert(at, Arc::clone(file));
    }
}

#[cfg(test)]
mod tests;
