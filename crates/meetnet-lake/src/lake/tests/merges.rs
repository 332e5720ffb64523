//! Merges step by step: no thread decides what comes between two of them.

use super::*;

/// A lake with runs to merge, five sensors each.
fn lake_with_runs(root: &Path, datasets: &[&str]) -> Lake {
    let mut lake = open(root, |options| {
        options.background = false;
        options.limits.compaction = false;
    });
    let mut sequence = 0;
    for minute in 0..10 {
        for dataset in datasets {
            sequence += 1;
            let rows = rows_of(dataset, 5, START + minute * MINUTE, 1.0);
            take(&mut lake, sequence, &rows);
        }
        lake.commit_all().unwrap();
    }
    lake
}

/// Does everything that is asked for.
fn tend(lake: &mut Lake) {
    for _ in 0..100 {
        lake.tick().unwrap();
        let ran = [lake.run_upkeep_job(), lake.run_commit_job()];
        if !lake.is_tending() && ran == [false; 2] {
            return;
        }
    }
    panic!("it comes to no end");
}

fn files(lake: &mut Lake, dataset: &str) -> usize {
    lake.publish();
    lake.shared().load().tables[&DatasetId::new(dataset)]
        .files
        .len()
}

#[test]
fn one_merge_runs_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = lake_with_runs(folder.path(), &["heat", "noise"]);
    lake.request(UpkeepRequest::Compact(None)).unwrap();
    for _ in 0..2 {
        // However often it is looked for, until what was merged is in the table nothing else is.
        for _ in 0..3 {
            lake.tick().unwrap();
        }
        assert!(lake.run_upkeep_job() && !lake.run_upkeep_job());
        for _ in 0..3 {
            lake.tick().unwrap();
        }
        assert!(!lake.run_upkeep_job());
        assert!(lake.run_commit_job() && !lake.run_commit_job());
    }
    tend(&mut lake);
    let compacted = lake.compacted();
    assert_eq!((compacted.merges, compacted.given_up), (2, 0));
    assert_eq!(
        ["heat", "noise"].map(|dataset| files(&mut lake, dataset)),
        [1, 1]
    );
}

#[test]
fn the_memory_of_a_merge_counts_until_it_has_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = lake_with_runs(folder.path(), &["heat"]);
    assert_eq!(lake.merge_bytes(), 0);
    lake.request(UpkeepRequest::Compact(None)).unwrap();
    lake.tick().unwrap();
    // What inflates ten runs, and few rows.
    assert_eq!(lake.merge_bytes() >> 20, 12);
    assert!(lake.run_upkeep_job());
    lake.tick().unwrap();
    assert_eq!(lake.merge_bytes(), 0, "it waits for the table log only");
    assert!(lake.run_commit_job());
    tend(&mut lake);
    assert_eq!((lake.compacted().merges, lake.merge_bytes()), (1, 0));
}

#[test]
fn the_memory_of_a_merge_that_was_cancelled_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = lake_with_runs(folder.path(), &["heat"]);
    lake.request(UpkeepRequest::Compact(None)).unwrap();
    lake.tick().unwrap();
    assert!(lake.merge_bytes() > 0);
    // Nothing runs in the background afterwards.
    lake.settle().unwrap();
    assert_eq!((lake.compacted().merges, lake.merge_bytes()), (0, 0));
    tend(&mut lake);
    assert_eq!((lake.compacted().merges, lake.merge_bytes()), (1, 0));
}

#[test]
fn merges_that_are_put_off_are_made_once_they_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = open(folder.path(), |options| options.background = false);
    lake.put_merges_off(true);
    for sequence in 1..=9 {
        let time = START + sequence as i64 * MINUTE;
        take(&mut lake, sequence, &rows(5, time, 1.0));
        lake.commit_all().unwrap();
        lake.tick().unwrap();
        assert!(!lake.run_upkeep_job(), "after {sequence} commits");
    }
    lake.put_merges_off(false);
    tend(&mut lake);
    assert_eq!((lake.compacted().merges, files(&mut lake, "heat")), (1, 1));
}

#[test]
fn a_merge_whose_input_was_written_again_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = lake_with_runs(folder.path(), &["heat"]);
    lake.request(UpkeepRequest::Compact(None)).unwrap();
    lake.tick().unwrap();
    assert!(lake.run_upkeep_job());
    // The merge is done, and holds the row that this commit replaces as a current one.
    take(&mut lake, 11, &rows(1, START, 50.0));
    lake.commit_all().unwrap();
    for _ in 0..3 {
        lake.tick().unwrap();
    }
    assert!(!lake.run_upkeep_job() && !lake.run_commit_job());
    let compacted = lake.compacted();
    assert_eq!((compacted.merges, compacted.given_up), (0, 1));
    let rows_of = |lake: &mut Lake, superseded| {
        let snapshot = heat(lake);
        let files = snapshot.files.iter().filter(|f| f.superseded == superseded);
        files.map(|file| file.rows).sum::<u64>()
    };
    assert_eq!(
        [false, true].map(|superseded| rows_of(&mut lake, superseded)),
        [50, 1]
    );
    // Nothing of it is left: ten files, one written again, one of the new row, one of the replaced one.
    assert_eq!(parquet_files(folder.path()), 13);
    lake.request(UpkeepRequest::Compact(None)).unwrap();
    tend(&mut lake);
    assert_eq!(
        [false, true].map(|superseded| rows_of(&mut lake, superseded)),
        [50, 1]
    );
    assert_eq!((lake.compacted().merges, files(&mut lake, "heat")), (1, 2));
}

#[test]
fn a_file_that_reads_well_and_is_not_what_was_committed_is_not_merged() {
    let folder = tempfile::tempdir().unwrap();
    let mut lake = lake_with_runs(folder.path(), &["heat"]);
    let file = Arc::clone(&heat(&mut lake).files[3]);
    let path = folder.path().join("heat").join(&*file.path);
    let mut content = std::fs::read(&path).unwrap();
    // The licence in its footer, which no reader of rows looks at.
    let licence = content.windows(7).rposition(|bytes| bytes == b"CC0-1.0");
    content[licence.unwrap()] = b'c';
    std::fs::write(&path, content).unwrap();
    lake.request(UpkeepRequest::Compact(None)).unwrap();
    tend(&mut lake);
    let compacted = lake.compacted();
    assert_eq!((compacted.merges, compacted.failed), (0, 1));
    assert_eq!(files(&mut lake, "heat"), 10);
}
