//! A lake as the pipeline drives it: upkeep in the background, files that stay few, and files that go.

mod commits;
mod merges;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arrow::array::{AsArray, RecordBatch};
use meetnet_model::column::{ColumnDeclaration, ColumnType};
use meetnet_model::dataset::{DatasetDeclaration, Grain};
use meetnet_model::declarations::Declarations;
use meetnet_model::rows::DatasetRows;
use meetnet_model::schemas;
use meetnet_testkit::garden::{self, MINUTE, START, flag};
use meetnet_testkit::objects::FaultyStore;
use uuid::Uuid;

use super::*;
use crate::actor::insert_files;
use crate::compact::{Effort, choose};
use crate::files::DiskFiles;
use crate::journal::Openings;
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

fn vacuum(lake: &mut Lake) -> Vacuumed {
    let before = lake.vacuumed();
    lake.request(UpkeepRequest::Vacuum).unwrap();
    tick_until(lake, "vacuum ends", |lake| !lake.is_tending());
    lake.vacuumed() - before
}

/// A lake of `heat` alone in an object store that counts requests.
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

    fn open(&self) -> Lake {
        let objects = Arc::new(self.store.clone());
        let handle = self.runtime.handle().clone();
        let storage = ObjectStorage::new("memory://city", objects, Default::default(), handle);
        let storage: Arc<dyn LakeStorage> = Arc::new(storage);
        let mut declarations = declarations();
        declarations.datasets.retain(|id, _| id.as_str() == "heat");
        let tables = DeclaredTables::read(storage, Arc::new(declarations)).unwrap();
        let mut options = LakeOptions::new(Uuid::nil());
        let files = Arc::new(DiskFiles::PRIVATE);
        options.openings = Some(Openings::new(files, self.journal.path().to_path_buf()));
        options.limits.compaction = false;
        Lake::open(options, tables, Sequence::ZERO).unwrap()
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

#[test]
fn commits_leave_runs_and_compaction_makes_them_one_while_rows_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| options.limits.compaction = false);
    for minute in 0..40 {
        take(
            &mut lake,
            minute + 1,
            &rows(100, START + minute as i64 * MINUTE, 1.0),
        );
        lake.commit_all().unwrap();
    }
    assert_eq!(heat(&mut lake).files.len(), 40);
    // A row replaced before the merge, and one while it runs: both masks move to the new file.
    take(&mut lake, 41, &rows(1, START, 50.0));
    lake.request(UpkeepRequest::Compact(None)).unwrap();
    lake.tick().unwrap();
    take(&mut lake, 42, &rows(1, START + MINUTE, 60.0));
    tick_until(&mut lake, "compaction ends", |lake| !lake.is_tending());
    let snapshot = heat(&mut lake);
    assert_eq!(snapshot.files.len(), 1);
    let file = &snapshot.files[0];
    assert_eq!(file.rows, 4_000);
    assert_eq!(snapshot.masks[&file.path].rows.len(), 2);
    assert_eq!(lake.compacted().files_before, 40);

    // The next commit writes it again without them; after a restart nothing has changed.
    lake.commit_all().unwrap();
    let snapshot = heat(&mut lake);
    let rows_of = |superseded| {
        let files = snapshot.files.iter().filter(|f| f.superseded == superseded);
        files.map(|file| file.rows).sum::<u64>()
    };
    assert_eq!((rows_of(false), rows_of(true)), (4_000, 2));
    assert!(snapshot.masks.is_empty());
    drop(lake);
    let mut lake = open(folder.path(), |_| {});
    let files = |snapshot: &TableSnapshot| -> Vec<Arc<str>> {
        snapshot.files.iter().map(|f| Arc::clone(&f.path)).collect()
    };
    assert_eq!(files(&heat(&mut lake)), files(&snapshot));
    compact(&mut lake);
    assert_eq!(heat(&mut lake).files.len(), 2);
}

