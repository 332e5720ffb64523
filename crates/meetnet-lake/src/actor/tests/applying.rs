//! What rows do to the table before anything is committed, and rows of a declaration that has changed.

use super::*;

#[test]
fn identical_rows_change_nothing_and_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut actor = open(&folder.path().join("d"), 0);
    let rows: Vec<Row> = (0..200)
        .map(|n| row(n + 1, n as i64, Some(n as f64)))
        .collect();
    apply(&mut actor, &rows);
    commit(&mut actor, 200);
    let again: Vec<Row> = rows
        .iter()
        .map(|row| Row {
            sequence: row.sequence + 200,
            received_at: row.received_at + 200,
            recorded_at: row.recorded_at + 200,
            ..row.clone()
        })
        .collect();
    let applied = apply(&mut actor, &again);
    assert_eq!(
        applied,
        Applied {
            unchanged: 200,
            ..Applied::default()
        }
    );
    assert_eq!(actor.hot_rows(), 0);
}

/// Stored rows are read in parts of three here.
#[test]
fn of_rows_that_come_again_in_any_number_those_that_say_something_else_are_revisions() {
    for count in [1, 2, 3, 7, 19_u64] {
        for changed in [0, count / 2, count - 1] {
            let folder = tempfile::tempdir().unwrap();
            let mut actor = open(&folder.path().join("d"), 0);
            let rows = |sequence: u64, changed: Option<u64>| -> Vec<Row> {
                // One in three says nothing.
                let value = |n: u64| match changed {
                    Some(changed) if changed == n => Some(-1.0),
                    _ => (!n.is_multiple_of(3)).then_some(n as f64),
                };
                let row = |n: u64| row(sequence + n, n as i64, value(n));
                (0..count).map(row).collect()
            };
            apply(&mut actor, &rows(1, None));
            commit(&mut actor, count);
            let applied = apply(&mut actor, &rows(count + 1, Some(changed)));
            let expected = Applied {
                unchanged: count - 1,
                revised: 1,
                ..Applied::default()
            };
            assert_eq!(applied, expected, "{changed} of {count}");
            let (current, _) = read(&actor.snapshot(Sequence(2 * count), 0));
            let revised = current.iter().filter(|answer| answer.2 == 1);
            let times: Vec<i64> = revised.map(|answer| answer.0.2).collect();
            assert_eq!(times, [START + changed as i64 * MINUTE]);
        }
    }
}

/// Row of one key, received so late, met so late.
fn met(sequence: u64, received: i64, value: f64) -> Row {
    Row {
        sequence,
        received_at: START + received,
        recorded_at: START + sequence as i64,
        ..row(sequence, 0, Some(value))
    }
}

#[test]
fn a_message_that_says_a_key_several_times_is_told_again_where_its_last_value_is_another_one() {
    for is_committed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut actor = open(&folder.path().join("d"), 0);
        let mut check = |sequence: u64, values: [f64; 3], expect: (u64, u64, u64)| {
            let (mut rows, lineage) = batch(&values.map(|value| met(sequence, 1, value)));
            rows.envelopes.fill(0);
            let applied = actor.apply(&rows, &lineage, true, &mut flag).unwrap();
            let counts = (applied.inserted, applied.revised, applied.unchanged);
            assert_eq!(counts, expect, "{sequence} {is_committed}");
            if is_committed && sequence == 1 {
                commit(&mut actor, 1);
            }
        };
        check(1, [1.0, 2.0, 3.0], (1, 2, 0));
        check(2, [1.0, 2.0, 3.0], (0, 0, 3));
        // By a mapping that was mended: what it says now is kept, all of it and once.
        check(3, [1.0, 2.0, 4.0], (0, 3, 0));
        check(4, [1.0, 2.0, 4.0], (0, 0, 3));
        check(5, [5.0, 6.0, 5.0], (0, 3, 0));
        check(6, [5.0, 6.0, 5.0], (0, 0, 3));
    }
}

