//! Finds rows in committed files by key, reading only the pages of the key columns that can hold them.
//!
//! `keys, ascending -> files by statistics -> pages by page index -> runs of one series -> positions`
//!
//! Cost: files that overlap a key and its time, and about one page of each key column per series in them; nothing is
//! allocated or encoded per key or per stored row.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use meetnet_model::dataset::DatasetDeclaration;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};

use self::bounds::{FileBounds, KeyPages, Relation};
use self::kept::Kept;
use self::runs::KeyRuns;
use self::scan::Scan;
use super::read::{
    by_group, columns_of_nulls, columns_with_values, conform, load_footer, select_ranges,
};
use crate::damage;
use crate::error::LakeError;
use crate::keys::KeyCodec;
use crate::snapshot::LiveFile;
use crate::storage::{Access, TableFolder};

mod bounds;
mod kept;
mod runs;
mod scan;

/// Bytes of footers kept in memory: those of the largest files have about half a megabyte, and two where a dataset is wide.
const FOOTERS_BYTES_MAX: usize = 32 << 20;
/// Files whose bounds are kept in memory: about 200 bytes each.
const BOUNDS_MAX: usize = 16_384;
/// Rows decoded at once.
const BATCH_ROWS: usize = 8_192;
/// Rows whose keys are kept for the next look-up: a few pages, less than a megabyte.
const KEPT_ROWS_MAX: usize = if cfg!(test) { 20 } else { 16_384 };

/// One key that is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WantedKey<'a> {
    /// The key's bytes.
    pub(crate) key: &'a [u8],
    /// Its partition time, µs.
    pub(crate) time: i64,
    /// Whether the newest time of its series is asked for, too: that reads on to the end of the series.
    pub(crate) seeks_newest: bool,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Files that hold wanted keys: of a key, one of current rows at most, of replaced ones any number.
    pub(crate) files: Vec<FileRows>,
    /// By wanted key: the newest time stored for its series, or its own if there is none; None where that is not asked
    /// for, or files were left unread that may hold later ones.
    pub(crate) newest: Vec<Option<i64>>,
}

/// Rows of one file that hold wanted keys.
#[derive(Debug)]
pub(crate) struct FileRows {
    pub(crate) file: Arc<LiveFile>,
    /// Positions in the file, ascending, each with that of its key among the wanted ones.
    pub(crate) rows: Vec<(u32, usize)>,
}

impl FileRows {
    /// Positions in the file, ascending.
    pub(crate) fn positions(&self) -> Vec<u32> {
        self.rows.iter().map(|(row, _)| *row).collect()
    }
}

/// Reads files of one table by key; keeps footers, and what it has read last.
#[derive(Debug)]
pub(crate) struct KeyReader {
    folder: TableFolder,
    declaration: Arc<DatasetDeclaration>,
    codec: Arc<KeyCodec>,
    bounds: HashMap<Arc<str>, Arc<FileBounds>>,
    footers: Kept<Footer>,
    keys: Option<KeysRead>,
    scan: Option<Scan>,
}

/// The keys of the pages that were read last. Rows that are asked for again come in the order of a file, a group of messages
/// at a time, and a page has the keys of several groups.
#[derive(Debug)]
struct KeysRead {
    path: Arc<str>,
    /// Rows of the file, ascending and apart.
    ranges: Vec<Range<usize>>,
    /// Their keys, as they were decoded.
    batches: Vec<KeyRuns>,
}

impl KeysRead {
    /// Returns true where it has the keys of all of these rows of a file.
    fn holds(&self, path: &str, ranges: &[Range<usize>]) -> bool {
        let holds = |range: &Range<usize>| {
            let mut own = self.ranges.iter();
            own.any(|own| own.start <= range.start && range.end <= own.end)
        };
        *self.path == *path && ranges.iter().all(holds)
    }
}

/// What is known of a file that has been read from.
#[derive(Debug)]
struct Footer {
    metadata: ArrowReaderMetadata,
    /// The same for reading key columns: texts stay numbers of a dictionary.
    of_keys: ArrowReaderMetadata,
    pages: KeyPages,
    /// By column: whether it holds nulls alone, and is not read therefore.
    are_null: Vec<bool>,
}

