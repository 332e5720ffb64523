//! The live feed: which messages the city's sensors send in one second, faults included.
//!
//! ```text
//! City + FaultShares + second ──▶ Vec<LiveMessage>      (a pure function: any second, any order, any number of times)
//! ```
//!
//! Sensors send faster than real ones do, so that a visitor sees the data move. Telraam's counts cannot: they are
//! those of the last closed quarters of an hour, sent again and again as a poller would fetch them; what was sent
//! before changes nothing. It neither reads a clock nor sends; see `publish`.

use std::sync::Arc;

use crate::city::City;
use crate::faults::{self, Fault, FaultShares};
use crate::messages::{self, LoraFrame, Message};
use crate::noise::Noise;
use crate::sensors::{AirSensor, Uplink, WeatherStation};
use crate::traffic::{QUARTER_S, Segment};
use crate::weather::Sky;

/// Seconds between two messages of one air sensor; a real airRohr sends every 145 s.
pub const AIR_PERIOD_S: i64 = 5;
/// Seconds between two uplinks of one LoRaWAN station; real ones send every 5 to 10 minutes.
pub const LORA_PERIOD_S: i64 = 8;
/// Seconds between two messages of one balcony sensor.
pub const ZIGBEE_PERIOD_S: i64 = 4;
/// Seconds between two reports of one segment.
pub const TELRAAM_PERIOD_S: i64 = 12;
/// Number of closed quarters in one report.
const QUARTERS_PER_REPORT: i64 = 2;

/// One message of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveMessage {
    /// What is sent.
    pub message: Message,
    /// What is wrong with it, if anything is. Both copies of a duplicate carry the mark.
    pub fault: Option<Fault>,
}

/// The messages of a city, second by second.
#[derive(Clone, Debug)]
pub struct LiveFeed {
    city: Arc<City>,
    shares: FaultShares,
    noise: Noise,
}

/// What chance decided about one message.
#[derive(Clone, Copy)]
struct Draw {
    fault: Option<Fault>,
    /// When the reading was taken, seconds since 1970.
    taken: i64,
    /// What the device's clock said then.
    stated: i64,
    /// Decides details of the fault, `0..1`.
    detail: f64,
}

impl LiveFeed {
    /// Returns the feed of `city` with declared shares of faults.
    pub fn new(city: Arc<City>, shares: FaultShares) -> Self {
        let noise = city.feed_noise();
        Self {
            city,
            shares,
            noise,
        }
    }

    /// Returns the messages that are sent in `second` (seconds since 1970 UTC), in sending order.
    pub fn messages_at(&self, second: i64) -> Vec<LiveMessage> {
        let sky = self.city.sky(second);
        let mut out = Vec::new();
        for (number, segment) in self.city.segments.iter().enumerate() {
            if is_due(second, number, TELRAAM_PERIOD_S) {
                let draw = self.draw(second, number as u64, true);
                push(&mut out, self.report(segment, &draw), &draw);
            }
        }
        for (number, sensor) in self.city.air_sensors.iter().enumerate() {
            if is_due(second, number, AIR_PERIOD_S) && sensor.site.is_up(second) {
                let draw = self.draw(second, 1_000 + number as u64, false);
                push(&mut out, air_message(sensor, &sky, &draw), &draw);
            }
        }
        for (number, station) in self.city.stations.iter().enumerate() {
            let period_s = match station.uplink {
                Uplink::Lora { .. } => LORA_PERIOD_S,
                Uplink::Zigbee { .. } => ZIGBEE_PERIOD_S,
            };
            if is_due(second, number, period_s) && station.site.is_up(second) {
                let draw = self.draw(second, 2_000 + number as u64, true);
                let earlier = (draw.taken != second).then(|| self.city.sky(draw.taken));
                push(
                    &mut out,
                    station_message(station, &earlier.unwrap_or(sky), &draw),
                    &draw,
                );
            }
        }
        // One kind after the other would show as waves; chance mixes them.
        let order = self.noise.stream(1);
        let mut mixed: Vec<_> = out
            .into_iter()
            .enumerate()
            .map(|(position, message)| {
                (
                    order.bits(second.wrapping_mul(1_000) + position as i64),
                    message,
                )
            })
            .collect();
        mixed.sort_by_key(|(rank, _)| *rank);
        mixed.into_iter().map(|(_, message)| message).collect()
    }

