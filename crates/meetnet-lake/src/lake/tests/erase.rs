//! Rows that are erased.

use arrow::array::{AsArray, RecordBatch};
use meetnet_model::derivation::ConditionValue;
use serde_json::json;

use super::*;
use crate::storage::TableFolder;
use crate::table::actions::Action;
use crate::table::log::{Committed, TableLog, commit_info};

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

/// Whether a text stands in a file of the log of `heat_hourly`.
fn is_logged(root: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(root.join("heat_hourly/_delta_log")).unwrap();
    let mut paths = files.map(|file| file.unwrap().path());
    paths.any(|path| {
        let bytes = std::fs::read(path).unwrap();
        let mut parts = bytes.windows(text.len());
        parts.any(|part| part == text.as_bytes())
    })
}

#[test]
fn the_sensor_that_others_are_compared_with_is_not_in_the_log() {
    const SENSOR: &str = "garden-0003";
    let folder = tempfile::tempdir().unwrap();
    let id = DatasetId::new("heat_hourly");
    let compared = |sensor: &str| {
        let mut declarations = declarations();
        let hours = Arc::make_mut(declarations.datasets.get_mut(&id).unwrap());
        let derivation = hours.derive.as_mut().unwrap();
        derivation.reference = Some(ConditionValue::Text(sensor.to_owned()));
        declarations
    };
    let open = |sensor: &str| {
        let tables = tables(folder.path(), compared(sensor)).unwrap();
        Lake::open(LakeOptions::new(Uuid::nil()), tables, Sequence::ZERO).unwrap()
    };
    let version = |lake: &Lake| lake.tables[&id].actor.version();
    let lake = open(SENSOR);
    assert!(!is_logged(folder.path(), SENSOR));
    // An erasure asks the lake whose rows are compared.
    let declared = Arc::clone(lake.tables[&id].actor.declaration());
    let reference = &declared.derive.as_ref().unwrap().reference;
    assert_eq!(*reference, Some(ConditionValue::Text(SENSOR.to_owned())));
    drop(lake);
    // Another one changes nothing in the table.
    assert_eq!(version(&open("garden-0004")), 0);

    // As a table was before: its next start takes it out, and an erasure removes what was said.
    let storage: Arc<dyn LakeStorage> = Arc::new(FolderStorage::new(folder.path()));
    let table = TableFolder::new(storage, "heat_hourly");
    let mut log = TableLog::open(&table).unwrap().unwrap();
    let changed = log.changed_metadata(&declared, &log.property_units().unwrap());
    let Action::MetaData(mut metadata) = changed else {
        panic!("{changed:?}");
    };
    let text = serde_json::to_string(&*declared).unwrap();
    let configuration = &mut metadata.configuration;
    configuration.insert("meetnet.declaration".to_owned(), text);
    let info = commit_info("SET DECLARATION", 0, json!({}));
    let committed = log.commit(vec![info, Action::MetaData(metadata)], 0);
    assert!(matches!(committed, Committed::Done), "{committed:?}");
    let mut lake = open(SENSOR);
    assert_eq!(version(&lake), 2);
    assert!(is_logged(folder.path(), SENSOR));
    lake.settle().unwrap();
    let select = &mut |batch: &RecordBatch| -> Vec<bool> { vec![false; batch.num_rows()] };
    let found = lake.find_rows(&id, &["sensor_id"], select).unwrap();
    let erased = lake.erase_rows(&found, &["sensor_id"], select);
    assert!(erased.unwrap().unwrap().log_files > 0);
    assert!(!is_logged(folder.path(), SENSOR));
}
