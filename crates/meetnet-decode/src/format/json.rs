//! Generic JSON, read by the declared mapping: zigbee2mqtt, Tasmota, ESPHome and whatever a city's own devices send.
//!
//! The body is one document (an object, or a bare number under the pointer `""`) or an array of documents, each of
//! which is decoded by itself; where a pointer starts with a position (`/0/temp`), an array is one document.

use meetnet_model::declarations::Declarations;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::SourceDeclaration;

use crate::envelope::EnvelopeRef;
use crate::error::SetupProblem;
use crate::format::{Common, reject_id, reject_malformed, reject_time};
use crate::group::{Group, Output, Scratch};
use crate::identity::DeclaredId;
use crate::instant::DeclaredTime;
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
    mapping: Mapping,
    sensor_id: Option<DeclaredId>,
    time: Option<DeclaredTime>,
}

impl JsonDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        let of_source = |problem| (None, problem);
        if source.map.is_empty() {
            return Err((None, SetupProblem::NoMap("json")));
        }
        let mut shape = Shape::new();
        let root = Pointer::default();
        let sensor_id =
            DeclaredId::compile(source, topics, &mut shape, &root).map_err(of_source)?;
        let time = DeclaredTime::compile(source, &mut shape, &root).map_err(of_source)?;
        let mapping = Mapping::compile(&source.map, declarations, |pointer| {
            shape.want(&Pointer::parse(pointer)?)
        })?;
        if let (None, Some(dataset)) = (&sensor_id, mapping.needs_sensor_id(declarations)) {
            return Err((None, SetupProblem::NoSensorId(dataset.id.to_string())));
        }
        Ok(Self {
            shape,
            mapping,
            sensor_id,
            time,
        })
    }

    pub(crate) fn decode(
        &self,
        common: &Common,
        envelope: &EnvelopeRef<'_>,
        text: &str,
        group: &mut Group,
    ) -> Result<(), serde_json::Error> {
        let Group { output, scratch } = group;
        if self.shape.indexes_root() || !elements(text, text, &mut scratch.elements)? {
            walk(&self.shape, text, text, &mut scratch.spans)?;
            self.document(common, envelope, text, text, output, scratch);
            return Ok(());
        }
        if scratch.elements.is_empty() {
            output.reject(
                RejectReason::NoObservation,
                "the body is an empty array",
                text,
            );
        }
        for at in 0..scratch.elements.len() {
            let element = scratch.elements[at].text(text).unwrap_or_default();
            match walk(&self.shape, element, text, &mut scratch.spans) {
                Ok(()) => self.document(common, envelope, text, element, output, scratch),
                Err(error) => reject_malformed(&error, element, output),
            }
        }
        Ok(())
    }

    /// Decodes one document, whose wanted values stand in `scratch.spans`.
    fn document(
        &self,
        common: &Common,
        envelope: &EnvelopeRef<'_>,
        text: &str,
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
        let fields = Fields { whole: text, spans };
        if self.shape.root().slot.is_none() && !document.starts_with(['{', '[']) {
            output.reject(
                RejectReason::UnexpectedShape,
                "the body is a bare value, and the map has no entry with the pointer \"\" for it",
                document,
            );
            return;
        }
        sensor_id.clear();
        if let Some(declared) = &self.sensor_id
            && let Err(fault) = declared.resolve(
                &common.naming,
                envelope.topic,
                &fields,
                hardware_ids,
                sensor_id,
            )
        {
            let missing = "the message has no sensor id where the source's `sensor_id` says";
            reject_id(fault, missing, document, output);
            return;
        }
        let time = match &self.time {
            None => Ok(envelope.received_at),
            Some(declared) => declared
                .resolve(&fields)
                .and_then(|time| common.check_time(time, envelope.received_at)),
        };
        let time = match time {
            Ok(time) => time,
            Err(fault) => return reject_time(&fault, document, output),
        };
        let observation = Observation {
            fields,
            time,
            sensor_id,
            sentinels: &common.sentinels,
            excerpt: document,
        };
        if self.mapping.emit(&observation, floats, output).is_nothing() {
            output.reject(
                RejectReason::NoMappedValue,
                format_args!("the message has no value at {}", self.mapping.wanted()),
                document,
            );
        }
    }
}

#[cfg(test)]
mod tests;
