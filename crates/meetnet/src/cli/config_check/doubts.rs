//! What a configuration says that may be, and is mostly a slip: places the wrong way round, days that are still to come.

use meetnet_model::calendar::format_rfc3339;
use meetnet_model::ids::DatasetId;
use meetnet_model::privacy::metres;
use meetnet_model::source::DeviceDeclaration;

use crate::config::Config;

/// A city and what lies around it, metres: what is further from its other places is elsewhere.
const AROUND_M: f64 = 200_000.0;
/// Doubts that are listed.
const LISTED_MAX: usize = 20;

/// A place that is declared, by what people call it.
struct Declared {
    name: String,
    /// Longitude and latitude.
    place: (f64, f64),
}

/// Returns what a person should look at, the sources in their order.
pub(super) fn doubts(config: &Config, now: i64) -> Vec<String> {
    let mut doubts = Vec::new();
    let places = places(config);
    let middle = middle(&places);
    let bounds = bounds(config);
    for Declared { name, place } in &places {
        let (lon, lat) = *place;
        let is_far = |from: (f64, f64)| metres(from, middle) > AROUND_M;
        let is_outside = |(lon, lat): (f64, f64)| {
            bounds.is_some_and(|[west, east, south, north]| {
                !(west..=east).contains(&lon) || !(south..=north).contains(&lat)
            })
        };
        let here = format!("{name}: latitude {lat} and longitude {lon}");
        if (is_far(*place) && !is_far((lat, lon)))
            || (is_outside(*place) && !is_outside((lat, lon)))
        {
            doubts.push(format!(
                "{here} are far from the other places; the other way round they are not"
            ));
        } else if is_outside(*place) {
            doubts.push(format!("{here} are outside the `bounds` of stations"));
        }
    }
    for source in &config.sources {
        for device in &source.declaration.devices {
            if let Some(since) = device.since.filter(|since| *since > now) {
                let name = device.station.as_ref().unwrap_or(&device.id);
                doubts.push(format!(
                    "source `{}`, `{name}`: `since` is still to come: {}",
                    source.declaration.id,
                    format_rfc3339(since)
                ));
            }
        }
    }
    let more = doubts.len().saturating_sub(LISTED_MAX);
    doubts.truncate(LISTED_MAX);
    if more > 0 {
        doubts.push(format!("and {more} more"));
    }
    doubts
}

/// Returns the places of devices.
fn places(config: &Config) -> Vec<Declared> {
    let mut places = Vec::new();
    for source in &config.sources {
        let id = &source.declaration.id;
        for device in &source.declaration.devices {
            if let Some(place) = device.longitude.zip(device.latitude) {
                let name = device.station.as_ref().unwrap_or(&device.id);
                let name = format!("source `{id}`, `{name}`");
                places.push(Declared { name, place });
            }
        }
    }
    places
}

/// Returns where most places are: the median of each coordinate.
fn middle(places: &[Declared]) -> (f64, f64) {
    let median = |of: fn(&Declared) -> f64| {
        let mut values: Vec<f64> = places.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    (
        median(|declared| declared.place.0),
        median(|declared| declared.place.1),
    )
}

/// Returns west, east, south and north of where stations can be, by `[[dataset]] bounds`.
fn bounds(config: &Config) -> Option<[f64; 4]> {
    let stations = config
        .declarations
        .datasets
        .get(&DatasetId::new("stations"))?;
    let range = |name| stations.columns[stations.column_index(name)?].range;
    let ([west, east], [south, north]) = (range("lon")?, range("lat")?);
    Some([west, east, south, north])
}

/// Returns between which coordinates the devices of a source stand, so that places which are all the wrong way round show.
pub(super) fn extent(devices: &[DeviceDeclaration]) -> Option<String> {
    let placed: Vec<(f64, f64)> = devices
        .iter()
        .filter_map(|device| device.latitude.zip(device.longitude))
        .collect();
    let (mut low, mut high) = (*placed.first()?, *placed.first()?);
    for (latitude, longitude) in &placed {
        low = (low.0.min(*latitude), low.1.min(*longitude));
        high = (high.0.max(*latitude), high.1.max(*longitude));
    }
    let what = if placed.len() == 1 { "place" } else { "places" };
    Some(format!(
        "{} {what}, latitude {:.2} to {:.2}, longitude {:.2} to {:.2}",
        placed.len(),
        low.0,
        high.0,
        low.1,
        high.1
    ))
}
