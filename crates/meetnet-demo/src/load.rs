//! The load generator's messages: any number of devices that speak every wire format, and what their rows must be.
//!
//! ```text
//! LoadPlan ─▶ Load ──number──▶ Unit { what to send, how often, what becomes of it } ─▶ sender ─▶ deliveries
//!                                                            └────────────────────────▶ Tally ─▶ Expectation
//! ```
//!
//! A unit is a pure function of plan and number, so a run of any length needs no list of what it sent. Message `n` is
//! of lane `n % lanes` (a format over a transport), of its device `(n / lanes) % devices`, and is that device's
//! `n / (lanes * devices)`-th. Each reading of a device has a second of its own (a quarter of an hour for traffic
//! counts), counted back from the plan's end. Late readings lie in a stretch of their own before all others. So every
//! key occurs once, except in messages that are sent twice on purpose, and rows can be counted without remembering keys.
//!
//! What rows a message becomes is computed from the numbers that went into it, by the formats' documentation: decoders
//! are not asked, or the check would prove nothing. Values are whole ten-thousandths of the canonical unit, so their
//! sums are exact in any order.

mod build;
pub mod expect;
pub mod lane;
pub mod mqtt;
pub mod sources;

use crate::city::City;
use crate::faults::{Fault, FaultShares};
use crate::noise::Noise;
use crate::traffic::Segment;

use expect::{Effects, Selection};
use lane::{Lane, LoadFormat, Transport};

/// Most devices of a lane: their numbers have six digits.
pub const DEVICES_MAX: u32 = 1_000_000;
/// Most readings of one message.
pub const BATCH_MAX: u32 = 100_000;
/// How far back times may lie, seconds: sources take 400 days unless they say otherwise.
const BACK_MAX_S: i64 = 390 * DAY_S;
const DAY_S: i64 = 86_400;
/// What late readings are late by at least, seconds.
const LATE_S: i64 = DAY_S;
/// Longest prefix of source ids.
const PREFIX_BYTES_MAX: usize = 40;

/// What to send.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// Every value, fault and device id follows from it and from `until_s`.
    pub seed: u64,
    /// The time that readings lead up to, seconds since 1970: about now.
    pub until_s: i64,
    /// Formats over transports, in turn.
    pub lanes: Vec<Lane>,
    /// Devices per lane.
    pub devices: u32,
    /// Messages in all, second copies not counted.
    pub messages: u64,
    /// Readings in a message of CSV, NDJSON or line protocol.
    pub batch: u32,
    /// Shares of messages with a fault; `wrong_clock` and `missing` have no meaning here.
    pub faults: FaultShares,
    /// What the ids of the sources begin with.
    pub prefix: String,
    /// What a Weather Underground station sends as its password: the token of the source.
    pub password: Option<String>,
}

/// Why a plan cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// Nothing to send over.
    #[error("no format is left to send: influx-v2 and sensor-community go over HTTP only")]
    NoLanes,
    /// A number that is out of its range.
    #[error("{name} must lie between 1 and {max}")]
    Number {
        /// What is wrong.
        name: &'static str,
        /// The largest that is taken.
        max: u64,
    },
    /// Shares of faults that are none.
    #[error("shares of faults lie between 0 and 1, and all together are at most 1")]
    Shares,
    /// A prefix that cannot stand in ids and topics.
    #[error("the prefix `{0}` is none: up to 40 lower-case letters, digits and -, a letter first")]
    Prefix(String),
    /// Times would lie further back than sources take.
    #[error(
        "{readings} readings of each {format} device reach back further than the 390 days that sources take; \
         use more devices, or fewer messages"
    )]
    TooFarBack {
        /// The format.
        format: &'static str,
        /// Readings per device.
        readings: u64,
    },
}

/// The messages of a plan.
#[derive(Clone, Debug)]
pub struct Load {
    plan: LoadPlan,
    tag: String,
    noise: Noise,
    /// Whose speeds all traffic counters show.
    segment: Segment,
}

/// One message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Its lane: the position in [`Load::lanes`].
    pub lane: usize,
    /// What is sent.
    pub outgoing: Outgoing,
    /// How often: 2 where it is a duplicate.
    pub copies: u32,
    /// What becomes of it.
    pub effects: Effects,
}

/// A message with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The topic, or the path with its query.
    pub place: String,
    /// Whether it is asked with GET, the message being the query.
    pub is_get: bool,
    /// Headers of a request.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub payload: Vec<u8>,
}

