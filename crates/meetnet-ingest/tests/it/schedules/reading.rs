//! Reads what a snapshot shows: files minus masks, plus hot rows. Files are read as bytes, by Parquet's own reader.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use meetnet_lake::snapshot::{HotBatch, LiveFile, TableSnapshot};
use meetnet_lake::storage::LakeStorage;
use meetnet_model::hex::Hex;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest, Sha256};

use super::model::{DATASETS, Key, Version};

/// Rows of files by path, as long as nothing happened to the disk.
pub(super) type Cache = HashMap<Arc<str>, Arc<Vec<Version>>>;

/// Returns every version that a table shows.
pub(super) fn read(
    table: &TableSnapshot,
    storage: &dyn LakeStorage,
    cache: &mut Cache,
) -> BTreeSet<Version> {
    let mut versions = BTreeSet::new();
    let mut add = |version: Version| {
        let text = format!("{version:?}");
        assert!(versions.insert(version), "answered twice: {text}");
    };
    for file in table.files.iter() {
        let rows = file_rows(table, file, storage, cache);
        let mask = table.masks.get(&file.path);
        for (row, version) in rows.iter().enumerate() {
            assert_eq!(
                version.superseded_at.is_some(),
                file.superseded,
                "{version:?}"
            );
            let masked_at = mask.and_then(|mask| mask.rows.get(&(row as u32)).copied());
            add(Version {
                superseded_at: version.superseded_at.or(masked_at),
                ..version.clone()
            });
        }
    }
    for hot in table.hot.iter() {
        for (row, version) in versions_of(table, &hot.batch, None).into_iter().enumerate() {
            let replaced_at = hot.superseded.as_ref().map(|at| at[row]);
            add(Version {
                superseded_at: replaced_at.filter(|at| *at != HotBatch::LIVE),
                ..version
            });
        }
    }
    let current = versions.iter().filter(|v| v.superseded_at.is_none());
    let mut keys = BTreeSet::new();
    for version in current {
        assert!(
            keys.insert(&version.key),
            "two answers for {:?}",
            version.key
        );
    }
    versions
}

fn file_rows(
    table: &TableSnapshot,
    file: &Arc<LiveFile>,
    storage: &dyn LakeStorage,
    cache: &mut Cache,
) -> Arc<Vec<Version>> {
    if let Some(rows) = cache.get(&file.path) {
        return Arc::clone(rows);
    }
    let bytes = storage
        .read(&format!("{}/{}", table.declaration.id, file.path))
        .unwrap_or_else(|error| panic!("live file {} is not readable: {error}", file.path));
    assert_eq!(bytes.len() as u64, file.bytes, "length of {}", file.path);
    let hash = Hex(&Sha256::digest(&bytes)).to_string();
    assert_eq!(hash, *file.sha256, "content of {}", file.path);
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .unwrap()
        .build()
        .unwrap();
    let rows: Vec<Version> = reader
        .flat_map(|batch| versions_of(table, &batch.unwrap(), Some(&**file)))
        .collect();
    assert_eq!(rows.len() as u64, file.rows, "rows of {}", file.path);
    let rows = Arc::new(rows);
    cache.insert(Arc::clone(&file.path), Arc::clone(&rows));
    rows
}

/// Reads the rows of a batch; those of a file have its licence.
fn versions_of(
    table: &TableSnapshot,
    batch: &RecordBatch,
    file: Option<&LiveFile>,
) -> Vec<Version> {
    let id = table.declaration.id.as_str();
    let dataset = *DATASETS.iter().find(|of| **of == id).unwrap();
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let text = |name: &str, row: usize| column(name).as_string::<i32>().value(row).to_owned();
    let int = |name: &str, row: usize| column(name).as_primitive::<Int64Type>().value(row);
    let micros = |name: &str, row: usize| {
        let array = column(name).as_primitive::<TimestampMicrosecondType>();
        (!array.is_null(row)).then(|| array.value(row))
    };
    let version = |row: usize| {
        let (name, value) = if dataset == "rejects" {
            (
                format!("{}|{}", int("sequence", row), int("ordinal", row)),
                None,
            )
        } else {
            let values = column("value").as_primitive::<Float64Type>();
            (
                format!("{}|{}", text("sensor_id", row), text("property", row)),
                (!values.is_null(row)).then(|| values.value(row).to_bits()),
            )
        };
        let received_at = micros("received_at", row).unwrap();
        Version {
            key: Key {
                dataset,
                name,
                time: micros("time", row).unwrap(),
            },
            value,
            source: text("source", row),
            licence: file.map_or_else(|| text("licence", row), |file| file.licence.to_string()),
            revision: int("revision", row),
            received_at,
            recorded_at: micros("recorded_at", row).unwrap_or(received_at),
            superseded_at: micros("superseded_at", row),
        }
    };
    (0..batch.num_rows()).map(version).collect()
}
