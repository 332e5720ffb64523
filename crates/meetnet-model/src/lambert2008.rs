//! Belgian Lambert 2008 (EPSG:3812), the grid of newer Belgian geodata, from and to longitude and latitude.
//!
//! metres east and north ─ Lambert conic on GRS 80 ─ ETRS 89, taken as WGS 84
//!
//! ETRS 89 moves with the continent and WGS 84 does not: the two have been the same in 1989, and differ by about 2.5 cm
//! more each year. So the result is good to about 1 m, as positions of sensors are anyway.

use std::sync::LazyLock;

use crate::lambert::{Conic, Definition, Ellipsoid, is_near_belgium};

#[cfg(test)]
mod tests;

/// Extent of the grid with some margin, metres: what lies outside is no place in Belgium, or not in this grid.
const EXTENT_M: std::ops::RangeInclusive<f64> = 450_000.0..=850_000.0;

/// EPSG:3812.
static GRID: LazyLock<Conic> = LazyLock::new(|| {
    Conic::new(&Definition {
        ellipsoid: Ellipsoid {
            a: 6_378_137.0,
            f: 1.0 / 298.257_222_101,
        },
        parallels: [49.833_333_333_333_336, 51.166_666_666_666_664],
        origin: [50.797_815, 4.359_215_833_333_333],
        false_origin: [649_328.0, 665_262.0],
    })
});

/// Returns longitude and latitude (degrees, WGS 84) of a point given in metres east (`x`) and north (`y`); none where
/// the point does not lie in Belgium or close to it, above all where it is one of Lambert 72.
pub fn to_wgs84(x: f64, y: f64) -> Option<(f64, f64)> {
    if !EXTENT_M.contains(&x) || !EXTENT_M.contains(&y) {
        return None;
    }
    let (lon, lat) = GRID.unproject(x, y);
    Some((lon.to_degrees(), lat.to_degrees()))
}

/// Returns metres east and north of a longitude and latitude (degrees, WGS 84); none where the point does not lie in
/// Belgium or close to it.
pub fn from_wgs84(lon: f64, lat: f64) -> Option<(f64, f64)> {
    is_near_belgium(lon, lat).then(|| GRID.project(lon.to_radians(), lat.to_radians()))
}
