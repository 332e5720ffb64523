//! Vacuum on a disk that fails, and beside readers: whatever goes wrong, what is answered stays, and the next vacuum
//! removes the rest.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use meetnet_lake::damage::Damage;
use meetnet_lake::journal::system_clock;
use meetnet_lake::lake::{Lake, LakeClock, UpkeepRequest, Vacuumed};
use meetnet_lake::snapshot::DataFile;
use meetnet_lake::storage::{FolderStorage, TableFolder};
use meetnet_testkit::clock::ManualClock;
use meetnet_testkit::files::{Crash, Fault, FaultyFiles};

use crate::city::{LAKE, answers, apply, heat, open};

/// Commits before the merge, a row each: past a checkpoint of the log, so that its first entries may go, too.
const COMMITS: u32 = 105;
/// A replaced file stays this long.
const VACUUM_AFTER: Duration = Duration::from_secs(3_600);
/// Long enough for everything that nothing needs to go.
const TWO_DAYS_US: i64 = 2 * 24 * 3_600_000_000;

/// Opens the lake without threads.
fn reopen(files: &FaultyFiles, clock: &ManualClock) -> Lake {
    open(files, u64::from(COMMITS), |options| {
        options.background = false;
        options.limits.vacuum_after = VACUUM_AFTER;
        options.clock = LakeClock::new(clock.function(), clock.monotonic_function());
    })
    .expect("opens")
}

/// Has a request carried out.
fn tend(lake: &mut Lake, request: UpkeepRequest) {
    lake.request(request).expect("taken");
    finish(lake);
}

/// Carries out everything that is asked for.
fn finish(lake: &mut Lake) {
    for _ in 0..1_000 {
        lake.tick().expect("goes on");
        if !lake.is_tending() {
            return;
        }
        lake.run_upkeep_job();
        lake.run_commit_job();
    }
    panic!("the upkeep comes to no end");
}

fn vacuum(lake: &mut Lake) -> Vacuumed {
    let before = lake.vacuumed();
    tend(lake, UpkeepRequest::Vacuum);
    lake.vacuumed() - before
}

/// A lake of many commits, not merged yet. Names of files have the time of the machine, so the clock starts with it.
fn many_commits() -> (FaultyFiles, ManualClock, Lake) {
    let (files, clock) = (FaultyFiles::new(), ManualClock::new(system_clock()()));
    let mut lake = open(&files, 0, |options| {
        options.background = false;
        options.limits.vacuum_after = VACUUM_AFTER;
        options.clock = LakeClock::new(clock.function(), clock.monotonic_function());
    })
    .expect("opens");
    for number in 1..=COMMITS {
        apply(&mut lake, u64::from(number), &[(number, 0, 1.0)]).expect("applied");
        lake.commit_all().expect("committed");
    }
    (files, clock, lake)
}

/// How many data files were replaced and are still there.
fn replaced(files: &FaultyFiles, lake: &mut Lake) -> u64 {
    let left = data_files(files) - heat(lake).files.len();
    left as u64
}

/// Data files in the table's folder, live or not.
fn data_files(files: &FaultyFiles) -> usize {
    let paths = files.paths().into_iter();
    paths
        .filter(|path| path.starts_with(LAKE))
        .map(|path| path.display().to_string())
        .filter(|path| path.ends_with(".parquet") && !path.contains("/_delta_log/"))
        .count()
}

