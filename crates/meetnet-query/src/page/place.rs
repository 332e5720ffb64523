//! Where the rows of a page are: in a box, or around a point.
//!
//! A row is where its own `lon` and `lat` say, else where the sensor or road segment that it is about was at its time.
//! Datasets of places say that, with periods of validity. The first period is often known from the first message on only,
//! so it holds from the beginning.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::DataType;
use meetnet_lake::snapshot::{LakeSnapshot, TableSnapshot};
use meetnet_model::dataset::{DatasetDeclaration, DatasetKind};
use meetnet_model::ids::LicenceId;

use super::statement::quoted;
use crate::error::{QueryError, QueryErrorKind};
use crate::table::schema::public_schema;

pub(crate) const LON: &str = "lon";
pub(crate) const LAT: &str = "lat";
/// Metres of a degree of latitude, rounded down: a box by it holds the circle.
pub(super) const DEGREE_M: f64 = 111_000.0;

/// A part of the Earth; degrees of WGS 84.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PageArea {
    /// From west to east and from south to north, edges included. Where `west` is greater it goes over the date line.
    Box {
        /// Longitude it begins at.
        west: f64,
        /// Latitude it begins at.
        south: f64,
        /// Longitude it ends at.
        east: f64,
        /// Latitude it ends at.
        north: f64,
    },
    /// Up to so many metres from a point.
    Around {
        /// Longitude of the point.
        lon: f64,
        /// Latitude of the point.
        lat: f64,
        /// Metres.
        radius_m: f64,
    },
}

impl PageArea {
    /// Returns the condition on two columns.
    fn to_sql(self, lon: &str, lat: &str) -> String {
        let number = |value: f64| format!("CAST('{value:e}' AS DOUBLE)");
        match self {
            Self::Box {
                west,
                south,
                east,
                north,
            } => {
                let or = if west > east { "OR" } else { "AND" };
                format!(
                    "({lat} >= {} AND {lat} <= {} AND ({lon} >= {} {or} {lon} <= {}))",
                    number(south),
                    number(north),
                    number(west),
                    number(east),
                )
            }
            Self::Around {
                lon: at_lon,
                lat: at_lat,
                radius_m,
            } => {
                let degrees = radius_m / DEGREE_M;
                format!(
                    "({lat} >= {} AND {lat} <= {} AND great_circle_distance({lon}, {lat}, {}, {}) <= {})",
                    number(at_lat - degrees),
                    number(at_lat + degrees),
                    number(at_lon),
                    number(at_lat),
                    number(radius_m),
                )
            }
        }
    }
}

pub(super) fn has_place(declaration: &DatasetDeclaration) -> bool {
    let schema = public_schema(declaration);
    [LON, LAT].iter().all(|name| {
        let field = schema.field_with_name(name);
        field.is_ok_and(|field| *field.data_type() == DataType::Float64)
    })
}

/// Returns the public tables that say where what a dataset is about is; none for rows that say it themselves.
pub fn places_of(
    snapshot: &LakeSnapshot,
    declaration: &DatasetDeclaration,
) -> Vec<Arc<TableSnapshot>> {
    let Some(subject) = declaration
        .subject_column()
        .filter(|_| !has_place(declaration))
    else {
        return Vec::new();
    };
    let tables = snapshot.tables.values().filter(|table| {
        let places = &table.declaration;
        places.kind == DatasetKind::Places
            && has_place(places)
            && places
                .subject_column()
                .is_some_and(|id| id.column_type == subject.column_type)
    });
    tables.cloned().collect()
}

/// Returns true for a column that rows of a dataset do not have, and datasets of places can tell: `lon` and `lat`.
pub(crate) fn is_told(column: &str, declaration: &DatasetDeclaration) -> bool {
    [LON, LAT].contains(&column)
        && declaration.subject_column().is_some()
        && public_schema(declaration).field_with_name(column).is_err()
}

