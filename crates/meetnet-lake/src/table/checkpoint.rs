//! Checkpoints of the table log: the folded state as one Parquet file, so that opening a table reads at most a
//! hundred entries whatever its age. The classic single-file form that every Delta reader knows.

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::json::{LineDelimitedWriter, ReaderBuilder};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};

use super::actions::Action;
use super::log::LOG_FOLDER;
use crate::error::LakeError;
use crate::storage::TableFolder;

/// Names the newest checkpoint.
pub(crate) const LAST_CHECKPOINT: &str = "_delta_log/_last_checkpoint";

/// Content of [`LAST_CHECKPOINT`].
#[derive(Serialize, Deserialize)]
struct LastCheckpoint {
    version: u64,
    size: u64,
}

/// Writes the checkpoint of `version` and points `_last_checkpoint` to it.
pub(crate) fn write(
    folder: &TableFolder,
    version: u64,
    actions: &[Action],
) -> Result<(), LakeError> {
    let path = checkpoint_path(version);
    let bytes = to_parquet(actions).map_err(LakeError::parquet(
        "encode checkpoint",
        &folder.shown(&path),
    ))?;
    // A crash may have left the same checkpoint: its content is the same fold, so replacing it is harmless.
    folder.replace(&path, &bytes)?;
    let last = LastCheckpoint {
        version,
        size: actions.len() as u64,
    };
    let text = serde_json::to_vec(&last).expect("two numbers make valid JSON");
    folder.replace(LAST_CHECKPOINT, &text)
}

pub(crate) fn checkpoint_path(version: u64) -> String {
    format!("{LOG_FOLDER}/{version:020}.checkpoint.parquet")
}

/// The newest checkpoint of a table.
#[derive(Debug)]
pub(crate) struct Newest {
    /// Its version.
    pub(crate) version: u64,
    /// Content of [`LAST_CHECKPOINT`].
    pub(crate) pointer: Bytes,
}

impl Newest {
    /// Path of the checkpoint in the table's folder.
    pub(crate) fn path(&self) -> String {
        checkpoint_path(self.version)
    }
}

/// Returns which checkpoint is the newest; None where there is none.
pub(crate) fn newest(folder: &TableFolder) -> Result<Option<Newest>, LakeError> {
    let Some(pointer) = folder.read(LAST_CHECKPOINT)? else {
        return Ok(None);
    };
    let last: LastCheckpoint =
        serde_json::from_slice(&pointer).map_err(|error| LakeError::BrokenLog {
            path: folder.shown(LAST_CHECKPOINT),
            reason: error.to_string(),
        })?;
    Ok(Some(Newest {
        version: last.version,
        pointer,
    }))
}

/// Reads the newest checkpoint; None where there is none.
pub(crate) fn read_last(folder: &TableFolder) -> Result<Option<(u64, Vec<Action>)>, LakeError> {
    let Some(newest) = newest(folder)? else {
        return Ok(None);
    };
    let actions = read(folder, newest.version)?.ok_or_else(|| LakeError::BrokenLog {
        path: folder.shown(&newest.path()),
        reason: "it is missing, though `_last_checkpoint` names it".to_owned(),
    })?;
    Ok(Some((newest.version, actions)))
}

/// Reads the checkpoint of `version`; None where there is none.
pub(crate) fn read(folder: &TableFolder, version: u64) -> Result<Option<Vec<Action>>, LakeError> {
    let path = checkpoint_path(version);
    let broken = |reason: String| LakeError::BrokenLog {
        path: folder.shown(&path),
        reason,
    };
    let Some(file) = folder.read(&path)? else {
        return Ok(None);
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.build())
        .map_err(LakeError::parquet("read", &folder.shown(&path)))?;
    let mut lines = LineDelimitedWriter::new(Vec::new());
    for batch in reader {
        let batch = batch.map_err(|error| broken(error.to_string()))?;
        lines
            .write(&batch)
            .map_err(|error| broken(error.to_string()))?;
    }
    lines.finish().map_err(|error| broken(error.to_string()))?;
    let actions = serde_json::Deserializer::from_slice(&lines.into_inner())
        .into_iter::<Action>()
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| broken(error.to_string()))?;
    Ok(Some(actions))
}

fn to_parquet(actions: &[Action]) -> Result<Vec<u8>, parquet::errors::ParquetError> {
    let mut json = Vec::new();
    for action in actions {
        serde_json::to_writer(&mut json, action).expect("actions have string keys only");
        json.push(b'\n');
    }
    let schema = checkpoint_schema();
    let reader = ReaderBuilder::new(Arc::clone(&schema)).build(Cursor::new(json))?;
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, None)?;
    for batch in reader {
        let batch: RecordBatch = batch?;
        writer.write(&batch)?;
    }
    writer.into_inner()
}

fn checkpoint_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let long = |name: &str| Field::new(name, DataType::Int64, true);
    let int = |name: &str| Field::new(name, DataType::Int32, true);
    let flag = |name: &str| Field::new(name, DataType::Boolean, true);
    let map = |name: &str| {
        let entries = Fields::from(vec![
            Field::new("key", DataType::Utf8, false),
            Field::new("value", DataType::Utf8, true),
        ]);
        let entries = Field::new("key_value", DataType::Struct(entries), false);
        Field::new(name, DataType::Map(Arc::new(entries), false), true)
    };
    let list = |name: &str| {
        Field::new(
            name,
            DataType::List(Arc::new(Field::new("element", DataType::Utf8, true))),
            true,
        )
    };
    let group = |name: &str, fields: Vec<Field>| {
        Field::new(name, DataType::Struct(Fields::from(fields)), true)
    };
    Arc::new(Schema::new(vec![
        group(
            "txn",
            vec![text("appId"), long("version"), long("lastUpdated")],
        ),
        group(
            "add",
            vec![
                text("path"),
                map("partitionValues"),
                long("size"),
                long("modificationTime"),
                flag("dataChange"),
                text("stats"),
                map("tags"),
            ],
        ),
        group(
            "remove",
            vec![
                text("path"),
                long("deletionTimestamp"),
                flag("dataChange"),
                flag("extendedFileMetadata"),
                map("partitionValues"),
                long("size"),
                map("tags"),
            ],
        ),
        group(
            "metaData",
            vec![
                text("id"),
                text("name"),
                text("description"),
                group("format", vec![text("provider"), map("options")]),
                text("schemaString"),
                list("partitionColumns"),
                map("configuration"),
                long("createdTime"),
            ],
        ),
        group(
            "protocol",
            vec![int("minReaderVersion"), int("minWriterVersion")],
        ),
    ]))
}
