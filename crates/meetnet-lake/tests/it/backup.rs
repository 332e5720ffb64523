//! Backup and restore on a file system that loses what was not synced: what was acknowledged before a backup is in the
//! restored lake exactly once, with every earlier version, and a folder that is no whole backup is not taken for one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, Int64Array, RecordBatch};
use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use meetnet_lake::backup::{self, BackupError, BackupOptions, Manifest, RestoreOptions};
use meetnet_lake::files::{DiskFiles, FileHandle, Files, ListedFile, LockGuard};
use meetnet_lake::journal::{
    Checkpoint, FrameKind, Journal, JournalError, JournalOptions, NewEnvelope,
};
use meetnet_lake::lake::{DeclaredTables, Lake, LakeOptions};
use meetnet_lake::snapshot::HotBatch;
use meetnet_lake::storage::{FolderStorage, LakeStorage};
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::Sequence;
use meetnet_model::rows::DatasetRows;
use meetnet_testkit::files::{Crash, Fault, FaultyFiles};
use meetnet_testkit::garden::{self, MINUTE, START, flag};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::city::lineage_at;

/// One installation: journal, lake, and the pipeline between them in its simplest form.
struct Scene {
    files: Arc<dyn Files>,
    root: PathBuf,
    journal: Journal,
    lake: Lake,
    applied: Sequence,
}

/// Many tables, so that something happens between two of them.
fn declarations() -> Declarations {
    meetnet_model::schemas::builtin().into_declarations([])
}

fn storage(files: &Arc<dyn Files>, root: &Path) -> Arc<dyn LakeStorage> {
    let folder = FolderStorage::with_files(root.join("lake"), Arc::clone(files));
    Arc::new(folder)
}

