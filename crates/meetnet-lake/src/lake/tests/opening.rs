//! What a start reads, and which declarations it refuses.

use std::collections::BTreeMap;

use meetnet_model::column::{ColumnDeclaration, ColumnType};
use meetnet_model::dataset::{DatasetDeclaration, Grain};
use meetnet_model::property::PropertyDeclaration;

use super::*;
use crate::journal::{Checkpoint, Recovery};
use crate::storage::TableFolder;
use crate::table::log::TableLog;

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

fn is_pm10(property: &PropertyDeclaration) -> bool {
    property.name == "pm10"
}

/// Declarations with `pm10` of `air` in another unit; none: without it.
fn with_pm10(unit: Option<&str>) -> Declarations {
    let mut declarations = declarations();
    match unit {
        None => declarations.properties.retain(|known| !is_pm10(known)),
        Some(unit) => {
            let mut known = declarations.properties.iter_mut();
            let pm10 = known.find(|known| is_pm10(known)).unwrap();
            Arc::make_mut(pm10).unit = unit.to_owned();
        }
    }
    declarations
}

/// Checks that one dataset, and no other, is to blame for the units of its properties.
fn assert_refused(opened: Result<DeclaredTables, LakeError>, dataset: &str, says: &str) {
    let error = opened.unwrap_err();
    assert!(
        matches!(&error, LakeError::ForbiddenChange { dataset: of, .. } if of.as_str() == dataset),
        "{error}"
    );
    assert!(error.to_string().contains(says), "{error}");
}

fn reopen(root: &Path, declarations: Declarations) {
    let tables = tables(root, declarations).unwrap();
    drop(Lake::open(LakeOptions::new(Uuid::nil()), tables, Sequence::ZERO).unwrap());
}

fn stored_units(root: &Path, dataset: &str) -> BTreeMap<String, String> {
    let folder = TableFolder::new(Arc::new(FolderStorage::new(root)), dataset);
    TableLog::open(&folder)
        .unwrap()
        .unwrap()
        .property_units()
        .unwrap()
}

#[test]
fn a_property_keeps_its_unit_also_where_it_was_gone() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    reopen(root, declarations());
    let files = || FolderStorage::new(root).list("").unwrap();
    let changed = "the unit of property `pm10` changed from ug/m3 to mg/m3";
    let before = files();
    assert_refused(tables(root, with_pm10(Some("mg/m3"))), "air", changed);
    // The same again is no change, and writes nothing.
    reopen(root, declarations());
    assert_eq!(files(), before);
    // Gone, its rows stay.
    reopen(root, with_pm10(None));
    assert_eq!(stored_units(root, "air")["pm10"], "ug/m3");
    assert_refused(tables(root, with_pm10(Some("mg/m3"))), "air", changed);
    reopen(root, declarations());
    // What is made of it has values in its unit as well.
    std::fs::remove_dir_all(root.join("air")).unwrap();
    assert_refused(tables(root, with_pm10(Some("mg/m3"))), "air_daily", changed);
    assert_eq!(stored_units(root, "air_daily")["pm10"], "ug/m3");
    assert!(stored_units(root, "traffic").is_empty());
}

#[test]
fn a_table_takes_the_units_of_properties_that_it_has_not_had() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    // One of before units were kept.
    let mut none = declarations();
    none.properties.clear();
    reopen(root, none);
    assert!(stored_units(root, "air").is_empty());
    reopen(root, with_pm10(None));
    assert!(!stored_units(root, "air").contains_key("pm10"));
    reopen(root, with_pm10(Some("mg/m3")));
    assert_eq!(stored_units(root, "air")["pm10"], "mg/m3");
    let changed = "the unit of property `pm10` changed from mg/m3 to ug/m3";
    assert_refused(tables(root, declarations()), "air", changed);
}

