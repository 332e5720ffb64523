//! Which look-ups may be spared.

use super::*;
use crate::actor::erase::ERASE;
use crate::actor::frontier::SERIES_MAX;
use crate::table::quarantine::REPAIR;

#[test]
fn a_row_before_everything_stored_says_nothing_about_what_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    apply(&mut actor, &[row(1, 10, Some(1.0))]);
    commit(&mut actor, 1);
    let mut actor = open(&root, 1);
    // No file can hold it, so none is read.
    assert_eq!(apply(&mut actor, &[row(2, 5, Some(1.0))]).inserted, 1);
    // Newer than that row, and all the same stored already.
    let applied = apply(&mut actor, &[row(3, 10, Some(2.0)), row(4, 11, Some(1.0))]);
    assert_eq!((applied.revised, applied.inserted), (1, 1), "{applied:?}");
    let (current, history) = read(&actor.snapshot(Sequence(4), 0));
    assert_eq!((current.len(), history.len()), (3, 1));
}

#[test]
fn a_row_newer_than_every_file_is_looked_for_in_none() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    apply(&mut actor, &[row(1, 10, Some(1.0))]);
    commit(&mut actor, 1);
    // Nothing is known of the series, and nothing can be read.
    let mut actor = open(&root, 1);
    for file in actor.files().iter() {
        std::fs::remove_file(root.join(&*file.path)).unwrap();
    }
    assert_eq!(apply(&mut actor, &[row(2, 11, Some(1.0))]).inserted, 1);
    let (rows, lineage) = batch(&[row(3, 10, Some(1.0))]);
    let applied = actor.apply(&rows, &lineage, true, &mut flag);
    assert!(applied.unwrap_err().is_of_reading());
}

#[test]
fn a_hot_row_counts_although_the_next_one_of_its_batch_empties_the_map() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let of = |sensor: String, row: Row| Row {
        key: (sensor, row.key.1, row.key.2),
        ..row
    };
    let mut actor = open(&root, 0);
    apply(&mut actor, &[of("x".to_owned(), row(1, 100, Some(1.0)))]);
    commit(&mut actor, 1);
    // With these, there is room for one more series.
    let others = (0..SERIES_MAX - 2).map(|number| of(format!("f{number}"), row(2, 5, Some(1.0))));
    apply(&mut actor, &others.collect::<Vec<_>>());
    commit(&mut actor, 2);
    let (first, second) = (row(3, 150, Some(1.0)), row(3, 150, Some(1.0)));
    apply(&mut actor, &[first, of("b".to_owned(), second)]);
    // A late row is looked up in files, which do not hold the first one yet.
    assert_eq!(apply(&mut actor, &[row(4, 60, Some(1.0))]).inserted, 1);
    commit(&mut actor, 4);
    // What comes again is known.
    let applied = apply(&mut actor, &[row(5, 150, Some(1.0))]);
    assert_eq!((applied.unchanged, applied.inserted), (1, 0), "{applied:?}");
}

#[test]
fn a_group_of_more_rows_than_series_raises_each_series_to_its_newest_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut actor = open(&folder.path().join("d"), 0);
    let of = |sensor: &str, sequence: u64, minute: i64| {
        let row = row(sequence, minute, Some(1.0));
        Row {
            key: (sensor.to_owned(), row.key.1, row.key.2),
            ..row
        }
    };
    let first = |sequence| ["a", "b"].map(|sensor| of(sensor, sequence, 10));
    apply(&mut actor, &first(1));
    commit(&mut actor, 1);
    // Looked up, so that the newest times are known.
    assert_eq!(apply(&mut actor, &first(2)).unchanged, 2);
    // Neither the first nor the last of a series is its newest.
    let group = |sequence| {
        let minutes = [20, 25, 40, 45, 30, 35];
        let rows = minutes.into_iter().zip(["a", "b"].into_iter().cycle());
        let rows = rows.map(|(minute, sensor)| of(sensor, sequence, minute));
        rows.collect::<Vec<_>>()
    };
    assert_eq!(apply(&mut actor, &group(3)).inserted, 6);
    commit(&mut actor, 3);
    // What comes again is looked for.
    let applied = apply(&mut actor, &group(4));
    assert_eq!((applied.unchanged, applied.inserted), (6, 0), "{applied:?}");
}

#[test]
fn files_that_are_replaced_are_not_remembered_and_footers_not_at_rest() {
    let folder = tempfile::tempdir().unwrap();
    let mut actor = open(&folder.path().join("d"), 0);
    apply(&mut actor, &[row(1, 10, Some(1.0)), row(1, 20, Some(1.0))]);
    commit(&mut actor, 1);
    let path = |actor: &DatasetActor| {
        let mut current = actor.files().iter().filter(|file| !file.superseded);
        Arc::clone(&current.next().unwrap().path)
    };
    let first = path(&actor);
    assert_eq!(apply(&mut actor, &[row(2, 10, Some(2.0))]).revised, 1);
    assert_eq!(actor.reader.remembers(&first), (true, true));
    commit(&mut actor, 2);
    assert_eq!(actor.reader.remembers(&first), (false, false));

    let second = path(&actor);
    assert_eq!(apply(&mut actor, &[row(3, 10, Some(3.0))]).revised, 1);
    assert_eq!(actor.reader.remembers(&second), (true, true));
    actor.give_back();
    assert_eq!(actor.reader.remembers(&second), (true, false));
    // What is given back is read again.
    let footers = |actor: &DatasetActor| {
        let remembered = |path: &str| actor.reader.remembers(path).1;
        let files = actor.files().iter().filter(|file| remembered(&file.path));
        files.count()
    };
    assert_eq!(footers(&actor), 0);
    assert_eq!(apply(&mut actor, &[row(4, 20, Some(1.0))]).unchanged, 1);
    assert_eq!(footers(&actor), 1);
}

