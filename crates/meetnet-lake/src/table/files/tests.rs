//! Where the rows of a run are cut into files.

use meetnet_model::ids::Sequence;
use meetnet_testkit::garden;

use super::*;
use crate::compact::files_by_run;
use crate::testing::{City, MINUTE, START, flag, lineage};

#[test]
fn a_file_is_full_at_its_most_bytes_or_rows() {
    let check = |bytes: u64, rows: usize, expected: bool| {
        assert_eq!(is_full(bytes, rows), expected, "{bytes} bytes, {rows} rows");
    };
    check(0, 0, false);
    check((64 << 20) - 1, FILE_ROWS_MAX - 1, false);
    check(64 << 20, 1, true);
    check(1, FILE_ROWS_MAX, true);
}

#[test]
fn a_run_of_many_rows_is_cut_into_files_that_do_not_overlap() {
    let folder = tempfile::tempdir().unwrap();
    let mut city = City::open(folder.path(), |_| {});
    city.take(FILE_ROWS_MAX as u32 + 1_001, START, 1.0);
    city.commit();
    let runs = files_by_run(&city.snapshot().files);
    assert_eq!(runs.len(), 1);
    let rows: Vec<u64> = runs[0].iter().map(|file| file.rows).collect();
    assert_eq!(rows, [FILE_ROWS_MAX as u64, 1_001]);
    let of = |file: usize| &runs[0][file].statistics["sensor_id"];
    assert!(of(0).max.is_some() && of(0).max < of(1).min);
}

/// An import is encoded by two threads, a commit of what has arrived by one.
#[test]
fn what_two_threads_encode_is_what_one_does() {
    let readings = (0..50_u32).flat_map(|garden| {
        let reading = move |minute: i64| (garden, START + minute * MINUTE, (minute % 7) as f64);
        (0..20).map(reading)
    });
    let rows = garden::rows(readings);
    let lineage = [lineage(Sequence(1_000), START)];
    let files = |is_import: bool| -> Vec<Arc<str>> {
        let folder = tempfile::tempdir().unwrap();
        let mut city = City::open(folder.path(), |_| {});
        city.lake.advance(Sequence(1_000), START);
        if is_import {
            let imported = city
                .lake
                .import("an import", 1_000, &rows, &lineage, &mut flag);
            assert_eq!(imported.unwrap().inserted, 1_000);
        } else {
            city.lake.apply(&rows, &lineage, &mut flag).unwrap();
            city.commit();
        }
        let snapshot = city.snapshot();
        let hashes = snapshot.files.iter().map(|file| Arc::clone(&file.sha256));
        hashes.collect()
    };
    let arrived = files(false);
    assert_eq!(arrived.len(), 1);
    assert_eq!(files(true), arrived);
}

#[test]
fn a_file_of_few_rows_has_them_all_and_says_its_schema_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut city = City::open(folder.path(), |_| {});
    city.take(3, START, 1.0);
    city.commit();
    let snapshot = city.snapshot();
    let file = &snapshot.files[0];
    let input = crate::damage::open(&snapshot.folder, file, crate::storage::Access::Pages).unwrap();
    let footer = crate::table::read::load_footer(&input).unwrap();
    let of_file = footer.metadata().file_metadata();
    assert_eq!(of_file.num_rows(), 3);
    let pairs = of_file.key_value_metadata().unwrap();
    let said: Vec<&str> = pairs.iter().map(|pair| pair.key.as_str()).collect();
    assert!(said.contains(&"meetnet.dataset"), "{said:?}");
    assert!(!said.contains(&"ARROW:schema"), "{said:?}");
    let expected = snapshot.declaration.file_schema();
    assert_eq!(footer.schema().fields(), expected.fields());
}
