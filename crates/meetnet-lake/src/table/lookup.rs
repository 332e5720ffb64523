//! Finds rows in committed files by key, reading only the pages of the key columns that can hold them.
//!
//! `keys -> files by statistics -> pages by page index -> positions -> values of those rows`
//!
//! Cost: files that overlap a key's time and leading column, about one page of each key column per series.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{SchemaRef, TimestampMicrosecondType};
use meetnet_model::dataset::DatasetDeclaration;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderBuilder, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
    RowSelection,
};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use crate::damage;
use crate::error::LakeError;
use crate::keys::{self, KeyCodec};
use crate::snapshot::{LiveFile, StatisticsValue};
use crate::storage::{Access, FileChunks, TableFolder};

/// Footers kept in memory: about 100 KiB each for the largest files.
const FOOTERS_MAX: usize = 256;

/// One key that is looked for.
#[derive(Clone, Debug)]
pub(crate) struct WantedKey {
    /// The key's bytes.
    pub(crate) key: Box<[u8]>,
    /// Its columns, in key order.
    pub(crate) columns: Vec<StatisticsValue>,
    /// Its partition time, µs.
    pub(crate) time: i64,
}

/// What was found for one key.
#[derive(Clone, Debug, Default)]
pub(crate) struct FoundKey {
    /// Files and rows that hold the key: of a file of current rows one at most, of one of replaced rows any number.
    pub(crate) rows: Vec<(Arc<LiveFile>, u32)>,
    /// The newest time stored for the key's series, or the key's own if there is none; None where files were left
    /// unread that may hold later ones.
    pub(crate) newest: Option<i64>,
}

