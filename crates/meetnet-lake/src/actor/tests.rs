//! Schedules of groups, commits, crashes and restarts, compared with the oracle: key -> versions in order.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int8Array, Int64Array, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use meetnet_model::column::{ColumnDeclaration, ColumnType};
use meetnet_model::common;
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind, Grain};
use meetnet_model::rows::{DatasetRows, RowsBuilder};
use meetnet_model::texts::Texts;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::compact::{Effort, MergeJob, MergeOutcome, choose};
use crate::snapshot::HotBatch;
use crate::storage::FolderStorage;
use crate::table::lookup;

const APP: &str = "meetnet/journal/test";
/// 2026-01-31T23:00:00Z: an hour before a month ends, so that schedules cross partitions.
const START: i64 = 1_769_900_400_000_000;
const MINUTE: i64 = 60_000_000;
const UNLIMITED: CommitLimits = CommitLimits {
    revised_files_max: usize::MAX,
    partitions_max: usize::MAX,
};

fn declaration() -> Arc<DatasetDeclaration> {
    let column = |name: &str, column_type, required| ColumnDeclaration {
        name: name.to_owned(),
        column_type,
        required,
        unit: None,
        iri: None,
        range: None,
        title: None,
    };
    Arc::new(DatasetDeclaration {
        id: "d".into(),
        version: 1,
        kind: DatasetKind::Long,
        grain: Grain::Month,
        key: ["sensor_id", "property", "time"]
            .map(str::to_owned)
            .to_vec(),
        licence: None,
        attribution: None,
        title: Texts::default(),
        description: Texts::default(),
        rules: Vec::new(),
        columns: vec![
            column("sensor_id", ColumnType::Text, true),
            column("property", ColumnType::Text, true),
            column("time", ColumnType::Timestamp, true),
            column("value", ColumnType::Float, false),
        ],
    })
}

/// One row of one frame.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    sequence: u64,
    received_at: i64,
    recorded_at: i64,
    licence: &'static str,
    key: (String, String, i64),
    value: Option<f64>,
}

fn batch(rows: &[Row]) -> (DatasetRows, Vec<Lineage>) {
    let mut builder = RowsBuilder::new(declaration());
    let mut lineage = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        builder.set_text(0, &row.key.0);
        builder.set_text(1, &row.key.1);
        builder.set_int(2, row.key.2);
        row.value
            .into_iter()
            .for_each(|value| builder.set_float(3, value));
        builder.finish_row(index as u32).unwrap();
        lineage.push(Lineage {
            sequence: Sequence(row.sequence),
            received_at: row.received_at,
            recorded_at: row.recorded_at,
            source: "s".into(),
            licence: row.licence.into(),
            precedence: 0,
        });
    }
    (builder.take(), lineage)
}

fn flag(_: &DatasetDeclaration, rows: &RecordBatch, _: &[u32]) -> (Int8Array, Int64Array) {
    let ones = std::iter::repeat_n(1, rows.num_rows());
    (
        Int8Array::from_iter_values(ones),
        Int64Array::from_iter_values(vec![0; rows.num_rows()]),
    )
}

fn apply(actor: &mut DatasetActor, rows: &[Row]) -> Applied {
    let (rows, lineage) = batch(rows);
    actor.apply(&rows, &lineage, true, &mut flag).unwrap()
}

/// The folder of a table whose local path is `root`.
fn table_folder(root: &std::path::Path) -> TableFolder {
    let storage = FolderStorage::new(root.parent().unwrap());
    TableFolder::new(
        Arc::new(storage),
        root.file_name().unwrap().to_str().unwrap(),
    )
}

fn open(root: &std::path::Path, trimmed: u64) -> DatasetActor {
    open_as(root, declaration(), trimmed).unwrap()
}

fn open_as(
    root: &std::path::Path,
    declaration: Arc<DatasetDeclaration>,
    trimmed: u64,
) -> Result<DatasetActor, LakeError> {
    let table = DeclaredTable::read(table_folder(root), declaration)?;
    DatasetActor::open(table, APP, Sequence(trimmed), None, 0)
}

