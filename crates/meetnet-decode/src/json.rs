//! Reading JSON without building it: pointers are compiled into a shape, one walk finds the wanted values, and each
//! is read as what it must be.
//!
//! `Pointer` → `Shape` (once per source) · body → `walk` → spans → `read::number`, `read::text` … (per message)
//!
//! It knows nothing of formats, datasets or time.

pub(crate) mod lenient;
pub(crate) mod pointer;
pub(crate) mod read;
pub(crate) mod shape;
pub(crate) mod walk;

#[cfg(test)]
mod tests;

use crate::json::shape::Slot;
use crate::json::walk::Span;

/// The wanted values of one document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'t, 's> {
    /// The body.
    pub(crate) whole: &'t str,
    /// One span per slot.
    pub(crate) spans: &'s [Span],
}

impl<'t> Fields<'t, '_> {
    /// Returns the raw JSON text of a value, none where it is absent.
    pub(crate) fn raw(&self, slot: Slot) -> Option<&'t str> {
        self.spans.get(usize::from(slot.0))?.text(self.whole)
    }

    /// Returns true where the document has the member at all, `null` included.
    pub(crate) fn has(&self, slot: Slot) -> bool {
        self.raw(slot).is_some()
    }
}
