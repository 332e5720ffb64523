//! Rejects that were dropped stay so, whatever is replayed.

use super::*;
use crate::replay::{Decided, repeated_before};

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
    check(
        Choice {
            dropped,
            ..in_range(first, last, None)
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
