//! What a source sends where it has no value: numbers such as -999, texts such as `unavailable`.

use meetnet_model::source::Sentinel;

/// The declared sentinels of a source, or of one field.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sentinels {
    numbers: Vec<f64>,
    texts: Vec<Box<str>>,
}

impl Sentinels {
    /// Returns the sentinels of two lists together.
    pub(crate) fn of(source: &[Sentinel], field: &[Sentinel]) -> Self {
        let mut sentinels = Self::default();
        for sentinel in source.iter().chain(field) {
            match sentinel {
                Sentinel::Number(number) => sentinels.numbers.push(*number),
                Sentinel::Text(text) => sentinels.texts.push(text.as_str().into()),
            }
        }
        sentinels
    }

    /// Returns true where a number, as sent, is no value.
    #[inline]
    pub(crate) fn has(&self, number: f64) -> bool {
        !self.numbers.is_empty() && self.numbers.contains(&number)
    }

    /// Returns true where a text is no value.
    pub(crate) fn has_text(&self, text: &str) -> bool {
        self.texts.iter().any(|sentinel| **sentinel == *text)
    }

    /// Returns true where no text is one, so that none need be looked at.
    pub(crate) fn has_no_texts(&self) -> bool {
        self.texts.is_empty()
    }
}
