//! Values that were said again after a message that is replayed: they stay the answer.

use meetnet_lake::snapshot::HotBatch;
use meetnet_model::reject::RejectReason;

use super::replay::place;
use super::*;
use crate::replay::{Choice, Decided, RejectedMessage, Replay, Stage};

/// A temperature that is sent: understood, or only once the mapping is mended.
#[derive(Clone, Copy, Debug)]
enum Sent {
    Read(i64),
    Rejected(i64),
}

/// A hot version of a temperature: value, revision, whether it is current.
type Version = (i64, i64, bool);

use Sent::{Read, Rejected};

/// Declarations that read another member, too.
fn mended() -> Arc<Declarations> {
    let mut declarations = Declarations::clone(&declarations());
    for source in declarations.sources.values_mut() {
        let entry = MapEntry::property("heat", "air_temperature");
        let entry = entry.at_pointer("/temp").in_unit("Cel");
        Arc::make_mut(source).map.push(entry);
    }
    Arc::new(declarations)
}

fn body(ts: i64, sent: Sent) -> String {
    match sent {
        Read(value) => format!("{{\"ts\":{ts},\"t\":{value}}}"),
        Rejected(value) => format!("{{\"ts\":{ts},\"temp\":{value}}}"),
    }
}

/// Appends a message, and waits until it is durable: what is compared, copied and searched is what is.
fn append(daemon: &Daemon, body: &str) -> Sequence {
    let sequence = daemon.append("timed", body);
    daemon.journal.wait_durable(sequence).unwrap();
    sequence
}

fn start_mended(folder: &Path) -> Daemon {
    start_as(folder, &mended(), |_| {}, |_| {})
}

/// Replays what was rejected.
fn run(
    daemon: &Daemon,
    folder: &Path,
    rejected: &[Sequence],
    tell: &mut dyn FnMut(Stage),
) -> Decided {
    let message = RejectedMessage {
        source: "timed".into(),
        received_at: 0,
        rejects: vec![(0, RejectReason::NoMappedValue)],
        import_piece: None,
    };
    let rejects = rejected.iter().map(|sequence| (*sequence, message.clone()));
    let choice = Choice {
        rejects: rejects.collect(),
        ..Choice::default()
    };
    let replay = Replay {
        journal: &daemon.journal,
        place: &place(folder),
        pipeline: &daemon.pipeline.commands(),
        declarations: &mended(),
        key: &PrivacyKey::new("a key for tests"),
    };
    let decided = replay.run(&choice, tell).unwrap();
    assert_eq!(decided.frames, rejected.len() as u64);
    decided
}

/// Hot versions of one property, in order, once everything is applied.
fn versions_of(daemon: &Daemon, property: &str) -> Vec<Version> {
    let snapshot = daemon.wait(daemon.journal.durable().0);
    let mut versions = Vec::new();
    for hot in snapshot.tables[&DatasetId::new("heat")].hot.iter() {
        let column = |name: &str| Arc::clone(hot.batch.column_by_name(name).unwrap());
        let (properties, values) = (column("property"), column("value"));
        let (properties, values) = (
            properties.as_string::<i32>(),
            values.as_primitive::<Float64Type>(),
        );
        let revisions = column("revision");
        let revisions = revisions.as_primitive::<Int64Type>();
        for row in 0..hot.batch.num_rows() {
            let by = hot.superseded.as_ref();
            let is_current = by.is_none_or(|by| by[row] == HotBatch::LIVE);
            if properties.value(row) == property {
                let value = values.value(row) as i64;
                versions.push((value, revisions.value(row), is_current));
            }
        }
    }
    versions.sort();
    versions
}

fn versions(daemon: &Daemon) -> Vec<Version> {
    versions_of(daemon, "air_temperature")
}

/// Copies the disk as a crash leaves it.
fn crashed(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder, copy.path());
    copy
}

