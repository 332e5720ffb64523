//! Arrow IPC streaming format, uncompressed: every Arrow library reads it. Its schema states licence and attribution.

use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;

use super::streamed::{Finished, Streamed};
use super::{Encoder, Footer, Header, with_rights};
use crate::error::QueryError;

pub(super) struct ArrowStream(Streamed<StreamWriter<Finished>>);

impl Default for ArrowStream {
    fn default() -> Self {
        Self(Streamed::new("writing Arrow"))
    }
}

impl Encoder for ArrowStream {
    fn begin(&mut self, header: &Header<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let schema = with_rights(header.schema, header.rights);
        self.0.begin(|to| StreamWriter::try_new(to, &schema), out)
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        self.0.batch(batch, out)
    }

    fn end(&mut self, _: &Footer<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        self.0.end(|_| {}, out)
    }
}
