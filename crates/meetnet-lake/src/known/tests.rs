//! A lake that was changed behind the back of its journal: what a start says to it, and what is left where a loss is accepted.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::check::Depth;
use crate::lake::{DeclaredTables, Lake, LakeOptions};
use crate::repair::{RepairOptions, repair};
use crate::testing::{City, Folders, MINUTE, START, declarations, heat};

/// Versions of the table when the journal last wrote a checkpoint, and afterwards.
const KNOWN: u64 = 3;
const NEWEST: u64 = 4;

/// A city whose process ended between a commit and its checkpoint.
fn left(root: &Path) -> Folders {
    let mut city = City::open(root, |_| {});
    for version in 1..=NEWEST {
        city.take(2, START + version as i64 * MINUTE, 1.0);
        city.commit();
        if version == KNOWN {
            city.checkpoint();
        }
    }
    stop(city)
}

fn stop(city: City) -> Folders {
    drop(city.lake);
    city.journal.shutdown().unwrap();
    city.folders
}

fn entry(folders: &Folders, version: u64) -> PathBuf {
    let log = folders.table().join("_delta_log");
    log.join(format!("{version:020}.json"))
}

fn known(folders: &Folders) -> KnownTables {
    KnownTables::read(&folders.place()).unwrap().unwrap()
}

/// What a start says, before it writes anything and when the lake is opened.
fn refusal(folders: &Folders) -> Option<String> {
    let known = known(folders);
    let read = || DeclaredTables::read(folders.storage(), Arc::new(declarations()));
    let before = folders.content();
    let first = read().and_then(|tables| tables.check_known(&known)).err();
    let first = first.map(|error| error.to_string());
    if first.is_some() {
        let options = LakeOptions {
            known: Some(known),
            background: false,
            ..LakeOptions::new(Uuid::nil())
        };
        let opened = read().and_then(|tables| Lake::open(options, tables, Sequence::ZERO));
        assert_eq!(opened.err().map(|error| error.to_string()), first);
    }
    assert_eq!(folders.content(), before, "nothing is written");
    first
}

/// Rows that are answered after a start.
fn rows(folders: &Folders) -> u64 {
    let known = known(folders);
    let mut city = City::open(&folders.0, |options| options.known = Some(known));
    let snapshot = city.snapshot();
    let hot = snapshot.hot.iter().map(|hot| hot.batch.num_rows() as u64);
    let rows = snapshot.files.iter().map(|file| file.rows).sum::<u64>() + hot.sum::<u64>();
    stop(city);
    rows
}

fn accept(folders: &Folders, dataset: &str) -> Result<Vec<LostTable>, LakeError> {
    accept_loss(&folders.storage(), &folders.place(), &[dataset.into()])
}

