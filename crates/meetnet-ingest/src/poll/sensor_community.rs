//! sensor.community: what its sensors said in the last five minutes, and the days of single sensors in its archive.
//!
//! `GET /airrohr/v1/filter/{filter}` answers a list of readings; it is asked for again and again, with the validators of
//! the answer before. The archive has a CSV file per day and sensor, written the next morning; it fills in what a daemon
//! missed, and is what a backfill asks for. Whoever asks is wanted to say in the `User-Agent` how to be reached.

use meetnet_model::calendar::DAY_US;
use meetnet_model::time::format_rfc3339;
use reqwest::Url;
use serde::de::IgnoredAny;

use super::fetch::{Answer, Request};
use super::options::{PollOptions, PollOptionsError, SensorCommunityOptions, WindowsOfApi};
use super::plan::{HOUR_US, Target, Window};
use super::verdict::{Access, Failure, FailureKind, Verdict, broken, by_status};

#[cfg(test)]
mod tests;

/// Where days of single sensors lie, unless the source says otherwise.
const ARCHIVE_URL: &str = "https://archive.sensor.community";
/// Begins the target names of filters.
const FILTER: &str = "filter:";
/// Begins every file of the archive.
const CSV_HEAD: &[u8] = b"sensor_id;";

pub(super) fn check(
    of: &SensorCommunityOptions,
    options: &PollOptions,
) -> Result<(), PollOptionsError> {
    let value = |message: String| Err(PollOptionsError::Value(message));
    if options.contact.is_none() {
        return value(
            "sensor.community asks for a contact of whoever polls it; add contact = \"…@…\""
                .to_owned(),
        );
    }
    let filters = usize::from(of.area.is_some())
        + usize::from(of.within.is_some())
        + usize::from(of.country.is_some());
    if filters > 1 {
        return value("area, box and country exclude each other; keep one".to_owned());
    }
    if filters == 0 && of.archive.is_empty() {
        return Err(PollOptionsError::NothingToPoll(
            "an area: area = [50.8798, 4.7005, 10.0] (latitude, longitude, km); or a box, a country or archive",
        ));
    }
    let is_place = |lat: f64, lon: f64| lat.abs() <= 90.0 && lon.abs() <= 180.0;
    if let Some([lat, lon, km]) = of.area
        && !(is_place(lat, lon) && km > 0.0 && km <= 1_000.0)
    {
        return value("area is [latitude, longitude, km], at most 1000 km".to_owned());
    }
    if let Some([lat1, lon1, lat2, lon2]) = of.within
        && !(is_place(lat1, lon1) && is_place(lat2, lon2))
    {
        return value(
            "box is [latitude, longitude, latitude, longitude] of two corners".to_owned(),
        );
    }
    if let Some(country) = &of.country
        && !(country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()))
    {
        return value(format!(
            "`{country}` is no country; write two capital letters, BE"
        ));
    }
    for (at, name) in of.archive.iter().enumerate() {
        let number = name.split_once("_sensor_").map(|(_, number)| number);
        let is_name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        let is_number = number.is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        if !is_number || !name.bytes().all(is_name) {
            return value(format!(
                "`{name}` is no sensor of the archive; write it as its files do: sds011_sensor_12345"
            ));
        }
        if of.archive[..at].contains(name) {
            return value(format!("the sensor `{name}` is named twice; remove one"));
        }
    }
    Ok(())
}

/// Returns where the archive is.
pub(super) fn archive_url(of: &SensorCommunityOptions) -> Url {
    let default = || Url::parse(ARCHIVE_URL).expect("the address is a constant");
    of.archive_url.clone().unwrap_or_else(default)
}

pub(super) fn targets(of: &SensorCommunityOptions, options: &PollOptions) -> Vec<Target> {
    let filter = if let Some([lat, lon, km]) = of.area {
        Some(format!("area={lat},{lon},{km}"))
    } else if let Some([lat1, lon1, lat2, lon2]) = of.within {
        Some(format!("box={lat1},{lon1},{lat2},{lon2}"))
    } else {
        of.country
            .as_ref()
            .map(|country| format!("country={country}"))
    };
    let filter = filter.map(|filter| Target {
        name: format!("{FILTER}{filter}"),
        interval: Some(PollOptions::micros(options.interval)),
        windows: None,
    });
    let rule = options.windows(WindowsOfApi {
        align: DAY_US,
        // Files are written around 8:00 of the next day.
        closed_after: 10 * HOUR_US,
        overlap: DAY_US,
        chunk_max: DAY_US,
    });
    let archive = of.archive.iter().map(|name| Target {
        name: name.clone(),
        interval: Some(DAY_US),
        windows: Some(rule),
    });
    filter.into_iter().chain(archive).collect()
}

pub(super) fn request(
    of: &SensorCommunityOptions,
    options: &PollOptions,
    target: &Target,
    window: Option<Window>,
) -> Request {
    let url = match target.name.strip_prefix(FILTER) {
        Some(filter) => options.endpoint(&format!("/airrohr/v1/filter/{filter}")),
        None => {
            let time = format_rfc3339(window.map_or(0, |window| window.from));
            let day = time.split('T').next().unwrap_or_default();
            let mut url = archive_url(of);
            let base = url.path().trim_end_matches('/').to_owned();
            url.set_path(&format!("{base}/{day}/{day}_{}.csv", target.name));
            url
        }
    };
    Request { url, json: None }
}

pub(super) fn read(target: &Target, answer: &Answer) -> Verdict {
    let is_archive = target.windows.is_some();
    if is_archive && answer.status == 404 {
        // The sensor said nothing on that day.
        return Verdict::Take { items: 0 };
    }
    if let Some(verdict) = by_status(answer, Access::Open) {
        return verdict;
    }
    if !is_archive {
        return match serde_json::from_slice::<Vec<IgnoredAny>>(&answer.body) {
            Ok(list) => Verdict::Take {
                items: list.len() as u64,
            },
            Err(error) => broken("list of readings", &error),
        };
    }
    if !answer.body.starts_with(CSV_HEAD) {
        let message = "the answer is broken: no file of the archive; asked again later";
        return Verdict::Failed(Failure::new(FailureKind::Fault, message));
    }
    let lines = answer.body.split(|byte| *byte == b'\n');
    let rows = lines.skip(1).filter(|line| !line.is_empty()).count();
    Verdict::Take { items: rows as u64 }
}