/// Reads files of one table by key; keeps footers.
#[derive(Debug)]
pub(crate) struct KeyReader {
    folder: TableFolder,
    declaration: Arc<DatasetDeclaration>,
    codec: Arc<KeyCodec>,
    footers: HashMap<Arc<str>, ArrowReaderMetadata>,
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
            footers: HashMap::new(),
        }
    }

    /// Looks `wanted` (ascending by key, each once) up in `files`; answers in the same order.
    pub(crate) fn find(
        &mut self,
        wanted: &[WantedKey],
        files: &[Arc<LiveFile>],
    ) -> Result<Vec<FoundKey>, LakeError> {
        let mut found: Vec<FoundKey> = wanted
            .iter()
            .map(|key| FoundKey {
                rows: Vec::new(),
                newest: Some(key.time),
            })
            .collect();
        for file in files {
            let mut here = Vec::new();
            for index in self.leading_range(wanted, file) {
                match self.relation(&wanted[index], file) {
                    Relation::Apart => {}
                    Relation::Within => here.push(index),
                    Relation::Later => found[index].newest = None,
                }
            }
            if !here.is_empty() {
                self.find_in_file(wanted, &here, file, &mut found)
                    .map_err(|error| damage::diagnose(&self.folder, file, error))?;
            }
        }
        Ok(found)
    }

    /// Returns the positions in `wanted` whose leading column lies within the file's: keys are sorted by it, so a
    /// file costs a binary search and not a comparison with every key.
    fn leading_range(&self, wanted: &[WantedKey], file: &LiveFile) -> Range<usize> {
        let statistics = self
            .declaration
            .key
            .first()
            .and_then(|name| file.statistics.get(&**name));
        match statistics {
            Some(column) => leading_range(
                wanted.len(),
                |index| wanted[index].columns.first(),
                column.min.as_ref(),
                column.max.as_ref(),
            ),
            None => 0..wanted.len(),
        }
    }

    /// How a file's statistics lie to a key.
    fn relation(&self, wanted: &WantedKey, file: &LiveFile) -> Relation {
        let time_column = self.declaration.time_column();
        for (name, value) in self.declaration.key.iter().zip(&wanted.columns) {
            if name == time_column {
                continue;
            }
            let Some(column) = file.statistics.get(name.as_str()) else {
                continue;
            };
            if outside(value, column.min.as_ref(), column.max.as_ref()) {
                return Relation::Apart;
            }
        }
        let Some(time) = file.statistics.get(time_column) else {
            return Relation::Within;
        };
        let value = StatisticsValue::Int(wanted.time);
        match (&time.min, &time.max) {
            (_, Some(max)) if *max < value => Relation::Apart,
            (Some(min), _) if *min > value => Relation::Later,
            _ => Relation::Within,
        }
    }

    fn find_in_file(
        &mut self,
        wanted: &[WantedKey],
        here: &[usize],
        file: &Arc<LiveFile>,
        found: &mut [FoundKey],
    ) -> Result<(), LakeError> {
        let footer = self.footer(file)?;
        let ranges = self.candidate_ranges(footer.metadata(), wanted, here);
        if ranges.is_empty() {
            return Ok(());
        }
        let total = file.rows as usize;
        let input = self.folder.open(file, Access::Pages)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(input, footer);
        let mask = ProjectionMask::roots(
            builder.parquet_schema(),
            self.codec.key_columns.iter().copied(),
        );
        let reader = builder
            .with_projection(mask)
            .with_batch_size(8_192)
            .with_row_selection(RowSelection::from_consecutive_ranges(
                ranges.iter().cloned(),
                total,
            ))
            .build()
            .map_err(LakeError::parquet("read", &self.folder.shown(&file.path)))?;
        let mut positions = ranges.into_iter().flatten();
        for batch in reader {
            let batch = batch.map_err(LakeError::arrow("read keys of", &self.declaration.id))?;
            let at: Vec<usize> = positions.by_ref().take(batch.num_rows()).collect();
            self.match_batch(wanted, here, file, &batch, &at, found)?;
        }
        Ok(())
    }

    fn match_batch(
        &self,
        wanted: &[WantedKey],
        here: &[usize],
        file: &Arc<LiveFile>,
        batch: &RecordBatch,
        at: &[usize],
        found: &mut [FoundKey],
    ) -> Result<(), LakeError> {
        // Projection keeps the schema's order; the key has its own.
        let columns: Vec<_> = self
            .declaration
            .key
            .iter()
            .filter_map(|name| batch.column_by_name(name).cloned())
            .collect();
        let rows = self
            .codec
            .keys_of(&columns)
            .map_err(LakeError::arrow("encode keys of", &self.declaration.id))?;
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let first = rows.row(0).data();
        let last = rows.row(rows.num_rows() - 1).data();
        let times = batch
            .column_by_name(self.declaration.time_column())
            .filter(|_| self.codec.has_series)
            .and_then(|array| array.as_primitive_opt::<TimestampMicrosecondType>());
        // Keys before the batch count where the batch goes on with their series.
        let start = here.partition_point(|index| {
            let key = &*wanted[*index].key;
            key < first && !first.starts_with(self.codec.series(key))
        });
        let end = here.partition_point(|index| &*wanted[*index].key <= last);
        for &index in here.get(start..end).unwrap_or_default() {
            let key = &*wanted[index].key;
            let series = self.codec.series(key);
            let tail = keys::series_tail(&rows, key, series);
            if tail.is_empty() {
                continue;
            }
            // Files of replaced rows hold a key once per version.
            let same = tail.clone().take_while(|row| rows.row(*row).data() == key);
            let positions = same.map(|row| (Arc::clone(file), at[row] as u32));
            found[index].rows.extend(positions);
            if let (Some(times), Some(newest)) = (times, found[index].newest.as_mut()) {
                *newest = (*newest).max(times.value(tail.end - 1));
            }
        }
        Ok(())
    }

    /// Returns the row ranges of a file whose pages can hold a wanted key or a later row of its series, ascending.
    fn candidate_ranges(
        &self,
        metadata: &ParquetMetaData,
        wanted: &[WantedKey],
        here: &[usize],
    ) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut group_start = 0;
        for (group, row_group) in metadata.row_groups().iter().enumerate() {
            let group_rows = row_group.num_rows() as usize;
            let pages = key_pages(&self.codec.key_columns, metadata, group, group_rows);
            for (page, bounds) in pages {
                let (min, max) = match bounds.first() {
                    Some((min, max)) => (min.as_ref(), max.as_ref()),
                    None => (None, None),
                };
                let near = leading_range(
                    here.len(),
                    |index| wanted[here[index]].columns.first(),
                    min,
                    max,
                );
                let can_hold = |index: &usize| self.page_can_hold(&bounds, &wanted[*index]);
                if !here[near].iter().any(can_hold) {
                    continue;
                }
                let (start, end) = (group_start + page.start, group_start + page.end);
                match ranges.last_mut() {
                    Some(last) if last.end == start => last.end = end,
                    _ => ranges.push(start..end),
                }
            }
            group_start += group_rows;
        }
        ranges
    }

    fn page_can_hold(&self, bounds: &[Bounds], wanted: &WantedKey) -> bool {
        let time_column = self.declaration.time_column();
        bounds
            .iter()
            .zip(&wanted.columns)
            .zip(&self.declaration.key)
            .all(|(((min, max), value), name)| {
                if name == time_column && self.codec.has_series {
                    // Later rows of the series count as well: they raise the frontier.
                    !max.as_ref().is_some_and(|max| max < value)
                } else {
                    !outside(value, min.as_ref(), max.as_ref())
                }
            })
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
        let input = self.folder.open(file, Access::Pages)?;
        let selection = RowSelection::from_consecutive_ranges(
            rows.iter().map(|row| *row as usize..*row as usize + 1),
            file.rows as usize,
        );
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(input, footer);
        let mask = columns_of(&builder, schema);
        let reader = builder
            .with_projection(mask)
            .with_row_selection(selection)
            .build()
            .map_err(LakeError::parquet("read", &self.folder.shown(&file.path)))?;
        collect(&self.declaration, schema, reader)
    }

    /// Forgets a file that is live no longer.
    pub(crate) fn forget(&mut self, path: &str) {
        self.footers.remove(path);
    }

    fn footer(&mut self, file: &Arc<LiveFile>) -> Result<ArrowReaderMetadata, LakeError> {
        if let Some(footer) = self.footers.get(&file.path) {
            return Ok(footer.clone());
        }
        let input = self.folder.open(file, Access::Pages)?;
        let footer = load_footer(&input).map_err(LakeError::parquet(
            "read the footer of",
            &self.folder.shown(&file.path),
        ))?;
        if self.footers.len() >= FOOTERS_MAX {
            self.footers.clear();
        }
        self.footers.insert(Arc::clone(&file.path), footer.clone());
        Ok(footer)
    }
}

