//! Rows under construction: bytes become typed columns here, without an allocation per row.
//!
//! A decoder fills one draft per row (`set_*`), then calls [`RowsBuilder::finish_row`], which checks the required
//! columns before anything is appended: a row is taken whole or not at all.

mod columns;
mod long;
mod values;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::dataset::DatasetDeclaration;
use crate::rows::columns::{Columns, each_column};
use crate::rows::values::{Values, offset, taken};

pub use crate::rows::long::{LongColumns, LongRow, LongSeries};

/// Rows of one dataset, columnar: the declared columns plus the envelope each row came from.
#[derive(Clone, Debug)]
pub struct DatasetRows {
    /// The dataset.
    pub declaration: Arc<DatasetDeclaration>,
    /// The declared columns, in declared order.
    pub batch: RecordBatch,
    /// Per row: position of its envelope in the decoded group, ascending.
    pub envelopes: Vec<u32>,
    /// Per row: whether it has no time of its own, so that its time is the receive time of its envelope. Empty for rows
    /// that came in no envelope.
    pub timeless: Vec<bool>,
}

/// Builds [`DatasetRows`] row by row.
#[derive(Debug)]
pub struct RowsBuilder {
    declaration: Arc<DatasetDeclaration>,
    schema: SchemaRef,
    columns: Vec<Values>,
    envelopes: Vec<u32>,
    timeless: Vec<bool>,
    /// What the draft has.
    draft: Box<[Columns]>,
    draft_is_timeless: bool,
}

impl RowsBuilder {
    /// Returns an empty builder for the declared columns of `declaration`.
    pub fn new(declaration: Arc<DatasetDeclaration>) -> Self {
        let declared = &declaration.columns;
        let mut draft = vec![Columns::default(); declared.len().div_ceil(64)];
        for (at, column) in declared.iter().enumerate() {
            let bit = 1 << (at % 64);
            draft[at / 64].all |= bit;
            if column.required {
                draft[at / 64].required |= bit;
            }
        }
        let columns = declared.iter();
        let columns = columns.map(|column| Values::new(column.column_type));
        Self {
            schema: declaration.declared_schema(),
            columns: columns.collect(),
            envelopes: Vec::new(),
            timeless: Vec::new(),
            draft: draft.into(),
            draft_is_timeless: false,
            declaration,
        }
    }

    /// Returns the dataset whose rows are built.
    pub fn declaration(&self) -> &Arc<DatasetDeclaration> {
        &self.declaration
    }

    /// Returns the number of finished rows.
    pub fn len(&self) -> usize {
        self.envelopes.len()
    }

    /// Returns true where no row is finished.
    pub fn is_empty(&self) -> bool {
        self.envelopes.is_empty()
    }

    /// Sets a value in the draft: `push` appends it, or returns false where it is of another type.
    #[inline(always)]
    fn set(&mut self, column: usize, push: impl FnOnce(&mut Values) -> bool) {
        let draft = &mut self.draft[column / 64];
        let bit = 1 << (column % 64);
        let values = &mut self.columns[column];
        if (draft.set | draft.wrong) & bit != 0 {
            draft.take_back(bit, values);
        }
        if push(values) {
            draft.set |= bit;
        } else {
            draft.wrong |= bit;
        }
    }

    /// Sets a text in the draft; `column` is a position in the declaration.
    #[inline]
    pub fn set_text(&mut self, column: usize, value: &str) {
        self.set(column, |values| match values {
            Values::Text { bytes, offsets } => {
                bytes.extend_from_slice(value.as_bytes());
                offsets.push(offset(bytes.len()));
                true
            }
            _ => false,
        });
    }

    /// Sets an integer in the draft; for a timestamp column, microseconds since 1970 UTC.
    #[inline]
    pub fn set_int(&mut self, column: usize, value: i64) {
        self.set(column, |values| match values {
            Values::Int(values) | Values::Timestamp(values) => {
                values.push(value);
                true
            }
            _ => false,
        });
    }

    /// Returns an integer of the draft; none where it is not set.
    pub fn draft_int(&self, column: usize) -> Option<i64> {
        let is_set = self.draft[column / 64].set >> (column % 64) & 1 == 1;
        match &self.columns[column] {
            Values::Int(values) | Values::Timestamp(values) if is_set => values.last().copied(),
            _ => None,
        }
    }

