//! The journal on files that were cut, flipped, lost or torn: what is intact is read, what is not is reported once.

use std::path::{Path, PathBuf};

use meetnet_lake::journal::{Checkpoint, Journal, JournalError, JournalOptions, SkippedRegion};
use meetnet_model::ids::Sequence;
use meetnet_testkit::files::{Crash, Fault, FaultyFiles};

use super::journal_scene::{DIR, append, envelopes, open, options, read, segments};

/// A journal of one segment with the envelopes 2, 3 and 4; returns the files, and where each frame starts and ends.
fn three_envelopes() -> (FaultyFiles, PathBuf, Vec<(usize, usize)>) {
    let files = FaultyFiles::new();
    let (journal, _) = open(&files);
    let path = segments(&files).pop().expect("one segment");
    let length = || files.content(&path).expect("a file").len();
    let mut bounds = Vec::new();
    for payload in [b"first".as_slice(), b"second", b"third"] {
        let start = length();
        append(&journal, &[payload]);
        journal.write_group().expect("written");
        bounds.push((start, length()));
    }
    (files.restart(Crash::Kill), path, bounds)
}

#[test]
fn cut_at_every_byte_the_whole_frames_before_it_stay() {
    let (files, path, bounds) = three_envelopes();
    let content = files.content(&path).expect("a file");
    for length in bounds[0].0..content.len() {
        let files = files.restart(Crash::Kill);
        files.put(&path, content[..length].to_vec());
        let (journal, recovery) = open(&files);
        let whole: Vec<usize> = (0..3)
            .filter(|&number| bounds[number].1 <= length)
            .collect();
        assert_eq!(read(&journal, 0), envelopes(&whole), "cut to {length}");
        let end = whole.last().map_or(bounds[0].0, |&number| bounds[number].1);
        // Zeros at its end might have been there before it was written.
        let torn = content[end..length].iter().rposition(|&byte| byte != 0);
        let torn = torn.map_or(0, |last| last + 1);
        assert_eq!(
            (recovery.cut_bytes, recovery.skipped.len()),
            (torn as u64, 0),
            "cut to {length}"
        );
        assert_eq!(append(&journal, &[b"next"]), [whole.len() as u64 + 2]);
        journal.shutdown().expect("all written");
        // Nothing is left of it the next time.
        let (journal, recovery) = open(&files);
        assert_eq!((recovery.cut_bytes, recovery.skipped.len()), (0, 0));
        assert_eq!(read(&journal, 0).len(), whole.len() + 1);
    }
}

#[test]
fn cut_within_the_first_frames_the_journal_starts_anew_and_keeps_its_id() {
    let (files, path, bounds) = three_envelopes();
    let id = open(&files.restart(Crash::Kill)).0.id();
    let content = files.content(&path).expect("a file");
    for length in 0..bounds[0].0 {
        let files = files.restart(Crash::Kill);
        files.put(&path, content[..length].to_vec());
        let (journal, recovery) = open(&files);
        assert_eq!((journal.id(), recovery.skipped.len()), (id, 0));
        assert_eq!(read(&journal, 0), [], "cut to {length}");
    }
}

#[test]
fn a_bit_flipped_anywhere_in_a_middle_frame_costs_that_frame_only() {
    let (files, path, bounds) = three_envelopes();
    let (start, end) = bounds[1];
    for at in start..end {
        let files = files.restart(Crash::Kill);
        let mut content = files.content(&path).expect("a file");
        content[at] ^= 1 << (at % 8);
        let damaged = content[start..end].to_vec();
        files.put(&path, content);
        let (journal, recovery) = open(&files);
        assert_eq!(read(&journal, 0), envelopes(&[0, 2]), "flipped at {at}");
        let [region] = recovery.skipped.as_slice() else {
            panic!("{:?}", recovery.skipped)
        };
        assert_eq!(
            (region.offset, region.bytes),
            (start as u64, (end - start) as u64)
        );
        assert_eq!(
            (region.after, region.resumes_at),
            (Sequence(2), Sequence(4))
        );
        assert!(!region.last_group, "another group was written behind it");
        let kept = region.kept_aside.as_ref().expect("kept");
        assert_eq!(files.content(kept), Some(damaged));
        assert_eq!(recovery.cut_bytes, 0);
    }
}