/// Returns the pages of a row group with the bounds of each key column. Where the key columns' pages do not start
/// at the same rows, only the leading column has bounds.
pub(crate) fn key_pages(
    key_columns: &[usize],
    metadata: &ParquetMetaData,
    group: usize,
    group_rows: usize,
) -> Vec<(Range<usize>, Vec<Bounds>)> {
    let whole = || vec![(0..group_rows, Vec::new())];
    let (Some(columns), Some(offsets)) = (metadata.column_index(), metadata.offset_index()) else {
        return whole();
    };
    let starts = |column: usize| -> Option<Vec<usize>> {
        let locations = offsets.get(group)?.get(column)?.page_locations();
        Some(
            locations
                .iter()
                .map(|page| page.first_row_index as usize)
                .collect(),
        )
    };
    let Some(leading) = key_columns.first().and_then(|c| starts(*c)) else {
        return whole();
    };
    // Flat columns come before the only nested type, so a root's position is its leaf's up to there; the key
    // columns are flat and lead every declaration.
    let aligned: Vec<usize> = key_columns
        .iter()
        .copied()
        .take_while(|column| starts(*column).as_ref() == Some(&leading))
        .collect();
    (0..leading.len())
        .map(|page| {
            let end = leading.get(page + 1).copied().unwrap_or(group_rows);
            let bounds = aligned
                .iter()
                .map(|column| page_bounds(&columns[group][*column], page))
                .collect();
            (leading[page]..end, bounds)
        })
        .collect()
}

/// Reads footer and page index of a file.
pub(crate) fn load_footer(
    file: &FileChunks,
) -> Result<ArrowReaderMetadata, parquet::errors::ParquetError> {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    ArrowReaderMetadata::load(file, options)
}

