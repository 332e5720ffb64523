//! Lambert's conformal conic with two standard parallels (EPSG method 9802, guidance note 7-2; Snyder 1987, equations
//! 15-1 to 15-11), between radians on an ellipsoid and metres: what the two Belgian grids share.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};

/// Rounds of the iterations, which gain more than three digits each.
pub(crate) const ROUNDS: usize = 6;

/// Semi-major axis, m, and flattening of an ellipsoid.
#[derive(Clone, Copy)]
pub(crate) struct Ellipsoid {
    pub(crate) a: f64,
    pub(crate) f: f64,
}

impl Ellipsoid {
    pub(crate) fn e2(self) -> f64 {
        self.f * (2.0 - self.f)
    }

    /// Radius of curvature in the prime vertical.
    pub(crate) fn normal(self, lat: f64) -> f64 {
        self.a / (1.0 - self.e2() * lat.sin().powi(2)).sqrt()
    }

    /// Snyder's m: radius of the parallel over a.
    fn m(self, lat: f64) -> f64 {
        lat.cos() / (1.0 - self.e2() * lat.sin().powi(2)).sqrt()
    }

    /// Snyder's t of the isometric latitude.
    fn t(self, lat: f64) -> f64 {
        (FRAC_PI_4 - lat / 2.0).tan() / self.flattening_factor(lat)
    }

    fn flattening_factor(self, lat: f64) -> f64 {
        let e = self.e2().sqrt();
        let sine = e * lat.sin();
        ((1.0 - sine) / (1.0 + sine)).powf(e / 2.0)
    }
}

/// The numbers that define a grid.
pub(crate) struct Definition {
    pub(crate) ellipsoid: Ellipsoid,
    /// Standard parallels, degrees.
    pub(crate) parallels: [f64; 2],
    /// Latitude and longitude of the false origin, degrees.
    pub(crate) origin: [f64; 2],
    /// Easting and northing at the false origin, m.
    pub(crate) false_origin: [f64; 2],
}

/// A grid, with what its definition makes of every point alike.
pub(crate) struct Conic {
    ellipsoid: Ellipsoid,
    n: f64,
    /// Radius of the equator on the plane: a F.
    scale: f64,
    meridian: f64,
    /// Radius of the false origin's parallel.
    origin_radius: f64,
    false_origin: [f64; 2],
}

impl Conic {
    pub(crate) fn new(definition: &Definition) -> Self {
        let ellipsoid = definition.ellipsoid;
        let [first, second] = definition.parallels.map(f64::to_radians);
        let n = (ellipsoid.m(first).ln() - ellipsoid.m(second).ln())
            / (ellipsoid.t(first).ln() - ellipsoid.t(second).ln());
        let scale = ellipsoid.a * ellipsoid.m(first) / (n * ellipsoid.t(first).powf(n));
        let [latitude, longitude] = definition.origin;
        // At the pole the radius is 0, which the tangent of a rounded angle is not.
        let origin_radius = if latitude == 90.0 {
            0.0
        } else {
            scale * ellipsoid.t(latitude.to_radians()).powf(n)
        };
        Self {
            ellipsoid,
            n,
            scale,
            meridian: longitude.to_radians(),
            origin_radius,
            false_origin: definition.false_origin,
        }
    }

    /// Returns metres east and north of a longitude and latitude.
    pub(crate) fn project(&self, lon: f64, lat: f64) -> (f64, f64) {
        let radius = self.scale * self.ellipsoid.t(lat).powf(self.n);
        let angle = self.n * (lon - self.meridian);
        let [east, north] = self.false_origin;
        (
            east + radius * angle.sin(),
            north + self.origin_radius - radius * angle.cos(),
        )
    }

    /// Returns longitude and latitude of metres east and north.
    pub(crate) fn unproject(&self, x: f64, y: f64) -> (f64, f64) {
        let east = x - self.false_origin[0];
        let south = self.origin_radius - (y - self.false_origin[1]);
        let t = (east.hypot(south) / self.scale).powf(1.0 / self.n);
        let lon = east.atan2(south) / self.n + self.meridian;
        let mut lat = FRAC_PI_2 - 2.0 * t.atan();
        for _ in 0..ROUNDS {
            lat = FRAC_PI_2 - 2.0 * (t * self.ellipsoid.flattening_factor(lat)).atan();
        }
        (lon, lat)
    }
}

/// Degrees around Belgium, with a margin: longitudes and latitudes that its grids are made for.
const LON: std::ops::RangeInclusive<f64> = 1.0..=8.0;
const LAT: std::ops::RangeInclusive<f64> = 48.5..=52.5;

/// Returns true for a longitude and latitude in Belgium or close to it.
pub(crate) fn is_near_belgium(lon: f64, lat: f64) -> bool {
    LON.contains(&lon) && LAT.contains(&lat)
}
