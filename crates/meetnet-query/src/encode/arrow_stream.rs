//! Arrow IPC streaming format, uncompressed: every Arrow library reads it. Its schema states licence and attribution.

use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;

use super::streamed::{Finished, Streamed};
use super::{ATTRIBUTION, Encoder, Footer, Header, LICENCE};
use crate::error::QueryError;

pub(super) struct ArrowStream(Streamed<StreamWriter<Finished>>);

impl Default for ArrowStream {
    fn default() -> Self {
        Self(Streamed::new("writing Arrow"))
    }
}

impl Encoder for ArrowStream {
    fn begin(&mut self, header: &Header<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let mut schema = header.schema.as_ref().clone();
        for (key, text) in [
            (LICENCE, header.rights.licence_text()),
            (ATTRIBUTION, header.rights.attribution_text()),
        ] {
            if !text.is_empty() {
                schema.metadata.insert(key.to_owned(), text);
            }
        }
        self.0.begin(|to| StreamWriter::try_new(to, &schema), out)
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        self.0.batch(batch, out)
    }

    fn end(&mut self, _: &Footer<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        self.0.end(|_| {}, out)
    }
}