impl KeyReader {
    pub(crate) fn new(
        folder: TableFolder,
        declaration: Arc<DatasetDeclaration>,
        codec: Arc<KeyCodec>,
    ) -> Self {
        Self {
            folder,
            declaration,
            codec,
            bounds: HashMap::new(),
            footers: Kept::new(FOOTERS_BYTES_MAX),
            keys: None,
            scan: None,
        }
    }

    /// Looks `wanted` (ascending by key, each once) up in `files`.
    pub(crate) fn find<'f>(
        &mut self,
        wanted: &[WantedKey<'_>],
        files: impl Iterator<Item = &'f Arc<LiveFile>>,
    ) -> Result<Found, LakeError> {
        debug_assert!(wanted.is_sorted_by(|a, b| a.key < b.key));
        let newest = wanted.iter();
        let mut newest: Vec<Option<i64>> = newest
            .map(|wanted| wanted.seeks_newest.then_some(wanted.time))
            .collect();
        // Of many keys and files, these are what is gone through most: closer together than the keys.
        let times: Vec<i64> = wanted.iter().map(|wanted| wanted.time).collect();
        let earliest = times.iter().copied().min().unwrap_or(i64::MAX);
        let mut near = Vec::new();
        for file in files {
            let bounds = self.bounds_of(file)?;
            if bounds.ends_before(earliest) {
                continue;
            }
            let mut here = Vec::new();
            for index in bounds.near(&self.codec, wanted) {
                match bounds.relation(times[index]) {
                    Relation::Apart => {}
                    Relation::Within => here.push(index),
                    Relation::Later => newest[index] = None,
                }
            }
            if !here.is_empty() {
                near.push((file, here));
            }
        }
        // Not before all files are compared: where the newest time cannot be known, nothing is read for it.
        let mut files = Vec::new();
        for (file, here) in near {
            let rows = self
                .find_in_file(wanted, &here, file, &mut newest)
                .map_err(|error| damage::diagnose(&self.folder, file, error))?;
            if !rows.is_empty() {
                let file = Arc::clone(file);
                files.push(FileRows { file, rows });
            }
        }
        Ok(Found { files, newest })
    }

