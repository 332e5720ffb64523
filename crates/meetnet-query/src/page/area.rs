//! Whether an area was asked for with latitude and longitude exchanged: nothing lies there, and the answer is empty without a
//! word. Or with west and east: then it is the rest of the earth.
//!
//! Bounds of all places, from the statistics of files and from hot rows, are enough to know: where one file has none, nothing is
//! said.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::{max, min};
use arrow::datatypes::Float64Type;
use meetnet_lake::snapshot::{LakeSnapshot, StatisticsValue, TableSnapshot};
use meetnet_model::dataset::DatasetDeclaration;

use super::PageRequest;
use super::place::{DEGREE_M, LAT, LON, PageArea, has_place, places_of};

/// From west to east and from south to north, degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlaceBounds {
    /// The least and the greatest longitude.
    pub lon: (f64, f64),
    /// The least and the greatest latitude.
    pub lat: (f64, f64),
}

impl PlaceBounds {
    /// Returns bounds of an area, no less than it; None where it goes over a pole or the date line.
    fn of(area: &PageArea) -> Option<Self> {
        let (lon, lat) = match *area {
            PageArea::Box {
                west,
                south,
                east,
                north,
            } => ((west, east), (south, north)),
            PageArea::Around { lon, lat, radius_m } => {
                let degrees = radius_m / DEGREE_M;
                let wide = degrees / (lat.abs() + degrees).min(90.0).to_radians().cos();
                ((lon - wide, lon + wide), (lat - degrees, lat + degrees))
            }
        };
        let is_whole = lon.0 <= lon.1
            && lat.0 <= lat.1
            && lon.0 >= -180.0
            && lon.1 <= 180.0
            && lat.0 >= -90.0
            && lat.1 <= 90.0;
        is_whole.then_some(Self { lon, lat })
    }

    fn meets(&self, other: &Self) -> bool {
        let meet = |a: (f64, f64), b: (f64, f64)| a.0 <= b.1 && b.0 <= a.1;
        meet(self.lon, other.lon) && meet(self.lat, other.lat)
    }
}

/// Returns an area with latitude and longitude exchanged.
fn exchanged(area: &PageArea) -> PageArea {
    match *area {
        PageArea::Box {
            west,
            south,
            east,
            north,
        } => PageArea::Box {
            west: south,
            south: west,
            east: north,
            north: east,
        },
        PageArea::Around { lon, lat, radius_m } => PageArea::Around {
            lon: lat,
            lat: lon,
            radius_m,
        },
    }
}

/// Returns what a box means that goes almost all around the earth, with west and east exchanged, and what to say of it; None for
/// every other area. One over the date line is less than half of the earth wide.
fn backwards(area: &PageArea) -> Option<(PlaceBounds, String)> {
    let PageArea::Box {
        west,
        south,
        east,
        north,
    } = *area
    else {
        return None;
    };
    if west <= east || west - east >= 180.0 {
        return None;
    }
    let meant = PlaceBounds {
        lon: (east, west),
        lat: (south, north),
    };
    let hint = format!(
        "bbox goes from west to east: with west {west} and east {east} it goes around the earth, over the date line; write \
         bbox={east},{south},{west},{north} for what lies between"
    );
    Some((meant, hint))
}

/// Returns what to say of the area of a request; None where nothing is known to be wrong with it.
pub(super) fn hint(
    request: &PageRequest,
    declaration: &DatasetDeclaration,
    snapshot: &LakeSnapshot,
) -> Option<String> {
    let area = request.area.as_ref()?;
    let known = bounds_of(snapshot, declaration)?;
    if let Some((meant, hint)) = backwards(area)
        && meant.meets(&known)
    {
        return Some(hint);
    }
    let (asked, meant) = (PlaceBounds::of(area)?, PlaceBounds::of(&exchanged(area))?);
    if asked.meets(&known) || !meant.meets(&known) {
        return None;
    }
    let parameter = match area {
        PageArea::Box { .. } => "bbox takes west,south,east,north",
        PageArea::Around { .. } => "near takes longitude,latitude",
    };
    let PlaceBounds { lon, lat } = known;
    Some(format!(
        "nothing of `{}` lies there; {parameter}, the longitude first: what there is lies between {:.3} and {:.3} in longitude, \
         {:.3} and {:.3} in latitude",
        declaration.id, lon.0, lon.1, lat.0, lat.1
    ))
}

/// Returns bounds of where the rows of a dataset can be, no less than what they say themselves, or the places that tell it; None
/// where nothing tells it, or not all is known.
pub fn bounds_of(snapshot: &LakeSnapshot, declaration: &DatasetDeclaration) -> Option<PlaceBounds> {
    let tables = match has_place(declaration) {
        true => vec![Arc::clone(snapshot.tables.get(&declaration.id)?)],
        false => places_of(snapshot, declaration),
    };
    bounds(&tables)
}

/// Returns bounds of all places in tables; None where there are none, or not all are known.
fn bounds(tables: &[Arc<TableSnapshot>]) -> Option<PlaceBounds> {
    let of = |column: &str| {
        let ranges = tables.iter().flat_map(move |table| {
            let files = table.files.iter().map(move |file| {
                let known = file.statistics.get(column)?;
                match (&known.min, &known.max) {
                    (Some(StatisticsValue::Float(min)), Some(StatisticsValue::Float(max))) => {
                        Some(Some((*min, *max)))
                    }
                    (None, None) if known.nulls == Some(file.rows) => Some(None),
                    _ => None,
                }
            });
            let hot = table.hot.iter().map(move |hot| {
                let values = hot.batch.column_by_name(column)?;
                let values = values.as_primitive_opt::<Float64Type>()?;
                Some(min(values).zip(max(values)))
            });
            files.chain(hot)
        });
        let ranges = ranges.collect::<Option<Vec<Option<(f64, f64)>>>>()?;
        ranges
            .into_iter()
            .flatten()
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    };
    Some(PlaceBounds {
        lon: of(LON)?,
        lat: of(LAT)?,
    })
}