fn journal_options(files: &Arc<dyn Files>, root: &Path) -> JournalOptions {
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
    fn open(files: &Arc<dyn Files>, root: impl Into<PathBuf>) -> Self {
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
    fn apply(&mut self) {
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
    fn take(&mut self, sensor: u32, minute: i64, value: f64) {
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

    fn commit(&mut self) {
        self.lake.commit_all().unwrap();
        let (last_sequence, last_recorded_at) = self.journal.durable();
        let checkpoint = Checkpoint {
            trimmed_through: self.lake.trim_point(),
            last_sequence,
            last_recorded_at,
            datasets: self.lake.positions(),
            dup_windows: BTreeMap::new(),
        };
        self.journal.checkpoint_and_trim(&checkpoint).unwrap();
    }

    /// Some history: a revision in files, one that is a mask, and rows that are only in the journal.
    fn fill(&mut self, commits: i64) {
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

    fn write(&self, to: &str) -> Result<Manifest, BackupError> {
        let storage = storage(&self.files, &self.root);
        backup::write(
            &storage,
            &self.journal,
            &self.backup_options(to),
            &mut |_| {},
        )
    }

    fn backup_options(&self, to: &str) -> BackupOptions {
        BackupOptions {
            dir: to.into(),
            files: Arc::clone(&self.files),
            with_archive: false,
            journal_files: vec!["privacy.key".to_owned()],
        }
    }

    /// Every version of every row of `heat`, sorted: sensor, time, value, revision, when it was recorded and replaced.
    fn versions(&self) -> Vec<Vec<String>> {
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
    fn uncommitted(&self) -> (usize, usize) {
        let snapshot = self.lake.shared().load_full();
        let table = &snapshot.tables[&garden::heat()];
        (
            table.hot.iter().map(|hot| hot.batch.num_rows()).sum(),
            table.masks.values().map(|mask| mask.rows.len()).sum(),
        )
    }
}

/// Reads garden, minute and value.
fn decode(payload: &str) -> DatasetRows {
    let mut parts = payload.split(' ');
    let mut part = || parts.next().unwrap();
    let (sensor, minute): (u32, i64) = (part().parse().unwrap(), part().parse().unwrap());
    garden::rows([(sensor, START + minute * MINUTE, part().parse().unwrap())])
}

fn version(batch: &RecordBatch, row: usize, superseded_at: Option<i64>) -> Vec<String> {
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

fn restore(files: &Arc<dyn Files>, from: &str, root: &str) -> Result<Manifest, BackupError> {
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
fn filled(commits: i64) -> FaultyFiles {
    let files = FaultyFiles::new();
    files.create_dir(Path::new("/data/journal")).unwrap();
    files.put(Path::new("/data/journal/privacy.key"), b"secret".to_vec());
    Scene::open(&shared(&files), "/data").fill(commits);
    files.restart(Crash::Kill)
}

fn shared(files: &FaultyFiles) -> Arc<dyn Files> {
    Arc::new(files.clone())
}

fn content(files: &Arc<dyn Files>, path: &str) -> Vec<u8> {
    let handle = files.open_to_read(Path::new(path)).unwrap();
    let mut content = vec![0; handle.bytes().unwrap() as usize];
    handle.read_at(0, &mut content).unwrap();
    content
}

#[test]
fn what_was_taken_before_and_during_a_backup_is_restored_once_with_every_version() {
    // 120: enough commits for a checkpoint of the table log.
    for commits in [3, 120] {
        let files = shared(&filled(commits));
        let mut scene = Scene::open(&files, "/data");
        let before = scene.versions();
        assert_eq!(scene.uncommitted(), (3, 2));
        // Between two tables messages come in, revise what is being copied, are committed, and the journal is trimmed.
        let (storage, options) = (
            storage(&files, &scene.root),
            scene.backup_options("/backup"),
        );
        let (journal, mut minute) = (scene.journal.clone(), commits);
        let manifest = backup::write(&storage, &journal, &options, &mut |line| {
            if line.starts_with("table") {
                minute += 1;
                scene.take(1, minute, 5.0);
                scene.take(2, 0, minute as f64);
                scene.commit();
                scene.take(3, minute, 6.0);
            }
        })
        .unwrap();
        let expect = scene.versions();
        assert!(expect.len() > before.len());
        assert_eq!(manifest.last_sequence, journal.durable().0);
        assert!(manifest.has_journal_file("privacy.key"));

        let restored = restore(&files, "/backup", "/new").unwrap();
        assert_eq!(restored, manifest);
        let again = Scene::open(&files, "/new");
        assert_eq!(again.journal.id(), journal.id());
        assert_eq!(again.versions(), expect);
        assert_eq!(content(&files, "/new/journal/privacy.key"), b"secret");
        // What was held goes with the next checkpoint.
        let held = journal.bytes();
        scene.commit();
        assert!(journal.bytes() < held);
    }
}

#[test]
fn a_power_loss_at_any_moment_leaves_a_whole_backup_or_none() {
    let base = filled(2);
    let expect = Scene::open(&shared(&base.restart(Crash::Kill)), "/data").versions();
    let (mut none, mut whole) = (0, 0);
    for step in 0.. {
        let files = base.restart(Crash::Kill);
        let scene = Scene::open(&shared(&files), "/data");
        files.fail_at(files.operations() + step, Fault::PowerLoss);
        let made = scene.write("/backup");
        let is_made = made.is_ok();
        let next = shared(&files.restart(Crash::PowerLoss { seed: step }));
        drop(scene);
        match Manifest::read(next.as_ref(), Path::new("/backup")) {
            Err(BackupError::NoManifest { .. }) if !is_made => none += 1,
            read => {
                let manifest = read.unwrap_or_else(|error| panic!("step {step}: {error}"));
                assert_eq!(restore(&next, "/backup", "/new").unwrap(), manifest);
                assert_eq!(Scene::open(&next, "/new").versions(), expect, "step {step}");
                whole += 1;
            }
        }
        if is_made {
            break;
        }
    }
    assert!(none > 30 && whole > 0, "{none} {whole}");
}

#[test]
fn a_power_loss_during_a_restore_leaves_what_cannot_be_opened_as_less_than_it_was() {
    let base = filled(2);
    let first = base.restart(Crash::Kill);
    let scene = Scene::open(&shared(&first), "/data");
    let expect = scene.versions();
    scene.write("/backup").unwrap();
    let (mut nothing, mut refused, mut whole) = (0, 0, 0);
    for step in 0.. {
        let files = first.restart(Crash::Kill);
        files.fail_at(files.operations() + step, Fault::PowerLoss);
        let is_done = restore(&shared(&files), "/backup", "/new").is_ok();
        let next = shared(&files.restart(Crash::PowerLoss { seed: step }));
        let root = Path::new("/new");
        let tables = storage(&next, root).folders("").unwrap();
        match Journal::open(journal_options(&next, root), b"declared") {
            Err(JournalError::Restoring { .. }) if !is_done => {
                assert!(matches!(
                    restore(&next, "/backup", "/new"),
                    Err(BackupError::Occupied { .. })
                ));
                refused += 1;
            }
            Ok((journal, recovery)) if tables.is_empty() && !is_done => {
                assert!(recovery.checkpoint.is_none() && journal.id() != scene.journal.id());
                nothing += 1;
            }
            opened => {
                drop(opened.unwrap());
                assert_eq!(Scene::open(&next, "/new").versions(), expect, "step {step}");
                whole += 1;
            }
        }
        if is_done {
            break;
        }
    }
    assert!(
        nothing > 0 && refused > 30 && whole > 0,
        "{nothing} {refused} {whole}"
    );
}

#[test]
fn a_damaged_backup_is_refused_by_name_and_nothing_is_written() {
    let files = filled(1);
    let scene = Scene::open(&shared(&files), "/data");
    let manifest = scene.write("/backup").unwrap();
    let written = |files: &FaultyFiles| {
        let paths = files.paths();
        let new = paths.into_iter().filter(|path| path.starts_with("/new"));
        new.collect::<Vec<_>>()
    };
    let check = |change: &dyn Fn(&FaultyFiles), expect: &str| {
        let files = files.restart(Crash::Kill);
        change(&files);
        let error = restore(&shared(&files), "/backup", "/new")
            .unwrap_err()
            .to_string();
        assert!(error.contains(expect), "`{error}` does not say `{expect}`");
        let left = written(&files);
        assert!(left.iter().all(|path| path.ends_with("lock")), "{left:?}");
    };
    for file in &manifest.files {
        let path = Path::new("/backup").join(&file.path);
        let name = path.display();
        let flip = |files: &FaultyFiles| {
            let mut content = files.content(&path).unwrap();
            let middle = content.len() / 2;
            content[middle] ^= 1;
            files.put(&path, content);
        };
        check(&flip, &format!("{name} is not what was backed up"));
        let cut = |files: &FaultyFiles| files.put(&path, Vec::new());
        check(&cut, &format!("{name} is not what was backed up"));
        let remove = |files: &FaultyFiles| files.remove(&path).unwrap();
        check(&remove, &format!("{name} is missing"));
    }
    let replace = |json: &str| {
        let sealed = format!("{json}\ncrc32c {:08x}\n", crc32c::crc32c(json.as_bytes()));
        move |files: &FaultyFiles| files.put(Path::new("/backup/manifest"), sealed.clone().into())
    };
    let json = serde_json::to_string(&manifest).unwrap();
    check(
        &replace(&json.replacen("\"format\":1", "\"format\":2", 1)),
        "format 2",
    );
    check(&replace("{\"format\":1}"), "cannot be understood");
    let outside = json.replacen("lake/", "lake/../../", 1);
    check(&replace(&outside), "which is no place in a backup");
    let broken =
        |files: &FaultyFiles| files.put(Path::new("/backup/manifest"), json.clone().into());
    check(&broken, "does not match its checksum");
    let remove = |files: &FaultyFiles| files.remove(Path::new("/backup/manifest")).unwrap();
    check(&remove, "/backup is no backup");
}

#[test]
fn nothing_is_overwritten() {
    let files = filled(1);
    let scene = Scene::open(&shared(&files), "/data");
    let check = |result: Result<Manifest, BackupError>, expect: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(expect), "`{error}` does not say `{expect}`");
    };
    scene.write("/backup").unwrap();
    check(scene.write("/backup"), "name a new folder for the backup");
    files.create_dir(Path::new("/half/lake")).unwrap();
    check(
        scene.write("/half"),
        "one that was interrupted, and can be removed",
    );
    let files = shared(&files);
    check(restore(&files, "/backup", "/data"), "is in use by process");
    drop(scene);
    check(
        restore(&files, "/backup", "/data"),
        "/data/journal is not empty",
    );
    files.create_dir(Path::new("/new/lake/heat")).unwrap();
    check(restore(&files, "/backup", "/new"), "/new/lake is not empty");
    check(restore(&files, "/nowhere", "/new"), "/nowhere is no backup");
}

#[test]
fn a_data_file_that_is_not_what_was_committed_stops_the_backup() {
    let base = filled(2);
    let scene = Scene::open(&shared(&base.restart(Crash::Kill)), "/data");
    let snapshot = scene.lake.shared().load_full();
    let table = &snapshot.tables[&garden::heat()];
    let path = table.folder.shown(&table.files[0].path);
    let check = |change: &dyn Fn(&FaultyFiles), expect: &str| {
        let files = base.restart(Crash::Kill);
        change(&files);
        let options = journal_options(&shared(&files), Path::new("/data"));
        let (journal, _) = Journal::open(options, b"declared").unwrap();
        let options = scene.backup_options("/backup");
        let options = BackupOptions {
            files: shared(&files),
            ..options
        };
        let storage = storage(&shared(&files), Path::new("/data"));
        let made = backup::write(&storage, &journal, &options, &mut |_| {});
        let error = made.unwrap_err().to_string();
        assert_eq!(error, format!("{} {expect}", path.display()));
        let read = Manifest::read(&files, Path::new("/backup"));
        assert!(
            matches!(read, Err(BackupError::NoManifest { .. })),
            "{read:?}"
        );
    };
    let flip = |files: &FaultyFiles| {
        let mut content = files.content(&path).unwrap();
        content[100] ^= 1;
        files.put(&path, content);
    };
    check(
        &flip,
        "is not the file that was committed: run `meetnet check`",
    );
    let remove = |files: &FaultyFiles| files.remove(&path).unwrap();
    check(
        &remove,
        "is not there, though its table names it: run the backup again, and `meetnet check` if it is still missing",
    );
}

#[test]
fn on_a_disk_data_files_are_linked_segments_copied_and_all_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let files: Arc<dyn Files> = Arc::new(DiskFiles::PRIVATE);
    let mut scene = Scene::open(&files, folder.path().join("data"));
    std::fs::write(folder.path().join("data/journal/privacy.key"), "secret").unwrap();
    scene.fill(3);
    let expect = scene.versions();
    let to = folder.path().join("backup");
    let options = BackupOptions {
        with_archive: true,
        ..scene.backup_options(to.to_str().unwrap())
    };
    let storage = storage(&files, &scene.root);
    let manifest = backup::write(&storage, &scene.journal, &options, &mut |_| {}).unwrap();
    let modes = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(modes(&to), 0o700);
    let mut parts = BTreeMap::new();
    for file in &manifest.files {
        let path = to.join(&file.path);
        let names = std::fs::metadata(&path).unwrap().nlink();
        let part = file.path.split('/').next().unwrap();
        let part = if file.path.contains("_delta_log") {
            "log"
        } else {
            part
        };
        parts.entry(part.to_owned()).or_insert(names);
        assert_eq!(parts[part], names, "{}", file.path);
        if part != "lake" && part != "log" {
            assert_eq!(modes(&path), 0o600, "{}", file.path);
        }
    }
    let expect_names = [("archive", 2), ("journal", 1), ("lake", 2), ("log", 1)];
    assert_eq!(
        parts,
        expect_names
            .map(|(part, names)| (part.to_owned(), names))
            .into()
    );
    let root = folder.path().join("new");
    restore(&files, to.to_str().unwrap(), root.to_str().unwrap()).unwrap();
    let archived = |root: &Path| {
        DiskFiles::PRIVATE
            .list(&root.join("journal/archive"))
            .unwrap()
    };
    assert!(!archived(&root).is_empty());
    assert_eq!(archived(&root), archived(&scene.root));
    assert_eq!(modes(&root.join("journal/privacy.key")), 0o600);
    assert_eq!(Scene::open(&files, &root).versions(), expect);
}

#[test]
fn where_files_cannot_be_linked_they_are_copied() {
    let files: Arc<dyn Files> = Arc::new(OtherDisk(filled(2)));
    let scene = Scene::open(&files, "/data");
    let expect = scene.versions();
    scene.write("/backup").unwrap();
    restore(&files, "/backup", "/new").unwrap();
    assert_eq!(Scene::open(&files, "/new").versions(), expect);
}

/// A file system of which `/backup` is another one.
#[derive(Debug)]
struct OtherDisk(FaultyFiles);

impl Files for OtherDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        self.0.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        self.0.open(path)
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        self.0.open_to_read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.sync_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<ListedFile>> {
        self.0.list(dir)
    }

    fn folders(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.0.folders(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.create_dir(dir)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        if to.starts_with("/backup") {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        self.0.link(from, to)
    }

    fn lock(&self, path: &Path, holder: &str) -> io::Result<LockGuard> {
        self.0.lock(path, holder)
    }
}
