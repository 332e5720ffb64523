//! Belgian Lambert 72 (EPSG:31370), the grid of older Belgian geodata, as longitude and latitude.
//!
//! metres east and north ─ inverse Lambert conic on the ellipsoid of 1924 ─ seven-parameter shift (EPSG:15929) ─▶ WGS 84
//!
//! The shift agrees with the official grid within 0.2 m in Belgium, which is far below the 100 m that places are
//! published at. Heights are taken as 0: 300 m more move a point by less than 0.1 m.

use std::f64::consts::FRAC_PI_4;

#[cfg(test)]
mod tests;

/// Extent of the grid with some margin, metres: what lies outside is no place in Belgium, or not in this grid.
const EXTENT_M: std::ops::RangeInclusive<f64> = -50_000.0..=350_000.0;

/// Semi-major axis, m, and flattening of an ellipsoid.
#[derive(Clone, Copy)]
struct Ellipsoid {
    a: f64,
    f: f64,
}

const INTERNATIONAL_1924: Ellipsoid = Ellipsoid {
    a: 6_378_388.0,
    f: 1.0 / 297.0,
};
const WGS_84: Ellipsoid = Ellipsoid {
    a: 6_378_137.0,
    f: 1.0 / 298.257_223_563,
};

/// The standard parallels, the central meridian (degrees), and the false easting and northing (m) of EPSG:31370.
const PARALLELS: [f64; 2] = [51.166_667_233_333_33, 49.833_333_9];
const MERIDIAN: f64 = 4.367_486_666_666_666;
const FALSE_EASTING: f64 = 150_000.013;
const FALSE_NORTHING: f64 = 5_400_088.438;

/// BD 72 to WGS 84: translations (m), rotations (seconds of arc, position vector), scale (parts per million).
const TRANSLATION: [f64; 3] = [-106.868_6, 52.297_8, -103.723_9];
const ROTATION: [f64; 3] = [0.336_6, -0.457, 1.842_2];
const SCALE_PPM: f64 = -1.274_7;

/// Rounds of the two iterations, which gain more than three digits each.
const ROUNDS: usize = 6;

impl Ellipsoid {
    fn e2(self) -> f64 {
        self.f * (2.0 - self.f)
    }

    /// Radius of curvature in the prime vertical.
    fn normal(self, lat: f64) -> f64 {
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

/// Returns longitude and latitude (degrees, WGS 84) of a point given in metres east (`x`) and north (`y`); none where
/// the point does not lie in Belgium or close to it, above all where the axes were swapped for degrees.
pub fn to_wgs84(x: f64, y: f64) -> Option<(f64, f64)> {
    if !EXTENT_M.contains(&x) || !EXTENT_M.contains(&y) || (x.abs() < 180.0 && y.abs() < 180.0) {
        return None;
    }
    let (lon, lat) = unproject(x, y);
    let (lon, lat) = shift(lon, lat);
    Some((lon.to_degrees(), lat.to_degrees()))
}

/// Inverse Lambert conformal conic with two parallels (Snyder 1987, equations 15-8 to 15-11), radians on BD 72.
fn unproject(x: f64, y: f64) -> (f64, f64) {
    let ellipsoid = INTERNATIONAL_1924;
    let [first, second] = PARALLELS.map(f64::to_radians);
    let n = (ellipsoid.m(first).ln() - ellipsoid.m(second).ln())
        / (ellipsoid.t(first).ln() - ellipsoid.t(second).ln());
    let scale = ellipsoid.m(first) / (n * ellipsoid.t(first).powf(n));
    // The origin is the pole, so the distance from it is the radius itself.
    let (east, south) = (x - FALSE_EASTING, FALSE_NORTHING - y);
    let t = (east.hypot(south) / (ellipsoid.a * scale)).powf(1.0 / n);
    let lon = east.atan2(south) / n + MERIDIAN.to_radians();
    let mut lat = 2.0 * FRAC_PI_4 - 2.0 * t.atan();
    for _ in 0..ROUNDS {
        lat = 2.0 * FRAC_PI_4 - 2.0 * (t * ellipsoid.flattening_factor(lat)).atan();
    }
    (lon, lat)
}

/// Helmert shift over geocentric coordinates, radians to radians.
fn shift(lon: f64, lat: f64) -> (f64, f64) {
    let from = INTERNATIONAL_1924;
    let normal = from.normal(lat);
    let [x, y, z] = [
        normal * lat.cos() * lon.cos(),
        normal * lat.cos() * lon.sin(),
        normal * (1.0 - from.e2()) * lat.sin(),
    ];
    let [rx, ry, rz] = ROTATION.map(|seconds| (seconds / 3_600.0).to_radians());
    let scale = 1.0 + SCALE_PPM * 1e-6;
    let [dx, dy, dz] = TRANSLATION;
    let (x, y, z) = (
        dx + scale * (x - rz * y + ry * z),
        dy + scale * (rz * x + y - rx * z),
        dz + scale * (-ry * x + rx * y + z),
    );
    let distance = x.hypot(y);
    let mut lat = z.atan2(distance * (1.0 - WGS_84.e2()));
    for _ in 0..ROUNDS {
        let normal = WGS_84.normal(lat);
        let height = distance / lat.cos() - normal;
        lat = z.atan2(distance * (1.0 - WGS_84.e2() * normal / (normal + height)));
    }
    (y.atan2(x), lat)
}
