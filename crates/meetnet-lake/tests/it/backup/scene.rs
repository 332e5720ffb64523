//! An installation that is backed up and restored, and everything that it answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, Int64Array, RecordBatch};
use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use meetnet_lake::backup::{self, BackupError, BackupOptions, Manifest, RestoreOptions};
use meetnet_lake::files::Files;
use meetnet_lake::journal::{Checkpoint, FrameKind, Journal, JournalOptions, NewEnvelope};
use meetnet_lake::lake::{DeclaredTables, Lake, LakeOptions};
use meetnet_lake::snapshot::HotBatch;
use meetnet_lake::storage::{FolderStorage, LakeStorage};
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::Sequence;
use meetnet_model::rows::DatasetRows;
use meetnet_testkit::files::{Crash, FaultyFiles};
use meetnet_testkit::garden::{self, MINUTE, START, flag};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::city::lineage_at;

/// One installation: journal, lake, and the pipeline between them in its simplest form.
pub(super) struct Scene {
    pub(super) files: Arc<dyn Files>,
    pub(super) root: PathBuf,
    pub(super) journal: Journal,
    pub(super) lake: Lake,
    pub(super) applied: Sequence,
}

/// Many tables, so that something happens between two of them.
pub(super) fn declarations() -> Declarations {
    meetnet_model::schemas::builtin().into_declarations([])
}

pub(super) fn storage(files: &Arc<dyn Files>, root: &Path) -> Arc<dyn LakeStorage> {
    let folder = FolderStorage::with_files(root.join("lake"), Arc::clone(files));
    Arc::new(folder)
}

pub(super) fn journal_options(files: &Arc<dyn Files>, root: &Path) -> JournalOptions {
    JournalOptions {
        // Each group is a segment of its own, so that a checkpoint has something to trim.
        segment_bytes_max: 1,
        reserve_bytes: 0,
        files: Arc::clone(files),
        background: false,
        ..JournalOptions::new(root.join("journal"), root.join("journal/archive"))
    }
}

impl Scene {
    /// Opens an installation as a daemon does, and replays what is not committed.
    pub(super) fn open(files: &Arc<dyn Files>, root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let options = journal_options(files, &root);
        let tables = DeclaredTables::read(storage(files, &root), Arc::new(declarations())).unwrap();
        let (journal, recovery) = Journal::open(options, b"declared").unwrap();
        assert!(recovery.skipped.is_empty(), "{:?}", recovery.skipped);
        let applied = recovery
            .checkpoint
            .map_or(Sequence::ZERO, |c| c.trimmed_through);
        let mut options = LakeOptions::new(journal.id());
        options.limits.compaction = false;
        let lake = Lake::open(options, tables, applied).unwrap();
        journal.raise_sequence_floor(lake.sequence_floor());
        let mut scene = Self {
            files: Arc::clone(files),
            root,
            journal,
            lake,
            applied,
        };
        scene.apply();
        scene
    }

    /// Applies what is durable.
    pub(super) fn apply(&mut self) {
        let mut reader = self.journal.reader(self.applied);
        while let Some(group) = reader.read_group(1 << 20).unwrap() {
            let envelopes = group
                .frames()
                .filter(|frame| frame.kind == FrameKind::Envelope);
            for frame in envelopes {
                let lineage = [lineage_at(frame.sequence, frame.recorded_at)];
                let rows = decode(std::str::from_utf8(frame.payload).unwrap());
                self.lake.apply(&rows, &lineage, &mut flag).unwrap();
            }
            self.applied = group.last_sequence();
            self.lake.advance(self.applied, group.last_recorded_at());
        }
        self.lake.publish();
    }

    /// Takes one value, durable and applied.
    pub(super) fn take(&mut self, sensor: u32, minute: i64, value: f64) {
        let payload = format!("{sensor} {minute} {value}");
        let envelope = NewEnvelope {
            source: "garden",
            payload: payload.as_bytes(),
            ..NewEnvelope::default()
        };
        self.journal.append(&envelope).unwrap();
        self.journal.write_group().unwrap();
        self.apply();
    }

    pub(super) fn commit(&mut self) {
        self.lake.commit_all().unwrap();
        let (last_sequence, last_recorded_at) = self.journal.durable();
        let trimmed_through = self.lake.trim_point();
        let state = state_at(trimmed_through);
        self.journal.write_state(trimmed_through, &state).unwrap();
        let checkpoint = Checkpoint {
            trimmed_through,
            last_sequence,
            last_recorded_at,
            datasets: self.lake.positions(),
            dup_windows: BTreeMap::new(),
        };
        self.journal.checkpoint_and_trim(&checkpoint).unwrap();
        self.journal.remove_other_states(trimmed_through).unwrap();
    }

    /// Some history: a revision in files, one that is a mask, and rows that are only in the journal.
    pub(super) fn fill(&mut self, commits: i64) {
        for minute in 0..commits {
            self.take(1, minute, 1.0);
            self.take(2, minute, 2.0);
            self.commit();
        }
        self.take(1, 0, 10.0);
        self.commit();
        self.take(1, 0, 11.0);
        self.take(2, 0, 20.0);
        self.take(3, 0, 3.0);
    }