/// A version as an answer has it: key, value as bits, revision, received_at, superseded_at.
type Answer = ((String, String, i64), Option<u64>, i64, i64, Option<i64>);

/// Reads everything that a reader of `snapshot` can see: current rows and replaced ones.
fn read(snapshot: &TableSnapshot) -> (BTreeSet<Answer>, BTreeSet<Answer>) {
    let (mut current, mut history) = (BTreeSet::new(), BTreeSet::new());
    let mut add = |batch: &RecordBatch, superseded_at: &dyn Fn(usize) -> Option<i64>| {
        let micros = |name: &str, row: usize| {
            let array = batch.column_by_name(name).unwrap();
            let array = array.as_primitive::<TimestampMicrosecondType>();
            (!array.is_null(row)).then(|| array.value(row))
        };
        let text = |name: &str, row: usize| {
            batch
                .column_by_name(name)
                .unwrap()
                .as_string::<i32>()
                .value(row)
                .to_owned()
        };
        for row in 0..batch.num_rows() {
            let values = batch
                .column_by_name("value")
                .unwrap()
                .as_primitive::<Float64Type>();
            let revision = batch
                .column_by_name(common::REVISION)
                .unwrap()
                .as_primitive::<Int64Type>();
            let key = (
                text("sensor_id", row),
                text("property", row),
                micros("time", row).unwrap(),
            );
            let at = superseded_at(row).or(micros(common::SUPERSEDED_AT, row));
            let answer = (
                key,
                (!values.is_null(row)).then(|| values.value(row).to_bits()),
                revision.value(row),
                micros(common::RECEIVED_AT, row).unwrap(),
                at,
            );
            let set = if at.is_none() {
                &mut current
            } else {
                &mut history
            };
            assert!(set.insert(answer.clone()), "answered twice: {answer:?}");
        }
    };
    for file in snapshot.files.iter() {
        let mut start = 0_u32;
        let mut last: Option<Vec<u8>> = None;
        let codec = KeyCodec::new(&snapshot.declaration).unwrap();
        for rows in lookup::read_file(
            &snapshot.folder,
            &snapshot.declaration,
            file,
            &snapshot.declaration.file_schema(),
            65_536,
        )
        .unwrap()
        {
            let rows = rows.unwrap();
            let mask = snapshot.masks.get(&file.path);
            add(&rows, &|row| mask?.rows.get(&(start + row as u32)).copied());
            for key in codec.keys(&rows).unwrap().iter() {
                assert!(
                    last.as_deref().is_none_or(|last| last <= key.data()),
                    "file not sorted"
                );
                last = Some(key.data().to_vec());
            }
            start += rows.num_rows() as u32;
        }
        assert_eq!(u64::from(start), file.rows);
    }
    for hot in snapshot.hot.iter() {
        add(&hot.batch, &|row| {
            let at = hot.superseded.as_ref()?[row];
            (at != HotBatch::LIVE).then_some(at)
        });
    }
    let keys: HashSet<_> = current.iter().map(|answer| &answer.0).collect();
    assert_eq!(keys.len(), current.len(), "a key is answered twice");
    (current, history)
}

/// The model: what the rules say about a sequence of rows.
#[derive(Default)]
struct Oracle {
    current: BTreeMap<(String, String, i64), Answer>,
    order: BTreeMap<(String, String, i64), (i64, i64)>,
    history: BTreeSet<Answer>,
}