    /// Draws the fate of a sensor's message; `own_time` says whether its format carries a time.
    fn draw(&self, second: i64, sensor: u64, own_time: bool) -> Draw {
        let chance = self.noise.stream(10 + sensor);
        let detail = chance.stream(1).unit(second);
        let fault = self.shares.pick(chance.unit(second));
        let mut draw = Draw {
            fault,
            taken: second,
            stated: second,
            detail,
        };
        match fault {
            Some(Fault::Late) if own_time => {
                draw.taken = second - faults::delay_s(detail);
                draw.stated = draw.taken;
            }
            Some(Fault::WrongClock) if own_time => {
                draw.stated = faults::wrong_clock(second, detail)
            }
            // Without a time of its own a message cannot show these.
            Some(Fault::Late | Fault::WrongClock) => draw.fault = None,
            _ => {}
        }
        draw
    }

    fn report(&self, segment: &Segment, draw: &Draw) -> Message {
        let closed = draw.taken.div_euclid(QUARTER_S) * QUARTER_S;
        let shift = draw.stated - draw.taken;
        let quarters: Vec<_> = (1..=QUARTERS_PER_REPORT)
            .rev()
            .map(|back| {
                let start = closed - back * QUARTER_S;
                let mut quarter = segment.quarter(&self.city.sky(start));
                if draw.fault == Some(Fault::OutOfRange) && back == 1 {
                    faults::break_count(&mut quarter);
                }
                (start + shift, quarter)
            })
            .collect();
        messages::telraam_report(segment, &quarters)
    }
}

/// Spreads the sensors of one kind evenly over their period.
fn is_due(second: i64, number: usize, period_s: i64) -> bool {
    (second + number as i64).rem_euclid(period_s) == 0
}

fn air_message(sensor: &AirSensor, sky: &Sky, draw: &Draw) -> Message {
    let mut reading = sensor.read(sky);
    if draw.fault == Some(Fault::OutOfRange) {
        faults::break_air(&mut reading, draw.detail);
    }
    messages::airrohr(sensor, &reading, draw.fault != Some(Fault::Missing))
}

fn station_message(station: &WeatherStation, sky: &Sky, draw: &Draw) -> Message {
    let mut reading = station.read(sky);
    if draw.fault == Some(Fault::OutOfRange) {
        faults::break_weather(&mut reading, draw.detail);
    }
    let complete = draw.fault != Some(Fault::Missing);
    match &station.uplink {
        Uplink::Lora { device_id, dev_eui } => {
            let frame = LoraFrame {
                application: messages::TTS_APPLICATION,
                device_id,
                dev_eui,
                f_cnt: draw.taken.div_euclid(LORA_PERIOD_S).rem_euclid(1 << 16),
                second: draw.stated,
                decoded: complete,
            };
            messages::tts_uplink(&frame, &reading)
        }
        Uplink::Zigbee { device } => {
            messages::zigbee(device, &reading, draw.stated * 1_000, complete)
        }
    }
}

fn push(out: &mut Vec<LiveMessage>, mut message: Message, draw: &Draw) {
    if draw.fault == Some(Fault::Truncated) {
        // At least one byte stays and at least one goes, so that the rest is never whole.
        let length = message.payload.len();
        message
            .payload
            .truncate(1 + (draw.detail * (length - 1) as f64) as usize);
    }
    let message = LiveMessage {
        message,
        fault: draw.fault,
    };
    if draw.fault == Some(Fault::Duplicate) {
        out.push(message.clone());
    }
    out.push(message);
}

#[cfg(test)]
mod tests;
