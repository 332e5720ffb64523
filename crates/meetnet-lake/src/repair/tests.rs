//! Broken files are taken out, exactly; what they held is said; the rest answers as before.

use std::path::Path;

use super::*;
use crate::check::FindingKind;
use crate::lake::{Lake, LakeReader, UpkeepRequest};
use crate::testing::{City, Folders, MINUTE, START, heat};

/// Six messages of eight sensors, a minute apart, each committed by itself: six files.
fn city(root: &Path) -> City {
    let mut city = City::open(root, |_| {});
    for minute in 0..6 {
        city.take(8, START + minute * MINUTE, 1.0);
        city.commit();
    }
    city
}

fn stop(city: City) -> Folders {
    let folders = city.folders.clone();
    drop(city.lake);
    city.journal.shutdown().unwrap();
    folders
}

fn repair_all(folders: &Folders) -> Repaired {
    let options = RepairOptions {
        storage: folders.storage(),
        journal: folders.place(),
        depth: Depth::Full,
    };
    repair(&options, 0).unwrap()
}

/// Live files by time.
fn live(folders: &Folders) -> Vec<Arc<LiveFile>> {
    let snapshot = LakeReader::open(folders.storage())
        .unwrap()
        .refresh()
        .unwrap();
    let mut files = snapshot.tables[&heat()].files.to_vec();
    files.sort_by_key(|file| file.committed_at_ms);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn flip(folders: &Folders, file: &LiveFile, at: usize) {
    let path = folders.table().join(&*file.path);
    let mut content = std::fs::read(&path).unwrap();
    content[at] ^= 0x55;
    std::fs::write(path, content).unwrap();
}

fn minute(of: i64) -> String {
    calendar(START + of * MINUTE)
}

fn calendar(at: i64) -> String {
    meetnet_model::calendar::format_rfc3339(at)
}

#[test]
fn a_broken_file_goes_to_quarantine_and_the_rest_answers() {
    let folder = tempfile::tempdir().unwrap();
    let folders = stop(city(folder.path()));
    let before = live(&folders);
    flip(&folders, &before[2], 40);
    std::fs::remove_file(folders.table().join(&*before[4].path)).unwrap();
    let broken = std::fs::read(folders.table().join(&*before[2].path)).unwrap();

    let repaired = repair_all(&folders);
    let faults: Vec<_> = repaired
        .files
        .iter()
        .map(|file| (&*file.path, file.fault, file.rows))
        .collect();
    assert_eq!(
        faults,
        [
            (&*before[2].path, FindingKind::FileHash, 8),
            (&*before[4].path, FindingKind::FileMissing, 8)
        ]
    );
    assert_eq!(repaired.left, []);
    let kept = repaired.files[0].kept_as.as_ref().unwrap();
    assert_eq!(std::fs::read(folders.table().join(kept)).unwrap(), broken);
    assert!(!folders.table().join(&*before[2].path).exists());
    assert_eq!(repaired.files[1].kept_as, None);

    let report = folders.check(Depth::Full);
    assert_eq!((report.findings, report.counts.quarantined), (vec![], 1));
    let after = live(&folders);
    let expect = [0, 1, 3, 5].map(|at| Arc::clone(&before[at]));
    assert_eq!(after, expect);

    // The second time there is nothing to do, and nothing is done.
    let content = folders.content();
    assert_eq!(repair_all(&folders), Repaired::default());
    assert_eq!(folders.content(), content);

    // Who had brought rows past the journal has to know that not all of them are there.
    assert!(!repaired.files[0].has_imports);
    let city = City::open(&folders.0, |_| {});
    assert_eq!(city.lake.repairs_of(&heat()), 1);
}

#[test]
fn what_a_missing_file_held_is_said_by_its_log_entry_and_its_raw_messages_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut city = city(folder.path());
    // So many that the first segments are archived.
    for minute in 6..46 {
        city.take(1, START + minute * MINUTE, 1.0);
    }
    city.commit();
    city.checkpoint();
    let folders = stop(city);
    let file = Arc::clone(&live(&folders)[3]);
    std::fs::remove_file(folders.table().join(&*file.path)).unwrap();
    let repaired = repair_all(&folders);
    let [quarantined] = &repaired.files[..] else {
        panic!("one file: {repaired:#?}");
    };
    let [part] = &quarantined.held[..] else {
        panic!("one part: {quarantined:#?}");
    };
    assert_eq!((part.rows, part.is_read), (8, false));
    let keys: Vec<(&str, &str, &str)> = part
        .keys
        .iter()
        .map(|key| (&*key.column, &*key.least, &*key.greatest))
        .collect();
    assert_eq!(
        keys,
        [
            ("sensor_id", "garden-0000", "garden-0007"),
            ("property", "air_temperature", "air_temperature"),
            ("time", &*minute(3), &*minute(3)),
        ]
    );
    let [raw] = &quarantined.raw[..] else {
        panic!("one source: {quarantined:#?}");
    };
    // One message made them all: the fifth frame, behind the declarations.
    assert_eq!((raw.frames, raw.begins_later), (1, false));
    let sequence = meetnet_model::ids::Sequence(5);
    assert_eq!(raw.sequences, Some((sequence, sequence)));
    assert_eq!(raw.found, Some(part.recorded_at));
    assert_eq!(raw.files.len(), 1);

    // Without the archive there is nothing to replay, and the report says so.
    let mut again = repaired.clone();
    std::fs::remove_dir_all(folders.place().archive_dir).unwrap();
    again.find_raw(&folders.place()).unwrap();
    assert_eq!(
        (
            again.files[0].raw[0].frames,
            again.files[0].raw[0].begins_later
        ),
        (0, true)
    );
}

