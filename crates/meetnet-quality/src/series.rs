//! The backward-looking tests of one series as its observations arrive: push one, get its flags.
//!
//! A series remembers its newest observations by time, not by arrival, so a late one is tested by what was before it and
//! takes its place for what comes after it. What a test would need and the history no longer holds is not evaluated.
//!
//! Most observations are the newest of their series and of a lively one: what they cost does not grow with what is
//! remembered. The rate of change needs one before, a flat line ends at the first value that differs, and a signal of which a
//! part is known to vary enough is not looked through again while that part lies in its period. The newest is held twice, once
//! beside what is asked of every series: who comes after it need not wait for the memory that the others lie in.

use std::cmp::Ordering;
use std::collections::VecDeque;

use meetnet_model::calendar::SECOND_US;
use meetnet_model::quality::{
    AttenuatedSignal, FlatLine, PropertyTests, Quality, RateOfChange, Variation,
};

use crate::backward::{self, Observation, Spread};
use crate::batch::median_gap_s;

/// Observations that a series remembers at most: 5 hours at one in two and a half minutes, 5 days at one per hour.
pub const OBSERVATIONS_MAX: usize = 128;
const _: () = assert!(OBSERVATIONS_MAX <= u8::MAX as usize, "positions are u8");
/// After this many observations the interval of a series is measured again.
pub(crate) const MEASURE_EVERY: u8 = 16;

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
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesHistory {
    /// Ascending by time, each time once.
    pub(crate) observations: VecDeque<Observation>,
    /// The last of them; [`NOTHING`] where there is none. In no state file.
    newest: Observation,
    pub(crate) summary: Summary,
    /// How much the newest of them vary, as was seen last; nothing where one of those has been forgotten or revised since.
    /// In no state file: whoever does not know it looks.
    spread: Spread,
}

/// Stands for the newest of no observations: not later than any.
const NOTHING: Observation = Observation {
    time: i64::MIN,
    value: 0.0,
};

impl Default for SeriesHistory {
    fn default() -> Self {
        Self {
            observations: VecDeque::new(),
            newest: NOTHING,
            summary: Summary::default(),
            spread: Spread::default(),
        }
    }
}

/// What a series knows beside its observations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Summary {
    /// How often the sensor reports, whole seconds; 0 where that is not known yet.
    pub(crate) interval_s: u32,
    /// Observations until the interval is measured again.
    pub(crate) measure_in: u8,
    /// How many gaps between observations are shorter than `interval_s`, in whole seconds. With `longer` it says whether
    /// the median is still the same, without a look at the gaps.
    shorter: u8,
    /// How many are longer.
    longer: u8,
    /// Whether older observations were forgotten.
    pub(crate) has_forgotten: bool,
}

/// What an observation changed in a history, so that it can be taken back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// The observation that was there before, where there was one.
    pub(crate) lost: Observation,
    /// [`Summary::interval_s`] as it was.
    pub(crate) interval_s: u32,
    /// The position that the observation has.
    pub(crate) at: u8,
    pub(crate) effect: PackedEffect,
}

/// What was done with an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// It was put in.
    Added,
    /// It was put in, and the oldest was forgotten.
    Displaced,
    /// It has another value than the one of its time before.
    Replaced,
    /// It is older than everything that there was room for.
    Forgotten,
}

/// An effect with what else the summary was before, in one byte: of these there are as many as rows that are not committed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PackedEffect(u8);

const _: () = assert!(MEASURE_EVERY < 1 << 5, "five bits");

impl PackedEffect {
    fn new(effect: Effect, before: Summary) -> Self {
        let has_forgotten = u8::from(before.has_forgotten) << 2;
        Self((effect as u8) | has_forgotten | (before.measure_in << 3))
    }

    fn effect(self) -> Effect {
        match self.0 & 0b11 {
            0 => Effect::Added,
            1 => Effect::Displaced,
            2 => Effect::Replaced,
            _ => Effect::Forgotten,
        }
    }

    fn has_forgotten(self) -> bool {
        self.0 & 0b100 != 0
    }

    fn measure_in(self) -> u8 {
        self.0 >> 3
    }
}

impl SeriesHistory {
    /// Tests one observation by those before it, and remembers it. Of two of one time the one pushed later is remembered.
    pub fn push(&mut self, tests: &SeriesTests, now: Observation) -> SeriesFlags {
        let mut flags = SeriesFlags::NOT_EVALUATED;
        self.observe(tests, now, &mut flags, |_| {});
        flags
    }

