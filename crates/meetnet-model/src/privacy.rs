//! What keeps personal data out of public tables: pseudonyms for hardware ids, and places on a coarse grid.
//!
//! Both happen before a row exists, in the decoders, so nothing behind them can leak what it never had. Excerpts for
//! rejects and logs are cleaned in [`crate::redact`]. The secret itself is found and kept elsewhere.

use std::fmt;

use h3o::{LatLng, Resolution};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::hex::Hex;

pub use crate::redact::redact;

/// The city's secret under which hardware ids become pseudonyms. It is never shown, not even by `Debug`.
#[derive(Clone)]
pub struct PrivacyKey {
    /// The state after the key, so that an id costs two blocks of SHA-256 rather than four.
    keyed: Hmac<Sha256>,
}

impl PrivacyKey {
    /// Returns the key for a secret; at least 32 random bytes are wanted, any length works.
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        let keyed = Hmac::new_from_slice(secret.as_ref()).expect("HMAC takes keys of every length");
        Self { keyed }
    }

    /// Returns the pseudonym of a hardware id: 16 lower-case hex characters of its HMAC-SHA-256.
    ///
    /// `kind` (`mac`, `dev_eui`, `chip`) keeps equal numbers of different kinds apart. Upper and lower case and the
    /// separators `:`, `-`, `.`, `_` and blanks make no difference, so that a device has one pseudonym however its
    /// id is written.
    pub fn hardware_id(&self, kind: &str, raw: &str) -> String {
        let mut mac = self.keyed.clone();
        mac.update(kind.as_bytes());
        // No canonical id contains a zero byte, so no other pair of kind and id gives the same input.
        mac.update(&[0]);
        let mut block = [0_u8; 64];
        let mut filled = 0;
        for byte in raw
            .bytes()
            .filter(|b| !matches!(b, b':' | b'-' | b'.' | b'_' | 0..=b' '))
        {
            block[filled] = byte.to_ascii_lowercase();
            filled += 1;
            if filled == block.len() {
                mac.update(&block);
                filled = 0;
            }
        }
        mac.update(&block[..filled]);
        Hex(&mac.finalize().into_bytes()[..8]).to_string()
    }

    /// Returns the pseudonym of a text exactly as it is written: 32 lower-case hex characters of its HMAC-SHA-256. It says
    /// whether two texts are the same to who has the key, and nothing to anybody else. `kind` (no zero byte) keeps equal
    /// texts of different kinds apart, from each other and from hardware ids.
    pub fn pseudonym(&self, kind: &str, text: &str) -> String {
        let mut mac = self.keyed.clone();
        for part in [kind.as_bytes(), &[0, 0], text.as_bytes()] {
            mac.update(part);
        }
        Hex(&mac.finalize().into_bytes()[..16]).to_string()
    }
}

impl fmt::Debug for PrivacyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivacyKey(…)")
    }
}

/// A place as it may be published: a point of the grid, but for [`exact_place`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SnappedPlace {
    /// Longitude of the published point, WGS 84.
    pub lon: f64,
    /// Latitude of the published point, WGS 84.
    pub lat: f64,
    /// H3 cell of resolution 7 of the published point.
    pub h3_r7: i64,
    /// H3 cell of resolution 9 of the published point.
    pub h3_r9: i64,
}

/// Steps of the grid per degree: 1/1000° of latitude is 111 m everywhere.
const LAT_STEPS: f64 = 1_000.0;
/// 3/2000° (0.0015°) of longitude is 105 m in Leuven (50.9° N).
const LON_STEPS: f64 = 2_000.0 / 3.0;

/// Returns the nearest point of the publication grid, about 100 m wide: multiples of 0.0015° of longitude and 0.001° of
/// latitude. The grid is fixed, so that a station reported twice is published once, and averaging reveals nothing.
/// Snapping a snapped point changes nothing.
pub fn snap(lon: f64, lat: f64) -> (f64, f64) {
    // Dividing whole numbers, so that the result is the float nearest to its decimal. The sum turns -0 into 0.
    (
        (lon * LON_STEPS).round() * 3.0 / 2_000.0 + 0.0,
        (lat * LAT_STEPS).round() / LAT_STEPS + 0.0,
    )
}

/// How far beside the grid a number may lie through rounding, in steps of it: less than a millimetre.
const GRID_TOLERANCE: f64 = 1e-6;

/// Returns true for a latitude that is finer than the publication grid. Coarser ones lie on it.
pub fn lat_is_exact(lat: f64) -> bool {
    lat.abs() <= 90.0 && is_beside(lat * LAT_STEPS)
}

/// Returns true for a longitude that is finer than the publication grid. One of two decimal places may lie beside the
/// grid; it is coarser.
pub fn lon_is_exact(lon: f64) -> bool {
    lon.abs() <= 180.0 && is_beside(lon * LON_STEPS) && is_beside(lon * 100.0)
}

fn is_beside(steps: f64) -> bool {
    (steps - steps.round()).abs() > GRID_TOLERANCE
}

/// Snaps a place and computes its H3 cells from the snapped point; none where the numbers are no place on Earth.
pub fn snap_place(lon: f64, lat: f64) -> Option<SnappedPlace> {
    if !is_on_earth(lon, lat) {
        return None;
    }
    let (lon, lat) = snap(lon, lat);
    exact_place(lon, lat)
}

/// Takes a place as it is, for sources that declare exact locations, with the H3 cells of that very point; none where the numbers
/// are no place on Earth.
pub fn exact_place(lon: f64, lat: f64) -> Option<SnappedPlace> {
    if !is_on_earth(lon, lat) {
        return None;
    }
    let point = LatLng::new(lat, lon).ok()?;
    // The highest bit of a cell is zero, so it is the same number signed.
    let cell = |resolution| i64::try_from(u64::from(point.to_cell(resolution))).ok();
    Some(SnappedPlace {
        lon,
        lat,
        h3_r7: cell(Resolution::Seven)?,
        h3_r9: cell(Resolution::Nine)?,
    })
}

/// Metres of a degree of latitude.
const DEGREE_M: f64 = 111_195.0;
/// What stands at most this far away has not moved, metres.
pub const STAYED_M_MAX: f64 = 250.0;

/// Returns the distance in metres of two places (longitude, latitude) that are not far from each other.
pub fn metres(a: (f64, f64), b: (f64, f64)) -> f64 {
    let parallel = f64::midpoint(a.1, b.1).to_radians().cos();
    ((a.0 - b.0) * parallel).hypot(a.1 - b.1) * DEGREE_M
}

fn is_on_earth(lon: f64, lat: f64) -> bool {
    (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat)
}

#[cfg(test)]
mod tests;
