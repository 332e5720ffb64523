//! Writing a table's Parquet files: sorted by key, cut at a size, hashed and synced.
//!
//! `rows of one partition, in key order -> <uuid>.parquet -> LiveFile`

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use meetnet_model::common::{LICENCE, SUPERSEDED};
use meetnet_model::dataset::DatasetDeclaration;
use meetnet_model::ids::LicenceId;
use parquet::file::metadata::ParquetMetaData;
use uuid::Uuid;

use super::actions::{Add, Remove};
use super::parquet_file::ParquetFile;
use super::schema::{read_stats, stats_text};
use crate::error::LakeError;
use crate::snapshot::LiveFile;
use crate::storage::{FileChunks, TableFolder};

/// A file is cut before it grows past this: a download that fails is retried in seconds, and rewriting one for a
/// single revised row stays cheap.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Rows per file at most; few enough in tests that one can fill a file.
const FILE_ROWS_MAX: usize = if cfg!(test) { 50_000 } else { 4_000_000 };
/// Rows handed to the writer at once.
const SLICE_ROWS: usize = 65_536;
/// Tag of a log entry: hash of the file.
const SHA256: &str = "sha256";
/// Tag of a log entry: the run of the file and its place in it, `<run>/<part>`.
const RUN: &str = "run";

/// The partition that a file belongs to: one licence, current or superseded, one period.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Partition {
    pub(crate) licence: LicenceId,
    pub(crate) superseded: bool,
    pub(crate) period: Arc<str>,
}

impl Partition {
    /// Returns the partition of a file.
    pub(crate) fn of(file: &LiveFile) -> Self {
        Self {
            licence: file.licence.clone(),
            superseded: file.superseded,
            period: Arc::clone(&file.period),
        }
    }

    /// Returns the folder of the partition, relative to the table's.
    pub(crate) fn folder(&self, grain_column: &str) -> String {
        format!(
            "{LICENCE}={}/{SUPERSEDED}={}/{grain_column}={}",
            self.licence, self.superseded, self.period
        )
    }
}

/// Writes the files of one run: rows of one partition in key order, cut where a file is full.
pub(crate) struct PartitionWriter<'a> {
    folder: &'a TableFolder,
    declaration: &'a Arc<DatasetDeclaration>,
    partition: &'a Partition,
    run: Arc<str>,
    /// Place in the run of the next file; of all files where one is written again.
    part: u32,
    is_rewrite: bool,
    is_helped: bool,
    now_ms: i64,
    open: Option<(String, ParquetFile)>,
    finished: Vec<LiveFile>,
}

impl Drop for PartitionWriter<'_> {
    fn drop(&mut self) {
        // Given up half-way: no log can name them yet, and a full disk needs the space.
        remove_files(self.folder, &self.finished);
    }
}

impl<'a> PartitionWriter<'a> {
    /// `again` is a file that is written again with fewer rows, and takes its place in its run; without it a run begins.
    pub(crate) fn new(
        folder: &'a TableFolder,
        declaration: &'a Arc<DatasetDeclaration>,
        partition: &'a Partition,
        again: Option<&LiveFile>,
        now_ms: i64,
    ) -> Self {
        Self {
            folder,
            declaration,
            partition,
            run: again.map_or_else(|| Arc::from(new_name()), |file| Arc::clone(&file.run)),
            part: again.map_or(0, |file| file.part),
            is_rewrite: again.is_some(),
            is_helped: false,
            now_ms,
            open: None,
            finished: Vec::new(),
        }
    }

    /// Has a second thread encode some of the columns: where everything else waits for the files.
    pub(crate) fn with_help(mut self) -> Self {
        self.is_helped = true;
        self
    }

    /// Appends rows in the file schema; their keys follow those written before.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), LakeError> {
        let mut start = 0;
        while start < rows.num_rows() {
            let (path, mut file) = self.file()?;
            let length = SLICE_ROWS
                .min(rows.num_rows() - start)
                .min(file.group_room())
                .min(FILE_ROWS_MAX - file.rows());
            file.write(&rows.slice(start, length), self.is_helped)
                .map_err(LakeError::parquet("write", &self.folder.shown(&path)))?;
            start += length;
            self.keep_or_close(path, file)?;
        }
        Ok(())
    }

    /// Copies a row group of `source` as bytes where the schemas are the same; its keys follow those written before.
    /// Returns false where it has to be read and written instead.
    pub(crate) fn copy_group(
        &mut self,
        source: &FileChunks,
        metadata: &ParquetMetaData,
        index: usize,
    ) -> Result<bool, LakeError> {
        let (path, mut file) = self.file()?;
        let can_copy = file.can_copy(metadata);
        if can_copy {
            file.copy_group(source, metadata, index)
                .map_err(LakeError::parquet("write", &self.folder.shown(&path)))?;
        }
        self.keep_or_close(path, file)?;
        Ok(can_copy)
    }

    /// Ends the row group being encoded, so that a group read from another file stays one.
    pub(crate) fn end_group(&mut self) -> Result<(), LakeError> {
        match &mut self.open {
            Some((path, file)) => file
                .end_group()
                .map_err(LakeError::parquet("write", &self.folder.shown(path))),
            None => Ok(()),
        }
    }

    /// Returns the written files; all are synced, and so are the folders that name them.
    pub(crate) fn finish(mut self) -> Result<Vec<LiveFile>, LakeError> {
        if let Some((path, file)) = self.open.take() {
            // A file may have been opened for a row group that it could not take.
            if file.rows() > 0 {
                self.close(path, file)?;
            }
        }
        if !self.finished.is_empty() {
            self.folder.sync_names(&self.partition_folder())?;
        }
        Ok(std::mem::take(&mut self.finished))
    }

    fn partition_folder(&self) -> String {
        self.partition.folder(self.declaration.grain.column())
    }

    /// Returns the open file; opens one where none is.
    fn file(&mut self) -> Result<(String, ParquetFile), LakeError> {
        if let Some(open) = self.open.take() {
            return Ok(open);
        }
        let path = format!("{}/{}.parquet", self.partition_folder(), new_name());
        let sink = self.folder.create(&path)?;
        let file = ParquetFile::new(self.declaration, self.partition, sink)
            .map_err(LakeError::parquet("create", &self.folder.shown(&path)))?;
        Ok((path, file))
    }

    fn keep_or_close(&mut self, path: String, file: ParquetFile) -> Result<(), LakeError> {
        if is_full(file.bytes(), file.rows()) {
            return self.close(path, file);
        }
        self.open = Some((path, file));
        Ok(())
    }

    fn close(&mut self, path: String, file: ParquetFile) -> Result<(), LakeError> {
        let finished = file.finish(&self.folder.shown(&path))?;
        self.finished.push(LiveFile {
            path: Arc::from(path),
            run: Arc::clone(&self.run),
            part: self.part,
            bytes: finished.bytes,
            rows: finished.rows,
            licence: self.partition.licence.clone(),
            superseded: self.partition.superseded,
            period: Arc::clone(&self.partition.period),
            sha256: Arc::from(finished.sha256),
            committed_at_ms: self.now_ms,
            statistics: finished.statistics,
        });
        self.part += u32::from(!self.is_rewrite);
        Ok(())
    }
}

