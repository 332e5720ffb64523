use super::*;

#[test]
fn a_copy_shares_parquet_files_and_nothing_else() {
    let lake = tempfile::tempdir().unwrap();
    let log = lake.path().join("heat/_delta_log");
    fs::create_dir_all(&log).unwrap();
    fs::create_dir_all(lake.path().join("air")).unwrap();
    fs::write(lake.path().join("heat/rows.parquet"), "rows").unwrap();
    fs::write(log.join("0.json"), "version 0").unwrap();

    let copy = tempfile::tempdir().unwrap();
    copy_tables(lake.path(), copy.path(), &["heat"]).unwrap();
    fs::write(copy.path().join("heat/_delta_log/0.json"), "changed").unwrap();
    fs::remove_file(copy.path().join("heat/rows.parquet")).unwrap();

    let text = |path: &Path| fs::read_to_string(path).unwrap();
    assert_eq!(text(&log.join("0.json")), "version 0");
    assert_eq!(text(&lake.path().join("heat/rows.parquet")), "rows");
    assert!(!copy.path().join("air").exists());
}

#[test]
fn the_parquet_files_of_a_copy_take_no_space() {
    use std::os::unix::fs::MetadataExt;

    let lake = tempfile::tempdir().unwrap();
    fs::create_dir_all(lake.path().join("heat/month=2026-01")).unwrap();
    let file = lake.path().join("heat/month=2026-01/rows.parquet");
    fs::write(&file, "rows").unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_tables(lake.path(), copy.path(), &["heat"]).unwrap();
    let copied = copy.path().join("heat/month=2026-01/rows.parquet");
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(&file), inode(&copied));
}