    fn find_in_file(
        &mut self,
        wanted: &[WantedKey<'_>],
        here: &[usize],
        file: &Arc<LiveFile>,
        newest: &mut [Option<i64>],
    ) -> Result<Vec<(u32, usize)>, LakeError> {
        let footer = self.footer(file)?;
        let codec = Arc::clone(&self.codec);
        let ranges = footer.pages.to_read(&codec, wanted, here, newest);
        let mut found = Vec::new();
        if ranges.is_empty() {
            return Ok(found);
        }
        let mut here = here;
        // Rows before the batch.
        let mut before = 0;
        let mut find_in = |runs: &KeyRuns, positions: &Positions<'_>| {
            // Keys before the first run of this batch are before those of the next ones, too.
            here = &here[runs.first_near(&codec, wanted, here)..];
            runs.find(&codec, wanted, here, newest, |index, rows| {
                let rows = rows.map(|row| positions.in_file(before + row));
                found.extend(rows.map(|row| (row as u32, index)));
            });
            before += runs.rows();
        };
        if let Some(keys) = &self.keys
            && keys.holds(&file.path, &ranges)
        {
            // They may be more than are asked for: whichever holds a key is told.
            let positions = Positions::new(&keys.ranges);
            for runs in &keys.batches {
                find_in(runs, &positions);
            }
            return Ok(found);
        }
        let input = self.folder.open(file, Access::Pages)?;
        let is_kept = ranges.iter().map(ExactSizeIterator::len).sum::<usize>() <= KEPT_ROWS_MAX;
        let positions = Positions::new(&ranges);
        let mut batches = Vec::new();
        // By row group: a batch of two would have texts of two dictionaries, and make one of them value by value.
        for rows in by_group(footer.metadata.metadata(), ranges.iter().cloned()) {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
                input.clone(),
                footer.of_keys.clone(),
            );
            let mask = ProjectionMask::roots(
                builder.parquet_schema(),
                self.codec.key_columns.iter().copied(),
            );
            let reader = builder
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS)
                .with_row_groups(vec![rows.group])
                .with_row_selection(rows.selection())
                .build()
                .map_err(LakeError::parquet("read", &self.folder.shown(&file.path)))?;
            for batch in reader {
                let runs = batch
                    .and_then(|batch| KeyRuns::new(&self.codec, &self.declaration, &batch))
                    .map_err(LakeError::arrow("read keys of", &self.declaration.id))?;
                find_in(&runs, &positions);
                if is_kept {
                    batches.push(runs);
                }
            }
        }
        if is_kept {
            self.keys = Some(KeysRead {
                path: Arc::clone(&file.path),
                ranges,
                batches,
            });
        }
        Ok(found)
    }

    /// Reads whole rows of one file, in ascending order of `rows`.
    pub(crate) fn read_rows(
        &mut self,
        file: &Arc<LiveFile>,
        rows: &[u32],
    ) -> Result<RecordBatch, LakeError> {
        self.read_columns(file, rows, &self.declaration.file_schema())
    }

    /// Reads the columns of `schema`, some of the file schema's in their order, of rows of one file, in ascending order
    /// of `rows`. A common column of one row costs its row group: see `encodings`.
    pub(crate) fn read_columns(
        &mut self,
        file: &Arc<LiveFile>,
        rows: &[u32],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, LakeError> {
        self.read_selected(file, rows, schema)
            .map_err(|error| damage::diagnose(&self.folder, file, error))
    }

    fn read_selected(
        &mut self,
        file: &Arc<LiveFile>,
        rows: &[u32],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, LakeError> {
        let footer = self.footer(file)?;
        let failed = || LakeError::arrow("read", &self.declaration.id);
        let input = self.folder.open(file, Access::Pages)?;
        let ranges = rows.iter().map(|row| *row as usize..*row as usize + 1);
        let (groups, selection) = select_ranges(footer.metadata.metadata(), ranges);
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(input, footer.metadata.clone());
        let mask = columns_with_values(&builder, schema, &footer.are_null);
        let reader = builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .with_row_groups(groups)
            .with_row_selection(selection)
            .build()
            .map_err(LakeError::parquet("read", &self.folder.shown(&file.path)))?;
        let batches = reader
            .map(|batch| batch.and_then(|batch| conform(&batch, schema)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed())?;
        match batches.as_slice() {
            [batch] => Ok(batch.clone()),
            batches => concat_batches(schema, batches).map_err(failed()),
        }
    }

    /// The same, for rows that follow those of the look-up before: what has been decoded for it is not decoded again. They
    /// come in parts, one after the other.
    pub(crate) fn read_on(
        &mut self,
        file: &Arc<LiveFile>,
        rows: &[u32],
        schema: &SchemaRef,
    ) -> Result<Vec<RecordBatch>, LakeError> {
        match rows.first() {
            Some(first) if scan::pays(rows) => self
                .read_scanned(file, *first as usize, rows, schema)
                .map_err(|error| damage::diagnose(&self.folder, file, error)),
            _ => Ok(vec![self.read_columns(file, rows, schema)?]),
        }
    }

    fn read_scanned(
        &mut self,
        file: &Arc<LiveFile>,
        first: usize,
        rows: &[u32],
        schema: &SchemaRef,
    ) -> Result<Vec<RecordBatch>, LakeError> {
        // It is put back where it has not failed.
        let under_way = self.scan.take();
        let mut scan = match under_way.filter(|scan| scan.comes_to(&file.path, schema, first)) {
            Some(scan) => scan,
            None => self.begin_scan(file, first, schema)?,
        };
        let taken = scan
            .take(rows)
            .map_err(LakeError::arrow("read", &self.declaration.id))?;
        self.scan = Some(scan);
        Ok(taken)
    }

    fn begin_scan(
        &mut self,
        file: &Arc<LiveFile>,
        first: usize,
        schema: &SchemaRef,
    ) -> Result<Scan, LakeError> {
        let footer = self.footer(file)?;
        let input = self.folder.open(file, Access::Pages)?;
        let metadata = footer.metadata.metadata();
        let end = metadata.file_metadata().num_rows() as usize;
        let (groups, selection) = select_ranges(metadata, std::iter::once(first..end));
        let builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(input, footer.metadata.clone());
        let mask = columns_with_values(&builder, schema, &footer.are_null);
        let reader = builder
            .with_projection(mask)
            .with_batch_size(scan::BATCH_ROWS)
            .with_row_groups(groups)
            .with_row_selection(selection)
            .build()
            .map_err(LakeError::parquet("read", &self.folder.shown(&file.path)))?;
        Ok(Scan::new(&file.path, schema, reader, first))
    }

    /// Forgets a file that is live no longer.
    pub(crate) fn forget(&mut self, path: &str) {
        self.bounds.remove(path);
        self.footers.remove(path);
        // They may hold rows of that file, or of one that was replaced before.
        self.keys = None;
        self.scan = None;
    }

    /// Forgets footers, which are read again where a key is looked for in their files, and what was read last: the scan under
    /// way holds a file open and some megabytes.
    pub(crate) fn give_back(&mut self) {
        self.footers = Kept::new(FOOTERS_BYTES_MAX);
        self.keys = None;
        self.scan = None;
        self.bounds.shrink_to_fit();
    }

    /// Whether something of a file is remembered, and whether that is its footer.
    #[cfg(test)]
    pub(crate) fn remembers(&self, path: &str) -> (bool, bool) {
        let (bounds, footer) = (self.bounds.contains_key(path), self.footers.contains(path));
        (bounds || footer, footer)
    }

    fn bounds_of(&mut self, file: &Arc<LiveFile>) -> Result<Arc<FileBounds>, LakeError> {
        if let Some(bounds) = self.bounds.get(&file.path) {
            return Ok(Arc::clone(bounds));
        }
        let bounds = FileBounds::new(&self.codec, &self.declaration, file)
            .map_err(LakeError::arrow("encode keys of", &self.declaration.id))?;
        let bounds = Arc::new(bounds);
        if self.bounds.len() >= BOUNDS_MAX {
            self.bounds.clear();
        }
        self.bounds
            .insert(Arc::clone(&file.path), Arc::clone(&bounds));
        Ok(bounds)
    }

    fn footer(&mut self, file: &Arc<LiveFile>) -> Result<Arc<Footer>, LakeError> {
        if let Some(footer) = self.footers.get(&file.path) {
            return Ok(footer);
        }
        let unreadable =
            || LakeError::parquet("read the footer of", &self.folder.shown(&file.path));
        let input = self.folder.open(file, Access::Pages)?;
        let metadata = load_footer(&input).map_err(unreadable())?;
        let footer = Footer {
            of_keys: runs::reading_keys(&metadata, &self.declaration).map_err(unreadable())?,
            pages: KeyPages::new(&self.codec, metadata.metadata())
                .map_err(LakeError::arrow("encode keys of", &self.declaration.id))?,
            are_null: columns_of_nulls(&metadata),
            metadata,
        };
        let bytes = footer.metadata.metadata().memory_size() + footer.pages.bytes();
        let footer = Arc::new(footer);
        self.footers.insert(&file.path, Arc::clone(&footer), bytes);
        Ok(footer)
    }
}

/// Where rows of some ranges stand in a file.
struct Positions<'a> {
    ranges: &'a [Range<usize>],
    /// By range: rows of those before it.
    before: Vec<usize>,
}

impl<'a> Positions<'a> {
    fn new(ranges: &'a [Range<usize>]) -> Self {
        let mut rows = 0;
        let before = ranges.iter().map(|range| {
            let before = rows;
            rows += range.len();
            before
        });
        Self {
            before: before.collect(),
            ranges,
        }
    }

    /// Returns the position in the file of a row, counted among those of the ranges.
    fn in_file(&self, row: usize) -> usize {
        let range = self.before.partition_point(|before| *before <= row) - 1;
        self.ranges[range].start + row - self.before[range]
    }
}

#[cfg(test)]
mod tests;
