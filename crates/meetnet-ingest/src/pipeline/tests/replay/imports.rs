//! What an import refused, replayed or imported again.

use std::collections::HashSet;

use super::super::import::{import, imported, lines};
use super::*;
use crate::import::{IMPORT_PIECE, Import, Keep, Summary};

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
