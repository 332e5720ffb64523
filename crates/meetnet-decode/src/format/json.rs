//! Generic JSON, read by the declared mapping: zigbee2mqtt, Tasmota, ESPHome and whatever a city's own devices send.
//!
//! The body is one document (an object, or a bare number under the pointer `""`) or an array of documents, each of
//! which is decoded by itself; where a pointer starts with a position (`/0/temp`), an array is one document.

use meetnet_model::declarations::Declarations;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::SourceDeclaration;

use crate::fields::Fields;
use crate::format::Body;
use crate::format::mapped::{Document, Finds, FoundId, Mapped};
use crate::group::{Group, Output, Scratch};
use crate::json::places::JsonPlaces;
use crate::json::pointer::Pointer;
use crate::json::shape::Shape;
use crate::json::walk::{elements, walk};
use crate::mapping::MappingFault;
use crate::topic::TopicPattern;

/// The decoder of one source of generic JSON.
#[derive(Clone, Debug)]
pub(crate) struct JsonDecoder {
    shape: Shape,
    mapped: Mapped,
}

impl JsonDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        let mut shape = Shape::new();
        let mut places = JsonPlaces {
            shape: &mut shape,
            root: &Pointer::default(),
        };
        let mapped = Mapped::compile(
            source,
            topics,
            declarations,
            Vec::new(),
            Finds::Nothing,
            &mut places,
        )?;
        Ok(Self { shape, mapped })
    }

    pub(crate) fn decode(
        &self,
        body: &Body<'_>,
        group: &mut Group,
    ) -> Result<(), serde_json::Error> {
        let Group { output, scratch } = group;
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
        let document = Document {
            fields: Fields::json(body.text, &scratch.spans),
            excerpt: document,
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

#[cfg(test)]
mod tests;
