//! One Parquet file being written: rows are encoded into row groups, and whole row groups of other files of the same
//! schema can be copied in as bytes. Its statistics come from what was written, so a copy needs no decoding.
//!
//! `row batches, row groups of other files -> ParquetFile -> bytes + sha256 + statistics`
//!
//! It knows nothing of partitions, nor when a file is full: that is `files`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::mem;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arrow::array::RecordBatch;
use meetnet_model::common::LICENCE;
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::hex::Hex;
use meetnet_model::licence::Rights;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowWriterOptions, compute_leaves};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData, RowGroupMetaData, SortingColumn};
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;
use parquet::file::writer::SerializedFileWriter;
use sha2::{Digest, Sha256};

use super::encodings::{SAMPLE_ROWS, column_writers, settings};
use super::files::Partition;
use crate::error::LakeError;
use crate::snapshot::{ColumnStatistics, StatisticsValue};
use crate::storage::{FileChunks, NewFile};

/// Rows per row group: enough to compress well, few enough that two cores can share a file. Tests have small ones, so
/// that every schedule copies some and reads others.
const ROW_GROUP_ROWS: usize = if cfg!(test) { 8 } else { 262_144 };
/// Rows of a row group that wait for how its columns are encoded. Tests have row groups of which some rows have not waited.
const WAITING_ROWS: usize = if cfg!(test) { 4 } else { SAMPLE_ROWS };
/// Fewer rows are encoded sooner than a thread has begun.
const HELPED_ROWS_MIN: usize = if cfg!(test) { 2 } else { 4_096 };

/// Names the dataset in a file's metadata.
pub(crate) const DATASET_METADATA: &str = "meetnet.dataset";
/// Names the version of the declaration in a file's metadata.
pub(crate) const VERSION_METADATA: &str = "meetnet.declaration_version";

/// Says in a file's metadata whom to name.
const ATTRIBUTION_METADATA: &str = "attribution";

/// Statistics by column name.
pub(crate) type FileStatistics = BTreeMap<Arc<str>, ColumnStatistics>;

/// A file being written.
pub(crate) struct ParquetFile {
    declaration: Arc<DatasetDeclaration>,
    writer: SerializedFileWriter<HashingWriter>,
    group: Option<RowGroup>,
    rows: usize,
}

/// The row group being encoded.
#[derive(Default)]
struct RowGroup {
    /// Its first rows, until there are enough of them to tell how columns are encoded, or no more come.
    waiting: Vec<RecordBatch>,
    /// One for each column, none while rows wait.
    columns: Vec<ArrowColumnWriter>,
    /// Those that wait among them.
    rows: usize,
    is_helped: bool,
}

/// What a finished file is.
pub(crate) struct Finished {
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    /// Lower-case hex.
    pub(crate) sha256: String,
    pub(crate) statistics: FileStatistics,
}

impl ParquetFile {
    /// Starts a file of `partition` in `sink`.
    pub(crate) fn new(
        declaration: &Arc<DatasetDeclaration>,
        partition: &Partition,
        sink: Box<dyn NewFile>,
    ) -> Result<Self, ParquetError> {
        let sink = HashingWriter {
            inner: sink,
            hash: Sha256::new(),
            bytes: 0,
        };
        // Without the schema of Arrow, which says nothing that the one of Parquet does not: it would be half of the footer.
        let options = ArrowWriterOptions::new()
            .with_properties(writer_properties(declaration, partition))
            .with_skip_arrow_metadata(true);
        let (writer, _) =
            ArrowWriter::try_new_with_options(sink, declaration.file_schema(), options)?
                .into_serialized_writer()?;
        Ok(Self {
            declaration: Arc::clone(declaration),
            writer,
            group: None,
            rows: 0,
        })
    }

    /// Rows so far.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Rows that the row group being encoded still takes.
    pub(crate) fn group_room(&self) -> usize {
        ROW_GROUP_ROWS - self.group.as_ref().map_or(0, |group| group.rows)
    }

    /// Bytes so far, those of the row group being encoded estimated, without rows that wait.
    pub(crate) fn bytes(&self) -> u64 {
        let encoding = self.group.iter().flat_map(|group| &group.columns);
        let encoding: usize = encoding
            .map(ArrowColumnWriter::get_estimated_total_bytes)
            .sum();
        (self.writer.bytes_written() + encoding) as u64
    }

