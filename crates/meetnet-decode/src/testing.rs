//! Test helpers: one source over the built-in datasets, one body, and what it becomes as text.

use std::fmt::Write as _;
use std::sync::Arc;

use meetnet_model::schemas;
use meetnet_model::source::SourceDeclaration;
use meetnet_model::time::parse_rfc3339;

use crate::{DecodeSetupError, Decoded, Decoders, EnvelopeRef};
use meetnet_model::privacy::PrivacyKey;

mod render;

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
            let row = render::row(&rows.batch, row);
            let _ = writeln!(text, "{}{row}", rows.declaration.id);
        }
    }
    for reject in &decoded.rejects {
        let _ = writeln!(text, "{}: {}", reject.reason.as_str(), reject.message);
    }
    text
}
