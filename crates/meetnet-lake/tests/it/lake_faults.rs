//! Commits on a disk that fails: whatever fails at whatever step, each row is answered once, in the process that met
//! the failure and in the one after it.

use std::path::Path;

use meetnet_lake::lake::Lake;
use meetnet_testkit::files::{Crash, Fault, FaultyFiles};
use meetnet_testkit::garden;

use crate::city::{Answers, answers, apply, import, open};

/// A lake with one commit, and a second frame that revises a committed row and brings a new one.
fn before_the_fault() -> (FaultyFiles, Lake) {
    let files = FaultyFiles::new();
    let mut lake = open(&files, 0, |_| {}).expect("opens");
    apply(&mut lake, 1, &[(1, 0, 1.0), (2, 0, 2.0), (3, 0, 3.0)]).expect("applied");
    lake.commit_all().expect("committed");
    apply(&mut lake, 2, &[(1, 0, 10.0), (4, 0, 4.0)]).expect("applied");
    (files, lake)
}

/// A frame after the fault: it revises a committed row, one of the frame before, and brings a new one.
fn after_the_fault(lake: &mut Lake) {
    apply(lake, 3, &[(2, 0, 20.0), (4, 0, 40.0), (5, 0, 5.0)]).expect("applied");
}

fn expected() -> Answers {
    let rows = |rows: &[(u32, i64)]| {
        let rows = rows.iter();
        rows.map(|(sensor, value)| (garden::sensor(*sensor), 0, value * 100))
            .collect()
    };
    let current = [(1, 10), (2, 20), (3, 3), (4, 40), (5, 5)];
    (rows(&current), rows(&[(1, 1), (2, 2), (4, 4)]))
}

#[test]
fn a_commit_that_fails_at_any_step_is_made_once() {
    let (files, mut lake) = before_the_fault();
    let start = files.operations();
    lake.commit_all().expect("committed");
    let steps = files.operations() - start;
    assert!(steps > 15, "{steps} steps");
    let faults = [
        Fault::ShortWrite { bytes: 7 },
        Fault::FailedSync,
        Fault::DiskFull,
        Fault::LateError,
    ];
    let (mut failed, mut through) = (0, 0);
    for fault in faults {
        for step in 0..steps {
            let (files, mut lake) = before_the_fault();
            files.fail_at(files.operations() + step, fault);
            match lake.commit_all() {
                // A temporary file that could not be removed, or an answer that was lost and looked up.
                Ok(()) => through += 1,
                Err(_) => failed += 1,
            }
            let what = format!("{fault:?} at step {step}");
            after_the_fault(&mut lake);
            assert_eq!(answers(&files, &mut lake), expected(), "{what}: hot");
            let trimmed = lake.trim_point().0;
            for crash in [Crash::Kill, Crash::PowerLoss { seed: step }] {
                // What is not committed comes from the journal again.
                let files = files.copy_after(crash);
                let mut lake = open(&files, trimmed, |_| {}).expect("opens");
                if trimmed < 2 {
                    apply(&mut lake, 2, &[(1, 0, 10.0), (4, 0, 4.0)]).expect("applied");
                }
                after_the_fault(&mut lake);
                assert_eq!(answers(&files, &mut lake), expected(), "{what}: {crash:?}");
                lake.commit_all().expect("committed");
                assert_eq!(answers(&files, &mut lake), expected(), "{what}: {crash:?}");
            }
            lake.commit_all()
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(lake.trim_point().0, 3, "{what}");
            assert_eq!(answers(&files, &mut lake), expected(), "{what}: committed");
        }
    }
    assert!(
        failed > 4 * through,
        "{failed} failed, {through} came through"
    );
}