#[test]
fn what_confirms_a_version_is_kept_and_what_comes_before_it_is_history() {
    for is_committed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut actor = open(&folder.path().join("d"), 0);
        apply(&mut actor, &[met(1, 1, 5.0)]);
        if is_committed {
            commit(&mut actor, 1);
        }
        let mut confirm = |sequence: u64, received: i64| {
            let (rows, mut lineage) = batch(&[met(sequence, received, 5.0)]);
            lineage[0].confirms = true;
            actor.apply(&rows, &lineage, true, &mut flag).unwrap()
        };
        let unchanged = Applied {
            unchanged: 1,
            ..Applied::default()
        };
        // Only a later one says anything: neither the row itself, met again, nor an earlier one does.
        assert_eq!(confirm(10, 1), unchanged);
        assert_eq!(confirm(11, 0), unchanged);
        assert_eq!(confirm(12, 3).revised, 1);
        assert_eq!(confirm(13, 3), unchanged);
        // What was said between the two is late now.
        assert_eq!(apply(&mut actor, &[met(14, 2, 7.0)]).history, 1);
        let (current, history) = read(&actor.snapshot(Sequence(14), 0));
        let told = |answers: &BTreeSet<Answer>| -> Vec<(f64, i64, i64)> {
            let of_answer = |answer: &Answer| {
                let value = f64::from_bits(answer.1.unwrap());
                (value, answer.2, answer.3 - START)
            };
            answers.iter().map(of_answer).collect()
        };
        assert_eq!(told(&current), [(5.0, 1, 3)], "{is_committed}");
        assert_eq!(told(&history), [(5.0, 0, 1), (7.0, 1, 2)], "{is_committed}");
    }
}

#[test]
fn where_rows_stand_is_told_and_changes_nothing() {
    use Standing::{Beside, Confirms, Corrects, Replaces};
    for is_committed in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut actor = open(&folder.path().join("d"), 0);
        apply(&mut actor, &[met(1, 2, 5.0)]);
        if is_committed {
            commit(&mut actor, 1);
        }
        let of_another_key = row(9, 1, Some(5.0));
        let rows = [
            (met(9, 3, 5.0), Confirms),
            (met(9, 2, 5.0), Beside),
            (met(9, 1, 5.0), Beside),
            (met(9, 3, 7.0), Replaces),
            (met(9, 2, 7.0), Corrects),
            (met(9, 1, 7.0), Beside),
            (of_another_key, Beside),
        ];
        let (rows, expect): (Vec<Row>, Vec<Standing>) = rows.into_iter().unzip();
        let before = read(&actor.snapshot(Sequence(1), 0));
        let (rows, lineage) = batch(&rows);
        assert_eq!(actor.standing(&rows, &lineage).unwrap(), expect);
        assert_eq!(read(&actor.snapshot(Sequence(1), 0)), before);
        assert_eq!(actor.hot_rows(), u64::from(!is_committed));
    }
}

#[test]
fn a_version_that_history_holds_is_not_stored_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut actor = open(&folder.path().join("d"), 0);
    // Three versions of one key, two of them in one file of replaced rows, and a neighbour.
    let versions: Vec<Row> = (1..=3)
        .map(|sequence| row(sequence, 0, Some(sequence as f64)))
        .collect();
    apply(&mut actor, &versions);
    apply(&mut actor, &[row(4, 1, Some(4.0))]);
    commit(&mut actor, 4);
    let again = |sequence: u64, version: usize| Row {
        sequence,
        recorded_at: START + sequence as i64,
        ..versions[version].clone()
    };
    let unchanged = |count| Applied {
        unchanged: count,
        ..Applied::default()
    };
    let rows: Vec<Row> = (0..3).map(|n| again(5 + n as u64, n)).collect();
    assert_eq!(apply(&mut actor, &rows), unchanged(3));
    // An unknown version of that time is history once, in whatever order it comes.
    let late = Row {
        sequence: 8,
        value: Some(7.5),
        ..again(8, 1)
    };
    let applied = apply(&mut actor, &[late.clone(), late, again(8, 1), again(8, 0)]);
    assert_eq!((applied.history, applied.unchanged), (1, 3), "{applied:?}");
    commit(&mut actor, 8);
    assert_eq!(apply(&mut actor, &[again(9, 1)]), unchanged(1));
    let (current, history) = read(&actor.snapshot(Sequence(9), 0));
    assert_eq!((current.len(), history.len()), (2, 3));
}