/// Reads a whole file in batches of `schema`, `batch_rows` rows each: the declaration's file schema, or some of its
/// columns in their order.
pub(crate) fn read_file(
    folder: &TableFolder,
    declaration: &DatasetDeclaration,
    file: &Arc<LiveFile>,
    schema: &SchemaRef,
    batch_rows: usize,
) -> Result<impl Iterator<Item = Result<RecordBatch, LakeError>> + use<>, LakeError> {
    let diagnose = {
        let (folder, file) = (folder.clone(), Arc::clone(file));
        move |error| damage::diagnose(&folder, &file, error)
    };
    let input = folder.open(file, Access::Whole).map_err(&diagnose)?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(input)
        .and_then(|builder| {
            let mask = columns_of(&builder, schema);
            let builder = builder.with_projection(mask);
            builder.with_batch_size(batch_rows).build()
        })
        .map_err(LakeError::parquet("read", &folder.shown(&file.path)))
        .map_err(&diagnose)?;
    let schema = Arc::clone(schema);
    let dataset = declaration.id.clone();
    Ok(reader.map(move |batch| {
        batch
            .and_then(|batch| conform(&batch, &schema))
            .map_err(LakeError::arrow("read", &dataset))
            .map_err(&diagnose)
    }))
}

/// Returns the columns of a file that are in `schema`: files of an earlier declaration lack some.
pub(crate) fn columns_of<T>(builder: &ArrowReaderBuilder<T>, schema: &SchemaRef) -> ProjectionMask {
    let stored = builder.schema().fields().iter().enumerate();
    let wanted = stored.filter(|(_, field)| schema.index_of(field.name()).is_ok());
    ProjectionMask::roots(builder.parquet_schema(), wanted.map(|(index, _)| index))
}

fn collect(
    declaration: &DatasetDeclaration,
    schema: &SchemaRef,
    reader: impl Iterator<Item = Result<RecordBatch, arrow::error::ArrowError>>,
) -> Result<RecordBatch, LakeError> {
    let failed = || LakeError::arrow("read", &declaration.id);
    let batches = reader
        .map(|batch| batch.and_then(|batch| conform(&batch, schema)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed())?;
    concat_batches(schema, &batches).map_err(failed())
}

/// Brings a batch to `schema` by column name: files of an earlier declaration lack its newer, nullable columns.
pub(crate) fn conform(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    if batch.schema_ref().fields() == schema.fields() {
        return RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec());
    }
    let columns = schema
        .fields()
        .iter()
        .map(|field| match batch.column_by_name(field.name()) {
            Some(array) => Arc::clone(array),
            None => arrow::array::new_null_array(field.data_type(), batch.num_rows()),
        })
        .collect();
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// Least and greatest value of a page or file, where known.
pub(crate) type Bounds = (Option<StatisticsValue>, Option<StatisticsValue>);

enum Relation {
    /// The file cannot hold the key, nor a later row of its series.
    Apart,
    /// The file may hold the key.
    Within,
    /// The file may hold only later rows of the key's series.
    Later,
}

/// Returns the positions of keys, sorted, whose leading column lies in `min ..= max`.
fn leading_range<'a>(
    length: usize,
    leading: impl Fn(usize) -> Option<&'a StatisticsValue>,
    min: Option<&StatisticsValue>,
    max: Option<&StatisticsValue>,
) -> Range<usize> {
    let start = min.map_or(0, |min| {
        keys::partition_point(length, |index| {
            leading(index).is_some_and(|value| value < min)
        })
    });
    let end = max.map_or(length, |max| {
        keys::partition_point(length, |index| {
            leading(index).is_some_and(|value| value <= max)
        })
    });
    start..end.max(start)
}

fn outside(
    value: &StatisticsValue,
    min: Option<&StatisticsValue>,
    max: Option<&StatisticsValue>,
) -> bool {
    min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max)
}

fn page_bounds(index: &ColumnIndexMetaData, page: usize) -> Bounds {
    let text = |bytes: &[u8]| {
        // A bound that was cut inside a character cannot be compared as text: treat it as unknown.
        std::str::from_utf8(bytes)
            .ok()
            .map(|text| StatisticsValue::Text(Arc::from(text)))
    };
    match index {
        ColumnIndexMetaData::INT64(index) => (
            index.min_value(page).copied().map(StatisticsValue::Int),
            index.max_value(page).copied().map(StatisticsValue::Int),
        ),
        ColumnIndexMetaData::BYTE_ARRAY(index) => (
            index.min_value(page).and_then(text),
            index.max_value(page).and_then(text),
        ),
        _ => (None, None),
    }
}
