//! The committed rows of a table in the order of its key, which is that of series and time, in bounded memory.
//!
//! `files of a span -> runs -> merge -> batches`
//!
//! Hot rows are not among them: who wants everything commits first. Rows that hot ones have replaced are.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::compact::{Merge, MergeInput, files_by_run};
use crate::error::LakeError;
use crate::keys::KeyCodec;
use crate::snapshot::{LiveFile, StatisticsValue, TableSnapshot};
use crate::table::select::schema_of;

impl TableSnapshot {
    /// Visits the rows of the files of current rows that may hold a time of `span` (µs, of the partition's time column), in
    /// the order of the key; rows of other times are among them. The batches have the columns of `columns` and of the key,
    /// in the order of the file.
    ///
    /// # Errors
    /// Where a file cannot be read, and what `visit` returns, which ends it.
    pub fn visit_sorted<E: From<LakeError>>(
        &self,
        columns: &[&str],
        span: Range<i64>,
        visit: &mut dyn FnMut(&RecordBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        let declaration = &*self.declaration;
        let codec = KeyCodec::new(declaration)?;
        let key = declaration.key.iter().map(String::as_str);
        let columns: Vec<&str> = columns.iter().copied().chain(key).collect();
        let input = MergeInput {
            folder: &self.folder,
            declaration,
            codec: &codec,
            schema: schema_of(declaration, &columns),
            verify: false,
        };
        let mut merge = Merge::new(input, &self.runs_of(&span))?;
        while let Some(batch) = merge.next_batch()? {
            visit(&batch)?;
        }
        Ok(())
    }

    /// Returns the files of current rows that may hold a time of `span`, by run.
    fn runs_of(&self, span: &Range<i64>) -> Vec<Vec<Arc<LiveFile>>> {
        let files = self.files.iter().filter(|file| !file.superseded);
        let files: Vec<Arc<LiveFile>> = files
            .filter(|file| self.may_hold(file, span))
            .cloned()
            .collect();
        let partitions = files.chunk_by(|a, b| (&a.licence, &a.period) == (&b.licence, &b.period));
        partitions.flat_map(files_by_run).collect()
    }

    fn may_hold(&self, file: &LiveFile, span: &Range<i64>) -> bool {
        let Some(times) = file.statistics.get(self.declaration.time_column()) else {
            return true;
        };
        let begins_after = times
            .min
            .as_ref()
            .is_some_and(|min| *min >= StatisticsValue::Int(span.end));
        let ends_before = times
            .max
            .as_ref()
            .is_some_and(|max| *max < StatisticsValue::Int(span.start));
        !begins_after && !ends_before
    }
}
