//! Uplinks of ChirpStack v4, from its broker (`application/+/device/+/event/up`) or its HTTP integration
//! (`POST …?event=up`). The shape that v3 sends is recognised too.
//!
//! The map's pointers (and those of `sensor_id` and `time`) are relative to what the device profile's codec makes:
//! `object` in v4, the document inside the text `objectJSON` in v3. This decoder knows no device's bytes.
//! - Sensor: the HMAC of `deviceInfo.devEui` (v3: `devEUI`, hexadecimal or base64), unless declared. It is the same id
//!   as that of [`tts`](super::tts), so a device keeps it when a city moves from one network server to the other.
//! - Time: declared, else `time` (when the gateway had the uplink), in v3 `publishedAt`, else `rxInfo[0].time`, else the
//!   receive time. One uplink that is delivered twice has the same times twice, so neither `deduplicationId` nor `fCnt`
//!   (which is left out where it is 0) is needed to know it again.
//! - An uplink without `object` and `data`, as its topic or query says that it is one, is a reject.
//! - Events other than uplinks (`join`, `ack`, `txack`, `status`, `log`, `location`, `integration`) never hold what a
//!   codec made of a measurement. The HTTP integration sends them whether one wants them or not, so they are counted
//!   and are no rejects.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meetnet_model::declarations::Declarations;
use meetnet_model::hex::Hex;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::SourceDeclaration;
use meetnet_model::time::TimeReader;

use crate::envelope::EnvelopeRef;
use crate::error::SetupProblem;
use crate::fields::{Fields, Slot};
use crate::format::Body;
use crate::format::mapped::{Document, Finds, FoundId, Mapped};
use crate::group::{Group, Output, Scratch};
use crate::identity::IdFault;
use crate::instant::{self, TimeFault};
use crate::json::places::JsonPlaces;
use crate::json::pointer::Pointer;
use crate::json::read::{self, Reading};
use crate::json::shape::Shape;
use crate::json::walk::walk;
use crate::mapping::MappingFault;
use crate::topic::TopicPattern;

/// The event of an uplink.
const UPLINK: &str = "up";
/// Events that are no uplinks, as topics and the query `event=` name them.
const OTHER_EVENTS: [&str; 8] = [
    "join",
    "ack",
    "txack",
    "status",
    "log",
    "error",
    "location",
    "integration",
];

/// The decoder of one source of ChirpStack uplinks.
#[derive(Clone, Debug)]
pub(crate) struct ChirpstackDecoder {
    shape: Shape,
    slots: Slots,
    /// What is declared, relative to `object`.
    payload: Mapped,
    /// The same relative to the document in `objectJSON`.
    text_shape: Shape,
    text_payload: Mapped,
    time: TimeReader,
}

/// The parts of an uplink that are the same for every device.
#[derive(Clone, Copy, Debug)]
struct Slots {
    /// Noted where the object is there and not empty.
    device_info: Slot,
    object: Slot,
    dev_eui: Slot,
    time: Slot,
    frame_count: Slot,
    data: Slot,
    object_json: Slot,
    v3_dev_eui: Slot,
    v3_published_at: Slot,
    v3_gateway_time: Slot,
}

