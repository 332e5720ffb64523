//! Rows that were read elsewhere, written as answers are: by the command line, from a service or part by part.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use meetnet_model::ids::Sequence;
use meetnet_model::licence::Rights;

use super::table::{Table, TableStyle};
use super::{Encoder, Footer, Format, Header, encoder};
use crate::error::QueryError;
use crate::table::schema::units_of;

/// What is known after the last row.
#[derive(Clone, Copy, Debug)]
pub struct RowsEnd {
    /// Every frame up to this sequence had arrived in the tables that were read.
    pub through: Sequence,
    /// `recorded_at` of `through`, µs since 1970 UTC.
    pub stable_time: i64,
    /// The time that was asked as of, µs since 1970 UTC.
    pub as_of: Option<i64>,
    /// Whether a row limit has cut the rows.
    pub truncated: bool,
}

/// Writes batches of one schema in one format, in constant memory: [`RowWriter::begin`], any number of
/// [`RowWriter::batch`], [`RowWriter::end`]; each appends what is ready.
pub struct RowWriter {
    encoder: Box<dyn Encoder>,
    schema: SchemaRef,
    /// UCUM unit per column, from the fields' metadata.
    units: Vec<Option<String>>,
    rights: Rights,
    rows: u64,
}

impl RowWriter {
    /// Writes a format as answers have it.
    pub fn new(format: Format, schema: SchemaRef, rights: Rights) -> Self {
        Self::with(encoder(format), schema, rights)
    }

    /// Writes text for a terminal.
    pub fn table(style: TableStyle, schema: SchemaRef, rights: Rights) -> Self {
        Self::with(Box::new(Table::new(style)), schema, rights)
    }

    fn with(encoder: Box<dyn Encoder>, schema: SchemaRef, rights: Rights) -> Self {
        let units = units_of(&schema);
        Self {
            encoder,
            schema,
            units,
            rights,
            rows: 0,
        }
    }

    /// Returns how many rows have been written.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes what stands before the rows.
    ///
    /// # Errors
    /// `BadRequest` where GeoJSON finds no columns that say where a row is, `Internal` where a format does not take the schema.
    pub fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let header = Header {
            schema: &self.schema,
            units: &self.units,
            rights: &self.rights,
        };
        self.encoder.begin(&header, out)
    }

    /// Writes rows.
    ///
    /// # Errors
    /// `Internal` where the format does not take them.
    pub fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        self.rows += batch.num_rows() as u64;
        self.encoder.batch(batch, out)
    }

    /// Writes what stands after the rows.
    ///
    /// # Errors
    /// `Internal` only.
    pub fn end(&mut self, end: &RowsEnd, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let footer = Footer {
            through: end.through,
            stable_time: end.stable_time,
            as_of: end.as_of,
            truncated: end.truncated,
            rows: self.rows,
            rights: &self.rights,
            hints: &[],
            next: None,
        };
        self.encoder.end(&footer, out)
    }
}
