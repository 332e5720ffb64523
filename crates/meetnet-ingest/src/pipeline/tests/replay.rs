//! Rejects replayed and dropped: what becomes of them and of their messages, also after a crash.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::Array;
use meetnet_lake::snapshot::HotBatch;
use meetnet_model::reject::RejectReason;

use super::*;
use crate::replay::{Choice, MessageRange, RejectedMessage, drop_rejects, replay};

mod dropped;
mod imports;
mod ranges;

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

/// Chooses the messages from `first` through `last`, of one source or of all.
fn in_range(first: Sequence, last: Sequence, source: Option<&str>) -> Choice {
    let messages = MessageRange {
        first,
        last,
        source: source.map(SourceId::new),
    };
    Choice {
        messages: Some(messages),
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
    let choice = in_range(known, known, None);
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
        sources: declared,
        ..in_range(gone, kept, None)
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
