//! Rows under construction: bytes become typed columns here, without an allocation per row.
//!
//! A decoder fills one draft per row (`set_*`), then calls [`RowsBuilder::finish_row`], which checks the required
//! columns before anything is appended: a row is taken whole or not at all.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, DataType, Field, SchemaRef};

use crate::column::ColumnType;
use crate::dataset::DatasetDeclaration;

/// Bytes of one column up to which its buffer is kept for the next group.
const KEPT_BYTES_MAX: usize = 4 << 20;

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

/// The values of one column: those of the finished rows, and behind them what the draft has set. Where a row has none,
/// the place is filled.
#[derive(Debug)]
struct Column {
    values: Values,
    presence: Presence,
    required: bool,
    draft: Cell,
}

/// Which rows have a value in a column. In most columns all have one, or none has: they need no bitmap.
#[derive(Debug, Default)]
struct Presence {
    /// The rows that are like the first, as long as all are.
    rows: usize,
    /// Whether those have a value.
    is_set: bool,
    /// All rows one by one, from the first on that is not like those before it.
    bitmap: Option<BooleanBufferBuilder>,
}

impl Presence {
    #[inline]
    fn append(&mut self, is_set: bool) {
        if self.bitmap.is_none() && (self.rows == 0 || self.is_set == is_set) {
            self.is_set = is_set;
            self.rows += 1;
        } else {
            self.append_to_bitmap(is_set);
        }
    }

    fn append_to_bitmap(&mut self, is_set: bool) {
        let bitmap = self.bitmap.get_or_insert_with(|| {
            let mut bitmap = BooleanBufferBuilder::new(self.rows + 1);
            bitmap.append_n(self.rows, self.is_set);
            bitmap
        });
        bitmap.append(is_set);
    }

    /// Returns the rows without a value, none where all have one, and forgets all rows.
    fn take(&mut self) -> Option<NullBuffer> {
        let Self {
            rows,
            is_set,
            bitmap,
        } = std::mem::take(self);
        match bitmap {
            Some(mut bitmap) => Some(NullBuffer::new(bitmap.finish())),
            None if is_set || rows == 0 => None,
            None => Some(NullBuffer::new_null(rows)),
        }
    }
}

/// What the draft has in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    Null,
    Set,
    /// A value of another type than declared, which is not kept.
    Wrong,
}

#[derive(Debug)]
enum Values {
    Text {
        bytes: Vec<u8>,
        offsets: Vec<i32>,
    },
    Int(Vec<i64>),
    Float(Vec<f64>),
    Bool(Vec<bool>),
    Timestamp(Vec<i64>),
    FloatList {
        elements: Vec<f64>,
        offsets: Vec<i32>,
    },
}

impl Column {
    fn new(column_type: ColumnType, required: bool) -> Self {
        let values = match column_type {
            ColumnType::Text => Values::Text {
                bytes: Vec::new(),
                offsets: vec![0],
            },
            ColumnType::Int => Values::Int(Vec::new()),
            ColumnType::Float => Values::Float(Vec::new()),
            ColumnType::Bool => Values::Bool(Vec::new()),
            ColumnType::Timestamp => Values::Timestamp(Vec::new()),
            ColumnType::FloatList => Values::FloatList {
                elements: Vec::new(),
                offsets: vec![0],
            },
        };
        Self {
            values,
            presence: Presence::default(),
            required,
            draft: Cell::Null,
        }
    }

    /// Sets the draft's value: `set` appends it, or returns false where it is of another type.
    #[inline]
    fn set(&mut self, set: impl FnOnce(&mut Values) -> bool) {
        self.unset();
        self.draft = if set(&mut self.values) {
            Cell::Set
        } else {
            Cell::Wrong
        };
    }