#[test]
fn a_replay_does_not_overrule_what_was_said_after_its_message() {
    let check = |sent: &[Sent], confirmed: u64, expect: &[Version]| {
        for is_committed in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let daemon = start(folder.path());
            let ts = now_ms();
            let mut rejected = Vec::new();
            for value in sent {
                let sequence = append(&daemon, &body(ts, *value));
                if matches!(value, Rejected(_)) {
                    rejected.push(sequence);
                }
            }
            let before = versions(&daemon);
            let folder = if is_committed {
                let journal = daemon.journal.clone();
                daemon.pipeline.shutdown().unwrap();
                drop(daemon.journal);
                journal.shutdown().unwrap();
                folder
            } else {
                let copy = crashed(folder.path());
                drop(daemon);
                copy
            };
            let daemon = start_mended(folder.path());
            let decided = run(&daemon, folder.path(), &rejected, &mut |_| {});
            assert_eq!(decided.confirmed, confirmed, "{sent:?}");
            // What was stored before is in files, replaced or not.
            let is_in_file = |version: &Version| {
                let mut before = before.iter();
                is_committed && before.any(|known| (known.0, known.1) == (version.0, version.1))
            };
            let expect = expect.iter().filter(|version| !is_in_file(version));
            let expect: Vec<Version> = expect.copied().collect();
            assert_eq!(versions(&daemon), expect, "{sent:?} {is_committed}");
            // Once more, with the rejects resolved.
            let decided = run(&daemon, folder.path(), &rejected, &mut |_| {});
            assert_eq!(decided.confirmed, 0, "{sent:?}");
            assert_eq!(versions(&daemon), expect, "{sent:?} {is_committed}");
            // A restart makes the same of the journal.
            let copy = crashed(folder.path());
            drop(daemon);
            let daemon = start_mended(copy.path());
            assert_eq!(versions(&daemon), expect, "{sent:?} {is_committed}");
        }
    };
    check(
        &[Read(5), Rejected(7), Read(5)],
        1,
        &[(5, 0, false), (5, 1, true), (7, 1, false)],
    );
    // Nothing was said after it, or before it alone.
    let replaced = [(5, 0, false), (7, 1, true)];
    check(&[Read(5), Rejected(7)], 0, &replaced);
    check(&[Read(5), Read(5), Rejected(7)], 0, &replaced);
    // The last that says it is kept, and holds against what was rejected before it alone.
    check(
        &[Read(5), Rejected(7), Read(5), Read(5), Rejected(8)],
        1,
        &[(5, 0, false), (5, 1, false), (7, 1, false), (8, 2, true)],
    );
    check(
        &[Read(5), Rejected(7), Read(5), Rejected(8), Read(5)],
        1,
        &[(5, 0, false), (5, 1, true), (7, 1, false), (8, 1, false)],
    );
    // Something else was said after it: that is stored, and later.
    check(
        &[Read(5), Rejected(7), Read(6)],
        0,
        &[(5, 0, false), (6, 1, true), (7, 1, false)],
    );
    // It says what is stored.
    check(&[Read(5), Rejected(5), Read(5)], 0, &[(5, 0, true)]);
    // What says it again is rejected as well.
    check(
        &[Read(5), Rejected(7), Rejected(5)],
        1,
        &[(5, 0, false), (5, 1, true), (7, 1, false)],
    );
}

#[test]
fn of_a_message_that_confirms_something_nothing_else_is_told_again() {
    let check = |confirming: &str, rejects: u64| {
        let folder = tempfile::tempdir().unwrap();
        let daemon = start(folder.path());
        let ts = now_ms();
        append(&daemon, &format!("{{\"ts\":{ts},\"t\":5,\"h\":40}}"));
        let rejected = append(&daemon, &body(ts, Rejected(7)));
        append(&daemon, &format!("{{\"ts\":{ts},{confirming}}}"));
        let before = rows(&daemon.wait(daemon.journal.durable().0), "rejects");
        assert_eq!(before, (rejects, 0), "{confirming}");
        let folder = crashed(folder.path());
        drop(daemon);
        let daemon = start_mended(folder.path());
        let counted = || -> u64 {
            let counts = daemon.pipeline.rejects().read();
            counts.values().map(|tally| tally.total).sum()
        };
        let counted_before = counted();
        let decided = run(&daemon, folder.path(), &[rejected], &mut |_| {});
        assert_eq!(decided.confirmed, 1, "{confirming}");
        let expect = [(5, 0, false), (5, 1, true), (7, 1, false)];
        assert_eq!(versions(&daemon), expect, "{confirming}");
        let humidity = versions_of(&daemon, "relative_humidity");
        assert_eq!(humidity, [(40, 0, true)], "{confirming}");
        // The one that was replayed is resolved; another one has not been met.
        let after = rows(&daemon.wait(daemon.journal.durable().0), "rejects");
        assert_eq!(after, (rejects + 1, 0), "{confirming}");
        assert_eq!(counted(), counted_before, "{confirming}");
    };
    check("\"t\":5,\"h\":40", 1);
    check("\"t\":5,\"h\":\"wet\"", 2);
}

