//! Places: H3 cells, distances, polygons and the Belgian grids.

mod grids;
mod h3;
mod polygon;

use arrow::datatypes::DataType;

use crate::call::Parameter;
use crate::described::{FunctionDescription, FunctionKind};
use crate::scalar::{ScalarSpec, map_numbers, unchecked};

/// The functions of places.
pub(crate) static SCALARS: &[&ScalarSpec] = &[
    &h3::CELL,
    &h3::PARENT,
    &h3::DISK,
    &h3::DISTANCE,
    &GREAT_CIRCLE,
    &polygon::POINT_IN_POLYGON,
    &grids::LAMBERT72_X,
    &grids::LAMBERT72_Y,
    &grids::LAMBERT72_LON,
    &grids::LAMBERT72_LAT,
    &grids::LAMBERT2008_X,
    &grids::LAMBERT2008_Y,
    &grids::LAMBERT2008_LON,
    &grids::LAMBERT2008_LAT,
];

/// Mean radius of the Earth (IUGG: (2a + b) / 3 of WGS 84), m.
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// `great_circle_distance`.
static GREAT_CIRCLE: ScalarSpec = ScalarSpec {
    description: &FunctionDescription {
        name: "great_circle_distance",
        kind: FunctionKind::Scalar,
        signature: "great_circle_distance(lon1, lat1, lon2, lat2) → float64",
        description: "Metres between two places in degrees, on a sphere of 6371.0088 km: within 0.6 % of the distance on \
                      the ellipsoid. NULL where the numbers are no places.",
        unit: Some("m"),
        example: "SELECT great_circle_distance(4.70, 50.88, 4.35, 50.85)",
    },
    parameters: &[Parameter::Number; 4],
    required: 4,
    returns: || DataType::Float64,
    unit_argument: None,
    check: unchecked,
    evaluate: |call| map_numbers(call, great_circle),
};

/// The haversine formula, which keeps its digits for small distances.
fn great_circle([lon1, lat1, lon2, lat2]: [f64; 4]) -> Option<f64> {
    if !is_place(lon1, lat1) || !is_place(lon2, lat2) {
        return None;
    }
    let half_sine = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin();
    let (north, east) = (half_sine(lat1, lat2), half_sine(lon1, lon2));
    let slope = lat1.to_radians().cos() * lat2.to_radians().cos();
    let haversine = (north * north + slope * east * east).min(1.0);
    Some(2.0 * EARTH_RADIUS_M * haversine.sqrt().asin())
}

fn is_place(lon: f64, lat: f64) -> bool {
    (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat)
}
