//! JSON and newline-delimited JSON. Integers stay numbers up to 2^53 − 1, and are texts beyond; times are RFC 3339, NaN and infinities
//! are null.

use arrow::array::RecordBatch;
use meetnet_model::licence::Rights;
use serde_json::json;

use super::{Encoder, Footer, Header, cell, format_time, type_name};
use crate::error::QueryError;

/// `{"columns":[…],"rows":[[…],…],"row_count":…,"through":…,"stable_time":…,"truncated":…}`; `licences`, `attributions`, `as_of`,
/// `hints` and `next` where there are such
#[derive(Default)]
pub(super) struct Json {
    has_rows: bool,
}

impl Encoder for Json {
    fn begin(&mut self, header: &Header<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let columns: Vec<_> = header
            .schema
            .fields()
            .iter()
            .zip(header.units)
            .map(|(field, unit)| {
                json!({ "name": field.name(), "type": type_name(field.data_type()), "unit": unit })
            })
            .collect();
        out.extend_from_slice(b"{\"columns\":");
        out.extend_from_slice(json!(columns).to_string().as_bytes());
        out.extend_from_slice(b",\"rows\":[");
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let columns = cell::columns(batch)?;
        for row in 0..batch.num_rows() {
            out.extend_from_slice(if self.has_rows { b",\n[" } else { b"\n[" });
            self.has_rows = true;
            for (position, column) in columns.iter().enumerate() {
                if position > 0 {
                    out.push(b',');
                }
                column.write_json(row, out);
            }
            out.push(b']');
        }
        Ok(())
    }

    fn end(&mut self, footer: &Footer<'_>, out: &mut Vec<u8>) -> Result<(), QueryError> {
        out.extend_from_slice(b"\n]");
        write_facts(footer, out);
        Ok(())
    }
}

/// Ends an object behind its rows with what is known of the whole answer.
pub(super) fn write_facts(footer: &Footer<'_>, out: &mut Vec<u8>) {
    let mut end = format!(
        ",\"row_count\":{},\"through\":{},\"stable_time\":\"{}\"",
        footer.rows,
        footer.through,
        format_time(footer.stable_time),
    );
    if let Some(as_of) = footer.as_of {
        end.push_str(&format!(",\"as_of\":\"{}\"", format_time(as_of)));
    }
    end.push_str(&format!(",\"truncated\":{}", footer.truncated));
    let Rights {
        licences,
        attributions,
    } = footer.rights;
    if !licences.is_empty() {
        end.push_str(&format!(",\"licences\":{}", json!(licences)));
    }
    if !attributions.is_empty() {
        end.push_str(&format!(",\"attributions\":{}", json!(attributions)));
    }
    if !footer.hints.is_empty() {
        end.push_str(&format!(",\"hints\":{}", json!(footer.hints)));
    }
    if let Some(next) = footer.next {
        end.push_str(&format!(",\"next\":{}", json!(next)));
    }
    end.push_str("}\n");
    out.extend_from_slice(end.as_bytes());
}

/// One object per line.
#[derive(Default)]
pub(super) struct Ndjson {
    /// `"name":` per column, with the comma before all but the first.
    names: Vec<Vec<u8>>,
}

impl Encoder for Ndjson {
    fn begin(&mut self, header: &Header<'_>, _: &mut Vec<u8>) -> Result<(), QueryError> {
        let names = header.schema.fields().iter().enumerate();
        self.names = names
            .map(|(position, field)| {
                let comma = if position > 0 { "," } else { "" };
                format!("{comma}{}:", json!(field.name())).into_bytes()
            })
            .collect();
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), QueryError> {
        let columns = cell::columns(batch)?;
        for row in 0..batch.num_rows() {
            out.push(b'{');
            for (name, column) in self.names.iter().zip(&columns) {
                out.extend_from_slice(name);
                column.write_json(row, out);
            }
            out.extend_from_slice(b"}\n");
        }
        Ok(())
    }

    fn end(&mut self, _: &Footer<'_>, _: &mut Vec<u8>) -> Result<(), QueryError> {
        Ok(())
    }
}
