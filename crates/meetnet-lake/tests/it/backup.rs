//! Backup and restore on a file system that loses what was not synced: what was acknowledged before a backup is in the
//! restored lake exactly once, with every earlier version, and a folder that is no whole backup is not taken for one.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use meetnet_lake::backup::{self, BackupError, BackupOptions, Manifest};
use meetnet_lake::damage::Damage;
use meetnet_lake::files::{DiskFiles, FileHandle, Files, ListedFile, LockGuard};
use meetnet_lake::journal::{Journal, JournalError};
use meetnet_lake::lake::LakeReader;
use meetnet_lake::storage::TableFolder;
use meetnet_testkit::files::{Crash, Fault, FaultyFiles};
use meetnet_testkit::garden;

mod scene;

use self::scene::{Scene, content, filled, journal_options, restore, shared, state_at, storage};

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
        let through = manifest.trimmed_through;
        let state = again.journal.read_state(through).unwrap();
        assert_eq!(state, Some(state_at(through)));
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
        assert!(left.is_empty(), "{left:?}");
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
    // Nothing is made where something is refused.
    assert_eq!(files.folders(Path::new("/new")).unwrap(), ["lake"]);
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
fn a_file_that_is_known_to_be_damaged_stops_the_backup_before_anything_is_copied() {
    let base = filled(2);
    let files = base.restart(Crash::Kill);
    let scene = Scene::open(&shared(&files), "/data");
    let snapshot = scene.lake.shared().load_full();
    let table = &snapshot.tables[&garden::heat()];
    let path = table.folder.shown(&table.files[0].path);
    let whole = files.content(&path).unwrap();
    for file in table.files.iter().take(2) {
        let noted = table
            .folder
            .remember_damage(&file.path, Damage::WrongChecksum);
        noted.unwrap();
    }
    let mut content = whole.clone();
    content[100] ^= 1;
    files.put(&path, content);
    let error = scene.write("/backup").unwrap_err().to_string();
    let expect = format!(
        "{} has other bytes than were written: nothing was copied; put the same file back or run `meetnet check --repair`, \
         and make the backup then",
        path.display()
    );
    assert_eq!(error, expect, "the other one is whole");
    let written = files.paths();
    assert!(!written.iter().any(|path| path.starts_with("/backup")));
    // What was put back is copied, and notes are not.
    files.put(&path, whole);
    let manifest = scene.write("/backup").unwrap();
    let mut copied = manifest.files.iter().map(|file| file.path.as_str());
    assert!(!copied.any(|path| path.contains("_meetnet")));
}

/// The files of a backup have the names that they had, and are whole.
#[test]
fn what_is_noted_as_damaged_where_a_backup_is_restored_to_is_forgotten() {
    let files = filled(2);
    let scene = Scene::open(&shared(&files), "/data");
    let manifest = scene.write("/backup").unwrap();
    drop(scene);
    let files = shared(&files);
    let mut copied = manifest.files.iter();
    let path = copied.find_map(|file| {
        let path = file.path.strip_prefix("lake/heat/")?;
        path.ends_with(".parquet").then_some(path)
    });
    let path = path.unwrap();
    let before = storage(&files, Path::new("/new"));
    let noted = TableFolder::new(before, "heat").remember_damage(path, Damage::WrongChecksum);
    noted.unwrap();
    let damage = || {
        let now = storage(&files, Path::new("/new"));
        LakeReader::open(Arc::clone(&now)).unwrap();
        TableFolder::new(now, "heat").damage_of(path)
    };
    assert_eq!(damage(), Some(Damage::WrongChecksum));
    restore(&files, "/backup", "/new").unwrap();
    assert_eq!(damage(), None);
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

    fn open_to_overwrite(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        self.0.open_to_overwrite(path)
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
