//! Tests of a value by those before it. Each takes the values newest first, the one under test included, so that a
//! history and a slice are tested by the same code.

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
    pub fn is_missing(self) -> bool {
        !self.value.is_finite()
    }

    /// Returns true for the same time and the same bits: a missing value is not equal to itself.
    pub(crate) fn is_same(self, other: Self) -> bool {
        self.time == other.time && self.value.to_bits() == other.value.to_bits()
    }
}

/// Rate of change from `before`, the observation before this one. The first of a series passes, and so does one after a
/// missing value: nothing says that it changed. Two that are less than a second apart are not compared: the times of
/// messages that were delivered together after an outage say nothing. A step over less than the declared distance is taken
/// as one over that. `is_whole` is false where there may be an
/// observation that is not known.
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
    let Some(now) = values.next() else {
        return Quality::NotEvaluated;
    };
    if !now.is_finite() {
        return Quality::Missing;
    }
    let intervals = |duration_s: u32| match duration_s.checked_div(interval_s) {
        None | Some(0) => None,
        Some(count) => Some(count as usize),
    };
    let (Some(suspect), Some(fail)) = (intervals(limits.suspect_s), intervals(limits.fail_s))
    else {
        return Quality::NotEvaluated;
    };
    let (mut least, mut greatest) = (now, now);
    let mut before = 0;
    let mut ends = false;
    while before < fail {
        let Some(value) = values.next() else { break };
        if value.is_finite() {
            least = least.min(value);
            greatest = greatest.max(value);
            if greatest - least >= limits.tolerance {
                ends = true;
                break;
            }
        }
        before += 1;
    }
    if before >= fail {
        Quality::Fail
    } else if before >= suspect {
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
    let Some(now) = newest_first.clone().next() else {
        return Quality::NotEvaluated;
    };
    if now.is_missing() {
        return Quality::Missing;
    }
    let begin = now.time - i64::from(limits.period_s) * SECOND_US;
    let (mut least, mut greatest, mut sum) = (now.value, now.value, 0.0);
    let mut count = 0_u32;
    let mut oldest = now.time;
    let mut is_covered = is_whole;
    for Observation { time, value } in newest_first.clone() {
        if time <= begin {
            is_covered = true;
            break;
        }
        if value.is_finite() {
            least = least.min(value);
            greatest = greatest.max(value);
            sum += value;
            count += 1;
            oldest = time;
        }
        let is_enough = greatest - least >= limits.suspect && count >= limits.observations_min;
        if limits.variation == Variation::Range && is_enough {
            // What is older can only add to it.
            return Quality::Pass;
        }
    }
    let span_min = limits.span_min_s.map_or(0, i64::from) * SECOND_US;
    if !is_covered || count < limits.observations_min || now.time - oldest < span_min {
        return Quality::NotEvaluated;
    }
    let variation = match limits.variation {
        Variation::Range => greatest - least,
        Variation::Deviation => {
            let mean = sum / f64::from(count);
            let squares: f64 = newest_first
                .take_while(|observation| observation.time > begin)
                .filter(|observation| !observation.is_missing())
                .map(|observation| (observation.value - mean).powi(2))
                .sum();
            (squares / f64::from(count)).sqrt()
        }
    };
    if variation < limits.fail {
        Quality::Fail
    } else if variation < limits.suspect {
        Quality::Suspect
    } else {
        Quality::Pass
    }
}

/// Returns the flag of a measure by the limits that it should not exceed.
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