#[test]
fn a_hole_in_the_last_group_is_a_torn_write() {
    let files = FaultyFiles::new();
    let (journal, _) = open(&files);
    append(&journal, &[b"first", b"second", b"third"]);
    journal.write_group().expect("written");
    let path = segments(&files).pop().expect("one segment");
    let mut content = files.content(&path).expect("a file");
    let at = content
        .windows(6)
        .position(|window| window == b"second")
        .expect("written");
    content[at] = 0;
    files.put(&path, content);
    let (journal, recovery) = open(&files.restart(Crash::Kill));
    assert_eq!(read(&journal, 0), envelopes(&[0, 2]));
    let [region] = recovery.skipped.as_slice() else {
        panic!("{:?}", recovery.skipped)
    };
    assert!(region.last_group && region.kept_aside.is_some());
}

#[test]
fn a_bit_flipped_in_header_or_head_frame_costs_no_frame() {
    let (files, path, bounds) = three_envelopes();
    let declared = files.content(&path).expect("a file");
    // Up to the first declarations frame, which is a frame like others.
    let head_end = bounds[0].0 - (12 + 40 + b"declared".len());
    for at in 0..head_end {
        let files = files.restart(Crash::Kill);
        let mut content = declared.clone();
        content[at] ^= 0x40;
        files.put(&path, content);
        let (journal, recovery) = open(&files);
        assert_eq!(read(&journal, 0), envelopes(&[0, 1, 2]), "flipped at {at}");
        assert_eq!(recovery.skipped.len(), 1, "flipped at {at}");
        assert_eq!(recovery.last_sequence, Sequence(4));
    }
}

#[test]
fn damage_in_a_middle_segment_and_a_missing_one_are_reported() {
    let files = FaultyFiles::new();
    let small = |files: &FaultyFiles| {
        let options = JournalOptions {
            segment_bytes_max: 10,
            ..options(files)
        };
        Journal::open(options, b"declared").expect("opens")
    };
    let (journal, _) = small(&files);
    for payload in [b"a", b"b", b"c", b"d"] {
        append(&journal, &[payload]);
        journal.write_group().expect("written");
    }
    let paths = segments(&files);
    assert_eq!(paths.len(), 5);
    let checkpoint = Checkpoint {
        trimmed_through: Sequence(1),
        ..Checkpoint::default()
    };
    journal.checkpoint_and_trim(&checkpoint).expect("trimmed");
    let files = files.restart(Crash::Kill);

    let sequences = |journal: &Journal| read(journal, 1).iter().map(|f| f.0).collect::<Vec<_>>();
    let damaged = files.restart(Crash::Kill);
    let mut content = damaged.content(&paths[2]).expect("a file");
    let last = content.len() - 1;
    content[last] ^= 1;
    damaged.put(&paths[2], content);
    let (journal, recovery) = small(&damaged);
    assert_eq!(sequences(&journal), [2, 4, 5]);
    assert_eq!(recovery.skipped.len(), 1);
    assert_eq!(
        (&recovery.skipped[0].segment, recovery.skipped[0].after),
        (&paths[2], Sequence(2))
    );

    for (missing, left) in [(1, [3, 4, 5]), (2, [2, 4, 5])] {
        let lost = files.restart(Crash::Kill);
        meetnet_lake::files::Files::remove(&lost, &paths[missing]).expect("removed");
        let (journal, recovery) = small(&lost);
        assert_eq!(sequences(&journal), left);
        assert_eq!((recovery.skipped.len(), recovery.skipped[0].bytes), (1, 0));
    }

    // The newest: nothing behind it says that it was there. A start tells of it once, and leaves a note for the check.
    let lost = files.restart(Crash::Kill);
    meetnet_lake::files::Files::remove(&lost, &paths[4]).expect("removed");
    let (journal, recovery) = small(&lost);
    assert_eq!(sequences(&journal), [2, 3, 4]);
    let [region] = recovery.skipped.as_slice() else {
        panic!("{:?}", recovery.skipped)
    };
    assert_eq!(
        (
            &region.segment,
            region.bytes,
            region.after,
            region.last_group
        ),
        (&paths[4], 0, Sequence(4), false)
    );
    let aside = Path::new(DIR).join("aside");
    let notes = lost.paths().into_iter();
    let notes: Vec<PathBuf> = notes
        .filter(|path| path.parent() == Some(&*aside))
        .collect();
    assert_eq!(notes.len(), 1, "{notes:?}");
    append(&journal, &[b"e"]);
    journal.write_group().expect("written");
    assert!(segments(&lost).iter().all(|path| *path != paths[4]));
    let (journal, recovery) = small(&lost.restart(Crash::Kill));
    assert_eq!(recovery.skipped, []);
    assert_eq!(read(&journal, 4), [(5, b"e".to_vec())]);
}

