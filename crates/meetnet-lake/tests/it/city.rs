//! A lake of one small dataset over a faulty disk, and what is answered from it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, TimestampMicrosecondType};
use bytes::Bytes;
use meetnet_lake::journal::Openings;
use meetnet_lake::lake::{DeclaredTables, Lake, LakeOptions, LakeReader};
use meetnet_lake::snapshot::{HotBatch, TableSnapshot};
use meetnet_lake::storage::{FolderStorage, LakeStorage};
use meetnet_lake::{Applied, LakeError, Lineage};
use meetnet_model::ids::Sequence;
use meetnet_model::rows::DatasetRows;
use meetnet_testkit::files::FaultyFiles;
use meetnet_testkit::garden::{self, MINUTE, START, declarations, flag};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use uuid::Uuid;

/// Where the lake lies.
pub(crate) const LAKE: &str = "/city/lake";
/// A row of `heat`: sensor, minute since the start, value.
pub(crate) type Row = (u32, i64, f64);

/// What is answered: current rows, and replaced ones. Each is sensor, minute and value in hundredths.
pub(crate) type Answers = (BTreeSet<(String, i64, i64)>, BTreeSet<(String, i64, i64)>);

/// Opens the lake; rows up to `trimmed` are taken to be in its tables.
pub(crate) fn open(
    files: &FaultyFiles,
    trimmed: u64,
    change: impl FnOnce(&mut LakeOptions),
) -> Result<Lake, LakeError> {
    let storage = FolderStorage::with_files(LAKE, Arc::new(files.clone()));
    let tables = DeclaredTables::read(Arc::new(storage), Arc::new(declarations()))?;
    let mut options = LakeOptions::new(Uuid::nil());
    options.limits.compaction = false;
    change(&mut options);
    Lake::open(options, tables, Sequence(trimmed))
}

/// Applies one frame.
pub(crate) fn apply(lake: &mut Lake, sequence: u64, rows: &[Row]) -> Result<(), LakeError> {
    let recorded_at = recorded_at(sequence);
    lake.apply(&decoded(rows), &[lineage(sequence)], &mut flag)?;
    lake.advance(Sequence(sequence), recorded_at);
    Ok(())
}

/// Imports one chunk, which stands behind frame `sequence`; `consumed` rows of the import are done then.
pub(crate) fn import(
    lake: &mut Lake,
    sequence: u64,
    consumed: u64,
    rows: &[Row],
) -> Result<Applied, LakeError> {
    let lineage: Vec<Lineage> = rows.iter().map(|_| lineage(sequence)).collect();
    let mut decoded = decoded(rows);
    // Each in an envelope of its own.
    decoded.envelopes = (0..rows.len() as u32).collect();
    lake.import("an import", consumed, &decoded, &lineage, &mut flag)
}

/// Returns the memory of a journal of which only that is needed.
pub(crate) fn openings(folder: &FaultyFiles) -> Openings {
    let dir = Path::new("/journal");
    folder.make_dir(dir);
    Openings::new(Arc::new(folder.clone()), dir.to_path_buf())
}

/// Reads the current rows of `heat` as another process finds them in files: value by sensor and time.
pub(crate) fn committed(storage: &Arc<dyn LakeStorage>) -> BTreeMap<(String, i64), f64> {
    let mut reader = LakeReader::open(Arc::clone(storage)).expect("a lake");
    let snapshot = reader.refresh().expect("readable logs");
    let table = &snapshot.tables[&garden::heat()];
    let mut rows = BTreeMap::new();
    for file in table.files.iter().filter(|file| !file.superseded) {
        let content = storage.read(&format!("heat/{}", file.path));
        let reader = ParquetRecordBatchReaderBuilder::try_new(content.expect("a live file"));
        for batch in reader.and_then(|reader| reader.build()).expect("Parquet") {
            let batch = batch.expect("readable");
            let column = |name: &str| batch.column_by_name(name).expect("a column");
            let sensors = column("sensor_id").as_string::<i32>();
            let times = column("time").as_primitive::<TimestampMicrosecondType>();
            let values = column("value").as_primitive::<Float64Type>();
            for row in 0..batch.num_rows() {
                let key = (sensors.value(row).to_owned(), times.value(row));
                let before = rows.insert(key.clone(), values.value(row));
                assert_eq!(before, None, "{key:?} twice");
            }
        }
    }
    rows
}

/// When a frame of a test that has no journal is recorded.
pub(crate) fn recorded_at(sequence: u64) -> i64 {
    START + 400 * 24 * 60 * MINUTE + sequence as i64
}

fn lineage(sequence: u64) -> Lineage {
    lineage_at(Sequence(sequence), recorded_at(sequence))
}

/// Where a row of a garden comes from.
pub(crate) fn lineage_at(sequence: Sequence, recorded_at: i64) -> Lineage {
    Lineage {
        sequence,
        received_at: recorded_at,
        recorded_at,
        source: "garden".into(),
        licence: "CC0-1.0".into(),
        precedence: 0,
        confirms: false,
    }
}

fn decoded(rows: &[Row]) -> DatasetRows {
    let readings = rows.iter();
    garden::rows(readings.map(|(sensor, minute, value)| (*sensor, START + minute * MINUTE, *value)))
}

/// Returns the newest snapshot of the table.
pub(crate) fn heat(lake: &mut Lake) -> Arc<TableSnapshot> {
    lake.publish();
    Arc::clone(&lake.shared().load().tables[&garden::heat()])
}

/// Reads everything that is answered; panics where a key is answered twice.
pub(crate) fn answers(files: &FaultyFiles, lake: &mut Lake) -> Answers {
    let snapshot = heat(lake);
    let (mut current, mut replaced) = (BTreeSet::new(), BTreeSet::new());
    let mut add = |batch: &RecordBatch, is_replaced: &dyn Fn(usize) -> bool| {
        let column = |name: &str| batch.column_by_name(name).expect("a column");
        let times = |name: &str| column(name).as_primitive::<TimestampMicrosecondType>();
        let values = column("value").as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            let sensor = column("sensor_id").as_string::<i32>().value(row).to_owned();
            let minute = (times("time").value(row) - START) / MINUTE;
            let answer = (sensor, minute, (values.value(row) * 100.0) as i64);
            let set = if is_replaced(row) || !times("superseded_at").is_null(row) {
                &mut replaced
            } else {
                &mut current
            };
            assert!(set.insert(answer.clone()), "{answer:?} is answered twice");
        }
    };
    for file in snapshot.files.iter() {
        let path = Path::new(LAKE).join("heat").join(&*file.path);
        let content = files.content(&path).expect("a live file is there");
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(content));
        let reader = reader.and_then(|reader| reader.build()).expect("Parquet");
        let mask = snapshot.masks.get(&file.path);
        let mut start = 0;
        for batch in reader {
            let batch = batch.expect("readable");
            add(&batch, &|row| {
                mask.is_some_and(|mask| mask.rows.contains_key(&((start + row) as u32)))
            });
            start += batch.num_rows();
        }
    }
    for hot in snapshot.hot.iter() {
        add(&hot.batch, &|row| {
            let marks = hot.superseded.as_ref();
            marks.is_some_and(|marks| marks[row] != HotBatch::LIVE)
        });
    }
    let keys: BTreeSet<_> = current
        .iter()
        .map(|(sensor, minute, _)| (sensor, minute))
        .collect();
    assert_eq!(
        keys.len(),
        current.len(),
        "a key is answered twice: {current:?}"
    );
    (current, replaced)
}
