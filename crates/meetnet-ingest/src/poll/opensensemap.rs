//! openSenseMap: measurements of single sensors of boxes.
//!
//! `GET /boxes/{box}/data/{sensor}?from-date&to-date` answers `[{"value": "4.2", "createdAt": …}]`, the newest first
//! and at most 10,000: a window that has as many is asked for in halves. Once a week `GET /boxes/{box}` says where a box is.

use std::collections::BTreeSet;

use meetnet_model::calendar::{DAY_US, SECOND_US};
use meetnet_model::time::format_rfc3339;
use serde::de::IgnoredAny;

use super::fetch::{Answer, Request};
use super::options::{PollOptions, PollOptionsError, Series, WindowsOfApi};
use super::plan::{HOUR_US, Target, Window};
use super::series;
use super::verdict::{Access, Verdict, broken, by_status};

#[cfg(test)]
mod tests;

/// Most measurements of one answer.
const MEASUREMENTS_MAX: usize = 10_000;
/// What the owner of a box says of it and shows: nobody's business here.
pub(super) const PERSONAL_MEMBERS: [&str; 4] = ["name", "description", "image", "weblink"];
/// Characters of an id of a box or sensor.
const ID_CHARS: usize = 24;

pub(super) fn check(series: &[Series]) -> Result<(), PollOptionsError> {
    if series.is_empty() {
        return Err(PollOptionsError::NothingToPoll(
            "sensors of boxes: series = [{ id = \"BOX/SENSOR\", property = \"pm10\" }]",
        ));
    }
    for of in series {
        let is_id = |id: &str| id.len() == ID_CHARS && id.bytes().all(|b| b.is_ascii_hexdigit());
        if !of
            .id
            .split_once('/')
            .is_some_and(|(a, b)| is_id(a) && is_id(b))
        {
            let message = format!(
                "`{}` is no sensor of a box; write BOX/SENSOR, each of {ID_CHARS} hexadecimal digits",
                of.id
            );
            return Err(PollOptionsError::Value(message));
        }
    }
    series::check(series)
}

pub(super) fn targets(series: &[Series], options: &PollOptions) -> Vec<Target> {
    let rule = options.windows(WindowsOfApi {
        align: 60 * SECOND_US,
        closed_after: 60 * SECOND_US,
        // Boxes send late where their network was away.
        overlap: HOUR_US,
        // 8,640 measurements of a box that sends every minute.
        chunk_max: 6 * DAY_US,
    });
    let target = |of: &Series| Target {
        name: of.id.clone(),
        interval: Some(PollOptions::micros(options.interval)),
        windows: Some(rule),
    };
    let boxes: BTreeSet<&str> = series.iter().map(box_of).collect();
    let places = boxes.into_iter().map(series::station_target);
    series.iter().map(target).chain(places).collect()
}

fn box_of(series: &Series) -> &str {
    series.id.split_once('/').map_or("", |(a_box, _)| a_box)
}

pub(super) fn meta(series: &[Series], target: &Target) -> Vec<(&'static str, String)> {
    match series::station_of(target) {
        Some(a_box) => series::station_meta(series.iter().filter(|of| box_of(of) == a_box)),
        None => series::meta(series, target),
    }
}

pub(super) fn request(options: &PollOptions, target: &Target, window: Option<Window>) -> Request {
    if let Some(a_box) = series::station_of(target) {
        return Request {
            url: options.endpoint(&format!("/boxes/{a_box}")),
            json: None,
        };
    }
    let (a_box, sensor) = target.name.split_once('/').unwrap_or(("", &target.name));
    let mut url = options.endpoint(&format!("/boxes/{a_box}/data/{sensor}"));
    let Window { from, to } = window.unwrap_or(Window { from: 0, to: 0 });
    url.query_pairs_mut()
        .append_pair("from-date", &format_rfc3339(from))
        .append_pair("to-date", &format_rfc3339(to))
        .append_pair("format", "json");
    Request { url, json: None }
}

pub(super) fn read(target: &Target, answer: &Answer) -> Verdict {
    if series::station_of(target).is_some() {
        return series::read_station(answer);
    }
    if let Some(verdict) = by_status(answer, Access::Open) {
        return verdict;
    }
    match serde_json::from_slice::<Vec<IgnoredAny>>(&answer.body) {
        Ok(list) if list.len() >= MEASUREMENTS_MAX => Verdict::Split,
        Ok(list) => Verdict::Take {
            items: list.len() as u64,
        },
        Err(error) => broken("list of measurements", &error),
    }
}