    /// Sets a time in the draft to the receive time of its envelope, µs since 1970 UTC: the row has none of its own.
    #[inline]
    pub fn set_receive_time(&mut self, column: usize, received_at: i64) {
        self.set_int(column, received_at);
        self.draft_is_timeless = true;
    }

    /// Sets a float in the draft; a NaN or an infinity is a missing value, and a zero has no sign.
    #[inline(always)]
    pub fn set_float(&mut self, column: usize, value: f64) {
        if !value.is_finite() {
            return self.draft[column / 64]
                .take_back(1 << (column % 64), &mut self.columns[column]);
        }
        self.set(column, |values| match values {
            Values::Float(values) => {
                values.push(unsigned_zero(value));
                true
            }
            _ => false,
        });
    }

    /// Sets a boolean in the draft.
    pub fn set_bool(&mut self, column: usize, value: bool) {
        self.set(column, |values| match values {
            Values::Bool(values) => {
                values.push(value);
                true
            }
            _ => false,
        });
    }

    /// Sets a list of floats in the draft; their zeros have no sign.
    pub fn set_list(&mut self, column: usize, values: &[f64]) {
        self.set(column, |column| match column {
            Values::FloatList { elements, offsets } => {
                elements.extend(values.iter().copied().map(unsigned_zero));
                offsets.push(offset(elements.len()));
                true
            }
            _ => false,
        });
    }

    /// Appends the draft as a row of the envelope at position `envelope` and starts the next draft.
    /// On error, names the first required column without a value (or with one of another type); nothing is appended.
    pub fn finish_row(&mut self, envelope: u32) -> Result<(), &str> {
        match self.finish(envelope, 0) {
            None => Ok(()),
            Some(column) => {
                self.discard_row();
                Err(&self.declaration.columns[column].name)
            }
        }
    }

    /// Does the same, but returns the position of the column, and keeps the draft. The places of the columns in `taken` need
    /// not be filled; where there are more than 64 columns, there are none.
    #[inline(always)]
    fn finish(&mut self, envelope: u32, taken: u64) -> Option<usize> {
        let is_bad = |draft: &Columns| draft.required & !draft.set | draft.wrong;
        if let [draft] = &mut *self.draft {
            // So it is with nearly all datasets.
            let bad = is_bad(draft);
            if bad != 0 {
                return Some(bad.trailing_zeros() as usize);
            }
            each_column(0, draft.all & !draft.set & !taken, |column| {
                self.columns[column].fill();
            });
            draft.finish(1);
        } else {
            for (word, draft) in self.draft.iter().enumerate() {
                let bad = is_bad(draft);
                if bad != 0 {
                    return Some(word * 64 + bad.trailing_zeros() as usize);
                }
            }
            for (word, draft) in self.draft.iter_mut().enumerate() {
                each_column(word, draft.all & !draft.set, |column| {
                    self.columns[column].fill();
                });
                draft.finish(1);
            }
        }
        self.envelopes.push(envelope);
        self.timeless.push(self.draft_is_timeless);
        self.draft_is_timeless = false;
        None
    }

    /// Forgets the draft.
    pub fn discard_row(&mut self) {
        for (word, draft) in self.draft.iter_mut().enumerate() {
            each_column(word, draft.set, |column| self.columns[column].pop());
            (draft.set, draft.wrong) = (0, 0);
        }
        self.draft_is_timeless = false;
    }

    /// Takes the finished rows and leaves the builder empty for the next group. A draft that is not finished is forgotten.
    pub fn take(&mut self) -> DatasetRows {
        self.discard_row();
        let arrays = self.columns.iter_mut().enumerate();
        let arrays = arrays.map(|(column, values)| {
            let nulls = self.draft[column / 64].nulls(1 << (column % 64));
            values.take(nulls)
        });
        let arrays = arrays.collect();
        self.draft.iter_mut().for_each(Columns::clear);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .expect("the builders follow the declared schema");
        DatasetRows {
            declaration: Arc::clone(&self.declaration),
            batch,
            envelopes: taken(&mut self.envelopes),
            timeless: taken(&mut self.timeless),
        }
    }
}

/// Returns a value whose zero has no sign. Devices that round -0.04 send `-0.0`, which is the number that `0.0` is: stored
/// apart they would be ranked, sorted and counted apart, and the one be a revision of the other.
#[inline(always)]
pub fn unsigned_zero(value: f64) -> f64 {
    // Adding zero turns -0.0 into 0.0.
    value + 0.0
}

#[cfg(test)]
mod tests;