#[test]
fn a_vacuum_that_is_cut_off_anywhere_costs_no_answer_and_the_next_one_ends_it() {
    let (base, clock, mut lake) = many_commits();
    tend(&mut lake, UpkeepRequest::Compact(None));
    let expected = answers(&base, &mut lake);
    assert_eq!(expected.0.len(), COMMITS as usize);
    let left = replaced(&base, &mut lake);
    assert!(left >= u64::from(COMMITS), "{left} files");
    drop(lake);
    clock.advance(TWO_DAYS_US);

    let files = base.copy_after(Crash::Kill);
    let mut lake = reopen(&files, &clock);
    let start = files.operations();
    let whole = vacuum(&mut lake);
    let steps = files.operations() - start;
    assert_eq!(
        (whole.replaced_files, whole.orphans, whole.failed_tables),
        (left, 0, 0)
    );
    assert_eq!(steps, whole.replaced_files + whole.log_files);
    assert!(whole.log_files >= 100, "{whole:?}");

    let faults = [
        Fault::FailedSync,
        Fault::DiskFull,
        Fault::LateError,
        Fault::PowerLoss,
    ];
    for (shift, fault) in (0..).zip(faults) {
        for step in (shift..steps).step_by(8) {
            let what = format!("{fault:?} at step {step}");
            let files = base.copy_after(Crash::Kill);
            let mut lake = reopen(&files, &clock);
            files.fail_at(files.operations() + step, fault);
            assert_eq!(vacuum(&mut lake).failed_tables, 1, "{what}");
            assert_eq!(answers(&files, &mut lake), expected, "{what}");
            for crash in [Crash::Kill, Crash::PowerLoss { seed: step }] {
                let files = files.copy_after(crash);
                let mut lake = reopen(&files, &clock);
                assert_eq!(answers(&files, &mut lake), expected, "{what}, {crash:?}");
                assert_eq!(vacuum(&mut lake).failed_tables, 0, "{what}, {crash:?}");
                assert_eq!(replaced(&files, &mut lake), 0, "{what}, {crash:?}");
                drop(lake);
                let mut lake = reopen(&files, &clock);
                assert_eq!(answers(&files, &mut lake), expected, "{what}, {crash:?}");
            }
            if fault != Fault::PowerLoss {
                // The same process, too, ends it at the next opportunity.
                assert_eq!(vacuum(&mut lake).failed_tables, 0, "{what}");
                assert_eq!(replaced(&files, &mut lake), 0, "{what}");
            }
        }
    }
}

#[test]
fn a_file_that_a_reader_holds_stays_for_its_time_and_what_is_open_can_be_read_on() {
    let (files, clock, mut lake) = many_commits();
    let before = heat(&mut lake);
    let path = before.files[0].path.to_string();
    let Ok(DataFile::Live(_, held)) = before.data_file(&path) else {
        panic!("it is live");
    };
    let length = usize::try_from(held.bytes()).expect("small");
    let content = held.read_at(0, length).expect("readable");
    tend(&mut lake, UpkeepRequest::Compact(None));

    // Within its time: the old snapshot is whole, and the new one still gives the file to those who have its link.
    clock.advance(VACUUM_AFTER.as_micros() as i64 / 2);
    assert_eq!(vacuum(&mut lake).replaced_files, 0);
    for file in before.files.iter() {
        let found = before.data_file(&file.path);
        assert!(matches!(found, Ok(DataFile::Live(..))), "{found:?}");
    }
    let after = heat(&mut lake);
    let Ok(DataFile::Replaced(kept)) = after.data_file(&path) else {
        panic!("it is kept");
    };
    assert_eq!(kept.read_at(0, length).expect("readable"), content);

    clock.advance(TWO_DAYS_US);
    let left = replaced(&files, &mut lake);
    assert_eq!(vacuum(&mut lake).replaced_files, left);
    assert_eq!(replaced(&files, &mut lake), 0);
    let gone = heat(&mut lake).data_file(&path);
    assert!(matches!(gone, Ok(DataFile::Gone)), "{gone:?}");
    // Who has it open reads on; who opens it by the old snapshot is told which file is missing.
    assert_eq!(held.read_at(0, length).expect("still open"), content);
    let error = before.data_file(&path).expect_err("it is gone");
    assert!(error.to_string().contains(&path), "{error}");
    assert_eq!(answers(&files, &mut lake).0.len(), COMMITS as usize);
}

/// Notes in a lake that a file of `heat` is damaged; returns whether that is done.
fn note_damage(files: &FaultyFiles, file: &str) -> bool {
    let storage = FolderStorage::with_files(LAKE, Arc::new(files.clone()));
    let folder = TableFolder::new(Arc::new(storage), "heat");
    folder.remember_damage(file, Damage::WrongChecksum).is_ok()
}

/// Files in the lake's own folder, beside its tables, whose names end so.
fn own_files(files: &FaultyFiles, ending: &str) -> Vec<PathBuf> {
    let mut paths = files.paths();
    paths.retain(|path| {
        let name = path.display().to_string();
        name.starts_with(&format!("{LAKE}/_meetnet/")) && name.ends_with(ending)
    });
    paths
}