/// The name of the entry is in the log, its folder cannot be synced: only the entry itself says that it is ours.
#[test]
fn an_entry_whose_answer_was_lost_is_found_in_the_log() {
    let (files, mut lake) = before_the_fault();
    let start = files.operations();
    lake.commit_all().expect("committed");
    let link = (files.operations() - start)
        .checked_sub(3)
        .expect("link, remove, sync");
    let (files, mut lake) = before_the_fault();
    // The link is made and its answer lost, and so are those of the syncs behind it: nobody may be told.
    for step in link..link + 3 {
        files.fail_at(files.operations() + step, Fault::LateError);
    }
    lake.commit_all().expect_err("not known to be on disk");
    let entry = Path::new("/city/lake/heat/_delta_log/00000000000000000002.json");
    let before = files.content(entry).expect("it is there");
    lake.commit_all().expect("found");
    assert_eq!(files.content(entry), Some(before));
    after_the_fault(&mut lake);
    lake.commit_all().expect("committed");
    assert_eq!(answers(&files, &mut lake), expected());
}

#[test]
fn a_full_disk_keeps_rows_hot_and_leaves_nothing_behind() {
    let (files, mut lake) = before_the_fault();
    let used = files.bytes_used();
    // No room at all, room for half a file, and room for one.
    for room in [0, 2_000, 6_000] {
        files.set_bytes_max(Some(used + room));
        let error = lake.commit_all().expect_err("the disk is full");
        assert!(
            error.is_disk_full() && error.needs_a_person(),
            "{room}: {error}"
        );
        assert!(lake.take_short_of_space() && !lake.take_short_of_space());
        assert_eq!(
            (lake.trim_point().0, files.bytes_used()),
            (1, used),
            "{room}"
        );
    }
    after_the_fault(&mut lake);
    assert_eq!(answers(&files, &mut lake), expected());
    files.set_bytes_max(None);
    lake.commit_all().expect("there is room");
    assert_eq!((lake.trim_point().0, lake.hot_bytes()), (3, 0));
    assert_eq!(answers(&files, &mut lake), expected());
}

#[test]
fn a_read_only_folder_is_named_and_commits_go_on_when_it_may_be_written() {
    let files = FaultyFiles::new();
    files.set_read_only(true);
    let error = open(&files, 0, |_| {}).expect_err("read-only");
    assert!(error.to_string().contains("/city/lake/heat"), "{error}");
    let (files, mut lake) = before_the_fault();
    files.set_read_only(true);
    let error = lake.commit_all().expect_err("read-only");
    assert!(error.to_string().contains("/city/lake/heat"), "{error}");
    assert!(
        error.needs_a_person() && !lake.take_short_of_space(),
        "{error}"
    );
    after_the_fault(&mut lake);
    assert_eq!(answers(&files, &mut lake), expected());
    files.set_read_only(false);
    lake.commit_all().expect("it may be written");
    assert_eq!(answers(&files, &mut lake), expected());
}

#[test]
fn a_chunk_of_an_import_that_cannot_be_committed_leaves_nothing() {
    let (files, mut lake) = before_the_fault();
    lake.commit_all().expect("committed");
    let before = answers(&files, &mut lake);
    // A new row and one that replaces another.
    let chunk = [(1, 0, 11.0), (9, 0, 9.0)];
    files.set_bytes_max(Some(files.bytes_used()));
    for _ in 0..2 {
        import(&mut lake, 2, 2, &chunk).expect_err("the disk is full");
        assert_eq!(answers(&files, &mut lake), before);
    }
    files.set_bytes_max(None);
    let applied = import(&mut lake, 2, 2, &chunk).expect("imported");
    assert_eq!((applied.inserted, applied.revised), (1, 1));
    let heat = "heat".into();
    assert_eq!(lake.import_position(&heat, "an import"), Some(2));
    let applied = import(&mut lake, 2, 2, &chunk).expect("imported");
    assert_eq!(applied.unchanged, 2);
    let (current, replaced) = answers(&files, &mut lake);
    assert_eq!(
        (current.len(), replaced.len()),
        (before.0.len() + 1, before.1.len() + 1)
    );
}
