//! Sources as configuration writes them, for tests that decode.

use std::sync::Arc;

use meetnet_model::declarations::Declarations;
use meetnet_model::schemas;
use meetnet_model::source::SourceDeclaration;

/// How messages get here is the configuration's business, and no part of a declaration.
const TRANSPORT_KEYS: [&str; 4] = [
    "url",
    "watch_broker_drops",
    "database",
    "requests_per_second_max",
];

/// Reads the sources of a configuration; what it would fill in is filled in here.
pub(crate) fn declarations(text: &str) -> Arc<Declarations> {
    let mut text: toml::Table = toml::from_str(text).unwrap();
    let Some(toml::Value::Array(sources)) = text.remove("source") else {
        panic!("no [[source]]")
    };
    let sources = sources.into_iter().map(|source| {
        let toml::Value::Table(mut source) = source else {
            panic!("a source is a table")
        };
        for key in TRANSPORT_KEYS {
            source.remove(key);
        }
        let id = source["id"].clone();
        source.entry("namespace").or_insert(id);
        let window = "back_us = 34560000000000\nahead_us = 3600000000";
        source.insert("time_window".to_owned(), toml::from_str(window).unwrap());
        source.try_into::<SourceDeclaration>().unwrap()
    });
    Arc::new(schemas::builtin().into_declarations(sources))
}