#[test]
fn who_only_reads_is_refused_other_units_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn LakeStorage> = Arc::new(FolderStorage::new(folder.path()));
    let check = |declarations: &Declarations| check_property_units(&storage, declarations);
    assert!(check(&declarations()).is_ok(), "there is no lake yet");
    reopen(folder.path(), declarations());
    let mut other = with_pm10(None);
    let heat = other.datasets.get_mut(&DatasetId::new("heat")).unwrap();
    Arc::make_mut(heat).grain = Grain::Day;
    assert!(check(&other).is_ok());
    let error = check(&with_pm10(Some("mg/m3"))).unwrap_err();
    assert!(
        matches!(&error, LakeError::ForbiddenChange { dataset, .. } if dataset.as_str() == "air"),
        "{error}"
    );
}

#[test]
fn the_unit_of_a_new_property_is_in_the_tables_before_its_frame() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let options = LakeOptions {
        background: false,
        ..LakeOptions::new(Uuid::nil())
    };
    let read = tables(root, with_pm10(None)).unwrap();
    let mut lake = Lake::open(options, read, Sequence::ZERO).unwrap();
    let air = |sequence: u64| rows_of("air", 3, START, sequence as f64);
    take(&mut lake, 1, &air(1));
    lake.prepare(&declarations()).unwrap();
    for dataset in ["air", "air_hourly"] {
        assert_eq!(stored_units(root, dataset)["pm10"], "ug/m3", "{dataset}");
    }
    // Whoever starts after a crash from here on, with whatever configuration.
    let changed = "the unit of property `pm10` changed from ug/m3 to mg/m3";
    assert_refused(tables(root, with_pm10(Some("mg/m3"))), "air", changed);
    let error = lake.prepare(&with_pm10(Some("mg/m3"))).unwrap_err();
    assert!(
        matches!(&error, LakeError::ForbiddenChange { .. }),
        "{error}"
    );
    // What was hot is in files, and what comes is taken as ever.
    take(&mut lake, 2, &air(2));
    lake.redeclare(&declarations()).unwrap();
    take(&mut lake, 3, &air(3));
    lake.commit_all().unwrap();
    let snapshot = lake.shared().load_full();
    let table = &snapshot.tables[&DatasetId::new("air")];
    let of = |superseded: bool| -> u64 {
        let files = table.files.iter();
        let files = files.filter(|file| file.superseded == superseded);
        files.map(|file| file.rows).sum()
    };
    assert_eq!((of(false), of(true), table.hot.len()), (3, 6, 0));
}

#[test]
fn a_frame_that_nobody_prepared_gives_tables_the_units_too() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let read = tables(root, with_pm10(None)).unwrap();
    let mut lake = Lake::open(LakeOptions::new(Uuid::nil()), read, Sequence::ZERO).unwrap();
    lake.redeclare(&declarations()).unwrap();
    assert_eq!(stored_units(root, "air")["pm10"], "ug/m3");
    let error = lake.redeclare(&with_pm10(Some("mg/m3"))).unwrap_err();
    assert!(
        matches!(&error, LakeError::ForbiddenChange { .. }),
        "{error}"
    );
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
fn a_bucket_that_lacks_what_the_journal_knows_of_is_refused_before_it_is_claimed() {
    let city = InStore::new();
    let mut lake = city.open();
    for sequence in 1..=3 {
        take(&mut lake, sequence, &rows(1, START, sequence as f64));
        lake.commit_all().unwrap();
    }
    let newest = lake.positions()[&DatasetId::new("heat")].0;
    let checkpoint = Checkpoint {
        datasets: lake.positions(),
        ..Checkpoint::default()
    };
    drop(lake);
    let recovery = Recovery {
        checkpoint: Some(checkpoint),
        ..Recovery::default()
    };
    let known = KnownTables::found(&recovery, Uuid::nil());
    let refused = || city.open_knowing(known.clone()).unwrap_err();
    let storage = city.storage();
    let entry = |version: u64| format!("heat/_delta_log/{version:020}.json");
    let mark = || storage.read("_meetnet/writer.json").unwrap();
    let before = mark();
    let taken = storage.read(&entry(newest)).unwrap();
    storage.remove(&entry(newest)).unwrap();
    let error = refused();
    assert!(matches!(error, LakeError::LostTables { .. }), "{error}");
    storage.put_if_absent(&entry(newest), &taken).unwrap();
    let hole = storage.read(&entry(newest - 1)).unwrap();
    storage.remove(&entry(newest - 1)).unwrap();
    let error = refused();
    assert!(matches!(error, LakeError::MissingEntry { .. }), "{error}");
    assert_eq!(mark(), before);
    storage.put_if_absent(&entry(newest - 1), &hole).unwrap();
    drop(city.open_knowing(known.clone()).unwrap());
    assert_ne!(mark(), before);
    // Another bucket.
    let other = InStore::new();
    let error = other.open_knowing(known).unwrap_err();
    assert!(matches!(error, LakeError::LostTables { .. }), "{error}");
    assert!(other.storage().list("").unwrap().is_empty());
}