/// What is to happen to a lake that was changed behind the journal's back.
enum Expected {
    /// It starts, with all rows.
    Whole,
    /// It is refused in these words, until the loss is accepted; then it starts with these rows.
    Lost(&'static str, u64),
    /// It is refused in these words, and there is nothing that could be gone on from.
    Hole(&'static str),
}

fn check(name: &str, change: impl FnOnce(&Folders), expected: Expected) {
    let folder = tempfile::tempdir().unwrap();
    let folders = left(folder.path());
    let all = 2 * NEWEST;
    change(&folders);
    let said = refusal(&folders);
    match expected {
        Expected::Whole => {
            assert_eq!(said, None, "{name}");
            let error = accept(&folders, "heat").unwrap_err();
            assert!(matches!(error, LakeError::Usage(_)), "{name}: {error}");
            assert_eq!(rows(&folders), all, "{name}");
        }
        Expected::Lost(words, left) => {
            let said = said.expect(name);
            assert!(said.contains(words), "{name}: {said}");
            assert!(said.contains("--accept-loss"), "{name}: {said}");
            let accepted = accept(&folders, "heat").unwrap();
            assert_eq!(accepted.len(), 1, "{name}");
            assert!(said.contains(&accepted[0].to_string()), "{name}");
            assert_eq!(refusal(&folders), None, "{name}");
            assert_eq!(rows(&folders), left, "{name}");
        }
        Expected::Hole(words) => {
            let said = said.expect(name);
            assert!(said.contains(words), "{name}: {said}");
            let error = accept(&folders, "heat").unwrap_err();
            assert_eq!(error.to_string(), said, "{name}");
        }
    }
}

#[test]
fn a_lake_that_lacks_what_the_journal_knows_of_is_not_opened() {
    use Expected::{Hole, Lost, Whole};
    let remove = |folders: &Folders, versions: &[u64]| {
        for version in versions {
            fs::remove_file(entry(folders, *version)).unwrap();
        }
    };
    check("as it was left", |_| {}, Whole);
    // The journal holds the last message still.
    check(
        "set back to the checkpoint",
        |folders| remove(folders, &[4]),
        Whole,
    );
    check(
        "no lake",
        |folders| fs::remove_dir_all(folders.lake()).unwrap(),
        Lost("table `heat` is missing, and was at version 3", 2),
    );
    check(
        "an empty folder in its place",
        |folders| {
            fs::remove_dir_all(folders.lake()).unwrap();
            fs::create_dir(folders.lake()).unwrap();
        },
        Lost("table `heat` is missing, and was at version 3", 2),
    );
    check(
        "no table",
        |folders| fs::remove_dir_all(folders.table()).unwrap(),
        Lost("table `heat` is missing", 2),
    );
    check(
        "set back behind the checkpoint",
        |folders| remove(folders, &[3, 4]),
        Lost("table `heat` is at version 2", 6),
    );
    check(
        "a lake of another journal, which is further",
        |folders| {
            let other = folders.0.join("other");
            let mut city = City::open(&other, |_| {});
            for minute in 0..9 {
                city.take(2, START + minute * MINUTE, 1.0);
                city.commit();
            }
            let other = stop(city);
            fs::remove_dir_all(folders.lake()).unwrap();
            fs::rename(other.lake(), folders.lake()).unwrap();
        },
        Lost("is at version 9 with messages through 0, and was at", 18),
    );
    check(
        "a version in the middle",
        |folders| remove(folders, &[2]),
        Hole("00000000000000000002.json is missing, though its table has had version 4"),
    );
    check(
        "the first version",
        |folders| remove(folders, &[0]),
        Hole("00000000000000000000.json is missing, though its table has had version 4"),
    );
}

#[test]
fn a_repair_leaves_a_table_alone_that_was_set_back() {
    let folder = tempfile::tempdir().unwrap();
    let folders = left(folder.path());
    for version in [KNOWN, NEWEST] {
        fs::remove_file(entry(&folders, version)).unwrap();
    }
    let before = folders.content();
    let options = RepairOptions {
        storage: folders.storage(),
        journal: folders.place(),
        depth: Depth::Full,
    };
    let repaired = repair(&options, 0).unwrap();
    assert!(repaired.files.is_empty(), "{repaired:?}");
    assert_eq!(repaired.left.len(), 1, "{repaired:?}");
    assert!(
        repaired.left[0].reason.contains("is at version 2"),
        "{repaired:?}"
    );
    assert_eq!(folders.content(), before);
}

#[test]
fn only_what_is_named_is_accepted_and_all_of_it_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folders = left(folder.path());
    fs::remove_dir_all(folders.table()).unwrap();
    let before = fs::read(folders.place().dir.join(CHECKPOINT)).unwrap();
    let both = [heat(), "air".into()];
    let error = accept_loss(&folders.storage(), &folders.place(), &both).unwrap_err();
    assert!(error.to_string().contains("`air`"), "{error}");
    let checkpoint = fs::read(folders.place().dir.join(CHECKPOINT)).unwrap();
    assert_eq!(checkpoint, before);
    assert!(refusal(&folders).is_some());
}

#[test]
fn a_table_that_was_only_made_may_be_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut city = City::open(folder.path(), |_| {});
    city.checkpoint();
    let folders = stop(city);
    fs::remove_dir_all(folders.lake()).unwrap();
    assert_eq!(refusal(&folders), None);
}