#[test]
fn what_a_crash_cut_off_beside_the_tables_goes_once_it_is_old() {
    let clock = ManualClock::new(system_clock()());
    let open = |files: &FaultyFiles| {
        open(files, 0, |options| {
            options.background = false;
            options.clock = LakeClock::new(clock.function(), clock.monotonic_function());
        })
        .expect("opens")
    };
    let base = FaultyFiles::new();
    drop(open(&base));
    assert!(note_damage(&base, "month=2026-01/whole.parquet"));
    // The machine goes off before the next note has its name.
    let cut_off = (0..).find_map(|step| {
        let files = base.copy_after(Crash::Kill);
        files.fail_at(files.operations() + step, Fault::PowerLoss);
        let is_done = note_damage(&files, "month=2026-01/cut.parquet");
        assert!(!is_done, "no step leaves something behind");
        let files = files.restart(Crash::Kill);
        (own_files(&files, ".tmp").len() == 1).then_some(files)
    });
    let files = cut_off.expect("a step");
    let notes = own_files(&files, ".json");
    assert_eq!(notes.len(), 1);
    let mut lake = open(&files);
    assert_eq!(vacuum(&mut lake), Vacuumed::default(), "it may be written");
    clock.advance(TWO_DAYS_US);
    let vacuumed = vacuum(&mut lake);
    assert_eq!((vacuumed.orphans, vacuumed.failed_tables), (1, 0));
    assert_eq!(own_files(&files, ".tmp").len(), 0);
    assert_eq!(own_files(&files, ".json"), notes);
}

#[test]
fn a_clock_that_is_set_ahead_takes_no_file_that_is_being_written() {
    let (files, clock, mut lake) = many_commits();
    let expected = answers(&files, &mut lake);
    let compact = UpkeepRequest::Compact(None);
    lake.request(compact).expect("taken");
    lake.tick().expect("a merge begins");
    clock.step(TWO_DAYS_US);
    let before = (data_files(&files), lake.vacuumed());
    lake.request(UpkeepRequest::Vacuum).expect("taken");
    lake.tick().expect("goes on");
    // What is first in the queue is the merge: its files are there, and no commit has named them yet.
    assert!(lake.run_upkeep_job());
    assert!(data_files(&files) > before.0);
    finish(&mut lake);
    assert_eq!((lake.vacuumed() - before.1).orphans, 0);
    assert!(lake.compacted().merges > 0);
    assert_eq!(answers(&files, &mut lake), expected);
}

#[test]
fn a_clock_that_is_set_back_while_a_vacuum_runs_takes_no_file_that_was_written_since() {
    let (files, clock, mut lake) = many_commits();
    clock.step(TWO_DAYS_US);
    let before = lake.vacuumed();
    lake.request(UpkeepRequest::Vacuum).expect("taken");
    lake.tick().expect("the vacuum begins");
    clock.step(-TWO_DAYS_US);
    let number = COMMITS + 1;
    apply(&mut lake, u64::from(number), &[(number, 0, 1.0)]).expect("applied");
    lake.commit_all().expect("committed");
    let expected = answers(&files, &mut lake);
    finish(&mut lake);
    assert_eq!((lake.vacuumed() - before).orphans, 0);
    assert_eq!(answers(&files, &mut lake), expected);
}

/// A lake in which a vacuum is due and a merge is wanted while a commit has the log of a table.
fn committing() -> (ManualClock, Lake) {
    let (_, clock, mut lake) = many_commits();
    let number = COMMITS + 1;
    apply(&mut lake, u64::from(number), &[(number, 0, 1.0)]).expect("applied");
    clock.advance(TWO_DAYS_US);
    lake.request(UpkeepRequest::Compact(None)).expect("taken");
    lake.tick().expect("a commit begins");
    (clock, lake)
}

#[test]
fn a_vacuum_has_its_turn_between_two_merges() {
    let (_, mut lake) = committing();
    // The merge would begin at once, and there may be a commit again when it ends.
    assert!(!lake.run_upkeep_job());
    assert!(lake.run_commit_job());
    while lake.run_commit_job() {}
    lake.tick().expect("the vacuum begins");
    assert!(lake.run_upkeep_job());
    lake.tick().expect("goes on");
    assert!(lake.vacuumed().log_files > 0);
    assert_eq!(lake.compacted().merges, 0);
    finish(&mut lake);
    assert!(lake.compacted().merges > 0);
}

#[test]
fn a_commit_that_comes_to_no_end_does_not_keep_merges_waiting_for_a_vacuum() {
    let (clock, mut lake) = committing();
    assert!(!lake.run_upkeep_job());
    clock.advance(60_000_000);
    lake.tick().expect("a merge begins");
    assert!(lake.run_upkeep_job());
}
