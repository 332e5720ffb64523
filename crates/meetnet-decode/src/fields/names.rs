//! Fields that have a name and a text: what forms, CSV, the line protocol and SenML come down to.

use std::fmt::Write as _;

use hashbrown::HashMap;
use meetnet_model::source::Place;

use crate::error::SetupProblem;
use crate::fields::{Fields, Slot, Span, WantedPlaces};
use crate::json::pointer::Pointer;

/// Fields that one source can want.
const FIELDS_MAX: usize = 4096;

/// The fields that a source wants, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldNames {
    slots: HashMap<Box<str>, Slot>,
    ignores_case: bool,
}

impl FieldNames {
    /// Returns no fields, for a format in which `tempF` and `tempf` are one field.
    pub(crate) fn ignoring_case() -> Self {
        Self {
            ignores_case: true,
            ..Self::default()
        }
    }

    /// Wants a field; the same name always has the same slot.
    pub(crate) fn want_name(&mut self, name: &str) -> Result<Slot, SetupProblem> {
        let lower_case;
        let name = if self.ignores_case {
            lower_case = name.to_ascii_lowercase();
            &lower_case
        } else {
            name
        };
        if let Some(slot) = self.slots.get(name) {
            return Ok(*slot);
        }
        if self.slots.len() == FIELDS_MAX {
            return Err(SetupProblem::TooManyValues(FIELDS_MAX));
        }
        let slot = Slot(self.slots.len() as u16);
        self.slots.insert(name.into(), slot);
        Ok(slot)
    }

    /// Returns the slot of a field of a message; none where nobody wants it.
    pub(crate) fn slot(&self, name: &str) -> Option<Slot> {
        // Names mostly come in lower case, where that makes no difference: then nothing is allocated.
        if self.ignores_case && name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.slots.get(name.to_ascii_lowercase().as_str()).copied();
        }
        self.slots.get(name).copied()
    }

    /// Returns the number of slots.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }
}

/// A pointer of one step is another way to write a name.
impl WantedPlaces for FieldNames {
    fn want(&mut self, place: Place<'_>) -> Result<Slot, SetupProblem> {
        match place {
            Place::Field(name) => self.want_name(name),
            Place::Pointer(text) => match Pointer::parse(text)?.tokens() {
                [name] => self.want_name(name),
                _ => Err(SetupProblem::FieldWanted(text.to_owned())),
            },
        }
    }
}

/// The values of one message by slot, copied out of it as text: for formats that escape or encode them, so that they do
/// not stand in the body as they are. The buffers are used again for the next message.
#[derive(Debug, Default)]
pub(crate) struct TextValues {
    text: String,
    spans: Vec<Span>,
}

impl TextValues {
    /// Forgets the values of the message before.
    pub(crate) fn begin(&mut self, names: &FieldNames) {
        self.text.clear();
        self.spans.clear();
        self.spans.resize(names.slots(), Span::default());
    }

    /// Sets a value; of a repeated field the last counts.
    pub(crate) fn set(&mut self, slot: Slot, value: &str) {
        self.set_with(slot, |text| text.push_str(value));
    }

    /// Sets a number that was computed, with the digits that read back as the same number.
    pub(crate) fn set_number(&mut self, slot: Slot, value: f64) {
        self.set_with(slot, |text| {
            // Writing to a text does not fail.
            let _ = write!(text, "{value}");
        });
    }

    /// Sets the value that `append` writes to the end of the buffer, for what is decoded on the way.
    pub(crate) fn set_with(&mut self, slot: Slot, append: impl FnOnce(&mut String)) {
        let start = self.text.len();
        append(&mut self.text);
        debug_assert!(start <= self.text.len(), "the buffer was cut");
        self.spans[usize::from(slot.0)] = Span {
            start: start as u32,
            end: self.text.len() as u32,
        };
    }

    /// Returns the values.
    pub(crate) fn fields(&self) -> Fields<'_, '_> {
        Fields::text(&self.text, &self.spans)
    }
}

#[cfg(test)]
mod tests;