#[test]
fn of_a_file_that_is_readable_in_part_the_keys_are_exact() {
    // What cannot be decoded, and what is decoded to another key.
    for decodes in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut city = City::open(folder.path(), |_| {});
        // In tests a row group has eight rows: two sensors of four minutes each in the first, two in the second.
        for minute in 0..4 {
            city.take(4, START + minute * MINUTE, 1.0);
        }
        city.commit();
        let folders = stop(city);
        let [file] = &live(&folders)[..] else {
            panic!("one file");
        };
        assert_eq!(file.rows, 16);
        // The pages of the second row group lie in the middle of the file, before the footer.
        let footer = crate::table::read::load_footer(
            &folders
                .table_folder()
                .open(file, crate::storage::Access::Whole)
                .unwrap(),
        )
        .unwrap();
        let (start, length) = footer.metadata().row_group(1).column(0).byte_range();
        let start = start as usize;
        let at = if decodes {
            // The first text of its dictionary, too short to be packed; the other one begins as it does.
            let content = std::fs::read(folders.table().join(&*file.path)).unwrap();
            let pages = &content[start..start + length as usize];
            let key = b"garden-0002";
            let found = pages.windows(key.len()).position(|bytes| bytes == key);
            start + found.unwrap() + key.len() - 1
        } else {
            start + 2
        };
        flip(&folders, file, at);
        let repaired = repair_all(&folders);
        let held = &repaired.files[0].held;
        let parts: Vec<(u64, bool, &str, &str)> = held
            .iter()
            .map(|part| {
                (
                    part.rows,
                    part.is_read,
                    &*part.keys[0].least,
                    &*part.keys[0].greatest,
                )
            })
            .collect();
        assert_eq!(
            parts,
            [
                (4, true, "garden-0000", "garden-0000"),
                (4, true, "garden-0001", "garden-0001"),
                (8, false, "garden-0002", "garden-0003"),
            ],
            "{decodes}"
        );
        for part in held {
            let time = &part.keys[2];
            assert_eq!((&*time.least, &*time.greatest), (&*minute(0), &*minute(3)));
        }
        assert!(folders.check(Depth::Full).is_clean());
    }
}