impl Oracle {
    fn apply(&mut self, row: &Row) {
        let value = row.value.map(f64::to_bits);
        let answer = |revision| (row.key.clone(), value, revision, row.received_at, None);
        let Some(stored) = self.current.get(&row.key).cloned() else {
            self.current.insert(row.key.clone(), answer(0));
            self.order
                .insert(row.key.clone(), (row.received_at, row.recorded_at));
            return;
        };
        let (received_at, recorded_at) = self.order[&row.key];
        if stored.1 == value {
            return;
        }
        if row.received_at < received_at {
            let known = self
                .history
                .iter()
                .any(|h| h.0 == row.key && h.1 == value && h.3 == row.received_at);
            if !known {
                let at = row.recorded_at.max(recorded_at);
                self.history
                    .insert((row.key.clone(), value, stored.2, row.received_at, Some(at)));
            }
            return;
        }
        self.history.insert((
            stored.0,
            stored.1,
            stored.2,
            stored.3,
            Some(row.recorded_at),
        ));
        self.current.insert(row.key.clone(), answer(stored.2 + 1));
        self.order
            .insert(row.key.clone(), (row.received_at, row.recorded_at));
    }
}

fn random_row(random: &mut StdRng, sequence: u64) -> Row {
    let recorded_at = START + 2 * 3600 * 1_000_000 + sequence as i64 * 1_000;
    let replayed = random.random_bool(0.15);
    Row {
        sequence,
        received_at: if replayed {
            recorded_at - random.random_range(1..40_000)
        } else {
            recorded_at
        },
        recorded_at,
        licence: if random.random_bool(0.2) {
            "ODbL-1.0"
        } else {
            "CC0-1.0"
        },
        key: (
            format!("s{}", random.random_range(0..6)),
            ["pm10", "pm2_5"][random.random_range(0..2)].to_owned(),
            // Mostly in time order, some late, around the end of a month.
            START
                + MINUTE * (sequence as i64 / 4)
                + MINUTE
                    * if random.random_bool(0.3) {
                        -random.random_range(0..30)
                    } else {
                        0
                    },
        ),
        value: [None, Some(1.0), Some(2.5), Some(-0.5)][random.random_range(0..4)],
    }
}

fn merge_job(actor: &DatasetActor, effort: Effort) -> Option<MergeJob> {
    Some(MergeJob {
        folder: actor.folder().clone(),
        declaration: Arc::clone(actor.declaration()),
        codec: Arc::clone(actor.codec()),
        choice: choose(actor.files(), effort, 0)?,
        cancelled: Arc::default(),
        now_ms: 0,
    })
}

/// Admits a merge where its inputs are still live; gives it back where a commit has the log.
fn place(actor: &mut DatasetActor, merge: MergeOutcome) -> Option<MergeOutcome> {
    if actor.is_committing() {
        return Some(merge);
    }
    if !actor.holds(&merge.inputs) {
        merge.discard();
        return None;
    }
    let rows = |files: &[Arc<LiveFile>]| files.iter().map(|file| file.rows).sum::<u64>();
    let before = rows(actor.files());
    let files = merge.result.unwrap().unwrap();
    let job = actor.replace(merge.inputs, files, "OPTIMIZE", 0).unwrap();
    assert!(matches!(
        actor.admit_replaced(job.run()),
        Ok(Admitted::Done)
    ));
    assert_eq!(rows(actor.files()), before);
    None
}

