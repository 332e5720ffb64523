//! CSV after RFC 4180: header line, CRLF, quotes where needed. Null is nothing, an empty text is `""`.

use arrow::array::RecordBatch;

use super::{Encoder, Footer, Header, cell};
use crate::error::QueryError;

pub(super) struct Csv;

impl Encoder for Csv {
    fn begin(&mut self, header: &Header<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        for (position, field) in header.schema.fields().iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            write_field(field.name().as_bytes(), out);
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let columns = cell::columns(batch)?;
        let mut text = Vec::new();
        for row in 0..batch.num_rows() {
            for (position, column) in columns.iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                if !column.is_null(row) {
                    if let Some(text) = column.text(row) {
                        write_field(text.as_bytes(), out);
                    } else if column.is_list() {
                        text.clear();
                        column.write_text(row, &mut text);
                        write_field(&text, out);
                    } else {
                        // Numbers and times need no quotes.
                        column.write_text(row, out);
                    }
                } else if columns.len() == 1 {
                    // A line of nothing would be read as no line.
                    out.extend_from_slice(b"\"\"");
                }
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn end(&mut self, _: &Footer<'_>, _: &mut Vec<u8>) -> Result<(), QueryError> {
        Ok(())
    }
}

fn write_field(text: &[u8], out: &mut Vec<u8>) {
    let plain = !text.is_empty()
        && !text
            .iter()
            .any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n'));
    if plain {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for byte in text {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