impl ChirpstackDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        let of_source = |problem| (None, problem);
        let mut shape = Shape::new();
        let slots = Slots::want(&mut shape).map_err(of_source)?;
        let compile = |shape: &mut Shape, root: &Pointer| {
            let mut places = JsonPlaces { shape, root };
            let built_in = Vec::new();
            Mapped::compile(
                source,
                topics,
                declarations,
                built_in,
                Finds::Sensor,
                &mut places,
            )
        };
        let payload = compile(&mut shape, &Pointer::member("object"))?;
        let mut text_shape = Shape::new();
        let text_payload = compile(&mut text_shape, &Pointer::default())?;
        Ok(Self {
            shape,
            slots,
            payload,
            text_shape,
            text_payload,
            time: instant::utc_reader().map_err(of_source)?,
        })
    }

    /// The compiled declaration of the source.
    pub(crate) fn mapped(&self) -> &Mapped {
        &self.payload
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
        if event_of(body.envelope).is_some_and(|event| OTHER_EVENTS.contains(&event)) {
            output.ignore();
            return Ok(());
        }
        walk(&self.shape, tape.read(body.text)?, &mut scratch.spans);
        self.uplink(body, output, scratch);
        Ok(())
    }

    /// Decodes one message, whose wanted values stand in `scratch.spans`.
    fn uplink(&self, body: &Body<'_>, output: &mut Output, scratch: &mut Scratch) {
        let Scratch {
            spans,
            part_spans,
            text,
            inner,
            row,
            ..
        } = scratch;
        let uplink = Fields::json(body.text, spans);
        let (mapped, fields) = if uplink.has(self.slots.object) {
            (&self.payload, uplink)
        } else {
            match read::text_into(uplink.raw(self.slots.object_json), text) {
                Reading::Value(()) => {}
                Reading::Missing => return self.no_payload(body, &uplink, output),
                Reading::Wrong => {
                    let message = "`objectJSON` is no text";
                    return output.reject(RejectReason::UnexpectedShape, message, body.text);
                }
            }
            match inner.read(text) {
                Ok(document) => walk(&self.text_shape, document, part_spans),
                Err(error) => {
                    let message = format!("the text in `objectJSON` is not JSON: {error}");
                    return output.reject(RejectReason::Malformed, message, body.text);
                }
            }
            (&self.text_payload, Fields::json(text, part_spans))
        };
        let document = Document {
            fields,
            excerpt: body.text,
            what: "the decoded payload",
            missing_id: "the uplink has no `deviceInfo.devEui`",
        };
        mapped.emit_or_reject(
            body,
            &document,
            || self.hardware_id(&uplink),
            || self.received_at(&uplink),
            row,
            output,
        );
    }

    /// Says why a message without a decoded payload has none.
    fn no_payload(&self, body: &Body<'_>, fields: &Fields<'_, '_>, output: &mut Output) {
        let slots = &self.slots;
        let text = body.text;
        let has_data = matches!(read::text(fields.raw(slots.data)), Reading::Value(_));
        let is_device = fields.has(slots.device_info) || fields.has(slots.v3_dev_eui);
        if has_data && is_device {
            output.reject(
                RejectReason::NoDecodedPayload,
                "the uplink has no decoded payload; add a codec to the device profile in ChirpStack (Device profiles: \
                 Codec), or see why the one that it has makes nothing of these bytes",
                text,
            );
        } else if is_device && fields.has(slots.frame_count) {
            output.reject(
                RejectReason::NoObservation,
                "an uplink without a payload: the device only talked to the network",
                text,
            );
        } else if is_device && event_of(body.envelope) == Some(UPLINK) {
            // ChirpStack leaves out `data` where it is empty and `fCnt` where it is 0, so it may be one of those, too.
            output.reject(
                RejectReason::NoObservation,
                "the uplink has neither `object`, in which ChirpStack writes what a codec made, nor `data`: its values \
                 stand elsewhere, or the device only talked to the network",
                text,
            );
        } else if is_device {
            // Sent without its name, by a file or a forwarder; it has nothing of an uplink.
            output.ignore();
        } else {
            output.reject(
                RejectReason::UnexpectedShape,
                "no event of ChirpStack v4: it has no `deviceInfo` (v3: `devEUI`)",
                text,
            );
        }
    }

    fn hardware_id<'t>(&self, fields: &Fields<'t, '_>) -> Result<FoundId<'t>, IdFault> {
        for slot in [self.slots.dev_eui, self.slots.v3_dev_eui] {
            match read::text(fields.raw(slot)) {
                Reading::Value(dev_eui) => {
                    let hexadecimal = hexadecimal_of_base64(&dev_eui).map(Cow::Owned);
                    return Ok(FoundId::Hardware("dev_eui", hexadecimal.unwrap_or(dev_eui)));
                }
                Reading::Wrong => return Err(IdFault::Wrong),
                Reading::Missing => {}
            }
        }
        Err(IdFault::Missing)
    }

    /// Returns when a gateway had the uplink, or the server.
    fn received_at(&self, fields: &Fields<'_, '_>) -> Result<Option<i64>, TimeFault> {
        let places = [
            (self.slots.time, "`time`"),
            (self.slots.v3_published_at, "`publishedAt`"),
            (self.slots.v3_gateway_time, "`rxInfo[0].time`"),
        ];
        instant::read_first(&self.time, fields, places)
    }
}

impl Slots {
    /// Wants the fixed parts, in the order in which v4 writes them.
    fn want(shape: &mut Shape) -> Result<Self, SetupProblem> {
        let device_info = shape.want_object(&Pointer::parse("/deviceInfo")?)?;
        let object = shape.want_object(&Pointer::parse("/object")?)?;
        let mut want = |pointer: &str| shape.want(&Pointer::parse(pointer)?);
        Ok(Self {
            device_info,
            object,
            time: want("/time")?,
            dev_eui: want("/deviceInfo/devEui")?,
            frame_count: want("/fCnt")?,
            data: want("/data")?,
            object_json: want("/objectJSON")?,
            v3_dev_eui: want("/devEUI")?,
            v3_published_at: want("/publishedAt")?,
            v3_gateway_time: want("/rxInfo/0/time")?,
        })
    }
}

/// Returns the event that topic or query name: the last level behind `event`, or the value of `event=`.
fn event_of<'a>(envelope: &EnvelopeRef<'a>) -> Option<&'a str> {
    if let Some((_, event)) = envelope.topic.rsplit_once("/event/") {
        return Some(event);
    }
    let query = envelope.meta("query")?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find_map(|(name, value)| (name == "event").then_some(value))
}

/// Returns the hexadecimal form of a DevEUI that v3 wrote as base64: 8 bytes are 12 characters with one `=`.
pub(crate) fn hexadecimal_of_base64(text: &str) -> Option<String> {
    if text.len() != 12 || !text.ends_with('=') {
        return None;
    }
    let mut bytes = [0; 9];
    let decoded = STANDARD.decode_slice(text, &mut bytes).ok()?;
    let bytes = bytes.get(..decoded)?;
    Some(Hex(bytes).to_string())
}

#[cfg(test)]
mod tests;