#[test]
fn vacuum_removes_what_was_replaced_and_what_a_crash_left_once_it_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| options.limits.compaction = false);
    for minute in 0..10 {
        take(
            &mut lake,
            minute + 1,
            &rows(5, START + minute as i64 * MINUTE, 1.0),
        );
        lake.commit_all().unwrap();
    }
    compact(&mut lake);
    assert_eq!(parquet_files(folder.path()), 11);
    // Within the time that readers have nothing goes.
    assert_eq!(vacuum(&mut lake), Vacuumed::default());
    let period = folder
        .path()
        .join("heat/licence=CC0-1.0/superseded=false/month=2026-01");
    let orphan = |age: Duration| {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - age;
        let stamp = uuid::Timestamp::from_unix_time(at.as_secs(), 0, 0, 0);
        let path = period.join(format!("{}.parquet", Uuid::new_v7(stamp).simple()));
        std::fs::write(&path, "left by a crash").unwrap();
        path
    };
    let old = orphan(Duration::from_secs(2 * 24 * 3_600));
    let young = orphan(Duration::from_secs(60));
    let foreign = period.join("notes.parquet");
    std::fs::write(&foreign, "not ours").unwrap();
    drop(lake);
    let mut lake = open(folder.path(), |options| {
        options.limits.compaction = false;
        options.limits.vacuum_after = Duration::ZERO;
    });
    std::thread::sleep(Duration::from_millis(5));
    let vacuumed = vacuum(&mut lake);
    assert_eq!((vacuumed.replaced_files, vacuumed.orphans), (10, 1));
    assert!(!old.exists() && young.exists() && foreign.exists());
    let snapshot = heat(&mut lake);
    assert_eq!(snapshot.files.len(), 1);
    assert!(
        folder
            .path()
            .join("heat")
            .join(&*snapshot.files[0].path)
            .exists()
    );
}

#[test]
fn vacuum_cuts_the_log_before_an_old_checkpoint_and_the_table_opens_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| {
        options.limits.compaction = false;
        options.limits.vacuum_after = Duration::ZERO;
    });
    for minute in 0..210 {
        take(
            &mut lake,
            minute + 1,
            &rows(1, START + minute as i64 * MINUTE, 1.0),
        );
        lake.commit_all().unwrap();
    }
    let before = heat(&mut lake);
    std::thread::sleep(Duration::from_millis(5));
    // Versions 0 to 199 and checkpoint 100, of each table.
    let tables = lake.tables.len() as u64;
    assert_eq!(vacuum(&mut lake).log_files, 201 * tables);
    drop(lake);
    let mut lake = open(folder.path(), |_| {});
    let after = heat(&mut lake);
    assert_eq!((after.version, after.files.len()), (before.version, 210));
}

#[test]
fn periods_past_their_retention_go_and_later_ones_stay() {
    const DAY: i64 = 24 * 60 * MINUTE;
    let folder = tempfile::tempdir().unwrap();
    {
        let mut lake = open(folder.path(), |options| options.limits.compaction = false);
        // 2024-05, the last minute of 2025-01, the first of 2025-02, and 2026-02.
        let times = [-600 * DAY, -334 * DAY - MINUTE, -334 * DAY, 31 * DAY];
        for (sequence, time) in (1..).zip(times) {
            take(&mut lake, sequence, &rows(3, START + time, 1.0));
        }
        lake.commit_all().unwrap();
        assert_eq!(heat(&mut lake).files.len(), 4);
    }
    let year = Duration::from_secs(365 * 24 * 3_600);
    // 2026-02-15: what is older than 2025-02-15 may go, and the month that holds that day stays whole.
    let now = START + 45 * DAY;
    let mut lake = open(folder.path(), |options| {
        let monotonic = crate::journal::system_monotonic_clock();
        options.clock = LakeClock::new(Arc::new(move || now), monotonic);
        options.retention.insert(DatasetId::new("heat"), year);
    });
    tick_until(&mut lake, "the old periods go", |lake| {
        lake.tables[&DatasetId::new("heat")].actor.files().len() < 4
    });
    let snapshot = heat(&mut lake);
    let periods: Vec<&str> = snapshot.files.iter().map(|file| &*file.period).collect();
    assert_eq!(periods, ["2025-02", "2026-02"]);
    // A shorter one counts at once, too.
    let month = Duration::from_secs(31 * 24 * 3_600);
    lake.retain([(DatasetId::new("heat"), month)].into());
    tick_until(&mut lake, "another old period goes", |lake| {
        lake.tables[&DatasetId::new("heat")].actor.files().len() < 2
    });
    assert_eq!(&*heat(&mut lake).files[0].period, "2026-02");
}