    /// The same; sets the flags of the tests that are declared, and says once what has changed in the history. One that comes
    /// again changes nothing.
    ///
    /// Flags and change are written where they stay, instead of being returned: what is written byte by byte and copied by the
    /// word at once makes the copy wait for as long as the tests take.
    #[inline]
    pub(crate) fn observe(
        &mut self,
        tests: &SeriesTests,
        now: Observation,
        flags: &mut SeriesFlags,
        on_change: impl FnOnce(Change),
    ) {
        let at = self.place_of(now.time);
        let is_newest = at == self.observations.len();
        let is_whole = !self.summary.has_forgotten;
        if let Some(limits) = tests.rate_of_change {
            let before = at.checked_sub(1).map(|before| {
                if is_newest {
                    self.newest
                } else {
                    self.observations[before]
                }
            });
            flags.rate_of_change = backward::rate_of_change(now, before, is_whole, limits);
        }
        let older = || self.observations.range(..at).rev().copied();
        if let Some(limits) = tests.flat_line {
            let values = || older().map(|observation| observation.value);
            let interval_s = self.summary.interval_s;
            flags.flat_line =
                backward::flat_line_behind(now.value, values, is_whole, interval_s, limits);
        }
        if let Some(limits) = tests.attenuated_signal {
            if is_newest && self.varies_enough(now, limits) {
                flags.attenuated_signal = Quality::Pass;
            } else {
                let newest_first = std::iter::once(now).chain(older());
                let (flag, spread) =
                    backward::attenuated_signal_and_spread(newest_first, is_whole, limits);
                flags.attenuated_signal = flag;
                if is_newest && let Some(spread) = spread {
                    self.spread = spread;
                }
            }
        }
        let before = self.summary;
        if let Some((effect, at, lost)) = self.remember(at, now, tests.observations()) {
            on_change(Change {
                lost,
                interval_s: before.interval_s,
                at: at as u8,
                effect: PackedEffect::new(effect, before),
            });
        }
    }

    /// Returns true where what is known already passes a signal that goes on with `now`: it lies in the period, and more values
    /// can only add to its range.
    fn varies_enough(&self, now: Observation, limits: AttenuatedSignal) -> bool {
        let spread = self.spread;
        let begin = now.time - i64::from(limits.period_s) * SECOND_US;
        limits.variation == Variation::Range
            && !now.is_missing()
            && spread.count > 0
            && spread.range >= limits.suspect
            && spread.count >= limits.observations_min
            && spread.since > begin
    }

    /// Takes the newest change back: what a state file has of the history is as it was before it. The rest has to be found
    /// again ([`SeriesHistory::complete`]) before it goes on.
    pub(crate) fn take_back(&mut self, change: &Change) {
        let at = usize::from(change.at);
        match change.effect.effect() {
            Effect::Added => {
                self.observations.remove(at);
            }
            Effect::Displaced => {
                self.observations.remove(at);
                self.observations.push_front(change.lost);
            }
            Effect::Replaced => self.observations[at] = change.lost,
            Effect::Forgotten => {}
        }
        self.summary.interval_s = change.interval_s;
        self.summary.measure_in = change.effect.measure_in();
        self.summary.has_forgotten = change.effect.has_forgotten();
        self.spread = Spread::default();
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
        if self.newest.time >= time {
            self.observations.partition_point(|o| o.time < time)
        } else {
            self.observations.len()
        }
    }

    /// Finds what no state file has of the history in what it has.
    pub(crate) fn complete(&mut self) {
        self.newest = self.observations.back().copied().unwrap_or(NOTHING);
        self.count_gaps();
    }

    /// Puts an observation into its place, the position of the first that is not older. Returns what that was, the position that
    /// the observation has then, and the observation that was there before, where there was one.
    #[inline(always)]
    fn remember(
        &mut self,
        mut at: usize,
        now: Observation,
        observations_max: usize,
    ) -> Option<(Effect, usize, Observation)> {
        if let Some(same) = self.observations.get_mut(at)
            && same.time == now.time
        {
            let replaced = std::mem::replace(same, now);
            if replaced.is_same(now) {
                return None;
            }
            if now.time == self.newest.time {
                self.newest = now;
            }
            self.spread = Spread::default();
            return Some((Effect::Replaced, at, replaced));
        }
        let (mut effect, mut lost) = (Effect::Added, now);
        if self.observations.len() >= observations_max {
            let forgets_first = !self.summary.has_forgotten;
            self.summary.has_forgotten = true;
            if at == 0 {
                return forgets_first.then_some((Effect::Forgotten, 0, now));
            }
            at -= 1;
            if observations_max == 1 && self.observations.len() == 1 {
                // It takes the place of the only one there is, which is the newest.
                self.observations[0] = now;
                self.spread = Spread::default();
                let only = std::mem::replace(&mut self.newest, now);
                return Some((Effect::Displaced, at, only));
            }
            if let Some(oldest) = self.forget_oldest() {
                (effect, lost) = (Effect::Displaced, oldest);
            }
        }
        if at == self.observations.len() {
            self.append(now);
        } else {
            self.insert(at, now);
        }
        if observations_max > 1 {
            self.measure();
        }
        Some((effect, at, lost))
    }

