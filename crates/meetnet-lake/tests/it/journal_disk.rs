//! The journal on a disk that refuses: failed writes and syncs, no space, no right to write.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use meetnet_lake::files::Files;
use meetnet_lake::journal::{
    AppendError, ArchiveStep, Checkpoint, FolderLock, Journal, JournalError, JournalOptions,
    NewEnvelope,
};
use meetnet_model::ids::Sequence;
use meetnet_testkit::files::{Crash, Fault, FaultyFiles};

use super::journal_scene::{DIR, append, envelopes, open, options, read, segments};

#[test]
fn after_a_failed_write_the_group_goes_to_a_fresh_segment_in_order() {
    for fault in [
        Fault::ShortWrite { bytes: 70 },
        Fault::FailedSync,
        Fault::DiskFull,
    ] {
        let files = FaultyFiles::new();
        let (journal, _) = open(&files);
        append(&journal, &[b"kept"]);
        journal.write_group().expect("written");
        append(&journal, &[b"one", b"two"]);
        // The write, or with `FailedSync` the sync behind it.
        files.fail_at(
            files.operations() + u64::from(fault == Fault::FailedSync),
            fault,
        );
        journal.write_group().expect_err("the disk refuses");
        assert_eq!(journal.durable().0, Sequence(2));
        assert_eq!(read(&journal, 0).len(), 1, "{fault:?}");
        // A full disk takes nothing more meanwhile.
        let takes_more = fault != Fault::DiskFull;
        if takes_more {
            append(&journal, &[b"three"]);
        } else {
            assert_eq!(journal.append_tick(), Err(AppendError::DiskFull));
        }
        // The fresh segment fails as well, at each of its steps.
        for step in 0..5 {
            files.fail_at(files.operations() + step, fault);
            journal.write_group().expect_err("the disk refuses");
        }
        assert!(journal.write_group().expect("written"));
        assert_eq!(journal.write_group().expect("written"), takes_more);
        let expect: Vec<(u64, Vec<u8>)> = [(2, "kept"), (3, "one"), (4, "two"), (5, "three")]
            .map(|(sequence, payload)| (sequence, payload.as_bytes().to_vec()))
            [..3 + usize::from(takes_more)]
            .to_vec();
        assert_eq!(read(&journal, 0), expect);
        for crash in [
            Crash::Kill,
            Crash::PowerLoss { seed: 1 },
            Crash::PowerLoss { seed: 2 },
        ] {
            let (journal, recovery) = open(&files.restart(crash));
            assert_eq!(
                (read(&journal, 0), recovery.skipped.len()),
                (expect.clone(), 0)
            );
        }
    }
}

#[test]
fn a_tail_that_only_memory_holds_is_made_durable_by_opening() {
    let files = FaultyFiles::new();
    let (journal, _) = open(&files);
    append(&journal, &[b"only in the page cache"]);
    files.fail_at(files.operations() + 1, Fault::FailedSync);
    // The process dies before it can do anything about it.
    files.fail_at(files.operations() + 2, Fault::PowerLoss);
    journal.write_group().expect_err("sync failed");
    let files = files.restart(Crash::Kill);
    let (journal, _) = open(&files);
    let seen = read(&journal, 0);
    assert_eq!(seen.len(), 1, "it was whole in memory");
    for seed in 0..20 {
        assert_eq!(
            read(&open(&files.restart(Crash::PowerLoss { seed })).0, 0),
            seen,
            "seed {seed}"
        );
    }
}

#[test]
fn a_new_journal_with_its_folders_survives_a_power_loss() {
    for seed in 0..20 {
        let files = FaultyFiles::new();
        let (journal, _) = open(&files);
        append(&journal, &[b"first"]);
        journal.write_group().expect("written");
        let files = files.restart(Crash::PowerLoss { seed });
        let (journal, _) = open(&files);
        assert_eq!(read(&journal, 0), envelopes(&[0]), "seed {seed}");
    }
}

