//! What a merge holds in memory, however large the partition is.

use std::sync::Arc;

use super::*;
use crate::keys::KeyCodec;
use crate::snapshot::LiveFile;
use crate::testing::{City, MINUTE, START, declaration};

/// Rows of an output batch: those that are gathered, and what the last run adds to them at once.
const BATCH_ROWS_MAX: usize = 17_500;
/// Runs of one merge.
const RUNS_MAX: usize = 64;

/// Merges all files of a city's table; returns its rows.
fn merged_rows(city: &mut City) -> usize {
    let declaration = declaration();
    let codec = KeyCodec::new(&declaration).unwrap();
    let snapshot = city.snapshot();
    let input = MergeInput {
        folder: &snapshot.folder,
        declaration: &declaration,
        codec: &codec,
        schema: declaration.file_schema(),
        verify: true,
    };
    let mut merge = Merge::new(input, &files_by_run(&snapshot.files)).unwrap();
    let mut rows = 0;
    while let Some(batch) = merge.next_batch().unwrap() {
        assert!(batch.num_rows() <= BATCH_ROWS_MAX, "{}", batch.num_rows());
        rows += batch.num_rows();
    }
    rows
}

#[test]
fn a_merge_holds_few_rows_of_each_run_in_memory() {
    // Rows that alternate between two runs, and a long stretch of one.
    for (of_first, of_second) in [(20_000, 20_000), (40_000, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let mut city = City::open(folder.path(), |_| {});
        for (minute, sensors) in [of_first, of_second].into_iter().enumerate() {
            city.take(sensors, START + minute as i64 * MINUTE, 1.0);
            city.commit();
        }
        assert_eq!(merged_rows(&mut city), (of_first + of_second) as usize);
    }
}

/// A run of one file, committed so many milliseconds before 1970.
fn run(number: u64, bytes: u64, rows: u64) -> Arc<LiveFile> {
    Arc::new(LiveFile {
        path: number.to_string().into(),
        run: number.to_string().into(),
        part: 0,
        bytes,
        rows,
        licence: "CC0-1.0".into(),
        superseded: false,
        period: "2026-01".into(),
        sha256: "".into(),
        committed_at_ms: -(number as i64),
        statistics: Default::default(),
    })
}

#[test]
fn where_something_else_is_more_urgent_runs_are_merged_before_there_are_too_many() {
    let day_ms = 24 * 3_600_000;
    for count in 1..=RUNS_MAX {
        let files: Vec<_> = (0..count as u64)
            .map(|number| run(number, 20_000, 1))
            .collect();
        // Also of a partition that nothing has been added to for long.
        for now_ms in [0, day_ms] {
            let merged = |effort| choose(&files, effort, now_ms).map(|choice| choice.runs.len());
            let most = (count == RUNS_MAX).then_some(count);
            assert_eq!(merged(Effort::Least), most, "of {count}");
            let is_quiet = now_ms > 0 && count > 1;
            let of_a_class = (count >= 8).then_some(count.min(16));
            let steady = if is_quiet { Some(count) } else { of_a_class };
            assert_eq!(merged(Effort::Steady), steady, "of {count}");
        }
    }
}

#[test]
fn of_many_runs_each_has_few_rows_in_memory() {
    for (runs, rows) in [
        (0, 4_096),
        (1, 4_096),
        (16, 4_096),
        (32, 4_096),
        (64, 2_048),
        (400, 327),
        (9_999, 256),
    ] {
        assert_eq!(merge::batch_rows(runs), rows, "{runs} runs");
    }
}

/// Runs of one file each, the largest the oldest.
fn runs(count: u64, rows: u64) -> Vec<Arc<LiveFile>> {
    (0..count)
        .map(|number| run(number, 1_000 * (1 + number), rows))
        .collect()
}

#[test]
fn a_merge_of_long_runs_takes_fewer_of_them() {
    // Beside messages, what inflates them counts: the longest are as many as make a run of the next size class.
    for (rows, steady, full) in [
        (4_000_000, 8, 13),
        (262_144, 8, 13),
        (200_000, 10, 17),
        (50_000, 16, 64),
    ] {
        for (effort, taken) in [(Effort::Steady, steady), (Effort::Full, full)] {
            let choice = choose(&runs(200, rows), effort, 0).unwrap();
            assert_eq!(choice.runs.len(), taken, "{rows} rows, {effort:?}");
            let largest = choice.files().iter().map(|file| file.bytes).max();
            assert_eq!(
                largest,
                Some(1_000 * choice.runs.len() as u64),
                "the smallest"
            );
        }
    }
}

#[test]
fn the_memory_of_a_merge_grows_with_its_runs_and_not_with_their_length() {
    let mib = |count: u64, rows: u64| {
        let choice = choose(&runs(count, rows), Effort::Full, 0).unwrap();
        assert_eq!(choice.runs.len() as u64, count);
        choice.bytes() >> 20
    };
    // What inflates two short runs; beside it pages, rows and a row group of long ones, however long they are.
    assert_eq!(mib(2, 10), 2);
    assert_eq!(mib(8, 10), 10);
    assert_eq!(mib(8, 262_144), 52);
    assert_eq!(mib(8, 4_000_000), 52);
    assert_eq!(mib(13, 4_000_000), 75);
}

#[test]
fn a_merge_takes_few_runs_and_the_smallest() {
    let files = runs(200, 1);
    let choice = choose(&files, Effort::Full, 0).unwrap();
    assert_eq!(choice.runs.len(), RUNS_MAX);
    let largest = choice.files().iter().map(|file| file.bytes).max();
    assert_eq!(largest, Some(1_000 * RUNS_MAX as u64));
    let ages = choice.files().into_iter().map(|file| file.committed_at_ms);
    assert!(ages.is_sorted(), "oldest first");
}

#[test]
fn of_partitions_with_many_runs_the_one_with_most_has_its_turn() {
    let mut files = runs(31, 1);
    let of_next = files[..16].iter().map(|file| {
        Arc::new(LiveFile {
            period: "2026-02".into(),
            ..LiveFile::clone(file)
        })
    });
    let of_next: Vec<_> = of_next.collect();
    files.extend(of_next);
    let choice = choose(&files, Effort::Steady, 0).unwrap();
    assert_eq!(
        (&*choice.partition.period, choice.runs.len()),
        ("2026-01", 16)
    );
}
