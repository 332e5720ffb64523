//! Which source counts more is a matter of the declarations at the row's own frame, whenever the row is applied.

use super::*;

/// Both sources name the same sensors, and have a precedence.
fn declared(timed: i32, timeless: i32) -> Arc<Declarations> {
    let mut declarations = Declarations::clone(&declarations());
    for (id, precedence) in [("timed", timed), ("timeless", timeless)] {
        let source = declarations.sources.get_mut(&SourceId::new(id)).unwrap();
        let source = Arc::make_mut(source);
        source.namespace = "shared".to_owned();
        source.time = Some(TimeDeclaration::at_pointer("/ts", TimeFormat::UnixMs));
        source.precedence = precedence;
    }
    Arc::new(declarations)
}

fn start(folder: &Path, declarations: &Arc<Declarations>) -> Daemon {
    start_as(folder, declarations, |_| {}, |_| {})
}

/// Hot rows and rows in files, and masked files.
fn values(snapshot: &LakeSnapshot) -> ((u64, u64), usize) {
    let masked = snapshot.tables[&DatasetId::new("heat")].masks.len();
    (rows(snapshot, "heat"), masked)
}

#[test]
fn a_replay_goes_by_the_precedences_that_were_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let ts = now_ms();
    let body = |value| format!("{{\"ts\":{ts},\"t\":{value}}}");
    // The row of the source that counts more is in a file, and the journal trimmed up to there.
    let daemon = start(folder.path(), &declared(0, 5));
    let last = daemon.append("timeless", &body(1));
    daemon.wait(last);
    let journal = daemon.journal.clone();
    daemon.pipeline.shutdown().unwrap();
    drop(daemon.journal);
    journal.shutdown().unwrap();
    let daemon = start(folder.path(), &declared(0, 5));
    let last = daemon.append("timed", &body(2));
    // It stays the answer: the later one of the other source is history.
    let before = values(&daemon.wait(last));
    assert_eq!(before, ((1, 1), 0));
    // A crash, seen on a copy of the disk; meanwhile the precedences were exchanged.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    drop(daemon);
    let daemon = start(copy.path(), &declared(5, 0));
    assert_eq!(values(&daemon.wait(last)), before);
}

#[test]
fn rows_that_wait_go_by_the_precedences_that_were_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let ts = now_ms();
    let body = |value| format!("{{\"ts\":{ts},\"t\":{value}}}");
    // The row of the source that counts more is in a file that cannot be read.
    let daemon = start(folder.path(), &declared(0, 5));
    let last = daemon.append("timeless", &body(1));
    daemon.wait(last);
    let (file, content) = break_file(&daemon, folder.path());
    // The row of the other waits; meanwhile the precedences are exchanged.
    let waiting = daemon.append("timed", &body(2));
    let exchanged = declared(5, 0).to_bytes();
    let last = daemon.journal.append_declarations(&exchanged).unwrap();
    let snapshot = daemon.wait_for_dataset("rejects", last.sequence);
    let heat = &snapshot.tables[&DatasetId::new("heat")];
    assert_eq!(heat.through, Sequence(waiting.0 - 1));
    std::fs::write(&file, content).unwrap();
    assert_eq!(values(&daemon.wait(last.sequence)), ((1, 1), 0));
    // A row that comes now goes by those that are in force now.
    let last = daemon.append("timed", &body(3));
    assert_eq!(values(&daemon.wait(last)), ((2, 1), 1));
    daemon.pipeline.shutdown().unwrap();
}
