//! Finds rows by what stands in a few of their columns, reading those columns whole.
//!
//! `file -> the wanted columns -> select -> positions`
//!
//! For questions that neither statistics nor keys can answer: they are asked rarely, and of every file.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use meetnet_model::dataset::DatasetDeclaration;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::read::{columns_of, conform};
use crate::error::LakeError;
use crate::storage::{Access, TableFolder};

/// Rows decoded at once.
const BATCH_ROWS: usize = 65_536;

/// Says per row of a batch whether it is meant. The batch has the columns that were asked for, in the order of the file.
pub type Select<'a> = dyn FnMut(&RecordBatch) -> Vec<bool> + 'a;

/// Returns the schema of some columns of a file, in its order.
pub(crate) fn schema_of(declaration: &DatasetDeclaration, columns: &[&str]) -> SchemaRef {
    let file = declaration.file_schema();
    let fields = file.fields().iter();
    let wanted = fields.filter(|field| columns.contains(&field.name().as_str()));
    Arc::new(Schema::new(wanted.cloned().collect::<Vec<_>>()))
}

/// Returns the rows of the file at `path` that `select` means, ascending.
pub(crate) fn select_rows(
    folder: &TableFolder,
    declaration: &DatasetDeclaration,
    path: &str,
    columns: &[&str],
    select: &mut Select<'_>,
) -> Result<Vec<u32>, LakeError> {
    let unreadable = || LakeError::parquet("read", &folder.shown(path));
    let failed = || LakeError::arrow("read", &declaration.id);
    let schema = schema_of(declaration, columns);
    let input = folder.open_as_stored(path, Access::Whole)?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(input).map_err(unreadable())?;
    let mask = columns_of(&builder, &schema);
    let reader = builder
        .with_projection(mask)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(unreadable())?;
    let (mut rows, mut start) = (Vec::new(), 0_u32);
    for batch in reader {
        let batch = batch
            .and_then(|batch| conform(&batch, &schema))
            .map_err(failed())?;
        let meant = select(&batch).into_iter().zip(start..);
        rows.extend(meant.filter(|(is_meant, _)| *is_meant).map(|(_, row)| row));
        start += batch.num_rows() as u32;
    }
    Ok(rows)
}
