//! Entries of a process that had ended: they come through a slow store after the next one has opened the table.

use super::*;

#[test]
fn an_entry_that_came_through_after_a_restart_is_taken_in() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut ended = open(&root, 0);
    let rows = [row(1, 0, Some(1.0)), row(2, 1, Some(1.0))];
    apply(&mut ended, &rows);
    commit(&mut ended, 2);
    // Frame 3 replaces a row in a file, 4 one of frame 2.
    let late = [
        row(3, 0, Some(2.0)),
        row(4, 1, Some(3.0)),
        row(5, 2, Some(1.0)),
    ];
    apply(&mut ended, &late[..1]);
    let mut actor = open(&root, 2);
    apply(&mut actor, &late);
    let before = read(&actor.snapshot(Sequence(5), 0));
    commit(&mut ended, 3);
    let job = actor.freeze(Sequence(4), 0, UNLIMITED, 0).unwrap();
    let written = {
        let outcome = job.run();
        let Ok(Admitted::Failed(error)) = actor.admit(outcome) else {
            panic!("the version is taken");
        };
        assert!(matches!(error, LakeError::Conflict { .. }), "{error}");
        actor.folder().list("licence=CC0-1.0").unwrap().len()
    };
    // What the job had written is gone; frame 3 is no longer hot, the others are.
    assert_eq!(
        (actor.committed_through(), actor.hot_rows()),
        (Sequence(3), 2)
    );
    assert_eq!(written, 4);
    assert_eq!(read(&actor.snapshot(Sequence(5), 0)), before);
    commit(&mut actor, 5);
    assert_eq!(read(&actor.snapshot(Sequence(5), 0)), before);
    assert_eq!(read(&open(&root, 5).snapshot(Sequence(5), 0)), before);
}

#[test]
fn an_import_that_came_through_after_a_restart_stops_the_actor() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let (mut ended, mut actor) = (open(&root, 0), open(&root, 0));
    apply(&mut ended, &[row(1, 0, Some(1.0))]);
    let txns = vec![(format!("{IMPORT_APP}x"), 1)];
    let job = ended.freeze_through(Sequence(1), 0, txns, 0).unwrap();
    assert!(matches!(ended.admit(job.run()), Ok(Admitted::Done)));
    // Nobody has compared this row with those of the import.
    apply(&mut actor, &[row(2, 0, Some(2.0))]);
    let job = actor.freeze(Sequence(2), 0, UNLIMITED, 0).unwrap();
    assert!(actor.admit(job.run()).is_err());
    let mut actor = open(&root, 1);
    assert_eq!(apply(&mut actor, &[row(2, 0, Some(2.0))]).revised, 1);
}
