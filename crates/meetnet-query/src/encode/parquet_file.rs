//! One Parquet file, zstd. Row groups leave as they are complete; the footer says `through` and `stable_time`.

use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::streamed::{Finished, Streamed};
use super::{ATTRIBUTION, Encoder, Footer, Header, LICENCE, failed, format_time};
use crate::error::QueryError;

/// Rows of one row group, which is what the writer holds in memory.
const ROW_GROUP_ROWS: usize = 131_072;
const WRITING: &str = "writing Parquet";

pub(super) struct ParquetFile(Streamed<ArrowWriter<Finished>>);

impl Default for ParquetFile {
    fn default() -> Self {
        Self(Streamed::new(WRITING))
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
        self.0
            .begin(|to| ArrowWriter::try_new(to, schema, Some(properties)), out)
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        self.0.batch(batch, out)
    }

    fn end(&mut self, footer: &Footer<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let mut facts = vec![
            ("meetnet.through", footer.through.to_string()),
            ("meetnet.stable_time", format_time(footer.stable_time)),
            ("meetnet.truncated", footer.truncated.to_string()),
            ("meetnet.rows", footer.rows.to_string()),
        ];
        if !footer.rights.licences.is_empty() {
            facts.push((LICENCE, footer.rights.licence_text()));
        }
        if !footer.rights.attributions.is_empty() {
            facts.push((ATTRIBUTION, footer.rights.attribution_text()));
        }
        if let Some(as_of) = footer.as_of {
            facts.push(("meetnet.as_of", format_time(as_of)));
        }
        let state_facts = |writer: &mut ArrowWriter<Finished>| {
            for (key, value) in facts {
                writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
            }
        };
        self.0.end(state_facts, out)
    }
}
