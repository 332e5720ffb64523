//! Writing a file again without some of its rows. Row groups that lose none are copied as bytes.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use meetnet_model::dataset::DatasetDeclaration;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use crate::damage;
use crate::error::LakeError;
use crate::snapshot::LiveFile;
use crate::storage::{Access, TableFolder};
use crate::table::files::{Partition, PartitionWriter};
use crate::table::read::{conform, load_footer};

/// Rows decoded at once.
const BATCH_ROWS: usize = 65_536;

/// Writes `file` again without `rows` (positions in it, ascending); nothing where none are left. `taken` gets each batch
/// that loses rows, whole and in the file schema, with the position of its first row.
pub(super) fn rewrite_without(
    folder: &TableFolder,
    declaration: &Arc<DatasetDeclaration>,
    file: &LiveFile,
    rows: &[u32],
    now_ms: i64,
    mut taken: impl FnMut(&RecordBatch, u32) -> Result<(), ArrowError>,
) -> Result<Vec<LiveFile>, LakeError> {
    let failed = || LakeError::arrow("rewrite", &declaration.id);
    let partition = Partition::of(file);
    // The new file has a hash of its own: damage in groups that are copied could not be told any more.
    damage::verify(folder, file)?;
    let source = folder.open(file, Access::Whole)?;
    let unreadable = |error: ParquetError| {
        let error = LakeError::parquet("read", &folder.shown(&file.path))(error);
        damage::diagnose(folder, file, error)
    };
    let footer = load_footer(&source).map_err(unreadable)?;
    let schema = declaration.file_schema();
    let mut writer = PartitionWriter::new(folder, declaration, &partition, Some(file), now_ms);
    let within = |start: u32, end: u32| {
        let from = rows.partition_point(|row| *row < start);
        &rows[from..rows.partition_point(|row| *row < end)]
    };
    let mut start = 0_u32;
    for (index, group) in footer.metadata().row_groups().iter().enumerate() {
        let end = start + group.num_rows() as u32;
        let is_touched = !within(start, end).is_empty();
        if !is_touched && writer.copy_group(&source, footer.metadata(), index)? {
            start = end;
            continue;
        }
        writer.end_group()?;
        let batches =
            ParquetRecordBatchReaderBuilder::new_with_metadata(source.clone(), footer.clone())
                .with_row_groups(vec![index])
                .with_batch_size(BATCH_ROWS)
                .build()
                .map_err(unreadable)?;
        for batch in batches {
            let batch = batch.map_err(|error| unreadable(error.into()))?;
            let batch = conform(&batch, &schema).map_err(failed())?;
            let next = start + batch.num_rows() as u32;
            let mut stays = vec![true; batch.num_rows()];
            let gone = within(start, next);
            for row in gone {
                stays[(row - start) as usize] = false;
            }
            if !gone.is_empty() {
                taken(&batch, start).map_err(failed())?;
            }
            let stays = BooleanArray::from(stays);
            writer.write(&filter_record_batch(&batch, &stays).map_err(failed())?)?;
            start = next;
        }
        writer.end_group()?;
    }
    writer.finish()
}