#[test]
fn a_power_loss_while_segments_begin_tells_of_no_segment_that_is_gone() {
    for seed in 0..50 {
        let files = FaultyFiles::new();
        let options = |files: &FaultyFiles| JournalOptions {
            segment_bytes_max: 10,
            ..options(files)
        };
        let (journal, _) = Journal::open(options(&files), b"declared").expect("opens");
        for payload in [b"a", b"b", b"c"] {
            append(&journal, &[payload]);
            journal.write_group().expect("written");
        }
        append(&journal, &[b"d"]);
        files.fail_at(files.operations() + seed % 8, Fault::PowerLoss);
        let _ = journal.write_group();
        let files = files.restart(Crash::PowerLoss { seed });
        let (journal, recovery) = Journal::open(options(&files), b"declared").expect("opens");
        let skipped = recovery.skipped.iter();
        assert_eq!(
            skipped.filter(|region| !region.last_group).count(),
            0,
            "seed {seed}"
        );
        assert!(read(&journal, 0).len() >= 3, "seed {seed}");
    }
}

#[test]
fn copies_of_damage_that_had_to_go_are_not_reported_as_kept() {
    let files = FaultyFiles::new();
    let (journal, _) = open(&files);
    let path = segments(&files).pop().expect("one segment");
    for payload in [b"first ", b"second", b"third ", b"fourth"] {
        append(&journal, &[payload.as_slice()]);
        journal.write_group().expect("written");
    }
    let mut content = files.content(&path).expect("a file");
    for damaged in [b"first ", b"third "] {
        let at = content.windows(6).position(|window| window == damaged);
        content[at.expect("written")] ^= 1;
    }
    files.put(&path, content);
    let kept = |aside_bytes_max| -> Vec<bool> {
        let files = files.restart(Crash::Kill);
        let options = JournalOptions {
            aside_bytes_max,
            ..options(&files)
        };
        let (journal, recovery) = Journal::open(options, b"declared").expect("opens");
        assert_eq!(
            read(&journal, 0),
            [(3, b"second".into()), (5, b"fourth".into())]
        );
        let exists = |region: &SkippedRegion| {
            let kept = region.kept_aside.as_ref();
            kept.map(|path| assert!(files.content(path).is_some(), "{path:?}"))
        };
        recovery
            .skipped
            .iter()
            .map(|region| exists(region).is_some())
            .collect()
    };
    let bytes = (12 + 40 + 2 + b"first ".len()) as u64;
    assert_eq!(kept(2 * bytes), [true, true]);
    assert_eq!(kept(2 * bytes - 1), [false, true]);
    assert_eq!(kept(bytes - 1), [false, false]);
}

#[test]
fn a_damaged_checkpoint_is_moved_aside_and_everything_is_replayed() {
    let (files, _, _) = three_envelopes();
    let (journal, _) = open(&files);
    let checkpoint = Checkpoint {
        trimmed_through: Sequence(3),
        ..Checkpoint::default()
    };
    journal.checkpoint_and_trim(&checkpoint).expect("written");
    let files = files.restart(Crash::Kill);
    files.put(
        &Path::new(DIR).join("checkpoint"),
        b"{}\ncrc32c 00000000\n".to_vec(),
    );
    let (journal, recovery) = open(&files);
    assert_eq!(recovery.checkpoint, None);
    assert!(
        files
            .content(&recovery.checkpoint_damaged.expect("reported"))
            .is_some()
    );
    assert_eq!(read(&journal, 0), envelopes(&[0, 1, 2]));
}

#[test]
fn a_lost_identity_is_taken_from_a_segment() {
    let (files, path, _) = three_envelopes();
    let id = open(&files.restart(Crash::Kill)).0.id();
    let lost = files.restart(Crash::Kill);
    lost.put(&Path::new(DIR).join("identity"), b"??".to_vec());
    let (journal, _) = open(&lost);
    assert_eq!(
        (journal.id(), read(&journal, 0)),
        (id, envelopes(&[0, 1, 2]))
    );

    let hopeless = files.restart(Crash::Kill);
    hopeless.put(&Path::new(DIR).join("identity"), b"??".to_vec());
    let mut content = hopeless.content(&path).expect("a file");
    content[20] ^= 1;
    hopeless.put(&path, content);
    let error = Journal::open(options(&hopeless), b"").expect_err("no identity");
    assert!(matches!(error, JournalError::NoIdentity { .. }), "{error}");
}