#[test]
fn series_whose_rows_have_gone_are_forgotten_and_what_is_hot_still_counts() {
    let folder = tempfile::tempdir().unwrap();
    let mut actor = open(&folder.path().join("d"), 0);
    apply(&mut actor, &[row(1, 10, Some(1.0)), row(1, 20, Some(1.0))]);
    commit(&mut actor, 1);
    // Looked up, so that the newest time is known; and one that is hot.
    assert_eq!(apply(&mut actor, &[row(2, 20, Some(1.0))]).unchanged, 1);
    apply(&mut actor, &[row(3, 30, Some(3.0))]);
    let known = |actor: &DatasetActor| {
        let (rows, _) = batch(&[row(1, 10, None)]);
        let keys = actor.codec.keys(&rows.batch).unwrap();
        actor
            .frontier
            .newest(actor.codec.series(keys.row(0).data()))
    };
    assert_eq!(known(&actor), Some(START + 30 * MINUTE));
    let removed = actor.files().iter().cloned().collect();
    let job = actor.replace(removed, Vec::new(), "DELETE", 0).unwrap();
    assert!(matches!(
        actor.admit_replaced(job.run()),
        Ok(Admitted::Done)
    ));
    assert_eq!(known(&actor), None);
    let applied = apply(&mut actor, &[row(4, 30, Some(3.0)), row(4, 10, Some(1.0))]);
    assert_eq!((applied.unchanged, applied.inserted), (1, 1), "{applied:?}");
    assert_eq!(known(&actor), None, "not before the hot rows are in files");
    commit(&mut actor, 4);
    let (current, history) = read(&actor.snapshot(Sequence(4), 0));
    assert_eq!((current.len(), history.len()), (2, 0));
}

#[test]
fn a_merge_leaves_what_is_known_of_series_and_an_erasure_does_not() {
    for (operation, expected) in [("OPTIMIZE", Some(START + 20 * MINUTE)), (ERASE, None)] {
        let folder = tempfile::tempdir().unwrap();
        let mut actor = open(&folder.path().join("d"), 0);
        for (sequence, minute) in [(1, 10), (2, 20)] {
            apply(&mut actor, &[row(sequence, minute, Some(1.0))]);
            commit(&mut actor, sequence);
        }
        assert_eq!(apply(&mut actor, &[row(3, 20, Some(1.0))]).unchanged, 1);
        let merge = merge_job(&actor, Effort::Full).unwrap().run();
        let files = merge.result.unwrap().unwrap();
        let job = actor.replace(merge.inputs, files, operation, 0).unwrap();
        assert!(matches!(
            actor.admit_replaced(job.run()),
            Ok(Admitted::Done)
        ));
        let (rows, _) = batch(&[row(4, 10, None)]);
        let keys = actor.codec.keys(&rows.batch).unwrap();
        let series = actor.codec.series(keys.row(0).data());
        assert_eq!(actor.frontier.newest(series), expected, "{operation}");
    }
}

#[test]
fn times_of_rows_that_were_taken_out_are_forgotten_and_hot_rows_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    apply(&mut actor, &[row(1, 10, Some(1.0))]);
    commit(&mut actor, 1);
    // In the month behind, so in a file of its own.
    apply(&mut actor, &[row(2, 1_000, Some(1.0))]);
    commit(&mut actor, 2);
    let is_later = |file: &&Arc<LiveFile>| file.path.contains("month=2026-02");
    let taken_out: Vec<_> = actor.files().iter().filter(is_later).cloned().collect();
    assert_eq!(taken_out.len(), 1);
    // Of another sensor, so that the file says nothing of this one.
    let other = row(3, 2_000, Some(1.0));
    let key = ("x".to_owned(), other.key.1, other.key.2);
    apply(&mut actor, &[Row { key, ..other }]);
    commit(&mut actor, 3);

    let (rows, _) = batch(&[row(4, 1_000, Some(1.0))]);
    let keys = actor.codec.keys(&rows.batch).unwrap();
    let newest = |actor: &DatasetActor| {
        let series = actor.codec.series(keys.row(0).data());
        let newest = actor.frontier.newest(series);
        newest.map(|time| (time - START) / MINUTE)
    };
    assert_eq!(apply(&mut actor, &[row(4, 1_000, Some(1.0))]).unchanged, 1);
    assert_eq!(newest(&actor), Some(1_000));
    // Hot while the file goes.
    assert_eq!(apply(&mut actor, &[row(5, 500, Some(1.0))]).inserted, 1);
    let job = actor.replace(taken_out, Vec::new(), REPAIR, 0).unwrap();
    assert!(matches!(
        actor.admit_replaced(job.run()),
        Ok(Admitted::Done)
    ));
    assert_eq!(newest(&actor), None);
    // Files alone would say that nothing is later than this row.
    assert_eq!(apply(&mut actor, &[row(6, 300, Some(1.0))]).inserted, 1);
    assert_eq!(newest(&actor), None);
    commit(&mut actor, 6);
    let applied = apply(&mut actor, &[row(7, 500, Some(1.0))]);
    assert_eq!((applied.unchanged, applied.inserted), (1, 0), "{applied:?}");
    assert_eq!(newest(&actor), Some(500));
}
