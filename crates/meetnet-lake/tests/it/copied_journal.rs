//! Two copies of one journal before one bucket: the daemon that opens the lake last goes on, the other one stops with its
//! next commit, and is refused from then on. A crash at any moment of an opening shuts nobody out.

use std::collections::BTreeMap;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use meetnet_lake::LakeError;
use meetnet_lake::backup::{self, BackupOptions, RestoreOptions};
use meetnet_lake::check::Depth;
use meetnet_lake::journal::{Journal, JournalOptions, JournalPlace};
use meetnet_lake::lake::{DeclaredTables, Lake, LakeOptions};
use meetnet_lake::repair::{RepairError, RepairOptions, repair};
use meetnet_lake::storage::{LakeStorage, ListedObject, ObjectStorage};
use meetnet_model::ids::Sequence;
use meetnet_testkit::files::{Crash, Fault, FaultyFiles};
use meetnet_testkit::garden::declarations;
use meetnet_testkit::objects::{FaultyStore, StoreFault};
use object_store::path::Path;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::city::{apply, committed, openings};
use super::s3::Bucket;

const MARK: &str = "_meetnet/writer.json";

/// A machine with a journal, of which only the memory matters here: messages come from the test.
#[derive(Default)]
struct Machine {
    disk: FaultyFiles,
}

impl Machine {
    fn open(&self, storage: &Arc<dyn LakeStorage>) -> Result<Lake, LakeError> {
        let tables = DeclaredTables::read(Arc::clone(storage), Arc::new(declarations()))?;
        let mut options = LakeOptions::new(Uuid::nil());
        options.openings = Some(openings(&self.disk));
        options.limits.compaction = false;
        Lake::open(options, tables, Sequence::ZERO)
    }

    /// Another machine with a copy of the disk as it is now.
    fn copy(&self) -> Self {
        self.after(Crash::Kill)
    }

    fn after(&self, crash: Crash) -> Self {
        Self {
            disk: self.disk.copy_after(crash),
        }
    }
}

fn in_memory(runtime: &Runtime, store: &FaultyStore) -> Arc<dyn LakeStorage> {
    Arc::new(ObjectStorage::new(
        "memory://city",
        Arc::new(store.clone()),
        Path::default(),
        runtime.handle().clone(),
    ))
}

/// Frame `number` says one value at its minute.
fn take(lake: &mut Lake, numbers: std::ops::RangeInclusive<u64>, value: f64) {
    for number in numbers {
        apply(lake, number, &[(1, number as i64, value)]).unwrap();
    }
}

/// The values that are in files, by minute.
fn values(storage: &Arc<dyn LakeStorage>) -> Vec<f64> {
    let rows: BTreeMap<_, _> = committed(storage);
    rows.into_values().collect()
}

fn check_two_copies(storage: &Arc<dyn LakeStorage>) {
    let one = Machine::default();
    let mut lake_of_one = one.open(storage).unwrap();
    take(&mut lake_of_one, 1..=3, 1.0);
    lake_of_one.commit_all().unwrap();
    // The disk is copied while the daemon runs, and the copy is started elsewhere: frame 4 is one there and another here.
    let two = one.copy();
    take(&mut lake_of_one, 4..=4, 1.0);
    let mut lake_of_two = two.open(storage).unwrap();
    take(&mut lake_of_two, 1..=3, 1.0);
    assert_eq!(lake_of_two.hot_bytes(), 0, "they are in the table already");
    take(&mut lake_of_two, 4..=4, 2.0);

    let error = lake_of_one.commit_all().unwrap_err();
    assert!(matches!(error, LakeError::TakenOver { .. }), "{error}");
    assert_eq!(values(storage), [1.0; 3]);
    drop(lake_of_one);
    let is_refused = || {
        let error = one.open(storage).unwrap_err();
        assert!(matches!(error, LakeError::OtherCopy { .. }), "{error}");
        let location = storage.location().name();
        let said = error.to_string();
        assert!(
            said.ends_with(&format!("remove {location}/{MARK}")),
            "{said}"
        );
    };
    is_refused();
    lake_of_two.commit_all().unwrap();
    assert_eq!(values(storage), [1.0, 1.0, 1.0, 2.0]);
    drop(lake_of_two);

    // The one that went on may be started as often as it likes.
    for number in 5..=7 {
        let mut lake = two.open(storage).unwrap();
        take(&mut lake, number..=number, 2.0);
        lake.commit_all().unwrap();
        is_refused();
    }
    assert_eq!(values(storage), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]);
    // What the message says, for the one whose copy is lost for good.
    storage.remove(MARK).unwrap();
    let mut lake = one.open(storage).unwrap();
    take(&mut lake, 8..=8, 3.0);
    lake.commit_all().unwrap();
    assert_eq!(values(storage).last(), Some(&3.0));
}

