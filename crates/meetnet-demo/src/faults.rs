//! What goes wrong between a sensor and the city, in declared shares.
//!
//! ```text
//! FaultShares + chance ──▶ Option<Fault> ──▶ feed: another time, another value, cut bytes, a second copy
//! ```
//!
//! The shares are those of the demo: high enough that each fault is seen within minutes, low enough that the data
//! stays useful. Deciding only; the feed carries the fault out.

use crate::sensors::{AirReading, WeatherReading};
use crate::traffic::{Mode, QuarterCount};

/// One way for a message to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The same message twice.
    Duplicate,
    /// Minutes to hours old when it is sent. Formats without a time of their own cannot show it.
    Late,
    /// The end of the body is missing.
    Truncated,
    /// A value that cannot be: a broken sensor, an absurd count.
    OutOfRange,
    /// The device's clock is unset or runs ahead. Formats without a time of their own cannot show it.
    WrongClock,
    /// A value, or the decoded part, is missing.
    Missing,
}

/// Share of the messages with each fault, `0..=1`; a message has one at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaultShares {
    /// Share of [`Fault::Duplicate`].
    pub duplicate: f64,
    /// Share of [`Fault::Late`].
    pub late: f64,
    /// Share of [`Fault::Truncated`].
    pub truncated: f64,
    /// Share of [`Fault::OutOfRange`].
    pub out_of_range: f64,
    /// Share of [`Fault::WrongClock`].
    pub wrong_clock: f64,
    /// Share of [`Fault::Missing`].
    pub missing: f64,
}

impl Default for FaultShares {
    fn default() -> Self {
        Self {
            duplicate: 0.01,
            late: 0.005,
            truncated: 0.002,
            out_of_range: 0.002,
            wrong_clock: 0.001,
            missing: 0.002,
        }
    }
}

impl FaultShares {
    /// Shares of a perfect world.
    pub const NONE: Self = Self {
        duplicate: 0.0,
        late: 0.0,
        truncated: 0.0,
        out_of_range: 0.0,
        wrong_clock: 0.0,
        missing: 0.0,
    };

    /// Returns the shares with their faults.
    pub fn shares(&self) -> [(Fault, f64); 6] {
        [
            (Fault::Duplicate, self.duplicate),
            (Fault::Late, self.late),
            (Fault::Truncated, self.truncated),
            (Fault::OutOfRange, self.out_of_range),
            (Fault::WrongClock, self.wrong_clock),
            (Fault::Missing, self.missing),
        ]
    }

    /// Returns the fault of the message that drew `unit` (`0..1`).
    pub fn pick(&self, unit: f64) -> Option<Fault> {
        let mut below = 0.0;
        self.shares().into_iter().find_map(|(fault, share)| {
            below += share;
            (unit < below).then_some(fault)
        })
    }
}

/// Returns how late a late message is, seconds: 5 minutes to 6 hours, short delays more often; `unit` is `0..1`.
pub fn delay_s(unit: f64) -> i64 {
    (300.0 * 72.0_f64.powf(unit)) as i64
}

/// Returns what a clock that is not set shows at `second`; `unit` (`0..1`) decides which way it is wrong.
pub fn wrong_clock(second: i64, unit: f64) -> i64 {
    /// Seconds of 2000-01-01 00:00 UTC, where many real-time clocks begin.
    const YEAR_2000_S: i64 = 946_684_800;
    let since_boot = second.rem_euclid(90_000);
    if unit < 0.4 {
        since_boot
    } else if unit < 0.7 {
        YEAR_2000_S + since_boot
    } else {
        second + 2 * 86_400
    }
}

/// Breaks an air reading: a BME280 that lost its calibration, or a laser at its end stop.
pub fn break_air(reading: &mut AirReading, unit: f64) {
    if unit < 0.6 {
        reading.temperature = -144.71;
        reading.humidity = 100.0;
        reading.pressure_pa = 65_213.4;
    } else {
        reading.pm10 = 1_999.9;
        reading.pm2_5 = 999.9;
    }
}

/// Breaks a weather reading: a cable that is off, or a humidity beyond what there is.
pub fn break_weather(reading: &mut WeatherReading, unit: f64) {
    if unit < 0.5 {
        reading.temperature = 327.6;
    } else {
        reading.humidity = 165.4;
    }
}

/// Breaks a count: a counter that was up for seconds, so that a few passers-by are extrapolated beyond reason.
pub fn break_count(quarter: &mut QuarterCount) {
    quarter.seconds_up = 3;
    quarter.counts[Mode::Car as usize] = [140, 95];
}

#[cfg(test)]
mod tests;
