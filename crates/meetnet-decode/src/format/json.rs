//! Generic JSON, read by the declared mapping: zigbee2mqtt, Tasmota, ESPHome and whatever a city's own devices send.
//!
//! The body is one document (an object, or a bare number under the pointer `""`) or an array of documents, each of
//! which is decoded by itself; where a pointer starts with a position (`/0/temp`), an array is one document.

use meetnet_model::declarations::Declarations;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::SourceDeclaration;

use crate::error::SetupProblem;
use crate::format::Body;
use crate::format::declared::Declared;
use crate::group::{Group, Output, Scratch};
use crate::json::Fields;
use crate::json::pointer::Pointer;
use crate::json::shape::Shape;
use crate::json::walk::{elements, walk};
use crate::mapping::{Mapping, MappingFault, Observation};
use crate::topic::TopicPattern;

/// The decoder of one source of generic JSON.
#[derive(Clone, Debug)]
pub(crate) struct JsonDecoder {
    shape: Shape,
    declared: Declared,
    mapping: Mapping,
}

impl JsonDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        let mut shape = Shape::new();
        let root = Pointer::default();
        let declared = Declared::compile(source, topics, &mut shape, &root)
            .map_err(|problem| (None, problem))?;
        let mapping = Mapping::of_pointers(source, declarations, &mut shape, &root)?;
        if let (false, Some(dataset)) = (
            declared.names_sensor(),
            mapping.needs_sensor_id(declarations),
        ) {
            return Err((None, SetupProblem::NoSensorId(dataset.id.to_string())));
        }
        Ok(Self {
            shape,
            declared,
            mapping,
        })
    }

    /// Returns what the source declares of sensor and time.
    pub(crate) fn declared(&self) -> &Declared {
        &self.declared
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
        let Scratch {
            spans,
            sensor_id,
            floats,
            hardware_ids,
            ..
        } = scratch;
        let fields = Fields {
            whole: body.text,
            spans,
        };
        if self.shape.root().slot.is_none() && !document.starts_with(['{', '[']) {
            output.reject(
                RejectReason::UnexpectedShape,
                "the body is a bare value, and the map has no entry with the pointer \"\" for it",
                document,
            );
            return;
        }
        let named = self
            .declared
            .name(body, &fields, || Ok(None), hardware_ids, sensor_id);
        let time = match named.and_then(|()| self.declared.time(body, &fields, || Ok(None))) {
            Ok(time) => time,
            Err(fault) => {
                let missing = "the message has no sensor id where the source's `sensor_id` says";
                return fault.reject(missing, document, output);
            }
        };
        let observation = Observation {
            fields,
            time,
            sensor_id,
            sentinels: &body.common.sentinels,
            excerpt: document,
        };
        self.mapping
            .emit_or_reject(&observation, "the message", floats, output);
    }
}

#[cfg(test)]
mod tests;
