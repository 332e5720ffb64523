//! Weather stations that push form fields: Ecowitt's `/data/report/` and Weather Underground's
//! `updateweatherstation.php`.
//!
//! ```text
//! PASSKEY=…&dateutc=2026-06-01+11:59:30&tempf=68.0&humidity=51&baromrelin=29.92&windspeedmph=2.24&…
//! ID=ILEUVE1&PASSWORD=…&dateutc=now&tempf=68.0&dewptf=49.1&baromin=29.92&rainin=0.00&UV=3&…
//! ```
//!
//! - Time: `dateutc`, always UTC; absent or `now`: the receive time (unless declared).
//! - Sensor: of Ecowitt the HMAC of the PASSKEY, of Weather Underground the ID (unless declared), or its HMAC where it is a
//!   MAC address. The listener removes
//!   PASSKEY and PASSWORD before a message is journalled, and leaves the station's pseudonym beside the body; over MQTT
//!   the key is in the body, and only its HMAC leaves it here.
//! - Names count without regard to case. A field that is absent or empty is a sensor that is not there.
//! - `map` adds fields and comes before the built-in ones ([`ecowitt`], [`wunderground`]); a field that it names has the
//!   meaning and the unit that it says, and no other.

mod clock;
mod ecowitt;
mod form;
mod wunderground;

use meetnet_model::declarations::Declarations;
use meetnet_model::reject::RejectReason;
use meetnet_model::source::{
    DECLARED_HARDWARE_ID, Place, Sentinel, SourceDeclaration, StationUnits, WireFormat,
};
use meetnet_model::time::TimeReader;

use crate::error::SetupProblem;
use crate::fields::{FieldNames, Fields, Slot, TextValues};
use crate::format::Body;
use crate::format::mapped::{Document, Finds, FoundId, Mapped, built_in};
use crate::group::{Group, Output, Scratch};
use crate::identity::{IdFault, is_mac_address};
use crate::instant::{self, TimeFault};
use crate::json::read::{self, Reading};
use crate::mapping::MappingFault;
use crate::sentinels::Sentinels;
use crate::topic::TopicPattern;

/// A field that is known: its name in lower case, its property, and the unit in which it is sent.
type Known = (&'static str, &'static str, &'static str);

/// The pseudonym of a station, beside the body.
const STATION_META: &str = "station";
/// The kind of hardware id, as the HMAC takes it: the same where the listener makes the pseudonym.
const PASSKEY: &str = "passkey";

/// The decoder of one source of stations.
#[derive(Clone, Debug)]
pub(crate) struct StationDecoder {
    names: FieldNames,
    sender: Sender,
    date: Slot,
    utc: TimeReader,
    mapped: Mapped,
}

/// Whose names they are.
#[derive(Clone, Debug)]
enum Sender {
    Ecowitt {
        /// `PASSKEY`, of some brands `MAC`.
        keys: [Slot; 2],
    },
    Wunderground {
        id: Slot,
        doubts: Doubts,
    },
}

/// Where not to believe a Weather Underground message.
#[derive(Clone, Debug)]
struct Doubts {
    /// The outdoor temperatures, and the rain that is not believed where one of them says "no sensor".
    outdoors: Vec<Slot>,
    rain: Vec<Slot>,
    sentinels: Sentinels,
    /// What only HP1001 consoles send, and their `UV`, which is no index; none where the map says what it is.
    hp1001: Vec<Slot>,
    uv: Option<Slot>,
}

impl StationDecoder {
    pub(crate) fn compile(
        source: &SourceDeclaration,
        topics: &[TopicPattern],
        declarations: &Declarations,
    ) -> Result<Self, MappingFault> {
        let is_wunderground = source.format == WireFormat::Wunderground;
        let known: &[Known] = match source.units {
            _ if is_wunderground => &wunderground::KNOWN,
            Some(StationUnits::Metric) => &ecowitt::METRIC,
            None => &ecowitt::IMPERIAL,
        };
        let mut names = FieldNames::ignoring_case();
        let declared = declared_names(source);
        let known: Vec<Known> = known
            .iter()
            .filter(|(name, ..)| !declared.iter().any(|taken| taken == name))
            .copied()
            .collect();
        let mut source = source.clone();
        if is_wunderground {
            source
                .sentinels
                .push(Sentinel::Number(wunderground::NO_SENSOR));
        }
        let mapped = Mapped::compile(
            &source,
            topics,
            declarations,
            built_in(declarations, &known),
            Finds::Sensor,
            &mut names,
        )?;
        let of_source = |problem| (None, problem);
        let sender = if is_wunderground {
            let doubts = Doubts::compile(&source, &known, &declared, &mut names);
            Sender::Wunderground {
                id: names.want_name("id").map_err(of_source)?,
                doubts: doubts.map_err(of_source)?,
            }
        } else {
            let mut want = |name| names.want_name(name).map_err(of_source);
            Sender::Ecowitt {
                keys: [want("passkey")?, want("mac")?],
            }
        };
        Ok(Self {
            date: names.want_name("dateutc").map_err(of_source)?,
            utc: instant::utc_reader().map_err(of_source)?,
            names,
            sender,
            mapped,
        })
    }

    /// Decodes the messages of a body: one, or in a file of recorded ones one a line.
    /// The compiled declaration of the source.
    pub(crate) fn mapped(&self) -> &Mapped {
        &self.mapped
    }

    pub(crate) fn decode(&self, body: &Body<'_>, group: &mut Group) {
        let Group {
            output, scratch, ..
        } = group;
        for (position, line) in body.text.lines().enumerate() {
            if !line.trim().is_empty() {
                // Lines of a body are fewer than its bytes, which 32 bits count.
                output.begin_item(position as u32);
                self.message(body, line, output, scratch);
            }
        }
        output.end_items();
    }

    fn message(&self, body: &Body<'_>, form: &str, output: &mut Output, scratch: &mut Scratch) {
        let Scratch { values, row, .. } = scratch;
        if !form::read(&self.names, form, values) {
            output.reject(
                RejectReason::UnexpectedShape,
                "no form fields: a station sends `name=value` pairs with `&` between them",
                form,
            );
            return;
        }
        if let Sender::Wunderground { doubts, .. } = &self.sender {
            doubts.apply(values);
        }
        let fields = values.fields();
        let document = Document {
            fields,
            excerpt: form,
            what: "the station's message",
            missing_id: self.missing_id(),
        };
        let found_id = || self.station(body, &fields);
        let found_time = || self.measured_at(&fields);
        self.mapped
            .emit_or_reject(body, &document, found_id, found_time, row, output);
    }

    fn station<'t>(
        &self,
        body: &Body<'t>,
        fields: &Fields<'t, '_>,
    ) -> Result<FoundId<'t>, IdFault> {
        let found = match &self.sender {
            Sender::Ecowitt { keys } => match body.envelope.meta(STATION_META) {
                Some(pseudonym) => Some(FoundId::Plain(pseudonym.into())),
                None => keys
                    .iter()
                    .find_map(|key| fields.source_text(*key))
                    .map(|key| FoundId::Hardware(PASSKEY, key.into())),
            },
            Sender::Wunderground { id, .. } => fields.source_text(*id).map(|id| {
                // What Weather Underground gives has other letters.
                if is_mac_address(id) {
                    FoundId::Hardware(DECLARED_HARDWARE_ID, id.into())
                } else {
                    FoundId::Plain(id.into())
                }
            }),
        };
        found.ok_or(IdFault::Missing)
    }

    fn measured_at(&self, fields: &Fields<'_, '_>) -> Result<Option<i64>, TimeFault> {
        match fields.source_text(self.date) {
            Some(text) => clock::read(&self.utc, text),
            None => Ok(None),
        }
    }

    fn missing_id(&self) -> &'static str {
        match self.sender {
            Sender::Ecowitt { .. } => {
                "the message has no PASSKEY, so nobody knows which station it is from; declare `sensor_id`"
            }
            Sender::Wunderground { .. } => {
                "the message has no ID, so nobody knows which station it is from; declare `sensor_id`"
            }
        }
    }
}

