//! The values that a mapping wants of a message, wherever the message keeps them: under JSON Pointers, or in fields
//! that have a name (CSV columns, form fields, line-protocol fields, pairs of name and value).
//!
//! ```text
//! declared places ─ once per source ─▶ slots      WantedPlaces: JsonPlaces, PairPlaces, FieldNames
//! message ─▶ spans, one per slot ─▶ Fields ─▶ json::read::{number, text, …}
//! ```
//!
//! Nothing is built and nothing allocated per message: a span is where the text of a value stands.

pub(crate) mod names;

use meetnet_model::source::Place;

use crate::error::SetupProblem;

pub(crate) use names::{FieldNames, TextValues};

/// The number of one wanted value among the fields of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) u16);

/// The text of a value: bytes `start..end` of a longer text. Empty: the value is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Span {
    /// Returns the span of `part`, which must be a slice of `whole`.
    pub(crate) fn of(part: &str, whole: &str) -> Self {
        let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
        debug_assert!(start + part.len() <= whole.len(), "a span outside its text");
        // Bodies beyond 4 GiB are turned away before they are read.
        Self {
            start: start as u32,
            end: (start + part.len()) as u32,
        }
    }

    /// Returns the text of the value, none where it is absent.
    #[inline]
    pub(crate) fn text(self, whole: &str) -> Option<&str> {
        (self.start < self.end).then(|| whole.get(self.start as usize..self.end as usize))?
    }
}

/// A value as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Raw<'t> {
    /// As JSON writes it: texts have quotes and escapes.
    Json(&'t str),
    /// The text itself.
    Text(&'t str),
}

/// The wanted values of one document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'t, 's> {
    whole: &'t str,
    spans: &'s [Span],
    is_json: bool,
}

impl<'t, 's> Fields<'t, 's> {
    /// Returns the values of a JSON document; `spans` (one per slot) lie in `whole`.
    pub(crate) fn json(whole: &'t str, spans: &'s [Span]) -> Self {
        Self {
            whole,
            spans,
            is_json: true,
        }
    }

    /// Returns values that are plain text; `spans` (one per slot) lie in `whole`.
    pub(crate) fn text(whole: &'t str, spans: &'s [Span]) -> Self {
        Self {
            whole,
            spans,
            is_json: false,
        }
    }

    /// Returns a value, none where it is absent.
    #[inline]
    pub(crate) fn raw(&self, slot: Slot) -> Option<Raw<'t>> {
        let text = self.source_text(slot)?;
        Some(if self.is_json {
            Raw::Json(text)
        } else {
            Raw::Text(text)
        })
    }

    /// Returns a value as it is written, a JSON text without its quotes but with its escapes; none where it is absent.
    #[inline]
    pub(crate) fn unquoted(&self, slot: Slot) -> Option<&'t [u8]> {
        let Span { start, end } = *self.spans.get(usize::from(slot.0))?;
        if start >= end {
            return None;
        }
        let text = self.whole.as_bytes().get(start as usize..end as usize)?;
        match text {
            [b'"', inner @ .., b'"'] if self.is_json => Some(inner),
            text => Some(text),
        }
    }

    /// Returns the text of a value as it stands in the message, quotes included; none where it is absent.
    #[inline]
    pub(crate) fn source_text(&self, slot: Slot) -> Option<&'t str> {
        self.spans.get(usize::from(slot.0))?.text(self.whole)
    }

    /// Returns where a value stands; an empty span where it is absent.
    #[inline]
    pub(crate) fn span(&self, slot: Slot) -> Span {
        let span = self.spans.get(usize::from(slot.0));
        span.copied().unwrap_or_default()
    }

    /// Returns true where the document has the member at all, `null` included.
    #[inline]
    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.source_text(slot).is_some()
    }
}

/// Gives slots to the places that a declaration names. A format brings its own: what a place is depends on it.
pub(crate) trait WantedPlaces {
    /// Returns the slot of a place; one place always has one slot.
    fn want(&mut self, place: Place<'_>) -> Result<Slot, SetupProblem>;
}
