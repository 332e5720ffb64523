//! Flags that differ from what is stored, gathered by series into chunks.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::{concat, take};
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use meetnet_lake::{LakeError, NewFlags};
use meetnet_model::dataset::DatasetDeclaration;

use super::scan::Row;

/// The columns of a key but the time, of one row each.
pub(super) type SeriesKey = Vec<ArrayRef>;

/// Flags on their way to the tables.
#[derive(Default)]
pub(super) struct Changes {
    series: Vec<SeriesKey>,
    /// Number of the last of them.
    last: Option<u64>,
    /// By row: its series.
    of: Vec<u32>,
    times: Vec<i64>,
    revisions: Vec<i64>,
    recorded_at: Vec<i64>,
    quality: Vec<i8>,
    quality_tests: Vec<i64>,
}

impl Changes {
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    /// Adds a row of the series with this number and key.
    pub(super) fn push(&mut self, number: u64, key: &SeriesKey, row: &Row, flags: (i8, i64)) {
        if self.last != Some(number) {
            self.series.push(key.clone());
            self.last = Some(number);
        }
        self.of.push(self.series.len() as u32 - 1);
        self.times.push(row.time);
        self.revisions.push(row.revision);
        self.recorded_at.push(row.recorded_at);
        self.quality.push(flags.0);
        self.quality_tests.push(flags.1);
    }

    /// Takes what was gathered; it is empty then.
    pub(super) fn take(&mut self, declaration: &DatasetDeclaration) -> Result<NewFlags, LakeError> {
        let taken = std::mem::take(self);
        let keys = taken.keys(declaration).map_err(|source| LakeError::Arrow {
            operation: "gather keys of",
            dataset: declaration.id.clone(),
            source,
        })?;
        Ok(NewFlags {
            dataset: declaration.id.clone(),
            keys,
            revisions: taken.revisions,
            recorded_at: taken.recorded_at,
            quality: taken.quality,
            quality_tests: taken.quality_tests,
        })
    }

    /// Returns the keys of the rows, in key order of the columns.
    fn keys(&self, declaration: &DatasetDeclaration) -> Result<RecordBatch, ArrowError> {
        let of = UInt32Array::from(self.of.clone());
        let times = TimestampMicrosecondArray::from(self.times.clone()).with_timezone("UTC");
        let times: ArrayRef = Arc::new(times);
        let declared = declaration.declared_schema();
        let mut fields: Vec<Field> = Vec::new();
        let mut columns: Vec<ArrayRef> = Vec::new();
        let mut series = 0;
        for name in &declaration.key {
            fields.push(declared.field_with_name(name)?.clone());
            if name == declaration.time_column() {
                columns.push(Arc::clone(&times));
                continue;
            }
            let parts: Vec<&dyn Array> =
                self.series.iter().map(|key| key[series].as_ref()).collect();
            columns.push(take(concat(&parts)?.as_ref(), &of, None)?);
            series += 1;
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
    }
}
