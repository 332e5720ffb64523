//! Where the rows of a run are cut into files.

use super::*;
use crate::compact::files_by_run;
use crate::testing::{City, START};

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
