//! A small lake for tests: real Parquet files in the final layout, hot rows and masks, written by hand.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int8Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use meetnet_lake::snapshot::{
    ColumnStatistics, HotBatch, LakeSnapshot, LiveFile, Mask, SharedSnapshot, StatisticsValue,
    TableSnapshot,
};
use meetnet_lake::storage::{FolderStorage, TableFolder};
use meetnet_model::common::LICENCE;
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use meetnet_model::ids::{LicenceId, Sequence};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::json;

use crate::error::{QueryError, QueryErrorKind};
use crate::options::{QueryOptions, QueryRequest};
use crate::service::QueryService;

mod database;
mod revised;

pub(crate) use database::{Database, shown};
pub(crate) use revised::revised;

pub(crate) const HOUR: i64 = 3_600_000_000;
/// 2026-01-01T00:00:00Z.
pub(crate) const START: i64 = 1_767_225_600_000_000;

/// One row: segment, hours after [`START`], cars.
pub(crate) type Row = (i64, i64, Option<f64>);

pub(crate) fn declaration(id: &str, kind: DatasetKind) -> Arc<DatasetDeclaration> {
    let texts = json!({ "nl": "proef", "en": "test", "fr": "essai" });
    let declared = json!({
        "id": id,
        "version": 1,
        "kind": kind,
        "grain": "month",
        "key": ["segment_id", "time"],
        "title": texts,
        "description": texts,
        "column": [
            { "name": "segment_id", "type": "int", "required": true },
            { "name": "time", "type": "timestamp", "required": true },
            { "name": "car", "type": "float", "unit": "1/h", "title": { "nl": "auto's", "en": "cars", "fr": "voitures" } },
            { "name": "place", "type": "text" },
            { "name": "speed_hist", "type": "float_list", "unit": "%" },
        ],
    });
    Arc::new(serde_json::from_value(declared).expect("a declaration"))
}

/// Returns rows in the SQL row schema; `place` is `segment-N`, the histogram `[car, null]`. They are received after half
/// the time, all before the stable time of [`Lake::table`].
pub(crate) fn batch(declaration: &DatasetDeclaration, licence: &str, rows: &[Row]) -> RecordBatch {
    let schema = declaration.row_schema();
    let times = |of: fn(&Row) -> i64| {
        let times = rows.iter().map(of);
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
    };
    let nulls = || {
        let none = rows.iter().map(|_| None::<i64>);
        Arc::new(TimestampMicrosecondArray::from_iter(none).with_timezone("UTC")) as ArrayRef
    };
    let text = |value: &str| {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|_| value))) as ArrayRef
    };
    let int = |value: i64| Arc::new(Int64Array::from(vec![value; rows.len()])) as ArrayRef;
    let lists = ListArray::from_iter_primitive::<Float64Type, _, _>(
        rows.iter()
            .map(|row| row.2.map(|car| vec![Some(car), None])),
    );
    let DataType::List(element) = schema.field(4).data_type().clone() else {
        panic!("the histogram is a list")
    };
    let (_, offsets, values, validity) = lists.into_parts();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0))),
        times(|row| START + row.1 * HOUR),
        Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.2))),
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|row| format!("segment-{}", row.0)),
        )),
        Arc::new(ListArray::new(element, offsets, values, validity)),
        Arc::new(Int8Array::from(vec![1; rows.len()])),
        int(0),
        text("test"),
        text(licence),
        times(|row| START + row.1 * HOUR / 2 + 1_000_000),
        nulls(),
        nulls(),
        int(0),
    ];
    RecordBatch::try_new(schema, columns).expect("a row in the SQL row schema")
}

/// One version of a row; times are µs since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Version {
    pub(crate) segment: i64,
    /// Hours after [`START`].
    pub(crate) hour: i64,
    pub(crate) car: Option<f64>,
    pub(crate) received_at: i64,
    pub(crate) recorded_at: Option<i64>,
    pub(crate) superseded_at: Option<i64>,
    pub(crate) revision: i64,
}

/// Returns versions in the SQL row schema, as [`batch`] does.
pub(crate) fn versions(
    declaration: &DatasetDeclaration,
    licence: &str,
    versions: &[Version],
) -> RecordBatch {
    let rows: Vec<Row> = versions
        .iter()
        .map(|version| (version.segment, version.hour, version.car))
        .collect();
    let plain = batch(declaration, licence, &rows);
    let schema = plain.schema();
    let mut columns = plain.columns().to_vec();
    let mut set = |name: &str, values: ArrayRef| {
        columns[schema.index_of(name).expect("a common column")] = values;
    };
    let times = |of: fn(&Version) -> Option<i64>| -> ArrayRef {
        let times = TimestampMicrosecondArray::from_iter(versions.iter().map(of));
        Arc::new(times.with_timezone("UTC"))
    };
    set("received_at", times(|version| Some(version.received_at)));
    set("recorded_at", times(|version| version.recorded_at));
    set("superseded_at", times(|version| version.superseded_at));
    let revisions = versions.iter().map(|version| version.revision);
    set(
        "revision",
        Arc::new(Int64Array::from_iter_values(revisions)),
    );
    RecordBatch::try_new(schema, columns).expect("versions in the SQL row schema")
}