#[test]
fn a_refused_declaration_changes_no_table() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), |_| {}));
    let log = |dataset: &str| {
        let log = folder.path().join(dataset).join("_delta_log");
        std::fs::read_dir(log).unwrap().count()
    };
    let before = ["air", "heat"].map(log);
    // `air` comes first and may change its texts; `heat` may not change its grain.
    let mut declarations = declarations();
    let mut change = |id: &str, change: fn(&mut DatasetDeclaration)| {
        let declaration = declarations.datasets.get_mut(&DatasetId::new(id)).unwrap();
        change(Arc::make_mut(declaration));
    };
    change("air", |air| air.title.en.push_str(" of the city"));
    change("heat", |heat| heat.grain = Grain::Day);
    let error = tables(folder.path(), declarations).unwrap_err();
    assert!(
        matches!(&error, LakeError::ForbiddenChange { dataset, .. } if dataset.as_str() == "heat"),
        "{error}"
    );
    assert_eq!(["air", "heat"].map(log), before);
}

#[test]
fn a_declaration_is_checked_against_what_was_committed_after_the_logs_were_read() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), |_| {}));
    let read_early = tables(folder.path(), declarations()).unwrap();
    // Who has the folder until its lock is free makes a column of one table, which may not go again.
    let mut declarations = declarations();
    let heat = declarations.datasets.get_mut(&DatasetId::new("heat"));
    let heat = Arc::make_mut(heat.unwrap());
    heat.columns.push(ColumnDeclaration {
        name: "note".to_owned(),
        required: false,
        column_type: ColumnType::Text,
        ..heat.columns[0].clone()
    });
    let newer = tables(folder.path(), declarations).unwrap();
    drop(Lake::open(LakeOptions::new(Uuid::nil()), newer, Sequence::ZERO).unwrap());
    let files = || FolderStorage::new(folder.path()).list("").unwrap();
    let before = files();
    let error = Lake::open(LakeOptions::new(Uuid::nil()), read_early, Sequence::ZERO).unwrap_err();
    assert!(
        matches!(&error, LakeError::ForbiddenChange { dataset, .. } if dataset.as_str() == "heat"),
        "{error}"
    );
    assert_eq!(files(), before);
}

#[test]
fn a_start_asks_for_each_entry_of_a_table_log_once() {
    let city = InStore::new();
    let open = || {
        let before = city.store.requests();
        let lake = city.open();
        (lake, city.store.requests() - before)
    };
    drop(open());
    let (mut lake, of_a_short_log) = open();
    for sequence in 1..=40 {
        take(&mut lake, sequence, &rows(1, START, sequence as f64));
        lake.commit_all().unwrap();
    }
    drop(lake);
    let (_, of_a_long_log) = open();
    // The opening in between made an entry, too.
    assert_eq!(of_a_long_log - of_a_short_log, 41);
}

#[test]
fn a_stop_while_a_commit_is_under_way_commits_each_row_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| {
        options.limits.compaction = false;
        options.limits.commit_rows_max = 1;
    });
    for round in 0..20 {
        let sequence = 2 * round + 1;
        take(&mut lake, sequence, &rows(50, START, round as f64));
        lake.tick().unwrap();
        // The commit runs on its own thread; these rows replace those that it writes.
        take(
            &mut lake,
            sequence + 1,
            &rows(50, START, round as f64 + 0.5),
        );
        if round % 4 == 3 {
            lake.commit_all().unwrap();
            drop(lake);
            lake = open(folder.path(), |options| {
                options.limits.compaction = false;
                options.limits.commit_rows_max = 1;
            });
        }
    }
    let snapshot = heat(&mut lake);
    assert!(snapshot.hot.is_empty() && snapshot.masks.is_empty());
    let rows_of = |superseded| {
        let files = snapshot.files.iter().filter(|f| f.superseded == superseded);
        files.map(|file| file.rows).sum::<u64>()
    };
    assert_eq!((rows_of(false), rows_of(true)), (50, 39 * 50));
}