    /// Encodes rows in the file schema, at most [`ParquetFile::group_room`]; where it `is_helped`, a second thread takes some of
    /// their columns.
    pub(crate) fn write(
        &mut self,
        rows: &RecordBatch,
        is_helped: bool,
    ) -> Result<(), ParquetError> {
        let mut group = self.group.take().unwrap_or_default();
        group.rows += rows.num_rows();
        group.is_helped = is_helped;
        group.waiting.push(rows.clone());
        if !group.columns.is_empty() || group.rows >= WAITING_ROWS {
            self.encode_waiting(&mut group)?;
        }
        self.rows += rows.num_rows();
        let is_full = group.rows >= ROW_GROUP_ROWS;
        self.group = Some(group);
        if is_full {
            self.end_group()?;
        }
        Ok(())
    }

    fn encode_waiting(&self, group: &mut RowGroup) -> Result<(), ParquetError> {
        let waiting = mem::take(&mut group.waiting);
        if group.columns.is_empty() {
            let root = self.writer.schema_descr().root_schema_ptr();
            group.columns = column_writers(&self.declaration, &root, &waiting)?;
        }
        for rows in &waiting {
            let is_helped = group.is_helped && rows.num_rows() >= HELPED_ROWS_MIN;
            encode(rows, &mut group.columns, is_helped)?;
        }
        Ok(())
    }

    /// Returns whether row groups of a file with this metadata can be copied in: same schema to the letter.
    pub(crate) fn can_copy(&self, metadata: &ParquetMetaData) -> bool {
        metadata.column_index().is_some()
            && metadata.offset_index().is_some()
            && metadata.file_metadata().schema() == self.writer.schema_descr().root_schema()
    }

    /// Copies a row group of another file as bytes; see [`ParquetFile::can_copy`].
    pub(crate) fn copy_group(
        &mut self,
        source: &FileChunks,
        metadata: &ParquetMetaData,
        index: usize,
    ) -> Result<(), ParquetError> {
        self.end_group()?;
        let group = metadata.row_group(index);
        let mut target = self.writer.next_row_group()?;
        for (position, column) in group.columns().iter().enumerate() {
            let of_group = |row: &Vec<_>| row.get(position).cloned();
            let close = ColumnCloseResult {
                bytes_written: column.compressed_size() as u64,
                rows_written: group.num_rows() as u64,
                metadata: column.clone(),
                bloom_filter: None,
                column_index: metadata
                    .column_index()
                    .and_then(|index_of| index_of.get(index)?.get(position).cloned()),
                offset_index: metadata
                    .offset_index()
                    .and_then(|index_of| of_group(index_of.get(index)?)),
            };
            target.append_column(source, close)?;
        }
        target.close()?;
        self.rows += group.num_rows() as usize;
        Ok(())
    }

    /// Ends the row group being encoded, so that the next rows begin another.
    pub(crate) fn end_group(&mut self) -> Result<(), ParquetError> {
        let Some(mut group) = self.group.take() else {
            return Ok(());
        };
        if !group.waiting.is_empty() {
            self.encode_waiting(&mut group)?;
        }
        let mut target = self.writer.next_row_group()?;
        for column in group.columns {
            column.close()?.append_to_row_group(&mut target)?;
        }
        target.close().map(drop)
    }

    /// Writes the footer and makes the content durable. `shown` names the file in errors.
    pub(crate) fn finish(mut self, shown: &Path) -> Result<Finished, LakeError> {
        let failed = || LakeError::parquet("finish", shown);
        self.end_group().map_err(failed())?;
        let statistics = statistics_of(self.writer.flushed_row_groups());
        let HashingWriter { inner, hash, bytes } = self.writer.into_inner().map_err(failed())?;
        inner.finish().map_err(LakeError::io("write", shown))?;
        Ok(Finished {
            bytes,
            rows: self.rows as u64,
            sha256: Hex(&hash.finalize()).to_string(),
            statistics,
        })
    }
}

/// Encodes rows, each column by its writer and by whichever thread is free: the bytes are the same. A column is one leaf (see
/// `encodings`); its levels are as large as its values, so they are there while it is encoded and not for all at once.
fn encode(
    rows: &RecordBatch,
    writers: &mut [ArrowColumnWriter],
    is_helped: bool,
) -> Result<(), ParquetError> {
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns()).zip(writers);
    let columns = Mutex::new(columns);
    let next = || {
        let mut columns = columns.lock().unwrap_or_else(PoisonError::into_inner);
        columns.next()
    };
    let encode = || -> Result<(), ParquetError> {
        while let Some(((field, array), writer)) = next() {
            for leaf in compute_leaves(field, array)? {
                writer.write(&leaf)?;
            }
        }
        Ok(())
    };
    if !is_helped {
        return encode();
    }
    thread::scope(|scope| {
        let helper = thread::Builder::new().name("lake-encode".to_owned());
        let helper = helper.spawn_scoped(scope, encode);
        let own = encode();
        let helped = match helper {
            Ok(helper) => helper.join().unwrap_or_else(|panic| resume_unwind(panic)),
            // Where no thread can be started, there is no column left.
            Err(_) => Ok(()),
        };
        own.and(helped)
    })
}

