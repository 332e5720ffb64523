//! Messages replayed by their place in the journal.

use super::*;

/// Appends three messages, the second of another source.
fn three_messages(daemon: &Daemon) -> [Sequence; 3] {
    [
        daemon.append("timeless", "{\"t\":1}"),
        daemon.append("timed", &format!("{{\"ts\":{},\"t\":2}}", now_ms())),
        daemon.append("timeless", "{\"t\":3}"),
    ]
}

#[test]
fn messages_of_a_range_change_nothing_where_their_rows_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let [first, other, last] = three_messages(&daemon);
    let before = daemon.wait(last);
    let check = |source: Option<&str>, expect: u64| {
        let choice = in_range(first, last, source);
        let decided = replay(&daemon.journal, &place(folder.path()), &choice, &mut |_| {}).unwrap();
        assert_eq!(decided.frames, expect, "{source:?}");
        let after = daemon.wait(decided.span.unwrap().1);
        assert_eq!(rows(&after, "heat"), rows(&before, "heat"), "{source:?}");
    };
    check(Some("timeless"), 2);
    check(Some("timed"), 1);
    assert!(first < other && other < last);
    // The replays stand behind the range, so they are not in it.
    check(None, 3);
}

#[test]
fn a_message_is_replayed_once_however_often_a_range_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let [first, other, last] = three_messages(&daemon);
    let before = daemon.wait(last);
    assert!(first < other && other < last);
    let check = |first: Sequence, source: Option<&str>, expect: u64| {
        let choice = in_range(first, daemon.journal.durable().0, source);
        let decided = replay(&daemon.journal, &place(folder.path()), &choice, &mut |_| {}).unwrap();
        assert_eq!(decided.frames, expect, "{first} {source:?}");
        let after = daemon.wait(decided.span.unwrap().1);
        assert_eq!(rows(&after, "heat"), rows(&before, "heat"), "{first}");
    };
    // Each leaves frames that repeat messages, and they are in the next range.
    check(other, None, 2);
    check(first, None, 3);
    check(first, Some("timeless"), 2);
    check(first, None, 3);
    // Of those that stand before it a range has the frames that repeat them alone.
    check(last.next(), None, 3);
    check(last.next(), Some("timed"), 1);
}

#[test]
fn a_replayed_message_that_says_a_key_several_times_revises_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let ts = now_ms();
    let of = |value: u8| format!("{{\"ts\":{ts},\"t\":{value}}}");
    let body = format!("[{},{},{}]", of(1), of(2), of(3));
    let sequence = daemon.append("timed", &body);
    let mut before = daemon.wait(sequence);
    // All that the message says, when it is first told.
    assert_eq!(rows(&before, "heat"), (3, 0));
    let choice = in_range(sequence, sequence, None);
    // Beside hot rows, and beside those in a file.
    for _ in 0..2 {
        let place = place(folder.path());
        let decided = replay(&daemon.journal, &place, &choice, &mut |_| {}).unwrap();
        assert_eq!(decided.frames, 1);
        let after = daemon.wait(decided.span.unwrap().1);
        assert_eq!(rows(&after, "heat"), rows(&before, "heat"));
        daemon.pipeline.commands().commit_all().unwrap();
        before = daemon.wait(decided.span.unwrap().1);
        assert_eq!(rows(&before, "heat"), (0, 3));
    }
}

/// A segment that is written over zeros has them up to its end: who reads it meets what is written meanwhile.
#[test]
fn a_range_that_ends_behind_the_journal_holds_nothing_that_is_written_meanwhile() {
    const SEGMENT_BYTES: u64 = 2 << 20;
    let folder = tempfile::tempdir().unwrap();
    let daemon = start_with(folder.path(), |options| {
        options.segment_bytes_max = SEGMENT_BYTES;
    });
    let is_over_zeros = || {
        let files = std::fs::read_dir(folder.path().join("journal")).unwrap();
        let mut files = files.map(|file| file.unwrap());
        files.any(|file| {
            let is_segment = file.file_name() != "spare.tmp";
            // One of the others may be gone by now.
            is_segment && file.metadata().is_ok_and(|of| of.len() == SEGMENT_BYTES)
        })
    };
    let filling = format!("{{\"t\":1,\"text\":\"{}\"}}", "x".repeat(60_000));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_over_zeros() {
        assert!(Instant::now() < deadline, "no segment over zeros");
        let sequence = daemon.append("timeless", &filling);
        daemon.journal.wait_durable(sequence).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    let first = daemon.append("timeless", "{\"t\":2}");
    daemon.wait(first);
    let choice = in_range(first, Sequence(first.0 + 5), None);
    let mut is_written = |_: u64| {
        let arrived = daemon.append("timeless", "{\"t\":3}");
        daemon.journal.wait_durable(arrived).unwrap();
    };
    let place = place(folder.path());
    let decided = replay(&daemon.journal, &place, &choice, &mut is_written).unwrap();
    assert_eq!(decided.frames, 1);
}