/// Something that may happen to a file on the disk, and how it is named.
type Harm = (&'static str, fn(&Path));

fn damages() -> [Harm; 3] {
    [
        ("is missing", |path| std::fs::remove_file(path).unwrap()),
        ("bytes instead of", |path| {
            let content = std::fs::read(path).unwrap();
            std::fs::write(path, &content[..20]).unwrap();
        }),
        ("has other bytes than were written", |path| {
            let mut content = std::fs::read(path).unwrap();
            let middle = content.len() / 2;
            content[4..middle].fill(0xff);
            std::fs::write(path, content).unwrap();
        }),
    ]
}

/// The repair: a commit that takes the file out of the table.
fn take_out(lake: &mut Lake, file: &Arc<LiveFile>) {
    let now_ms = lake.options.clock.now_ms();
    let table = lake.tables.get_mut(&DatasetId::new("heat")).unwrap();
    let job = table
        .actor
        .replace(vec![Arc::clone(file)], Vec::new(), "REPAIR", now_ms)
        .unwrap();
    lake.admit(Outcome::Replace(job.run())).unwrap().unwrap();
}

#[test]
fn a_broken_file_stops_commits_and_look_ups_of_its_rows_until_it_is_repaired() {
    const MONTH: i64 = 31 * 24 * 60 * MINUTE;
    for (what, damage) in damages() {
        let folder = tempfile::tempdir().unwrap();
        let mut lake = open(folder.path(), |options| options.limits.compaction = false);
        take(&mut lake, 1, &rows(20, START, 1.0));
        take(&mut lake, 2, &rows(20, START + MONTH, 1.0));
        take(&mut lake, 3, &rows_of("air", 5, START, 1.0));
        lake.commit_all().unwrap();
        let january = Arc::clone(&heat(&mut lake).files[0]);
        let path = folder.path().join("heat").join(&*january.path);
        // A row of it is replaced before the damage: the commit has to write the file again.
        take(&mut lake, 4, &rows(1, START, 50.0));
        damage(&path);
        take(&mut lake, 5, &rows(1, START + MONTH, 60.0));
        take(&mut lake, 6, &rows_of("air", 5, START + MINUTE, 1.0));
        let named = |error: &LakeError| {
            let text = error.to_string();
            for part in [&*path.to_string_lossy(), what, "meetnet check --repair"] {
                assert!(text.contains(part), "{text} should say {part}");
            }
            assert!(error.needs_a_person() && error.is_of_reading());
        };
        for _ in 0..3 {
            named(&lake.commit_all().unwrap_err());
        }
        // The other dataset has committed; nothing of this one is lost, and nothing was left behind on the disk.
        let air = Arc::clone(&lake.shared().load().tables[&DatasetId::new("air")]);
        assert_eq!((air.files.len(), air.hot.len()), (2, 0));
        assert_eq!(heat(&mut lake).hot.len(), 2);
        let left = 2 - usize::from(what == "is missing");
        assert_eq!(parquet_files(folder.path()), left, "{what}");
        // Rows that must be compared with it wait; others do not.
        let before = heat(&mut lake);
        named(&try_take(&mut lake, 7, &rows(20, START, 2.0)).unwrap_err());
        let after = heat(&mut lake);
        assert_eq!(before.hot.len(), after.hot.len());
        assert_eq!(before.masks, after.masks);
        let applied = try_take(&mut lake, 7, &rows(20, START + MONTH, 2.0)).unwrap();
        assert_eq!(applied.revised, 20);

        take_out(&mut lake, &january);
        lake.commit_all().unwrap();
        let applied = try_take(&mut lake, 8, &rows(20, START, 2.0)).unwrap();
        assert_eq!((applied.revised, applied.inserted), (1, 19));
        lake.commit_all().unwrap();
        assert_eq!(lake.trim_point(), Sequence(8));
        let current = heat(&mut lake);
        let current = current.files.iter().filter(|file| !file.superseded);
        assert_eq!(current.map(|file| file.rows).sum::<u64>(), 40);
    }
}

/// A commit copies the row groups that it does not touch as bytes, under a hash of its own.
#[test]
fn damage_in_a_row_group_that_would_be_copied_is_not_passed_on() {
    use parquet::file::reader::{FileReader, SerializedFileReader};

    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| options.limits.compaction = false);
    take(&mut lake, 1, &rows(50, START, 1.0));
    lake.commit_all().unwrap();
    let file = Arc::clone(&heat(&mut lake).files[0]);
    let path = folder.path().join("heat").join(&*file.path);
    let mut content = std::fs::read(&path).unwrap();
    let reader = SerializedFileReader::new(bytes::Bytes::from(content.clone())).unwrap();
    let last = reader.metadata().row_groups().last().unwrap().clone();
    let (start, length) = last.columns().last().unwrap().byte_range();
    content[(start + length - 1) as usize] ^= 1;
    std::fs::write(&path, &content).unwrap();
    // The first row is in the first group.
    take(&mut lake, 2, &rows(1, START, 50.0));
    let error = lake.commit_all().unwrap_err();
    assert!(error.to_string().contains("has other bytes"), "{error}");
    assert_eq!(heat(&mut lake).files.len(), 1);
    content[(start + length - 1) as usize] ^= 1;
    std::fs::write(&path, &content).unwrap();
    lake.commit_all().unwrap();
}