    pub(super) fn write(&self, to: &str) -> Result<Manifest, BackupError> {
        let storage = storage(&self.files, &self.root);
        backup::write(
            &storage,
            &self.journal,
            &self.backup_options(to),
            &mut |_| {},
        )
    }

    pub(super) fn backup_options(&self, to: &str) -> BackupOptions {
        BackupOptions {
            dir: to.into(),
            files: Arc::clone(&self.files),
            with_archive: false,
            journal_files: vec!["privacy.key".to_owned()],
        }
    }

    /// Every version of every row of `heat`, sorted: sensor, time, value, revision, when it was recorded and replaced.
    pub(super) fn versions(&self) -> Vec<Vec<String>> {
        let snapshot = self.lake.shared().load_full();
        let table = &snapshot.tables[&garden::heat()];
        let mut versions = Vec::new();
        for file in table.files.iter() {
            let path = table.folder.shown(&file.path);
            let content = content(&self.files, path.to_str().unwrap());
            let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(content)).unwrap();
            let mask = table.masks.get(&file.path);
            let mut row = 0;
            for batch in reader.build().unwrap() {
                let batch = batch.unwrap();
                for index in 0..batch.num_rows() {
                    let masked = mask.and_then(|mask| mask.rows.get(&row));
                    versions.push(version(&batch, index, masked.copied()));
                    row += 1;
                }
            }
        }
        for hot in table.hot.iter() {
            for row in 0..hot.batch.num_rows() {
                let superseded = hot.superseded.as_ref().map(|superseded| superseded[row]);
                let superseded = superseded.filter(|at| *at != HotBatch::LIVE);
                versions.push(version(&hot.batch, row, superseded));
            }
        }
        versions.sort();
        versions
    }

    /// Hot rows and masked rows of `heat`.
    pub(super) fn uncommitted(&self) -> (usize, usize) {
        let snapshot = self.lake.shared().load_full();
        let table = &snapshot.tables[&garden::heat()];
        (
            table.hot.iter().map(|hot| hot.batch.num_rows()).sum(),
            table.masks.values().map(|mask| mask.rows.len()).sum(),
        )
    }
}

/// The state that goes with a checkpoint.
pub(super) fn state_at(through: Sequence) -> Vec<u8> {
    format!("known at {through}").into_bytes()
}

/// Reads garden, minute and value.
pub(super) fn decode(payload: &str) -> DatasetRows {
    let mut parts = payload.split(' ');
    let mut part = || parts.next().unwrap();
    let (sensor, minute): (u32, i64) = (part().parse().unwrap(), part().parse().unwrap());
    garden::rows([(sensor, START + minute * MINUTE, part().parse().unwrap())])
}

pub(super) fn version(batch: &RecordBatch, row: usize, superseded_at: Option<i64>) -> Vec<String> {
    let cell = |name: &str| {
        let column = batch.column_by_name(name).unwrap();
        array_value_to_string(column, row).unwrap()
    };
    let micros = |name: &str| {
        let column = batch.column_by_name(name).unwrap();
        let column = arrow::compute::cast(column, &arrow::datatypes::DataType::Int64).unwrap();
        let column = column
            .as_any()
            .downcast_ref::<Int64Array>()
            .unwrap()
            .clone();
        column.is_valid(row).then(|| column.value(row))
    };
    let recorded_at = micros("recorded_at").or(micros("received_at")).unwrap();
    let superseded_at = superseded_at.or(micros("superseded_at"));
    let mut version = ["sensor_id", "time", "value", "revision"]
        .map(cell)
        .to_vec();
    version.push(recorded_at.to_string());
    version.push(format!("{superseded_at:?}"));
    version
}

pub(super) fn restore(
    files: &Arc<dyn Files>,
    from: &str,
    root: &str,
) -> Result<Manifest, BackupError> {
    let root = Path::new(root);
    let options = RestoreOptions {
        dir: from.into(),
        journal_dir: root.join("journal"),
        archive_dir: root.join("journal/archive"),
        files: Arc::clone(files),
    };
    backup::restore(storage(files, root).as_ref(), &options, &mut |_| {})
}

/// An installation in memory, closed: what `fill` left, as the next process finds it.
pub(super) fn filled(commits: i64) -> FaultyFiles {
    let files = FaultyFiles::new();
    files.create_dir(Path::new("/data/journal")).unwrap();
    files.put(Path::new("/data/journal/privacy.key"), b"secret".to_vec());
    Scene::open(&shared(&files), "/data").fill(commits);
    files.restart(Crash::Kill)
}

pub(super) fn shared(files: &FaultyFiles) -> Arc<dyn Files> {
    Arc::new(files.clone())
}

pub(super) fn content(files: &Arc<dyn Files>, path: &str) -> Vec<u8> {
    let handle = files.open_to_read(Path::new(path)).unwrap();
    let mut content = vec![0; handle.bytes().unwrap() as usize];
    handle.read_at(0, &mut content).unwrap();
    content
}
