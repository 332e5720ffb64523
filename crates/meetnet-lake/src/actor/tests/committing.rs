//! Commits that fail or are met again, what they write, and merges that compete.

use std::collections::BTreeMap;

use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};

use super::*;
use crate::snapshot::ColumnStatistics;
use crate::snapshot::StatisticsValue::Float;
use crate::table::actions::Action;
use crate::table::files::add_action;
use crate::table::log::{Committed, commit_info};

#[test]
fn a_failed_commit_keeps_the_rows_hot_and_the_next_one_takes_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    apply(&mut actor, &[row(1, 0, Some(1.0)), row(2, 1, Some(2.0))]);
    let blocked = root.join("licence=CC0-1.0");
    std::fs::write(&blocked, "a file where a folder must be").unwrap();
    let job = actor.freeze(Sequence(2), 0, UNLIMITED, 0).unwrap();
    let Ok(Admitted::Failed(error)) = actor.admit(job.run()) else {
        panic!("a file is in the way");
    };
    assert!(error.to_string().contains("licence=CC0-1.0"), "{error}");
    assert_eq!(read(&actor.snapshot(Sequence(2), 0)).0.len(), 2);
    std::fs::remove_file(blocked).unwrap();
    apply(&mut actor, &[row(3, 1, Some(3.0))]);
    commit(&mut actor, 3);
    let (current, history) = read(&actor.snapshot(Sequence(3), 0));
    assert_eq!((current.len(), history.len()), (2, 1));
    assert_eq!(actor.hot_rows(), 0);
}

#[test]
fn a_commit_seen_as_failed_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    apply(&mut actor, &[row(1, 0, Some(1.0))]);
    let job = actor.freeze(Sequence(1), 0, UNLIMITED, 0).unwrap();
    drop(job.run());
    // The outcome never reached the actor: the process ended. The frames come again.
    let mut actor = open(&root, 0);
    let applied = apply(&mut actor, &[row(1, 0, Some(1.0)), row(2, 1, Some(1.0))]);
    assert_eq!((applied.skipped, applied.inserted), (1, 1));
    assert_eq!(read(&actor.snapshot(Sequence(2), 0)).0.len(), 2);
}

#[test]
fn the_log_survives_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    // Nothing says later again how far an import has come.
    let import = format!("{IMPORT_APP}x");
    let txns = vec![(import.clone(), 7)];
    let job = actor.freeze_through(Sequence(0), 0, txns, 0).unwrap();
    assert!(matches!(actor.admit(job.run()), Ok(Admitted::Done)));
    for sequence in 1..=205_u64 {
        apply(
            &mut actor,
            &[row(sequence, sequence as i64 % 50, Some(sequence as f64))],
        );
        commit(&mut actor, sequence);
    }
    let before = read(&actor.snapshot(Sequence(205), 0));
    assert_eq!((before.0.len(), before.1.len()), (50, 155));
    assert!(
        root.join("_delta_log/00000000000000000200.checkpoint.parquet")
            .is_file()
    );
    let actor = open(&root, 205);
    assert_eq!((actor.version(), actor.txn(&import)), (206, Some(7)));
    assert_eq!(read(&actor.snapshot(Sequence(205), 0)), before);
}

/// An older state was put in the place of the folder while the process went on.
#[test]
fn a_log_that_goes_back_under_its_writer_is_not_written_on() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    apply(&mut actor, &[row(1, 0, Some(1.0))]);
    commit(&mut actor, 1);
    let entry = |version: u64| root.join(format!("_delta_log/{version:020}.json"));
    let away = folder.path().join("away");
    std::fs::rename(entry(1), &away).unwrap();
    apply(&mut actor, &[row(2, 1, Some(2.0))]);
    for _ in 0..2 {
        assert_not_in_place(&mut actor, 2);
        assert!(!entry(2).exists());
    }
    assert_eq!(read(&actor.snapshot(Sequence(2), 0)).0.len(), 2);
    // It is back.
    std::fs::rename(&away, entry(1)).unwrap();
    commit(&mut actor, 2);
    assert_eq!((actor.version(), actor.hot_rows()), (2, 0));
    assert_eq!(read(&actor.snapshot(Sequence(2), 0)).0.len(), 2);
}

/// What is written while a folder is unmounted lies below the place where it is mounted again.
#[test]
fn a_commit_names_no_file_that_was_written_while_the_folder_was_away() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    apply(&mut actor, &[row(1, 0, Some(1.0))]);
    commit(&mut actor, 1);
    // In another month, whose folder is made.
    apply(&mut actor, &[row(2, 90, Some(2.0))]);
    let away = folder.path().join("away");
    std::fs::rename(&root, &away).unwrap();
    std::fs::create_dir(&root).unwrap();
    assert_not_in_place(&mut actor, 2);
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::rename(&away, &root).unwrap();
    commit(&mut actor, 2);
    assert_eq!(actor.hot_rows(), 0);
    let actor = open(&root, 2);
    assert_eq!(read(&actor.snapshot(Sequence(2), 0)).0.len(), 2);
}