#[test]
fn a_merge_that_meets_a_broken_file_is_given_up_and_others_are_made() {
    for (what, damage) in damages() {
        let folder = tempfile::tempdir().unwrap();
        let mut lake = open(folder.path(), |options| options.limits.compaction = false);
        for minute in 0..10 {
            let time = START + minute as i64 * MINUTE;
            take(&mut lake, 2 * minute + 1, &rows(5, time, 1.0));
            take(&mut lake, 2 * minute + 2, &rows_of("noise", 5, time, 1.0));
            lake.commit_all().unwrap();
        }
        let broken = Arc::clone(&heat(&mut lake).files[3]);
        damage(&folder.path().join("heat").join(&*broken.path));
        compact(&mut lake);
        let files = |lake: &mut Lake, dataset: &str| {
            lake.publish();
            lake.shared().load().tables[&DatasetId::new(dataset)]
                .files
                .len()
        };
        assert_eq!(files(&mut lake, "heat"), 10, "{what}");
        assert_eq!(files(&mut lake, "noise"), 1, "{what}");
        assert_eq!(lake.compacted().given_up, 1);
        take_out(&mut lake, &broken);
        compact(&mut lake);
        let merged = heat(&mut lake);
        assert_eq!(
            (merged.files.len(), merged.files[0].rows),
            (1, 45),
            "{what}"
        );
    }
}

