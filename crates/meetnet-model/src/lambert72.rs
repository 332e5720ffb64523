//! Belgian Lambert 72 (EPSG:31370), the grid of older Belgian geodata, from and to longitude and latitude.
//!
//! metres east and north ─ Lambert conic on the ellipsoid of 1924 ─ seven-parameter shift (EPSG:15929) ─ WGS 84
//!
//! The shift from Belgian Datum 72 agrees with the official grid within 0.2 m in Belgium; with WGS 84 itself, which the
//! continent moves against, the result is good to about 1 m, which is far below the 100 m that places are published
//! at. Heights are taken as 0: 300 m more move a point by less than 0.1 m.

use std::sync::LazyLock;

use crate::lambert::{Conic, Definition, Ellipsoid, ROUNDS, is_near_belgium};

#[cfg(test)]
mod tests;

/// Extent of the grid with some margin, metres: what lies outside is no place in Belgium, or not in this grid.
const EXTENT_M: std::ops::RangeInclusive<f64> = -50_000.0..=350_000.0;

const INTERNATIONAL_1924: Ellipsoid = Ellipsoid {
    a: 6_378_388.0,
    f: 1.0 / 297.0,
};
const WGS_84: Ellipsoid = Ellipsoid {
    a: 6_378_137.0,
    f: 1.0 / 298.257_223_563,
};

/// EPSG:31370. Its origin is the pole.
static GRID: LazyLock<Conic> = LazyLock::new(|| {
    Conic::new(&Definition {
        ellipsoid: INTERNATIONAL_1924,
        parallels: [51.166_667_233_333_33, 49.833_333_9],
        origin: [90.0, 4.367_486_666_666_666],
        false_origin: [150_000.013, 5_400_088.438],
    })
});

/// BD 72 to WGS 84: translations (m), rotations (seconds of arc, position vector), scale (parts per million).
const TRANSLATION: [f64; 3] = [-106.868_6, 52.297_8, -103.723_9];
const ROTATION: [f64; 3] = [0.336_6, -0.457, 1.842_2];
const SCALE_PPM: f64 = -1.274_7;

/// Returns longitude and latitude (degrees, WGS 84) of a point given in metres east (`x`) and north (`y`); none where
/// the point does not lie in Belgium or close to it, above all where the axes were swapped for degrees.
pub fn to_wgs84(x: f64, y: f64) -> Option<(f64, f64)> {
    if !EXTENT_M.contains(&x) || !EXTENT_M.contains(&y) || (x.abs() < 180.0 && y.abs() < 180.0) {
        return None;
    }
    let (lon, lat) = GRID.unproject(x, y);
    let there = geocentric(INTERNATIONAL_1924, lon, lat);
    let (lon, lat) = geographic(WGS_84, shift(there));
    Some((lon.to_degrees(), lat.to_degrees()))
}

/// Returns metres east and north of a longitude and latitude (degrees, WGS 84); none where the point does not lie in
/// Belgium or close to it.
pub fn from_wgs84(lon: f64, lat: f64) -> Option<(f64, f64)> {
    if !is_near_belgium(lon, lat) {
        return None;
    }
    let there = geocentric(WGS_84, lon.to_radians(), lat.to_radians());
    let (lon, lat) = geographic(INTERNATIONAL_1924, shift_back(there));
    Some(GRID.project(lon, lat))
}

/// Returns geocentric metres of a point on an ellipsoid, radians.
fn geocentric(ellipsoid: Ellipsoid, lon: f64, lat: f64) -> [f64; 3] {
    let normal = ellipsoid.normal(lat);
    [
        normal * lat.cos() * lon.cos(),
        normal * lat.cos() * lon.sin(),
        normal * (1.0 - ellipsoid.e2()) * lat.sin(),
    ]
}

/// Returns longitude and latitude, radians, of geocentric metres near an ellipsoid.
fn geographic(ellipsoid: Ellipsoid, [x, y, z]: [f64; 3]) -> (f64, f64) {
    let e2 = ellipsoid.e2();
    let distance = x.hypot(y);
    let mut lat = z.atan2(distance * (1.0 - e2));
    for _ in 0..ROUNDS {
        let normal = ellipsoid.normal(lat);
        let height = distance / lat.cos() - normal;
        lat = z.atan2(distance * (1.0 - e2 * normal / (normal + height)));
    }
    (y.atan2(x), lat)
}

fn rotation() -> [f64; 3] {
    ROTATION.map(|seconds| (seconds / 3_600.0).to_radians())
}

/// Helmert shift from BD 72 to WGS 84.
fn shift([x, y, z]: [f64; 3]) -> [f64; 3] {
    let [rx, ry, rz] = rotation();
    let scale = 1.0 + SCALE_PPM * 1e-6;
    let [dx, dy, dz] = TRANSLATION;
    [
        dx + scale * (x - rz * y + ry * z),
        dy + scale * (rz * x + y - rx * z),
        dz + scale * (-ry * x + rx * y + z),
    ]
}

/// The way back. Rotations are so small that their matrix turned over is its inverse but for a tenth of a millimetre,
/// which the second round takes away.
fn shift_back(to: [f64; 3]) -> [f64; 3] {
    let [rx, ry, rz] = rotation();
    let scale = 1.0 + SCALE_PPM * 1e-6;
    let unshift = |[x, y, z]: [f64; 3]| {
        [
            (x + rz * y - ry * z) / scale,
            (-rz * x + y + rx * z) / scale,
            (ry * x - rx * y + z) / scale,
        ]
    };
    let minus = |a: [f64; 3], b: [f64; 3]| [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    let from = unshift(minus(to, TRANSLATION));
    let rest = unshift(minus(to, shift(from)));
    [from[0] + rest[0], from[1] + rest[1], from[2] + rest[2]]
}
