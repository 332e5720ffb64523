//! Tests of a value by those before it. Each takes the values newest first, the one under test included, so that a
//! history and a slice are tested by the same code.

use std::ops::ControlFlow;

use meetnet_model::calendar::SECOND_US;
use meetnet_model::quality::{AttenuatedSignal, FlatLine, Quality, RateOfChange, Variation};

/// One value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Microseconds since 1970, UTC.
    pub time: i64,
    /// In the unit of the property; not finite where the value is missing.
    pub value: f64,
}

impl Observation {
    /// Returns true where the value is missing.
    #[inline]
    pub fn is_missing(self) -> bool {
        !self.value.is_finite()
    }

    /// Returns true for the same time and the same bits: a missing value is not equal to itself.
    pub(crate) fn is_same(self, other: Self) -> bool {
        self.time == other.time && self.value.to_bits() == other.value.to_bits()
    }
}

/// How much values vary, at least. What it says holds whatever comes before, between and after them; by default, nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Spread {
    /// The values from this time on, µs since 1970.
    pub(crate) since: i64,
    /// So many of them, at least, are not missing.
    pub(crate) count: u32,
    /// So far, at least, lie the least and the greatest of them apart.
    pub(crate) range: f64,
}

/// Rate of change from `before`, the observation before this one. The first of a series passes, and so does one after a
/// missing value: nothing says that it changed. Two that are less than a second apart are not compared: the times of
/// messages that were delivered together after an outage say nothing. A step over less than the declared distance is taken
/// as one over that. `is_whole` is false where there may be an
/// observation that is not known.
#[inline]
pub fn rate_of_change(
    now: Observation,
    before: Option<Observation>,
    is_whole: bool,
    limits: RateOfChange,
) -> Quality {
    const HOUR_S: f64 = 3_600.0;
    if now.is_missing() {
        return Quality::Missing;
    }
    match before {
        None if !is_whole => Quality::NotEvaluated,
        Some(before) if now.time - before.time < SECOND_US => Quality::NotEvaluated,
        Some(before) if !before.is_missing() => {
            let seconds = (now.time - before.time) as f64 / SECOND_US as f64;
            let seconds = seconds.max(limits.distance_min_s.map_or(0.0, f64::from));
            let per_second = (now.value - before.value).abs() / seconds;
            let fail = limits.fail_per_hour.map(|fail| fail / HOUR_S);
            beyond(per_second, limits.suspect_per_hour / HOUR_S, fail)
        }
        _ => Quality::Pass,
    }
}

/// Flat line: how many values up to this one lie less than `tolerance` apart. As many intervals of `interval_s` as fit
/// into a declared duration must lie between the first and the last of them; missing values in between count as places.
/// A duration shorter than one interval cannot be tested. `is_whole` is false where older values are not known.
pub fn flat_line(
    newest_first: impl IntoIterator<Item = f64>,
    is_whole: bool,
    interval_s: u32,
    limits: FlatLine,
) -> Quality {
    let mut values = newest_first.into_iter();
    match values.next() {
        Some(now) => flat_line_behind(now, || values, is_whole, interval_s, limits),
        None => Quality::NotEvaluated,
    }
}

/// [`flat_line`] of a value behind others; `newest_first` makes them, where they are looked at. Made where they are used, they
/// stay in registers: to hand an iterator of many words over costs as much as the test.
#[inline]
pub(crate) fn flat_line_behind<I: Iterator<Item = f64>>(
    now: f64,
    newest_first: impl FnOnce() -> I,
    is_whole: bool,
    interval_s: u32,
    limits: FlatLine,
) -> Quality {
    if !now.is_finite() {
        return Quality::Missing;
    }
    if interval_s == 0 || limits.suspect_s.min(limits.fail_s) < interval_s {
        return Quality::NotEvaluated;
    }
    let (interval_s, suspect_s, fail_s) = (
        u64::from(interval_s),
        u64::from(limits.suspect_s),
        u64::from(limits.fail_s),
    );
    let (mut least, mut greatest) = (now, now);
    // One interval more than lie before the value: where it is longer than a duration, no more of them fit into that. So
    // nothing is divided.
    let mut span_s = interval_s;
    let seen = newest_first().try_for_each(|value| {
        let is_failed = span_s > fail_s;
        if is_failed {
            return ControlFlow::Break(false);
        }
        if value.is_finite() {
            least = if value < least { value } else { least };
            greatest = if value > greatest { value } else { greatest };
            if greatest - least >= limits.tolerance {
                return ControlFlow::Break(true);
            }
        }
        span_s += interval_s;
        ControlFlow::Continue(())
    });
    let ends = seen == ControlFlow::Break(true);
    if span_s > fail_s {
        Quality::Fail
    } else if span_s > suspect_s {
        Quality::Suspect
    } else if ends || is_whole {
        Quality::Pass
    } else {
        Quality::NotEvaluated
    }
}