#[test]
fn a_version_before_a_hot_one_is_looked_for_among_the_replaced_ones_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut actor = open(&folder.path().join("d"), 0);
    apply(&mut actor, &[row(1, 0, Some(1.0)), row(2, 0, Some(2.0))]);
    commit(&mut actor, 2);
    // A neighbour, and a current version that stays hot when that is committed.
    apply(&mut actor, &[row(3, 1, Some(1.0))]);
    assert_eq!(apply(&mut actor, &[row(4, 0, Some(4.0))]).revised, 1);
    let again = |sequence: u64| Row {
        sequence,
        recorded_at: START + sequence as i64,
        ..row(1, 0, Some(1.0))
    };
    let unchanged = Applied {
        unchanged: 1,
        ..Applied::default()
    };
    assert_eq!(apply(&mut actor, &[again(5)]), unchanged);
    commit(&mut actor, 3);
    assert_eq!(actor.hot_rows(), 1);
    assert_eq!(apply(&mut actor, &[again(6)]), unchanged);
}

#[test]
fn a_version_before_another_one_of_its_group_is_looked_for_among_the_replaced_ones_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut actor = open(&folder.path().join("d"), 0);
    // Two versions that were received at one time: only what comes later in a group is later than both.
    let second = Row {
        received_at: START + 1,
        ..row(2, 0, Some(2.0))
    };
    apply(&mut actor, &[row(1, 0, Some(1.0)), second]);
    commit(&mut actor, 2);
    let mut neighbour = row(3, 0, Some(9.0));
    neighbour.key.0 = "b".to_owned();
    let third = Row {
        received_at: START + 2,
        ..row(4, 0, Some(3.0))
    };
    let again = Row {
        sequence: 5,
        recorded_at: START + 5,
        ..row(1, 0, Some(1.0))
    };
    let expected = Applied {
        inserted: 1,
        revised: 1,
        unchanged: 1,
        ..Applied::default()
    };
    assert_eq!(apply(&mut actor, &[neighbour, third, again]), expected);
}

#[test]
fn a_later_version_of_a_source_that_counts_less_is_history_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut actor = open(&folder.path().join("d"), 0);
    let precedences = HashMap::from([(SourceId::new("main"), 1)]);
    actor.set_precedences(&Arc::new(precedences));
    let apply_main = |actor: &mut DatasetActor, row: Row| {
        let (rows, mut lineage) = batch(&[row]);
        lineage[0].source = SourceId::new("main");
        lineage[0].precedence = 1;
        actor.apply(&rows, &lineage, true, &mut flag).unwrap()
    };
    apply_main(&mut actor, row(1, 0, Some(1.0)));
    let other = Row {
        received_at: START + 50,
        ..row(2, 0, Some(2.0))
    };
    assert_eq!(apply(&mut actor, std::slice::from_ref(&other)).history, 1);
    commit(&mut actor, 2);
    // The answer is hot now, and was received before that one.
    assert_eq!(apply_main(&mut actor, row(3, 0, Some(3.0))).revised, 1);
    let applied = apply(
        &mut actor,
        &[Row {
            sequence: 4,
            ..other
        }],
    );
    assert_eq!((applied.unchanged, applied.history), (1, 0), "{applied:?}");
}

