//! Generic JSON, read by the declared mapping: zigbee2mqtt, Tasmota, ESPHome and whatever a city's own devices send.
//!
//! The body is one document (an object, or a bare number under the pointer `""`) or an array of documents, each of
//! which is decoded by itself; where a pointer starts with a position (`/0/temp`), an array is one document.
//!
//! Values that stand in an array within a document come out in two ways. Pointers with `*` (`/readings/*/t`) make each
//! element a message, with what the pointers without `*` find beside the array. `pairs` makes each element a field:
//! `[{"value_type": "P1", "value": 12}]` is the field `P1`.

use meetnet_model::declarations::Declarations;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::SourceDeclaration;

use crate::fields::{Fields, Slot, Span, WantedPlaces};
use crate::format::mapped::{Document, Finds, FoundId, Mapped};
use crate::format::{Body, reject_malformed};
use crate::group::{Group, Output, Scratch};
use crate::json::places::{ArrayPlaces, Each, PairPlaces, Pairs};
use crate::json::read::{self, Reading};
use crate::json::shape::Shape;
use crate::json::walk::{elements, walk};
use crate::mapping::MappingFault;
use crate::topic::TopicPattern;

/// The decoder of one source of generic JSON.
#[derive(Clone, Debug)]
pub(crate) struct JsonDecoder {
    shape: Shape,
    arrays: Arrays,
    mapped: Mapped,
}

/// The array within a document that its values stand in.
#[derive(Clone, Debug)]
enum Arrays {
    None,
    Each(Each),
    Pairs(Pairs),
}

impl JsonDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        let mut shape = Shape::new();
        let compile = |places: &mut dyn WantedPlaces| {
            let built_in = Vec::new();
            Mapped::compile(
                source,
                topics,
                declarations,
                built_in,
                Finds::Nothing,
                places,
            )
        };
        let (arrays, mapped) = match &source.pairs {
            None => {
                let mut each = None;
                let mapped = compile(&mut ArrayPlaces {
                    shape: &mut shape,
                    each: &mut each,
                })?;
                (each.map_or(Arrays::None, Arrays::Each), mapped)
            }
            Some(declared) => {
                let pairs = Pairs::compile(declared, &mut shape);
                let mut pairs = pairs.map_err(|problem| (None, problem))?;
                let mapped = compile(&mut PairPlaces {
                    shape: &mut shape,
                    names: &mut pairs.names,
                })?;
                (Arrays::Pairs(pairs), mapped)
            }
        };
        Ok(Self {
            shape,
            arrays,
            mapped,
        })
    }

    /// Returns the compiled declaration of its source.
    pub(crate) fn mapped(&self) -> &Mapped {
        &self.mapped
    }

    pub(crate) fn decode(
        &self,
        body: &Body<'_>,
        group: &mut Group,
    ) -> Result<(), serde_json::Error> {
        let Group {
            output, scratch, ..
        } = group;
        let text = body.text;
        if self.shape.indexes_root() || !elements(text, text, &mut scratch.elements)? {
            walk(&self.shape, text, text, &mut scratch.spans)?;
            self.document(body, text, output, scratch);
            return Ok(());
        }
        if scratch.elements.is_empty() {
            output.reject(
                RejectReason::NoObservation,
                "the body is an empty array",
                text,
            );
        }
        body.parts(&self.shape, output, scratch, |element, output, scratch| {
            self.document(body, element, output, scratch);
        });
        Ok(())
    }

    /// Decodes one document, whose wanted values stand in `scratch.spans`.
    fn document(
        &self,
        body: &Body<'_>,
        document: &str,
        output: &mut Output,
        scratch: &mut Scratch,
    ) {
        if self.shape.root().slot.is_none() && !document.starts_with(['{', '[']) {
            output.reject(
                RejectReason::UnexpectedShape,
                "the body is a bare value, and the map has no entry with the pointer \"\" for it",
                document,
            );
            return;
        }
        match &self.arrays {
            Arrays::None => self.emit(body, document, output, scratch),
            Arrays::Each(each) => {
                if !array(each.array, &each.name, body, document, output, scratch) {
                    return;
                }
                for at in 0..scratch.part_elements.len() {
                    let part = scratch.part_elements[at]
                        .text(body.text)
                        .unwrap_or_default();
                    if let Err(error) =
                        walk(&each.element, part, body.text, &mut scratch.part_spans)
                    {
                        reject_malformed(&error, part, output);
                        continue;
                    }
                    each.note(&scratch.part_spans, &mut scratch.spans);
                    self.emit(body, part, output, scratch);
                }
            }
            Arrays::Pairs(pairs) => {
                if array(pairs.array, &pairs.name, body, document, output, scratch) {
                    note_pairs(pairs, body.text, scratch);
                    self.emit(body, document, output, scratch);
                }
            }
        }
    }

    /// Makes rows of the values that stand in `scratch.spans`.
    fn emit(&self, body: &Body<'_>, excerpt: &str, output: &mut Output, scratch: &mut Scratch) {
        let document = Document {
            fields: Fields::json(body.text, &scratch.spans),
            excerpt,
            what: "the message",
            missing_id: "the message has no sensor id where the source's `sensor_id` says",
        };
        self.mapped.emit_or_reject(
            body,
            &document,
            || Ok(FoundId::Nobody),
            || Ok(None),
            &mut scratch.row,
            output,
        );
    }
}

/// Notes the elements of an array of a document in `scratch.part_elements`; where there is none, or nothing in it, makes
/// a reject and returns false.
fn array(
    slot: Slot,
    name: &str,
    body: &Body<'_>,
    document: &str,
    output: &mut Output,
    scratch: &mut Scratch,
) -> bool {
    let raw = Fields::json(body.text, &scratch.spans).source_text(slot);
    let is_array = raw.is_some_and(|raw| {
        elements(raw, body.text, &mut scratch.part_elements).unwrap_or_default()
    });
    let (reason, message) = if !is_array {
        (
            RejectReason::UnexpectedShape,
            format!("the message has no array at `{name}`"),
        )
    } else if scratch.part_elements.is_empty() {
        (
            RejectReason::NoObservation,
            format!("the array at `{name}` is empty"),
        )
    } else {
        return true;
    };
    output.reject(reason, message, document);
    false
}

/// Notes the values of pairs in the slots of their names; elements that are no pairs are passed over.
fn note_pairs(pairs: &Pairs, text: &str, scratch: &mut Scratch) {
    for element in &scratch.part_elements {
        let element = element.text(text).unwrap_or_default();
        if walk(&pairs.element, element, text, &mut scratch.part_spans).is_err() {
            continue;
        }
        let fields = Fields::json(text, &scratch.part_spans);
        let Reading::Value(name) = read::text(fields.raw(pairs.pair_name)) else {
            continue;
        };
        if let Some(slot) = pairs.names.get(&*name) {
            let value = fields.source_text(pairs.pair_value);
            scratch.spans[usize::from(slot.0)] =
                value.map(|raw| Span::of(raw, text)).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests;