/// Returns the statement that adds to the rows of `held` where they were at their times; `columns` are those of its answer. A row
/// stays one row: of several periods of a place one at most holds a time.
pub(super) fn told(
    held: &str,
    columns: &[String],
    declaration: &DatasetDeclaration,
    snapshot: &LakeSnapshot,
    only: Option<&BTreeSet<LicenceId>>,
) -> Result<String, QueryError> {
    let places = places_of(snapshot, declaration);
    let subject = declaration.subject_column().filter(|_| !places.is_empty());
    let Some(subject) = subject else {
        return Err(nowhere(declaration));
    };
    let subject = format!("held.{}", quoted(&subject.name));
    let time = format!("held.{}", quoted(declaration.time_column()));
    let allowed = only.map_or_else(String::new, |only| {
        let ids = only
            .iter()
            .map(|id| format!("'{}'", id.as_str().replace('\'', "''")));
        let ids: Vec<String> = ids.collect();
        format!(" WHERE licence IN ({})", ids.join(", "))
    });
    let joins = places.iter().enumerate().map(|(number, places)| {
        format!(
            " LEFT JOIN (SELECT id, lon, lat, valid_from, valid_to, lag(valid_from) OVER (PARTITION BY id ORDER BY valid_from) AS \
             earlier, lead(valid_from) OVER (PARTITION BY id ORDER BY valid_from) AS later FROM {}{allowed}) AS place{number} \
             ON place{number}.id = {subject} \
             AND (place{number}.earlier IS NULL OR place{number}.valid_from <= {time}) \
             AND (place{number}.valid_to IS NULL OR place{number}.valid_to > {time}) \
             AND (place{number}.later IS NULL OR place{number}.later > {time})",
            quoted(places.declaration.id.as_str())
        )
    });
    let joins: String = joins.collect();
    let columns = columns.iter().map(|name| {
        if !is_told(name, declaration) {
            return format!("held.{}", quoted(name));
        }
        let known = (0..places.len()).map(|number| format!("place{number}.{name}"));
        let known: Vec<String> = known.collect();
        match &known[..] {
            [one] => format!("{one} AS {}", quoted(name)),
            several => format!("coalesce({}) AS {}", several.join(", "), quoted(name)),
        }
    });
    let columns: Vec<String> = columns.collect();
    Ok(format!(
        "SELECT {} FROM ({held}) AS held{joins}",
        columns.join(", ")
    ))
}

pub(crate) fn nowhere(declaration: &DatasetDeclaration) -> QueryError {
    let cell = declaration
        .key
        .iter()
        .find(|column| column.starts_with("h3_"));
    let of_cells = cell.map(|cell| {
        let resolution = cell.trim_start_matches("h3_r");
        format!(
            ": each is of a hexagon, {cell}; ask for those of an area by {cell}=…, which may be repeated, and in SQL by \
             h3_cell(lon, lat, {resolution}) and h3_disk(cell, steps)"
        )
    });
    QueryError::new(
        QueryErrorKind::BadRequest,
        format!(
            "nothing says where the rows of `{}` are{}",
            declaration.id,
            of_cells.unwrap_or_default()
        ),
    )
}

/// Returns the condition that a dataset's rows are in an area.
pub(super) fn condition(
    area: &PageArea,
    declaration: &DatasetDeclaration,
    snapshot: &LakeSnapshot,
) -> Result<String, QueryError> {
    if has_place(declaration) {
        return Ok(area.to_sql(&quoted(LON), &quoted(LAT)));
    }
    let places = places_of(snapshot, declaration);
    let subject = declaration.subject_column().filter(|_| !places.is_empty());
    let Some(subject) = subject else {
        return Err(nowhere(declaration));
    };
    let table = quoted(declaration.id.as_str());
    let subject = format!("{table}.{}", quoted(&subject.name));
    let time = format!("{table}.{}", quoted(declaration.time_column()));
    let within = area.to_sql("place.lon", "place.lat");
    let conditions = places.iter().map(|places| {
        format!(
            "EXISTS (SELECT 1 FROM (SELECT id, lon, lat, valid_from, valid_to, lag(valid_from) OVER (PARTITION BY id ORDER BY \
             valid_from) AS earlier FROM {}) AS place WHERE place.id = {subject} AND {within} \
             AND (place.earlier IS NULL OR place.valid_from <= {time}) \
             AND (place.valid_to IS NULL OR place.valid_to > {time}))",
            quoted(places.declaration.id.as_str())
        )
    });
    let conditions: Vec<String> = conditions.collect();
    Ok(format!("({})", conditions.join(" OR ")))
}
