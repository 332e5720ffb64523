//! Where a commit stops that would touch too much.

use super::*;

#[test]
fn a_commit_of_too_many_revised_files_stops_before_the_frame_that_touches_one_more() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    for sequence in 1..=4 {
        apply(&mut actor, &[row(sequence, sequence as i64, Some(1.0))]);
        commit(&mut actor, sequence);
    }
    let revisions: Vec<Row> = (5..=8)
        .map(|sequence| row(sequence, sequence as i64 - 4, Some(2.0)))
        .collect();
    apply(&mut actor, &revisions);
    assert_eq!(actor.revised_files(), 4);
    let two_files = CommitLimits {
        revised_files_max: 2,
        ..UNLIMITED
    };
    let job = actor.freeze(Sequence(9), 1_000, two_files, 0).unwrap();
    assert!(matches!(actor.admit(job.run()), Ok(Admitted::Done)));
    assert_eq!(
        (actor.committed_through(), actor.hot_rows()),
        (Sequence(6), 2)
    );
    assert_eq!(actor.oldest_uncommitted(), Some(Sequence(7)));
    // Everything recorded before the first row that stayed hot is committed.
    let recorded_through = TableLog::open(&table_folder(&root)).unwrap().unwrap();
    assert_eq!(recorded_through.txn(RECORDED_THROUGH), Some(START + 7 - 1));
    let (current, history) = read(&actor.snapshot(Sequence(9), 0));
    assert_eq!((current.len(), history.len()), (4, 4));
    let job = actor.freeze(Sequence(9), 1_000, two_files, 0).unwrap();
    assert!(matches!(actor.admit(job.run()), Ok(Admitted::Done)));
    assert_eq!(
        (actor.committed_through(), actor.hot_rows()),
        (Sequence(9), 0)
    );
}

#[test]
fn a_commit_of_too_many_partitions_stops_before_the_frame_that_touches_one_more() {
    const MONTH: i64 = 31 * 24 * 60;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    // A row in a month of its own per frame, but for frame 3, which alone holds rows of ten years.
    let in_month = |sequence, month: i64| row(sequence, month * MONTH, Some(1.0));
    apply(&mut actor, &[in_month(1, 0), in_month(2, 1)]);
    let spread: Vec<Row> = (0..120).map(|month| in_month(3, -month)).collect();
    apply(&mut actor, &spread);
    apply(
        &mut actor,
        &[in_month(4, 2), in_month(5, 3), in_month(6, 3)],
    );
    let before = read(&actor.snapshot(Sequence(6), 0));
    let limits = CommitLimits {
        partitions_max: 4,
        ..UNLIMITED
    };
    let check = |actor: &mut DatasetActor, through: u64, recorded_through: i64| {
        let version = actor.version();
        let job = actor.freeze(Sequence(6), 1_000, limits, 0).unwrap();
        assert!(matches!(actor.admit(job.run()), Ok(Admitted::Done)));
        assert_eq!(actor.committed_through(), Sequence(through));
        assert_eq!(actor.version(), version + 1);
        let log = TableLog::open(&table_folder(&root)).unwrap().unwrap();
        assert_eq!(log.txn(RECORDED_THROUGH), Some(recorded_through));
        assert_eq!(read(&actor.snapshot(Sequence(6), 0)), before);
    };
    check(&mut actor, 2, START + 3 - 1);
    check(&mut actor, 3, START + 4 - 1);
    check(&mut actor, 6, 1_000);
    assert_eq!(actor.hot_rows(), 0);
    // A row that is replaced needs a partition for the row it was.
    for sequence in 7..=9 {
        let month = sequence as i64 - 7;
        apply(&mut actor, &[row(sequence, month * MONTH, Some(2.0))]);
    }
    let job = actor.freeze(Sequence(9), 1_000, limits, 0).unwrap();
    assert_eq!(job.through(), Sequence(8));
    assert!(matches!(actor.admit(job.run()), Ok(Admitted::Done)));
    let (current, history) = read(&actor.snapshot(Sequence(9), 0));
    assert_eq!((current.len(), history.len()), (before.0.len(), 3));
}
