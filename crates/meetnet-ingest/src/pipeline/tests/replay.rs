//! Rejects replayed and dropped: what becomes of them and of their messages, also after a crash.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use arrow::array::Array;
use meetnet_lake::snapshot::HotBatch;
use meetnet_model::reject::RejectReason;

use super::import::{import, imported, lines};
use super::*;
use crate::import::{IMPORT_PIECE, Import, Keep, Summary};
use crate::replay::{
    Choice, Decided, MessageRange, RejectedMessage, drop_rejects, repeated_before, replay,
};

/// One current reject: sequence of its message, reason, resolution.
type State = (u64, String, Option<String>);

/// Current rows of `rejects`, by sequence; all of them are hot.
fn rejects(snapshot: &LakeSnapshot) -> Vec<State> {
    let mut rejects = Vec::new();
    for hot in snapshot.tables[&DatasetId::new("rejects")].hot.iter() {
        let texts = |name: &str| hot.batch.column_by_name(name).unwrap().as_string::<i32>();
        let (reasons, resolutions) = (texts("reason"), texts("resolution"));
        let sequences = hot.batch.column_by_name("sequence").unwrap();
        let sequences = sequences.as_primitive::<Int64Type>();
        let resolved_by = hot.batch.column_by_name("resolved_by").unwrap();
        for row in 0..hot.batch.num_rows() {
            let is_current = hot
                .superseded
                .as_ref()
                .is_none_or(|by| by[row] == HotBatch::LIVE);
            let resolution = (!resolutions.is_null(row)).then(|| resolutions.value(row).to_owned());
            assert_eq!(resolution.is_some(), resolved_by.is_valid(row));
            if is_current {
                let sequence = sequences.value(row) as u64;
                rejects.push((sequence, reasons.value(row).to_owned(), resolution));
            }
        }
    }
    rejects.sort();
    rejects
}

/// Temperatures of `heat` and whether their time is their receive time.
fn temperatures(snapshot: &LakeSnapshot) -> Vec<(f64, bool)> {
    let mut values = Vec::new();
    for hot in snapshot.tables[&DatasetId::new("heat")].hot.iter() {
        let column = |name: &str| Arc::clone(hot.batch.column_by_name(name).unwrap());
        let (value, time) = (column("value"), column("time"));
        let received_at = column("received_at");
        let micros = |array: &arrow::array::ArrayRef, row: usize| {
            array
                .as_primitive::<arrow::datatypes::TimestampMicrosecondType>()
                .value(row)
        };
        for row in 0..hot.batch.num_rows() {
            let is_timeless = micros(&time, row) == micros(&received_at, row);
            values.push((value.as_primitive::<Float64Type>().value(row), is_timeless));
        }
    }
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    values
}

pub(super) fn place(folder: &Path) -> JournalPlace {
    JournalPlace {
        dir: folder.join("journal"),
        archive_dir: folder.join("archive"),
        files: Arc::new(DiskFiles::PRIVATE),
    }
}

fn message(source: &str, rejects: &[(u32, RejectReason)]) -> RejectedMessage {
    RejectedMessage {
        source: source.into(),
        received_at: now_ms() * 1_000,
        rejects: rejects.to_vec(),
        import_piece: None,
    }
}

fn choose(rejects: impl IntoIterator<Item = (Sequence, RejectedMessage)>) -> Choice {
    Choice {
        rejects: rejects.into_iter().collect(),
        ..Choice::default()
    }
}

fn state(sequence: Sequence, reason: &str, resolution: Option<&str>) -> State {
    (sequence.0, reason.to_owned(), resolution.map(str::to_owned))
}