#[test]
fn a_full_disk_takes_nothing_until_there_is_room_for_the_reserve_too() {
    let files = FaultyFiles::new();
    let with_reserve = JournalOptions {
        reserve_bytes: 2000,
        ..options(&files)
    };
    let (journal, _) = Journal::open(with_reserve, b"declared").expect("opens");
    let refused = || {
        let envelope = NewEnvelope::default();
        assert_eq!(journal.append(&envelope), Err(AppendError::DiskFull));
        assert_eq!(journal.append_tick(), Err(AppendError::DiskFull));
        assert!(journal.is_disk_full());
    };
    files.set_bytes_max(Some(files.bytes_used() + 20));
    append(&journal, &[b"first"]);
    for _ in 0..3 {
        journal.write_group().expect_err("the disk is full");
        refused();
    }
    assert_eq!(read(&journal, 0), []);
    // A commit is given the reserve; what had been taken may use it, what is new may not.
    assert!(journal.release_reserve().expect("released"));
    assert!(journal.write_group().expect("written"));
    assert_eq!(read(&journal, 0), envelopes(&[0]));
    refused();
    journal.write_group().expect("nothing waits");
    refused();
    files.set_bytes_max(None);
    journal.write_group().expect("looked for room");
    assert!(!journal.is_disk_full());
    let reserve = files.content(&Path::new(DIR).join("reserve"));
    assert_eq!(reserve.map(|zeros| zeros.len()), Some(2000));
    append(&journal, &[b"second"]);
    assert!(journal.write_group().expect("written"));
    assert_eq!(read(&journal, 0), envelopes(&[0, 1]));
}