/// Position and stable time of `heat`, its current rows in files, those masked among them, and its hot rows.
fn shown(snapshot: &LakeSnapshot) -> (u64, i64, u64, usize, usize) {
    let heat = &snapshot.tables[&DatasetId::new("heat")];
    let current = heat.files.iter().filter(|file| !file.superseded);
    let masked = heat.masks.values().map(|mask| mask.rows.len());
    let hot = heat.hot.iter().map(|hot| hot.batch.num_rows());
    (
        heat.through.0,
        heat.stable_time,
        current.map(|file| file.rows).sum(),
        masked.sum(),
        hot.sum(),
    )
}

#[test]
fn what_is_committed_is_shown_before_the_lake_is_open_and_a_replay_never_goes_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| options.background = false);
    // Each revises the one before.
    for sequence in 1..=3 {
        take(&mut lake, sequence, &rows(1, START, sequence as f64));
    }
    lake.commit_all().unwrap();
    take(&mut lake, 4, &rows(1, START, 4.0));
    // With the fourth in memory alone.
    drop(lake);
    let read = tables(folder.path(), declarations()).unwrap();
    let committed = read.committed().unwrap();
    assert_eq!(committed.tables.len(), declarations().datasets.len());
    let at_first = (3, recorded_at(3), 1, 0, 0);
    assert_eq!(shown(&committed), at_first);
    let shared = Arc::new(ArcSwap::from_pointee(committed));
    let options = LakeOptions {
        shared: Some(Arc::clone(&shared)),
        background: false,
        ..LakeOptions::new(Uuid::nil())
    };
    // The journal was never trimmed: all of it is met again.
    let mut lake = Lake::open(options, read, Sequence::ZERO).unwrap();
    for sequence in 1..=4 {
        lake.publish();
        assert_eq!(shown(&shared.load()), at_first, "before frame {sequence}");
        take(&mut lake, sequence, &rows(1, START, sequence as f64));
    }
    lake.publish();
    assert_eq!(shown(&shared.load()), (4, recorded_at(4), 1, 1, 1));
}

#[test]
fn a_dataset_that_is_declared_no_more_is_not_shown_in_a_replay() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), |_| {}));
    let mut fewer = declarations();
    fewer.datasets.retain(|id, _| id.as_str() != "heat");
    let read = tables(folder.path(), fewer.clone()).unwrap();
    let options = LakeOptions {
        background: false,
        ..LakeOptions::new(Uuid::nil())
    };
    let mut lake = Lake::open(options, read, Sequence::ZERO).unwrap();
    let is_shown = |lake: &Lake| {
        let snapshot = lake.shared().load_full();
        snapshot.tables.contains_key(&DatasetId::new("heat"))
    };
    // The tail of the journal still has rows of it.
    lake.open_missing(&declarations()).unwrap();
    take(&mut lake, 1, &rows(1, START, 1.0));
    lake.publish();
    assert!(!is_shown(&lake));
    // To name a source it is opened again.
    let id = DatasetId::new("heat");
    lake.name_source(&id, &"CC0-1.0".into(), "School").unwrap();
    lake.publish();
    assert!(!is_shown(&lake));
    lake.redeclare(&fewer).unwrap();
    lake.commit_all().unwrap();
    assert!(!is_shown(&lake));
    assert_eq!(parquet_files(folder.path()), 1, "it was acknowledged");
}