/// A lake in a temporary folder and the pointer to its snapshot.
pub(crate) struct Lake {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) snapshot: SharedSnapshot,
    /// Number of files written: their names.
    files: AtomicUsize,
}

impl Lake {
    pub(crate) fn new() -> Self {
        let snapshot = Arc::new(ArcSwap::from_pointee(LakeSnapshot::default()));
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            snapshot,
            files: AtomicUsize::new(0),
        }
    }

    /// Puts a table in place of the one of its name.
    pub(crate) fn publish(&self, table: TableSnapshot) {
        let mut next = LakeSnapshot::clone(&self.snapshot.load());
        next.tables
            .insert(table.declaration.id.clone(), Arc::new(table));
        self.snapshot.store(Arc::new(next));
    }

    pub(crate) fn table(&self, declaration: &Arc<DatasetDeclaration>) -> TableSnapshot {
        let storage = Arc::new(FolderStorage::new(self.folder.path()));
        TableSnapshot {
            declaration: Arc::clone(declaration),
            folder: TableFolder::new(storage, declaration.id.as_str()),
            version: 1,
            through: Sequence(7),
            stable_time: START + 1000 * HOUR,
            files: Arc::default(),
            masks: Arc::default(),
            hot: Arc::default(),
        }
    }

    /// Writes rows, sorted by key, as one file with row groups of `group_rows`.
    pub(crate) fn file(
        &self,
        declaration: &DatasetDeclaration,
        partition: (&str, bool, &str),
        rows: &[Row],
        group_rows: usize,
    ) -> Arc<LiveFile> {
        let mut sorted = rows.to_vec();
        sorted.sort_by_key(|row| (row.0, row.1));
        let whole = batch(declaration, partition.0, &sorted);
        self.file_of(declaration, partition, &whole, group_rows)
    }

    /// Writes versions, sorted by key, as one file.
    pub(crate) fn versions_file(
        &self,
        declaration: &DatasetDeclaration,
        partition: (&str, bool, &str),
        of: &[Version],
        group_rows: usize,
    ) -> Arc<LiveFile> {
        let mut sorted = of.to_vec();
        sorted.sort_by_key(|version| (version.segment, version.hour));
        let whole = versions(declaration, partition.0, &sorted);
        self.file_of(declaration, partition, &whole, group_rows)
    }

    /// Writes a batch in the SQL row schema.
    fn file_of(
        &self,
        declaration: &DatasetDeclaration,
        (licence, superseded, period): (&str, bool, &str),
        whole: &RecordBatch,
        group_rows: usize,
    ) -> Arc<LiveFile> {
        let stored: Vec<usize> = (0..whole.num_columns())
            .filter(|column| whole.schema().field(*column).name() != LICENCE)
            .collect();
        let stored = whole.project(&stored).expect("stored columns");
        let path = format!(
            "licence={licence}/superseded={superseded}/month={period}/{}.parquet",
            self.files.fetch_add(1, Ordering::Relaxed)
        );
        let absolute = self.folder.path().join(declaration.id.as_str()).join(&path);
        write(&absolute, &stored, group_rows);
        Arc::new(LiveFile {
            run: Arc::from(&*path),
            part: 0,
            path: Arc::from(path),
            bytes: fs::metadata(&absolute).expect("the file").len(),
            rows: stored.num_rows() as u64,
            licence: LicenceId::new(licence),
            superseded,
            period: Arc::from(period),
            sha256: Arc::from(""),
            committed_at_ms: 0,
            statistics: statistics(&stored),
        })
    }
}

fn write(path: &Path, rows: &RecordBatch, group_rows: usize) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .set_data_page_row_count_limit(group_rows / 2)
        .set_write_batch_size(16)
        .build();
    let file = File::create(path).expect("the file");
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).expect("writer");
    writer.write(rows).expect("rows");
    writer.close().expect("footer");
}

fn statistics(rows: &RecordBatch) -> BTreeMap<Arc<str>, ColumnStatistics> {
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    columns
        .filter(|(field, _)| !field.data_type().is_nested())
        .map(|(field, column)| {
            let ints = |values: Vec<i64>| {
                let bound = |value: Option<&i64>| value.copied().map(StatisticsValue::Int);
                (bound(values.iter().min()), bound(values.iter().max()))
            };
            let (min, max) = match field.data_type() {
                DataType::Int64 => ints(
                    column
                        .as_primitive::<Int64Type>()
                        .iter()
                        .flatten()
                        .collect(),
                ),
                DataType::Timestamp(..) => ints(
                    column
                        .as_primitive::<TimestampMicrosecondType>()
                        .iter()
                        .flatten()
                        .collect(),
                ),
                DataType::Utf8 => {
                    let texts = || column.as_string::<i32>().iter().flatten();
                    let bound =
                        |text: Option<&str>| text.map(|t| StatisticsValue::Text(Arc::from(t)));
                    (bound(texts().min()), bound(texts().max()))
                }
                _ => (None, None),
            };
            let nulls = Some(column.null_count() as u64);
            (
                Arc::from(field.name().as_str()),
                ColumnStatistics { min, max, nulls },
            )
        })
        .collect()
}

