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

use crate::fields::{Fields, Slot, WantedPlaces};
use crate::format::Body;
use crate::format::mapped::{Document, Finds, FoundId, Mapped};
use crate::group::{Group, Output, Scratch};
use crate::json::places::{ArrayPlaces, Each, PairPlaces, Pairs};
use crate::json::read::{self, Reading};
use crate::json::shape::Shape;
use crate::json::tape::{Value, Values};
use crate::json::walk::walk;
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
            output,
            tape,
            scratch,
            ..
        } = group;
        let document = tape.read(body.text)?;
        let documents = document.elements().filter(|_| !self.shape.indexes_root());
        let Some(documents) = documents else {
            self.document(body, document, output, scratch);
            return Ok(());
        };
        if documents.is_empty() {
            output.reject(
                RejectReason::NoObservation,
                "the body is an empty array",
                body.text,
            );
        }
        for document in documents {
            self.document(body, document, output, scratch);
        }
        Ok(())
    }

    fn document(
        &self,
        body: &Body<'_>,
        value: Value<'_>,
        output: &mut Output,
        scratch: &mut Scratch,
    ) {
        walk(&self.shape, value, &mut scratch.spans);
        let document = value.text();
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
                let array = array(each.array, &each.name, value, output, scratch);
                for part in array.into_iter().flatten() {
                    walk(&each.element, part, &mut scratch.part_spans);
                    each.note(&scratch.part_spans, &mut scratch.spans);
                    self.emit(body, part.text(), output, scratch);
                }
            }
            Arrays::Pairs(pairs) => {
                if let Some(array) = array(pairs.array, &pairs.name, value, output, scratch) {
                    note_pairs(pairs, array, body.text, scratch);
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

/// Returns the elements of an array of a document; where there is none, or nothing in it, makes a reject.
fn array<'t>(
    slot: Slot,
    name: &str,
    document: Value<'t>,
    output: &mut Output,
    scratch: &Scratch,
) -> Option<Values<'t>> {
    let array = document.at(scratch.spans[usize::from(slot.0)]);
    let (reason, message) = match array.and_then(Value::elements) {
        Some(elements) if !elements.is_empty() => return Some(elements),
        Some(_) => (
            RejectReason::NoObservation,
            format!("the array at `{name}` is empty"),
        ),
        None => (
            RejectReason::UnexpectedShape,
            format!("the message has no array at `{name}`"),
        ),
    };
    output.reject(reason, message, document.text());
    None
}

/// Notes the values of pairs in the slots of their names; elements that are no pairs are passed over.
fn note_pairs(pairs: &Pairs, array: Values<'_>, text: &str, scratch: &mut Scratch) {
    for element in array {
        walk(&pairs.element, element, &mut scratch.part_spans);
        let fields = Fields::json(text, &scratch.part_spans);
        let Reading::Value(name) = read::text(fields.raw(pairs.pair_name)) else {
            continue;
        };
        if let Some(slot) = pairs.names.get(&*name) {
            scratch.spans[usize::from(slot.0)] = fields.span(pairs.pair_value);
        }
    }
}

#[cfg(test)]
mod tests;
