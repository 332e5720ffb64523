//! InfluxDB line protocol: what Telegraf, airRohr boxes and many gateways write.
//!
//! ```text
//! weather,station=kessel-lo temp=21.5,hum=48i,status="ok" 1780315170000000000
//! └measurement └tags         └fields                      └time, in the precision of the request
//! ```
//!
//! - Time: the line's own, in the unit that the request names (`precision`, beside the body; nanoseconds where it names
//!   none); a line without one was measured when it was received. `time` may declare a field instead.
//! - Sensor: `sensor_id` names a tag or field. Undeclared, it is the HMAC of the tag `node`, as airRohr boxes write it.
//! - `map` names fields or tags ([`place`]). Without a map the fields are airRohr's. What no entry names is not kept; a
//!   line without any value that one names is a reject.
//! - A line that cannot be read is one reject, worded as InfluxDB words it; the others are not touched by it. Rejects
//!   know their line by its position in the body, comments and empty lines included.
//!
//! How it is fast: the lines of a body mostly name the same keys in the same order, so a key is first compared with the
//! one that stood there in the line before, and looked up only where it differs. Nothing is allocated per line.

mod line;
mod place;
mod value;

use std::borrow::Cow;

use hashbrown::HashMap;
use meetnet_model::declarations::Declarations;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::{MapEntry, SourceDeclaration};

use crate::error::SetupProblem;
use crate::fields::{FieldNames, Fields, Slot, Span};
use crate::format::airrohr::{self, CHIP};
use crate::format::mapped::{Document, Finds, FoundId, Mapped, built_in};
use crate::format::{Body, NOT_TEXT};
use crate::group::{Group, Output, Scratch};
use crate::identity::IdFault;
use crate::instant::TimeFault;
use crate::json::read::{self, Reading};
use crate::mapping::MappingFault;
use crate::topic::TopicPattern;

use line::{Fault, Lines, Tokens, without_escapes};
use place::{LinePlaces, device_of_lines, measurements_of, names_line_of};
use value::Precision;

/// The tag by which airRohr boxes name themselves.
const NODE: &str = "node";
/// Beside the body: the unit of its times.
const PRECISION_META: &str = "precision";

/// The decoder of one source of line protocol.
#[derive(Clone, Debug)]
pub(crate) struct InfluxDecoder {
    plans: Vec<Plan>,
    /// The plans of the measurements that the map names.
    measurements: HashMap<Box<str>, usize>,
    /// The plan of every other measurement; none where the map names nothing of those.
    others: Option<usize>,
}

/// What is wanted of the lines of one measurement.
#[derive(Clone, Debug)]
struct Plan {
    names: FieldNames,
    node: Slot,
    mapped: Mapped,
}

/// What a line says beside its values.
struct Line {
    plan: usize,
    /// As it is written, in the request's precision.
    time: Option<i64>,
    has_escapes: bool,
}

/// The keys of the lines of one body, by plan and in the order in which they stood in the line before.
#[derive(Debug, Default)]
pub(crate) struct LineKeys {
    by_plan: Vec<Vec<(Span, Option<Slot>)>>,
    /// The measurement of the line before, as it is written, and its plan.
    measurement: Option<(Span, Option<usize>)>,
}