#[test]
fn a_mended_mapping_makes_the_rows_of_rejected_messages() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let ts = now_ms();
    let unnamed = daemon.append("timeless", "{\"temp\":3}");
    let timed = daemon.append("timed", &format!("{{\"ts\":{ts},\"temp\":4}}"));
    let cut = daemon.append("timeless", "{\"temp\":");
    let snapshot = daemon.wait(cut);
    let open = [
        state(unnamed, "no_mapped_value", None),
        state(timed, "no_mapped_value", None),
        state(cut, "malformed", None),
    ];
    assert_eq!(rejects(&snapshot), open);
    assert_eq!(temperatures(&snapshot), []);
    // The configuration is mended and the daemon started again, on a copy of the disk as after a crash.
    let mended = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), mended.path());
    drop(daemon);
    let place = place(mended.path());
    let start = || {
        let declarations = declarations_reading("/temp");
        start_as(mended.path(), &declarations, |_| {}, |_| {})
    };
    let daemon = start();
    let no_value = [(0, RejectReason::NoMappedValue)];
    let choice = choose([
        (unnamed, message("timeless", &no_value)),
        (timed, message("timed", &no_value)),
        (cut, message("timeless", &[(0, RejectReason::Malformed)])),
        (Sequence(999), message("timeless", &no_value)),
    ]);
    let mut written = 0;
    let decided = replay(&daemon.journal, &place, &choice, &mut |frames| {
        written = frames
    })
    .unwrap();
    let (_, last) = decided.span.unwrap();
    assert_eq!(
        (decided.frames, decided.rejects, decided.gone, written),
        (3, 3, 1, 3)
    );
    let resolved = [
        state(unnamed, "no_mapped_value", Some("replayed")),
        state(timed, "no_mapped_value", Some("replayed")),
        state(cut, "malformed", None),
    ];
    let snapshot = daemon.wait(last);
    assert_eq!(rejects(&snapshot), resolved);
    // The one without a time of its own keeps the time when it was received first.
    assert_eq!(temperatures(&snapshot), [(3.0, true), (4.0, false)]);
    let history = rows(&snapshot, "rejects");

    // Again: no row comes twice, and no reject gets another version.
    let decided = replay(&daemon.journal, &place, &choice, &mut |_| {}).unwrap();
    let again = daemon.wait(decided.span.unwrap().1);
    assert_eq!(rejects(&again), resolved);
    assert_eq!(temperatures(&again), [(3.0, true), (4.0, false)]);
    let (before, now) = (history, rows(&again, "rejects"));
    // Resolved by another frame: those two are revised, the open one is not.
    assert_eq!(now.0 + now.1, before.0 + before.1 + 2);

    // All of it is a function of the journal.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(mended.path(), copy.path());
    drop(daemon);
    let declarations = declarations_reading("/temp");
    let daemon = start_as(copy.path(), &declarations, |_| {}, |_| {});
    let snapshot = daemon.wait(decided.span.unwrap().1);
    assert_eq!(rejects(&snapshot), resolved);
    assert_eq!(temperatures(&snapshot), [(3.0, true), (4.0, false)]);
}

fn timed(body: &str) -> NewEnvelope<'_> {
    NewEnvelope {
        source: "timed",
        topic: "timed/garden",
        payload: body.as_bytes(),
        ..NewEnvelope::default()
    }
}

#[test]
fn rows_of_a_replay_are_counted_apart_from_what_arrives_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let ts = now_ms();
    let body = |minutes: i64, value: u8| {
        let time = ts - minutes * 60_000;
        format!("{{\"ts\":{time},\"t\":{value}}}")
    };
    let known = daemon.journal.append(&timed(&body(0, 4))).unwrap();
    daemon.wait(known.sequence);
    let commands = daemon.pipeline.commands();
    assert_eq!(commands.take_replayed().unwrap(), ReplayedRows::default());
    let original = Original {
        sequence: known.sequence,
        received_at: known.recorded_at,
        clock_step: false,
    };
    // They come so fast that groups hold both.
    let repeat = |body: &str| {
        let repeated = daemon.journal.append_replay(original, &timed(body));
        repeated.unwrap().sequence
    };
    for minutes in 1..=20 {
        daemon.append("timed", &body(minutes, 5));
        repeat(&body(0, 4));
    }
    let last = repeat(&body(30, 6));
    daemon.wait(last);
    commands.commit_all().unwrap();
    let counted = Applied {
        inserted: 1,
        unchanged: 20,
        ..Applied::default()
    };
    let replayed = commands.take_replayed().unwrap();
    assert_eq!(replayed.applied, [(DatasetId::new("heat"), counted)].into());
    assert_eq!(replayed.waiting, BTreeSet::new());
    // Each is told once.
    assert_eq!(commands.take_replayed().unwrap(), ReplayedRows::default());
    let snapshot = daemon.pipeline.shared().load_full();
    assert_eq!(rows(&snapshot, "heat"), (0, 22));
    daemon.pipeline.shutdown().unwrap();
}

