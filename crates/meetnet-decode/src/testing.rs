//! Test helpers: one source over the built-in datasets, one body, and what it becomes as text.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use meetnet_model::schemas;
use meetnet_model::source::SourceDeclaration;
use meetnet_model::time::{format_rfc3339, parse_rfc3339};

use crate::{DecodeSetupError, Decoded, Decoders, EnvelopeRef};
use meetnet_model::privacy::PrivacyKey;

/// When every test message is received.
pub(crate) const RECEIVED: &str = "2026-06-01T12:00:00Z";

pub(crate) fn received_at() -> i64 {
    parse_rfc3339(RECEIVED).unwrap()
}

pub(crate) fn key() -> PrivacyKey {
    PrivacyKey::new("a secret for tests only")
}

/// Reads a source; what it leaves out is filled: id `test`, namespace `ns`, kind `mqtt`, the default time window.
pub(crate) fn source(declaration: &str) -> SourceDeclaration {
    let mut table: toml::Table = toml::from_str(declaration).unwrap();
    let defaults = "id = 'test'\nkind = 'mqtt'\nnamespace = 'ns'\nlicence = 'CC0-1.0'\n\
                    time_window = { back_us = 34560000000000, ahead_us = 3600000000 }";
    for (name, value) in toml::from_str::<toml::Table>(defaults).unwrap() {
        table.entry(name).or_insert(value);
    }
    table.try_into().unwrap()
}

pub(crate) fn try_decoders(declaration: &str) -> Result<Decoders, DecodeSetupError> {
    let declarations = schemas::builtin().into_declarations([source(declaration)]);
    Decoders::new(&Arc::new(declarations), &key())
}

pub(crate) fn decoders(declaration: &str) -> Decoders {
    try_decoders(declaration).unwrap()
}

/// An envelope of the source `test`.
pub(crate) fn envelope<'a>(topic: &'a str, payload: &'a [u8]) -> EnvelopeRef<'a> {
    EnvelopeRef {
        sequence: 1,
        source: "test",
        topic,
        meta: &[],
        payload,
        received_at: received_at(),
        truncated: false,
    }
}

/// Decodes one body and returns its rows and rejects as text.
pub(crate) fn decode(declaration: &str, topic: &str, body: &str) -> String {
    render(&decoders(declaration).decode_body(&envelope(topic, body.as_bytes())))
}

/// Writes one line per row (missing values are left out) and per reject.
pub(crate) fn render(decoded: &Decoded) -> String {
    let mut text = String::new();
    for rows in &decoded.rows {
        for row in 0..rows.batch.num_rows() {
            let _ = writeln!(
                text,
                "{}{}",
                rows.declaration.id,
                render_row(&rows.batch, row)
            );
        }
    }
    for reject in &decoded.rejects {
        let _ = writeln!(text, "{}: {}", reject.reason.as_str(), reject.message);
    }
    text
}

fn render_row(batch: &RecordBatch, row: usize) -> String {
    let mut text = String::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if !column.is_null(row) {
            let _ = write!(text, " {}={}", field.name(), render_cell(column, row));
        }
    }
    text
}

fn render_cell(column: &ArrayRef, row: usize) -> String {
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Boolean => column.as_boolean().value(row).to_string(),
        DataType::Timestamp(..) => {
            format_rfc3339(column.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::List(_) => {
            let list = column.as_list::<i32>().value(row);
            format!("{:?}", list.as_primitive::<Float64Type>().values().to_vec())
        }
        other => panic!("no declared column has type {other}"),
    }
}
