//! Arrow IPC streaming format, uncompressed: every Arrow library reads it.

use arrow::array::RecordBatch;
use arrow::ipc::writer::StreamWriter;

use super::{Encoder, Footer, Header, failed};
use crate::error::QueryError;

#[derive(Default)]
pub(super) struct ArrowStream {
    writer: Option<StreamWriter<Vec<u8>>>,
}

const WRITING: &str = "writing Arrow";

impl ArrowStream {
    fn take(&mut self, out: &mut Vec<u8>) {
        if let Some(writer) = &mut self.writer {
            out.append(writer.get_mut());
        }
    }
}

impl Encoder for ArrowStream {
    fn begin(&mut self, header: &Header<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let writer = StreamWriter::try_new(Vec::new(), header.schema);
        self.writer = Some(writer.map_err(|error| failed(WRITING, error))?);
        self.take(out);
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        if let Some(writer) = &mut self.writer {
            writer
                .write(batch)
                .map_err(|error| failed(WRITING, error))?;
        }
        self.take(out);
        Ok(())
    }

    fn end(&mut self, _: &Footer<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        if let Some(writer) = &mut self.writer {
            writer.finish().map_err(|error| failed(WRITING, error))?;
        }
        self.take(out);
        Ok(())
    }
}
