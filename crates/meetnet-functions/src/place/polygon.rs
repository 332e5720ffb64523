//! `point_in_polygon`, for polygons as WKT or GeoJSON.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanBuilder};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use serde_json::Value;

use crate::call::{Call, Parameter};
use crate::described::{FunctionDescription, FunctionKind};
use crate::scalar::{ScalarSpec, unchecked};

/// Corners of one polygon, with all its parts: each is looked at for each row.
const CORNERS_MAX: usize = 10_000;

/// `point_in_polygon`.
pub(super) static POINT_IN_POLYGON: ScalarSpec = ScalarSpec {
    description: &FunctionDescription {
        name: "point_in_polygon",
        kind: FunctionKind::Scalar,
        signature: "point_in_polygon(lon, lat, polygon) → boolean",
        description: "Whether a place lies in a polygon, which is WKT (POLYGON, MULTIPOLYGON) or GeoJSON (Polygon, \
                      MultiPolygon, or a Feature of one) with longitude before latitude. Edges are straight in degrees; \
                      inner rings are holes; of polygons that share an edge, a place on it lies in one. A polygon over the \
                      meridian of 180 degrees is written as two, one on each side. At most 10,000 corners.",
        unit: None,
        example: "SELECT point_in_polygon(4.70, 50.88, 'POLYGON((4.6 50.8, 4.8 50.8, 4.8 50.9, 4.6 50.9, 4.6 50.8))')",
    },
    parameters: &[Parameter::Number, Parameter::Number, Parameter::Text],
    required: 3,
    returns: || DataType::Boolean,
    unit_argument: None,
    check: unchecked,
    evaluate: inside,
};

fn inside(call: &Call<'_>) -> Result<ArrayRef> {
    let (lons, lats) = (call.numbers(0)?, call.numbers(1)?);
    let texts = call.texts(2)?;
    // Nearly always the same in every row, so it is read once.
    let mut read: Option<(&str, Polygon)> = None;
    let mut found = BooleanBuilder::with_capacity(call.rows);
    for row in 0..call.rows {
        let (Some(text), true) = (texts.get(row), lons.is_valid(row) && lats.is_valid(row)) else {
            found.append_null();
            continue;
        };
        let polygon = match read.take() {
            Some((before, polygon)) if before == text => polygon,
            _ => Polygon::parse(text).map_err(|why| call.wrong(why))?,
        };
        found.append_value(polygon.contains(lons.value(row), lats.value(row)));
        read = Some((text, polygon));
    }
    Ok(Arc::new(found.finish()))
}

/// The rings of a polygon or of several; a place lies in it where a ray crosses rings an odd number of times.
#[derive(Debug)]
struct Polygon {
    rings: Vec<Vec<(f64, f64)>>,
    /// Least longitude and latitude, greatest longitude and latitude.
    bounds: [f64; 4],
}

impl Polygon {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let rings = if text.starts_with('{') {
            geojson(text)?
        } else {
            wkt(text)?
        };
        let corners: usize = rings.iter().map(Vec::len).sum();
        if corners > CORNERS_MAX {
            return Err(format!(
                "a polygon has {corners} corners, and at most {CORNERS_MAX} are taken; simplify it"
            ));
        }
        if rings.is_empty() || rings.iter().any(|ring| ring.len() < 4) {
            return Err(
                "each ring of a polygon has at least four corners, the last as the first"
                    .to_owned(),
            );
        }
        let mut bounds = [
            f64::INFINITY,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NEG_INFINITY,
        ];
        for (lon, lat) in rings.iter().flatten() {
            if !lon.is_finite() || !lat.is_finite() {
                return Err("a corner of a polygon is no finite number".to_owned());
            }
            let [west, south, east, north] = bounds;
            bounds = [
                west.min(*lon),
                south.min(*lat),
                east.max(*lon),
                north.max(*lat),
            ];
        }
        Ok(Self { rings, bounds })
    }

    fn contains(&self, lon: f64, lat: f64) -> bool {
        let [west, south, east, north] = self.bounds;
        if !(west..=east).contains(&lon) || !(south..=north).contains(&lat) {
            return false;
        }
        let crossings = self.rings.iter().flat_map(|ring| ring.windows(2));
        let east_of_here = crossings.filter(|edge| {
            let ((lon1, lat1), (lon2, lat2)) = (edge[0], edge[1]);
            // Half open, so that a corner belongs to one of its edges.
            (lat1 > lat) != (lat2 > lat)
                && lon < lon1 + (lat - lat1) / (lat2 - lat1) * (lon2 - lon1)
        });
        east_of_here.count() % 2 == 1
    }
}