#[test]
fn of_two_copies_the_one_that_opens_last_goes_on() {
    let runtime = Runtime::new().unwrap();
    check_two_copies(&in_memory(&runtime, &FaultyStore::new()));
    if let Some(bucket) = Bucket::new() {
        check_two_copies(&bucket.storage());
    }
}

#[test]
fn an_idle_daemon_learns_it_when_it_records_its_position() {
    let runtime = Runtime::new().unwrap();
    let storage = in_memory(&runtime, &FaultyStore::new());
    let one = Machine::default();
    let mut lake = one.open(&storage).unwrap();
    let _other = one.copy().open(&storage).unwrap();
    // A tick: no row, but time went on.
    lake.advance(Sequence(1), 1);
    let error = lake.commit_all().unwrap_err();
    assert!(matches!(error, LakeError::TakenOver { .. }), "{error}");
}

#[test]
fn a_mark_of_an_earlier_version_is_taken_over() {
    let runtime = Runtime::new().unwrap();
    let storage = in_memory(&runtime, &FaultyStore::new());
    let earlier = format!("{{\"journal\":\"{}\"}}", Uuid::nil());
    storage.replace(MARK, earlier.as_bytes()).unwrap();
    let one = Machine::default();
    drop(one.open(&storage).unwrap());
    // From now on it has a number.
    assert!(Machine::default().open(&storage).is_err());
    assert!(one.open(&storage).is_ok());
}

/// Lets `cut` spoil the opening after `lives` others, in one place after the other until it is none any more, and checks
/// that the next two succeed.
fn check_cut_off(lives: usize, what: &str, cut: impl Fn(&FaultyStore, &Machine, u64)) {
    let runtime = Runtime::new().unwrap();
    for place in 0.. {
        let store = FaultyStore::new();
        let mut machine = Machine::default();
        for _ in 0..lives {
            let mut lake = machine.open(&in_memory(&runtime, &store)).unwrap();
            take(&mut lake, 1..=2, 1.0);
            lake.commit_all().unwrap();
        }
        openings(&machine.disk);
        cut(&store, &machine, place);
        drop(machine.open(&in_memory(&runtime, &store)));
        let was_hit = store.failed() + machine.disk.failed() > 0;
        let store = store.restart();
        machine = machine.after(Crash::PowerLoss { seed: place });
        for _ in 0..2 {
            let opened = machine.open(&in_memory(&runtime, &store));
            let mut lake = opened.unwrap_or_else(|error| panic!("{what} {lives} {place}: {error}"));
            take(&mut lake, 1..=2, 1.0);
            lake.commit_all().unwrap();
        }
        assert_eq!(values(&in_memory(&runtime, &store)), [1.0; 2]);
        if !was_hit {
            break;
        }
    }
}

#[test]
fn a_crash_at_any_moment_of_an_opening_shuts_nobody_out() {
    for lives in 0..3 {
        for fault in [
            StoreFault::Off,
            StoreFault::Refused,
            StoreFault::AnswerLost,
            StoreFault::Late { requests: 1 },
            StoreFault::Late { requests: 7 },
        ] {
            check_cut_off(lives, &format!("{fault:?}"), |store, _, place| {
                store.fail_at(store.requests() + place, fault);
            });
        }
        for fault in [Fault::PowerLoss, Fault::FailedSync, Fault::LateError] {
            check_cut_off(lives, &format!("{fault:?}"), |_, machine, place| {
                machine
                    .disk
                    .fail_at(machine.disk.operations() + place, fault);
            });
        }
    }
}

/// A real journal on a disk of its own.
fn journal(disk: &FaultyFiles) -> Journal {
    let options = JournalOptions {
        reserve_bytes: 0,
        files: Arc::new(disk.clone()),
        background: false,
        ..JournalOptions::new("/journal", "/journal/archive")
    };
    Journal::open(options, b"declared").unwrap().0
}

fn open_as(journal: &Journal, storage: &Arc<dyn LakeStorage>) -> Result<Lake, LakeError> {
    let tables = DeclaredTables::read(Arc::clone(storage), Arc::new(declarations()))?;
    let mut options = LakeOptions::new(journal.id());
    options.openings = Some(journal.openings());
    options.limits.compaction = false;
    Lake::open(options, tables, Sequence::ZERO)
}

