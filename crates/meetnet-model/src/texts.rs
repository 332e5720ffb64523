//! Texts in the city's languages: Dutch first, then English and French.

use serde::{Deserialize, Serialize};

/// One text in up to three languages; Dutch is required.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Texts {
    /// Dutch.
    pub nl: String,
    /// English.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub en: String,
    /// French.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fr: String,
}

impl Texts {
    /// Returns the text in `language` (`nl`, `en`, `fr`), Dutch where it is missing.
    pub fn get(&self, language: &str) -> &str {
        let text = match language {
            "en" => &self.en,
            "fr" => &self.fr,
            _ => &self.nl,
        };
        if text.is_empty() { &self.nl } else { text }
    }
}