    fn forget_oldest(&mut self) -> Option<Observation> {
        let oldest = self.observations.pop_front()?;
        if oldest.time >= self.spread.since {
            // Here, not where it is asked for: a late one may have come before it by then.
            self.spread = Spread::default();
        }
        if let Some(second) = self.observations.front() {
            self.summary.lose_gap(second.time - oldest.time);
        }
        Some(oldest)
    }

    /// Adds one that is newer than all there are.
    #[inline]
    fn append(&mut self, now: Observation) {
        if !self.observations.is_empty() {
            self.summary.add_gap(now.time - self.newest.time);
        }
        self.observations.push_back(now);
        self.newest = now;
    }

    /// Puts one in before the one at this position. Out of the way of those that are newer than all there are.
    #[inline(never)]
    fn insert(&mut self, at: usize, now: Observation) {
        let newer = self.observations[at].time;
        if let Some(before) = at.checked_sub(1) {
            let older = self.observations[before].time;
            self.summary.lose_gap(newer - older);
            self.summary.add_gap(now.time - older);
        }
        self.summary.add_gap(newer - now.time);
        self.observations.insert(at, now);
    }

    /// Measures the interval now and then: it changes seldom, and a median costs more than all tests together.
    #[inline]
    fn measure(&mut self) {
        if self.summary.interval_s != 0 && self.summary.measure_in > 0 {
            self.summary.measure_in -= 1;
            return;
        }
        self.summary.measure_in = MEASURE_EVERY;
        let gap_count = self.observations.len().saturating_sub(1);
        if !self.summary.is_median(gap_count) {
            self.find_median(gap_count);
        }
    }

    /// Measures it by all gaps, of which there are so many. Out of the way of those who find it as it was.
    #[inline(never)]
    fn find_median(&mut self, gap_count: usize) {
        let mut gaps = [0_i64; OBSERVATIONS_MAX];
        for (place, gap) in gaps.iter_mut().zip(self.gaps()) {
            *place = gap;
        }
        self.summary.interval_s = median_gap_s(&mut gaps[..gap_count]).unwrap_or(0);
        self.count_gaps();
    }

    /// Counts all gaps anew, by the interval that was measured last.
    fn count_gaps(&mut self) {
        let mut summary = Summary {
            shorter: 0,
            longer: 0,
            ..self.summary
        };
        for gap in self.gaps() {
            summary.add_gap(gap);
        }
        self.summary = summary;
    }

    /// Times between neighbours, µs.
    fn gaps(&self) -> impl Iterator<Item = i64> {
        let newer = self.observations.iter().skip(1);
        let pairs = self.observations.iter().zip(newer);
        pairs.map(|(older, newer)| newer.time - older.time)
    }
}

impl Summary {
    fn add_gap(&mut self, gap: i64) {
        match self.compare(gap) {
            Ordering::Less => self.shorter += 1,
            Ordering::Equal => {}
            Ordering::Greater => self.longer += 1,
        }
    }

    fn lose_gap(&mut self, gap: i64) {
        match self.compare(gap) {
            Ordering::Less => self.shorter -= 1,
            Ordering::Equal => {}
            Ordering::Greater => self.longer -= 1,
        }
    }

    /// Compares a gap, in whole seconds, with the interval.
    fn compare(&self, gap: i64) -> Ordering {
        let interval = i64::from(self.interval_s) * SECOND_US;
        if gap < interval {
            Ordering::Less
        } else if gap - interval < SECOND_US {
            Ordering::Equal
        } else {
            Ordering::Greater
        }
    }

    /// Returns true where the interval is the median of so many gaps: then both in the middle, or the one, are as long.
    fn is_median(&self, gaps: usize) -> bool {
        let upper = gaps / 2;
        let lower = gaps.saturating_sub(1) / 2;
        usize::from(self.shorter) <= lower && upper + usize::from(self.longer) < gaps
    }
}

#[cfg(test)]
mod tests;
