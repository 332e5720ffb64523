//! The backward-looking tests of one series as its observations arrive: push one, get its flags.
//!
//! A series remembers its newest observations by time, not by arrival, so a late one is tested by what was before it and
//! takes its place for what comes after it. What a test would need and the history no longer holds is not evaluated.

use std::collections::VecDeque;

use meetnet_model::quality::{AttenuatedSignal, FlatLine, PropertyTests, Quality, RateOfChange};

use crate::backward::{self, Observation};
use crate::batch::median_gap_s;

/// Observations that a series remembers at most: 5 hours at one in two and a half minutes, 5 days at one per hour.
pub const OBSERVATIONS_MAX: usize = 128;
/// After this many observations the interval of a series is measured again.
const MEASURE_EVERY: u8 = 16;

/// The declared tests of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SeriesTests {
    rate_of_change: Option<RateOfChange>,
    flat_line: Option<FlatLine>,
    attenuated_signal: Option<AttenuatedSignal>,
}

/// The flags of one observation; a test that is not declared is not evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesFlags {
    /// Of the rate of change test.
    pub rate_of_change: Quality,
    /// Of the flat line test.
    pub flat_line: Quality,
    /// Of the attenuated signal test.
    pub attenuated_signal: Quality,
    /// Of the spike test, which the settle pass alone runs.
    pub spike: Quality,
    /// Of the neighbour test, which the settle pass alone runs.
    pub neighbour: Quality,
}

impl SeriesFlags {
    /// No test was run.
    pub const NOT_EVALUATED: Self = Self {
        rate_of_change: Quality::NotEvaluated,
        flat_line: Quality::NotEvaluated,
        attenuated_signal: Quality::NotEvaluated,
        spike: Quality::NotEvaluated,
        neighbour: Quality::NotEvaluated,
    };

    /// Takes in the flags of another value of the same row: of each test the worse one stays. That a value is missing says
    /// nothing here.
    pub fn take_in(&mut self, other: Self) {
        let worse = |own: &mut Quality, other: Quality| {
            let rank = |flag| match flag {
                Quality::Missing | Quality::NotEvaluated => 0,
                Quality::Pass => 1,
                Quality::Suspect => 2,
                Quality::Fail => 3,
            };
            if rank(other) > rank(*own) {
                *own = other;
            }
        };
        worse(&mut self.rate_of_change, other.rate_of_change);
        worse(&mut self.flat_line, other.flat_line);
        worse(&mut self.attenuated_signal, other.attenuated_signal);
        worse(&mut self.spike, other.spike);
        worse(&mut self.neighbour, other.neighbour);
    }
}

impl SeriesTests {
    /// Takes the backward-looking tests of a property; None where it has none.
    pub fn new(declared: &PropertyTests) -> Option<Self> {
        let tests = Self {
            rate_of_change: declared.rate_of_change,
            flat_line: declared.flat_line,
            attenuated_signal: declared.attenuated_signal,
        };
        (tests != Self::default()).then_some(tests)
    }

    /// How many observations the tests want at most.
    pub(crate) fn observations(&self) -> usize {
        if self.flat_line.is_none() && self.attenuated_signal.is_none() {
            1
        } else {
            OBSERVATIONS_MAX
        }
    }
}

/// What a series remembers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesHistory {
    /// Ascending by time, each time once.
    pub(crate) observations: VecDeque<Observation>,
    /// Whether older observations were forgotten.
    pub(crate) has_forgotten: bool,
    /// How often the sensor reports, whole seconds; 0 where that is not known yet.
    pub(crate) interval_s: u32,
    /// Observations until the interval is measured again.
    pub(crate) measure_in: u8,
}

impl SeriesHistory {
    /// Tests one observation by those before it, and remembers it. Of two of one time the one pushed later is remembered.
    pub fn push(&mut self, tests: &SeriesTests, now: Observation) -> SeriesFlags {
        self.observe(tests, now).0
    }

    /// The same; also says whether the history has changed. One that comes again changes nothing.
    pub(crate) fn observe(&mut self, tests: &SeriesTests, now: Observation) -> (SeriesFlags, bool) {
        let at = self.place_of(now.time);
        let older = self.observations.range(..at).rev().copied();
        let is_whole = !self.has_forgotten;
        let newest_first = std::iter::once(now).chain(older);
        let before = at.checked_sub(1).map(|before| self.observations[before]);
        let mut flags = SeriesFlags::NOT_EVALUATED;
        if let Some(limits) = tests.rate_of_change {
            flags.rate_of_change = backward::rate_of_change(now, before, is_whole, limits);
        }
        if let Some(limits) = tests.flat_line {
            let values = newest_first.clone().map(|observation| observation.value);
            flags.flat_line = backward::flat_line(values, is_whole, self.interval_s, limits);
        }
        if let Some(limits) = tests.attenuated_signal {
            flags.attenuated_signal = backward::attenuated_signal(newest_first, is_whole, limits);
        }
        (flags, self.remember(at, now, tests.observations()))
    }

    /// Remembers one observation without testing it: the history is then what [`SeriesHistory::push`] leaves.
    pub(crate) fn record(&mut self, now: Observation, observations_max: usize) {
        self.remember(self.place_of(now.time), now, observations_max);
    }

    /// Returns true where it remembers this very observation.
    pub(crate) fn holds(&self, now: Observation) -> bool {
        self.observations
            .get(self.place_of(now.time))
            .is_some_and(|same| same.is_same(now))
    }

    /// How many observations it holds.
    pub fn len(&self) -> usize {
        self.observations.len()
    }

    /// Returns true where nothing was pushed yet.
    pub fn is_empty(&self) -> bool {
        self.observations.is_empty()
    }

    /// The position of the first observation that is not older.
    fn place_of(&self, time: i64) -> usize {
        match self.observations.back() {
            Some(newest) if newest.time >= time => {
                self.observations.partition_point(|o| o.time < time)
            }
            _ => self.observations.len(),
        }
    }

    /// Puts an observation into its place, the position of the first that is not older; returns whether that changed
    /// anything.
    fn remember(&mut self, at: usize, now: Observation, observations_max: usize) -> bool {
        if let Some(same) = self.observations.get_mut(at)
            && same.time == now.time
        {
            let changes = !same.is_same(now);
            same.value = now.value;
            return changes;
        }
        if self.observations.len() >= observations_max {
            let forgets_first = !self.has_forgotten;
            self.has_forgotten = true;
            if at == 0 {
                // Older than everything that is remembered.
                return forgets_first;
            }
            self.observations.pop_front();
            self.observations.insert(at - 1, now);
        } else {
            self.observations.insert(at, now);
        }
        self.measure(observations_max);
        true
    }

    /// Measures the interval now and then: it changes seldom, and a median costs more than all tests together.
    fn measure(&mut self, observations_max: usize) {
        if observations_max == 1 {
            return;
        }
        if self.interval_s != 0 && self.measure_in > 0 {
            self.measure_in -= 1;
            return;
        }
        let mut gaps = [0_i64; OBSERVATIONS_MAX];
        let pairs = self
            .observations
            .iter()
            .zip(self.observations.iter().skip(1));
        for (gap, (older, newer)) in gaps.iter_mut().zip(pairs) {
            *gap = newer.time - older.time;
        }
        let count = self.observations.len().saturating_sub(1);
        self.interval_s = median_gap_s(&mut gaps[..count]).unwrap_or(0);
        self.measure_in = MEASURE_EVERY;
    }
}

#[cfg(test)]
mod tests;
