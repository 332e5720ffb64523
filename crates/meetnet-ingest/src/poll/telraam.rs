//! Telraam: traffic reports of road segments, per hour, or per quarter of an hour where the advanced API is paid for, and
//! once a week the segments themselves (`GET /v1/segments/id/N`): their lines.
//!
//! `POST /v1/reports/traffic {level, format, id, time_start, time_end}` answers `{status_code, message, report: [row]}`
//! for `[time_start, time_end)`, at most three months. A row is served some time after its hour has ended, so windows
//! end with the newest closed hour, and the last hours before the cursor are asked again with every pass. An answer can
//! be elsewhere: status 201 with `download_url`.
//!
//! What can come instead: 403 `{"message":"Forbidden"}` where the key is wrong, 403 and 401 with a `status_code` where
//! it has no right to a segment or to the advanced API, 429 `{"message":"Too Many Requests"}` and `{"message":"Limit
//! Exceeded"}`.

use std::borrow::Cow;

use meetnet_model::calendar::{DAY_US, SECOND_US};
use meetnet_model::time::format_rfc3339;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::fetch::{Answer, Credential, Request};
use super::options::{PollOptions, PollOptionsError, TelraamOptions, WindowsOfApi};
use super::plan::{HOUR_US, Target, Window};
use super::verdict::{Access, Failure, FailureKind, Verdict, broken, by_status};

#[cfg(test)]
mod tests;

/// Whose counter it is, and its hardware address.
pub(super) const PERSONAL_MEMBERS: [&str; 2] = ["mac", "user_id"];

/// Begins the target names of segments themselves.
const SEGMENT: &str = "segment:";
/// Streets seldom move.
const SEGMENT_INTERVAL_US: i64 = 7 * DAY_US;

/// A period is served a quarter of an hour after its end at the earliest.
const CLOSED_AFTER_US: i64 = 15 * 60 * SECOND_US;
/// Longest window of the plain API: "three months".
const PLAIN_CHUNK_US: i64 = 90 * DAY_US;
/// Rows per quarter with all columns: longer windows exceed the 6 MB that an answer may have.
const ADVANCED_CHUNK_US: i64 = 20 * DAY_US;

/// The columns of the advanced API that have a place in `traffic`.
const ADVANCED_COLUMNS: &str = "instance_id,segment_id,date,interval,period_duration,uptime,direction,v85,\
     car_speed_hist_0to70plus,car_speed_hist_0to120plus,heavy,car,bike,pedestrian,night,heavy_lft,heavy_rgt,car_lft,\
     car_rgt,bike_lft,bike_rgt,pedestrian_lft,pedestrian_rgt,night_lft,night_rgt,mode_bicycle_lft,mode_bicycle_rgt,\
     mode_bus_lft,mode_bus_rgt,mode_car_lft,mode_car_rgt,mode_lighttruck_lft,mode_lighttruck_rgt,mode_motorcycle_lft,\
     mode_motorcycle_rgt,mode_pedestrian_lft,mode_pedestrian_rgt,mode_stroller_lft,mode_stroller_rgt,mode_tractor_lft,\
     mode_tractor_rgt,mode_trailer_lft,mode_trailer_rgt,mode_truck_lft,mode_truck_rgt,mode_night_lft,mode_night_rgt";

pub(super) fn check(telraam: &TelraamOptions) -> Result<(), PollOptionsError> {
    if telraam.segments.is_empty() {
        return Err(PollOptionsError::NothingToPoll(
            "the road segments: segments = [9000001463]",
        ));
    }
    for (at, segment) in telraam.segments.iter().enumerate() {
        if *segment <= 0 {
            let message =
                format!("{segment} is no number of a road segment; take it from its page");
            return Err(PollOptionsError::Value(message));
        }
        if telraam.segments[..at].contains(segment) {
            let message = format!("the segment {segment} is named twice; remove one");
            return Err(PollOptionsError::Value(message));
        }
    }
    Ok(())
}

pub(super) fn targets(telraam: &TelraamOptions, options: &PollOptions) -> Vec<Target> {
    let (align, chunk_max) = if telraam.advanced {
        (HOUR_US / 4, ADVANCED_CHUNK_US)
    } else {
        (HOUR_US, PLAIN_CHUNK_US)
    };
    let target = |segment: &i64| Target {
        name: segment.to_string(),
        interval: Some(PollOptions::micros(options.interval)),
        windows: Some(options.windows(WindowsOfApi {
            align,
            closed_after: CLOSED_AFTER_US,
            // Hours that are served late.
            overlap: 6 * HOUR_US,
            chunk_max,
        })),
    };
    let places = telraam.segments.iter().filter(|_| telraam.geometry);
    let places = places.map(|segment| Target {
        name: format!("{SEGMENT}{segment}"),
        interval: Some(SEGMENT_INTERVAL_US),
        windows: None,
    });
    telraam.segments.iter().map(target).chain(places).collect()
}