/// What a device measured, in numbers that formats write exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    /// Seconds since 1970.
    second: i64,
    /// Air temperature, halves of a °C.
    half_degrees: i64,
    /// Relative humidity, %.
    percent: i64,
    /// PM2.5 and PM10, hundredths of a µg/m³.
    pm2_5: i64,
    pm10: i64,
    /// Air pressure, Pa.
    pascals: i64,
    /// Passers-by in the quarter of an hour, from each side.
    cars: [u32; 2],
    bikes: [u32; 2],
}

impl Load {
    /// Checks a plan.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn new(plan: LoadPlan) -> Result<Self, LoadError> {
        if plan.lanes.is_empty() {
            return Err(LoadError::NoLanes);
        }
        let number = |name, value: u64, max: u64| {
            let fits = (1..=max).contains(&value);
            fits.then_some(()).ok_or(LoadError::Number { name, max })
        };
        number(
            "the number of devices",
            plan.devices.into(),
            DEVICES_MAX.into(),
        )?;
        number("the number of messages", plan.messages, 1 << 50)?;
        number("the batch", plan.batch.into(), BATCH_MAX.into())?;
        let shares = plan.faults.shares().map(|(_, share)| share);
        let is_share = |share: &f64| (0.0..=1.0).contains(share);
        if !shares.iter().all(is_share) || shares.iter().sum::<f64>() > 1.0 {
            return Err(LoadError::Shares);
        }
        let is_prefix = plan.prefix.len() <= PREFIX_BYTES_MAX
            && plan
                .prefix
                .starts_with(|first: char| first.is_ascii_lowercase())
            && plan
                .prefix
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_prefix {
            return Err(LoadError::Prefix(plan.prefix));
        }
        let noise = Noise::new(plan.seed).stream(plan.until_s as u64);
        let load = Self {
            tag: format!("{:08x}", noise.bits(0) >> 32),
            noise,
            segment: City::new(plan.seed).segments.swap_remove(0),
            plan,
        };
        for lane in &load.plan.lanes {
            let readings = load.readings(*lane);
            let step = lane.format.step_s();
            let span = i64::try_from(readings).unwrap_or(i64::MAX);
            let span = span.saturating_mul(2 * step);
            if span > BACK_MAX_S - LATE_S - step {
                return Err(LoadError::TooFarBack {
                    format: lane.format.as_str(),
                    readings,
                });
            }
        }
        Ok(load)
    }

    /// Returns the plan.
    pub fn plan(&self) -> &LoadPlan {
        &self.plan
    }

    /// Returns what the ids of this run's devices begin with: eight hexadecimal digits.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Returns the lanes, in turn.
    pub fn lanes(&self) -> &[Lane] {
        &self.plan.lanes
    }

    /// Returns how the rows of a lane are told from all others. `sent` is the time of the run, RFC 3339, with some
    /// allowance for clocks that differ: it counts only where devices are pseudonyms.
    pub fn selection(&self, lane: Lane, sent: &[String; 2]) -> Selection {
        let source = lane.source_id(&self.plan.prefix);
        if lane.format == LoadFormat::Telraam {
            return Selection::Segments {
                first: self.segment_id(lane, 0),
                last: self.segment_id(lane, DEVICES_MAX - 1),
            };
        }
        if lane.hides_devices() {
            let [from, to] = sent.clone();
            return Selection::ReceivedBetween { from, to };
        }
        Selection::SensorsBeginning(format!("{source}-{}", self.device_prefix(lane)))
    }

    /// Returns message `number`, `0..plan.messages`.
    pub fn unit(&self, number: u64) -> Unit {
        let lanes = self.plan.lanes.len() as u64;
        let position = (number % lanes) as usize;
        let lane = self.plan.lanes[position];
        let device = (number / lanes % u64::from(self.plan.devices)) as u32;
        let turn = number / (lanes * u64::from(self.plan.devices));
        let draw = self.noise.stream(u64::MAX).unit(number as i64);
        let fault = self.plan.faults.pick(draw);

        let batch = u64::from(self.batch(lane));
        let mut readings: Vec<Reading> = (turn * batch..(turn + 1) * batch)
            .map(|index| self.reading(lane, device, index as i64, fault == Some(Fault::Late)))
            .collect();
        if fault == Some(Fault::OutOfRange)
            && let Some(first) = readings.first_mut()
        {
            first.half_degrees = 199;
            first.cars = [30_000, 0];
        }
        let is_truncated = fault == Some(Fault::Truncated);
        Unit {
            lane: position,
            outgoing: self.outgoing(lane, device, &readings, is_truncated),
            copies: if fault == Some(Fault::Duplicate) {
                2
            } else {
                1
            },
            effects: Effects::of(lane.format, &readings, is_truncated),
        }
    }

    /// Returns the readings in a message of the lane.
    fn batch(&self, lane: Lane) -> u32 {
        if lane.format.is_table() {
            self.plan.batch
        } else {
            1
        }
    }

    /// Returns the most readings that one device of the lane has.
    fn readings(&self, lane: Lane) -> u64 {
        let devices = self.plan.lanes.len() as u64 * u64::from(self.plan.devices);
        let turns = self.plan.messages.div_ceil(devices);
        turns.saturating_mul(self.batch(lane).into())
    }

    fn reading(&self, lane: Lane, device: u32, index: i64, is_late: bool) -> Reading {
        let step = lane.format.step_s();
        let until = self.plan.until_s.div_euclid(step) * step;
        let first = until - self.readings(lane) as i64 * step;
        let second = if is_late {
            first - LATE_S - (index + 1) * step
        } else {
            first + index * step
        };
        let chance = self
            .noise
            .stream(lane.number().into())
            .stream(device.into());
        // Whole numbers of `count` from `low` on; each quantity has its own stream.
        let draw = |quantity: u64, low: i64, count: usize| {
            low + chance.stream(quantity).position(index, count) as i64
        };
        let people = |quantity| draw(quantity, 1, 200) as u32;
        let pm2_5 = draw(2, 100, 6_000);
        Reading {
            second,
            half_degrees: draw(0, -20, 90),
            percent: draw(1, 20, 76),
            pm2_5,
            pm10: pm2_5 + draw(3, 50, 3_000),
            pascals: draw(4, 98_000, 5_000),
            cars: [people(5), people(6)],
            bikes: [people(7), people(8)],
        }
    }

    /// Returns the tag as a number below 2³².
    fn tag_number(&self) -> u64 {
        self.noise.bits(0) >> 32
    }

    fn segment_id(&self, lane: Lane, device: u32) -> i64 {
        let run = (self.tag_number() % 100_000) as i64;
        1_000_000_000_000
            + run * 100_000_000
            + i64::from(lane.number()) * i64::from(DEVICES_MAX)
            + i64::from(device)
    }

    /// Returns what the names of the lane's devices begin with, as its rows have them.
    fn device_prefix(&self, lane: Lane) -> String {
        match lane.format {
            // A DevEUI has hexadecimal digits only.
            LoadFormat::Chirpstack | LoadFormat::ChirpstackV3 => {
                format!("{}{:02x}", self.tag, lane.number())
            }
            _ => format!("{}-", self.tag),
        }
    }

    /// Returns the name of a device, where it has one that is no hardware id.
    fn station(&self, lane: Lane, device: u32) -> String {
        match lane.format {
            LoadFormat::Chirpstack | LoadFormat::ChirpstackV3 => self.dev_eui(lane, device),
            _ => format!("{}{device:06}", self.device_prefix(lane)),
        }
    }

    /// Returns the DevEUI of a device: 16 hexadecimal digits.
    fn dev_eui(&self, lane: Lane, device: u32) -> String {
        format!("{}{:02x}{device:06x}", self.tag, lane.number())
    }

    /// Returns the chip id of a box.
    fn chip_id(&self, lane: Lane, device: u32) -> String {
        let run = self.tag_number() * 100 + u64::from(lane.number());
        (run * u64::from(DEVICES_MAX) + u64::from(device)).to_string()
    }

    /// Returns the PASSKEY of a gateway: 32 hexadecimal digits.
    fn passkey(&self, lane: Lane, device: u32) -> String {
        let own = self
            .noise
            .stream(lane.number().into())
            .stream(device.into());
        format!("{:016X}{:016X}", own.bits(-1), own.bits(-2))
    }

    /// Returns the password in the messages of the lane's stations.
    fn password(&self, lane: Lane) -> Option<&str> {
        // Over MQTT it would stand in the message for nothing, and be journalled with it.
        let is_pushed = lane.transport == Transport::Http;
        self.plan.password.as_deref().filter(|_| is_pushed)
    }
}

#[cfg(test)]
mod tests;