#[test]
fn rows_of_a_replay_that_wait_for_a_file_are_not_counted_as_told() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let body = format!("{{\"ts\":{},\"t\":4}}", now_ms());
    let known = daemon.append("timed", &body);
    daemon.wait(known);
    break_file(&daemon, folder.path());
    let choice = Choice {
        messages: Some(MessageRange {
            first: known,
            last: known,
            source: None,
        }),
        ..Choice::default()
    };
    let decided = replay(&daemon.journal, &place(folder.path()), &choice, &mut |_| {}).unwrap();
    assert_eq!(decided.frames, 1);
    let heat = DatasetId::new("heat");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let replayed = daemon.pipeline.commands().take_replayed().unwrap();
        if !replayed.applied.is_empty() {
            assert_eq!(
                replayed.applied,
                [(heat.clone(), Applied::default())].into()
            );
            assert_eq!(replayed.waiting, BTreeSet::from([heat]));
            break;
        }
        assert!(Instant::now() < deadline, "the frame is met");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_reject_in_a_file_is_met_again_under_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let envelope = NewEnvelope {
        source: "timeless",
        topic: "timeless/garden",
        payload: b"{\"t\":",
        ..NewEnvelope::default()
    };
    let appended = daemon.journal.append(&envelope).unwrap();
    let cut = appended.sequence;
    let odd = daemon.append("timeless", "{\"temp\":3}");
    daemon.wait(odd);
    let commands = daemon.pipeline.commands();
    commands.commit_all().unwrap();
    let choice = choose([
        (cut, message("timeless", &[(0, RejectReason::Malformed)])),
        (
            odd,
            message("timeless", &[(0, RejectReason::NoMappedValue)]),
        ),
    ]);
    let of_rejects = |snapshot: &LakeSnapshot| {
        let table = &snapshot.tables[&DatasetId::new("rejects")];
        let masked: usize = table.masks.values().map(|mask| mask.rows.len()).sum();
        (rows(snapshot, "rejects"), masked)
    };
    // Nothing is mended: both come out again, and are what is stored.
    let decided = replay(&daemon.journal, &place(folder.path()), &choice, &mut |_| {}).unwrap();
    let snapshot = daemon.wait(decided.span.unwrap().1);
    assert_eq!(of_rejects(&snapshot), ((0, 2), 0));
    // One is dropped: it takes the place of the one in the file.
    let mut dropped = choice.rejects.clone();
    dropped.retain(|sequence, _| *sequence == cut);
    // As the table has it: rows are looked up by their time, too.
    dropped
        .values_mut()
        .for_each(|message| message.received_at = appended.recorded_at);
    let decided = drop_rejects(&daemon.journal, &dropped).unwrap();
    let snapshot = daemon.wait(decided.span.unwrap().1);
    assert_eq!(of_rejects(&snapshot), ((1, 2), 1));
}

#[test]
fn a_reject_of_a_source_that_is_gone_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let gone = daemon.append("timeless", "{\"temp\":3}");
    let kept = daemon.append("timed", "{\"ts\":");
    daemon.wait(kept);
    let chosen = choose([
        (
            gone,
            message("timeless", &[(0, RejectReason::NoMappedValue)]),
        ),
        (kept, message("timed", &[(0, RejectReason::Malformed)])),
    ]);
    let declared = Some(BTreeSet::from([SourceId::new("timed")]));
    // By its reject, and by its place in the journal.
    let by_rejects = Choice {
        sources: declared.clone(),
        ..chosen.clone()
    };
    let by_place = Choice {
        messages: Some(MessageRange {
            first: gone,
            last: kept,
            source: None,
        }),
        sources: declared,
        ..Choice::default()
    };
    for choice in [by_rejects, by_place] {
        let decided = replay(&daemon.journal, &place(folder.path()), &choice, &mut |_| {}).unwrap();
        assert_eq!((decided.frames, decided.gone), (1, 0));
        let left = BTreeMap::from([(SourceId::new("timeless"), 1)]);
        assert_eq!(decided.without_source, left);
        let expect = [
            state(gone, "no_mapped_value", None),
            state(kept, "malformed", None),
        ];
        let snapshot = daemon.wait(decided.span.unwrap().1);
        assert_eq!(rejects(&snapshot), expect);
    }
    // Declared again, it is replayed as ever.
    let decided = replay(&daemon.journal, &place(folder.path()), &chosen, &mut |_| {}).unwrap();
    assert_eq!(decided.frames, 2);
}