pub(super) fn request(
    telraam: &TelraamOptions,
    options: &PollOptions,
    target: &Target,
    window: Option<Window>,
) -> Request {
    if let Some(segment) = target.name.strip_prefix(SEGMENT) {
        return Request {
            url: options.endpoint(&format!("/v1/segments/id/{segment}")),
            json: None,
        };
    }
    let Window { from, to } = window.unwrap_or(Window { from: 0, to: 0 });
    let (path, format) = if telraam.advanced {
        ("/advanced/reports/traffic", "per-quarter")
    } else {
        ("/v1/reports/traffic", "per-hour")
    };
    let mut body = serde_json::json!({
        "level": "segments",
        "format": format,
        "id": target.name,
        "time_start": time(from),
        "time_end": time(to),
    });
    if telraam.advanced {
        body["columns"] = ADVANCED_COLUMNS.into();
    }
    Request {
        url: options.endpoint(path),
        json: Some(body.to_string()),
    }
}

/// Writes a whole second as the API reads it: `2026-01-31 12:00:00Z`.
fn time(at: i64) -> String {
    format_rfc3339(at).replace('T', " ")
}

pub(super) fn credential(key: &str) -> Result<Credential, PollOptionsError> {
    let mut value = HeaderValue::from_str(key).map_err(|_| PollOptionsError::Key)?;
    value.set_sensitive(true);
    Ok(Credential {
        header: HeaderName::from_static("x-api-key"),
        value,
    })
}

/// An answer of the API, as far as it tells whether it is one.
#[derive(Deserialize)]
struct Body<'a> {
    status_code: Option<u16>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    report: Option<Vec<IgnoredAny>>,
    features: Option<Vec<IgnoredAny>>,
    #[serde(borrow)]
    download_url: Option<Cow<'a, str>>,
}

pub(super) fn read(answer: &Answer) -> Verdict {
    let body = serde_json::from_slice::<Body<'_>>(&answer.body);
    // An error of the application names its status in the body; one of the gateway before it does not.
    let own_status = body.as_ref().ok().and_then(|body| body.status_code);
    if answer.status == 413 {
        return Verdict::Split;
    }
    let status = match own_status {
        Some(status) if (200..=299).contains(&answer.status) => status,
        _ => answer.status,
    };
    let own = Answer {
        status,
        ..answer.clone()
    };
    if let Some(verdict) = by_status(&own, Access::Key) {
        return about_segment(verdict, status, own_status);
    }
    if first_byte(&answer.body) == Some(b'[') {
        // Behind a `download_url` lies the list alone.
        return match serde_json::from_slice::<Vec<IgnoredAny>>(&answer.body) {
            Ok(rows) => Verdict::Take {
                items: rows.len() as u64,
            },
            Err(error) => broken("list of rows", &error),
        };
    }
    match body {
        Err(error) => broken("Telraam report", &error),
        Ok(
            Body {
                report: Some(rows), ..
            }
            | Body {
                features: Some(rows),
                ..
            },
        ) => Verdict::Take {
            items: rows.len() as u64,
        },
        Ok(Body {
            download_url: Some(url),
            ..
        }) => Verdict::Follow(url.into_owned()),
        Ok(Body { message, .. }) => {
            let said = message.as_deref().unwrap_or("nothing");
            let message = format!(
                "the answer has no `report`; it says {:?}; asked again later",
                meetnet_model::privacy::redact(said.as_bytes())
            );
            Verdict::Failed(Failure::new(FailureKind::Fault, message))
        }
    }
}

/// A 403 of the application is about the segment asked for; that of the gateway about the key.
fn about_segment(verdict: Verdict, status: u16, own_status: Option<u16>) -> Verdict {
    match verdict {
        Verdict::Failed(failure) if status == 403 && own_status.is_some() => {
            Verdict::Failed(Failure {
                kind: FailureKind::Refused,
                ..failure
            })
        }
        verdict => verdict,
    }
}

fn first_byte(body: &[u8]) -> Option<u8> {
    body.iter()
        .copied()
        .find(|byte| !byte.is_ascii_whitespace())
}
