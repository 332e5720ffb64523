//! Tests of one table without a pipeline: frames go in as rows, every step is called by hand, and [`read`] says what a
//! reader would see. Here is what they share.

mod applying;
mod barrier;
mod committing;
mod frontier;
mod late_entries;
mod periods;
mod schedules;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int8Array, Int64Array, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use meetnet_model::column::{ColumnDeclaration, ColumnType};
use meetnet_model::common;
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind, Grain};
use meetnet_model::rows::{DatasetRows, RowsBuilder};
use meetnet_model::texts::Texts;

use super::*;
use crate::compact::{Effort, MergeJob, MergeOutcome, choose};
use crate::snapshot::HotBatch;
use crate::storage::FolderStorage;
use crate::table::read;

const APP: &str = "meetnet/journal/test";
/// 2026-01-31T23:00:00Z: an hour before a month ends, so that rows cross partitions.
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
        tests: Default::default(),
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
        source_licences: Default::default(),
        title: Texts::default(),
        description: Texts::default(),
        rules: Vec::new(),
        derive: None,
        assess: None,
        gather: None,
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
            confirms: false,
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
    let table = DeclaredTable::read(table_folder(root), declaration, Default::default())?;
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
        for rows in read::read_file(
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

/// The next merge, where there is one.
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

/// A row of sensor `a` in a frame of its own.
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

/// Commits everything up to a frame.
fn commit(actor: &mut DatasetActor, through: u64) {
    let job = actor.freeze(Sequence(through), 0, UNLIMITED, 0).unwrap();
    assert!(matches!(actor.admit(job.run()), Ok(Admitted::Done)));
}
