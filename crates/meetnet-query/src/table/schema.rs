//! The schema of a dataset in SQL, with units and property IRIs in the fields' metadata.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use meetnet_model::dataset::DatasetDeclaration;

pub use meetnet_functions::UNIT_KEY;

/// Metadata key of a field's observed-property IRI.
pub const IRI_KEY: &str = "iri";

/// Returns `declaration.row_schema()` with [`UNIT_KEY`] and [`IRI_KEY`] on the columns that declare them.
/// Field metadata goes through projections, so that a plain column keeps its unit in every answer.
pub fn public_schema(declaration: &DatasetDeclaration) -> SchemaRef {
    with_units(declaration, &declaration.row_schema())
}

/// Returns the unit of each column that has one.
pub(crate) fn units_of(schema: &Schema) -> Vec<Option<String>> {
    let fields = schema.fields().iter();
    fields
        .map(|field| field.metadata().get(UNIT_KEY).cloned())
        .collect()
}

/// Adds units and IRIs to the fields of `schema` that are declared columns.
pub(crate) fn with_units(declaration: &DatasetDeclaration, schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| {
            let field = field.as_ref().clone();
            let Some(column) = declaration
                .column_index(field.name())
                .map(|index| &declaration.columns[index])
            else {
                return field;
            };
            let mut metadata = HashMap::new();
            for (key, value) in [(UNIT_KEY, &column.unit), (IRI_KEY, &column.iri)] {
                if let Some(value) = value {
                    metadata.insert(key.to_owned(), value.clone());
                }
            }
            field.with_metadata(metadata)
        })
        .collect();
    Arc::new(Schema::new(fields))
}
