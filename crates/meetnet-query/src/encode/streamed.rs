//! A library's writer of record batches, and the buffer between it and an answer that is sent piece by piece: the
//! writer owns what it writes to, so what it has finished is taken out of a shared buffer.

use std::convert::Infallible;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::record_batch::RecordBatchWriter;

use super::failed;
use crate::error::QueryError;

/// Bytes that the writer has finished and nobody has taken yet; clones are the same buffer.
#[derive(Clone, Default)]
pub(super) struct Finished(Arc<Mutex<Vec<u8>>>);

impl Finished {
    fn take(&self, out: &mut Vec<u8>) {
        out.append(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Write for Finished {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The writer of one answer. Each step appends to `out` what it has finished.
pub(super) struct Streamed<W> {
    /// None before the first row and after the last.
    writer: Option<W>,
    finished: Finished,
    /// What is done, for errors.
    operation: &'static str,
}

impl<W: RecordBatchWriter> Streamed<W> {
    pub(super) fn new(operation: &'static str) -> Self {
        Self {
            writer: None,
            finished: Finished::default(),
            operation,
        }
    }

    pub(super) fn begin<E: std::error::Error + Send + Sync + 'static>(
        &mut self,
        open: impl FnOnce(Finished) -> Result<W, E>,
        out: &mut Vec<u8>,
    ) -> Result<(), QueryError> {
        let writer = open(self.finished.clone()).map_err(|error| failed(self.operation, error))?;
        self.writer = Some(writer);
        self.finished.take(out);
        Ok(())
    }

    pub(super) fn batch(
        &mut self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
    ) -> Result<(), QueryError> {
        self.batch_and(batch, |_| Ok::<(), Infallible>(()), out)
    }

    /// Writes rows, and lets `then` finish what the writer still holds.
    pub(super) fn batch_and<E: std::error::Error + Send + Sync + 'static>(
        &mut self,
        batch: &RecordBatch,
        then: impl FnOnce(&mut W) -> Result<(), E>,
        out: &mut Vec<u8>,
    ) -> Result<(), QueryError> {
        if let Some(writer) = &mut self.writer {
            writer
                .write(batch)
                .map_err(|error| failed(self.operation, error))?;
            then(writer).map_err(|error| failed(self.operation, error))?;
        }
        self.finished.take(out);
        Ok(())
    }

    /// Ends the answer; `last` may change the writer before.
    pub(super) fn end(
        &mut self,
        last: impl FnOnce(&mut W),
        out: &mut Vec<u8>,
    ) -> Result<(), QueryError> {
        if let Some(mut writer) = self.writer.take() {
            last(&mut writer);
            writer
                .close()
                .map_err(|error| failed(self.operation, error))?;
        }
        self.finished.take(out);
        Ok(())
    }
}