fn schedule(seed: u64) {
    let random = &mut StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    let mut oracle = Oracle::default();
    let mut frames: Vec<Row> = Vec::new();
    let mut job: Option<CommitJob> = None;
    let mut outcome: Option<CommitOutcome> = None;
    let mut merge: Option<MergeOutcome> = None;
    let mut trimmed = 0;
    for _ in 0..60 {
        match random.random_range(0..12) {
            0..=4 => {
                let group: Vec<Row> = (0..random.random_range(1..25))
                    .map(|index| random_row(random, frames.len() as u64 + index + 1))
                    .collect();
                apply(&mut actor, &group);
                group.iter().for_each(|row| oracle.apply(row));
                frames.extend(group);
            }
            5 | 6 => {
                if job.is_none() && outcome.is_none() {
                    let through = Sequence(frames.len() as u64);
                    // Often fewer files and partitions than are touched: then the barrier is lower.
                    let limits = CommitLimits {
                        revised_files_max: random.random_range(1..6),
                        partitions_max: random.random_range(1..6),
                    };
                    job = actor.freeze(through, 0, limits, 0);
                    assert!(job.is_some());
                }
            }
            7 => outcome = job.take().map(CommitJob::run).or(outcome),
            8 => {
                if let Some(outcome) = outcome.take() {
                    assert!(matches!(actor.admit(outcome), Ok(Admitted::Done)));
                }
                let oldest = actor
                    .oldest_uncommitted()
                    .map_or(frames.len() as u64, |s| s.0 - 1);
                trimmed = oldest.max(trimmed);
            }
            9 => {
                if let Some(merge) = merge.take() {
                    merge.discard();
                }
                let effort = [Effort::Steady, Effort::Full][random.random_range(0..2)];
                merge = merge_job(&actor, effort).map(MergeJob::run);
            }
            10 => merge = merge.and_then(|merge| place(&mut actor, merge)),
            _ => {
                // A crash: what is in memory is gone; a job that ran has committed, one that did not has not.
                job = None;
                outcome = None;
                merge = None;
                actor = open(&root, trimmed);
                apply(&mut actor, &frames[trimmed as usize..]);
            }
        }
        let snapshot = actor.snapshot(Sequence(frames.len() as u64), 0);
        let (current, history) = read(&snapshot);
        let expected: BTreeSet<Answer> = oracle.current.values().cloned().collect();
        assert_eq!(current, expected, "seed {seed}: current rows");
        assert_eq!(history, oracle.history, "seed {seed}: history");
    }
}

#[test]
fn schedules_equal_the_oracle() {
    let (first, count) = match std::env::var("MEETNET_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
    {
        Some(seed) => (seed, 1),
        None => (0, 60),
    };
    for seed in first..first + count {
        eprintln!("MEETNET_SEED={seed}");
        schedule(seed);
    }
}

fn row(sequence: u64, minute: i64, value: Option<f64>) -> Row {
    Row {
        sequence,
        received_at: START + sequence as i64,
        recorded_at: START + sequence as i64,
        licence: "CC0-1.0",
        key: ("a".to_owned(), "pm10".to_owned(), START + minute * MINUTE),
        value,
    }
}

fn commit(actor: &mut DatasetActor, through: u64) {
    let job = actor.freeze(Sequence(through), 0, UNLIMITED, 0).unwrap();
    assert!(matches!(actor.admit(job.run()), Ok(Admitted::Done)));
}

#[test]
fn a_failed_commit_keeps_the_rows_hot_and_the_next_one_takes_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    apply(&mut actor, &[row(1, 0, Some(1.0)), row(2, 1, Some(2.0))]);
    let blocked = root.join("licence=CC0-1.0");
    std::fs::write(&blocked, "a file where a folder must be").unwrap();
    let job = actor.freeze(Sequence(2), 0, UNLIMITED, 0).unwrap();
    let Ok(Admitted::Failed(error)) = actor.admit(job.run()) else {
        panic!("a file is in the way");
    };
    assert!(error.to_string().contains("licence=CC0-1.0"), "{error}");
    assert_eq!(read(&actor.snapshot(Sequence(2), 0)).0.len(), 2);
    std::fs::remove_file(blocked).unwrap();
    apply(&mut actor, &[row(3, 1, Some(3.0))]);
    commit(&mut actor, 3);
    let (current, history) = read(&actor.snapshot(Sequence(3), 0));
    assert_eq!((current.len(), history.len()), (2, 1));
    assert_eq!(actor.hot_rows(), 0);
}

