//! Rows that are erased.

use arrow::array::{AsArray, RecordBatch};

use super::*;

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