/// Whoever moves it back, or mounts it again, finds nothing in its place.
#[test]
fn a_commit_makes_no_folder_where_its_table_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    apply(&mut actor, &[row(1, 0, Some(1.0))]);
    commit(&mut actor, 1);
    apply(&mut actor, &[row(2, 1, Some(2.0))]);
    let away = folder.path().join("away");
    std::fs::rename(&root, &away).unwrap();
    for _ in 0..2 {
        assert_not_in_place(&mut actor, 2);
        assert!(!root.exists());
    }
    std::fs::rename(&away, &root).unwrap();
    commit(&mut actor, 2);
    assert_eq!((actor.version(), actor.hot_rows()), (2, 0));
    assert_eq!(read(&actor.snapshot(Sequence(2), 0)).0.len(), 2);
}

/// The folder went away and came back after the commit had looked for it.
#[test]
fn an_entry_names_no_file_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    apply(&mut actor, &[row(1, 0, Some(1.0))]);
    let mut job = actor.freeze(Sequence(1), 0, UNLIMITED, 0).unwrap();
    let files = job.write_files().unwrap();
    std::fs::remove_file(root.join(&*files[0].path)).unwrap();
    let actions = vec![
        commit_info("WRITE", 0, serde_json::json!({})),
        Action::Add(add_action(&job.declaration, &files[0])),
    ];
    let Committed::Lost(error) = job.log.commit(actions, 0) else {
        panic!("the file is gone");
    };
    assert!(error.to_string().contains(&*files[0].path), "{error}");
    assert!(!root.join("_delta_log/00000000000000000001.json").exists());
}

/// The next start would take it for one that was set back.
#[test]
fn the_position_of_a_table_does_not_go_back_where_the_journal_has_lost_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    apply(&mut actor, &[row(5, 0, Some(1.0))]);
    commit(&mut actor, 5);
    commit(&mut actor, 3);
    assert_eq!(actor.version(), 2);
    assert_eq!(actor.committed_through(), Sequence(5));
    assert_eq!(open(&root, 0).committed_through(), Sequence(5));
}

/// A commit finds that the entry before its own, the first, is gone; its rows stay hot.
fn assert_not_in_place(actor: &mut DatasetActor, through: u64) {
    let job = actor.freeze(Sequence(through), 0, UNLIMITED, 0).unwrap();
    let Ok(Admitted::Failed(error)) = actor.admit(job.run()) else {
        panic!("the entry before is gone");
    };
    let is_named = matches!(error, LakeError::MissingEntry { newest: 1, .. });
    assert!(is_named && error.needs_a_person(), "{error}");
    assert_eq!(actor.hot_rows(), 1);
}

#[test]
fn of_two_merges_of_the_same_files_one_counts() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    for sequence in 1..=4 {
        apply(&mut actor, &[row(sequence, sequence as i64, Some(1.0))]);
        commit(&mut actor, sequence);
    }
    // Planned from the same state, as two processes or a restart could.
    let first = merge_job(&actor, Effort::Full).unwrap().run();
    let second = merge_job(&actor, Effort::Full).unwrap().run();
    assert!(place(&mut actor, first).is_none());
    assert!(place(&mut actor, second).is_none());
    let (current, history) = read(&actor.snapshot(Sequence(4), 0));
    assert_eq!((current.len(), history.len()), (4, 0));
    assert_eq!(actor.files().len(), 1);
    // What the second had written is gone.
    let listed = actor.folder().list("licence=CC0-1.0").unwrap();
    assert_eq!(listed.len(), 5);
}

#[test]
fn row_groups_without_replaced_rows_are_copied_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    // Up to the end of the month: one file.
    let rows: Vec<Row> = (1..=59)
        .map(|sequence| row(sequence, sequence as i64, Some(sequence as f64)))
        .collect();
    apply(&mut actor, &rows);
    commit(&mut actor, 59);
    let groups = |actor: &DatasetActor| -> Vec<Vec<u8>> {
        let current = actor.files().iter().find(|file| !file.superseded).unwrap();
        let bytes = actor.folder().read(&current.path).unwrap().unwrap();
        let reader = SerializedFileReader::new(bytes.clone()).unwrap();
        let groups = reader.metadata().row_groups().iter();
        groups
            .map(|group| {
                let columns = group.columns().iter();
                columns
                    .flat_map(|column| {
                        let (start, length) = column.byte_range();
                        bytes.get_bytes(start, length as usize).unwrap().to_vec()
                    })
                    .collect()
            })
            .collect()
    };
    let before = groups(&actor);
    assert_eq!(before.len(), 8);
    let statistics = actor.files()[0].statistics.clone();
    // The greatest value and the latest time go: bounds must follow.
    apply(&mut actor, &[row(60, 59, Some(-5.0))]);
    commit(&mut actor, 60);
    let after = groups(&actor);
    assert_eq!(before[..7], after[..7]);
    assert_ne!(before[7], after[7]);
    let kept = actor.files().iter().find(|file| file.rows == 58).unwrap();
    let bounds =
        |statistics: &BTreeMap<Arc<str>, ColumnStatistics>| statistics["value"].max.clone();
    assert_eq!(bounds(&statistics), Some(Float(59.0)));
    assert_eq!(bounds(&kept.statistics), Some(Float(58.0)));
}