impl Doubts {
    fn compile(
        source: &SourceDeclaration,
        known: &[Known],
        declared: &[String],
        names: &mut FieldNames,
    ) -> Result<Self, SetupProblem> {
        let mut want_all = |list: &[&str]| -> Result<Vec<Slot>, SetupProblem> {
            list.iter().map(|name| names.want_name(name)).collect()
        };
        let outdoors = want_all(&wunderground::OUTDOORS)?;
        let hp1001 = want_all(&wunderground::HP1001)?;
        let mapped = known.iter().map(|(name, ..)| *name);
        let rain: Vec<&str> = mapped
            .chain(declared.iter().map(String::as_str))
            .filter(|name| name.contains(wunderground::RAIN))
            .collect();
        let rain = want_all(&rain)?;
        let is_known = |name: &str| known.iter().any(|(known, ..)| *known == name);
        let uv = is_known(wunderground::UV).then(|| names.want_name(wunderground::UV));
        Ok(Self {
            outdoors,
            rain,
            sentinels: Sentinels::of(&source.sentinels, &[]),
            hp1001,
            uv: uv.transpose()?,
        })
    }

    /// Takes out values that the station sends without having measured them, or that mean something else.
    fn apply(&self, values: &mut TextValues) {
        let fields = values.fields();
        let is_lost = self.outdoors.iter().any(|slot| {
            let reading = read::number(fields.raw(*slot));
            matches!(reading, Reading::Value(value) if self.sentinels.has(value))
        });
        let is_hp1001 = self.hp1001.iter().any(|slot| fields.has(*slot));
        if is_lost {
            self.rain.iter().for_each(|slot| values.set(*slot, ""));
        }
        if let (true, Some(uv)) = (is_hp1001, self.uv) {
            values.set(uv, "");
        }
    }
}

/// Returns the names that the source's map gives a meaning, in lower case.
fn declared_names(source: &SourceDeclaration) -> Vec<String> {
    let places = source.map.iter().filter_map(|entry| entry.place());
    places
        .map(|place| match place {
            Place::Field(name) => name.to_ascii_lowercase(),
            Place::Pointer(pointer) => pointer.trim_start_matches('/').to_ascii_lowercase(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