#[test]
fn a_held_dataset_stays_at_the_frame_before_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| options.limits.compaction = false);
    take(&mut lake, 1, &rows(2, START, 1.0));
    let waiting = rows(2, START + MINUTE, 1.0);
    let from = |sequence: u64| lineage(Sequence(sequence), 10_000 + sequence as i64);
    lake.hold(&waiting, &[from(3)]);
    take(&mut lake, 4, &rows_of("air", 2, START, 1.0));
    lake.commit_all().unwrap();
    let through = |lake: &mut Lake, dataset: &str| {
        lake.publish();
        let shared = lake.shared().load_full();
        let table = &shared.tables[&DatasetId::new(dataset)];
        (table.through.0, table.stable_time == 10_002)
    };
    assert_eq!(through(&mut lake, "heat"), (2, true));
    assert_eq!(through(&mut lake, "air"), (4, false));
    let positions = lake.positions();
    assert_eq!(positions[&DatasetId::new("heat")].1, Sequence(2));
    assert_eq!(positions[&DatasetId::new("air")].1, Sequence(4));
    // The journal keeps what waits.
    assert_eq!(lake.trim_point(), Sequence(2));
    lake.apply(&waiting, &[from(3)], &mut flag).unwrap();
    lake.release(&DatasetId::new("heat"));
    lake.commit_all().unwrap();
    assert_eq!(through(&mut lake, "heat"), (4, false));
    assert_eq!(lake.trim_point(), Sequence(4));
}

#[test]
fn rows_of_ten_years_are_committed_a_few_partitions_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| {
        options.limits.compaction = false;
        options.limits.commit_partitions_max = 8;
        options.limits.commit_rows_max = 100;
    });
    let month = 31 * 24 * 60 * MINUTE;
    for sequence in 1..=120 {
        let time = START - sequence as i64 * month;
        take(&mut lake, sequence, &rows(1, time, 1.0));
    }
    let before = heat(&mut lake).version;
    // The last of them are few and young: they do not wait for their age.
    let heat_id = DatasetId::new("heat");
    tick_until(&mut lake, "all is committed", |lake| {
        lake.tables[&heat_id].actor.hot_rows() == 0
    });
    let snapshot = heat(&mut lake);
    assert_eq!((snapshot.files.len(), snapshot.version - before), (120, 15));
    // Somebody who wants everything committed gets the same commits.
    for sequence in 121..=140 {
        let time = START - sequence as i64 * month;
        take(&mut lake, sequence, &rows(1, time, 1.0));
    }
    lake.commit_all().unwrap();
    assert_eq!(heat(&mut lake).version - snapshot.version, 3);
    assert_eq!(lake.trim_point(), Sequence(140));
}

#[test]
fn erased_rows_leave_every_file_and_a_separate_reader_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| options.limits.compaction = false);
    let id = DatasetId::new("heat");
    for minute in 0..12 {
        take(
            &mut lake,
            minute + 1,
            &rows(20, START + minute as i64 * MINUTE, 1.0),
        );
        lake.commit_all().unwrap();
    }
    take(&mut lake, 13, &rows(20, START, 50.0));
    lake.commit_all().unwrap();
    compact(&mut lake);
    let mut reader = LakeReader::open(Arc::new(FolderStorage::new(folder.path()))).unwrap();
    let before = heat(&mut lake);
    take(&mut lake, 14, &rows(20, START + 20 * MINUTE, 1.0));
    lake.commit_all().unwrap();
    // A merge is under way, and there are hot rows.
    lake.request(UpkeepRequest::Compact(None)).unwrap();
    lake.tick().unwrap();
    take(&mut lake, 15, &rows(20, START + 21 * MINUTE, 1.0));
    // What a repair has put aside goes whole: nobody can say what is in it.
    let aside = folder.path().join("heat/_quarantine/month=2026-01");
    std::fs::create_dir_all(&aside).unwrap();
    std::fs::write(aside.join("broken.parquet"), "no Parquet").unwrap();

    lake.settle().unwrap();
    let select = &mut |batch: &RecordBatch| -> Vec<bool> {
        assert_eq!(batch.num_columns(), 1);
        let ids = batch.column(0).as_string::<i32>().iter();
        ids.map(|id| id == Some("garden-0003")).collect()
    };
    let columns = ["sensor_id"];
    let found = lake.find_rows(&id, &columns, select).unwrap();
    // 14 times, and one that was replaced.
    assert_eq!(found.count(), 15);
    let read = lake.read_found(&found, &["value", "source"]).unwrap();
    assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), 15);
    let erased = lake.erase_rows(&found, &columns, select).unwrap().unwrap();
    assert_eq!((erased.rows, erased.files), (15, 4), "{erased:?}");
    // Inputs of the first merge and the file that lost all its rows, and those that were written again.
    assert!(erased.replaced_files >= 13 + erased.files, "{erased:?}");
    assert!(erased.log_files > 14, "{erased:?}");
    assert!(erased.unreadable_files >= 1, "{erased:?}");
    assert!(!aside.join("broken.parquet").exists());
    let paths = |snapshot: &TableSnapshot| -> Vec<Arc<str>> {
        snapshot.files.iter().map(|f| Arc::clone(&f.path)).collect()
    };
    let rows_of =
        |snapshot: &TableSnapshot| snapshot.files.iter().map(|file| file.rows).sum::<u64>();
    let after = heat(&mut lake);
    assert_eq!(rows_of(&after), 15 * 19);
    for path in before.files.iter().map(|file| &*file.path) {
        assert!(after.is_gone(path) && !before.is_gone(path), "{path}");
    }
    for foreign in [
        "heat.parquet",
        "licence=CC0-1.0/superseded=false/month=2026-01/notes.parquet",
    ] {
        assert!(!after.is_gone(foreign), "{foreign}");
    }
    // It was at a version whose successors are not in the log any more.
    let followed = reader.refresh().unwrap();
    assert_eq!(followed.tables[&id].version, after.version);
    assert_eq!(paths(&followed.tables[&id]), paths(&after));
    // What was given up is begun anew, and a second time there is nothing to do.
    tick_until(&mut lake, "compaction ends", |lake| !lake.is_tending());
    lake.settle().unwrap();
    let found = lake.find_rows(&id, &columns, select).unwrap();
    let again = lake.erase_rows(&found, &columns, select).unwrap().unwrap();
    assert_eq!((again.rows, again.replaced_files), (0, 0), "{again:?}");
    drop(lake);
    let mut lake = open(folder.path(), |_| {});
    assert_eq!(rows_of(&heat(&mut lake)), 15 * 19);
}