#[test]
fn a_restored_backup_is_the_journal_of_the_lake_that_it_came_with() {
    let runtime = Runtime::new().unwrap();
    let storage = in_memory(&runtime, &FaultyStore::new());
    let disk = FaultyFiles::new();
    let original = journal(&disk);
    let mut lake = open_as(&original, &storage).unwrap();
    take(&mut lake, 1..=3, 1.0);
    lake.commit_all().unwrap();
    let options = BackupOptions {
        dir: PathBuf::from("/backup"),
        files: Arc::new(disk.clone()),
        with_archive: false,
        journal_files: Vec::new(),
    };
    backup::write(&storage, &original, &options, &mut |_| {}).unwrap();
    // Opened once more since, so that the backup cannot know the number.
    drop(lake);
    drop(open_as(&original, &storage).unwrap());
    original.shutdown().unwrap();

    let restore = |storage: &Arc<dyn LakeStorage>, disk: &FaultyFiles| {
        let options = RestoreOptions {
            dir: PathBuf::from("/backup"),
            journal_dir: PathBuf::from("/journal"),
            archive_dir: PathBuf::from("/journal/archive"),
            files: Arc::new(disk.clone()),
        };
        backup::restore(&**storage, &options, &mut |_| {}).unwrap();
        let journal = journal(disk);
        let mut lake = open_as(&journal, storage).unwrap();
        take(&mut lake, 4..=4, 2.0);
        lake.commit_all().unwrap();
        assert_eq!(values(storage), [1.0, 1.0, 1.0, 2.0]);
    };
    let only_backup = || {
        let copy = FaultyFiles::new();
        for path in disk.paths() {
            if path.starts_with("/backup") {
                copy.put(&path, disk.content(&path).unwrap());
            }
        }
        copy
    };
    restore(&in_memory(&runtime, &FaultyStore::new()), &only_backup());
    // Where its tables were lost, and the mark was not.
    for object in storage.list("").unwrap() {
        if object.path != MARK {
            storage.remove(&object.path).unwrap();
        }
    }
    restore(&storage, &only_backup());
}

/// A bucket has no lock, so the daemon of the lake may run on another machine.
#[test]
fn a_repair_is_for_the_journal_of_the_lake_alone() {
    let runtime = Runtime::new().unwrap();
    let storage = in_memory(&runtime, &FaultyStore::new());
    let disk = FaultyFiles::new();
    let own = journal(&disk);
    let mut lake = open_as(&own, &storage).unwrap();
    take(&mut lake, 1..=3, 1.0);
    lake.commit_all().unwrap();
    drop(lake);
    own.shutdown().unwrap();
    let earlier = disk.copy_after(Crash::Kill);
    let own = journal(&disk);
    drop(open_as(&own, &storage).unwrap());
    own.shutdown().unwrap();
    let stranger = FaultyFiles::new();
    journal(&stranger).shutdown().unwrap();
    let nobody = FaultyFiles::new();
    nobody.make_dir(FilePath::new("/journal"));

    let objects = storage.list("heat").unwrap();
    let is_data = |object: &&ListedObject| object.path.ends_with(".parquet");
    let lost = objects.iter().find(is_data).unwrap();
    storage.remove(&lost.path).unwrap();
    let before = storage.list("").unwrap();
    let repaired_by = |disk: &FaultyFiles| {
        let options = RepairOptions {
            storage: Arc::clone(&storage),
            journal: JournalPlace {
                dir: PathBuf::from("/journal"),
                archive_dir: PathBuf::from("/journal/archive"),
                files: Arc::new(disk.clone()),
            },
            depth: Depth::Quick,
        };
        repair(&options, 0)
    };
    for (who, disk) in [("another", &stranger), ("none", &nobody)] {
        let refused = repaired_by(disk).unwrap_err();
        let is_refused = matches!(refused, RepairError::Lake(LakeError::OtherWriter { .. }));
        assert!(is_refused, "{who}: {refused:?}");
    }
    let refused = repaired_by(&earlier).unwrap_err();
    let is_refused = matches!(refused, RepairError::Lake(LakeError::OtherCopy { .. }));
    assert!(is_refused, "{refused:?}");
    assert_eq!(storage.list("").unwrap(), before, "nothing was changed");

    let repaired = repaired_by(&disk).unwrap();
    assert_eq!((repaired.files.len(), repaired.left.len()), (1, 0));
}
