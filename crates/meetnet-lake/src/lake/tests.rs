//! A lake as the pipeline drives it: upkeep in the background, files that stay few, and files that go.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int8Array, Int64Array, RecordBatch};
use meetnet_model::dataset::{DatasetDeclaration, Grain};
use meetnet_model::declarations::Declarations;
use meetnet_model::rows::{DatasetRows, RowsBuilder};
use meetnet_model::schemas;

use super::*;
use crate::actor::insert_files;
use crate::compact::{Effort, choose};
use crate::snapshot::LiveFile;
use crate::storage::FolderStorage;

/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000_000;
const MINUTE: i64 = 60_000_000;

fn declarations() -> Declarations {
    schemas::builtin().into_declarations([])
}

fn open(root: &Path, change: impl FnOnce(&mut LakeOptions)) -> Lake {
    let mut options = LakeOptions::new(Arc::new(FolderStorage::new(root)), Uuid::nil());
    change(&mut options);
    Lake::open(options, &declarations(), Sequence::ZERO).unwrap()
}

fn flag(_: &DatasetDeclaration, rows: &RecordBatch, _: &[u32]) -> (Int8Array, Int64Array) {
    (
        Int8Array::from_iter_values(std::iter::repeat_n(1, rows.num_rows())),
        Int64Array::from_iter_values(std::iter::repeat_n(0, rows.num_rows())),
    )
}

/// Rows of `heat`: `sensors` sensors at one time.
fn rows(sensors: u32, time: i64, value: f64) -> DatasetRows {
    let declaration = Arc::clone(&declarations().datasets[&DatasetId::new("heat")]);
    let index = |name: &str| declaration.column_index(name).unwrap();
    let columns = ["sensor_id", "property", "time", "value"].map(index);
    let mut builder = RowsBuilder::new(declaration);
    for sensor in 0..sensors {
        builder.set_text(columns[0], &format!("garden-{sensor:04}"));
        builder.set_text(columns[1], "air_temperature");
        builder.set_int(columns[2], time);
        builder.set_float(columns[3], value + f64::from(sensor % 7));
        builder.finish_row(0).unwrap();
    }
    builder.take()
}

/// Applies one frame.
fn take(lake: &mut Lake, sequence: u64, rows: &DatasetRows) {
    let recorded_at = START + 400 * 24 * 60 * MINUTE + sequence as i64;
    let lineage = [Lineage {
        sequence: Sequence(sequence),
        received_at: recorded_at,
        recorded_at,
        source: "garden".into(),
        licence: "CC0-1.0".into(),
        precedence: 0,
    }];
    lake.apply(rows, &lineage, &mut flag).unwrap();
    lake.advance(Sequence(sequence), recorded_at);
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
    let folder = tempfile::tempdir().unwrap();
    let now = now_ms() * 1_000;
    let month = 31 * 24 * 60 * MINUTE;
    {
        let mut lake = open(folder.path(), |options| options.limits.compaction = false);
        for (sequence, age) in (1..).zip([20, 10, 1, 0]) {
            take(&mut lake, sequence, &rows(3, now - age * month, 1.0));
        }
        lake.commit_all().unwrap();
        assert_eq!(heat(&mut lake).files.len(), 4);
    }
    let year = Duration::from_secs(365 * 24 * 3_600);
    let mut lake = open(folder.path(), |options| {
        options.retention.insert(DatasetId::new("heat"), year);
    });
    tick_until(&mut lake, "the old period goes", |lake| {
        lake.tables[&DatasetId::new("heat")].actor.files().len() == 3
    });
    let snapshot = heat(&mut lake);
    let oldest = snapshot
        .files
        .iter()
        .map(|file| file.period.to_string())
        .min();
    assert!(oldest.unwrap() > meetnet_model::calendar::period(now - 19 * month, Grain::Month));
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
    let options = LakeOptions::new(Arc::new(FolderStorage::new(folder.path())), Uuid::nil());
    let error = Lake::open(options, &declarations, Sequence::ZERO).unwrap_err();
    assert!(
        matches!(&error, LakeError::ForbiddenChange { dataset, .. } if dataset.as_str() == "heat"),
        "{error}"
    );
    assert_eq!(["air", "heat"].map(log), before);
}

/// A commit a minute for a year, sizes only: how many files a partition has, and how often a byte is written again.
#[test]
fn a_trickle_of_a_year_leaves_few_files() {
    let declaration = Arc::clone(&declarations().datasets[&DatasetId::new("heat")]);
    let minute_ms = 60_000;
    let mut files: Vec<Arc<LiveFile>> = Vec::new();
    let (mut most, mut written, mut rewritten) = (0, 0_u64, 0_u64);
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
        most = most.max(files.len());
    }
    // Eleven months of one run each, and less than eight runs per size class of the last.
    assert!(most <= 11 + 7 * 7, "{most} files");
    assert_eq!(files.iter().map(|file| file.bytes).sum::<u64>(), written);
    let amplification = rewritten as f64 / written as f64;
    assert!(
        amplification < 6.0,
        "each byte written again {amplification} times"
    );
}