/// Masks rows at [`START`].
pub(crate) fn masks(of: &[(&LiveFile, &[u32])]) -> Arc<HashMap<Arc<str>, Arc<Mask>>> {
    let timed: Vec<(&LiveFile, Vec<(u32, i64)>)> = of
        .iter()
        .map(|(file, rows)| (*file, rows.iter().map(|row| (*row, START)).collect()))
        .collect();
    masks_at(&timed)
}

/// Masks rows at their times.
pub(crate) fn masks_at(of: &[(&LiveFile, Vec<(u32, i64)>)]) -> Arc<HashMap<Arc<str>, Arc<Mask>>> {
    let mask = |rows: &[(u32, i64)]| Mask {
        rows: rows.iter().copied().collect(),
    };
    Arc::new(
        of.iter()
            .map(|(file, rows)| (Arc::clone(&file.path), Arc::new(mask(rows))))
            .collect(),
    )
}

pub(crate) fn hot(batch: RecordBatch, superseded: Option<Vec<i64>>) -> HotBatch {
    HotBatch {
        batch,
        superseded: superseded.map(Arc::new),
    }
}

/// The lake most tests use. `counts`: 2 licences, 3 months, one superseded file, a mask, hot rows; `revised`: see
/// [`revised`]; `notes`: private.
///
/// Current rows of `counts`: segments 1..=3 at hours 0..100 and 744..844 (CC0), segment 9 at hours 1416..1426 (ODbL);
/// segment 1 at hour 5 is masked and replaced by a hot row with 500 cars; segment 4 at hour 1430 is hot.
pub(crate) fn lake() -> Lake {
    let lake = Lake::new();
    let counts = declaration("counts", DatasetKind::Wide);
    let month = |from: i64| -> Vec<Row> {
        (1..=3)
            .flat_map(|segment| {
                (from..from + 100).map(move |hour| (segment, hour, Some((segment * 10) as f64)))
            })
            .collect()
    };
    let january = lake.file(&counts, ("CC0-1.0", false, "2026-01"), &month(0), 64);
    let february = lake.file(&counts, ("CC0-1.0", false, "2026-02"), &month(744), 64);
    let open: Vec<Row> = (1416..1426).map(|hour| (9, hour, None)).collect();
    let march = lake.file(&counts, ("ODbL-1.0", false, "2026-03"), &open, 64);
    let old = Version {
        segment: 1,
        hour: 5,
        car: Some(1.0),
        received_at: START + 5 * HOUR,
        recorded_at: None,
        superseded_at: Some(START + 5 * HOUR + 1_000_000),
        revision: 0,
    };
    let old = lake.versions_file(&counts, ("CC0-1.0", true, "2026-01"), &[old], 64);
    let replaced = batch(
        &counts,
        "CC0-1.0",
        &[(1, 5, Some(400.0)), (1, 5, Some(500.0))],
    );
    let new = batch(&counts, "CC0-1.0", &[(4, 1430, Some(40.0))]);
    lake.publish(TableSnapshot {
        masks: masks(&[(&january, &[5])]),
        files: Arc::new(vec![january, february, march, old]),
        hot: Arc::new(vec![
            hot(replaced, Some(vec![START + 5 * HOUR, HotBatch::LIVE])),
            hot(new, None),
        ]),
        ..lake.table(&counts)
    });

    lake.publish(revised(&lake));
    let notes = declaration("notes", DatasetKind::Private);
    let note = batch(&notes, "CC0-1.0", &[(1, 1, None)]);
    lake.publish(TableSnapshot {
        through: Sequence(5),
        stable_time: START,
        hot: Arc::new(vec![hot(note, None)]),
        ..lake.table(&notes)
    });
    lake
}

/// Makes a service over [`lake`] whose queries have so many bytes of memory each, and two threads. The files of its tables are
/// gone: it is for statements that make their rows themselves.
pub(crate) fn service_within(memory_bytes_max: usize) -> QueryService {
    let options = QueryOptions {
        memory_bytes_max,
        threads: 2,
        ..QueryOptions::default()
    };
    QueryService::new(options, Arc::clone(&lake().snapshot)).expect("a service")
}

/// Asks a service for all rows of an answer.
pub(crate) async fn all_rows(
    service: &QueryService,
    sql: &str,
) -> Result<Vec<RecordBatch>, QueryError> {
    service
        .query(QueryRequest::public(sql))
        .await?
        .collect()
        .await
}

/// Makes sure that a statement is answered, or else refused as too large; returns why it is refused.
pub(crate) async fn check_size(
    service: &QueryService,
    sql: &str,
    is_answered: bool,
) -> Option<QueryError> {
    let error = all_rows(service, sql).await.err();
    match &error {
        None => assert!(is_answered, "{sql}"),
        Some(error) => {
            assert!(!is_answered, "{sql}: {error}");
            assert_eq!(error.kind, QueryErrorKind::TooLarge, "{sql}: {error}");
        }
    }
    error
}
