//! Municipalities as areas: which one a place lies in.
//!
//! `GeoJSON of the data team → read → declaration of a source → holds → column of a place`
//!
//! The areas are part of the declarations that are journalled, so that a replay puts every place where it was put.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Corners of all areas of a file: every journal segment opens with them.
pub const CORNERS_MAX: usize = 20_000;

/// One corner: degrees of longitude and latitude, WGS 84.
type Corner = [f64; 2];

/// A municipality and its area.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Municipality {
    /// Its name, as rows have it.
    pub name: String,
    /// Rings of all its parts and of the holes in them: what lies within an odd number of them is inside.
    pub rings: Vec<Vec<Corner>>,
}

impl Municipality {
    /// Returns true for a place in it: degrees, WGS 84. Edges are straight between corners, in degrees.
    pub fn holds(&self, lon: f64, lat: f64) -> bool {
        let mut is_inside = false;
        for ring in &self.rings {
            let Some(mut from) = ring.last() else {
                continue;
            };
            for to in ring {
                let crosses = (from[1] > lat) != (to[1] > lat);
                let share = (lat - from[1]) / (to[1] - from[1]);
                if crosses && lon < from[0] + (to[0] - from[0]) * share {
                    is_inside = !is_inside;
                }
                from = to;
            }
        }
        is_inside
    }
}

/// Reads a FeatureCollection of GeoJSON (RFC 7946): areas with a property `name`. On error, says what is wrong with it.
pub fn read(text: &str) -> Result<Vec<Municipality>, String> {
    let document: Value =
        serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let features = document["features"]
        .as_array()
        .ok_or("it has no `features`; write a FeatureCollection of GeoJSON")?;
    let mut municipalities = Vec::with_capacity(features.len());
    let mut corners = 0;
    for (number, feature) in features.iter().enumerate() {
        let which = format!("feature {} of {}", number + 1, features.len());
        let name = feature["properties"]["name"].as_str().map(str::trim);
        let name = name.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| {
            format!("{which} has no property `name`; add that of the municipality")
        })?;
        let rings = rings_of(&feature["geometry"]).ok_or_else(|| {
            format!("{which} is no Polygon or MultiPolygon whose corners are pairs of numbers")
        })?;
        let is_on_earth = |[lon, lat]: &Corner| lon.abs() <= 180.0 && lat.abs() <= 90.0;
        if !rings.iter().flatten().all(is_on_earth) {
            return Err(format!(
                "{which} has corners that are no degrees; convert it to WGS 84 (EPSG:4326)"
            ));
        }
        corners += rings.iter().map(Vec::len).sum::<usize>();
        municipalities.push(Municipality {
            name: name.to_owned(),
            rings,
        });
    }
    if municipalities.is_empty() {
        return Err("it has no features; add one for each municipality".to_owned());
    }
    if corners > CORNERS_MAX {
        return Err(format!(
            "{corners} corners are more than {CORNERS_MAX}; simplify the areas, or leave out those without sensors"
        ));
    }
    Ok(municipalities)
}

fn rings_of(geometry: &Value) -> Option<Vec<Vec<Corner>>> {
    let coordinates = geometry["coordinates"].clone();
    match geometry["type"].as_str()? {
        "Polygon" => serde_json::from_value(coordinates).ok(),
        "MultiPolygon" => {
            let parts: Vec<Vec<Vec<Corner>>> = serde_json::from_value(coordinates).ok()?;
            Some(parts.concat())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