#[test]
fn the_word_of_a_source_that_counts_for_more_stands_whoever_said_it_first() {
    let precedences: Precedences = Arc::new(HashMap::from([(SourceId::new("main"), 1)]));
    let is_of_main = |lineage: &mut Lineage| {
        lineage.source = SourceId::new("main");
        lineage.precedence = 1;
    };
    for with_commits in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let mut actor = open(&folder.path().join("d"), 0);
        actor.set_precedences(&precedences);
        let mut take = |sequence: u64, is_main: bool, value: f64| {
            let (rows, mut lineage) = batch(&[row(sequence, 0, Some(value))]);
            if is_main {
                is_of_main(&mut lineage[0]);
            }
            let applied = actor.apply(&rows, &lineage, true, &mut flag).unwrap();
            if with_commits && applied.unchanged == 0 {
                commit(&mut actor, sequence);
            }
            applied
        };
        assert_eq!(take(1, false, 1.0).inserted, 1);
        assert_eq!(take(2, true, 1.0).revised, 1);
        // Once: it is its own word now.
        assert_eq!(take(3, true, 1.0).unchanged, 1);
        assert_eq!(take(4, false, 1.0).unchanged, 1);
        assert_eq!(take(5, false, 5.0).history, 1);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut actor = open(&folder.path().join("d"), 0);
    actor.set_precedences(&precedences);
    let told = [(1, 1.0), (2, 1.0), (3, 5.0)];
    let (rows, mut lineage) = batch(&told.map(|(sequence, value)| row(sequence, 0, Some(value))));
    is_of_main(&mut lineage[1]);
    let applied = actor.apply(&rows, &lineage, true, &mut flag).unwrap();
    assert_eq!(
        (applied.inserted, applied.revised, applied.history),
        (1, 1, 1),
        "in one group: {applied:?}"
    );
}

#[test]
fn a_forbidden_change_of_the_declaration_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    drop(open(&root, 0));
    let mut changed = DatasetDeclaration::clone(&declaration());
    changed.grain = Grain::Day;
    let error = open_as(&root, Arc::new(changed), 0).unwrap_err();
    assert!(
        matches!(error, LakeError::ForbiddenChange { .. }),
        "{error}"
    );
    let mut allowed = DatasetDeclaration::clone(&declaration());
    allowed.columns.push(ColumnDeclaration {
        name: "note".to_owned(),
        required: false,
        column_type: ColumnType::Text,
        ..allowed.columns[0].clone()
    });
    let mut actor = open_as(&root, Arc::new(allowed), 0).unwrap();
    assert_eq!(apply(&mut actor, &[row(1, 0, Some(1.0))]).inserted, 1);
}

#[test]
fn what_revisions_replaced_counts_as_memory_until_it_is_committed() {
    const ROWS: usize = 500;
    let folder = tempfile::tempdir().unwrap();
    let mut actor = open(&folder.path().join("d"), 0);
    let frame = |sequence: u64, first: i64, value: f64| -> Vec<Row> {
        let minutes = first..first + ROWS as i64;
        minutes
            .map(|minute| row(sequence, minute, Some(value)))
            .collect()
    };
    apply(&mut actor, &frame(1, 0, 1.0));
    commit(&mut actor, 1);
    assert_eq!(actor.hot_bytes(), 0);
    apply(&mut actor, &frame(2, ROWS as i64, 1.0));
    let of_new = actor.hot_bytes();
    commit(&mut actor, 2);
    assert_eq!(actor.hot_bytes(), 0);

    // As many rows that replace committed ones: masks come with them.
    assert_eq!(apply(&mut actor, &frame(3, 0, 2.0)).revised, ROWS as u64);
    let of_revised = actor.hot_bytes();
    assert!(
        of_revised > of_new + 32 * ROWS,
        "{of_revised} bytes, {of_new} of new rows"
    );
    // And as many that replace those: they stay, marked, and are known by their keys.
    assert_eq!(apply(&mut actor, &frame(4, 0, 3.0)).revised, ROWS as u64);
    let of_both = actor.hot_bytes();
    assert!(
        of_both > of_revised + of_new,
        "{of_both} bytes, {of_revised} before, {of_new} of new rows"
    );
    // In two commits: what is carried out is counted no longer.
    commit(&mut actor, 3);
    let left = actor.hot_bytes();
    assert!((1..of_both).contains(&left), "{left} bytes of {of_both}");
    commit(&mut actor, 4);
    assert_eq!(actor.hot_bytes(), 0);
}