#[test]
fn a_commit_seen_as_failed_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    apply(&mut actor, &[row(1, 0, Some(1.0))]);
    let job = actor.freeze(Sequence(1), 0, UNLIMITED, 0).unwrap();
    drop(job.run());
    // The outcome never reached the actor: the process ended. The frames come again.
    let mut actor = open(&root, 0);
    let applied = apply(&mut actor, &[row(1, 0, Some(1.0)), row(2, 1, Some(1.0))]);
    assert_eq!((applied.skipped, applied.inserted), (1, 1));
    assert_eq!(read(&actor.snapshot(Sequence(2), 0)).0.len(), 2);
}

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
fn the_log_survives_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    for sequence in 1..=205_u64 {
        apply(
            &mut actor,
            &[row(sequence, sequence as i64 % 50, Some(sequence as f64))],
        );
        commit(&mut actor, sequence);
    }
    let before = read(&actor.snapshot(Sequence(205), 0));
    assert_eq!((before.0.len(), before.1.len()), (50, 155));
    assert!(
        root.join("_delta_log/00000000000000000200.checkpoint.parquet")
            .is_file()
    );
    let actor = open(&root, 205);
    assert_eq!(actor.version(), 205);
    assert_eq!(read(&actor.snapshot(Sequence(205), 0)), before);
}

#[test]
fn of_two_merges_of_the_same_files_one_counts() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    for sequence in 1..=4 {
        apply(&mut actor, &[row(sequence, sequence as i64, Some(1.0))]);
        commit(&mut actor, sequence);
    }
    // Planned from the same state, as two processes or a restart could.
    let first = merge_job(&actor, Effort::Full).unwrap().run();
    let second = merge_job(&actor, Effort::Full).unwrap().run();
    assert!(place(&mut actor, first).is_none());
    assert!(place(&mut actor, second).is_none());
    let (current, history) = read(&actor.snapshot(Sequence(4), 0));
    assert_eq!((current.len(), history.len()), (4, 0));
    assert_eq!(actor.files().len(), 1);
    // What the second had written is gone.
    let listed = actor.folder().list("licence=CC0-1.0").unwrap();
    assert_eq!(listed.len(), 5);
}

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

#[test]
fn row_groups_without_replaced_rows_are_copied_byte_for_byte() {
    use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};

    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("d");
    let mut actor = open(&root, 0);
    // Up to the end of the month: one file.
    let rows: Vec<Row> = (1..=59)
        .map(|sequence| row(sequence, sequence as i64, Some(sequence as f64)))
        .collect();
    apply(&mut actor, &rows);
    commit(&mut actor, 59);
    let groups = |actor: &DatasetActor| -> Vec<Vec<u8>> {
        let current = actor.files().iter().find(|file| !file.superseded).unwrap();
        let bytes = actor.folder().read(&current.path).unwrap().unwrap();
        let reader = SerializedFileReader::new(bytes.clone()).unwrap();
        let groups = reader.metadata().row_groups().iter();
        groups
            .map(|group| {
                let columns = group.columns().iter();
                columns
                    .flat_map(|column| {
                        let (start, length) = column.byte_range();
                        bytes.get_bytes(start, length as usize).unwrap().to_vec()
                    })
                    .collect()
            })
            .collect()
    };
    let before = groups(&actor);
    assert_eq!(before.len(), 8);
    let statistics = actor.files()[0].statistics.clone();
    // The greatest value and the latest time go: bounds must follow.
    apply(&mut actor, &[row(60, 59, Some(-5.0))]);
    commit(&mut actor, 60);
    let after = groups(&actor);
    assert_eq!(before[..7], after[..7]);
    assert_ne!(before[7], after[7]);
    let kept = actor.files().iter().find(|file| file.rows == 58).unwrap();
    let bounds = |statistics: &BTreeMap<Arc<str>, crate::snapshot::ColumnStatistics>| {
        statistics["value"].max.clone()
    };
    use crate::snapshot::StatisticsValue::Float;
    assert_eq!(bounds(&statistics), Some(Float(59.0)));
    assert_eq!(bounds(&kept.statistics), Some(Float(58.0)));
}

/// A slow store took an entry of a process that had ended, after the next one had opened the table and replayed.
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