/// Returns true where the next row goes into another file.
fn is_full(bytes: u64, rows: usize) -> bool {
    bytes >= FILE_BYTES_MAX || rows >= FILE_ROWS_MAX
}

/// Removes files that no log names; what cannot be removed is an orphan, which vacuum finds.
pub(crate) fn remove_files<'a>(
    folder: &TableFolder,
    files: impl IntoIterator<Item = &'a LiveFile>,
) {
    let _ = folder.remove_all(files.into_iter().map(|file| &*file.path));
}

/// Returns a name that nothing has; the time in it tells how old an orphan is.
fn new_name() -> String {
    Uuid::now_v7().simple().to_string()
}

/// Returns when the file at `path` was begun, ms since 1970; None where the name is none of ours.
pub(crate) fn begun_at_ms(path: &str) -> Option<i64> {
    let name = path.rsplit('/').next()?.trim_start_matches('.');
    let (name, _) = name.split_once('.')?;
    let (seconds, nanos) = Uuid::try_parse(name).ok()?.get_timestamp()?.to_unix();
    Some(seconds as i64 * 1_000 + i64::from(nanos / 1_000_000))
}

/// Returns the log action that makes a file live.
pub(crate) fn add_action(declaration: &DatasetDeclaration, file: &LiveFile) -> Add {
    Add {
        path: file.path.to_string(),
        partition_values: BTreeMap::from([
            (LICENCE.to_owned(), Some(file.licence.to_string())),
            (SUPERSEDED.to_owned(), Some(file.superseded.to_string())),
            (
                declaration.grain.column().to_owned(),
                Some(file.period.to_string()),
            ),
        ]),
        size: file.bytes as i64,
        modification_time: file.committed_at_ms,
        data_change: true,
        stats: Some(stats_text(
            file.rows,
            &file.statistics,
            &declaration.file_schema(),
        )),
        tags: Some(BTreeMap::from([
            (SHA256.to_owned(), Some(file.sha256.to_string())),
            (RUN.to_owned(), Some(format!("{}/{}", file.run, file.part))),
        ])),
    }
}

/// Returns the log action that makes a file no longer live.
pub(crate) fn remove_action(
    declaration: &DatasetDeclaration,
    file: &LiveFile,
    now_ms: i64,
) -> Remove {
    let add = add_action(declaration, file);
    Remove {
        path: add.path,
        deletion_timestamp: Some(now_ms),
        data_change: true,
        extended_file_metadata: Some(true),
        partition_values: Some(add.partition_values),
        size: Some(add.size),
        tags: None,
    }
}

/// Reads a live file back from its log action; None where an action of ours cannot look like this.
pub(crate) fn live_file(declaration: &DatasetDeclaration, add: &Add) -> Option<LiveFile> {
    let value = |name: &str| add.partition_values.get(name)?.as_deref();
    let tag = |name: &str| add.tags.as_ref()?.get(name)?.as_deref();
    // Files of before runs were named are each a run of their own.
    let (run, part) = match tag(RUN) {
        Some(tag) => {
            let (run, part) = tag.split_once('/')?;
            (run, part.parse().ok()?)
        }
        None => (add.path.as_str(), 0),
    };
    let (rows, statistics) = read_stats(add.stats.as_deref()?, &declaration.file_schema())?;
    Some(LiveFile {
        path: Arc::from(add.path.as_str()),
        bytes: add.size as u64,
        rows,
        licence: LicenceId::new(value(LICENCE)?),
        superseded: value(SUPERSEDED)? == "true",
        period: Arc::from(value(declaration.grain.column())?),
        sha256: Arc::from(tag(SHA256)?),
        run: Arc::from(run),
        part,
        committed_at_ms: add.modification_time,
        statistics,
    })
}

#[cfg(test)]
mod tests;
