//! Uplinks of The Things Stack v3: plain, in the storage integration's `{"result": …}` lines, or in the console
//! export's `{"name": "as.up.data.forward", "data": …}`.
//!
//! The map's pointers (and those of `sensor_id` and `time`) are relative to `uplink_message.decoded_payload`, which
//! the device's payload formatter at The Things Stack makes; this decoder knows no device's bytes.
//! - Sensor: the HMAC of `dev_eui` (of application and device id, where an ABP device has none), unless declared.
//! - Time: declared, else `uplink_message.received_at` (network server), else the outer one, else the receive time.
//! - The stack leaves out what is empty, 0 or false: an absent `f_cnt` is 0, an absent `simulated` false. Neither a
//!   row's key nor its values depend on `f_cnt`: one uplink that is delivered twice has the same times twice.
//! - Uplinks that someone simulated in the console are no observations, so they are rejects.

use meetnet_model::declarations::Declarations;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::SourceDeclaration;
use meetnet_model::time::TimeReader;

use crate::error::SetupProblem;
use crate::fields::{Fields, Slot};
use crate::format::mapped::{Document, Finds, FoundId, Mapped};
use crate::format::{Body, reject_malformed};
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

/// The kinds of hardware id, as the HMAC takes them: a DevEUI, and what stands for it where a device has none, its
/// application and name.
pub(crate) const DEV_EUI: &str = "dev_eui";
pub(crate) const DEVICE_OF_APPLICATION: &str = "tts_device";

/// The decoder of one source of The Things Stack uplinks.
#[derive(Clone, Debug)]
pub(crate) struct TtsDecoder {
    shape: Shape,
    slots: Slots,
    mapped: Mapped,
    received_at: TimeReader,
}

/// The parts of an uplink that are the same for every device.
#[derive(Clone, Copy, Debug)]
struct Slots {
    device_id: Slot,
    application_id: Slot,
    dev_eui: Slot,
    uplink_received_at: Slot,
    received_at: Slot,
    simulated: Slot,
    /// Noted where the object is there and not empty.
    end_device_ids: Slot,
    uplink: Slot,
    decoded_payload: Slot,
    /// The name of a console event.
    name: Slot,
}