#[test]
fn what_was_said_again_before_its_own_message_confirms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let ts = now_ms();
    let other = ts - 1_000;
    append(&daemon, &body(ts, Read(5)));
    append(&daemon, &body(other, Read(5)));
    let first = append(&daemon, &body(ts, Rejected(7)));
    // Behind the first message that is replayed, and before the one that is of the same time.
    append(&daemon, &body(other, Read(5)));
    let second = append(&daemon, &body(other, Rejected(8)));
    daemon.wait(second);
    let folder = crashed(folder.path());
    drop(daemon);
    let daemon = start_mended(folder.path());
    let decided = run(&daemon, folder.path(), &[first, second], &mut |_| {});
    assert_eq!(decided.confirmed, 0);
    let expect = [(5, 0, false), (5, 0, false), (7, 1, true), (8, 1, true)];
    assert_eq!(versions(&daemon), expect);
}

#[test]
fn what_is_said_again_while_the_replay_runs_counts() {
    let check = |search: usize, expect: &[Version]| {
        let folder = tempfile::tempdir().unwrap();
        let daemon = start(folder.path());
        let ts = now_ms();
        append(&daemon, &body(ts, Read(5)));
        let rejected = append(&daemon, &body(ts, Rejected(7)));
        // Something is to be searched.
        append(&daemon, "{\"ts\":");
        daemon.wait(daemon.journal.durable().0);
        let folder = crashed(folder.path());
        drop(daemon);
        let daemon = start_mended(folder.path());
        let mut searched = 0;
        let mut tell = |stage: Stage| {
            if !matches!(stage, Stage::Searched(_)) {
                return;
            }
            searched += 1;
            if searched <= search {
                let body = match searched == search {
                    true => body(ts, Read(5)),
                    false => "{\"ts\":".to_owned(),
                };
                append(&daemon, &body);
            }
        };
        let decided = run(&daemon, folder.path(), &[rejected], &mut tell);
        assert_eq!(decided.confirmed, 1, "in search {search}");
        assert_eq!(versions(&daemon), expect, "in search {search}");
        let copy = crashed(folder.path());
        drop(daemon);
        assert_eq!(versions(&start_mended(copy.path())), expect);
    };
    // In the first one, so that the second one finds it.
    check(1, &[(5, 0, false), (5, 1, true), (7, 1, false)]);
    // In the second one: the replayed value is the answer until it is found.
    check(2, &[(5, 0, false), (5, 2, true), (7, 1, false)]);
}

#[test]
fn a_replay_that_is_killed_on_its_way_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = start(folder.path());
    let ts = now_ms();
    append(&daemon, &body(ts, Read(5)));
    let rejected = append(&daemon, &body(ts, Rejected(7)));
    append(&daemon, &body(ts, Read(5)));
    daemon.wait(daemon.journal.durable().0);
    let folder = crashed(folder.path());
    drop(daemon);
    let daemon = start_mended(folder.path());
    // Behind what is kept, with the frame of the replay on the disk or not.
    let mut killed = None;
    let mut tell = |stage: Stage| {
        if stage == Stage::Replayed(1) {
            killed = Some(crashed(folder.path()));
        }
    };
    run(&daemon, folder.path(), &[rejected], &mut tell);
    let killed = killed.expect("a replayed frame");
    drop(daemon);
    let daemon = start_mended(killed.path());
    let current: Vec<Version> = versions(&daemon)
        .into_iter()
        .filter(|version| version.2)
        .collect();
    assert_eq!(current, [(5, 1, true)]);
    let decided = run(&daemon, killed.path(), &[rejected], &mut |_| {});
    assert_eq!(decided.confirmed, 0);
    let expect = [(5, 0, false), (5, 1, true), (7, 1, false)];
    assert_eq!(versions(&daemon), expect);
}
