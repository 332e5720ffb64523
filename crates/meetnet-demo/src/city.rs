//! The simulated city: which sensors there are, where they stand and how they differ, all from one seed.
//!
//! ```text
//! seed ──▶ City { segments, air sensors, weather stations } + second ──▶ Sky ──▶ readings
//! ```
//!
//! Streets are invented; the places are those of a city the size of Leuven. Nothing here is sent or stored.

use std::ops::RangeInclusive;

use crate::calendar::CENTRE;
use crate::noise::Noise;
use crate::sensors::{AirSensor, Site, Uplink, WeatherStation};
use crate::traffic::{Road, Segment};
use crate::weather::Sky;

/// Number of traffic counters.
pub const SEGMENTS: usize = 60;
/// Number of air sensors.
pub const AIR_SENSORS: usize = 80;
/// Number of weather stations on LoRaWAN.
pub const LORA_STATIONS: usize = 40;
/// Number of weather stations on balconies.
pub const ZIGBEE_STATIONS: usize = 20;

/// Where sensors stand, degrees east.
pub const LON_RANGE: RangeInclusive<f64> = 4.65..=4.75;
/// Where sensors stand, degrees north.
pub const LAT_RANGE: RangeInclusive<f64> = 50.85..=50.91;

const STREET_STEMS: [&str; 28] = [
    "Beuken",
    "Linden",
    "Wilgen",
    "Elzen",
    "Berken",
    "Esdoorn",
    "Hazelaar",
    "Vlier",
    "Meidoorn",
    "Brem",
    "Heide",
    "Klaver",
    "Koren",
    "Hop",
    "Leeuwerik",
    "Merel",
    "Zwaluw",
    "Reiger",
    "IJsvogel",
    "Egel",
    "Vossen",
    "Kiezel",
    "Zavel",
    "Leem",
    "Veld",
    "Bron",
    "Vijver",
    "Weide",
];
const STREET_KINDS: [&str; 8] = [
    "straat", "laan", "dreef", "pad", "hof", "berg", "weg", "plein",
];

/// Every sensor of the city.
#[derive(Clone, Debug)]
pub struct City {
    /// Traffic counters, by ascending id.
    pub segments: Vec<Segment>,
    /// Air sensors.
    pub air_sensors: Vec<AirSensor>,
    /// Weather stations: LoRaWAN first, then balconies.
    pub stations: Vec<WeatherStation>,
    noise: Noise,
}

impl City {
    /// Returns the city of a seed: the same one each time.
    pub fn new(seed: u64) -> Self {
        let noise = Noise::new(seed);
        let mut streets = streets(noise.stream(1)).into_iter();
        let mut next_street = || streets.next().unwrap_or_else(|| "Dorpsstraat".to_owned());

        let segments = (0..SEGMENTS)
            .map(|number| {
                let own = noise.stream(1_000 + number as u64);
                let (lon, lat) = place(own);
                // Ids are handed out as people join: ascending, with gaps.
                let id = 9_000_001_000 + number as i64 * 7 + own.position(20, 7) as i64;
                Segment::new(
                    id,
                    next_street(),
                    road(own, density(lon, lat)),
                    stretch(own, lon, lat),
                    own,
                )
            })
            .collect();
        let air_sensors = (0..AIR_SENSORS)
            .map(|number| {
                let own = noise.stream(2_000 + number as u64);
                let chip_id = (1_000_000 + own.bits(20) % 15_000_000).to_string();
                AirSensor::new(chip_id, site(own, next_street()))
            })
            .collect();
        let stations = (0..LORA_STATIONS + ZIGBEE_STATIONS)
            .map(|number| {
                let own = noise.stream(3_000 + number as u64);
                let uplink = match number.checked_sub(LORA_STATIONS) {
                    None => Uplink::Lora {
                        device_id: format!("weerstation-{:02}", number + 1),
                        dev_eui: format!("70B3D5{:010X}", own.bits(20) & 0xFF_FFFF_FFFF),
                    },
                    Some(balcony) => Uplink::Zigbee {
                        device: format!("balkon-{:02}", balcony + 1),
                    },
                };
                let full = number < LORA_STATIONS && number % 3 == 0;
                WeatherStation::new(uplink, site(own, next_street()), full)
            })
            .collect();
        Self {
            segments,
            air_sensors,
            stations,
            noise,
        }
    }

    /// Returns the sky over the city at `second` (seconds since 1970 UTC).
    pub fn sky(&self, second: i64) -> Sky {
        Sky::at(self.noise.stream(2), second)
    }

    /// Returns the noise that decides about the feed (faults), not about the city.
    pub(crate) fn feed_noise(&self) -> Noise {
        self.noise.stream(3)
    }
}

/// Returns how built-up a place is: 1 in the middle of the city, towards 0 two kilometres out and beyond.
fn density(lon: f64, lat: f64) -> f64 {
    // A degree of longitude is shorter than one of latitude: 70 km against 111 km here.
    let east_km = (lon - CENTRE.0) * 70.2;
    let north_km = (lat - CENTRE.1) * 111.2;
    (-(east_km * east_km + north_km * north_km) / (1.6 * 1.6)).exp()
}

/// Draws a place: two of three near the centre, the others anywhere in the municipality.
fn place(noise: Noise) -> (f64, f64) {
    let (lon, lat) = if noise.unit(1) < 0.66 {
        (
            CENTRE.0 + 0.014 * noise.normal(2),
            CENTRE.1 + 0.009 * noise.normal(3),
        )
    } else {
        (
            noise.between(4, *LON_RANGE.start(), *LON_RANGE.end()),
            noise.between(5, *LAT_RANGE.start(), *LAT_RANGE.end()),
        )
    };
    (
        lon.clamp(*LON_RANGE.start(), *LON_RANGE.end()),
        lat.clamp(*LAT_RANGE.start(), *LAT_RANGE.end()),
    )
}

fn site(own: Noise, street: String) -> Site {
    let (lon, lat) = place(own);
    Site::new(street, lon, lat, density(lon, lat), own)
}

fn road(own: Noise, density: f64) -> Road {
    let choices: &[Road] = if density > 0.7 {
        &[Road::Shopping, Road::Cycle, Road::Residential, Road::School]
    } else if density > 0.15 {
        &[
            Road::Residential,
            Road::Residential,
            Road::Arterial,
            Road::School,
            Road::Cycle,
        ]
    } else {
        &[Road::Rural, Road::Residential, Road::Arterial]
    };
    choices[own.position(21, choices.len())]
}

/// Returns the two ends of a straight stretch of 100 to 260 m around a place.
fn stretch(own: Noise, lon: f64, lat: f64) -> [(f64, f64); 2] {
    let half_m = own.between(22, 50.0, 130.0);
    let angle = own.between(23, 0.0, std::f64::consts::TAU);
    let (east, north) = (
        half_m * angle.cos() / 70_200.0,
        half_m * angle.sin() / 111_200.0,
    );
    [(lon - east, lat - north), (lon + east, lat + north)]
}

/// Returns every invented street name once, shuffled.
fn streets(noise: Noise) -> Vec<String> {
    let mut names: Vec<String> = STREET_STEMS
        .iter()
        .flat_map(|stem| STREET_KINDS.iter().map(move |kind| format!("{stem}{kind}")))
        .collect();
    let mut order: Vec<(u64, usize)> = (0..names.len())
        .map(|i| (noise.bits(i as i64), i))
        .collect();
    order.sort_unstable();
    order
        .into_iter()
        .map(|(_, i)| std::mem::take(&mut names[i]))
        .collect()
}

#[cfg(test)]
mod tests;
