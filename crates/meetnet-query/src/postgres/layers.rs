//! Layers: a view of each dataset whose rows have a place, as QGIS and GDAL want to draw it: one column that identifies a row
//! by one number, and one of geometries.
//!
//! The dataset itself stays as it is. Layers are there for PostgreSQL's clients only; others read GeoJSON.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, TableReference};
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use meetnet_model::dataset::DatasetDeclaration;

use super::geometry::{LAYER_KEY, POINT, WKT, geometry_field};
use crate::table::schema::public_schema;

#[cfg(test)]
mod tests;

/// What follows the name of a dataset in the name of its layer.
pub(crate) const LAYER_SUFFIX: &str = "_layer";
/// The column that identifies a row.
const KEY: &str = "fid";
/// The column of geometries.
pub(crate) const GEOMETRY: &str = "geom";

/// The column of datasets that says in WKT where a row is, and what it looks like.
pub(crate) const WKT_COLUMN: &str = "geometry";
/// The columns of those that are points.
const LON_COLUMN: &str = "lon";
const LAT_COLUMN: &str = "lat";

/// What the geometries of a layer are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlacedBy {
    /// A column of WKT.
    Wkt,
    /// Columns of longitude and latitude.
    Point,
}

fn placed_by(declaration: &DatasetDeclaration) -> Option<PlacedBy> {
    let schema = public_schema(declaration);
    let has = |name: &str, fits: fn(&DataType) -> bool| {
        let field = schema.field_with_name(name);
        field.is_ok_and(|field| fits(field.data_type()))
    };
    // A column that is called as those of layers are would be there twice.
    if has(KEY, |_| true) || has(GEOMETRY, |_| true) {
        return None;
    }
    if has(WKT_COLUMN, DataType::is_string) {
        return Some(PlacedBy::Wkt);
    }
    let is_point = has(LON_COLUMN, DataType::is_numeric) && has(LAT_COLUMN, DataType::is_numeric);
    is_point.then_some(PlacedBy::Point)
}

/// Returns true for a dataset that has a layer.
pub(crate) fn has_layer(declaration: &DatasetDeclaration) -> bool {
    placed_by(declaration).is_some()
}

/// Returns what `geometry_columns` says of the geometries of a layer: of WKT each may be of another kind.
pub(crate) fn geometry_kind(declaration: &DatasetDeclaration) -> &'static str {
    match placed_by(declaration) {
        Some(PlacedBy::Point) => "POINT",
        _ => "GEOMETRY",
    }
}

/// Returns the columns of a dataset that its layer has as they are, WKT left out: it is the geometry.
fn kept(declaration: &DatasetDeclaration) -> Vec<Field> {
    let schema = public_schema(declaration);
    let fields = schema.fields().iter();
    let kept = fields.filter(|field| field.name() != WKT_COLUMN);
    kept.map(|field| field.as_ref().clone()).collect()
}

/// Returns the columns of a layer.
pub(crate) fn schema(declaration: &DatasetDeclaration) -> SchemaRef {
    let mut fields = vec![Field::new(KEY, DataType::Int64, true)];
    fields.extend(kept(declaration));
    fields.push(geometry_field(Field::new(GEOMETRY, DataType::Binary, true)));
    Arc::new(Schema::new(fields))
}

/// Returns the layer of a dataset.
///
/// # Errors
/// Where it cannot be planned.
pub(crate) fn layer(
    declaration: &DatasetDeclaration,
    rows: Arc<dyn TableProvider>,
) -> Result<Arc<dyn TableProvider>> {
    let name = TableReference::bare(declaration.id.as_str());
    let column = |column: &str| Expr::Column(Column::new(Some(name.clone()), column));
    let key = declaration.key.iter().map(|key| column(key)).collect();
    let geometry = match placed_by(declaration) {
        Some(PlacedBy::Wkt) => WKT.call(vec![column(WKT_COLUMN)]),
        _ => POINT.call(vec![column(LON_COLUMN), column(LAT_COLUMN)]),
    };
    let mut columns = vec![LAYER_KEY.call(key).alias(KEY)];
    columns.extend(kept(declaration).iter().map(|field| column(field.name())));
    columns.push(geometry.alias(GEOMETRY));
    let plan = LogicalPlanBuilder::scan(name.clone(), provider_as_source(rows), None)?
        .project(columns)?
        .build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}