    /// Takes back what the draft has set.
    #[inline]
    fn unset(&mut self) {
        if self.draft == Cell::Set {
            match &mut self.values {
                Values::Text { bytes, offsets } => bytes.truncate(last(offsets)),
                Values::Int(values) | Values::Timestamp(values) => {
                    values.truncate(values.len() - 1)
                }
                Values::Float(values) => values.truncate(values.len() - 1),
                Values::Bool(values) => values.truncate(values.len() - 1),
                Values::FloatList { elements, offsets } => elements.truncate(last(offsets)),
            }
        }
        self.draft = Cell::Null;
    }

    #[inline]
    fn is_bad(&self) -> bool {
        match self.draft {
            Cell::Set => false,
            Cell::Null => self.required,
            Cell::Wrong => true,
        }
    }

    /// Makes what the draft has the value of a row.
    #[inline]
    fn finish(&mut self) {
        let is_set = self.draft == Cell::Set;
        match &mut self.values {
            Values::Text { bytes, offsets } => offsets.push(offset(bytes.len())),
            Values::FloatList { elements, offsets } => offsets.push(offset(elements.len())),
            Values::Int(values) | Values::Timestamp(values) if !is_set => values.push(0),
            Values::Float(values) if !is_set => values.push(0.0),
            Values::Bool(values) if !is_set => values.push(false),
            Values::Int(_) | Values::Timestamp(_) | Values::Float(_) | Values::Bool(_) => {}
        }
        self.presence.append(is_set);
        self.draft = Cell::Null;
    }

    /// Takes the values and leaves none.
    fn take(&mut self) -> ArrayRef {
        let nulls = self.presence.take();
        match &mut self.values {
            Values::Text { bytes, offsets } => Arc::new(StringArray::new(
                taken_offsets(offsets),
                Buffer::from_vec(taken(bytes)),
                nulls,
            )),
            Values::Int(values) => Arc::new(Int64Array::new(scalars(values), nulls)),
            Values::Float(values) => Arc::new(Float64Array::new(scalars(values), nulls)),
            Values::Bool(values) => {
                let values = BooleanBuffer::from(taken(values));
                Arc::new(BooleanArray::new(values, nulls))
            }
            Values::Timestamp(values) => {
                let times = TimestampMicrosecondArray::new(scalars(values), nulls);
                Arc::new(times.with_timezone("UTC"))
            }
            Values::FloatList { elements, offsets } => {
                let field = Arc::new(Field::new("element", DataType::Float64, true));
                let elements = Arc::new(Float64Array::new(scalars(elements), None));
                Arc::new(ListArray::new(
                    field,
                    taken_offsets(offsets),
                    elements,
                    nulls,
                ))
            }
        }
    }
}

/// Returns the end of a value as an offset of Arrow.
fn offset(end: usize) -> i32 {
    i32::try_from(end).expect("a group has less than 2 GiB of one column")
}

/// Returns where the last value of a finished row ends.
fn last(offsets: &[i32]) -> usize {
    offsets.last().map_or(0, |offset| *offset as usize)
}

/// Takes the values and leaves none, but their room where it is not too much: a group fills what the one before has
/// touched, and its arrays have no byte more than they need.
fn taken<T: Copy>(values: &mut Vec<T>) -> Vec<T> {
    if values.capacity() * size_of::<T>() > KEPT_BYTES_MAX {
        return std::mem::take(values);
    }
    let taken = values.as_slice().to_vec();
    values.clear();
    taken
}

fn scalars<T: ArrowNativeType>(values: &mut Vec<T>) -> ScalarBuffer<T> {
    ScalarBuffer::from(taken(values))
}

/// Takes the offsets of values and leaves that of the first to come.
fn taken_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let taken = scalars(offsets);
    offsets.push(0);
    OffsetBuffer::new(taken)
}

/// Builds [`DatasetRows`] row by row.
#[derive(Debug)]
pub struct RowsBuilder {
    declaration: Arc<DatasetDeclaration>,
    schema: SchemaRef,
    columns: Vec<Column>,
    envelopes: Vec<u32>,
    timeless: Vec<bool>,
    draft_is_timeless: bool,
}

