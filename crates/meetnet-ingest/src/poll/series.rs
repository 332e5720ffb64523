//! What APIs of time series have in common: which series are polled, what decoding must know of each, and that once a week
//! they are asked where a station is.

use std::collections::BTreeSet;

use meetnet_decode::{ABOUT_META, ABOUT_STATION};
use meetnet_model::calendar::DAY_US;
use serde_json::{Map, Value};

use super::fetch::Answer;
use super::options::{PollOptionsError, Series};
use super::plan::Target;
use super::verdict::{Access, Verdict, broken, by_status};

/// Begins the target names of stations.
const STATION: &str = "station:";
/// Stations seldom move.
const STATION_INTERVAL_US: i64 = 7 * DAY_US;

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

/// Returns the target that asks what the API says of a station, or of a series of it.
pub(super) fn station_target(id: &str) -> Target {
    Target {
        name: format!("{STATION}{id}"),
        interval: Some(STATION_INTERVAL_US),
        windows: None,
    }
}

/// Returns what a target asks for, where that is a station.
pub(super) fn station_of(target: &Target) -> Option<&str> {
    target.name.strip_prefix(STATION)
}

/// Returns what is journalled beside a body about a station: the sensors whose place it is, each once.
pub(super) fn station_meta<'s>(
    sensors: impl Iterator<Item = &'s Series>,
) -> Vec<(&'static str, String)> {
    let sensors: BTreeSet<&str> = sensors.map(|of| of.sensor.as_str()).collect();
    let about = (ABOUT_META, ABOUT_STATION.to_owned());
    let of_sensor = |sensor: &str| ("sensor", sensor.to_owned());
    std::iter::once(about)
        .chain(sensors.into_iter().map(of_sensor))
        .collect()
}

/// Says what an answer about a station means.
pub(super) fn read_station(answer: &Answer) -> Verdict {
    if let Some(verdict) = by_status(answer, Access::Open) {
        return verdict;
    }
    match serde_json::from_slice::<Map<String, Value>>(&answer.body) {
        Ok(_) => Verdict::Take { items: 1 },
        Err(error) => broken("description of a station", &error),
    }
}