/// Attenuated signal: how much the values vary in the period that ends with this one, its beginning excluded. Missing
/// values are left out. `is_whole` is false where values older than those given are not known.
///
/// A range that is great enough passes whatever the values span: more of them can only add to it.
pub fn attenuated_signal(
    newest_first: impl Iterator<Item = Observation> + Clone,
    is_whole: bool,
    limits: AttenuatedSignal,
) -> Quality {
    attenuated_signal_and_spread(newest_first, is_whole, limits).0
}

/// [`attenuated_signal`], and the spread that has made it pass, where a part of the period was enough.
pub(crate) fn attenuated_signal_and_spread(
    newest_first: impl Iterator<Item = Observation> + Clone,
    is_whole: bool,
    limits: AttenuatedSignal,
) -> (Quality, Option<Spread>) {
    let Some(now) = newest_first.clone().next() else {
        return (Quality::NotEvaluated, None);
    };
    if now.is_missing() {
        return (Quality::Missing, None);
    }
    let begin = now.time - i64::from(limits.period_s) * SECOND_US;
    let is_range = limits.variation == Variation::Range;
    let (mut least, mut greatest) = (now.value, now.value);
    let mut count = 0_u32;
    let mut oldest = now.time;
    // Not `for`: an iterator of two parts is faster from within.
    let seen = newest_first
        .clone()
        .try_for_each(|Observation { time, value }| {
            if time <= begin {
                return ControlFlow::Break(None);
            }
            if value.is_finite() {
                least = if value < least { value } else { least };
                greatest = if value > greatest { value } else { greatest };
                count += 1;
                oldest = time;
            }
            let range = greatest - least;
            if is_range && range >= limits.suspect && count >= limits.observations_min {
                // What is older can only add to it.
                return ControlFlow::Break(Some(Spread {
                    since: oldest,
                    count,
                    range,
                }));
            }
            ControlFlow::Continue(())
        });
    if let ControlFlow::Break(spread @ Some(_)) = seen {
        return (Quality::Pass, spread);
    }
    let is_covered = is_whole || seen.is_break();
    let span_min = limits.span_min_s.map_or(0, i64::from) * SECOND_US;
    if !is_covered || count < limits.observations_min || now.time - oldest < span_min {
        return (Quality::NotEvaluated, None);
    }
    let variation = match limits.variation {
        Variation::Range => greatest - least,
        Variation::Deviation => {
            let of_period = || {
                newest_first
                    .clone()
                    .take_while(move |observation| observation.time > begin)
                    .filter(|observation| !observation.is_missing())
            };
            let sum = of_period().fold(0.0, |sum, observation| sum + observation.value);
            let mean = sum / f64::from(count);
            let squares: f64 = of_period()
                .map(|observation| (observation.value - mean).powi(2))
                .sum();
            (squares / f64::from(count)).sqrt()
        }
    };
    let flag = if variation < limits.fail {
        Quality::Fail
    } else if variation < limits.suspect {
        Quality::Suspect
    } else {
        Quality::Pass
    };
    (flag, None)
}

/// Returns the flag of a measure by the limits that it should not exceed.
#[inline]
pub(crate) fn beyond(measure: f64, suspect: f64, fail: Option<f64>) -> Quality {
    if fail.is_some_and(|fail| measure > fail) {
        Quality::Fail
    } else if measure > suspect {
        Quality::Suspect
    } else {
        Quality::Pass
    }
}

#[cfg(test)]
mod tests;
