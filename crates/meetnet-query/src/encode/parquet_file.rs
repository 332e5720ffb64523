//! One Parquet file, zstd. Row groups leave as they are complete; the footer says `through` and `stable_time`.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::{Encoder, Footer, Header, failed, format_time};
use crate::error::QueryError;

/// Rows of one row group, which is what the writer holds in memory.
const ROW_GROUP_ROWS: usize = 131_072;
const WRITING: &str = "writing Parquet";

/// Bytes the Parquet writer has finished and nobody has taken yet.
#[derive(Clone, Default)]
struct Finished(Arc<Mutex<Vec<u8>>>);

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

#[derive(Default)]
pub(super) struct ParquetFile {
    writer: Option<ArrowWriter<Finished>>,
    finished: Finished,
}

impl ParquetFile {
    fn take(&mut self, out: &mut Vec<u8>) {
        out.append(
            &mut self
                .finished
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
    }
}

impl Encoder for ParquetFile {
    fn begin(&mut self, header: &Header<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let level = ZstdLevel::try_new(3).map_err(|error| failed(WRITING, error))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by("meetnet".to_owned())
            .build();
        let schema = Arc::clone(header.schema);
        let writer = ArrowWriter::try_new(self.finished.clone(), schema, Some(properties));
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

    fn end(&mut self, footer: &Footer<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        if let Some(mut writer) = self.writer.take() {
            let mut facts = vec![
                ("meetnet.through", footer.through.to_string()),
                ("meetnet.stable_time", format_time(footer.stable_time)),
                ("meetnet.truncated", footer.truncated.to_string()),
            ];
            if let Some(as_of) = footer.as_of {
                facts.push(("meetnet.as_of", format_time(as_of)));
            }
            for (key, value) in facts {
                writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
            }
            writer.close().map_err(|error| failed(WRITING, error))?;
        }
        self.take(out);
        Ok(())
    }
}