fn writer_properties(declaration: &DatasetDeclaration, partition: &Partition) -> WriterProperties {
    let sorting: Vec<SortingColumn> = declaration
        .key_indices()
        .into_iter()
        .map(|index| SortingColumn {
            column_idx: index as i32,
            descending: false,
            nulls_first: false,
        })
        .collect();
    let mut metadata = vec![
        (DATASET_METADATA, declaration.id.to_string()),
        (VERSION_METADATA, declaration.version.to_string()),
        (LICENCE, partition.licence.to_string()),
    ];
    let mut rights = Rights::default();
    // Of this licence alone: another one's sources have no row here.
    let licences = BTreeSet::from([partition.licence.clone()]);
    rights.add(declaration, &licences, Some(&licences));
    if !rights.attributions.is_empty() {
        metadata.push((ATTRIBUTION_METADATA, rights.attribution_text()));
    }
    let metadata = metadata
        .into_iter()
        .map(|(k, v)| KeyValue::new(k.to_owned(), v))
        .collect::<Vec<_>>();
    settings(declaration.kind)
        .set_created_by(concat!("meetnet ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(metadata))
        .set_sorting_columns(Some(sorting))
        .build()
}

/// Folds the statistics of row groups; columns with a nested type have none.
pub(crate) fn statistics_of(groups: &[RowGroupMetaData]) -> FileStatistics {
    let mut columns = FileStatistics::new();
    let mut bounded: BTreeMap<Arc<str>, bool> = BTreeMap::new();
    for group in groups {
        for chunk in group.columns() {
            let [name] = chunk.column_path().parts() else {
                continue;
            };
            let name: Arc<str> = Arc::from(name.as_str());
            let (min, max) = chunk.statistics().map_or((None, None), bounds);
            let nulls = chunk.statistics().and_then(Statistics::null_count_opt);
            // Values without bounds make the file's unknown; only nulls have none and change nothing.
            let is_bounded = (min.is_some() && max.is_some())
                || nulls.is_some_and(|nulls| nulls >= group.num_rows() as u64);
            *bounded.entry(Arc::clone(&name)).or_insert(true) &= is_bounded;
            let column = columns.entry(name).or_insert(ColumnStatistics {
                nulls: Some(0),
                ..ColumnStatistics::default()
            });
            if min.is_some() && (column.min.is_none() || min < column.min) {
                column.min = min;
            }
            if max > column.max {
                column.max = max;
            }
            column.nulls = column.nulls.zip(nulls).map(|(sum, nulls)| sum + nulls);
        }
    }
    for (name, column) in &mut columns {
        if !bounded.get(name).copied().unwrap_or(false) {
            (column.min, column.max) = (None, None);
        }
    }
    columns
}

/// Least and greatest value of a column chunk. Long texts are cut by the writer, the least down and the greatest up.
fn bounds(statistics: &Statistics) -> (Option<StatisticsValue>, Option<StatisticsValue>) {
    use StatisticsValue::{Float, Int, Text};
    let text = |bytes: Option<&[u8]>| {
        // A bound that was cut inside a character cannot be compared as text: it is unknown then.
        bytes
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .map(|text| Text(Arc::from(text)))
    };
    match statistics {
        Statistics::Int32(values) => (
            values.min_opt().map(|v| Int(i64::from(*v))),
            values.max_opt().map(|v| Int(i64::from(*v))),
        ),
        Statistics::Int64(values) => (
            values.min_opt().map(|v| Int(*v)),
            values.max_opt().map(|v| Int(*v)),
        ),
        Statistics::Double(values) => (
            values.min_opt().map(|v| Float(*v)),
            values.max_opt().map(|v| Float(*v)),
        ),
        Statistics::ByteArray(_) => (
            text(statistics.min_bytes_opt()),
            text(statistics.max_bytes_opt()),
        ),
        _ => (None, None),
    }
}

/// Hashes what passes through, so that a file is read never, not twice.
struct HashingWriter {
    inner: Box<dyn NewFile>,
    hash: Sha256,
    bytes: u64,
}

impl Write for HashingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
