use meetnet_testkit::clock::ManualClock;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

use super::*;
use crate::files::{DiskFiles, Files};
use crate::journal::{Checkpoint, FrameKind, Journal, JournalOptions, NewEnvelope, Original};

const NOW: i64 = 1_700_000_000_000_000;

#[test]
fn ranges_that_touch_become_one() {
    let check = |ranges: &[(u64, u64)], expect: &[(u64, u64)]| {
        let sequences: Sequences = ranges
            .iter()
            .map(|(first, last)| Sequence(*first)..=Sequence(*last))
            .collect();
        let expect: Vec<_> = expect.iter().map(|(first, last)| *first..=*last).collect();
        assert_eq!(sequences.ranges, expect, "{ranges:?}");
    };
    check(&[], &[]);
    check(&[(5, 4)], &[]);
    check(&[(3, 4), (1, 2), (9, 9)], &[(1, 4), (9, 9)]);
    check(&[(1, 9), (2, 3), (9, 12)], &[(1, 12)]);
    check(
        &[(u64::MAX, u64::MAX), (1, 1)],
        &[(1, 1), (u64::MAX, u64::MAX)],
    );
}

#[test]
fn a_wanted_sequence_is_found_in_any_range() {
    let sequences: Sequences = [Sequence(2)..=Sequence(4), Sequence(7)..=Sequence(7)]
        .into_iter()
        .collect();
    let found: Vec<u64> = (0..10)
        .filter(|at| sequences.contains(Sequence(*at)))
        .collect();
    assert_eq!(found, [2, 3, 4, 7]);
    let check = |first: u64, last: u64, expect: bool| {
        let touches = sequences.touch(Sequence(first), Sequence(last));
        assert_eq!(touches, expect, "{first}..={last}");
    };
    check(0, 1, false);
    check(0, 2, true);
    check(3, 3, true);
    check(5, 6, false);
    check(5, 7, true);
    check(8, u64::MAX, false);
}

#[test]
fn messages_are_found_in_the_archive_and_in_the_journal() {
    let (folder, clock) = (TempDir::new().expect("a folder"), ManualClock::new(NOW));
    let options = || JournalOptions {
        reserve_bytes: 0,
        clock: clock.function(),
        monotonic_clock: clock.monotonic_function(),
        ..JournalOptions::new(folder.path().join("journal"), folder.path().join("archive"))
    };
    let place = JournalPlace {
        dir: folder.path().join("journal"),
        archive_dir: folder.path().join("archive"),
        files: Arc::new(DiskFiles::PRIVATE),
    };
    let append = |journal: &Journal, body: &str| {
        let envelope = NewEnvelope {
            source: "balcony",
            topic: "balcony/1",
            meta: &[("content-type", "application/json")],
            payload: body.as_bytes(),
            ..NewEnvelope::default()
        };
        let sequence = journal.append(&envelope).expect("taken").sequence;
        journal.wait_durable(sequence).expect("synced");
        sequence
    };
    let found = |wanted: &[u64]| -> Vec<(u64, String)> {
        let wanted: Sequences = wanted.iter().copied().map(Sequence).collect();
        let mut found = Vec::new();
        visit_messages::<JournalError>(&place, &wanted, |frame| {
            let body = String::from_utf8_lossy(frame.payload).into_owned();
            assert_eq!(
                frame.meta.get("content-type").is_some(),
                frame.kind == FrameKind::Envelope
            );
            found.push((frame.sequence.0, body));
            Ok(())
        })
        .expect("readable");
        found
    };
    let text = |sequence: Sequence, body: &str| (sequence.0, body.to_owned());

    let (journal, _) = Journal::open(options(), b"one").expect("opens");
    let first = append(&journal, "first");
    let second = append(&journal, "second");
    let trimmed = Checkpoint {
        trimmed_through: second,
        ..Checkpoint::default()
    };
    journal.checkpoint_and_trim(&trimmed).expect("trims");
    journal.shutdown().expect("stops");
    // Opening starts a segment, so that the one before can go.
    let (journal, _) = Journal::open(options(), b"one").expect("opens");
    journal.checkpoint_and_trim(&trimmed).expect("trims");
    let third = append(&journal, "third");
    let tick = journal.append_tick().expect("taken").sequence;
    let original = Original {
        sequence: first,
        received_at: NOW,
        clock_step: false,
    };
    let replay = NewEnvelope {
        source: "balcony",
        payload: b"first",
        ..NewEnvelope::default()
    };
    let replay = journal
        .append_replay(original, &replay)
        .expect("taken")
        .sequence;
    journal.wait_durable(replay).expect("synced");

    let (a, b, c) = (
        text(first, "first"),
        text(second, "second"),
        text(third, "third"),
    );
    let again = text(replay, "first");
    assert_eq!(found(&[]), []);
    assert_eq!(found(&[second.0]), std::slice::from_ref(&b));
    // In order, whatever the order they are asked in; what is no message is left out.
    let all = [replay.0, third.0, tick.0, second.0, first.0, 1, 99];
    let expect = [a, b, c, again];
    assert_eq!(found(&all), expect);
    // The journal's own thread compresses, too.
    let deadline = Instant::now() + Duration::from_secs(10);
    let is_compressed = || {
        let files = DiskFiles::PRIVATE.list(&place.archive_dir);
        let mut files = files.expect("a folder").into_iter();
        files.any(|file| file.name.ends_with(".zst"))
    };
    while !is_compressed() {
        assert!(Instant::now() < deadline, "nothing is compressed");
        journal.tend_archive().expect("tends");
    }
    assert_eq!(found(&all), expect);
    journal.shutdown().expect("stops");
    assert_eq!(found(&all), expect);
}