#[test]
fn a_dropped_reject_is_closed_without_rows() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let first = daemon.append("timeless", "{\"temp\":3}");
    let second = daemon.append("timeless", "[]");
    daemon.wait(second);
    let dropped = BTreeMap::from([(
        first,
        message("timeless", &[(0, RejectReason::NoMappedValue)]),
    )]);
    let decided = drop_rejects(&daemon.journal, &dropped).unwrap();
    assert_eq!((decided.frames, decided.rejects), (1, 1));
    let snapshot = daemon.wait(decided.span.unwrap().1);
    let reasons: Vec<_> = rejects(&snapshot)
        .into_iter()
        .map(|(sequence, _, resolution)| (sequence, resolution))
        .collect();
    let expect = [(first.0, Some("dropped".to_owned())), (second.0, None)];
    assert_eq!(reasons, expect);
    assert_eq!(temperatures(&snapshot), []);
    assert_eq!(
        drop_rejects(&daemon.journal, &BTreeMap::new()).unwrap(),
        Decided::default()
    );
}

#[test]
fn what_was_dropped_stays_so_where_its_message_is_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let first = daemon.append("timeless", "[{\"temp\":3},{\"t\":\"cold\"}]");
    let second = daemon.append("timeless", "{\"t\":4}");
    daemon.wait(second);
    let (no_value, wrong_type) = (
        (0, RejectReason::NoMappedValue),
        (1, RejectReason::WrongType),
    );
    let chosen = BTreeMap::from([(first, message("timeless", &[wrong_type]))]);
    let decided = drop_rejects(&daemon.journal, &chosen).unwrap();
    let (_, last) = decided.span.unwrap();
    let before = rejects(&daemon.wait(last));
    let expect = [
        state(first, "no_mapped_value", None),
        state(first, "wrong_type", Some("dropped")),
    ];
    assert_eq!(before, expect);
    let check = |choice: Choice, frames: u64| {
        let decided = replay(&daemon.journal, &place(folder.path()), &choice, &mut |_| {}).unwrap();
        assert_eq!(decided.frames, frames);
        let after = daemon.wait(decided.span.unwrap().1);
        assert_eq!(rejects(&after), before);
        assert_eq!(temperatures(&after).len(), 1);
    };
    // Nothing is mended, so both come out again: by what is open of the message, and in a range in which the decision stands
    // as well, which is no message.
    let dropped = BTreeMap::from([(first, vec![wrong_type])]);
    check(
        Choice {
            dropped: dropped.clone(),
            ..choose([(first, message("timeless", &[no_value]))])
        },
        1,
    );
    let source = None;
    check(
        Choice {
            dropped,
            messages: Some(MessageRange {
                first,
                last,
                source,
            }),
            ..Choice::default()
        },
        2,
    );
}

#[test]
fn what_was_dropped_stays_so_where_what_stood_before_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let body = "[{\"temp\":3},{\"t\":\"cold\",\"temp\":\"cold\"}]";
    let sequence = daemon.append("timeless", body);
    daemon.wait(sequence);
    let wrong_type = (1, RejectReason::WrongType);
    let chosen = BTreeMap::from([(sequence, message("timeless", &[wrong_type]))]);
    let decided = drop_rejects(&daemon.journal, &chosen).unwrap();
    daemon.wait(decided.span.unwrap().1);
    let mended = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), mended.path());
    drop(daemon);
    let declarations = declarations_reading("/temp");
    let daemon = start_as(mended.path(), &declarations, |_| {}, |_| {});
    let open = message("timeless", &[(0, RejectReason::NoMappedValue)]);
    let choice = Choice {
        dropped: BTreeMap::from([(sequence, vec![wrong_type])]),
        ..choose([(sequence, open)])
    };
    // It is the first reject of its message now. Twice: nothing changes.
    let expect = [
        state(sequence, "no_mapped_value", Some("replayed")),
        state(sequence, "wrong_type", Some("dropped")),
    ];
    for _ in 0..2 {
        let place = place(mended.path());
        let decided = replay(&daemon.journal, &place, &choice, &mut |_| {}).unwrap();
        let after = daemon.wait(decided.span.unwrap().1);
        assert_eq!(rejects(&after), expect);
        assert_eq!(temperatures(&after), [(3.0, true)]);
    }
}

