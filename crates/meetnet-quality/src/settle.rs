//! The tests of whole series, as the settle pass runs them day by day.
//!
//! ```text
//! rows of a series: [ begin of the day - reach ........ | the day | + LOOK_AHEAD_US ] ─▶ flags of the day
//! ```
//!
//! What lies in this window is the series: to give it to `ioos_qc` gives the same flags. So the flags of a day are a function
//! of the rows that are stored, whenever the pass runs and over whatever span.

use std::ops::Range;

use meetnet_model::calendar::{DAY_US, SECOND_US};
use meetnet_model::quality::{
    AttenuatedSignal, FlatLine, Neighbour, PropertyTests, RateOfChange, Spike,
};

use crate::backward::Observation;
use crate::batch;
use crate::series::SeriesFlags;

/// How far behind a day its series goes on, µs: the last values of a day need the ones after them.
pub const LOOK_AHEAD_US: i64 = DAY_US / 4;

/// The declared tests of a series that look at other rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WholeTests {
    rate_of_change: Option<RateOfChange>,
    flat_line: Option<FlatLine>,
    attenuated_signal: Option<AttenuatedSignal>,
    spike: Option<Spike>,
    /// Needs other sensors: whoever knows them runs it.
    pub neighbour: Option<Neighbour>,
}

impl WholeTests {
    /// Takes the tests that look at other rows; None where there is none.
    pub fn new(declared: &PropertyTests) -> Option<Self> {
        let tests = Self {
            rate_of_change: declared.rate_of_change,
            flat_line: declared.flat_line,
            attenuated_signal: declared.attenuated_signal,
            spike: declared.spike,
            neighbour: declared.neighbour,
        };
        (tests != Self::default()).then_some(tests)
    }

    /// How far before a day its series begins, µs: twice the longest period, since intervals are not all the same, and a
    /// day at least.
    pub fn reach_us(&self) -> i64 {
        let flat = self.flat_line.map_or(0, |flat| flat.fail_s);
        let attenuated = self.attenuated_signal.map_or(0, |signal| signal.period_s);
        let longest = i64::from(flat.max(attenuated)) * SECOND_US;
        (2 * longest).max(DAY_US)
    }

    /// Tests the observations at `tested` as part of `series`, which ascends by time. The neighbour test is left out.
    pub fn flags(&self, series: &[Observation], tested: Range<usize>) -> Vec<SeriesFlags> {
        let interval_s = match self.flat_line {
            Some(_) => batch::median_interval_s(series).unwrap_or(0),
            None => 0,
        };
        let flag = |at: usize| {
            let mut flags = SeriesFlags::NOT_EVALUATED;
            if let Some(limits) = self.rate_of_change {
                flags.rate_of_change = batch::rate_of_change_at(series, at, limits);
            }
            if let Some(limits) = self.flat_line {
                flags.flat_line = batch::flat_line_at(series, at, interval_s, limits);
            }
            if let Some(limits) = self.attenuated_signal {
                flags.attenuated_signal = batch::attenuated_signal_at(series, at, limits);
            }
            if let Some(limits) = self.spike {
                flags.spike = batch::spike_at(series, at, limits);
            }
            flags
        };
        tested.map(flag).collect()
    }
}

#[cfg(test)]
mod tests;
