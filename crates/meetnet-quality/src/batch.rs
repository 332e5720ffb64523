//! Tests of a whole series, sorted by time: what the settle pass runs, and what is compared with `ioos_qc`.

use meetnet_model::calendar::SECOND_US;
use meetnet_model::quality::{AttenuatedSignal, FlatLine, Quality, RateOfChange, Spike};

use crate::backward::{self, Observation, beyond};

/// Returns the median time between neighbours in whole seconds, rounded down: how often a sensor reports. None for fewer
/// than two observations.
pub fn median_interval_s(series: &[Observation]) -> Option<u32> {
    let mut gaps: Vec<i64> = series
        .windows(2)
        .map(|pair| pair[1].time - pair[0].time)
        .collect();
    median_gap_s(&mut gaps)
}

/// Returns the median of gaps (µs) in whole seconds; their order changes.
pub(crate) fn median_gap_s(gaps: &mut [i64]) -> Option<u32> {
    if gaps.is_empty() {
        return None;
    }
    let middle = gaps.len() / 2;
    let is_even = gaps.len().is_multiple_of(2);
    let (below, upper, _) = gaps.select_nth_unstable(middle);
    let upper = *upper;
    let median = match below.iter().max() {
        Some(lower) if is_even => lower + (upper - lower) / 2,
        _ => upper,
    };
    u32::try_from(median / SECOND_US).ok()
}

/// [`backward::rate_of_change`] of every observation.
pub fn rate_of_change(series: &[Observation], limits: RateOfChange) -> Vec<Quality> {
    every(series, |at| rate_of_change_at(series, at, limits))
}

/// [`backward::flat_line`] of every observation, at the interval of the series.
pub fn flat_line(series: &[Observation], limits: FlatLine) -> Vec<Quality> {
    let interval_s = median_interval_s(series).unwrap_or(0);
    every(series, |at| flat_line_at(series, at, interval_s, limits))
}

/// [`backward::attenuated_signal`] of every observation.
pub fn attenuated_signal(series: &[Observation], limits: AttenuatedSignal) -> Vec<Quality> {
    every(series, |at| attenuated_signal_at(series, at, limits))
}

/// Spike: how far each value lies from the mean of its two neighbours. The first and the last have one only, and a
/// missing neighbour is none: not evaluated.
pub fn spike(series: &[Observation], limits: Spike) -> Vec<Quality> {
    every(series, |at| spike_at(series, at, limits))
}

fn every(series: &[Observation], flag: impl Fn(usize) -> Quality) -> Vec<Quality> {
    (0..series.len()).map(flag).collect()
}

pub(crate) fn rate_of_change_at(
    series: &[Observation],
    at: usize,
    limits: RateOfChange,
) -> Quality {
    let before = at.checked_sub(1).map(|before| series[before]);
    backward::rate_of_change(series[at], before, true, limits)
}

pub(crate) fn flat_line_at(
    series: &[Observation],
    at: usize,
    interval_s: u32,
    limits: FlatLine,
) -> Quality {
    let newest_first = series[..=at].iter().rev().map(|o| o.value);
    backward::flat_line(newest_first, true, interval_s, limits)
}

pub(crate) fn attenuated_signal_at(
    series: &[Observation],
    at: usize,
    limits: AttenuatedSignal,
) -> Quality {
    let newest_first = series[..=at].iter().rev().copied();
    backward::attenuated_signal(newest_first, true, limits)
}

pub(crate) fn spike_at(series: &[Observation], at: usize, limits: Spike) -> Quality {
    let now = series[at];
    if now.is_missing() {
        return Quality::Missing;
    }
    let before = at.checked_sub(1).map(|before| series[before]);
    match before.zip(series.get(at + 1)) {
        Some((before, after)) if !before.is_missing() && !after.is_missing() => {
            let mean = (before.value + after.value) / 2.0;
            beyond((now.value - mean).abs(), limits.suspect, limits.fail)
        }
        _ => Quality::NotEvaluated,
    }
}

#[cfg(test)]
mod tests;