const FORMS: &str =
    "write POLYGON((lon lat, …)), MULTIPOLYGON(((lon lat, …)), …) or GeoJSON of one";

/// Reads WKT. Parentheses only group: what is a ring is the innermost.
fn wkt(text: &str) -> Result<Vec<Vec<(f64, f64)>>, String> {
    let (word, rest) = text.split_at(text.find('(').unwrap_or(text.len()));
    let depth = match word.trim().to_ascii_uppercase().as_str() {
        "POLYGON" => 2,
        "MULTIPOLYGON" => 3,
        _ => return Err(format!("this is no polygon; {FORMS}")),
    };
    let mut rings = Vec::new();
    let (mut open, mut start) = (0, 0);
    for (at, character) in rest.char_indices() {
        match character {
            '(' => {
                open += 1;
                start = at + 1;
            }
            ')' => {
                if open == depth {
                    rings.push(ring(&rest[start..at])?);
                }
                open -= 1;
            }
            // Between rings and polygons.
            ',' | ' ' | '\t' | '\r' | '\n' => {}
            _ if open == depth => {}
            _ => return Err(format!("there is `{character}` between rings; {FORMS}")),
        }
        let is_last = at + 1 == rest.len();
        if open > depth || open < 0 || (open == 0 && !is_last) {
            return Err(format!(
                "the parentheses of a polygon do not match; {FORMS}"
            ));
        }
    }
    if open != 0 {
        return Err(format!(
            "the parentheses of a polygon do not match; {FORMS}"
        ));
    }
    Ok(rings)
}

fn ring(text: &str) -> Result<Vec<(f64, f64)>, String> {
    let corner = |text: &str| {
        let mut numbers = text.split_whitespace().map(str::parse::<f64>);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(lon)), Some(Ok(lat)), None) => Ok((lon, lat)),
            _ => Err(format!("a corner of a polygon is no `lon lat`; {FORMS}")),
        }
    };
    text.split(',').map(corner).collect()
}

fn geojson(text: &str) -> Result<Vec<Vec<(f64, f64)>>, String> {
    let wrong = || format!("this is no polygon in GeoJSON; {FORMS}");
    let value: Value = serde_json::from_str(text).map_err(|_| wrong())?;
    let geometry = match value["type"].as_str() {
        Some("Feature") => &value["geometry"],
        _ => &value,
    };
    let coordinates = geometry["coordinates"].as_array().ok_or_else(wrong)?;
    let rings: Vec<&Value> = match geometry["type"].as_str() {
        Some("Polygon") => coordinates.iter().collect(),
        Some("MultiPolygon") => coordinates
            .iter()
            .flat_map(|polygon| polygon.as_array().into_iter().flatten())
            .collect(),
        _ => return Err(wrong()),
    };
    let corner = |corner: &Value| {
        let (lon, lat) = (corner[0].as_f64(), corner[1].as_f64());
        lon.zip(lat).ok_or_else(wrong)
    };
    let ring = |ring: &Value| -> Result<Vec<(f64, f64)>, String> {
        let corners = ring.as_array().ok_or_else(wrong)?;
        corners.iter().map(corner).collect()
    };
    rings.into_iter().map(ring).collect()
}

#[cfg(test)]
mod tests;