#[test]
fn what_was_dropped_stays_so_where_a_replay_of_its_message_is_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let body =
        "[{\"temp\":3},{\"t\":\"warm\",\"temp\":\"warm\"},{\"t\":\"cold\",\"temp\":\"cold\"}]";
    let sequence = daemon.append("timeless", body);
    daemon.wait(sequence);
    let open = [
        (0, RejectReason::NoMappedValue),
        (1, RejectReason::WrongType),
    ];
    let cold = (2, RejectReason::WrongType);
    let dropped = BTreeMap::from([(sequence, message("timeless", &[cold]))]);
    let decided = drop_rejects(&daemon.journal, &dropped).unwrap();
    let (_, last_drop) = decided.span.unwrap();
    let dropped = BTreeMap::from([(sequence, vec![cold])]);
    let by_rejects = Choice {
        dropped: dropped.clone(),
        ..choose([(sequence, message("timeless", &open))])
    };
    let first_place = place(folder.path());
    let decided = replay(&daemon.journal, &first_place, &by_rejects, &mut |_| {}).unwrap();
    let (again, last) = decided.span.unwrap();
    daemon.wait(last);
    // Mended: what stood first becomes a row, and both others come one earlier.
    let mended = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), mended.path());
    drop(daemon);
    let declarations = declarations_reading("/temp");
    let daemon = start_as(mended.path(), &declarations, |_| {}, |_| {});
    let place = place(mended.path());
    let range = |first: Sequence| MessageRange {
        first,
        last,
        source: None,
    };
    // The message itself stands before the first two of these ranges; the decision repeats nothing.
    let before = |first: Sequence| repeated_before(&place, &range(first)).unwrap();
    assert_eq!(before(again), BTreeSet::from([sequence]));
    assert_eq!(before(last_drop), BTreeSet::from([sequence]));
    assert_eq!(before(sequence), BTreeSet::new());
    let repeated = Choice {
        repeated: BTreeMap::from([(sequence, open.to_vec())]),
        dropped,
        messages: Some(range(again)),
        ..Choice::default()
    };
    // It and its replay are in the range: it is replayed once, and what was dropped of it is told from what is open.
    let with_message = Choice {
        messages: Some(range(sequence)),
        ..by_rejects
    };
    let expect = [
        state(sequence, "wrong_type", None),
        state(sequence, "wrong_type", Some("dropped")),
        state(sequence, "wrong_type", Some("replayed")),
    ];
    for choice in [repeated, with_message] {
        let decided = replay(&daemon.journal, &place, &choice, &mut |_| {}).unwrap();
        assert_eq!((decided.frames, decided.rejects, decided.gone), (1, 2, 0));
        let after = daemon.wait(decided.span.unwrap().1);
        assert_eq!(rejects(&after), expect);
        assert_eq!(temperatures(&after), [(3.0, true)]);
    }
}

#[test]
fn messages_of_a_range_change_nothing_where_their_rows_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let first = daemon.append("timeless", "{\"t\":1}");
    let other = daemon.append("timed", &format!("{{\"ts\":{},\"t\":2}}", now_ms()));
    let last = daemon.append("timeless", "{\"t\":3}");
    let before = daemon.wait(last);
    let range = |source: Option<&str>| Choice {
        messages: Some(MessageRange {
            first,
            last,
            source: source.map(SourceId::new),
        }),
        ..Choice::default()
    };
    let check = |source: Option<&str>, expect: u64| {
        let choice = range(source);
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
    let first = daemon.append("timeless", "{\"t\":1}");
    let other = daemon.append("timed", &format!("{{\"ts\":{},\"t\":2}}", now_ms()));
    let last = daemon.append("timeless", "{\"t\":3}");
    let before = daemon.wait(last);
    assert!(first < other && other < last);
    let check = |first: Sequence, source: Option<&str>, expect: u64| {
        let choice = Choice {
            messages: Some(MessageRange {
                first,
                last: daemon.journal.durable().0,
                source: source.map(SourceId::new),
            }),
            ..Choice::default()
        };
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
    let choice = Choice {
        messages: Some(MessageRange {
            first: sequence,
            last: sequence,
            source: None,
        }),
        ..Choice::default()
    };
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
    let choice = Choice {
        messages: Some(MessageRange {
            first,
            last: Sequence(first.0 + 5),
            source: None,
        }),
        ..Choice::default()
    };
    let mut is_written = |_: u64| {
        let arrived = daemon.append("timeless", "{\"t\":3}");
        daemon.journal.wait_durable(arrived).unwrap();
    };
    let place = place(folder.path());
    let decided = replay(&daemon.journal, &place, &choice, &mut is_written).unwrap();
    assert_eq!(decided.frames, 1);
}

#[test]
fn topics_in_rejects_hold_no_hardware_id() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let envelope = NewEnvelope {
        source: "timeless",
        topic: "timeless/70B3D57ED0061234",
        payload: b"[",
        ..NewEnvelope::default()
    };
    let sequence = daemon.journal.append(&envelope).unwrap().sequence;
    let snapshot = daemon.wait(sequence);
    let hot = &snapshot.tables[&DatasetId::new("rejects")].hot[0];
    let topic = hot.batch.column_by_name("topic").unwrap();
    let topic = topic.as_string::<i32>().value(0).to_owned();
    assert!(
        topic.starts_with("timeless/") && !topic.contains("0061234"),
        "{topic}"
    );
}

