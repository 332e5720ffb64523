//! The tests by earlier rows once more, as plainly as docs/quality.md describes them: every observation that is remembered is
//! looked at each time, nothing is kept of what was seen. What the fast ones are compared with in tests.

use meetnet_model::calendar::SECOND_US;
use meetnet_model::quality::{
    AttenuatedSignal, FlatLine, PropertyTests, Quality, RateOfChange, Variation,
};

use crate::backward::Observation;
use crate::series::{MEASURE_EVERY, OBSERVATIONS_MAX, SeriesFlags};

/// What a series remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct PlainSeries {
    /// Ascending by time.
    observations: Vec<Observation>,
    has_forgotten: bool,
    interval_s: u32,
    measure_in: u8,
}

impl PlainSeries {
    /// Tests one observation by those before it, and remembers it.
    pub(crate) fn push(&mut self, declared: &PropertyTests, now: Observation) -> SeriesFlags {
        let looks_back = declared.flat_line.is_some() || declared.attenuated_signal.is_some();
        if !looks_back && declared.rate_of_change.is_none() {
            return SeriesFlags::NOT_EVALUATED;
        }
        let older = self.observations.iter().filter(|o| o.time < now.time);
        let mut newest_first: Vec<Observation> = older.copied().collect();
        newest_first.push(now);
        newest_first.reverse();
        let is_whole = !self.has_forgotten;
        let mut flags = SeriesFlags::NOT_EVALUATED;
        if let Some(limits) = declared.rate_of_change {
            flags.rate_of_change = rate_of_change(&newest_first, is_whole, limits);
        }
        if let Some(limits) = declared.flat_line {
            flags.flat_line = flat_line(&newest_first, is_whole, self.interval_s, limits);
        }
        if let Some(limits) = declared.attenuated_signal {
            flags.attenuated_signal = attenuated_signal(&newest_first, is_whole, limits);
        }
        self.remember(now, if looks_back { OBSERVATIONS_MAX } else { 1 });
        flags
    }

    fn remember(&mut self, now: Observation, observations_max: usize) {
        if let Some(same) = self.observations.iter_mut().find(|o| o.time == now.time) {
            *same = now;
            return;
        }
        if self.observations.len() >= observations_max {
            self.has_forgotten = true;
            if self.observations[0].time > now.time {
                return;
            }
            self.observations.remove(0);
        }
        self.observations.push(now);
        self.observations
            .sort_by_key(|observation| observation.time);
        if observations_max == 1 {
            return;
        }
        if self.interval_s != 0 && self.measure_in > 0 {
            self.measure_in -= 1;
            return;
        }
        self.measure_in = MEASURE_EVERY;
        let pairs = self.observations.windows(2);
        let mut gaps: Vec<i64> = pairs.map(|pair| pair[1].time - pair[0].time).collect();
        gaps.sort_unstable();
        self.interval_s = match gaps.len() {
            0 => 0,
            count if count % 2 == 1 => (gaps[count / 2] / SECOND_US) as u32,
            count => {
                let middle = (gaps[count / 2 - 1] + gaps[count / 2]) / 2;
                (middle / SECOND_US) as u32
            }
        };
    }
}

fn by_limits(is_suspect: bool, is_failed: bool) -> Quality {
    match (is_suspect, is_failed) {
        (_, true) => Quality::Fail,
        (true, false) => Quality::Suspect,
        (false, false) => Quality::Pass,
    }
}

/// The least and the greatest that are not missing lie so far apart; nothing has no range.
fn range(observations: &[Observation]) -> f64 {
    let values = observations.iter().map(|observation| observation.value);
    let known = values.filter(|value| value.is_finite());
    let least = known.clone().fold(f64::INFINITY, f64::min);
    let greatest = known.fold(f64::NEG_INFINITY, f64::max);
    (greatest - least).max(0.0)
}

fn rate_of_change(newest_first: &[Observation], is_whole: bool, limits: RateOfChange) -> Quality {
    let now = newest_first[0];
    if now.is_missing() {
        return Quality::Missing;
    }
    let Some(before) = newest_first.get(1) else {
        return if is_whole {
            Quality::Pass
        } else {
            Quality::NotEvaluated
        };
    };
    if now.time - before.time < SECOND_US {
        return Quality::NotEvaluated;
    }
    if before.is_missing() {
        return Quality::Pass;
    }
    let seconds = (now.time - before.time) as f64 / SECOND_US as f64;
    let seconds = seconds.max(limits.distance_min_s.map_or(0.0, f64::from));
    let per_second = (now.value - before.value).abs() / seconds;
    let fail = limits.fail_per_hour.unwrap_or(f64::INFINITY);
    by_limits(
        per_second > limits.suspect_per_hour / 3_600.0,
        per_second > fail / 3_600.0,
    )
}

fn flat_line(
    newest_first: &[Observation],
    is_whole: bool,
    interval_s: u32,
    limits: FlatLine,
) -> Quality {
    if newest_first[0].is_missing() {
        return Quality::Missing;
    }
    if interval_s == 0 || limits.suspect_s < interval_s || limits.fail_s < interval_s {
        return Quality::NotEvaluated;
    }
    let same = (1..=newest_first.len())
        .take_while(|count| range(&newest_first[..*count]) < limits.tolerance)
        .count();
    let intervals = same - 1;
    let ends = same < newest_first.len();
    let is_suspect = intervals >= (limits.suspect_s / interval_s) as usize;
    let is_failed = intervals >= (limits.fail_s / interval_s) as usize;
    if is_suspect || is_failed || ends || is_whole {
        by_limits(is_suspect, is_failed)
    } else {
        Quality::NotEvaluated
    }
}

fn attenuated_signal(
    newest_first: &[Observation],
    is_whole: bool,
    limits: AttenuatedSignal,
) -> Quality {
    let now = newest_first[0];
    if now.is_missing() {
        return Quality::Missing;
    }
    let begin = now.time - i64::from(limits.period_s) * SECOND_US;
    let period: Vec<Observation> = newest_first
        .iter()
        .copied()
        .take_while(|observation| observation.time > begin)
        .collect();
    let is_covered = is_whole || period.len() < newest_first.len();
    let known: Vec<Observation> = period.into_iter().filter(|o| !o.is_missing()).collect();
    let is_enough = known.len() >= limits.observations_min as usize;
    let variation = match limits.variation {
        Variation::Range => range(&known),
        Variation::Deviation => {
            let count = known.len() as f64;
            let mean = known.iter().fold(0.0, |sum, o| sum + o.value) / count;
            let squares: f64 = known.iter().map(|o| (o.value - mean).powi(2)).sum();
            (squares / count).sqrt()
        }
    };
    if limits.variation == Variation::Range && is_enough && variation >= limits.suspect {
        // However little is known: more can only add to it.
        return Quality::Pass;
    }
    let span = now.time - known[known.len() - 1].time;
    let span_min = i64::from(limits.span_min_s.unwrap_or(0)) * SECOND_US;
    if !is_covered || !is_enough || span < span_min {
        return Quality::NotEvaluated;
    }
    by_limits(variation < limits.suspect, variation < limits.fail)
}