impl InfluxDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        let mut decoder = Self {
            plans: Vec::new(),
            measurements: HashMap::new(),
            others: None,
        };
        for name in measurements_of(source) {
            let plan = Plan::compile(source, topics, declarations, Some(&name))?;
            decoder.measurements.insert(name, decoder.plans.len());
            decoder.plans.push(plan);
        }
        match Plan::compile(source, topics, declarations, None) {
            Ok(plan) => {
                decoder.others = Some(decoder.plans.len());
                decoder.plans.push(plan);
            }
            // Every entry is for one measurement, or what is for all does not make a row by itself.
            Err((_, SetupProblem::NoMap(_) | SetupProblem::KeyNotMapped { .. }))
                if !decoder.plans.is_empty() => {}
            Err(fault) => return Err(fault),
        }
        Ok(decoder)
    }

    /// Returns the datasets that it fills, by number.
    #[cfg(test)]
    pub(crate) fn datasets(&self) -> Vec<usize> {
        let plans = self.plans.iter();
        plans.flat_map(|plan| plan.mapped.datasets()).collect()
    }

    /// The compiled declaration of the source, as far as it is the same for every measurement.
    pub(crate) fn mapped(&self) -> Option<&Mapped> {
        self.plans.first().map(|plan| &plan.mapped)
    }

    pub(crate) fn decode(&self, body: &Body<'_>, group: &mut Group) {
        let Group {
            output, scratch, ..
        } = group;
        let text = body.text;
        let precision = match body.envelope.meta(PRECISION_META).map(Precision::parse) {
            None => Precision::Nanoseconds,
            Some(Some(precision)) => precision,
            Some(None) => {
                output.reject(
                    RejectReason::UnexpectedShape,
                    "the request names a precision that is none: ns, us, ms, s, m or h",
                    text,
                );
                return;
            }
        };
        let mut keys = std::mem::take(&mut scratch.line_keys);
        keys.start(self.plans.len());
        let mut lines = Lines::new(text, lines_before(body));
        let mut has_lines = false;
        while let Some(span) = lines.next() {
            has_lines = true;
            output.begin_item(lines.position());
            self.line(body, span, precision, &mut keys, output, scratch);
        }
        output.end_items();
        scratch.line_keys = keys;
        if !has_lines {
            output.reject(
                RejectReason::NoObservation,
                "the body has no lines but comments",
                text,
            );
        }
    }

    fn line(
        &self,
        body: &Body<'_>,
        span: Span,
        precision: Precision,
        keys: &mut LineKeys,
        output: &mut Output,
        scratch: &mut Scratch,
    ) {
        let Scratch {
            spans, values, row, ..
        } = scratch;
        let text = body.text;
        let excerpt = span.text(text).unwrap_or_default();
        if body.is_torn_at(excerpt) {
            output.reject(RejectReason::Malformed, NOT_TEXT, excerpt);
            return;
        }
        let line = match self.read(text, span, keys, spans) {
            Ok(Some(line)) => line,
            Ok(None) => {
                let message = "the source's `map` names nothing of this measurement";
                output.reject(RejectReason::NoMappedValue, message, excerpt);
                return;
            }
            Err(fault) => {
                output.reject(RejectReason::Malformed, fault.as_str(), excerpt);
                return;
            }
        };
        let plan = &self.plans[line.plan];
        let fields = if line.has_escapes {
            values.begin(&plan.names);
            for (slot, span) in spans.iter().enumerate() {
                if let Some(written) = span.text(text) {
                    values.set(Slot(slot as u16), &unescaped(text, *span, written));
                }
            }
            values.fields()
        } else {
            Fields::text(text, spans)
        };
        let document = Document {
            fields,
            excerpt,
            what: "the line",
            missing_id: "the line names no sensor: it has no value where `sensor_id` says, or no tag `node` where \
                         nothing is declared",
        };
        let found_id = || match read::text(fields.raw(plan.node)) {
            Reading::Value(node) => Ok(FoundId::Hardware(CHIP, node)),
            Reading::Missing => Err(IdFault::Missing),
            Reading::Wrong => Err(IdFault::Wrong),
        };
        let found_time = || {
            let time = line.time.map(|time| precision.micros(time));
            time.map(|micros| micros.ok_or_else(out_of_range))
                .transpose()
        };
        plan.mapped
            .emit_or_reject(body, &document, found_id, found_time, row, output);
    }

    /// Reads one line and notes into `spans` where the values stand that its plan wants; none where there is no plan.
    /// A line that cannot be read is a fault with or without a plan.
    fn read(
        &self,
        text: &str,
        span: Span,
        keys: &mut LineKeys,
        spans: &mut Vec<Span>,
    ) -> Result<Option<Line>, Fault> {
        let mut tokens = Tokens::new(text, span);
        let measurement = tokens.measurement()?;
        let Some(plan) = keys.plan(text, measurement, |name| self.plan_of(name)) else {
            tokens.rest(|_, _| {})?;
            return Ok(None);
        };
        let wanted = &self.plans[plan].names;
        spans.clear();
        spans.resize(wanted.slots(), Span::default());
        let known = &mut keys.by_plan[plan];
        let mut position = 0;
        let mut has_escapes = false;
        let time = tokens.rest(|key, value| {
            let slot = slot_of(text, key, known, position, wanted);
            position += 1;
            if let Some(slot) = slot {
                spans[usize::from(slot.0)] = value;
                has_escapes |= value.text(text).is_some_and(|value| value.contains('\\'));
            }
        })?;
        Ok(Some(Line {
            plan,
            time,
            has_escapes,
        }))
    }

    fn plan_of(&self, measurement: &str) -> Option<usize> {
        let name = without_escapes(measurement, b", ");
        self.measurements.get(&*name).copied().or(self.others)
    }
}

