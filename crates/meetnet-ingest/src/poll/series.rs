//! What APIs of time series have in common: which series are polled, and what decoding must know of each.

use std::collections::BTreeSet;

use meetnet_model::calendar::DAY_US;

use super::options::{PollOptionsError, Series};
use super::plan::Target;

/// Longest averaging interval, seconds.
const INTERVAL_S_MAX: i64 = DAY_US / 1_000_000;

/// Checks what is declared of series.
pub(super) fn check(series: &[Series]) -> Result<(), PollOptionsError> {
    let mut named = BTreeSet::new();
    for Series {
        id,
        interval_s,
        sensor,
        ..
    } in series
    {
        let value = |message: String| Err(PollOptionsError::Value(message));
        if !named.insert(id) {
            return value(format!("the series `{id}` is named twice; remove one"));
        }
        if sensor.is_empty() {
            return value(format!(
                "the series `{id}` has an empty sensor; name its station"
            ));
        }
        if interval_s.is_some_and(|seconds| !(1..=INTERVAL_S_MAX).contains(&seconds)) {
            return value(format!(
                "the series `{id}` has no possible interval_s; write seconds, at most a day"
            ));
        }
    }
    Ok(())
}

/// Returns what is journalled beside a body of a series.
pub(super) fn meta(series: &[Series], target: &Target) -> Vec<(&'static str, String)> {
    let Some(of) = series.iter().find(|of| of.id == target.name) else {
        return Vec::new();
    };
    let mut meta = vec![
        ("sensor", of.sensor.clone()),
        ("property", of.property.clone()),
    ];
    meta.extend(of.unit.clone().map(|unit| ("unit", unit)));
    meta.extend(
        of.interval_s
            .map(|seconds| ("interval-s", seconds.to_string())),
    );
    meta
}