/// Current temperatures of `heat` that are hot.
fn current_temperatures(snapshot: &LakeSnapshot) -> Vec<f64> {
    let mut values = Vec::new();
    for hot in snapshot.tables[&DatasetId::new("heat")].hot.iter() {
        let column = hot.batch.column_by_name("value").unwrap();
        let column = column.as_primitive::<Float64Type>();
        let is_current = |row: usize| {
            let by = hot.superseded.as_ref();
            by.is_none_or(|by| by[row] == HotBatch::LIVE)
        };
        values.extend(
            (0..column.len())
                .filter(|row| is_current(*row))
                .map(|row| column.value(row)),
        );
    }
    values.sort_by(f64::total_cmp);
    values
}

/// What current rejects say is kept of imports; all of them are hot.
fn kept_pieces(snapshot: &LakeSnapshot) -> HashSet<String> {
    let mut pieces = HashSet::new();
    for hot in snapshot.tables[&DatasetId::new("rejects")].hot.iter() {
        let column = hot.batch.column_by_name(IMPORT_PIECE).unwrap();
        for row in 0..hot.batch.num_rows() {
            let by = hot.superseded.as_ref();
            let is_current = by.is_none_or(|by| by[row] == HotBatch::LIVE);
            let column = column.as_string::<i32>();
            if is_current && column.is_valid(row) {
                pieces.insert(column.value(row).to_owned());
            }
        }
    }
    pieces
}

/// Imports as the command does, which asks what is kept already.
fn import_beside(daemon: &Daemon, file: &Path) -> (Summary, Arc<LakeSnapshot>) {
    let snapshot = daemon.wait(daemon.journal.durable().0);
    let known = kept_pieces(&snapshot);
    let import = Import {
        keep: Keep {
            known,
            ..Keep::default()
        },
        ..import("timed", &[file.to_path_buf()])
    };
    let summary = imported(daemon, import);
    let snapshot = daemon.wait(daemon.journal.durable().0);
    (summary, snapshot)
}