impl TtsDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        let of_source = |problem| (None, problem);
        let mut shape = Shape::new();
        let payload = Pointer::parse("/uplink_message/decoded_payload").map_err(of_source)?;
        let slots = Slots::want(&mut shape).map_err(of_source)?;
        let mut places = JsonPlaces {
            shape: &mut shape,
            root: &payload,
        };
        let mapped = Mapped::compile(
            source,
            topics,
            declarations,
            Vec::new(),
            Finds::Sensor,
            &mut places,
        )?;
        shape
            .unwrap_members(&["result", "data"])
            .map_err(of_source)?;
        Ok(Self {
            shape,
            slots,
            mapped,
            received_at: instant::utc_reader().map_err(of_source)?,
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
        let text = body.text;
        let error = match tape.read(text) {
            Ok(document) => {
                walk(&self.shape, document, &mut scratch.spans);
                self.uplink(body, text, output, scratch);
                return Ok(());
            }
            Err(error) => error,
        };
        // The storage integration sends one uplink per line; a line that is cut must not take the others with it.
        let documents = || text.lines().filter(|line| !line.trim().is_empty());
        let is_lines = documents().nth(1).is_some()
            && documents().all(|line| line.trim_start().starts_with('{') && line.len() > 2);
        if !is_lines {
            return Err(error);
        }
        for line in documents() {
            match tape.read(line) {
                Ok(document) => {
                    walk(&self.shape, document, &mut scratch.spans);
                    self.uplink(body, line, output, scratch);
                }
                Err(error) => reject_malformed(&error, line, output),
            }
        }
        Ok(())
    }

    /// Decodes one message, whose wanted values stand in `scratch.spans`.
    fn uplink(&self, body: &Body<'_>, document: &str, output: &mut Output, scratch: &mut Scratch) {
        let fields = Fields::json(document, &scratch.spans);
        if let Some((reason, message)) = self.no_payload(&fields) {
            output.reject(reason, message, document);
            return;
        }
        let document = Document {
            fields,
            excerpt: document,
            what: "the decoded payload",
            missing_id: "the uplink has neither `end_device_ids.dev_eui` nor a device id",
        };
        self.mapped.emit_or_reject(
            body,
            &document,
            || self.hardware_id(&fields),
            || self.received_at(&fields),
            &mut scratch.row,
            output,
        );
    }

    /// Returns why the message has no decoded payload to read, if it has none.
    fn no_payload(&self, fields: &Fields<'_, '_>) -> Option<(RejectReason, &'static str)> {
        if !fields.has(self.slots.uplink) {
            let known = fields.has(self.slots.end_device_ids) || fields.has(self.slots.name);
            return Some(if known {
                (
                    RejectReason::NoObservation,
                    "a join, downlink, status or location message: it carries no observation",
                )
            } else {
                (
                    RejectReason::UnexpectedShape,
                    "no message of The Things Stack v3: it has neither `uplink_message` nor `end_device_ids`",
                )
            });
        }
        if read::boolean(fields.raw(self.slots.simulated)) == Reading::Value(true) {
            return Some((
                RejectReason::NoObservation,
                "a simulated uplink from the console: nobody measured it",
            ));
        }
        if !fields.has(self.slots.decoded_payload) {
            return Some((
                RejectReason::NoDecodedPayload,
                "the uplink has no decoded payload; add an uplink payload formatter for the device or its \
                 application at The Things Stack (console: Payload formatters), or see why the one that it has makes \
                 nothing of these bytes",
            ));
        }
        None
    }

    fn hardware_id<'t>(&self, fields: &Fields<'t, '_>) -> Result<FoundId<'t>, IdFault> {
        match read::text(fields.raw(self.slots.dev_eui)) {
            Reading::Value(dev_eui) => return Ok(FoundId::Hardware(DEV_EUI, dev_eui)),
            Reading::Wrong => return Err(IdFault::Wrong),
            Reading::Missing => {}
        }
        match (
            read::text(fields.raw(self.slots.application_id)),
            read::text(fields.raw(self.slots.device_id)),
        ) {
            (Reading::Value(application), Reading::Value(device)) => {
                let device = format!("{application}/{device}");
                Ok(FoundId::Hardware(DEVICE_OF_APPLICATION, device.into()))
            }
            (Reading::Missing, Reading::Value(device)) => {
                Ok(FoundId::Hardware(DEVICE_OF_APPLICATION, device))
            }
            (_, Reading::Missing) => Err(IdFault::Missing),
            _ => Err(IdFault::Wrong),
        }
    }

    /// Returns when the network server had the uplink, or the application server.
    fn received_at(&self, fields: &Fields<'_, '_>) -> Result<Option<i64>, TimeFault> {
        let places = [
            (
                self.slots.uplink_received_at,
                "`uplink_message.received_at`",
            ),
            (self.slots.received_at, "`received_at`"),
        ];
        instant::read_first(&self.received_at, fields, places)
    }
}

impl Slots {
    /// Wants the fixed parts, in the order in which the stack writes them.
    fn want(shape: &mut Shape) -> Result<Self, SetupProblem> {
        let end_device_ids = shape.want_object(&Pointer::parse("/end_device_ids")?)?;
        let uplink = shape.want_object(&Pointer::parse("/uplink_message")?)?;
        let decoded_payload =
            shape.want_object(&Pointer::parse("/uplink_message/decoded_payload")?)?;
        let mut want = |pointer: &str| shape.want(&Pointer::parse(pointer)?);
        Ok(Self {
            end_device_ids,
            uplink,
            decoded_payload,
            name: want("/name")?,
            device_id: want("/end_device_ids/device_id")?,
            application_id: want("/end_device_ids/application_ids/application_id")?,
            dev_eui: want("/end_device_ids/dev_eui")?,
            received_at: want("/received_at")?,
            uplink_received_at: want("/uplink_message/received_at")?,
            simulated: want("/simulated")?,
        })
    }
}

#[cfg(test)]
mod tests;
