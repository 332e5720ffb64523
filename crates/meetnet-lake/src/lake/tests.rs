//! A lake as the pipeline drives it; here is what its tests share.

mod commits;
mod damage;
mod erase;
mod merges;
mod opening;
mod scrub;
mod upkeep;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meetnet_model::declarations::Declarations;
use meetnet_model::rows::DatasetRows;
use meetnet_model::schemas;
use meetnet_testkit::garden::{self, MINUTE, START, flag};
use meetnet_testkit::objects::FaultyStore;
use uuid::Uuid;

use super::*;
use crate::files::DiskFiles;
use crate::journal::Openings;
use crate::known::KnownTables;
use crate::snapshot::LiveFile;
use crate::storage::{FolderStorage, LakeStorage, ObjectStorage};
use crate::testing::lineage;

fn declarations() -> Declarations {
    schemas::builtin().into_declarations([])
}

fn open(root: &Path, change: impl FnOnce(&mut LakeOptions)) -> Lake {
    let mut options = LakeOptions::new(Uuid::nil());
    change(&mut options);
    Lake::open(
        options,
        tables(root, declarations()).unwrap(),
        Sequence::ZERO,
    )
    .unwrap()
}

fn tables(root: &Path, declarations: Declarations) -> Result<DeclaredTables, LakeError> {
    let storage = Arc::new(FolderStorage::new(root));
    DeclaredTables::read(storage, Arc::new(declarations))
}

/// Rows of `heat`: `sensors` sensors at one time.
fn rows(sensors: u32, time: i64, value: f64) -> DatasetRows {
    rows_of("heat", sensors, time, value)
}

fn rows_of(dataset: &str, sensors: u32, time: i64, value: f64) -> DatasetRows {
    let readings = (0..sensors).map(|sensor| (sensor, time, value + f64::from(sensor % 7)));
    garden::rows_of(dataset, readings)
}

/// Applies one frame.
fn take(lake: &mut Lake, sequence: u64, rows: &DatasetRows) {
    try_take(lake, sequence, rows).unwrap();
}

/// When the frames of [`take`] are recorded.
fn recorded_at(sequence: u64) -> i64 {
    START + 400 * 24 * 60 * MINUTE + sequence as i64
}

fn try_take(lake: &mut Lake, sequence: u64, rows: &DatasetRows) -> Result<Applied, LakeError> {
    let recorded_at = recorded_at(sequence);
    let lineage = [lineage(Sequence(sequence), recorded_at)];
    let applied = lake.apply(rows, &lineage, &mut flag)?;
    lake.advance(Sequence(sequence), recorded_at);
    Ok(applied)
}

fn heat(lake: &mut Lake) -> Arc<TableSnapshot> {
    lake.publish();
    Arc::clone(&lake.shared().load().tables[&DatasetId::new("heat")])
}

fn tick_until(lake: &mut Lake, what: &str, mut done: impl FnMut(&Lake) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done(lake) {
        assert!(Instant::now() < deadline, "{what}");
        lake.tick().unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn compact(lake: &mut Lake) {
    lake.request(UpkeepRequest::Compact(None)).unwrap();
    tick_until(lake, "compaction ends", |lake| !lake.is_tending());
}

/// A lake in an object store that counts requests, of `heat` alone where nothing else is said.
struct InStore {
    runtime: tokio::runtime::Runtime,
    store: FaultyStore,
    journal: tempfile::TempDir,
}

impl InStore {
    fn new() -> Self {
        Self {
            runtime: tokio::runtime::Runtime::new().unwrap(),
            store: FaultyStore::new(),
            journal: tempfile::tempdir().unwrap(),
        }
    }

    fn storage(&self) -> Arc<dyn LakeStorage> {
        let objects = Arc::new(self.store.clone());
        let handle = self.runtime.handle().clone();
        let storage = ObjectStorage::new("memory://city", objects, Default::default(), handle);
        Arc::new(storage)
    }

    fn open(&self) -> Lake {
        self.open_knowing(None).unwrap()
    }

    fn open_knowing(&self, known: Option<KnownTables>) -> Result<Lake, LakeError> {
        self.open_of(&["heat"], known)
    }

    fn open_of(&self, datasets: &[&str], known: Option<KnownTables>) -> Result<Lake, LakeError> {
        let mut declarations = declarations();
        declarations
            .datasets
            .retain(|id, _| datasets.contains(&id.as_str()));
        let tables = DeclaredTables::read(self.storage(), Arc::new(declarations))?;
        let mut options = LakeOptions::new(Uuid::nil());
        let files = Arc::new(DiskFiles::PRIVATE);
        options.openings = Some(Openings::new(files, self.journal.path().to_path_buf()));
        options.limits.compaction = false;
        options.known = known;
        Lake::open(options, tables, Sequence::ZERO)
    }
}

fn parquet_files(root: &Path) -> usize {
    let storage = FolderStorage::new(root);
    let listed = storage.list("heat").unwrap();
    let data = listed
        .iter()
        .filter(|object| object.path.ends_with(".parquet"));
    data.filter(|object| !object.path.contains("_delta_log"))
        .count()
}