#[test]
fn what_an_import_refused_becomes_rows_once_the_mapping_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    // Far older than a message may be that arrives, and an hour old.
    let (old, late) = (1_600_000_000_000, now_ms() - 3_600_000);
    let file = folder.path().join("history.ndjson");
    let refused = format!("{{\"ts\":{old},\"temp\":21}}\n{{\"ts\":{late},\"temp\":22}}\n");
    std::fs::write(&file, lines(old + 60_000, 2, 20.0) + &refused).unwrap();
    let (summary, snapshot) = import_beside(&daemon, &file);
    assert_eq!(
        (summary.rows(), summary.kept, summary.kept_before),
        (2, 2, 0)
    );
    let open = rejects(&snapshot);
    assert_eq!(open.len(), 2, "{open:?}");
    assert_eq!(temperatures(&snapshot), []);
    // Again: nothing is kept twice, and no reject comes twice.
    let (again, snapshot) = import_beside(&daemon, &file);
    assert_eq!((again.rows(), again.kept, again.kept_before), (0, 0, 2));
    assert_eq!(rejects(&snapshot), open);
    // Also after a crash; then the mapping is mended, and a row has come live meanwhile.
    let mended = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), mended.path());
    drop(daemon);
    let declarations = declarations_reading("/temp");
    let daemon = start_as(mended.path(), &declarations, |_| {}, |_| {});
    let live = daemon.append("timed", &format!("{{\"ts\":{late},\"temp\":5}}"));
    assert_eq!(rejects(&daemon.wait(live)), open);
    let no_value = [(0, RejectReason::NoMappedValue)];
    let sequences: Vec<Sequence> = open.iter().map(|reject| Sequence(reject.0)).collect();
    let all = sequences.iter();
    let choice = choose(all.map(|sequence| (*sequence, message("timed", &no_value))));
    let place = place(mended.path());
    let decided = replay(&daemon.journal, &place, &choice, &mut |_| {}).unwrap();
    let snapshot = daemon.wait(decided.span.unwrap().1);
    let resolved: Vec<State> = sequences
        .iter()
        .map(|sequence| state(*sequence, "no_mapped_value", Some("replayed")))
        .collect();
    assert_eq!(rejects(&snapshot), resolved);
    // They are as old as they say, as every imported row is: what came live stays the answer.
    let made = [(5.0, false), (21.0, true), (22.0, true)];
    assert_eq!(temperatures(&snapshot), made);
    assert_eq!(current_temperatures(&snapshot), [5.0, 21.0]);
    // Once more, and imported once more by the wrong mapping: nothing changes.
    let decided = replay(&daemon.journal, &place, &choice, &mut |_| {}).unwrap();
    let snapshot = daemon.wait(decided.span.unwrap().1);
    assert_eq!(temperatures(&snapshot), made);
    let (again, snapshot) = import_beside(&daemon, &file);
    assert_eq!((again.kept, again.kept_before), (0, 2));
    assert_eq!(rejects(&snapshot), resolved);
    // All of it is a function of the journal.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(mended.path(), copy.path());
    let last = daemon.journal.durable().0;
    drop(daemon);
    let daemon = start_as(copy.path(), &declarations, |_| {}, |_| {});
    let snapshot = daemon.wait(last);
    assert_eq!(rejects(&snapshot), resolved);
    assert_eq!(current_temperatures(&snapshot), [5.0, 21.0]);
}

#[test]
fn what_was_dropped_is_not_kept_again() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let file = folder.path().join("history.ndjson");
    std::fs::write(&file, "{\"ts\":1600000000000,\"temp\":21}\n").unwrap();
    let (summary, snapshot) = import_beside(&daemon, &file);
    assert_eq!(summary.kept, 1);
    let [(sequence, ..)] = rejects(&snapshot)[..] else {
        panic!("one reject");
    };
    let pieces = kept_pieces(&snapshot);
    let dropped = RejectedMessage {
        import_piece: pieces.iter().next().cloned(),
        ..message("timed", &[(0, RejectReason::NoMappedValue)])
    };
    let dropped = BTreeMap::from([(Sequence(sequence), dropped)]);
    let decided = drop_rejects(&daemon.journal, &dropped).unwrap();
    let snapshot = daemon.wait(decided.span.unwrap().1);
    assert_eq!(kept_pieces(&snapshot), pieces);
    let (again, snapshot) = import_beside(&daemon, &file);
    assert_eq!((again.kept, again.kept_before), (0, 1));
    assert_eq!(rejects(&snapshot).len(), 1);
}

#[test]
fn a_row_without_a_time_of_its_own_is_none_of_an_import() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let piece = crate::pipeline::ImportedPiece {
        id: "some piece".to_owned(),
        corrects: false,
    };
    let meta = piece.to_text();
    let envelope = NewEnvelope {
        source: "timeless",
        topic: "timeless/garden",
        meta: &[(crate::import::IMPORT_META, &meta)],
        payload: b"{\"t\":3}",
        ..NewEnvelope::default()
    };
    let appended = daemon.journal.append(&envelope).unwrap();
    let snapshot = daemon.wait(appended.sequence);
    assert_eq!(
        rejects(&snapshot),
        [state(appended.sequence, "bad_time", None)]
    );
    assert_eq!(temperatures(&snapshot), []);
    assert_eq!(
        kept_pieces(&snapshot),
        HashSet::from(["some piece".to_owned()])
    );
}
