//! Rows under construction: bytes become typed columns here, without an allocation per row.
//!
//! A decoder fills one draft per row (`set_*`), then calls [`RowsBuilder::finish_row`], which checks the required
//! columns before anything is appended: a row is taken whole or not at all.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListBuilder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, SchemaRef};

use crate::column::ColumnType;
use crate::dataset::DatasetDeclaration;

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

#[derive(Clone, Copy, Debug)]
enum Cell {
    Null,
    Int(i64),
    Float(f64),
    Bool(bool),
    /// Range in `texts`.
    Text(usize, usize),
    /// Range in `floats`.
    List(usize, usize),
}

#[derive(Debug)]
enum ColumnBuilder {
    Text(StringBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Bool(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    FloatList(ListBuilder<Float64Builder>),
}

/// Builds [`DatasetRows`] row by row.
#[derive(Debug)]
pub struct RowsBuilder {
    declaration: Arc<DatasetDeclaration>,
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    draft: Vec<Cell>,
    texts: String,
    floats: Vec<f64>,
    envelopes: Vec<u32>,
    timeless: Vec<bool>,
    draft_is_timeless: bool,
}

impl RowsBuilder {
    /// Returns an empty builder for the declared columns of `declaration`.
    pub fn new(declaration: Arc<DatasetDeclaration>) -> Self {
        let columns = declaration
            .columns
            .iter()
            .map(|column| match column.column_type {
                ColumnType::Text => ColumnBuilder::Text(StringBuilder::new()),
                ColumnType::Int => ColumnBuilder::Int(Int64Builder::new()),
                ColumnType::Float => ColumnBuilder::Float(Float64Builder::new()),
                ColumnType::Bool => ColumnBuilder::Bool(BooleanBuilder::new()),
                ColumnType::Timestamp => ColumnBuilder::Timestamp(
                    TimestampMicrosecondBuilder::new().with_timezone("UTC"),
                ),
                ColumnType::FloatList => ColumnBuilder::FloatList(
                    ListBuilder::new(Float64Builder::new()).with_field(Arc::new(Field::new(
                        "element",
                        DataType::Float64,
                        true,
                    ))),
                ),
            })
            .collect();
        Self {
            schema: declaration.declared_schema(),
            draft: vec![Cell::Null; declaration.columns.len()],
            declaration,
            columns,
            texts: String::new(),
            floats: Vec::new(),
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
    pub fn set_text(&mut self, column: usize, value: &str) {
        let start = self.texts.len();
        self.texts.push_str(value);
        self.draft[column] = Cell::Text(start, self.texts.len());
    }

    /// Sets an integer in the draft; for a timestamp column, microseconds since 1970 UTC.
    pub fn set_int(&mut self, column: usize, value: i64) {
        self.draft[column] = Cell::Int(value);
    }

    /// Returns an integer of the draft; none where it is not set.
    pub fn draft_int(&self, column: usize) -> Option<i64> {
        match self.draft[column] {
            Cell::Int(value) => Some(value),
            _ => None,
        }
    }

    /// Sets a time in the draft to the receive time of its envelope, µs since 1970 UTC: the row has none of its own.
    pub fn set_receive_time(&mut self, column: usize, received_at: i64) {
        self.set_int(column, received_at);
        self.draft_is_timeless = true;
    }

    /// Sets a float in the draft; a NaN or an infinity is a missing value.
    pub fn set_float(&mut self, column: usize, value: f64) {
        self.draft[column] = if value.is_finite() {
            Cell::Float(value)
        } else {
            Cell::Null
        };
    }

    /// Sets a boolean in the draft.
    pub fn set_bool(&mut self, column: usize, value: bool) {
        self.draft[column] = Cell::Bool(value);
    }

    /// Sets a list of floats in the draft.
    pub fn set_list(&mut self, column: usize, values: &[f64]) {
        let start = self.floats.len();
        self.floats.extend_from_slice(values);
        self.draft[column] = Cell::List(start, self.floats.len());
    }

    /// Appends the draft as a row of the envelope at position `envelope` and starts the next draft.
    /// On error, names the first required column without a value (or with one of another type); nothing is appended.
    pub fn finish_row(&mut self, envelope: u32) -> Result<(), &str> {
        let bad = self
            .declaration
            .columns
            .iter()
            .zip(&self.draft)
            .position(|(column, cell)| {
                !matches!(
                    (column.column_type, cell),
                    (ColumnType::Text, Cell::Text(..))
                        | (ColumnType::Int | ColumnType::Timestamp, Cell::Int(_))
                        | (ColumnType::Float, Cell::Float(_))
                        | (ColumnType::Bool, Cell::Bool(_))
                        | (ColumnType::FloatList, Cell::List(..))
                ) && (column.required || !matches!(cell, Cell::Null))
            });
        if let Some(bad) = bad {
            self.discard_row();
            return Err(&self.declaration.columns[bad].name);
        }
        for (builder, cell) in self.columns.iter_mut().zip(&self.draft) {
            match (builder, *cell) {
                (ColumnBuilder::Text(b), Cell::Text(start, end)) => {
                    b.append_value(&self.texts[start..end]);
                }
                (ColumnBuilder::Int(b), Cell::Int(value)) => b.append_value(value),
                (ColumnBuilder::Timestamp(b), Cell::Int(value)) => b.append_value(value),
                (ColumnBuilder::Float(b), Cell::Float(value)) => b.append_value(value),
                (ColumnBuilder::Bool(b), Cell::Bool(value)) => b.append_value(value),
                (ColumnBuilder::FloatList(b), Cell::List(start, end)) => {
                    b.values().append_slice(&self.floats[start..end]);
                    b.append(true);
                }
                (ColumnBuilder::Text(b), _) => b.append_null(),
                (ColumnBuilder::Int(b), _) => b.append_null(),
                (ColumnBuilder::Timestamp(b), _) => b.append_null(),
                (ColumnBuilder::Float(b), _) => b.append_null(),
                (ColumnBuilder::Bool(b), _) => b.append_null(),
                (ColumnBuilder::FloatList(b), _) => b.append(false),
            }
        }
        self.envelopes.push(envelope);
        self.timeless.push(self.draft_is_timeless);
        self.discard_row();
        Ok(())
    }

    /// Forgets the draft.
    pub fn discard_row(&mut self) {
        self.draft.fill(Cell::Null);
        self.draft_is_timeless = false;
        self.texts.clear();
        self.floats.clear();
    }

    /// Takes the finished rows and leaves the builder empty for the next group.
    pub fn take(&mut self) -> DatasetRows {
        let arrays: Vec<ArrayRef> = self
            .columns
            .iter_mut()
            .map(|builder| -> ArrayRef {
                match builder {
                    ColumnBuilder::Text(b) => Arc::new(b.finish()),
                    ColumnBuilder::Int(b) => Arc::new(b.finish()),
                    ColumnBuilder::Timestamp(b) => Arc::new(b.finish()),
                    ColumnBuilder::Float(b) => Arc::new(b.finish()),
                    ColumnBuilder::Bool(b) => Arc::new(b.finish()),
                    ColumnBuilder::FloatList(b) => Arc::new(b.finish()),
                }
            })
            .collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), arrays)
            .expect("the builders follow the declared schema");
        DatasetRows {
            declaration: Arc::clone(&self.declaration),
            batch,
            envelopes: std::mem::take(&mut self.envelopes),
            timeless: std::mem::take(&mut self.timeless),
        }
    }
}

#[cfg(test)]
mod tests;