/// A commit a minute for a year, sizes only: how many files a partition has, and how often a byte is written again.
#[test]
fn a_trickle_of_a_year_leaves_few_files() {
    let declaration = Arc::clone(&declarations().datasets[&DatasetId::new("heat")]);
    let minute_ms = 60_000;
    let mut files: Vec<Arc<LiveFile>> = Vec::new();
    let (mut written, mut rewritten) = (0_u64, 0_u64);
    let mut next = 0_u64;
    let mut file = |bytes: u64, period: &str, committed_at_ms: i64| {
        next += 1;
        Arc::new(LiveFile {
            path: Arc::from(format!("{next}")),
            run: Arc::from(format!("{next}")),
            part: 0,
            bytes,
            rows: bytes / 10,
            licence: "CC0-1.0".into(),
            superseded: false,
            period: Arc::from(period),
            sha256: Arc::from(""),
            committed_at_ms,
            statistics: BTreeMap::new(),
        })
    };
    for minute in 0..365 * 24 * 60 {
        let now_ms = minute * minute_ms;
        let period = meetnet_model::calendar::period(now_ms * 1_000, declaration.grain);
        let added = file(20_000, &period, now_ms);
        written += added.bytes;
        insert_files(&mut files, &[added], &declaration);
        while let Some(choice) = choose(&files, Effort::Steady, now_ms) {
            let inputs = choice.files();
            let bytes = inputs.iter().map(|file| file.bytes).sum();
            rewritten += bytes;
            files.retain(|file| !inputs.contains(file));
            let merged = file(bytes, &choice.partition.period, now_ms);
            insert_files(&mut files, &[merged], &declaration);
        }
        // Eleven months of one run each, and less than eight runs per size class of the last.
        assert!(files.len() <= 11 + 7 * 7, "{} files", files.len());
    }
    assert_eq!(files.iter().map(|file| file.bytes).sum::<u64>(), written);
    let amplification = rewritten as f64 / written as f64;
    assert!(
        amplification < 6.0,
        "each byte written again {amplification} times"
    );
}