impl Plan {
    fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        declarations: &Declarations,
        measurement: Option<&str>,
    ) -> Result<Self, MappingFault> {
        let known = if source.map.is_empty() {
            built_in(declarations, &airrohr::VALUE_TYPES)
        } else {
            Vec::new()
        };
        let (positions, map): (Vec<usize>, Vec<MapEntry>) = source
            .map
            .iter()
            .enumerate()
            .filter(|(_, entry)| names_line_of(entry, measurement))
            .map(|(position, entry)| (position, entry.clone()))
            .unzip();
        let devices = source.devices.iter();
        let of_plan = SourceDeclaration {
            devices: devices
                .map(|device| device_of_lines(device, source, measurement))
                .collect(),
            map,
            ..source.clone()
        };
        let mut names = FieldNames::default();
        let mut places = LinePlaces {
            names: &mut names,
            measurement,
        };
        let mapped = Mapped::compile(
            &of_plan,
            topics,
            declarations,
            known,
            Finds::Sensor,
            &mut places,
        )
        .map_err(|(entry, problem)| {
            let declared = entry.and_then(|entry| positions.get(entry).copied());
            (declared, problem)
        })?;
        let node = names.want_name(NODE).map_err(|problem| (None, problem))?;
        Ok(Self {
            names,
            node,
            mapped,
        })
    }
}

impl LineKeys {
    fn start(&mut self, plans: usize) {
        self.measurement = None;
        self.by_plan.iter_mut().for_each(Vec::clear);
        if self.by_plan.len() < plans {
            self.by_plan.resize_with(plans, Vec::new);
        }
    }

    fn plan(
        &mut self,
        text: &str,
        measurement: Span,
        find: impl FnOnce(&str) -> Option<usize>,
    ) -> Option<usize> {
        if let Some((before, plan)) = self.measurement
            && before.text(text) == measurement.text(text)
        {
            return plan;
        }
        let plan = find(measurement.text(text).unwrap_or_default());
        self.measurement = Some((measurement, plan));
        plan
    }
}

/// Returns the slot of the key at that position of a line.
fn slot_of(
    text: &str,
    key: Span,
    known: &mut Vec<(Span, Option<Slot>)>,
    position: usize,
    wanted: &FieldNames,
) -> Option<Slot> {
    let written = key.text(text).unwrap_or_default();
    if let Some((before, slot)) = known.get(position)
        && before.text(text) == Some(written)
    {
        return *slot;
    }
    let slot = wanted.slot(&without_escapes(written, b",= "));
    match known.get_mut(position) {
        Some(place) => *place = (key, slot),
        None => known.push((key, slot)),
    }
    slot
}

/// Returns what a value says whose backslashes mean something: in a text (a quote stands before it) other ones than in
/// a tag.
fn unescaped<'t>(text: &str, span: Span, written: &'t str) -> Cow<'t, str> {
    let before = (span.start as usize).checked_sub(1);
    let is_text = before.and_then(|at| text.as_bytes().get(at)) == Some(&b'"');
    without_escapes(written, if is_text { b"\"\\" } else { b",= " })
}

/// Returns the number of lines that were trimmed from the beginning of the body.
fn lines_before(body: &Body<'_>) -> u32 {
    let payload = body.envelope.payload;
    let payload = payload.strip_prefix(b"\xef\xbb\xbf").unwrap_or(payload);
    let trimmed = payload.iter().take_while(|byte| byte.is_ascii_whitespace());
    // Bodies beyond 4 GiB are turned away.
    trimmed.filter(|byte| **byte == b'\n').count() as u32
}

fn out_of_range() -> TimeFault {
    TimeFault {
        reason: RejectReason::BadTime,
        message: "the time lies outside the years 1 to 9999: is it in the precision that the request names?"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests;