impl RowsBuilder {
    /// Returns an empty builder for the declared columns of `declaration`.
    pub fn new(declaration: Arc<DatasetDeclaration>) -> Self {
        let columns = declaration.columns.iter();
        let columns = columns.map(|column| Column::new(column.column_type, column.required));
        Self {
            schema: declaration.declared_schema(),
            columns: columns.collect(),
            declaration,
            envelopes: Vec::new(),
            timeless: Vec::new(),
            draft_is_timeless: false,
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

    /// Sets a text in the draft; `column` is a position in the declaration.
    #[inline]
    pub fn set_text(&mut self, column: usize, value: &str) {
        self.columns[column].set(|values| match values {
            Values::Text { bytes, .. } => {
                bytes.extend_from_slice(value.as_bytes());
                true
            }
            _ => false,
        });
    }

    /// Sets an integer in the draft; for a timestamp column, microseconds since 1970 UTC.
    #[inline]
    pub fn set_int(&mut self, column: usize, value: i64) {
        self.columns[column].set(|values| match values {
            Values::Int(values) | Values::Timestamp(values) => {
                values.push(value);
                true
            }
            _ => false,
        });
    }

    /// Returns an integer of the draft; none where it is not set.
    pub fn draft_int(&self, column: usize) -> Option<i64> {
        let column = &self.columns[column];
        match &column.values {
            Values::Int(values) | Values::Timestamp(values) if column.draft == Cell::Set => {
                values.last().copied()
            }
            _ => None,
        }
    }

    /// Sets a time in the draft to the receive time of its envelope, µs since 1970 UTC: the row has none of its own.
    pub fn set_receive_time(&mut self, column: usize, received_at: i64) {
        self.set_int(column, received_at);
        self.draft_is_timeless = true;
    }

    /// Sets a float in the draft; a NaN or an infinity is a missing value.
    #[inline]
    pub fn set_float(&mut self, column: usize, value: f64) {
        let column = &mut self.columns[column];
        if !value.is_finite() {
            return column.unset();
        }
        column.set(|values| match values {
            Values::Float(values) => {
                values.push(value);
                true
            }
            _ => false,
        });
    }

    /// Sets a boolean in the draft.
    pub fn set_bool(&mut self, column: usize, value: bool) {
        self.columns[column].set(|values| match values {
            Values::Bool(values) => {
                values.push(value);
                true
            }
            _ => false,
        });
    }

    /// Sets a list of floats in the draft.
    pub fn set_list(&mut self, column: usize, values: &[f64]) {
        self.columns[column].set(|column| match column {
            Values::FloatList { elements, .. } => {
                elements.extend_from_slice(values);
                true
            }
            _ => false,
        });
    }

    /// Appends the draft as a row of the envelope at position `envelope` and starts the next draft.
    /// On error, names the first required column without a value (or with one of another type); nothing is appended.
    pub fn finish_row(&mut self, envelope: u32) -> Result<(), &str> {
        if let Some(bad) = self.columns.iter().position(Column::is_bad) {
            self.discard_row();
            return Err(&self.declaration.columns[bad].name);
        }
        self.columns.iter_mut().for_each(Column::finish);
        self.envelopes.push(envelope);
        self.timeless.push(self.draft_is_timeless);
        self.draft_is_timeless = false;
        Ok(())
    }

    /// Forgets the draft.
    pub fn discard_row(&mut self) {
        self.columns.iter_mut().for_each(Column::unset);
        self.draft_is_timeless = false;
    }

    /// Takes the finished rows and leaves the builder empty for the next group. A draft that is not finished is forgotten.
    pub fn take(&mut self) -> DatasetRows {
        self.discard_row();
        let arrays = self.columns.iter_mut().map(Column::take).collect();
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

#[cfg(test)]
mod tests;
