//! Reading files of a table: footers with their page index, some columns, some rows.
//!
//! `file -> row groups, pages -> batches in a schema of the declaration`
//!
//! It knows no keys: that is `lookup`.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use meetnet_model::dataset::DatasetDeclaration;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderBuilder, ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
    RowSelection,
};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;

use crate::damage;
use crate::error::LakeError;
use crate::snapshot::{LiveFile, StatisticsValue};
use crate::storage::{Access, FileChunks, TableFolder};

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

/// Rows of one row group.
pub(crate) struct GroupRows {
    /// Its number.
    pub(crate) group: usize,
    /// Rows that it has.
    pub(crate) count: usize,
    /// Which of them are meant: ascending, apart.
    pub(crate) ranges: Vec<Range<usize>>,
}

impl GroupRows {
    /// Returns the rows as a selection among those of the group.
    pub(crate) fn selection(self) -> RowSelection {
        RowSelection::from_consecutive_ranges(self.ranges.into_iter(), self.count)
    }
}

/// Divides `ranges` (ascending, apart) of the rows of a file by row group. Groups that hold none are left out: to skip all rows
/// of one would still read the dictionaries of its columns.
pub(crate) fn by_group(
    metadata: &ParquetMetaData,
    ranges: impl IntoIterator<Item = Range<usize>>,
) -> Vec<GroupRows> {
    let mut ranges = ranges.into_iter();
    let mut next = ranges.next();
    let mut groups = Vec::new();
    let mut start = 0;
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let count = group.num_rows() as usize;
        let end = start + count;
        let mut here = Vec::new();
        while let Some(range) = next.clone().filter(|range| range.start < end) {
            here.push(range.start.max(start) - start..range.end.min(end) - start);
            if range.end > end {
                break;
            }
            next = ranges.next();
        }
        if !here.is_empty() {
            groups.push(GroupRows {
                group: index,
                count,
                ranges: here,
            });
        }
        start = end;
    }
    groups
}

/// Returns the row groups that hold rows of `ranges` (ascending, apart), and which of their rows those are.
pub(crate) fn select_ranges(
    metadata: &ParquetMetaData,
    ranges: impl IntoIterator<Item = Range<usize>>,
) -> (Vec<usize>, RowSelection) {
    let (mut groups, mut selected) = (Vec::new(), Vec::new());
    // Rows of the groups before.
    let mut read = 0;
    for rows in by_group(metadata, ranges) {
        let here = rows.ranges.into_iter();
        selected.extend(here.map(|range| read + range.start..read + range.end));
        groups.push(rows.group);
        read += rows.count;
    }
    let selection = RowSelection::from_consecutive_ranges(selected.into_iter(), read);
    (groups, selection)
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

/// Returns per column of a file whether it holds nulls alone: half of those of a wide dataset do where its devices know
/// nothing of them.
pub(crate) fn columns_of_nulls(metadata: &ArrowReaderMetadata) -> Vec<bool> {
    let groups = metadata.metadata().row_groups();
    let schema = metadata.parquet_schema();
    let mut are_null = vec![!groups.is_empty(); metadata.schema().fields().len()];
    for group in groups {
        for (leaf, chunk) in group.columns().iter().enumerate() {
            // What is counted of a list are its values: one without any is not null.
            let is_flat = chunk.column_path().parts().len() == 1;
            let nulls = chunk.statistics().and_then(Statistics::null_count_opt);
            let is_null = is_flat && nulls == Some(group.num_rows() as u64);
            are_null[schema.get_column_root_idx(leaf)] &= is_null;
        }
    }
    are_null
}

/// Returns the columns of a file that are in `schema` and have values; the others need not be read, since [`conform`] makes
/// them. `are_null` is what [`columns_of_nulls`] says of the file.
pub(crate) fn columns_with_values<T>(
    builder: &ArrowReaderBuilder<T>,
    schema: &SchemaRef,
    are_null: &[bool],
) -> ProjectionMask {
    let stored = builder.schema().fields().iter().enumerate();
    let wanted = stored.filter(|(_, field)| schema.index_of(field.name()).is_ok());
    let wanted: Vec<usize> = wanted.map(|(index, _)| index).collect();
    let with_values = wanted.iter().copied().filter(|index| !are_null[*index]);
    let with_values: Vec<usize> = with_values.collect();
    // How many rows there are, some column has to say.
    let read = match with_values.is_empty() {
        true => wanted,
        false => with_values,
    };
    ProjectionMask::roots(builder.parquet_schema(), read)
}

/// Brings a batch to `schema` by column name: files of an earlier declaration lack its newer, nullable columns, and
/// those that hold nulls alone are not read.
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