#[test]
fn the_thread_of_a_journal_notices_by_itself_that_there_is_room_again() {
    let files = FaultyFiles::new();
    let threaded = JournalOptions {
        background: true,
        ..options(&files)
    };
    let (journal, _) = Journal::open(threaded, b"declared").expect("opens");
    files.set_bytes_max(Some(files.bytes_used()));
    let waiting = append(&journal, &[b"first"]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !journal.is_disk_full() {
        assert!(Instant::now() < deadline, "the disk is full");
        std::thread::sleep(Duration::from_millis(1));
    }
    files.set_bytes_max(None);
    journal.wait_durable(Sequence(waiting[0])).expect("durable");
    while journal.is_disk_full() {
        assert!(Instant::now() < deadline, "there is room");
        std::thread::sleep(Duration::from_millis(1));
    }
    let last = append(&journal, &[b"second"]);
    journal.wait_durable(Sequence(last[0])).expect("durable");
    assert_eq!(read(&journal, 0), envelopes(&[0, 1]));
}

#[test]
fn a_journal_on_a_read_only_disk_names_its_folder_and_goes_on_when_it_may_write() {
    let files = FaultyFiles::new();
    files.set_read_only(true);
    let error = Journal::open(options(&files), b"declared").expect_err("read-only");
    assert!(
        matches!(error, JournalError::Io { .. }) && error.to_string().contains(DIR),
        "{error}"
    );
    files.set_read_only(false);
    let (journal, _) = open(&files);
    files.set_read_only(true);
    append(&journal, &[b"first"]);
    journal.write_group().expect_err("read-only");
    assert_eq!(read(&journal, 0), []);
    files.set_read_only(false);
    assert!(journal.write_group().expect("written"));
    assert_eq!(read(&journal, 0), envelopes(&[0]));
}

#[test]
fn a_full_disk_still_has_room_for_the_checkpoint() {
    let files = FaultyFiles::new();
    let with_reserve = JournalOptions {
        reserve_bytes: 2000,
        segment_bytes_max: 400,
        ..options(&files)
    };
    let (journal, _) = Journal::open(with_reserve, b"declared").expect("opens");
    for _ in 0..20 {
        append(&journal, &[&[7; 100]]);
        journal.write_group().expect("written");
    }
    files.set_bytes_max(Some(files.bytes_used() + 20));
    append(&journal, &[&[7; 100]]);
    journal.write_group().expect_err("the disk is full");
    let checkpoint = Checkpoint {
        trimmed_through: Sequence(15),
        ..Checkpoint::default()
    };
    let trimmed = journal
        .checkpoint_and_trim(&checkpoint)
        .expect("the reserve gave room");
    assert!(trimmed.segments > 0);
    files.set_bytes_max(None);
    assert!(journal.write_group().expect("written"));
    assert_eq!(journal.durable().0, Sequence(22));
}

/// A journal with a reserve, a message that is not committed, and segments in its archive.
fn with_an_archive() -> (FaultyFiles, JournalOptions) {
    let files = FaultyFiles::new();
    let options = JournalOptions {
        reserve_bytes: 2000,
        segment_bytes_max: 400,
        ..options(&files)
    };
    let (journal, _) = Journal::open(options.clone(), b"declared").expect("opens");
    for _ in 0..20 {
        append(&journal, &[&[7; 100]]);
        journal.write_group().expect("written");
    }
    let checkpoint = Checkpoint {
        trimmed_through: Sequence(20),
        ..Checkpoint::default()
    };
    let trimmed = journal.checkpoint_and_trim(&checkpoint).expect("trimmed");
    assert!(trimmed.segments > 4);
    journal.shutdown().expect("all written");
    (files, options)
}

/// What is not committed of [`with_an_archive`].
fn last_message() -> Vec<(u64, Vec<u8>)> {
    vec![(21, vec![7; 100])]
}

#[test]
fn a_start_on_a_full_disk_uses_the_reserve_and_takes_nothing_until_there_is_room() {
    for crash in [Crash::Kill, Crash::PowerLoss { seed: 3 }] {
        let (files, options) = with_an_archive();
        let files = files.restart(crash);
        let options = JournalOptions {
            files: Arc::new(files.clone()),
            ..options
        };
        files.set_bytes_max(Some(files.bytes_used()));
        // Other declarations than before, so that frames are written as well.
        let (journal, _) = Journal::open(options, b"changed").expect("opens");
        assert!(journal.is_disk_full());
        assert_eq!(journal.append_tick(), Err(AppendError::DiskFull));
        assert_eq!(read(&journal, 20), last_message(), "{crash:?}");
        journal.write_group().expect("looked for room");
        assert!(journal.is_disk_full());
        let reserve = Path::new(DIR).join("reserve");
        assert_eq!(files.content(&reserve), None);
        files.set_bytes_max(None);
        journal.write_group().expect("looked for room");
        assert!(!journal.is_disk_full());
        assert_eq!(files.content(&reserve).map(|zeros| zeros.len()), Some(2000));
        append(&journal, &[b"new"]);
        journal.write_group().expect("written");
        let expect = [last_message(), vec![(23, b"new".to_vec())]].concat();
        assert_eq!(read(&journal, 20), expect, "{crash:?}");
    }
}

#[test]
fn a_start_on_a_full_disk_drops_what_is_too_much_in_the_archive_and_keeps_the_reserve() {
    let (files, options) = with_an_archive();
    let used = files.bytes_used();
    files.set_bytes_max(Some(used));
    let smaller = JournalOptions {
        archive_bytes_max: 500,
        ..options
    };
    let (journal, _) = Journal::open(smaller, b"changed").expect("opens");
    assert!(!journal.is_disk_full() && files.bytes_used() + 500 < used);
    let reserve = files.content(&Path::new(DIR).join("reserve"));
    assert_eq!(reserve.map(|zeros| zeros.len()), Some(2000));
    append(&journal, &[b"new"]);
    assert!(journal.write_group().expect("written"));
    assert_eq!(read(&journal, 21), [(23, b"new".to_vec())]);
}

#[test]
fn a_start_without_a_reserve_fails_on_a_full_disk_or_waits_for_room() {
    let (files, options) = with_an_archive();
    files
        .remove(&Path::new(DIR).join("reserve"))
        .expect("removed");
    files.set_bytes_max(Some(files.bytes_used()));
    let before = files.paths();
    let error = Journal::open(options.clone(), b"changed").expect_err("no room");
    assert!(error.is_disk_full(), "{error}");
    assert_eq!(files.paths(), before, "nothing half-written takes space");
    // As long as it is wanted; room comes meanwhile.
    let lock = FolderLock::take(&options).expect("free");
    let asked = AtomicU64::new(0);
    let waits = || {
        if asked.fetch_add(1, Ordering::Relaxed) == 2 {
            files.set_bytes_max(None);
        }
        true
    };
    let (journal, _) =
        Journal::open_locked(options.clone(), lock, b"changed", &waits).expect("opens");
    assert!(asked.load(Ordering::Relaxed) > 2 && !journal.is_disk_full());
    assert_eq!(read(&journal, 20), last_message());
    journal.shutdown().expect("nothing waits");
    // Or no longer.
    files
        .remove(&Path::new(DIR).join("reserve"))
        .expect("removed");
    files.set_bytes_max(Some(files.bytes_used()));
    let lock = FolderLock::take(&options).expect("free");
    let left = AtomicU64::new(3);
    let waits = || left.fetch_sub(1, Ordering::Relaxed) > 1;
    let error = Journal::open_locked(options, lock, b"again", &waits).expect_err("no room");
    assert!(error.is_disk_full(), "{error}");
}

#[test]
fn a_start_on_a_full_disk_loses_nothing_to_a_crash_at_any_step() {
    for step in 0..16 {
        for crash in [Crash::Kill, Crash::PowerLoss { seed: step }] {
            let (files, options) = with_an_archive();
            files.set_bytes_max(Some(files.bytes_used()));
            files.fail_at(files.operations() + step, Fault::PowerLoss);
            // Off at some step of it, or behind it.
            drop(Journal::open(options.clone(), b"changed"));
            let files = files.restart(crash);
            files.set_bytes_max(None);
            let options = JournalOptions {
                files: Arc::new(files.clone()),
                ..options
            };
            let (journal, recovery) = Journal::open(options, b"changed").expect("opens");
            assert!(recovery.skipped.is_empty(), "step {step}, {crash:?}");
            let read = read(&journal, 20);
            assert_eq!(read, last_message(), "step {step}, {crash:?}");
        }
    }
}

#[test]
fn a_state_that_finds_no_room_leaves_it_to_the_checkpoint() {
    let files = FaultyFiles::new();
    let with_reserve = JournalOptions {
        reserve_bytes: 2000,
        ..options(&files)
    };
    let (journal, _) = Journal::open(with_reserve, b"declared").expect("opens");
    journal
        .write_state(Sequence(1), &[1; 100])
        .expect("there is room");
    files.set_bytes_max(Some(files.bytes_used() + 20));
    // Larger than the reserve, which is given all the same.
    journal
        .write_state(Sequence(2), &[2; 3000])
        .expect_err("the disk is full");
    assert_eq!(files.content(&Path::new(DIR).join("state.tmp")), None);
    let state = |sequence| journal.read_state(Sequence(sequence)).expect("read");
    assert_eq!((state(1), state(2)), (Some(vec![1; 100]), None));
    journal
        .checkpoint_and_trim(&Checkpoint::default())
        .expect("the reserve gave room");
    journal
        .write_state(Sequence(2), &[2; 1000])
        .expect("the reserve gave room");
    assert_eq!(state(2), Some(vec![2; 1000]));
}

#[test]
fn a_journal_that_stops_on_a_failing_disk_says_what_was_not_written() {
    let files = FaultyFiles::new();
    let (journal, _) = open(&files);
    append(&journal, &[b"one", b"two"]);
    files.fail_next(Fault::PowerLoss);
    let handle = journal.clone();
    match journal.shutdown() {
        Err(JournalError::Unwritten { frames: 2, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(handle.append_tick(), Err(AppendError::Stopped));
    assert!(matches!(
        handle.checkpoint_and_trim(&Checkpoint::default()),
        Err(JournalError::Stopped)
    ));
}

/// Bytes of a spare.
const SPARE_BYTES: usize = 4000;

/// A journal of three messages, the last two of them in a segment over a spare.
fn over_a_spare() -> (FaultyFiles, Journal) {
    let files = FaultyFiles::new();
    let small = JournalOptions {
        segment_bytes_max: SPARE_BYTES as u64,
        ..options(&files)
    };
    let (journal, _) = Journal::open(small, b"declared").expect("opens");
    append(&journal, &[b"first"]);
    journal.write_group().expect("written");
    assert!(journal.prepare_segment(&|| true).expect("made"));
    assert!(!journal.prepare_segment(&|| true).expect("there is one"));
    for payload in [b"second".as_slice(), b"third"] {
        append(&journal, &[payload]);
        journal.write_group().expect("written");
    }
    let newest = segments(&files).pop().expect("a segment");
    let content = files.content(&newest).expect("a file");
    assert_eq!(content.len(), SPARE_BYTES, "its length does not change");
    (files, journal)
}

#[test]
fn zeros_behind_the_last_frame_are_no_damage_and_go_at_the_next_start() {
    let losses = (0..20).map(|seed| Crash::PowerLoss { seed });
    for crash in losses.chain([Crash::Kill]) {
        let (files, journal) = over_a_spare();
        assert_eq!(read(&journal, 0), envelopes(&[0, 1, 2]));
        // One that is not used.
        assert!(journal.prepare_segment(&|| true).expect("made"));
        let files = files.restart(crash);
        let (journal, recovery) = open(&files);
        assert_eq!(
            (recovery.cut_bytes, recovery.skipped.len()),
            (0, 0),
            "{crash:?}"
        );
        assert_eq!(read(&journal, 0), envelopes(&[0, 1, 2]), "{crash:?}");
        for path in files.paths() {
            let bytes = files.content(&path).map_or(0, |content| content.len());
            assert!(bytes < SPARE_BYTES, "{} after {crash:?}", path.display());
        }
    }
}

#[test]
fn of_a_group_torn_over_a_spare_what_was_written_is_cut() {
    let (files, journal) = over_a_spare();
    append(&journal, &[&[7; 300]]);
    files.fail_next(Fault::ShortWrite { bytes: 200 });
    // The process dies before it can do anything about it.
    files.fail_at(files.operations() + 1, Fault::PowerLoss);
    journal.write_group().expect_err("torn");
    let (journal, recovery) = open(&files.restart(Crash::Kill));
    assert_eq!((recovery.cut_bytes, recovery.skipped.len()), (200, 0));
    assert_eq!(read(&journal, 0), envelopes(&[0, 1, 2]));
}

#[test]
fn a_power_loss_amid_a_group_over_a_spare_costs_nothing_that_was_acknowledged() {
    let (files, journal) = over_a_spare();
    append(&journal, &[[7; 600].as_slice(), &[8; 600], &[9; 600]]);
    files.fail_at(files.operations() + 1, Fault::PowerLoss);
    journal.write_group().expect_err("not synced");
    let mut holes = 0;
    for seed in 0..200 {
        let (journal, recovery) = open(&files.restart(Crash::PowerLoss { seed }));
        assert_eq!(read(&journal, 0)[..3], envelopes(&[0, 1, 2]), "seed {seed}");
        holes += recovery.skipped.len();
        assert!(
            recovery.skipped.iter().all(|region| region.last_group),
            "seed {seed}: {:?}",
            recovery.skipped
        );
    }
    assert!(holes > 0, "no frame survived behind a lost sector");
}

#[test]
fn a_segment_over_a_spare_is_cut_when_it_is_sealed_and_when_the_journal_ends() {
    let (files, journal) = over_a_spare();
    let over = segments(&files).pop().expect("a segment");
    let bytes = |path: &Path| files.content(path).map_or(0, |content| content.len());
    while segments(&files).pop().as_ref() == Some(&over) {
        append(&journal, &[&[7; 500]]);
        journal.write_group().expect("written");
    }
    assert!(bytes(&over) < SPARE_BYTES);
    assert!(journal.prepare_segment(&|| true).expect("made"));
    append(&journal, &[b"begins another"]);
    journal.write_group().expect("written");
    let newest = segments(&files).pop().expect("a segment");
    assert_eq!(bytes(&newest), SPARE_BYTES);
    let stored: usize = segments(&files).iter().map(|path| bytes(path)).sum();
    assert!(journal.bytes() < stored as u64, "zeros are no messages");
    journal.shutdown().expect("all written");
    assert!(bytes(&newest) < SPARE_BYTES);
}

#[test]
fn where_there_is_no_room_for_a_spare_segments_grow_as_before() {
    let files = FaultyFiles::new();
    let (journal, _) = open(&files);
    files.set_bytes_max(Some(files.bytes_used() + 1000));
    let used = files.bytes_used();
    journal.prepare_segment(&|| true).expect_err("64 MiB");
    assert_eq!(files.bytes_used(), used, "half of one is removed");
    append(&journal, &[b"first"]);
    assert!(journal.write_group().expect("written"));
    assert!(!journal.is_disk_full());
    assert_eq!(read(&journal, 0), envelopes(&[0]));
}

#[test]
fn a_spare_that_takes_the_last_room_gives_it_back_and_raises_no_alarm() {
    let files = FaultyFiles::new();
    let large = JournalOptions {
        reserve_bytes: 2000,
        segment_bytes_max: 4 << 20,
        ..options(&files)
    };
    let (journal, _) = Journal::open(large, b"declared").expect("opens");
    append(&journal, &[b"first"]);
    // Room for the first step of a spare, and little else.
    files.set_bytes_max(Some(files.bytes_used() + (1 << 20) + 20));
    let steps = AtomicU64::new(0);
    let go_on = || {
        if steps.fetch_add(1, Ordering::Relaxed) == 1 {
            journal.write_group().expect_err("no room");
            assert!(!journal.is_disk_full());
        }
        true
    };
    assert!(!journal.prepare_segment(&go_on).expect("given up"));
    assert_eq!(steps.load(Ordering::Relaxed), 2);
    assert!(journal.write_group().expect("the room of the spare"));
    assert!(!journal.is_disk_full());
    assert_eq!(read(&journal, 0), envelopes(&[0]));
}

#[test]
fn a_compression_that_finds_no_room_leaves_nothing_of_itself() {
    let (files, options) = with_an_archive();
    let (journal, _) = Journal::open(options, b"declared").expect("opens");
    files.set_bytes_max(Some(files.bytes_used()));
    let before = files.paths();
    journal.tend_archive().expect_err("no room");
    assert_eq!(files.paths(), before);
    files.set_bytes_max(None);
    let step = journal.tend_archive().expect("there is room");
    assert!(matches!(step, Some(ArchiveStep::Compressed(_))), "{step:?}");
}