#[test]
fn a_crash_between_log_entry_and_move_is_made_good_by_the_next_repair_or_vacuum() {
    for by_vacuum in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let folders = stop(city(folder.path()));
        let file = Arc::clone(&live(&folders)[2]);
        flip(&folders, &file, 40);
        let path = folders.table().join(&*file.path);
        let broken = std::fs::read(&path).unwrap();
        let kept = repair_all(&folders).files[0].kept_as.clone().unwrap();
        let kept = folders.table().join(kept);
        // As if the move had never been.
        std::fs::rename(&kept, &path).unwrap();
        assert!(folders.check(Depth::Full).is_clean());
        if by_vacuum {
            let mut city = City::open(&folders.0, |options| {
                options.limits.vacuum_after = std::time::Duration::ZERO;
            });
            std::thread::sleep(std::time::Duration::from_millis(5));
            city.tend(UpkeepRequest::Vacuum);
            // And it stays there.
            city.tend(UpkeepRequest::Vacuum);
        } else {
            assert_eq!(repair_all(&folders), Repaired::default());
        }
        assert_eq!(std::fs::read(&kept).unwrap(), broken, "vacuum: {by_vacuum}");
        assert!(!path.exists());
    }
}

#[test]
fn a_running_lake_takes_broken_files_out_while_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut city = city(folder.path());
    let before = live(&city.folders);
    // Hot rows have replaced rows of the file that breaks: nobody can read it to find them again.
    city.take(8, START + 2 * MINUTE, 7.0);
    city.take(8, START + 3 * MINUTE, 8.0);
    assert_eq!(city.snapshot().masks.len(), 2);
    flip(&city.folders, &before[2], 40);
    assert_eq!(city.lake.repairs_of(&heat()), 0);
    city.lake.request_repair(Depth::Full);
    city.tick_while("the repair ends", Lake::is_tending);
    let repaired = city.lake.take_repaired().unwrap();
    assert_eq!(city.lake.take_repaired(), None);
    assert_eq!(city.lake.repairs_of(&heat()), 1);
    assert_eq!(repaired.files.len(), 1);
    assert_eq!(
        (&*repaired.files[0].path, &*repaired.left),
        (&*before[2].path, &[][..])
    );
    let snapshot = city.snapshot();
    assert_eq!((snapshot.files.len(), snapshot.masks.len()), (5, 1));

    // The next commit is not held up by it, and neither is a merge.
    city.commit();
    city.tend(UpkeepRequest::Compact(None));
    let folders = stop(city);
    assert!(folders.check(Depth::Full).is_clean());
    let rows = |superseded| {
        let files = live(&folders);
        let files = files.iter().filter(|file| file.superseded == superseded);
        files.map(|file| file.rows).sum::<u64>()
    };
    assert_eq!((rows(false), rows(true)), (48, 8));

    // Where nothing is broken, nothing happens.
    let mut city = City::open(&folders.0, |_| {});
    let version = city.snapshot().version;
    city.lake.request_repair(Depth::Quick);
    city.tick_while("the repair ends", Lake::is_tending);
    assert_eq!(city.lake.take_repaired(), Some(Repaired::default()));
    assert_eq!(city.snapshot().version, version);
}

#[test]
fn a_daemon_in_the_way_is_named_and_an_unreadable_log_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let city = city(folder.path());
    let options = RepairOptions {
        storage: city.folders.storage(),
        journal: city.folders.place(),
        depth: Depth::Quick,
    };
    let error = repair(&options, 0).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains(&std::process::id().to_string()), "{source}");

    let folders = stop(city);
    let entry = folders.table().join("_delta_log/00000000000000000001.json");
    std::fs::write(entry, "{").unwrap();
    let content = folders.content();
    let repaired = repair_all(&folders);
    assert_eq!(repaired.files, []);
    assert_eq!(
        (&repaired.left[0].dataset, &repaired.left[0].path),
        (&heat(), &None)
    );
    assert!(
        repaired.left[0].reason.contains("meetnet check"),
        "{repaired:?}"
    );
    assert_eq!(folders.content(), content);
}
